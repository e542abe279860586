"""A city, window by window: each ten minutes are made from the seed and their place in time alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.records import Place, Records, concat
from detector.simulate import attacks as _attacks
from detector.simulate import background, clock, cloud, configuration, devices, holidays, logins, outside, people, services, traffic
from detector.simulate import happenings as _happenings
from detector.simulate.attacks import Attack, Placed, Scene
from detector.simulate.attacks.plot import Pages
from detector.simulate.clock import DAY, MINUTE, Plan
from detector.simulate.happenings import Happening
from detector.simulate.people import CityError
from detector.simulate.town import Town
from detector.simulate.wire import Press, Sheet
from detector.simulate.wireformats import TEMPLATES

TOPICS = ("firewall", "auth")
WINDOW = 10 * MINUTE
HONEST, NOISE = 0, -1
OFFSET_BITS = 26  # room for 67 million lines per window and topic
PLACED = 1_000_000  # the number of the first placed attack
_PER_DAY, _REHEARSED = 100, 50  # attack k of day d has the number 100 d + k + 1; rehearsed ones of day 0 from 51 on


@dataclass(frozen=True, slots=True)
class SimulatedWindow:
    """Ten minutes of raw lines, and what is true about each.

    records   per topic, in the order of arrival; offsets = index << 26 | row, unique and rising over the windows
    truth     per topic int32 (n): 0 honest, -1 the internet's noise, otherwise the number of an attack
    attacks   those that are under way in this window, by number
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
    """One to three sites in two tenants. Equal arguments give equal lines, whatever was asked before."""

    windows_per_day = DAY // WINDOW

    def __init__(
        self, seed: int, people: int = 120, start: datetime = datetime(2026, 3, 2, tzinfo=UTC), *, sites: int = 3,
        attacks: str | Sequence[str] = "all", volume: float = 1.0, attacks_from_day: int = 1, rehearsal_hours: float = 0.0,
        placed: Sequence[Placed] = (), happenings: Sequence[str | Happening] = (),
        only: Literal["authentication", "firewall"] | None = None,
    ) -> None:  # fmt: skip
        """attacks: "all", "show", "none" or names of `attacks.PLANNERS`, each once a day from day `attacks_from_day` on.

        placed            further attacks, each on its day; their numbers are PLACED + their place
        rehearsal_hours   > 0: each of `attacks` also begins once within so many hours after the start, whatever the hour; for shows
        volume            multiplies flows and noise, not people
        only              "authentication" leaves out the connections, "firewall" the hosts' and the cloud's logins; the rest stays as it is
        Raises CityError for an unknown attack or happening, or a start off the ten minutes.
        """
        self.seed, self.start, self.volume, self.attacks_from_day, self.only = seed, clock.micros(start), volume, attacks_from_day, only
        self.kinds, self._rehearsal_hours = _attacks.chosen(attacks), rehearsal_hours
        if self.start % WINDOW != 0:
            raise CityError("a city starts on a full ten minutes")
        for one in placed:
            _attacks.check(one.attack, one.strength)
        self.press = Press(TEMPLATES)
        self.town = Town.of(self.press, seed, people, sites)
        self._placements, self._happenings = tuple(placed), _happenings.chosen(happenings)
        self._troubles = _happenings.troubles(self._happenings, clock.local_date(self.start))
        self._plan = lru_cache(maxsize=4)(self._make_plan)
        self.attack_plan = lru_cache(maxsize=4)(self._make_attacks)
        self.rehearsal = self._rehearse() if rehearsal_hours > 0 else ()

    @property
    def people(self) -> people.People:
        return self.town.people

    def config_toml(self, extra: str = "", files: str = "") -> str:
        """A configuration that reads this city's topics; `extra` tables ([kafka], [database] …) come first.

        files: the folder in which `roles_csv` and `networks_csv` lie as roles.csv and networks.csv; "" names neither.
        """
        return configuration.toml(extra, files)

    def roles_csv(self) -> str:
        """account,role,tenant of everyone, without a header."""
        return people.roles_csv(self.people, self.press)

    def networks_csv(self) -> str:
        """cidr,provider,region,kind of the outside, without a header."""
        return outside.csv()

    def window(self, index: int, *, newline: bool = False) -> SimulatedWindow:
        """Window `index` ≥ 0 since the start; `newline` ends each record with one, for files."""
        start = self.start + index * WINDOW
        end = start + WINDOW
        zone = clock.zone(start)
        flows = self.only != "authentication"
        sheets = {topic: Sheet(self.press, zone, start, end, flows=flows, troubles=self._troubles) for topic in TOPICS}
        self._honest(start, sheets)
        seen = self._attack(sheets)
        if self.only == "firewall":
            sheets["auth"] = Sheet(self.press, zone, start, end)
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

    @cached_property
    def placed(self) -> tuple[Attack, ...]:
        """The placed attacks in the order in which they were given."""
        order = sorted(range(len(self._placements)), key=lambda k: self._placements[k].day)
        planned = {k: self._place(k) for k in order}
        return tuple(planned[k] for k in range(len(planned)))

    def _place(self, k: int) -> Attack:
        one = self._placements[k]
        day = clock.local_date(self.start) + timedelta(days=one.day)
        which = list(_attacks.PLANNERS).index(one.attack)
        rng = np.random.default_rng([self.seed, day.toordinal(), 8, which, _attacks.STRENGTHS.index(one.strength), one.seed])
        plan = self._plan(day)
        scene = Scene(one.attack, one.strength, rng, self.town, plan, clock.midnight(day), PLACED + k, one.seed, wall=one.hour)
        return _attacks.PLANNERS[one.attack](scene)

    @cached_property
    def _placed_by_window(self) -> dict[int, list[Attack]]:
        """The placed attacks under way in each window."""
        found: dict[int, list[Attack]] = {}
        for attack in self.placed:
            for index in range((attack.start - self.start) // WINDOW, (attack.end - self.start) // WINDOW + 1):
                found.setdefault(index, []).append(attack)
        return found

    def _make_plan(self, day: date) -> Plan:
        number = self.day_number(day)
        staff = _happenings.staff(self._happenings, self.people, number)
        return clock.plan(self.people, self.seed, day, staff, _happenings.moved(self._happenings, self.people, number))

    def _make_attacks(self, day: date) -> tuple[Attack, ...]:
        """The attacks that begin on a local day, in the order of `attacks.PLANNERS`."""
        if self.day_number(day) < self.attacks_from_day:
            return ()
        return tuple(_attacks.PLANNERS[kind](self._scene(kind, day)) for kind in _attacks.PLANNERS if kind in self.kinds)

    def _scene(self, kind: str, day: date) -> Scene:
        k, number = list(_attacks.PLANNERS).index(kind), self.day_number(day)
        rng = np.random.default_rng([self.seed, day.toordinal(), 7, k])
        variant = number - self.attacks_from_day
        return Scene(kind, "usual", rng, self.town, self._plan(day), clock.midnight(day), _PER_DAY * number + k + 1, variant)

    def _rehearse(self) -> tuple[Attack, ...]:
        """One of each soon after the start, under numbers that no day uses."""
        span = (self.start, self.start + int(self._rehearsal_hours * clock.HOUR))
        day = clock.local_date(self.start)
        scenes = (self._scene(kind, day) for kind in _attacks.PLANNERS if kind in self.kinds)
        return tuple(
            _attacks.PLANNERS[s.kind](replace(s, number=s.number + _REHEARSED, variant=0, rehearsal=span)) for s in scenes
        )  # fmt: skip

    def _honest(self, start: int, sheets: dict[str, Sheet]) -> None:
        """Everything but attacks; connections and logins have chances of their own, so that either may be left out."""
        today, plan = clock.local_date(start), self._plan(clock.working_day(start))
        firewall, auth = sheets["firewall"], sheets["auth"]
        if firewall.flows:
            self._connections(np.random.default_rng([self.seed, start // WINDOW, 5]), today, plan, firewall)
        desk = logins.Desk(np.random.default_rng([self.seed, start // WINDOW, 4]), self.town, plan, today, auth, firewall)
        logins.arrivals(desk)
        logins.day_long(desk)
        logins.administrators(desk)
        services.scheduled(desk)
        services.scan_to_folder(desk)
        services.knocking(desk, self.volume)
        cloud.mail(desk)
        cloud.telephones(desk)
        cloud.portals(desk)

    def _connections(self, rng: np.random.Generator, today: date, plan: Plan, firewall: Sheet) -> None:
        """Always in the same order, because the chances come in it."""
        town, start, end = self.town, firewall.start, firewall.end
        bustle = float(clock.presence(plan, start, end).mean())
        parts = [
            traffic.office(rng, town, plan, start, end, self.volume, citizens=holidays.is_citizens_day(today)),
            *background.timers(rng, town, plan, start, end),
            *background.servers(rng, town, start, end, bustle, self.volume),
            *background.backups(rng, town, today, start, end),
            *background.vulnerability_scan(rng, town, today, start, end),
            *background.patches(rng, town, today, start, end),
        ]
        devices.write(firewall, devices.concat([flow for flow, _ in parts]), np.concatenate([site for _, site in parts]))
        noise = background.scanners(rng, town, today, start, end, self.volume)
        devices.write(firewall, devices.concat([flow for flow, _ in noise]), np.concatenate([site for _, site in noise]), truth=NOISE)

    def _attack(self, sheets: dict[str, Sheet]) -> dict[int, Attack]:
        firewall, auth = sheets["firewall"], sheets["auth"]
        today = clock.local_date(firewall.start)
        yesterday = date.fromordinal(today.toordinal() - 1)
        seen = {}
        due = self._placed_by_window.get((firewall.start - self.start) // WINDOW, [])
        for attack in (*self.rehearsal, *self.attack_plan(yesterday), *self.attack_plan(today), *due):
            if attack.start < firewall.end and attack.end > firewall.start:
                rng = np.random.default_rng([self.seed, firewall.start // WINDOW, 6, attack.number])
                attack.write(Pages(firewall, auth, rng, attack.number))
                seen[attack.number] = attack
        return seen
