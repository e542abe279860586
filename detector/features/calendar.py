"""Local time of events: offices keep local hours, logs keep UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_HOUR = 3_600_000_000  # µs
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 2_900_000 * _HOUR  # the year 2300: beyond it zone rules mean nothing, and datetime ends at 9999
EPOCH_HOUR = 5  # token epochs run from 05:00 to 05:00 local time


def _offset(hour: int, zone: ZoneInfo) -> int:
    """µs to add to UTC at the start of that hour since 1970."""
    moment = _EPOCH + timedelta(hours=hour)
    shift = moment.astimezone(zone).utcoffset()
    return 0 if shift is None else int(shift / timedelta(microseconds=1))


def local(times: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Times in µs UTC as µs on the local clock's face, shape (n,)."""
    hours, where = np.unique(np.clip(times, 0, _LAST) // _HOUR, return_inverse=True)
    return times + np.array([_offset(int(hour), zone) for hour in hours], np.int64)[where]


def hour_bins(times: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """0..23 on working days, 24..47 on Saturday and Sunday, shape (n,)."""
    hours = local(times, zone) // _HOUR
    day = (hours // 24 + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    return hours % 24 + np.where(day >= 5, 24, 0)


def epoch_end(epoch: int, zone: ZoneInfo) -> int:
    """When a token epoch (days since 1970) ends, in µs UTC: 05:00 local time of the next day."""
    end = _EPOCH.replace(tzinfo=None) + timedelta(days=epoch + 1, hours=EPOCH_HOUR)
    return int((end.replace(tzinfo=zone) - _EPOCH) / timedelta(microseconds=1))
