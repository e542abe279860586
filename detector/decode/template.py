"""Tokenizer `template`: free-text messages with typed holes, matched on the batch's byte buffer.

A template is the message as the product writes it, with holes in braces:

    Failed {method} for {?invalid user |illegal user }{user:last} from {ip:ip} port {port:int}
    {code=302013}: Built {direction} TCP connection {:int} for {:until}:{ip:host}/{port:int}

    {slot}        a word: everything up to the next blank     {slot:type}   int · ip · host · name · word, a run of such bytes
    {slot:until}  up to the first place where the text after it fits       {slot:last}   up to the last such place
    {slot:rest}   everything that is left                     {:type}       the same, not kept
    {?a|b}        a or b or nothing; may hold holes           {slot=a|b}    a or b, and nothing else; kept when slot is named

Text after the end of a template is allowed. Templates are found by their leading literal (a trie over bytes), the
longest first; a line costs one walk down that trie and the matching of usually one template. A line whose leading
literal is known and whose rest fits no template is refused; one that begins like no template carries nothing for us.
A template with `ignore` catches only lines for which no longer beginning was known, so it hides no broken line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode import spans
from detector.decode.patterns import Literal, Pattern, expand, parse
from detector.decode.spans import IGNORED, NO_TEMPLATE, OK, Spans
from detector.decode.table import Table, Template

LIT, RUN, UNTIL, LAST, REST, SPLIT, JUMP, DONE = range(8)
CLASSES = ("word", "int", "ip", "host", "name")
_LEADING = 40  # bytes of a leading literal that the trie knows; the rest is compared like any literal
_STACK = 64  # open choices of one line
_WORK = 4_096  # steps that a line of no length may cause, 16 bytes searched being one; a longer line may search itself 16 times

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Program:
    """All templates of one format as arrays for the kernel.

    ops      int32 (P, 4): code and three arguments
    pool     uint8, all literals one after the other
    trie     int32 (S, 256): next state by byte, -1 none
    starts   int32 (S + 1), entry int32 and variant int32: the templates whose leading literal ends in a state
    ignore   bool, by template
    prefix   where the program of the format's prefix begins, -1 without one
    """

    ops: NDArray[np.int32]
    pool: Bytes
    trie: NDArray[np.int32]
    starts: NDArray[np.int32]
    entry: NDArray[np.int32]
    variant: NDArray[np.int32]
    ignore: NDArray[np.bool_]
    prefix: int


def _classes() -> Bytes:
    """Bit c of entry b: byte b belongs to class c."""
    members = {
        "int": b"0123456789",
        "ip": b"0123456789abcdefABCDEF:.",
        "name": b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-$@\\",
        "word": bytes(b for b in range(256) if b not in b" \t\r\n"),
        "host": bytes(b for b in range(256) if b not in b" \t\r\n/,;()<>[]\"'"),
    }
    table = np.zeros(256, np.uint8)
    for bit, name in enumerate(CLASSES):
        table[np.frombuffer(members[name], np.uint8)] |= np.uint8(1 << bit)
    return table


_KLASS = _classes()


class _Assembler:
    """Turns parsed patterns into ops, a literal pool and the trie of leading literals."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.slots = {name: i for i, name in enumerate(fields)}
        self.ops: list[tuple[int, int, int, int]] = []
        self.pool = bytearray()

    def literal(self, text: str) -> tuple[int, int]:
        data = text.encode()
        at = self.pool.find(data)
        if at < 0:
            at = len(self.pool)
            self.pool += data
        return at, len(data)

    def emit(self, pattern: Pattern) -> None:
        for i, part in enumerate(pattern):
            if isinstance(part, Literal):
                self.ops.append((LIT, *self.literal(part.text), self.slots.get(part.slot, -1)))
            elif part.kind == "choice":
                self._choice(part.choices, part.slot)
            elif part.kind == "rest":
                self.ops.append((REST, 0, 0, self.slots.get(part.slot, -1)))
            elif part.kind in ("until", "last"):
                follower = pattern[i + 1]
                assert isinstance(follower, Literal)  # parse() refused everything else
                code = UNTIL if part.kind == "until" else LAST
                self.ops.append((code, *self.literal(follower.text), self.slots.get(part.slot, -1)))
            else:
                self.ops.append((RUN, CLASSES.index(part.kind), 0, self.slots.get(part.slot, -1)))

    def _choice(self, choices: Sequence[Pattern], slot: str) -> None:
        """Each branch but the last: SPLIT to the next one, branch, JUMP to the end."""
        jumps = []
        for choice in choices[:-1]:
            split = len(self.ops)
            self.ops.append((SPLIT, 0, 0, -1))
            self._branch(choice, slot)
            jumps.append(len(self.ops))
            self.ops.append((JUMP, 0, 0, -1))
            self.ops[split] = (SPLIT, len(self.ops), 0, -1)
        self._branch(choices[-1], slot)
        for jump in jumps:
            self.ops[jump] = (JUMP, len(self.ops), 0, -1)

    def _branch(self, choice: Pattern, slot: str) -> None:
        if slot != "" and len(choice) == 1 and isinstance(choice[0], Literal):
            choice = (Literal(choice[0].text, slot),)
        self.emit(choice)


