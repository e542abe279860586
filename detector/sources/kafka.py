"""Kafka as a source: a member of a consumer group, or a reader of given partitions that belongs to no group."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CorruptRecordError,
    FencedInstanceIdError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from kafka.structs import OffsetAndMetadata

from detector.config import Kafka
from detector.records import Place, Records, concat
from detector.sources import client, columnar
from detector.sources.contract import Fenced, SourceError

HOUR_MS = 3_600_000
STOCK_RECORDS = 20_000  # per poll, one Python object each
COLUMNAR_BATCHES = 1_000  # per poll
RETRY = 0.5  # s between two attempts while the broker is away
PATIENCE = 600.0  # s
KNOWN = 10.0  # s that a member waits until the broker knows its topics


@dataclass(frozen=True, slots=True)
class Reading:
    """How a consumer reads; the defaults are those of ROUTE and SCORE."""

    columnar: bool = True
    start: str = "earliest"  # where a group without a committed offset begins
    accept_gap: bool = False  # where the records to go on from were deleted, go on with the oldest that are left
    partition_bytes: int = 2 << 20  # per partition and fetch
    fetch_bytes: int = 32 << 20  # per fetch


class KafkaSource:
    """A `Source` over one KafkaConsumer. Offsets are never committed here, except a new group's first.

    A member of a group takes its own `rewind` from the group; a reader without group cannot rewind.
    """

    def __init__(self, consumer: KafkaConsumer, reading: Reading = Reading(), listener: _Listener | None = None) -> None:
        self.consumer = consumer
        self._reading = reading
        self._listener = _Listener() if listener is None else listener
        self._limit = COLUMNAR_BATCHES if reading.columnar else STOCK_RECORDS
        if reading.columnar:
            columnar.install(consumer)
        self._hold = columnar.install_hold(consumer)

    def poll(self, seconds: float) -> list[Records]:
        try:
            fetched = self.consumer.poll(timeout_ms=max(int(seconds * 1000), 0), max_records=self._limit)
        except NoOffsetForPartitionError:
            self._begin()
            return []
        except OffsetOutOfRangeError as error:
            if not self._reading.accept_gap:
                raise _explained(error) from error
            self.consumer.seek_to_beginning(*error.args[0])
            return []
        except KafkaError as error:
            if not error.retriable:
                raise _explained(error) from error
            time.sleep(RETRY)  # the broker is away; the caller polls again, and the lag shows it
            return []
        unpack = _of_batches if self._reading.columnar else _of_records
        return [unpack(items, Place(tp.topic, tp.partition)) for tp, items in fetched.items() if len(items) > 0]

    def behind(self) -> Mapping[Place, int]:
        return {Place(tp.topic, tp.partition): self._behind(tp) for tp in sorted(self.consumer.assignment())}

    def _behind(self, partition: TopicPartition) -> int:
        end = self.consumer.highwater(partition)
        # Before the first answer nobody knows; 1 makes the others wait for it.
        return 1 if end is None else max(end - self.position(Place(partition.topic, partition.partition)), 0)

    def position(self, place: Place) -> int:
        try:
            position = _patiently(self.consumer.position, TopicPartition(*place), timeout_ms=30_000)
        except NoOffsetForPartitionError:
            self._begin()
            return self.position(place)
        if position is None:
            raise SourceError(f"Kafka did not say within 30 s where to go on in {place.topic}/{place.partition}")
        return int(position)

    def lost(self) -> frozenset[Place]:
        return self._listener.take()

    def hold(self, places: Collection[Place]) -> None:
        self._hold.set([TopicPartition(*place) for place in places])

    def seek(self, place: Place, offset: int) -> None:
        self.consumer.seek(TopicPartition(*place), offset)

    def rewind(self) -> None:
        for partition in self.consumer.assignment():
            committed = self._committed(partition)
            if committed is not None:
                self.consumer.seek(partition, committed)

    def close(self) -> None:
        self.consumer.close(autocommit=False)

    def _begin(self) -> None:
        """Give partitions without a committed offset one, explicitly, so that a restart does not decide again.

        A partition that joined a topic which the group already reads begins at its first record, whatever
        `start` says: nothing in it is older than what we were there for.
        """
        new = [tp for tp in self.consumer.assignment() if self._committed(tp) is None]
        known = {topic for topic in {tp.topic for tp in new} if self._is_known(topic)}
        first, last = _patiently(self.consumer.beginning_offsets, new), _patiently(self.consumer.end_offsets, new)
        starts = {tp: last[tp] if self._reading.start == "latest" and tp.topic not in known else first[tp] for tp in new}
        _patiently(self.consumer.commit, {tp: OffsetAndMetadata(offset, "", -1) for tp, offset in starts.items()})
        for partition, offset in starts.items():
            self.consumer.seek(partition, offset)

    def _is_known(self, topic: str) -> bool:
        numbers = _patiently(self.consumer.partitions_for_topic, topic) or ()
        return any(self._committed(TopicPartition(topic, number)) is not None for number in numbers)

    def _committed(self, partition: TopicPartition) -> int | None:
        offset: int | None = _patiently(self.consumer.committed, partition, timeout_ms=30_000)
        return offset


@dataclass(slots=True)
class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """Remembers which partitions were taken away; called on the client's own thread."""

    gone: set[Place] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        with self.lock:
            self.gone |= {Place(tp.topic, tp.partition) for tp in revoked}

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing to do: positions come from what the group has committed."""

    def take(self) -> frozenset[Place]:
        with self.lock:
            gone, self.gone = frozenset(self.gone), set()
        return gone


def member(config: Kafka, topics: Iterable[str], role: str, *, accept_gap: bool = False) -> KafkaSource:
    """A member of the group <group>-<role>, static under the name <group>-<role>-<instance>, read committed."""
    group = f"{config.group}-{role}"
    consumer = KafkaConsumer(
        **_shared(config),
        group_id=group,
        group_instance_id=f"{group}-{config.instance}",
        partition_assignment_strategy=(CooperativeStickyAssignor,),
        max_poll_interval_ms=HOUR_MS,  # a batch may wait for the database that long without losing its partitions
        heartbeat_interval_ms=1000,  # a rebalance is noticed by heartbeat
        auto_offset_reset="none",
    )
    listener, wanted = _Listener(), sorted(set(topics))
    _await(consumer, wanted)
    consumer.subscribe(wanted, listener=listener)
    return KafkaSource(consumer, Reading(config.reader == "columnar", config.start, accept_gap), listener)


def _await(consumer: KafkaConsumer, topics: list[str]) -> None:
    """Return when the client knows the topics' partitions, after KNOWN at the latest.

    A group leader that assigns before it knows them gives nobody anything, and looks again only when its metadata expires, minutes
    later: seen with a topic created just before.
    """
    deadline = time.monotonic() + KNOWN
    while time.monotonic() < deadline:
        try:
            if all(consumer.partitions_for_topic(topic) for topic in topics):
                return
        except KafkaError as error:
            if not error.retriable:
                raise _explained(error) from error
        time.sleep(0.05)


def reader(config: Kafka, starts: Mapping[Place, int]) -> KafkaSource:
    """A reader of given partitions from given offsets, in no group, read committed."""
    consumer = KafkaConsumer(**_shared(config), group_id=None, auto_offset_reset="none")
    consumer.assign([TopicPartition(*place) for place in starts])
    for place, offset in starts.items():
        consumer.seek(TopicPartition(*place), offset)
    return KafkaSource(consumer, Reading(config.reader == "columnar"))


def _shared(config: Kafka) -> client.Arguments:
    reading = Reading()
    return client.arguments(config) | {
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "max_partition_fetch_bytes": reading.partition_bytes,
        "fetch_max_bytes": reading.fetch_bytes,
        "receive_message_max_bytes": reading.fetch_bytes + (64 << 20),
        "metrics_enabled": False,  # ours are in `daemon`; the client's cost a lock per batch
    }


def sample(config: Kafka, topic: str, most: int) -> Records:
    """The newest `most` records of a topic, its partitions in equal parts and one after the other; nothing is committed.

    Raises SourceError when there is no such topic.
    """
    with closing(reader(config, {})) as source:
        numbers = source.consumer.partitions_for_topic(topic)
        if not numbers:
            raise SourceError(f"there is no topic {topic} in Kafka at {config.bootstrap_servers}, or this user may not see it")
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        ends, first = source.consumer.end_offsets(partitions), source.consumer.beginning_offsets(partitions)
        share = -(-most // len(partitions))
        source.consumer.assign(partitions)
        for tp in partitions:
            source.consumer.seek(tp, max(first[tp], ends[tp] - share))
        found: list[Records] = []
        while any(source.position(Place(*tp)) < ends[tp] for tp in partitions):
            found += source.poll(1)
    records = concat(sorted(found, key=lambda part: part.places[0]))
    return records.take(np.arange(min(len(records), most)))


def _patiently(call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """The answer of a call to the client, asked again while the broker is away. Raises SourceError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call(*arguments, **keywords)
        except NoOffsetForPartitionError:
            raise
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise _explained(error) from error
            time.sleep(RETRY)


