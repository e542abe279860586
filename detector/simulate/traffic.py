"""The flows of people at work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detector.simulate import clock, devices, outside, places
from detector.simulate.clock import HOUR, Plan
from detector.simulate.devices import TCP, UDP, Flows
from detector.simulate.people import People
from detector.simulate.town import Town
from detector.simulate.wire import Int64


class Habit(NamedTuple):
    """One kind of traffic of a person: connections per hour of work, where to, and ln of the bytes."""

    rate: float
    to: tuple[str, ...]  # a server per site, or () for the world, or ("printer",), or ("own",) for the department's
    port: int
    proto: int
    service: int
    sent: tuple[float, float]  # mean and deviation of ln(bytes)
    received: tuple[float, float]
    seconds: float  # mean duration
    remote: float = 1.0  # how much of it passes the VPN when working at home
    admins: bool = False


_WORLD: tuple[str, ...] = ()
_DC, _FILES = places.HOME_DC, places.HOME_FILES
HABITS = (
    Habit(52, _WORLD, 443, TCP, devices.HTTPS, (7.5, 1.1), (9.4, 1.7), 35, 0.3),
    Habit(0.08, _WORLD, 443, TCP, devices.HTTPS, (16.2, 1.5), (8.5, 1.0), 240, 0.5),  # a film, a plan, a folder for a partner
    Habit(0.35, _WORLD, 443, UDP, devices.QUIC, (18.2, 0.8), (19.0, 0.8), 2400, 0.2),  # a meeting
    Habit(1.5, _WORLD, 993, TCP, devices.OTHER, (7.0, 1.2), (9.0, 1.8), 300, 0.3),
    Habit(0.9, _WORLD, 8443, TCP, devices.APP, (8.0, 1.3), (9.6, 1.6), 60, 0.3),
    Habit(3, _WORLD, 80, TCP, devices.HTTP, (6.3, 0.8), (8.2, 1.4), 8, 0.3),
    Habit(11, _WORLD, 443, UDP, devices.QUIC, (8.0, 1.0), (10.1, 1.6), 60, 0.1),
    Habit(34, _DC, 53, UDP, devices.DNS, (4.25, 0.15), (4.9, 0.5), 0),
    Habit(7, ("mail-rathaus", "mail-rathaus", "abr-leitstelle"), 443, TCP, devices.HTTPS, (8.3, 1.2), (9.2, 1.5), 90),
    Habit(5, _FILES, 445, TCP, devices.SMB, (9.4, 2.1), (10.8, 2.3), 240),
    Habit(4, ("own",), 8443, TCP, devices.APP, (8.1, 1.0), (10.0, 1.3), 120),
    Habit(0.8, ("sso-rathaus", "sso-rathaus", "sftp-leitstelle"), 443, TCP, devices.HTTPS, (7.6, 0.5), (8.6, 0.8), 20),
    Habit(0.15, ("fach-rathaus", "gis-bauhof", "abr-leitstelle"), 1433, TCP, devices.SQL, (9.0, 1.5), (11.0, 2.0), 300),
    Habit(3, _DC, 88, TCP, devices.KERBEROS, (7.3, 0.2), (7.4, 0.2), 0),
    Habit(2, _DC, 389, TCP, devices.LDAP, (6.8, 0.7), (8.0, 1.1), 5),
    Habit(0.6, ("printer",), 9100, TCP, devices.PRINT, (12.6, 1.3), (5.6, 0.4), 9, 0.0),
    Habit(0.5, _DC, 123, UDP, devices.NTP, (4.33, 0.0), (4.33, 0.0), 0),
    Habit(1.2, ("web-rathaus", "ssh-bauhof", "sftp-leitstelle"), 22, TCP, devices.SSH, (9.0, 1.2), (10.2, 1.4), 600, admins=True),
    Habit(1.0, ("fach-rathaus", "fs-bauhof", "abr-leitstelle"), 3389, TCP, devices.RDP, (11.5, 1.2), (13.2, 1.3), 900, admins=True),
)
_MISFITS = np.array([8080, 5222, 5228, 853, 8000, 3478, 4070, 1935, 21, 587])  # what a policy refuses on a usual day
_SITES = 3000  # servers of the world


def _per_habit(column: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(column, np.float64)


_RATE = _per_habit([h.rate for h in HABITS])
_REMOTE = _per_habit([h.remote for h in HABITS])
_SENT, _RECEIVED = np.array([h.sent for h in HABITS]), np.array([h.received for h in HABITS])
_SECONDS = _per_habit([h.seconds for h in HABITS])
_FIXED = np.array([[h.port, h.proto, h.service] for h in HABITS])
_ADMINS = np.array([h.admins for h in HABITS])
_NOWHERE = {(): 0, ("printer",): 1, ("own",): 2}
_TARGET = np.array(  # habit × site; 0 = the world, 1 = a printer, 2 = a server of the department
    [[_NOWHERE[h.to]] * 3 if h.to in _NOWHERE else places.addresses(h.to).tolist() for h in HABITS]
)
_CITIZENS = 0.6  # more is done on citizens' day by those whom citizens see


def _world(rng: np.random.Generator, person: Int64) -> Int64:
    """Which server of the world: few are everyone's, most are somebody's own, some nobody has asked before."""
    n = len(person)
    rank = np.minimum((np.exp(rng.random(n) * np.log(_SITES)) - 1).astype(np.int64), _SITES - 1)
    own = (person * 7919 + rank % 12 * 104_729) % _SITES
    dice = rng.random(n)
    number = np.where(dice < 0.6, rank, np.where(dice < 0.97, own, _SITES + rng.integers(0, 20_000, n)))
    return outside.WORLD + 20 + number


def address_today(people: People, day: Plan) -> Int64:
    """The address that people have inside: their desk's, in the Wi-Fi, or the one that the VPN hands out."""
    return np.where(day.home, places.POOLS[people.site] + day.inner, np.where(day.wireless, people.wifi, day.desk))


