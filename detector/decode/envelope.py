"""Shippers' envelopes: a JSON object around a log line (Filebeat, Fluent Bit, Logstash, Vector, rsyslog), opened here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode.scan import Bytes, Lexicon, lexicon, look_up, signed
from detector.decode.wide import find_either

MESSAGE, TIME, HOST = range(3)  # columns of the spans
_EVENT, _HOST_OBJECT, _LOG_OBJECT = 21, 22, 23  # objects that are looked into
_TOP, _IN_EVENT, _IN_HOST = 1, 2, 3  # groups of keys

# Numbers: 1..9 a message (the smallest present is taken), 11 a time, 12 a host, 21.. an object.
_KEYS: Lexicon = lexicon([
    (_TOP, "event.original", 1), (_TOP, "message", 2), (_TOP, "log", 3), (_TOP, "msg", 4), (_TOP, "rawmsg", 5),
    (_TOP, "@timestamp", 11), (_TOP, "timestamp", 11), (_TOP, "timereported", 11), (_TOP, "date", 11), (_TOP, "time", 11),
    (_TOP, "hostname", 12), (_TOP, "fromhost", 12), (_TOP, "host.name", 12), (_TOP, "_hostname", 12), (_TOP, "host", 12),
    (_TOP, "event", _EVENT), (_IN_EVENT, "original", 1), (_IN_HOST, "name", 12), (_IN_HOST, "hostname", 12),
])  # fmt: skip


class Opened(NamedTuple):
    """begin int64 (m, 3), length int32 (m, 3): message, time, host; -1 = not there. Escapes are still inside."""

    begin: NDArray[np.int64]
    length: NDArray[np.int32]


@njit(cache=True, nogil=True)
def _string_end(values: Bytes, p: int, end: int) -> int:
    """Where the string that begins after its opening quote ends, or `end`."""
    while p < end and values[p] != 34:
        p += 2 if values[p] == 92 else 1
    return min(p, end)


@njit(cache=True, nogil=True)
def _scalar_end(values: Bytes, p: int, end: int) -> int:
    while p < end and values[p] != 44 and values[p] != 125 and values[p] > 32:
        p += 1
    return p


@njit(cache=True, nogil=True)
def _open_one(values: Bytes, p: int, end: int, keys: Lexicon, row: int, begin: NDArray[np.int64], length: NDArray[np.int32]) -> None:
    """Walk one object; only strings at depth 1, and in event.* and host.* at depth 2, are looked at."""
    depth, group, best, number = 0, _TOP, 100, -1
    is_key = True
    while p < end:
        c = values[p]
        if c == 34:
            stop = _string_end(values, p + 1, end)
            if is_key and depth <= 2:
                number = look_up(keys, group, values, p + 1, stop) if (depth == 1 or group != _TOP) else -1
            elif number >= 1 and number < 10 and number < best and not is_key:
                begin[row, MESSAGE], length[row, MESSAGE], best = p + 1, stop - p - 1, number
            elif (number == 11 or number == 12) and not is_key and length[row, number - 10] < 0:
                begin[row, number - 10], length[row, number - 10] = p + 1, stop - p - 1
            p = stop + 1
            continue
        if c == 58:
            is_key = False
        elif c == 44:
            is_key, number = True, -1
        elif c == 123 or c == 91:
            depth += 1
            if depth == 2:
                group = _IN_EVENT if number == _EVENT else _IN_HOST if number == 12 else 0
            elif depth > 2:
                group = 0 if group == 0 else group + 100 * (depth - 2)  # deeper than we look
            is_key, number = c == 123, -1
        elif c == 125 or c == 93:
            if depth > 2 and group >= 100:
                group -= 100 * (depth - 2)
            depth -= 1
            if depth == 1:
                group = _TOP
            is_key, number = False, -1
        elif number == 11 and not is_key and c >= 48 and c <= 57 and length[row, TIME] < 0:
            stop = _scalar_end(values, p, end)
            begin[row, TIME], length[row, TIME] = p, stop - p
            p = stop
            continue
        p += 1


@njit(cache=True, nogil=True)
def open_all(
    values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64], keys: Lexicon, begin: NDArray[np.int64], length: NDArray[np.int32]
) -> None:
    for row in range(len(start)):
        _open_one(values, start[row], stop[row], keys, row, begin, length)


def open_envelopes(values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> Opened:
    """Look into the m JSON objects values[start[i]:stop[i]]. Broken JSON gives what stood before the break."""
    m = len(start)
    opened = Opened(np.zeros((m, 3), np.int64), np.full((m, 3), -1, np.int32))
    open_all(values, start, stop, _KEYS, opened.begin, opened.length)
    return opened


@njit(cache=True, nogil=True)
def nested(values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a text in the line is itself a JSON object: it begins "{\\". Most lines have no backslash and are done at once."""
    found = np.zeros(len(start), np.bool_)
    for i in range(len(start)):
        p = find_either(values, start[i], stop[i], 92, 92)
        while p < stop[i] and not found[i]:
            found[i] = p >= start[i] + 2 and values[p - 1] == 123 and values[p - 2] == 34
            p = find_either(values, p + 1, stop[i], 92, 92)
    return found


