"""Log lines as bytes, without a Python object per line: templates with typed holes, filled by one kernel.

A template is a device's line as it stands in the vendor's manual, with holes «name:kind». Kinds are

    int hex ip text     a number, a number as 0x…, an address, a text of the pool
    date clock slashed syslog iso utc nanos tz uptime     a time, in the way in which one device or another writes it

`time` names the line's own time; every other name is an argument and comes as one int64 column: numbers and times (µs)
as they are, texts as codes of the pool, an IPv4 address as its 32 bits, an IPv6 address as 2³² + the code of its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Column = Int64 | int | str  # a column, or one value for all lines of a call

LITERAL, INT, HEX, IP, TEXT, DATE, CLOCK, SLASHED, SYSLOG, ISO, UTC, NANOS, ZONE, UPTIME = range(14)
KINDS: Mapping[str, tuple[int, int]] = {  # name -> (code, most bytes that it writes; texts by the pool)
    "int": (INT, 20), "hex": (HEX, 18), "ip": (IP, 15), "text": (TEXT, 0), "date": (DATE, 10), "clock": (CLOCK, 8),
    "slashed": (SLASHED, 19), "syslog": (SYSLOG, 15), "iso": (ISO, 32), "utc": (UTC, 24), "nanos": (NANOS, 20),
    "tz": (ZONE, 5), "uptime": (UPTIME, 20),
}  # fmt: skip
IPV6 = 1 << 32  # added to a pool code
_HOLE = re.compile("«([a-z_0-9]+):([a-z]+)»")


class Zone(NamedTuple):
    """Local time around one window: before `change` (µs) the one offset holds, from then on the other (seconds)."""

    change: int
    before: int
    after: int


class Template(NamedTuple):
    """A compiled line: operations first:last of the press, its arguments in order, and the most bytes that it fills."""

    number: int
    arguments: tuple[str, ...]
    width: int
    texts: int


class _Tables(NamedTuple):
    """What the kernel reads; built again whenever a template or text has been added."""

    kinds: NDArray[np.uint8]
    arguments: NDArray[np.int32]  # index into the line's arguments, -1 = the line's time; for literals the start
    lengths: NDArray[np.int32]  # of literals
    bounds: Int64  # template t has the operations bounds[t]:bounds[t + 1]
    literals: NDArray[np.uint8]
    pool: NDArray[np.uint8]
    pool_bounds: Int64
    longest: int


class Press:
    """All templates and all texts of a city."""

    def __init__(self, templates: Mapping[str, str]) -> None:
        self._literals = bytearray()
        self._operations: list[tuple[int, int, int]] = []
        self._bounds = [0]
        self._codes: dict[str, int] = {"": 0}
        self._tables: _Tables | None = None
        self.templates = {name: self._compile(source) for name, source in templates.items()}

    def _compile(self, source: str) -> Template:
        names: list[str] = []
        width = texts = at = 0
        for hole in _HOLE.finditer(source):
            width += self._literal(source[at : hole.start()])
            name, kind = hole.groups()
            code, most = KINDS[kind]
            if name != "time" and name not in names:
                names.append(name)
            self._operations.append((code, -1 if name == "time" else names.index(name), 0))
            width += most
            texts += kind in ("text", "ip")
            at = hole.end()
        width += self._literal(source[at:])
        self._bounds.append(len(self._operations))
        return Template(len(self._bounds) - 2, tuple(names), width, texts)

    def _literal(self, text: str) -> int:
        raw = text.encode()
        if raw != b"":
            self._operations.append((LITERAL, len(self._literals), len(raw)))
            self._literals += raw
        return len(raw)

    def text(self, value: str) -> int:
        """The pool's code of a text; adds it when new. Never call it per line."""
        code = self._codes.get(value)
        if code is None:
            code = self._codes[value] = len(self._codes)
            self._tables = None
        return code

    def value(self, code: int) -> str:
        """The text of a code; for labels and tests."""
        return next(text for text, known in self._codes.items() if known == code)

    def texts(self, values: Iterable[str]) -> Int64:
        return np.array([self.text(value) for value in values], np.int64)

    def tables(self) -> _Tables:
        if self._tables is None:
            raw = [text.encode() for text in self._codes]
            bounds = np.zeros(len(raw) + 1, np.int64)
            np.cumsum([len(r) for r in raw], out=bounds[1:])
            operations = np.array(self._operations, np.int32)
            self._tables = _Tables(
                operations[:, 0].astype(np.uint8), operations[:, 1].copy(), operations[:, 2].copy(),
                np.array(self._bounds, np.int64), np.frombuffer(bytes(self._literals), np.uint8),
                np.frombuffer(b"".join(raw), np.uint8), bounds, max(map(len, raw)),
            )  # fmt: skip
        return self._tables


