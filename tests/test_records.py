"""Records as columns: taking, joining and interleaving rows keeps every value with its row."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.records import Place, Records, concat, interleave, of_lines

lines = st.lists(st.lists(st.binary(max_size=9), max_size=6), max_size=4)


def parts_of(groups: list[list[bytes]]) -> list[Records]:
    """Pieces whose values begin somewhere inside a larger buffer, as the merge makes them."""
    whole = [of_lines([b"before", *group, b"after"], Place("t", i % 2), first=10 * i) for i, group in enumerate(groups)]
    return [
        Records(r.values, r.bounds[1:-1], r.null[1:-1], r.place[1:-1], r.offsets[1:-1], r.timestamps[1:-1], r.places) for r in whole
    ]  # fmt: skip


def rows(records: Records) -> list[tuple[Place, int, bytes]]:
    return [(records.places[records.place[i]], int(records.offsets[i]), records.value(i)) for i in range(len(records))]


@given(lines)
def test_joined_parts_hold_the_rows_of_all_in_their_order(groups: list[list[bytes]]) -> None:
    parts = parts_of(groups)
    assert rows(concat(parts)) == [row for part in parts for row in rows(part)]


@given(lines, st.randoms())
@settings(deadline=None)
def test_interleaving_is_joining_and_taking(groups: list[list[bytes]], random: Random) -> None:
    parts = parts_of(groups)
    order = list(range(sum(map(len, parts))))
    random.shuffle(order)
    joined = rows(concat(parts))
    assert rows(interleave(parts, np.array(order, np.int64))) == [joined[i] for i in order]
    assert rows(concat(parts).take(np.array(order, np.int64))) == [joined[i] for i in order]


def test_a_row_can_be_taken_twice_or_not_at_all() -> None:
    records = of_lines([b"a", b"bb", b""])
    assert [value for _, _, value in rows(records.take(np.array([1, 1, 2])))] == [b"bb", b"bb", b""]
