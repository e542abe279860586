"""Source and sink in memory, for tests and the simulator. They keep the promises of the real ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from detector.records import Place, Records, concat
from detector.sources.contract import Aborted, Message


class MemorySource:
    """A `Source` over batches at hand; `append` is the other side."""

    def __init__(self, batches: Collection[Records] = (), *, at_once: int = 1000) -> None:
        """at_once: records per place and poll."""
        self._at_once = at_once
        self._logs: dict[Place, Records] = {}
        self._next: dict[Place, int] = {}
        self.committed: dict[Place, int] = {}
        self._held: frozenset[Place] = frozenset()
        self._lost: frozenset[Place] = frozenset()
        for batch in batches:
            self.append(batch)

    def append(self, batch: Records) -> None:
        """Add the records of one place; their offsets must follow those that are there."""
        (place,) = batch.places
        log = self._logs.get(place)
        self._logs[place] = batch if log is None else concat([log, batch])
        self._next.setdefault(place, int(batch.offsets[0]))
        self.committed.setdefault(place, int(batch.offsets[0]))

    def take_away(self, place: Place, resume: int) -> None:
        """As if another reader had had the place for a while: it is reported as lost and goes on at `resume`."""
        self._lost |= {place}
        self._next[place] = self.committed[place] = resume

    def poll(self, seconds: float) -> list[Records]:  # noqa: ARG002  # nothing will ever arrive while we wait
        found = [self._read(place) for place in sorted(self._logs) if place not in self._held]
        return [records for records in found if len(records) > 0]

    def _read(self, place: Place) -> Records:
        log = self._logs[place]
        first = int(np.searchsorted(log.offsets, self._next[place]))
        records = log.take(np.arange(first, min(first + self._at_once, len(log))))
        if len(records) > 0:
            self._next[place] = int(records.offsets[-1]) + 1
        return records

    def behind(self) -> Mapping[Place, int]:
        return {place: int((log.offsets >= self._next[place]).sum()) for place, log in sorted(self._logs.items())}

    def position(self, place: Place) -> int:
        return self._next[place]

    def lost(self) -> frozenset[Place]:
        lost, self._lost = self._lost, frozenset()
        return lost

    def hold(self, places: Collection[Place]) -> None:
        self._held = frozenset(places)

    def seek(self, place: Place, offset: int) -> None:
        self._next[place] = offset

    def rewind(self) -> None:
        self._next |= self.committed

    def close(self) -> None:
        self._logs = {}


class MemorySink:
    """A `Sink` that keeps its messages and commits to a MemorySource."""

    def __init__(self, source: MemorySource) -> None:
        self.messages: list[Message] = []
        self.fail_next = 0  # so many commits will be undone
        self._source = source

    def commit(self, messages: Sequence[Message], offsets: Mapping[Place, int]) -> None:
        if self.fail_next > 0:
            self.fail_next -= 1
            raise Aborted("as asked")
        self.messages += messages
        self._source.committed |= offsets

    def close(self) -> None:
        """Nothing to give back."""
