"""Stable 64-bit identities: of texts, of addresses, of combinations. They mean the same in every batch and after a restart."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features.jit import kernel, part

_A = np.uint64(0xBF58476D1CE4E5B9)
_B = np.uint64(0x94D049BB133111EB)
_GOLD = np.uint64(0x9E3779B97F4A7C15)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_CACHE_LIMIT = 500_000  # texts; a flood of invented names must not grow the cache without end
_known: dict[str, int] = {"": 0}


@part
def mix(x: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: every bit of x reaches every bit of the result."""
    x = (x ^ (x >> _S30)) * _A
    x = (x ^ (x >> _S27)) * _B
    return x ^ (x >> _S31)


@kernel
def combine(a: np.uint64, b: np.uint64) -> np.uint64:
    """The identity of the ordered pair (a, b); never 0, which means absent."""
    found = mix((a * _GOLD + _B) ^ mix(b + _GOLD))
    return found if found != 0 else np.uint64(1)


def text_id(value: str) -> int:
    """64 bits of BLAKE2b; "" is 0, and nothing else is."""
    found = _known.get(value)
    if found is None:
        if len(_known) >= _CACHE_LIMIT:
            _known.clear()
            _known[""] = 0
        digest = hashlib.blake2b(value.encode(), digest_size=8).digest()
        found = _known[value] = int.from_bytes(digest, "little") or 1
    return found


def text_ids(frame: pl.DataFrame, name: str) -> NDArray[np.uint64]:
    """The identities of a text column, shape (n,)."""
    values = ecs.values(frame, name)
    ids: NDArray[np.uint64] = np.array([text_id(value) for value in values], np.uint64)[ecs.codes(frame, name)]
    return ids


def words(frame: pl.DataFrame, name: str, meaning: dict[str, int]) -> NDArray[np.uint8]:
    """A text column as small numbers by a table of words; 0 for every other word. Shape (n,)."""
    table = np.array([meaning.get(value, 0) for value in ecs.values(frame, name)], np.uint8)
    numbers: NDArray[np.uint8] = table[ecs.codes(frame, name)]
    return numbers


def _mix_array(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> _S30)) * _A
    x = (x ^ (x >> _S27)) * _B
    return x ^ (x >> _S31)


def address_ids(frame: pl.DataFrame, name: str) -> NDArray[np.uint64]:
    """The identities of an address column, shape (n,); 0 where absent."""
    hi = ecs.numbers(frame, f"{name}.hi").astype(np.uint64, copy=False)
    lo = ecs.numbers(frame, f"{name}.lo").astype(np.uint64, copy=False)
    kind = ecs.numbers(frame, f"{name}.kind").astype(np.uint64, copy=False)
    ids = np.maximum(_mix_array(_mix_array(hi + _GOLD) ^ (lo * _A + kind)), np.uint64(1))
    return np.where(kind == ecs.ABSENT, np.uint64(0), ids)


def network_ids(frame: pl.DataFrame, name: str) -> NDArray[np.uint64]:
    """The surrounding network of a plain address: IPv4 /16, IPv6 /32; of a token or nothing 0. Shape (n,)."""
    hi = ecs.numbers(frame, f"{name}.hi").astype(np.uint64, copy=False)
    lo = ecs.numbers(frame, f"{name}.lo").astype(np.uint64, copy=False)
    kind = ecs.numbers(frame, f"{name}.kind")
    four = (hi == 0) & ((lo >> np.uint64(32)) == np.uint64(0xFFFF))
    network = np.where(four, lo >> np.uint64(16), (hi >> np.uint64(32)) | np.uint64(1 << 63))
    return np.where(kind == ecs.PLAIN, np.maximum(_mix_array(network + _GOLD), np.uint64(1)), np.uint64(0))
