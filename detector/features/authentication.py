"""Login events: what each source tries, how many sources try a service, and (in `logins`) how usual a successful login is.

One pass in stream order. `Logins` is all that it remembers of one shard. An attempt is counted once however many lines report
it: a line is a new attempt only if the largest of its connection's per-kind counts grows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.features import bloom, slab
from detector.features.bloom import Bloom
from detector.features.counters import BASE, DAY, DISTINCT, HOUR, MINUTE, SECOND, TEN, decayed, distinct, elapsed, fading, growth
from detector.features.hashing import combine
from detector.features.jit import part, piece, word
from detector.features.slab import Slab

SUCCESS, FAILURE, RESUMED = 1, 2, 3  # RESUMED: no attempt, but whoever failed has been let on
NOBODY = 4  # bit of `Attempts.inside`: the event names no source
SOURCE_FEATURES, SERVICE_FEATURES = 19, 6
MIN_SOURCES = 10  # of a service within a day, before it is scored
RULE_FAILURES = 5  # since the source's last success: a success after so many is urgent
RULE_FAILURES_INSIDE = 20  # a client's address is a token of one day, so every morning it "never succeeded": mistyping is no alarm
_SPELL = 300.0  # quiet seconds that end a spell
_BY_PAM, _OF_PAM = 1, 3  # kinds of attempts, see decode/formats/sshd.toml
_GRACE = 120.0  # seconds that sshd gives for logging in
_CHILDREN = np.uint64(0x5EED1F)
_SESSION = 3600.0  # idle seconds after which a connection's key may mean another connection

# Numbers of a source; the first is its clock.
CLOCK = slab.FIRST
_FAILURES, _ATTEMPTS, SINCE, _SPELLS, _LAST, _BEGAN, _USUAL, _BORN = (word(CLOCK + i) for i in (1, 5, 7, 8, 9, 10, 11, 12))
_COUNTS = word(CLOCK + 13)
_DISTINCTS = 6
_S = word(0)  # the first sketch
SOURCE_NUMBERS, SOURCE_SKETCHES = 13 + _DISTINCTS * DISTINCT, _DISTINCTS
# Numbers of a service (host or application) and of an account there.
_NEW, _NEW_BASE, _FIRST_NEW, _TARGETED, _TARGETED_BASE, _GROWING, _SOURCES = (word(CLOCK + i) for i in (1, 4, 5, 6, 7, 8, 9))
SERVICE_NUMBERS, SERVICE_SKETCHES = int(_SOURCES) + DISTINCT - CLOCK, 1
_ARRIVED, _ARRIVED_BASE, _WATCHED, _MARKED = (word(CLOCK + i) for i in (1, 2, 3, 5))  # of an account
TARGET_NUMBERS = 6
SESSION_NUMBERS = 10  # clock, counts of kinds 0..7, successes
_KNOWN_SOURCE, KNOWN_SUCCESS, _KNOWN_TARGET, _KNOWN_HOME, _KNOWN_ACCOUNT = (np.uint64(0x5EED10 + i) for i in range(5))


class Logins(NamedTuple):
    """What is remembered of a shard's logins."""

    sessions: Slab
    sources: Slab
    services: Slab
    targets: Slab  # accounts as they are attacked
    users: Slab  # accounts as they log in, one token epoch each
    habits: Slab  # counts of networks, hours, methods, hosts: of role groups and the tenant
    now: Bloom
    before: Bloom
    clock: NDArray[np.int64]  # latest event time, start of the filters' generation, first event time; µs


