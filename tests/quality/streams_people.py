"""Simulated staff for the real streams: where fourteen people log in from, when, and how they mistype; also the honest reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tests.quality.streams_lines import DAY, HOUR, SECOND

STAFF = 14
MINUTE = 60 * SECOND
# First octets by regional registry, coarse but public: what a prototype without a region table calls a region.
REGIONS: dict[str, tuple[int, ...]] = {
    "europe": (62, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 93, 94, 95, 109, 176, 178, 188, 212, 213, 217),
    "north-america": (24, 50, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 96, 97, 98, 99, 104, 107, 108, 173, 174, 184, 204),
    "asia": (1, 14, 27, 36, 39, 42, 49, 58, 59, 60, 61, 101, 106, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123),
    "latin-america": (177, 179, 181, 186, 187, 189, 190, 191, 200, 201),
    "africa": (41, 102, 105, 154, 196, 197),
}
REGION_OF = np.full(256, len(REGIONS), np.int64)
for _code, _octets in enumerate(REGIONS.values()):
    REGION_OF[list(_octets)] = _code
METHODS = ("password", "publickey")


@dataclass(frozen=True, slots=True)
class Person:
    """settled: always from one place; office: from two; traveller: also from mobile networks and, rarely, from abroad."""

    name: str
    kind: str
    region: str
    method: int
    logins: float  # on a working day
    address: int  # IPv4, of the one place, or of the home
    sloppy: float  # mistypes and changes of provider, as a multiple


@dataclass(frozen=True, slots=True)
class Logins:
    """n logins of a tenant in time order, of people numbered from 0; failures are those just before the login."""

    time: NDArray[np.int64]
    person: NDArray[np.int64]
    address: NDArray[np.int64]
    method: NDArray[np.int64]
    failures: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time)

    def of(self, person: int) -> NDArray[np.intp]:
        return np.flatnonzero(self.person == person)


def address_in(rng: np.random.Generator, region: str) -> int:
    return int(rng.choice(REGIONS[region])) << 24 | int(rng.integers(1 << 8, (1 << 24) - 1))


def elsewhere(rng: np.random.Generator, region: str) -> str:
    return str(rng.choice([other for other in REGIONS if other != region]))


def people(rng: np.random.Generator, count: int = STAFF, sloppy: float = 1.0) -> list[Person]:
    """Half of them settled, a quarter with two places, the rest travelling; every seventh hardly ever logs in."""
    region = str(rng.choice(["europe", "north-america"]))
    kinds = ("settled", "office", "settled", "traveller", "settled", "office", "settled")
    names = rng.permutation([f"{first}{last}" for first in "abcdefghklm" for last in ("becker", "keller", "lorenz", "vogel", "winter")])
    return [
        Person(
            str(names[i % len(names)]) + (str(i) if i >= len(names) else ""), kinds[i % 7], region, int(rng.random() < 0.4),
            0.2 if i % 7 == 6 else float(rng.gamma(4.0, 0.9)), address_in(rng, region), sloppy * float(rng.gamma(2.0, 0.5)),
        )
        for i in range(count)
    ]  # fmt: skip


def working(rng: np.random.Generator, staff: list[Person], first: int, last: int, zone: str) -> Logins:
    """What these people do between two times (µs)."""
    office = address_in(rng, staff[0].region)
    rows = [row for number, person in enumerate(staff) for row in _of_person(rng, number, person, first, last, ZoneInfo(zone), office)]
    rows.sort()
    columns = np.array(rows, np.int64).reshape(-1, 5).T
    return Logins(*columns)


def _of_person(
    rng: np.random.Generator, number: int, person: Person, first: int, last: int, zone: ZoneInfo, office: int
) -> list[tuple[int, int, int, int, int]]:
    rows, home = [], person.address
    mobile = [address_in(rng, person.region) >> 16 << 16 for _ in range(2)]
    day = datetime.fromtimestamp(first / SECOND, UTC).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    while day.timestamp() * SECOND < last:
        if rng.random() < 0.02 * person.sloppy:  # the provider gives another address of its own
            home = home >> 16 << 16 | int(rng.integers(1 << 16))
        if rng.random() < 0.001 * person.sloppy:  # moved, or another provider
            home = address_in(rng, person.region)
        abroad = address_in(rng, elsewhere(rng, person.region)) if person.kind == "traveller" and rng.random() < 0.01 else 0
        busy = 1.0 if day.weekday() < 5 else 0.08
        for _ in range(int(rng.poisson(person.logins * busy))):
            at = round(day.timestamp() * SECOND) + _hour_of_day(rng)
            place = abroad or _place(rng, person, home, office, mobile)
            method = person.method if rng.random() < 0.97 else 1 - person.method
            mistyped = int(rng.integers(1, 4)) if method == 0 and rng.random() < 0.04 * person.sloppy else 0
            rows.append((at, number, place, method, mistyped))
        day += timedelta(days=1)
    return [row for row in rows if first + MINUTE <= row[0] < last]


def _hour_of_day(rng: np.random.Generator) -> int:
    """µs since midnight: office hours, one in ten in the evening, one in two hundred at night."""
    draw = rng.random()
    hour = rng.uniform(0.0, 6.0) if draw < 0.005 else rng.normal(20.5, 1.2) if draw < 0.1 else rng.normal(12.0, 2.6)
    return round(float(np.clip(hour, 0.0, 23.9)) * HOUR)


def _place(rng: np.random.Generator, person: Person, home: int, office: int, mobile: list[int]) -> int:
    draw = rng.random()
    if person.kind == "settled" or draw < 0.4:
        return home
    if person.kind == "traveller" and draw < 0.6:
        return mobile[int(rng.integers(2))] | int(rng.integers(1 << 16))
    return office


def text_of(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


@dataclass(slots=True)
class Sshd:
    """Writes sshd's lines; process numbers begin where no real host's end."""

    host: str
    zone: ZoneInfo
    pid: int = 5_000_000

    def line(self, at: int, message: str, *, new: bool = True) -> bytes:
        self.pid += int(new)
        local = datetime.fromtimestamp(at / SECOND, UTC).astimezone(self.zone)
        return f"{local:%b} {local.day:2d} {local:%H:%M:%S} {self.host} sshd[{self.pid}]: {message}".encode()

    def failed(self, at: int, name: str, address: int, *, known: bool = True, new: bool = True) -> bytes:
        who = name if known else f"invalid user {name}"
        return self.line(at, f"Failed password for {who} from {text_of(address)} port {_port(at)} ssh2", new=new)

    def accepted(self, at: int, name: str, address: int, method: int, *, new: bool = True) -> bytes:
        return self.line(at, f"Accepted {METHODS[method]} for {name} from {text_of(address)} port {_port(at)} ssh2", new=new)


def _port(at: int) -> int:
    return 20_000 + at // SECOND * 7919 % 40_000


def spoken(staff: list[Person], logins: Logins, sshd: Sshd) -> tuple[list[bytes], NDArray[np.int64], NDArray[np.int64]]:
    """The logins as lines: (lines, times in µs, person of each); a mistyped password stands a few seconds before."""
    lines, times, whose = [], [], []
    for at, number, address, method, failures in zip(*(getattr(logins, name).tolist() for name in Logins.__slots__), strict=True):
        for k in range(failures, 0, -1):
            lines.append(sshd.failed(at - 6 * k * SECOND, staff[number].name, address, new=k == failures))
            times.append(at - 6 * k * SECOND)
            whose.append(number)
        lines.append(sshd.accepted(at, staff[number].name, address, method, new=failures == 0))
        times.append(at)
        whose.append(number)
    return lines, np.array(times, np.int64), np.array(whose, np.int64)


def reference(seed: int, tenants: int = 24, days: int = 30, sloppy: float = 1.0) -> list[Logins]:
    """Honest logins of tenants of the streams' size: 24 of 14 people are the 300 that a p-value needs (streams.md no. 2)."""
    rng = np.random.default_rng([7, seed])
    begin = 1_600_000_000 * SECOND
    return [working(rng, people(rng, STAFF, sloppy), begin, begin + days * DAY, "Europe/Berlin") for _ in range(tenants)]
