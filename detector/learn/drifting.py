"""Looks at each complete day of each model once: rows of the reservoir against the week before, counts of devices, the calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.config import Config
from detector.features.calendar import Calendar, day_number
from detector.features.state import BERLIN
from detector.features.table import ModelTable
from detector.judge import workdays
from detector.judge.devices import FIELDS
from detector.judge.findings import NO_PROBABILITY
from detector.judge.models import Models, Scorer
from detector.learn.drift import Cause, Day, Device, Shift, alike, cause, shift
from detector.learn.library import RegistryLibrary
from detector.store import Database, drift, registry, reservoir
from detector.store.drift import BACK, DAY, HOUR, Found, Slot

EVERY = 600_000_000  # µs
NOON = 12 * HOUR

Told = Callable[[Found], None]


@dataclass(slots=True)
class DriftWatch:
    """A chore. `scorers`: by shard, the models that judge it; `calendars`: by time zone."""

    database: Database
    tables: Mapping[str, ModelTable]
    scorers: Callable[[str], Mapping[str, Scorer]]
    calendar: Callable[[str], Calendar]
    told: Told | None = None
    looked: int = field(default=0)
    begun: bool = False

    def __call__(self, now: int) -> int:
        """How many days were looked at now. Raises Away."""
        if now - self.looked < EVERY:
            return 0
        self.looked = now
        if self.told is not None and not self.begun:  # metrics of a process that has just started
            for found in drift.newest(self.database):
                self.told(found)
        self.begun = True
        waiting = [one for one in drift.pending(self.database) if one[1] in self.tables]
        for tenant, model, day, zone in waiting:
            found = self.look(tenant, model, day, zone)
            drift.write(self.database, found, now)
            if self.told is not None:
                self.told(found)
        return len(waiting)

    def look(self, tenant: str, model: str, day: dt.date, zone: str) -> Found:
        """What is to be said about that day."""
        table, scorer, number = self.tables[model], self.scorers(tenant)[model], day_number(day)
        span = ((number - BACK) * DAY - 12 * HOUR, (number + 2) * DAY)
        rows = reservoir.read(self.database, tenant, model, table.schema_hash, len(table.features), span)
        of = drift.epochs(rows.hour, zone)[0]
        with self.database.transaction() as connection:
            slots = drift.slots(connection, tenant, zone, number)
            unread = drift.unread(connection, tenant, zone, number)
            ratio = None if model in NO_PROBABILITY else drift.realised(connection, tenant, model, day)
        entities = {d: len(np.unique(rows.entity[of == d])) for d in range(number - BACK, number + 1)}
        days = {d: one for d, one in days_of(slots, unread, entities, self.calendar(zone)).items() if number - BACK <= d <= number}
        today, before = days.pop(number, Day(0)), days
        found = _shift(table, scorer, rows, of, number, [d for d, one in before.items() if one in alike(today, list(before.values()))])
        why = cause(today, list(before.values()), found)
        return _found(tenant, model, day, scorer.model_id, found, ratio, why)


def _shift(table: ModelTable, scorer: Scorer, rows: reservoir.Rows, of: NDArray[np.int64], number: int, before: list[int]) -> Shift | None:
    X, past = (rows.X[mask].astype(np.float64) for mask in (of == number, np.isin(of, before)))
    return None if min(len(X), len(past)) == 0 else shift(table.names, X, past, (scorer.score(X)[0], scorer.score(past)[0]))


def _found(tenant: str, model: str, day: dt.date, model_id: str, found: Shift | None, ratio: float | None, why: Cause | None) -> Found:
    kind, text = (None, {}) if why is None else (why.kind, why.text)
    if found is None:
        return Found(tenant, model, day, model_id, 0, 0.0, ratio, 0.0, {}, kind, (), text)
    psi = dict(found.psi)
    return Found(tenant, model, day, model_id, found.rows, found.ks, ratio, found.unknown, psi, kind, found.drifted, text)


def days_of(slots: list[Slot], unread: Mapping[int, int], entities: Mapping[int, int], calendar: Calendar) -> dict[int, Day]:
    """The days of which any device was heard or any row is kept, by number."""
    found: dict[int, dict[str, list[Slot]]] = {number: {} for number, count in entities.items() if count > 0}
    for one in slots:
        found.setdefault(one.day, {}).setdefault(one.device, []).append(one)
    return {
        number: Day(
            *kind_of(number, calendar), {name: _device(own) for name, own in sorted(devices.items())}, unread.get(number, 0),
            entities.get(number, 0),
        )
        for number, devices in sorted(found.items())
    }  # fmt: skip


def _device(slots: list[Slot]) -> Device:
    filled = tuple(sum(one.filled[j] for one in slots) for j in range(len(FIELDS)))
    return Device(sum(one.events for one in slots), frozenset(one.slot for one in slots), filled)


def kind_of(number: int, calendar: Calendar) -> tuple[int, bool]:
    """(kind, free) of a day: 0 working, 1 free, 2 in a school break; free: a weekday that is a holiday, or lies between two free days."""
    at = np.arange(number - 1, number + 2) * DAY + NOON
    before, kind, after = (calendar.hours(at - HOUR)[0] // 24).tolist()
    weekday = (number + 3) % 7 < 5
    return kind, weekday and (kind == 1 or (before == after == 1))


@dataclass(frozen=True, slots=True)
class InForce:
    """The models that judge a tenant, looked up in the registry; shipped ones where it has none."""

    database: Database
    library: RegistryLibrary
    shipped: Mapping[str, Scorer]

    def __call__(self, tenant: str) -> Mapping[str, Scorer]:
        found = dict(self.shipped)
        for model in found:
            entry = registry.champion(self.database, tenant, model) or registry.champion(self.database, "", model)
            if entry is not None:
                found[model] = self.library.scorer(tenant, model, entry.digest, "champion")
        return found


def watching(config: Config, url: str, models: Models, told: Told) -> DriftWatch:
    """The chore of one SCORE process, with connections of its own: it runs in another thread than the loop."""
    database, zones = Database(url), {topic.timezone for topic in config.topics}
    calendars = {zone: workdays.calendar(zone, config.workdays) for zone in zones}
    in_force = InForce(database, RegistryLibrary(database, config, models.tables), models.scorers)
    return DriftWatch(database, models.tables, in_force, lambda zone: calendars.get(zone, BERLIN), told)
