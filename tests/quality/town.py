"""A town of 2,000 people as login events, for the takeover bench: who logs in when, from which network, to which host.

After shared/modes.md: 40 role groups, 45 days, about 8,800 successful logins a day, 35 % home office through 60 domestic
providers, mobile networks, VPN, travellers, changes of provider, people on call, service accounts. Events are made as ROUTE
leaves them (tokens of one epoch, provider, region and kind of the network), so that 400,000 logins take seconds; that ROUTE
makes such events of lines is tested elsewhere. Deterministic by seed.
"""

from __future__ import annotations

import random
from bisect import bisect
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

PEOPLE, GROUPS, DAYS, HOSTS = 2_000, 40, 45, 300
FIRST_DAY = 20_458  # Monday 2026-01-05, days since 1970; a day of the town is a token epoch, 05:00 to 05:00
COMMON = 12  # hosts that everybody uses
DOMESTIC, MOBILE, SITES = 60, 3, 3
_STATES = ("DE-BW", "DE-BY", "DE-HE", "DE-RP")


class Net(NamedTuple):
    """Where a login comes from: `listed` as in [[networks]] ("" outside), provider, region and kind as ROUTE adds them."""

    listed: str
    provider: str
    region: str
    kind: str


class Login(NamedTuple):
    at: float  # hours of wall time since 00:00 of day 0
    who: int
    net: int
    host: int
    method: str


