"""The notification budget: a pure token bucket per tenant, with a lane of its own for what is urgent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.judge.budget import DAY, Bucket, decide, full

HOUR = DAY // 24


def sent(times: list[int], per_day: int, urgent: bool = False) -> int:
    """How many of the wishes at these times (µs, rising) leave."""
    bucket, count = full(per_day, 0), 0
    for now in times:
        bucket, answer = decide(bucket, per_day, urgent, now)
        count += answer == "sent"
    return count


def test_a_burst_may_take_a_quarter_of_the_day() -> None:
    assert sent([1] * 100, 20) == 5


def test_the_smallest_budget_still_lets_one_leave() -> None:
    assert sent([1] * 100, 1) == 1


@pytest.mark.parametrize("per_day", [1, 20, 100])
def test_a_day_of_noise_gets_the_budget_and_no_more_than_one_burst_beyond(per_day: int) -> None:
    asked = [minute * 60_000_000 for minute in range(24 * 60)]
    assert per_day - 1 <= sent(asked, per_day) <= per_day * 1.25 + 1


@given(st.lists(st.integers(0, 10 * DAY), min_size=1, max_size=300).map(sorted), st.integers(1, 50))
def test_never_more_than_the_days_times_the_budget_plus_a_burst(times: list[int], per_day: int) -> None:
    days = times[-1] / DAY
    assert sent(times, per_day) <= days * per_day + max(1.0, per_day / 4) + 1e-6


def test_urgent_ones_always_leave_and_cost_nothing() -> None:
    empty = Bucket(0.0, 0)
    after, answer = decide(empty, 20, True, 0)
    assert (answer, after) == ("sent", empty)
    assert decide(empty, 20, False, 1)[1] == "held"


def test_a_clock_that_goes_backwards_gives_nothing_and_takes_nothing() -> None:
    bucket = Bucket(0.5, 5 * HOUR)
    assert decide(bucket, 20, False, 3 * HOUR) == (bucket, "held")


def test_asking_often_does_not_fill_the_bucket_faster() -> None:
    often, seldom = Bucket(0.0, 0), Bucket(0.0, 0)
    for now in range(0, 3 * HOUR + 1, HOUR // 8):
        often, _ = decide(often, 24, True, now)
    seldom, _ = decide(seldom, 24, True, 3 * HOUR)
    assert often.tokens == pytest.approx(seldom.tokens)
