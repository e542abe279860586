"""The decoder: raw records in, event frame out. No state but compiled tables; no clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.config import Config, Observer, Topic
from detector.decode import clock, ecs, envelope, lines, zones
from detector.decode.convert import Lines, convert
from detector.decode.decoded import Decoded, Origin, Reject
from detector.decode.observers import Senders, senders
from detector.decode.plan import Plan, compile_table
from detector.decode.recognise import Marks, claimed, marks, recognise
from detector.decode.scan import Bytes, readonly
from detector.decode.spans import EMPTY, IGNORED, OK, REASONS, TOO_LONG, UNKNOWN
from detector.decode.table import Table, shipped
from detector.records import Records


@dataclass(frozen=True, slots=True)
class Decoder:
    """plans by number; source_* (S) say for each of `senders.sources` its zone, configured format (-1 = auto) and origin."""

    senders: Senders
    plans: tuple[Plan, ...]
    marks: Marks
    zones: zones.Zones
    source_zone: NDArray[np.int32]
    source_format: NDArray[np.int32]
    source_origin: NDArray[np.int32]
    origins: tuple[Origin, ...]
    year: int

    @classmethod
    def of(cls, config: Config) -> Decoder:
        return cls.build(config.topics, config.observers)

    @classmethod
    def build(
        cls, topics: Sequence[Topic], observers: Sequence[Observer] = (), tables: Mapping[str, Table] | None = None, year: int = 0
    ) -> Decoder:
        """Raises ValueError for an unknown format or time zone. `year`: for dates without one, where the record time is unknown (0)."""
        known = shipped() if tables is None else tables
        who = senders(topics, observers)
        names = list(known)
        for source in who.sources:
            if source.format != "auto" and source.format not in known:
                raise ValueError(f"no format has the name {source.format!r}; there are: auto, {', '.join(names)}")
        used = sorted({s.origin.timezone for s in who.sources})
        origins = list(dict.fromkeys(s.origin for s in who.sources))
        return cls(
            senders=who,
            plans=tuple(compile_table(t) for t in known.values()),
            marks=marks(list(known.values())),
            zones=zones.of(used),
            source_zone=np.array([used.index(s.origin.timezone) for s in who.sources], np.int32),
            source_format=np.array([names.index(s.format) if s.format != "auto" else -1 for s in who.sources], np.int32),
            source_origin=np.array([origins.index(s.origin) for s in who.sources], np.int32),
            origins=tuple(origins),
            year=year,
        )

    def decode(self, records: Records) -> Decoded:
        """Every record ends as an event, as ignored or as a reject (I2)."""
        values = readonly(records.values)
        source = self.senders.choose(values, records.bounds, records.place, [p.topic for p in records.places])
        zone = self.source_zone[source]
        status, rows = _readable(records)
        frames = lines.empty(len(records))
        lines.frame(
            values, rows, records.bounds[:-1][rows], records.bounds[1:][rows], frames, self.zones, zone, records.timestamps, self.year
        )
        configured = self.source_format[source]
        values = self._open(values, frames, configured, zone, records.timestamps)
        found = recognise(values, frames, configured, self.marks)
        status[(status == OK) & (frames.start >= frames.stop)] = EMPTY
        status[(status == OK) & (found < 0)] = UNKNOWN
        parts, events = [], []
        for number in np.unique(found[status == OK]).tolist():
            mine = np.flatnonzero((found == number) & (status == OK))
            columns, mine_ok = self._format(number, values, frames, mine, zone[mine], records.timestamps[mine], status)
            events.append(mine_ok)
            parts.append(self._frame(number, columns, records, source, mine_ok))
        frame, rows = _merge(parts, events)
        return self._decoded(frame, rows, source, found, status)

    def _open(
        self, values: Bytes, frames: lines.Frames, configured: NDArray[np.int32], zone: NDArray[np.int32], near: NDArray[np.int64]
    ) -> Bytes:  # fmt: skip
        """Put the line inside each envelope in the envelope's place where somebody can read it. Returns the buffer that then holds all."""
        objects = (
            np.flatnonzero((frames.stop > frames.start) & (values[np.minimum(frames.start, max(len(values) - 1, 0))] == ord("{")))
            if len(values)
            else np.zeros(0, np.int64)
        )
        objects = self._not_known(values, frames, configured, objects)
        if len(objects) == 0:
            return values
        opened = envelope.open_envelopes(values, frames.start[objects], frames.stop[objects])
        has = opened.length[:, envelope.MESSAGE] > 0
        if not has.any():
            return values
        objects, begin, length = objects[has], opened.begin[has], opened.length[has]
        scratch = np.empty(int(length[:, envelope.MESSAGE].sum()), np.uint8)
        bounds = np.zeros(len(objects) + 1, np.int64)
        envelope.unescape(values, begin[:, envelope.MESSAGE].copy(), length[:, envelope.MESSAGE].copy(), scratch, bounds)
        base = len(values)
        values = readonly(np.concatenate([values, scratch[: bounds[-1]]]))
        bounds += base
        inner, at, m = lines.empty(len(objects)), near[objects], np.arange(len(objects))
        lines.frame(values, m, bounds[:-1], bounds[1:], inner, self.zones, zone[objects], at, self.year)
        chosen = recognise(values, inner, np.full(len(objects), -1, np.int32), self.marks)
        wanted = configured[objects]
        plain = np.array([p.table.tokenizer != "json" for p in self.plans] + [False], np.bool_)
        take = np.flatnonzero(((wanted < 0) & (chosen >= 0)) | ((wanted >= 0) & (plain[wanted] | (chosen == wanted))))
        _replace(values, frames, objects, inner, begin, length, take, self.zones, zone, at)
        return values

    def _not_known(
        self, values: Bytes, frames: lines.Frames, configured: NDArray[np.int32], objects: NDArray[np.int64]
    ) -> NDArray[np.int64]:  # fmt: skip
        """Of the lines that are JSON objects those that may be envelopes; for the others `configured` learns the format found.

        A line whose format is plain to see is not searched for an envelope, unless a text in it is JSON itself.
        """
        inside = envelope.nested(values, frames.start[objects], frames.stop[objects])
        own = np.array([p.table.tokenizer == "json" and not p.table.envelope for p in self.plans] + [False], np.bool_)
        sure = own[configured[objects]] & claimed(values, frames, objects, configured[objects], self.marks)
        others = np.zeros(len(configured), np.int32)
        others[objects] = configured[objects]
        outer = recognise(values, frames, others, self.marks)[objects]
        found = own[outer] & (configured[objects] < 0) & ~inside
        configured[objects[found]] = outer[found]
        return objects[~(sure | found) | inside]

    def _format(
        self, number: int, values: Bytes, frames: lines.Frames, mine: NDArray[np.int64], zone: NDArray[np.int32],
        near: NDArray[np.int64], status: NDArray[np.uint8],
    ) -> tuple[dict[str, pl.Series], NDArray[np.int64]]:  # fmt: skip
        """One format's lines: their event columns, and which records they are; `status` learns what became of the others."""
        plan = self.plans[number]
        spans = plan.tokenize(values, frames.start[mine], frames.stop[mine])
        spans.begin[:, -4:] = frames.begin[mine]
        spans.length[:, -4:] = frames.length[mine]
        converted = convert(plan, values, spans, Lines(zone, frames.time[mine], near, self.zones, self.year))
        status[mine] = converted.status
        return converted.columns, mine[converted.status == OK]

    def _frame(
        self, number: int, columns: dict[str, pl.Series], records: Records, source: NDArray[np.int32], rows: NDArray[np.int64]
    ) -> pl.DataFrame:  # fmt: skip
        """The event frame of one format, provenance included."""
        n = len(rows)
        topics = list(dict.fromkeys(["", *(p.topic for p in records.places)]))
        place = records.place[rows]
        topic = np.array([topics.index(p.topic) for p in records.places], np.int32)
        partition = np.array([p.partition for p in records.places], np.int32)
        name = self.plans[number].table.name
        provenance = {
            "event.dataset": ecs.text(np.ones(1, np.uint8), ["", name]).new_from_index(0, n),
            "log.topic": ecs.text(topic, topics).new_from_index(0, n) if len(topic) == 1 else ecs.text(topic[place], topics),
            "log.partition": pl.Series(partition[place]),
            "log.offset": pl.Series(records.offsets[rows]),
            "event.created": pl.Series(records.timestamps[rows]).cast(pl.Datetime("us", "UTC")),
        }
        columns = self._named(columns, source[rows])
        return ecs.frame(n, columns | provenance)

    def _named(self, columns: dict[str, pl.Series], source: NDArray[np.int32]) -> dict[str, pl.Series]:
        """observer.name as configured, where it is."""
        names = [s.name for s in self.senders.sources]
        if not any(names) or len(source) == 0:
            return columns
        series = columns.get("observer.name", ecs.text(np.zeros(len(source), np.uint8), [""]))
        union = {value: i for i, value in enumerate(series.dtype.categories.to_list())}  # type: ignore[attr-defined]  # text() makes an Enum
        code = np.array([union.setdefault(name, len(union)) if name != "" else -1 for name in names], np.int32)[source]
        codes = np.where(code >= 0, code, series.to_physical().to_numpy().astype(np.int32))
        return columns | {"observer.name": ecs.text(codes, list(union))}

    def _decoded(
        self, frame: pl.DataFrame, rows: NDArray[np.int64], source: NDArray[np.int32], found: NDArray[np.int32], status: NDArray[np.uint8]
    ) -> Decoded:  # fmt: skip
        names = [p.table.name for p in self.plans] + [""]
        origin = self.source_origin[source]
        lost = np.flatnonzero(status > IGNORED).tolist()
        rejects = tuple(Reject(row, int(origin[row]), names[found[row]], REASONS[status[row]]) for row in lost)
        skipped = np.flatnonzero(status == IGNORED)
        ignored = {names[number]: skipped[found[skipped] == number] for number in np.unique(found[skipped]).tolist()}
        return Decoded(frame, rows, origin[rows], self.origins, rejects, {name: len(r) for name, r in ignored.items()}, ignored)


