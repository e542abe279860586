"""Network events: what each source does, and how regular each pair of source and outside destination is.

One pass in stream order over what `network` remembers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.features import bloom, network
from detector.features.counters import mature
from detector.features.hashing import combine
from detector.features.jit import borrow, kernel, once
from detector.features.network import ALLOWED, FROM_INSIDE, INTERNAL, OUTBOUND, SOURCE_TOTAL, Flows, Network
from detector.features.newcomers import NEW, POOLED, whom
from detector.features.pairs import PAIR_FEATURES, pair
from detector.features.peers import novelty, place, rarity
from detector.features.regularity import RING
from detector.features.talkers import FLOODED, SOURCE_FEATURES, talker

__all__ = ["PAIR_FEATURES", "SOURCE_FEATURES", "advance"]
_KNOWN_TALK, _ALL_SOURCES = np.uint64(0x5EED1), np.uint64(0x5EED4)


@once
def _pair(state: Network, e: Flows, i: int, who: np.uint64, new_talk: bool, scratch: NDArray[np.float64], x: NDArray[np.float64]) -> bool:
    """The pair of event i into x, with the rarity of its destination among the tenant's sources and how new that is."""
    slot = place(state, combine(_ALL_SOURCES, e.destination[i]), e.time[i], 1.0 if new_talk else 0.0)
    rare, new = rarity(state, slot, state.tally[SOURCE_TOTAL]), novelty(state, slot, e.time[i])
    key = combine(combine(who, e.destination[i]), np.uint64(e.port[i] + 2))
    return pair(state, e, i, key, rare, new, scratch, x)


@kernel
def advance(
    state: Network, e: Flows, first: int, x_source: NDArray[np.float64], entity: NDArray[np.uint64], pooled: NDArray[np.uint8],
    x_pair: NDArray[np.float64], pair_row: NDArray[np.int64], pairs: int,
) -> tuple[int, int]:  # fmt: skip
    """Events from `first` on, until all are done or the memory needs `roomy`.

    Fills x_source (n, 31), entity (n), pooled (n: the row is about a flood from a network), and x_pair (n, 8), pair_row from
    row `pairs` on; returns (next event, pair rows so far).
    """
    scratch = np.empty(RING)
    state, e = network.lent(state), network.lent_flows(e)
    x_source, entity, pooled = borrow(x_source), borrow(entity), borrow(pooled)
    x_pair, pair_row = borrow(x_pair), borrow(pair_row)
    for i in range(first, len(e.time)):
        if network.full(state):
            return i, pairs
        if state.clock[2] == 0:
            state.clock[:] = e.time[i]
        state.clock[0] = max(state.clock[0], e.time[i])
        who, kind, newcomers = whom(state, e, i)
        entity[i] = who
        if kind == POOLED:
            pooled[i] = 1
            x_source[i, FLOODED] = newcomers
            continue
        where, new_talk = e.where[i] & INTERNAL, False
        if kind == NEW and where & FROM_INSIDE != 0:
            state.tally[SOURCE_TOTAL] += 1.0
        if where & FROM_INSIDE != 0:
            new_talk = not bloom.seen(state.now, state.before, combine(_KNOWN_TALK, combine(who, e.destination[i])))
        talker(state, e, i, who, kind, mature(state.clock) if new_talk and where == INTERNAL else 0.0, x_source[i])
        if where == OUTBOUND and e.action[i] == ALLOWED and e.destination[i] != 0:
            pair_row[pairs] = i
            if _pair(state, e, i, who, new_talk, scratch, x_pair[pairs]):
                pairs += 1
    return len(e.time), pairs
