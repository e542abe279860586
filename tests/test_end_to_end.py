"""The whole journey with nothing faked: raw lines → Kafka → ROUTE → tuermer.events → SCORE → PostgreSQL → alerts, through `tuermer run`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from detector.privacy.keyfiles import new_key
from detector.simulate import City, produce
from detector.sources.broker import Broker
from detector.store import Reader
from detector.store.embedded import Embedded
from tests.broker import create_topic, unique
from tests.postgres import TestDatabase, fresh
from tests.test_scorer_lanes import facts

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]
ROOT = Path(__file__).parent.parent
WINDOWS = 9  # of ten minutes; the four attacks of the rehearsal begin within the first hour
PATIENCE = 300.0  # seconds; the first run compiles


@dataclass(frozen=True)
class Journey:
    """One city's lines in Kafka, routed once: the input of every SCORE below."""

    folder: Path
    config: Path
    broker: Broker
    group: str
    lines: int
    scored: dict[TopicPartition, int]  # end of each partition of tuermer.events


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(database: TestDatabase) -> str:
    return f"postgresql://tuermer_daemon@127.0.0.1:{database.server.port}/{database.name}"


def started(config: Path, role: str, server: Embedded) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "detector", "run", "--config", str(config), "--role", role]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"TUERMER_DB": server.passwords()["tuermer_daemon"]})


def configuration(journey_group: str, broker: Broker, database: TestDatabase, folder: Path, city: City) -> Path:
    """A configuration file as an operator would write it, for this broker and database."""
    path = folder / f"{database.name}.toml"
    extra = f"""
[kafka]
bootstrap_servers = "{broker.address}"
group = "{journey_group}"
events_topic = "{journey_group}.events"
dead_letters_topic = "{journey_group}.dead-letters"
alerts_topic = "{journey_group}.alerts"
events_partitions = 4
batch_records = 300

[database]
url = "{address(database)}"
password_env = "TUERMER_DB"

[budget]
learning_days = 0

[privacy]
key_file = "privacy.key"

[page]
listen = "127.0.0.1:{free_port()}"
route_listen = "127.0.0.1:{free_port()}"
"""
    path.write_text(city.config_toml(extra))
    return path


@contextlib.contextmanager
def running(config: Path, role: str, server: Embedded) -> Iterator[subprocess.Popen[bytes]]:
    """A role that answers, until the end of the block; it must end well."""
    process = started(config, role, server)
    try:
        until(lambda: answers(config, role), process)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def until(done: Callable[[], bool], process: subprocess.Popen[bytes], pause: float = 0.1) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < deadline, "did not get there in time"
        time.sleep(pause)


def page(config: Path, role: str, path: str) -> str | None:
    """What a role's page says; None while it does not answer."""
    key = {"route": "route_listen", "score": "listen"}[role]
    listen = next(line.split('"')[1] for line in config.read_text().splitlines() if line.startswith(f"{key} ="))
    try:
        with urllib.request.urlopen(f"http://{listen}/{path}", timeout=5) as answer:
            text: str = answer.read().decode()
    except OSError:
        return None
    return text


def answers(config: Path, role: str) -> bool:
    return page(config, role, "healthz") is not None


def metric(config: Path, role: str, name: str) -> float:
    """The sum of a metric as `/metrics` shows it; 0 while the process does not answer."""
    text = page(config, role, "metrics")
    if text is None:
        return 0.0
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)


