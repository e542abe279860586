"""`tuermer replay`: the same two steps over log files, by event time, in memory; `simulate`: lines to files or topics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from kafka import KafkaProducer

from detector.assembly import core
from detector.config import Config, ConfigError, Topic
from detector.configload import load
from detector.decode import Decoded, Decoder, ecs
from detector.judge.findings import NO_PROBABILITY, Changes, EvidenceRow, Incident
from detector.pipeline import Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.records import Records
from detector.simulate import TOPICS, City, produce, write
from detector.sources.client import arguments, reachable, require_topics
from detector.sources.files import FileSource
from detector.web.terminal import lines

SPAN = re.compile(r"(\d+)([dhm])")
UNITS = {"d": "days", "h": "hours", "m": "minutes"}
ROWS = 16_384  # events per step


def span(text: str) -> timedelta:
    """7d, 12h or 30m. Raises ConfigError otherwise."""
    match = SPAN.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text} is not a span of time; write 7d, 12h or 30m")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def events_of(files: Sequence[Path], format_: str, year: int | None, timezone: str, tenant: str) -> dict[str, pl.DataFrame]:
    """All events of the files by shard, sorted by event time; tokens are made with a key that nobody keeps."""
    topics = [Topic(name=str(path), tenant=tenant, format=format_, timezone=timezone) for path in files]
    config = Config(topics=topics)
    steps = Router(ByEventTime(Decoder.build(topics, year=year or 0), year is not None), Privacy.of(config, MemoryKeyring()))
    source = FileSource(files)
    parts: dict[str, list[pl.DataFrame]] = {}
    while (batches := source.poll(0)) != []:
        for records in batches:
            for shard, frame in route_step(records, steps).events.items():
                parts.setdefault(shard, []).append(frame)
    return {shard: ecs.concat(frames).sort("@timestamp", maintain_order=True) for shard, frames in parts.items()}


@dataclass(frozen=True, slots=True)
class ByEventTime:
    """A decoder for files, whose records have no time of their own: the event's time stands for it."""

    decoder: Decoder
    yearless: bool  # a year is given, so the file's date says nothing

    def decode(self, records: Records) -> Decoded:
        known = replace(records, timestamps=np.zeros_like(records.timestamps)) if self.yearless else records
        decoded = self.decoder.decode(known)
        return replace(decoded, events=decoded.events.with_columns(pl.col("@timestamp").alias("event.created")))


