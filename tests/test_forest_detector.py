"""A detector's judgement: one calibrated p, the harmless side ignored, the planted feature named, the same in any batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.features.table import ModelTable, parse
from detector.forest import Forest, fit
from detector.forest.detector import Detector
from detector.judge.calibration import realised
from detector.learn.train import capped, halves, train

F64 = NDArray[np.float64]
DIRECTIONS = ("high", "high", "high", "low", "both")


def table_text(directions: tuple[str, ...] = DIRECTIONS, members: str = '"forest", "tail_sum", "tail_max"') -> str:
    head = f'name = "probe"\nentity = "source.ip"\nmembers = [{members}]\nthreshold = 3e-4\ntitle.de = "x"\ntitle.en = "x"\n'
    feature = '[[features]]\nname = "f{}"\ntext.de = "x"\ntext.en = "x"\nunit = "times"\ndirection = "{}"\ntechnique = "T1110"\n'
    return head + "".join(feature.format(j, d) for j, d in enumerate(directions))


def table(directions: tuple[str, ...] = DIRECTIONS, members: str = '"forest", "tail_sum", "tail_max"') -> ModelTable:
    return parse(table_text(directions, members).encode(), "probe")


def honest(rows: int, seed: int) -> F64:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 5)) + 0.5 * rng.normal(size=(rows, 1))
    X[:, 1] = np.log2(1.0 + rng.poisson(1.5, rows))
    X[:, 2] = (rng.random(rows) < 0.01) * rng.exponential(3.0, rows)
    return X


def forest_of(detector: Detector) -> Forest:
    [forest] = [member.forest for member in detector.members if member.forest is not None]
    return forest


DETECTOR = train(table(), honest(20_000, 1), honest(20_000, 2)).detector
FOREST = forest_of(DETECTOR)
NEW = honest(40_000, 3)
USUAL = np.median(NEW, axis=0)


def odd(feature: int, value: float) -> F64:
    row: F64 = USUAL.copy()
    row[feature] = value
    return row


def p_of(row: F64) -> float:
    return float(DETECTOR.score(row[None, :])[1][0])


@pytest.mark.parametrize(("level", "slack"), [(1e-1, 1.1), (1e-2, 1.25), (1e-3, 1.8)])
@pytest.mark.parametrize("forest", [True, False])
def test_p_is_realised_on_new_honest_rows(level: float, slack: float, forest: bool) -> None:
    detector = DETECTOR if forest else DETECTOR.without_forest()
    assert 1 / slack < realised(detector.score(NEW)[1], level) < slack


def test_no_p_is_below_a_tenth_of_what_calibration_rows_can_say() -> None:
    assert p_of(np.array([1e6, 1e6, 1e6, -1e6, 1e6])) == pytest.approx(1 / 200_000)


@pytest.mark.parametrize(("feature", "adverse"), [(0, 12.0), (1, 9.0), (2, 60.0), (3, -12.0), (4, 12.0), (4, -12.0)])
def test_a_far_value_on_the_adverse_side_is_found_and_named(feature: int, adverse: float) -> None:
    row = odd(feature, adverse)
    assert p_of(row) < 3e-4
    reasons = DETECTOR.explain(row)
    assert reasons[0][0] == feature
    assert sum(share for _, share, _ in reasons) == pytest.approx(1.0)
    assert reasons[0][2] > 3.0
    assert DETECTOR.leading(row[None, :])[0] == feature


@pytest.mark.parametrize(("feature", "harmless"), [(0, -50.0), (1, -50.0), (3, 50.0)])
def test_the_harmless_side_changes_nothing(feature: int, harmless: float) -> None:
    at_median = DETECTOR.score(odd(feature, DETECTOR.usual(feature)[0])[None, :])
    far = DETECTOR.score(odd(feature, harmless)[None, :])
    assert [part.tobytes() for part in far] == [part.tobytes() for part in at_median]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 999), max_size=8, unique=True))
def test_i1_s_p_and_member_are_the_same_bits_in_any_batch(cuts: list[int]) -> None:
    rows = NEW[:1000] * np.random.default_rng(0).choice([1.0, 5.0], (1000, 1))
    whole = DETECTOR.score(rows)
    parts = [DETECTOR.score(part) for part in np.split(rows, sorted(cuts))]
    assert [np.concatenate(column).tobytes() for column in zip(*parts, strict=True)] == [column.tobytes() for column in whole]


def test_each_member_speaks_for_what_only_it_sees() -> None:
    _, _, member = DETECTOR.score(NEW)
    assert {DETECTOR.members[m].name for m in member.tolist()} == {"forest", "tail_sum", "tail_max"}
    assert set(DETECTOR.without_forest().score(NEW)[2].tolist()) == {1, 2}


def test_usual_is_the_median_and_the_adverse_tenth() -> None:
    training = honest(20_000, 1)
    assert DETECTOR.usual(0) == pytest.approx(np.quantile(training[:, 0], [0.5, 0.9]), abs=1e-3)
    assert DETECTOR.usual(3) == pytest.approx(np.quantile(training[:, 3], [0.5, 0.1]), abs=1e-3)


def test_members_left_out_of_the_table_never_speak() -> None:
    two = train(table(members='"forest", "tail_sum"'), honest(2000, 1), honest(2000, 2)).detector
    assert set(two.score(NEW)[2].tolist()) == {0, 1}


def test_the_trim_keeps_attackers_among_the_training_rows_out_of_the_forest() -> None:
    poisoned = honest(20_000, 1)
    poisoned[:200, 0] = 12.0 + np.random.default_rng(1).normal(size=200) * 0.1  # 1 %, under the 5 % trim
    clean_depth = FOREST.score(DETECTOR.clamped(odd(0, 12.0)[None, :]))[0]
    trained = train(table(), poisoned, honest(20_000, 2)).detector
    assert forest_of(trained).score(trained.clamped(odd(0, 12.0)[None, :]))[0] == pytest.approx(clean_depth, abs=0.02)
    untrimmed = fit(trained.clamped(poisoned)).score(trained.clamped(odd(0, 12.0)[None, :]))[0]
    assert untrimmed < clean_depth - 0.02


def test_same_rows_and_seed_give_the_same_model_and_another_seed_another() -> None:
    def model_id(seed: int) -> str:
        return train(table(), honest(1000, 1), honest(1000, 2), seed).detector.model_id

    assert model_id(1) == model_id(1) != model_id(2)


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (np.zeros((50, 5)), "50 honest rows are too few"),
        (np.zeros((500, 4)), r"expected \(n, 5\)"),
        (np.full((500, 5), np.nan), "rows must be finite numbers"),
    ],
)
def test_rows_that_cannot_train_are_refused(X: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        train(table(), X, honest(500, 2))


def test_constant_rows_train_and_anything_else_is_then_odd() -> None:
    detector = train(table(), np.ones((500, 5)), np.ones((500, 5))).detector
    assert detector.score(np.ones((1, 5)))[1][0] == 1.0
    assert detector.score(np.full((1, 5), 9.0))[1][0] < 1e-2


def test_nan_rows_are_refused_when_scoring() -> None:
    with pytest.raises(ValueError, match="rows must be finite numbers"):
        DETECTOR.score(np.full((1, 5), np.nan))


def test_an_entity_gives_at_most_its_cap_and_the_choice_is_stable() -> None:
    entities = np.repeat(np.arange(4), [1, 5, 500, 50])
    rows = capped(entities, 20, seed=1)
    assert np.bincount(entities[rows]).tolist() == [1, 5, 20, 20]
    assert rows.tolist() == sorted(rows.tolist()) == capped(entities, 20, seed=1).tolist()


def test_no_entity_stands_in_both_halves() -> None:
    entities = np.random.default_rng(1).integers(0, 300, 5000)
    training = halves(entities, seed=1)
    assert set(entities[training]).isdisjoint(entities[~training])
    assert 0.4 < training.mean() < 0.6


def test_no_rows_give_no_judgement() -> None:
    assert [len(column) for column in DETECTOR.score(np.zeros((0, 5)))] == [0, 0, 0]


def themed(*themes: str, members: str = "", directions: tuple[str, ...] = DIRECTIONS) -> Detector:
    """A detector whose members are themes, each given as `member`, features, weight."""
    text = table_text(directions, members) + "".join(f"[[themes]]\n{theme}\n" for theme in themes)
    return train(parse(text.encode(), "probe"), honest(20_000, 1), honest(20_000, 2)).detector


def test_a_theme_reads_only_its_features() -> None:
    detector = themed('name = "pair"\nmember = "tail_min"\nfeatures = ["f1", "f0"]')
    row = odd(3, -12.0)
    assert detector.score(row[None, :])[1][0] > 0.1
    assert detector.members[0].features == (0, 1)


def test_all_at_once_is_odd_only_where_all_its_features_are() -> None:
    detector = themed('name = "pair"\nmember = "tail_min"\nfeatures = ["f0", "f1"]')
    one, both = odd(0, 12.0), odd(0, 4.0)
    both[1] = np.log2(1 + 7)
    p = detector.score(np.array([one, both]))[1]
    assert p[1] < 1e-3 < 0.1 < p[0]
    assert {j for j, _, _ in detector.explain(both)} == {0, 1}


def test_a_themes_p_is_divided_by_its_weight_and_the_whole_calibrated_again() -> None:
    light, heavy = (
        themed(f'name = "a"\nmember = "tail_max"\nfeatures = ["f0"]\nweight = {w}', 'name = "b"\nmember = "tail_max"\nfeatures = ["f4"]')
        for w in (0.02, 1.0)
    )
    row = odd(0, 4.2)[None, :]
    assert light.score(row)[1][0] > 3 * heavy.score(row)[1][0]
    for detector in (light, heavy):
        assert 1 / 1.8 < realised(detector.score(NEW)[1], 1e-3) < 1.8


@pytest.mark.parametrize(("kind", "level"), [("forest", 1e-2), ("contrasts", 3e-3)])
def test_a_forest_over_context_sees_what_is_odd_only_in_its_company_and_tails_do_not(kind: str, level: float) -> None:
    """f0 is high only where f1 is; the odd rows are high in f0 alone, each value usual by itself."""
    rng = np.random.default_rng(7)

    def rows(n: int) -> F64:
        busy = rng.random(n) < 0.2
        return np.column_stack([np.where(busy, 6.0, 0.0) + rng.normal(size=n), np.where(busy, 6.0, 0.0) + rng.normal(size=n)])

    text = table_text(("high", "context"), '"tail_sum"') + f'[[themes]]\nname = "company"\nmember = "{kind}"\nfeatures = ["f0", "f1"]\n'
    detector = train(parse(text.encode(), "probe"), rows(20_000), rows(20_000)).detector
    alone = np.column_stack([6.0 + rng.normal(size=200), rng.normal(size=200)])
    assert (detector.score(alone)[1] <= level).mean() > 0.5 + (detector.without_forest().score(alone)[1] <= level).mean()
    assert {j for j, _, _ in detector.explain(alone[0])} == {0, 1}


def test_reasons_and_leading_come_from_the_member_that_spoke() -> None:
    detector = themed(
        'name = "a"\nmember = "tail_max"\nfeatures = ["f0"]\nweight = 1e-3', 'name = "b"\nmember = "tail_max"\nfeatures = ["f1"]'
    )
    row = odd(0, 6.0)  # odder than what follows, but its detector has next to no weight
    row[1] = np.log2(1 + 8)
    assert [j for j, _, _ in detector.explain(row)] == [1]
    assert detector.leading(row[None, :])[0] == 1


def test_one_row_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="probe: 1 honest rows are too few; at least 100 in each half"):
        train(table(), honest(1, 1), honest(500, 2))


def test_a_constant_feature_says_nothing_until_it_moves() -> None:
    constant, held_back = honest(5000, 1), honest(5000, 2)
    constant[:, 1] = held_back[:, 1] = 3.0
    detector = train(table(), constant, held_back).detector
    new = honest(5000, 3)
    new[:, 1] = 3.0
    assert 1 / 1.8 < realised(detector.score(new)[1], 1e-2) < 1.8
    row = new[:1].copy()
    row[0, 1] = 12.0
    assert detector.explain(row[0])[0][0] == 1


def test_contrasts_of_a_constant_are_finite() -> None:
    rows = np.column_stack([np.zeros(500), np.arange(500.0)])
    text = table_text(("high", "context"), "") + '[[themes]]\nname = "c"\nmember = "contrasts"\nfeatures = ["f0", "f1"]\n'
    detector = train(parse(text.encode(), "probe"), rows, rows).detector
    assert np.isfinite(detector.score(rows)[1]).all()


def test_an_entity_with_half_of_all_rows_becomes_usual_and_does_not_flood() -> None:
    rows, entity = honest(10_000, 2), np.arange(10_000) // 10
    rows[:5000, 0], entity[:5000] = 8.0 + 0.01 * rows[:5000, 0], 5000
    detector = train(table(), honest(10_000, 1), rows, entities=entity).detector
    assert detector.score(rows)[1][:5000].min() > 1e-3
    assert realised(detector.score(honest(10_000, 3))[1], 1e-2) < 1.8
