"""SCORE's endless loop: from `tuermer.events` through the core into PostgreSQL; and the same without Kafka.

Per turn, in this order: 1. poll; 2. take note of partitions that came or went; 3. score and write each partition's batch
(`lanes`); 4. inputs get their offset (`inputs`); 5. snapshots that are due; 6. offsets to Kafka, for lag tools only;
7. chores (deliver the outbox, report health).
The database says where to go on; Kafka's committed offsets never do.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import FencedInstanceIdError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from detector.config import Kafka
from detector.decode import ecs
from detector.inputs import Inbox
from detector.lanes import Core, Lane, LaneError, Message, Stopped, Tools
from detector.sources import client
from detector.store import Away

log = structlog.get_logger()
HOUR_MS = 3_600_000
MESSAGES_PER_TURN = 64  # each holds up to 900 KB of events
COMMIT_EVERY = 5.0  # seconds


REPORT_EVERY = 10_000_000  # µs


def wall_clock() -> int:
    """µs since the epoch."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class Progress:
    """What the loop has done since it started; read by metrics and by the progress line."""

    events: int = 0
    messages: int = 0
    lag: int = 0  # messages of tuermer.events not yet scored, over all partitions of this process
    notified: int = 0


def consumer(config: Kafka, session_s: int = 45) -> KafkaConsumer:
    """A member of <group>-score; where to begin is not left to Kafka.

    Static: a restart takes up its partitions at once, and those of an instance that does not come back move after `session_s`.
    """
    group = f"{config.group}-score"
    made = KafkaConsumer(
        **client.arguments(config),
        group_id=group,
        group_instance_id=f"{group}-{config.instance}",
        partition_assignment_strategy=(CooperativeStickyAssignor,),
        max_poll_interval_ms=HOUR_MS,  # the database may be away that long without our losing the partitions
        session_timeout_ms=session_s * 1000,
        heartbeat_interval_ms=1000,
        auto_offset_reset="none",
        enable_auto_commit=False,
        isolation_level="read_committed",
        allow_auto_create_topics=False,
        max_partition_fetch_bytes=4 << 20,
        metrics_enabled=False,
    )
    made.subscribe([config.events_topic])
    return made


@dataclass(slots=True)
class Scorer:
    """The loop over Kafka. `run` returns when `stop` is set; see `lanes` and `store` for what it may raise."""

    consumer: KafkaConsumer
    topic: str
    core: Core[Any]  # the type of its state is the core's own affair
    tools: Tools
    chores: Sequence[Callable[[int], None]] = ()
    lanes: dict[TopicPartition, Lane] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    committed: float = 0.0
    inbox: Inbox = field(init=False)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.tools)

    def run(self, stop: threading.Event) -> None:
        """Until `stop`; then snapshots and a clean goodbye, so that the next start has nothing to replay."""
        with contextlib.suppress(Stopped):
            while not stop.is_set():
                self.turn(0.5)
            for lane in self.lanes.values():
                lane.snapshot(due_only=False)
            self._commit()

    def turn(self, seconds: float) -> None:
        """One batch of every partition."""
        fetched = self._poll(seconds)
        fresh = self._adjust()
        for partition, records in fetched.items():
            if partition in self.lanes and partition not in fresh:
                self._score(partition, records)
        self.inbox.look(self.lanes.values())
        for lane in self.lanes.values():
            lane.snapshot()
        if self.tools.monotonic() - self.committed >= COMMIT_EVERY:
            self._commit()
        self._chores()

    def _poll(self, seconds: float) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        try:
            fetched: Mapping[TopicPartition, list[ConsumerRecord]] = self.consumer.poll(
                timeout_ms=int(seconds * 1000), max_records=MESSAGES_PER_TURN
            )
            return fetched
        except NoOffsetForPartitionError:
            # A partition that has just come has no position until `_adjust` gives it one; one that went and came back lost its own.
            for partition in self.lanes.keys() & self.consumer.assignment():
                self.consumer.seek(partition, self.lanes[partition].next)
            return {}
        except OffsetOutOfRangeError as error:
            # One that has just come stands where Kafka thinks, and `_adjust` puts it right. For the others it is the truth.
            if self.consumer.assignment() <= self.lanes.keys():
                raise LaneError(f"{self.topic} has lost events before they were scored ({error}); start with --accept-gap.") from error
            return {}
        except FencedInstanceIdError as error:
            raise LaneError("Another process scores under the same kafka.instance; give each its own name.") from error

    def _adjust(self) -> set[TopicPartition]:
        """Drops the lanes of partitions that went, starts those of partitions that came; returns the latter."""
        assigned: set[TopicPartition] = self.consumer.assignment()
        for partition in self.lanes.keys() - assigned:
            del self.lanes[partition]  # the new owner has fenced us or will: nothing may be written any more
            log.info("partition-gone", partition=partition.partition)
        fresh = assigned - self.lanes.keys()
        if fresh:
            begins, ends = self.consumer.beginning_offsets(fresh), self.consumer.end_offsets(fresh)
        for partition in sorted(fresh):
            lane = Lane(self.core, self.tools, f"{partition.topic}/{partition.partition}")
            offset = lane.start(begins[partition], ends[partition])
            self.consumer.seek(partition, offset)
            self.lanes[partition] = lane
        if fresh:
            log.info("partitions-came", partitions=sorted(p.partition for p in fresh), shards=sum(len(self.lanes[p].shards) for p in fresh))
        return fresh

    def _score(self, partition: TopicPartition, records: list[ConsumerRecord]) -> None:
        lane = self.lanes[partition]
        messages = [_message(record) for record in records if record.offset >= lane.next]
        if not messages:
            return
        self.progress.notified += len(lane.feed(messages, messages[-1].offset + 1))
        self.progress.messages += len(messages)
        self.progress.events += sum(len(message.events) for message in messages)

    def _commit(self) -> None:
        """Tells Kafka how far we are. Nobody relies on it, so a failure is only logged."""
        offsets = {partition: OffsetAndMetadata(lane.next, "", -1) for partition, lane in self.lanes.items()}
        self.committed = self.tools.monotonic()
        self.progress.lag = sum(max(0, (self.consumer.highwater(p) or lane.next) - lane.next) for p, lane in self.lanes.items())
        try:
            self.consumer.commit(offsets, timeout_ms=2000)
        except KafkaError as error:
            log.warning("offsets-not-committed", reason=type(error).__name__)

    def _chores(self) -> None:
        for chore in self.chores:
            try:
                chore(self.tools.clock())
            except Away as away:
                log.warning("chore-postponed", reason=str(away))


