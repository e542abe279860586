"""Notices leave in order, at least once, with their id as key."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaTimeoutError

from detector.config import Kafka
from detector.deliver.courier import SLOWEST, Courier
from detector.deliver.kafka import AlertTopic, producer
from detector.judge.findings import Changes
from detector.sources.broker import Broker
from detector.store import Database, Store
from detector.store.outbox import HOUR, KINDS, advance, begin, delivered, mine, waiting
from tests.broker import create_topic, unique
from tests.postgres import TestDatabase
from tests.test_store import NOW, SHARD, an_incident


@pytest.fixture
def outbox(database: TestDatabase) -> Iterator[Database]:
    """Three incidents, each notified once."""
    incidents = [an_incident(number, urgent=True) for number in (3, 1, 2)]
    with contextlib.closing(Store(database.url())) as store:
        claim = store.claim(SHARD, NOW)
        for number, incident in enumerate(incidents):
            store.apply(claim, number, number + 1, Changes(SHARD, opened=(incident,), notify=(incident.id,)), NOW)
        yield store.database


def ids(*numbers: int) -> list[str]:
    return [f"{an_incident(number).id}/1" for number in numbers]


def test_notices_wait_per_receiver_until_they_are_delivered(outbox: Database) -> None:
    for receiver in ("kafka", "webhook"):
        begin(outbox, receiver, NOW, from_the_start=True)
    assert [notice.id for notice in waiting(outbox, "kafka")] == ids(3, 1, 2)
    delivered(outbox, "kafka", ids(3, 1), NOW)
    delivered(outbox, "kafka", ids(3, 1), NOW)
    assert [notice.id for notice in waiting(outbox, "kafka")] == ids(2)
    assert [notice.id for notice in waiting(outbox, "webhook")] == ids(3, 1, 2)


def test_a_new_receiver_is_told_what_comes_from_then_on(outbox: Database) -> None:
    begin(outbox, "late", NOW)
    assert waiting(outbox, "late") == []
    begin(outbox, "late", NOW, from_the_start=True)
    assert waiting(outbox, "late") == [], "and what it was told once stays"


def test_a_receiver_is_told_of_its_tenants_and_kinds_only_and_may_leave_a_key_out(outbox: Database) -> None:
    begin(outbox, "x", NOW, from_the_start=True)
    assert waiting(outbox, "x", tenants=["kreis"]) == []
    assert len(waiting(outbox, "x", tenants=["stadt"])) == 3
    assert waiting(outbox, "x", kinds=["health"]) == []
    assert [notice.id for notice in waiting(outbox, "x", without=[an_incident(1).id])] == ids(3, 2)


def test_what_a_receiver_has_is_not_looked_at_again_but_nothing_that_waits_is_passed_over(outbox: Database) -> None:
    begin(outbox, "x", NOW, from_the_start=True)
    delivered(outbox, "x", ids(3, 2), NOW)
    advance(outbox, "x", KINDS, [], NOW + 2 * HOUR)
    assert [notice.id for notice in waiting(outbox, "x")] == ids(1)
    delivered(outbox, "x", ids(1), NOW)
    advance(outbox, "x", KINDS, [], NOW + 2 * HOUR)
    with outbox.transaction() as connection:
        rows = connection.execute("SELECT r.done = max(o.sequence) FROM store.receivers AS r, store.outbox AS o GROUP BY r.done").fetchall()
    assert rows == [(True,)]


def test_one_process_at_a_time_tells_a_receiver(outbox: Database, database: TestDatabase) -> None:
    with contextlib.closing(Database(database.url())) as other:
        assert mine(outbox, "x")
        assert not mine(other, "x")
        assert mine(other, "y")
        outbox.close()
        until = time.monotonic() + 5
        while not mine(other, "x"):
            assert time.monotonic() < until, "the connection that held it is gone"
            time.sleep(0.02)


class DeafProducer:
    """A broker that answers only when it is told to."""

    def __init__(self) -> None:
        self.deaf, self.heard = True, list[str]()

    def send(self, topic: str, *, key: bytes, value: bytes) -> DeafProducer:
        self.heard += [] if self.deaf else [json.loads(value)["event"]["id"]]
        return self

    def get(self, timeout: float) -> None:
        if self.deaf:
            raise KafkaTimeoutError("no answer")


def test_a_broker_that_was_dead_for_a_while_gets_everything_in_order(outbox: Database) -> None:
    clock, broker = [NOW], DeafProducer()
    courier = Courier("kafka", AlertTopic(broker, "tuermer.alerts"), outbox, lambda: clock[0], from_the_start=True)
    for _ in range(5):
        assert courier.round() == 0
        clock[0] += 60_000_000
    broker.deaf = False
    clock[0] += SLOWEST
    assert courier.round() == 3
    assert broker.heard == ids(3, 1, 2)


@pytest.mark.kafka
def test_notices_reach_the_alerts_topic_as_ecs_alerts_with_the_incident_as_key(broker: Broker, outbox: Database) -> None:
    topic = create_topic(broker, unique("alerts"))
    config = Kafka(bootstrap_servers=broker.address, group=unique("deliver"), alerts_topic=topic)
    with contextlib.closing(producer(config)) as sender:
        courier = Courier("kafka", AlertTopic(sender, topic), outbox, lambda: NOW, from_the_start=True)
        assert [courier.round(), courier.round()] == [3, 0]
    with contextlib.closing(
        KafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest", consumer_timeout_ms=2000)
    ) as reader:
        messages = list(reader)
    assert [message.key.decode() for message in messages] == [an_incident(number).id for number in (3, 1, 2)]
    first = json.loads(messages[0].value)
    assert (first["event"]["kind"], first["event"]["id"], first["organization"]["name"]) == ("alert", ids(3)[0], "stadt")
    assert first["source"] == {"ip": "198.51.100.7"}
    assert first["threat"]["technique"]["id"] == ["T1110.003"]
    assert first["tuermer"]["incident"]["reasons"][0]["feature"] == "failures"
    assert waiting(outbox, "kafka") == []
