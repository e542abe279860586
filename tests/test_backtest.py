"""The backtest's rules and figures on small made-up cases; tests/test_backtest_city.py runs a real one."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from detector.features.state import scale
from detector.features.table import read_all
from detector.forest import fit
from detector.judge.findings import MODELS
from detector.learn.backtest import measures, placing, report, rivals
from detector.learn.backtest.campaign import Report
from detector.learn.backtest.ledger import Sighting
from detector.learn.backtest.matching import LAG, find, verdict
from detector.learn.backtest.placing import BacktestError, Calendar, Plan
from detector.learn.backtest.running import Outcome, Seed
from detector.learn.backtest.stream import Label
from detector.learn.backtest.tally import BINS, Tally
from detector.learn.registry import SHIPPED
from detector.simulate import KINDS, STRENGTHS

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
BEGIN = placing.MONDAY.timestamp().__trunc__() * 1_000_000 + 5 * DAY
TABLES = read_all(SHIPPED)


def label(number: int = 1, *, kind: str = "port-scan", strength: str = "usual", start: int = BEGIN + HOUR) -> Label:
    sources, accounts = frozenset({"ip-1"}), frozenset({"u-1"})
    return Label(number, kind, strength, "T1046", "stadt", "rathaus", start, start + HOUR, 100, sources, accounts)


def sighting(truth: dict[int, int], *, opened: int = BEGIN + HOUR, sent: bool = True, **more: object) -> Sighting:
    opener = next(iter(truth))
    one = Sighting(
        "id", 1, "stadt", "rathaus", "firewall-source", "discovery", "source.ip", "ip-9", opened, 1e-5, opener, "ports_10m", "medium",
        truth=truth, since=dict.fromkeys(truth, opened), wished=[(opened, "budget" if sent else "hour")],
    )  # fmt: skip
    return dataclasses.replace(one, **more)  # type: ignore[arg-type] # fields of the case at hand


# --- which incident speaks of which attack ---


def test_an_incident_with_one_line_of_an_attack_is_true() -> None:
    assert verdict(sighting({0: 30, 1: 1}), [label()]) == "true"


def test_an_incident_of_honest_lines_is_false_and_noise_is_told_apart() -> None:
    assert verdict(sighting({0: 3}), [label()]) == "honest"
    assert verdict(sighting({-1: 3, 0: 9}), [label()]) == "noise"


def test_what_the_attackers_own_address_leaves_behind_for_a_day_is_neither_true_nor_false() -> None:
    after = label().end + LAG
    assert verdict(sighting({0: 1}, entity="ip-1", opened=after), [label()]) == "aftermath"
    assert verdict(sighting({0: 1}, entity="ip-1", opened=after + 1), [label()]) == "honest"
    assert verdict(sighting({0: 1}, entity="ip-1", tenant="stadtwerke"), [label()]) == "honest"


def test_only_the_account_that_was_entered_has_an_aftermath() -> None:
    assert verdict(sighting({0: 1}, kind="user.name", entity="u-1"), [label()]) == "aftermath"
    assert verdict(sighting({0: 1}, kind="user.name", entity="u-2"), [label()]) == "honest"


def test_an_attack_is_found_when_a_notification_goes_out_and_the_time_runs_from_its_first_line() -> None:
    found = find(label(), [sighting({1: 5}, opened=BEGIN + HOUR + 3 * MINUTE)], 0.5)
    assert (found.fate, found.delay) == ("found", 3 * MINUTE)


def test_being_added_to_an_incident_that_was_reported_before_is_not_enough() -> None:
    joined = sighting({-1: 9, 1: 5}, opened=BEGIN, since={-1: BEGIN, 1: BEGIN + HOUR})
    assert find(label(), [joined], 0.5).fate == "recorded"
    again = dataclasses.replace(joined, wished=[(BEGIN, "budget"), (BEGIN + 2 * HOUR, "budget")])
    assert find(label(), [again], 0.5).delay == HOUR


def test_what_the_budget_held_back_is_not_found() -> None:
    assert find(label(), [sighting({1: 5}, sent=False)], 0.5).fate == "held"


def test_a_near_miss_came_within_ten_times_the_threshold() -> None:
    assert find(label(), [sighting({0: 5})], -0.9).fate == "near"
    assert find(label(), [], -1.1).fate == "unseen"


# --- figures ---


def seed(sightings: list[Sighting], labels: list[Label], tally: Tally | None = None) -> Seed:
    return Seed(0, labels, {"ours": Outcome(sightings, tally or Tally())}, BEGIN, BEGIN + 4 * DAY, 1000, {})


def test_several_incidents_about_one_attack_are_one_find_and_none_is_false() -> None:
    about = [sighting({1: 5}, number=n) for n in (1, 2, 3)]
    figures = measures.figures([seed([*about, sighting({0: 1}, incident="b")], [label()])], "ours", 20)
    assert figures.precision is not None
    assert figures.precision.value == 0.5
    assert figures.recall["usual"].value == 1.0


def test_noise_counts_against_precision_unless_it_is_left_out() -> None:
    figures = measures.figures([seed([sighting({1: 5}), sighting({-1: 1})], [label()])], "ours", 20)
    assert figures.precision is not None
    assert figures.precision_without_noise is not None
    assert (figures.precision.value, figures.precision_without_noise.value) == (0.5, 1.0)


def test_days_without_an_incident_count_as_days_within_the_budget() -> None:
    many = [sighting({0: 1}, incident=str(n), opened=BEGIN + HOUR) for n in range(21)]
    figures = measures.figures([seed(many, [label()])], "ours", 20)
    assert figures.per_day == [21, 0, 0, 0]
    assert figures.within_budget.value == 0.75
    assert figures.busiest_day == 21


def test_what_is_rare_among_honest_events_sets_the_line_for_recall_at_few_false_positives() -> None:
    tally = Tally()
    tally.honest[400], tally.honest[700] = 9_999, 1
    tally.attack[1] = np.zeros(BINS, np.int64)
    tally.attack[1][[300, 500]] = [1, 3]
    figures = measures.figures([seed([], [label()], tally)], "ours", 20)
    assert figures.at_false_positives is not None
    assert figures.at_false_positives.value == 0.75


def test_silence_is_not_a_find_at_few_false_positives() -> None:
    tally = Tally()
    tally.honest[0] = 100
    tally.attack[1] = np.bincount([0, 0], minlength=BINS)
    figures = measures.figures([seed([], [label()], tally)], "ours", 20)
    assert figures.at_false_positives is not None
    assert figures.at_false_positives.value == 0.0


def test_calibration_is_the_realised_over_the_stated_share() -> None:
    tally = Tally(calibration={"auth-user": np.array([10_000, 150, 10, 4])})
    (one,) = measures.calibration([tally])
    assert one.realised == pytest.approx({"0.01": 1.5, "0.001": 1.0, "0.0001": 4.0})


def test_an_interval_over_five_seeds_is_students() -> None:
    of = measures.estimate([0.8, 0.9, 1.0, 0.9, 0.9])
    assert of.value == pytest.approx(0.9)
    assert of.high - of.value == pytest.approx(2.776 * math.sqrt(0.005 / 5), rel=1e-3)


def test_wilsons_interval_of_all_found_does_not_reach_down_to_nothing() -> None:
    low, high = measures.wilson(5, 5)
    assert low == pytest.approx(0.5655, abs=1e-4)
    assert high == pytest.approx(1.0)


# --- rivals ---


def test_every_rule_names_features_that_exist() -> None:
    names = {rule.set for rule in rivals.rules()}
    assert names == {"soc", "tuned", "pairs"}
    for name in names:
        assert set(rivals.by_rules(TABLES, name).scorers) == set(MODELS)


@pytest.mark.parametrize("rule", rivals.rules(), ids=lambda rule: f"{rule.set} {rule.model} {'+'.join(rule.when)}")
def test_a_rule_speaks_at_its_amounts_and_not_below(rule: rivals.Rule) -> None:
    table = TABLES[rule.model]
    scorer = rivals.by_rules(TABLES, rule.set).scorers[rule.model]
    amounts = np.zeros((2, len(table.features)))
    for feature, amount in rule.when.items():
        amounts[:, table.names.index(feature)] = (amount * (1 + 1e-9), amount * 0.2)
    _, p, _ = scorer.score(scale(table, amounts))
    assert p[0] <= scorer.threshold_p < p[1]
    assert table.names[scorer.leading(scale(table, amounts[:1]))[0]] in rule.when


def test_a_model_without_rules_is_silent() -> None:
    scorer = rivals.RuleScorer(TABLES["auth-user"], np.zeros((0, len(TABLES["auth-user"].features))), "none")
    _, p, _ = scorer.score(np.full((3, len(TABLES["auth-user"].features)), 99.0))
    assert (p > scorer.threshold_p).all()


def test_the_plain_forest_finds_what_is_rare_and_states_the_share_of_its_reference() -> None:
    X = np.random.default_rng(0).normal(size=(2000, 3))
    forest = fit(X[:1000], 50, 128, 0)
    scorer = rivals.PlainForest(forest, np.sort(forest.plain_score(X[1000:])), "plain", 1e-3)
    _, p, _ = scorer.score(np.array([[0.0, 0.0, 0.0], [8.0, 8.0, 8.0]]))
    assert p[0] > 0.2
    assert p[1] == pytest.approx(1 / 1001)


# --- plans ---


def test_every_attack_stands_at_every_strength_on_a_day_that_counts_but_not_the_last() -> None:
    plan = Plan((3,), calendar=Calendar(4, 1, 9), repeats=2)
    there = placing.placed(plan, 3)
    assert sorted((one.attack, one.strength) for one in there) == sorted(2 * [(a, s) for a in KINDS for s in STRENGTHS])
    assert {one.day for one in there} == set(range(5, 13))
    assert there == placing.placed(plan, 3)
    assert there != placing.placed(plan, 4)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (Plan((1001,)), "seed 1001 is a city that the shipped baselines learned from"),
        (Plan((1, 1)), "name one seed or more, each once"),
        (Plan((1,), attacks=("earthquake",)), "no attack is called earthquake; there are "),
        (Plan((1,), strengths=("deafening",)), "no strength is called deafening; there are loud, usual, quiet"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_the_reason(plan: Plan, sentence: str) -> None:
    with pytest.raises(BacktestError, match=sentence):
        placing.planned(plan)


def test_a_calendar_leaves_days_to_learn_and_days_to_test() -> None:
    assert Calendar.of(14, 4, 1) == Calendar(4, 1, 9)
    with pytest.raises(BacktestError, match="without a warm-up day everything is new"):
        Calendar.of(14, 0, 1)
    with pytest.raises(BacktestError, match="leave less than two days to test"):
        Calendar.of(6, 4, 1)


@pytest.mark.parametrize(("text", "seeds"), [("100-104", (100, 101, 102, 103, 104)), ("0,3", (0, 3)), ("7", (7,))])
def test_seeds_are_written_as_a_span_or_one_by_one(text: str, seeds: tuple[int, ...]) -> None:
    assert placing.seeds_of(text) == seeds
    with pytest.raises(BacktestError, match="write 100-104 or 0,3,7"):
        placing.seeds_of(text + "-x")


# --- reports ---


def made() -> Report:
    """Two seeds, two rivals: one finds the attack named after markup, one finds nothing."""
    attack = label(kind="<b>scan</b>")
    seeds = []
    for number in (0, 1):
        outcomes = {"ours": Outcome([sighting({1: 5})], Tally()), "tuned rules": Outcome([sighting({0: 1})], Tally())}
        seeds.append(Seed(number, [attack], outcomes, BEGIN, BEGIN + 2 * DAY, 1000, {}))
    figures = [measures.figures(seeds, name, 20) for name in ("ours", "tuned rules")]
    return Report(Plan((0, 1)), 2000, 2, {"auth-user": "auth-user-1"}, figures)


def test_the_page_needs_nothing_from_elsewhere_and_escapes_what_it_shows() -> None:
    page = report.html(made())
    assert "&lt;b&gt;scan&lt;/b&gt;" in page
    assert "<b>scan" not in page
    assert not any(word in page for word in ("<script", "http:", "https:", "src=", "@import", "url("))


def test_json_says_what_the_tables_say() -> None:
    whole = json.loads(json.dumps(report.as_json(made())))
    assert [one["rival"] for one in whole["figures"]] == ["ours", "tuned rules"]
    assert whole["figures"][0]["recall"]["usual"]["value"] == 1.0
    assert whole["goals"][0] == {"goal": "recall of incidents at usual strength ≥ 90 %", "reached": True, "figure": "100 %"}


def test_markdown_has_a_line_for_each_rival_and_each_goal() -> None:
    text = report.markdown(made())
    assert "| ours | 100 % |" in text
    assert "| tuned rules | 0 % |" in text
    assert text.count("| yes |") + text.count("| **no** |") == len(report.goals(made()))


def test_a_rival_that_finds_more_at_the_same_price_is_named() -> None:
    better = made()
    turned = dataclasses.replace(better, figures=[better.figures[1], dataclasses.replace(better.figures[0], rival="them")])
    assert report.goals(turned)[-1][1:] == ("them", False)
