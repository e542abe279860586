"""Framing: what stands around a message. Syslog priority, RFC 3164 and RFC 5424 headers, blanks; none of them is required.

The body is what is left for a format: after `program[pid]: `, but `%ASA-6-302013:` and `CEF:` belong to the body.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numba.core.types import boolean, int64
from numpy.typing import NDArray

from detector.decode import clock
from detector.decode.scan import BYTES, Bytes, digits
from detector.decode.zones import Zones

LONGEST = 262_144  # bytes of a line; longer ones are dead letters
HOST, PROGRAM, PID, MSGID = range(4)  # columns of Frames.begin, as table.HEADER


class Frames(NamedTuple):
    """n lines: body values[start:stop], int64 (n); header time (µs UTC, clock.NONE = none), int64 (n);

    header texts begin int64 (n, 4), length int32 (n, 4), -1 = absent.
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    time: NDArray[np.int64]
    begin: NDArray[np.int64]
    length: NDArray[np.int32]


def empty(n: int) -> Frames:
    return Frames(
        np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, clock.NONE), np.zeros((n, 4), np.int64), np.full((n, 4), -1, np.int32)
    )


@njit(int64(BYTES, int64, int64), cache=True, nogil=True)
def _word_end(values: Bytes, p: int, end: int) -> int:
    while p < end and values[p] > 32:
        p += 1
    return p


@njit(int64(BYTES, int64, int64), cache=True, nogil=True)
def _blanks(values: Bytes, p: int, end: int) -> int:
    while p < end and (values[p] == 32 or values[p] == 9):
        p += 1
    return p


@njit(boolean(BYTES, int64, int64), cache=True, nogil=True)
def _is_host(values: Bytes, begin: int, end: int) -> bool:
    """A host name or address: letters, digits, . - _ : @ / and no colon at its end."""
    if end == begin or end - begin > 255 or values[end - 1] == 58:
        return False
    for p in range(begin, end):
        c = values[p]
        letter = (c | 32) >= 97 and (c | 32) <= 122
        if not (letter or (c >= 45 and c <= 58) or c == 95 or c == 64 or c >= 128):
            return False
    return True


@njit(int64(BYTES, int64, int64), cache=True, nogil=True)
def _tag_end(values: Bytes, begin: int, end: int) -> int:
    """Where the body begins after `program[pid]: ` or `program: `, or -1 when no such tag stands here."""
    p = begin
    if p < end and values[p] == 40:  # (squid-1)[12]:
        p += 1
    first = p
    while p < end and p - begin < 64:
        c = values[p]
        letter = (c | 32) >= 97 and (c | 32) <= 122
        if not (letter or (c >= 45 and c <= 57) or c == 95 or c == 40 or c == 41 or c == 64):
            break
        p += 1
    if p == first or p >= end:
        return -1
    if values[p] == 91:
        while p < end and values[p] != 93 and p - begin < 96:
            p += 1
        p += 1
    if p >= end or values[p] != 58:
        return -1
    cef = p - begin == 3 and values[begin] == 67 and values[begin + 1] == 69 and values[begin + 2] == 70
    if cef or (p + 1 < end and values[p + 1] > 32):
        return -1
    return _blanks(values, p + 1, end)


@njit(cache=True, nogil=True)
def _put(frames: Frames, row: int, column: int, begin: int, end: int) -> None:
    frames.begin[row, column] = begin
    frames.length[row, column] = end - begin if end > begin else -1


@njit(cache=True, nogil=True)
def _put_tag(values: Bytes, frames: Frames, row: int, begin: int, end: int) -> None:
    """Program and pid from the text program[pid]: in values[begin:end]."""
    p = begin
    while p < end and values[p] != 91 and values[p] != 58 and values[p] > 32:
        p += 1
    _put(frames, row, PROGRAM, begin, p)
    if p < end and values[p] == 91:
        q = p + 1
        while q < end and values[q] != 93:
            q += 1
        _put(frames, row, PID, p + 1, q)


@njit(int64(BYTES, int64, int64), cache=True, nogil=True)
def _structured(values: Bytes, p: int, end: int) -> int:
    """Where the message begins after RFC 5424 structured data at p."""
    if p < end and values[p] == 45:
        return p + 1
    while p < end and values[p] == 91:
        quoted = False
        q = p + 1
        while q < end and (quoted or values[q] != 93):
            if values[q] == 92:
                q += 1
            elif values[q] == 34:
                quoted = not quoted
            q += 1
        if q >= end:
            return p
        p = q + 1
    return p


@njit(cache=True, nogil=True)
def _rfc5424(values: Bytes, frames: Frames, row: int, p: int, end: int) -> int:
    """Header after the version: host, program, pid, message id, structured data. Returns where the message begins."""
    for column in range(4):
        p = _blanks(values, p, end)
        q = _word_end(values, p, end)
        if not (q == p + 1 and values[p] == 45):
            _put(frames, row, column, p, q)
        p = q
    p = _blanks(values, _structured(values, _blanks(values, p, end), end), end)
    if p + 2 < end and values[p] == 0xEF and values[p + 1] == 0xBB and values[p + 2] == 0xBF:
        p += 3
    return p


