"""Successful logins: how usual they are for the role group and the tenant, never for the person.

What is remembered of an account lasts one token epoch (a day): networks, hosts, hours and the last two places of that day.
Habits are counts of account-days of role groups and of the tenant (`habits`). The formulas are those of shared/modes.md, with
one addition: `there_and_back`. `firstseen` asks the filters of `person_memory = "first-seen"`; without such keys it says 0.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detector.features import firstseen, habits, slab
from detector.features.authentication import CLOCK, RULE_FAILURES, Attempts, Logins
from detector.features.counters import DISTINCT, HOUR, SECOND, TEN, decayed, distinct, elapsed, fading
from detector.features.habits import Habits, habits_of
from detector.features.hashing import combine
from detector.features.jit import part, word
from detector.features.slab import FIRST, Slab

USER_FEATURES = 23
# Numbers of an account's day after its clock. A place is (network, time of the last login there, region, abroad).
_LOGINS, _HOSTS_SUM, _FAILED, _NETWORKS, _HOUR_MASK, _COUNTED, _PAIR, _TWO, _MOVED, _BACK, _CHANGE, _ARRIVED = (
    word(CLOCK + i) for i in range(1, 13)
)
_NEW, _HERE, _THERE, _HOSTS = (word(CLOCK + i) for i in (13, 15, 19, 23))
_S0 = word(0)
USER_NUMBERS, USER_SKETCHES = int(_HOSTS) + DISTINCT - CLOCK, 4
_NETWORK_LIST = FIRST + USER_NUMBERS + slab.SKETCH  # the second sketch is a plain list of networks,
_COUNTED_LIST = _NETWORK_LIST + slab.SKETCH  # the other two one of hosts and methods
_MOST = slab.SKETCH
OFFICE, VPN, HOME, MOBILE, RELAY, ABROAD = 1, 2, 3, 4, 6, 7  # kinds of network that mean something here, see authkernel
_TOGETHER, _TRAVEL = 8.0, 12.0  # hours: logins further apart are no contradiction
_RARE = 7.0  # bits: a host that every hundredth account of the group uses is none of the unusual ones
_FEW_HOSTS = 4.0
_NEW_BITS = 3.0  # never seen on at least three days
_INSIDE = np.uint64(0x1451DE)
_ANYWHERE = np.uint64(0xA77)  # an evening in the office is rare there, but no night
_WHENCE = np.uint64(0x0FF1CE)


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
    """One successful login, into x (23). The habits learn from it unless its source had just failed often."""
    u, t = state.users, e.time[i]
    m = habits_of(state)
    slot = slab.slot_of(u, combine(e.user[i], np.uint64(e.epoch[i])), t)
    seconds = elapsed(u, slot, t)
    _fade(u, slot, seconds, 0.0, 1.0)
    network = named(e, i)
    _rarities(m, e, i, network, x)
    _hosts(u, slot, e, i, x)
    x[10] = 0.0 if e.by_key[i] == 1 else source_failures
    x[11] = u.num[slot, _FAILED]
    x[12] = u.num[slot, _LOGINS]
    x[4] = u.num[slot, _PAIR] = max(u.num[slot, _PAIR], _network_pair(m, u, slot, network))
    _movement(m, u, slot, e, i, network)
    x[6], x[14], x[15] = u.num[slot, _TWO], u.num[slot, _MOVED], u.num[slot, _BACK]
    x[21] = u.num[slot, _CHANGE]
    _first_seen(m, u, slot, e, i, x)
    if source_failures < RULE_FAILURES:
        _learn_login(m, e, i, u, slot, network)
    x[5] = u.num[slot, _NETWORKS]


@part
def named(e: Attempts, i: int) -> np.uint64:
    """The network, its kind in the lowest bits; 0 where unknown."""
    if e.network[i] == 0:
        return np.uint64(0)
    name: np.uint64 = (e.network[i] & ~habits.CLASS) | np.uint64(e.whence[i])
    return name


@part
def _hours_of(e: Attempts, i: int) -> np.uint64:
    """The kind of network whose hours count. Who is in the VPN is at home: apart, the few late hours in the VPN would look the oddest."""
    return _WHENCE + np.uint64(HOME if e.whence[i] == VPN else e.whence[i])


@part
def _tenant(e: Attempts, i: int) -> np.uint64:
    """Whose hours and hosts stand in for a little known group: people's, or those of service and machine accounts."""
    return habits.TENANT + np.uint64(e.machine[i])


