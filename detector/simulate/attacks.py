"""Four attacks at their usual strength, each with its schedule, its entities and the lines that it leaves.

An attack depends on the seed and its day alone; the honest city around it stays as it is without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from detector.simulate import clock, devices, hosts, places
from detector.simulate.clock import HOUR, MINUTE, SECOND, Plan
from detector.simulate.people import People
from detector.simulate.wire import Columns, Int64, Press, Sheet

KINDS = ("port-scan", "password-spraying", "brute-force", "beaconing")
Writer = Callable[[Sheet, Sheet, np.random.Generator, int], None]  # firewall, auth, rng of the window, attack number


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack; `entities` are pairs of ECS field and plain value, the opening one first."""

    number: int  # unique in the city: 10 × day + kind, from 1
    kind: str
    technique: str
    tenant: str
    site: str
    start: int  # µs
    end: int
    entities: tuple[tuple[str, str], ...]
    write: Writer = field(compare=False, repr=False)

    def label(self) -> dict[str, object]:
        """What labels.jsonl says about it, without its lines."""
        return {
            "id": self.number, "kind": self.kind, "technique": self.technique, "tenant": self.tenant, "site": self.site,
            "start": clock.moment(self.start).isoformat(), "end": clock.moment(self.end).isoformat(),
            "entities": [{"field": name, "value": value} for name, value in self.entities],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """What an attack may look at when it is planned."""

    rng: np.random.Generator
    press: Press
    people: People
    day: Plan
    midnight: int
    number: int
    variant: int
    rehearsal: tuple[int, int] | None = None  # instead of its usual hours the attack begins in this span (µs)

    def victim(self, site: int) -> int:
        """Someone at a desk of the site; on a free day, someone whose computer was left on."""
        here = np.flatnonzero((self.people.site == site) & self.day.works & ~self.day.home & ~self.people.admin)
        return int(self.rng.choice(here if len(here) > 0 else np.flatnonzero(self.people.site == site)))

    def hour(self, low: float, high: float) -> int:
        """A moment between two hours on the wall, or within the rehearsal's middle part."""
        if self.rehearsal is not None:
            begin, end = self.rehearsal
            return begin + int(self.rng.uniform(0.3, 0.8) * (end - begin))
        return self.midnight + int(self.rng.uniform(low, high) * HOUR)


def _text(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


def _within(times: Int64, sheet: Sheet) -> NDArray[np.bool_]:
    rows: NDArray[np.bool_] = (times >= sheet.start) & (times < sheet.end)
    return rows


def _attack(scene: Scene, kind: int, technique: str, site: int, times: Int64, entities: Mapping[str, str], write: Writer) -> Attack:
    place = places.SITES[site]
    return Attack(scene.number, KINDS[kind], technique, place.tenant, place.name, int(times[0]), int(times[-1]) + SECOND,
        tuple(entities.items()), write)  # fmt: skip


_SWEPT = np.array([445, 3389, 22, 80, 443, 135, 1433, 5985, 8080, 3306, 5900, 21])
_OPEN = np.array([443, 445, 88, 389, 53, 3389])


def port_scan(scene: Scene) -> Attack:
    """T1046: a client sweeps the server network for a few ports, or a few servers for many."""
    site = (places.RATHAUS, places.LEITSTELLE, places.BAUHOF)[scene.variant % 3]
    rng, person = scene.rng, scene.victim(site)
    base = int(places.of(site)[0]) & ~0xFF
    if scene.variant % 2 == 0:
        ports = rng.permutation(_SWEPT)[:3]
        dst, dport = np.repeat(base + np.arange(1, 255), 3), np.tile(ports, 254)
    else:
        targets = rng.permutation(places.of(site))[:2]
        dst, dport = np.repeat(targets, 500), np.tile(rng.permutation(np.arange(1, 1025))[:500], 2)
    times = scene.hour(10, 15) + np.cumsum(rng.exponential(SECOND / rng.uniform(3, 10), len(dst))).astype(np.int64)
    src = int(scene.people.address[person])
    opened = np.isin(dst, places.of(site)) & np.isin(dport, _OPEN)
    entities = {
        "source.ip": _text(src),
        "destination.ip": _text(int(dst[0])),
        "host.name": scene.press.value(int(scene.people.machine[person])),
    }
    return _attack(scene, 0, "T1046", site, times, entities, partial(_scan_lines, site, src, dst, dport, times, opened))


def _scan_lines(
    site: int, src: int, dst: Int64, dport: Int64, times: Int64, opened: NDArray[np.bool_],
    firewall: Sheet, _auth: Sheet, rng: np.random.Generator, number: int,
) -> None:  # fmt: skip
    rows = _within(times, firewall)
    flow = devices.flows(
        rng, times[rows], src=src, dst=dst[rows], dport=dport[rows], sent=np.where(opened, 104, 60)[rows],
        received=np.where(opened, 60, 0)[rows], denied=~opened[rows],
    )  # fmt: skip
    devices.write(firewall, flow, np.full(len(flow), site), truth=number)


def spraying(scene: Scene) -> Attack:
    """T1110.003: one password against everyone: at the VPN from one source, from many, or inside at the domain controller."""
    variant = scene.variant % 3
    site = places.LEITSTELLE if variant == 1 else places.RATHAUS
    rng, people = scene.rng, scene.people
    staff = rng.permutation(np.flatnonzero((people.site == places.LEITSTELLE) == (variant == 1)))
    if variant == 1:
        n = int(rng.integers(150, 300))
        who, src = np.resize(staff, n), places.ip("198.18.240.0") + rng.permutation(4000)[:n]
        times = scene.hour(9, 19) + np.sort(rng.integers(0, int(rng.uniform(1, 2) * HOUR), n))
        name = {"host.name": "pa-leitstelle"}
    else:
        inside = variant == 2
        address = int(people.address[scene.victim(site)]) if inside else places.ip("198.51.100.0") + int(rng.integers(1, 120))
        who, src = staff, np.full(len(staff), address)
        gap = rng.uniform(0.5, 2) if inside else rng.uniform(4, 15)
        times = scene.hour(9, 19) + np.cumsum(rng.exponential(gap * SECOND, len(staff))).astype(np.int64)
        name = {"source.ip": _text(address), "host.name": "dc-rathaus.stadt.example" if inside else "fw-rathaus"}
    return _attack(scene, 1, "T1110.003", site, times, name, partial(_spray_lines, variant, site, people, who, src, times))


def _spray_lines(
    variant: int, site: int, people: People, who: Int64, src: Int64, times: Int64,
    firewall: Sheet, auth: Sheet, rng: np.random.Generator, number: int,
) -> None:  # fmt: skip
    rows = _within(times, firewall)
    user = people.account[who[rows]]
    if variant == 2:
        host = hosts.qualified(auth.press, places.HOME_DC[site])
        columns: Columns = {"user": user, "sid": people.sid[who[rows]], "domain": hosts.DOMAINS[site], "src": src[rows], "host": host}
        ticket: Columns = {"status": hosts.KERBEROS_WRONG, "sport": rng.integers(49_152, 65_536, len(user))}
        hosts.windows(auth, "4771", times[rows], {**columns, **ticket}, truth=number)
    else:
        columns = {"user": user, "src": src[rows]}
        hosts.vpn_failures(firewall, rng, times[rows], np.full(len(user), site), columns, known=True, truth=number)


def brute_force(scene: Scene) -> Attack:
    """T1110.001: one account, one source, until the password is found: by ssh, at a file server inside, at the VPN."""
    variant = scene.variant % 3
    site = (places.BAUHOF, places.LEITSTELLE, places.RATHAUS)[variant]
    rng, people = scene.rng, scene.people
    own = np.flatnonzero((people.site == site) & (people.admin if variant < 2 else ~people.admin))
    person = int(rng.choice(own))
    src = int(people.address[scene.victim(site)]) if variant == 1 else places.ip("198.51.100.128") + int(rng.integers(1, 100))
    n = int(rng.integers(40, 160))
    times = scene.hour(1, 22) + np.cumsum(rng.exponential(rng.uniform(3, 9) * SECOND, n + 1)).astype(np.int64)
    account = int(people.operator[person] if variant < 2 else people.account[person])
    host = ("ssh-bauhof", "abr-leitstelle.stadtwerke.example", "fw-rathaus")[variant]
    entities = {"source.ip": _text(src), "user.name": scene.press.value(account), "host.name": host}
    lines = partial(_brute_lines, variant, site, people, person, account, src, times)
    return _attack(scene, 2, "T1110.001", site, times, entities, lines)


def _brute_lines(
    variant: int, site: int, people: People, person: int, account: int, src: int, times: Int64,
    firewall: Sheet, auth: Sheet, rng: np.random.Generator, number: int,
) -> None:  # fmt: skip
    """All attempts but the last fail."""
    rows = _within(times, auth)
    failed, last = times[:-1][rows[:-1]], times[-1:][rows[-1:]]
    if variant == 0:
        known = np.ones(len(failed), np.bool_)
        columns: Columns = {"host": "ssh-bauhof", "src": src, "user": account}
        hosts.ssh_failures(auth, rng, site, failed, known, columns, truth=number)
        login: Columns = {**columns, "uid": int(people.uid[person])}
        hosts.ssh_logins(auth, rng, site, last + 2 * SECOND, login, method="password", truth=number)
    elif variant == 1:
        _network_logon(auth, rng, failed, last, number, {
            "user": account, "sid": int(people.sid[person]), "domain": hosts.DOMAINS[site], "src": src,
            "host": hosts.qualified(auth.press, "abr-leitstelle"), "sport": int(rng.integers(49_152, 65_536)),
        })  # fmt: skip
    else:
        columns = {"user": account, "src": src, "machine": "", "inner": int(places.POOLS[site]) + 5}
        hosts.vpn_failures(firewall, rng, failed, np.full(len(failed), site), columns, known=True, truth=number)
        hosts.vpn_up(firewall, rng, last, np.full(len(last), site), columns, truth=number)


def _network_logon(auth: Sheet, rng: np.random.Generator, failed: Int64, last: Int64, number: int, columns: Columns) -> None:
    refusal = {**columns, "type": 3, "status": hosts.WRONG_PASSWORD, "workstation": "-"}
    hosts.windows(auth, "4625", failed, refusal, truth=number)
    hosts.session(auth, rng, last, columns, package="NTLM", special=True, truth=number)


def beaconing(scene: Scene) -> Attack:
    """T1071.001: a computer asks the same unknown server again and again, small, regular, for a working day."""
    site = (places.RATHAUS, places.LEITSTELLE, places.BAUHOF)[scene.variant % 3]
    rng, person = scene.rng, scene.victim(site)
    period = 60.0 if scene.rehearsal is not None else float(rng.choice(np.array([60, 120, 300])))
    start = scene.hour(8.2, 9.5) if scene.rehearsal is None else scene.rehearsal[0] + 20 * MINUTE
    n = int(rng.uniform(7, 9) * 3600 / period)
    times = start + (np.cumsum(period * (1 + rng.normal(0, 0.03, n))) * SECOND).astype(np.int64)
    src, dst = int(scene.people.address[person]), places.ip("198.51.100.240") + int(rng.integers(0, 14))
    octets = rng.integers(380, 520) + rng.integers(-6, 7, (2, n))
    entities = {"source.ip": _text(src), "destination.ip": _text(dst), "destination.port": "443"}
    return _attack(scene, 3, "T1071.001", site, times, entities, partial(_beacon_lines, site, src, dst, times, octets))


def _beacon_lines(
    site: int, src: int, dst: int, times: Int64, octets: Int64, firewall: Sheet, _auth: Sheet, rng: np.random.Generator, number: int
) -> None:
    rows = _within(times, firewall)
    flow = devices.flows(
        rng, times[rows], src=src, dst=dst, dport=443, service=devices.HTTPS, sent=octets[0][rows], received=octets[1][rows], duration=1
    )
    devices.write(firewall, flow, np.full(len(flow), site), truth=number)


PLANNERS: Mapping[str, Callable[[Scene], Attack]] = dict(zip(KINDS, (port_scan, spraying, brute_force, beaconing), strict=True))
LONGEST = 12 * HOUR + 10 * MINUTE
