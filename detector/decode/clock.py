"""Timestamps: the layouts that logs use are recognised, not configured.

Known: seconds, milli-, micro- or nanoseconds since 1970 · 2026-03-01T12:00:00.123+01:00, also with / and blanks ·
Mar  1 12:00:00, Mar 01 2026 12:00:00, Sun Mar 1 12:00:00 2026, 1 Mar 2026, 01/Mar/2026:12:00:00 +0100 ·
01.03.2026 · 3/1/26 12:00 (month first unless told otherwise).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.core.types import boolean, int64

from detector.decode.scan import BYTES, PAIR, Bytes, digits, several, signed
from detector.decode.zones import DAY, SECOND, Zones, to_utc

NONE = -(2**62)  # no time
EARLIEST, LATEST = 631_152_000 * SECOND, 4_102_444_800 * SECOND  # 1990 to 2100; anything else is a broken clock or no date
_YEAR = 31_556_952 * SECOND  # mean, of the Gregorian calendar
_AHEAD = 7 * DAY * SECOND  # a log tells the past; what lies further ahead than a wrong clock is last year's
_DAYS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


@njit(int64(int64, int64, int64), cache=True, nogil=True)
def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar, or NONE when there is no such day."""
    if month < 1 or month > 12 or day < 1 or day > _DAYS[month - 1] or year < 1 or year > 9999:
        return NONE
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if month == 2 and day == 29 and not leap:
        return NONE
    y = year - 1 if month <= 2 else year
    m = month + 9 if month <= 2 else month - 3
    return 365 * y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + day - 1 - 719_468


@njit(int64(BYTES, int64, int64), cache=True, nogil=True)
def _month(values: Bytes, p: int, end: int) -> int:
    """1..12 when an English month's first three letters stand at p, else 0."""
    if end - p < 3:
        return 0
    code = ((signed(values[p]) | 32) << 16) | ((signed(values[p + 1]) | 32) << 8) | (signed(values[p + 2]) | 32)
    for i, name in enumerate((
        0x6A616E, 0x666562, 0x6D6172, 0x617072, 0x6D6179, 0x6A756E, 0x6A756C, 0x617567, 0x736570, 0x6F6374, 0x6E6F76, 0x646563,
    )):  # fmt: skip
        if code == name:
            return i + 1
    return 0


@njit(int64(BYTES, int64, int64), cache=True, nogil=True)
def _skip(values: Bytes, p: int, end: int) -> int:
    while p < end and (values[p] == 32 or values[p] == 44):
        p += 1
    return p


@njit(int64(BYTES, int64, int64), cache=True, nogil=True)
def _letters(values: Bytes, p: int, end: int) -> int:
    while p < end and (values[p] | 32) >= 97 and (values[p] | 32) <= 122:
        p += 1
    return p


@njit(several(int64, 4)(BYTES, int64, int64, boolean), cache=True, nogil=True)
def read_date(values: Bytes, begin: int, end: int, day_first: bool) -> tuple[int, int, int, int]:
    """(year, month, day, where it ends); year 0 = not given; month 0 = no date here."""
    p = _skip(values, begin, end)
    named = _month(values, p, end)
    if named == 0 and p < end and (values[p] | 32) >= 97:  # a weekday before the month
        p = _skip(values, _letters(values, p, end), end)
        named = _month(values, p, end)
    if named > 0:
        day, q = digits(values, _skip(values, p + 3, end), end)
        year, r = digits(values, _skip(values, q, end), end)
        if r - q >= 4 and year >= 1900 and (r == end or values[r] != 58):
            return year, named, day, r
        return 0, named, day, q
    first, q = digits(values, p, end)
    if first < 0 or q >= end or q + 1 >= end:
        return 0, 0, 0, begin
    separator = values[q]
    named = _month(values, q + 1, end)
    if named > 0 and (separator == 32 or separator == 45 or separator == 47):  # 1 Mar 2026, 01/Mar/2026
        q = _letters(values, q + 1, end)
        year, r = digits(values, q + 1, end)
        return (year, named, first, r) if r - q == 5 else (0, named, first, q)
    if separator != 45 and separator != 47 and separator != 46:
        return 0, 0, 0, begin
    second, r = digits(values, q + 1, end)
    if second < 0 or r >= end or values[r] != separator:
        return 0, 0, 0, begin
    third, s = digits(values, r + 1, end)
    if third < 0:
        return 0, 0, 0, begin
    if q - p == 4:
        return first, second, third, s
    year = third + 2000 if s - r == 3 else third
    if separator == 46 or day_first:
        return year, second, first, s
    return year, first, second, s


@njit(PAIR(BYTES, int64, int64), cache=True, nogil=True)
def read_clock(values: Bytes, begin: int, end: int) -> tuple[int, int]:
    """(µs since midnight, where it ends); -1 when no time of day stands here."""
    p = begin
    while p < end and (values[p] == 32 or values[p] == 44 or values[p] == 58 or (values[p] | 32) == 116):
        p += 1
    hour, q = digits(values, p, end)
    if hour < 0 or hour > 23 or q >= end or values[q] != 58:
        return -1, begin
    minute, p = digits(values, q + 1, end)
    if minute < 0 or minute > 59:
        return -1, begin
    second, micro = signed(0), signed(0)
    if p < end and values[p] == 58:
        second, p = digits(values, p + 1, end)
        if second < 0 or second > 60:
            return -1, begin
        if p + 1 < end and (values[p] == 46 or values[p] == 44) and values[p + 1] >= 48 and values[p + 1] <= 57:
            p += 1
            scale = signed(100_000)
            while p < end and values[p] >= 48 and values[p] <= 57:
                micro += scale * signed(values[p] - 48)
                scale //= 10
                p += 1
    q = _skip(values, p, end)
    if q + 1 < end and (values[q + 1] | 32) == 109 and ((values[q] | 32) == 112 or (values[q] | 32) == 97):  # AM, PM
        hour = hour % 12 + (12 if (values[q] | 32) == 112 else 0)
        p = q + 2
    return ((hour * 60 + minute) * 60 + second) * SECOND + micro, p


