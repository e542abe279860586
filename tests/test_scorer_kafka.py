"""SCORE against a real broker and a real database: kills, a stop, two instances, an outage, a log that was cut off."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from detector import scorer
from detector.config import Kafka
from detector.decode import ecs
from detector.lanes import LaneError, Tools
from detector.scorer import Scorer
from detector.sources.broker import Broker
from detector.store import Store
from detector.store.embedded import Embedded
from tests.broker import create_topic, unique
from tests.counting import START, CountingCore, a_log, events
from tests.postgres import TestDatabase, fresh
from tests.test_scorer_lanes import facts

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
PARTITIONS = 3


@dataclass(frozen=True)
class Log:
    """A filled tuermer.events: its name, and per shard the offset after its last message."""

    broker: Broker
    topic: str
    ends: dict[str, int]
    events: int


@pytest.fixture(scope="module")
def log(broker: Broker) -> Log:
    return filled(broker, 400)


def filled(broker: Broker, messages: int) -> Log:
    """Three partitions with four shards, in transactions of ten; every fifth transaction is undone."""
    topic = create_topic(broker, unique("events"), PARTITIONS)
    producer = KafkaProducer(bootstrap_servers=broker.address, transactional_id=unique("filler"), linger_ms=5)
    producer.init_transactions()
    futures, counted = [], 0
    made = [*a_log(1, messages), *[m for m in a_log(2, messages // 4) if m.shard != "stadtwerke"]]
    for number in range(0, len(made), 10):
        producer.begin_transaction()
        undone = number % 50 == 40
        for message in made[number : number + 10]:
            shard = message.shard if number < messages else message.shard.replace("stadt/", "kreis/")
            sent = producer.send(topic, key=shard.encode(), value=ecs.to_arrow(message.events))
            if not undone:
                futures.append((shard, sent))
                counted += len(message.events)
        producer.flush()
        (producer.abort_transaction if undone else producer.commit_transaction)()
    producer.close()
    return Log(broker, topic, {shard: sent.get().offset + 1 for shard, sent in futures}, counted)


def config(log: Log, group: str = "", instance: str = "1") -> Kafka:
    return Kafka(bootstrap_servers=log.broker.address, group=group or unique("score"), events_topic=log.topic, instance=instance)


@contextlib.contextmanager
def a_scorer(log: Log, database: TestDatabase, pause: Callable[[float], bool] = lambda seconds: True) -> Iterator[Scorer]:
    settings = config(log)
    with contextlib.closing(scorer.consumer(settings)) as consumer, contextlib.closing(Store(database.url())) as store:
        yield Scorer(consumer, log.topic, CountingCore(), Tools(store, lambda: START, pause))


def until(done: Callable[[], bool], act: Callable[[], object] = lambda: time.sleep(0.01), seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "did not get there in time"
        act()


@pytest.fixture(scope="module")
def expected(log: Log, postgres_server: Embedded) -> list[list[tuple[object, ...]]]:
    """What an undisturbed run over this log finds."""
    with fresh(postgres_server) as database, a_scorer(log, database) as calm:
        until(lambda: calm.progress.events >= log.events, lambda: calm.turn(0.2))
        assert calm.progress.events == log.events
        found = facts(database)
    assert len(found[0]) > 20
    return found


def applied(database: TestDatabase) -> dict[str, int]:
    return {str(shard): int(str(offset)) for shard, offset in database.rows("SELECT shard, applied FROM store.shards")}


def finished(database: TestDatabase, log: Log) -> bool:
    now = applied(database)
    return all(now.get(shard, 0) >= end for shard, end in log.ends.items())


@contextlib.contextmanager
def a_process(log: Log, database: TestDatabase, group: str, instance: str = "1") -> Iterator[subprocess.Popen[bytes]]:
    arguments = (log.broker.address, group, log.topic, database.url(), instance)
    process = subprocess.Popen([sys.executable, "-m", "tests.score_process", *arguments], cwd=Path(__file__).parent.parent)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def killed_often(log: Log, database: TestDatabase, kills: int, seed: int) -> None:
    """kill -9 at random points of the way, then to the end undisturbed."""
    group = unique("killed")
    whole = sum(log.ends.values())
    for share in sorted(np.random.default_rng(seed).uniform(0.02, 0.98, kills)):
        with a_process(log, database, group):
            until(lambda share=share: sum(applied(database).values()) >= share * whole)  # type: ignore[misc] # mypy knows no defaults of lambdas
    with a_process(log, database, group) as process:
        until(lambda: finished(database, log))
        process.terminate()
        assert process.wait(30) == 0


def test_i3_after_four_kills_incidents_and_evidence_equal_an_undisturbed_run(
    log: Log, database: TestDatabase, expected: list[list[tuple[object, ...]]]
) -> None:
    killed_often(log, database, kills=4, seed=1)
    assert facts(database) == expected


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [2, 3])
def test_i3_after_twenty_kills(log: Log, database: TestDatabase, expected: list[list[tuple[object, ...]]], seed: int) -> None:
    killed_often(log, database, kills=20, seed=seed)
    assert facts(database) == expected


def test_a_partition_that_moves_to_another_instance_and_back_loses_and_doubles_nothing(
    log: Log, database: TestDatabase, expected: list[list[tuple[object, ...]]]
) -> None:
    group = unique("moved")
    with a_process(log, database, group, "1"):
        until(lambda: sum(applied(database).values()) > 0)
        with a_process(log, database, group, "2") as second:
            until(lambda: owners(database) == {"1", "2"})
            second.terminate()
            assert second.wait(30) == 0
        until(lambda: finished(database, log), seconds=100)
    assert facts(database) == expected


def owners(database: TestDatabase) -> set[object]:
    return {owner for (owner,) in database.rows("SELECT DISTINCT owner FROM store.shards")}


def test_sigterm_during_load_leaves_nothing_to_replay(log: Log, database: TestDatabase, expected: list[list[tuple[object, ...]]]) -> None:
    group = unique("ended")
    with a_process(log, database, group) as process:
        until(lambda: sum(applied(database).values()) > 0.3 * sum(log.ends.values()))
        process.terminate()
        assert process.wait(30) == 0
    left = database.rows(
        "SELECT s.shard FROM store.shards s LEFT JOIN store.snapshots p USING (shard) WHERE p.next IS DISTINCT FROM s.applied"
    )
    assert left == []
    with a_process(log, database, group):
        until(lambda: finished(database, log))
    assert facts(database) == expected


def outage(log: Log, postgres_server: Embedded, seconds: float, expected: list[list[tuple[object, ...]]]) -> None:
    stop = threading.Event()
    with fresh(postgres_server) as database, a_scorer(log, database, stop.wait) as running:
        thread = threading.Thread(target=running.run, args=(stop,))
        thread.start()
        until(lambda: running.progress.messages > 30)
        postgres_server.stop()
        before = running.progress.messages
        time.sleep(seconds)
        assert running.progress.messages <= before + scorer.MESSAGES_PER_TURN * PARTITIONS
        postgres_server.start()
        until(lambda: finished(database, log))
        stop.set()
        thread.join()
        assert facts(database) == expected


def test_with_the_database_away_for_seconds_it_waits_and_goes_on(
    log: Log, postgres_server: Embedded, expected: list[list[tuple[object, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer, "MESSAGES_PER_TURN", 5)
    outage(log, postgres_server, 2.0, expected)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_with_the_database_away_for_longer_than_a_kafka_session_it_waits_and_goes_on(
    log: Log, postgres_server: Embedded, expected: list[list[tuple[object, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer, "MESSAGES_PER_TURN", 5)
    outage(log, postgres_server, 75.0, expected)


def test_a_topic_that_begins_after_the_snapshot_stops_the_start_with_a_sentence(broker: Broker, database: TestDatabase) -> None:
    short = filled(broker, 60)
    with a_scorer(short, database) as first:
        until(lambda: first.progress.events > 0, lambda: first.turn(0.2))
    with KafkaAdminClient(bootstrap_servers=broker.address) as admin:
        ends = {TopicPartition(short.topic, partition): -1 for partition in range(PARTITIONS)}
        admin.delete_records(ends)
    with a_scorer(short, database) as second, pytest.raises(LaneError, match="the events between are gone"):
        until(lambda: False, lambda: second.turn(0.2))


@pytest.mark.parametrize("key", [None, b"stadt"])
def test_a_message_that_is_not_ours_stops_with_a_sentence(broker: Broker, database: TestDatabase, key: bytes | None) -> None:
    topic = create_topic(broker, unique("events"))
    with contextlib.closing(KafkaProducer(bootstrap_servers=broker.address)) as producer:
        producer.send(topic, key=key, value=None if key is not None else ecs.to_arrow(events(["u-1"], 0))).get()
    with a_scorer(Log(broker, topic, {}, 0), database) as running, pytest.raises(LaneError, match="was not written by Türmer"):
        until(lambda: False, lambda: running.turn(0.2))


def test_chores_run_between_batches_and_one_of_them_reports_health(log: Log, database: TestDatabase) -> None:
    asked: list[int] = []
    with a_scorer(log, database) as running:
        running.chores = (asked.append, scorer.Report(running, "one"))
        until(lambda: running.progress.messages > 0, lambda: running.turn(0.2))
    assert set(asked) == {START}
    ((component, instance, values),) = database.rows("SELECT component, instance, values FROM public.health WHERE component = 'score'")
    assert (component, instance, sorted(dict(values))) == ("score", "one", ["events_per_second", "lag_messages", "shards"])  # type: ignore[call-overload] # a jsonb object
