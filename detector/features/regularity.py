"""How regular a few numbers are: a ring of the last 16, their median, spread and symmetry (as RITA judges beacons)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detector.features.jit import part

RING = 16
ENOUGH = 12  # values before the regularity counts in full: a few equal gaps happen by chance
_LIMIT = 10.0  # bits


@part
def push(numbers: NDArray[np.float64], place: int, value: float) -> None:
    """One value into the ring at `place`: one count, then RING values; the oldest goes."""
    count = np.int64(numbers[place])
    numbers[place + 1 + count % RING] = value
    numbers[place] = count + 1


@part
def _sorted(numbers: NDArray[np.float64], place: int, scratch: NDArray[np.float64]) -> int:
    n = min(int(numbers[place]), RING)
    for i in range(n):
        scratch[i] = numbers[place + 1 + i]
    _insertion_sort(scratch, n)
    return n


@part
def _insertion_sort(x: NDArray[np.float64], n: int) -> None:
    for i in range(1, n):
        value, j = x[i], i
        while j > 0 and x[j - 1] > value:
            x[j] = x[j - 1]
            j -= 1
        x[j] = value


@part
def _quantile(x: NDArray[np.float64], n: int, q: float) -> float:
    where = q * (n - 1)
    low = int(where)
    high = min(low + 1, n - 1)
    return float(x[low] + (where - low) * (x[high] - x[low]))


@part
def regularity(numbers: NDArray[np.float64], place: int, scratch: NDArray[np.float64]) -> float:
    """-log2 of the median absolute deviation in medians, 0..10 bits; less while the ring is young, 0 below 3 values."""
    n = _sorted(numbers, place, scratch)
    if n < 3:
        return 0.0
    median = _quantile(scratch, n, 0.5)
    for i in range(n):
        scratch[i] = abs(scratch[i] - median)
    _insertion_sort(scratch, n)
    share = _quantile(scratch, n, 0.5) / max(median, 1e-9)
    return min(_LIMIT, max(0.0, -math.log2(share + 2.0**-_LIMIT))) * min(1.0, n / ENOUGH)


@part
def symmetry(numbers: NDArray[np.float64], place: int, scratch: NDArray[np.float64]) -> float:
    """1 - |Bowley skewness|, 0..1; 0 below 3 values."""
    n = _sorted(numbers, place, scratch)
    if n < 3:
        return 0.0
    low, middle, high = _quantile(scratch, n, 0.25), _quantile(scratch, n, 0.5), _quantile(scratch, n, 0.75)
    return 1.0 if high <= low else 1.0 - abs(high + low - 2.0 * middle) / (high - low)