def _of_batches(items: list[Any], _place: Place) -> Records:
    return concat([item.value for item in items])


def _of_records(items: list[Any], place: Place) -> Records:
    values = [b"" if item.value is None else item.value for item in items]
    bounds = np.zeros(len(items) + 1, np.int64)
    np.cumsum([len(value) for value in values], out=bounds[1:])
    return Records(
        np.frombuffer(b"".join(values), np.uint8),
        bounds,
        np.array([item.value is None for item in items], np.bool_),
        np.zeros(len(items), np.int32),
        np.array([item.offset for item in items], np.int64),
        np.array([item.timestamp for item in items], np.int64) * 1000,
        (place,),
    )


def _explained(error: KafkaError) -> SourceError:
    if isinstance(error, FencedInstanceIdError):
        return Fenced("another process with the same kafka.instance has joined the group; give each its own name")
    if isinstance(error, OffsetOutOfRangeError):
        where = ", ".join(f"{tp.topic}/{tp.partition} offset {offset}" for tp, offset in error.args[0].items())
        return SourceError(
            f"{where} is no longer in Kafka: records were deleted before they were read."
            " `tuermer run --accept-gap` goes on with the oldest that are left"
        )
    if isinstance(error, TopicAuthorizationFailedError):
        return SourceError(f"this user may not read {', '.join(sorted(error.args[0]))}; grant READ on the topic")
    if isinstance(error, CorruptRecordError):
        return SourceError(f"Kafka delivered a damaged record batch: {error}")
    return SourceError(f"reading from Kafka failed: {error}")
