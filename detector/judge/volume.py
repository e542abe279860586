"""How much a tenant has a day to compare with, so that "1 in N" can be said in days.

Logins are counted as they are. Rows of an address are not independent (one busy hour makes thousands), so for the other
models what counts is how many addresses were there that day: on six simulated cities of 400 people that came within a factor
of five of the honest addresses that crossed a threshold in a day, where rows are a hundred times too many.

Whole numbers by hour or day of the stream's clock: what is said at an event depends on complete ones before it alone,
never on where a batch ends (I1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HOUR, DAY = 3_600_000_000, 86_400_000_000  # µs
DAYS = 14  # how far back
LEAST = 6  # complete hours before anything is said of logins
BY_ROW = frozenset({"auth-user"})
MARKS = 1 << 16  # places of the bitmap that counts distinct addresses, to a percent up to 200,000
Counted = tuple[NDArray[np.int64], NDArray[np.uint64]]  # of a model's rows: index into the batch's events, entity


@dataclass(slots=True)
class Marks:
    """A day's addresses, each a bit at a place that its identity chooses."""

    day: int
    bits: bytes = bytes(MARKS // 8)

    def add(self, entities: NDArray[np.uint64]) -> None:
        bits = np.unpackbits(np.frombuffer(self.bits, np.uint8))
        bits[(entities >> np.uint64(48)).astype(np.int64)] = 1
        self.bits = np.packbits(bits).tobytes()

    def count(self) -> int:
        """About how many were added: as many as would leave so many places empty."""
        empty = MARKS - int(np.unpackbits(np.frombuffer(self.bits, np.uint8)).sum())
        return round(-MARKS * math.log(max(empty, 1) / MARKS))


@dataclass(slots=True)
class Volumes:
    """`first` is the hour of the stream's first event (-1 before it); `rows` by model and hour, `entities` by model and day."""

    first: int = -1
    rows: dict[str, dict[int, int]] = field(default_factory=dict)
    entities: dict[str, dict[int, int]] = field(default_factory=dict)
    today: dict[str, Marks] = field(default_factory=dict)

    def count(self, clock: NDArray[np.int64], found: Mapping[str, Counted]) -> None:
        """Rows of a batch by model; `clock` of each event, µs, rising."""
        if len(clock) == 0:
            return
        self.first = int(clock[0] // HOUR) if self.first < 0 else self.first
        for model, (events, entities) in found.items():
            if len(events) > 0 and model in BY_ROW:
                self._count_rows(self.rows.setdefault(model, {}), clock[events] // HOUR)
            elif len(events) > 0:
                self._count_entities(model, clock[events] // DAY, entities)

    @staticmethod
    def _count_rows(known: dict[int, int], hours: NDArray[np.int64]) -> None:
        values, counts = np.unique(hours, return_counts=True)
        for hour, n in zip(values.tolist(), counts.tolist(), strict=True):
            known[hour] = known.get(hour, 0) + n

    def _count_entities(self, model: str, days: NDArray[np.int64], entities: NDArray[np.uint64]) -> None:
        for day in [int(days[0])] if days[0] == days[-1] else np.unique(days).tolist():
            marks = self.today.setdefault(model, Marks(day))
            if day > marks.day:
                self.entities.setdefault(model, {})[marks.day] = marks.count()
                marks = self.today[model] = Marks(day)
            marks.add(entities if days[0] == days[-1] else entities[days == day])

    def forget(self, clock: int) -> None:
        """Drop what is older than any later event will ask for."""
        for kept, oldest in ((self.rows, clock // HOUR - 24 * DAYS), (self.entities, clock // DAY - DAYS)):
            for known in kept.values():
                for period in [period for period in known if period < oldest]:
                    del known[period]

    def per_day(self, model: str, clock: int) -> float | None:
        """What there is to compare with a day, in the complete hours or days of the last 14 days; None at the beginning of a stream."""
        if self.first < 0:
            return None
        if model in BY_ROW:
            now, begin = clock // HOUR, max(self.first + 1, clock // HOUR - 24 * DAYS)
            known = self.rows.get(model, {})
            return None if now - begin < LEAST else 24 * sum(known.get(hour, 0) for hour in range(begin, now)) / (now - begin)
        now, begin = clock // DAY, max(self.first // 24 + 1, clock // DAY - DAYS)
        known, marks = dict(self.entities.get(model, {})), self.today.get(model)
        if marks is not None:
            known[marks.day] = marks.count()
        return None if now <= begin else sum(known.get(day, 0) for day in range(begin, now)) / (now - begin)
