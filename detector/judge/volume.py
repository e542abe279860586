"""How many comparable rows a tenant has a day, so that "1 in N" can be said in days.

Whole numbers by hour of the stream's clock: what is said at an event depends on complete hours before it alone, never on
where a batch ends (I1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HOUR = 3_600_000_000  # µs
HOURS = 14 * 24  # how far back
LEAST = 6  # complete hours before anything is said


@dataclass(slots=True)
class Volumes:
    """Rows by model and hour (µs // HOUR) of the stream's clock; `first` is the hour of the first event, -1 before it."""

    first: int = -1
    rows: dict[str, dict[int, int]] = field(default_factory=dict)

    def count(self, clock: NDArray[np.int64], rows: Mapping[str, NDArray[np.int64]]) -> None:
        """Rows of a batch by model as indices into its events; `clock` of each event, µs, rising."""
        if len(clock) == 0:
            return
        hours = clock // HOUR
        self.first = int(hours[0]) if self.first < 0 else self.first
        for model, events in rows.items():
            if len(events) == 0:
                continue
            known = self.rows.setdefault(model, {})
            if hours[0] == hours[-1]:
                known[int(hours[0])] = known.get(int(hours[0]), 0) + len(events)
                continue
            found, counts = np.unique(hours[events], return_counts=True)
            for hour, n in zip(found.tolist(), counts.tolist(), strict=True):
                known[hour] = known.get(hour, 0) + n

    def forget(self, clock: int) -> None:
        """Drop what is older than any later event will ask for."""
        for known in self.rows.values():
            for hour in [hour for hour in known if hour < clock // HOUR - HOURS]:
                del known[hour]

    def per_day(self, model: str, clock: int) -> float | None:
        """Rows a day in the complete hours of the last 14 days before `clock`; None in the first hours of a stream."""
        now = clock // HOUR
        begin = max(self.first + 1, now - HOURS)
        if self.first < 0 or now - begin < LEAST:
            return None
        known = self.rows.get(model, {})
        return 24 * sum(known.get(hour, 0) for hour in range(begin, now)) / (now - begin)
