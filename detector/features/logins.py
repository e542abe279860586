"""Successful logins: how usual they are for the role group and the tenant, never for the person.

What is remembered of an account lasts one token epoch (a day): the networks, hosts and hours of that day. Habits are counts of
role groups and of the tenant. `seen` asks the filters of `person_memory = "first-seen"`; without such keys it stays 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.features import bloom, slab
from detector.features.authentication import CLOCK, RULE_FAILURES, Attempts, Logins
from detector.features.bloom import Bloom
from detector.features.counters import DISTINCT, HOUR, SECOND, TEN, bits, decayed, distinct, elapsed, fading, mature
from detector.features.hashing import combine
from detector.features.jit import part, word
from detector.features.slab import FIRST, Slab

USER_FEATURES = 15
_LOGINS, _HOSTS_SUM, _FAILED, _NETWORKS, _INSIDE, _OUTSIDE, _HOUR_MASK, _DAY_COUNTED, _HOSTS = (word(CLOCK + i) for i in range(1, 10))
_S0 = word(0)
USER_NUMBERS, USER_SKETCHES = int(_HOSTS) + DISTINCT - CLOCK, 2
_NETWORK_LIST = FIRST + USER_NUMBERS + slab.SKETCH  # the second sketch is used as a plain list of network identities
_MAX_NETWORKS = 12
_COUNT, _FORGOTTEN = CLOCK, CLOCK + 1
HABIT_NUMBERS = 2
_Q_NETWORK, _Q_HOUR, _Q_METHOD, _Q_HOST, _Q_PAIR, _Q_NETWORK_DAY, _KNOWN_HABIT = (np.uint64(0x5EED20 + i) for i in range(7))
_TENANT = np.uint64(0x7E7A7)
_TOGETHER = 8.0  # hours: an inside and an outside login further apart are no contradiction
_KNOWN_DAYS = 3


class Habits(NamedTuple):
    """The part of `Logins` that knows what is usual: fewer arrays to hand on, which numba compiles faster."""

    habits: Slab
    now: Bloom
    before: Bloom
    clock: NDArray[np.int64]


@part
def habits_of(state: Logins) -> Habits:
    return Habits(state.habits, state.now, state.before, state.clock)


@part
def _habit(h: Slab, key: np.uint64) -> float:
    """How often; -1 where the count was evicted but the filter remembers."""
    slot = slab.find(h, key)
    if slot < 0:
        return 0.0
    return -1.0 if h.num[slot, _FORGOTTEN] != 0.0 else h.num[slot, _COUNT]


@part
def _learn(m: Habits, key: np.uint64, t: np.int64) -> None:
    is_new = slab.find(m.habits, key) < 0
    slot = slab.slot_of(m.habits, key, t)
    if is_new and bloom.seen(m.now, m.before, combine(_KNOWN_HABIT, key)):
        m.habits.num[slot, _FORGOTTEN] = 1.0
    m.habits.num[slot, _COUNT] += 1.0


@part
def _question(about: np.uint64, group: np.uint64, value: np.uint64) -> np.uint64:
    return combine(combine(about, group), value)


@part
def _tenant_share(m: Habits, about: np.uint64, value: np.uint64) -> float:
    count = _habit(m.habits, _question(about, _TENANT, value))
    total = _habit(m.habits, _question(about, _TENANT, np.uint64(0)))
    return (abs(count) + 0.5) / (max(count, abs(total)) + 1.0)


@part
def _group_rarity(m: Habits, about: np.uint64, group: np.uint64, value: np.uint64) -> float:
    """-log2 of the value's share in the role group, drawn towards the tenant's share while the group is little known."""
    count = _habit(m.habits, _question(about, group, value))
    total = _habit(m.habits, _question(about, group, np.uint64(0)))
    if value == 0 or count < 0.0 or total < 0.0:
        return 0.0
    return mature(m.clock) * max(0.0, -math.log2((count + 4.0 * _tenant_share(m, about, value)) / (total + 4.0)))


@part
def network_novelty(m: Habits, network: np.uint64) -> float:
    """Rarity of successful logins from this network for the tenant, in bits, fading as the network becomes known."""
    count = _habit(m.habits, _question(_Q_NETWORK, _TENANT, network))
    total = _habit(m.habits, _question(_Q_NETWORK, _TENANT, np.uint64(0)))
    if network == 0 or count < 0.0 or total < 0.0:
        return 0.0
    return mature(m.clock) * max(0.0, bits(count, total)) * 10.0 / (10.0 + count)


@part
def _hour_count(h: Slab, about: np.uint64, hour: int) -> float:
    base = hour - hour % 24
    count = 0.0
    for shift, weight in ((23, 0.25), (0, 0.5), (1, 0.25)):
        count += weight * max(0.0, _habit(h, combine(about, np.uint64(1 + base + (hour % 24 + shift) % 24))))
    return count


@part
def _hour_rarity(m: Habits, group: np.uint64, place: np.uint64, hour: int) -> float:
    """-log2 of 8 times the hour's share in the group and kind of network: an hour of a plain working day has none."""
    h = m.habits
    mine, everyone = _question(_Q_HOUR, group, place + np.uint64(1)), _question(_Q_HOUR, _TENANT, place + np.uint64(1))
    all_mine, all_everyone = max(0.0, _habit(h, mine)), max(0.0, _habit(h, everyone))
    share = (_hour_count(h, everyone, hour) + 0.5) / (all_everyone + 48.0)
    # 48 bins of 1/48 are what nothing known gives; 8 of 24 working hours are usual.
    known = 8.0 * (_hour_count(h, mine, hour) + 20.0 * share) / (all_mine + 20.0)
    return mature(m.clock) * max(0.0, -math.log2(known)) * all_everyone / (all_everyone + 48.0)


