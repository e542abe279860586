"""The honest logins of one window: people at their desks and at home, administrators, service accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from detector.simulate import clock, hosts, places
from detector.simulate.background import ticks
from detector.simulate.clock import HOUR, SECOND, Plan
from detector.simulate.people import People
from detector.simulate.town import Town
from detector.simulate.traffic import address_today, own_server
from detector.simulate.wire import Int64, Sheet


@dataclass(frozen=True, slots=True)
class Desk:
    """What all writers below need: the town, which working day, which window (that of the sheets), and where to write."""

    rng: np.random.Generator
    town: Town
    day: Plan
    date: date  # the civil day
    auth: Sheet
    firewall: Sheet

    @property
    def people(self) -> People:
        return self.town.people

    def within(self, times: Int64) -> Int64:
        """The people whose moment lies in this window and who work today."""
        return np.flatnonzero(self.day.works & (times >= self.auth.start) & (times < self.auth.end))

    def rate(self, per_hour: float) -> tuple[Int64, Int64]:
        """Who does something that people do so often an hour at work, and when."""
        share = clock.presence(self.day, self.auth.start, self.auth.end) * (self.auth.end - self.auth.start) / HOUR
        who = np.repeat(np.arange(len(self.people)), self.rng.poisson(share * per_hour))
        return who, self.rng.integers(self.auth.start, self.auth.end, len(who))

    def ports(self, n: int) -> Int64:
        return self.rng.integers(49_152, 65_536, n)


def _person(desk: Desk, who: Int64) -> dict[str, Int64]:
    """The columns of Kerberos and logon events that come from the person."""
    people, press = desk.people, desk.auth.press
    return {
        "user": people.account[who], "principal": people.principal[who], "sid": people.sid[who],
        "domain": press.texts(hosts.DOMAINS)[people.site[who]], "src": address_today(people, desk.day)[who],
        "sport": desk.ports(len(who)), "host": _hosts(desk, places.HOME_DC)[people.site[who]],
    }  # fmt: skip


def _hosts(desk: Desk, names: tuple[str, ...]) -> Int64:
    return np.array([hosts.qualified(desk.auth.press, name) for name in names])


def _dial_in(desk: Desk, who: Int64, src: Int64) -> dict[str, Int64]:
    """The columns of a VPN's lines."""
    inner = address_today(desk.people, desk.day)[who]
    return {"user": desk.people.account[who], "src": src, "inner": inner, "machine": desk.people.machine[who]}


_WRONG_NAME = 0.1  # of mistypes are of the account's name, not of the password


def mistyped(desk: Desk, who: Int64, times: Int64, mistakes: Int64) -> tuple[Int64, Int64, Int64]:
    """One entry per refused login before the attempt that succeeds: index into `who`, when, and the account as it was written."""
    again = np.repeat(np.arange(len(who)), mistakes)
    back = np.arange(len(again)) - np.repeat(np.cumsum(mistakes) - mistakes, mistakes) + 1
    person = who[again]
    slip = desk.rng.random(len(again)) < _WRONG_NAME
    account = np.where(slip, desk.people.mistyped[person], desk.people.account[person])
    return again, times[again] - back * 9 * SECOND - desk.rng.integers(0, 3 * SECOND, len(again)), account


def slips(desk: Desk, n: int, often: float = 0.05) -> Int64:
    """How many attempts fail before each of n logins with a password: mostly none, up to three."""
    first = desk.rng.random(n) < often
    some: Int64 = first * (1 + (desk.rng.random(n) < 0.25) + (desk.rng.random(n) < 0.1))
    return some


def _refused(desk: Desk, who: Int64, times: Int64, mistakes: Int64) -> None:
    """Refused tickets before one that is granted; the domain controller says when there is no such account."""
    again, when, account = mistyped(desk, who, times, mistakes)
    person = who[again]
    status = np.where(account == desk.people.account[person], hosts.KERBEROS_WRONG, hosts.KERBEROS_UNKNOWN)
    hosts.windows(desk.auth, "4771", when, {**_person(desk, person), "user": account, "status": status})


def arrivals(desk: Desk) -> None:
    """The morning: at the desk or through the VPN, with a wrong password or name now and then."""
    who = desk.within(desk.day.start)
    at = desk.day.start[who]
    home = desk.day.home[who]
    site, outside = desk.people.site, desk.day.address
    far = who[home]
    again, when, account = mistyped(desk, far, at[home], desk.day.mistakes[far])
    wrong = far[again]
    for known in (True, False):
        rows = (account == desk.people.account[wrong]) == known
        columns = {"user": account[rows], "src": outside[wrong[rows]]}
        hosts.vpn_failures(desk.firewall, desk.rng, when[rows], site[wrong[rows]], columns, known=known)
    hosts.vpn_up(desk.firewall, desk.rng, at[home], site[far], _dial_in(desk, far, outside[far]))
    near = who[~home]
    _machines(desk, near, at[~home] - 70 * SECOND)
    _refused(desk, near, at[~home], desk.day.mistakes[near])
    _kerberos(desk, who, at + np.where(home, 20 * SECOND, 0))


