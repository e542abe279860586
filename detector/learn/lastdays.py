"""A tenant's own last days, as far as they are kept: `tuermer.events` holds pseudonymous events for at most 72 hours."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
from kafka import KafkaConsumer, TopicPartition

from detector.config import Config, Kafka
from detector.decode import ecs
from detector.learn.backtest.recorded import RecordedDays
from detector.sentence import Sentence
from detector.sources import client
from detector.store import Database

MOST = 3_000_000  # events; a larger tenant's newest
_PATIENCE = 20  # polls without a record before the end


class NoDays(Sentence):
    """There is nothing to replay; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shard's events lie."""

    shard: str
    partition: int


def places(database: Database, topic: str, tenant: str) -> list[Place]:
    """The tenant's shards in this topic; all tenants' for ""."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT shard, split_part(place, '/', 2)::integer FROM store.shards "
            "WHERE split_part(place, '/', 1) = %s AND (tenant = %s OR %s = '') ORDER BY shard",
            (topic, tenant, tenant),
        ).fetchall()
    return [Place(*row) for row in rows]


def read(config: Config, kafka: Kafka, database: Database, tenant: str, hours: int = 72, *, now: int) -> RecordedDays:
    """The events of the last `hours` before `now` (µs), at most MOST. Raises NoDays."""
    where = places(database, kafka.events_topic, tenant)
    if where == []:
        raise NoDays(f"{kafka.events_topic} holds nothing of {tenant or 'any tenant'}")
    wanted = {place.shard for place in where}
    frames: dict[str, list[pl.DataFrame]] = {}
    with contextlib.closing(_consumer(kafka)) as consumer:
        for shard, frame in _messages(consumer, kafka.events_topic, {place.partition for place in where}, now // 1000 - hours * 3_600_000):
            if shard in wanted:
                frames.setdefault(shard, []).append(frame)
    if sum(len(frame) for parts in frames.values() for frame in parts) == 0:
        raise NoDays(f"{kafka.events_topic} holds nothing of {tenant or 'any tenant'} from the last {hours} hours")
    whole = {shard: ecs.concat(parts).sort("@timestamp", maintain_order=True) for shard, parts in frames.items()}
    return RecordedDays.of(config, whole, ())


def _consumer(kafka: Kafka) -> KafkaConsumer:
    return KafkaConsumer(
        **client.arguments(kafka), group_id=None, auto_offset_reset="earliest", enable_auto_commit=False,
        isolation_level="read_committed", allow_auto_create_topics=False, metrics_enabled=False,
    )  # fmt: skip


def _messages(consumer: KafkaConsumer, topic: str, partitions: set[int], since: int) -> list[tuple[str, pl.DataFrame]]:
    """(shard, events) from `since` (ms) to the present end; when there are more than MOST events, the newest."""
    own = [TopicPartition(topic, partition) for partition in sorted(partitions)]
    consumer.assign(own)
    begins: Mapping[TopicPartition, object] = consumer.offsets_for_times(dict.fromkeys(own, since))
    ends: Mapping[TopicPartition, int] = consumer.end_offsets(own)
    for one in own:
        first = begins.get(one)
        consumer.seek(one, ends[one] if first is None else first.offset)  # type: ignore[attr-defined] # OffsetAndTimestamp
    found: list[tuple[str, pl.DataFrame]] = []
    count, idle = 0, 0
    while idle < _PATIENCE and any(consumer.position(one) < ends[one] for one in own):
        polled = consumer.poll(timeout_ms=500, max_records=64)
        idle = 0 if polled else idle + 1
        for records in polled.values():
            for record in records:
                frame = ecs.from_arrow(record.value)
                found.append((record.key.decode(), frame))
                count += len(frame)
        while count > MOST:
            count -= len(found.pop(0)[1])
    return found
