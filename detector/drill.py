"""`tuermer drill`: a rehearsed attack goes into the real raw topic, and each stage says when it had it.

So an administrator can prove after any change that detection works: raw topic → ROUTE → SCORE → database → notification → receiver.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from detector.config import Config, Kafka, Topic
from detector.configload import load
from detector.decode import ecs
from detector.rehearsal import ATTACKS, Rehearsal
from detector.sentence import Sentence
from detector.sources import client
from detector.store import Away, Database
from detector.store.database import Connection, moment
from detector.store.opening import open_database

PATIENCE = 120.0  # s for each stage
ACKNOWLEDGED = 10.0  # s for the broker to take a line
Places = dict[TopicPartition, set[int]]


class DrillError(Sentence):
    """The drill cannot be done, or is stuck; the text is one sentence that says where."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Something that has happened, so many seconds after the last line was in the raw topic."""

    name: str
    seconds: float
    detail: str = ""


@dataclass(slots=True)
class Player:
    """Writes the lines of a rehearsal into a topic."""

    producer: KafkaProducer

    def play(self, topic: str, attack: Rehearsal, now: int) -> Places:
        """Where the lines went; `now` in µs. Raises KafkaError when the broker does not take them."""
        sent = [
            self.producer.send(topic, line.value, timestamp_ms=line.time // 1000, partition=0)
            for line in attack.lines(now, now // 1_000_000)
        ]
        places: Places = {}
        for future in sent:
            record = future.get(timeout=ACKNOWLEDGED)
            places.setdefault(TopicPartition(record.topic, record.partition), set()).add(record.offset)
        return places


def found_since(connection: Connection, tenant: str, since: int) -> tuple[str, str, str] | None:
    """(id, entity, notification) of the tenant's newest incident whose evidence names the drill's device after `since` (µs)."""
    row = connection.execute(
        """
        SELECT i.id::text, i.entity_value, i.notification FROM store.incidents AS i
        WHERE i.tenant = %(tenant)s AND i.updated >= %(since)s AND EXISTS (
            SELECT FROM store.evidence AS e
            WHERE e.incident = i.id AND e.day = i.day AND e.field IN ('host.name', 'observer.name') AND e.value = %(drill)s
                AND e.last >= %(since)s
        )
        ORDER BY i.urgent DESC, i.updated DESC LIMIT 1
        """,
        {"tenant": tenant, "since": moment(since), "drill": ecs.DRILL},
    ).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def drill(path: Path, environ: Mapping[str, str], tenant: str, name: str) -> Iterator[Stage]:
    """Each stage as it is reached. Raises DrillError when one takes longer than two minutes."""
    config = load(path, environ, "score")
    if config.kafka is None:
        raise DrillError("there is no [kafka] section: a drill needs the real topics")
    attack = ATTACKS[name]
    topic = _topic(config, tenant, attack)
    client.reachable(config.kafka)
    opened = open_database(config, environ, visit=True)
    try:
        with closing(_events(config.kafka)) as events, closing(_producer(config.kafka)) as producer:
            yield from _stages(Database(opened.daemon_url), events, Player(producer), topic, attack)
    except Away as away:
        raise DrillError(f"the database does not answer ({away}); is `tuermer run` still running?") from away
    except KafkaError as error:
        raise DrillError(f"Kafka at {config.kafka.bootstrap_servers}: {type(error).__name__}; `tuermer doctor` says more") from error
    finally:
        opened.close()


def _topic(config: Config, tenant: str, attack: Rehearsal) -> Topic:
    for topic in config.topics:
        if topic.tenant == tenant and topic.format in ("auto", attack.format):
            return topic
    raise DrillError(f"no [[topics]] of the tenant {tenant} takes lines of the format {attack.format}; choose another --attack")


def _stages(database: Database, events: KafkaConsumer, player: Player, topic: Topic, attack: Rehearsal) -> Iterator[Stage]:
    now = time.time_ns() // 1000
    begun = time.monotonic()
    places = player.play(topic.name, attack, now)
    lines = sum(map(len, places.values()))
    started = time.monotonic()
    yield Stage("raw topic", 0.0, f"{lines} lines in {topic.name}, taken in {started - begun:.2f} s")
    yield _reached("ROUTE", started, lambda: _routed(events, places), f"{lines} events in tuermer.events")
    since = now - 600_000_000
    yield _reached("SCORE", started, lambda: _incident(database, topic.tenant, since) is not None, "an incident in the database")
    incident = _incident(database, topic.tenant, since)
    assert incident is not None
    id_, entity, notification = incident
    if notification != "sent":
        yield Stage("notification", time.monotonic() - started, f"{entity}: {notification}, so nobody is called (incident {id_})")
        return
    yield _reached("receiver", started, lambda: _delivered(database, id_, now), f"{entity}: the topic of alerts has it (incident {id_})")


def _reached(name: str, started: float, done: Callable[[], bool], detail: str) -> Stage:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise DrillError(f"stuck before {name}: not there after {PATIENCE:.0f} s; is `tuermer run` running, and what does its log say?")
        time.sleep(0.05)
    return Stage(name, time.monotonic() - started, detail)


def _routed(events: KafkaConsumer, missing: Places) -> bool:
    """Takes the lines that have come from `missing`; whether all have."""
    for batch in events.poll(timeout_ms=100).values():
        for message in batch:
            frame = ecs.from_arrow(message.value)
            topics = ecs.values(frame, "log.topic")
            rows = zip(ecs.codes(frame, "log.topic"), ecs.numbers(frame, "log.partition"), ecs.numbers(frame, "log.offset"), strict=True)
            for topic, partition, offset in rows:
                missing.get(TopicPartition(topics[topic], int(partition)), set()).discard(int(offset))
    return not any(missing.values())


def _incident(database: Database, tenant: str, since: int) -> tuple[str, str, str] | None:
    with database.transaction() as connection:
        return found_since(connection, tenant, since)


def _delivered(database: Database, incident: str, since: int) -> bool:
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT FROM store.outbox AS o JOIN store.deliveries AS d ON d.id = o.id WHERE o.incident = %s::uuid AND d.delivered >= %s",
            (incident, moment(since)),
        ).fetchone()
    return row is not None


def _events(config: Kafka) -> KafkaConsumer:
    """A reader of tuermer.events from now on, in no group."""
    consumer = KafkaConsumer(
        **client.arguments(config), enable_auto_commit=False, isolation_level="read_committed", auto_offset_reset="latest",
        allow_auto_create_topics=False,
    )  # fmt: skip
    partitions = [TopicPartition(config.events_topic, p) for p in sorted(consumer.partitions_for_topic(config.events_topic) or ())]
    consumer.assign(partitions)
    consumer.seek_to_end(*partitions)
    for partition in partitions:
        consumer.position(partition)  # asks now: "the end" must be the one before our lines
    return consumer


def _producer(config: Kafka) -> KafkaProducer:
    return KafkaProducer(**client.arguments(config), acks="all")
