"""The fast way to score: every node of a tree is tested for 256 rows at once, as sets of rows (shared/forest.md).

A value becomes its rank among all boundaries that the forest has on its feature; from then on "goes right" and "outside
this node's box" are exact integer compares. Only where a row is inside a node and outside its box is there arithmetic.
Equal to `walk.total_depths` to the bit: the same operations in the same order for each row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from detector.forest.trees import Trees, depths
from detector.forest.vector import ROWS, compare_block, leaf_numbers, lowest_bit

LEVELS = 8
F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Packed:
    """A forest as tables for `total_depths`; inner nodes only, tree by tree, breadth first.

    bounds    float32, sorted distinct boundaries, feature by feature; starts int32 (features + 1)
    nodes     int32 (trees + 1), inner nodes of tree t are nodes[t]:nodes[t + 1]
    feature   int32; rank, lowest, width uint16 (inner): right iff code > rank, outside iff code - lowest > width
    parent    int32 (inner), place of the parent inside its tree, doubled, plus 1 for a right child; -1 at the root
    level     int32 (inner)
    low, high float64 (inner); below float64 (inner), depth + 1
    leaves    float64 (trees * 256), final depth by leaf number (bit k = went right on level k)
    """

    bounds: F32
    starts: I32
    nodes: I32
    feature: I32
    rank: U16
    lowest: U16
    width: U16
    parent: I32
    level: I32
    low: F64
    high: F64
    below: F64
    leaves: F64


def pack(trees: Trees, features: int, ends: F64) -> Packed | None:
    """Tables for the kernel, or None where they cannot hold the forest (deeper than 8 levels, too many boundaries)."""
    depth = depths(trees)
    inner = np.flatnonzero(trees.feature >= 0)
    if depth.max() > LEVELS:
        return None
    under = np.nextafter(trees.low[inner], np.float32(-np.inf))
    bounds, ranks = [], np.zeros((3, len(inner)), np.int64)
    for j in range(features):
        mine = trees.feature[inner] == j
        values = np.concatenate([trees.threshold[inner][mine], trees.high[inner][mine], under[mine]])
        distinct, rank = np.unique(values, return_inverse=True)
        bounds.append(distinct)
        ranks[:, mine] = rank.reshape(3, -1)
    if max(len(b) for b in bounds) >= 1 << 16:
        return None
    starts = np.zeros(features + 1, np.int32)
    starts[1:] = np.cumsum([len(b) for b in bounds])
    nodes = np.searchsorted(inner, trees.starts).astype(np.int32)
    parent, leaves = _shape(trees, depth, inner, nodes, ends)
    return Packed(
        np.concatenate(bounds).astype(np.float32), starts, nodes, trees.feature[inner].astype(np.int32),
        ranks[0].astype(np.uint16), (ranks[2] + 1).astype(np.uint16), (ranks[1] - ranks[2] - 1).astype(np.uint16),
        parent, depth[inner], trees.low[inner].astype(np.float64), trees.high[inner].astype(np.float64),
        (depth[inner] + 1).astype(np.float64), leaves,
    )  # fmt: skip


def _shape(trees: Trees, depth: I32, inner: NDArray[np.int64], nodes: I32, ends: F64) -> tuple[I32, F64]:
    """Parents of inner nodes and the table of leaves by number."""
    parent = np.full(len(trees.feature), -1, np.int64)
    number = np.zeros(len(trees.feature), np.int64)
    place = np.zeros(len(trees.feature), np.int64)
    place[inner] = np.arange(len(inner)) - nodes[np.searchsorted(trees.starts, inner, side="right") - 1]
    for node in inner.tolist():
        left = int(trees.child[node])
        parent[left : left + 2] = 2 * place[node], 2 * place[node] + 1
        number[left : left + 2] = number[node], number[node] | 1 << int(depth[node])
    leaf = np.flatnonzero(trees.feature < 0)
    tree = np.searchsorted(trees.starts, leaf, side="right") - 1
    table = np.zeros(trees.count * ROWS, np.float64)
    table[tree * ROWS + number[leaf]] = ends[leaf]
    return parent[inner].astype(np.int32), table


@numba.njit(cache=True, nogil=True)
def _encode(X: F32, first: int, rows: int, bounds: F32, starts: I32, values: F32, base: I32, codes: U16) -> None:
    """codes[j * 256 + i] = number of boundaries of feature j below X[first + i, j].

    All rows take the same steps of the search, step by step, so that hundreds of loads are in flight at once.
    """
    for j in range(X.shape[1]):
        start = starts[j]
        n = starts[j + 1] - start
        for i in range(rows):
            values[i] = X[first + i, j]
        base[:] = start
        while n > 1:
            half = n >> 1
            for i in range(ROWS):
                base[i] += half if bounds[base[i] + half - 1] < values[i] else 0
            n -= half
        for i in range(ROWS):
            codes[j * ROWS + i] = base[i] - start + (1 if n == 1 and bounds[base[i]] < values[i] else 0)


@numba.njit(cache=True, nogil=True)
def _sets(
    nodes: int, first: int, parent: I32, level: I32, right: U64, outside: U64, inside: U64, planes: U64, everyone: U64,
    insertion: bool, event_row: NDArray[np.int32], event_node: I32,
) -> int:  # fmt: skip
    """Rows at each node from the rows at its parent; fills the planes of leaf numbers; lists (row, node) outside boxes."""
    events = 0
    planes[:] = 0
    for k in range(nodes):
        above = parent[first + k]
        deep = level[first + k] * 4
        for w in range(4):
            here = everyone[w]
            if above >= 0:
                up = (above >> 1) * 4 + w
                went = right[up]
                here = inside[up] & (went if above & 1 else ~went)
            inside[k * 4 + w] = here
            planes[deep + w] |= here & right[k * 4 + w]
            out = here & outside[k * 4 + w]
            if insertion:
                while out != 0:
                    event_row[events] = w * 64 + lowest_bit(out)
                    event_node[events] = first + k
                    events += 1
                    out &= out - np.uint64(1)
    return events


@numba.njit(cache=True, nogil=True)
def total_depths(
    X: F32, bounds: F32, starts: I32, nodes: I32, feature: I32, rank: U16, lowest: U16, width: U16, parent: I32, level: I32,
    low: F64, high: F64, below: F64, leaves: F64, insertion: bool, total: F64,
) -> None:  # fmt: skip
    """total[i] = sum over trees of the row's depth; X float32 (n, features)."""
    most = 0
    for t in range(nodes.shape[0] - 1):
        most = max(most, nodes[t + 1] - nodes[t])
    codes = np.zeros(X.shape[1] * ROWS, np.uint16)
    values = np.zeros(ROWS, np.float32)
    base = np.zeros(ROWS, np.int32)
    right = np.empty(most * 4, np.uint64)
    outside = np.empty(most * 4, np.uint64)
    inside = np.empty(most * 4, np.uint64)
    planes = np.zeros(LEVELS * 4, np.uint64)
    everyone = np.empty(4, np.uint64)
    leaf = np.empty(ROWS, np.uint8)
    left_over = np.empty(ROWS, np.float64)
    sums = np.empty(ROWS, np.float64)
    event_row = np.empty(ROWS * LEVELS, np.int32)
    event_node = np.empty(ROWS * LEVELS, np.int32)
    for first in range(0, X.shape[0], ROWS):
        rows = min(ROWS, X.shape[0] - first)
        for w in range(4):
            have = min(max(rows - w * 64, 0), 64)
            everyone[w] = ~np.uint64(0) if have == 64 else (np.uint64(1) << np.uint64(have)) - np.uint64(1)
        _encode(X, first, rows, bounds, starts, values, base, codes)
        sums[:] = 0.0
        for t in range(nodes.shape[0] - 1):
            at = nodes[t]
            count = nodes[t + 1] - at
            for k in range(count):
                n = at + k
                compare_block(codes, feature[n] * ROWS, rank[n], lowest[n], width[n], right, outside, k * 4)
            events = _sets(count, at, parent, level, right, outside, inside, planes, everyone, insertion, event_row, event_node)
            leaf_numbers(planes, leaf)
            for i in range(ROWS):
                end = leaves[t * ROWS + leaf[i]]
                sums[i] += end
            for e in range(events):
                left_over[event_row[e]] = 1.0
            for e in range(events):
                i = event_row[e]
                n = event_node[e]
                x = np.float64(X[first + i, feature[n]])
                q = (high[n] - low[n]) / max(high[n] - x, x - low[n])
                a = left_over[i]
                aq = a * q
                sums[i] += (a - aq) * (below[n] - leaves[t * ROWS + leaf[i]])
                left_over[i] = aq
        for i in range(rows):
            total[first + i] = sums[i]