@njit(cache=True, nogil=True)
def _code_unit(values: Bytes, p: int, end: int) -> int:
    """The number of four hexadecimal digits at p, or -1."""
    if p + 4 > end:
        return -1
    n = 0
    for i in range(4):
        c = signed(values[p + i])
        if c >= 48 and c <= 57:
            c -= 48
        elif (c | 32) >= 97 and (c | 32) <= 102:
            c = (c | 32) - 87
        else:
            return -1
        n = n * 16 + c
    return n


@njit(cache=True, nogil=True)
def _put_utf8(out: NDArray[np.uint8], q: int, code: int) -> int:
    """Write one character; a lone surrogate becomes U+FFFD. Returns where to go on."""
    if code >= 0xD800 and code < 0xE000:
        code = 0xFFFD
    if code < 0x80:
        out[q] = code
        return q + 1
    if code < 0x800:
        out[q], out[q + 1] = 0xC0 | code >> 6, 0x80 | code & 63
        return q + 2
    if code < 0x10000:
        out[q], out[q + 1], out[q + 2] = 0xE0 | code >> 12, 0x80 | (code >> 6) & 63, 0x80 | code & 63
        return q + 3
    out[q], out[q + 1], out[q + 2], out[q + 3] = 0xF0 | code >> 18, 0x80 | (code >> 12) & 63, 0x80 | (code >> 6) & 63, 0x80 | code & 63
    return q + 4


@njit(cache=True, nogil=True)
def _unescape_one(values: Bytes, p: int, end: int, out: NDArray[np.uint8], q: int) -> int:
    while p < end:
        c = values[p]
        if c != 92 or p + 1 >= end:
            out[q] = c
            p, q = p + 1, q + 1
            continue
        c = values[p + 1]
        p += 2
        if c == 117:
            code = _code_unit(values, p, end)
            if code < 0:
                continue
            p += 4
            low = _code_unit(values, p + 2, end) if code >= 0xD800 and code < 0xDC00 and p + 1 < end and values[p] == 92 else -1
            if low >= 0xDC00 and low < 0xE000:
                code, p = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), p + 6
            q = _put_utf8(out, q, code)
            continue
        out[q] = 10 if c == 110 else 9 if c == 116 else 13 if c == 114 else 8 if c == 98 else 12 if c == 102 else c
        q += 1
    return q


@njit(cache=True, nogil=True)
def unescape(values: Bytes, begin: NDArray[np.int64], length: NDArray[np.int32], out: NDArray[np.uint8], bounds: NDArray[np.int64]) -> None:
    """Texts of m JSON strings one after the other into `out` (large enough: the sum of lengths); bounds int64 (m + 1)."""
    q = 0
    for i in range(len(begin)):
        q = _unescape_one(values, begin[i], begin[i] + max(length[i], 0), out, q)
        bounds[i + 1] = q
