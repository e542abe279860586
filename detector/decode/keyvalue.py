"""Tokenizer `keyvalue`: pairs such as srcip=10.0.0.1 user="A B", in any order; and CEF's extension, whose values hold spaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode import spans
from detector.decode.scan import Bytes, pack, signed
from detector.decode.spans import BAD_STRUCTURE, Spans
from detector.decode.table import Table
from detector.decode.wide import find_either, head, same

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
def _closing(values: Bytes, p: int, stop: int, quote: int) -> int:
    """Where the closing quote stands, or stop; a backslash guards the byte after it."""
    p = find_either(values, p, stop, quote, 92)
    while p < stop and values[p] == 92:
        p = find_either(values, min(p + 2, stop), stop, quote, 92)
    return p


class _Memory(NamedTuple):
    """Keys met so far in this batch, known to the table or not; lines of a product name them in much the same order.

    Entry 0 is the beginning of a line. word: first 8 bytes; at, size: where one stands; field: its number or -1;
    next: the entry that came after it last time; slots: open hash table of entries, 0 = free; used (1,): how many entries.
    """

    word: NDArray[np.uint64]
    at: NDArray[np.int64]
    size: NDArray[np.int64]
    field: NDArray[np.int32]
    next: NDArray[np.int32]
    slots: NDArray[np.int32]
    used: NDArray[np.int64]


_ENTRIES = 512  # a batch with more different keys than this is read a little more slowly


@njit(cache=True, nogil=True)
def _memory() -> _Memory:
    return _Memory(
        np.zeros(_ENTRIES, np.uint64), np.zeros(_ENTRIES, np.int64), np.zeros(_ENTRIES, np.int64), np.full(_ENTRIES, -1, np.int32),
        np.zeros(_ENTRIES, np.int32), np.zeros(2 * _ENTRIES, np.int32), np.ones(1, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _entry(
    values: Bytes, key: int, size: int, slots: NDArray[np.int32], keys: Bytes, bounds: NDArray[np.int64], memory: _Memory
) -> tuple[int, int]:  # fmt: skip
    """(entry, field) of the key at `key`; entry 0 when the memory is full."""
    h = _hash(values, key, key + size) & (2 * _ENTRIES - 1)
    while memory.slots[h] > 0:
        e = memory.slots[h]
        if memory.size[e] == size and same(values, key, memory.at[e], size):
            return signed(e), signed(memory.field[e])
        h = (h + 1) & (2 * _ENTRIES - 1)
    found = _field(values, key, key + size, slots, keys, bounds)
    e = memory.used[0]
    if e == _ENTRIES:
        return 0, found
    memory.word[e], memory.at[e], memory.size[e], memory.field[e] = head(values, key, size), key, size, found
    memory.slots[h] = e
    memory.used[0] = e + 1
    return signed(e), found


@njit(cache=True, nogil=True)
def _pairs(
    values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64], separator: int, quote: int, prefix: int,
    slots: NDArray[np.int32], keys: Bytes, bounds: NDArray[np.int64],
    begin: NDArray[np.int64], length: NDArray[np.int32], status: NDArray[np.uint8],
) -> None:  # fmt: skip
    """All lines into their spans. Of a key that comes twice in a line the first counts."""
    memory = _memory()
    word, at, sizes, field, following = memory.word, memory.at, memory.size, memory.field, memory.next
    for row in range(len(start)):
        p, end, last, found, between = start[row], stop[row], 0, False, separator
        while p < end:
            key = p if not found or values[p] != between else p + 1
            guess = following[last]
            size = sizes[guess]
            entry, i = 0, -1
            if (  # the key that came here last time, then =
                guess > 0
                and key + size < end
                and values[key + size] == 61
                and head(values, key, size) == word[guess]
                and (size <= 8 or same(values, key, at[guess], size))
                and (key == start[row] or not _KEY[values[key - 1]])
            ):
                entry, i, p = guess, field[guess], key + size
            else:
                while p < end and not _KEY[values[p]]:
                    p += 1
                key = p
                while p < end and _KEY[values[p]]:
                    p += 1
                if p >= end or values[p] != 61:
                    continue
                entry, i = _entry(values, key, p - key, slots, keys, bounds, memory)
                following[last] = entry
            last = entry
            low = p + 1
            if low < end and values[low] == quote:
                low += 1
                high = _closing(values, low, end, quote)
                p = high + 1
            else:
                if between == _AUTO:
                    between = 44 if find_either(values, low, end, 44, 32) < find_either(values, low, end, 32, 9) else 32
                high = find_either(values, low, end, between, 9)
                p = high
            if not found and prefix >= 0 and key > start[row]:
                begin[prefix, row], length[prefix, row] = start[row], key - start[row]
            found = True
            if i >= 0 and length[i, row] < 0:
                begin[i, row], length[i, row] = low, high - low
        if not found:
            status[row] = BAD_STRUCTURE


@njit(cache=True, nogil=True)
def _cef_header(values: Bytes, p: int, stop: int, cuts: NDArray[np.int64]) -> int:
    """Seven texts, each ended by |: text k is values[p + cuts[k]:p + cuts[k + 1] - 1]. Returns the header's bytes, or -1."""
    start = p
    cuts[0] = 0
    for part in range(7):
        p = find_either(values, p, stop, 124, 92)
        while p < stop and values[p] == 92:
            p = find_either(values, min(p + 2, stop), stop, 124, 92)
        if p >= stop and part < 6:
            return -1
        p = min(p, stop) + 1
        cuts[part + 1] = p - start
    return min(p, stop) - start


