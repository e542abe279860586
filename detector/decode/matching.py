"""Kernels of the tokenizer `template`: a small machine that matches one compiled template at a time on the byte buffer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode.spans import NO_TEMPLATE, OK
from detector.decode.wide import find_either

LIT, RUN, UNTIL, LAST, REST, SPLIT, JUMP, DONE = range(8)
LEADING = 40  # bytes of a leading literal that the trie knows; the rest is compared like any literal
_STACK = 64  # open choices of one line
_WORK = 4_096  # steps that a line of no length may cause, 16 bytes searched being one; a longer line may search itself 16 times

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


class Program(NamedTuple):
    """All templates of one format as arrays for the kernel; `klass` says to which classes a byte belongs.

    ops      int32 (P, 4): code and three arguments
    pool     uint8, all literals one after the other
    trie     int32 (S, 256): next state by byte, -1 none
    starts   int32 (S + 1), entry int32 and variant int32: the templates whose leading literal ends in a state
    ignore   bool, by template
    prefix   where the program of the format's prefix begins, -1 without one
    """

    ops: NDArray[np.int32]
    pool: Bytes
    klass: Bytes
    trie: NDArray[np.int32]
    starts: NDArray[np.int32]
    entry: NDArray[np.int32]
    variant: NDArray[np.int32]
    ignore: NDArray[np.bool_]
    prefix: int


@njit(cache=True, nogil=True)
def _equal(values: Bytes, at: int, end: int, pool: Bytes, literal: int, size: int) -> bool:
    if at + size > end:
        return False
    same = 0
    while same < size and values[at + same] == pool[literal + same]:
        same += 1
    return same == size


@njit(cache=True, nogil=True)
def _find(values: Bytes, at: int, end: int, pool: Bytes, literal: int, size: int) -> int:
    first = int(pool[literal])
    while True:
        at = find_either(values, at, end, first, first)
        if at + size > end:
            return -1
        if _equal(values, at, end, pool, literal, size):
            return at
        at += 1


@njit(cache=True, nogil=True)
def _find_last(values: Bytes, at: int, end: int, pool: Bytes, literal: int, size: int) -> int:
    first = pool[literal]
    for i in range(end - size, at - 1, -1):
        if values[i] == first and _equal(values, i, end, pool, literal, size):
            return i
    return -1


@njit(cache=True, nogil=True)
def _run(values: Bytes, at: int, end: int, klass: Bytes, member: int) -> int:
    """How many bytes from `at` on belong to a class."""
    bit = np.uint8(1 << member)
    stop = at
    while stop < end and klass[values[stop]] & bit:
        stop += 1
    return stop - at


@njit(cache=True, nogil=True)
def _rest(values: Bytes, at: int, end: int) -> int:
    """How many bytes from `at` on are left, without blanks at the end."""
    while end > at and values[end - 1] <= 32:
        end -= 1
    return end - at


@njit(cache=True, nogil=True)
def _match(
    values: Bytes, at: int, end: int, ops: NDArray[np.int32], pool: Bytes, klass: Bytes, pc: int,
    begin: Ints, length: NDArray[np.int32], stack: Ints, trail: Ints,
) -> int:  # fmt: skip
    """Run the program that starts at op `pc` over values[at:end]: where it ended, or -1.

    A choice that fails later is taken back: `stack` holds (op, position, fields written then, where the hole began or -1),
    `trail` the fields written. One loop, kept in one piece: it is the whole cost of a line.
    """
    depth, used, steps = 0, 0, 0
    allowed = _WORK + end - at
    while True:
        code, a, b, slot = ops[pc, 0], ops[pc, 1], ops[pc, 2], ops[pc, 3]
        hole, size, ok = at, 0, True
        steps += 1
        if code == LIT:
            ok = _equal(values, at, end, pool, a, b)
            size = b
        elif code == RUN:
            size = _run(values, at, end, klass, a)
            ok = size > 0
        elif code >= UNTIL and code <= LAST:
            found = _find(values, at, end, pool, a, b) if code == UNTIL else _find_last(values, at, end, pool, a, b)
            ok = found >= 0
            size = found - at
            steps += (size if ok else end - at) >> 4
            if ok and depth < _STACK:
                stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3] = pc, found, used, at
                depth += 1
        elif code == REST:
            size = _rest(values, at, end)
        elif code == SPLIT:
            if depth < _STACK:
                stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3] = a, at, used, -1
                depth += 1
        elif code == JUMP:
            pc = a - 1
        else:
            return at
        while not ok and depth > 0:
            depth -= 1
            back, position, written, hole = stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3]
            while used > written:
                used -= 1
                length[trail[used]] = -1
            if hole < 0:  # the other branch
                pc, at, hole, size, slot, ok = back - 1, position, position, 0, -1, True
                break
            a, b, slot = ops[back, 1], ops[back, 2], ops[back, 3]
            if ops[back, 0] == UNTIL:
                found = _find(values, position + 1, end, pool, a, b)
                steps += 1 + (((found if found >= 0 else end) - position) >> 4)
            else:
                found = _find_last(values, hole, min(end, position + b - 1), pool, a, b)
                steps += 1 + ((position - (found if found >= 0 else hole)) >> 4)
            if found >= 0:
                stack[depth, 1] = found
                depth += 1
                pc, at, size, ok = back, hole, found - hole, True
        if not ok or steps > allowed:
            while used > 0:
                used -= 1
                length[trail[used]] = -1
            return -1
        if slot >= 0 and length[slot] < 0 and used < len(trail):
            begin[slot], length[slot] = hole, size
            trail[used] = slot
            used += 1
        at += size
        pc += 1


@njit(cache=True, nogil=True)
def _walk(values: Bytes, at: int, end: int, trie: NDArray[np.int32], states: Ints) -> int:
    """Walk down the trie of leading literals; the states passed stand in `states`, the answer is how many bytes fitted."""
    depth, state = 0, 0
    states[0] = 0
    while at < end:
        state = trie[state, values[at]]
        if state < 0:
            break
        depth += 1
        states[depth] = state
        at += 1
    return depth


@njit(cache=True, nogil=True)
def split(
    values: Bytes, start: Ints, stop: Ints, program: Program, begin: Ints, length: NDArray[np.int32],
    variant: NDArray[np.int32], status: Bytes, unknown: int,
) -> None:  # fmt: skip
    """Match n lines; begin and length are (F, n): each line is matched into a row of its own, which is then copied."""
    ops, pool, klass, trie, starts, entry, variants, ignore, prefix = program
    fields = begin.shape[0]
    stack, states = np.empty((_STACK, 4), np.int64), np.empty(LEADING + 1, np.int64)
    trail, places, sizes = np.empty(fields + 1, np.int64), np.empty(fields, np.int64), np.full(fields, -1, np.int32)
    for row in range(len(start)):
        at, end = start[row], stop[row]
        if prefix >= 0:
            at = _match(values, at, end, ops, pool, klass, prefix, places, sizes, stack, trail)
        chosen = -1
        if at >= 0:
            deepest = _walk(values, at, end, trie, states)
            known = 0  # the longest beginning whose template did not fit
            # The template with the longest fitting beginning; those that ignore are asked last.
            for ignoring in (False, True):
                depth = deepest
                while chosen < 0 and depth >= (known if ignoring else 0):
                    k, last = starts[states[depth]], starts[states[depth] + 1]
                    while chosen < 0 and k < last:
                        if ignore[variants[k]] == ignoring:
                            if _match(values, at, end, ops, pool, klass, entry[k], places, sizes, stack, trail) >= 0:
                                chosen = variants[k]
                            elif not ignoring:
                                known = max(known, depth)
                        k += 1
                    depth -= 1
            status[row] = OK if chosen >= 0 else NO_TEMPLATE if known > 0 else unknown
        else:
            status[row] = NO_TEMPLATE
        variant[row] = chosen
        for field in range(fields):
            if sizes[field] >= 0:
                begin[field, row], length[field, row], sizes[field] = places[field], sizes[field], -1