class Attempts(NamedTuple):
    """n authentication events as columns for the kernel; texts and addresses as identities."""

    time: NDArray[np.int64]
    source: NDArray[np.uint64]
    inside: NDArray[np.uint8]  # bits: the source is inside; there is no source
    network: NDArray[np.uint64]  # configured network, outside the provider, or the address's /16 or /32
    whence: NDArray[np.uint8]  # the kind of network, 0..7, see authkernel.WHENCE
    region: NDArray[np.uint64]  # of an outside address, 0 where unknown
    host: NDArray[np.uint64]
    user: NDArray[np.uint64]
    service: NDArray[np.uint64]  # that a ticket was asked for, else 0
    group: NDArray[np.uint64]
    machine: NDArray[np.uint8]  # 1: a service or machine account
    method: NDArray[np.uint64]
    by_key: NDArray[np.uint8]  # public key or certificate
    outcome: NDArray[np.uint8]  # SUCCESS, FAILURE or RESUMED; 0 = nothing of these
    session: NDArray[np.uint64]
    kind: NDArray[np.uint8]
    reports: NDArray[np.uint16]  # how many attempts the line itself claims
    hour: NDArray[np.int64]  # 0..47, see calendar
    epoch: NDArray[np.int32]
    seen: NDArray[np.uint64]  # (n, 4): account, provider, region, band; 0 without such a memory


@piece
def new_attempts(state: Logins, e: Attempts, i: int) -> float:
    """How many attempts event i adds to those already reported for its connection."""
    if e.outcome[i] == 0 or e.outcome[i] == RESUMED:
        return 0.0
    count = float(max(1, int(np.int64(e.reports[i]))))
    if e.session[i] == 0 or e.kind[i] == 0:
        return count
    s = state.sessions
    slot = slab.slot_of(s, e.session[i], e.time[i])
    idle = elapsed(s, slot, e.time[i])
    if idle > _SESSION:
        for j in range(1, SESSION_NUMBERS):
            s.num[slot, CLOCK + j] = 0.0
    if e.outcome[i] == SUCCESS:
        s.num[slot, CLOCK + 9] += 1.0
        return 1.0 if s.num[slot, CLOCK + 9] == 1.0 else 0.0
    grown = _grown(s, slot, CLOCK + 1 + min(7, int(np.int64(e.kind[i]))), count)
    own = s.num[slot, CLOCK + 1 + _BY_PAM] > 0.0  # PAM speaks under this very pid
    if e.kind[i] != _BY_PAM and (e.kind[i] != _OF_PAM or own):
        return grown
    return _told_once(s, combine(_CHILDREN, combine(e.host[i], e.source[i])), e.time[i], grown, e.kind[i] == _BY_PAM)


@part
def _told_once(s: Slab, key: np.uint64, t: np.int64, grown: float, by_pam: bool) -> float:
    """Keyboard-interactive: PAM speaks under a child's pid, then sshd ("error: PAM") under its own, which is another connection's key.

    So what PAM has said of a source and host within two minutes is no news when sshd says it (streams.md no. 10).
    """
    slot = slab.slot_of(s, key, t)
    if abs(elapsed(s, slot, t)) > _GRACE:
        s.num[slot, CLOCK + 1] = 0.0
    if by_pam:
        s.num[slot, CLOCK + 1] += grown
        return grown
    told = min(grown, float(s.num[slot, CLOCK + 1]))
    s.num[slot, CLOCK + 1] -= told
    return grown - told


@part
def _grown(s: Slab, slot: int, place: int, count: float) -> float:
    largest = 0.0
    for j in range(CLOCK + 1, CLOCK + 9):
        largest = max(largest, float(s.num[slot, j]))
    s.num[slot, place] += count
    return max(0.0, float(s.num[slot, place]) - largest)


