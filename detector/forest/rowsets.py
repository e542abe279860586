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
from detector.forest.vector import ROWS, combine_sets, compare_block, leaf_numbers, lowest_bit, ones

LEVELS = 8
F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U32 = NDArray[np.uint32]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Packed:
    """A forest as tables for `total_depths`; inner nodes only, tree by tree, breadth first.

    bounds    float32, sorted distinct boundaries, feature by feature; starts int32 (features + 1)
    nodes     int32 (trees + 1), inner nodes of tree t are nodes[t]:nodes[t + 1]
    feature   int32; rank, lowest, width uint16 (inner): right iff code > rank, outside iff code - lowest > width
    parent    int32 (inner), 2 * (place of the parent in its tree + 1), plus 1 for a right child; 1 at the root
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
    parent = np.ones(len(trees.feature), np.int64)
    number = np.zeros(len(trees.feature), np.int64)
    place = np.zeros(len(trees.feature), np.int64)
    place[inner] = 1 + np.arange(len(inner)) - nodes[np.searchsorted(trees.starts, inner, side="right") - 1]
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
def _encode(X: F32, first: int, rows: int, bounds: F32, starts: I32, below: U32, values: F32, codes: U16) -> None:
    """values[j * 256 + i] = X[first + i, j]; codes likewise = number of boundaries of feature j below it.

    Fifteen pivots are counted first, which the compiler makes vectors of; then all rows take the same steps of a binary search,
    step by step, so that hundreds of loads are in flight at once.
    """
    for i in range(rows):
        for j in range(X.shape[1]):
            values[j * ROWS + i] = X[first + i, j]
    for j in range(X.shape[1]):
        mine, known = bounds[starts[j] : starts[j + 1]], values[j * ROWS : (j + 1) * ROWS]
        n = mine.shape[0]
        below[:] = 0
        stride = n >> 4
        if stride > 0:
            for k in range(stride - 1, 15 * stride, stride):
                pivot = mine[k]
                for i in range(ROWS):
                    below[i] += np.uint32(stride) if pivot < known[i] else np.uint32(0)
            n -= 15 * stride
        while n > 1:
            half = n >> 1
            middle = mine[half - 1 :]
            for i in range(ROWS):
                at = below[i]
                below[i] = at + (np.uint32(half) if middle[at] < known[i] else np.uint32(0))
            n -= half
        for i in range(ROWS):
            codes[j * ROWS + i] = below[i] + (1 if n == 1 and mine[below[i]] < known[i] else 0)


@numba.njit(cache=True, nogil=True)
def _sets(parent: I32, level: I32, right: U64, outside: U64, inside: U64, planes: U64) -> None:
    """inside = rows at each node, from those at its parent; outside keeps only rows at the node; fills the planes of leaf numbers."""
    planes[:] = 0
    for k in range(parent.shape[0]):
        above = parent[k]
        flip = np.uint64(0) if above & 1 else ~np.uint64(0)
        combine_sets(inside, right, outside, planes, (k + 1) * 4, (above >> 1) * 4, flip, level[k] * 4)


@numba.njit(cache=True, nogil=True)
def _listed(sets: U64, words: U32, events: U32) -> int:
    """events = node * 256 + row for each row in sets (4 words a node), in the order of nodes; returns how many.

    First the words that hold any row, then their rows. The first two rows of a word are written whether they exist or not, so
    that the processor has nothing to guess.
    """
    busy = 0
    for w in range(sets.shape[0]):
        words[busy] = w
        busy += 1 if sets[w] != 0 else 0
    count = 0
    for k in range(busy):
        rows = sets[words[k]]
        first = words[k] * np.uint32(64)
        at = count
        count += ones(rows)
        for step in range(2):
            events[at + step] = first + lowest_bit(rows)
            rows &= rows - np.uint64(1)
        at += 2
        while rows != 0:
            events[at] = first + lowest_bit(rows)
            rows &= rows - np.uint64(1)
            at += 1
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")  # no check for zero, which would keep it from dividing several at once
def _isolated(
    events: U32, feature: I32, low: F64, high: F64, below: F64, values: F32, ends: F64, quotient: F64, reach: F64, survival: F64, sums: F64
) -> None:
    """For each row at a node but outside its box, parents first: sums += what isolation there takes from the leaf's depth.

    feature, low, high and below are one tree's. The quotients by themselves, so that several are divided at once; unsigned
    indices, which numba need not check for being negative.
    """
    n = events.shape[0]
    for k in range(n):
        node = events[k] >> np.uint32(8)
        x = np.float64(values[np.uint32(feature[node] * ROWS) + (events[k] & np.uint32(255))])
        quotient[k] = high[node] - low[node]
        reach[k] = max(high[node] - x, x - low[node])
    for k in range(n):
        quotient[k] /= reach[k]
    survival[:] = 1.0
    for k in range(n):
        i = events[k] & np.uint32(255)
        a = survival[i]
        aq = a * quotient[k]
        sums[i] += (a - aq) * (below[events[k] >> np.uint32(8)] - ends[i])
        survival[i] = aq


@numba.njit(cache=True, nogil=True)
def _aligned(words: int) -> U64:
    """uint64 (words) from the start of a cache line on, so that no vector lies across two."""
    whole = np.empty(words + 8, np.uint64)
    first = (-whole.ctypes.data % 64) // 8
    return whole[first : first + words]


@numba.njit(cache=True, nogil=True)
def total_depths(
    X: F32, bounds: F32, starts: I32, nodes: I32, feature: I32, rank: U16, lowest: U16, width: U16, parent: I32, level: I32,
    low: F64, high: F64, below: F64, leaves: F64, insertion: bool, total: F64,
) -> None:  # fmt: skip
    """total[i] = sum over trees of the row's depth; X float32 (n, features)."""
    most = 0
    for t in range(nodes.shape[0] - 1):
        most = max(most, nodes[t + 1] - nodes[t])
    codes = _aligned(X.shape[1] * ROWS // 4).view(np.uint16)
    values = np.zeros(X.shape[1] * ROWS, np.float32)
    fewer = np.empty(ROWS, np.uint32)
    right, outside, inside = _aligned((most + 1) * 4), _aligned((most + 1) * 4), _aligned((most + 1) * 4)
    right[:4] = ~np.uint64(0)  # place 0 is nobody's node: above every root, sending all rows of the block to the right
    planes, words = _aligned(LEVELS * 4), np.empty(most * 4 + 1, np.uint32)
    leaf = np.empty(ROWS, np.uint8)
    events = np.empty(ROWS * LEVELS + 2, np.uint32)  # a row is at no more than 8 inner nodes of a tree
    quotient, reach = np.empty(ROWS * LEVELS, np.float64), np.empty(ROWS * LEVELS, np.float64)
    ends, survival, sums = np.empty(ROWS, np.float64), np.empty(ROWS, np.float64), np.empty(ROWS, np.float64)
    for first in range(0, X.shape[0], ROWS):
        rows = min(ROWS, X.shape[0] - first)
        for w in range(4):
            have = min(max(rows - w * 64, 0), 64)
            inside[w] = ~np.uint64(0) if have == 64 else (np.uint64(1) << np.uint64(have)) - np.uint64(1)
        _encode(X, first, rows, bounds, starts, fewer, values, codes)
        sums[:] = 0.0
        for t in range(nodes.shape[0] - 1):
            at = nodes[t]
            count = nodes[t + 1] - at
            f, split, least, wide = feature[at : at + count], rank[at : at + count], lowest[at : at + count], width[at : at + count]
            for k in range(count):
                compare_block(codes, f[k] * ROWS, split[k], least[k], wide[k], right, outside, (k + 1) * 4)
            _sets(parent[at : at + count], level[at : at + count], right, outside, inside, planes)
            leaf_numbers(planes, leaf)
            mine = leaves[t * ROWS : (t + 1) * ROWS]
            for i in range(ROWS):
                ends[i] = mine[leaf[i]]
            for i in range(ROWS):
                sums[i] += ends[i]
            if insertion:
                happened = events[: _listed(outside[4 : 4 * (count + 1)], words, events)]
                lo, hi, under = low[at : at + count], high[at : at + count], below[at : at + count]
                _isolated(happened, f, lo, hi, under, values, ends, quotient, reach, survival, sums)
        for i in range(rows):
            total[first + i] = sums[i]
