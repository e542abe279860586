"""What is remembered of a shard's traffic, and what the kernel reads of network events."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features import bloom, slab
from detector.features.bloom import Bloom
from detector.features.calendar import HOURS, Calendar
from detector.features.columns import DESTINATION_INSIDE, SOURCE_INSIDE, sides
from detector.features.counters import DISTINCT
from detector.features.hashing import address_ids, network_ids, text_ids, words
from detector.features.jit import borrow, once, word
from detector.features.regularity import RING
from detector.features.slab import Slab

ALLOWED, DENIED = 1, 2
ACTIONS = {"allowed": ALLOWED, "denied": DENIED, "dropped": DENIED, "blocked": DENIED, "rejected": DENIED, "reset": DENIED}
FROM_INSIDE, TO_INSIDE, TO_ADMIN = SOURCE_INSIDE, DESTINATION_INSIDE, 4  # bits of `Flows.where`
OUTBOUND, INTERNAL = FROM_INSIDE, FROM_INSIDE | TO_INSIDE
ADMIN_PORTS = (22, 23, 135, 139, 445, 3389, 5900, 5985, 5986)  # remote shells, desktops, file shares and their services
OUTSIDE = np.uint64(0xA2)  # the peers of all who come from outside
_UNLISTED = np.uint64(0xA3)  # the peers of those inside whose network is not configured
_NO_SOURCE = np.uint64(0xA1)  # events without a source address share one entity, so that none goes unscored

CLOCK = slab.FIRST  # the first number of every row below but a place's
# Numbers of a source.
DENIES, FLOWS, PORT_RARITY, BYTES, RECEIVED, PEERS_NEW, NEWS, TICK, BORN = (word(CLOCK + i) for i in (1, 5, 8, 9, 12, 13, 14, 18, 19))
PORTS = word(CLOCK + 20)
HOSTS, REACHED, REFUSED = word(PORTS + 3 * DISTINCT), word(PORTS + 6 * DISTINCT), word(PORTS + 7 * DISTINCT)
_SOURCE_NUMBERS, _SOURCE_SKETCHES = 20 + 8 * DISTINCT, 8
# Numbers of a pair: a ring is a count and its values; then the hours in which it talked (24 bits) and the last of them.
COUNT, GAPS = (word(CLOCK + i) for i in range(1, 3))
SIZES = word(GAPS + RING + 1)
HOURS_MASK, LAST_HOUR, SENT, GOT = (word(SIZES + RING + 1 + i) for i in range(4))
_PAIR_NUMBERS = 2 + 2 * (RING + 1) + 4
# Numbers of a place (a port, service or destination): first seen (µs), count, whether only the filter remembered it.
SEEN_FIRST, TIMES, FORGOTTEN = range(CLOCK, CLOCK + 3)
# Numbers of a group of peers: what they sent outside and how many inside hosts they reached (24 h), members since the start,
# distinct members of a day, and in which hour of the week how many were active.
GROUP_BYTES, GROUP_REACHED, MEMBERS, ACTIVE = (word(CLOCK + i) for i in range(1, 5))
ALL_HOURS = word(ACTIVE + DISTINCT)
HOUR_COUNTS = word(ALL_HOURS + 1)
_GROUP_NUMBERS = 5 + DISTINCT + HOURS
# Numbers of a network as newcomers come from it: their usual rate, distinct ones within ten minutes.
USUAL_NEW, ARRIVED = (word(CLOCK + i) for i in range(1, 3))
_NETWORK_NUMBERS = 2 + DISTINCT
# Of the whole shard: how often a port was counted (from outside, from inside), and sources.
PORT_TOTAL, SOURCE_TOTAL = 0, 2


class Network(NamedTuple):
    """What is remembered of a shard's traffic."""

    sources: Slab
    pairs: Slab
    places: Slab
    groups: Slab
    networks: Slab
    now: Bloom
    before: Bloom
    tally: NDArray[np.float64]
    clock: NDArray[np.int64]  # latest event time, start of the filters' generation, first event time; µs


