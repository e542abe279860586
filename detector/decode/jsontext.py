"""Tokenizer `json`: one pass over each object that finds the values of the wanted paths, on the batch's byte buffer.

A path is written with dots (`winlog.event_data.IpAddress`) and finds nested objects and dotted keys alike, in any
mixture. Arrays are transparent: the first element that answers wins, so `authenticationDetails.authenticationMethod`
is that of the first detail; `Data[Name=IpAddress].Value` style lists are found when `pairs` names their two keys.
The whole object is checked for its structure, so that half an object is refused and never half read.

A value is handed back as the bytes between its quotes, escapes still in it (`unescape` does the few distinct texts),
or as the bytes of a number or a truth value. null, "" and "-" are absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

READ, BAD_JSON, TOO_DEEP = 0, 1, 2  # status
_DEPTH = 64  # open brackets that we follow; no log nests deeper
_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Paths:
    """The wanted paths as a tree, and which path fills which slot in which case.

    slots     names of the F spans that an object yields
    keys      uint64 (H), hash of (node, key) by open addressing, 0 free
    child     int32 (H), the node below
    found     int32 (nodes), the path that ends in a node, -1 none
    case_of   the slot whose text decides the case, -1 without cases
    cases     uint64 (C), hashes of the texts that name a case; case -1 is "none of them"
    choice    int32 (C + 1, F, R), for each case (the last row: none) and slot the paths to ask, in order, -1 none
    pairs     uint64 (2), hashes of the two keys of name-value lists, 0 and 0 without them
    """

    slots: tuple[str, ...]
    keys: NDArray[np.uint64]
    child: NDArray[np.int32]
    found: NDArray[np.int32]
    case_of: int
    cases: NDArray[np.uint64]
    choice: NDArray[np.int32]
    pairs: NDArray[np.uint64]


def _hash(text: bytes) -> int:
    value = int(_SEED)
    for byte in text:
        value = (value ^ byte) * int(_PRIME) & 0xFFFFFFFFFFFFFFFF
    return value


def _mixed(node: int, key: int) -> int:
    """The key of the hash table; never 0, which marks a free place."""
    value = (key ^ (node + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    return value if value != 0 else 1


def build(
    default: Mapping[str, Sequence[str]],
    *,
    decides: str = "",
    cases: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    pairs: tuple[str, str] | None = None,
) -> Paths:
    """Compile wanted paths.

    default   slot -> paths, the first that is present wins
    decides   the slot whose text picks the case
    cases     text -> slot -> paths, over the default
    pairs     names of the two keys in lists such as [{"Name": "IpAddress", "Value": "192.0.2.1"}]
    """
    cases = {} if cases is None else cases
    slots = tuple(dict.fromkeys([*default, *(slot for case in cases.values() for slot in case)]))
    wanted = [{**default, **case} for case in [*cases.values(), {}]]
    paths = list(dict.fromkeys(path for one in wanted for sources in one.values() for path in sources))
    tree: dict[tuple[int, bytes], int] = {}
    found = [-1]
    for number, path in enumerate(paths):
        node = 0
        for key in path.encode().split(b"."):
            if (node, key) not in tree:
                tree[node, key] = len(found)
                found.append(-1)
            node = tree[node, key]
        found[node] = number
    ranks = max((len(sources) for one in wanted for sources in one.values()), default=1)
    choice = np.full((len(wanted), len(slots), ranks), -1, np.int32)
    for i, one in enumerate(wanted):
        for slot, sources in one.items():
            choice[i, slots.index(slot), : len(sources)] = [paths.index(path) for path in sources]
    keys, child = _table(tree)
    names = (0, 0) if pairs is None else (_hash(pairs[0].encode()), _hash(pairs[1].encode()))
    return Paths(
        slots, keys, child, np.array(found, np.int32), slots.index(decides) if decides != "" else -1,
        np.array([_hash(text.encode()) for text in cases], np.uint64), choice, np.array(names, np.uint64),
    )  # fmt: skip


def _table(tree: Mapping[tuple[int, bytes], int]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """The tree's edges by open addressing, at most a quarter full."""
    size = 16
    while size < 4 * len(tree):
        size *= 2
    keys, child = np.zeros(size, np.uint64), np.full(size, -1, np.int32)
    for (node, key), below in tree.items():
        value = _mixed(node, _hash(key))
        at = (value >> 32) & (size - 1)
        while keys[at] != 0:
            at = (at + 1) & (size - 1)
        keys[at], child[at] = value, below
    return keys, child


