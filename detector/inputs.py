"""What people decided comes into SCORE: once a second each process asks for inputs of its shards and gives them their offset.

The database is asked once for all lanes. A batch that is written meanwhile places what needs no preparation by itself; a model
is loaded and checked first. So an input takes effect within seconds also where no message comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from detector.judge.core import Core
from detector.lanes import Lane, Tools
from detector.store import Database, ailments

EVERY = 1.0  # seconds
NOTED_EVERY = 60_000_000  # µs


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


@dataclass(slots=True)
class InUse:
    """A chore: since when which model is in use is written down, for the rule that says when one is old."""

    database: Database
    core: Core
    lanes: Mapping[Any, Lane]
    noted: dict[str, str] = field(default_factory=dict)
    due: int = 0  # µs

    def __call__(self, now: int) -> None:
        """Raises Away."""
        if now < self.due:
            return
        self.due = now + NOTED_EVERY
        used = {name: scorer.model_id for name, scorer in self.core.models.scorers.items()}
        for lane in self.lanes.values():
            for owned in lane.shards.values():
                used |= self.core.in_use(owned.state)
        if used != self.noted:
            with self.database.transaction() as connection:
                ailments.note_models(connection, used, now)
            self.noted = used
