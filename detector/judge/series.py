"""What an incident that comes again and again remembers of the times before, so that only what is worse is news."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

KEPT = 30  # episodes whose size is remembered
FEW = 10  # events: below twice this nothing counts as more than before


@dataclass(slots=True)
class Past:
    """Events of the episodes before the latest."""

    counts: list[int] = field(default_factory=list)  # the last 30, oldest first
    most: int = 0  # of all
    doublings: int = 0  # by how many doublings the latest one is known to exceed `most`

    def add(self, events: int) -> None:
        """The latest episode is over."""
        self.counts = [*self.counts[-(KEPT - 1) :], events]
        self.most, self.doublings = max(self.most, events), 0

    def outdone(self, events: int) -> bool:
        """Whether the latest episode has just passed twice, four times, … the most events of any before it; false in the first."""
        if not self.counts:
            return False
        doublings = max(0, math.floor(math.log2(max(events, 1) / max(self.most, FEW))))
        news = doublings > self.doublings
        self.doublings = max(doublings, self.doublings)
        return news

    def usual(self) -> tuple[int, int] | None:
        """10th and 90th percentile of the counts, both values that occurred; None without a past."""
        if not self.counts:
            return None
        ordered, last = sorted(self.counts), len(self.counts) - 1
        return ordered[math.floor(0.1 * last)], ordered[math.ceil(0.9 * last)]
