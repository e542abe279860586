"""What a p-value says to a person, and whether it keeps its word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def one_in(p: float) -> int:
    """p as "1 in N" honest rows, rounded to two digits so that it claims no more than it knows; p in (0, 1]."""
    n = 1.0 / p
    step = 10 ** max(int(np.floor(np.log10(n))) - 1, 0)
    return int(round(n / step) * step)


def realised(p: F64, level: float) -> float:
    """Share of honest rows with p at or below the level, over the level: 1 is exact, 2 is twice as many alarms as promised."""
    return float((p <= level).mean() / level)


def threshold_by_replay(
    p: F64, time: NDArray[np.int64], entity: NDArray[np.uint64], *, per_day: float, most: float, quiet: int, least: float = 1e-12
) -> float:
    """A threshold, at most `most`, that opens no more than `per_day` incidents a day and entity on the replayed period.

    For models whose rows come from attackers anyway and whose p is no probability under drift (streams.md no. 6). p, time (µs)
    and entity of the replayed rows; rows of an entity within `quiet` µs after an opening belong to that incident. Found by
    halving; at least `least`.
    """
    if len(p) == 0:
        return most
    allowed = per_day * max((int(time.max()) - int(time.min())) / 86_400e6, 1.0) * len(np.unique(entity))
    order = np.lexsort((time, entity))
    p, time, entity = p[order], time[order], entity[order]
    steps = np.unique(np.concatenate([p[(p <= most) & (p > least)], [most, least]]))
    good, bad = 0, len(steps)  # steps[good] is allowed (or the least there is), steps[bad] is not
    while bad - good > 1:
        middle = (good + bad) // 2
        loud = p <= steps[middle]
        if openings(time[loud], entity[loud], quiet) <= allowed:
            good = middle
        else:
            bad = middle
    return float(steps[good])


def openings(time: NDArray[np.int64], entity: NDArray[np.uint64], quiet: int) -> int:
    """Incidents that loud rows open, one at a time per entity; rows sorted by entity, then time."""
    count, until, whose = 0, 0, None
    for at, who in zip(time.tolist(), entity.tolist(), strict=True):
        if who != whose or at >= until:
            count, until, whose = count + 1, at + quiet, who
    return count
