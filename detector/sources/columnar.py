"""Whole Kafka record batches as columns: the one place that touches private parts of kafka-python.

The client's fetcher turns each fetched batch into one Python object per record (about 0.14 M records/s). Here a batch
pretends to hold one record, whose value is the `Records` of the whole batch, decoded by one numba pass. All
else stays the client's: membership, offsets, checksums, decompression, aborted transactions, control batches.

Pinned to kafka-python 3.0.12 (pyproject.toml). tests/kafka/test_source_contract.py demands the same records from this
and from the client's own reading; `kafka.reader = "stock"` switches it off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numba
import numpy as np
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords
from numpy.typing import NDArray

from detector.records import Place, Records

Columns = tuple[int, NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]
# Compiled when the module is imported, for exactly these types: the first batch after a start must not wait.
COLUMNS = "Tuple((int64, uint8[::1], int64[::1], bool_[::1], int64[::1], int64[::1]))"


def install(consumer: KafkaConsumer) -> None:
    """Make `consumer.poll` return, per partition, a list of items whose `.value` is the Records of one batch."""
    consumer._fetcher.PartitionRecords = _Partition


def install_hold(consumer: KafkaConsumer) -> Hold:
    """Let the consumer leave out partitions when it asks for more. `pause()` would do, but stalls them for good in 3.0.12."""
    return Hold(consumer._fetcher)


class Hold:
    """Partitions for which no new data are requested; nothing that the client already has is touched."""

    def __init__(self, fetcher: Any) -> None:
        self.partitions: frozenset[TopicPartition] = frozenset()
        self._fetchable = fetcher._fetchable_partitions
        fetcher._fetchable_partitions = self._not_held

    def _not_held(self) -> list[TopicPartition]:
        return [partition for partition in self._fetchable() if partition not in self.partitions]

    def set(self, partitions: Collection[TopicPartition]) -> None:
        self.partitions = frozenset(partitions)


class _Partition(Fetcher.PartitionRecords):  # type: ignore[misc]  # the library has no types
    """One fetched partition; the loop over its batches is the client's own."""

    def _unpack_records(self, tp: TopicPartition, records: MemoryRecords, *_: object) -> Iterator[Any]:
        return super()._unpack_records(tp, _Batches(records, Place(tp.topic, tp.partition), self.fetch_offset), None, None)  # type: ignore[no-any-return]  # see above


class _Batches:
    """The client's batches with data batches replaced; control batches and old formats pass unchanged."""

    def __init__(self, records: MemoryRecords, place: Place, first: int) -> None:
        self._records, self._place, self._first = records, place, first

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        if isinstance(batch, DefaultRecordBatch) and not batch.is_control_batch:
            # The object has no attribute of its own to hang anything on, hence a class that remembers.
            return _Batch(batch, self._place, self._first)
        return batch


class _Batch:
    """A data batch that iterates as a single item."""

    magic = 2

    def __init__(self, batch: DefaultRecordBatch, place: Place, first: int) -> None:
        self._batch, self._place, self._first = batch, place, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[_Item]:
        records = decode(self._batch, self._place, self._first)
        if len(records) > 0:
            yield _Item(records, self._batch)


class _Item:
    """What the client's loop asks of a record, answered for a batch."""

    __slots__ = ("offset", "size_in_bytes", "timestamp", "timestamp_type", "value")
    key = None
    headers: tuple[()] = ()
    checksum = None

    def __init__(self, records: Records, batch: DefaultRecordBatch) -> None:
        self.value = records
        self.offset = int(records.offsets[-1])
        self.timestamp = batch.max_timestamp
        self.timestamp_type = batch.timestamp_type
        self.size_in_bytes = batch.size_in_bytes

    def validate_crc(self) -> bool:
        return True  # the batch's checksum covers it


