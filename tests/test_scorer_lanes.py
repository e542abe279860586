"""SCORE's state and the database stay together: through kills, cuts, moves and a database that goes away. No Kafka here."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import psycopg
import pytest

from detector.judge.findings import Changes
from detector.judge.policy import Policy
from detector.lanes import Lane, LaneError, Message, Stopped, Tools
from detector.store import Applied, Claim, Fenced, Store, StoreError
from detector.store.embedded import Embedded
from tests.counting import SHARDS, START, CountingCore, a_log
from tests.postgres import TestDatabase, fresh

PLACE = "tuermer.events/0"


def never(seconds: float) -> bool:
    raise AssertionError(f"nobody should have to wait {seconds} s")


def live(url: str) -> Store:
    """Of tenants that do not learn any more."""
    return Store(url, Policy(learning_days=0))


@contextlib.contextmanager
def a_lane(database: TestDatabase, made: Callable[[str], Store] = live, **more: Any) -> Iterator[Lane]:
    with contextlib.closing(made(database.url())) as store:
        yield Lane(CountingCore(), Tools(store, lambda: START, never, **more), PLACE)


def facts(database: TestDatabase) -> list[list[tuple[object, ...]]]:
    """All that was found; what must not depend on how often SCORE was killed."""
    return [
        database.rows(f"SELECT {columns} FROM store.{table} ORDER BY 1, 2, 3, 4")
        for table, columns in {
            "incidents": "id, events, worst_p, severity, opened, updated, closes_at, p_value, entity_value, shard, got_in",
            "evidence": "incident, field, value, events, first, last",
            "samples": "incident, position, time, topic, fields",
            "deciles": "shard, day, model, counts",
        }.items()
    ]


def wishes(database: TestDatabase) -> list[tuple[object, ...]]:
    return database.rows("SELECT id FROM store.outbox ORDER BY id")


def whole(database: TestDatabase, log: Sequence[Message]) -> None:
    with a_lane(database) as lane:
        lane.start(0, 10_000)
        lane.feed(log, log[-1].offset + 1)


class Killed(Exception):
    pass


class Deadly(Store):
    """Dies before or after the write of one batch in ten, and between the snapshots of the lane's shards."""

    def __init__(self, conninfo: str, draw: np.random.Generator) -> None:
        super().__init__(conninfo)
        self._draw = draw

    def apply(self, claim: Claim, first: int, next_: int, changes: Changes, now: int) -> Applied:
        fate = self._draw.random()
        if fate < 0.05:
            raise Killed
        answer = super().apply(claim, first, next_, changes, now)
        if fate > 0.95:
            raise Killed
        return answer

    def save_snapshot(self, claim: Claim, next_: int, schema: str, payload: bytes, now: int) -> None:
        super().save_snapshot(claim, next_, schema, payload, now)
        if self._draw.random() < 0.3:
            raise Killed


class Slow(Store):
    """A snapshot costs two seconds of the given clock."""

    def __init__(self, conninfo: str, now: list[float]) -> None:
        super().__init__(conninfo)
        self._now = now
        self.saves = 0

    def save_snapshot(self, claim: Claim, next_: int, schema: str, payload: bytes, now: int) -> None:
        self.saves += 1
        self._now[0] += 2.0
        super().save_snapshot(claim, next_, schema, payload, now)


def killed_now_and_then(database: TestDatabase, log: Sequence[Message], seed: int) -> int:
    """Runs the log to its end in random batches; dies at random, before, within or after the writes. Returns the number of deaths."""
    draw = np.random.default_rng(seed)
    for deaths in range(500):
        with contextlib.suppress(Killed), a_lane(database, lambda url: Deadly(url, draw)) as lane:
            _live(lane, log, draw)
            return deaths
    raise AssertionError("never came to the end")


def _live(lane: Lane, log: Sequence[Message], draw: np.random.Generator) -> None:
    position = lane.start(0, 10_000)
    rest = [m for m in log if m.offset >= position]
    while rest:
        size = int(draw.integers(1, 25))
        lane.feed(rest[:size], rest[size - 1 if size < len(rest) else -1].offset + 1)
        rest = rest[size:]
        if draw.random() < 0.2:
            lane.snapshot(due_only=False)
        if draw.random() < 0.05:
            raise Killed


@pytest.mark.parametrize("seed", range(4))
def test_i3_after_kills_incidents_and_evidence_equal_an_undisturbed_run(postgres_server: Embedded, seed: int) -> None:
    log = a_log(seed)
    with fresh(postgres_server) as disturbed, fresh(postgres_server) as calm:
        whole(calm, log)
        assert killed_now_and_then(disturbed, log, seed) >= 2
        assert facts(disturbed) == facts(calm)
        assert len(facts(calm)[0]) > 20


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 130))
def test_i3_many_more_kills(postgres_server: Embedded, seed: int) -> None:
    log = a_log(seed, messages=300)
    with fresh(postgres_server) as disturbed, fresh(postgres_server) as calm:
        whole(calm, log)
        assert killed_now_and_then(disturbed, log, seed) >= 2
        assert facts(disturbed) == facts(calm)


