"""From clamped features to one p-value: the kernel of scoring R (shared/streams.md).

A member judges some features by one kind of score: a forest's, or the sum, the largest or the smallest of their tail terms, or
by how far a rule about them is reached.
Each score becomes a term of its own tail among training rows; the strongest, after weights, speaks; its term is calibrated
once more on honest rows that nothing was fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numba
import numpy as np
from numpy.typing import NDArray

from detector.features.table import Kind
from detector.forest.scoring import Forest
from detector.forest.tails import term

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]

KINDS: tuple[str, ...] = get_args(Kind)
FOREST, TAIL_SUM, TAIL_MAX, TAIL_MIN, CONTRASTS, RULES = range(len(KINDS))
BLOCK = 256
ROWS = 4096  # at once, so that intermediate arrays stay small
BOTH_SIDES = 0.3010299956639812  # log10(2): looking at two sides doubles a tail probability

# Tails of a detector with F features: 2 j is feature j upwards, 2 j + 1 downwards, then the members', then the calibrations
# with and without forests.


@dataclass(frozen=True)
class Member:
    """One of a detector's judges: the kind of score, over which features (indices, rising), how much its p counts, its forest if any.

    `spread` is there where the forest also sees contrasts: what a feature is divided by before two are subtracted. `rules`: each
    (feature, amount > 0), the features all adverse when high.
    """

    name: str
    kind: int
    features: tuple[int, ...]
    weight: float
    forest: Forest | None = None
    spread: tuple[float, ...] = ()
    rules: tuple[tuple[tuple[int, float], ...], ...] = ()

    def reached(self, rows: F64) -> F64:
        """By how much each rule is exceeded in rows (n, F): float64 (n, rules), the smallest of value / amount; 1 is just reached."""
        looks, amounts = self._limits
        found = np.empty((len(rows), len(self.rules)))
        for first in range(0, len(rows), ROWS):
            found[first : first + ROWS] = (rows[first : first + ROWS, looks] / amounts).min(axis=2)
        return found

    def looked(self, rows: F64) -> NDArray[np.bool_]:
        """bool (n, F): the features of the rule that is exceeded most."""
        asked = np.zeros((len(self.rules), rows.shape[1]), np.bool_)
        for place, rule in enumerate(self.rules):
            asked[place, [j for j, _ in rule]] = True
        found: NDArray[np.bool_] = asked[self.reached(rows).argmax(axis=1)]
        return found

    @cached_property
    def _limits(self) -> tuple[NDArray[np.int64], F64]:
        """(features, amounts), both (rules, most features of a rule); shorter ones repeat their first."""
        widest = max(len(rule) for rule in self.rules)
        filled = np.array([rule + rule[:1] * (widest - len(rule)) for rule in self.rules])
        return filled[..., 0].astype(np.int64), np.ascontiguousarray(filled[..., 1])

    def columns(self, rows: F64) -> F64:
        """What the member's forest sees of rows (n, F): float64 (n, its width); value by value, so that a batch's cut changes no bit."""
        own = rows if len(self.features) == rows.shape[1] else rows[:, list(self.features)]
        if len(self.spread) == 0:
            return own
        parts = own / np.array(self.spread)
        first, second = np.triu_indices(len(self.features), 1)
        return np.concatenate([own, parts[:, first] - parts[:, second]], axis=1)

    def blamed(self, contributions: F64) -> F64:
        """float64 (features): a row's contributions of the columns, those of a contrast in halves to its two features."""
        own = contributions[: len(self.features)].copy()
        for pair in np.triu_indices(len(self.features), 1) if len(self.spread) > 0 else ():
            np.add.at(own, pair, contributions[len(self.features) :] / 2.0)
        return own


@numba.njit(cache=True, nogil=True)
def combined(terms: F64, kind: I8, uses: NDArray[np.bool_], raw: F64) -> None:
    """raw[m, i] = sum, largest or smallest of terms[j, i] over the features j that member m uses; forests and rules keep theirs.

    terms float64 (F, n), kind int8 (M), uses bool (M, F), raw float64 (M, n). Feature by feature: numpy's own sum adds in an
    order that depends on the shape.
    """
    for m in range(kind.shape[0]):
        if kind[m] == FOREST or kind[m] == CONTRASTS or kind[m] == RULES:
            continue
        raw[m] = np.inf if kind[m] == TAIL_MIN else 0.0
        for j in range(terms.shape[0]):
            if not uses[m, j]:
                continue
            for i in range(terms.shape[1]):
                if kind[m] == TAIL_SUM:
                    raw[m, i] += terms[j, i]
                elif kind[m] == TAIL_MAX:
                    raw[m, i] = max(raw[m, i], terms[j, i])
                else:
                    raw[m, i] = min(raw[m, i], terms[j, i])


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
    raw: F64, use: NDArray[np.bool_], bonus: F64, first: int, starts: I32, knots: F64, terms: F64, edge: F64, base: F64, shape: F64,
    scale: F64, cap: F64, s: F64, member: I8,
) -> None:  # fmt: skip
    """s, member of each row from raw (M, n), the members' own scales; member m's tail is first + m, its bonus log10 of its weight."""
    at, own = np.empty(s.shape[0], np.int32), np.empty(s.shape[0])
    s[:] = -np.inf
    for m in range(raw.shape[0]):
        if use[m]:
            own[:] = 0.0
            if starts[first + m + 1] > starts[first + m]:
                _lookup(raw[m], first + m, starts, knots, terms, edge, base, shape, scale, cap, at, own)
            for i in range(s.shape[0]):
                if own[i] + bonus[m] > s[i]:
                    s[i] = own[i] + bonus[m]
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