def _readable(records: Records) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Status uint8 (n) so far, and the rows that are worth framing."""
    lengths = records.bounds[1:] - records.bounds[:-1]
    status = np.zeros(len(records), np.uint8)
    status[lengths > lines.LONGEST] = TOO_LONG
    status[(lengths == 0) | records.null] = EMPTY
    return status, np.flatnonzero(status == OK)


def _replace(
    values: Bytes, frames: lines.Frames, objects: NDArray[np.int64], inner: lines.Frames, begin: NDArray[np.int64],
    length: NDArray[np.int32], take: NDArray[np.int64], z: zones.Zones, zone: NDArray[np.int32], near: NDArray[np.int64],
) -> None:  # fmt: skip
    """Frames of the opened envelopes; the envelope's own time and host stand in where the line has none."""
    rows = objects[take]
    frames.start[rows], frames.stop[rows] = inner.start[take], inner.stop[take]
    frames.begin[rows], frames.length[rows] = inner.begin[take], inner.length[take]
    outer = lines.field_times(values, begin[:, envelope.TIME].copy(), length[:, envelope.TIME].copy(), z, zone[objects], near)
    frames.time[rows] = np.where(inner.time[take] != clock.NONE, inner.time[take], outer[take])
    hostless = take[(inner.length[take, lines.HOST] < 0) & (length[take, envelope.HOST] > 0)]
    frames.begin[objects[hostless], lines.HOST] = begin[hostless, envelope.HOST]
    frames.length[objects[hostless], lines.HOST] = length[hostless, envelope.HOST]


def _merge(parts: list[pl.DataFrame], events: list[NDArray[np.int64]]) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """The formats' frames as one, in record order, and the record of each event."""
    if len(parts) == 0:
        return ecs.frame(0, {}), np.zeros(0, np.int64)
    if len(parts) == 1:
        return parts[0], events[0]
    rows = np.concatenate(events)
    order = np.argsort(rows, kind="stable")
    return ecs.concat(parts)[order], rows[order]
