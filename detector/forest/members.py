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
BOTH_SIDES = 0.3010299956639812  # log10(2): looking at two sides doubles a tail probability

# Tails of a detector with F features: 2 j is feature j upwards, 2 j + 1 downwards, then the members', then the calibrations.


@numba.njit(cache=True, nogil=True)
def feature_terms(X: F64, starts: I32, knots: F64, terms: F64, edge: F64, base: F64, shape: F64, scale: F64, cap: F64, out: F64) -> None:
    """out[i, j] = one-sided tail term of feature j in row i; X float64 (n, F)."""
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            up = starts[2 * j + 1] - starts[2 * j]
            down = starts[2 * j + 2] - starts[2 * j + 1]
            t = 0.0
            if up > 0:
                t = term(X[i, j], 2 * j, starts, knots, terms, edge, base, shape, scale, cap)
            if down > 0:
                t = max(t, term(-X[i, j], 2 * j + 1, starts, knots, terms, edge, base, shape, scale, cap))
                if up > 0:
                    t = max(t - BOTH_SIDES, 0.0)
            out[i, j] = t


@numba.njit(cache=True, nogil=True)
def strongest(
    raw: F64, use: NDArray[np.bool_], first: int, starts: I32, knots: F64, terms: F64, edge: F64, base: F64, shape: F64, scale: F64,
    cap: F64, s: F64, member: I8,
) -> None:  # fmt: skip
    """s, member of each row from raw (n, 3): the members' own scales; tails first, first + 1, first + 2."""
    for i in range(raw.shape[0]):
        best = -1.0
        who = -1
        for m in range(3):
            if use[m]:
                t = term(raw[i, m], first + m, starts, knots, terms, edge, base, shape, scale, cap)
                if t > best:
                    best = t
                    who = m
        s[i] = best
        member[i] = who


@numba.njit(cache=True, nogil=True)
def probabilities(
    s: F64, k: int, starts: I32, knots: F64, terms: F64, edge: F64, base: F64, shape: F64, scale: F64, cap: F64, p: F64
) -> None:
    """p[i] = conformal probability of s[i] under calibration tail k."""
    for i in range(s.shape[0]):
        p[i] = 10.0 ** -term(s[i], k, starts, knots, terms, edge, base, shape, scale, cap)