def compiled(templates: Sequence[Template], fields: Sequence[str], prefix: str = "") -> Program:
    """Compile the templates of one format; template i is variant i. Raises ValueError naming a template that is none."""
    code = _Assembler(fields)
    start = -1
    if prefix != "":
        start = 0
        code.emit(parse(prefix))
        code.ops.append((DONE, 0, 0, -1))
    trie: list[dict[int, int]] = [{}]
    ends: list[list[tuple[int, int]]] = [[]]
    for variant, template in enumerate(templates):
        for pattern in expand(parse(template.text)):
            _insert(trie, ends, _leading(pattern), (len(code.ops), variant))
            code.emit(pattern)
            code.ops.append((DONE, 0, 0, -1))
    table = np.full((len(trie), 256), -1, np.int32)
    for state, children in enumerate(trie):
        for byte, child in children.items():
            table[state, byte] = child
    flat = [pair for pairs in ends for pair in pairs]
    return Program(
        np.array(code.ops, np.int32).reshape(-1, 4), np.frombuffer(bytes(code.pool) + b"\0", np.uint8), table,
        np.concatenate([[0], np.cumsum([len(pairs) for pairs in ends])]).astype(np.int32),
        np.array([e for e, _ in flat], np.int32), np.array([v for _, v in flat], np.int32),
        np.array([template.ignore for template in templates], np.bool_), start,
    )  # fmt: skip


def _leading(pattern: Pattern) -> bytes:
    """The literal bytes that every line of this pattern begins with, as far as the trie looks."""
    text = ""
    for part in pattern:
        if not isinstance(part, Literal):
            break
        text += part.text
    return text.encode()[:_LEADING]


def _insert(trie: list[dict[int, int]], ends: list[list[tuple[int, int]]], literal: bytes, end: tuple[int, int]) -> None:
    state = 0
    for byte in literal:
        if byte not in trie[state]:
            trie[state][byte] = len(trie)
            trie.append({})
            ends.append([])
        state = trie[state][byte]
    ends[state].append(end)


