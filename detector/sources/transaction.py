"""ROUTE's results and the offsets they come from, in one Kafka transaction.

1. begin  2. send the messages  3. wait until the broker has them all  4. send the offsets  5. commit.
Readers with read committed see all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    FencedInstanceIdError,
    InvalidProducerEpochError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
)
from kafka.structs import OffsetAndMetadata

from detector.config import Kafka
from detector.records import Place
from detector.sources import client
from detector.sources.contract import Aborted, Fenced, Message, SourceError


class KafkaSink:
    """A `Sink` with a transactional producer; opening it ends what a killed predecessor has left open."""

    def __init__(self, config: Kafka, role: str, consumer: KafkaConsumer) -> None:
        """consumer: the group member whose offsets are committed. Raises SourceError."""
        self.name = f"{config.group}-{role}-{config.instance}"
        self._consumer = consumer
        self._producer = KafkaProducer(
            **client.arguments(config),
            transactional_id=self.name,
            compression_type="lz4",  # small messages are mostly column names, alike from message to message
            linger_ms=5,
            batch_size=1 << 20,
            max_request_size=client.LARGEST,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        try:
            self._producer.init_transactions()
        except KafkaError as error:
            self.close()
            raise self._final(error) from error

    def commit(self, messages: Sequence[Message], offsets: Mapping[Place, int]) -> None:
        positions = {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
        try:
            self._producer.begin_transaction()
            sent = [self._producer.send(message.topic, message.value, message.key) for message in messages]
            self._producer.flush()
            for future in sent:
                future.get(0)  # raises what became of it; the flush has waited for all
            self._producer.send_offsets_to_transaction(positions, self._consumer.group_metadata())
            self._producer.commit_transaction()
        except KafkaError as error:
            self._abort(error)

    def close(self) -> None:
        self._producer.close(timeout=10)

    def _abort(self, error: KafkaError) -> None:
        """Undo the transaction and raise what the loop shall do now."""
        if isinstance(error, FINAL):
            raise self._final(error) from error
        try:
            self._producer.abort_transaction()
        except KafkaError as second:
            raise self._final(second) from error
        raise Aborted(str(error)) from error

    def _final(self, error: KafkaError) -> SourceError:
        # Once the producer is broken it only says so; what broke it stands in a private part of the pinned client.
        error = self._producer._transaction_manager.last_error or error
        if isinstance(error, FENCED):
            return Fenced(
                f"another process runs under the name {self.name} and has taken over; this one stops."
                " Give every process its own kafka.instance"
            )
        if isinstance(error, MessageSizeTooLargeError):
            return SourceError(f"the broker refuses our largest message; set max.message.bytes of our topics to {client.LARGEST}")
        if isinstance(error, TransactionalIdAuthorizationFailedError):
            return SourceError(f"this user may not use the transactional id {self.name}; grant WRITE and DESCRIBE on it")
        if isinstance(error, TopicAuthorizationFailedError):
            return SourceError(f"this user may not write to our topics: {error}")
        return SourceError(f"writing to Kafka failed for good: {error}")


FENCED = (ProducerFencedError, InvalidProducerEpochError, FencedInstanceIdError)
FINAL = (*FENCED, MessageSizeTooLargeError, TransactionalIdAuthorizationFailedError, TopicAuthorizationFailedError)
