"""Memory for many small entities: a hash from a 64-bit key to a slot, and one row of 8-byte words per slot.

A row holds its key, its latest event time, a mark, then float64 numbers, then 96-byte sketches; a snapshot is the rows
and nothing else. A slab never holds more than `limit` entities: new ones take the place of those not touched for longest
(second chance), and every insertion looks at two old ones and drops those idle for longer than three days, so a quiet shard
shrinks. Growth of the arrays is invisible: what is found, evicted and returned depends on the sequence of calls alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.features.jit import borrow, kernel, part

SKETCH = 12  # words of a sketch
IDLE = 3 * 86_400_000_000.0  # µs
HIGH, FREE, HAND, LIMIT, LIVE, NUMBERS, SKETCHES = range(7)  # places in `info`
OWNER, USED, MARK, FIRST = range(4)  # words of a row; numbers begin at FIRST
_START = 256


class Slab(NamedTuple):
    """places uint64 (T, 2): key and slot, T a power of two, key 0 = empty; word, num, byte: one memory of (rows, words), three views."""

    places: NDArray[np.uint64]
    word: NDArray[np.uint64]
    num: NDArray[np.float64]
    byte: NDArray[np.uint8]
    info: NDArray[np.int64]


def fresh(numbers: int, sketches: int, limit: int) -> Slab:
    """An empty slab of at most `limit` entities, each with so many float64 numbers and 96-byte sketches."""
    info = np.zeros(8, np.int64)
    info[FREE] = -1
    info[LIMIT], info[NUMBERS], info[SKETCHES] = limit, numbers, sketches
    return _allocate(_START, info)


def _allocate(rows: int, info: NDArray[np.int64]) -> Slab:
    """Space for `rows` rows (a power of two, as the hash needs), or for as many as there may ever be."""
    word = np.zeros((min(rows, int(info[LIMIT])), FIRST + int(info[NUMBERS]) + SKETCH * int(info[SKETCHES])), np.uint64)
    return Slab(np.zeros((2 * rows, 2), np.uint64), word, word.view(np.float64), word.view(np.uint8), info)


def of_rows(word: NDArray[np.uint64], info: NDArray[np.int64], rows: int) -> Slab:
    """A slab with space for `rows` rows (a power of two) that holds the given ones."""
    slab = _allocate(rows, info)
    slab.word[: len(word)] = word
    _rehash(slab)
    return slab


def room(slab: Slab, margin: int) -> Slab:
    """The slab, larger if the next `margin` insertions would not fit."""
    if not crowded(slab, margin):
        return slab
    return of_rows(slab.word[: slab.info[HIGH]], slab.info, len(slab.places))


@part
def lent(slab: Slab) -> Slab:
    """The slab for use inside one kernel call, see `jit.borrow`."""
    return Slab(borrow(slab.places), borrow(slab.word), borrow(slab.num), borrow(slab.byte), borrow(slab.info))


@kernel
def crowded(slab: Slab, margin: int) -> bool:
    """Whether `margin` insertions might not fit: then the arrays must grow first."""
    high = slab.info[HIGH]
    # At most `limit` slots are ever taken: an insertion beyond it takes a freed one.
    return bool(high + margin > len(slab.word) and len(slab.word) < slab.info[LIMIT])


@kernel
def _rehash(slab: Slab) -> None:
    for slot in range(slab.info[HIGH]):
        key = slab.word[slot, OWNER]
        if key != 0:
            place = _place(slab, key)
            slab.places[place, 0] = key
            slab.places[place, 1] = slot


@part
def _place(slab: Slab, key: np.uint64) -> int:
    """Where the key stands in the hash, or the empty place where it belongs."""
    mask = len(slab.places) - 1
    place = int(np.int64(key >> np.uint64(20))) & mask
    while slab.places[place, 0] != 0 and slab.places[place, 0] != key:
        place = (place + 1) & mask
    return place


@part
def _forget(slab: Slab, slot: int) -> None:
    """Give a slot back; later keys of the same run move up, so that no search meets a hole."""
    mask = len(slab.places) - 1
    hole = _place(slab, slab.word[slot, OWNER])
    place = hole
    while True:
        place = (place + 1) & mask
        key = slab.places[place, 0]
        if key == 0:
            break
        home = np.int64(key >> np.uint64(20)) & mask
        if (place - home) & mask >= (place - hole) & mask:
            slab.places[hole, 0] = key
            slab.places[hole, 1] = slab.places[place, 1]
            hole = place
    slab.places[hole, 0] = 0
    slab.word[slot, OWNER] = 0
    slab.num[slot, MARK] = slab.info[FREE]  # free slots form a chain
    slab.info[FREE] = slot
    slab.info[LIVE] -= 1


@part
def _turn(slab: Slab) -> int:
    """Move the hand on by one slot and return the slot it stood at."""
    slot = int(slab.info[HAND])
    slab.info[HAND] = slot + 1 if slot + 1 < slab.info[HIGH] else 0
    return slot


@part
def _make_room(slab: Slab, now: np.int64) -> None:
    if slab.info[HIGH] == 0:
        return
    for _ in range(2):
        slot = _turn(slab)
        if slab.word[slot, OWNER] != 0 and now - slab.num[slot, USED] > IDLE:
            _forget(slab, slot)
    while slab.info[LIVE] >= slab.info[LIMIT]:
        slot = _turn(slab)
        if slab.word[slot, OWNER] == 0:
            continue
        if slab.num[slot, MARK] == 0:
            _forget(slab, slot)
        else:
            slab.num[slot, MARK] = 0


@kernel
def find(slab: Slab, key: np.uint64) -> int:
    """The slot of a key, or -1. Changes nothing."""
    place = _place(slab, key)
    return int(np.int64(slab.places[place, 1])) if slab.places[place, 0] != 0 else -1


@part
def slot_of(slab: Slab, key: np.uint64, now: np.int64) -> int:
    """The slot of a key, made if absent (numbers and sketches zero). `now` is the event's time, µs; the slab must not be crowded."""
    slot = find(slab, key)
    if slot < 0:
        slot = _insert(slab, key, now)
    slab.num[slot, MARK] = 1.0
    slab.num[slot, USED] = max(slab.num[slot, USED], float(now))
    return slot


