"""Honest rows become a detector: fit, trim, refit, tails, calibration. The same rows and seed give the same bytes."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector.features.table import FORESTS, Feature, ModelTable, Theme
from detector.forest import fit, tails
from detector.forest.detector import Detector
from detector.forest.members import KINDS, Member
from detector.forest.scoring import Forest
from detector.forest.stored import Usual

F64 = NDArray[np.float64]
FEATURE_CAP = 6.0  # of a feature's tail term: streams.md, "R, exactly"
MEMBER_CAP = 12.0
HEAVIEST = 0.5
TOP_DAYS = 10  # that a member's Pareto tail is fitted to; all others are counted
# Simulated people are more alike than real ones. So a feature's tail never falls faster than this, whatever the sample says:
# what was seen with share 2^-b is no rarer than that (1 / ln 2 bits to an e-fold); a quarter more of an amount is no e-fold
# rarer (five denies where the city has three), nor a third of a doubling more of a growth (ssh_host_d_2016: 1.5, the city 0.9).
NARROWEST = {"bits": 1.4427, "log2": 0.3, "plain": 0.3}
RULE_NARROWEST = 0.5  # of a rule's amounts: five refused ports, where the city has three and the rule says twelve, are no scan
CELL = 2.0  # of a feature's spread: rows of the same cells are of one kind
MOST_FITTED = 1 << 16  # rows that forests are grown from: 100 trees of 256 rows draw no more than 25,600
LIBRARIES = ("numpy", "scikit-learn", "pyod", "scipy")


@dataclass(frozen=True)
class Trained:
    """A detector and the figures that its manifest keeps."""

    detector: Detector
    about: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        self.detector.save(folder, self.about)


@dataclass(frozen=True, slots=True)
class Days:
    """What honest entities did in a day: rows X float64 (n, F), and whose day each is, block (n).

    A member's tail is of the strongest row of each day: weights then say how often a member may open an incident, and a machine
    that is busy all day counts once.
    """

    X: ArrayLike
    block: NDArray[Any]


def train(
    table: ModelTable,
    X_train: ArrayLike,
    X_calibration: ArrayLike,
    seed: int | None = None,
    entities: NDArray[Any] | None = None,
    doubted: NDArray[np.bool_] | None = None,
    days: Days | None = None,
) -> Trained:
    """A detector for the table from honest rows (n, F), finite; no entity should stand in both halves.

    `entities` (n) says whose the calibration rows are; without it each row is its own. `doubted` (n) says which training rows may
    be an attacker's who wants to be learnt: the oddest of these are left out of the tails, too, not only of the forests.
    Without `days` each training row is a day of its own.

    Raises ValueError when there are under 100 rows in either half.
    """
    fitted_on, held_back = (_rows(table, X) for X in (X_train, X_calibration))
    seed = table.forest.seed if seed is None else seed
    usual = _usual(table, fitted_on)
    clamped = np.clip(fitted_on, usual.floor, usual.ceiling)
    members = tuple(_member(table, theme, clamped, seed) for theme in table.speakers)
    blocks = np.arange(len(held_back)) if entities is None else entities
    kept = clamped if doubted is None else clamped[_believed(table, clamped, doubted, seed)]
    witnesses = None if days is None else (np.clip(_rows(table, days.X), usual.floor, usual.ceiling), days.block)
    detector = _with_tails(table, members, usual, kept, witnesses, (held_back, blocks))
    about = {
        "rows": {"training": len(fitted_on), "calibration": len(held_back)},
        "forest": {"trees": table.forest.trees, "samples": table.forest.samples, "trim": table.forest.trim, "seed": seed},
        "libraries": _libraries(),
        "calibration": _calibration(detector, held_back),
    }
    return Trained(detector, about)


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()}


def capped(entities: NDArray[Any], most: int, seed: int = 0) -> NDArray[np.int64]:
    """Indices, rising, of at most `most` rows of each entity, drawn evenly at random: no single source shapes a model."""
    order = np.random.default_rng(seed).permutation(len(entities))
    sorted_order = order[np.argsort(entities[order], kind="stable")]
    _, first, counts = np.unique(entities[sorted_order], return_index=True, return_counts=True)
    place = np.arange(len(entities)) - np.repeat(first, counts)
    return np.sort(sorted_order[place < most])


def halves(entities: NDArray[Any], seed: int = 0) -> NDArray[np.bool_]:
    """True for rows of the training half: entities are split, not rows, so that calibration meets people it does not know."""
    distinct, inverse = np.unique(entities, return_inverse=True)
    training = np.random.default_rng(seed).permutation(len(distinct)) < (len(distinct) + 1) // 2
    return training[inverse]


def _rows(table: ModelTable, X: ArrayLike) -> F64:
    rows = np.ascontiguousarray(X, np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(table.features):
        raise ValueError(f"{table.name}: rows have shape {rows.shape}, expected (n, {len(table.features)})")
    if len(rows) < 100:
        raise ValueError(f"{table.name}: {len(rows)} honest rows are too few; at least 100 in each half")
    if not np.isfinite(rows).all():
        raise ValueError(f"{table.name}: rows must be finite numbers")
    return rows


def _usual(table: ModelTable, rows: F64) -> Usual:
    median = np.quantile(rows, 0.5, axis=0, method="inverted_cdf")
    direction = np.array([feature.direction for feature in table.features])
    extreme = np.where(
        direction == "low",
        np.quantile(rows, 0.1, axis=0, method="inverted_cdf"),
        np.quantile(rows, 0.9, axis=0, method="inverted_cdf"),
    )
    return Usual(median, extreme, np.where(direction == "high", median, -np.inf), np.where(direction == "low", median, np.inf))


def _member(table: ModelTable, theme: Theme, clamped: F64, seed: int) -> Member:
    used = table.places(theme)
    spread = tuple(_spread(clamped[:, j]) for j in used) if theme.member == "contrasts" else ()
    member = Member(theme.name, KINDS.index(theme.member), used, theme.weight, spread=spread, rules=table.limits(theme))
    return replace(member, forest=_forest(table, member.columns(clamped), seed)) if theme.member in FORESTS else member


def _spread(values: F64) -> float:
    """From the 10th to the 90th percentile; the standard deviation where these are equal; 1 for a constant."""
    wide = float(np.quantile(values, 0.9) - np.quantile(values, 0.1))
    return wide or float(values.std()) or 1.0


def recalibrated(table: ModelTable, detector: Detector, X_calibration: ArrayLike, entities: NDArray[Any]) -> Trained:
    """The same forests and tails with another calibration, from honest rows (n, F) of `entities` (n)."""
    held_back = _rows(table, X_calibration)
    old = tails.split(detector.tails)[:-2]
    parts = [*old, *(_calibrated(variant, held_back, entities) for variant in (detector, detector.without_forest()))]
    found = replace(detector, tails=tails.join(parts), model_id="")
    return Trained(
        found, {"rows": {"calibration": len(held_back)}, "libraries": _libraries(), "calibration": _calibration(found, held_back)}
    )


def _believed(table: ModelTable, clamped: F64, doubted: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """Rows for the tails: of the oddest doubted ones, by the insertion-aware score of a forest over all features, one of each kind.

    An attacker's rows are like each other and fall into few cells; honest oddities are scattered and stay, or the tails would
    end where the trim begins and call every honest oddity impossible.
    """
    score = _forest(table, clamped, seed).score(clamped)
    limit = np.quantile(score[doubted], 1.0 - table.forest.trim) if doubted.any() else np.inf
    believed: NDArray[np.bool_] = ~doubted | (score <= limit)
    odd = np.flatnonzero(~believed)
    if len(odd) > 0:
        cell = CELL * np.array([_spread(clamped[believed, j]) for j in range(clamped.shape[1])])
        believed[odd[np.unique(np.floor(clamped[odd] / cell).astype(np.int64), axis=0, return_index=True)[1]]] = True
    return believed


def _forest(table: ModelTable, rows: F64, seed: int) -> Forest:
    """Fit, leave out the oddest rows by the insertion-aware score, fit again (detection.md 2.3)."""
    if len(rows) > MOST_FITTED:
        rows = rows[np.sort(np.random.default_rng(seed).choice(len(rows), MOST_FITTED, replace=False))]
    first = fit(rows, table.forest.trees, table.forest.samples, seed)
    keep = np.argsort(first.score(rows), kind="stable")[: round(len(rows) * (1.0 - table.forest.trim))]
    return fit(rows[np.sort(keep)], table.forest.trees, table.forest.samples, seed)


def _with_tails(
    table: ModelTable, members: tuple[Member, ...], usual: Usual, clamped: F64, days: tuple[F64, NDArray[Any]] | None,
    held_back: tuple[F64, NDArray[Any]],
) -> Detector:  # fmt: skip
    """Tails in the order that `members` reads them: features, members, calibration with and without forests."""
    parts = [side for j, feature in enumerate(table.features) for side in _feature_tails(feature, clamped[:, j])]
    detector = Detector(
        table.name, table.schema_hash, table.names, tuple(f.direction for f in table.features), members, table.threshold, usual,
        tails.join([*parts, *[tails.NONE] * (len(members) + 2)]), model_id="unfinished",
    )  # fmt: skip
    rows, block = (clamped, np.arange(len(clamped))) if days is None else days
    top = _top(len(clamped)) if days is None else TOP_DAYS
    raw = (_largest(scores, block) for scores in detector.raw_members(rows))
    narrowest = (RULE_NARROWEST if len(member.rules) > 0 else 0.0 for member in members)
    parts += [
        tails.of_sample(scores, top=top, heaviest=HEAVIEST, cap=MEMBER_CAP, narrowest=least)
        for scores, least in zip(raw, narrowest, strict=True)
    ]
    detector = replace(detector, tails=tails.join([*parts, *[tails.NONE] * 2]))
    parts += [_calibrated(variant, *held_back) for variant in (detector, detector.without_forest())]
    return replace(detector, tails=tails.join(parts), model_id="")


def _largest(values: F64, block: NDArray[Any]) -> F64:
    """float64 (blocks), the largest value of each."""
    order = np.argsort(block, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(block[order]) != 0])
    found: F64 = np.maximum.reduceat(values[order], starts)
    return found


def _calibrated(variant: Detector, held_back: F64, entities: NDArray[Any]) -> tails.Tail:
    judged = variant.forests or any(member.forest is None for member in variant.members)
    return _conformal(variant.strength(held_back)[0], entities) if judged else tails.NONE


def _feature_tails(feature: Feature, values: F64) -> tuple[tails.Tail, tails.Tail]:
    """The tail upwards and the one downwards; NONE on a side that is harmless."""
    narrowest = NARROWEST[feature.scale]

    def tail(sign: float, directions: tuple[str, str]) -> tails.Tail:
        if feature.direction not in directions:
            return tails.NONE
        return tails.of_sample(sign * values, top=_top(len(values)), heaviest=HEAVIEST, cap=FEATURE_CAP, narrowest=narrowest)

    return tail(1.0, ("high", "both")), tail(-1.0, ("low", "both"))


def _conformal(s: F64, entities: NDArray[Any]) -> tails.Tail:
    """Pareto only for the ten largest entities, and no p below 1 / (10 n): more than that the calibration rows cannot say."""
    return tails.of_blocks(s, entities, top=10, heaviest=HEAVIEST, cap=float(np.log10(10.0 * len(s))))


def _top(rows: int) -> int:
    """How many of the largest values a Pareto tail is fitted to: 2 %, at least 10, at most 500."""
    return min(max(rows // 50, 10), 500)


def _calibration(detector: Detector, held_back: F64) -> dict[str, Any]:
    """How often calibration rows fall below some p (in sample: a check of the table, no promise), and who spoke."""
    _, p, member = detector.score(held_back)
    return {
        "realised": {f"{level:g}": float((p <= level).mean()) for level in (1e-1, 1e-2, 1e-3, 3e-4)},
        "spoke": {m.name: float((member == k).mean()) for k, m in enumerate(detector.members)},
    }
