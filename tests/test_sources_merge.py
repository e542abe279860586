"""Merging partitions: order by record timestamp as far as it can be had, nothing lost, nothing doubled, bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.records import Place, Records, concat, of_lines
from detector.sources.memory import MemorySource
from detector.sources.merge import SECOND, Merge

A, B, C = Place("t", 0), Place("t", 1), Place("u", 0)
NOW = 20_000 * SECOND
MINUTE = 60 * SECOND


def rows(place: Place, seconds: Sequence[int], first: int = 0) -> Records:
    """Records with these timestamps; their value says where they come from."""
    lines = [b"%s/%d@%d" % (place.topic.encode(), place.partition, first + i) for i in range(len(seconds))]
    made = of_lines(lines, place, first=first)
    return Records(made.values, made.bounds, made.null, made.place, made.offsets, np.array(seconds, np.int64) * SECOND, made.places)


def seconds(taken: Records | None) -> list[int]:
    return [] if taken is None else (taken.timestamps // SECOND).tolist()


def names(taken: Records) -> list[bytes]:
    return [taken.value(row) for row in range(len(taken))]


def test_rows_leave_in_the_order_of_their_timestamps() -> None:
    merge = Merge()
    merge.add([rows(A, [1, 4, 6]), rows(B, [2, 3, 9])], NOW, 0)
    assert seconds(merge.take({A: 0, B: 0}, 100)) == [1, 2, 3, 4, 6, 9]


def test_values_and_places_travel_with_their_rows() -> None:
    merge = Merge()
    merge.add([rows(A, [1, 4]), rows(C, [2])], NOW, 0)
    taken = merge.take({A: 0, C: 0}, 100)
    assert taken is not None
    assert names(taken) == [b"t/0@0", b"u/0@0", b"t/0@1"]
    assert [taken.places[i] for i in taken.place] == [A, C, A]


def test_a_place_with_a_backlog_holds_back_what_lies_after_its_last_row() -> None:
    merge = Merge()
    merge.add([rows(A, [1, 2, 3]), rows(B, [2, 8])], NOW, 0)
    assert seconds(merge.take({A: 5, B: 0}, 100)) == [1, 2, 2, 3]
    merge.add([rows(A, [7], first=3)], NOW, 0)
    assert seconds(merge.take({A: 1, B: 0}, 100)) == [7]
    assert seconds(merge.take({A: 0, B: 0}, 100)) == [8]


def test_an_idle_place_holds_nobody_back() -> None:
    merge = Merge()
    merge.add([rows(A, [5])], NOW, 0)
    assert seconds(merge.take({A: 3, B: 0}, 100)) == [5]


def test_a_place_that_is_behind_but_says_nothing_holds_back_until_patience_ends() -> None:
    merge = Merge(patience=5 * SECOND)
    merge.add([rows(A, [5])], NOW, 0)
    assert merge.take({A: 0, B: 7}, 100) is None
    merge.add([], NOW, 4 * SECOND)
    assert merge.take({A: 0, B: 7}, 100) is None
    merge.add([], NOW, SECOND)
    assert seconds(merge.take({A: 0, B: 7}, 100)) == [5]


def test_time_in_which_nobody_polled_does_not_count_as_silence() -> None:
    merge = Merge(patience=5 * SECOND)
    merge.add([rows(A, [5])], NOW, 0)
    assert merge.take({A: 0, B: 7}, 100) is None
    merge.add([], NOW + 3600 * SECOND, 0)
    assert merge.take({A: 0, B: 7}, 100) is None


def test_a_place_keeps_its_own_order_though_its_clock_goes_back() -> None:
    merge = Merge()
    merge.add([rows(A, [10, 2, 11]), rows(B, [3, 10, 12])], NOW, 0)
    assert seconds(merge.take({A: 0, B: 0}, 100)) == [3, 10, 2, 10, 11, 12]


def test_a_clock_in_the_future_does_not_make_its_place_wait_for_the_others_to_get_there() -> None:
    merge = Merge()
    merge.add([rows(A, [999_999]), rows(B, [20_000])], NOW, 0)
    assert seconds(merge.take({A: 1, B: 1}, 100)) == [999_999, 20_000]


def test_what_does_not_fit_into_a_batch_leaves_with_the_next() -> None:
    merge = Merge()
    merge.add([rows(A, [1, 3, 5]), rows(B, [2, 4, 6])], NOW, 0)
    assert [seconds(merge.take({A: 0, B: 0}, 4)) for _ in range(3)] == [[1, 2, 3, 4], [5, 6], []]


def test_the_next_offset_is_that_of_the_first_row_that_waits() -> None:
    merge = Merge()
    merge.add([rows(A, [1, 9], first=40), rows(A, [9, 9], first=50), rows(B, [2], first=7)], NOW, 0)
    assert (merge.next_offset(A), merge.next_offset(B)) == (40, 7)
    merge.take({A: 0, B: 0}, 3)
    assert (merge.next_offset(A), merge.next_offset(B), merge.next_offset(C)) == (50, None, None)


def test_a_full_buffer_lets_the_oldest_rows_go_though_somebody_is_behind() -> None:
    merge = Merge(most=1000)
    merge.add([rows(A, range(20, 60)), rows(B, [1])], NOW, 0)
    taken = merge.take({A: 1, B: 9}, 30)
    assert seconds(taken) == [1, *range(20, 49)]
    assert merge.size <= 1000
    assert merge.take({A: 1, B: 9}, 30) is None


def test_places_that_are_far_ahead_are_named_and_the_one_that_all_wait_for_is_not() -> None:
    merge = Merge(most=8000)
    merge.add([rows(A, range(100, 150)), rows(B, range(10))], NOW, 0)
    assert merge.ahead({A: 1, B: 9}) == [A]
    assert merge.ahead({A: 1, B: 0}) == []


def test_being_held_does_not_count_as_silence() -> None:
    merge = Merge(most=8000, patience=5 * SECOND)
    merge.add([rows(A, range(100, 150)), rows(B, range(10))], NOW, 0)
    merge.add([], NOW, 4 * SECOND)
    assert merge.ahead({A: 1, B: 9}) == [A]
    merge.add([rows(B, [200], first=10)], NOW, 4 * SECOND)
    assert seconds(merge.take({A: 1, B: 9}, 1000))[-1] == 149


def test_what_was_forgotten_never_leaves() -> None:
    merge = Merge()
    merge.add([rows(A, [1, 2]), rows(B, [3])], NOW, 0)
    merge.forget(A)
    assert seconds(merge.take({B: 0}, 100)) == [3]
    assert merge.size == 0


def run(source: MemorySource, merge: Merge, batch: int) -> list[Records]:
    """What ROUTE does: poll, add, take all that may leave, until nothing is left."""
    taken: list[Records] = []
    while any(source.behind().values()) or merge.size > 0:
        source.hold(merge.ahead(source.behind()))
        merge.add(source.poll(0), NOW, SECOND // 100)
        while (rows_now := merge.take(source.behind(), batch)) is not None:
            taken.append(rows_now)
    return taken


times = st.lists(st.lists(st.integers(0, 900), max_size=30), min_size=1, max_size=4)


@given(times, st.integers(1, 9), st.integers(1, 12), st.sampled_from([500, 3000, 1 << 30]))
@settings(deadline=None)
def test_nothing_is_lost_or_doubled_and_each_place_keeps_its_order(parts: list[list[int]], at_once: int, batch: int, most: int) -> None:
    logs = [rows(Place("t", i), part) for i, part in enumerate(parts) if part]
    taken = concat(run(MemorySource(logs, at_once=at_once), Merge(most=most), batch))
    for log in logs:
        mine = np.flatnonzero([taken.places[i] == log.places[0] for i in taken.place])
        assert names(taken.take(mine)) == names(log)
    assert len(taken) == sum(map(len, logs))


@given(times, st.integers(1, 9), st.integers(1, 12))
@settings(deadline=None)
def test_with_room_enough_ordered_partitions_become_one_ordered_stream(parts: list[list[int]], at_once: int, batch: int) -> None:
    logs = [rows(Place("t", i), sorted(part)) for i, part in enumerate(parts) if part]
    taken = run(MemorySource(logs, at_once=at_once), Merge(), batch)
    found = [second for piece in taken for second in seconds(piece)]
    assert found == sorted(found)


def late(batches: list[Records]) -> float:
    """Share of the records that come more than 5 minutes after a later one."""
    at = np.concatenate([batch.timestamps for batch in batches])
    return float((at < np.maximum.accumulate(at) - 5 * MINUTE).mean())


def backlog() -> list[Records]:
    """Three hours in five partitions of very unequal size, each a little out of order in itself."""
    random = np.random.default_rng(3)
    sizes = (60_000, 20_000, 8_000, 2_000, 200)
    return [
        rows(Place("t", i), (np.sort(random.integers(0, 3 * 3600, n)) - random.integers(0, 20, n)).tolist()) for i, n in enumerate(sizes)
    ]


def test_three_hours_of_backlog_come_in_order_even_with_a_buffer_of_a_few_minutes() -> None:
    source = MemorySource(backlog(), at_once=1000)
    taken_as_they_come = [batch for _ in range(60) for batch in source.poll(0)]
    assert late(taken_as_they_come) > 0.5
    merged = run(MemorySource(backlog(), at_once=1000), Merge(most=1_000_000), 5_000)
    assert sum(map(len, merged)) == 90_200
    assert late(merged) == 0
