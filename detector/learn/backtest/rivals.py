"""Those who judge the same rows as we do: each is a `Models` whose scorers are something else, so that one judge groups them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from detector.features.table import ModelTable
from detector.forest import fit
from detector.forest.detector import Detector
from detector.forest.scoring import Forest
from detector.judge.models import Models, Scorer
from detector.learn.backtest.placing import BacktestError
from detector.learn.train import capped, halves

F64 = NDArray[np.float64]
Set = Literal["soc", "tuned", "pairs"]
RULES = Path(__file__).with_name("rules.toml")
NOMINAL = 1e-3  # the p that a rule states when it just holds; ten times its amounts state a tenth of it
PER_ENTITY, MOST, LEAST = 200, 20_000, 200  # rows that a forest learns from


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """Holds where every named feature reaches its amount."""

    set: Set
    model: str
    when: Annotated[dict[str, float], Meta(min_length=1)]
    why: str


class Rules(Struct, frozen=True, forbid_unknown_fields=True):
    rule: list[Rule]


@lru_cache(maxsize=1)
def rules(path: Path = RULES) -> tuple[Rule, ...]:
    """All hand-made rules; raises msgspec.ValidationError for a file that is none."""
    return tuple(msgspec.toml.decode(path.read_bytes(), type=Rules).rule)


class Wordless:
    """A scorer that cannot say what is usual."""

    __slots__ = ()

    def usual(self, feature: int) -> tuple[float, float]:  # noqa: ARG002 - a scorer's signature
        return 0.0, 0.0


@dataclass(frozen=True, slots=True)
class RuleScorer(Wordless):
    """Rules as a scorer. limits float64 (rules, F), in the features' units, NaN where a rule does not look."""

    table: ModelTable
    limits: F64
    model_id: str
    threshold_p: float = NOMINAL

    def ratios(self, X: F64) -> F64:
        """float64 (rules, n): by how much the weakest of a rule's features exceeds its amount; 1 is just reached."""
        log = np.array([feature.scale == "log2" for feature in self.table.features])
        amounts = np.maximum(np.where(log, np.exp2(np.where(log, X, 0.0)) - 1.0, X), 0.0)
        found = np.zeros((len(self.limits), len(X)))
        for rule, limit in enumerate(self.limits):
            looks = np.flatnonzero(~np.isnan(limit))
            found[rule] = (amounts[:, looks] / limit[looks]).min(axis=1)
        return found

    def score(self, X: F64) -> tuple[F64, F64, NDArray[np.int8]]:
        best = self.ratios(X).max(axis=0, initial=0.0)
        p = np.minimum(NOMINAL / np.maximum(best, NOMINAL), 1.0)
        return best, np.where(best >= 1.0, np.minimum(p, NOMINAL), p), np.zeros(len(X), np.int8)

    def leading(self, X: F64) -> NDArray[np.int64]:
        """The first feature of the rule that is exceeded most."""
        if len(self.limits) == 0:
            return np.zeros(len(X), np.int64)
        first = np.array([np.flatnonzero(~np.isnan(limit))[0] for limit in self.limits])
        found: NDArray[np.int64] = first[self.ratios(X).argmax(axis=0)]
        return found

    def explain(self, x: F64) -> list[tuple[int, float, float]]:
        return [(int(self.leading(x[None])[0]), 1.0, -float(np.log10(NOMINAL)))]


def by_rules(tables: Mapping[str, ModelTable], name: Set, critical: frozenset[str] = frozenset()) -> Models:
    """The rules of one set. Raises BacktestError for a rule about a model or feature that does not exist."""
    mine = [rule for rule in rules() if rule.set == name]
    for rule in mine:
        known = tables[rule.model].names if rule.model in tables else ()
        wrong = [feature for feature in rule.when if feature not in known]
        if wrong != [] or len(known) == 0:
            raise BacktestError(f"{RULES.name}: {rule.model} has no feature {wrong[0] if wrong else next(iter(rule.when))}")
    scorers: dict[str, Scorer] = {model: _scorer(table, [r for r in mine if r.model == model], name) for model, table in tables.items()}
    return Models(tables, scorers, critical)


def _scorer(table: ModelTable, mine: list[Rule], name: str) -> RuleScorer:
    limits = np.full((len(mine), len(table.features)), np.nan)
    for row, rule in enumerate(mine):
        for feature, amount in rule.when.items():
            limits[row, table.names.index(feature)] = amount
    return RuleScorer(table, limits, f"{name}-{table.name}")


@dataclass(frozen=True, slots=True)
class PlainForest(Wordless):
    """scikit-learn's isolation forest as it is: no clamp, not insertion-aware, one conformal p. reference: scores, rising."""

    forest: Forest
    reference: F64
    model_id: str
    threshold_p: float

    def score(self, X: F64) -> tuple[F64, F64, NDArray[np.int8]]:
        s = self.forest.plain_score(X)
        above = len(self.reference) - np.searchsorted(self.reference, s, "left")
        p: F64 = np.asarray((1.0 + above) / (len(self.reference) + 1.0), np.float64)
        return s, p, np.zeros(len(X), np.int8)

    def leading(self, X: F64) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.forest.contributions(X).argmax(axis=1)
        return found

    def explain(self, x: F64) -> list[tuple[int, float, float]]:
        return [(int(self.leading(x[None])[0]), 1.0, 0.0)]


@dataclass(frozen=True, slots=True)
class Learned:
    """Honest rows of one model from the warm-up: X float64 (n, F), entity uint64 (n)."""

    X: F64
    entity: NDArray[np.uint64]


def plain_forests(models: Models, learned: Mapping[str, Learned]) -> Models:
    """Fitted on half of the warm-up's entities, calibrated on the others; the thresholds are ours.

    A model that met too few rows stays silent.
    """
    scorers: dict[str, Scorer] = {}
    for name, table in models.tables.items():
        rows = learned.get(name)
        if rows is None or len(rows.X) < LEAST:
            scorers[name] = _scorer(table, [], "silent")
            continue
        chosen = capped(rows.entity, PER_ENTITY, table.forest.seed)[:MOST]
        X, training = rows.X[chosen], halves(rows.entity[chosen], table.forest.seed)
        if min(training.sum(), (~training).sum()) < LEAST // 2:
            training = np.arange(len(X)) % 2 == 0  # too few entities to split them
        forest = fit(X[training], table.forest.trees, table.forest.samples, table.forest.seed)
        reference = np.sort(forest.plain_score(X[~training]))
        scorers[name] = PlainForest(forest, reference, f"plain-{name}", models.scorers[name].threshold_p)
    return replace(models, scorers=scorers)


def without_forests(models: Models) -> Models:
    """Our scoring without its forests: the tails of the same features, calibrated on the same rows."""
    return replace(models, scorers={name: _without(scorer) for name, scorer in models.scorers.items()})


def _without(scorer: Scorer) -> Scorer:
    return scorer.without_forest() if isinstance(scorer, Detector) else scorer
