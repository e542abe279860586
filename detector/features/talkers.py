"""The vector of a source: what it does by itself, against its own past, against its peers, and what it does for the first time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detector.features import bloom, slab
from detector.features.counters import (
    BASE,
    BEFORE,
    DAY,
    DISTINCT,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    TEN,
    decayed,
    distinct,
    elapsed,
    fading,
    growth,
    mature,
)
from detector.features.hashing import combine
from detector.features.jit import once, piece, word
from detector.features.network import (
    ACTIVE,
    ALLOWED,
    BORN,
    BYTES,
    DENIED,
    DENIES,
    FLOWS,
    FROM_INSIDE,
    GROUP_BYTES,
    GROUP_REACHED,
    INTERNAL,
    MEMBERS,
    NEWS,
    OUTBOUND,
    PEERS_NEW,
    PORT_RARITY,
    PORT_TOTAL,
    PORTS,
    REACHED,
    RECEIVED,
    TICK,
    TO_ADMIN,
    TO_INSIDE,
    Flows,
    Network,
)
from detector.features.newcomers import NEW, remember
from detector.features.peers import hour_rarity, note_active, novelty, place, rarity

SOURCE_FEATURES = 31
FLOODED = 28  # the one feature of a flood
_MEGABYTE = 1e6
_SETTLED = 8.0  # hours after which a source's first times count in full: everything is new to a newcomer
_ALL_PORTS, _SERVICE, _TENANT = np.uint64(0x5EED3), np.uint64(0x5EED6), np.uint64(0x5EED7)
_S = word(0)


@piece
def _windows(s: slab.Slab, slot: int, e: Flows, i: int, x: NDArray[np.float64]) -> None:
    """Distinct ports and hosts of 10 minutes, an hour, a day, then inside hosts and refused targets of a day, into x[6:14]."""
    port = combine(np.uint64(e.port[i]), _ALL_PORTS) if e.port[i] >= 0 else np.uint64(0)
    inside = e.destination[i] if e.where[i] & TO_INSIDE != 0 else np.uint64(0)
    refused = combine(e.destination[i], np.uint64(e.port[i] + 2)) if e.action[i] == DENIED else np.uint64(0)
    for k in range(8):
        window = TEN if k == 0 or k == 3 else HOUR if k == 1 or k == 4 else DAY
        key = port if k < 3 else e.destination[i] if k < 6 else inside if k == 6 else refused
        x[6 + k] = distinct(s, slot, PORTS + k * DISTINCT, _S + k, e.time[i], window, key)


@piece
def _counters(s: slab.Slab, slot: int, e: Flows, i: int, seconds: float, port_rarity: float, x: NDArray[np.float64]) -> None:
    """Decayed sums of what the source did into x[0:6], x[14:17], x[18], x[22], x[30]."""
    denied, flow = 1.0 if e.action[i] == DENIED else 0.0, 1.0 if e.action[i] == ALLOWED else 0.0
    where = e.where[i] & INTERNAL
    sent = float(max(0, e.sent[i])) if where == OUTBOUND else 0.0
    got = float(max(0, e.received[i])) if where == OUTBOUND else 0.0
    minute, ten, hour, day = fading(seconds, MINUTE), fading(seconds, TEN), fading(seconds, HOUR), fading(seconds, DAY)
    x[0] = decayed(s, slot, DENIES, seconds, minute, denied)
    x[1] = decayed(s, slot, DENIES + 1, seconds, ten, denied)
    x[2] = decayed(s, slot, DENIES + 2, seconds, hour, denied)
    x[3] = decayed(s, slot, DENIES + 3, seconds, day, denied)
    x[4] = decayed(s, slot, FLOWS, seconds, minute, flow)
    x[5] = decayed(s, slot, FLOWS + 1, seconds, hour, flow)
    x[30] = decayed(s, slot, FLOWS + 2, seconds, day, flow)
    x[14] = decayed(s, slot, PORT_RARITY, seconds, hour, max(0.0, port_rarity - 6.0))
    x[15] = decayed(s, slot, BYTES, seconds, hour, sent)
    x[16] = decayed(s, slot, BYTES + 1, seconds, day, sent)
    received = decayed(s, slot, RECEIVED, seconds, day, got)
    x[18] = x[2] / (x[2] + x[5] + 4.0)
    x[22] = math.log2((x[16] + _MEGABYTE) / (received + _MEGABYTE))


@piece
def _against_others(
    state: Network, slot: int, group: int, e: Flows, i: int, seconds: float, reached: float, x: NDArray[np.float64]
) -> None:
    """The source against its peers and its own past into x[19:22]; it had reached so many inside hosts before this event."""
    s, g, t = state.sources, state.groups, e.time[i]
    sent = float(max(0, e.sent[i])) if e.where[i] & INTERNAL == OUTBOUND else 0.0
    passed = elapsed(g, group, t)
    day = fading(passed, DAY)
    members = max(1.0, float(g.num[group, ACTIVE + NOW]), float(g.num[group, ACTIVE + BEFORE]))
    their_bytes = decayed(g, group, GROUP_BYTES, passed, day, sent) / members
    their_hosts = decayed(g, group, GROUP_REACHED, passed, day, max(0.0, x[12] - reached)) / members
    x[19] = math.log2((x[12] + 4.0) / (their_hosts + 4.0))
    x[20] = math.log2((x[16] + _MEGABYTE) / (their_bytes + _MEGABYTE))
    base = decayed(s, slot, BYTES + 2, seconds, fading(seconds, BASE * HOUR), sent)
    x[21] = growth(x[15], base, max(0.0, (t - s.num[slot, BORN]) / SECOND / HOUR), 1.0, _MEGABYTE)


@piece
def _first_times(state: Network, slot: int, group: int, who: np.uint64, e: Flows, i: int, seconds: float, x: NDArray[np.float64]) -> None:
    """What is unusual among peers and what happens for the first time (to the source, its peers, the tenant) into x[23:28]."""
    s, t = state.sources, e.time[i]
    own = peers = tenant = admin = 0.0
    x[23] = 0.0
    if e.action[i] == ALLOWED and e.where[i] & FROM_INSIDE != 0 and e.port[i] >= 0:
        to = e.destination[i] if e.where[i] & TO_INSIDE != 0 else _SERVICE
        service = combine(to, np.uint64(e.port[i] + 2))
        is_new = not bloom.seen(state.now, state.before, combine(_SERVICE, combine(who, service)))
        usual = place(state, combine(e.group[i], service), t, 1.0 if is_new else 0.0)
        x[23] = rarity(state, usual, float(state.groups.num[group, MEMBERS]))
        if is_new:
            settled = min(1.0, max(0.0, (t - s.num[slot, BORN]) / SECOND / HOUR) / _SETTLED)
            own = settled * mature(state.clock)
            peers = novelty(state, usual, t)
            tenant = novelty(state, place(state, combine(_TENANT, service), t, 1.0), t)
            admin = min(10.0, x[23]) * mature(state.clock) if e.where[i] & (TO_ADMIN | TO_INSIDE) == TO_ADMIN | TO_INSIDE else 0.0
    hour = fading(seconds, HOUR)
    x[24] = decayed(s, slot, NEWS, seconds, hour, own)
    x[25] = decayed(s, slot, NEWS + 1, seconds, hour, peers)
    x[26] = decayed(s, slot, NEWS + 2, seconds, hour, tenant)
    x[27] = decayed(s, slot, NEWS + 3, seconds, hour, admin)


@piece
def _port_rarity(state: Network, e: Flows, i: int) -> float:
    """Rarity of the destination port among connections that were let through, in bits; learnt only from those."""
    side = e.where[i] & FROM_INSIDE
    learnt = 1.0 if e.action[i] == ALLOWED else 0.0
    state.tally[PORT_TOTAL + side] += learnt
    key = combine(combine(_ALL_PORTS, np.uint64(side)), np.uint64(e.port[i] + 2))
    return rarity(state, place(state, key, e.time[i], learnt), state.tally[PORT_TOTAL + side])


@once
def talker(state: Network, e: Flows, i: int, who: np.uint64, kind: int, new_talk: float, x: NDArray[np.float64]) -> None:
    """The source's counters after event i, into x (31)."""
    s, g, t = state.sources, state.groups, e.time[i]
    slot, group = slab.slot_of(s, who, t), slab.slot_of(g, e.group[i], t)
    if s.num[slot, BORN] == 0.0:
        s.num[slot, BORN] = t
    if kind == NEW:
        g.num[group, MEMBERS] += 1.0
    if e.tick[i] > s.num[slot, TICK]:  # once an hour, whatever else happens in it
        s.num[slot, TICK] = e.tick[i]
        remember(state, who)
        note_active(state, group, who, e.hour[i], t)
    seconds = elapsed(s, slot, t)
    _counters(s, slot, e, i, seconds, _port_rarity(state, e, i), x)
    reached = max(float(s.num[slot, REACHED + NOW]), float(s.num[slot, REACHED + BEFORE]))
    _windows(s, slot, e, i, x)
    x[17] = decayed(s, slot, PEERS_NEW, seconds, fading(seconds, HOUR), new_talk)
    _against_others(state, slot, group, e, i, seconds, reached, x)
    _first_times(state, slot, group, who, e, i, seconds, x)
    x[FLOODED] = 0.0
    x[29] = hour_rarity(state, group, e.hour[i])
