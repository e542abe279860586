"""What people decided comes into a shard at one offset: also a silent one, never what a process could not take, in a replay too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from detector.inputs import Inbox
from detector.lanes import Lane, Tools
from detector.scorer import LocalScorer
from detector.store import Store
from tests.counting import SHARDS, START, CountingCore, a_log
from tests.postgres import TestDatabase
from tests.test_scorer_lanes import PLACE, never


@contextlib.contextmanager
def a_lane(database: TestDatabase, now: list[float]) -> Iterator[tuple[Lane, Inbox]]:
    with contextlib.closing(Store(database.url())) as store:
        tools = Tools(store, lambda: START, never, monotonic=lambda: now[0])
        yield Lane(CountingCore(), tools, PLACE), Inbox(tools)


def waiting(database: TestDatabase, shard: str, payload: str = '{"limit": 9}') -> None:
    """As a promotion leaves it: for who has made sure that it can take it."""
    database.rows(
        "INSERT INTO store.inputs (shard, kind, payload, created, waits) VALUES (%s, 'limit', %s::jsonb, now(), true)", shard, payload
    )


def test_an_input_of_a_silent_shard_gets_its_offset_without_a_message_and_holds_from_the_next_one_on(database: TestDatabase) -> None:
    log, now = a_log(20, messages=40), [0.0]
    mine = [m for m in log if m.shard == SHARDS[0]]
    with a_lane(database, now) as (lane, inbox):
        lane.start(0, 10_000)
        lane.feed(mine[:3], mine[2].offset + 1)
        waiting(database, SHARDS[0])
        inbox.look([lane])
        now[0] += 1.0
        inbox.look([lane])
        assert database.rows("SELECT from_offset, placed IS NOT NULL FROM store.inputs") == [(mine[2].offset + 1, True)]
        assert lane.shards[SHARDS[0]].state.limit != 9
        lane.feed(mine[3:4], mine[3].offset + 1)
        live = lane.shards[SHARDS[0]].state
    with a_lane(database, now) as (lane, _):
        lane.start(0, 10_000)
        lane.feed(mine[:4], mine[3].offset + 1)
        assert lane.shards[SHARDS[0]].state == live
        assert live.taken == [f"limit@{sum(len(m.events) for m in mine[:3])}"]


def test_a_batch_does_not_place_what_waits_for_its_preparation(database: TestDatabase) -> None:
    log, now = a_log(21, messages=20), [0.0]
    with a_lane(database, now) as (lane, _):
        lane.start(0, 10_000)
        lane.feed(log[:5], log[4].offset + 1)
        waiting(database, log[0].shard)
        lane.feed(log[5:], log[-1].offset + 1)
        assert database.rows("SELECT from_offset FROM store.inputs") == [(None,)]


def test_what_a_process_cannot_take_is_refused_with_the_reason_and_changes_nothing(database: TestDatabase) -> None:
    log, now = a_log(22, messages=20), [0.0]
    shard = log[0].shard
    with a_lane(database, now) as (lane, inbox):
        lane.start(0, 10_000)
        lane.feed(log[:5], log[4].offset + 1)
        waiting(database, shard, '{"nothing": 1}')
        waiting(database, shard)
        inbox.look([lane])
        assert database.rows("SELECT from_offset IS NULL, refused FROM store.inputs ORDER BY id") == [
            (True, f"{shard} has no use for this limit"), (False, None),
        ]  # fmt: skip
        lane.feed(log[5:], log[-1].offset + 1)
        assert len(lane.shards[shard].state.taken) == 1


def test_being_told_twice_because_the_answer_was_lost_does_not_take_it_twice(database: TestDatabase) -> None:
    log, now = a_log(23, messages=20), [0.0]
    shard = log[0].shard
    with a_lane(database, now) as (lane, _):
        lane.start(0, 10_000)
        lane.feed(log[:5], log[4].offset + 1)
        waiting(database, shard)
        found = lane.tools.store.waiting([shard])[shard]
        lane.settle(shard, found)
        lane.settle(shard, found)
        lane.feed(log[5:], log[-1].offset + 1)
        assert len(lane.shards[shard].state.taken) == 1


def test_without_kafka_inputs_come_the_same_way(database: TestDatabase) -> None:
    log = a_log(24, messages=12)
    with contextlib.closing(Store(database.url())) as store:
        scorer = LocalScorer(CountingCore(), Tools(store, lambda: START, never, monotonic=iter(range(0, 10_000, 5)).__next__), "demo")
        scorer.feed(0, {log[0].shard: log[0].events})
        waiting(database, log[0].shard)
        scorer.feed(1, {})
        assert database.rows("SELECT from_offset FROM store.inputs") == [(1,)]