@pytest.fixture(scope="module")
def journey(broker: Broker, postgres_server: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    folder = tmp_path_factory.mktemp("journey")
    city = City(seed=4, people=60, start=datetime(2026, 3, 3, 8, tzinfo=UTC), attacks="show", attacks_from_day=9, rehearsal_hours=1.0)
    for topic in ("firewall", "auth"):
        create_topic(broker, topic, 2)
    with contextlib.closing(KafkaProducer(bootstrap_servers=broker.address, linger_ms=20, compression_type="lz4")) as producer:
        lines = [0]

        def send(topic: str, value: bytes, timestamp: int) -> None:
            producer.send(topic, value, timestamp_ms=timestamp)
            lines[0] += 1

        produce(city, 0, WINDOWS, send)
        producer.flush()
    new_key("privacy", folder / "privacy.key")
    group = unique("journey")
    with fresh(postgres_server) as unused:
        config = configuration(group, broker, unused, folder, city)
        with running(config, "route", postgres_server) as process:
            until(lambda: metric(config, "route", "tuermer_records_read_total") >= lines[0], process)
            counted = {name: metric(config, "route", f"tuermer_{name}_total") for name in ("events", "ignored", "dead_letters")}
    assert sum(counted.values()) == lines[0]
    assert counted["events"] > 0.9 * lines[0]
    with contextlib.closing(KafkaConsumer(bootstrap_servers=broker.address, isolation_level="read_committed")) as reader:
        places = [TopicPartition(f"{group}.events", number) for number in range(4)]
        yield Journey(folder, config, broker, group, lines[0], reader.end_offsets(places))


def scored(database: TestDatabase, journey: Journey) -> bool:
    """Whether SCORE has written up to the last message of every partition with shards (a transaction marker may follow it)."""
    now = {str(place): int(str(least)) for place, least in database.rows("SELECT place, max(applied) FROM store.shards GROUP BY place")}
    return all(now.get(f"{tp.topic}/{tp.partition}", 0) >= end - 1 for tp, end in journey.scored.items() if end > 0)


def score_config(journey: Journey, database: TestDatabase) -> Path:
    """The journey's configuration for another database and another group of SCORE, over the same tuermer.events."""
    text = journey.config.read_text()
    for line in text.splitlines():
        key = line.split(" = ")[0]
        if key == "url":
            text = text.replace(line, f'url = "{address(database)}"')
        elif key == "group":
            text = text.replace(line, f'group = "{unique("again")}"')
        elif key in ("listen", "route_listen"):
            text = text.replace(line, f'{key} = "127.0.0.1:{free_port()}"')
    path = journey.folder / f"{database.name}.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def calm(journey: Journey, postgres_server: Embedded) -> Iterator[TestDatabase]:
    """What an undisturbed SCORE finds."""
    with fresh(postgres_server) as database:
        config = score_config(journey, database)
        with running(config, "score", postgres_server) as process:
            until(lambda: scored(database, journey), process)
        yield database


@pytest.fixture
def reader(calm: TestDatabase) -> Iterator[Reader]:
    with contextlib.closing(Reader(calm.url("tuermer_daemon"))) as made:
        yield made


def test_the_attacks_arrive_as_incidents_with_reasons_and_evidence(reader: Reader) -> None:
    incidents = [found for row in reader.list_incidents() if (found := reader.incident(row["id"])) is not None]
    assert {"T1110.001", "T1110.003", "T1046"} <= {technique for incident in incidents for technique in incident["techniques"]}
    for incident in incidents:
        assert incident["reasons"] != []
        assert incident["evidence"] != []
        assert incident["samples"] != []
        assert incident["title"]["de"] != ""


def test_every_event_is_scored_and_its_incident_adds_up(calm: TestDatabase) -> None:
    """I2: an incident's events are those of its evidence, whatever field one counts by that every event has."""
    rows = calm.rows(
        """
        SELECT i.id, i.events, sum(e.events)
        FROM store.incidents AS i JOIN store.evidence AS e ON e.incident = i.id AND e.field = 'observer.name'
        GROUP BY 1, 2 HAVING i.events <> sum(e.events)
        """
    )
    assert rows == []


def test_notices_are_on_the_topic_of_alerts(journey: Journey, calm: TestDatabase) -> None:
    consumer = KafkaConsumer(bootstrap_servers=journey.broker.address, auto_offset_reset="earliest", consumer_timeout_ms=3000)
    with contextlib.closing(consumer):
        consumer.assign([TopicPartition(f"{journey.group}.alerts", 0)])
        alerts: list[dict[str, Any]] = [json.loads(message.value) for message in consumer]
    assert {alert["event"]["id"] for alert in alerts} >= {id_ for (id_,) in calm.rows("SELECT id FROM store.outbox")} != set()


def killed(journey: Journey, database: TestDatabase, kills: int, seed: int) -> None:
    config = score_config(journey, database)
    draw = np.random.default_rng(seed)
    amid = 0
    for _ in range(kills):
        with started(config, "score", database.server) as process:
            before = database.rows("SELECT sum(applied) FROM store.shards")
            until(lambda before=before: database.rows("SELECT sum(applied) FROM store.shards") != before, process, 0.01)  # type: ignore[misc] # mypy knows no defaults of lambdas
            time.sleep(draw.uniform(0.0, 0.1))
            os.kill(process.pid, signal.SIGKILL)
        amid += not scored(database, journey)
        if scored(database, journey):
            break
    assert amid > 0, "every kill came too late to disturb anything"
    with running(config, "score", database.server) as process:
        until(lambda: scored(database, journey), process)


def test_i3_kills_of_the_real_score_change_nothing(journey: Journey, calm: TestDatabase, database: TestDatabase) -> None:
    killed(journey, database, kills=2, seed=1)
    assert without_clock(database) == without_clock(calm)


@pytest.mark.soak
def test_i3_many_kills_of_the_real_score_change_nothing(journey: Journey, calm: TestDatabase, database: TestDatabase) -> None:
    killed(journey, database, kills=10, seed=2)
    assert without_clock(database) == without_clock(calm)


def without_clock(database: TestDatabase) -> list[list[tuple[object, ...]]]:
    """The facts but `closes_at`, the only one that is clock time."""
    incidents, *rest = facts(database)
    return [[row[:6] + row[7:] for row in incidents], *rest]
