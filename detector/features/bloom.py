"""Memory of what was ever seen: Bloom filters that grow by layers and rotate by time.

It can be asked, not listed. Two generations of 15 days: what was seen once is known for 15 to 30 days after its last sight,
whatever else floods in. Full layers are kept and a larger one is added, so nothing old starts to look new; beyond the
last layer (16 MiB) new things begin to look old instead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.features.hashing import mix
from detector.features.jit import borrow, kernel, part

GENERATION = 15 * 86_400_000_000  # µs
LAYERS = 6
_FIRST = 256  # blocks of 512 bits in the first layer; each further layer has four times as many
MOST_WORDS = 8 * _FIRST * ((1 << 2 * LAYERS) - 1) // 3  # of all layers
_PER_BLOCK = 32  # keys: 16 bits a key
LAYER, COUNT = range(2)


class Bloom(NamedTuple):
    """One generation: bits uint64 (8 · blocks of all layers), info int64 (2): the current layer, keys in it."""

    bits: NDArray[np.uint64]
    info: NDArray[np.int64]


@kernel
def _start(layer: int) -> int:
    """The first block of a layer: the sum of the geometric series before it."""
    return _FIRST * ((1 << 2 * layer) - 1) // 3


def fresh() -> Bloom:
    """An empty generation."""
    return Bloom(np.zeros(8 * _start(1), np.uint64), np.zeros(2, np.int64))


@kernel
def crowded(bloom: Bloom) -> bool:
    """Whether the current layer may fill up within one event and the next one is not there yet."""
    layer = bloom.info[LAYER]
    full = bloom.info[COUNT] + 64 > (_FIRST << 2 * layer) * _PER_BLOCK
    return bool(full) and layer + 1 < LAYERS and len(bloom.bits) < 8 * _start(layer + 2)


def room(bloom: Bloom) -> Bloom:
    """The same generation, with space for the next layer if it will be needed."""
    if not crowded(bloom):
        return bloom
    bits = np.zeros(8 * _start(int(bloom.info[LAYER]) + 2), np.uint64)
    bits[: len(bloom.bits)] = bloom.bits
    return Bloom(bits, bloom.info)


@part
def lent(bloom: Bloom) -> Bloom:
    """The filter for use inside one kernel call, see `jit.borrow`."""
    return Bloom(borrow(bloom.bits), borrow(bloom.info))


def dump(bloom: Bloom) -> dict[str, NDArray[np.generic]]:
    """The arrays that a snapshot needs: only layers in use."""
    return {"bits": bloom.bits[: 8 * _start(int(bloom.info[LAYER]) + 1)], "info": bloom.info}


@part
def _has(bloom: Bloom, key: np.uint64, layer: int) -> bool:
    block = 8 * (_start(layer) + np.int64(key & np.uint64((_FIRST << 2 * layer) - 1)))
    probe = mix(key)
    found = np.uint64(1)
    for i in range(8):
        found &= bloom.bits[block + i] >> (probe >> np.uint64(6 * i) & np.uint64(63))
    return bool(found == np.uint64(1))


@part
def contains(bloom: Bloom, key: np.uint64) -> bool:
    """Whether the key was added to this generation (with about 1 in 1,000 false yes)."""
    layer = int(bloom.info[LAYER])
    while layer >= 0 and not _has(bloom, key, layer):
        layer -= 1
    return layer >= 0


@part
def add(bloom: Bloom, key: np.uint64) -> None:
    """Remember a key that this generation does not contain. The generation must not be crowded."""
    layer = bloom.info[LAYER]
    if bloom.info[COUNT] >= (_FIRST << 2 * layer) * _PER_BLOCK and layer + 1 < LAYERS:
        layer += 1
        bloom.info[LAYER] = layer
        bloom.info[COUNT] = 0
    block = 8 * (_start(layer) + np.int64(key & np.uint64((_FIRST << 2 * layer) - 1)))
    probe = mix(key)
    for i in range(8):
        bloom.bits[block + i] |= np.uint64(1) << (probe >> np.uint64(6 * i) & np.uint64(63))
    bloom.info[COUNT] += 1


@part
def seen(now: Bloom, before: Bloom, key: np.uint64) -> bool:
    """Whether the key is known from either generation; it is remembered (anew) in the present one."""
    if contains(now, key):
        return True
    add(now, key)
    return contains(before, key)


@kernel
def known(now: Bloom, before: Bloom, key: np.uint64) -> bool:
    """Whether the key is known from either generation. Changes nothing."""
    return contains(now, key) or contains(before, key)
