"""Network events: what each source does, and how regular each pair of source and outside destination is.

One pass in stream order. `Network` is all that it remembers of one shard.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features import bloom, slab
from detector.features.bloom import Bloom
from detector.features.columns import sides
from detector.features.counters import DAY, DISTINCT, HOUR, MINUTE, SECOND, TEN, bits, decayed, distinct, elapsed, fading, mature
from detector.features.hashing import address_ids, combine, words
from detector.features.jit import borrow, kernel, part, word
from detector.features.regularity import RING, push, regularity, symmetry
from detector.features.slab import Slab

ALLOWED, DENIED = 1, 2
_NO_SOURCE = np.uint64(0xA1)  # events without a source address share one entity, so that none goes unscored
ACTIONS = {"allowed": ALLOWED, "denied": DENIED, "dropped": DENIED, "blocked": DENIED, "rejected": DENIED, "reset": DENIED}
SOURCE_FEATURES, PAIR_FEATURES = 16, 3
MIN_FLOWS = 4  # of a pair before it is scored
_NOVEL = 72.0  # hours: older destinations are not new

# Numbers of a source; the first is its clock.
_CLOCK = slab.FIRST
_DENIES, _FLOWS, _PORT_RARITY, _BYTES, _INTERNAL, _PORTS = (word(_CLOCK + i) for i in (1, 5, 7, 8, 10, 11))
_HOSTS = word(_PORTS + 3 * DISTINCT)
_S0, _S1, _S2, _S3, _S4, _S5 = (word(i) for i in range(6))  # its sketches
_SOURCE_NUMBERS, _SOURCE_SKETCHES = int(_HOSTS) + 3 * DISTINCT - _CLOCK, 6
# Numbers of a pair.
_COUNT, _GAPS = (word(_CLOCK + i) for i in range(1, 3))
_SIZES = word(_GAPS + RING + 1)
_PAIR_NUMBERS = int(_SIZES) + RING + 1 - _CLOCK
# Numbers of a place (a destination address or port): first seen (µs), count, whether only the filter remembered it.
_FIRST, _TIMES, _FORGOTTEN = range(_CLOCK, _CLOCK + 3)
_KNOWN_SOURCE, _KNOWN_TALK, _KNOWN_PLACE, _ALL_PORTS, _ALL_SOURCES = (np.uint64(0x5EED0 + i) for i in range(5))


class Network(NamedTuple):
    """What is remembered of a shard's traffic."""

    sources: Slab
    pairs: Slab
    places: Slab
    now: Bloom
    before: Bloom
    clock: NDArray[np.int64]  # latest event time, start of the filters' generation, first event time; µs


class Flows(NamedTuple):
    """n network events as columns for the kernel; addresses as identities."""

    time: NDArray[np.int64]
    source: NDArray[np.uint64]
    destination: NDArray[np.uint64]
    port: NDArray[np.int32]
    action: NDArray[np.uint8]
    sent: NDArray[np.int64]
    inside: NDArray[np.uint8]  # bit 0: the source is inside, bit 1: the destination is


def fresh(limit: int) -> Network:
    """Nothing seen yet; at most `limit` sources, as many pairs and as many places."""
    return Network(
        slab.fresh(_SOURCE_NUMBERS, _SOURCE_SKETCHES, limit), slab.fresh(_PAIR_NUMBERS, 0, limit), slab.fresh(3, 0, limit),
        bloom.fresh(), bloom.fresh(), np.zeros(3, np.int64),
    )  # fmt: skip


def flows(events: pl.DataFrame, time: NDArray[np.int64]) -> Flows:
    """The columns of network events; `time` is the event time in µs, limited by the caller."""
    source, port = address_ids(events, "source.ip"), ecs.numbers(events, "destination.port")
    return Flows(
        time, np.where(source == 0, _NO_SOURCE, source), address_ids(events, "destination.ip"), port.astype(np.int32, copy=False),
        words(events, "event.action", ACTIONS), ecs.numbers(events, "source.bytes").astype(np.int64, copy=False), sides(events),
    )  # fmt: skip


def roomy(state: Network) -> Network:
    """The same memory with room for more; the filters turn when their generation is over."""
    now, before = state.now, state.before
    if state.clock[0] - state.clock[1] > bloom.GENERATION:
        now, before = bloom.fresh(), now
        state.clock[1] = state.clock[0]
    slabs = (slab.room(state.sources, 128), slab.room(state.pairs, 128), slab.room(state.places, 128))
    return Network(*slabs, bloom.room(now), before, state.clock)


