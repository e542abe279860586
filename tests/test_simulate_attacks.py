"""Labelled attacks: chosen, placed, repeatable, and as strong as they say."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache

import numpy as np
import pytest

from detector.simulate import KINDS, SHOW, STRENGTHS, TAKEOVERS, TOPICS, Attack, City, Placed, attacks, outside
from detector.simulate.attacks.plot import Pages
from detector.simulate.clock import DAY, HOUR, MINUTE, local_date, midnight, zone
from detector.simulate.wire import Sheet

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
EVERY = tuple(Placed(kind, strength, day=1, seed=seed) for kind in (*KINDS, *TAKEOVERS) for strength in STRENGTHS for seed in range(3))
TECHNIQUES = {
    "port-scan": "T1046", "slow-scan": "T1046", "brute-force": "T1110.001", "password-spraying": "T1110.003", "stuffing": "T1110.004",
    "takeover-night": "T1078", "takeover-office": "T1078", "lateral-movement": "T1021", "kerberos-tickets": "T1558.003",
    "beaconing": "T1071.001", "exfiltration": "T1048", "slow-exfiltration": "T1567.002", "odd-hour-hosts": "T1078", "odd-service": "T1048",
    "odd-path": "T1021.001",
}  # fmt: skip
ENTITIES = {"source.ip", "destination.ip", "destination.port", "user.name", "host.name", "event.dataset"}


@cache
def city() -> City:
    return City(7, people=300, start=MONDAY, attacks="none", placed=EVERY)


def of(kind: str, strength: str) -> list[Attack]:
    return [attack for attack in city().placed if (attack.kind, attack.strength) == (kind, strength)]


def lines(attack: Attack) -> list[bytes]:
    """The lines that an attack leaves, without the city around it."""
    start, end = attack.start - MINUTE, attack.end + MINUTE
    sheets = [Sheet(city().press, zone(start), start, end) for _ in TOPICS]
    attack.write(Pages(sheets[0], sheets[1], np.random.default_rng(1), attack.number))
    pages = [sheet.print() for sheet in sheets]
    return [page.values[page.bounds[k] : page.bounds[k + 1]].tobytes() for page in pages for k in range(len(page.truth))]


def test_there_are_twelve_attacks_three_that_are_odd_in_company_and_six_takeovers() -> None:
    assert len(KINDS) == 15
    assert {kind: TECHNIQUES[kind] for kind in KINDS} == TECHNIQUES
    assert len(TAKEOVERS) == 6
    assert set(SHOW) < set(KINDS)


@pytest.mark.parametrize("kind", [*KINDS, *TAKEOVERS])
def test_a_placed_attack_says_what_it_is_and_lies_on_its_day(kind: str) -> None:
    for strength in STRENGTHS:
        for attack in of(kind, strength):
            assert attack.technique == TECHNIQUES.get(kind, attack.technique)
            assert attack.start < attack.end
            assert local_date(attack.start) == date(2026, 3, 3)
            assert attack.end - attack.start < 24 * HOUR
            assert {name for name, _ in attack.entities} <= ENTITIES
            assert len(attack.entities) >= 1
            assert attack.label()["strength"] == strength


def test_each_kind_happens_once_a_day_when_all_are_wanted() -> None:
    all_day = City(7, start=MONDAY)
    assert all_day.attack_plan(date(2026, 3, 2)) == ()
    for day in range(3, 7):
        plan = all_day.attack_plan(date(2026, 3, day))
        assert [attack.kind for attack in plan] == list(KINDS)
        assert {attack.strength for attack in plan} == {"usual"}
        assert len({attack.number for attack in plan}) == len(KINDS)
        assert all(100 * (day - 2) < attack.number < 100 * (day - 1) for attack in plan)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chosen_attack_comes_alone(kind: str) -> None:
    plan = City(7, start=MONDAY, attacks=(kind,)).attack_plan(date(2026, 3, 3))
    assert [attack.kind for attack in plan] == [kind]


def test_a_rehearsal_shows_each_attack_within_the_first_hours_whatever_the_hour() -> None:
    show = City(7, people=40, start=datetime(2026, 3, 7, 22, 0, tzinfo=UTC), attacks="show", rehearsal_hours=4)  # a Saturday night
    numbers = {attack.number for attack in show.rehearsal}
    assert len(numbers) == len(SHOW)
    seen: set[int] = set()
    for window in show.windows(0, 24):
        seen |= {int(number) for truth in window.truth.values() for number in np.unique(truth) if number > 0}
    assert seen == numbers


def test_a_placed_attack_is_the_same_whatever_else_is_placed() -> None:
    wanted = Placed("lateral-movement", "usual", day=1, seed=2, hour=10.0)
    alone = City(7, start=MONDAY, attacks="none", placed=(wanted,))
    among = City(7, start=MONDAY, attacks="none", placed=(Placed("port-scan", day=2), wanted, Placed("beaconing", day=1)))
    one, other = alone.placed[0], among.placed[1]
    assert (one.start, one.end, one.entities) == (other.start, other.end, other.entities)
    assert one.start - midnight(date(2026, 3, 3)) in range(10 * HOUR, 10 * HOUR + HOUR // 2)
    assert [a.number for a in among.placed] == [1_000_000, 1_000_001, 1_000_002]


def test_another_seed_makes_another_attack_of_the_kind() -> None:
    assert len({attack.start for kind in KINDS for attack in of(kind, "usual")}) > 2.5 * len(KINDS)


@pytest.mark.parametrize(
    "kind", ["port-scan", "slow-scan", "brute-force", "password-spraying", "stuffing", "kerberos-tickets", "beaconing"]
)
def test_louder_is_faster(kind: str) -> None:
    """Lines a second of the first of each strength."""
    rates = [
        len(lines(attack)) / max(1.0, (attack.end - attack.start) / 1e6) for attack in (of(kind, strength)[0] for strength in STRENGTHS)
    ]
    assert rates[0] > rates[1] > rates[2]


@pytest.mark.parametrize("kind", ["takeover-office", "lateral-movement", "odd-hour-hosts", "odd-path", "odd-service"])
def test_louder_is_more(kind: str) -> None:
    counts = [len(lines(of(kind, strength)[0])) for strength in STRENGTHS]
    assert counts[0] > counts[1] > counts[2] > 0


def test_louder_exfiltration_is_more_bytes() -> None:
    for kind in ("exfiltration", "slow-exfiltration", "odd-service"):
        totals = [sum(sent_bytes(line) for line in lines(of(kind, strength)[0])) for strength in STRENGTHS]
        assert totals[0] > totals[1] > totals[2] > 1_000_000


def sent_bytes(line: bytes) -> int:
    """Of a FortiGate line, or of PAN-OS's CSV."""
    return int(line.split(b"sentbyte=")[1].split()[0]) if b"sentbyte=" in line else int(line.split(b",")[32])


