"""One model's judgement of rows: several members over its features, one calibrated p, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector.features.table import ModelTable
from detector.forest import artefact, members, stored
from detector.forest.members import Member
from detector.forest.stored import Usual
from detector.forest.tails import Tails

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Detector:
    """Immutable. X is always float64 (n, F), raw feature values in the table's order, finite; clamping is done here."""

    name: str
    schema_hash: str
    features: tuple[str, ...]
    directions: tuple[str, ...]
    members: tuple[Member, ...]
    threshold_p: float
    usual_rows: Usual
    tails: Tails
    forests: bool = True  # whether members that are forests may speak
    model_id: str = ""

    def __post_init__(self) -> None:
        if self.model_id == "":
            digest = stored.digest(self.described(), self.members, self.tails, self.usual_rows)
            object.__setattr__(self, "model_id", f"{self.name}-{digest[:8]}")

    def score(self, X: ArrayLike) -> tuple[F64, F64, NDArray[np.int8]]:
        """(s, p, member) of each row: s the strongest member's -log10 tail among training rows, plus log10 of its weight; p its
        honest probability; member an index into `members`."""
        s, member = self.strength(X)
        p = np.empty(len(s))
        members.probabilities(s, self._first + len(self.members) + (0 if self.forests else 1), *_tables(self.tails), p)
        return s, p, member

    def strength(self, X: ArrayLike) -> tuple[F64, NDArray[np.int8]]:
        """(s, member) of each row; what calibration is fitted on."""
        raw = self.raw_members(self.clamped(X))
        s, member = np.empty(raw.shape[1]), np.zeros(raw.shape[1], np.int8)
        members.strongest(raw, self._speaks, self._bonus, self._first, *_tables(self.tails), s, member)
        return s, member

    def raw_members(self, rows: F64) -> F64:
        """float64 (M, n), each member on its own scale; rows are clamped already."""
        raw = np.zeros((len(self.members), len(rows)))
        for m, member in enumerate(self.members):
            if member.forest is not None and self.forests:
                raw[m] = member.forest.score(member.columns(rows))
            elif len(member.rules) > 0:
                raw[m] = member.reached(rows).max(axis=1)
        members.combined(self._terms(rows), self._kinds, self._uses, raw)
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
        """Index of the feature with the largest one-sided tail term in each row, among those of the member that spoke."""
        rows = self.clamped(X)
        leading: NDArray[np.int64] = np.where(self._heard(rows, self.strength(rows)[1]), self._terms(rows).T, -1.0).argmax(axis=1)
        return leading

    def explain(self, x: ArrayLike) -> list[tuple[int, float, float]]:
        """[(feature, share, rarity)] of one row (F), largest share first, zero shares left out.

        Shares are of the member that spoke and sum to 1; rarity is -log10 of the feature's own one-sided tail.
        """
        row = self.clamped(np.asarray(x, np.float64)[None, :])
        spoke = self.strength(row)[1]
        member = self.members[spoke[0]]
        terms = self._terms(row)[:, 0]
        parts = np.zeros(len(self.features))
        used = self._heard(row, spoke)[0]
        parts[used] = (terms - self._usual_terms)[used]
        if member.forest is not None:
            parts[list(member.features)] = member.blamed(member.forest.contributions(member.columns(row))[0])
        parts = np.maximum(parts, 0.0)
        whole = parts.sum()
        order = np.lexsort((self._silent, -parts))
        return [(int(j), float(parts[j] / whole), float(terms[j])) for j in order if parts[j] > 0.0]

    def usual(self, feature: int) -> tuple[float, float]:
        """(median, 90th percentile) among honest training rows; the 10th where low is adverse."""
        return float(self.usual_rows.median[feature]), float(self.usual_rows.extreme[feature])

    def without_forest(self) -> Detector:
        """The same model with its tails only, calibrated for that; for the table that shows what the forest earns."""
        return replace(self, forests=False, model_id=self.model_id + "-no-forest")

    def described(self) -> dict[str, Any]:
        """What the manifest says of the model itself."""
        return {
            "kind": "detector", "model": self.name, "schema_hash": self.schema_hash, "features": list(self.features),
            "directions": list(self.directions), "members": [stored.member_entry(m) for m in self.members], "threshold": self.threshold_p,
        }  # fmt: skip

    def save(self, folder: Path, about: dict[str, Any] | None = None) -> None:
        """Write arrays and manifest into the folder; `about` goes into the manifest (rows, libraries, how it was made)."""
        manifest = self.described() | {"model_id": self.model_id, "about": about or {}}
        artefact.write(folder, manifest, stored.arrays(self.members, self.tails, self.usual_rows))

    @classmethod
    def load(cls, folder: Path, keys: Iterable[artefact.Key] = (), table: ModelTable | None = None) -> Detector:
        """As `of_files`, of the files in a folder."""
        return cls.of_files(artefact.Files.of(folder), keys, table)

    @classmethod
    def of_files(cls, files: artefact.Files, keys: Iterable[artefact.Key] = (), table: ModelTable | None = None) -> Detector:
        """The detector, if it is trusted, whole and made for this table; ArtefactError with one sentence if not."""
        manifest, arrays = artefact.opened(files, keys)
        with artefact.reading(files.place):
            if table is not None:
                artefact.check_schema(files.place, manifest, table)
            detector = cls.of_arrays(manifest, arrays)
            if detector.model_id != manifest["model_id"]:
                raise ValueError(f"the arrays are not those of model {manifest['model_id']}")
        return detector

    @classmethod
    def of_arrays(cls, manifest: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Detector:
        """Raises KeyError, TypeError or ValueError where something does not fit together."""
        features, threshold = tuple(manifest["features"]), float(manifest["threshold"])
        if not 0.0 < threshold < 1.0:
            raise ValueError("the threshold is out of range")
        judges, tails, usual = stored.read(manifest["members"], len(features), arrays)
        return cls(manifest["model"], manifest["schema_hash"], features, tuple(manifest["directions"]), judges, threshold, usual, tails)

    @property
    def _first(self) -> int:
        return 2 * len(self.features)

    @cached_property
    def _kinds(self) -> NDArray[np.int8]:
        return np.array([m.kind for m in self.members], np.int8)

    @cached_property
    def _bonus(self) -> F64:
        return np.log10([m.weight for m in self.members])

    @cached_property
    def _speaks(self) -> NDArray[np.bool_]:
        return np.array([self.forests or m.forest is None for m in self.members])

    @cached_property
    def _usual_terms(self) -> F64:
        """float64 (F), tail terms of the median row."""
        return np.ascontiguousarray(self._terms(self.clamped(self.usual_rows.median[None, :]))[:, 0])

    @cached_property
    def _silent(self) -> NDArray[np.bool_]:
        """bool (F): context, named after others that did as much."""
        return np.array([direction == "context" for direction in self.directions])

    @cached_property
    def _uses(self) -> NDArray[np.bool_]:
        """bool (M, F)."""
        return np.array([[j in m.features for j in range(len(self.features))] for m in self.members])

    def _heard(self, rows: F64, member: NDArray[np.int8]) -> NDArray[np.bool_]:
        """bool (n, F): the features that the member which spoke went by; of rules those of the strongest."""
        heard = self._uses[member]
        for m, judge in enumerate(self.members):
            if len(judge.rules) > 0:
                mine = np.flatnonzero(member == m)
                heard[mine] = judge.looked(rows[mine])
        return heard

    def _terms(self, rows: F64) -> F64:
        """float64 (F, n), one-sided tail terms of clamped rows."""
        out = np.empty(rows.shape[::-1])
        members.feature_terms(rows, *_tables(self.tails), out)
        return out


def _tables(tails: Tails) -> tuple[NDArray[np.int32], F64, F64, F64, F64, F64, F64, F64]:
    return tails.starts, tails.knots, tails.terms, tails.edge, tails.base, tails.shape, tails.scale, tails.cap