def _machines(desk: Desk, who: Int64, times: Int64) -> None:
    """A computer that is switched on reports to its domain first."""
    columns = _person(desk, who) | {"user": desk.people.machine_account[who]}
    hosts.windows(desk.auth, "4768", times, columns)
    hosts.session(desk.auth, desk.rng, times + SECOND, columns)


def _kerberos(desk: Desk, who: Int64, times: Int64) -> None:
    """A ticket for the day, tickets for the usual services, a logon at the domain controller and the file server."""
    columns = _person(desk, who)
    hosts.windows(desk.auth, "4768", times, columns)
    files = np.array([desk.auth.press.text(name.upper() + "$") for name in places.HOME_FILES])[desk.people.site[who]]
    controller = np.array([desk.auth.press.text(name.upper() + "$") for name in places.HOME_DC])[desk.people.site[who]]
    for later, service in ((0.3, controller), (0.9, desk.people.machine_account[who]), (2.5, files)):
        hosts.windows(desk.auth, "4769", times + int(later * SECOND), {**columns, "service": service})
    drives = np.repeat(np.arange(len(who)), desk.rng.integers(0, 5, len(who)))
    mapped = hosts.pick(columns, drives)
    far = desk.town.estate.account[own_server(desk.rng, desk.town, who[drives])]
    hosts.windows(desk.auth, "4769", times[drives] + desk.rng.integers(SECOND, 20 * SECOND, len(drives)), {**mapped, "service": far})
    hosts.session(desk.auth, desk.rng, times + SECOND, columns)
    _files(desk, who, times + 3 * SECOND)


def _files(desk: Desk, who: Int64, times: Int64) -> None:
    host = _hosts(desk, places.HOME_FILES)[desk.people.site[who]]
    hosts.session(desk.auth, desk.rng, times, {**_person(desk, who), "host": host})


def day_long(desk: Desk) -> None:
    """Tickets, file server, unlocking after lunch, the old password in a telephone, leaving."""
    _applications(desk)
    who, times = desk.rate(1.2)
    _files(desk, who, times)
    who = desk.within(desk.day.lunch_end)
    back = desk.day.lunch_end[who]
    _refused(desk, who, back, slips(desk, len(who)))
    hosts.windows(desk.auth, "4768", back, _person(desk, who))
    stale = np.flatnonzero(desk.day.stale & desk.day.works & (desk.day.lunch < desk.auth.start) & (desk.day.end > desk.auth.start))
    which, times = ticks(desk.auth.start, desk.auth.end, 900 * SECOND, stale * 53 * SECOND)
    who = stale[which]
    hosts.windows(desk.auth, "4771", times, {**_person(desk, who), "status": hosts.KERBEROS_WRONG, "src": desk.people.wifi[who]})
    leaving = desk.within(desk.day.end)
    leaving = leaving[desk.day.home[leaving]]
    hosts.vpn_down(desk.firewall, desk.rng, desk.day.end[leaving], desk.people.site[leaving], desk.day.start[leaving],
        _dial_in(desk, leaving, desk.day.address[leaving]))  # fmt: skip


