"""ROUTE with its link table on a real broker and a real database: no token is out whose link is not kept, and none is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import pytest
from kafka import KafkaProducer

from detector import daemon
from detector.config import Config, Topic
from detector.decode import Decoder, ecs
from detector.pipeline import Counts, Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.privacy.vault import Fresh, Halted, Links, Sealer
from detector.records import Place
from detector.sources.broker import Broker
from detector.store import Database
from detector.store.links import LinkTable
from tests.broker import create_topic, settings, unique
from tests.kafka.test_route import everything, lag
from tests.people import PROTECTION, SECURITY
from tests.postgres import TestDatabase
from tests.test_privacy_everywhere import NOON
from tests.test_store_links import MEIER, SCHMIDT, TWO, read

pytestmark = pytest.mark.kafka

PEOPLE = 40
LINE = "Jun 11 12:00:0{i} ssh-1 sshd[{pid}]: Failed password for person{who} from 10.0.0.{who} port 4711 ssh2"


def configuration(broker: Broker) -> Config:
    topic = create_topic(broker, unique("raw"), 2)
    config = Config(topics=[Topic(topic, "city", format="sshd", timezone="UTC")], kafka=settings(broker, unique("group")))
    with KafkaProducer(bootstrap_servers=broker.address) as producer:
        for i in range(200):
            line = LINE.format(i=i % 10, pid=i, who=i % PEOPLE)
            producer.send(topic, line.encode(), partition=i % 2, timestamp_ms=NOON // 1000 + i)
    return config


def table(database: TestDatabase, pause: Callable[[float], bool]) -> LinkTable:
    return LinkTable(Database(database.url()), Sealer((SECURITY, PROTECTION), TWO), lambda: time.time_ns() // 1000, pause)


def run(config: Config, links: Links, stop: threading.Event, until: int = 200) -> None:
    """ROUTE until it has committed so many records or `stop` is set."""
    router, seen = Router(Decoder.of(config), Privacy.of(config, MemoryKeyring(b"k" * 32), links=True)), [0]

    def observe(counts: Counts, _behind: Mapping[Place, int]) -> None:
        seen[0] += counts.records
        if seen[0] >= until:
            stop.set()

    guard = threading.Timer(60, stop.set)
    guard.start()
    try:
        daemon.route(config, lambda batch: route_step(batch, router), stop, daemon.Hooks(observe), links=links)
    finally:
        guard.cancel()


def tokens(config: Config) -> set[str]:
    """All account and address tokens that are in tuermer.events."""
    assert config.kafka is not None
    messages, found = everything(config, config.kafka.events_topic), set[str]()
    for row in range(len(messages)):
        frame = ecs.from_arrow(messages.value(row))
        found |= {text for text in ecs.values(frame, "user.name") if text.startswith("u-")}
        words = (frame["source.ip.hi"].to_numpy() ^ frame["source.ip.lo"].to_numpy())[frame["source.ip.kind"].to_numpy() == ecs.TOKEN]
        found |= {f"ip-{int(word):016x}" for word in words}
    return found


def test_every_token_in_the_topic_has_its_link_and_two_people_read_it(broker: Broker, database: TestDatabase) -> None:
    config = configuration(broker)
    links = table(database, lambda _: True)
    with closing(links.database):
        run(config, links, threading.Event())
    out = tokens(config)
    assert len(out) == 2 * PEOPLE
    kept = database.rows("SELECT epoch, token FROM store.links")
    assert out <= {str(token) for _, token in kept}
    fresh = [Fresh("city", int(str(epoch)), str(token), "") for epoch, token in kept]
    assert {f"person{i}" for i in range(PEOPLE)} < set(read(database, MEIER, SCHMIDT, fresh=fresh))


class Refusing:
    """A table that is never there, until we are asked to end."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Fresh]] = []

    def write(self, fresh: Sequence[Fresh]) -> None:
        self.asked.append(fresh)
        raise Halted


def test_while_links_cannot_be_written_no_token_is_out_and_afterwards_nothing_is_missing(broker: Broker, database: TestDatabase) -> None:
    config = configuration(broker)
    refusing = Refusing()
    run(config, refusing, threading.Event())
    assert len(refusing.asked) == 1
    assert lag(config) == 200
    assert tokens(config) == set()
    database.server.stop()
    stop, waits = threading.Event(), [0]

    def pause(_: float) -> bool:
        waits[0] += 1
        assert tokens(config) == set()
        if waits[0] == 2:
            database.server.start()
        return stop.is_set()

    links = table(database, pause)
    with closing(links.database):
        run(config, links, stop)
    assert waits[0] >= 2
    assert lag(config) == 0
    assert len(tokens(config)) == 2 * PEOPLE
    assert tokens(config) <= {str(token) for (token,) in database.rows("SELECT token FROM store.links")}