@njit(PAIR(BYTES, int64, int64), cache=True, nogil=True)
def read_zone(values: Bytes, begin: int, end: int) -> tuple[int, int]:
    """(offset in s, where it ends): Z, UTC, GMT, +01:00, +0100, +01; NONE when no zone stands here."""
    p = begin
    while p < end and values[p] == 32:
        p += 1
    if p >= end:
        return NONE, begin
    c = values[p] | 32
    if c == 122 and _letters(values, p, end) == p + 1:
        return 0, p + 1
    if _letters(values, p, end) == p + 3 and ((c == 117 and (values[p + 1] | 32) == 116) or (c == 103 and (values[p + 1] | 32) == 109)):
        return 0, p + 3
    if values[p] != 43 and values[p] != 45:
        return NONE, begin
    sign = 1 if values[p] == 43 else -1
    hours, q = digits(values, p + 1, min(end, p + 3))
    if q < end and values[q] == 58:
        q += 1
    minutes, r = digits(values, q, min(end, q + 2))
    if hours < 0 or hours > 15 or minutes > 59:
        return NONE, begin
    return sign * (hours * 3600 + max(minutes, 0) * 60), r


@njit(int64(BYTES, int64, int64), cache=True, nogil=True)
def read_epoch(values: Bytes, begin: int, end: int) -> int:
    """µs of a number of seconds, milli-, micro- or nanoseconds since 1970, told apart by size; NONE when it is none."""
    if end - begin < 9 or end - begin > 30:
        return NONE
    n, p = digits(values, begin, end)
    if p - begin < 9:
        return NONE
    if p == begin + 18 and p < end and values[p] >= 48 and values[p] <= 57:  # 19 digits: nanoseconds; the last one does not matter
        micro = n // 100
        p += 1
    elif n < 100_000_000_000:
        micro = n * SECOND
        if p < end and values[p] == 46:
            scale, p = signed(100_000), p + 1
            while p < end and values[p] >= 48 and values[p] <= 57:
                micro += scale * signed(values[p] - 48)
                scale //= 10
                p += 1
    elif n < 100_000_000_000_000:
        micro = n * 1000
    elif n < 100_000_000_000_000_000:
        micro = n
    else:
        micro = n // 1000
    if p < end and values[p] == 46:  # a fraction of a unit below the second
        p += 1
        while p < end and values[p] >= 48 and values[p] <= 57:
            p += 1
    return micro if p == end and micro >= EARLIEST and micro < LATEST else NONE


@njit(cache=True, nogil=True)
def resolve(
    year: int, month: int, day: int, clock: int, offset: int, zones: Zones, zone: int, near: int, default_year: int
) -> int:  # fmt: skip
    """µs UTC from the parts; `near` is the record time (µs, 0 = unknown): a year that is not written is the latest that lies before it."""
    if month == 0 or clock < 0:
        return NONE
    if year > 0:
        date = days(year, month, day)
        if date == NONE:
            return NONE
        best = date * DAY * SECOND + clock
    elif near > 0:
        best = NONE
        for candidate in range(1971 + near // _YEAR, 1961 + near // _YEAR, -1):  # far enough for a 29th of February over 1900 or 2100
            date = days(candidate, month, day)
            local = date * DAY * SECOND + clock
            if date != NONE and local <= near + _AHEAD:
                best = local
                break
        if best == NONE:
            return NONE
    else:
        date = days(default_year, month, day) if default_year > 0 else NONE
        if date == NONE:
            return NONE
        best = date * DAY * SECOND + clock
    utc = best - offset * SECOND if offset != NONE else to_utc(zones, zone, best, near)
    return utc if utc >= EARLIEST and utc < LATEST else NONE


@njit(cache=True, nogil=True)
def parse(values: Bytes, begin: int, end: int, day_first: bool, zones: Zones, zone: int, near: int, default_year: int) -> tuple[int, int]:
    """(µs UTC, where the text goes on) of a timestamp at the beginning of values[begin:end]; NONE when there is none."""
    epoch = read_epoch(values, begin, end)
    if epoch != NONE:
        return epoch, end
    year, month, day, p = read_date(values, begin, end, day_first)
    if month == 0:
        return NONE, begin
    clock, q = read_clock(values, p, end)
    offset, r = read_zone(values, q, end) if clock >= 0 else (NONE, q)
    if year == 0 and clock >= 0:  # the year may come last, perhaps after a zone's name
        s = _skip(values, _letters(values, _skip(values, r, end), end), end)
        last, t = digits(values, s, end)
        colon = t + 1 < end and values[t] == 58 and values[t + 1] == 32
        if t - s == 4 and last >= 1970 and (t == end or values[t] <= 32 or values[t] == 93 or colon):
            year, r = last, t
    return resolve(year, month, day, clock, offset, zones, zone, near, default_year), r
