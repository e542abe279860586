"""Rules as a member: in the form in which people write them, judged and explained like the others; and days that weights count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.features.table import ModelTable, TableError, parse
from detector.forest import artefact
from detector.forest.detector import Detector
from detector.learn.train import Days, train

F64 = NDArray[np.float64]
HEAD = 'name = "probe"\nentity = "source.ip"\nmembers = []\nthreshold = 3e-4\ntitle.de = "x"\ntitle.en = "x"\n'
FEATURE = '[[features]]\nname = "{}"\ntext.de = "x"\ntext.en = "x"\nunit = "{}"\nscale = "{}"\ndirection = "{}"\ntechnique = "T1110"\n'
FEATURES = "".join(
    FEATURE.format(*feature)
    for feature in (
        ("a", "bits", "bits", "high"),
        ("b", "bits", "bits", "high"),
        ("n", "hosts", "log2", "high"),
        ("low", "times", "plain", "low"),
    )
)
RULES = 'member = "rules"\nrules = [{ a = 6.0, b = 4.0 }, { n = 15 }]'


def table(theme: str = RULES, more: str = "") -> ModelTable:
    return parse((HEAD + FEATURES + f'[[themes]]\nname = "rules"\n{theme}\n' + more).encode(), "probe")


def honest(rows: int, seed: int) -> F64:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.exponential(1.0, (rows, 2)), np.log2(1.0 + rng.poisson(1.0, rows)), rng.normal(size=rows)])


DETECTOR = train(table(), honest(20_000, 1), honest(20_000, 2)).detector


def p_of(*row: float, detector: Detector = DETECTOR) -> float:
    return float(detector.score(np.array([row]))[1][0])


def test_a_rule_speaks_only_where_all_that_it_names_is_reached() -> None:
    assert p_of(9.0, 6.0, 1.0, 0.0) < 1e-3
    assert p_of(9.0, 0.1, 1.0, 0.0) > 0.1
    assert p_of(0.1, 9.0, 1.0, 0.0) > 0.1


def test_the_weakest_of_a_rules_features_decides_and_the_strongest_rule_speaks() -> None:
    rows = np.array([[9.0, 6.0, 1.0, 0.0], [18.0, 6.0, 1.0, 0.0], [9.0, 6.0, 8.0, 0.0]])
    assert DETECTOR.members[0].reached(rows).tolist() == [[1.5, 0.25], [1.5, 0.25], [1.5, 2.0]]
    assert DETECTOR.raw_members(rows)[0].tolist() == [1.5, 1.5, 2.0]


def test_an_amount_is_in_the_features_unit() -> None:
    assert DETECTOR.members[0].reached(np.array([[0.0, 0.0, np.log2(1 + 15), 0.0]]))[0, 1] == 1.0


def test_reasons_are_of_the_rule_that_spoke() -> None:
    both, many = np.array([9.0, 6.0, 1.0, 0.0]), np.array([3.0, 0.1, 6.0, 0.0])
    assert {j for j, _, _ in DETECTOR.explain(both)} == {0, 1}
    assert [j for j, _, _ in DETECTOR.explain(many)] == [2]
    assert DETECTOR.leading(np.array([both, many])).tolist() == [0, 2]


def test_how_a_batch_is_cut_changes_no_bit() -> None:
    rows = honest(9_000, 3)
    whole = DETECTOR.score(rows)
    for cut in (1, 4_095, 4_097):
        parts = [DETECTOR.score(part) for part in (rows[:cut], rows[cut:])]
        assert all(np.array_equal(np.concatenate([part[k] for part in parts]), whole[k]) for k in range(3))


def test_rules_are_kept_and_others_than_the_tables_are_refused(tmp_path: Path) -> None:
    DETECTOR.save(tmp_path)
    manifest, arrays = artefact.read(tmp_path, pinned=[artefact.manifest_hash(tmp_path)])
    again = Detector.of_arrays(manifest, arrays)
    assert again.model_id == DETECTOR.model_id
    assert np.array_equal(again.score(honest(100, 4))[1], DETECTOR.score(honest(100, 4))[1])
    artefact.check_schema("here", manifest, table())
    with pytest.raises(artefact.ArtefactError, match="other members"):
        artefact.check_schema("here", manifest, table(RULES.replace("6.0", "6.5")))


@pytest.mark.parametrize("rules", [[], [[]], [[[9, 1.0]]], [[[0, 0.0]]], [[[0, float("inf")]]]])
def test_an_artefact_with_a_rule_that_cannot_be_is_refused(rules: list[list[list[float]]], tmp_path: Path) -> None:
    DETECTOR.save(tmp_path)
    manifest, arrays = artefact.read(tmp_path, pinned=[artefact.manifest_hash(tmp_path)])
    manifest["members"][0]["rules"] = rules
    with pytest.raises(ValueError, match="a rule is empty"):
        Detector.of_arrays(manifest, arrays)


@pytest.mark.parametrize(
    ("theme", "says"),
    [
        ('member = "rules"\nfeatures = ["a"]', "rules are for"),
        ('member = "tail_sum"\nrules = [{ a = 1.0 }]', "rules are for"),
        ('member = "rules"\nrules = [{ c = 1.0 }]', "names features that there are not: c"),
        ('member = "rules"\nrules = [{ low = 1.0 }]', "not much, but little is adverse"),
        ('member = "rules"\nrules = [{ a = 0.0 }]', "probe"),
        ('member = "rules"\nrules = [{ }]', "probe"),
    ],
)
def test_a_table_with_rules_that_mean_nothing_is_refused(theme: str, says: str) -> None:
    with pytest.raises(TableError, match=says):
        table(theme)


def test_a_weight_says_how_often_a_member_may_open_an_incident_not_how_many_rows_it_may_have() -> None:
    """One machine is busy all day in `a`, ten others once each in `b`: by rows `a` is common, by days it is rarer than `b`."""
    theme = 'member = "tail_max"\nfeatures = ["a"]'
    both = table(theme, '[[themes]]\nname = "other"\nmember = "tail_max"\nfeatures = ["b"]\n')
    rows, block = honest(20_000, 5), np.arange(20_000) // 100  # 200 days of 100 rows
    rows[:100, 0] = 30.0 + np.arange(100) / 100
    rows[100:1_100:100, 1] = 30.0 + np.arange(10) / 100
    busy, seldom = np.array([30.5, 0.1, 1.0, 0.0]), np.array([0.1, 30.05, 1.0, 0.0])
    by_rows = train(both, rows, honest(20_000, 6)).detector
    by_days = train(both, rows, honest(20_000, 6), days=Days(rows, block)).detector
    assert by_rows.strength(busy[None])[0] < by_rows.strength(seldom[None])[0]
    assert by_days.strength(busy[None])[0] > by_days.strength(seldom[None])[0]
