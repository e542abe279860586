"""The primitives that loops do not vectorise into, as vector IR. LLVM lowers it to AVX-512, AVX2, SSE2 or NEON.

They have plain twins here, which the tests compare bit by bit. numba's rules fix the arguments of an intrinsic: the types
come in under its parameters' names, and it answers with a signature and a builder of code.
"""
# ruff: noqa: ARG001 - numba passes every argument whether it is used or not

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

ROWS = 256  # rows of a block; a row set is 4 words of 64 bits
LANES = 32  # codes a vector: one AVX-512 register, two AVX2 ones
I8, I16, I32, I64 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)


# called without its first parameter, so for mypy it is simply anything
primitive: Callable[[Callable[..., Any]], Any] = intrinsic


def _data(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Address of element `index` of a C-ordered array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    kind = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


@primitive
def compare_block(typing: Any, codes: Any, at: Any, rank: Any, lowest: Any, width: Any, right: Any, outside: Any, to: Any) -> Any:
    """256 codes from codes[at]: bits right[to:to + 4] = code > rank, outside[to:to + 4] = (code - lowest) > width, unsigned."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        vector = ir.VectorType(I16, LANES)
        source = _data(context, builder, kinds[0], args[0], args[1])
        ranks, lows, widths = (_splat(builder, args[i], LANES) for i in (2, 3, 4))
        targets = [_data(context, builder, kinds[i], args[i], args[7]) for i in (5, 6)]
        for step in range(ROWS // LANES):
            place = builder.gep(source, [ir.Constant(I64, step * LANES)])
            code = builder.load(builder.bitcast(place, vector.as_pointer()), align=2)
            bits = (
                builder.icmp_unsigned(">", code, ranks),
                builder.icmp_unsigned(">", builder.sub(code, lows), widths),
            )
            for mask, target in zip(bits, targets, strict=True):
                word = builder.bitcast(mask, ir.IntType(LANES))
                to32 = builder.gep(builder.bitcast(target, I32.as_pointer()), [ir.Constant(I64, step)], source_etype=I32)
                builder.store(word, to32, align=4)
        return context.get_dummy_value()

    return types.void(codes, types.intp, types.uint16, types.uint16, types.uint16, right, outside, types.intp), build


@primitive
def combine_sets(typing: Any, inside: Any, right: Any, outside: Any, planes: Any, node: Any, above: Any, flip: Any, plane: Any) -> Any:
    """Sets of 4 words: inside[node:] = inside[above:] & (right[above:] ^ flip); planes[plane:] |= inside[node:] & right[node:];
    outside[node:] &= inside[node:]."""  # fmt: skip

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(I64, 4)
        inner, right_of, out_of, plane_of = args[:4]

        def place(which: int, array: Any, at: Any) -> Any:
            return builder.bitcast(_data(context, builder, signature.args[which], array, at), vector.as_pointer())

        def load(pointer: Any) -> Any:
            return builder.load(pointer, align=8)

        went = builder.xor(load(place(1, right_of, args[5])), _splat(builder, args[6], 4))
        here = builder.and_(load(place(0, inner, args[5])), went)
        builder.store(here, place(0, inner, args[4]), align=8)
        level = place(3, plane_of, args[7])
        builder.store(builder.or_(load(level), builder.and_(here, load(place(1, right_of, args[4])))), level, align=8)
        out = builder.and_(load(place(2, out_of, args[4])), here)
        builder.store(out, place(2, out_of, args[4]), align=8)
        return context.get_dummy_value()

    return types.void(inside, right, outside, planes, types.intp, types.intp, types.uint64, types.intp), build


@primitive
def leaf_numbers(typing: Any, planes: Any, leaves: Any) -> Any:
    """leaves[row] (uint8, 256) = the 8 bits that planes (uint64, 8 x 4) hold for the row; plane 0 is the lowest bit."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(I64, 0)
        source = _data(context, builder, signature.args[0], args[0], zero)
        target = _data(context, builder, signature.args[1], args[1], zero)
        vector = ir.VectorType(I8, 64)
        for word in range(4):
            number = ir.Constant(vector, [0] * 64)
            for plane in range(8):
                bits = builder.load(builder.gep(source, [ir.Constant(I64, plane * 4 + word)]))
                mask = builder.bitcast(bits, ir.VectorType(ir.IntType(1), 64))
                # 128 does not fit a signed byte, but as a bit pattern it is -128
                weight = ir.Constant(vector, [(1 << plane) - (256 if plane == 7 else 0)] * 64)
                number = builder.or_(number, builder.select(mask, weight, ir.Constant(vector, [0] * 64)))
            place = builder.gep(target, [ir.Constant(I64, word * 64)])
            builder.store(number, builder.bitcast(place, vector.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(planes, leaves), build


@primitive
def ones(typing: Any, word: Any) -> Any:
    """Number of set bits of a uint64."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), build


@primitive
def lowest_bit(typing: Any, word: Any) -> Any:
    """Index of the lowest set bit of a uint64; 64 for 0."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


@numba.njit(cache=True, nogil=True)
def compare_block_plain(
    codes: NDArray[np.uint16], at: int, rank: int, lowest: int, width: int,
    right: NDArray[np.uint64], outside: NDArray[np.uint64], to: int,
) -> None:  # fmt: skip
    """The twin of compare_block."""
    for word in range(4):
        r = np.uint64(0)
        o = np.uint64(0)
        for bit in range(64):
            code = np.int64(codes[at + word * 64 + bit])
            if code > np.int64(rank):
                r |= np.uint64(1) << np.uint64(bit)
            if ((code - np.int64(lowest)) & 0xFFFF) > np.int64(width):
                o |= np.uint64(1) << np.uint64(bit)
        right[to + word] = r
        outside[to + word] = o


@numba.njit(cache=True, nogil=True)
def combine_sets_plain(
    inside: NDArray[np.uint64], right: NDArray[np.uint64], outside: NDArray[np.uint64], planes: NDArray[np.uint64],
    node: int, above: int, flip: int, plane: int,
) -> None:  # fmt: skip
    """The twin of combine_sets."""
    for w in range(4):
        inside[node + w] = inside[above + w] & (right[above + w] ^ np.uint64(flip))
        planes[plane + w] |= inside[node + w] & right[node + w]
        outside[node + w] &= inside[node + w]


@numba.njit(cache=True, nogil=True)
def leaf_numbers_plain(planes: NDArray[np.uint64], leaves: NDArray[np.uint8]) -> None:
    """The twin of leaf_numbers."""
    for row in range(ROWS):
        number = np.int64(0)
        for plane in range(8):
            bit = (planes[plane * 4 + row // 64] >> np.uint64(row % 64)) & np.uint64(1)
            number |= np.int64(bit) << np.int64(plane)
        leaves[row] = number
