"""What is usual for a role group and the tenant: counts of account-days, never of a person.

All rarities are in bits, -log2 of a share; formulas of shared/modes.md. T is the tenant's, G a role group's count. The counts
halve in 15 days (instead of two generations: nothing jumps). What nobody repeats for 15 days leaves the slab; the filter
remembers that it was there (`_FORGOTTEN`), so that eviction never makes it new.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.features import bloom, slab
from detector.features.authentication import CLOCK, Logins
from detector.features.bloom import Bloom
from detector.features.counters import DAY, SECOND, decayed, elapsed, fading, mature
from detector.features.hashing import combine
from detector.features.jit import part, word
from detector.features.slab import Slab

_COUNT, _FORGOTTEN, _RECALLED = (word(CLOCK + i) for i in (1, 2, 3))  # after the clock
HABIT_NUMBERS = 4
_HALF_LIFE = 15 * DAY  # seconds
_KEPT = 12 * DAY * SECOND  # µs that a habit outlives other idle rows
Q_NETWORK, Q_HOUR, Q_METHOD, Q_HOST, Q_PAIR, Q_CLASS, Q_CLASSES, Q_REGION, Q_CHANGE, _KNOWN = (np.uint64(0x5EED20 + i) for i in range(10))
TENANT = np.uint64(0x7E7A7)
CLASS = np.uint64(7)  # the lowest bits of a network's name: its kind


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
def question(about: np.uint64, group: np.uint64, value: np.uint64) -> np.uint64:
    """The name of a count; value 0 names the total."""
    return combine(combine(about, group), value)


@part
def count(m: Habits, key: np.uint64) -> float:
    """How often, by now; -1 where the count was evicted but the filter remembers."""
    slot = slab.find(m.habits, key)
    if slot < 0:
        return -1.0 if bloom.known(m.now, m.before, combine(_KNOWN, key)) else 0.0
    if m.habits.num[slot, _FORGOTTEN] != 0.0:
        return -1.0
    idle = max(0.0, float(m.clock[0]) - m.habits.num[slot, CLOCK]) / SECOND
    return float(m.habits.num[slot, _COUNT] * fading(idle, _HALF_LIFE))


@part
def learn(m: Habits, key: np.uint64, t: np.int64) -> None:
    is_new = slab.find(m.habits, key) < 0
    slot = slab.slot_of(m.habits, key, t)
    m.habits.num[slot, slab.USED] = max(m.habits.num[slot, slab.USED], float(t) + _KEPT)
    if m.habits.num[slot, _RECALLED] != m.clock[1] or is_new:  # each generation of the filter is told once
        m.habits.num[slot, _RECALLED] = m.clock[1]
        if bloom.seen(m.now, m.before, combine(_KNOWN, key)) and is_new:
            m.habits.num[slot, _FORGOTTEN] = 1.0
    seconds = elapsed(m.habits, slot, t)
    decayed(m.habits, slot, _COUNT, seconds, fading(seconds, _HALF_LIFE), 1.0)


@part
def learn_of(m: Habits, about: np.uint64, group: np.uint64, value: np.uint64, t: np.int64) -> None:
    """One more of a group's or the tenant's account-days with this value, and of all its account-days."""
    learn(m, question(about, group, value), t)
    learn(m, question(about, group, np.uint64(0)), t)


@part
def group_rarity(m: Habits, about: np.uint64, group: np.uint64, tenant: np.uint64, value: np.uint64) -> float:
    """-log2((G + 4 P) / (n + 4)), P the tenant's share: the less the group is known, the more the tenant speaks for it.

    At most 1 + log2(1 + T), what never having been seen among T account-days can say.
    """
    mine, all_mine = count(m, question(about, group, value)), count(m, question(about, group, np.uint64(0)))
    everyone, total = count(m, question(about, tenant, value)), count(m, question(about, tenant, np.uint64(0)))
    if value == 0 or mine < 0.0 or all_mine < 0.0 or everyone < 0.0:
        return 0.0
    share = (everyone + 0.5) / (max(everyone, total) + 1.0)
    rarity = min(-math.log2((mine + 4.0 * share) / (all_mine + 4.0)), 1.0 + math.log2(1.0 + max(everyone, total)))
    return mature(m.clock) * max(0.0, rarity)


@part
def tenant_rarity(m: Habits, about: np.uint64, value: np.uint64) -> float:
    """Rarity for the tenant, fading with 10 / (10 + T) as the value becomes known (streams.md no. 8)."""
    known, total = count(m, question(about, TENANT, value)), count(m, question(about, TENANT, np.uint64(0)))
    if value == 0 or known < 0.0 or total < 0.0:
        return 0.0
    return mature(m.clock) * max(0.0, -math.log2((known + 0.5) / (total + 1.0))) * 10.0 / (10.0 + known)


@part
def network_novelty(m: Habits, network: np.uint64) -> float:
    """Rarity of successful logins from this network for the tenant, whatever its kind."""
    return tenant_rarity(m, Q_NETWORK, network)


@part
def _hour_count(m: Habits, about: np.uint64, hour: int) -> float:
    smoothed = 0.0
    for shift, weight in ((23, 0.25), (0, 0.5), (1, 0.25)):
        smoothed += weight * max(0.0, count(m, combine(about, np.uint64(1 + (hour + shift) % 24))))
    return smoothed


@part
def hour_rarity(m: Habits, group: np.uint64, tenant: np.uint64, place: np.uint64, hour: int) -> float:
    """-log2(8 (K + 20 P) / (n + 20)), K the group's account-days with this hour in this kind of network, P = (K_T + 1/2)/(n_T + 24).

    An hour of a plain working day of eight hours has none. A group's silence says no more than the tenant's: without that limit
    22:30 in a large group was rarer than 03:00 in a small one.
    """
    mine, everyone = question(Q_HOUR, group, place), question(Q_HOUR, tenant, place)
    all_mine, all_everyone = max(0.0, count(m, mine)), max(0.0, count(m, everyone))
    share = (_hour_count(m, everyone, hour) + 0.5) / (all_everyone + 24.0)
    known = max(8.0 * (_hour_count(m, mine, hour) + 20.0 * share) / (all_mine + 20.0), 8.0 * share)
    return mature(m.clock) * max(0.0, -math.log2(known)) * all_everyone / (all_everyone + 24.0)


@part
def learn_hour(m: Habits, group: np.uint64, place: np.uint64, hour: int, t: np.int64) -> None:
    about = question(Q_HOUR, group, place)
    learn(m, about, t)
    learn(m, combine(about, np.uint64(1 + hour)), t)


@part
def pair_rarity(m: Habits, earlier: np.uint64, network: np.uint64) -> float:
    """-log2((T(m, x) + 10 q pi) / (T(m) + 10)); 0 where T(m, x) > 3.

    q is the share of the pair of kinds among account-days with the first kind, pi the share of x in its kind: a first login from
    one of sixty providers after the office is no surprise when people go home every day, one from a data centre is.
    """
    both = count(m, combine(combine(Q_PAIR, earlier), network))
    if both > 3.0 or both < 0.0:
        return 0.0
    here, there = combine(Q_CLASS, earlier & CLASS), combine(Q_CLASS, network & CLASS)
    days, of_kind = max(0.0, count(m, here)), max(0.0, count(m, there))
    q = (max(0.0, count(m, combine(combine(Q_CLASSES, earlier & CLASS), network & CLASS))) + 0.5) / (days + 1.0)
    pi = (max(0.0, count(m, question(Q_NETWORK, TENANT, network))) + 0.5) / (of_kind + 1.0)
    alone = max(0.0, count(m, question(Q_NETWORK, TENANT, earlier)))
    return mature(m.clock) * max(0.0, -math.log2((both + 10.0 * min(1.0, q * pi)) / (alone + 10.0)))


@part
def learn_network(m: Habits, network: np.uint64, t: np.int64) -> None:
    """An account-day with this network."""
    learn_of(m, Q_NETWORK, TENANT, network, t)
    learn(m, combine(Q_CLASS, network & CLASS), t)


@part
def learn_pair(m: Habits, earlier: np.uint64, network: np.uint64, t: np.int64) -> None:
    """An account-day with both, in this order."""
    learn(m, combine(combine(Q_PAIR, earlier), network), t)
    learn(m, combine(combine(Q_CLASSES, earlier & CLASS), network & CLASS), t)


@part
def change_rarity(m: Habits, earlier: int, whence: int, hour: int) -> float:
    """-log2((K + 1/2) / (n + 1)), K the tenant's account-days with this change of kinds at this hour, n those with the first kind.

    Home to office at eight is nothing; office to home at eleven is rarer, and office to home to office rarer still.
    """
    k = _hour_count(m, question(Q_CHANGE, np.uint64(earlier), np.uint64(whence)), hour)
    days = max(0.0, count(m, combine(Q_CLASS, np.uint64(earlier))))
    return mature(m.clock) * max(0.0, -math.log2(min(1.0, (k + 0.5) / (days + 1.0))))


@part
def learn_change(m: Habits, earlier: int, whence: int, hour: int, t: np.int64) -> None:
    learn(m, combine(question(Q_CHANGE, np.uint64(earlier), np.uint64(whence)), np.uint64(1 + hour)), t)