@njit(cache=True, nogil=True)
def _extension(
    values: Bytes, p: int, stop: int, row: int, slots: NDArray[np.int32], keys: Bytes, bounds: NDArray[np.int64],
    begin: NDArray[np.int64], length: NDArray[np.int32], memory: _Memory,
) -> None:  # fmt: skip
    """key=value key=value; a value goes on until the blank before the next key="""
    word, at, sizes, field, following = memory.word, memory.at, memory.size, memory.field, memory.next
    low, opened, last = p, -1, 0  # where the open value begins, its field, the memory's entry of the last key
    while p < stop:
        p = find_either(values, p, stop, 61, 92)
        if p >= stop:
            break
        if values[p] == 92:
            p += 2
            continue
        guess = following[last]
        size = sizes[guess]
        key = p - size
        if (  # the key that came here last time
            guess > 0
            and key >= low
            and head(values, key, size) == word[guess]
            and (size <= 8 or same(values, key, at[guess], size))
            and (key == low or values[key - 1] == 32)
        ):
            entry, i = guess, field[guess]
        else:
            key = p
            while key > low and _KEY[values[key - 1]]:
                key -= 1
            if key == p or (key > low and values[key - 1] != 32 and values[key - 1] != 9):
                p += 1
                continue
            entry, i = _entry(values, key, p - key, slots, keys, bounds, memory)
            following[last] = entry
        last = entry
        if opened >= 0:
            length[opened, row] = max(key - 1 - low, 0)
        low, opened = p + 1, i if i >= 0 and length[i, row] < 0 else -1
        if opened >= 0:
            begin[i, row], length[i, row] = low, stop - low
        p += 1


@njit(cache=True, nogil=True)
def _cef(
    values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64], header: NDArray[np.int32],
    slots: NDArray[np.int32], keys: Bytes, bounds: NDArray[np.int64],
    begin: NDArray[np.int64], length: NDArray[np.int32], status: NDArray[np.uint8],
) -> None:  # fmt: skip
    memory = _memory()
    cuts = np.zeros(8, np.int64)
    size, before = -1, 0  # the last header: devices repeat theirs word for word
    for row in range(len(start)):
        p = start[row]
        if p + 4 <= stop[row] and values[p] == 67 and values[p + 1] == 69 and values[p + 2] == 70 and values[p + 3] == 58:
            p += 4
        if size <= 0 or p + size > stop[row] or cuts[7] > size or not same(values, p, before, size):
            size, before = _cef_header(values, p, stop[row], cuts), p
        if size < 0:
            status[row] = BAD_STRUCTURE
            continue
        for part in range(7):
            if header[part] >= 0:
                begin[header[part], row], length[header[part], row] = p + cuts[part], cuts[part + 1] - cuts[part] - 1
        _extension(values, p + size, stop[row], row, slots, keys, bounds, begin, length, memory)


def build(table: Table, fields: Sequence[str]) -> Callable[[Bytes, NDArray[np.int64], NDArray[np.int64]], Spans]:
    """The tokenizer of one table; see spans.Tokenizer."""
    slots, keys, bounds = _keys(fields)
    settings = table.keyvalue
    separator = {"auto": _AUTO, "space": 32, "comma": 44}[settings.separator]
    prefix = fields.index("prefix") if "prefix" in fields else -1
    header = np.array([fields.index(name) if name in fields else -1 for name in CEF_HEADER], np.int32)

    def pairs(values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> Spans:
        found = spans.empty(len(start), len(fields))
        _pairs(
            values, start, stop, separator, ord(settings.quote), prefix, slots, keys, bounds, found.begin.T, found.length.T, found.status
        )
        return found

    def cef(values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> Spans:
        found = spans.empty(len(start), len(fields))
        _cef(values, start, stop, header, slots, keys, bounds, found.begin.T, found.length.T, found.status)
        return found

    return pairs if settings.style == "pairs" else cef
