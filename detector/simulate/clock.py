"""The city's clock: Europe/Berlin with its two changes a year, and who works when on a given day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

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


class Plan(NamedTuple):
    """One local day of all people; every array has one entry per person, times in µs UTC."""

    works: NDArray[np.bool_]
    home: NDArray[np.bool_]  # through the VPN
    start: Int64
    end: Int64
    lunch: Int64
    lunch_end: Int64
    mistakes: Int64  # mistyped passwords before the first login
    stale: NDArray[np.bool_]  # a telephone or drive that still has last quarter's password
    duty: NDArray[np.bool_]  # an administrator on call looks after something at night
    duty_at: Int64
    address: Int64  # the address from which a person comes through the VPN that day
    inner: Int64  # the address that the VPN hands out


def plan(people: People, seed: int, day: date) -> Plan:
    """Who works when on a local day; depends on the seed and the day alone."""
    rng = np.random.default_rng([seed, day.toordinal(), 1])
    n = len(people)
    weekday = day.weekday()
    noon = midnight(day) + 12 * HOUR
    noon -= (offset(noon) - offset(midnight(day))) * SECOND  # twelve on the wall, also on the two odd days
    works = (rng.random(n) > 0.13) & (people.weekdays >> weekday & 1 == 1)
    if weekday == 4:
        works &= rng.random(n) > 0.08
    hours = people.hours * (0.78 if weekday == 4 else 1.0) + rng.normal(0, 0.5, n)
    start = noon + ((people.begins - 12 + rng.normal(0, 0.35, n)) * HOUR).astype(np.int64)
    lunch = noon + (rng.normal(0.1, 0.35, n) * HOUR).astype(np.int64)
    mistakes = rng.choice(np.array([0, 1, 2, 3]), n, p=[0.945, 0.04, 0.012, 0.003])
    away = rng.random(n) < 0.05  # a train, a hotel: another address than at home
    return Plan(
        works, rng.random(n) < people.homeoffice, start, start + (np.clip(hours, 2.0, 10.5) * HOUR).astype(np.int64),
        lunch, lunch + (rng.uniform(0.4, 0.9, n) * HOUR).astype(np.int64), mistakes.astype(np.int64),
        rng.random(n) < 0.004, people.admin & (rng.random(n) < 0.06), noon + ((8 + 6 * rng.random(n)) * HOUR).astype(np.int64),
        np.where(away, people.mobile + rng.integers(0, 2000, n), people.home), people.pool + rng.permutation(n),
    )  # fmt: skip


def presence(day: Plan, start: int, end: int) -> NDArray[np.float64]:
    """The share of the window [start, end) that each person spends at work; lunch counts a fifth."""
    width = end - start
    at_work = np.clip(np.minimum(day.end, end) - np.maximum(day.start, start), 0, width) / width
    at_lunch = np.clip(np.minimum(day.lunch_end, end) - np.maximum(day.lunch, start), 0, width) / width
    share: NDArray[np.float64] = np.clip(at_work - 0.8 * at_lunch, 0, 1) * day.works
    return share
