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
A template with `ignore` is asked after all others, and only when no longer beginning was known: it hides no broken line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from detector.decode import matching, spans
from detector.decode.matching import DONE, JUMP, LAST, LEADING, LIT, REST, RUN, SPLIT, UNTIL, Bytes, Ints, Program
from detector.decode.patterns import Literal, Pattern, expand, parse
from detector.decode.spans import IGNORED, OK, Spans
from detector.decode.table import Table, Template

CLASSES = ("word", "int", "ip", "host", "name")


def classes() -> Bytes:
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
        np.array(code.ops, np.int32).reshape(-1, 4), np.frombuffer(bytes(code.pool) + b"\0", np.uint8), classes(), table,
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
    return text.encode()[:LEADING]


def _insert(trie: list[dict[int, int]], ends: list[list[tuple[int, int]]], literal: bytes, end: tuple[int, int]) -> None:
    state = 0
    for byte in literal:
        if byte not in trie[state]:
            trie[state][byte] = len(trie)
            trie.append({})
            ends.append([])
        state = trie[state][byte]
    ends[state].append(end)


def build(table: Table, fields: Sequence[str]) -> Callable[[Bytes, Ints, Ints], Spans]:
    """The tokenizer of one format. Raises ValueError naming a template that is none."""
    program = compiled(table.templates, fields, table.prefix)
    unknown = IGNORED if table.otherwise == "ignore" else OK

    def split(values: Bytes, start: Ints, stop: Ints) -> Spans:
        result = spans.empty(len(start), len(fields))
        matching.split(values, start, stop, program, result.begin.T, result.length.T, result.variant, result.status, unknown)
        return result

    return split
