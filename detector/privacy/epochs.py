"""Token epochs: 05:00 to 05:00 in the tenant's time zone, so that a night stays whole; numbered by days since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

HOUR = 3_600_000_000  # µs
DAY = 24 * HOUR
LATEST = 253_000_000_000 * 1_000_000  # µs, in the year 9987: the calendar ends in 9999
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


def epochs(times: NDArray[np.int64], zone: str) -> NDArray[np.int32]:
    """The epoch of each time (µs since 1970, UTC), shape (n,); no per-row Python, right on days of 23 and 25 hours.

    Raises zoneinfo.ZoneInfoNotFoundError for an unknown zone; the configuration's check makes sure of them.
    """
    if len(times) == 0:
        return np.zeros(0, np.int32)
    times = np.clip(times, 0, LATEST)
    days = _days_around(times)
    begins = np.array([begin(int(day), zone) for day in days], np.int64)
    return days[np.searchsorted(begins, times, side="right") - 1].astype(np.int32)


def epoch(at: int, zone: str) -> int:
    """The epoch of one time, µs."""
    return int(epochs(np.array([at], np.int64), zone)[0])


def limited(times: NDArray[np.int64], created: NDArray[np.int64]) -> NDArray[np.int64]:
    """Event times held within 24 hours of their record's time, so that a wrong clock cannot ask for a far epoch.

    A record without a time (<= 0) limits nothing.
    """
    known = created > 0
    return np.where(known, np.clip(times, created - DAY, created + DAY), times)


@lru_cache(maxsize=4096)
def begin(day: int, zone: str) -> int:
    """When the epoch `day` begins: 05:00 local time, as µs UTC."""
    local = datetime.combine(date(1970, 1, 1) + timedelta(days=day), time(5), ZoneInfo(zone))
    return (local - _ORIGIN) // timedelta(microseconds=1)


def _days_around(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """The UTC days that occur, each with its neighbours, because zones reach 14 hours to either side; sorted."""
    low, high = int(times.min()) // DAY, int(times.max()) // DAY
    if high - low < 64:
        return np.arange(low - 1, high + 2)
    days = np.unique(times // DAY)
    return np.unique(np.concatenate([days - 1, days, days + 1]))
