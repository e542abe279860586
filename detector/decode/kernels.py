"""The kernels between spans and columns. All take values uint8 (bytes), begin int64 (n, F) and length int32 (n, F), -1 = absent."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode import clock
from detector.decode.scan import Bytes, Lexicon, Packed, find, find_lower, look_up, signed
from detector.decode.zones import SECOND, Zones

TEXT_LIMIT = 512  # bytes of a text that count; what comes after is cut off
_FNV, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)

Begin = NDArray[np.int64]
Length = NDArray[np.int32]


@njit(cache=True, nogil=True)
def codes(
    values: Bytes, begin: Begin, length: Length, variant: NDArray[np.int32], asked: NDArray[np.int32], lexicon: Lexicon,
    flag_field: NDArray[np.int32], flag_start: NDArray[np.bool_], flag_text: Packed, out: NDArray[np.int32], key: NDArray[np.uint64],
) -> None:  # fmt: skip
    """Fill out int32 (n, K + B), see plan.py, and key (n): equal for rows with equal variant and codes."""
    words = len(asked)
    for row in range(len(key)):
        h = (_FNV ^ np.uint64(variant[row] + 1)) * _PRIME
        for k in range(words):
            size = length[row, asked[k]]
            code = 0
            if size > 0:
                p = begin[row, asked[k]]
                code = max(look_up(lexicon, k, values, p, p + size), -1)
                code = 1 if code < 0 else code
            out[row, k] = code
            h = (h ^ np.uint64(code)) * _PRIME
        for b in range(len(flag_field)):
            size, hit = length[row, flag_field[b]], 0
            if size > 0:
                p = begin[row, flag_field[b]]
                low, high = flag_text.bounds[b], flag_text.bounds[b + 1]
                if flag_start[b]:
                    hit = 1 if size >= high - low and find_lower(values, p, p + high - low, flag_text.buffer, low, high) >= 0 else 0
                else:
                    hit = 1 if find_lower(values, p, p + size, flag_text.buffer, low, high) >= 0 else 0
            out[row, words + b] = hit
            h = (h ^ np.uint64(hit)) * _PRIME
        key[row] = h ^ (h >> np.uint64(32))


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
def _same(values: Bytes, p: int, q: int, size: int) -> bool:
    for i in range(size):  # noqa: SIM110  # numba compiles loops, not generators
        if values[p + i] != values[q + i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _pick(
    values: Bytes, begin: Begin, length: Length, row: int, candidates: NDArray[np.int32], absent: Lexicon
) -> int:  # fmt: skip
    """The first candidate field that holds a text, or -1."""
    for c in candidates:
        if c < 0:
            return -1
        size = length[row, c]
        if size > 6 or (size > 0 and look_up(absent, 0, values, begin[row, c], begin[row, c] + size) < 0):
            return signed(c)
    return -1


@njit(cache=True, nogil=True)
def intern(
    values: Bytes, begin: Begin, length: Length, group: NDArray[np.int32], candidates: NDArray[np.int32], absent: Lexicon,
    out: NDArray[np.int32], first: NDArray[np.int64], size: NDArray[np.int32],
) -> int:  # fmt: skip
    """Number the texts of a column: out int32 (n), 0 = absent, k = the text values[first[k]:first[k] + size[k]].

    Candidates of a row are candidates[group[row]]. first, size have room for n + 1. Returns the number of texts, absent included.
    """
    capacity = 1024
    slots = np.zeros(capacity, np.int32)
    count, last = 1, 0
    size[0] = 0
    for row in range(len(group)):
        c = _pick(values, begin, length, row, candidates[group[row]], absent)
        if c < 0:
            out[row] = 0
            continue
        p, n = begin[row, c], min(length[row, c], TEXT_LIMIT)
        if size[last] == n and last > 0 and _same(values, p, first[last], n):  # logs repeat themselves
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
        while slots[h] > 0 and not (size[slots[h]] == n and _same(values, p, first[slots[h]], n)):
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
    values: Bytes, begin: Begin, length: Length, group: NDArray[np.int32], candidates: NDArray[np.int32], limit: int, out: NDArray[np.int64]
) -> None:  # fmt: skip
    """Fill out int64 (n) from the first readable candidate that is at most `limit`; where there is none, out stays as it is."""
    for row in range(len(group)):
        for c in candidates[group[row]]:
            if c < 0:
                break
            if length[row, c] > 0:
                n = _integer(values, begin[row, c], begin[row, c] + length[row, c])
                if n >= 0 and n <= limit:
                    out[row] = n
                    break


@njit(cache=True, nogil=True)
def cut(values: Bytes, begin: Begin, length: Length, sources: NDArray[np.int32], target: int, after: Packed, until: Packed) -> None:
    """Fill the field `target` from the first source that has `after`; it ends at the nearest `until`, or with the source."""
    for row in range(len(length)):
        for source in sources:
            if length[row, source] <= 0:
                continue
            end = begin[row, source] + length[row, source]
            p = find(values, begin[row, source], end, after.buffer, 0, after.bounds[1])
            if p < 0:
                continue
            p += after.bounds[1]
            stop = end
            for k in range(len(until.bounds) - 1):
                q = find(values, p, stop, until.buffer, until.bounds[k], until.bounds[k + 1])
                stop = q if q >= 0 else stop
            begin[row, target], length[row, target] = p, stop - p
            break


@njit(cache=True, nogil=True)
def _field_time(
    values: Bytes, begin: Begin, length: Length, row: int, fields: NDArray[np.int32], day_first: bool,
    zones: Zones, zone: int, near: int, year: int,
) -> int:  # fmt: skip
    """µs UTC of one [[time]] entry in one row, or clock.NONE."""
    a, b, z = fields[0], fields[1], fields[2]
    if length[row, a] <= 0 or (b >= 0 and length[row, b] <= 0) or (z >= 0 and length[row, z] <= 0):
        return clock.NONE
    p = begin[row, a]
    end = p + length[row, a]
    if b < 0 and z < 0:
        return clock.parse(values, p, end, day_first, zones, zone, near, year)[0]
    y, m, d, q = clock.read_date(values, p, end, day_first)
    if b >= 0:
        q, end = begin[row, b], begin[row, b] + length[row, b]
    time, q = clock.read_clock(values, q, end)
    offset, q = clock.read_zone(values, q, end)
    if z >= 0:
        offset, q = clock.read_zone(values, begin[row, z], begin[row, z] + length[row, z])
        if offset == clock.NONE:
            return clock.NONE
    return clock.resolve(y, m, d, time, offset, zones, zone, near, year)


@njit(cache=True, nogil=True)
def times(
    values: Bytes, begin: Begin, length: Length, fields: NDArray[np.int32], day_first: NDArray[np.bool_], zones: Zones,
    zone: NDArray[np.int32], header: NDArray[np.int64], near: NDArray[np.int64], year: int, out: NDArray[np.int64],
) -> None:  # fmt: skip
    """Fill out int64 (n), µs UTC: the first [[time]] entry that can be read, else the header's, else the record's, else clock.NONE."""
    for row in range(len(out)):
        time = clock.NONE
        for entry in range(len(fields)):
            time = _field_time(values, begin, length, row, fields[entry], day_first[entry], zones, zone[row], near[row], year)
            if time != clock.NONE:
                f = fields[entry, 3]
                if f >= 0 and length[row, f] > 0:
                    p = begin[row, f]
                    finer = clock.parse(values, p, p + length[row, f], day_first[entry], zones, zone[row], near[row], year)[0]
                    time = finer if abs(finer - time) < 2 * SECOND else time
                break
        if time == clock.NONE:
            time = header[row] if header[row] != clock.NONE else near[row] if near[row] > 0 else clock.NONE
        out[row] = time


@njit(cache=True, nogil=True)
def session_keys(values: Bytes, begin: Begin, length: Length, fields: NDArray[np.int32], out: NDArray[np.uint64]) -> None:
    """Fill out uint64 (n): a hash of the given fields' texts, never 0; 0 where one of them is absent."""
    for row in range(len(out)):
        h = _FNV
        out[row] = 0
        complete = True
        for f in fields:
            complete = complete and length[row, f] > 0
            for i in range(length[row, f]):
                h = (h ^ np.uint64(values[begin[row, f] + i])) * _PRIME
            h = (h ^ np.uint64(255)) * _PRIME
        if complete:
            h ^= h >> np.uint64(32)
            out[row] = h if h != 0 else np.uint64(1)
