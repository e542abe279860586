"""Tails and p-values: counted where there is data, Pareto beyond it, never less than the data can say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from detector.forest import tails
from detector.judge import calibration

F64 = NDArray[np.float64]
DAY = 86_400_000_000
SAMPLES = arrays(np.float64, st.integers(1, 60), elements=st.sampled_from([0.0, 1.0, 2.0, 2.5, 7.0, 1e3, -4.0]))


def terms(tail: tails.Tail, xs: F64) -> F64:
    table = tails.join([tails.NONE, tail])
    columns = (table.starts, table.knots, table.terms, table.edge, table.base, table.shape, table.scale, table.cap)
    return np.array([tails.term(float(x), 1, *columns) for x in xs])


def tail(sample: F64, top: int = 10, cap: float = 12.0) -> tails.Tail:
    return tails.of_sample(sample, top=top, heaviest=0.5, cap=cap)


@settings(max_examples=200, deadline=None)
@given(SAMPLES, st.integers(1, 30))
def test_terms_never_fall_when_x_rises(sample: F64, top: int) -> None:
    grid = np.unique(np.concatenate([sample, sample - 0.1, sample + 0.1, [1e4, 1e6, -1e6]]))
    assert (np.diff(terms(tail(sample, top), grid)) >= -1e-12).all()


@settings(max_examples=200, deadline=None)
@given(SAMPLES)
def test_up_to_the_edge_a_term_is_the_conformal_rank(sample: F64) -> None:
    fitted = tail(sample)
    below = sample[sample <= fitted.edge]
    rank = np.array([(1 + (sample >= x).sum()) / (len(sample) + 1) for x in below])
    got = 10.0 ** -terms(fitted, below)
    assert (got >= rank * (1 - 1e-12)).all()
    assert (got <= rank * 10**tails.STEP * (1 + 1e-12)).all()


@pytest.mark.parametrize("draw", ["exponential", "pareto"])
def test_the_pareto_tail_extrapolates_a_thousandfold_within_a_factor_of_thirty(draw: str) -> None:
    rng = np.random.default_rng(2)
    sample, xs, truth = (
        (rng.exponential(size=20_000), np.log(1e6), 6.0) if draw == "exponential" else (rng.pareto(4.0, 20_000), 1e6**0.25 - 1, 6.0)
    )
    got = terms(tail(sample, top=400), np.array([xs]))[0]
    assert abs(got - truth) < np.log10(30)


def test_the_tail_shape_is_never_negative_so_that_a_bounded_sample_claims_nothing_absurd() -> None:
    bounded = np.random.default_rng(3).random(5000)
    fitted = tail(bounded, top=100)
    assert fitted.shape == 0.0
    assert terms(fitted, np.array([1.001]))[0] < 4.5


def test_a_tail_is_never_narrower_than_its_maker_allows() -> None:
    alike = np.repeat([0.0, 0.9, 1.0], [1000, 10, 10])
    narrow, wide = tail(alike), tails.of_sample(alike, top=10, heaviest=0.5, cap=12.0, narrowest=1 / np.log(2))
    assert terms(narrow, np.array([6.0]))[0] > 10.0
    assert terms(wide, np.array([6.0]))[0] == pytest.approx(wide.base + (6.0 - wide.edge) * np.log10(2))


def test_a_term_never_exceeds_its_cap() -> None:
    assert terms(tail(np.random.default_rng(4).normal(size=500), cap=6.0), np.array([1e9]))[0] == 6.0


def test_beyond_a_constant_sample_only_the_count_speaks() -> None:
    assert terms(tail(np.zeros(999)), np.array([-1.0, 0.0, 5.0])).tolist() == pytest.approx([0.0, 0.0, 3.0])


@pytest.mark.parametrize(("p", "n"), [(1.0, 1), (0.5, 2), (3e-4, 3300), (1 / 12_345, 12_000), (1e-6, 1_000_000)])
def test_one_in_n_is_rounded_to_what_is_known(p: float, n: int) -> None:
    assert calibration.one_in(p) == n


def test_realised_is_one_for_uniform_p() -> None:
    assert calibration.realised((np.arange(10_000) + 1) / 10_000, 1e-2) == pytest.approx(1.0)


def test_threshold_by_replay_opens_no_more_than_asked() -> None:
    rng = np.random.default_rng(5)
    time = np.sort(rng.integers(0, 10 * DAY, 5000))
    p = rng.random(5000) ** 2
    entity = np.repeat(np.array([7, 9], np.uint64), 2500)
    threshold = calibration.threshold_by_replay(p, time, entity, per_day=0.36, most=1e-2, quiet=DAY)
    assert 1 <= openings_below(threshold, p, time, entity) <= 7
    assert openings_below(p[(p > threshold) & (p <= 1e-2)].min(), p, time, entity) > 7


def openings_below(threshold: float, p: F64, time: NDArray[np.int64], entity: NDArray[np.uint64]) -> int:
    return calibration.openings(time[p <= threshold], entity[p <= threshold], DAY)


def test_an_incident_swallows_what_its_entity_does_until_it_closes() -> None:
    time = np.array([0, DAY // 2, DAY, 3 * DAY, 0, 1])
    assert calibration.openings(time, np.array([1, 1, 1, 1, 2, 2], np.uint64), DAY) == 4


def test_threshold_by_replay_stays_at_most_where_nothing_happens() -> None:
    quiet = np.ones(10), np.arange(10) * DAY, np.zeros(10, np.uint64)
    assert calibration.threshold_by_replay(*quiet, per_day=0.3, most=1e-2, quiet=DAY) == 1e-2


def test_beyond_the_edge_a_busy_hour_of_one_source_is_one_witness() -> None:
    """A hundred near-equal rows of one source on top: taken one by one they end the tail there, taken as a block they do not."""
    rng = np.random.default_rng(6)
    sample, block = rng.exponential(size=20_000), np.arange(20_000) // 20
    sample[:200] = 11.0 + 0.001 * rng.random(200)
    by_row = tail(sample)
    by_block = tails.of_blocks(sample, block, top=10, heaviest=0.5, cap=12.0)
    one_more = np.array([11.5])
    assert terms(by_row, one_more)[0] > 10.0
    assert terms(by_block, one_more)[0] < 4.0
    assert terms(by_block, np.array([11.0]))[0] == pytest.approx(2.0, abs=tails.STEP)  # what 1 % of rows reach is not rarer than that


def test_rows_that_are_their_own_blocks_have_the_tail_of_rows_and_beyond_the_edge_no_more_than_their_rank() -> None:
    sample = np.random.default_rng(7).exponential(size=5000)
    grid = np.linspace(-1.0, 30.0, 300)
    by_block, by_row = tails.of_blocks(sample, np.arange(5000), top=10, heaviest=0.5, cap=12.0), tail(sample)
    between = (grid > by_row.edge) & (grid <= sample.max())
    apart = terms(by_block, grid) - terms(by_row, grid)
    assert np.abs(apart[~between]).max() < 2 * tails.STEP
    assert apart[between].max() <= 0.0
    assert between.sum() > 5


@settings(max_examples=200, deadline=None)
@given(SAMPLES, st.integers(1, 5), st.integers(1, 30))
def test_terms_of_blocks_never_fall_when_x_rises(sample: F64, size: int, top: int) -> None:
    fitted = tails.of_blocks(sample, np.arange(len(sample)) // size, top=top, heaviest=0.5, cap=12.0)
    grid = np.unique(np.concatenate([sample, sample - 0.1, sample + 0.1, [1e4, 1e6, -1e6]]))
    assert (np.diff(terms(fitted, grid)) >= -1e-12).all()
