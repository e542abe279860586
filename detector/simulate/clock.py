"""The city's clock: Europe/Berlin with its two changes a year, and who works when on a given day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detector.simulate import holidays, places, whereabouts
from detector.simulate.people import People
from detector.simulate.wire import Int64, Zone

BERLIN = ZoneInfo("Europe/Berlin")
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def moment(micros: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)


def micros(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def offset(at: int) -> int:
    """Seconds by which Berlin is ahead of UTC at a moment (µs)."""
    shift = moment(at).astimezone(BERLIN).utcoffset()
    assert shift is not None
    return int(shift.total_seconds())


@lru_cache(maxsize=1024)
def zone(at: int) -> Zone:
    """Local time for lines around a moment, a day back (a flow's begin) and a day ahead. Changes fall on full hours."""
    low, high = at // HOUR * HOUR - DAY, at // HOUR * HOUR + DAY
    before, after = offset(low), offset(high)
    if before == after:
        return Zone(low, before, after)
    while high - low > HOUR:
        middle = (low + high) // 2 // HOUR * HOUR
        low, high = (middle, high) if offset(middle) == before else (low, middle)
    return Zone(high, before, after)


def local_date(at: int) -> date:
    return moment(at).astimezone(BERLIN).date()


def midnight(day: date) -> int:
    """The local midnight with which a day begins, µs UTC."""
    return micros(datetime(day.year, day.month, day.day, tzinfo=BERLIN))


OFFICE, HOME, JOURNEY, ABROAD = range(4)  # where a person works


class Plan(NamedTuple):
    """One working day of all people, from five in the morning; every array has one entry per person, times in µs UTC."""

    works: NDArray[np.bool_]
    home: NDArray[np.bool_]  # through the VPN, from home or elsewhere
    place: Int64  # OFFICE to ABROAD
    start: Int64
    end: Int64
    lunch: Int64
    lunch_end: Int64
    mistakes: Int64  # mistyped passwords before the first login
    stale: NDArray[np.bool_]  # a telephone or drive that still has last quarter's password
    duty: NDArray[np.bool_]  # an administrator on call looks after something at night
    duty_at: Int64
    address: Int64  # the address outside from which a person comes that day
    flat: Int64  # her address at home
    phone: Int64  # her telephone's address in its carrier's network
    holiday: Int64  # where people on leave abroad are, 0 = not on leave abroad
    wireless: NDArray[np.bool_]  # with a laptop in the building's Wi-Fi
    desk: Int64  # the address of the desk
    inner: Int64  # the address that the VPN hands out, without the site's base


def working_day(at: int) -> date:
    """The working day of a moment: five in the morning to five in the morning, so that a night stays whole."""
    return local_date(at - 5 * HOUR)


def _noon(day: date) -> int:
    """Twelve on the wall, also on the two odd days."""
    noon = midnight(day) + 12 * HOUR
    return noon - (offset(noon) - offset(midnight(day))) * SECOND


def _shifts(people: People, noon: int, day: date) -> tuple[NDArray[np.bool_], Int64, Int64]:
    """Early, late, night and off in turn: who is there, from when, until when."""
    turn = (day.toordinal() + np.arange(len(people))) % 4
    begin = np.array([-6.0, 2.0, 9.0, 0.0])[turn]
    start = noon + (begin * HOUR).astype(np.int64)
    return people.shifts & (turn < 3), start, start + 8 * HOUR


def plan(people: People, seed: int, day: date, staff: NDArray[np.bool_] | None = None, moved: NDArray[np.bool_] | None = None) -> Plan:
    """Who works when and where on a day; depends on the seed and the day alone.

    staff   who is employed by now, None = everyone
    moved   who works in the site that has just opened, None = nobody
    """
    rng = np.random.default_rng([seed, day.toordinal(), 1])
    n, weekday, noon = len(people), day.weekday(), _noon(day)
    free = holidays.is_public(day)
    leave = whereabouts.on_leave(people, seed, day)
    works = (rng.random(n) > 0.06) & (people.weekdays >> weekday & 1 == 1) & ~leave & (people.shifts | (not free))
    if weekday == 4:
        works &= (rng.random(n) > 0.06) | people.shifts
    overtime = ~people.shifts & ~leave & (rng.random(n) < 0.012) & (weekday >= 5 or free)
    hours = people.hours * (0.78 if weekday == 4 else 1.0) + rng.normal(0, 0.5, n) + people.public * 1.5 * holidays.is_citizens_day(day)
    hours = np.where(overtime, rng.uniform(1.0, 4.0, n), np.clip(hours, 2.0, 10.5))
    start = noon + ((np.where(overtime, rng.uniform(-3, 6, n), people.begins - 12) + rng.normal(0, 0.35, n)) * HOUR).astype(np.int64)
    end = start + (hours * HOUR).astype(np.int64)
    on_shift, shift_start, shift_end = _shifts(people, noon, day)
    works = np.where(people.shifts, works & on_shift, works | overtime)
    start = np.where(people.shifts, shift_start + rng.integers(-8 * MINUTE, 5 * MINUTE, n), start)
    end = np.where(people.shifts, shift_end, end)
    journey = whereabouts.journey(people, seed, day)
    at_home = (rng.random(n) < people.homeoffice) | overtime
    place = np.where(journey > 0, journey + HOME, np.where(at_home, HOME, OFFICE))
    lunch = start + (0.45 * (end - start)).astype(np.int64) + (rng.normal(0, 0.3, n) * HOUR).astype(np.int64)
    mistakes = rng.choice(np.array([0, 1, 2, 3, 6]), n, p=[0.93, 0.046, 0.017, 0.006, 0.001])
    flat, phone = whereabouts.flat(people, seed, day), whereabouts.phone(people, seed, day)
    desk = people.address if moved is None else np.where(moved, places.BRANCH + people.address % 16_384, people.address)
    return Plan(
        works if staff is None else works & staff, place > OFFICE, place, start, end,
        lunch, lunch + (rng.uniform(0.4, 0.9, n) * HOUR).astype(np.int64), mistakes.astype(np.int64),
        rng.random(n) < (0.03 if holidays.is_password_day(day) else 0.004), people.admin & (rng.random(n) < 0.06), noon + ((8 + 8 * rng.random(n)) * HOUR).astype(np.int64),
        np.where(place >= JOURNEY, whereabouts.elsewhere(people, seed, day, place == ABROAD), flat), flat, phone,
        whereabouts.holiday(people, seed, day, leave), rng.random(n) < 0.3, desk, people.pool + rng.permutation(n),
    )  # fmt: skip


def presence(day: Plan, start: int, end: int) -> NDArray[np.float64]:
    """The share of the window [start, end) that each person spends at work; lunch counts a fifth."""
    width = end - start
    at_work = np.clip(np.minimum(day.end, end) - np.maximum(day.start, start), 0, width) / width
    at_lunch = np.clip(np.minimum(day.lunch_end, end) - np.maximum(day.lunch, start), 0, width) / width
    share: NDArray[np.float64] = np.clip(at_work - 0.8 * at_lunch, 0, 1) * day.works
    return share
