"""Who competes on the real streams: ours, ours without forests, plain forests, rules tuned by hand, naive rules.

All see the same vectors and go through the same flags, families and incidents; only p differs.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features import Rows
from detector.features.hashing import address_ids, text_ids
from detector.features.table import ModelTable
from detector.forest import fit
from detector.forest.detector import Detector
from detector.forest.scoring import Forest
from detector.judge.calibration import threshold_by_replay
from detector.judge.models import Models, Scored, score
from detector.learn.baseline import Sample
from tests.quality.streams_lines import DAY, SECOND

F64 = NDArray[np.float64]
LOUD, QUIET = 1e-6, 1.0
Vectors = Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name for the table, models for threshold, families and reasons, and who says p."""

    name: str
    models: Models
    scored: Callable[[pl.DataFrame, Vectors], dict[str, Scored]]


def ours(detectors: Mapping[str, Detector], tables: Mapping[str, ModelTable]) -> Candidate:
    models = Models(tables, detectors)
    return Candidate("ours", models, lambda _, vectors: score(vectors, models))


def without_forests(detectors: Mapping[str, Detector], tables: Mapping[str, ModelTable]) -> Candidate:
    models = Models(tables, {name: detector.without_forest() for name, detector in detectors.items()})
    return Candidate("ours without forests", models, lambda _, vectors: score(vectors, models))


@dataclass(frozen=True, slots=True)
class Plain:
    """scikit-learn's score on unclamped rows, p by rank among held-back honest rows."""

    forest: Forest
    held_back: F64

    def p(self, X: F64) -> F64:
        beyond = len(self.held_back) - np.searchsorted(self.held_back, self.forest.plain_score(X), "left")
        return np.asarray((1.0 + beyond) / (len(self.held_back) + 1.0), np.float64)


def plain(
    detectors: Mapping[str, Detector], tables: Mapping[str, ModelTable], training: Mapping[str, Sample], held_back: Mapping[str, Sample]
) -> Candidate:
    forests, models = {}, {}
    for name, table in tables.items():
        forest = fit(training[name].X, table.forest.trees, table.forest.samples, table.forest.seed)
        forests[name] = Plain(forest, np.sort(forest.plain_score(held_back[name].X)))
        threshold = table.threshold
        if name == "auth-service":
            sample = held_back[name]
            threshold = threshold_by_replay(forests[name].p(sample.X), sample.time, sample.entity, per_day=0.3, most=1e-2, quiet=DAY)
        models[name] = replace(detectors[name], threshold_p=threshold)
    return Candidate(
        "plain forest",
        Models(tables, models),
        lambda _, vectors: {name: Scored(rows, np.zeros(len(rows.row)), forests[name].p(rows.X)) for name, rows in vectors.items()},
    )


Rule = Mapping[str, float]  # feature -> least amount, in the feature's unit; all of them at once
# Tuned by hand on host_a and gateway alone, on the features that the models see.
TUNED: dict[str, tuple[Rule, ...]] = {
    "auth-source": (
        {"failures_10m": 8},
        {"failures_24h": 12},
        {"failures_since_success": 4, "spells_since_success": 3},
        {"users_failed_24h": 4},
    ),
    "auth-user": ({"elsewhere": 15.0}, {"strange": 17.0}),
    "auth-service": ({"growth_1h": 1.6}, {"growth_10m": 3.0}),
    "firewall-source": ({"ports_1h": 12}, {"ports_10m": 8}),
    "firewall-pair": (),
}


def _heard(models: Mapping[str, Detector]) -> dict[str, Detector]:
    return {name: replace(model, threshold_p=0.5) for name, model in models.items()}


def _as_p(rows: Rows, loud: NDArray[np.bool_]) -> Scored:
    return Scored(rows, loud.astype(np.float64), np.where(loud, LOUD, QUIET))


def holds(rules: tuple[Rule, ...], table: ModelTable, X: F64) -> NDArray[np.bool_]:
    """Whether any of the rules holds, for each row."""
    loud = np.zeros(len(X), np.bool_)
    for rule in rules:
        every = np.ones(len(X), np.bool_)
        for name, least in rule.items():
            at = table.names.index(name)
            every &= X[:, at] >= (np.log2(1.0 + least) if table.features[at].scale == "log2" else least)
        loud |= every
    return loud


def tuned(detectors: Mapping[str, Detector], tables: Mapping[str, ModelTable], rules: Mapping[str, tuple[Rule, ...]] = TUNED) -> Candidate:
    models = Models(tables, _heard(detectors))

    def scored(_: pl.DataFrame, vectors: Vectors) -> dict[str, Scored]:
        return {name: _as_p(rows, holds(rules[name], tables[name], rows.X)) for name, rows in vectors.items()}

    return Candidate("rules tuned by hand", models, scored)


def naive(detectors: Mapping[str, Detector], tables: Mapping[str, ModelTable]) -> Candidate:
    """5 failures of a source in 10 minutes; a login from an address that the account never used; 20 ports in an hour."""
    models = Models(tables, _heard(detectors))

    def scored(events: pl.DataFrame, vectors: Vectors) -> dict[str, Scored]:
        found = {}
        for name, rows in vectors.items():
            loud = np.zeros(len(rows.row), np.bool_)
            if name == "auth-source":
                loud = _five_in_ten(events, rows)
            elif name == "auth-user":
                loud = _never_seen(events, rows)
            elif name == "firewall-source":
                loud = holds(({"ports_1h": 20},), tables[name], rows.X)
            plain_rows = replace(rows, rule=np.zeros(len(rows.row), np.bool_))
            found[name] = _as_p(plain_rows, loud)
        return found

    return Candidate("naive rules", models, scored)


def _five_in_ten(events: pl.DataFrame, rows: Rows) -> NDArray[np.bool_]:
    names = ecs.values(events, "event.outcome")
    failed = ecs.codes(events, "event.outcome") == (names.index("failure") if "failure" in names else -1)
    time = events["@timestamp"].dt.epoch("us").to_numpy()[rows.row].tolist()
    recent: dict[int, deque[int]] = defaultdict(lambda: deque(maxlen=5))
    loud = np.zeros(len(rows.row), np.bool_)
    counts = np.where(failed[rows.row], rows.weight, 0).tolist()
    for i, entity in enumerate(rows.entity.tolist()):
        mine = recent[entity]
        mine.extend([time[i]] * min(int(counts[i]), 5))
        loud[i] = counts[i] > 0 and len(mine) == 5 and time[i] - mine[0] <= 600 * SECOND
    return loud


def _never_seen(events: pl.DataFrame, rows: Rows) -> NDArray[np.bool_]:
    user, address = text_ids(events, "user.name")[rows.row].tolist(), address_ids(events, "source.ip")[rows.row].tolist()
    seen: dict[int, set[int]] = defaultdict(set)
    loud = np.zeros(len(rows.row), np.bool_)
    for i, (who, where) in enumerate(zip(user, address, strict=True)):
        loud[i] = where not in seen[who] and len(seen[who]) > 0
        seen[who].add(where)
    return loud
