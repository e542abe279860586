"""The notification budget: a pure purse per tenant, with a lane of its own for what is urgent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.judge import budget
from detector.judge.budget import HOUR, Purse, Wish, full
from detector.judge.policy import Policy, Standing, decide
from tests.test_store import an_incident

DAY = 24 * HOUR
ZONE = "Europe/Berlin"
SUMMER = 1_780_000_000_000_000  # µs, 2026-05-28 20:26:40 UTC
MIDNIGHT = SUMMER - SUMMER % DAY + 22 * HOUR  # 00:00 in Berlin


def wish(number: int = 0, network: str = "", *, urgent: bool = False, raised: bool = False) -> Wish:
    return Wish(urgent, (f"entity {number}", f"network {network or number}"), raised)


def leave(asked: list[tuple[int, Wish]], per_day: int) -> list[int]:
    """The times (µs, as asked) at which a notification leaves."""
    purse, sent = full(per_day, asked[0][0], ZONE), []
    for now, one in asked:
        purse, answer = budget.decide(purse, per_day, one, now, ZONE)
        sent += [now] if answer.sent else []
    return sent


def test_within_an_hour_a_quarter_of_the_day_may_leave() -> None:
    assert len(leave([(MIDNIGHT, wish(n)) for n in range(100)], 20)) == 5
    assert len(leave([(MIDNIGHT + n * HOUR, wish(n)) for n in range(3)], 20)) == 3
    assert len(leave([(MIDNIGHT + HOUR * (n // 50), wish(n)) for n in range(100)], 20)) == 10


def test_the_smallest_budget_still_lets_one_leave() -> None:
    assert len(leave([(MIDNIGHT, wish(n)) for n in range(100)], 1)) == 1


@pytest.mark.parametrize("per_day", [1, 5, 20])
def test_a_day_of_noise_gets_the_budget_and_the_next_day_again(per_day: int) -> None:
    asked = [(MIDNIGHT + minute * 60_000_000, wish(minute)) for minute in range(2 * 24 * 60)]
    sent = leave(asked, per_day)
    assert [sum(MIDNIGHT + day * DAY <= at < MIDNIGHT + (day + 1) * DAY for at in sent) for day in (0, 1)] == [per_day, per_day]


@given(
    st.lists(st.tuples(st.integers(0, 10 * DAY), st.integers(0, 40)), min_size=1, max_size=300).map(sorted),
    st.integers(1, 20),
)
def test_no_local_day_gets_more_than_the_budget_and_no_origin_more_than_its_share(asked: list[tuple[int, int]], per_day: int) -> None:
    purse, by_day, by_origin = full(per_day, SUMMER, ZONE), dict[int, int](), dict[tuple[int, int], int]()
    for after, number in asked:
        now = SUMMER + after
        purse, answer = budget.decide(purse, per_day, wish(number), now, ZONE)
        day = budget.local_day(now, ZONE)
        by_day[day] = by_day.get(day, 0) + answer.sent
        by_origin[day, number] = by_origin.get((day, number), 0) + answer.sent
    assert max(by_day.values()) <= per_day
    assert max(by_origin.values()) <= max(1, per_day // 5)


def test_the_day_is_the_one_on_the_tenants_wall() -> None:
    before, after = MIDNIGHT - 1, MIDNIGHT
    assert budget.local_day(after, ZONE) == budget.local_day(before, ZONE) + 1
    assert budget.local_day(after, "UTC") == budget.local_day(before, "UTC")


def test_a_flood_from_one_network_or_about_one_entity_takes_at_most_a_fifth() -> None:
    flood = [(MIDNIGHT + minute * 60_000_000, wish(minute, "203.0.113.0/24")) for minute in range(12 * 60)]
    others = [(MIDNIGHT + 13 * HOUR + n * HOUR // 2, wish(10_000 + n)) for n in range(20)]
    sent = leave([*flood, *others], 20)
    assert sum(at < MIDNIGHT + 12 * HOUR for at in sent) == 4
    assert len(sent) == 20
    one = [(MIDNIGHT + minute * 60_000_000, Wish(False, ("entity x", f"network {minute}"), False)) for minute in range(12 * 60)]
    assert len(leave(one, 20)) == 4


def test_what_became_more_severe_passes_its_share_but_pays() -> None:
    first, again, raised = ((MIDNIGHT + n * HOUR, wish(1, raised=n == 2)) for n in range(3))
    assert leave([first, again, raised], 5) == [MIDNIGHT, MIDNIGHT + 2 * HOUR]
    assert len(leave([(MIDNIGHT + n * HOUR, wish(1, raised=True)) for n in range(20)], 5)) == 5


def test_urgent_ones_always_leave_and_cost_nothing() -> None:
    purse = Purse(0.0, MIDNIGHT, budget.local_day(MIDNIGHT, ZONE), 20, {})
    after, answer = budget.decide(purse, 20, wish(urgent=True), MIDNIGHT, ZONE)
    assert (answer, after) == ((True, "urgent"), purse)
    assert budget.decide(purse, 20, wish(), MIDNIGHT + 1, ZONE)[1] == (False, "day")


def test_a_clock_that_goes_backwards_gives_nothing_and_takes_nothing() -> None:
    purse = Purse(0.5, MIDNIGHT + 5 * HOUR, budget.local_day(MIDNIGHT + 5 * HOUR, ZONE), 3, {"entity 1": 1})
    assert budget.decide(purse, 20, wish(), MIDNIGHT - 3 * HOUR, ZONE) == (purse, (False, "hour"))


def test_asking_often_does_not_fill_the_purse_faster() -> None:
    empty = Purse(0.0, MIDNIGHT, budget.local_day(MIDNIGHT, ZONE), 0, {})
    often = empty
    for now in range(0, HOUR // 10 + 1, HOUR // 80):
        often, _ = budget.decide(often, 20, wish(urgent=True), MIDNIGHT + now, ZONE)
    seldom, _ = budget.decide(empty, 20, wish(urgent=True), MIDNIGHT + HOUR // 10, ZONE)
    assert often.tokens == pytest.approx(seldom.tokens)


def test_an_incident_counts_for_its_entity_and_for_the_network_it_came_from() -> None:
    inside, outside, token = an_incident(), an_incident(entity_kind="service", entity_value="ssh-1"), an_incident()
    assert budget.origins(inside, {"source.network": "clients", "source.ip": "10.0.0.1"})[1] == "network clients"
    assert budget.origins(outside, {"source.ip": "198.51.100.7"}) == ("entity service ssh-1", "network 198.51.100.0/24")
    assert budget.origins(outside, {"source.ip": "2001:db8:1:2::7"})[1] == "network 2001:db8:1::/48"
    assert budget.origins(token, {"source.ip": "ip-0123456789abcdef"}) == ("entity source.ip 198.51.100.7",)


@pytest.mark.parametrize(
    ("standing", "urgent", "expected"),
    [
        (Standing(), False, ("sent", "budget")), (Standing(learning=True), False, ("learning", "budget")),
        (Standing(learning=True), True, ("sent", "urgent")), (Standing(window=1), False, ("maintenance", "maintenance")),
        (Standing(window=1), True, ("sent", "urgent")), (Standing(suppression=1, window=1), False, ("suppressed", "suppressed")),
        (Standing(suppression=1, learning=True), False, ("suppressed", "suppressed")),
    ],
)  # fmt: skip
def test_suppression_window_and_learning_keep_an_incident_from_people_but_nothing_urgent(
    standing: Standing, urgent: bool, expected: tuple[str, str]
) -> None:
    purse = full(5, MIDNIGHT, ZONE)
    assert decide(Policy(), purse, wish(urgent=urgent), standing, MIDNIGHT, ZONE)[1] == expected


def test_while_learning_the_purse_is_spent_as_if_it_were_not() -> None:
    purse, answers = full(5, MIDNIGHT, ZONE), []
    for n in range(3):
        purse, decision = decide(Policy(), purse, wish(n), Standing(learning=True), MIDNIGHT, ZONE)
        answers.append(decision)
    assert answers == [("learning", "budget"), ("learning", "budget"), ("learning", "hour")]
