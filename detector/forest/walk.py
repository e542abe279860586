"""The plain way to score: walk each row down each tree. The truth that the fast kernel must equal to the bit.

One definition (detection.md 2.3, split feature only): at each node on the path, the chance that a random cut of the box
extended to the row would have separated the row there counts as isolation there. With r the box's length on the split
feature and q = r / max(high - x, x - low) outside the box, 1 inside:

    E = sum over nodes of a (1 - q) (depth + 1) + a_leaf (depth_leaf + c(rows)),   a = product of the q above

written below as leaf value + sum of a (1 - q) (depth + 1 - leaf value), which touches only nodes that the row is outside of.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I16 = NDArray[np.int16]
DEEPEST = 32


@numba.njit(cache=True, nogil=True)
def total_depths(
    X: F32, starts: I32, feature: I16, threshold: F32, child: I32, low: F32, high: F32, ends: F64, below: F64,
    insertion: bool, total: F64,
) -> None:  # fmt: skip
    """total[i] = sum over trees of the row's depth, insertion-aware or plain.

    X float32 (n, features), C order; ends float64 (nodes), final depth of each leaf; below float64 (nodes), depth + 1.
    """
    passed = np.empty(DEEPEST + 1, np.int32)
    for i in range(X.shape[0]):
        s = 0.0
        for t in range(starts.shape[0] - 1):
            node = starts[t]
            outside = 0
            while feature[node] >= 0:
                x = X[i, feature[node]]
                if insertion and (x < low[node] or x > high[node]):
                    passed[outside] = node
                    outside += 1
                node = child[node] + (1 if x > threshold[node] else 0)
            end = ends[node]
            s += end
            a = 1.0
            for k in range(outside):
                node = passed[k]
                lo = np.float64(low[node])
                hi = np.float64(high[node])
                x64 = np.float64(X[i, feature[node]])
                q = (hi - lo) / max(hi - x64, x64 - lo)
                aq = a * q
                s += (a - aq) * (below[node] - end)
                a = aq
        total[i] = s


@numba.njit(cache=True, nogil=True)
def contributions(
    X: F32, starts: I32, feature: I16, threshold: F32, child: I32, low: F32, high: F32, ends: F64, below: F64, out: F64
) -> None:  # fmt: skip
    """out[i, j] += what feature j took from the expected depth, summed over trees; the row's sum is sum V(root) - E.

    ends float64 (nodes): V, the mean final depth below each node, a leaf's own final depth at a leaf.
    """
    for i in range(X.shape[0]):
        for t in range(starts.shape[0] - 1):
            node = starts[t]
            a = 1.0
            while feature[node] >= 0:
                f = feature[node]
                x = X[i, f]
                aq = a
                if x < low[node] or x > high[node]:
                    lo = np.float64(low[node])
                    hi = np.float64(high[node])
                    aq = a * ((hi - lo) / max(hi - np.float64(x), np.float64(x) - lo))
                after = child[node] + (1 if x > threshold[node] else 0)
                out[i, f] += a * ends[node] - (a - aq) * below[node] - aq * ends[after]
                a = aq
                node = after


@numba.njit(cache=True, nogil=True)
def scores(total: F64, scale: float) -> None:
    """total becomes 2 ** (total * scale), in place; scalar on purpose, so that a row's place in a batch changes no bit."""
    for i in range(total.shape[0]):
        total[i] = 2.0 ** (total[i] * scale)
