"""A promotion under load on a real broker and a real database: in force within seconds, at one offset, the same in a replay."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
import psycopg
import pytest
from kafka import KafkaProducer

from detector import records, scorer
from detector.assembly import core
from detector.config import Config, Kafka
from detector.decode import Decoder, ecs
from detector.judge.core import Core
from detector.judge.policy import Policy
from detector.lanes import Tools
from detector.learn import promotion
from detector.learn.gates import Gate, Results
from detector.learn.library import RegistryLibrary
from detector.pipeline import Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.scorer import Scorer
from detector.simulate import City
from detector.sources.broker import Broker
from detector.store import Database, Store, registry
from detector.store.embedded import Embedded
from tests.broker import create_topic, unique
from tests.counting import START
from tests.models import candidate, desk, person
from tests.postgres import TestDatabase, fresh
from tests.test_scorer_lanes import facts

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
MODEL, WINDOWS, ROWS = "auth-source", 8, 12
SEEN = {"de": "x", "en": "x"}
Sent = tuple[str, pl.DataFrame]


@pytest.fixture(scope="module")
def log() -> list[Sent]:
    """(shard, some events) of a town with a few attacks, in order; small messages, so that there are many offsets."""
    city = City(7, 20, datetime(2026, 3, 2, 7, tzinfo=UTC), attacks="show", rehearsal_hours=1.0, only="authentication")
    config = msgspec.toml.decode(city.config_toml(), type=Config)
    router = Router(Decoder.of(config), Privacy.of(config, MemoryKeyring(bytes(32))))
    lines = records.concat([city.window(index).merged()[0] for index in range(WINDOWS)])
    routed = route_step(lines, router).events
    whole = [(shard, events[at : at + ROWS]) for shard, events in routed.items() for at in range(0, len(events), ROWS)]
    return sorted(whole, key=lambda one: one[1]["@timestamp"][0])


@dataclass
class Running:
    """A Scorer with the real core in a thread of its own."""

    scorer: Scorer
    stop: threading.Event
    thread: threading.Thread


@contextlib.contextmanager
def running(broker: Broker, topic: str, made: Core, database: TestDatabase) -> Iterator[Running]:
    stop = threading.Event()
    config = Kafka(bootstrap_servers=broker.address, group=unique("promoted"), events_topic=topic)
    with (
        contextlib.closing(scorer.consumer(config)) as consumer,
        contextlib.closing(Store(database.url(), Policy(learning_days=0))) as store,
    ):
        loop = Scorer(consumer, topic, made, Tools(store, lambda: START, stop.wait))
        thread = threading.Thread(target=loop.run, args=(stop,))
        thread.start()
        try:
            yield Running(loop, stop, thread)
        finally:
            stop.set()
            thread.join(60)


def until(done: Callable[[], bool], seconds: float = 120.0) -> float:
    """Waits; how long it took."""
    begun = time.monotonic()
    while not done():
        assert time.monotonic() - begun < seconds, "did not get there in time"
        time.sleep(0.05)
    return time.monotonic() - begun


@contextlib.contextmanager
def own(config: Config, database: TestDatabase) -> Iterator[Core]:
    """The real core with the registry of this database."""
    made = core(config)
    with contextlib.closing(Database(database.url())) as connection:
        yield replace(made, entities=5_000, library=RegistryLibrary(connection, config, made.models.tables))


def placed(database: TestDatabase, part: str, digest: str) -> bool:
    rows = database.rows("SELECT placed IS NOT NULL FROM public.model_use WHERE part = %s AND digest = %s", part, digest)
    return len(rows) > 0 and all(done for (done,) in rows)


def test_a_promotion_under_load_is_in_force_within_seconds_loses_nothing_and_is_the_same_in_a_replay(
    broker: Broker, database: TestDatabase, postgres_server: Embedded, log: list[Sent], tmp_path: Path
) -> None:
    people = [person(tmp_path, "kramer"), person(tmp_path, "meier")]
    at, topic = desk(database, people), create_topic(broker, unique("events"), 2)
    entry = promotion.bring(at, "stadt", candidate(tmp_path, people[0], MODEL, threshold=0.5), START)
    quarter = len(log) // 4
    with contextlib.closing(KafkaProducer(bootstrap_servers=broker.address, linger_ms=0)) as producer:

        def send(part: list[Sent]) -> None:
            for shard, events in part:
                producer.send(topic, key=shard.encode(), value=ecs.to_arrow(events))
                time.sleep(0.01)
            producer.flush()

        with own(at.config, database) as mine, running(broker, topic, mine, database) as live:
            send(log[:quarter])
            until(lambda: live.scorer.progress.messages > 0)
            promotion.to_shadow(at, "stadt", entry.model_id, "kramer", START)
            sender = threading.Thread(target=send, args=(log[quarter : 3 * quarter],))
            sender.start()
            until(lambda: placed(database, "shadow", entry.digest), 30)
            results = Results(MODEL, entry.model_id, "shipped", SEEN, [Gate("volume", True, 1.0, 0.7, 1.3, SEEN)])
            registry.add_gates(at.database, "stadt", entry.model_id, msgspec.json.encode(results), {}, START)
            promotion.approve(at, "stadt", entry.model_id, people[1], "", START)
            promotion.promote(at, "stadt", entry.model_id, START)
            assert until(lambda: placed(database, "champion", entry.digest), 60) <= 10.0
            sender.join()
            send(log[3 * quarter :])
            until(lambda: live.scorer.progress.messages == len(log))
            promotion.rollback(at, "stadt", MODEL, "meier", "Übung", START)
            assert until(lambda: placed(database, "champion", "shipped"), 60) <= 60.0  # also without any message
    at.database.close()
    assert live.scorer.progress.events == sum(len(events) for _, events in log)
    used = {model_id for (model_id,) in database.rows("SELECT model_id FROM store.incidents WHERE model = %s AND tenant = 'stadt'", MODEL)}
    assert entry.model_id in used
    assert database.rows("SELECT sampled > 0, rows >= sampled FROM store.shadow_counts") != []
    with fresh(postgres_server) as calm:
        copied(database, calm)
        with own(at.config, calm) as mine, running(broker, topic, mine, calm) as again:
            until(lambda: again.scorer.progress.messages == len(log))
        assert facts(calm) == facts(database)
        assert shadows(calm) == shadows(database)


def shadows(database: TestDatabase) -> list[list[tuple[object, ...]]]:
    return [
        database.rows(
            "SELECT shard, model_id, rows, sampled, candidate_alerts, champion_alerts, first, last FROM store.shadow_counts ORDER BY 1"
        ),
        database.rows("SELECT shard, side, id, opened, updated, worst_p, events FROM store.shadow_incidents ORDER BY 1, 2, 3"),
    ]


def copied(database: TestDatabase, calm: TestDatabase) -> None:
    """Models, and the shards with their inputs at their offsets, but nothing that was found: what a replay begins with."""
    tables = {
        "tenants": "tenant, zone", "artefacts": "*", "model_approvals": "tenant, model_id, approver, statement, signature, given",
        "shards": "shard, tenant, site, place, origin, origin AS applied, claimed", "inputs": "shard, from_offset, kind, payload, created",
    }  # fmt: skip
    with psycopg.connect(database.url("postgres")) as source, psycopg.connect(calm.url("postgres")) as target:
        target.execute("ALTER TABLE store.artefacts DISABLE TRIGGER brought")
        for table, columns in tables.items():
            cursor = source.execute(f"SELECT {columns} FROM store.{table}".encode())
            names = [column.name for column in cursor.description or ()]
            holes = ", ".join("%s::jsonb" if name == "payload" else "%s" for name in names)
            for row in cursor.fetchall():
                values = [
                    msgspec.json.encode(value).decode() if name == "payload" else value for name, value in zip(names, row, strict=True)
                ]
                target.execute(f"INSERT INTO store.{table} ({', '.join(names)}) VALUES ({holes})".encode(), values)
