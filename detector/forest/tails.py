"""How rare a value is: upper tails of fitted samples, as tables that a kernel looks up.

A tail answers with a term, -log10 of P(sample >= x). Up to an edge it counts: (1 + number of sample values >= x) / (n + 1),
the conformal p-value. Beyond the edge a generalised Pareto tail goes on, its shape never negative (a negative one gave
p = 1e-12 just above the largest value seen), up to a cap. Terms never fall when x rises.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
STEP = 0.005  # terms between two knots differ by at least this: tables of some hundred knots, p at most 1.2 % too large


@dataclass(frozen=True, slots=True)
class Tails:
    """K tails.

    starts  int32 (K + 1), knots of tail k are starts[k]:starts[k + 1]; none: the tail is always 0
    knots   float64, strictly rising inside a tail; terms float64, at each knot, never falling; knots beyond the edge limit it
    edge    float64 (K), where the Pareto tail begins; base its term there; shape, scale its parameters (scale 0: stays at base)
    cap     float64 (K), no term above this
    """

    starts: I32
    knots: F64
    terms: F64
    edge: F64
    base: F64
    shape: F64
    scale: F64
    cap: F64

    def __len__(self) -> int:
        return len(self.edge)


@dataclass(frozen=True, slots=True)
class Tail:
    """One tail while it is being fitted; the fields of Tails."""

    knots: F64
    terms: F64
    edge: float
    base: float
    shape: float
    scale: float
    cap: float


NONE = Tail(np.zeros(0), np.zeros(0), math.inf, 0.0, 0.0, 0.0, 0.0)


def of_sample(sample: F64, *, top: int, heaviest: float, cap: float, narrowest: float = 0.0) -> Tail:
    """The upper tail of a sample (n >= 1 finite values); Pareto over its `top` largest, shape within 0..heaviest.

    Its scale is at least `narrowest`: what the sample's maker cannot have known better.
    """
    values = np.sort(sample)
    n = len(values)
    distinct, first = np.unique(values, return_index=True)
    terms = -np.log10((1.0 + n - first) / (n + 1.0))
    edge = values[max(n - 1 - top, 0)]
    distinct, terms = distinct[distinct <= edge], terms[distinct <= edge]
    knots = _thinned(terms)
    over = values[values > edge] - edge
    base = -math.log10((1.0 + len(over)) / (n + 1.0))
    shape, scale = pareto(over, heaviest)
    return Tail(distinct[knots], terms[knots], float(edge), base, shape, max(scale, narrowest), cap)


def of_blocks(sample: F64, block: NDArray[Any], *, top: int, heaviest: float, cap: float) -> Tail:
    """The upper tail of a sample whose rows come in blocks (what one source did), many rows of a block being alike.

    Up to the edge rows are counted. Beyond it the sample says no more than its blocks do: the Pareto tail is fitted to the
    `top` largest block maxima ("declustering": Coles 2001, 5.3.2), else a single busy hour would pass for the end of the world;
    and no term there is above that of the rows' count, else an hour as busy as that would be rarer than it was.
    """
    values = np.sort(sample)
    n = len(values)
    _, which = np.unique(block, return_inverse=True)
    maxima = np.full(int(which.max()) + 1, -np.inf)
    np.maximum.at(maxima, which, sample)
    maxima.sort()
    edge = maxima[max(len(maxima) - 1 - top, 0)]
    distinct, first = np.unique(values, return_index=True)
    terms = -np.log10((1.0 + n - first) / (n + 1.0))
    knots = _thinned(terms)
    over = maxima[maxima > edge] - edge
    base = -math.log10((1.0 + (values > edge).sum()) / (n + 1.0))
    return Tail(distinct[knots], terms[knots], float(edge), base, *pareto(over, heaviest), cap)


def pareto(over: F64, heaviest: float) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto tail over excesses > 0 in rising order, by probability-weighted moments.

    The shape is limited to 0..heaviest and the scale then follows from the mean; (0, 0) where there is nothing to fit.
    """
    k = len(over)
    if k < 2:
        return 0.0, 0.0
    mean = float(over.mean())
    weighted = float(((k - 1.0 - np.arange(k)) / (k - 1.0) * over).mean())
    spread = mean - 2.0 * weighted
    shape = 2.0 - mean / spread if spread > 0.0 else 0.0  # no spread: all excesses alike
    shape = min(max(shape, 0.0), heaviest)
    return shape, mean * (1.0 - shape)


def _thinned(terms: F64) -> NDArray[np.int64]:
    """Indices of terms (rising) so that neighbours differ by STEP or more; the first always. What lies between is rounded down."""
    kept, at = [0], 0
    while (at := int(np.searchsorted(terms, terms[at] + STEP))) < len(terms):
        kept.append(at)
    return np.array(kept)


def join(tails: list[Tail]) -> Tails:
    """Several tails as one table."""
    starts = np.zeros(len(tails) + 1, np.int32)
    starts[1:] = np.cumsum([len(t.knots) for t in tails])
    numbers = np.array([(t.edge, t.base, t.shape, t.scale, t.cap) for t in tails], np.float64).T.copy()
    return Tails(starts, np.concatenate([t.knots for t in tails]), np.concatenate([t.terms for t in tails]), *numbers)


def split(tails: Tails) -> list[Tail]:
    """What `join` was given."""
    return [
        Tail(
            tails.knots[a:b], tails.terms[a:b],
            *(float(of[k]) for of in (tails.edge, tails.base, tails.shape, tails.scale, tails.cap)),
        )
        for k, (a, b) in enumerate(itertools.pairwise(tails.starts.tolist()))
    ]  # fmt: skip


@numba.njit(cache=True, nogil=True)
def term(x: float, k: int, starts: I32, knots: F64, terms: F64, edge: F64, base: F64, shape: F64, scale: F64, cap: F64) -> float:
    """Tail k at x: -log10 P(sample >= x)."""
    first = starts[k]
    n = starts[k + 1] - first
    if n == 0 or x < knots[first]:
        return 0.0
    most = cap[k]
    if x > edge[k]:
        y = base[k]
        if scale[k] > 0.0:
            z = (x - edge[k]) / scale[k]
            y += (math.log1p(shape[k] * z) / shape[k] if shape[k] > 0.0 else z) * 0.4342944819032518
        most = min(y, most)
        if x > knots[first + n - 1]:
            return float(most)
    at = first
    while n > 1:  # no branch on the data
        half = n >> 1
        at += half if knots[at + half] <= x else 0
        n -= half
    return float(min(terms[at], most))