@part
def _learn_hour(m: Habits, e: Attempts, i: int) -> None:
    for group in (e.group[i], _TENANT):
        about = _question(_Q_HOUR, group, e.place[i] + np.uint64(1))
        _learn(m, about, e.time[i])
        _learn(m, combine(about, np.uint64(1 + e.hour[i])), e.time[i])


@part
def _network_pair(m: Habits, u: Slab, slot: int, network: np.uint64) -> float:
    """The rarest change from one of today's earlier networks to this one among the tenant's account-days, in bits."""
    h, worst = m.habits, 0.0
    if network == 0:
        return 0.0
    share = _tenant_share(m, _Q_NETWORK_DAY, network)
    for j in range(np.int64(u.num[slot, _NETWORKS])):
        earlier = u.word[slot, _NETWORK_LIST + j]
        if earlier == network:
            continue
        both = abs(_habit(h, _question(_Q_PAIR, earlier, network)))
        if both <= 3.0:
            alone = abs(_habit(h, _question(_Q_NETWORK_DAY, _TENANT, earlier)))
            worst = max(worst, -math.log2((both + 10.0 * share) / (alone + 10.0)))
    return mature(m.clock) * worst


@part
def _note_network(m: Habits, u: Slab, slot: int, network: np.uint64, t: np.int64) -> None:
    """Today's list of networks; pairs and days are counted once per account and day."""
    n = np.int64(u.num[slot, _NETWORKS])
    for j in range(n):
        if u.word[slot, _NETWORK_LIST + j] == network:
            return
    if network == 0 or n >= _MAX_NETWORKS:
        return
    _learn(m, _question(_Q_NETWORK_DAY, _TENANT, network), t)
    _learn(m, _question(_Q_NETWORK_DAY, _TENANT, np.uint64(0)), t)
    for j in range(n):
        _learn(m, _question(_Q_PAIR, u.word[slot, _NETWORK_LIST + j], network), t)
    u.word[slot, _NETWORK_LIST + n] = network
    u.num[slot, _NETWORKS] = n + 1


@part
def _two_places(u: Slab, slot: int, inside: bool, t: np.int64) -> float:
    """log2 of 8 hours over the gap to this day's last login on the other side, 0..10 bits."""
    other = u.num[slot, _OUTSIDE] if inside else u.num[slot, _INSIDE]
    u.num[slot, _INSIDE if inside else _OUTSIDE] = t
    if other == 0.0:
        return 0.0
    gap = max(abs(t - other) / SECOND / HOUR, 1e-3)
    return min(10.0, max(0.0, math.log2(_TOGETHER / gap)))