def test_processing_everything_twice_changes_nothing(database: TestDatabase) -> None:
    log = a_log(1)
    whole(database, log)
    once, sent = facts(database), wishes(database)
    whole(database, log)
    assert (facts(database), wishes(database)) == (once, sent)


def test_a_clean_stop_leaves_nothing_to_replay(database: TestDatabase) -> None:
    log = a_log(2)
    with a_lane(database) as lane:
        lane.start(0, 10_000)
        lane.feed(log, log[-1].offset + 1)
        lane.snapshot(due_only=False)
    with a_lane(database) as lane:
        assert lane.start(0, 10_000) == log[-1].offset + 1
        assert sum(owned.state.seen for owned in lane.shards.values()) == sum(len(m.events) for m in log)


def test_inputs_take_effect_at_the_same_message_in_replay(postgres_server: Embedded) -> None:
    log = a_log(3, messages=60)
    half = log[30].offset
    taken = []
    with fresh(postgres_server) as database:
        with a_lane(database) as lane:
            lane.start(0, 10_000)
            lane.feed(log[:20], log[20].offset)
            lane.snapshot(due_only=False)
            lane.tools.store.add_input(SHARDS[0], "limit", {"limit": 9}, START)
            lane.feed(log[20:30], half)
            lane.feed(log[30:], log[-1].offset + 1)
            taken.append(lane.shards[SHARDS[0]].state)
        with a_lane(database) as lane:
            lane.start(0, 10_000)
            for message in log:
                lane.feed([message], message.offset + 1)
            taken.append(lane.shards[SHARDS[0]].state)
    before = sum(len(m.events) for m in log if m.shard == SHARDS[0] and m.offset < half)
    assert taken[0].taken == [f"limit@{before}"]
    assert taken[0] == taken[1]


def test_an_input_that_came_while_its_shard_was_silent_is_not_forgotten(database: TestDatabase) -> None:
    log = a_log(4, messages=40)
    silent = [m for m in log if m.shard != SHARDS[0]]
    first = next(m for m in log if m.shard == SHARDS[0])
    with a_lane(database) as lane:
        lane.start(0, 10_000)
        lane.feed([first], first.offset + 1)
        lane.tools.store.add_input(SHARDS[0], "limit", {"limit": 9}, START)
        for message in silent:
            lane.feed([message], message.offset + 1)
            lane.snapshot(due_only=False)
        assert lane.shards[SHARDS[0]].state.limit == 9
    with a_lane(database) as lane:
        lane.start(0, 10_000)
        assert lane.shards[SHARDS[0]].state.limit == 9


def test_a_silent_shard_does_not_hold_back_the_log(database: TestDatabase) -> None:
    log = a_log(5)
    silent = next(m for m in log if m.shard == SHARDS[2])
    busy = [m for m in log if m.offset > silent.offset and m.shard == SHARDS[0]]
    with a_lane(database) as lane:
        lane.start(0, 10_000)
        lane.feed([silent, *busy], busy[-1].offset + 1)
        lane.snapshot(due_only=False)
    with a_lane(database) as lane:
        assert lane.start(busy[-1].offset, 10_000) == busy[-1].offset + 1


def test_a_snapshot_older_than_the_log_stops_with_a_sentence_unless_the_gap_is_accepted(database: TestDatabase) -> None:
    log = a_log(6)
    whole(database, log[:50])
    begin = log[80].offset
    with a_lane(database) as lane, pytest.raises(LaneError, match=f"but tuermer.events/0 begins at {begin}: the events between are gone"):
        lane.start(begin, 10_000)
    with a_lane(database, accept_gap=True) as lane:
        assert lane.start(begin, 10_000) == begin
        lane.feed(log[80:], log[-1].offset + 1)


def test_a_topic_made_anew_stops_with_a_sentence(database: TestDatabase) -> None:
    whole(database, a_log(6))
    with a_lane(database) as lane, pytest.raises(LaneError, match="the topic was made anew"):
        lane.start(0, 10)


