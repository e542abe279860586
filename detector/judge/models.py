"""The models of a running SCORE: their tables and what scores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.features import Rows
from detector.features.table import ModelTable
from detector.forest.artefact import ArtefactError

F64 = NDArray[np.float64]


class Scorer(Protocol):
    """What the judge needs of `detector.forest.detector.Detector`; tests use a stub, so that a retrain does not move them."""

    @property
    def model_id(self) -> str: ...

    @property
    def threshold_p(self) -> float: ...

    def score(self, X: F64) -> tuple[F64, F64, NDArray[np.int8]]: ...

    def leading(self, X: F64) -> NDArray[np.int64]: ...

    def explain(self, x: F64) -> list[tuple[int, float, float]]: ...

    def usual(self, feature: int) -> tuple[float, float]: ...


class Library(Protocol):
    """Where models other than the shipped ones come from: checked before they are handed out, and kept for the next who asks."""

    def scorer(self, shard: str, name: str, digest: str, part: str) -> Scorer:
        """`part`: champion or shadow. Raises a `Sentence` (why it must not be used), or what says that the store is away."""
        ...


class OnlyShipped:
    """A library without a registry: replays of files, tests."""

    def scorer(self, shard: str, name: str, digest: str, part: str) -> Scorer:
        raise ArtefactError(f"there is no registry here that could hold {name} {digest[:12]}, the {part} of {shard}")


@dataclass(frozen=True, slots=True)
class Models:
    """Tables and scorers by model name; the same names in both. `critical`: names of the networks that are marked so."""

    tables: Mapping[str, ModelTable]
    scorers: Mapping[str, Scorer]
    critical: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.tables.keys() != self.scorers.keys():
            missing = ", ".join(sorted(self.tables.keys() ^ self.scorers.keys()))
            raise ValueError(f"these models lack a table or a trained artefact: {missing}")

    def instead(self, scorers: Mapping[str, Scorer]) -> Models:
        """The same with some other scorers."""
        return replace(self, scorers={**self.scorers, **scorers}) if scorers else self


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows of one model with their score: s float64 (m), higher is odder; p float64 (m), the share of honest rows as odd."""

    rows: Rows
    s: F64
    p: F64


def score(vectors: Mapping[str, Rows], models: Models) -> dict[str, Scored]:
    """Step 5 of the journey for every model: each row by itself, so a batch's cut does not matter."""
    found = {}
    for name, rows in vectors.items():
        if len(rows.row) > 0:
            s, p, _ = models.scorers[name].score(rows.X)
            found[name] = Scored(rows, s, p)
    return found
