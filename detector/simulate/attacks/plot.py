"""What an attack is, what it may look at when it is planned, and the words that all of them use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.simulate import clock, devices, places
from detector.simulate.clock import HOUR, MINUTE, SECOND, Plan
from detector.simulate.people import People
from detector.simulate.town import Town
from detector.simulate.traffic import address_today
from detector.simulate.wire import Int64, Sheet

STRENGTHS = ("loud", "usual", "quiet")
Writer = Callable[["Pages"], None]


class Pages(NamedTuple):
    """Where an attack writes the lines of one window, under its number as `truth`."""

    firewall: Sheet
    auth: Sheet
    rng: np.random.Generator
    truth: int

    def within(self, times: Int64) -> NDArray[np.bool_]:
        """Which moments lie in this window."""
        rows: NDArray[np.bool_] = (times >= self.firewall.start) & (times < self.firewall.end)
        return rows

    def flows(self, site: int, flow: devices.Flows) -> None:
        devices.write(self.firewall, flow, np.full(len(flow), site), truth=self.truth)


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack; `entities` are pairs of ECS field and plain value, the opening one first."""

    number: int  # unique in the city
    kind: str
    strength: str
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
            "id": self.number, "kind": self.kind, "strength": self.strength, "technique": self.technique, "tenant": self.tenant,
            "site": self.site, "start": clock.moment(self.start).isoformat(), "end": clock.moment(self.end).isoformat(),
            "entities": [{"field": name, "value": value} for name, value in self.entities],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """What an attack may look at when it is planned."""

    kind: str
    strength: str
    rng: np.random.Generator
    town: Town
    day: Plan
    midnight: int
    number: int
    variant: int  # counts up from day to day, so that every form of an attack comes in turn
    rehearsal: tuple[int, int] | None = None  # instead of its usual hours the attack begins in this span (µs)
    wall: float | None = None  # or at this hour on the wall

    @property
    def people(self) -> People:
        return self.town.people

    @property
    def level(self) -> int:
        """0 loud, 1 usual, 2 quiet."""
        return STRENGTHS.index(self.strength)

    def by_strength(self, loud: float, usual: float, quiet: float) -> float:
        return (loud, usual, quiet)[self.level]

    def site(self, *wanted: int) -> int:
        """One of the wanted sites that the city has, in turn from day to day."""
        there = [site for site in wanted if site < self.town.sites] or [places.RATHAUS]
        return there[self.variant % len(there)]

    def victim(self, site: int, *, admin: bool = False) -> int:
        """Someone at a desk of the site; on a free day, someone whose computer was left on."""
        kind = (self.people.site == site) & (self.people.admin == admin)
        here = np.flatnonzero(kind & self.day.works & ~self.day.home)
        return int(self.rng.choice(here if len(here) > 0 else np.flatnonzero(kind)))

    def inside(self, person: int) -> int:
        """Her address in the building or in the VPN that day."""
        return int(address_today(self.people, self.day)[person])

    def hour(self, low: float, high: float) -> int:
        """A moment between two hours on the wall, at the hour that was asked for, or within the rehearsal's middle part."""
        if self.rehearsal is not None:
            begin, end = self.rehearsal
            return begin + int(self.rng.uniform(0.3, 0.8) * (end - begin))
        if self.wall is not None:
            return self.midnight + int((self.wall + self.rng.uniform(0, 0.25)) * HOUR)
        return self.midnight + int(self.rng.uniform(low, high) * HOUR)

    def gaps(self, n: int, seconds: float) -> Int64:
        """n moments after the start, as far apart as a tool makes them: a mean pause, never quite the same; first 0."""
        pauses = self.rng.exponential(seconds * SECOND, n).astype(np.int64)
        pauses[:1] = 0
        steps: Int64 = np.cumsum(pauses)
        return steps

    def attack(self, technique: str, site: int, times: Int64, entities: Mapping[str, str], write: Writer) -> Attack:
        place = places.SITES[site]
        return Attack(self.number, self.kind, self.strength, technique, place.tenant, place.name, int(times[0]), int(times[-1]) + SECOND,
            tuple(entities.items()), write)  # fmt: skip


def text(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


LONGEST = 24 * HOUR + 10 * MINUTE