@njit(cache=True, nogil=True)
def _rfc3164(values: Bytes, frames: Frames, row: int, p: int, end: int) -> int:
    """Header after the time: host and tag, both optional. Returns where the body begins."""
    p = _blanks(values, p, end)
    if p < end and values[p] == 58 and p + 1 < end and values[p + 1] == 32:  # Cisco: "Mar  1 12:00:00: %ASA-…"
        p = _blanks(values, p + 1, end)
    tag = _tag_end(values, p, end)
    if tag < 0:
        q = _word_end(values, p, end)
        if not _is_host(values, p, q):
            return p
        _put(frames, row, HOST, p, q)
        p = _blanks(values, q, end)
        if p + 1 < end and values[p] == 58 and values[p + 1] == 32:  # Cisco: "host : %ASA-…"
            p = _blanks(values, p + 1, end)
        tag = _tag_end(values, p, end)
        if tag < 0:  # BusyBox: "host user.info kernel: …"
            q = _word_end(values, p, end)
            after = _blanks(values, q, end)
            dotted = False
            for i in range(p, q):
                dotted = dotted or values[i] == 46
            if dotted and _is_host(values, p, q) and _tag_end(values, after, end) >= 0:
                p, tag = after, _tag_end(values, after, end)
    if tag < 0:
        return p
    _put_tag(values, frames, row, p, tag)
    return tag


@njit(int64(BYTES, int64, int64), cache=True, nogil=True)
def _priority(values: Bytes, p: int, end: int) -> int:
    """Where the line goes on after <134>."""
    if p >= end or values[p] != 60:
        return p
    number, q = digits(values, p + 1, min(end, p + 5))
    return q + 1 if number >= 0 and q < end and values[q] == 62 else p


@njit(boolean(BYTES, int64, int64), cache=True, nogil=True)
def _looks_dated(values: Bytes, p: int, end: int) -> bool:
    """Whether a header's timestamp may begin here: a letter, or a year and a dash. `date=…` and `1,2026/…` do not."""
    if end - p < 12:
        return False
    if values[p] >= 48 and values[p] <= 57:
        return bool(values[p + 4] == 45 and (values[p + 10] == 84 or values[p + 10] == 32))
    letters = 0
    while letters < 4 and (values[p + letters] | 32) >= 97 and (values[p + letters] | 32) <= 122:
        letters += 1
    return bool(letters == 3 and values[p + 3] == 32)


@njit(cache=True, nogil=True)
def _frame(
    values: Bytes, row: int, begin: int, end: int, frames: Frames, zones: Zones, zone: int, near: int, year: int
) -> None:  # fmt: skip
    while begin < end and (values[begin] <= 32 or values[begin] == 0xEF or values[begin] == 0xBB or values[begin] == 0xBF):
        begin += 1
    while end > begin and values[end - 1] <= 32:
        end -= 1
    p = _priority(values, begin, end)
    versioned = p + 2 < end and values[p] == 49 and values[p + 1] == 32
    q = _blanks(values, p + 1, end) if versioned else _blanks(values, p, end)
    body = _blanks(values, p, end)
    if _looks_dated(values, q, end):
        time, after = clock.parse(values, q, end, False, zones, zone, near, year)
        if time != clock.NONE:
            frames.time[row] = time
            body = _rfc5424(values, frames, row, after, end) if versioned else _rfc3164(values, frames, row, after, end)
    elif versioned and p > begin and q + 1 < end and values[q] == 45 and values[q + 1] == 32:  # RFC 5424 without a time
        body = _rfc5424(values, frames, row, q + 1, end)
    elif _tag_end(values, body, end) >= 0:
        tag = _tag_end(values, body, end)
        _put_tag(values, frames, row, body, tag)
        body = tag
    frames.start[row], frames.stop[row] = body, end


@njit(cache=True, nogil=True)
def frame(
    values: Bytes, rows: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64], frames: Frames,
    zones: Zones, zone: NDArray[np.int32], near: NDArray[np.int64], year: int,
) -> None:  # fmt: skip
    """Frame the lines `rows` (m) of a batch, which stand in values[begin[i]:end[i]], int64 (m).

    zone int32 (n), near int64 (n, record time in µs, 0 = unknown) and `frames` belong to the whole batch.
    """
    for i in range(len(rows)):
        row = rows[i]
        _frame(values, row, begin[i], end[i], frames, zones, zone[row], near[row], year)


@njit(cache=True, nogil=True)
def field_times(
    values: Bytes, begin: NDArray[np.int64], length: NDArray[np.int32], zones: Zones, zone: NDArray[np.int32], near: NDArray[np.int64]
) -> NDArray[np.int64]:  # fmt: skip
    """µs UTC of the timestamps values[begin[i]:begin[i] + length[i]], (m); clock.NONE where there is none."""
    found = np.full(len(begin), clock.NONE)
    for i in range(len(begin)):
        if length[i] > 0:
            found[i] = clock.parse(values, begin[i], begin[i] + length[i], False, zones, zone[i], near[i], 0)[0]
    return found
