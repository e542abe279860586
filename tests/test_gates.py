"""The gates: each number, each bound, and what a candidate would have changed. No models here, only what two sides said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.learn import differences, gates
from detector.learn.backtest.ledger import Sighting
from detector.learn.backtest.matching import Fate, Find
from detector.learn.backtest.stream import Label
from detector.learn.duel import DAY, Outcome, Said

START = 1_760_000_000_000_000


def label(number: int, kind: str = "port-scan") -> Label:
    return Label(number, kind, "usual", "T1046", "stadt", "", START, START + 1, 9, frozenset(), frozenset())


def sighting(number: int, p: float = 1e-5, *, attack: int = 0, opened: int = START) -> Sighting:
    return Sighting(
        f"i-{number}", 1, "stadt", "", "auth-source", "discovery", "service", f"srv-{number}", opened, p, attack, "x", "low",
        {attack: 3}, {attack: opened},
    )  # fmt: skip


def said(*incidents: Sighting, fates: tuple[Fate, ...] = (), honest: int = 10_000, low: int = 10) -> Said:
    return Said("m-1", list(incidents), [Find(label(k + 1), fate) for k, fate in enumerate(fates)], honest, low)


def outcome(champion: Said, candidate: Said, model: str = "auth-source") -> Outcome:
    return Outcome(model, champion, candidate, [one.label for one in champion.finds], START, START + 2 * DAY, 1000, 1)


@pytest.mark.parametrize(
    ("was", "now", "passed"),
    [
        (("found", "held"), ("recorded", "found"), True),
        (("found", "unseen"), ("unseen", "found"), True),
        (("found", "held"), ("found", "near"), False),
        ((), (), False),
    ],
)
def test_no_fewer_attacks_are_found_than_by_the_champion(was: tuple[Fate, ...], now: tuple[Fate, ...], passed: bool) -> None:
    gate = gates.attacks(outcome(said(fates=was), said(fates=now)))
    assert (gate.passed, gate.value, gate.low) == (passed, sum(f not in ("near", "unseen") for f in now), sum(f != "unseen" for f in was))


@pytest.mark.parametrize(("low", "passed"), [(4, False), (5, True), (15, True), (16, False), (0, False)])
def test_the_realised_rate_lies_between_half_and_one_and_a_half(low: int, passed: bool) -> None:
    gate = gates.false_positives(outcome(said(), said(low=low)))
    assert gate.passed == passed
    assert gate.value == pytest.approx(low / 10)


def test_too_few_honest_rows_say_nothing_and_do_not_pass_but_a_model_without_probability_need_not() -> None:
    assert not gates.false_positives(outcome(said(), said(honest=1_999, low=2))).passed
    assert gates.false_positives(outcome(said(), said(honest=0, low=0), "auth-service")).passed


@pytest.mark.parametrize(
    ("was", "now", "passed"), [(10, 7, True), (10, 6, False), (10, 13, True), (10, 14, False), (3, 0, True), (0, 4, False)]
)
def test_incidents_a_day_stay_near_the_champions_and_injected_attacks_do_not_count(was: int, now: int, passed: bool) -> None:
    attack = sighting(99, attack=1)
    before, after = (said(*(sighting(k) for k in range(n)), attack) for n in (was, now))
    gate = gates.volume(outcome(before, after))
    assert gate.passed == passed
    assert gate.value == (now / was if was > 0 else None)


def test_only_drift_without_a_cause_fails() -> None:
    assert gates.drift([("a", 0.6, "volume"), ("b", 0.2, None)]).passed
    gate = gates.drift([("a", 0.6, "volume"), ("c", 0.3, None), ("c", 0.4, None)])
    assert (gate.passed, gate.value, "c" in gate.text["de"]) == (False, 1.0, True)


def test_a_window_of_one_entity_or_of_nobody_knows_whom_fails() -> None:
    assert gates.window({"largest_entity": 0.05}).passed
    assert not gates.window({"largest_entity": 0.051}).passed
    assert not gates.window({}).passed


def test_what_appears_vanishes_moves_and_stays_is_told_apart_by_entity_not_by_id() -> None:
    one, two, three = sighting(1, 1e-9), sighting(2, 1e-7), sighting(3, 1e-5)
    again = replace(two, incident="other id", p=1e-10, opened=START + DAY // 2)
    later = replace(three, incident="days later", opened=START + 2 * DAY)
    found = differences.differences(outcome(said(one, two, three), said(one, again, later)))
    assert [(d.sighting.entity, d.what, d.champion, d.candidate) for d in found] == [
        ("srv-1", "moves", 1, 2), ("srv-2", "moves", 2, 1), ("srv-3", "vanishes", 3, None), ("srv-3", "appears", None, 3),
    ]  # fmt: skip
    report = differences.report(outcome(said(one, two, three, fates=("found",)), said(one, again, later, fates=("near",))))
    assert report["counts"] == {"appears": 1, "vanishes": 1, "moves": 2, "same": 0}
    assert report["attacks"] == [{"attack": "port-scan", "strength": "usual", "champion": "found", "candidate": "near"}]