@njit(cache=True, nogil=True)
def _below(keys, child, node, key):  # type: ignore[no-untyped-def]  # a kernel: numba infers the types
    """The node under `node` for the hash of a key, -1 when nothing below it is wanted."""
    value = key ^ (np.uint64(node + 1) * np.uint64(0x9E3779B97F4A7C15))
    if value == np.uint64(0):
        value = np.uint64(1)
    mask = np.uint64(len(keys) - 1)
    at = (value >> np.uint64(32)) & mask
    while keys[at] != np.uint64(0):
        if keys[at] == value:
            return np.int64(child[at])
        at = (at + np.uint64(1)) & mask
    return np.int64(-1)


@njit(cache=True, nogil=True)
def _quote(buffer, at, end):  # type: ignore[no-untyped-def]  # a kernel
    """Where the string that begins at `at` (after its opening quote) closes, -1 when it does not."""
    while at < end:
        byte = buffer[at]
        if byte == 34:
            return at
        at += 2 if byte == 92 else 1
    return -1


@njit(cache=True, nogil=True)
def _key(buffer, at, end, keys, child, node):  # type: ignore[no-untyped-def]  # a kernel
    """Read a key after its opening quote: (closing quote or -1, node it leads to or -1, its hash)."""
    value = _SEED
    while at < end:
        byte = buffer[at]
        if byte == 34:
            return at, _below(keys, child, node, value), value
        if byte == 46:
            node = _below(keys, child, node, value)
            if node < 0:
                return _quote(buffer, at, end), np.int64(-1), value
            value = _SEED
        else:
            value = (value ^ np.uint64(byte)) * _PRIME
            if byte == 92:
                at += 1
        at += 1
    return np.int64(-1), np.int64(-1), value


@njit(cache=True, nogil=True)
def _hashed(buffer, at, length):  # type: ignore[no-untyped-def]  # a kernel
    value = _SEED
    for i in range(at, at + length):
        value = (value ^ np.uint64(buffer[i])) * _PRIME
    return value


@njit(cache=True, nogil=True)
def _keep(buffer, at, length, path, path_begin, path_length):  # type: ignore[no-untyped-def]  # a kernel
    """Remember a value under its path, unless the path has one or the value says "none"."""
    if path < 0 or path_length[path] >= 0 or length == 0 or (length == 1 and buffer[at] == 45):
        return
    path_begin[path], path_length[path] = at, length


