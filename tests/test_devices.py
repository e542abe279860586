"""A device's clock, and what is kept about devices."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.decode import ecs
from detector.judge.devices import FIELDS, SLOT, TOLERATED, Clocks, Facts, added, correct, facts

MINUTE = 60_000_000
HOUR = 60 * MINUTE
NOON = 1_772_449_200_000_000  # 2026-03-02 11:00 UTC, a full hour


def frame(created: NDArray[np.int64], offset: NDArray[np.int64] | int, observer: list[str] | None = None) -> pl.DataFrame:
    """One event per record time; offset is record time minus event time."""
    names = observer or ["fw1"] * len(created)
    union = ["", *dict.fromkeys(names)]
    return ecs.frame(
        len(created),
        {
            "@timestamp": pl.Series(created - offset).cast(pl.Datetime("us", "UTC")),
            "event.created": pl.Series(created).cast(pl.Datetime("us", "UTC")),
            "observer.name": ecs.text(np.array([union.index(n) for n in names]), union),
            "destination.port": pl.Series(np.arange(len(created), dtype=np.int32) % 3 - 1),
        },
    )


def every(seconds: float, minutes: float) -> NDArray[np.int64]:
    return NOON + np.arange(0, int(minutes * MINUTE), int(seconds * 1e6), dtype=np.int64)


def times(events: pl.DataFrame) -> NDArray[np.int64]:
    return ecs.numbers(events, "@timestamp").astype(np.int64)


def test_a_clock_that_is_an_hour_off_is_put_right_after_five_minutes_and_stays_so_until_it_is_mended() -> None:
    created = every(10, 20)
    clocks: Clocks = {}
    done = correct(clocks, frame(created, np.where(created < NOON + 15 * MINUTE, HOUR, 0)))
    assert np.flatnonzero(done.wrong).tolist() == list(range(30, 90))
    assert (times(done.events)[30:] == created[30:]).all()
    assert (times(done.events)[:30] == created[:30] - HOUR).all()
    assert clocks == {}


def test_a_clock_in_the_future_is_put_right_likewise() -> None:
    created = every(1, 6)
    assert correct({}, frame(created, -2 * HOUR)).wrong.sum() == 60


def test_a_backlog_that_is_delivered_late_keeps_its_times() -> None:
    created = NOON + np.arange(6000, dtype=np.int64) * 100_000  # ten minutes in which three hours are caught up
    late = np.linspace(3 * HOUR, 0, 6000).astype(np.int64)
    assert not correct({}, frame(created, late)).wrong.any()


def test_a_few_lines_or_a_few_minutes_are_not_enough() -> None:
    assert not correct({}, frame(every(1, 4.9), HOUR)).wrong.any()
    assert not correct({}, frame(every(20, 6), HOUR)).wrong.any()


def test_another_devices_clock_does_not_matter() -> None:
    created = np.repeat(every(10, 10), 2)
    names = ["fw1", "fw2"] * (len(created) // 2)
    offset = np.where(np.arange(len(created)) % 2 == 0, HOUR, 0)
    done = correct({}, frame(created, offset, names))
    assert not done.wrong[1::2].any()
    assert done.wrong[0::2].sum() == 30


OFFSETS = st.sampled_from([0, 0, HOUR, HOUR + 20_000_000, -HOUR, TOLERATED, TOLERATED + 1, 90 * MINUTE])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(OFFSETS, st.integers(1, 60), st.sampled_from(["fw1", "fw2"])), min_size=1, max_size=8), st.data())
def test_i1_neither_corrections_nor_facts_depend_on_the_cut(stretches: list[tuple[int, int, str]], data: st.DataObject) -> None:
    offset = np.array([o for o, n, _ in stretches for _ in range(n)], np.int64)
    names = [name for _, n, name in stretches for _ in range(n)]
    events = frame(NOON + np.arange(len(offset), dtype=np.int64) * 17_000_000, offset, names)
    whole = correct({}, events)
    cuts = sorted({0, len(events), *data.draw(st.lists(st.integers(0, len(events)), max_size=6))})
    clocks: Clocks = {}
    parts = [correct(clocks, events[a:b]) for a, b in itertools.pairwise(cuts)]
    assert np.concatenate([p.wrong for p in parts]).tolist() == whole.wrong.tolist()
    assert np.concatenate([times(p.events) for p in parts]).tolist() == times(whole.events).tolist()
    told = added([facts(p) for p in parts])
    assert {(f.observer, f.slot): f for f in told} == {(f.observer, f.slot): f for f in facts(whole)}


def test_facts_count_events_and_filled_fields_per_ten_minutes_and_name_the_last_record() -> None:
    created = every(60, 15)
    told = facts(correct({}, frame(created, 0)))
    ports = FIELDS.index("destination.port")
    assert [(f.slot, f.events, f.filled[ports], f.last) for f in told] == [
        (NOON // SLOT * SLOT, 10, 6, int(created[9])),
        (NOON // SLOT * SLOT + SLOT, 5, 4, int(created[14])),
    ]
    assert {f.off for f in told} == {0}


def test_facts_say_by_how_much_a_clock_was_corrected() -> None:
    created = every(1, 9)
    done = correct({}, frame(created, HOUR))
    assert facts(done) == (Facts("fw1", NOON, 540, (0, 0, 360, 0, 0, 0), int(created[-1]), 240, HOUR),)
