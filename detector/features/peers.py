"""How usual something is among others: ports and services among the tenant and among a source's peers, hours of the week."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detector.features import bloom, slab
from detector.features.bloom import Bloom
from detector.features.counters import DAY, HOUR, SECOND, bits, distinct, mature
from detector.features.hashing import combine
from detector.features.jit import once, part, piece, word
from detector.features.network import ACTIVE, ALL_HOURS, FORGOTTEN, HOUR_COUNTS, SEEN_FIRST, TIMES, Network
from detector.features.slab import Slab

_KNOWN_PLACE = np.uint64(0x5EED2)
_NOVEL = 72.0  # hours: what is older is not new
_S0 = word(0)


@part
def _place(places: Slab, now: Bloom, before: Bloom, key: np.uint64, t: np.int64, amount: float) -> int:
    is_new = slab.find(places, key) < 0
    slot = slab.slot_of(places, key, t)
    if is_new:
        places.num[slot, SEEN_FIRST] = t
        places.num[slot, FORGOTTEN] = 1.0 if bloom.seen(now, before, combine(_KNOWN_PLACE, key)) else 0.0
    places.num[slot, TIMES] += amount
    return slot


@once
def place(state: Network, key: np.uint64, t: np.int64, amount: float) -> int:
    """The slot of a port, service or destination, counted; one that only the filter remembers is marked: its count is lost."""
    return _place(state.places, state.now, state.before, key, t, amount)


@once
def rarity(state: Network, slot: int, total: float) -> float:
    """Rarity of a place among `total` in bits, 0 at least; of one whose count is lost 0."""
    lost = state.places.num[slot, FORGOTTEN] != 0.0
    return 0.0 if lost else max(0.0, bits(state.places.num[slot, TIMES], total))


@part
def _novelty(places: Slab, slot: int, t: np.int64, clock: NDArray[np.int64]) -> float:
    if places.num[slot, FORGOTTEN] != 0.0:
        return 0.0
    age = max(0.0, (t - places.num[slot, SEEN_FIRST]) / SECOND / HOUR)
    watched = min(_NOVEL, max(0.0, (clock[0] - clock[2]) / SECOND / HOUR))
    return mature(clock) * max(0.0, math.log2((1.0 + watched) / (1.0 + age)))


@once
def novelty(state: Network, slot: int, t: np.int64) -> float:
    """How new a place is: log2 of three days (or the shard's own age) over its age, in bits."""
    return _novelty(state.places, slot, t, state.clock)


@piece
def note_active(state: Network, group: int, who: np.uint64, hour: int, t: np.int64) -> None:
    """A member of the group is active in this hour; called once per member and hour."""
    g = state.groups
    distinct(g, group, ACTIVE, _S0, t, DAY, who)
    g.num[group, HOUR_COUNTS + hour] += 1.0
    g.num[group, ALL_HOURS] += 1.0


@piece
def hour_rarity(state: Network, group: int, hour: int) -> float:
    """-log2 of the hour's share of the group's activity over that of an even week, 0 at least; smoothed over its neighbours."""
    g, base = state.groups, hour - hour % 24
    count = 0.0
    for shift in range(-1, 2):
        count += (0.5 if shift == 0 else 0.25) * float(g.num[group, HOUR_COUNTS + base + (hour % 24 + shift) % 24])
    even = (5.0 if hour < 24 else 2.0) / (7.0 * 24.0)
    share = (count + 20.0 * even) / (float(g.num[group, ALL_HOURS]) + 20.0)
    return mature(state.clock) * max(0.0, -math.log2(share / even))
