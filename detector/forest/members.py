"""From clamped features to one p-value: the kernel of scoring R (shared/streams.md).

Members: the forest's score, the sum of the features' tail terms, the largest of them. Each becomes a term of its own tail
among training rows; the strongest speaks; its term is calibrated once more on honest rows that nothing was fitted on.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.forest.tails import term

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]

FOREST, TAIL_SUM, TAIL_MAX = 0, 1, 2
BLOCK = 256
BOTH_SIDES = 0.3010299956639812  # log10(2): looking at two sides doubles a tail probability

# Tails of a detector with F features: 2 j is feature j upwards, 2 j + 1 downwards, then the members', then the calibrations.


@numba.njit(cache=True, nogil=True)
def _lookup(
    values: F64, k: int, starts: I32, knots: F64, terms: F64, edge: F64, base: F64, shape: F64, scale: F64, cap: F64, at: I32, out: F64
) -> None:
    """out[i] = tails.term of values[i]; all values take the same steps of the search, so that many loads are in flight at once."""
    first = starts[k]
    n = starts[k + 1] - first
    at[:] = first
    while n > 1:
        half = n >> 1
        for i in range(values.shape[0]):
            at[i] += half if knots[at[i] + half] <= values[i] else 0
        n -= half
    lowest, limit, top = knots[first], cap[k], edge[k]
    for i in range(values.shape[0]):
        x = values[i]
        if x > top:
            out[i] = term(x, k, starts, knots, terms, edge, base, shape, scale, cap)
        else:
            out[i] = 0.0 if x < lowest else min(terms[at[i]], limit)


@numba.njit(cache=True, nogil=True)
def feature_terms(X: F64, starts: I32, knots: F64, terms: F64, edge: F64, base: F64, shape: F64, scale: F64, cap: F64, out: F64) -> None:
    """out[j, i] = one-sided tail term of feature j in row i; X float64 (n, F), out float64 (F, n)."""
    column, other, at = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK, np.int32)
    for first in range(0, X.shape[0], BLOCK):
        rows = min(BLOCK, X.shape[0] - first)
        values, second, places = column[:rows], other[:rows], at[:rows]
        for j in range(X.shape[1]):
            up, down = starts[2 * j + 1] > starts[2 * j], starts[2 * j + 2] > starts[2 * j + 1]
            mine = out[j, first : first + rows]
            mine[:] = 0.0
            if up:
                values[:] = X[first : first + rows, j]
                _lookup(values, 2 * j, starts, knots, terms, edge, base, shape, scale, cap, places, mine)
            if down:
                values[:] = -X[first : first + rows, j]
                _lookup(values, 2 * j + 1, starts, knots, terms, edge, base, shape, scale, cap, places, second)
                for i in range(rows):
                    mine[i] = max(mine[i], second[i])
            if up and down:
                for i in range(rows):
                    mine[i] = max(mine[i] - BOTH_SIDES, 0.0)


@numba.njit(cache=True, nogil=True)
def strongest(
    raw: F64, use: NDArray[np.bool_], first: int, starts: I32, knots: F64, terms: F64, edge: F64, base: F64, shape: F64, scale: F64,
    cap: F64, s: F64, member: I8,
) -> None:  # fmt: skip
    """s, member of each row from raw (3, n): the members' own scales; their tails are first, first + 1, first + 2."""
    at, own = np.empty(s.shape[0], np.int32), np.empty(s.shape[0])
    s[:] = -1.0
    for m in range(3):
        if use[m]:
            own[:] = 0.0
            if starts[first + m + 1] > starts[first + m]:
                _lookup(raw[m], first + m, starts, knots, terms, edge, base, shape, scale, cap, at, own)
            for i in range(s.shape[0]):
                if own[i] > s[i]:
                    s[i] = own[i]
                    member[i] = m


@numba.njit(cache=True, nogil=True)
def probabilities(
    s: F64, k: int, starts: I32, knots: F64, terms: F64, edge: F64, base: F64, shape: F64, scale: F64, cap: F64, p: F64
) -> None:
    """p[i] = conformal probability of s[i] under calibration tail k."""
    p[:] = 0.0
    if starts[k + 1] > starts[k]:
        _lookup(s, k, starts, knots, terms, edge, base, shape, scale, cap, np.empty(s.shape[0], np.int32), p)
    for i in range(s.shape[0]):
        p[i] = 10.0 ** -p[i]
