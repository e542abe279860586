"""Nobody is taught by an attacker: one who repeats a slow scan for two weeks is found as before by what was trained meanwhile."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from detector import records
from detector.features import FeatureState, step
from detector.features.table import ModelTable, read_all
from detector.forest.detector import Detector
from detector.judge.core import Core
from detector.judge.models import Models
from detector.judge.shard import ShardState
from detector.learn import prior
from detector.learn.baseline import _router as router_of
from detector.learn.registry import SHIPPED, detectors
from detector.learn.rehearsed import Attackers
from detector.learn.training import Wish, candidate
from detector.pipeline import route_step
from detector.simulate import City, Placed
from detector.store import Database
from tests.kept import DAY, HOUR, START, TENANT, block, keep, rows_of
from tests.postgres import TestDatabase

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
TABLES = read_all(SHIPPED)
SOURCE, PAIR = TABLES["firewall-source"], TABLES["firewall-pair"]
WEEKS = 14  # days


def shipped(table: ModelTable) -> Detector:
    return Detector.load(SHIPPED / table.name / "baseline", table=table)


def scan(strength: Literal["loud", "usual", "quiet"]) -> NDArray[np.float64]:
    """firewall-source's rows of one slow scan, float64 (n, F): 22 hours of the simulator, alone, through decoding, privacy and features."""
    town = Attackers(77, 40, MONDAY, attacks="none", placed=(Placed("slow-scan", strength=strength, day=0, seed=1),))
    router, states, found = router_of(town), dict[str, FeatureState](), []
    for window in town.windows(0, town.windows_per_day):
        parts = [lines.take(np.flatnonzero(window.truth[topic] > 0)) for topic, lines in window.records.items()]
        lines = records.concat(parts)
        if len(lines) == 0:
            continue
        routed = route_step(lines.take(np.argsort(lines.timestamps, kind="stable")), router)
        for shard, events in routed.events.items():
            rows = step(states.setdefault(shard, FeatureState.fresh(2_000)), events, TABLES)["firewall-source"]
            found.append(rows.X[rows.weight > 0])
    return np.concatenate(found)


@pytest.mark.parametrize("strength", ["usual"])
def test_a_slow_scan_repeated_for_two_weeks_is_not_learnt_even_if_nobody_noticed_it(
    database: TestDatabase, tmp_path: Path, strength: Literal["usual"]
) -> None:
    """The worst case: no incident kept its rows out, so a row of every hour of it is there to learn from, on all days."""
    champion, known, attack = shipped(SOURCE), prior.load(SHIPPED / SOURCE.name, SOURCE), scan(strength)
    found = (champion.score(attack)[1] <= champion.threshold_p).mean()
    assert found > 0.9
    rng, end = np.random.default_rng(0), START + WEEKS * DAY
    with contextlib.closing(Database(database.url())) as base:
        for day in range(WEEKS):
            hours = [START + day * DAY + hour * HOUR for hour in range(24)]
            honest = [(rows_of(60, 100 * day + k, known), rng.permutation(700)[:60]) for k in range(24)]
            taught = attack[np.sort(rng.choice(len(attack), 24, replace=False))].astype(np.float32)
            mixed = [(np.concatenate([X, taught[k : k + 1]]), [*who.tolist(), 999]) for k, (X, who) in enumerate(honest)]
            keep(base, [block(at, X, who, table=SOURCE) for at, (X, who) in zip(hours, mixed, strict=True)])
        made = candidate(base, Wish(SOURCE.name, TENANT, START, end), tmp_path, end)
    assert (made.detector.score(attack)[1] <= made.detector.threshold_p).mean() > 0.9 * found


@dataclass
class Taught:
    """A city's days through SCORE's core as it is, into the reservoir."""

    core: Core
    base: Database

    def days(self, city: City, number: int) -> None:
        router, states = router_of(city), dict[str, ShardState]()
        for window in city.windows(0, number * city.windows_per_day):
            lines = records.concat(list(window.records.values()))
            routed = route_step(lines.take(np.argsort(lines.timestamps, kind="stable")), router)
            for shard, events in routed.events.items():
                changes = self.core.step(states.setdefault(shard, self.core.fresh(shard)), events)
                keep(self.base, changes.blocks, shard)


@pytest.mark.soak
def test_a_slow_scan_repeated_for_two_weeks_in_the_city_is_not_learnt(database: TestDatabase, tmp_path: Path) -> None:
    """The usual case: SCORE finds it, so its rows are set aside. Forty people, seventeen days, firewalls only."""
    placed = tuple(Placed("slow-scan", strength="usual", day=day, seed=1) for day in range(2, 2 + WEEKS))
    city = City(9, 40, MONDAY, attacks="none", placed=placed, only="firewall")
    begin = int(MONDAY.timestamp()) * 1_000_000
    end = begin + (WEEKS + 3) * DAY
    with contextlib.closing(Database(database.url())) as base:
        Taught(Core(Models(TABLES, detectors()), entities=20_000), base).days(city, WEEKS + 3)
        tenant = str(database.rows("SELECT min(tenant) FROM store.reservoir")[0][0])
        made = candidate(base, Wish(SOURCE.name, tenant, begin, end), tmp_path, end)
    attack = scan("usual")
    found = (shipped(SOURCE).score(attack)[1] <= shipped(SOURCE).threshold_p).mean()
    assert (made.detector.score(attack)[1] <= made.detector.threshold_p).mean() > 0.9 * found
    assert database.rows("SELECT sum(rows) > 0 FROM store.reservoir WHERE aside") == [(True,)]