class Flows(NamedTuple):
    """n network events as columns for the kernel; addresses and texts as identities."""

    time: NDArray[np.int64]
    source: NDArray[np.uint64]
    destination: NDArray[np.uint64]
    port: NDArray[np.int32]
    action: NDArray[np.uint8]
    sent: NDArray[np.int64]
    received: NDArray[np.int64]
    where: NDArray[np.uint8]  # bits: the source is inside, the destination is, and the port is one for administration
    group: NDArray[np.uint64]  # the source's peers: its configured network, else inside or outside
    network: NDArray[np.uint64]  # where newcomers are counted: the same inside, outside the /16 or /32
    hour: NDArray[np.int64]  # of the week, see calendar
    tick: NDArray[np.int64]  # hours since 1970 on the local clock


def fresh(limit: int) -> Network:
    """Nothing seen yet. Of `limit` entities at most half are sources and half are pairs; places are as many as pairs."""
    half = max(limit // 2, 1)
    return Network(
        sources=slab.fresh(_SOURCE_NUMBERS, _SOURCE_SKETCHES, half),
        pairs=slab.fresh(_PAIR_NUMBERS, 0, half),
        places=slab.fresh(3, 0, half),
        groups=slab.fresh(_GROUP_NUMBERS, 1, min(half, 1024)),
        networks=slab.fresh(_NETWORK_NUMBERS, 1, max(limit // 16, 1)),
        now=bloom.fresh(),
        before=bloom.fresh(),
        tally=np.zeros(4),
        clock=np.zeros(3, np.int64),
    )


def flows(events: pl.DataFrame, time: NDArray[np.int64], calendar: Calendar) -> Flows:
    """The columns of network events; `time` is the event time in µs, limited by the caller."""
    source, port = address_ids(events, "source.ip"), ecs.numbers(events, "destination.port")
    side, listed = sides(events), text_ids(events, "source.network")
    group = np.where(listed != 0, listed, np.where((side & FROM_INSIDE) != 0, _UNLISTED, OUTSIDE))
    outer = network_ids(events, "source.ip")
    hour, tick = calendar.hours(time)
    return Flows(
        time, np.where(source == 0, _NO_SOURCE, source), address_ids(events, "destination.ip"), port.astype(np.int32, copy=False),
        words(events, "event.action", ACTIONS), _bytes(events, "source.bytes"), _bytes(events, "destination.bytes"),
        side | np.where(np.isin(port, ADMIN_PORTS), TO_ADMIN, 0).astype(np.uint8), group,
        np.where((group == OUTSIDE) & (outer != 0), outer, group), hour, tick,
    )  # fmt: skip


def _bytes(events: pl.DataFrame, name: str) -> NDArray[np.int64]:
    return ecs.numbers(events, name).astype(np.int64, copy=False)


def roomy(state: Network) -> Network:
    """The same memory with room for more; the filters turn when their generation is over."""
    now, before = state.now, state.before
    if state.clock[0] - state.clock[1] > bloom.GENERATION:
        now, before = bloom.fresh(), now
        state.clock[1] = state.clock[0]
    return Network(
        slab.room(state.sources, 128), slab.room(state.pairs, 128), slab.room(state.places, 128), slab.room(state.groups, 128),
        slab.room(state.networks, 128), bloom.room(now), before, state.tally, state.clock,
    )  # fmt: skip


@once
def full(state: Network) -> bool:
    """Whether one more event might not fit, or the filters must turn: then `roomy` is due."""
    return (
        slab.crowded(state.sources, 8)
        or slab.crowded(state.pairs, 8)
        or slab.crowded(state.places, 8)
        or slab.crowded(state.groups, 8)
        or slab.crowded(state.networks, 8)
        or bloom.crowded(state.now)
        or state.clock[0] - state.clock[1] > bloom.GENERATION
    )


@once
def lent(s: Network) -> Network:
    """The memory for use inside one kernel call, see `jit.borrow`."""
    return Network(
        slab.lent(s.sources), slab.lent(s.pairs), slab.lent(s.places), slab.lent(s.groups), slab.lent(s.networks),
        bloom.lent(s.now), bloom.lent(s.before), borrow(s.tally), borrow(s.clock),
    )  # fmt: skip


@once
def lent_flows(e: Flows) -> Flows:
    """Likewise the events."""
    return Flows(
        borrow(e.time), borrow(e.source), borrow(e.destination), borrow(e.port), borrow(e.action), borrow(e.sent), borrow(e.received),
        borrow(e.where), borrow(e.group), borrow(e.network), borrow(e.hour), borrow(e.tick),
    )  # fmt: skip
