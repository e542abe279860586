"""The kernels between spans and columns. All take values uint8 (bytes), begin int64 (F, n) and length int32 (F, n), -1 = absent.

They are the transposed arrays of `spans.Spans`: C order whatever n is, so that each kernel compiles once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode.scan import Bytes, Lexicon, Packed, equal_lower, find, look_up, signed
from detector.decode.wide import same, trailing_zeros

TEXT_LIMIT = 512  # bytes of a text that count; what comes after is cut off
_FNV, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)

Begin = NDArray[np.int64]
Length = NDArray[np.int32]


class Flags(NamedTuple):
    """The B <= 64 conditions "~text" and "^text". U fields are searched, each in one pass.

    field int32 (U); first uint64 (U, 256): bit b set where text b of this field begins with this byte; start bool (B): "^".
    """

    field: NDArray[np.int32]
    first: NDArray[np.uint64]
    start: NDArray[np.bool_]
    texts: Packed


@njit(cache=True, nogil=True)
def codes(
    values: Bytes, begin: Begin, length: Length, variant: NDArray[np.int32], asked: NDArray[np.int32], lexicon: Lexicon,
    flags: Flags, out: NDArray[np.int32], key: NDArray[np.uint64],
) -> None:  # fmt: skip
    """Fill out int32 (n, K + B), see plan.py, and key (n): equal for rows with equal variant and codes.

    Logs repeat themselves, so each field's last text and its code are kept and compared before anything is looked up.
    """
    words = len(asked)
    last_at, last_size, last_code = np.zeros(words, np.int64), np.full(words, -1, np.int64), np.zeros(words, np.int32)
    flag_at, flag_size, flag_hits = (
        np.zeros(len(flags.field), np.int64),
        np.full(len(flags.field), -1, np.int64),
        np.zeros(len(flags.field), np.uint64),
    )
    field, first, start, buffer, bounds = flags.field, flags.first, flags.start, flags.texts.buffer, flags.texts.bounds
    for row in range(len(key)):
        h = (_FNV ^ np.uint64(variant[row] + 1)) * _PRIME
        for k in range(words):
            size, code = signed(length[asked[k], row]), 0
            if size > 0:
                p = begin[asked[k], row]
                if size == last_size[k] and same(values, p, last_at[k], size):
                    code = last_code[k]
                else:
                    code = look_up(lexicon, k, values, p, p + size)
                    code = 1 if code < 0 else code
                    last_at[k], last_size[k], last_code[k] = p, size, code
            out[row, k] = code
            h = (h ^ np.uint64(code)) * _PRIME
        hits = np.uint64(0)
        for u in range(len(field)):
            size = signed(length[field[u], row])
            if size > 0:
                p = begin[field[u], row]
                if size != flag_size[u] or not same(values, p, flag_at[u], size):
                    flag_hits[u] = _flags(values, p, p + size, first, u, start, buffer, bounds)
                    flag_at[u], flag_size[u] = p, size
                hits |= flag_hits[u]
        for b in range(len(start)):
            out[row, words + b] = signed((hits >> np.uint64(b)) & np.uint64(1))
        h = (h ^ hits) * _PRIME
        key[row] = h ^ (h >> np.uint64(32))


@njit(cache=True, nogil=True)
def _flags(
    values: Bytes, begin: int, end: int, first: NDArray[np.uint64], u: int,
    start: NDArray[np.bool_], buffer: Bytes, bounds: NDArray[np.int64],
) -> np.uint64:  # fmt: skip
    """Bit b set for each text b of field u that stands in values[begin:end]."""
    hits = np.uint64(0)
    for p in range(begin, end):
        may = first[u, values[p]] & ~hits
        while may != 0:
            b = trailing_zeros(may)
            may &= may - np.uint64(1)
            size = bounds[b + 1] - bounds[b]
            if p + size <= end and (p == begin or not start[b]) and equal_lower(values, p, p + size, buffer, bounds[b], bounds[b + 1]):
                hits |= np.uint64(1) << np.uint64(b)
    return hits


@njit(cache=True, nogil=True)
def group(key: NDArray[np.uint64], out: NDArray[np.int32], first: NDArray[np.int64]) -> int:
    """Number equal keys: out int32 (n) in order of appearance, first[g] = the first row of group g. Returns how many groups."""
    size = 64
    slots = np.full(size, -1, np.int32)
    count = 0
    for row in range(len(key)):
        if count * 2 >= size:
            size *= 4
            slots = np.full(size, -1, np.int32)
            for g in range(count):
                h = signed(key[first[g]] & np.uint64(size - 1))
                while slots[h] >= 0:
                    h = (h + 1) & (size - 1)
                slots[h] = g
        h = signed(key[row] & np.uint64(size - 1))
        while slots[h] >= 0 and key[first[slots[h]]] != key[row]:
            h = (h + 1) & (size - 1)
        if slots[h] < 0:
            slots[h] = count
            first[count] = row
            count += 1
        out[row] = slots[h]
    return count


@njit(cache=True, nogil=True)
def _hash(values: Bytes, p: int, size: int) -> np.uint64:
    h = _FNV
    for i in range(size):
        h = (h ^ np.uint64(values[p + i])) * _PRIME
    return h ^ (h >> np.uint64(32))


@njit(cache=True, nogil=True)
def intern(
    values: Bytes, begin: Begin, length: Length, group: NDArray[np.int32], candidates: NDArray[np.int32],
    absent: Lexicon, longest_absent: int, out: NDArray[np.int32], first: NDArray[np.int64], size: NDArray[np.int32],
) -> int:  # fmt: skip
    """Number the texts of a column: out int32 (n), 0 = absent, k = the text values[first[k]:first[k] + size[k]].

    Candidates of a row are candidates[group[row]]; no text in `absent` is longer than longest_absent. first, size have
    room for n + 1. Returns the number of texts, absent included.
    """
    capacity = 1024
    slots = np.zeros(capacity, np.int32)
    count, last = 1, 0
    size[0] = 0
    for row in range(len(group)):
        g, p, n = group[row], signed(0), signed(0)
        for k in range(candidates.shape[1]):
            c = candidates[g, k]
            if c < 0:
                break
            if length[c, row] > 0:
                p, n = begin[c, row], min(signed(length[c, row]), TEXT_LIMIT)
                if last > 0 and size[last] == n and same(values, p, first[last], n):  # logs repeat themselves
                    break
                if n > longest_absent or look_up(absent, 0, values, p, p + n) < 0:
                    break
                n = signed(0)
        if n == 0:
            out[row] = 0
            continue
        if last > 0 and size[last] == n and same(values, p, first[last], n):
            out[row] = last
            continue
        if count * 2 >= capacity:
            capacity *= 4
            slots = np.zeros(capacity, np.int32)
            for k in range(1, count):
                h = signed(_hash(values, first[k], size[k]) & np.uint64(capacity - 1))
                while slots[h] > 0:
                    h = (h + 1) & (capacity - 1)
                slots[h] = k
        h = signed(_hash(values, p, n) & np.uint64(capacity - 1))
        while slots[h] > 0 and not (size[slots[h]] == n and same(values, p, first[slots[h]], n)):
            h = (h + 1) & (capacity - 1)
        if slots[h] == 0:
            slots[h], first[count], size[count] = count, p, n
            count += 1
        last = slots[h]
        out[row] = last
    return count


@njit(cache=True, nogil=True)
def _integer(values: Bytes, p: int, end: int) -> int:
    """A whole number >= 0, also written 0x1f or 12.0 or within blanks; -1 when it is none or does not fit 62 bits."""
    while p < end and values[p] == 32:
        p += 1
    while end > p and values[end - 1] == 32:
        end -= 1
    if end - p > 2 and values[p] == 48 and (values[p + 1] | 32) == 120:
        n = signed(0)
        for i in range(p + 2, end):
            c = signed(values[i])
            c = c - 48 if c >= 48 and c <= 57 else (c | 32) - 87 if (c | 32) >= 97 and (c | 32) <= 102 else -1
            if c < 0 or end - p > 17:
                return -1
            n = n * 16 + c
        return n
    if p == end or end - p > 21:
        return -1
    n, q = signed(0), p
    while q < end and values[q] >= 48 and values[q] <= 57:
        if n > 461_168_601_842_738_790:
            return -1
        n = n * 10 + signed(values[q] - 48)
        q += 1
    if q == p:
        return -1
    if q < end and values[q] == 46:
        q += 1
        while q < end and values[q] == 48:
            q += 1
    return n if q == end else -1


@njit(cache=True, nogil=True)
def integers(
    values: Bytes, begin: Begin, length: Length, group: NDArray[np.int32], candidates: NDArray[np.int32], limits: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:  # fmt: skip
    """Fill out int64 (C, n) from the first readable of candidates[column, group[row]] that is at most limits[column].

    Where there is none, out stays as it is. All columns in one pass: a line's bytes are in the cache then.
    """
    for row in range(len(group)):
        g = group[row]
        for column in range(len(limits)):
            for k in range(candidates.shape[2]):
                c = candidates[column, g, k]
                if c < 0:
                    break
                if length[c, row] > 0:
                    n = _integer(values, begin[c, row], begin[c, row] + length[c, row])
                    if n >= 0 and n <= limits[column]:
                        out[column, row] = n
                        break


@njit(cache=True, nogil=True)
def cut(values: Bytes, begin: Begin, length: Length, sources: NDArray[np.int32], target: int, after: Packed, until: Packed) -> None:
    """Fill the field `target` from the first source that has `after`; it ends at the nearest `until`, or with the source."""
    for row in range(length.shape[1]):
        for source in sources:
            if length[source, row] <= 0:
                continue
            end = begin[source, row] + length[source, row]
            p = find(values, begin[source, row], end, after.buffer, 0, after.bounds[1])
            if p < 0:
                continue
            p += after.bounds[1]
            stop = end
            for k in range(len(until.bounds) - 1):
                q = find(values, p, stop, until.buffer, until.bounds[k], until.bounds[k + 1])
                stop = q if q >= 0 else stop
            begin[target, row], length[target, row] = p, stop - p
            break


@njit(cache=True, nogil=True)
def session_keys(values: Bytes, begin: Begin, length: Length, fields: NDArray[np.int32], out: NDArray[np.uint64]) -> None:
    """Fill out uint64 (n): a hash of the given fields' texts, never 0; 0 where one of them is absent."""
    for row in range(len(out)):
        h = _FNV
        out[row] = 0
        complete = True
        for f in fields:
            complete = complete and length[f, row] > 0
            for i in range(length[f, row]):
                h = (h ^ np.uint64(values[begin[f, row] + i])) * _PRIME
            h = (h ^ np.uint64(255)) * _PRIME
        if complete:
            h ^= h >> np.uint64(32)
            out[row] = h if h != 0 else np.uint64(1)
