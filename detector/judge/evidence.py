"""Evidence of incidents, counted columnar-wise: a flood in which every event is flagged makes no Python object per event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from detector.decode import ecs
from detector.features.hashing import text_id
from detector.judge import entities
from detector.judge.cases import Bout, Touched
from detector.judge.findings import EventSample, EvidenceRow
from detector.judge.flags import Flags

SAMPLES = 50  # events shown per episode
VALUES = 10_000  # evidence values kept per episode and field: the first in stream order, however the stream is cut (I1)
TEXTS = ("user.name", "user.target.name", "host.name", "observer.name", "event.action", "event.outcome")
HOSTS, ACCOUNTS = ("host.name", "destination.ip"), ("user.target.name", "user.name")
INTEGERS = ("destination.port",)
_COLUMNS = (*(f"{name}.{part}" for name in ecs.ADDRESS for part in ("hi", "lo", "kind")), *TEXTS, *INTEGERS)


def gather(events: pl.DataFrame, flags: Flags, touched: Sequence[Touched]) -> dict[str, tuple[EvidenceRow, ...]]:
    """Increments of evidence by incident id. Values beyond an episode's first 10,000 of a field are not kept (the event count is)."""
    rows = np.concatenate([one.rows for one in touched])
    which = np.repeat(np.arange(len(touched)), [len(one.rows) for one in touched])
    base = pl.DataFrame({"which": which, "events": flags.weight[rows], "time": flags.time[rows]})
    chosen = events.select(_COLUMNS)[flags.event[rows]]
    found: dict[str, list[EvidenceRow]] = {}
    for column, values, counts in _columns(base, chosen):
        for name, row in zip(values, counts.iter_rows(), strict=True):
            bout = touched[row[0]].bout
            if _keeps(bout.values.setdefault(column, set()), name):
                kept = EvidenceRow(column, name, row[1], row[2], row[3], bout.episode.number)
                found.setdefault(bout.episode.incident, []).append(kept)
    return {id_: tuple(kept) for id_, kept in found.items()}


def spread(bout: Bout) -> int:
    """Hosts or accounts that an episode reached, whichever are more."""
    return max(len(bout.values.get(column, ())) for column in (*HOSTS, *ACCOUNTS))


def _columns(base: pl.DataFrame, chosen: pl.DataFrame) -> Iterator[tuple[str, list[str], pl.DataFrame]]:
    """Per evidence field: the values' texts and (incident, events, first, last) of each, in order of appearance."""
    for name in ecs.ADDRESS:
        parts = [chosen[f"{name}.{part}"].alias(part) for part in ("kind", "hi", "lo")]
        counts = _counted(base.with_columns(parts), ["kind", "hi", "lo"])
        texts = [entities.address_text(hi, lo, kind) for kind, hi, lo in counts.select("kind", "hi", "lo").iter_rows()]
        yield name, texts, counts.drop("kind", "hi", "lo")
    for name in TEXTS:
        values = ecs.values(chosen, name)
        counts = _counted(base.with_columns(pl.Series("code", ecs.codes(chosen, name).astype(np.int64))), ["code"])
        yield name, [values[code] for code in counts["code"]], counts.drop("code")
    for name in INTEGERS:
        counts = _counted(base.with_columns((chosen[name].cast(pl.Int64) + 1).alias("code")), ["code"])
        yield name, [str(code - 1) for code in counts["code"]], counts.drop("code")


def _counted(table: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """(which, events, first, last, *by) of the values that are present: the first of `by` is 0 where absent."""
    counted = table.filter(pl.col(by[0]) != 0).group_by(["which", *by], maintain_order=True)
    sums = counted.agg(pl.col("events").sum(), pl.col("time").min().alias("first"), pl.col("time").max().alias("last"))
    return sums.select("which", "events", "first", "last", *by)


def _keeps(known: set[int], value: str) -> bool:
    identity = text_id(value)
    if identity in known:
        return True
    if len(known) >= VALUES:
        return False
    known.add(identity)
    return True


def sample(events: pl.DataFrame, flags: Flags, touched: Sequence[Touched]) -> dict[str, tuple[EventSample, ...]]:
    """The first events of each episode, up to 50."""
    found: dict[str, tuple[EventSample, ...]] = {}
    for one in touched:
        rows = one.rows[: SAMPLES - one.bout.samples]
        if len(rows) > 0:
            one.bout.samples += len(rows)
            chosen = zip(events[flags.event[rows]].iter_rows(named=True), flags.time[rows].tolist(), strict=True)
            made = tuple(_sample(row, at, one.bout.episode.number) for row, at in chosen)
            found[one.bout.episode.incident] = found.get(one.bout.episode.incident, ()) + made
    return found


def _sample(event: dict[str, object], time: int, episode: int) -> EventSample:
    partition, offset = int(str(event["log.partition"])), int(str(event["log.offset"]))
    return EventSample(time, str(event["log.topic"]), partition, offset, entities.fields(event), episode)
