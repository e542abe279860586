"""ROUTE's loop over sources in memory: every record once, in order, whatever is undone or taken away in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from detector.config import Kafka
from detector.daemon import ABORTS, MESSAGE_BYTES, Hooks, Route, split
from detector.decode import ecs
from detector.pipeline import Counts, Routed
from detector.records import Place, Records, of_lines
from detector.sources.contract import Message, SourceError
from detector.sources.memory import MemorySink, MemorySource
from detector.sources.merge import SECOND
from tests import routing

A, B = Place("t", 0), Place("t", 1)
TOPICS = Kafka("nowhere:1", batch_records=100)


class Clock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        self.now += SECOND
        return self.now


def log(place: Place, lines: list[bytes], every: int = 1) -> Records:
    made = of_lines(lines, place)
    times = np.arange(len(lines), dtype=np.int64) * every * SECOND
    return Records(made.values, made.bounds, made.null, made.place, made.offsets, times, made.places)


def route(source: MemorySource, hooks: Hooks | None = None) -> tuple[Route, MemorySink]:
    sink = MemorySink(source)
    return Route(source, sink, routing.step, TOPICS, hooks or Hooks(), clock=Clock()), sink


def drain(loop: Route, source: MemorySource) -> None:
    while any(source.behind().values()) or loop.merge.size > 0:
        loop.turn(0)


def found(messages: list[Message]) -> list[tuple[str, int, int]]:
    """Positions of all events and dead letters."""
    events = [ecs.from_arrow(message.value) for message in messages if message.topic == TOPICS.events_topic]
    letters = [tuple(json.loads(message.value)) for message in messages if message.topic == TOPICS.dead_letters_topic]
    return [position for frame in events for position in routing.positions(frame)] + letters


def test_events_and_dead_letters_leave_with_the_offsets_they_come_from() -> None:
    source = MemorySource([log(A, [b"x1", b"bad", b"skip", b"y1"]), log(B, [b"x2"])])
    loop, sink = route(source)
    drain(loop, source)
    assert sorted(found(sink.messages)) == [("t", 0, 0), ("t", 0, 1), ("t", 0, 3), ("t", 1, 0)]
    assert source.committed == {A: 4, B: 1}


def test_the_key_of_a_message_is_its_shard() -> None:
    source = MemorySource([log(A, [b"x1", b"y1", b"x2"])])
    loop, sink = route(source)
    drain(loop, source)
    names = {message.key: ecs.from_arrow(message.value)["user.name"].to_list() for message in sink.messages}
    assert names == {b"x": ["x1", "x2"], b"y": ["y1"]}


def test_partitions_are_merged_by_record_time() -> None:
    source = MemorySource([log(A, [b"x%d" % i for i in range(6)], every=4), log(B, [b"x%d" % i for i in range(3)], every=7)])
    loop, sink = route(source)
    drain(loop, source)
    times = [at for message in sink.messages for at in ecs.from_arrow(message.value)["@timestamp"].dt.epoch("s")]
    assert times == [0, 0, 4, 7, 8, 12, 14, 16, 20]


def test_only_what_was_emitted_is_committed() -> None:
    source = MemorySource([log(A, [b"x"] * 300), log(B, [b"x"] * 300, every=100)], at_once=200)
    loop, sink = route(source)
    while not sink.messages:
        loop.turn(0)
    emitted = found(sink.messages)
    assert source.committed == {place: sum(1 for _, partition, _ in emitted if partition == place.partition) for place in (A, B)}
    assert 0 < source.committed[B] < source.position(B)


def test_after_an_undone_transaction_everything_since_the_last_commit_comes_again_and_only_once() -> None:
    source = MemorySource([log(A, [b"x"] * 350)], at_once=60)
    loop, sink = route(source)
    sink.fail_next = 3
    drain(loop, source)
    assert found(sink.messages) == [("t", 0, i) for i in range(350)]


def test_transactions_undone_without_end_stop_the_loop_with_the_reason() -> None:
    source = MemorySource([log(A, [b"x"] * 10)])
    loop, sink = route(source)
    sink.fail_next = ABORTS
    with pytest.raises(SourceError, match="10 transactions in a row were undone, the last because of: as asked"):
        drain(loop, source)
    assert sink.messages == []


def test_a_place_that_was_taken_away_is_dropped_and_goes_on_where_the_other_reader_stopped() -> None:
    source = MemorySource([log(A, [b"x"] * 300), log(B, [b"x"] * 300, every=100)], at_once=200)
    loop, sink = route(source)
    while not sink.messages:
        loop.turn(0)
    assert loop.merge.next_offset(B) is not None
    source.take_away(B, resume=290)
    done = [position for position in found(sink.messages) if position[1] == 1]
    drain(loop, source)
    mine = [position for position in found(sink.messages) if position[1] == 1]
    assert mine == done + [("t", 1, i) for i in range(290, 300)]


def test_a_place_that_is_taken_away_while_a_batch_is_worked_on_takes_the_batch_with_it() -> None:
    source = MemorySource([log(A, [b"x"] * 30), log(B, [b"x"] * 30)])
    sink = MemorySink(source)
    taken_away = iter([True])

    def step(records: Records) -> Routed:
        if next(taken_away, False):
            source.take_away(B, resume=30)  # another process has emitted these rows meanwhile
        return routing.step(records)

    loop = Route(source, sink, step, TOPICS, clock=Clock())
    drain(loop, source)
    assert found(sink.messages) == [("t", 0, i) for i in range(30)]


def test_the_observer_hears_every_batch_and_the_accounts_balance() -> None:
    heard: list[tuple[Counts, Mapping[Place, int]]] = []
    source = MemorySource([log(A, [b"x", b"bad", b"skip"] * 100)])
    loop, _ = route(source, Hooks(observe=lambda counts, behind: heard.append((counts, behind))))
    drain(loop, source)
    assert sum(counts.records for counts, _ in heard) == 300
    assert all(counts.balanced for counts, _ in heard)
    assert heard[-1][1] == {A: 0}


def test_the_tick_knows_how_old_the_oldest_record_is_that_was_not_emitted() -> None:
    ticks: list[int | None] = []
    source = MemorySource([log(A, [b"x"] * 400, every=10)], at_once=150)
    loop, _ = route(source, Hooks(tick=lambda now, waiting: ticks.append(waiting)))
    while any(source.behind().values()) or loop.merge.size > 0:
        loop._ticked = 0
        loop.turn(0)
    loop._ticked = 0
    loop.turn(0)
    assert ticks[0] == 0
    assert ticks[-1] is None
    known = [at for at in ticks[1:] if at is not None]
    assert known == sorted(known)


def test_an_idle_loop_commits_now_and_then_because_only_so_it_notices_that_it_was_replaced() -> None:
    source = MemorySource([log(A, [b"x"] * 10)])
    loop, sink = route(source)
    drain(loop, source)
    source.committed[A] = 0
    for _ in range(10):
        loop.turn(0)
    assert source.committed == {A: 10}
    assert len(sink.messages) == 1


def test_stop_ends_the_loop() -> None:
    source = MemorySource([log(A, [b"x"] * 10)])
    loop, _ = route(source)
    stop = threading.Event()
    stop.set()
    loop.run(stop)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 70), st.lists(st.booleans(), max_size=30))
@hypothesis_settings(deadline=None, max_examples=30)
def test_i3_positions_are_complete_and_single_whatever_is_undone(first: int, second: int, at_once: int, undone: list[bool]) -> None:
    logs = [log(place, [b"x", b"bad", b"y"] * 100) for place in (A, B)]
    logs = [batch.take(np.arange(n)) for batch, n in zip(logs, (first, second), strict=True) if n > 0]
    source = MemorySource(logs, at_once=at_once)
    loop, sink = route(source)
    while any(source.behind().values()) or loop.merge.size > 0:
        sink.fail_next = int(undone.pop()) if undone else 0
        loop.turn(0)
    assert sorted(found(sink.messages)) == [("t", p, i) for p, n in ((0, first), (1, second)) for i in range(n)]


def frame(names: list[str]) -> pl.DataFrame:
    return ecs.frame(len(names), {"user.name": routing.texts(names)})


@pytest.mark.parametrize("length", [10, 400, 40_000])
def test_messages_stay_under_the_limit_and_keep_order_and_texts(length: int) -> None:
    random = np.random.default_rng(0)
    names = [random.bytes(length // 2).hex() for _ in range(1_500_000 // length)]
    messages = list(split(frame(names)))
    assert max(map(len, messages)) < MESSAGE_BYTES
    assert [name for message in messages for name in ecs.from_arrow(message)["user.name"]] == names


def test_a_single_event_that_is_larger_than_a_message_still_leaves() -> None:
    name = np.random.default_rng(0).bytes(MESSAGE_BYTES).hex()
    assert [ecs.from_arrow(message)["user.name"].to_list() for message in split(frame(["a", name, "b"]))] == [["a"], [name], ["b"]]


def test_no_events_make_no_message() -> None:
    assert list(split(frame([]))) == []