@njit(cache=True, nogil=True)
def _scan(buffer, at, end, keys, child, found, pairs, path_begin, path_length, nodes, lists):  # type: ignore[no-untyped-def]  # a kernel
    """Walk one object and fill the spans of its paths; answers the status.

    nodes int64 (_DEPTH, 4): wanted node (-1 none) · hash of a pair's name · begin and length of its value
    expects: 0 key or }, 1 key, 2 value, 3 comma or close, 4 value or ]
    """
    depth, expects, node, name = -1, 2, np.int64(0), np.uint64(0)
    paired = pairs[0] != np.uint64(0)
    while at < end:
        byte = buffer[at]
        if byte == 32 or byte == 10 or byte == 13 or byte == 9:
            at += 1
            continue
        if byte == 34 and expects < 2:
            at, node, name = _key(buffer, at + 1, end, keys, child, nodes[depth, 0]) if nodes[depth, 0] >= 0 else (
                _quote(buffer, at + 1, end), np.int64(-1), np.uint64(0))  # fmt: skip
            at += 1
            while at < end and at > 0 and (buffer[at] == 32 or buffer[at] == 10 or buffer[at] == 13 or buffer[at] == 9):
                at += 1
            if at <= 0 or at >= end or buffer[at] != 58:
                return BAD_JSON
            expects = 2
            at += 1
        elif byte == 44 and expects == 3:
            expects = 2 if lists[depth] else 1
            at += 1
        elif (byte == 125 and (expects == 0 or expects == 3) and not lists[depth]) or (
            byte == 93 and (expects == 3 or expects == 4) and lists[depth]
        ):
            if paired and byte == 125 and nodes[depth, 0] >= 0 and nodes[depth, 3] >= 0 and nodes[depth, 1] != 0:
                below = _below(keys, child, nodes[depth, 0], np.uint64(nodes[depth, 1]))
                if below >= 0:
                    _keep(buffer, nodes[depth, 2], nodes[depth, 3], found[below], path_begin, path_length)
            depth -= 1
            expects = 3
            at += 1
            if depth < 0:
                break
        elif expects != 2 and expects != 4:
            return BAD_JSON
        else:
            if depth >= 0 and lists[depth]:
                node = nodes[depth, 0]
            if byte == 123 or byte == 91:
                depth += 1
                if depth == _DEPTH:
                    return TOO_DEEP
                nodes[depth, 0], nodes[depth, 1], nodes[depth, 3] = node, 0, -1
                lists[depth] = byte == 91
                expects = 4 if byte == 91 else 0
                at += 1
                continue
            if depth < 0:
                return BAD_JSON
            start = at
            if byte == 34:
                start = at + 1
                stop = _quote(buffer, start, end)
                if stop < 0:
                    return BAD_JSON
                at = stop + 1
            else:
                if not (byte == 45 or 48 <= byte <= 57 or byte == 102 or byte == 110 or byte == 116):
                    return BAD_JSON
                while at < end and (buffer[at] == 43 or buffer[at] == 45 or buffer[at] == 46 or 48 <= buffer[at] <= 57
                                    or 65 <= buffer[at] <= 90 or 97 <= buffer[at] <= 122):  # fmt: skip
                    at += 1
                stop = at
            if node >= 0 and byte != 110:
                _keep(buffer, start, stop - start, found[node], path_begin, path_length)
            if paired and not lists[depth] and nodes[depth, 0] >= 0:
                if name == pairs[0]:
                    nodes[depth, 1] = np.int64(_hashed(buffer, start, stop - start))
                elif name == pairs[1] and byte != 110:
                    nodes[depth, 2], nodes[depth, 3] = start, stop - start
            expects = 3
    if depth >= 0 or expects != 3:
        return BAD_JSON
    while at < end:
        if buffer[at] != 32 and buffer[at] != 10 and buffer[at] != 13 and buffer[at] != 9:
            return BAD_JSON
        at += 1
    return READ


@njit(cache=True, nogil=True)
def _split(buffer, begins, ends, keys, child, found, pairs, case_of, cases, choice, paths, begin, length, variant, status):  # type: ignore[no-untyped-def]  # a kernel
    nodes, lists = np.zeros((_DEPTH, 4), np.int64), np.zeros(_DEPTH, np.bool_)
    path_begin, path_length = np.zeros(paths, np.int64), np.zeros(paths, np.int32)
    none, slots, ranks = choice.shape[0] - 1, choice.shape[1], choice.shape[2]
    for row in range(len(begins)):
        path_length[:] = -1
        variant[row] = -1
        status[row] = _scan(buffer, begins[row], ends[row], keys, child, found, pairs, path_begin, path_length, nodes, lists)
        if status[row] != READ:
            continue
        case = none
        if case_of >= 0:
            for rank in range(ranks):
                path = choice[none, case_of, rank]
                if path >= 0 and path_length[path] >= 0:
                    value = _hashed(buffer, path_begin[path], path_length[path])
                    for k in range(len(cases)):
                        if cases[k] == value:
                            case = k
                            variant[row] = k
                            break
                    break
        for slot in range(slots):
            for rank in range(ranks):
                path = choice[case, slot, rank]
                if path < 0:
                    break
                if path_length[path] >= 0:
                    begin[row, slot], length[row, slot] = path_begin[path], path_length[path]
                    break


def split(paths: Paths, buffer: Bytes, begins: Ints, ends: Ints) -> tuple[Ints, NDArray[np.int32], NDArray[np.int32], Bytes]:
    """The wanted values of each object: begin int64 (n, F), length int32 (n, F) with -1 absent, variant int32 (n), status uint8 (n)."""
    n, slots = len(begins), len(paths.slots)
    begin, length = np.zeros((n, slots), np.int64), np.full((n, slots), -1, np.int32)
    variant, status = np.empty(n, np.int32), np.empty(n, np.uint8)
    _split(
        buffer, begins, ends, paths.keys, paths.child, paths.found, paths.pairs, paths.case_of, paths.cases, paths.choice,
        int(paths.found.max()) + 1, begin, length, variant, status,
    )  # fmt: skip
    return begin, length, variant, status


def unescape(text: str) -> str:
    """The text that a value between quotes means; the text itself when its escapes are broken."""
    try:
        value = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    return str(value)