def decode(batch: DefaultRecordBatch, place: Place, first: int) -> Records:
    """The records of one batch from offset `first` on.

    Raises CorruptRecordError where the client's own decoder would.
    """
    batch._maybe_uncompress()
    fixed = batch.max_timestamp if batch.timestamp_type == batch.LOG_APPEND_TIME else -1
    payload = np.frombuffer(batch._buffer, np.uint8)
    base, count, start = batch.base_offset, batch.records_count, batch.first_timestamp
    n, values, bounds, null, offsets, timestamps = _decode(payload, batch._pos, count, base, start, fixed, first)
    if n < 0:
        raise CorruptRecordError(f"batch at offset {base} of {place.topic}/{place.partition} is not a sequence of {count} records")
    return Records(values, bounds, null, np.zeros(n, np.int32), offsets, timestamps, (place,))


@numba.njit("Tuple((int64, int64))(uint8[::1], int64)", cache=True, nogil=True)
def _varint(data: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """A zigzag varint and where it ends; the end is -1 when it is cut off or longer than 10 bytes."""
    result = np.uint64(0)
    for shift in range(0, 70, 7):
        if at >= len(data):
            return 0, -1
        byte = np.uint64(data[at])
        at += 1
        result |= (byte & np.uint64(0x7F)) << np.uint64(shift)
        if byte < np.uint64(0x80):
            return int(np.int64(result >> np.uint64(1)) ^ -np.int64(result & np.uint64(1))), at
    return 0, -1


@numba.njit("int64(uint8[::1], int64)", cache=True, nogil=True)
def _headers_end(data: NDArray[np.uint8], at: int) -> int:
    """Where the headers that begin at `at` end, -1 when they are broken."""
    left, at = _varint(data, at)
    if at < 0 or left < 0:
        return -1
    for _ in range(left):
        length, at = _varint(data, at)
        if at < 0 or length < 0 or length > len(data) - at:
            return -1
        length, at = _varint(data, at + length)
        if at < 0 or length > len(data) - at:
            return -1
        at += max(length, 0)
    return at


@numba.njit(f"{COLUMNS}(uint8[::1], int64, int64, int64, int64, int64, int64)", cache=True, nogil=True)
def _decode(data: NDArray[np.uint8], at: int, count: int, base: int, start: int, fixed: int, first: int) -> Columns:
    """Records of the batch's payload `data[at:]` whose offset is `first` or later; n = -1 when it is broken.

    start, fixed: ms since the epoch; fixed >= 0 is the broker's append time and counts for all. Timestamps come out in µs.
    """
    count = max(count, 0)
    values, bounds = np.empty(len(data), np.uint8), np.zeros(count + 1, np.int64)
    null, offsets, timestamps = np.empty(count, np.bool_), np.empty(count, np.int64), np.empty(count, np.int64)
    n, filled = 0, 0
    for _ in range(count):
        length, at = _varint(data, at)
        end = at + length
        if at < 0 or length <= 0 or end > len(data):
            n = -1
            break
        _, after = _varint(data, at)  # attributes, unused; the client reads them as a varint too
        delta, after = _varint(data, after) if after >= 0 else (0, -1)
        step, after = _varint(data, after) if after >= 0 else (0, -1)
        size, after = _varint(data, after) if after >= 0 else (0, -1)  # the key
        size, after = _varint(data, after + max(size, 0)) if after >= 0 and size <= end - after else (0, -1)
        if after < 0 or size > end - after or _headers_end(data, after + max(size, 0)) != end:
            n = -1
            break
        at = end
        if base + step < first:
            continue
        size = max(size, -1)
        null[n] = size < 0
        for i in range(size):
            values[filled + i] = data[after + i]
        filled += max(size, 0)
        bounds[n + 1] = filled
        offsets[n] = base + step
        timestamps[n] = (fixed if fixed >= 0 else start + delta) * 1000
        n += 1
    if at != len(data):
        n = -1
    m = max(n, 0)
    return n, values[:filled], bounds[: m + 1], null[:m], offsets[:m], timestamps[:m]
