"""The pass over authentication events: which counters each event touches, in which order."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features import authentication, bloom, habits, logins, slab
from detector.features.authentication import FAILURE, KNOWN_SUCCESS, NOBODY, RESUMED, SINCE, SUCCESS, Attempts, Logins
from detector.features.calendar import Calendar
from detector.features.columns import SOURCE_INSIDE, sides
from detector.features.hashing import address_ids, combine, network_ids, text_ids, words
from detector.features.jit import borrow, kernel, part

_ACTIONS = {"login": 1, "ticket": 1, "elevate": 2}  # 2: counts as an attempt only when it fails
_METHODS_BY_KEY = {"publickey": 1, "certificate": 1}
_MACHINES = {"service": 1, "machine": 1}
WHENCE = {"office": 1, "vpn": 2, "home": 3, "mobile": 4, "hosting": 5, "relay": 6, "abroad": 7}  # source.kind
_INSIDE_UNLISTED = np.uint64(3)
_NO_SOURCE = np.uint64(0xA0)


def fresh(limit: int) -> Logins:
    """Nothing seen yet. Of `limit` entities at most a quarter are sources and an eighth are accounts of a day."""
    a, half, quarter = authentication, max(limit // 2, 1), max(limit // 4, 1)
    return Logins(
        sessions=slab.fresh(a.SESSION_NUMBERS, 0, quarter),
        sources=slab.fresh(a.SOURCE_NUMBERS, a.SOURCE_SKETCHES, quarter),
        services=slab.fresh(a.SERVICE_NUMBERS, a.SERVICE_SKETCHES, max(limit // 16, 1)),
        targets=slab.fresh(a.TARGET_NUMBERS, 0, quarter),
        users=slab.fresh(logins.USER_NUMBERS, logins.USER_SKETCHES, max(limit // 8, 1)),
        habits=slab.fresh(habits.HABIT_NUMBERS, 0, half),
        now=bloom.fresh(),
        before=bloom.fresh(),
        clock=np.zeros(3, np.int64),
    )


def _outcomes(events: pl.DataFrame) -> NDArray[np.uint8]:
    """SUCCESS or FAILURE of each attempt to log in, RESUMED for a right raised, 0 for everything else; shape (n,)."""
    action = words(events, "event.action", _ACTIONS)
    outcome = words(events, "event.outcome", {"success": SUCCESS, "failure": FAILURE})
    found = np.where((action == 1) | ((action == 2) & (outcome == FAILURE)), outcome, 0)
    return np.where((action == 2) & (outcome == SUCCESS), RESUMED, found).astype(np.uint8)


def _itself(events: pl.DataFrame) -> NDArray[np.bool_]:
    """Whether the source is the machine itself, 127.0.0.0/8 or ::1: no source at all (dovecot on ssh_ufw_host_a_2021); shape (n,)."""
    hi, lo = (ecs.numbers(events, f"source.ip.{part}").astype(np.uint64, copy=False) for part in ("hi", "lo"))
    plain = ecs.numbers(events, "source.ip.kind") == ecs.PLAIN
    found: NDArray[np.bool_] = plain & (hi == 0) & ((lo == 1) | (lo >> np.uint64(24) == 0xFFFF7F))
    return found


def attempts(events: pl.DataFrame, time: NDArray[np.int64], calendar: Calendar) -> Attempts:
    """The columns of authentication events; `time` is the event time in µs, limited by the caller."""
    listed = text_ids(events, "source.network")
    inside = (sides(events) & SOURCE_INSIDE).astype(np.uint8)
    host = text_ids(events, "host.name")
    host = np.where(host == 0, text_ids(events, "event.dataset") ^ text_ids(events, "observer.name"), host)
    address = np.where(_itself(events), 0, address_ids(events, "source.ip")).astype(np.uint64)
    provider = text_ids(events, "source.as.organization.name")
    outside = np.where(provider != 0, provider, network_ids(events, "source.ip"))
    network = np.where(listed != 0, listed, np.where(inside == 1, _INSIDE_UNLISTED, np.where(address == 0, 0, outside))).astype(np.uint64)
    whence = words(events, "source.kind", WHENCE)
    whence = np.where((whence == 0) & (inside == 1), np.uint8(logins.OFFICE), whence)
    target, user = text_ids(events, "user.target.name"), text_ids(events, "user.name")
    ticket = words(events, "event.action", {"ticket": 1}) == 1  # its target is a service, not an account that is logged in to
    group = text_ids(events, "user.roles") ^ text_ids(events, "user.kind")
    seen = [ecs.numbers(events, f"seen.{name}") for name in ("account", "provider", "region", "band")]
    nobody = np.where(address == 0, np.uint8(NOBODY), np.uint8(0))
    method = text_ids(events, "authentication.method")
    return Attempts(
        time, np.where(address == 0, host ^ _NO_SOURCE, address), inside | nobody, network, whence,
        text_ids(events, "source.geo.region_iso_code"), host, np.where((target != 0) & ~ticket, target, user),
        np.where(ticket, target, 0).astype(np.uint64), group, words(events, "user.kind", _MACHINES), method,
        words(events, "authentication.method", _METHODS_BY_KEY), _outcomes(events),
        ecs.numbers(events, "session.key").astype(np.uint64, copy=False), ecs.numbers(events, "attempt.kind").astype(np.uint8, copy=False),
        ecs.numbers(events, "attempt.count").astype(np.uint16, copy=False), calendar.hours(time)[0],
        ecs.numbers(events, "event.epoch").astype(np.int32, copy=False), np.stack(seen, axis=1).astype(np.uint64, copy=False),
    )  # fmt: skip


def roomy(state: Logins) -> Logins:
    """The same memory with room for more; the filters turn when their generation is over."""
    now, before = state.now, state.before
    if state.clock[0] - state.clock[1] > bloom.GENERATION:
        now, before = bloom.fresh(), now
        state.clock[1] = state.clock[0]
    return Logins(
        slab.room(state.sessions, 128), slab.room(state.sources, 128), slab.room(state.services, 128),
        slab.room(state.targets, 128), slab.room(state.users, 128), slab.room(state.habits, 128),
        bloom.room(now), before, state.clock,
    )  # fmt: skip


@part
def _stop(state: Logins) -> bool:
    return (
        slab.crowded(state.sessions, 8)
        or slab.crowded(state.sources, 8)
        or slab.crowded(state.services, 8)
        or slab.crowded(state.targets, 8)
        or slab.crowded(state.users, 8)
        or slab.crowded(state.habits, 64)
        or bloom.crowded(state.now)
        or state.clock[0] - state.clock[1] > bloom.GENERATION
    )


@part
def _lent(s: Logins) -> Logins:
    return Logins(
        slab.lent(s.sessions), slab.lent(s.sources), slab.lent(s.services), slab.lent(s.targets), slab.lent(s.users), slab.lent(s.habits),
        bloom.lent(s.now), bloom.lent(s.before), borrow(s.clock),
    )  # fmt: skip


@part
def _lent_attempts(e: Attempts) -> Attempts:
    return Attempts(
        borrow(e.time), borrow(e.source), borrow(e.inside), borrow(e.network), borrow(e.whence), borrow(e.region), borrow(e.host),
        borrow(e.user), borrow(e.service), borrow(e.group), borrow(e.machine), borrow(e.method), borrow(e.by_key), borrow(e.outcome),
        borrow(e.session), borrow(e.kind), borrow(e.reports), borrow(e.hour), borrow(e.epoch), borrow(e.seen),
    )  # fmt: skip


@kernel
def advance(
    state: Logins, e: Attempts, first: int, x_source: NDArray[np.float64], weight: NDArray[np.int32], rule: NDArray[np.uint8],
    x_service: NDArray[np.float64], service_row: NDArray[np.int64], x_user: NDArray[np.float64], user_row: NDArray[np.int64],
    services: int, users: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Events from `first` on, until all are done or the memory needs `roomy`.

    Fills x_source (n, 19), weight (n: new attempts) and rule (n); x_service, service_row and x_user, user_row from rows
    `services` and `users` on. Returns (next event, service rows so far, user rows so far).
    """
    state, e = _lent(state), _lent_attempts(e)
    usual = habits.habits_of(state)
    x_source, weight, rule, x_service = borrow(x_source), borrow(weight), borrow(rule), borrow(x_service)
    service_row, x_user, user_row = borrow(service_row), borrow(x_user), borrow(user_row)
    for i in range(first, len(e.time)):
        if _stop(state):
            return i, services, users
        if state.clock[2] == 0:
            state.clock[:] = e.time[i]
        state.clock[0] = max(state.clock[0], e.time[i])
        new = authentication.new_attempts(state, e, i)
        weight[i] = np.int32(new)
        slot = authentication.source(state, e, i, new, habits.network_novelty(usual, logins.named(e, i)), x_source[i])
        if new == 0.0:
            continue
        if e.outcome[i] == SUCCESS:
            failures = state.sources.num[slot, SINCE]
            if e.user[i] != 0:
                logins.login(state, e, i, failures, x_user[users])
                user_row[users] = i
                users += 1
            rule[i] = authentication.succeed(state, e, i, slot)
        else:
            if e.user[i] != 0:
                logins.fail(state, e, i, new)
            if not bloom.known(state.now, state.before, combine(KNOWN_SUCCESS, e.source[i])):
                service_row[services] = i
                if authentication.service(state, e, i, x_service[services]):
                    services += 1
    return len(e.time), services, users
