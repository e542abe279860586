"""The partitions of the raw topics as one stream in the order of record timestamps, as far as that can be had.

A catch-up after hours reads partitions of unequal size; taken as they come, most records would be minutes out of order.
Pure: no clock, no source; `now` (µs since the epoch) is an argument.

- Each place keeps its own order. A row's key is the running maximum of its place's timestamps, so keys never fall.
- Rows leave in the order of their keys, ties by place, up to the oldest key that a place with a backlog has been
  read to: nothing older can come from it any more.
- A place without backlog holds nobody back, nor does one that was silent through `patience` of polling although it is said
  to be behind (an open transaction looks like that). Time in which nobody polled does not count.
- The buffer is bounded: above `most` bytes the oldest rows leave although somebody may still deliver older ones, and
  from a quarter of that on `ahead` names the places that should not be read on for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.records import Place, Records, interleave

SECOND = 1_000_000  # µs
ROW_BYTES = 64  # what a row costs besides its value
NEVER = -(2**62)
ALL = 2**62


@dataclass(slots=True)
class _Queue:
    """What waits from one place: whole batches, the first perhaps begun."""

    batches: list[Records] = field(default_factory=list)
    keys: list[NDArray[np.int64]] = field(default_factory=list)
    begun: int = 0  # rows of batches[0] that have left
    high: int = NEVER  # running maximum of all timestamps read
    size: int = 0  # bytes
    silent: int = 0  # µs of polling since the last records came

    def ready(self, limit: int, most: int) -> NDArray[np.int64]:
        """The keys of the first rows, at most `most`, none above `limit`."""
        found, count, begun = [], 0, self.begun
        for keys in self.keys:
            found.append(keys[begun:])
            count += len(keys) - begun
            begun = 0
            if count >= most or keys[-1] > limit:
                break
        keys = np.concatenate(found)[:most]
        return keys[: int(np.searchsorted(keys, limit, side="right"))]

    def count(self, limit: int) -> int:
        """How many rows have keys up to `limit`."""
        total = 0
        for keys in self.keys:
            if keys[-1] > limit:
                total += int(np.searchsorted(keys, limit, side="right"))
                break
            total += len(keys)
        return max(total - self.begun, 0)

    def push(self, records: Records, now: int) -> None:
        # A clock that runs ahead must not make its place wait for the others to get there: nobody reads the future.
        keys = np.maximum(np.maximum.accumulate(np.minimum(records.timestamps, now)), self.high)
        self.batches.append(records)
        self.keys.append(keys)
        self.high = int(keys[-1])
        self.size += _size(records, 0, len(records))
        self.silent = 0

    def pop(self, rows: int) -> list[Records]:
        """The next `rows` rows, as pieces of the batches."""
        pieces = []
        while rows > 0:
            batch = self.batches[0]
            stop = min(self.begun + rows, len(batch))
            pieces.append(_piece(batch, self.begun, stop))
            self.size -= _size(batch, self.begun, stop)
            rows -= stop - self.begun
            self.begun = stop
            if stop == len(batch):
                self.batches.pop(0)
                self.keys.pop(0)
                self.begun = 0
        return pieces


class Merge:
    """Rows that wait for their turn. One instance per ROUTE; forget a place when it is taken away."""

    def __init__(self, *, most: int = 256 << 20, patience: int = 5 * SECOND) -> None:
        """most: bytes that may wait; patience: µs of polling that a silent place holds the others back."""
        self._most, self._patience = most, patience
        self._queues: dict[Place, _Queue] = {}

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return sum(queue.size for queue in self._queues.values())

    def add(self, batches: list[Records], now: int, waited: int) -> None:
        """What a source's `poll` has handed over, each batch of one place, and how long it took, µs."""
        for queue in self._queues.values():
            queue.silent += waited
        for records in batches:
            if len(records) > 0:
                (place,) = records.places
                self._queues.setdefault(place, _Queue()).push(records, now)

    def forget(self, place: Place) -> None:
        """Drop what waits from a place; its next records begin anew."""
        self._queues.pop(place, None)

    def clear(self) -> None:
        """Drop everything, after an aborted transaction."""
        self._queues.clear()

    def take(self, behind: Mapping[Place, int], rows: int) -> Records | None:
        """The next at most `rows` rows in order, None when none may leave yet.

        behind: the places that are read, with the number of records still unread (0 = idle).
        """
        limit = ALL if self.size > self._most else self._limit(behind)
        queues = [queue for _, queue in sorted(self._queues.items()) if queue.batches]
        heads = [queue.ready(limit, rows) for queue in queues]
        if sum(map(len, heads)) == 0:
            return None
        order = np.argsort(np.concatenate(heads), kind="stable")[:rows]  # rows of all heads, one head after the other
        source = np.repeat(np.arange(len(heads)), [len(head) for head in heads])[order]
        counts = np.bincount(source, minlength=len(heads))  # keys never fall, so each queue gives up a beginning of its head
        pieces = [part for queue, count in zip(queues, counts.tolist(), strict=True) for part in queue.pop(count)]
        skipped = np.cumsum([0] + [len(head) for head in heads[:-1]]) - np.cumsum([0, *counts[:-1]])
        return interleave(pieces, order - skipped[source])

    def ready(self, behind: Mapping[Place, int]) -> int:
        """How many rows may leave."""
        limit = ALL if self.size > self._most else self._limit(behind)
        return sum(queue.count(limit) for queue in self._queues.values())

    def oldest(self, behind: Mapping[Place, int]) -> int | None:
        """The time of the oldest row that waits here or is still unread, µs; None when there is none, 0 when nobody knows."""
        times = [int(queue.keys[0][queue.begun]) for queue in self._queues.values() if queue.batches]
        for place, unread in behind.items():
            queue = self._queues.get(place)
            if unread > 0 and (queue is None or not queue.batches):
                times.append(0 if queue is None or queue.high == NEVER else queue.high)
        return min(times, default=None)

    def next_offset(self, place: Place) -> int | None:
        """The offset of the first row of this place that waits, None when none does."""
        queue = self._queues.get(place)
        return None if queue is None or not queue.batches else int(queue.batches[0].offsets[queue.begun])

    def ahead(self, behind: Mapping[Place, int]) -> list[Place]:
        """The places that have been read further than the others need, while the buffer fills; do not fetch from them."""
        if self.size * 4 < self._most:
            return []
        limit = self._limit(behind)
        share = self._most // (4 * max(len(behind), 1))
        found = [place for place, queue in self._queues.items() if queue.high > limit and queue.size > share]
        for place in found:
            self._queues[place].silent = 0  # by our own wish
        return found

    def _limit(self, behind: Mapping[Place, int]) -> int:
        """The key up to which every place with a backlog has been read."""
        highs = [ALL]
        for place, unread in behind.items():
            if unread > 0:
                queue = self._queues.setdefault(place, _Queue())
                if queue.silent < self._patience:
                    highs.append(queue.high)
        return min(highs)


def _piece(records: Records, start: int, stop: int) -> Records:
    """Rows start..stop; the values are shared."""
    r = records
    rows = slice(start, stop)
    return Records(r.values, r.bounds[start : stop + 1], r.null[rows], r.place[rows], r.offsets[rows], r.timestamps[rows], r.places)


def _size(records: Records, start: int, stop: int) -> int:
    return int(records.bounds[stop] - records.bounds[start]) + ROW_BYTES * (stop - start)