def gateway_today(people: People, day: Plan) -> Int64:
    """The site whose firewall a person's traffic passes; those of the depot dial in at the town hall."""
    return np.where(day.home & (people.site == places.BAUHOF), places.RATHAUS, people.site)


def own_server(rng: np.random.Generator, town: Town, person: Int64) -> Int64:
    """The number of a server of each one's department; now and then of another one's."""
    n = len(person)
    role = np.where(rng.random(n) < 0.97, town.people.role[person], town.people.role[rng.integers(0, len(town.people), n)])
    found: Int64 = town.estate.own[role, np.minimum((3 * rng.random(n) ** 2).astype(np.int64), 2)]
    return found


def office(
    rng: np.random.Generator, town: Town, day: Plan, start: int, end: int, volume: float, *, citizens: bool = False
) -> tuple[Flows, Int64]:  # fmt: skip
    """What people at work do in [start, end): flows, and the site of each; `citizens`: it is citizens' day."""
    people = town.people
    share = clock.presence(day, start, end) * people.pace * (1.0 + _CITIZENS * people.public * citizens) * volume * (end - start) / HOUR
    rates = share[:, None] * _RATE * np.where(day.home[:, None], _REMOTE, 1.0) * (~_ADMINS | people.admin[:, None])
    counts = rng.poisson(rates)
    person = np.repeat(np.arange(len(people)), counts.sum(axis=1))
    habit = np.repeat(np.tile(np.arange(len(HABITS)), len(people)), counts.ravel())
    n = len(person)
    site = people.site[person]
    target = _TARGET[habit, site]
    inside = np.where(target == 1, town.printer(person), np.where(target == 2, town.estate.address[own_server(rng, town, person)], target))
    dst = np.where(target == 0, _world(rng, person), inside)
    src = address_today(people, day)[person]
    modern = (target == 0) & (site == places.RATHAUS) & ~day.home[person] & (rng.random(n) < 0.03)
    misfit = (target == 0) & (rng.random(n) < 0.004)
    noise = rng.standard_normal((3, n))
    flow = devices.flows(
        rng, rng.integers(start, end, n), src=np.where(modern, people.address6[person], src),
        dst=np.where(modern, town.world6[dst % len(town.world6)], dst),
        dport=np.where(misfit, _MISFITS[person % len(_MISFITS)], _FIXED[habit, 0]),
        proto=_FIXED[habit, 1], service=np.where(misfit, devices.OTHER, _FIXED[habit, 2]),
        sent=np.exp(_SENT[habit, 0] + _SENT[habit, 1] * noise[0]).astype(np.int64),
        received=np.exp(_RECEIVED[habit, 0] + _RECEIVED[habit, 1] * noise[1]).astype(np.int64),
        duration=(_SECONDS[habit] * np.exp(0.9 * noise[2] - 0.4)).astype(np.int64),
        user=np.where(person % 5 > 0, people.account[person], 0), denied=misfit,
    )  # fmt: skip
    return flow, gateway_today(people, day)[person]
