"""Two models on the same days: the champion's and the candidate's judgement of every row, everything else equal.

Features are made once. Each side keeps its own incidents, budget and honest rows, through the daemon's own `judge`; nothing is
scored or grouped here. Days before `first` only teach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector import features
from detector.features.columns import times
from detector.judge.cases import Cases
from detector.judge.core import Core, ShardState, judge
from detector.judge.devices import correct
from detector.judge.findings import Changes
from detector.judge.models import Models, Scorer, score
from detector.judge.reservoir import Reservoir
from detector.learn.backtest.ledger import Ledger, Sighting
from detector.learn.backtest.matching import Find, find
from detector.learn.backtest.stream import Batch, Days, Label, Traces

I64 = NDArray[np.int64]
DAY = 86_400_000_000  # µs
SIDES = ("champion", "candidate")


@dataclass(slots=True)
class Side:
    """One of the two at work. `honest`: rows of who had succeeded before, `low`: those of them with p <= 1e-3, before any incident."""

    models: Models
    ledger: Ledger
    states: dict[str, ShardState] = field(default_factory=dict)
    honest: int = 0
    low: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What one side made of the days that count."""

    model_id: str
    sightings: list[Sighting]
    finds: list[Find]
    honest: int
    low: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """begin, end µs of the days that count; `lines` events in all."""

    model: str
    champion: Said
    candidate: Said
    labels: list[Label]
    begin: int
    end: int
    lines: int
    shards: int

    @property
    def days(self) -> float:
        return (self.end - self.begin) / DAY


def duel(
    days: Days,
    core: Core,
    model: str,
    sides: tuple[Scorer, Scorer],
    first: int,
    budget: int = 5,
    told: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """(champion, candidate) on these days; `core` holds the other models. `told` hears the number of each day that begins."""
    course = _Course(
        core, model, {name: Side(core.models.instead({model: one}), Ledger(budget)) for name, one in zip(SIDES, sides, strict=True)}
    )
    traces, day = Traces(days.attacks), -1
    for batch in days.batches():
        if batch.day != day:
            day = batch.day
            told(day)
        traces.take(batch)
        course.take(batch, counts=batch.day >= first)
    labels, begin = traces.labels(), days.start + first * DAY
    said = {name: _said(side, model, labels, begin) for name, side in course.sides.items()}
    return Outcome(model, said["champion"], said["candidate"], labels, begin, max(course.last, begin + 1), course.lines, len(course.known))


def _said(side: Side, model: str, labels: list[Label], begin: int) -> Said:
    counted = [s for s in side.ledger.sightings.values() if s.opened >= begin or any(at >= begin for at in s.sent)]
    return Said(side.models.scorers[model].model_id, counted, [find(label, counted, -np.inf) for label in labels], side.honest, side.low)


@dataclass(slots=True)
class _Course:
    core: Core
    model: str
    sides: dict[str, Side]
    known: dict[str, ShardState] = field(default_factory=dict)
    lines: int = 0
    last: int = 0

    def take(self, batch: Batch, *, counts: bool) -> None:
        self.lines += sum(len(events) for events in batch.events.values())
        steps: dict[str, list[tuple[Changes, I64, I64]]] = {name: [] for name in SIDES}
        for shard, raw in batch.events.items():
            state = self.known.setdefault(shard, self.core.fresh(shard))
            events, truth = correct(state.clocks, raw).events, batch.truth[shard]
            rows, time = features.step(state.features, events, self.core.models.tables), times(events)
            self.last = max(self.last, int(time.max(initial=0)))
            for name, side in self.sides.items():
                mine = side.states.get(shard)
                if mine is None:
                    mine = side.states[shard] = _beside(self.core, shard, state)
                changes = judge(mine, events, score(rows, side.models), side.models)
                if counts:
                    for block in changes.blocks:
                        if block.model == self.model:
                            side.honest, side.low = side.honest + block.eligible, side.low + block.low[2]
                steps[name].append((changes, time, truth))
        for name, said in steps.items():
            self.sides[name].ledger.take(said)


def _beside(core: Core, shard: str, state: ShardState) -> ShardState:
    """A state of its own over the same counters."""
    return ShardState(shard, state.features, Cases(), reservoir=Reservoir.fresh(core.entities, core.kept))