@part
def _first_seen(m: Habits, e: Attempts, i: int, u: Slab, slot: int) -> float:
    """How many of provider, region and time of day are new to an account known on three days; the filters alone answer."""
    account = e.seen[i, 0]
    if account == 0:
        return 0.0
    days = 0
    while days < _KNOWN_DAYS and bloom.known(m.now, m.before, combine(account, np.uint64(days + 1))):
        days += 1
    if u.num[slot, _DAY_COUNTED] == 0.0:
        u.num[slot, _DAY_COUNTED] = 1.0
        for day in range(min(days + 1, _KNOWN_DAYS)):  # all of them anew, so that none is forgotten before the others
            bloom.seen(m.now, m.before, combine(account, np.uint64(day + 1)))
    new = 0.0
    for j in range(1, 4):
        if e.seen[i, j] != 0 and not bloom.seen(m.now, m.before, e.seen[i, j]):
            new += 1.0
    return new if days >= _KNOWN_DAYS else 0.0


@part
def fail(state: Logins, e: Attempts, i: int, failed: float) -> None:
    """Failures on an account, remembered for its day."""
    u = state.users
    slot = slab.slot_of(u, combine(e.user[i], np.uint64(e.epoch[i])), e.time[i])
    seconds = elapsed(u, slot, e.time[i])
    _fade(u, slot, seconds, failed, 0.0)


@part
def _fade(u: Slab, slot: int, seconds: float, failed: float, logins: float) -> None:
    hour = fading(seconds, HOUR)
    decayed(u, slot, _LOGINS, seconds, fading(seconds, TEN), logins)
    decayed(u, slot, _HOSTS_SUM, seconds, hour, 0.0)
    decayed(u, slot, _FAILED, seconds, hour, failed)


@part
def login(state: Logins, e: Attempts, i: int, source_failures: float, x: NDArray[np.float64]) -> None:
    """One successful login, into x (15). The habits learn from it unless its source had just failed often."""
    u, t, group = state.users, e.time[i], e.group[i]
    m = habits_of(state)
    slot = slab.slot_of(u, combine(e.user[i], np.uint64(e.epoch[i])), t)
    seconds = elapsed(u, slot, t)
    _fade(u, slot, seconds, 0.0, 1.0)
    known_host = distinct(u, slot, _HOSTS, _S0, t, HOUR, np.uint64(0))
    hosts = distinct(u, slot, _HOSTS, _S0, t, HOUR, e.host[i])
    host_rarity = _group_rarity(m, _Q_HOST, group, e.host[i])
    if hosts > known_host:
        u.num[slot, _HOSTS_SUM] += max(0.0, host_rarity - 7.0)
    x[0] = _hour_rarity(m, group, e.place[i], e.hour[i])
    x[1] = network_novelty(m, e.network[i])
    x[2] = _group_rarity(m, _Q_NETWORK, group, e.network[i])
    x[3] = _group_rarity(m, _Q_METHOD, group, e.method[i])
    x[4] = _network_pair(m, u, slot, e.network[i])
    x[6] = _two_places(u, slot, e.inside[i] & 1 == 1, t) if e.network[i] != 0 else 0.0
    x[7] = u.num[slot, _HOSTS_SUM] if hosts >= 4.0 else 0.0
    x[8] = hosts
    x[9] = host_rarity
    x[10] = 0.0 if e.by_key[i] == 1 else source_failures
    x[11] = u.num[slot, _FAILED]
    x[12] = u.num[slot, _LOGINS]
    x[13] = x[0] + x[1] + x[3] + x[9]
    x[14] = _first_seen(m, e, i, u, slot)
    if source_failures < RULE_FAILURES:
        _learn_login(m, e, i, u, slot)
    x[5] = u.num[slot, _NETWORKS]


@part
def _learn_login(m: Habits, e: Attempts, i: int, u: Slab, slot: int) -> None:
    t, group = e.time[i], e.group[i]
    _note_network(m, u, slot, e.network[i], t)
    hour = np.int64(1) << (e.hour[i] % 24)
    if np.int64(u.num[slot, _HOUR_MASK]) & hour == 0:  # an account counts once per hour and day, however often it logs in
        u.num[slot, _HOUR_MASK] = np.int64(u.num[slot, _HOUR_MASK]) | hour
        _learn_hour(m, e, i)
    for about, value in ((_Q_NETWORK, e.network[i]), (_Q_METHOD, e.method[i]), (_Q_HOST, e.host[i])):
        if value == 0:  # absent: neither usual nor unusual (and 0 is the total's name)
            continue
        for whom in (group, _TENANT):
            _learn(m, _question(about, whom, value), t)
            _learn(m, _question(about, whom, np.uint64(0)), t)
