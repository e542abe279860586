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
from detector.decode.scan import pack
from detector.decode.spans import BAD_JSON, OK, Spans
from detector.decode.table import HEADER, Table, texts
from detector.decode.wide import find_either

_DEPTH = 64  # open brackets that we follow; no log nests deeper

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


class Paths(NamedTuple):
    """The wanted paths as a tree.

    table   int32 (power of two), open hash table of edge numbers, -1 free
    parent  int32 (E) and child int32 (E): the nodes that an edge joins
    texts   uint8, bounds int64 (E + 1): edge e is the key texts[bounds[e]:bounds[e + 1]]
    found   int32 (nodes), the field whose path ends in a node, -1 none
    rank    int32 (nodes), its place among the paths of that field, 0 = the one that counts first
    whole   int32 (nodes), the field that wants the list in a node as it is written, -1 none
    """

    table: NDArray[np.int32]
    parent: NDArray[np.int32]
    child: NDArray[np.int32]
    texts: Bytes
    bounds: Ints
    found: NDArray[np.int32]
    rank: NDArray[np.int32]
    whole: NDArray[np.int32]


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
    return _with_table(tree, np.array([found, rank, whole], np.int32))


def _with_table(tree: Mapping[tuple[int, bytes], int], nodes: NDArray[np.int32]) -> Paths:
    """The tree's edges by open addressing, at most a quarter full."""
    texts, bounds = pack(key for _, key in tree)
    table = np.full(1 << max(4, (4 * len(tree)).bit_length()), -1, np.int32)
    for edge, (node, _) in enumerate(tree):
        at = _place(texts, int(bounds[edge]), int(bounds[edge + 1]), node) & (len(table) - 1)
        while table[at] >= 0:
            at = (at + 1) & (len(table) - 1)
        table[at] = edge
    parent, child = np.array([node for node, _ in tree], np.int32), np.array([*tree.values()], np.int32)
    return Paths(table, parent, child, texts, bounds, nodes[0], nodes[1], nodes[2])


@njit(cache=True, nogil=True)
def _place(values: Bytes, at: int, end: int, node: int) -> int:
    """Where the search for the key values[at:end] below a node begins: from its length and three of its bytes, which is quick."""
    if at == end:
        return node
    return node * 37 + (end - at) * 5 + int(values[at]) * 3 + int(values[end - 1]) * 11 + int(values[(at + end) >> 1]) * 17


@njit(cache=True, nogil=True)
def _below(
    table: NDArray[np.int32], parent: NDArray[np.int32], child: NDArray[np.int32], known: Bytes, bounds: Ints,
    node: int, values: Bytes, at: int, end: int,
) -> int:  # fmt: skip
    """The node under `node` for the key values[at:end], -1 when nothing below it is wanted."""
    mask = len(table) - 1
    place = _place(values, at, end, node) & mask
    while True:
        edge = table[place]
        if edge < 0:
            return -1
        low = bounds[edge]
        if parent[edge] == node and bounds[edge + 1] - low == end - at:
            same = at
            while same < end and values[same] == known[low + same - at]:
                same += 1
            if same == end:
                return int(child[edge])
        place = (place + 1) & mask


@njit(cache=True, nogil=True)
def _quote(values: Bytes, at: int, end: int) -> int:
    """Where the string that begins at `at` (after its opening quote) closes, -1 when it does not."""
    while True:
        at = find_either(values, at, end, 34, 92)
        if at >= end:
            return -1
        if values[at] == 34:
            return at
        at += 2


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
    values: Bytes, at: int, end: int, table: NDArray[np.int32], parent: NDArray[np.int32], child: NDArray[np.int32],
    known: Bytes, bounds: Ints, found: NDArray[np.int32], rank: NDArray[np.int32], whole: NDArray[np.int32],
    begin: Ints, length: NDArray[np.int32], ranks: NDArray[np.int32], nodes: Ints, lists: NDArray[np.bool_], opened: Ints,
) -> int:  # fmt: skip
    """Walk one object and fill the spans of its fields; answers the status. One state machine, kept in one piece for speed.

    table … whole: the parts of Paths (numba counts references each time a tuple's array is read)
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
            closing, node, start = at + 1, int(nodes[depth]), at + 1
            while node >= 0 and closing < end and values[closing] != 34:
                if values[closing] == 46:
                    node = _below(table, parent, child, known, bounds, node, values, start, closing)
                    start = closing + 1
                closing += 2 if values[closing] == 92 else 1
            if node >= 0 and closing < end:
                node = _below(table, parent, child, known, bounds, node, values, start, closing)
            elif node < 0:
                closing = _quote(values, closing, end)
            if closing < 0 or closing >= end:
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
                field = whole[nodes[depth]]
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
                field = found[node]
                if field >= 0 and stop > start and (length[field] < 0 or rank[node] < ranks[field]):
                    begin[field], length[field], ranks[field] = start, stop - start, rank[node]
                field = whole[node]
                if field >= 0 and length[field] < 0 and not lists[depth]:
                    begin[field], length[field] = start, stop - start
            at = stop + 1 if byte == 34 else stop
            expects = 3
    return BAD_JSON


@njit(cache=True, nogil=True)
def _split(values: Bytes, start: Ints, stop: Ints, paths: Paths, begin: Ints, length: NDArray[np.int32], status: Bytes) -> None:
    """Walk n objects; begin and length are (F, n): each object is walked into a row of its own, which is then copied."""
    nodes, opened, lists = np.zeros(_DEPTH, np.int64), np.zeros(_DEPTH, np.int64), np.zeros(_DEPTH, np.bool_)
    table, parent, child, known, bounds, found, rank, whole = paths
    fields = begin.shape[0]
    places, sizes, ranks = np.zeros(fields, np.int64), np.full(fields, -1, np.int32), np.zeros(fields, np.int32)
    for row in range(len(start)):
        status[row] = _scan(
            values, start[row], stop[row], table, parent, child, known, bounds, found, rank, whole,
            places, sizes, ranks, nodes, lists, opened,
        )  # fmt: skip
        for field in range(fields):
            if sizes[field] >= 0:
                begin[field, row], length[field, row], sizes[field] = places[field], sizes[field], -1


def build(table: Table, fields: Sequence[str]) -> Callable[[Bytes, Ints, Ints], Spans]:
    """The tokenizer of one format. Raises ValueError when two fields want the same path."""
    other = {*HEADER, *(extract.name for extract in table.extract)}  # filled by the decoder, not by the object
    paths = compiled([[] if field in other else texts(table.json.names.get(field, field)) for field in fields])

    def split(values: Bytes, start: Ints, stop: Ints) -> Spans:
        result = spans.empty(len(start), len(fields))
        _split(values, start, stop, paths, result.begin.T, result.length.T, result.status)
        return result

    return split