@part
def _insert(slab: Slab, key: np.uint64, now: np.int64) -> int:
    _make_room(slab, now)
    slot = int(slab.info[FREE])
    if slot >= 0:
        slab.info[FREE] = np.int64(slab.num[slot, MARK])
        for i in range(slab.word.shape[1]):
            slab.word[slot, i] = 0
    else:
        slot = int(slab.info[HIGH])
        slab.info[HIGH] += 1
    slab.word[slot, OWNER] = key
    slab.info[LIVE] += 1
    place = _place(slab, key)
    slab.places[place, 0] = key
    slab.places[place, 1] = slot
    return slot


def dump(slab: Slab) -> dict[str, NDArray[np.generic]]:
    """The arrays that a snapshot needs; the hash is rebuilt."""
    return {"word": slab.word[: slab.info[HIGH]], "info": slab.info}


def load(parts: dict[str, NDArray[np.generic]]) -> Slab:
    """The slab of a snapshot."""
    info = np.array(parts["info"], np.int64)
    word = np.array(parts["word"], np.uint64)
    return of_rows(word, info, max(_START, 1 << (len(word) + 64).bit_length()))


def nbytes(slab: Slab) -> int:
    """Memory of hash and rows."""
    return slab.places.nbytes + slab.word.nbytes


def grown_to_limit(slab: Slab) -> Slab:
    """The slab as large as it can ever become; for reckoning memory."""
    while len(slab.word) < slab.info[LIMIT]:
        slab = of_rows(slab.word[: slab.info[HIGH]], slab.info, len(slab.places))
    return slab
