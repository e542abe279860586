"""Small kernels on the byte buffer that all of decode shares: comparing, searching, looking words up.

Every buffer of bytes is passed read-only (`readonly`), so that each kernel compiles once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, cast

import numpy as np
from numba import njit
from numba.core.types import Array, Type, UniTuple, boolean, int64, uint8
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
NOWHERE = -1
several = cast("Callable[[Type, int], Callable[..., object]]", UniTuple)
PAIR = several(int64, 2)
BYTES = Array(uint8, 1, "C", readonly=True)  # small helpers name their types, or each mixture of widths would compile anew
# For kernels: int() would make a uint64 of a byte, and sums of both kinds are floats.
signed = cast("Callable[[object], int]", np.int64)


def readonly(values: Bytes) -> Bytes:
    """The same bytes, contiguous and typed as read-only."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


class Packed(NamedTuple):
    """Texts one after the other: text i is buffer[bounds[i]:bounds[i + 1]]."""

    buffer: Bytes
    bounds: NDArray[np.int64]


def pack(texts: Iterable[bytes]) -> Packed:
    parts = list(texts)
    bounds = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(p) for p in parts], out=bounds[1:])
    return Packed(readonly(np.frombuffer(b"".join(parts) + b"\0", np.uint8)), bounds)


class Lexicon(NamedTuple):
    """Words in an open hash table. A word belongs to a group and has a number; case does not matter for ASCII letters.

    slots   int32 (power of two), index of an entry or -1
    group   int32 (entries); number int32 (entries); texts: the words in lower case
    """

    slots: NDArray[np.int32]
    group: NDArray[np.int32]
    number: NDArray[np.int32]
    buffer: Bytes
    bounds: NDArray[np.int64]


def lexicon(entries: Sequence[tuple[int, str, int]]) -> Lexicon:
    """From (group, word, number); of equal words in a group the first counts."""
    words = pack(word.encode().lower() for _, word, _ in entries)
    size = 1 << max(4, (4 * len(entries)).bit_length())
    slots = np.full(size, -1, np.int32)
    group = np.array([g for g, _, _ in entries] or [0], np.int32)
    number = np.array([k for _, _, k in entries] or [0], np.int32)
    for i in range(len(entries)):
        h = int(hash_lower(words.buffer, words.bounds[i], words.bounds[i + 1], int(group[i]))) & (size - 1)
        while slots[h] >= 0:
            h = (h + 1) & (size - 1)
        slots[h] = i
    return Lexicon(slots, group, number, words.buffer, words.bounds)


@njit(int64(BYTES, int64, int64, int64), cache=True, nogil=True)
def hash_lower(values: Bytes, begin: int, end: int, seed: int) -> int:
    """Hash of a text without regard to ASCII case: its length and up to 16 bytes of it."""
    h = np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(end - begin)
    for p in range(begin, min(end, begin + 16)):
        c = values[p]
        if c >= 65 and c <= 90:
            c |= np.uint8(32)
        h = h * np.uint64(31) + np.uint64(c)
    return signed((h ^ (h >> np.uint64(29))) & np.uint64(0x7FFFFFFFFFFFFFFF))


@njit(boolean(BYTES, int64, int64, BYTES, int64, int64), cache=True, nogil=True)
def equal_lower(values: Bytes, begin: int, end: int, buffer: Bytes, low: int, high: int) -> bool:
    """Whether a text equals an entry that is in lower case already."""
    if end - begin != high - low:
        return False
    for i in range(end - begin):
        c = values[begin + i]
        if c >= 65 and c <= 90:
            c |= np.uint8(32)
        if c != buffer[low + i]:
            return False
    return True


@njit(cache=True, nogil=True)
def look_up(words: Lexicon, group: int, values: Bytes, begin: int, end: int) -> int:
    """The number of a word in a group, or -1."""
    mask = len(words.slots) - 1
    h = hash_lower(values, begin, end, group) & mask
    while words.slots[h] >= 0:
        i = words.slots[h]
        if words.group[i] == group and equal_lower(values, begin, end, words.buffer, words.bounds[i], words.bounds[i + 1]):
            return signed(words.number[i])
        h = (h + 1) & mask
    return -1


@njit(int64(BYTES, int64, int64, BYTES, int64, int64), cache=True, nogil=True)
def find(values: Bytes, begin: int, end: int, buffer: Bytes, low: int, high: int) -> int:
    """Where in values[begin:end] the text buffer[low:high] first stands, or -1. Case matters."""
    size = high - low
    if size == 0:
        return begin
    first = buffer[low]
    for p in range(begin, end - size + 1):
        if values[p] == first:
            i = 1
            while i < size and values[p + i] == buffer[low + i]:
                i += 1
            if i == size:
                return p
    return NOWHERE


@njit(cache=True, nogil=True)
def find_lower(values: Bytes, begin: int, end: int, buffer: Bytes, low: int, high: int) -> int:
    """As `find`, without regard to ASCII case; the text is in lower case already."""
    size = high - low
    for p in range(begin, end - size + 1):
        if equal_lower(values, p, p + size, buffer, low, high):
            return p
    return NOWHERE


@njit(boolean(BYTES, int64, int64, BYTES, int64, int64), cache=True, nogil=True)
def starts(values: Bytes, begin: int, end: int, buffer: Bytes, low: int, high: int) -> bool:
    """Whether values[begin:end] starts with buffer[low:high]. Case matters."""
    if end - begin < high - low:
        return False
    for i in range(high - low):  # noqa: SIM110  # numba compiles loops, not generators
        if values[begin + i] != buffer[low + i]:
            return False
    return True


@njit(PAIR(BYTES, int64, int64), cache=True, nogil=True)
def digits(values: Bytes, begin: int, end: int) -> tuple[int, int]:
    """The number written from `begin` on, at most 18 digits of it, and where it ends; (-1, begin) without a digit."""
    p, n = begin, 0
    while p < end and values[p] >= 48 and values[p] <= 57 and p - begin < 18:
        n = n * 10 + signed(values[p] - 48)
        p += 1
    return (n, p) if p > begin else (-1, begin)
