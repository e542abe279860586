"""What an entity counts: decayed sums, and distinct values exactly up to twelve, then by HyperLogLog.

A late event enters with the weight it would have left by now, so nothing is dropped and nothing moves backwards.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detector.features.jit import part
from detector.features.slab import FIRST, NUMBERS, SKETCH, Slab

SECOND = 1_000_000  # µs
MINUTE, TEN, HOUR, DAY = 60.0, 600.0, 3_600.0, 86_400.0  # half-lives in seconds
BASE = 72.0  # hours: half-life of what is usual for an entity
START, NOW, BEFORE, HARMONIC, EMPTY = range(5)  # the numbers of one distinct count
DISTINCT = 5
_REGISTERS = 96
_BIAS = 0.7213 / (1 + 1.079 / _REGISTERS)


@part
def elapsed(slab: Slab, slot: int, t: np.int64) -> float:
    """Seconds since the entity's clock (its first number), which moves on to t unless the event is late: then negative."""
    last = float(slab.num[slot, FIRST])
    if last == 0.0:
        slab.num[slot, FIRST] = t
        return 0.0
    if t > last:
        slab.num[slot, FIRST] = t
    return (t - last) / SECOND


@part
def fading(seconds: float, half_life: float) -> float:
    """What is left of 1 after so many seconds, or of a late event's weight by now."""
    return float(np.exp2(-abs(seconds) / half_life)) if seconds != 0.0 else 1.0


@part
def decayed(slab: Slab, slot: int, place: int, seconds: float, factor: float, amount: float) -> float:
    """The decayed sum at `place` with `amount` added; `factor` is the `fading` of these `seconds`. A late amount is worth less."""
    value = float(slab.num[slot, place])
    value = value * factor + amount if seconds >= 0.0 else value + amount * factor
    slab.num[slot, place] = value
    return value


@part
def _sketch(slab: Slab, sketch: int) -> int:
    """The first word of a sketch within its row."""
    return FIRST + int(slab.info[NUMBERS]) + sketch * SKETCH


@part
def _register(slab: Slab, slot: int, place: int, sketch: int, key: np.uint64) -> bool:
    """One value into the HyperLogLog registers, with their harmonic sum and the number of empty ones; whether anything changed."""
    low = key & np.uint64(0xFFFFFFFF)
    rank = 1
    while rank < 32 and not low >> np.uint64(rank - 1) & np.uint64(1):
        rank += 1
    where = 8 * _sketch(slab, sketch) + np.int64((key >> np.uint64(32)) * np.uint64(_REGISTERS) >> np.uint64(32))
    old = int(np.int64(slab.byte[slot, where]))
    if rank > old:
        slab.byte[slot, where] = rank
        slab.num[slot, place + HARMONIC] += math.ldexp(1.0, -rank) - math.ldexp(1.0, -old)
        if old == 0:
            slab.num[slot, place + EMPTY] -= 1
        return True
    return False


@part
def _estimate(slab: Slab, slot: int, place: int) -> float:
    raw = _BIAS * _REGISTERS * _REGISTERS / float(slab.num[slot, place + HARMONIC])
    empty = float(slab.num[slot, place + EMPTY])
    if raw <= 2.5 * _REGISTERS and empty > 0:
        return _REGISTERS * math.log(_REGISTERS / empty)
    return raw


@part
def _to_registers(slab: Slab, slot: int, place: int, sketch: int) -> None:
    first = _sketch(slab, sketch)
    keys = np.empty(SKETCH, np.uint64)
    for i in range(SKETCH):
        keys[i] = slab.word[slot, first + i]
        slab.word[slot, first + i] = 0
    slab.num[slot, place + HARMONIC] = _REGISTERS
    slab.num[slot, place + EMPTY] = _REGISTERS
    for i in range(SKETCH):
        _register(slab, slot, place, sketch, keys[i])


@part
def _rotate(slab: Slab, slot: int, place: int, sketch: int, t: np.int64, window: float) -> None:
    age = (t - slab.num[slot, place + START]) / SECOND
    if slab.num[slot, place + START] == 0.0 or age > window:
        slab.num[slot, place + BEFORE] = slab.num[slot, place + NOW] if age <= 2 * window else 0.0
        slab.num[slot, place + START] = t
        slab.num[slot, place + NOW] = 0.0
        slab.num[slot, place + HARMONIC] = 0.0
        first = _sketch(slab, sketch)
        for i in range(SKETCH):
            slab.word[slot, first + i] = 0


@part
def distinct(slab: Slab, slot: int, place: int, sketch: int, t: np.int64, window: float, key: np.uint64) -> float:
    """How many different keys within the window (seconds): the larger of the current window and the one before.

    Key 0 adds nothing. The window begins with the first event after the last one ended. Late events count in the current.
    """
    _rotate(slab, slot, place, sketch, t, window)
    if key != 0:
        _add(slab, slot, place, sketch, key)
    return max(float(slab.num[slot, place + NOW]), float(slab.num[slot, place + BEFORE]))


@part
def _add(slab: Slab, slot: int, place: int, sketch: int, key: np.uint64) -> None:
    first = _sketch(slab, sketch)
    if slab.num[slot, place + HARMONIC] == 0.0:
        count = np.int64(slab.num[slot, place + NOW])
        for i in range(count):
            if slab.word[slot, first + i] == key:
                return
        if count < SKETCH:
            slab.word[slot, first + count] = key
            slab.num[slot, place + NOW] = count + 1
            return
        _to_registers(slab, slot, place, sketch)
    if _register(slab, slot, place, sketch, key):
        # Never below what was counted exactly: an estimate must not shrink while values arrive.
        slab.num[slot, place + NOW] = max(slab.num[slot, place + NOW], _estimate(slab, slot, place))


@part
def bits(count: float, total: float) -> float:
    """Rarity of something seen `count` times among `total`, in bits; 1 bit when nothing is known."""
    return -math.log2((count + 0.5) / (total + 1.0))


@part
def mature(clock: NDArray[np.int64]) -> float:
    """How much novelty means in a shard watched since clock[2] until clock[0] (µs): nothing at first, in full after two days."""
    return min(1.0, max(0.0, float(clock[0] - clock[2]) / SECOND / (2.0 * DAY)))


@part
def growth(recent: float, base: float, watched: float, hours: float, least: float) -> float:
    """log2 of what came lately (decayed over `hours`) over what the rate of the last three days would give.

    `base` decayed over 72 hours and watched for so many; `least` is added to both, so that little is no growth.
    """
    known = 1.0 - float(np.exp2(-watched / BASE))
    rate = base / (BASE * max(known, 1e-9))
    expected = rate * hours * (1.0 - float(np.exp2(-watched / hours)))
    return math.log2((recent + least) / (expected + least))