@piece
def source(state: Logins, e: Attempts, i: int, attempts: float, novelty: float, x: NDArray[np.float64]) -> int:
    """The source's counters after event i, into x (19); a success shows what went before it. Returns the slot."""
    s, t = state.sources, e.time[i]
    slot = slab.slot_of(s, e.source[i], t)
    seconds = elapsed(s, slot, t)
    failed = attempts if e.outcome[i] == FAILURE else 0.0
    if s.num[slot, _BORN] == 0.0:
        s.num[slot, _BORN] = t
    if failed > 0.0:
        _note_failures(s, slot, t, failed)
    if e.outcome[i] == RESUMED:
        _forgive(s, slot)
    ten, hour = fading(seconds, TEN), fading(seconds, HOUR)
    x[0] = decayed(s, slot, _FAILURES, seconds, fading(seconds, MINUTE), failed)
    x[1] = decayed(s, slot, _FAILURES + 1, seconds, ten, failed)
    x[2] = decayed(s, slot, _FAILURES + 2, seconds, hour, failed)
    x[3] = decayed(s, slot, _FAILURES + 3, seconds, fading(seconds, DAY), failed)
    x[4] = decayed(s, slot, _ATTEMPTS, seconds, ten, attempts)
    in_all = decayed(s, slot, _ATTEMPTS + 1, seconds, hour, attempts)
    _distincts(s, slot, e, i, failed > 0.0, x)
    x[11] = s.num[slot, SINCE]
    x[12] = s.num[slot, _SPELLS]
    x[13] = max(0.0, (t - s.num[slot, _BEGAN]) / SECOND / HOUR) if s.num[slot, _BEGAN] > 0.0 else 0.0
    x[14] = novelty
    # Where a source never succeeded and its network is foreign, little is much; where it is at home, a forgotten password is not.
    strange = 0.0 if bloom.known(state.now, state.before, combine(KNOWN_SUCCESS, e.source[i])) else novelty / 8.0
    # From the third failure and the second spell on: nobody at home fails so from abroad, but once or twice is no sign yet.
    x[15] = max(0.0, math.log2((1.0 + x[3]) / 3.0)) * strange
    x[16] = max(0.0, math.log2((1.0 + x[12]) / 2.0)) * strange
    if e.inside[i] & NOBODY != 0:  # a machine's own log without an address: its users share these counters
        for k in (12, 13, 15, 16):
            x[k] = 0.0
    x[17] = x[2] / (in_all + 4.0)
    usual = decayed(s, slot, _USUAL, seconds, fading(seconds, BASE * HOUR), failed)
    x[18] = growth(x[2], usual, max(0.0, (t - s.num[slot, _BORN]) / SECOND / HOUR), 1.0, 4.0)
    return slot


@piece
def _distincts(s: Slab, slot: int, e: Attempts, i: int, failed: bool, x: NDArray[np.float64]) -> None:
    """Distinct accounts failed (hour, day), hosts (day, hour), accounts of any outcome and services by ticket (hour) into x[5:11]."""
    for k in range(_DISTINCTS):
        window = DAY if k == 1 or k == 2 else HOUR
        key = e.host[i] if k == 2 or k == 3 else e.service[i] if k == 5 else e.user[i]
        if k < 2 and not failed:
            key = np.uint64(0)
        x[5 + k] = distinct(s, slot, _COUNTS + k * DISTINCT, _S + k, e.time[i], window, key)


@part
def _note_failures(s: Slab, slot: int, t: np.int64, failed: float) -> None:
    if s.num[slot, _BEGAN] == 0.0:
        s.num[slot, _BEGAN] = t
    if s.num[slot, _LAST] == 0.0 or t - s.num[slot, _LAST] > _SPELL * SECOND:
        s.num[slot, _SPELLS] += 1.0
    s.num[slot, _LAST] = max(s.num[slot, _LAST], float(t))
    s.num[slot, SINCE] += failed


@piece
def succeed(state: Logins, e: Attempts, i: int, slot: int) -> bool:
    """A success: the source's run of failures ends. Whether the rule "success after failures" holds."""
    s = state.sources
    before = bloom.seen(state.now, state.before, combine(KNOWN_SUCCESS, e.source[i]))
    bloom.seen(state.now, state.before, combine(_KNOWN_ACCOUNT, combine(e.host[i], e.user[i])))
    enough = RULE_FAILURES
    if e.inside[i] & 1 == 1:  # its own user has logged in from there: what counts is whether this account has
        before = bloom.seen(state.now, state.before, combine(_KNOWN_HOME, combine(e.source[i], e.user[i])))
        enough = RULE_FAILURES_INSIDE
    rule = not before and e.by_key[i] == 0 and s.num[slot, SINCE] >= enough
    _forgive(s, slot)
    return rule


