"""Tokenizer `json`: one pass over each object that finds the values of the wanted paths, on the batch's byte buffer.

A path is written with dots (`winlog.event_data.IpAddress`) and finds nested objects and dotted keys alike, in any
mixture. Arrays are transparent: the first element that answers wins, so `authenticationDetails.authenticationMethod`
is that of the first detail; with `[]` at its end (`event.type[]`) a path answers with the whole list as it is written.
The whole object is checked for its structure, so that half an object is refused and never half read.

A value is handed back as the bytes between its quotes, escapes still in it, or as the bytes of a number or a truth
value. null and "" are absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode import spans
from detector.decode.spans import BAD_JSON, OK, Spans
from detector.decode.table import HEADER, Table, texts

_DEPTH = 64  # open brackets that we follow; no log nests deeper
_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


class Paths(NamedTuple):
    """The wanted paths as a tree.

    keys    uint64 (H), hash of (node, key) by open addressing, 0 free
    child   int32 (H), the node below
    found   int32 (nodes), the field whose path ends in a node, -1 none
    rank    int32 (nodes), its place among the paths of that field, 0 = the one that counts first
    whole   int32 (nodes), the field that wants the list in a node as it is written, -1 none
    """

    keys: NDArray[np.uint64]
    child: NDArray[np.int32]
    found: NDArray[np.int32]
    rank: NDArray[np.int32]
    whole: NDArray[np.int32]


def _hash(text: bytes) -> int:
    value = int(_SEED)
    for byte in text:
        value = (value ^ byte) * int(_PRIME) & 0xFFFFFFFFFFFFFFFF
    return value


def _mixed(node: int, key: int) -> int:
    """The key of the hash table; never 0, which marks a free place."""
    value = (key ^ (node + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    return value if value != 0 else 1


def compiled(fields: Sequence[Sequence[str]]) -> Paths:
    """Compile the paths of the F wanted fields. Raises ValueError when two fields want the same path."""
    tree: dict[tuple[int, bytes], int] = {}
    found, rank, whole = [-1], [0], [-1]
    for number, paths in enumerate(fields):
        for place, path in enumerate(paths):
            node = 0
            for key in path.removesuffix("[]").encode().split(b"."):
                if (node, key) not in tree:
                    tree[node, key] = len(found)
                    found.append(-1)
                    rank.append(0)
                    whole.append(-1)
                node = tree[node, key]
            if path.endswith("[]"):
                whole[node] = number
                continue
            if found[node] >= 0:
                raise ValueError(f"the path {path!r} is wanted under two names; give it one name and use that twice")
            found[node], rank[node] = number, place
    keys, child = _table(tree)
    return Paths(keys, child, *(np.array(part, np.int32) for part in (found, rank, whole)))


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
def _below(paths: Paths, node: int, key: np.uint64) -> int:
    """The node under `node` for the hash of a key, -1 when nothing below it is wanted."""
    value = key ^ (np.uint64(node + 1) * np.uint64(0x9E3779B97F4A7C15))
    if value == np.uint64(0):
        value = np.uint64(1)
    mask = np.uint64(len(paths.keys) - 1)
    at = (value >> np.uint64(32)) & mask
    while paths.keys[at] != np.uint64(0):
        if paths.keys[at] == value:
            return int(paths.child[at])
        at = (at + np.uint64(1)) & mask
    return -1


@njit(cache=True, nogil=True)
def _quote(values: Bytes, at: int, end: int) -> int:
    """Where the string that begins at `at` (after its opening quote) closes, -1 when it does not."""
    while at < end:
        byte = values[at]
        if byte == 34:
            return at
        at += 2 if byte == 92 else 1
    return -1


@njit(cache=True, nogil=True)
def _key(values: Bytes, at: int, end: int, paths: Paths, node: int) -> tuple[int, int]:
    """Read a key after its opening quote: (closing quote or -1, node it leads to or -1)."""
    value = _SEED
    while at < end and node >= 0:
        byte = values[at]
        if byte == 34:
            return at, _below(paths, node, value)
        if byte == 46:
            node = _below(paths, node, value)
            value = _SEED
        else:
            value = (value ^ np.uint64(byte)) * _PRIME
            at += byte == 92
        at += 1
    return _quote(values, at, end), -1


@njit(cache=True, nogil=True)
def _blank(byte: int) -> bool:
    return byte == 32 or byte == 10 or byte == 13 or byte == 9


@njit(cache=True, nogil=True)
def _skip(values: Bytes, at: int, end: int) -> int:
    while at < end and _blank(values[at]):
        at += 1
    return at


@njit(cache=True, nogil=True)
def _scalar(values: Bytes, at: int, end: int) -> int:
    """Where the number, true, false or null that begins at `at` ends; `at` itself when it is none."""
    byte = values[at]
    if not (byte == 45 or 48 <= byte <= 57 or byte == 102 or byte == 110 or byte == 116):
        return at
    while at < end:
        byte = values[at]
        if not (byte == 43 or byte == 45 or byte == 46 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122):
            break
        at += 1
    return at


@njit(cache=True, nogil=True)
def _scan(
    values: Bytes, at: int, end: int, paths: Paths, begin: Ints, length: NDArray[np.int32],
    ranks: NDArray[np.int32], nodes: Ints, lists: NDArray[np.bool_], opened: Ints,
) -> int:  # fmt: skip
    """Walk one object and fill the spans of its fields; answers the status. One state machine, kept in one piece for speed.

    ranks int32 (F), of the path that each field has its value from
    nodes int64 (_DEPTH), lists bool (_DEPTH), opened int64 (_DEPTH): of each open bracket the wanted node (-1 none),
    whether it is [, and where it stands
    expects: 0 key or }, 1 key, 2 value, 3 comma or close, 4 value or ]
    """
    depth, expects, node = -1, 2, 0
    at = _skip(values, at, end)
    if at == end or values[at] != 123:
        return BAD_JSON
    while at < end:
        byte = values[at]
        if _blank(byte):
            at += 1
        elif byte == 34 and expects < 2:
            closing, node = _key(values, at + 1, end, paths, int(nodes[depth]))
            if closing < 0:
                return BAD_JSON
            at = _skip(values, closing + 1, end)
            if at == end or values[at] != 58:
                return BAD_JSON
            expects = 2
            at += 1
        elif byte == 44 and expects == 3:
            expects = 2 if lists[depth] else 1
            at += 1
        elif (byte == 125 and not lists[depth] and (expects == 0 or expects == 3)) or (byte == 93 and lists[depth] and expects >= 3):
            if byte == 93 and nodes[depth] >= 0:
                field = paths.whole[nodes[depth]]
                if field >= 0 and length[field] < 0:
                    begin[field], length[field] = opened[depth], at + 1 - opened[depth]
            depth -= 1
            expects = 3
            at += 1
            if depth < 0:
                return OK if _skip(values, at, end) == end else BAD_JSON
        elif expects != 2 and expects != 4:
            return BAD_JSON
        else:
            if depth >= 0 and lists[depth]:
                node = int(nodes[depth])
            if byte == 123 or byte == 91:
                depth += 1
                if depth == _DEPTH:
                    return BAD_JSON
                nodes[depth], lists[depth], opened[depth] = node, byte == 91, at
                expects = 4 if byte == 91 else 0
                at += 1
                continue
            start = at + 1 if byte == 34 else at
            stop = _quote(values, start, end) if byte == 34 else _scalar(values, at, end)
            if stop < start or (stop == start and byte != 34):
                return BAD_JSON
            if node >= 0 and byte != 110:
                field = paths.found[node]
                if field >= 0 and stop > start and (length[field] < 0 or paths.rank[node] < ranks[field]):
                    begin[field], length[field], ranks[field] = start, stop - start, paths.rank[node]
                field = paths.whole[node]
                if field >= 0 and length[field] < 0 and not lists[depth]:
                    begin[field], length[field] = start, stop - start
            at = stop + 1 if byte == 34 else stop
            expects = 3
    return BAD_JSON


@njit(cache=True, nogil=True)
def _split(values: Bytes, start: Ints, stop: Ints, paths: Paths, begin: Ints, length: NDArray[np.int32], status: Bytes) -> None:
    nodes, opened, lists = np.zeros(_DEPTH, np.int64), np.zeros(_DEPTH, np.int64), np.zeros(_DEPTH, np.bool_)
    ranks = np.zeros(length.shape[1], np.int32)
    for row in range(len(start)):
        status[row] = _scan(values, start[row], stop[row], paths, begin[row], length[row], ranks, nodes, lists, opened)


def build(table: Table, fields: Sequence[str]) -> Callable[[Bytes, Ints, Ints], Spans]:
    """The tokenizer of one format. Raises ValueError when two fields want the same path."""
    other = {*HEADER, *(extract.name for extract in table.extract)}  # filled by the decoder, not by the object
    paths = compiled([[] if field in other else texts(table.json.names.get(field, field)) for field in fields])

    def split(values: Bytes, start: Ints, stop: Ints) -> Spans:
        result = spans.empty(len(start), len(fields))
        _split(values, start, stop, paths, result.begin, result.length, result.status)
        return result

    return split
