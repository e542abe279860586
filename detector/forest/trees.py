"""A forest as flat arrays: what is stored, scored and explained. No Python object per node, no pickle."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

EULER = 0.5772156649015329
DEEPEST = 32  # a tree of 256 rows has at most 8 levels; nothing sensible is deeper than this

F64 = NDArray[np.float64]


class BadForest(ValueError):
    """The arrays do not describe trees; the sentence says what is wrong."""


@dataclass(frozen=True, slots=True)
class Trees:
    """All trees one after the other, breadth first in each tree, the two children of a node side by side.

    starts     int32 (trees + 1), nodes of tree t are starts[t]:starts[t + 1]
    feature    int16 (nodes), the split feature; -1 at a leaf
    threshold  float32 (nodes), right iff x > threshold; rounded down from float64, so that float32 rows go the same way
    child      int32 (nodes), the left child, the right one is child + 1; -1 at a leaf
    low, high  float32 (nodes), extent of the tree's own training rows at this node on the split feature; 0 at a leaf
    size       int32 (nodes), training rows at this node
    """

    starts: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    child: NDArray[np.int32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    size: NDArray[np.int32]

    @property
    def count(self) -> int:
        return len(self.starts) - 1


DTYPES = {"starts": "<i4", "feature": "<i2", "threshold": "<f4", "child": "<i4", "low": "<f4", "high": "<f4", "size": "<i4"}


def average_path(size: NDArray[np.int32]) -> F64:
    """Mean path length of an unsuccessful search among `size` rows: c(n) of the isolation forest, as scikit-learn has it."""
    n = size.astype(np.float64)
    many = np.maximum(n, 3.0)
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, 2.0 * (np.log(many - 1.0) + EULER) - 2.0 * (many - 1.0) / many))


def depths(trees: Trees) -> NDArray[np.int32]:
    """Depth of each node, the root's is 0. Parents stand before children, so one pass is enough."""
    depth = np.zeros(len(trees.feature), np.int32)
    inner = np.flatnonzero(trees.feature >= 0)
    for node, left in zip(inner.tolist(), trees.child[inner].tolist(), strict=True):
        depth[left : left + 2] = depth[node] + 1
    return depth


def final_depths(trees: Trees, depth: NDArray[np.int32]) -> F64:
    """Leaf: depth + c(rows). Inner node: mean over its training rows of the depth they end at."""
    value: F64 = depth + average_path(trees.size)
    for node in np.flatnonzero(trees.feature >= 0)[::-1].tolist():
        left = trees.child[node]
        a, b = float(trees.size[left]), float(trees.size[left + 1])
        value[node] = (a * value[left] + b * value[left + 1]) / (a + b)
    return value


def check(trees: Trees, features: int) -> None:
    """Raise BadForest unless every link, number and count is possible; after this the kernels need no bounds checks."""
    nodes = len(trees.feature)
    for field in fields(trees):
        array = getattr(trees, field.name)
        if array.ndim != 1 or array.dtype != np.dtype(DTYPES[field.name]):
            raise BadForest(f"array {field.name} has the wrong type or shape")
        if field.name != "starts" and len(array) != nodes:
            raise BadForest(f"array {field.name} has {len(array)} nodes where {nodes} are expected")
    if trees.count < 1 or trees.starts[0] != 0 or trees.starts[-1] != nodes or (np.diff(trees.starts) < 1).any():
        raise BadForest("the trees' starts are out of range")
    if not (np.isfinite(trees.threshold).all() and np.isfinite(trees.low).all() and np.isfinite(trees.high).all()):
        raise BadForest("a threshold or box is not a finite number")
    if (trees.size < 1).any() or (trees.size > 1 << 24).any():
        raise BadForest("a node's row count is out of range")
    _check_links(trees, features)


def _check_links(trees: Trees, features: int) -> None:
    leaf = trees.feature < 0
    if (trees.feature < -1).any() or (trees.feature >= features).any():
        raise BadForest("a split feature is out of range")
    if (trees.child[leaf] != -1).any():
        raise BadForest("a leaf has a child")
    inner = np.flatnonzero(~leaf)
    left = trees.child[inner].astype(np.int64)
    tree = np.searchsorted(trees.starts, inner, side="right")
    if (left <= inner).any() or (left + 1 >= trees.starts[tree]).any():
        raise BadForest("a link leaves its tree or points backwards")
    parents = np.zeros(len(leaf), np.int64)
    np.add.at(parents, left, 1)
    np.add.at(parents, left + 1, 1)
    parents[trees.starts[:-1]] += 1
    if (parents != 1).any():
        raise BadForest("a node is reached by no link or by several")
    if (trees.size[left].astype(np.int64) + trees.size[left + 1] != trees.size[inner]).any():
        raise BadForest("row counts of children do not add up")
    if not ((trees.low[inner] <= trees.threshold[inner]) & (trees.threshold[inner] < trees.high[inner])).all():
        raise BadForest("a threshold lies outside its node's box")
    if depths(trees).max() > DEEPEST:
        raise BadForest(f"a tree is deeper than {DEEPEST}")
