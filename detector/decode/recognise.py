"""Which format a line has: the tables' marks, asked in order of priority, on the framed line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode.lines import PROGRAM, Frames
from detector.decode.scan import Bytes, equal_lower, pack, starts
from detector.decode.table import Table

_PROGRAM, _STARTS, _CONTAINS, _ALSO = range(4)


class Marks(NamedTuple):
    """A ways, in the order of asking. Way a of format `format[a]` asks the texts part[a, k] .. part[a, k + 1] for k = program, starts, …"""

    format: NDArray[np.int32]
    within: NDArray[np.int64]
    part: NDArray[np.int64]
    buffer: Bytes
    bounds: NDArray[np.int64]
    shift: NDArray[np.uint8]  # (texts, 256): how far a search may go on when this byte stands under the text's last byte


def marks(tables: Sequence[Table]) -> Marks:
    """Of all tables, in order of their priority (equal: as given)."""
    ways = [(t.priority, i, way) for i, t in enumerate(tables) for way in t.recognise]
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
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _program(values: Bytes, frames: Frames, row: int, marks: Marks, low: int, high: int) -> bool:
    begin, length = frames.begin[row, PROGRAM], frames.length[row, PROGRAM]
    if length <= 0:
        return False
    for k in range(low, high):  # noqa: SIM110  # numba compiles loops, not generators
        if equal_lower(values, begin, begin + length, marks.buffer, marks.bounds[k], marks.bounds[k + 1]):
            return True
    return False


@njit(cache=True, nogil=True)
def _found(values: Bytes, begin: int, end: int, marks: Marks, k: int) -> bool:
    """Whether text k stands in values[begin:end]; Horspool's search, since long lines are searched for many texts."""
    low, size = marks.bounds[k], marks.bounds[k + 1] - marks.bounds[k]
    p = begin + size
    while p <= end:
        same = size
        while same > 0 and values[p - size + same - 1] == marks.buffer[low + same - 1]:
            same -= 1
        if same == 0:
            return True
        p += marks.shift[k, values[p - 1]]
    return False


@njit(cache=True, nogil=True)
def _holds(values: Bytes, frames: Frames, row: int, marks: Marks, way: int) -> bool:
    part = marks.part[way]
    if part[0] == part[4]:
        return False
    if part[_PROGRAM] < part[1] and not _program(values, frames, row, marks, part[_PROGRAM], part[1]):
        return False
    start = frames.start[row]
    stop = min(frames.stop[row], start + marks.within[way])
    hit = part[_STARTS] == part[_STARTS + 1]
    for k in range(part[_STARTS], part[_STARTS + 1]):
        hit = hit or starts(values, start, stop, marks.buffer, marks.bounds[k], marks.bounds[k + 1])
    if not hit:
        return False
    hit = part[_CONTAINS] == part[_CONTAINS + 1]
    for k in range(part[_CONTAINS], part[_CONTAINS + 1]):
        if _found(values, start, stop, marks, k):
            hit = True
            break
    if not hit:
        return False
    for k in range(part[_ALSO], part[_ALSO + 1]):  # noqa: SIM110  # numba compiles loops, not generators
        if not _found(values, start, stop, marks, k):
            return False
    return True


@njit(cache=True, nogil=True)
def recognise(values: Bytes, frames: Frames, configured: NDArray[np.int32], marks: Marks) -> NDArray[np.int32]:
    """The format of each line, int32 (n): the configured one where >= 0, else the first whose marks hold; -1 = nobody's."""
    found = np.full(len(configured), -1, np.int32)
    for row in range(len(configured)):
        if configured[row] >= 0:
            found[row] = configured[row]
            continue
        if frames.start[row] >= frames.stop[row]:
            continue
        for way in range(len(marks.format)):
            if _holds(values, frames, row, marks, way):
                found[row] = marks.format[way]
                break
    return found


@njit(cache=True, nogil=True)
def claimed(values: Bytes, frames: Frames, rows: NDArray[np.int64], wanted: NDArray[np.int32], marks: Marks) -> NDArray[np.bool_]:
    """Whether the lines `rows` (m) bear the marks of the formats int32 (m); False where the format is -1."""
    found = np.zeros(len(rows), np.bool_)
    for i in range(len(rows)):
        for way in range(len(marks.format) if wanted[i] >= 0 else 0):
            if marks.format[way] == wanted[i] and _holds(values, frames, rows[i], marks, way):
                found[i] = True
                break
    return found
