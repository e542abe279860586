"""What people decided comes into SCORE: once a second each process asks for inputs of its shards and gives them their offset.

The database is asked once for all lanes. A batch that is written meanwhile places what needs no preparation by itself; a model
is loaded and checked first. So an input takes effect within seconds also where no message comes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from detector.lanes import Lane, Tools

EVERY = 1.0  # seconds


@dataclass(slots=True)
class Inbox:
    """`due`: not asked again before this moment of `Tools.monotonic`."""

    tools: Tools
    due: float = 0.0

    def look(self, lanes: Iterable[Lane]) -> None:
        """Raises as `Lane.settle` does."""
        if self.tools.monotonic() < self.due:
            return
        self.due = self.tools.monotonic() + EVERY
        owner = {shard: lane for lane in lanes for shard in lane.shards}
        if owner:
            for shard, waiting in self.tools.patiently(lambda: self.tools.store.waiting(list(owner))).items():
                owner[shard].settle(shard, waiting)