@part
def _forgive(s: Slab, slot: int) -> None:
    s.num[slot, SINCE] = 0.0
    s.num[slot, _SPELLS] = 0.0
    s.num[slot, _BEGAN] = 0.0
    s.num[slot, _LAST] = 0.0


@piece
def _account_growth(state: Logins, e: Attempts, i: int) -> tuple[float, bool, float]:
    """How much faster than in the last days new sources come to this account here, whether that just became so, and
    1 for a source that comes to it for the first time if the account has ever been used."""
    s, t = state.targets, e.time[i]
    key = combine(e.host[i], e.user[i])
    slot = slab.slot_of(s, key, t)
    seconds = elapsed(s, slot, t)
    arrived = 0.0 if bloom.seen(state.now, state.before, combine(_KNOWN_TARGET, combine(key, e.source[i]))) else 1.0
    if s.num[slot, _WATCHED] == 0.0:
        s.num[slot, _WATCHED] = t
    day = decayed(s, slot, _ARRIVED, seconds, fading(seconds, DAY), arrived)
    base = decayed(s, slot, _ARRIVED_BASE, seconds, fading(seconds, BASE * HOUR), arrived)
    watched = max(0.0, (t - s.num[slot, _WATCHED]) / SECOND / HOUR)
    doublings = growth(day, base, watched, 24.0, 1.0)
    grows = doublings >= 2.0 and day >= 3.0 and (s.num[slot, _MARKED] == 0.0 or t - s.num[slot, _MARKED] > DAY * SECOND)
    if grows:
        s.num[slot, _MARKED] = t
    used = bloom.known(state.now, state.before, combine(_KNOWN_ACCOUNT, key))
    return doublings, grows, arrived if used else 0.0


@piece
def service(state: Logins, e: Attempts, i: int, x: NDArray[np.float64]) -> bool:
    """How the attacked service's failed attempts, from sources that never succeeded, grow against its own past, into x (6).

    Only growth: how much noise is usual differs from host to host by orders of magnitude. False below 10 sources a day.
    """
    doublings, grows, targeted = _account_growth(state, e, i)
    s, t = state.services, e.time[i]
    slot = slab.slot_of(s, e.host[i], t)
    seconds = elapsed(s, slot, t)
    arrived = 0.0 if bloom.seen(state.now, state.before, combine(_KNOWN_SOURCE, combine(e.host[i], e.source[i]))) else 1.0
    if s.num[slot, _FIRST_NEW] == 0.0:
        s.num[slot, _FIRST_NEW] = t
    watched = max(0.0, (t - s.num[slot, _FIRST_NEW]) / SECOND / HOUR)
    ten, hour, day, base = fading(seconds, TEN), fading(seconds, HOUR), fading(seconds, DAY), fading(seconds, BASE * HOUR)
    known = decayed(s, slot, _NEW_BASE, seconds, base, arrived)
    x[0] = growth(decayed(s, slot, _NEW, seconds, ten, arrived), known, watched, TEN / HOUR, 1.0)
    x[1] = growth(decayed(s, slot, _NEW + 1, seconds, hour, arrived), known, watched, 1.0, 1.0)
    x[2] = growth(decayed(s, slot, _NEW + 2, seconds, day, arrived), known, watched, 24.0, 1.0)
    usual = decayed(s, slot, _TARGETED_BASE, seconds, base, targeted)
    x[3] = growth(decayed(s, slot, _TARGETED, seconds, hour, targeted), usual, watched, 1.0, 1.0)
    x[4] = doublings
    x[5] = decayed(s, slot, _GROWING, seconds, hour, 1.0 if grows else 0.0)
    return distinct(s, slot, _SOURCES, _S, t, DAY, e.source[i]) >= MIN_SOURCES
