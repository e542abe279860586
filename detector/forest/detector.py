"""One model's judgement of rows: forest and one-sided tails, one calibrated p, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector.features.table import ModelTable
from detector.forest import artefact, members
from detector.forest.members import FOREST, TAIL_MAX, TAIL_SUM
from detector.forest.scoring import Forest
from detector.forest.tails import Tails
from detector.forest.trees import Trees

F64 = NDArray[np.float64]
MEMBERS = {"forest": FOREST, "tail_sum": TAIL_SUM, "tail_max": TAIL_MAX}
POINTS, ROUNDS = 32, 3  # of the counterfactual's search: 1 / 32,768 of the way to the usual, finer than a sentence shows


@dataclass(frozen=True, slots=True)
class Usual:
    """What honest training rows look like, per feature, float64 (F). `extreme` is the 90th percentile on the adverse side."""

    median: F64
    extreme: F64
    floor: F64  # values below are clamped to it: the median where only high is adverse, else -infinity
    ceiling: F64


@dataclass(frozen=True)
class Detector:
    """Immutable. X is always float64 (n, F), raw feature values in the table's order, finite; clamping is done here."""

    name: str
    schema_hash: str
    features: tuple[str, ...]
    directions: tuple[str, ...]
    members: tuple[str, ...]
    threshold_p: float
    forest: Forest
    usual_rows: Usual
    tails: Tails
    model_id: str = ""

    def __post_init__(self) -> None:
        if self.model_id == "":
            object.__setattr__(self, "model_id", f"{self.name}-{_digest(self)[:8]}")

    def score(self, X: ArrayLike) -> tuple[F64, F64, NDArray[np.int8]]:
        """(s, p, member) of each row: s the strongest member's -log10 tail among training rows, p its honest probability."""
        s, member = self.strength(X)
        p = np.empty(len(s))
        members.probabilities(s, self._first + (3 if "forest" in self.members else 4), *_tables(self.tails), p)
        return s, p, member

    def strength(self, X: ArrayLike) -> tuple[F64, NDArray[np.int8]]:
        """(s, member) of each row; what calibration is fitted on."""
        rows = self.clamped(X)
        raw = self.raw_members(rows)
        s, member = np.empty(len(rows)), np.empty(len(rows), np.int8)
        use = np.array([name in self.members for name in MEMBERS])
        members.strongest(raw, use, self._first, *_tables(self.tails), s, member)
        return s, member

    def raw_members(self, rows: F64) -> F64:
        """float64 (3, n), each member on its own scale; rows are clamped already."""
        raw = np.zeros((3, len(rows)))
        if "forest" in self.members:
            raw[FOREST] = self.forest.score(rows)
        terms = self._terms(rows)
        for feature in terms:  # one by one: numpy's own sum adds in an order that depends on the shape
            raw[TAIL_SUM] += feature
            np.maximum(raw[TAIL_MAX], feature, out=raw[TAIL_MAX])
        return raw

    def clamped(self, X: ArrayLike) -> F64:
        """X with every feature cut at its training median on the harmless side. Raises ValueError for other shapes and for NaN."""
        rows = np.ascontiguousarray(X, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise ValueError(f"{self.name}: rows have shape {rows.shape}, expected (n, {len(self.features)})")
        if not np.isfinite(rows).all():
            raise ValueError(f"{self.name}: rows must be finite numbers")
        return np.clip(rows, self.usual_rows.floor, self.usual_rows.ceiling)

    def leading(self, X: ArrayLike) -> NDArray[np.int64]:
        """Index of the feature with the largest one-sided tail term in each row."""
        leading: NDArray[np.int64] = self._terms(self.clamped(X)).argmax(axis=0)
        return leading

    def explain(self, x: ArrayLike) -> list[tuple[int, float, float]]:
        """[(feature, share, rarity)] of one row (F), largest share first, zero shares left out.

        Shares are of the member that spoke and sum to 1; rarity is -log10 of the feature's own one-sided tail.
        """
        row = self.clamped(np.asarray(x, np.float64)[None, :])
        terms = self._terms(row)[:, 0]
        parts = np.maximum(terms - self._terms(self.clamped(self.usual_rows.median[None, :]))[:, 0], 0.0)
        if self.strength(row)[1][0] == FOREST:
            parts = np.maximum(self.forest.contributions(row)[0], 0.0)
        whole = parts.sum()
        order = np.argsort(-parts, kind="stable")
        return [(int(j), float(parts[j] / whole), float(terms[j])) for j in order if parts[j] > 0.0]

    def counterfactual(self, x: ArrayLike, feature: int, threshold_p: float) -> float | None:
        """The value of the feature nearest to x's at which the row's p would not be below the threshold, all else equal.

        None when even the usual value would not have kept it quiet, or when the row is quiet anyway.
        """
        row = np.array(x, np.float64)
        loud, quiet = float(row[feature]), float(self.usual_rows.median[feature])
        ends = self._p_with(row, feature, np.array([loud, quiet]))
        if ends[0] > threshold_p or ends[1] <= threshold_p:
            return None
        for _ in range(ROUNDS):
            values = np.linspace(loud, quiet, POINTS + 1)[1:]
            first = int((self._p_with(row, feature, values) > threshold_p).argmax())
            loud, quiet = (float(values[first - 1]) if first > 0 else loud), float(values[first])
        return quiet

    def usual(self, feature: int) -> tuple[float, float]:
        """(median, 90th percentile) among honest training rows; the 10th where low is adverse."""
        return float(self.usual_rows.median[feature]), float(self.usual_rows.extreme[feature])

    def without_forest(self) -> Detector:
        """The same model with its tails only, calibrated for that; for the table that shows what the forest earns."""
        return replace(self, members=tuple(m for m in self.members if m != "forest"), model_id=self.model_id + "-no-forest")

    def save(self, folder: Path, about: dict[str, Any] | None = None) -> None:
        """Write arrays and manifest into the folder; `about` goes into the manifest (rows, libraries, how it was made)."""
        manifest = {
            "kind": "detector", "model": self.name, "model_id": self.model_id, "schema_hash": self.schema_hash,
            "features": list(self.features), "directions": list(self.directions), "members": list(self.members),
            "threshold": self.threshold_p, "samples": self.forest.samples,
        }  # fmt: skip
        artefact.write(folder, manifest | {"about": about or {}}, _arrays(self))

    @classmethod
    def load(cls, folder: Path, keys: Iterable[artefact.Key] = (), table: ModelTable | None = None) -> Detector:
        """The detector in a folder, if it is trusted, whole and made for this table; ArtefactError with one sentence if not."""
        manifest, arrays = artefact.read(folder, keys)
        with artefact.reading(folder):
            if table is not None:
                artefact.check_schema(folder, manifest, table)
            detector = _of_arrays(manifest, arrays)
            if detector.model_id != manifest["model_id"]:
                raise ValueError(f"the arrays are not those of model {manifest['model_id']}")
        return detector

    @property
    def _first(self) -> int:
        return 2 * len(self.features)

    def _terms(self, rows: F64) -> F64:
        """float64 (F, n), one-sided tail terms of clamped rows."""
        out = np.empty(rows.shape[::-1])
        members.feature_terms(rows, *_tables(self.tails), out)
        return out

    def _p_with(self, row: F64, feature: int, values: F64) -> F64:
        changed = np.tile(row, (len(values), 1))
        changed[:, feature] = values
        return self.score(changed)[1]


def _tables(tails: Tails) -> tuple[NDArray[np.int32], F64, F64, F64, F64, F64, F64, F64]:
    return tails.starts, tails.knots, tails.terms, tails.edge, tails.base, tails.shape, tails.scale, tails.cap


def _arrays(detector: Detector) -> dict[str, NDArray[Any]]:
    parts: dict[str, Trees | Tails | Usual] = {"tree": detector.forest.trees, "tail": detector.tails, "usual": detector.usual_rows}
    return {f"{prefix}_{field.name}": getattr(part, field.name) for prefix, part in parts.items() for field in fields(part)}


def _of_arrays(manifest: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Detector:
    """Raises KeyError, TypeError or ValueError where something does not fit together."""
    features = tuple(manifest["features"])
    trees = Trees(**{field.name: arrays[f"tree_{field.name}"] for field in fields(Trees)})
    tails = Tails(**{field.name: arrays[f"tail_{field.name}"] for field in fields(Tails)})
    usual = Usual(**{field.name: arrays[f"usual_{field.name}"] for field in fields(Usual)})
    _check_tails(tails, 2 * len(features) + 5)
    _check_usual(usual, len(features))
    members_used, threshold = tuple(manifest["members"]), float(manifest["threshold"])
    if len(members_used) == 0 or not set(members_used) <= set(MEMBERS) or not 0.0 < threshold < 1.0:
        raise ValueError("members or threshold are out of range")
    return Detector(
        manifest["model"], manifest["schema_hash"], features, tuple(manifest["directions"]), members_used,
        threshold, Forest(trees, len(features), int(manifest["samples"])), usual, tails,
    )  # fmt: skip


def _check_usual(usual: Usual, features: int) -> None:
    for field in fields(Usual):
        values = getattr(usual, field.name)
        if values.shape != (features,) or values.dtype != np.float64:
            raise ValueError(f"array usual_{field.name} has the wrong type or shape")
    if not (np.isfinite(usual.median).all() and np.isfinite(usual.extreme).all()):
        raise ValueError("a usual value is not a finite number")
    if not ((usual.floor <= usual.median) & (usual.median <= usual.ceiling)).all():
        raise ValueError("a median lies outside its feature's clamp")


def _check_tails(tails: Tails, count: int) -> None:
    shapes = {"starts": count + 1, "knots": len(tails.terms), "terms": len(tails.knots)}
    for field in fields(Tails):
        values = getattr(tails, field.name)
        if values.shape != (shapes.get(field.name, count),) or values.dtype != (np.int32 if field.name == "starts" else np.float64):
            raise ValueError(f"array tail_{field.name} has the wrong type or shape")
        if np.isnan(values).any() or (field.name != "edge" and not np.isfinite(values).all()):
            raise ValueError(f"array tail_{field.name} is not finite")
        if field.name in ("terms", "base", "shape", "scale", "cap") and (values < 0.0).any():
            raise ValueError(f"array tail_{field.name} is negative")
    if tails.starts[0] != 0 or tails.starts[-1] != len(tails.knots) or (np.diff(tails.starts) < 0).any():
        raise ValueError("the tails' starts are out of range")
    inside = np.ones(len(tails.knots), np.bool_)
    inside[tails.starts[:-1][np.diff(tails.starts) > 0]] = False
    if (np.diff(tails.knots)[inside[1:]] <= 0).any() or (np.diff(tails.terms)[inside[1:]] < 0).any():
        raise ValueError("a tail's knots do not rise")


def _digest(detector: Detector) -> str:
    sha = hashlib.sha256(f"{detector.schema_hash} {detector.members} {detector.threshold_p!r} {detector.forest.samples}".encode())
    for name, values in sorted(_arrays(detector).items()):
        sha.update(name.encode() + values.tobytes())
    return sha.hexdigest()
