"""Local time of events: offices keep local hours and holidays, logs keep UTC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_HOUR = 3_600_000_000  # µs
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 2_900_000  # hours: the year 2300; beyond it zone rules mean nothing, and datetime ends at 9999
_FEW = 20_000  # hours: a batch within two years is looked up in a table
EPOCH_HOUR = 5  # token epochs run from 05:00 to 05:00 local time
HOURS = 72  # of the week: working days, then Saturdays, Sundays and holidays, then working days in the school holidays


@dataclass(frozen=True, slots=True)
class Calendar:
    """A place's clock and its days (since 1970, local) that are not like others."""

    zone: ZoneInfo
    holidays: frozenset[int] = frozenset()
    school_holidays: frozenset[int] = frozenset()

    @classmethod
    def of(cls, timezone: str, holidays: frozenset[date] = frozenset(), school_holidays: frozenset[date] = frozenset()) -> Calendar:
        return cls(ZoneInfo(timezone), frozenset(map(day_number, holidays)), frozenset(map(day_number, school_holidays)))

    def hours(self, times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of times in µs UTC, shape (n,): the hour of the week (0..71, see HOURS), and hours since 1970 on the local clock's face."""
        hours = local(times, self.zone) // _HOUR
        return hours % 24 + 24 * _asked_once(np.clip(hours // 24, 0, _LAST), self._kind), hours

    def _kind(self, day: int) -> int:
        """0 a working day, 1 a free one, 2 a working day in the school holidays; 1970-01-01 was a Thursday."""
        if (day + 3) % 7 >= 5 or day in self.holidays:
            return 1
        return 2 if day in self.school_holidays else 0


@cache
def _offset(hour: int, zone: ZoneInfo) -> int:
    """µs to add to UTC in that hour since 1970."""
    shift = (_EPOCH + timedelta(hours=hour)).astimezone(zone).utcoffset()
    return 0 if shift is None else int(shift / timedelta(microseconds=1))


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - _EPOCH.date()).days


def local(times: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Times in µs UTC as µs on the local clock's face, shape (n,)."""
    return times + _asked_once(np.clip(times // _HOUR, 0, _LAST), lambda hour: _offset(hour, zone))


def _asked_once(numbers: NDArray[np.int64], what: Callable[[int], int]) -> NDArray[np.int64]:
    """`what` of every number, asked once per distinct one; shape (n,)."""
    if len(numbers) == 0:
        return numbers
    low = int(numbers.min())
    if int(numbers.max()) - low < _FEW:
        present = np.bincount(numbers - low)
        table = np.zeros(len(present), np.int64)
        for number in np.flatnonzero(present).tolist():
            table[number] = what(low + number)
        return table[numbers - low]
    distinct, where = np.unique(numbers, return_inverse=True)
    return np.array([what(int(number)) for number in distinct], np.int64)[where]


def epoch_end(epoch: int, zone: ZoneInfo) -> int:
    """When a token epoch (days since 1970) ends, in µs UTC: 05:00 local time of the next day."""
    end = _EPOCH.replace(tzinfo=None) + timedelta(days=epoch + 1, hours=EPOCH_HOUR)
    return int((end.replace(tzinfo=zone) - _EPOCH) / timedelta(microseconds=1))