@dataclass(slots=True)
class _Part:
    template: Template
    times: Int64
    arguments: Int64  # (n, arguments of the template)
    truth: int
    delay: int


class Printed(NamedTuple):
    """Finished lines in the order of their arrival: bytes, bounds (n + 1), arrival times (µs) and truth (n)."""

    values: NDArray[np.uint8]
    bounds: Int64
    timestamps: Int64
    truth: NDArray[np.int32]


class Sheet:
    """The lines of one topic and one window [start, end) on their way to the press."""

    def __init__(self, press: Press, zone: Zone, start: int, end: int) -> None:
        self.press, self.zone, self.start, self.end = press, zone, start, end
        self._parts: list[_Part] = []

    def add(self, template: str, times: Int64, *, truth: int = 0, delay: int = 200_000, **columns: Column) -> None:
        """Lines of one template at the given times (µs); `delay` is the device's way to Kafka (µs).

        Times outside the window are moved to its nearest moment, so that no window needs its neighbour.
        Raises KeyError when a column of the template is missing.
        """
        if len(times) == 0:
            return
        compiled = self.press.templates[template]
        arguments = np.empty((len(times), len(compiled.arguments)), np.int64)
        for j, name in enumerate(compiled.arguments):
            value = columns[name]
            arguments[:, j] = self.press.text(value) if isinstance(value, str) else value
        self._parts.append(_Part(compiled, np.clip(times, self.start, self.end - 1), arguments, truth, delay))

    def print(self, *, newline: bool = False) -> Printed:
        """All lines added so far, by arrival time; lines of one moment in the order in which they were added."""
        parts = self._parts
        if not parts:
            return Printed(np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32))
        counts = [len(p.times) for p in parts]
        times = np.concatenate([p.times for p in parts])
        arrivals = np.minimum(times + np.repeat([p.delay for p in parts], counts), self.end - 1)
        order = np.argsort(arrivals, kind="stable")
        arity = np.repeat([len(p.template.arguments) for p in parts], counts)
        first = np.zeros(len(times), np.int64)
        np.cumsum(arity[:-1], out=first[1:])
        tables = self.press.tables()
        widths = [p.template.width + p.template.texts * tables.longest + 1 for p in parts]
        out = np.empty(int(np.dot(widths, counts)), np.uint8)
        bounds = np.zeros(len(times) + 1, np.int64)
        numbers = np.repeat(np.array([p.template.number for p in parts], np.int32), counts)
        arguments = np.concatenate([p.arguments.ravel() for p in parts])
        _render(order, numbers, first, times, arguments, *tables[:-1], np.array(self.zone, np.int64), newline, out, bounds)
        truth = np.repeat(np.array([p.truth for p in parts], np.int32), counts)[order]
        return Printed(out[: bounds[-1]], bounds, arrivals[order], truth)


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
def _render(
    order: Int64, numbers: NDArray[np.int32], first: Int64, times: Int64, arguments: Int64,
    kinds: NDArray[np.uint8], which: NDArray[np.int32], lengths: NDArray[np.int32], operations: Int64,
    literals: NDArray[np.uint8], pool: NDArray[np.uint8], pool_bounds: Int64,
    zone: Int64, newline: bool, out: NDArray[np.uint8], bounds: Int64,
) -> None:  # fmt: skip
    """Writes the lines in the given order one after the other into `out`."""
    at = 0
    for place in range(len(order)):
        line = order[place]
        for k in range(operations[numbers[line]], operations[numbers[line] + 1]):
            kind = kinds[k]
            if kind == LITERAL:
                at = _copy(out, at, literals, which[k], lengths[k])
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
            elif kind == TEXT or kind == IP:
                code = value - IPV6 if kind == IP else value
                at = _copy(out, at, pool, pool_bounds[code], pool_bounds[code + 1] - pool_bounds[code])
            elif kind == HEX:
                at = _hex(out, at, value)
            else:
                at = _time(out, at, kind, value, zone)
        if newline:
            out[at] = 10
            at += 1
        bounds[place + 1] = at
