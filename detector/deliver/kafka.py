"""The outbox to the topic of alerts: one message per notice, its id as key, at least once."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError

from detector.config import Kafka
from detector.sources import client
from detector.store import Database
from detector.store.outbox import Notice, delivered, waiting

log = structlog.get_logger()
RECEIVER = "kafka"
PATIENCE = 10.0  # seconds for the broker to acknowledge; later we try again


def producer(config: Kafka) -> KafkaProducer:
    """One that a broker must answer in full before a notice counts as sent."""
    patience = int(PATIENCE * 1000)
    return KafkaProducer(
        **client.arguments(config), acks="all", enable_idempotence=True, max_block_ms=patience,
        delivery_timeout_ms=patience, request_timeout_ms=patience // 2,
    )  # fmt: skip


class AlertTopic:
    """A chore of the SCORE loop. Raises `Away` when the database is away; an absent broker is waited for, without blocking long."""

    def __init__(self, database: Database, producer: KafkaProducer, topic: str) -> None:
        self._database = database
        self._producer = producer
        self._topic = topic

    def __call__(self, now: int) -> None:
        """Sends what waits; `now` in µs."""
        notices = waiting(self._database, RECEIVER)
        if not notices:
            return
        try:
            sent = [
                self._producer.send(self._topic, key=notice.id.encode(), value=msgspec.json.encode(_document(notice))) for notice in notices
            ]
            for future in sent:
                future.get(timeout=PATIENCE)
        except KafkaError as error:
            log.warning("alerts-not-sent", reason=type(error).__name__, waiting=len(notices))
            return
        delivered(self._database, RECEIVER, [notice.id for notice in notices], now)


def _document(notice: Notice) -> Mapping[str, object]:
    return {"notice": notice.id, "tenant": notice.tenant, notice.kind: notice.payload}