def _nets() -> list[Net]:
    office = [Net(f"amt-{i}", "", "", "office") for i in range(SITES)]
    homes = [Net("", f"AS6{i:04d} Netz {i}", _STATES[0] if i % 4 != 3 else _STATES[1 + i // 4 % 3], "home") for i in range(DOMESTIC)]
    mobile = [Net("", f"AS7{i:04d} Funk {i}", "DE", "mobile") for i in range(MOBILE)]
    relays = [Net("", f"AS8{i:04d} Relay {i}", "DE", "relay") for i in range(2)]
    hosting = [Net("", f"AS9{i:04d} Rechenzentrum {i}", ("DE", "NL")[i % 2], ("hosting", "abroad")[i % 2]) for i in range(6)]
    abroad = [Net("", f"AS{20000 + i} {_country(i)}", _country(i), "abroad") for i in range(150)]
    return [*office, Net("vpn", "", "", "vpn"), *homes, *mobile, *relays, *hosting, *abroad]


def _country(i: int) -> str:
    """Fifty countries with three providers each; the first ten are where people travel."""
    j = i % 50
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[j % 26] + "XY"[j // 26]


NETS = _nets()
VPN, HOME, MOBILE_AT = SITES, SITES + 1, SITES + 1 + DOMESTIC
RELAY_AT, HOSTING_AT, ABROAD_AT = MOBILE_AT + MOBILE, MOBILE_AT + MOBILE + 2, MOBILE_AT + MOBILE + 8
_HOLIDAY = 10  # countries


@dataclass
class Person:
    group: int
    site: int
    begins: float
    hours: float
    weekdays: tuple[bool, ...]
    homeoffice: float
    home: int
    phone: int  # -1: none
    phone_rate: float
    admin: bool
    early: float  # chance of a look into the mail at home before the office
    relay: int  # -1, or a net that the phone or computer sometimes hides behind
    tablet: bool
    hosts: list[int] = field(default_factory=list)
    trip: tuple[int, int, int] = (-1, -1, 0)  # first and last day, net


class Town:
    """The honest logins of one seed, day by day, and takeovers of its people."""

    def __init__(self, seed: int, people: int = PEOPLE) -> None:
        self.seed = seed
        r = self.dice = random.Random(seed)
        weights = [1.0 / (k + 1) ** 0.9 for k in range(DOMESTIC)]
        self.share = list(accumulate(weights))
        sizes = list(accumulate(r.lognormvariate(0, 0.7) for _ in range(GROUPS)))
        self.group_hosts = [r.sample(range(COMMON, HOSTS), r.randint(4, 12)) for _ in range(GROUPS)]
        self.people = [self._person(min(bisect(sizes, r.random() * sizes[-1]), GROUPS - 1), i) for i in range(people)]
        self.days = [sorted(self._day(day)) for day in range(DAYS)]

    def provider(self, r: random.Random) -> int:
        """A domestic provider as people have it: a few are common, most are rare."""
        return HOME + min(bisect(self.share, r.random() * self.share[-1]), DOMESTIC - 1)

    def _person(self, group: int, i: int) -> Person:
        r = self.dice
        admin = i % 40 == 0
        off = r.randrange(5) if r.random() < 0.25 else -1
        hosts = r.sample(self.group_hosts[group], r.randint(2, 4)) + r.sample(range(COMMON), 4)
        if admin:
            hosts += r.sample(range(COMMON, HOSTS), 25)
        return Person(
            GROUPS if admin else group, min(r.randrange(5), 2) if r.random() < 0.3 else group % SITES,
            min(max(r.gauss(7.8, 0.7), 5.8), 10.5),
            r.uniform(4, 6) if r.random() < 0.25 else 8.3, tuple(d != off for d in range(5)),
            min(max(r.gauss(0.35, 0.25), 0.0), 1.0), self.provider(r), MOBILE_AT + r.randrange(MOBILE) if r.random() < 0.5 else -1,
            r.uniform(0.05, 0.6), admin, r.choice((0.0, 0.0, 0.0, 0.02, 0.15)), RELAY_AT + r.randrange(2) if r.random() < 0.02
            else HOSTING_AT + r.randrange(6) if r.random() < 0.004 else -1, r.random() < 0.004, hosts,
        )  # fmt: skip

    def _day(self, day: int) -> list[Login]:
        out: list[Login] = []
        for who, p in enumerate(self.people):
            self._habits_change(p, day)
            self._of_person(out, who, p, day)
        for s in range(30):  # service accounts: every night and every few hours, always the same host and network
            begin = 24 * day + 5.2 + s / 100
            out += [Login(begin + 4 * k + self.dice.random() / 50, PEOPLE + s, s % SITES, COMMON + 7 * s, "kerberos") for k in range(6)]
        return out

    def _habits_change(self, p: Person, day: int) -> None:
        r = self.dice
        if r.random() < 1 / 700:
            p.home = self.provider(r)
        if day > p.trip[1] and r.random() < 0.007:
            net = ABROAD_AT + r.randrange(_HOLIDAY) + 50 * r.randrange(3) if r.random() < 0.15 else self._elsewhere()
            p.trip = (day, day + r.randint(0, 4), net)

    def _elsewhere(self) -> int:
        """A hotel, a relative, a train: any domestic provider, rare ones more often than at home."""
        return self.provider(self.dice) if self.dice.random() < 0.6 else HOME + self.dice.randrange(DOMESTIC)

    def _of_person(self, out: list[Login], who: int, p: Person, day: int) -> None:
        r, weekday, now = self.dice, day % 7, 24 * day
        away = p.trip[0] <= day <= p.trip[1]
        if p.admin and r.random() < 0.06:
            self._outside(out, who, p, now + 5 + r.uniform(14, 23.5), p.home, r.randint(1, 3), 0.6)
        if p.phone >= 0 and r.random() < p.phone_rate * (1 if weekday < 5 else 0.4):
            for _ in range(r.randint(1, 3)):
                at = min(max(r.gauss(14, 4), 5.3), 28)
                at_home = not away and (weekday >= 5 or at < p.begins - 0.7 or at > p.begins + p.hours + 1.5)
                net = p.relay if p.relay >= 0 and r.random() < 0.5 else p.home if at_home and r.random() < 0.6 else p.phone
                out.append(Login(now + at, who, net, r.randrange(4), "mfa"))
        if p.tablet and r.random() < 0.3:  # it stays at home and fetches mail whenever somebody touches it
            out.append(Login(now + r.uniform(7, 23), who, p.home, 0, "mfa"))
        if weekday >= 5:
            if r.random() < 0.05:
                net = p.trip[2] if away else p.home
                self._outside(out, who, p, now + r.uniform(8, 21), net, r.randint(1, 3), 0.5)
            return
        if not p.weekdays[weekday] or r.random() > 0.86:
            return
        begin = now + max(p.begins + r.gauss(0, 0.4), 5.2)
        end = begin + min(max(p.hours + r.gauss(0, 0.6), 2), 11)
        if away:
            self._outside(out, who, p, begin, p.trip[2], r.randint(1, 4), end - begin)
        elif r.random() < p.homeoffice:
            self._home_day(out, who, p, begin, end)
        else:
            self._office_day(out, who, p, begin, end)

    def _home_day(self, out: list[Login], who: int, p: Person, begin: float, end: float) -> None:
        r = self.dice
        noon = begin + (end - begin) * r.uniform(0.35, 0.65)
        if r.random() < 0.06:  # half a day at home, half in the office, and the way between them
            self._outside(out, who, p, begin, p.home, 3, noon - begin)
            self._inside(out, who, p, noon + max(r.lognormvariate(-0.35, 0.5), 0.2), end + 0.5, p.site)
            return
        net = p.home if r.random() > 0.012 else self._elsewhere()
        self._outside(out, who, p, begin, net, r.randint(4, 8), end - begin)
        if r.random() < 0.006:  # the line is down: the telephone helps, or next door
            self._outside(out, who, p, noon, self._elsewhere() if r.random() < 0.25 else MOBILE_AT + r.randrange(MOBILE), 2, 1.5)
        if r.random() < 0.06:
            self._outside(out, who, p, end + r.uniform(1, 4), net, 1, 0.5)

    def _office_day(self, out: list[Login], who: int, p: Person, begin: float, end: float) -> None:
        r = self.dice
        now = 24 * int((begin - 5) // 24)
        site = p.site if r.random() > 0.04 else r.randrange(SITES)
        if r.random() < p.early:
            gap = max(r.lognormvariate(-0.3, 0.45), 0.25)
            out.append(Login(max(begin - gap, now + 5.05), who, p.home, r.randrange(4), "mfa"))
        if r.random() < 0.03:  # the children come from school: half a day here, half at home
            noon = begin + (end - begin) * r.uniform(0.35, 0.65)
            self._inside(out, who, p, begin, noon, site)
            self._outside(out, who, p, noon + max(r.lognormvariate(-0.35, 0.5), 0.2), p.home, 3, end - noon)
            return
        move = begin + 0.6 * (end - begin) if r.random() < 0.02 else end  # to another site after noon
        self._inside(out, who, p, begin, move, site)
        if move < end:
            self._inside(out, who, p, move + 0.4, end, r.randrange(SITES))
        evening = end + max(r.lognormvariate(0.3, 0.7), 0.3)
        if r.random() < 0.09 and evening < now + 28.5:
            net = p.home if r.random() > 0.02 else self._elsewhere()
            self._outside(out, who, p, evening, net, r.randint(1, 2), 0.5)

    def _inside(self, out: list[Login], who: int, p: Person, begin: float, end: float, site: int) -> None:
        r = self.dice
        for k in range(r.randint(4, 9)):
            at = begin if k == 0 else r.uniform(begin, max(end - 0.2, begin + 0.1))
            out.append(Login(at, who, site, self._host(p), "kerberos"))
        if p.relay >= HOSTING_AT and r.random() < 0.3:
            out.append(Login(r.uniform(begin, end), who, p.relay, r.randrange(4), "mfa"))

    def _outside(self, out: list[Login], who: int, p: Person, begin: float, net: int, n: int, hours: float) -> None:
        """Dial-in from a provider, then logins through the VPN, now and then a cloud service directly."""
        r = self.dice
        last = 24 * int((begin - 5) // 24) + 28.95  # a day is an epoch
        out.append(Login(begin, who, net, 0, "mfa"))
        for _ in range(n):
            at = begin + 0.02 + r.random() * max(hours, 0.1)
            if at < last:
                out.append(
                    Login(at, who, net, r.randrange(4), "mfa") if r.random() < 0.3 else Login(at, who, VPN, self._host(p), "kerberos")
                )

    def _host(self, p: Person) -> int:
        r = self.dice
        x = r.random()
        if x < 0.006:
            return r.randrange(COMMON, HOSTS)  # standing in for somebody
        if x < 0.03:
            return r.choice(self.group_hosts[p.group % GROUPS])
        return p.hosts[min(int(r.random() ** 1.6 * len(p.hosts)), len(p.hosts) - 1)]


KINDS = ("far", "near-rare", "near-common", "d", "d-near", "lateral")


def episode(town: Town, kind: str, who: int, day: int, r: random.Random) -> list[Login]:
    """A takeover of one person on one day: its logins. Nobody's own provider or group plays a part."""
    near_common = HOME + min(bisect(town.share, r.random() * town.share[9]), 9)
    net = {
        "far": lambda: ABROAD_AT + r.randrange(150), "near-rare": lambda: HOME + r.randrange(25, DOMESTIC),
        "near-common": lambda: near_common, "d": lambda: ABROAD_AT + r.randrange(150), "d-near": lambda: near_common,
        "lateral": lambda: near_common if r.random() < 0.5 else HOME + r.randrange(25, DOMESTIC),
    }[kind]()  # fmt: skip
    while net == town.people[who].home:
        net = HOME + r.randrange(10 if kind != "near-rare" else DOMESTIC)
    at = 24 * day + (27.0 + r.uniform(-0.5, 0.8) if kind in ("d", "d-near") else r.uniform(7.5, 20))
    logins = [Login(at + k * r.uniform(0.05, 0.5), who, net, r.randrange(4), "mfa") for k in range(r.randint(1, 3))]
    if kind == "lateral":
        new = [h for h in range(COMMON, HOSTS) if h not in town.group_hosts[town.people[who].group % GROUPS]]
        hosts = r.sample(new, r.randint(3, 10))
        logins += [Login(at + 0.05 + 0.9 * r.random(), who, VPN, host, "kerberos") for host in hosts]
    return sorted(logins)
