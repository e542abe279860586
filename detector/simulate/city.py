"""A city, window by window: each ten minutes are made from the seed and their place in time alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detector.records import Place, Records, concat
from detector.simulate import attacks, background, clock, configuration, devices, logins, people, services, traffic
from detector.simulate.attacks import Attack
from detector.simulate.clock import DAY, MINUTE, Plan
from detector.simulate.people import CityError
from detector.simulate.wire import IPV6, Press, Sheet
from detector.simulate.wireformats import TEMPLATES

TOPICS = ("firewall", "auth")
WINDOW = 10 * MINUTE
HONEST, NOISE = 0, -1
OFFSET_BITS = 26  # room for 67 million lines per window and topic


@dataclass(frozen=True, slots=True)
class SimulatedWindow:
    """Ten minutes of raw lines, and what is true about each.

    records   per topic, in the order of arrival; offsets = index << 26 | row, unique and rising over the windows
    truth     per topic int32 (n): 0 honest, -1 the internet's noise, otherwise the number of an attack
    attacks   those that left lines in this window, by number
    """

    index: int
    start: int
    end: int
    records: dict[str, Records]
    truth: dict[str, NDArray[np.int32]]
    attacks: dict[int, Attack]

    def merged(self) -> tuple[Records, NDArray[np.int32]]:
        """All topics in the order of arrival, as ROUTE merges partitions, and the truth of each row."""
        both = concat(list(self.records.values()))
        order = np.argsort(both.timestamps, kind="stable")
        return both.take(order), np.concatenate(list(self.truth.values()))[order]


class City:
    """Three sites in two tenants. Equal arguments give equal lines, whatever was asked before."""

    windows_per_day = DAY // WINDOW

    def __init__(
        self, seed: int, people: int = 120, start: datetime = datetime(2026, 3, 2, tzinfo=UTC), *,
        attacks: str | Sequence[str] = "all", volume: float = 1.0, attacks_from_day: int = 1, rehearsal_hours: float = 0.0,
    ) -> None:  # fmt: skip
        """attacks: "all", "none" or names of `attacks.KINDS`, each once a day from day `attacks_from_day` on.

        rehearsal_hours > 0: each also begins once within so many hours after the start, whatever the hour; for shows.
        volume multiplies flows and noise, not people. Raises CityError for an unknown attack or a start off the ten minutes.
        """
        self.seed, self.start, self.volume, self.attacks_from_day = seed, clock.micros(start), volume, attacks_from_day
        self.kinds, self._rehearsal_hours = chosen(attacks), rehearsal_hours
        if self.start % WINDOW != 0:
            raise CityError("a city starts on a full ten minutes")
        self.press = Press(TEMPLATES)
        self.people = _hire(self.press, seed, people)
        self._world6 = IPV6 + self.press.texts(f"2001:db8:ffff:{k:x}::443" for k in range(256))
        self._plan = lru_cache(maxsize=4)(self._make_plan)
        self.attack_plan = lru_cache(maxsize=4)(self._make_attacks)
        self.rehearsal = self._rehearse() if rehearsal_hours > 0 else ()

    def config_toml(self, extra: str = "") -> str:
        """A configuration that reads this city's topics; `extra` tables ([kafka], [database] …) come first."""
        return configuration.toml(extra)

    def window(self, index: int, *, newline: bool = False) -> SimulatedWindow:
        """Window `index` ≥ 0 since the start; `newline` ends each record with one, for files."""
        start = self.start + index * WINDOW
        end = start + WINDOW
        zone = clock.zone(start)
        sheets = {topic: Sheet(self.press, zone, start, end) for topic in TOPICS}
        today = clock.local_date(start)
        self._honest(np.random.default_rng([self.seed, start // WINDOW, 5]), today, sheets)
        seen = self._attack(np.random.default_rng([self.seed, start // WINDOW, 6]), today, sheets)
        printed = {topic: sheet.print(newline=newline) for topic, sheet in sheets.items()}
        records = {
            topic: Records(
                page.values, page.bounds, np.zeros(len(page.truth), np.bool_), np.zeros(len(page.truth), np.int32),
                (index << OFFSET_BITS) + np.arange(len(page.truth), dtype=np.int64), page.timestamps, (Place(topic, 0),),
            )
            for topic, page in printed.items()
        }  # fmt: skip
        return SimulatedWindow(index, start, end, records, {topic: page.truth for topic, page in printed.items()}, seen)

    def windows(self, first: int, last: int) -> Iterator[SimulatedWindow]:
        """Windows first ≤ i < last."""
        return (self.window(index) for index in range(first, last))

    def day_number(self, day: date) -> int:
        return day.toordinal() - clock.local_date(self.start).toordinal()

    def _make_plan(self, day: date) -> Plan:
        return clock.plan(self.people, self.seed, day)

    def _make_attacks(self, day: date) -> tuple[Attack, ...]:
        """The attacks that begin on a local day, in the order of `attacks.KINDS`."""
        number = self.day_number(day)
        if number < self.attacks_from_day:
            return ()
        return tuple(attacks.PLANNERS[kind](self._scene(kind, day, number)) for kind in attacks.KINDS if kind in self.kinds)

    def _scene(self, kind: str, day: date, number: int) -> attacks.Scene:
        k = attacks.KINDS.index(kind)
        rng = np.random.default_rng([self.seed, day.toordinal(), 7, k])
        variant = number - self.attacks_from_day
        return attacks.Scene(rng, self.press, self.people, self._plan(day), clock.midnight(day), 10 * number + k + 1, variant)

    def _rehearse(self) -> tuple[Attack, ...]:
        """One of each soon after the start; numbers 5 to 8, which no day uses."""
        span = (self.start, self.start + int(self._rehearsal_hours * clock.HOUR))
        scenes = ((kind, self._scene(kind, clock.local_date(self.start), 0)) for kind in attacks.KINDS if kind in self.kinds)
        return tuple(attacks.PLANNERS[kind](replace(scene, number=scene.number + 4, variant=0, rehearsal=span)) for kind, scene in scenes)

    def _honest(self, rng: np.random.Generator, today: date, sheets: dict[str, Sheet]) -> None:
        """Everything but attacks, always in the same order, because the random numbers come in it."""
        firewall, auth = sheets["firewall"], sheets["auth"]
        start, end = firewall.start, firewall.end
        plan = self._plan(today)
        bustle = float(clock.presence(plan, start, end).mean())
        parts = [
            traffic.office(rng, self.people, self._world6, plan, start, end, self.volume),
            *background.timers(rng, self.people, plan, start, end),
            *background.servers(rng, start, end, bustle, self.volume),
            *background.backups(rng, self.seed, today, start, end),
        ]
        devices.write(firewall, devices.concat([flow for flow, _ in parts]), np.concatenate([site for _, site in parts]))
        noise = background.scanners(rng, self.seed, today, start, end, self.volume)
        devices.write(firewall, devices.concat([flow for flow, _ in noise]), np.concatenate([site for _, site in noise]), truth=NOISE)
        desk = logins.Desk(rng, self.people, plan, today, self.seed, auth, firewall)
        logins.arrivals(desk)
        logins.day_long(desk)
        logins.administrators(desk)
        services.scheduled(desk)
        services.scan_to_folder(desk)
        services.knocking(desk, self.volume)

    def _attack(self, rng: np.random.Generator, today: date, sheets: dict[str, Sheet]) -> dict[int, Attack]:
        firewall, auth = sheets["firewall"], sheets["auth"]
        yesterday = date.fromordinal(today.toordinal() - 1)
        seen = {}
        for attack in (*self.rehearsal, *self.attack_plan(yesterday), *self.attack_plan(today)):
            if attack.start < firewall.end and attack.end > firewall.start:
                attack.write(firewall, auth, rng, attack.number)
                seen[attack.number] = attack
        return seen


def chosen(names: str | Sequence[str]) -> tuple[str, ...]:
    """The attacks meant by "all", "none", one name or several; raises CityError for an unknown one."""
    if names == "all":
        return attacks.KINDS
    if names == "none":
        return ()
    wanted = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in wanted if name not in attacks.KINDS]
    if unknown:
        raise CityError(f"no attack is called {unknown[0]}; there are {', '.join(attacks.KINDS)}")
    return wanted


def _hire(press: Press, seed: int, n: int) -> people.People:
    return people.hire(press, seed, n)