@part
def _rarities(m: Habits, e: Attempts, i: int, network: np.uint64, x: NDArray[np.float64]) -> None:
    group, tenant = e.group[i], _tenant(e, i)
    hour = e.hour[i] % 24
    x[0] = min(habits.hour_rarity(m, group, tenant, _hours_of(e, i), hour), habits.hour_rarity(m, group, tenant, _ANYWHERE, hour))
    x[1] = habits.tenant_rarity(m, habits.Q_NETWORK, network)
    x[2] = habits.group_rarity(m, habits.Q_NETWORK, group, habits.TENANT, network)
    x[3] = habits.group_rarity(m, habits.Q_METHOD, group, tenant, e.method[i])
    x[9] = habits.group_rarity(m, habits.Q_HOST, group, tenant, e.host[i])
    x[16] = habits.tenant_rarity(m, habits.Q_REGION, e.region[i])
    x[17] = min(x[1], x[16])  # far: the region is rare and the network is new, both
    x[13] = x[0] + x[1] + x[3] + x[9]


@part
def _hosts(u: Slab, slot: int, e: Attempts, i: int, x: NDArray[np.float64]) -> None:
    """Hosts of the last hour, and the sum of max(0, b - 7) over them where they are at least four."""
    before = distinct(u, slot, _HOSTS, _S0, e.time[i], HOUR, np.uint64(0))
    hosts = distinct(u, slot, _HOSTS, _S0, e.time[i], HOUR, e.host[i])
    if hosts > before:
        u.num[slot, _HOSTS_SUM] += max(0.0, x[9] - _RARE)
    x[7] = u.num[slot, _HOSTS_SUM] if hosts >= _FEW_HOSTS else 0.0
    x[8] = hosts


@part
def _network_pair(m: Habits, u: Slab, slot: int, network: np.uint64) -> float:
    """The rarest change from one of today's earlier networks to this one."""
    worst = 0.0
    if network == 0:
        return 0.0
    for j in range(np.int64(u.num[slot, _NETWORKS])):
        if u.word[slot, _NETWORK_LIST + j] == network:
            return 0.0  # the change to it was judged when it was made
    for j in range(np.int64(u.num[slot, _NETWORKS])):
        worst = max(worst, habits.pair_rarity(m, u.word[slot, _NETWORK_LIST + j], network))
    return worst


@part
def _gap_bits(limit: float, since: float, t: np.int64) -> float:
    """log2 of `limit` hours over the gap, 0..10 bits."""
    return min(10.0, max(0.0, math.log2(limit / max(abs(t - since) / SECOND / HOUR, 1e-3))))


@part
def _is_place(whence: int) -> bool:
    """Telephones, the VPN and relays are nowhere."""
    return whence not in (VPN, MOBILE, RELAY)


@part
def _movement(m: Habits, u: Slab, slot: int, e: Attempts, i: int, network: np.uint64) -> None:
    """The day's largest two places, travel, there and back, and change of place, in bits, into the account's row.

    Two places: logins at two of them within 8 hours; not the day's first arrival at the office, which follows a look into the
    mail at home. Travel: the same between two regions, one of them abroad, within 12 hours. There and back: logins at one
    place, another place, and the first again within 12 hours; people go home once a day, whoever shares an account with a
    thief comes back. Change: how rare the tenant's people change between such kinds of places at this hour. All offices are one
    place. Service and machine accounts are wherever their machines are.
    """
    if network == 0 or e.machine[i] == 1 or not _is_place(int(e.whence[i])):
        return
    t, inside = e.time[i], e.whence[i] == OFFICE
    place = _INSIDE if inside else network
    moved = u.word[slot, _HERE] != place
    if moved:
        if u.word[slot, _THERE] == place:
            u.num[slot, _BACK] = max(u.num[slot, _BACK], _gap_bits(_TRAVEL, u.num[slot, _THERE + 1], t))
        for j in range(4):  # the last place becomes the one before
            u.word[slot, _THERE + j] = u.word[slot, _HERE + j]
        u.word[slot, _HERE] = place
        u.word[slot, _HERE + 2] = e.region[i]
        u.num[slot, _HERE + 3] = float(e.whence[i])
    u.num[slot, _HERE + 1] = t
    arrival = inside and u.num[slot, _ARRIVED] == 0.0
    if inside:
        u.num[slot, _ARRIVED] = 1.0
    if u.word[slot, _THERE] == 0:
        return
    since, earlier = u.num[slot, _THERE + 1], int(u.num[slot, _THERE + 3])
    if not arrival:
        u.num[slot, _TWO] = max(u.num[slot, _TWO], _gap_bits(_TOGETHER, since, t))
    if (earlier == ABROAD or e.whence[i] == ABROAD) and u.word[slot, _THERE + 2] != u.word[slot, _HERE + 2]:
        u.num[slot, _MOVED] = max(u.num[slot, _MOVED], _gap_bits(_TRAVEL, since, t))
    if moved:
        u.num[slot, _CHANGE] = max(u.num[slot, _CHANGE], habits.change_rarity(m, earlier, int(e.whence[i]), e.hour[i] % 24))


