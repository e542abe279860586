"""Who has succeeded before: sources and accounts whose rows may be learnt from, in a filter that can be asked, not listed.

A success counts from the next hour of the stream's clock on, so an answer does not depend on where a batch ends (I1), and
whoever has just got in teaches nothing yet. Two generations of 15 days. One 64-bit word per key, four of its bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
GENERATION = 15 * 24  # hours
LOGIN, FLOW, ACCOUNT = (np.uint64(0x5EED70 + i) for i in range(3))  # what a key is about
_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mixed(x: U64) -> U64:
    """SplitMix64's finaliser, shape (n,)."""
    x = (x ^ (x >> np.uint64(30))) * _A
    x = (x ^ (x >> np.uint64(27))) * _B
    return x ^ (x >> np.uint64(31))


@dataclass(slots=True)
class Acquainted:
    """`now` and `before` hold successes of complete hours, `coming` those of the hour that runs; uint64 (words), a power of two."""

    now: U64
    before: U64
    coming: U64
    began: int = -1  # hour in which this generation began

    @classmethod
    def fresh(cls, entities: int) -> Acquainted:
        """Room for about so many: 8 bits each at most, 0.3 % false yes at a tenth of it."""
        words = 1 << max(10, (max(entities, 1) // 8 - 1).bit_length())
        return cls(np.zeros(words, np.uint64), np.zeros(words, np.uint64), np.zeros(words, np.uint64))

    def turn(self, hour: int) -> None:
        """A new hour begins: what succeeded in the one before counts from now on."""
        self.now |= self.coming
        self.coming[:] = 0
        self.began = hour if self.began < 0 else self.began
        if hour - self.began >= GENERATION:
            self.before, self.now, self.began = self.now, np.zeros_like(self.now), hour

    def known(self, about: np.uint64, entity: U64) -> NDArray[np.bool_]:
        """Whether each had succeeded before this hour, shape (n,); 0 is nobody."""
        word, bits = self._places(about, entity)
        found: NDArray[np.bool_] = (((self.now[word] & bits) == bits) | ((self.before[word] & bits) == bits)) & (entity != 0)
        return found

    def add(self, about: np.uint64, entity: U64) -> None:
        """They succeed in the hour that runs."""
        word, bits = self._places(about, entity)
        new = (entity != 0) & ((self.now[word] | self.coming[word]) & bits != bits)
        if new.any():
            np.bitwise_or.at(self.coming, word[new], bits[new])

    def _places(self, about: np.uint64, entity: U64) -> tuple[NDArray[np.int64], U64]:
        key = mixed(entity * _A + about)
        bits = np.zeros(len(key), np.uint64)
        for shift in (0, 6, 12, 18):
            bits |= np.uint64(1) << (key >> np.uint64(shift) & np.uint64(63))
        return (key >> np.uint64(24) & np.uint64(len(self.now) - 1)).astype(np.int64), bits
