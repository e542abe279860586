"""A small city through the whole backtest: what the harness promises about learning from the past and being repeatable."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from detector.decode import Decoder
from detector.learn.backtest import report, running
from detector.learn.backtest.campaign import run
from detector.learn.backtest.matching import verdict
from detector.learn.backtest.measures import figures
from detector.learn.backtest.placing import MONDAY, Calendar, Plan
from detector.learn.backtest.running import Seed
from detector.learn.backtest.stream import CityDays, config_of
from detector.pipeline import Router
from detector.privacy import MemoryKeyring, Privacy
from detector.simulate import KINDS, City, Placed

PLAN = Plan((3,), people=20, calendar=Calendar(1, 0, 2), attacks=("port-scan", "brute-force"), strengths=("loud",))
RIVALS = ["ours", "without forests", "tuned rules", "SOC rules", "never-seen pairs", "plain forest"]


@pytest.fixture(scope="module")
def city() -> Seed:
    return running.city(PLAN, 3)


def test_every_rival_judges_the_same_events(city: Seed) -> None:
    assert list(city.outcomes) == RIVALS
    honest = {int(outcome.tally.honest.sum()) for outcome in city.outcomes.values()}
    assert len(honest) == 1
    assert honest.pop() > 1000


def test_the_attacks_leave_events_and_margins_on_the_days_that_count(city: Seed) -> None:
    assert {one.kind for one in city.labels} == {"port-scan", "brute-force"}
    assert all(city.begin <= one.start < city.end for one in city.labels)
    for one in city.labels:
        assert int(city.outcomes["ours"].tally.attack[one.number].sum()) == one.events


def test_a_loud_scan_and_a_loud_guess_are_found(city: Seed) -> None:
    numbers = {number for one in city.outcomes["ours"].sightings for number in one.truth}
    assert {one.number for one in city.labels} <= numbers


def test_nothing_that_began_before_the_test_days_is_counted(city: Seed) -> None:
    for outcome in city.outcomes.values():
        assert all(one.opened >= city.begin or max(one.sent) >= city.begin for one in outcome.sightings)


def test_a_warm_up_full_of_attacks_neither_blinds_nor_floods(tmp_path: Path) -> None:
    before = [Placed(kind, strength="loud", day=0, seed=seed) for seed, kind in enumerate(KINDS)]
    after = [Placed(kind, strength="loud", day=1, seed=50) for kind in PLAN.attacks]
    town = City(3, PLAN.people, MONDAY, attacks="none", placed=(*before, *after))
    config = config_of(town, PLAN, tmp_path)
    router = Router(Decoder.of(config), Privacy.of(config, MemoryKeyring(bytes(32))))
    seed = running.carried(CityDays(town, config, router, PLAN.calendar.days), PLAN, 3)
    said = [one for one in seed.outcomes["ours"].sightings if any(at >= seed.begin for at in one.sent)]
    late = {one.number for one in seed.labels if one.start >= seed.begin}
    assert len(late) == len(after)
    assert late <= {number for one in said for number in one.truth}
    false = [one for one in said if verdict(one, seed.labels) in ("honest", "noise")]
    assert len(false) <= 2 * PLAN.calendar.test * len({one.tenant for one in seed.labels})


@pytest.mark.soak
def test_equal_plans_give_equal_figures_however_many_processes(city: Seed) -> None:
    done: list[int] = []
    again = run(PLAN, 1, lambda day, _of: done.append(day))
    assert done == [1, 2, 3]
    ours = next(one for one in again.figures if one.rival == "ours")
    assert dataclasses.asdict(figures([city], "ours", 20)) == dataclasses.asdict(ours)
    assert again.placed == len(city.labels)


@pytest.mark.soak
def test_two_processes_say_what_one_says() -> None:
    plan = dataclasses.replace(PLAN, seeds=(3, 4))
    assert report.markdown(run(plan, 2)) == report.markdown(run(plan, 1))


@pytest.mark.soak
def test_the_verb_prints_json_and_writes_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = ["backtest", "--quick", "--people", "20", "--json", "--html", str(page)]
    done = subprocess.run([sys.executable, "-m", "detector", *words], capture_output=True, check=True)
    assert [one["rival"] for one in json.loads(done.stdout)["figures"]] == RIVALS
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--attacks", "earthquake"], b"tuermer: no attack is called earthquake; there are "),
        (["--html", "nowhere/page.html"], b"tuermer: nowhere is no folder; --html wants a file in one that exists\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_sentence(words: list[str], sentence: bytes, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "detector", "backtest", *words], capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert done.stderr.count(b"\n") == 1
