"""The forest's score: equal to scikit-learn where it is plain, to its definition where it is ours, and to itself in any batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from detector.forest import Forest, fit, rowsets, vector
from detector.forest.fitting import flatten
from tests.bench.bench_detection import DATASETS, Table, recall, split

F64 = NDArray[np.float64]


def training(rows: int = 3000, features: int = 6) -> F64:
    """Continuous, integer, heavy-tailed and mostly-zero columns, as our features are."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(rows, features))
    X[:, 1] = rng.poisson(2.0, rows)
    X[:, 2] = np.exp(2.0 * X[:, 2])
    X[:, 3] = rng.random(rows) < 0.02
    return X


X = training()
FOREST = fit(X, seed=3)
RNG = np.random.default_rng(5)
MIXED: F64 = np.concatenate([X[:700], X[:700] * RNG.choice([1.0, 1.5, 4.0, -3.0], (700, 6))])


@njit
def vector_compare(codes: Any, at: int, rank: Any, lowest: Any, width: Any, right: Any, outside: Any, to: int) -> None:
    vector.compare_block(codes, at, rank, lowest, width, right, outside, to)


@njit
def vector_leaves(planes: Any, out: Any) -> None:
    vector.leaf_numbers(planes, out)


@njit
def vector_combine(inside: Any, right: Any, outside: Any, planes: Any, node: int, above: int, flip: Any, plane: int) -> None:
    vector.combine_sets(inside, right, outside, planes, node, above, flip, plane)


def by_definition(forest: Forest, x: F64) -> float:
    """detection.md 2.3 word by word, for one row, in Python: E += surv p (depth + 1); surv *= 1 - p; at the leaf surv (depth + c)."""
    t = forest.trees
    total = 0.0
    for start in t.starts[:-1].tolist():
        node, depth, surv, expected = start, 0, 1.0, 0.0
        while t.feature[node] >= 0:
            value, low, high = float(np.float32(x[t.feature[node]])), float(t.low[node]), float(t.high[node])
            gap = max(low - value, value - high, 0.0)
            p = gap / (gap + high - low)
            expected += surv * p * (depth + 1)
            surv *= 1.0 - p
            node = int(t.child[node]) + int(value > t.threshold[node])
            depth += 1
        n = int(t.size[node])
        c = 0.0 if n <= 1 else 1.0 if n == 2 else 2.0 * (math.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
        total += expected + surv * (depth + c)
    c256 = 2.0 * (math.log(255.0) + np.euler_gamma) - 2.0 * 255.0 / 256.0
    return float(2.0 ** (-total / t.count / c256))


@pytest.mark.parametrize(("rows", "features", "samples"), [(3000, 6, 256), (3000, 1, 256), (40, 3, 256), (3000, 4, 600), (2, 2, 2)])
def test_plain_score_is_scikit_learns(rows: int, features: int, samples: int) -> None:
    data = training(max(rows, 5), 6)[:rows, :features].astype(np.float32)
    model = IsolationForest(n_estimators=50, max_samples=min(samples, rows), random_state=7).fit(data)
    probe = np.concatenate([data, data * np.float32(3), -data])
    np.testing.assert_allclose(flatten(model, data).plain_score(probe), -model.score_samples(probe), rtol=0, atol=1e-12)


def test_score_is_its_definition() -> None:
    expected = [by_definition(FOREST, row) for row in MIXED[::20]]
    np.testing.assert_allclose(FOREST.score(MIXED[::20]), expected, rtol=0, atol=1e-12)


def test_inside_every_box_both_scores_agree_and_outside_only_ours_goes_on_rising() -> None:
    middle = np.median(X, axis=0)[None, :]
    far, farther = middle.copy(), middle.copy()
    far[0, 0], farther[0, 0] = 20.0, 200.0
    assert FOREST.score(middle)[0] < FOREST.score(far)[0] < FOREST.score(farther)[0]
    assert FOREST.plain_score(far)[0] == FOREST.plain_score(farther)[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 1399), max_size=12, unique=True), st.booleans())
def test_i1_rows_score_the_same_bits_in_any_batch(cuts: list[int], insertion: bool) -> None:
    whole = FOREST.depth(MIXED, insertion=insertion)
    parts = np.split(MIXED, sorted(cuts))
    assert np.concatenate([FOREST.depth(part, insertion=insertion) for part in parts]).tobytes() == whole.tobytes()


def test_i1_rows_score_the_same_bits_alone() -> None:
    alone = np.concatenate([FOREST.score(row[None, :]) for row in MIXED])
    assert alone.tobytes() == FOREST.score(MIXED).tobytes()