@part
def _stop(state: Network) -> bool:
    return (
        slab.crowded(state.sources, 8)
        or slab.crowded(state.pairs, 8)
        or slab.crowded(state.places, 8)
        or bloom.crowded(state.now)
        or state.clock[0] - state.clock[1] > bloom.GENERATION
    )


@part
def _count_place(state: Network, key: np.uint64, t: np.int64, amount: float) -> int:
    """Count a port or destination; one that only the filter remembers is marked, because its count is lost."""
    is_new = slab.find(state.places, key) < 0
    slot = slab.slot_of(state.places, key, t)
    if is_new:
        state.places.num[slot, _FIRST] = t
        state.places.num[slot, _FORGOTTEN] = 1.0 if bloom.seen(state.now, state.before, combine(_KNOWN_PLACE, key)) else 0.0
    state.places.num[slot, _TIMES] += amount
    return slot


@part
def _rarity(state: Network, slot: int, total: int) -> float:
    if state.places.num[slot, _FORGOTTEN] != 0.0:
        return 0.0
    return max(0.0, bits(state.places.num[slot, _TIMES], state.places.num[total, _TIMES]))


@part
def _port_rarity(state: Network, e: Flows, i: int, t: np.int64) -> float:
    """Rarity of the destination port among connections that were let through, in bits; learnt only from those."""
    side = np.uint64(e.inside[i] & 1)
    learnt = 1.0 if e.action[i] == ALLOWED else 0.0
    total = _count_place(state, combine(_ALL_PORTS, side), t, learnt)
    slot = _count_place(state, combine(combine(_ALL_PORTS, side), np.uint64(e.port[i] + 2)), t, learnt)
    return _rarity(state, slot, total)


@part
def _source(state: Network, e: Flows, i: int, port_rarity: float, new_talk: float, x: NDArray[np.float64]) -> None:
    """The source's counters after event i, into x (16)."""
    s, t = state.sources, e.time[i]
    slot = slab.slot_of(s, e.source[i], t)
    seconds = elapsed(s, slot, t)
    denied = 1.0 if e.action[i] == DENIED else 0.0
    flow = 1.0 if e.action[i] == ALLOWED else 0.0
    sent = float(max(0, e.sent[i])) if e.inside[i] == 1 else 0.0
    minute, ten, hour, day = fading(seconds, MINUTE), fading(seconds, TEN), fading(seconds, HOUR), fading(seconds, DAY)
    x[0] = decayed(s, slot, _DENIES, seconds, minute, denied)
    x[1] = decayed(s, slot, _DENIES + 1, seconds, ten, denied)
    x[2] = decayed(s, slot, _DENIES + 2, seconds, hour, denied)
    x[3] = decayed(s, slot, _DENIES + 3, seconds, day, denied)
    x[4] = decayed(s, slot, _FLOWS, seconds, minute, flow)
    x[5] = decayed(s, slot, _FLOWS + 1, seconds, hour, flow)
    port = combine(np.uint64(e.port[i]), _ALL_PORTS) if e.port[i] >= 0 else np.uint64(0)
    x[6] = distinct(s, slot, _PORTS, _S0, t, TEN, port)
    x[7] = distinct(s, slot, _PORTS + DISTINCT, _S1, t, HOUR, port)
    x[8] = distinct(s, slot, _PORTS + 2 * DISTINCT, _S2, t, DAY, port)
    x[9] = distinct(s, slot, _HOSTS, _S3, t, TEN, e.destination[i])
    x[10] = distinct(s, slot, _HOSTS + DISTINCT, _S4, t, HOUR, e.destination[i])
    x[11] = distinct(s, slot, _HOSTS + 2 * DISTINCT, _S5, t, DAY, e.destination[i])
    x[12] = decayed(s, slot, _PORT_RARITY, seconds, hour, max(0.0, port_rarity - 6.0))
    x[13] = decayed(s, slot, _BYTES, seconds, hour, sent)
    x[14] = decayed(s, slot, _BYTES + 1, seconds, day, sent)
    x[15] = decayed(s, slot, _INTERNAL, seconds, hour, new_talk if e.inside[i] == 3 else 0.0)


