"""Notices leave in order, at least once, with their id as key."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaTimeoutError

from detector.config import Kafka
from detector.deliver.kafka import AlertTopic, producer
from detector.judge.findings import Changes
from detector.sources.broker import Broker
from detector.store import Database, Store
from detector.store.outbox import delivered, waiting
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


def test_notices_wait_per_receiver_until_they_are_delivered(outbox: Database) -> None:
    ids = [f"{an_incident(number).id}/1" for number in (3, 1, 2)]
    assert [notice.id for notice in waiting(outbox, "kafka")] == ids
    delivered(outbox, "kafka", ids[:2], NOW)
    delivered(outbox, "kafka", ids[:2], NOW)
    assert [notice.id for notice in waiting(outbox, "kafka")] == ids[2:]
    assert [notice.id for notice in waiting(outbox, "webhook")] == ids


class DeafProducer:
    """A broker that does not answer."""

    def send(self, topic: str, key: bytes, value: bytes) -> DeafProducer:
        return self

    def get(self, timeout: float) -> Any:
        raise KafkaTimeoutError("no answer")


def test_without_a_broker_the_notices_stay(outbox: Database) -> None:
    AlertTopic(outbox, DeafProducer(), "tuermer.alerts")(NOW)
    assert len(waiting(outbox, "kafka")) == 3


@pytest.mark.kafka
def test_notices_reach_the_alerts_topic_with_their_id_as_key(broker: Broker, outbox: Database) -> None:
    topic = create_topic(broker, unique("alerts"))
    config = Kafka(bootstrap_servers=broker.address, group=unique("deliver"), alerts_topic=topic)
    with contextlib.closing(producer(config)) as sender:
        chore = AlertTopic(outbox, sender, topic)
        chore(NOW)
        chore(NOW)
    with contextlib.closing(
        KafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest", consumer_timeout_ms=2000)
    ) as reader:
        messages = list(reader)
    assert [message.key.decode() for message in messages] == [f"{an_incident(number).id}/1" for number in (3, 1, 2)]
    first = json.loads(messages[0].value)["incident"]
    assert (first["tenant"], first["severity"], first["reasons"][0]["feature"]) == ("stadt", "medium", "failures")
    assert waiting(outbox, "kafka") == []
