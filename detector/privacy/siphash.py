"""SipHash-2-4 with 128 bits of output over 16-byte messages (Aumasson and Bernstein): a keyed hash of 30 ns.

Inside addresses are hashed per row, not per distinct value, so that a scan over a million addresses costs no more
than a quiet hour. Whoever does not hold the 128-bit key cannot test guesses, however few IPv4 addresses there are.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

U = np.uint64
_C0, _C1, _C2, _C3 = U(0x736F6D6570736575), U(0x646F72616E646F6D), U(0x6C7967656E657261), U(0x7465646279746573)
_LENGTH = U(16 << 56)
_EE, _DD = U(0xEE), U(0xDD)
_13, _16, _17, _21, _32, _64 = U(13), U(16), U(17), U(21), U(32), U(64)


@njit(cache=True, nogil=True)
def _round(v0: U, v1: U, v2: U, v3: U) -> tuple[U, U, U, U]:
    v0 += v1
    v1 = (v1 << _13) | (v1 >> (_64 - _13))
    v1 ^= v0
    v0 = (v0 << _32) | (v0 >> _32)
    v2 += v3
    v3 = (v3 << _16) | (v3 >> (_64 - _16))
    v3 ^= v2
    v0 += v3
    v3 = (v3 << _21) | (v3 >> (_64 - _21))
    v3 ^= v0
    v2 += v1
    v1 = (v1 << _17) | (v1 >> (_64 - _17))
    v1 ^= v2
    v2 = (v2 << _32) | (v2 >> _32)
    return v0, v1, v2, v3


@njit(cache=True, nogil=True)
def sip(k0: U, k1: U, m0: U, m1: U) -> tuple[U, U]:
    """Both words of the hash of the message (m0, m1); words are little-endian where bytes matter."""
    v0, v1, v2, v3 = k0 ^ _C0, k1 ^ _C1 ^ _EE, k0 ^ _C2, k1 ^ _C3
    for m in (m0, m1, _LENGTH):
        v3 ^= m
        for _ in range(2):
            v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= m
    v2 ^= _EE
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    first = v0 ^ v1 ^ v2 ^ v3
    v1 ^= _DD
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return first, v0 ^ v1 ^ v2 ^ v3


@njit(cache=True, nogil=True)
def mix(keys: NDArray[np.uint64], group: NDArray[np.uint32], a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """First word of the hash of (a[i], b[i]) under keys[group[i]]; shape (n,); 0 stays 0 because 0 means absent."""
    out = np.zeros(len(a), np.uint64)
    for i in range(len(a)):
        if a[i] != 0:
            g = group[i]
            word, _ = sip(keys[g, 0], keys[g, 1], a[i], b[i])
            out[i] = word if word != 0 else U(1)
    return out


def words(key: bytes) -> NDArray[np.uint64]:
    """The first 16 bytes of a key as the two words that the functions here take."""
    return np.frombuffer(key[:16], "<u8").astype(np.uint64)
