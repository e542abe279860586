"""The vector of a pair, source and outside destination and port: how regular, how rare, how new, how much."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detector.features import slab
from detector.features.counters import DAY, decayed, elapsed, fading
from detector.features.jit import part, piece
from detector.features.network import COUNT, GAPS, GOT, HOURS_MASK, LAST_HOUR, SENT, SIZES, Flows, Network
from detector.features.regularity import push, regularity, symmetry

PAIR_FEATURES = 8
MIN_FLOWS = 4  # of a pair before it is scored
_LITTLE = 65_536.0  # bytes


@part
def _hours(p: slab.Slab, slot: int, tick: int) -> float:
    """In how many of the last 24 hours the pair talked, this one included."""
    mask, passed = int(p.num[slot, HOURS_MASK]), tick - int(p.num[slot, LAST_HOUR])
    if passed > 0:
        mask = (mask << min(passed, 24)) & 0xFFFFFF
        p.num[slot, LAST_HOUR] = tick
        passed = 0
    if passed > -24:
        mask |= 1 << -passed
    p.num[slot, HOURS_MASK] = mask
    count = 0
    while mask != 0:
        mask &= mask - 1
        count += 1
    return float(count)


@piece
def pair(
    state: Network, e: Flows, i: int, key: np.uint64, rarity: float, novelty: float, scratch: NDArray[np.float64], x: NDArray[np.float64]
) -> bool:
    """The pair's counters after event i, into x (8); False while it has too few flows to say anything."""
    p, t = state.pairs, e.time[i]
    slot = slab.slot_of(p, key, t)
    seconds = elapsed(p, slot, t)
    p.num[slot, COUNT] += 1.0
    if seconds >= 1.0:  # parallel connections of one moment are one visit
        push(p.num[slot], GAPS, seconds)
    if e.sent[i] >= 0:
        push(p.num[slot], SIZES, float(e.sent[i]))
    day = fading(seconds, DAY)
    sent = decayed(p, slot, SENT, seconds, day, float(max(0, e.sent[i])))
    got = decayed(p, slot, GOT, seconds, day, float(max(0, e.received[i])))
    hours = _hours(p, slot, e.tick[i])
    if p.num[slot, COUNT] < MIN_FLOWS:
        return False
    regular = regularity(p.num[slot], GAPS, scratch) * (1.0 + symmetry(p.num[slot], GAPS, scratch)) / 2.0
    # Regular gaps, rare and new destinations: each alone is everyday, and as signals of their own they only raised honest
    # machines. Together they are not. Divided so that 8 bits of the one leave the other as it is.
    x[0] = regular * rarity / 8.0
    x[1] = regular * novelty / 8.0
    x[2] = x[0] * regularity(p.num[slot], SIZES, scratch) / 8.0
    x[3] = sent
    x[4] = math.log2((sent + _LITTLE) / (got + _LITTLE))
    x[5] = rarity
    x[6] = novelty
    x[7] = hours
    return True