def _applications(desk: Desk) -> None:
    """Tickets for the department's servers, and a logon there where they are Windows hosts."""
    who, times = desk.rate(1.2)
    server, estate = own_server(desk.rng, desk.town, who), desk.town.estate
    columns = {**_person(desk, who), "service": estate.account[server]}
    hosts.windows(desk.auth, "4769", times, columns)
    rows = estate.windows[server] & (desk.rng.random(len(who)) < 0.6)
    there = {**hosts.pick(columns, rows), "host": estate.name[server][rows]}
    hosts.session(desk.auth, desk.rng, times[rows] + SECOND // 4, there)


_COMMANDS = (
    "/usr/bin/apt update",
    "/usr/bin/systemctl restart nginx",
    "/usr/bin/journalctl -u postgresql",
    "/usr/bin/less /var/log/syslog",
)


def administrators(desk: Desk) -> None:
    """Remote desktops and shells with the second account, firewalls, and sometimes a night on call."""
    for site in range(desk.town.sites):
        who, times = _admins(desk, site, 0.6)
        _remote_desktop(desk, site, who, times)
        who, times = _admins(desk, site, 0.8)
        _shell(desk, site, who, times)
        who, times = _admins(desk, site, 0.15)
        _firewall(desk, site, who, times)
    night = np.flatnonzero(desk.day.duty & (desk.day.duty_at >= desk.auth.start) & (desk.day.duty_at < desk.auth.end))
    at = desk.day.duty_at[night]
    inner = places.POOLS[desk.people.site[night]] + desk.day.inner[night]
    dial_in = {**_dial_in(desk, night, desk.day.flat[night]), "inner": inner}
    hosts.vpn_up(desk.firewall, desk.rng, at, desk.people.site[night], dial_in)
    for site in range(desk.town.sites):
        rows = desk.people.site[night] == site
        _remote_desktop(desk, site, night[rows], at[rows] + 60 * SECOND, src=inner[rows])


def _admins(desk: Desk, site: int, per_hour: float) -> tuple[Int64, Int64]:
    who, times = desk.rate(per_hour)
    rows = desk.people.admin[who] & (desk.people.site[who] == site)
    return who[rows], times[rows]


_JUMPS = ("sprung-rathaus", "sprung-rathaus", "sprung-leitstelle")


def _chosen_servers(desk: Desk, who: Int64, mine: Int64) -> Int64:
    """The server that an administrator looks after: everyone has some of his own, sometimes it is another's."""
    own = (who * 31 + (4 * desk.rng.random(len(who)) ** 2).astype(np.int64) * 7) % len(mine)
    chosen: Int64 = mine[np.where(desk.rng.random(len(who)) < 0.85, own, desk.rng.integers(0, len(mine), len(who)))]
    return chosen


def _remote_desktop(desk: Desk, site: int, who: Int64, times: Int64, src: Int64 | None = None) -> None:
    """First the jump host, then from there the server; one in eight goes straight to the server."""
    estate = desk.town.estate
    server = _chosen_servers(desk, who, estate.at(site, windows=True))
    straight = desk.rng.random(len(who)) < 0.12
    jump = estate.number(_JUMPS[site])
    columns = _person(desk, who) | {"user": desk.people.operator[who], "host": np.full(len(who), estate.name[jump])}
    if src is not None:
        columns["src"] = src
    wrong = desk.rng.random(len(who)) < 0.06
    refusal = {**hosts.pick(columns, wrong), "type": 3, "status": hosts.WRONG_PASSWORD, "workstation": "-"}
    hosts.windows(desk.auth, "4625", times[wrong] - 8 * SECOND, refusal)
    hosts.session(desk.auth, desk.rng, times[~straight], hosts.pick(columns, ~straight), kind=10, package="Negotiate", special=True)
    onward = {**columns, "host": estate.name[server], "src": np.where(straight, columns["src"], estate.address[jump])}
    later = times + np.where(straight, 0, desk.rng.integers(20, 200, len(who)) * SECOND)
    hosts.session(desk.auth, desk.rng, later, onward, kind=10, package="Negotiate", special=True)


def _shell(desk: Desk, site: int, who: Int64, times: Int64) -> None:
    people, rng, form, estate = desk.people, desk.rng, hosts.flavour(site), desk.town.estate
    host = estate.name[_chosen_servers(desk, who, estate.at(site, windows=False))]
    src = address_today(people, desk.day)[who]
    columns = {"host": host, "src": src, "user": people.operator[who], "uid": people.uid[who], "key": people.key[who]}
    password = rng.random(len(who)) < 0.15  # hosts that do not have the key yet
    for method, rows in (("publickey", ~password), ("password", password)):
        hosts.ssh_logins(desk.auth, rng, site, times[rows], hosts.pick(columns, rows), method=method, seconds=400)
    again = np.repeat(np.arange(len(who)), slips(desk, len(who), 0.12) * password)
    known = rng.random(len(again)) >= _WRONG_NAME
    written = np.where(known, people.operator[who[again]], people.mistyped[who[again]])
    back = 14 * SECOND + rng.integers(0, 25 * SECOND, len(again))
    hosts.ssh_failures(desk.auth, rng, site, times[again] - back, known, {**hosts.pick(columns, again), "user": written})
    command = desk.auth.press.texts(_COMMANDS)[rng.integers(0, len(_COMMANDS), len(who))]
    for later, line in ((15, "command"), (15, "opened"), (17, "closed")):
        desk.auth.add(f"sudo.{form}.{line}", times + later * SECOND, {**columns, "pid": 0, "command": command})


def _firewall(desk: Desk, site: int, who: Int64, times: Int64) -> None:
    """The depot has no firewall of its own to log in to; its administrators use the town hall's."""
    device = "panos" if site == places.LEITSTELLE else "fortigate"
    wrong = desk.rng.random(len(who)) < 0.04
    user, src = desk.people.operator[who], address_today(desk.people, desk.day)[who]
    for template, rows, back in (("admin_fail", wrong, 8), ("admin", np.ones(len(who), np.bool_), 0)):
        at = times[rows] - back * SECOND
        columns = {"pri": 185 if back > 0 else 190, "user": user[rows], "src": src[rows], "dst": places.ip("10.10.10.1")}
        desk.firewall.add(f"{device}.{template}", at, {**columns, "session": at // SECOND, "sequence": at // 100}, delay=600_000)
