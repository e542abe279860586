"""Tokenizer `keyvalue`: pairs such as srcip=10.0.0.1 user="A B", in any order; and CEF's extension, whose values hold spaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode import spans
from detector.decode.scan import Bytes, pack, signed
from detector.decode.spans import BAD_STRUCTURE, Spans
from detector.decode.table import Table

CEF_HEADER = ("cef.version", "cef.vendor", "cef.product", "cef.device", "cef.signature", "cef.name", "cef.severity")
_AUTO = 0


def _key_bytes() -> NDArray[np.bool_]:
    allowed = np.zeros(256, np.bool_)
    allowed[np.frombuffer(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.$", np.uint8)] = True
    return allowed


_KEY = _key_bytes()

Keys = tuple[NDArray[np.int32], Bytes, NDArray[np.int64]]  # hash slots -> field; the keys' texts; their bounds


@njit(cache=True, nogil=True)
def _hash(values: Bytes, begin: int, end: int) -> int:
    """Cheap on purpose: length and three letters; the comparison decides."""
    size = end - begin
    return size * 31 + signed(values[begin]) * 7 + signed(values[end - 1]) * 131 + signed(values[begin + size // 2]) * 1031


@njit(cache=True, nogil=True)
def _field(values: Bytes, begin: int, end: int, slots: NDArray[np.int32], keys: Bytes, bounds: NDArray[np.int64]) -> int:
    """The number of the field with this key, or -1."""
    mask = len(slots) - 1
    h = _hash(values, begin, end) & mask
    while slots[h] >= 0:
        low = bounds[slots[h]]
        size = bounds[slots[h] + 1] - low
        if size == end - begin:
            i = 0
            while i < size and values[begin + i] == keys[low + i]:
                i += 1
            if i == size:
                return signed(slots[h])
        h = (h + 1) & mask
    return -1


def _keys(fields: Sequence[str]) -> Keys:
    packed = pack(f.encode() for f in fields)
    size = 1 << max(6, (8 * len(fields)).bit_length())
    slots = np.full(size, -1, np.int32)
    for i, name in enumerate(fields):
        if name == "":
            continue
        h = int(_hash(packed.buffer, packed.bounds[i], packed.bounds[i + 1])) & (size - 1)
        while slots[h] >= 0:
            h = (h + 1) & (size - 1)
        slots[h] = i
    return slots, packed.buffer, packed.bounds


@njit(cache=True, nogil=True)
def _value_end(values: Bytes, begin: int, stop: int, separator: int) -> int:
    p = begin
    while p < stop and values[p] != separator and values[p] != 9:
        p += 1
    return p


@njit(cache=True, nogil=True)
def _closing(values: Bytes, begin: int, stop: int, quote: int) -> int:
    """Where the closing quote stands, or stop; a backslash guards the byte after it."""
    p = begin
    while p < stop and values[p] != quote:
        p += 2 if values[p] == 92 else 1
    return min(p, stop)


@njit(cache=True, nogil=True)
def _pairs_of(
    values: Bytes, start: int, stop: int, separator: int, quote: int, prefix: int, row: int,
    slots: NDArray[np.int32], keys: Bytes, bounds: NDArray[np.int64], begin: NDArray[np.int64], length: NDArray[np.int32],
) -> bool:  # fmt: skip
    """One line into its spans; whether there was a pair at all. Of a key that comes twice the first counts."""
    p, key, found = start, -1, False
    while p < stop:
        c = values[p]
        if _KEY[c]:
            if key < 0:
                key = p
            p += 1
            continue
        if c != 61 or key < 0:
            key = -1
            p += 1
            continue
        low = p + 1
        if low < stop and values[low] == quote:
            low += 1
            high = _closing(values, low, stop, quote)
            after = high + 1
        else:
            if separator == _AUTO:
                separator = 44 if _value_end(values, low, stop, 44) < _value_end(values, low, stop, 32) else 32
            high = _value_end(values, low, stop, separator)
            after = high
        if not found and prefix >= 0 and key > start:
            begin[row, prefix], length[row, prefix] = start, key - start
        found = True
        i = _field(values, key, p, slots, keys, bounds)
        if i >= 0 and length[row, i] < 0:
            begin[row, i], length[row, i] = low, high - low
        p, key = after, -1
    return found


@njit(cache=True, nogil=True)
def _pairs(
    values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64], separator: int, quote: int, prefix: int,
    slots: NDArray[np.int32], keys: Bytes, bounds: NDArray[np.int64],
    begin: NDArray[np.int64], length: NDArray[np.int32], status: NDArray[np.uint8],
) -> None:  # fmt: skip
    for row in range(len(start)):
        if not _pairs_of(values, start[row], stop[row], separator, quote, prefix, row, slots, keys, bounds, begin, length):
            status[row] = BAD_STRUCTURE


@njit(cache=True, nogil=True)
def _cef_header(
    values: Bytes, start: int, stop: int, header: NDArray[np.int32], row: int, begin: NDArray[np.int64], length: NDArray[np.int32]
) -> int:  # fmt: skip
    """Seven texts, each ended by |. Returns where the extension begins, or -1."""
    p = start
    for part in range(7):
        low = p
        while p < stop and values[p] != 124:
            p += 2 if values[p] == 92 else 1
        if p >= stop and part < 6:
            return -1
        if header[part] >= 0:
            begin[row, header[part]], length[row, header[part]] = low, min(p, stop) - low
        p += 1
    return min(p, stop)


@njit(cache=True, nogil=True)
def _extension(
    values: Bytes, p: int, stop: int, row: int, slots: NDArray[np.int32], keys: Bytes, bounds: NDArray[np.int64],
    begin: NDArray[np.int64], length: NDArray[np.int32],
) -> None:  # fmt: skip
    """key=value key=value; a value goes on until the blank before the next key="""
    key, open_field = p, -1
    blank = True  # key began after a blank
    while p < stop:
        c = values[p]
        if c == 92:
            p, blank = p + 2, False
        elif c == 32 or c == 9:
            p, blank = p + 1, True
            key = p
        elif c == 61 and blank and p > key:
            if open_field >= 0:
                length[row, open_field] = max(key - 1 - begin[row, open_field], 0)
            i = _field(values, key, p, slots, keys, bounds)
            open_field = i if i >= 0 and length[row, i] < 0 else -1
            if open_field >= 0:
                begin[row, i], length[row, i] = p + 1, stop - p - 1
            p, blank = p + 1, False
        else:
            if not _KEY[c]:
                blank = False
            p += 1


@njit(cache=True, nogil=True)
def _cef(
    values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64], header: NDArray[np.int32],
    slots: NDArray[np.int32], keys: Bytes, bounds: NDArray[np.int64],
    begin: NDArray[np.int64], length: NDArray[np.int32], status: NDArray[np.uint8],
) -> None:  # fmt: skip
    for row in range(len(start)):
        p = start[row]
        if p + 4 <= stop[row] and values[p] == 67 and values[p + 1] == 69 and values[p + 2] == 70 and values[p + 3] == 58:
            p += 4
        p = _cef_header(values, p, stop[row], header, row, begin, length)
        if p < 0:
            status[row] = BAD_STRUCTURE
        else:
            _extension(values, p, stop[row], row, slots, keys, bounds, begin, length)


def build(table: Table, fields: Sequence[str]) -> Callable[[Bytes, NDArray[np.int64], NDArray[np.int64]], Spans]:
    """The tokenizer of one table; see spans.Tokenizer."""
    slots, keys, bounds = _keys(fields)
    settings = table.keyvalue
    separator = {"auto": _AUTO, "space": 32, "comma": 44}[settings.separator]
    prefix = fields.index("prefix") if "prefix" in fields else -1
    header = np.array([fields.index(name) if name in fields else -1 for name in CEF_HEADER], np.int32)

    def pairs(values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> Spans:
        found = spans.empty(len(start), len(fields))
        _pairs(values, start, stop, separator, ord(settings.quote), prefix, slots, keys, bounds, found.begin, found.length, found.status)
        return found

    def cef(values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> Spans:
        found = spans.empty(len(start), len(fields))
        _cef(values, start, stop, header, slots, keys, bounds, found.begin, found.length, found.status)
        return found

    return pairs if settings.style == "pairs" else cef
