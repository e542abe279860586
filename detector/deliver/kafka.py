"""To the topic of alerts: one ECS document per notice. The incident is the key, so that its notices stay in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from detector.config import Kafka
from detector.deliver.alert import Letter
from detector.deliver.courier import Down
from detector.sources import client

RECEIVER = "kafka"
PATIENCE = 10.0  # seconds for the broker to acknowledge; later we try again


class _Sent(Protocol):
    def get(self, timeout: float) -> object: ...


class Producer(Protocol):
    def send(self, topic: str, *, key: bytes, value: bytes) -> _Sent: ...


def producer(config: Kafka) -> KafkaProducer:
    """One that a broker must answer in full before a notice counts as sent."""
    patience = int(PATIENCE * 1000)
    return KafkaProducer(
        **client.arguments(config), acks="all", enable_idempotence=True, max_block_ms=patience,
        delivery_timeout_ms=patience, request_timeout_ms=patience // 2,
    )  # fmt: skip


class AlertTopic:
    """The transport of the receiver `kafka`."""

    batch = 100

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def send(self, letters: Sequence[Letter]) -> None:
        """Raises Down when the broker does not take them all."""
        try:
            sent = [self._producer.send(self._topic, key=one.key.encode(), value=msgspec.json.encode(one.document)) for one in letters]
            for future in sent:
                future.get(timeout=PATIENCE)
        except KafkaError as error:
            raise Down(type(error).__name__) from error