@part
def _destination(state: Network, e: Flows, i: int, new_talk: bool, new_source: bool) -> tuple[float, float]:
    """Rarity of the destination among the tenant's sources, and how new it is against three days or the shard's own age; both in bits."""
    t = e.time[i]
    total = _count_place(state, _ALL_SOURCES, t, 1.0 if new_source else 0.0)
    slot = _count_place(state, combine(_ALL_SOURCES, e.destination[i]), t, 1.0 if new_talk else 0.0)
    if state.places.num[slot, _FORGOTTEN] != 0.0:
        return 0.0, 0.0
    age = max(0.0, (t - state.places.num[slot, _FIRST]) / SECOND / HOUR)
    watched = min(_NOVEL, max(0.0, (state.clock[0] - state.clock[2]) / SECOND / HOUR))
    return _rarity(state, slot, total), mature(state.clock) * max(0.0, math.log2((1.0 + watched) / (1.0 + age)))


@part
def _pair(
    state: Network, e: Flows, i: int, key: np.uint64, target: tuple[float, float],
    scratch: NDArray[np.float64], x: NDArray[np.float64],
) -> bool:  # fmt: skip
    """The pair's counters after event i, into x (3); False while it has too few flows to say anything."""
    p, t = state.pairs, e.time[i]
    slot = slab.slot_of(p, key, t)
    seconds = elapsed(p, slot, t)
    p.num[slot, _COUNT] += 1.0
    if seconds >= 1.0:  # parallel connections of one moment are one visit
        push(p.num[slot], _GAPS, seconds)
    if e.sent[i] >= 0:
        push(p.num[slot], _SIZES, float(e.sent[i]))
    if p.num[slot, _COUNT] < MIN_FLOWS:
        return False
    rarity, novelty = target
    regular = regularity(p.num[slot], _GAPS, scratch) * (1.0 + symmetry(p.num[slot], _GAPS, scratch)) / 2.0
    # Regular gaps, rare and new destinations: each alone is everyday, and as features of their own they only raised honest
    # machines. Together they are not. Divided so that 8 bits of the one leave the other as it is.
    x[0] = regular * rarity / 8.0
    x[1] = regular * novelty / 8.0
    x[2] = x[0] * regularity(p.num[slot], _SIZES, scratch) / 8.0
    return True


@part
def _lent(s: Network) -> Network:
    return Network(slab.lent(s.sources), slab.lent(s.pairs), slab.lent(s.places), bloom.lent(s.now), bloom.lent(s.before), borrow(s.clock))


@part
def _lent_flows(e: Flows) -> Flows:
    return Flows(
        borrow(e.time), borrow(e.source), borrow(e.destination), borrow(e.port), borrow(e.action), borrow(e.sent), borrow(e.inside)
    )  # fmt: skip


@kernel
def advance(
    state: Network, e: Flows, first: int, x_source: NDArray[np.float64], x_pair: NDArray[np.float64],
    pair_row: NDArray[np.int64], pairs: int,
) -> tuple[int, int]:  # fmt: skip
    """Events from `first` on, until all are done or the memory needs `roomy`.

    Fills x_source (n, 16), and x_pair (n, 3), pair_row from row `pairs` on; returns (next event, pair rows so far).
    """
    scratch = np.empty(RING)
    state, e = _lent(state), _lent_flows(e)
    x_source, x_pair, pair_row = borrow(x_source), borrow(x_pair), borrow(pair_row)
    for i in range(first, len(e.time)):
        if _stop(state):
            return i, pairs
        t = e.time[i]
        if state.clock[2] == 0:
            state.clock[:] = t
        state.clock[0] = max(state.clock[0], t)
        talk = combine(e.source[i], e.destination[i])
        new_source = not bloom.seen(state.now, state.before, combine(_KNOWN_SOURCE, e.source[i]))
        new_talk = not bloom.seen(state.now, state.before, combine(_KNOWN_TALK, talk))
        port_rarity = _port_rarity(state, e, i, t)
        _source(state, e, i, port_rarity, mature(state.clock) if new_talk else 0.0, x_source[i])
        if e.inside[i] == 1 and e.action[i] == ALLOWED and e.destination[i] != 0:
            target = _destination(state, e, i, new_talk, new_source)
            key = combine(talk, np.uint64(e.port[i] + 2))
            pair_row[pairs] = i
            if _pair(state, e, i, key, target, scratch, x_pair[pairs]):
                pairs += 1
    return len(e.time), pairs
