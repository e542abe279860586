"""Eight bytes at a time: what numba lacks for searching a byte buffer quickly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.core.types import boolean, int64, uint64
from numba.extending import intrinsic

from detector.decode.scan import BYTES, Bytes

_ONES, _HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


@intrinsic
def _load8(typing: Any, values: Any, index: Any) -> Any:  # noqa: ARG001  # the signature that numba asks for
    """values[index:index + 8] as one little-endian word, wherever it begins; the caller sees to it that the bytes are there."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(values, types.int64), generate


@intrinsic
def _trailing_zeros(typing: Any, word: Any) -> Any:  # noqa: ARG001
    """How many low bits of a uint64 are zero, as int64; 64 for 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


# As they are called from kernels; numba gives the first argument by itself.
load8 = cast("Callable[[Bytes, int], np.uint64]", _load8)
trailing_zeros = cast("Callable[[np.uint64], int]", _trailing_zeros)


@njit(cache=True, nogil=True)
def _zeros(word: np.uint64) -> np.uint64:
    """The high bit of the lowest zero byte, and perhaps of later ones."""
    return (word - _ONES) & ~word & _HIGHS


@njit(int64(BYTES, int64, int64, int64, int64), cache=True, nogil=True)
def find_either(values: Bytes, p: int, stop: int, a: int, b: int) -> int:
    """Where in values[p:stop] the first byte a or b stands, or stop."""
    last = len(values) - 8
    if last > stop - 8:
        last = stop - 8
    pattern_a, pattern_b = _ONES * np.uint64(a), _ONES * np.uint64(b)
    while p <= last:
        word = load8(values, p)
        hits = _zeros(word ^ pattern_a) | _zeros(word ^ pattern_b)
        if hits != _ZERO:
            return p + (trailing_zeros(hits) >> 3)
        p += 8
    while p < stop and values[p] != a and values[p] != b:
        p += 1
    return p


@njit(uint64(BYTES, int64, int64), cache=True, nogil=True)
def head(values: Bytes, p: int, size: int) -> np.uint64:
    """The first min(size, 8) bytes from p as a word, the rest zero."""
    if p + 8 <= len(values):
        word = load8(values, p)
        return word if size >= 8 else word & ((_ONE << np.uint64(8 * size)) - _ONE)
    word = _ZERO
    for i in range(min(size, 8)):
        word |= np.uint64(values[p + i]) << np.uint64(8 * i)
    return word


@njit(boolean(BYTES, int64, int64, int64), cache=True, nogil=True)
def same(values: Bytes, p: int, q: int, size: int) -> bool:
    """Whether values[p:p + size] equals values[q:q + size]."""
    while size >= 8:
        if load8(values, p) != load8(values, q):
            return False
        p, q, size = p + 8, q + 8, size - 8
    return size <= 0 or head(values, p, size) == head(values, q, size)
