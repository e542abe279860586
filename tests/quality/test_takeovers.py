"""A small town: separate detectors find takeovers that one forest over the same features does not. Figures: takeover_report."""

from __future__ import annotations

import pytest

from tests.quality.takeover_report import judged, rivals
from tests.quality.takeovers import run
from tests.quality.town import KINDS, NETS, PEOPLE, Town, episode


def test_a_town_is_the_same_for_the_same_seed_and_has_people_elsewhere() -> None:
    one, again, other = (Town(seed, 60) for seed in (3, 3, 4))
    assert one.days == again.days
    assert one.days != other.days
    kinds = {NETS[login.net].kind for day in one.days for login in day}
    assert {"office", "vpn", "home", "mobile"} <= kinds
    for day, logins in enumerate(one.days):
        assert all(24 * day + 5 <= login.at < 24 * day + 29 for login in logins), f"a login of day {day} lies in another epoch"


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["none", "first-seen"])
def test_separate_detectors_find_what_one_forest_dilutes(mode: str) -> None:
    found = run(0, mode, per_day=9, people=500)
    scores = rivals(found, 0)
    ours, forest = judged(scores["ours"], found), judged(scores["one forest"], found)
    assert ours["far"] >= 85
    assert ours["lateral"] >= 85
    assert ours["d-near"] >= forest["d-near"] + 20
    assert sum(ours[kind] for kind in KINDS) > sum(forest[kind] for kind in KINDS)


def test_an_attacker_of_any_kind_stays_within_the_day_it_is_counted_on() -> None:
    town = Town(5, 60)
    for kind in KINDS:
        for who in range(0, 60, 7):
            logins = episode(town, kind, who, 20, town.dice)
            assert all(24 * 20 + 5 <= login.at < 24 * 20 + 29 and login.who == who < PEOPLE for login in logins)
