"""Whom a network event is about: its source; or, in a flood of never-seen sources, the network that they come from.

Spoofed addresses would each be an entity, an incident and a key in the filters. While far more newcomers come from a network
than a day usually brings, each further one counts for the network alone. A source seen before the flood keeps its own row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.features import bloom, slab
from detector.features.counters import BASE, BEFORE, HOUR, NOW, TEN, decayed, distinct, elapsed, fading, mature
from detector.features.hashing import combine
from detector.features.jit import once, part, word
from detector.features.network import ARRIVED, OUTSIDE, USUAL_NEW, Flows, Network
from detector.features.slab import Slab

FLOOD = 1_000.0  # newcomers within ten minutes, above which they are one
_DAYS = 2.0  # ... and so many days' worth: at 05:00, when tokens change, a whole network is new within minutes
_KNOWN_SOURCE, _POOLED = np.uint64(0x5EED0), np.uint64(0x5EED5)
_S0 = word(0)
ORDINARY, NEW, POOLED = (word(i) for i in range(3))


@part
def _arrivals(s: Slab, clock: NDArray[np.int64], network: np.uint64, t: np.int64, source: np.uint64) -> tuple[float, bool]:
    """Distinct newcomers from the network within ten minutes, and whether they are a flood; only others make its usual rate."""
    slot = slab.slot_of(s, network, t)
    seconds = elapsed(s, slot, t)
    count = distinct(s, slot, ARRIVED, _S0, t, TEN, source)
    known = 1.0 - float(np.exp2(-max(0.0, (clock[0] - clock[2]) / 3.6e9) / BASE))
    usual = max(0.0, float(s.num[slot, USUAL_NEW] - s.num[slot, ARRIVED + NOW] - s.num[slot, ARRIVED + BEFORE]))  # without the present ones
    a_day = 24.0 * 0.6931471805599453 * usual / (BASE * max(known, 1e-9))
    flood = count * mature(clock) > FLOOD + _DAYS * a_day
    decayed(s, slot, USUAL_NEW, seconds, fading(seconds, BASE * HOUR), 0.0 if flood else 1.0)
    return count, flood


@once
def whom(state: Network, e: Flows, i: int) -> tuple[np.uint64, int, float]:
    """The entity of event i, whether it is ORDINARY, NEW or POOLED, and for the last how many newcomers there are."""
    key = e.source[i]
    if slab.find(state.sources, key) >= 0:
        return key, ORDINARY, 0.0
    known = combine(_KNOWN_SOURCE, key)
    if bloom.known(state.now, state.before, known):
        return key, ORDINARY, 0.0
    count, flood = _arrivals(state.networks, state.clock, e.network[i], e.time[i], key)
    if flood:
        return combine(_POOLED, e.network[i]), POOLED, count
    if e.group[i] == OUTSIDE:
        count, flood = _arrivals(state.networks, state.clock, OUTSIDE, e.time[i], key)
        if flood:
            return combine(_POOLED, OUTSIDE), POOLED, count
    return key, NEW, 0.0


@part
def remember(state: Network, who: np.uint64) -> None:
    """The source is known for 15 to 30 days from now on."""
    bloom.seen(state.now, state.before, combine(_KNOWN_SOURCE, who))