def test_a_snapshot_of_another_version_stops_with_a_sentence(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    log = a_log(7, messages=30)
    with a_lane(database) as lane:
        lane.start(0, 10_000)
        lane.feed(log, log[-1].offset + 1)
        lane.snapshot(due_only=False)
    before = facts(database)
    monkeypatch.setattr(CountingCore, "schema", "counting-2")
    with a_lane(database) as lane, pytest.raises(LaneError, match="made by another version"):
        lane.start(0, 10_000)
    with a_lane(database, accept_gap=True) as lane:
        assert lane.start(0, 10_000) == 0
        lane.feed(log, log[-1].offset + 1)
    assert facts(database) == before


def test_a_shard_of_another_log_is_refused(database: TestDatabase) -> None:
    whole(database, a_log(8, messages=20))
    with (
        contextlib.closing(Store(database.url())) as store,
        pytest.raises(StoreError, match=r"was read from tuermer\.events/0, not from demo"),
    ):
        store.claim(SHARDS[0], START, "demo")


def test_the_older_of_two_owners_stops_before_it_writes(database: TestDatabase) -> None:
    log = a_log(9)
    with a_lane(database) as old, a_lane(database) as new:
        old.start(0, 10_000)
        old.feed(log[:40], log[40].offset)
        new.start(0, 10_000)
        with pytest.raises(Fenced):
            old.feed(log[40:], log[-1].offset + 1)
        new.feed(log, log[-1].offset + 1)
    with a_lane(database) as lane:
        lane.start(0, 10_000)
        assert {owned.applied for owned in lane.shards.values()} == {log[-1].offset + 1}


def test_with_the_database_away_it_waits_and_then_goes_on_with_nothing_lost_or_doubled(postgres_server: Embedded) -> None:
    log = a_log(10)
    waits: list[float] = []

    def pause(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) % 4 == 0:
            postgres_server.start()
        return False

    with fresh(postgres_server) as disturbed, fresh(postgres_server) as calm:
        whole(calm, log)
        with contextlib.closing(live(disturbed.url())) as store:
            lane = Lane(CountingCore(), Tools(store, lambda: START, pause), PLACE)
            lane.start(0, 10_000)
            for number, message in enumerate(log):
                if number == 30:
                    postgres_server.stop()
                if number == 60:
                    postgres_server.kill()
                lane.feed([message], message.offset + 1)
        assert facts(disturbed) == facts(calm)
        assert len(waits) >= 8


def test_a_connection_that_falls_between_commit_and_answer_does_not_double(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst moment: the batch is written, but nobody could tell us so."""
    log = a_log(11, messages=30)
    with a_lane(database) as lane:
        lane.tools.pause = lambda seconds: False
        lane.start(0, 10_000)
        lane.feed(log[:10], log[10].offset)
        commit = psycopg.Connection.transaction
        fell = threading.Event()

        @contextlib.contextmanager
        def falls(self: Any, *arguments: Any) -> Iterator[Any]:
            with commit(self) as transaction:
                yield transaction
            if not fell.is_set() and self.execute("SELECT max(applied) FROM store.shards").fetchone()[0] > log[10].offset:
                fell.set()
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(psycopg.Connection, "transaction", falls)
        lane.feed(log[10:], log[-1].offset + 1)
        assert fell.is_set()
        monkeypatch.undo()
    counted = database.rows("SELECT sum(events)::int FROM store.evidence")
    assert counted == database.rows("SELECT sum(events)::int FROM store.incidents")


def test_asked_to_end_while_the_database_is_away_it_ends(postgres_server: Embedded) -> None:
    log = a_log(12, messages=10)
    with fresh(postgres_server) as database, contextlib.closing(Store(database.url())) as store:
        lane = Lane(CountingCore(), Tools(store, lambda: START, lambda seconds: True), PLACE)
        lane.start(0, 10_000)
        postgres_server.stop()
        with pytest.raises(Stopped):
            lane.feed(log, log[-1].offset + 1)


def test_snapshots_take_at_most_a_twentieth_of_the_time(database: TestDatabase) -> None:
    now = [0.0]
    log = a_log(13, messages=150, gaps=False)
    with a_lane(database, lambda url: Slow(url, now), monotonic=lambda: now[0]) as lane:
        lane.start(0, 10_000)
        for message in log:
            lane.feed([message], message.offset + 1)
            now[0] += 4.0
            lane.snapshot()
        assert isinstance(lane.tools.store, Slow)
        saves = lane.tools.store.saves
    assert saves >= 10
    assert 2.0 * saves <= 0.05 * now[0] + 2.0


def test_a_state_that_the_night_deleted_is_forgotten_by_its_owner_too(database: TestDatabase) -> None:
    with a_lane(database) as lane:
        lane.start(0, 10_000)
        log = a_log(1)
        lane.feed(log, log[-1].offset + 1)
        lane.snapshot(due_only=False)
        silent = next(iter(lane.shards.values()))
        before = lane.core.dump(silent.state)
        database.rows("DELETE FROM store.snapshots WHERE shard = %s", silent.claim.shard)
        lane.snapshot(due_only=False)
        assert lane.core.dump(silent.state) == lane.core.dump(lane.core.fresh(silent.claim.shard)) != before
        assert database.rows("SELECT next FROM store.snapshots WHERE shard = %s", silent.claim.shard) == [(silent.next,)]
