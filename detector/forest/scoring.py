"""The forest as others use it: score, plain score, contributions. The same bits however the rows are cut into batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector.forest import artefact, rowsets, walk
from detector.forest.trees import Trees, average_path, check, depths, final_depths

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
FEW = 10  # under so many rows a walk is faster than the row sets; both give the same bits


class Forest:
    """An isolation forest over `features` columns, trained on `samples` rows a tree. Immutable."""

    def __init__(self, trees: Trees, features: int, samples: int) -> None:
        """Raises BadForest when the arrays do not describe trees."""
        check(trees, features)
        if samples < 2:
            raise ValueError("a forest needs at least 2 rows a tree")
        self.trees = trees
        self.features = features
        self.samples = samples
        depth = depths(trees)
        self._ends = final_depths(trees, depth)
        self._below = depth.astype(np.float64) + 1.0
        self._packed = rowsets.pack(trees, features, self._ends)
        self._normal = float(average_path(np.array([samples], np.int32))[0]) * trees.count

    def rows(self, X: ArrayLike) -> F32:
        """X (n, features) as the float32 rows that the trees compare; raises ValueError for other shapes and for NaN or infinity."""
        with np.errstate(over="ignore"):  # what overflows becomes infinite and is refused below
            rows = np.ascontiguousarray(X, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise ValueError(f"rows have shape {rows.shape}, the forest wants (n, {self.features})")
        if not np.isfinite(rows).all():
            raise ValueError("rows must be finite numbers")
        return rows

    def depth(self, X: ArrayLike, *, insertion: bool = True) -> F64:
        """Sum over trees of each row's depth, float64 (n)."""
        rows = self.rows(X)
        total = np.empty(len(rows), np.float64)
        self._walk(rows, insertion, total)
        return total

    def score(self, X: ArrayLike) -> F64:
        """Insertion-aware score in (0, 1], float64 (n); higher is more unusual."""
        total = self.depth(X)
        walk.scores(total, -1.0 / self._normal)
        return total

    def plain_score(self, X: ArrayLike) -> F64:
        """scikit-learn's -score_samples, float64 (n): blind outside the training range; for comparison."""
        total = self.depth(X, insertion=False)
        walk.scores(total, -1.0 / self._normal)
        return total

    def contributions(self, X: ArrayLike) -> F64:
        """float64 (n, features): levels each feature took from the expected depth; a row sums to expected_depth - depth / trees."""
        rows = self.rows(X)
        out = np.zeros(rows.shape, np.float64)
        t = self.trees
        walk.contributions(rows, t.starts, t.feature, t.threshold, t.child, t.low, t.high, self._ends, self._below, out)
        return out / t.count

    @property
    def expected_depth(self) -> float:
        """Mean depth of the training rows, mean over trees."""
        return float(self._ends[self.trees.starts[:-1]].mean())

    def save(self, folder: Path) -> None:
        """Write the forest alone into a folder; sign it with `artefact.sign` before others load it."""
        about = {"kind": "forest", "width": self.features, "samples": self.samples}
        artefact.write(folder, about, {field.name: getattr(self.trees, field.name) for field in fields(Trees)})

    @classmethod
    def load(cls, folder: Path, keys: Iterable[artefact.Key] = ()) -> Forest:
        """The forest in a folder, if one of the keys signed it and it is whole; ArtefactError with one sentence if not."""
        manifest, arrays = artefact.read(folder, keys)
        with artefact.reading(str(folder)):
            return cls(Trees(**arrays), int(manifest["width"]), int(manifest["samples"]))

    def _walk(self, rows: F32, insertion: bool, total: F64) -> None:
        t, p = self.trees, self._packed
        if p is not None and len(rows) >= FEW:
            rowsets.total_depths(
                rows, p.bounds, p.starts, p.nodes, p.feature, p.rank, p.lowest, p.width, p.parent, p.level,
                p.low, p.high, p.below, p.leaves, insertion, total,
            )  # fmt: skip
            return
        walk.total_depths(rows, t.starts, t.feature, t.threshold, t.child, t.low, t.high, self._ends, self._below, insertion, total)