def test_rows_on_the_boundaries_themselves_go_the_same_way_in_both_kernels() -> None:
    t = FOREST.trees
    inner = np.flatnonzero(t.feature >= 0)[:1500]
    rows = np.tile(np.median(X, axis=0).astype(np.float32), (len(inner) * 3, 1))
    for k, edge in enumerate((t.threshold, t.low, t.high)):
        rows[k * len(inner) + np.arange(len(inner)), t.feature[inner]] = edge[inner]
    together = FOREST.depth(rows)
    assert together.tobytes() == np.concatenate([FOREST.depth(rows[i : i + 5]) for i in range(0, len(rows), 5)]).tobytes()


def test_contributions_sum_to_what_the_depth_lost() -> None:
    depth = FOREST.depth(MIXED) / FOREST.trees.count
    np.testing.assert_allclose(FOREST.contributions(MIXED).sum(axis=1), FOREST.expected_depth - depth, rtol=0, atol=1e-12)


@pytest.mark.parametrize("planted", range(6))
def test_the_planted_feature_contributes_most(planted: int) -> None:
    row = np.median(X, axis=0)[None, :]
    row[0, planted] += 30.0 * X[:, planted].std()
    assert FOREST.contributions(row)[0].argmax() == planted


def test_a_forest_too_deep_for_row_sets_falls_back_to_the_walk() -> None:
    deep = fit(X, trees=10, samples=600)
    assert rowsets.pack(deep.trees, 6, np.zeros(len(deep.trees.feature))) is None
    assert deep.score(MIXED[:50]).tobytes() == np.concatenate([deep.score(row[None, :]) for row in MIXED[:50]]).tobytes()


def test_same_data_and_seed_give_the_same_forest_and_another_seed_another() -> None:
    again, other = fit(X, seed=3), fit(X, seed=4)
    assert again.trees.threshold.tobytes() == FOREST.trees.threshold.tobytes()
    assert other.trees.threshold.tobytes() != FOREST.trees.threshold.tobytes()


def test_a_forest_trained_on_float64_is_that_of_its_float32_rounding() -> None:
    assert fit(X, seed=3).score(X[:20]).tobytes() == fit(X.astype(np.float32), seed=3).score(X[:20].astype(np.float32)).tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_rows_that_are_not_finite_in_float32_are_refused(bad: float) -> None:
    row = X[:1].copy()
    row[0, 2] = bad
    with pytest.raises(ValueError, match="rows must be finite numbers"):
        FOREST.score(row)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the forest wants \(n, 6\)"):
        FOREST.score(X[:, :5])


def test_no_rows_give_no_scores() -> None:
    assert FOREST.score(np.zeros((0, 6))).shape == (0,)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_vector_compare_equals_its_plain_twin(seed: int, rank: int, lowest: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << 16, 512).astype(np.uint16)
    codes[256:300] = [rank, lowest, (lowest + width) & 0xFFFF, (lowest - 1) & 0xFFFF] * 11
    fast, plain = np.zeros((2, 8), np.uint64), np.zeros((2, 8), np.uint64)
    vector_compare(codes, 256, np.uint16(rank), np.uint16(lowest), np.uint16(width), fast[0], fast[1], 4)
    vector.compare_block_plain(codes, 256, rank, lowest, width, plain[0], plain[1], 4)
    assert fast.tolist() == plain.tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_vector_leaf_numbers_equal_their_plain_twin(seed: int) -> None:
    planes = np.random.default_rng(seed).integers(0, 1 << 64, 32, dtype=np.uint64)
    fast, plain = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
    vector_leaves(planes, fast)
    vector.leaf_numbers_plain(planes, plain)
    assert fast.tolist() == plain.tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_vector_set_combination_equals_its_plain_twin(seed: int, flip: bool) -> None:
    sets = np.random.default_rng(seed).integers(0, 1 << 64, (4, 32), dtype=np.uint64)
    fast, plain = sets.copy(), sets.copy()
    inverted = np.uint64(0xFFFFFFFFFFFFFFFF if flip else 0)
    twin: Any = vector.combine_sets_plain
    vector_combine(*fast, 8, 4, inverted, 12)
    twin(*plain, 8, 4, inverted, 12)
    assert fast.tolist() == plain.tolist()


@pytest.mark.skipif(not (DATASETS / "adbench").is_dir(), reason="needs ../shared/datasets/adbench")
def test_kdd_http_is_found_at_one_false_positive_in_a_thousand_and_the_plain_forest_is_blind_to_it() -> None:
    with np.load(DATASETS / "adbench" / "16_http.npz", allow_pickle=False) as data:
        rows = split(Table(data["X"].astype(np.float64), data["y"].astype(np.int64)), seed=0)
    forest = fit(rows.training)
    assert recall(forest.score(rows.test), rows.label) >= 0.99
    assert recall(forest.plain_score(rows.test), rows.label) < 0.1
