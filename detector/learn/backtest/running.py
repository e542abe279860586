"""One city's days through the product's own steps: features once, then every rival judges the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector import features
from detector.decode import Decoder
from detector.features import Rows
from detector.features.columns import times
from detector.judge.cases import Cases
from detector.judge.core import Core, ShardState, judge
from detector.judge.findings import MODELS, Changes
from detector.judge.models import Models, score
from detector.learn.backtest import rivals
from detector.learn.backtest.ledger import Ledger, Sighting
from detector.learn.backtest.placing import Plan
from detector.learn.backtest.rivals import Learned
from detector.learn.backtest.stream import Batch, Label, Traces, batches, city_of, config_of
from detector.learn.backtest.tally import Memory, Tally
from detector.pipeline import Router
from detector.privacy import MemoryKeyring, Privacy

I64 = NDArray[np.int64]
DAY = 86_400_000_000  # µs
PER_BATCH = 400  # honest rows of a model that are kept from a shard's hour of the warm-up


@dataclass(slots=True)
class Outcome:
    """What one rival made of one city's test days."""

    sightings: list[Sighting]
    tally: Tally


@dataclass(slots=True)
class Seed:
    """One city: its attacks, and every rival's outcome. `begin`, `end`: of the test days, µs."""

    seed: int
    labels: list[Label]
    outcomes: dict[str, Outcome]
    begin: int
    end: int
    lines: int
    models: dict[str, str]  # id by name


@dataclass(slots=True)
class _Judge:
    """A rival at work: its models, the incidents of each shard, what it said and by how much."""

    models: Models
    ledger: Ledger
    states: dict[str, ShardState] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)


def carried(plan: Plan, seed: int, told: Callable[[], None] = lambda: None) -> Seed:
    """The whole of one city; `told` is called after each of its days."""
    city = city_of(plan, seed)
    with TemporaryDirectory() as folder:
        config = config_of(city, plan, Path(folder))
        router = Router(Decoder.of(config), Privacy.of(config, MemoryKeyring(seed.to_bytes(32, "big"))))
        course, traces = _Course(plan, Core.of(config)), Traces(city.placed)
        day = 0
        for batch in batches(city, router, plan.calendar.days):
            if batch.day > day:
                day = batch.day
                told()
            traces.take(batch)
            course.take(batch)
    told()
    return course.seed(seed, traces.labels(), city.start)


class _Course:
    """Warm-up, gap, test. Nobody is shown a row before its time."""

    def __init__(self, plan: Plan, core: Core) -> None:
        self._calendar, self._core, self._per_day = plan.calendar, core, plan.budget
        self._states: dict[str, ShardState] = {}
        self._kept: dict[str, list[Learned]] = {name: [] for name in core.models.tables}
        self._memory = Memory()
        self._lines = 0
        tables, critical = core.models.tables, core.models.critical
        self._judges = {
            "ours": self._judge(core.models),
            "without forests": self._judge(rivals.without_forests(core.models)),
            "tuned rules": self._judge(rivals.by_rules(tables, "tuned", critical)),
            "SOC rules": self._judge(rivals.by_rules(tables, "soc", critical)),
            "never-seen pairs": self._judge(rivals.by_rules(tables, "pairs", critical)),
        }

    def take(self, batch: Batch) -> None:
        if batch.day >= self._calendar.warmup and "plain forest" not in self._judges:
            self._judges["plain forest"] = self._judge(rivals.plain_forests(self._core.models, _learned(self._kept)))
            self._kept = {}
        self._lines += batch.lines
        steps: dict[str, list[tuple[Changes, I64, I64]]] = {name: [] for name in self._judges}
        for shard, events in batch.events.items():
            for name, step in self._shard(batch, shard, events):
                steps[name].append(step)
        for name, said in steps.items():
            self._judges[name].ledger.take(said)

    def _shard(self, batch: Batch, shard: str, events: pl.DataFrame) -> Iterator[tuple[str, tuple[Changes, I64, I64]]]:
        state = self._states.setdefault(shard, self._core.fresh(shard))
        rows, truth, time = features.step(state.features, events, self._core.models.tables), batch.truth[shard], times(events)
        if min(1, self._calendar.warmup - 1) <= batch.day < self._calendar.warmup:  # on the first day everything is new
            self._keep(rows, truth, len(self._kept[MODELS[0]]))
        clean = self._memory.clean(shard, rows, truth, int(time.max(initial=0)))
        for name, rival in self._judges.items():
            mine = rival.states.setdefault(shard, ShardState(shard, state.features, Cases()))
            scored = score(rows, rival.models)
            if batch.day >= self._calendar.first:
                rival.tally.take(scored, rival.models, truth, clean)
            yield name, (judge(mine, events, scored, rival.models), time, truth)

    def _judge(self, models: Models) -> _Judge:
        return _Judge(models, Ledger(self._per_day))

    def _keep(self, rows: Mapping[str, Rows], truth: I64, index: int) -> None:
        rng = np.random.default_rng([index, len(truth)])
        for name, one in rows.items():
            honest = np.flatnonzero((one.weight > 0) & (truth[one.row] == 0))
            chosen = honest if len(honest) <= PER_BATCH else np.sort(rng.choice(honest, PER_BATCH, replace=False))
            self._kept[name].append(Learned(one.X[chosen], one.entity[chosen]))

    def seed(self, seed: int, labels: list[Label], start: int) -> Seed:
        begin = start + self._calendar.first * DAY
        outcomes = {name: self._outcome(judge, begin) for name, judge in self._judges.items()}
        ids = {name: scorer.model_id for name, scorer in self._core.models.scorers.items()}
        return Seed(seed, labels, outcomes, begin, start + self._calendar.days * DAY, self._lines, ids)

    def _outcome(self, rival: _Judge, begin: int) -> Outcome:
        """Only what began on the days that count, or was notified on them."""
        counted = [s for s in rival.ledger.sightings.values() if s.opened >= begin or any(at >= begin for at in s.sent)]
        return Outcome(counted, rival.tally)


def _learned(kept: Mapping[str, list[Learned]]) -> dict[str, Learned]:
    parts = {name: found for name, found in kept.items() if len(found) > 0}
    return {
        name: Learned(np.concatenate([part.X for part in found]), np.concatenate([part.entity for part in found]))
        for name, found in parts.items()
    }
