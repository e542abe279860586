"""Fit with PyOD (scikit-learn underneath), then keep only flat arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector.forest.scoring import Forest
from detector.forest.trees import Trees

F32 = NDArray[np.float32]


def fit(X: ArrayLike, trees: int = 100, samples: int = 256, seed: int = 0) -> Forest:
    """An isolation forest over X (rows, features), finite numbers, at least 2 rows.

    The same X, parameters and seed give the same forest. Raises ValueError for anything else than that.
    """
    rows = np.ascontiguousarray(X, dtype=np.float32)
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] < 1:
        raise ValueError("a forest needs at least 2 rows and 1 feature")
    if not np.isfinite(rows).all():
        raise ValueError("training rows must be finite numbers")
    samples = min(samples, len(rows))
    from pyod.models.iforest import IForest  # takes a second and 100 MB, which a daemon that only scores need not spend

    model = IForest(n_estimators=trees, max_samples=samples, random_state=seed)
    model.fit(rows)
    return flatten(model.detector_, rows)


def flatten(model: Any, rows: F32) -> Forest:
    """A fitted scikit-learn IsolationForest as a Forest; rows (n, features) are those it was fitted on, for the boxes."""
    parts = [
        _tree(estimator.tree_, columns, rows[chosen])
        for estimator, columns, chosen in zip(model.estimators_, model.estimators_features_, model.estimators_samples_, strict=True)
    ]
    counts = [len(part["feature"]) for part in parts]
    starts = np.zeros(len(parts) + 1, np.int32)
    starts[1:] = np.cumsum(counts)
    child = [np.where(part["child"] >= 0, part["child"] + start, -1) for part, start in zip(parts, starts, strict=False)]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in ("feature", "threshold", "low", "high", "size")}
    return Forest(
        Trees(
            starts, arrays["feature"].astype(np.int16), arrays["threshold"], np.concatenate(child).astype(np.int32),
            arrays["low"], arrays["high"], arrays["size"].astype(np.int32),
        ),
        rows.shape[1],
        int(model.max_samples_),
    )  # fmt: skip


def _tree(tree: Any, columns: NDArray[np.int64], rows: F32) -> dict[str, NDArray[Any]]:
    """One tree, renumbered breadth first, with the boxes of its own training rows on each split feature."""
    order, members, child = [0], [np.arange(len(rows))], np.full(tree.node_count, -1)
    low, high = np.zeros(tree.node_count, np.float32), np.zeros(tree.node_count, np.float32)
    for at in range(tree.node_count):  # `order` grows ahead of `at`: every node but the root was put there by its parent
        node = order[at]
        if tree.children_left[node] < 0:
            continue
        values = rows[members[at], columns[tree.feature[node]]]
        low[at], high[at] = values.min(), values.max()
        right = values > tree.threshold[node]
        child[at] = len(order)
        order += [int(tree.children_left[node]), int(tree.children_right[node])]
        members += [members[at][~right], members[at][right]]
    leaf = tree.children_left[order] < 0
    return {
        "feature": np.where(leaf, -1, columns[np.where(leaf, 0, tree.feature[order])]),
        "threshold": np.where(leaf, np.float32(0), _rounded_down(tree.threshold[order])),
        "child": child,
        "low": low,
        "high": high,
        "size": np.array([len(m) for m in members]),
    }


def _rounded_down(threshold: NDArray[np.float64]) -> F32:
    """The largest float32 not above the threshold: for float32 rows x > threshold stays exactly what it was."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)
