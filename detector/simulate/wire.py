"""Log lines as bytes, without a Python object per line: templates with typed holes, filled by one kernel.

A template is a device's line as it stands in the vendor's manual, with holes «name:kind». Kinds are

    int hex ip text     a number, a number as 0x…, an address, a text of the pool
    date clock slashed syslog iso utc nanos tz uptime     a time, in the way in which one device or another writes it
    span                a number of seconds as 0:01:07

`time` names the line's own time; every other name is an argument and comes as one int64 column: numbers and times (µs)
as they are, texts as codes of the pool, an IPv4 address as its 32 bits, an IPv6 address as 2³² + the code of its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.simulate.ink import IPV6, KINDS, LITERAL, Int64, render

Column = Int64 | int | str  # a column, or one value for all lines of a call
Columns = Mapping[str, Column]
__all__ = ["IPV6", "Column", "Columns", "Int64", "Press", "Printed", "Sheet", "Template", "Zone"]

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

    def all_texts(self) -> list[str]:
        """Every text, at the place of its code."""
        return list(self._codes)

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
    told: Int64  # the times that its device's clock says
    arguments: Int64  # (n, arguments of the template)
    truth: int
    delay: int


class Trouble(NamedTuple):
    """What goes wrong with lines on their way: by the devices whose templates begin with `device`, in [start, end) (µs)."""

    device: str
    start: int
    end: int
    lost: bool = False
    ahead: int = 0  # µs by which its clock is wrong
    doubled: float = 0.0  # share of lines that arrive twice


class Printed(NamedTuple):
    """Finished lines in the order of their arrival: bytes, bounds (n + 1), arrival times (µs) and truth (n)."""

    values: NDArray[np.uint8]
    bounds: Int64
    timestamps: Int64
    truth: NDArray[np.int32]


class Sheet:
    """The lines of one topic and one window [start, end) on their way to the press."""

    def __init__(self, press: Press, zone: Zone, start: int, end: int, *, flows: bool = True, troubles: tuple[Trouble, ...] = ()) -> None:
        """flows: whether connections are written at all; `devices` asks."""
        self.press, self.zone, self.start, self.end, self.flows = press, zone, start, end, flows
        self._troubles = tuple(t for t in troubles if t.start < end and t.end > start)
        self._parts: list[_Part] = []

    def add(self, template: str, times: Int64, columns: Columns, *, truth: int = 0, delay: int = 200_000) -> None:
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
        at = np.minimum(np.maximum(times, self.start), self.end - 1)
        told, kept = self._spoilt(template, at)
        self._parts.append(_Part(compiled, at[kept], told[kept], arguments[kept], truth, delay))

    def _spoilt(self, template: str, at: Int64) -> tuple[Int64, NDArray[np.int64]]:
        """The times that the device writes, and the rows that arrive, some of them twice."""
        told, rows = at, np.arange(len(at))
        for trouble in self._troubles:
            if template.startswith(trouble.device):
                hit = (at >= trouble.start) & (at < trouble.end)
                told = told + np.where(hit, trouble.ahead, 0)
                rows = rows[~hit[rows]] if trouble.lost else rows
                again = hit[rows] & (at[rows] // 1000 * 2_654_435_761 % 1000 < trouble.doubled * 1000)
                rows = np.concatenate([rows, rows[again]])
        return told, rows

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
        told = np.concatenate([p.told for p in parts])
        render(order, numbers, first, told, arguments, *tables[:-1], np.array(self.zone, np.int64), newline, out, bounds)
        truth = np.repeat(np.array([p.truth for p in parts], np.int32), counts)[order]
        return Printed(out[: bounds[-1]], bounds, arrivals[order], truth)
