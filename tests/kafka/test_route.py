"""ROUTE on a real broker: kills, restarts, a second process of the same name, a backlog of three hours."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from msgspec.structs import replace

from detector import daemon
from detector.config import Config, Topic
from detector.daemon import Hooks, Route
from detector.decode import ecs
from detector.pipeline import Counts
from detector.records import Place, Records, concat
from detector.sources import broker as local
from detector.sources import client, kafka
from detector.sources.broker import Broker
from detector.sources.contract import Fenced, SourceError
from detector.sources.merge import SECOND, Merge
from detector.sources.transaction import KafkaSink
from tests import routing
from tests.broker import create_topic, settings, unique

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).parents[2]
Position = tuple[str, int, int]


def configuration(broker: Broker, partitions: int, batch: int = 200) -> Config:
    topic = create_topic(broker, unique("raw"), partitions)
    section = replace(settings(broker, unique("group")), batch_records=batch)
    return Config(topics=[Topic(topic, "city")], kafka=section)


def fill(broker: Broker, topic: str, lines: int, partitions: int) -> set[Position]:
    """Lines of all kinds, spread over the partitions; the positions of those that become events or dead letters."""
    expected = set()
    counts = [0] * partitions
    with KafkaProducer(bootstrap_servers=broker.address, linger_ms=20, compression_type="lz4") as sender:
        for i in range(lines):
            kind = ("x", "y", "z", "bad", "skip")[i % 5]
            partition = i % 7 % partitions
            sender.send(topic, f"{kind}{i}".encode(), partition=partition, timestamp_ms=1_790_000_000_000 + 50 * i)
            if kind != "skip":
                expected.add((topic, partition, counts[partition]))
            counts[partition] += 1
    return expected


def everything(config: Config, topic: str) -> Records:
    """All committed messages of one of our topics."""
    assert config.kafka is not None
    with closing(kafka.reader(config.kafka, {})) as source:
        partitions = [TopicPartition(topic, number) for number in source.consumer.partitions_for_topic(topic)]
        ends = source.consumer.end_offsets(partitions)
    with closing(kafka.reader(config.kafka, {Place(*tp): 0 for tp in partitions})) as source:
        found: list[Records] = []
        while any(source.position(Place(*tp)) < ends[tp] for tp in partitions):
            found += source.poll(0.2)
    return concat(found)


def committed(config: Config) -> list[Position]:
    """Positions of all committed events and dead letters."""
    assert config.kafka is not None
    events, letters = everything(config, config.kafka.events_topic), everything(config, config.kafka.dead_letters_topic)
    found = [position for row in range(len(events)) for position in routing.positions(ecs.from_arrow(events.value(row)))]
    return found + [tuple(json.loads(letters.value(row))) for row in range(len(letters))]


class Process:
    """ROUTE in a process of its own."""

    def __init__(self, config: Config, folder: Path) -> None:
        path = folder / "config.json"
        path.write_bytes(msgspec.json.encode(config))
        command = [sys.executable, "-m", "tests.kafka.route_process", str(path)]
        self.popen = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def kill(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        if self.popen.stderr is not None and not self.popen.stderr.closed:
            self.popen.communicate()

    def works_off(self, config: Config, below: int) -> None:
        """Wait until fewer than `below` records are left."""
        wait_for(lambda: self.popen.poll() is not None or lag(config) < below, 120)
        if self.popen.poll() is not None:
            pytest.fail(f"ROUTE ended: {self.wait()}")

    def end(self) -> tuple[int, str]:
        """Exit code and standard error after SIGTERM."""
        self.popen.terminate()
        return self.wait()

    def wait(self) -> tuple[int, str]:
        errors = self.popen.communicate(timeout=60)[1]
        return self.popen.returncode, errors


Start = Callable[[Config], Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(config: Config) -> Process:
            process = Process(config, tmp_path)
            stack.callback(process.kill)
            return process

        yield started


def lag(config: Config) -> int:
    """Records of the raw topic that the group has not committed."""
    assert config.kafka is not None
    topic = config.topics[0].name
    with closing(KafkaConsumer(**client.arguments(config.kafka), group_id=f"{config.kafka.group}-route")) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        ends = consumer.end_offsets(partitions)
        return sum(ends[tp] - (consumer.committed(tp) or 0) for tp in partitions)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def kills(broker: Broker, start: Start, number: int, lines: int) -> None:
    """Kill ROUTE so many times in the middle of its work; at the end everything is there, once."""
    config = configuration(broker, partitions=3, batch=100)
    expected = fill(broker, config.topics[0].name, lines, 3)
    left = lines
    for _ in range(number):
        process = start(config)
        process.works_off(config, left)
        time.sleep(random.random() * 0.3)
        process.kill()
        left = lag(config)
        assert left > 0, "killed after the work was done: more lines are needed"
    process = start(config)
    process.works_off(config, 1)
    assert process.end() == (0, "")
    assert sorted(committed(config)) == sorted(expected)


def test_i3_after_four_kills_every_position_is_there_once(broker: Broker, start: Start) -> None:
    kills(broker, start, 4, 25_000)


@pytest.mark.soak
def test_i3_after_twenty_kills_every_position_is_there_once(broker: Broker, start: Start) -> None:
    kills(broker, start, 20, 120_000)


def test_sigterm_under_load_ends_cleanly_and_the_next_start_goes_on(broker: Broker, start: Start) -> None:
    config = configuration(broker, partitions=2, batch=100)
    expected = fill(broker, config.topics[0].name, 10_000, 2)
    process = start(config)
    process.works_off(config, 10_000)
    assert process.end() == (0, "")
    assert lag(config) > 0
    process = start(config)
    process.works_off(config, 1)
    assert process.end() == (0, "")
    assert sorted(committed(config)) == sorted(expected)


class Running:
    """`daemon.route` in a thread of this process."""

    def __init__(self, config: Config, hooks: Hooks | None = None) -> None:
        self.stop = threading.Event()
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, args=(config, hooks))
        self.thread.start()

    def _run(self, config: Config, hooks: Hooks | None) -> None:
        try:
            daemon.route(config, routing.step, self.stop, hooks)
        except SourceError as error:
            self.error = error

    def end(self) -> None:
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def started(config: Config, hooks: Hooks | None = None) -> Running:
            running = Running(config, hooks)
            stack.callback(running.end)
            return running

        yield started


@pytest.mark.parametrize("busy", [True, False])
def test_the_older_process_of_the_same_name_is_fenced_and_says_so(broker: Broker, run: Callable[..., Running], busy: bool) -> None:
    config = configuration(broker, partitions=2)
    topic = config.topics[0].name
    fill(broker, topic, 1000, 2)
    old = run(config)
    wait_for(lambda: lag(config) == 0)
    new = run(config)
    if busy:
        fill(broker, topic, 1000, 2)
    wait_for(lambda: old.error is not None)
    assert isinstance(old.error, Fenced)
    assert re.search(r"another process .* its own kafka\.instance", str(old.error))
    wait_for(lambda: lag(config) == 0)
    new.end()
    assert new.error is None
    found = committed(config)
    assert len(found) == len(set(found)) == (1600 if busy else 800)


def test_two_instances_share_the_partitions_and_every_position_is_there_once(broker: Broker, run: Callable[..., Running]) -> None:
    config = configuration(broker, partitions=4, batch=100)
    assert config.kafka is not None
    records: dict[str, int] = {"1": 0, "2": 0}

    def counting(name: str) -> Hooks:
        def observe(counts: Counts, _behind: Mapping[Place, int]) -> None:
            records[name] += counts.records

        return Hooks(observe=observe)

    expected = fill(broker, config.topics[0].name, 20_000, 4)
    first = run(config, counting("1"))
    wait_for(lambda: records["1"] > 0)
    second = run(replace(config, kafka=replace(config.kafka, instance="2")), counting("2"))
    more = fill(broker, config.topics[0].name, 20_000, 4)
    wait_for(lambda: records["2"] > 0)
    wait_for(lambda: lag(config) == 0)
    first.end()
    second.end()
    assert (first.error, second.error) == (None, None)
    assert sum(records.values()) == 40_000
    found = committed(config)
    assert len(found) == len(set(found)) == len(expected) + len(more)


def test_an_aborted_transaction_is_invisible_and_its_records_come_again(broker: Broker) -> None:
    config = configuration(broker, partitions=2, batch=100)
    assert config.kafka is not None
    expected = fill(broker, config.topics[0].name, 3000, 2)
    client.ensure_topics(config.kafka)
    with (
        closing(kafka.member(config.kafka, [config.topics[0].name], "route")) as source,
        closing(KafkaSink(config.kafka, "route", source.consumer)) as sink,
    ):
        refused = iter([False, True, False, False, True, True])
        commit = sink._producer.commit_transaction

        def sometimes() -> None:
            if next(refused, False):
                raise KafkaError("the broker said no")
            commit()

        sink._producer.commit_transaction = sometimes
        loop = Route(source, sink, routing.step, config.kafka)
        while lag(config) > 0:
            for _ in range(10):
                loop.turn(0.1)
        assert next(refused, None) is None
    assert sorted(committed(config)) == sorted(expected)


@pytest.mark.soak
def test_a_broker_that_was_away_is_waited_for_and_nothing_is_lost_or_doubled(broker: Broker, start: Start, tmp_path: Path) -> None:
    port = local.free_port()
    with local.running(tmp_path / "kafka", port=port) as own:
        config = configuration(own, partitions=2, batch=100)
        topic = config.topics[0].name
        fill(own, topic, 5000, 2)
        process = start(config)
        process.works_off(config, 5000)
    time.sleep(10)
    with local.running(tmp_path / "kafka", port=port) as own:
        fill(own, topic, 5000, 2)
        process.works_off(config, 1)
        found = committed(config)
        assert process.end()[0] == 0
    assert len(found) == len(set(found)) == 8000


SIZES = (60_000, 20_000, 8_000, 2_000, 200)  # records of three hours in five partitions


def backlog(broker: Broker, topic: str) -> None:
    random = np.random.default_rng(5)
    with KafkaProducer(bootstrap_servers=broker.address, linger_ms=50, batch_size=1 << 18, compression_type="lz4") as sender:
        for partition, size in enumerate(SIZES):
            times = 1_790_000_000_000 + np.sort(random.integers(0, 3 * 3_600_000, size)) - random.integers(0, 20_000, size)
            for at in times.tolist():
                sender.send(topic, b"x" * 80, partition=partition, timestamp_ms=at)


def late(times: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """Share of the records that come more than 5 minutes after a later one."""
    return float((times < np.maximum.accumulate(times) - 300 * SECOND).mean())


def test_a_backlog_of_three_hours_in_unequal_partitions_comes_in_order(broker: Broker) -> None:
    config = configuration(broker, partitions=5, batch=5_000)
    assert config.kafka is not None
    topic = config.topics[0].name
    backlog(broker, topic)
    with closing(kafka.reader(config.kafka, {Place(topic, p): 0 for p in range(5)})) as source:
        parts: list[Records] = []
        while sum(map(len, parts)) < sum(SIZES):
            parts += source.poll(0.2)
    assert late(np.concatenate([part.timestamps for part in parts])) > 0.1  # as they come
    client.ensure_topics(config.kafka)
    with (
        closing(kafka.member(config.kafka, [topic], "route")) as source,
        closing(KafkaSink(config.kafka, "route", source.consumer)) as sink,
    ):
        loop = Route(source, sink, routing.step, config.kafka, merge=Merge(most=6 << 20))
        emitted = 0
        while emitted < sum(SIZES):
            emitted += loop.turn(0.1)
    events = everything(config, config.kafka.events_topic)
    frames = [ecs.from_arrow(events.value(row)) for row in range(len(events))]
    times = np.concatenate([ecs.numbers(frame, "event.created").astype(np.int64) for frame in frames])
    assert len(times) == sum(SIZES)
    assert late(times) < 0.01


def test_a_raw_topic_that_does_not_exist_stops_the_start_with_its_name(broker: Broker) -> None:
    config = replace(configuration(broker, 1), topics=[Topic("nowhere", "city")])
    with pytest.raises(client.ClientError, match=r"\[\[topics\]\]: nowhere does not exist in Kafka"):
        daemon.route(config, routing.step, threading.Event())


def test_a_sample_is_the_newest_records_of_every_partition_and_commits_nothing(broker: Broker) -> None:
    config = configuration(broker, partitions=3)
    assert config.kafka is not None
    topic = config.topics[0].name
    fill(broker, topic, 3000, 3)
    found = kafka.sample(config.kafka, topic, 600)
    assert len(found) == 600
    by_partition = [found.offsets[found.place == i].tolist() for i in range(3)]
    assert [len(offsets) for offsets in by_partition] == [200, 200, 200]
    assert lag(config) == 3000
    assert len(kafka.sample(config.kafka, topic, 10_000)) == 3000