@part
def _first_seen(m: Habits, u: Slab, slot: int, e: Attempts, i: int, x: NDArray[np.float64]) -> None:
    """How new the day's provider, its region (if abroad) and the time of day are to the account, bits; then the day is noted.

    The rule's form: a new provider alone is no news (31 people of 2,000 have one every day), but together with anything else a
    little odd it is. So `new_and_odd` sums what else is odd about the day, and is 0 while no provider is new.
    """
    account = e.seen[i, 0]
    if account == 0:
        return
    outside = e.whence[i] != OFFICE and e.whence[i] != VPN
    known = firstseen.days(m.now, m.before, account)
    for j in range(1, 4):
        if e.seen[i, j] != 0:
            new = firstseen.novelty(firstseen.days(m.now, m.before, e.seen[i, j]), known)
            firstseen.note(m.now, e.seen[i, j], e.epoch[i])
            if j == 3:
                x[20] = new
            elif outside and (j == 1 or e.whence[i] == ABROAD):
                u.num[slot, _NEW + j - 1] = max(u.num[slot, _NEW + j - 1], new)
    firstseen.note(m.now, account, e.epoch[i])
    x[18], x[19] = u.num[slot, _NEW], u.num[slot, _NEW + 1]
    if x[18] >= _NEW_BITS:
        x[22] = x[0] + 0.5 * x[4] + x[6] + x[15] + x[21]


@part
def _learn_login(m: Habits, e: Attempts, i: int, u: Slab, slot: int, network: np.uint64) -> None:
    """An account counts once per day for each network, hour, host and method, however often it logs in."""
    t, group, tenant = e.time[i], e.group[i], _tenant(e, i)
    if network != 0:
        _note_network(m, u, slot, e, i, network)
    earlier = int(u.num[slot, _THERE + 3])
    if earlier != 0 and u.num[slot, _HERE + 1] == t and _first_today(u, slot, combine(u.word[slot, _THERE], u.word[slot, _HERE])):
        habits.learn_change(m, earlier, int(e.whence[i]), e.hour[i] % 24, t)
    hour = np.int64(1) << (e.hour[i] % 24)
    if np.int64(u.num[slot, _HOUR_MASK]) & hour == 0:
        u.num[slot, _HOUR_MASK] = np.int64(u.num[slot, _HOUR_MASK]) | hour
        for whom in (group, tenant):
            habits.learn_hour(m, whom, _hours_of(e, i), e.hour[i] % 24, t)
            habits.learn_hour(m, whom, _ANYWHERE, e.hour[i] % 24, t)
    for about, value in ((habits.Q_METHOD, e.method[i]), (habits.Q_HOST, e.host[i])):
        if value != 0 and _first_today(u, slot, combine(about, value)):
            for whom in (group, tenant):
                habits.learn_of(m, about, whom, value, t)


@part
def _first_today(u: Slab, slot: int, key: np.uint64) -> bool:
    """Whether the account's day has not counted this yet; after 24 different hosts and methods nothing more is counted."""
    n = np.int64(u.num[slot, _COUNTED])
    for j in range(n):
        if u.word[slot, _COUNTED_LIST + j] == key:
            return False
    if n >= 2 * _MOST:
        return False
    u.word[slot, _COUNTED_LIST + n] = key
    u.num[slot, _COUNTED] = n + 1
    return True


@part
def _note_network(m: Habits, u: Slab, slot: int, e: Attempts, i: int, network: np.uint64) -> None:
    """Today's list of networks, at most 12; pairs, regions and days are counted once per account and day."""
    n = np.int64(u.num[slot, _NETWORKS])
    for j in range(n):
        if u.word[slot, _NETWORK_LIST + j] == network:
            return
    if n >= _MOST:
        return
    t = e.time[i]
    habits.learn_network(m, network, t)
    habits.learn_of(m, habits.Q_NETWORK, e.group[i], network, t)
    if e.region[i] != 0:
        habits.learn_of(m, habits.Q_REGION, habits.TENANT, e.region[i], t)
    for j in range(n):
        habits.learn_pair(m, u.word[slot, _NETWORK_LIST + j], network, t)
    u.word[slot, _NETWORK_LIST + n] = network
    u.num[slot, _NETWORKS] = n + 1