def _message(record: ConsumerRecord) -> Message:
    if record.key is None or record.value is None:
        raise LaneError(f"{record.topic}/{record.partition} offset {record.offset} was not written by Türmer: it has no key or no value.")
    return Message(record.offset, record.key.decode(), ecs.from_arrow(record.value))


@dataclass(slots=True)
class Report:
    """A chore: every ten seconds this process says in the database (view `health`) and in its log how it is doing."""

    scorer: Scorer
    instance: str
    last: int = 0
    events: int = 0

    def __call__(self, now: int) -> None:
        if now - self.last < REPORT_EVERY:
            return
        progress, seconds = self.scorer.progress, (now - self.last) / 1e6
        rate = (progress.events - self.events) / seconds if self.last > 0 else 0.0
        values = {
            "events_per_second": rate,
            "lag_messages": progress.lag,
            "shards": sum(len(lane.shards) for lane in self.scorer.lanes.values()),
        }
        if progress.events > self.events:
            log.info("progress", events_per_second=rate, lag_messages=progress.lag, shards=values["shards"])
        self.scorer.tools.store.report("score", self.instance, values, now)
        self.last, self.events = now, progress.events


class LocalScorer:
    """SCORE without Kafka: the caller hands over its source's units (a window, a block of lines), numbered from 0 and rising.

    A unit must hold the same events whenever it is asked for again: after a kill the source goes on at `position`,
    some units before the last one, and what is already in the database is not written twice.
    """

    def __init__(self, core: Core[Any], tools: Tools, source: str) -> None:
        self._lane, self._inbox = Lane(core, tools, source), Inbox(tools)
        self._lane.start(0, 1 << 62)

    @property
    def position(self) -> int:
        """The first unit to feed."""
        return self._lane.next

    def feed(self, unit: int, events: Mapping[str, pl.DataFrame]) -> list[str]:
        """One unit's events by shard; ids whose notification goes out. Units before `position` are ignored."""
        notified = self._lane.feed([Message(unit, shard, frame) for shard, frame in events.items() if len(frame) > 0], unit + 1)
        self._inbox.look([self._lane])
        self._lane.snapshot()
        return notified

    def close(self) -> None:
        """Snapshots, so that the next start goes on exactly here. Raises Stopped when the database is away."""
        self._lane.snapshot(due_only=False)