def test_honest_lines_are_the_same_with_and_without_placed_attacks() -> None:
    peaceful = City(7, people=60, start=MONDAY, attacks="none")
    placed = [Placed(kind, "loud", day=0, hour=9.0) for kind in KINDS]
    attacked = City(7, people=60, start=MONDAY, attacks="none", placed=placed)
    window, without = attacked.window(50), peaceful.window(50)  # 09:20 on the wall
    assert len(window.attacks) >= 8
    for topic in TOPICS:
        honest = window.records[topic].take(np.flatnonzero(window.truth[topic] <= 0))
        assert honest.values.tobytes() == without.records[topic].values.tobytes()


def provider(attack: Attack) -> outside.Provider:
    octets = [int(part) for part in dict(attack.entities)["source.ip"].split(".")]
    prefix = int.from_bytes(bytes(octets[:3])) << 8
    return next(p for p in outside.ALL if prefix in p.prefixes)


def test_takeovers_come_from_the_kind_of_network_that_they_name() -> None:
    for strength in STRENGTHS:
        for attack in (*of("takeover-near-rare", strength), *of("takeover-lateral", strength)):
            assert provider(attack) in outside.HOMES[outside.COMMON :]
        for attack in (*of("takeover-near-common", strength), *of("takeover-night-near", strength)):
            assert provider(attack) in outside.HOMES[: outside.COMMON]
        for attack in (*of("takeover-far", strength), *of("takeover-night-far", strength)):
            assert not provider(attack).regions[0].startswith("DE")


def test_nights_are_at_night_and_office_hours_in_office_hours() -> None:
    hours = {"takeover-night": (1, 5), "takeover-night-near": (1, 5), "takeover-office": (8, 18), "odd-hour-hosts": (20, 22.5)}
    for kind, (low, high) in hours.items():
        for strength in STRENGTHS:
            for attack in of(kind, strength):
                assert low <= (attack.start - midnight(date(2026, 3, 3))) / HOUR <= high


def test_several_hundred_placed_attacks_are_planned_at_once() -> None:
    many = [Placed("takeover-near-rare", day=day, seed=seed) for day in range(15, 45) for seed in range(10)]
    planned = City(7, people=200, start=MONDAY, attacks="none", placed=many).placed
    assert len({attack.start for attack in planned}) == 300
    assert planned[-1].start - planned[0].start > 28 * DAY


def test_every_planner_is_named_once() -> None:
    assert list(attacks.PLANNERS) == [*KINDS, *TAKEOVERS]
