"""Time zones as arrays: when each zone changes its offset, for the kernels that turn local times into UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode.scan import signed

_FIRST, _LAST = 631_152_000, 4_102_444_800  # 1990-01-01, 2100-01-01
SECOND = 1_000_000
DAY = 86_400


class Zones(NamedTuple):
    """Zone z changes at since[bounds[z]:bounds[z + 1]] (s, UTC) to offset (s, east is positive); its first entry is -2**62."""

    bounds: NDArray[np.int64]
    since: NDArray[np.int64]
    offset: NDArray[np.int64]


def _offset(zone: ZoneInfo, second: int) -> int:
    delta = datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
    assert delta is not None
    return delta // timedelta(seconds=1)


@cache
def _changes(name: str) -> tuple[tuple[int, int], ...]:
    """(since, offset) of one zone, found by weekly steps and bisection; "+05:30" is a fixed one. Raises ValueError for an unknown name."""
    fixed = re.fullmatch(r"([+-])(\d\d):?(\d\d)", name)
    if fixed is not None:
        return ((-(2**62), int(fixed[1] + "1") * (int(fixed[2]) * 3600 + int(fixed[3]) * 60)),)
    try:
        zone = ZoneInfo(name)
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"there is no time zone {name!r}") from error
    found = [(-(2**62), _offset(zone, _FIRST))]
    for second in range(_FIRST, _LAST, 7 * DAY):
        low, high = second, second + 7 * DAY
        after = _offset(zone, high)
        if after == found[-1][1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _offset(zone, middle) == after else (middle, high)
        found.append((high, after))
    return tuple(found)


def of(names: Sequence[str]) -> Zones:
    """The zones in the given order."""
    parts = [_changes(name) for name in names]
    bounds = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(p) for p in parts], out=bounds[1:])
    flat = np.array([entry for part in parts for entry in part], np.int64).reshape(-1, 2)
    return Zones(bounds, np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1]))


@njit(cache=True, nogil=True)
def _offset_at(zones: Zones, zone: int, second: int) -> int:
    low, high = zones.bounds[zone], zones.bounds[zone + 1] - 1
    while low < high:
        middle = (low + high + 1) // 2
        if zones.since[middle] <= second:
            low = middle
        else:
            high = middle - 1
    return signed(zones.offset[low])


@njit(cache=True, nogil=True)
def to_utc(zones: Zones, zone: int, local: int, near: int) -> int:
    """µs UTC of a local time in µs. An hour that comes twice: the one nearer to `near` (µs; 0 = unknown: the first)."""
    second = local // SECOND
    before, after = _offset_at(zones, zone, second - DAY), _offset_at(zones, zone, second + DAY)
    first, last = local - before * SECOND, local - after * SECOND
    if before == after:
        return first
    if _offset_at(zones, zone, first // SECOND) != before:
        return last if _offset_at(zones, zone, last // SECOND) == after else first  # an hour that was left out: as before
    if _offset_at(zones, zone, last // SECOND) != after or near == 0:
        return first
    return first if abs(first - near) <= abs(last - near) else last
