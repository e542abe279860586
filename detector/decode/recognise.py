"""Which format a line has: the tables' marks, asked in order of priority, on the framed line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode.lines import PROGRAM, Frames
from detector.decode.scan import Bytes, equal_lower, pack, signed, starts
from detector.decode.table import Recognise, Table
from detector.decode.wide import find_either

_PROGRAM, _STARTS, _CONTAINS, _ALSO = range(4)
_RARE = {bytes([c]) for c in b"%|[ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


class Marks(NamedTuple):
    """A ways, in the order of asking. Way a of format `format[a]` asks the texts part[a, k] .. part[a, k + 1] for k = program, starts, …"""

    format: NDArray[np.int32]
    within: NDArray[np.int64]
    part: NDArray[np.int64]
    buffer: Bytes
    bounds: NDArray[np.int64]
    shift: NDArray[np.uint8]  # (texts, 256): how far a search may go on when this byte stands under the text's last byte
    anchor: Bytes  # (texts,): its first byte when that is rare enough in logs to be searched for by itself, else 0
    first: NDArray[np.bool_]  # (A, 256): whether a body that begins with this byte may be meant


def marks(tables: Sequence[Table]) -> Marks:
    """Of all tables, in order of their priority (equal: as given)."""
    ways = [(t.priority + 1000 * way.late, i, way) for i, t in enumerate(tables) for way in t.recognise]
    ways.sort(key=lambda entry: entry[:2])
    listed: list[bytes] = []
    part = []
    for _, _, way in ways:
        row = [len(listed)]
        for wanted in ([p.lower() for p in way.program], way.starts, way.contains, way.also):
            listed += [w.encode() for w in wanted]
            row.append(len(listed))
        part.append(row)
    packed = pack(listed)
    shift = np.ones((max(1, len(listed)), 256), np.uint8)
    for k, text in enumerate(listed):
        shift[k] = min(255, max(1, len(text)))
        for at, byte in enumerate(text[:-1]):
            shift[k, byte] = min(255, len(text) - 1 - at)
    return Marks(
        np.array([i for _, i, _ in ways], np.int32), np.array([way.within for _, _, way in ways], np.int64),
        np.array(part, np.int64).reshape(-1, 5), packed.buffer, packed.bounds, shift,
        np.array([t[0] if t[:1] in _RARE else 0 for t in listed], np.uint8), _first_bytes([way for _, _, way in ways]),
    )  # fmt: skip


def _first_bytes(ways: Sequence[Recognise]) -> NDArray[np.bool_]:
    allowed = np.zeros((len(ways), 256), np.bool_)
    for a, way in enumerate(ways):
        if way.starts == []:
            allowed[a] = True
        for text in way.starts:
            allowed[a, text.encode()[0]] = True
    return allowed


@njit(cache=True, nogil=True)
def _program(values: Bytes, begin: int, length: int, buffer: Bytes, bounds: NDArray[np.int64], low: int, high: int) -> bool:
    if length <= 0:
        return False
    for k in range(low, high):  # noqa: SIM110  # numba compiles loops, not generators
        if equal_lower(values, begin, begin + length, buffer, bounds[k], bounds[k + 1]):
            return True
    return False


@njit(cache=True, nogil=True)
def _found(
    values: Bytes, begin: int, end: int, buffer: Bytes, bounds: NDArray[np.int64], shift: NDArray[np.uint8], anchor: Bytes, k: int
) -> bool:  # fmt: skip
    """Whether text k stands in values[begin:end]; Horspool's search, since long lines are searched for many texts."""
    low, size = bounds[k], bounds[k + 1] - bounds[k]
    if anchor[k] != 0:
        p = find_either(values, begin, end, anchor[k], anchor[k])
        while p < end:
            if starts(values, p, end, buffer, low, low + size):
                return True
            p = find_either(values, p + 1, end, anchor[k], anchor[k])
        return False
    p = begin + size
    while p <= end:
        same = size
        while same > 0 and values[p - size + same - 1] == buffer[low + same - 1]:
            same -= 1
        if same == 0:
            return True
        p += signed(shift[k, values[p - 1]])
    return False


@njit(cache=True, nogil=True)
def _holds(
    values: Bytes, start: int, stop: int, begin: int, length: int, way: int,
    part: NDArray[np.int64], buffer: Bytes, bounds: NDArray[np.int64], shift: NDArray[np.uint8], anchor: Bytes,
) -> bool:  # fmt: skip
    """Whether one way's parts all hold for the body values[start:stop] and the program values[begin:begin + length]."""
    if part[way, 0] == part[way, 4]:
        return False
    if part[way, _PROGRAM] < part[way, 1] and not _program(values, begin, length, buffer, bounds, part[way, _PROGRAM], part[way, 1]):
        return False
    hit = part[way, _STARTS] == part[way, _STARTS + 1]
    for k in range(part[way, _STARTS], part[way, _STARTS + 1]):
        hit = hit or starts(values, start, stop, buffer, bounds[k], bounds[k + 1])
    if not hit:
        return False
    hit = part[way, _CONTAINS] == part[way, _CONTAINS + 1]
    for k in range(part[way, _CONTAINS], part[way, _CONTAINS + 1]):
        if _found(values, start, stop, buffer, bounds, shift, anchor, k):
            hit = True
            break
    if not hit:
        return False
    for k in range(part[way, _ALSO], part[way, _ALSO + 1]):  # noqa: SIM110  # numba compiles loops, not generators
        if not _found(values, start, stop, buffer, bounds, shift, anchor, k):
            return False
    return True


@njit(cache=True, nogil=True)
def recognise(values: Bytes, frames: Frames, configured: NDArray[np.int32], marks: Marks) -> NDArray[np.int32]:
    """The format of each line, int32 (n): the configured one where >= 0, else the first whose marks hold; -1 = nobody's."""
    found = np.full(len(configured), -1, np.int32)
    starts_at, stops_at, begins, lengths = frames.start, frames.stop, frames.begin, frames.length
    first, within, part, buffer, bounds, shift, anchor, formats = (
        marks.first, marks.within, marks.part, marks.buffer, marks.bounds, marks.shift, marks.anchor, marks.format,
    )  # fmt: skip
    for row in range(len(configured)):
        start, stop = starts_at[row], stops_at[row]
        if configured[row] >= 0 or start >= stop:
            found[row] = configured[row]
            continue
        head = values[start]
        for way in range(len(formats)):
            if first[way, head] and _holds(
                values,
                start,
                min(stop, start + within[way]),
                begins[row, PROGRAM],
                lengths[row, PROGRAM],
                way,
                part,
                buffer,
                bounds,
                shift,
                anchor,
            ):
                found[row] = formats[way]
                break
    return found


@njit(cache=True, nogil=True)
def claimed(values: Bytes, frames: Frames, rows: NDArray[np.int64], wanted: NDArray[np.int32], marks: Marks) -> NDArray[np.bool_]:
    """Whether the lines `rows` (m) bear the marks of the formats int32 (m); False where the format is -1."""
    found = np.zeros(len(rows), np.bool_)
    for i in range(len(rows)):
        for way in range(len(marks.format) if wanted[i] >= 0 else 0):
            row = rows[i]
            start = frames.start[row]
            if marks.format[way] == wanted[i] and start < frames.stop[row] and _holds(
                values, start, min(frames.stop[row], start + marks.within[way]), frames.begin[row, PROGRAM], frames.length[row, PROGRAM],
                way, marks.part, marks.buffer, marks.bounds, marks.shift, marks.anchor,
            ):  # fmt: skip
                found[i] = True
                break
    return found
