"""The kernel that writes log lines: literal text, numbers, addresses, texts and times of every kind, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
LITERAL, INT, HEX, IP, TEXT, DATE, CLOCK, SLASHED, SYSLOG, ISO, UTC, NANOS, ZONE, UPTIME, SPAN = range(15)
KINDS: Mapping[str, tuple[int, int]] = {  # name -> (code, most bytes that it writes; texts by the pool)
    "int": (INT, 20), "hex": (HEX, 18), "ip": (IP, 15), "text": (TEXT, 0), "date": (DATE, 10), "clock": (CLOCK, 8),
    "slashed": (SLASHED, 19), "syslog": (SYSLOG, 15), "iso": (ISO, 32), "utc": (UTC, 24), "nanos": (NANOS, 20),
    "tz": (ZONE, 5), "uptime": (UPTIME, 20), "span": (SPAN, 25),
}  # fmt: skip
IPV6 = 1 << 32  # added to a pool code


@njit(cache=True, nogil=True)
def _digits(out: NDArray[np.uint8], at: int, value: int, width: int) -> int:
    """Writes value with exactly `width` digits; returns the position behind them."""
    for k in range(at + width - 1, at - 1, -1):
        out[k] = 48 + value % 10
        value //= 10
    return at + width


@njit(cache=True, nogil=True)
def _number(out: NDArray[np.uint8], at: int, value: int) -> int:
    width, rest = 1, value // 10
    while rest > 0:
        width += 1
        rest //= 10
    return int(_digits(out, at, value, width))


@njit(cache=True, nogil=True)
def _hex(out: NDArray[np.uint8], at: int, value: int) -> int:
    out[at], out[at + 1] = 48, 120
    width, rest = 1, value >> 4
    while rest > 0:
        width += 1
        rest >>= 4
    for k in range(width):
        digit = (value >> (4 * (width - 1 - k))) & 15
        out[at + 2 + k] = 48 + digit if digit < 10 else 87 + digit
    return at + 2 + width


@njit(cache=True, nogil=True)
def _copy(out: NDArray[np.uint8], at: int, source: NDArray[np.uint8], start: int, length: int) -> int:
    for k in range(length):
        out[at + k] = source[start + k]
    return at + length


@njit(cache=True, nogil=True)
def _ymd(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day number since 1970 (Hinnant's civil_from_days, for days from 1970 on)."""
    z = days + 719_468
    era = z // 146_097
    doe = z - era * 146_097
    yoe = (doe - doe // 1_460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return yoe + era * 400 + (1 if month <= 2 else 0), month, doy - (153 * mp + 2) // 5 + 1


@njit(cache=True, nogil=True)
def _date(out: NDArray[np.uint8], at: int, days: int, separator: int) -> int:
    year, month, day = _ymd(days)
    at = _digits(out, at, year, 4)
    out[at] = separator
    at = _digits(out, at + 1, month, 2)
    out[at] = separator
    return int(_digits(out, at + 1, day, 2))


@njit(cache=True, nogil=True)
def _clock(out: NDArray[np.uint8], at: int, second: int) -> int:
    at = _digits(out, at, second // 3600, 2)
    out[at] = 58
    at = _digits(out, at + 1, second // 60 % 60, 2)
    out[at] = 58
    return int(_digits(out, at + 1, second % 60, 2))


@njit(cache=True, nogil=True)
def _span(out: NDArray[np.uint8], at: int, seconds: int) -> int:
    """Hours, minutes and seconds of a number of seconds: 0:01:07."""
    at = _number(out, at, seconds // 3600)
    out[at] = 58
    at = _digits(out, at + 1, seconds // 60 % 60, 2)
    out[at] = 58
    return int(_digits(out, at + 1, seconds % 60, 2))


_MONTHS = np.frombuffer(b"JanFebMarAprMayJunJulAugSepOctNovDec", np.uint8)


@njit(cache=True, nogil=True)
def _time(out: NDArray[np.uint8], at: int, kind: int, time: int, zone: Int64) -> int:
    """Writes a time (µs) in one of the kinds from DATE to UPTIME."""
    if kind == NANOS:
        return int(_digits(out, _number(out, at, time), 0, 3))
    if kind == UPTIME:  # seconds since the host's start, taken as the first of its month or so
        up = time % 2_592_000_000_000
        at = _number(out, at, up // 1_000_000)
        out[at] = 46
        return int(_digits(out, at + 1, up % 1_000_000, 6))
    offset = zone[1] if time < zone[0] else zone[2]
    if kind == ZONE:
        out[at] = 43
        return int(_digits(out, at + 1, offset // 3600 * 100 + offset // 60 % 60, 4))
    second = time // 1_000_000 + (0 if kind == UTC else offset)
    days, second = second // 86_400, second % 86_400
    if kind == CLOCK:
        return int(_clock(out, at, second))
    if kind == SYSLOG:
        _, month, day = _ymd(days)
        at = _copy(out, at, _MONTHS, 3 * month - 3, 3)
        out[at], out[at + 1] = 32, 32
        at = _number(out, at + (2 if day < 10 else 1), day)
        out[at] = 32
        return int(_clock(out, at + 1, second))
    at = _date(out, at, days, 47 if kind == SLASHED else 45)
    if kind == DATE:
        return at
    out[at] = 32 if kind == SLASHED else 84
    at = _clock(out, at + 1, second)
    if kind == SLASHED:
        return at
    out[at] = 46
    if kind == UTC:
        at = _digits(out, at + 1, time // 1000 % 1000, 3)
        out[at] = 90
        return at + 1
    at = _digits(out, at + 1, time % 1_000_000, 6)
    out[at] = 43
    at = _digits(out, at + 1, offset // 3600, 2)
    out[at] = 58
    return int(_digits(out, at + 1, offset // 60 % 60, 2))


@njit(cache=True, nogil=True)
def render(
    order: Int64, numbers: NDArray[np.int32], first: Int64, times: Int64, arguments: Int64,
    kinds: NDArray[np.uint8], which: NDArray[np.int32], lengths: NDArray[np.int32], operations: Int64,
    literals: NDArray[np.uint8], pool: NDArray[np.uint8], pool_bounds: Int64,
    zone: Int64, newline: bool, out: NDArray[np.uint8], bounds: Int64,
) -> None:  # fmt: skip
    """Writes the lines in the given order one after the other into `out`."""
    at = int(bounds[0])  # 0, but no literal: for a literal numba would compile everything below twice
    for place in range(len(order)):
        line = order[place]
        for k in range(operations[numbers[line]], operations[numbers[line] + 1]):
            kind = kinds[k]
            if kind == LITERAL:
                at = _copy(out, at, literals, int(which[k]), int(lengths[k]))
                continue
            value = times[line] if which[k] < 0 else arguments[first[line] + which[k]]
            if kind == INT:
                at = _number(out, at, value)
            elif kind == IP and value < IPV6:
                for shift in (24, 16, 8, 0):
                    at = _number(out, at, (value >> shift) & 255)
                    if shift > 0:
                        out[at] = 46
                        at += 1
            elif kind in (TEXT, IP):
                code = value - IPV6 if kind == IP else value
                at = _copy(out, at, pool, pool_bounds[code], pool_bounds[code + 1] - pool_bounds[code])
            elif kind == HEX:
                at = _hex(out, at, value)
            elif kind == SPAN:
                at = _span(out, at, value)
            else:
                at = _time(out, at, kind, value, zone)
        if newline:
            out[at] = 10
            at += 1
        bounds[place + 1] = at