@njit(cache=True, nogil=True)
def _equal(buffer, at, end, pool, literal, size):  # type: ignore[no-untyped-def]  # a kernel: numba infers the types
    if at + size > end:
        return False
    for i in range(size):
        if buffer[at + i] != pool[literal + i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _find(buffer, at, end, pool, literal, size):  # type: ignore[no-untyped-def]  # a kernel
    first = pool[literal]
    for i in range(at, end - size + 1):
        if buffer[i] == first and _equal(buffer, i, end, pool, literal, size):
            return i
    return -1


@njit(cache=True, nogil=True)
def _find_last(buffer, at, end, pool, literal, size):  # type: ignore[no-untyped-def]  # a kernel
    first = pool[literal]
    for i in range(end - size, at - 1, -1):
        if buffer[i] == first and _equal(buffer, i, end, pool, literal, size):
            return i
    return -1


@njit(cache=True, nogil=True)
def _match(buffer, at, end, ops, pc, pool, klass, begin, length, stack, trail, used):  # type: ignore[no-untyped-def]  # a kernel
    """Run one program over buffer[at:end]: (where it ended or -1, number of slots written).

    A choice that fails later is taken back: `stack` holds (op, position, slots written then, where the hole began).
    """
    depth = 0
    steps = 0
    allowed = _WORK + end - at
    trail_start = used
    while True:
        code, a, b, slot = ops[pc, 0], ops[pc, 1], ops[pc, 2], ops[pc, 3]
        ok = True
        hole, size = at, 0
        steps += 1
        if code == LIT:
            ok = _equal(buffer, at, end, pool, a, b)
            size = b
        elif code == RUN:
            bit = np.uint8(1 << a)
            stop = at
            while stop < end and klass[buffer[stop]] & bit:
                stop += 1
            size = stop - at
            ok = size > 0
        elif code == UNTIL or code == LAST:
            found = _find(buffer, at, end, pool, a, b) if code == UNTIL else _find_last(buffer, at, end, pool, a, b)
            ok = found >= 0
            size = found - at
            steps += (size if ok else end - at) >> 4
            if ok and depth < _STACK:
                stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3] = pc, found, used, at
                depth += 1
        elif code == REST:
            stop = end
            while stop > at and (buffer[stop - 1] == 32 or buffer[stop - 1] == 13 or buffer[stop - 1] == 10):
                stop -= 1
            size = stop - at
        elif code == SPLIT:
            if depth < _STACK:
                stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3] = a, at, used, -1
                depth += 1
        elif code == JUMP:
            pc = a - 1
        else:
            return at, used
        if not ok:
            while depth > 0:
                depth -= 1
                back, position, written, hole = stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3]
                while used > written:
                    used -= 1
                    length[trail[used]] = -1
                if hole < 0:  # the other branch
                    pc, at = back - 1, position
                    hole, size, slot = at, 0, -1
                    ok = True
                    break
                a, b, slot = ops[back, 1], ops[back, 2], ops[back, 3]
                if ops[back, 0] == UNTIL:
                    found = _find(buffer, position + 1, end, pool, a, b)
                    steps += 1 + ((found if found >= 0 else end) - position >> 4)
                else:
                    found = _find_last(buffer, hole, min(end, position + b - 1), pool, a, b)
                    steps += 1 + (position - (found if found >= 0 else hole) >> 4)
                if found >= 0:
                    stack[depth, 1] = found
                    depth += 1
                    pc, at, size = back, hole, found - hole
                    ok = True
                    break
            if not ok or steps > allowed:
                while used > trail_start:
                    used -= 1
                    length[trail[used]] = -1
                return -1, used
        if slot >= 0 and length[slot] < 0 and used < len(trail):
            begin[slot], length[slot] = hole, size
            trail[used] = slot
            used += 1
        at += size
        pc += 1


@njit(cache=True, nogil=True)
def _split(buffer, starts_at, ends_at, ops, pool, klass, trie, starts, entry, variants, ignore, prefix, begin, length, variant, status, unknown):  # type: ignore[no-untyped-def]  # a kernel
    stack = np.empty((_STACK, 4), np.int64)
    trail = np.empty(max(1, begin.shape[1]), np.int64)
    states = np.empty(trie.shape[0] + 1, np.int64)
    for row in range(len(starts_at)):
        at, end = starts_at[row], ends_at[row]
        status[row] = unknown
        variant[row] = -1
        used, known = 0, 0
        if prefix >= 0:
            at, used = _match(buffer, at, end, ops, prefix, pool, klass, begin[row], length[row], stack, trail, 0)
            if at < 0:
                status[row] = NO_TEMPLATE
                continue
        depth, state, i = 0, 0, at
        states[0] = 0
        while i < end:
            state = trie[state, buffer[i]]
            if state < 0:
                break
            depth += 1
            states[depth] = state
            i += 1
        while depth >= 0 and variant[row] < 0:
            state = states[depth]
            for k in range(starts[state], starts[state + 1]):
                if ignore[variants[k]] and known > depth:
                    continue
                stop, used = _match(buffer, at, end, ops, entry[k], pool, klass, begin[row], length[row], stack, trail, used)
                if stop >= 0:
                    status[row], variant[row] = OK, variants[k]
                    break
                if depth > 0:
                    status[row] = NO_TEMPLATE
                    known = max(known, depth)
            depth -= 1


def build(table: Table, fields: Sequence[str]) -> Callable[[Bytes, Ints, Ints], Spans]:
    """The tokenizer of one format. Raises ValueError naming a template that is none."""
    program = compiled(table.templates, fields, table.prefix)
    unknown = IGNORED if table.otherwise == "ignore" else OK

    def split(values: Bytes, start: Ints, stop: Ints) -> Spans:
        result = spans.empty(len(start), len(fields))
        _split(
            values, start, stop, program.ops, program.pool, _KLASS, program.trie, program.starts, program.entry, program.variant,
            program.ignore, program.prefix, result.begin, result.length, result.variant, result.status, unknown,
        )  # fmt: skip
        return result

    return split