class Ledger:
    """Incidents as the database would hold them, in memory: the last value of each, evidence added up."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.evidence: dict[str, dict[tuple[str, str], EvidenceRow]] = {}

    def take(self, changes: Changes) -> None:
        self.incidents.update((incident.id, incident) for incident in (*changes.opened, *changes.updated))
        for id_, rows in changes.evidence.items():
            known = self.evidence.setdefault(id_, {})
            for row in rows:
                old = known.get((row.field, row.value))
                known[row.field, row.value] = row if old is None else added(old, row)

    def rows(self, since: int) -> list[dict[str, Any]]:
        """As JSON of design section 9, in the order in which they opened, from event time `since` (µs) on."""
        ordered = sorted(self.incidents.values(), key=lambda incident: (incident.opened, incident.id))
        return [as_json(incident, self.evidence.get(incident.id, {}).values()) for incident in ordered if incident.opened >= since]


def added(old: EvidenceRow, new: EvidenceRow) -> EvidenceRow:
    return EvidenceRow(old.field, old.value, old.events + new.events, min(old.first, new.first), max(old.last, new.last))


def moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat()


def as_json(incident: Incident, evidence: Iterable[EvidenceRow]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(incident)
    kind, value = found.pop("entity_kind"), found.pop("entity_value")
    low, high = found.pop("usual") or (None, None)
    one_in = round(1 / incident.p_value) if incident.p_value > 0 and incident.model not in NO_PROBABILITY else None
    found |= {
        "entity": {"kind": kind, "value": value},
        "status": "open",
        "one_in": one_in,
        "chance_days": one_in / incident.volume if one_in is not None and incident.volume else None,
        "usual_low": low,
        "usual_high": high,
    }
    found |= {"notification": "none", "why": None, "maintenance": None, "suppression": None}  # nothing is sent from a replay
    found |= {name: moment(getattr(incident, name)) for name in ("opened", "updated", "closes_at", "episode_opened")}
    found["evidence"] = [
        {"field": row.field, "value": row.value, "events": row.events, "first": moment(row.first), "last": moment(row.last)}
        for row in evidence
    ]
    return found


def replay_files(
    files: Sequence[Path],
    format_: str,
    year: int | None,
    timezone: str,
    tenant: str,
    warmup: str,
    incidents: Path | None,
    scores: Path | None,
) -> Iterator[str]:
    """Replays and yields readable lines, an incident after the other. Raises ConfigError for what cannot be read."""
    missing = [str(path) for path in files if not path.is_file()]
    if missing != [] or len(files) == 0:
        raise ConfigError(f"no such file: {', '.join(missing)}" if missing != [] else "name at least one file")
    judge = core(Config(topics=[Topic(name=str(path), tenant=tenant, timezone=timezone) for path in files]))
    ledger, scored, since = Ledger(), [], 0
    for shard, frame in events_of(files, format_, year, timezone, tenant).items():
        state = judge.fresh(shard)
        since = int(ecs.numbers(frame, "@timestamp")[0]) + round(span(warmup).total_seconds() * 1e6) if len(frame) > 0 else 0
        for first in range(0, len(frame), ROWS):
            changes, rows = judge.step_scored(state, frame[first : first + ROWS], scores is not None)
            ledger.take(changes)
            scored += rows
    found = ledger.rows(since)
    if incidents is not None:
        incidents.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in found))
    if scores is not None:
        (pl.concat(scored) if scored != [] else pl.DataFrame()).write_parquet(scores)
    for row in found:
        yield from lines(row, "de")
    yield f"{len(found)} Auffälligkeiten / anomalies"


def _midnight(now: int) -> datetime:
    return datetime.fromtimestamp(now / 1e6, UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def simulate_to(
    days: int, seed: int, attacks: str, people: int, out: Path | None, config_path: Path | None, environ: Mapping[str, str], now: int
) -> str:
    """Writes the simulated days into `out`, or produces them into the configured Kafka; returns what was done.

    In Kafka they end at the last midnight before `now` (µs), because brokers delete what is older than their retention.
    """
    chosen: str | tuple[str, ...] = attacks if attacks in ("all", "none") else tuple(attacks.split(","))
    begin = datetime(2026, 3, 2, tzinfo=UTC) if config_path is None else _midnight(now) - timedelta(days=days)
    city = City(seed=seed, people=people, start=begin, attacks=chosen, attacks_from_day=min(1, days - 1))
    if out is None and config_path is None:
        raise ConfigError("say where to: --out DIR for files, or --kafka for the configured brokers (with --out DIR for labels.jsonl)")
    if out is not None and config_path is None:
        write(city, days, out)
        return f"{out}: firewall.log, auth.log, labels.jsonl and city.toml for {days} days"
    assert config_path is not None
    config = load(config_path, environ)
    if config.kafka is None:
        raise ConfigError(f"{config_path.name}: --kafka needs [kafka]")
    reachable(config.kafka)
    require_topics(config.kafka, list(TOPICS))
    producer = KafkaProducer(**arguments(config.kafka, environ), linger_ms=50, compression_type="lz4")
    labels = produce(city, 0, days * city.windows_per_day, lambda topic, value, at: producer.send(topic, value=value, timestamp_ms=at))
    producer.flush()
    producer.close()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "labels.jsonl").write_text("".join(f"{line}\n" for line in labels.json_lines()))
    return f"{sum(labels.counts.values()):,} lines to {config.kafka.bootstrap_servers}"
