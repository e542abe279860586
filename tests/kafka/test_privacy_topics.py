"""Marker names and addresses go through a real broker: none is in any message that ROUTE wrote, key and headers included."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import msgspec
import pytest
from kafka import KafkaProducer

from detector import daemon
from detector.config import Config, Topic
from detector.decode import Decoder
from detector.pipeline import Counts, Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.proof import counted, topics
from detector.records import Place
from detector.sources.broker import Broker
from tests.broker import create_topic, settings, unique
from tests.test_privacy_everywhere import NEEDLES, NOON, attack

pytestmark = pytest.mark.kafka


def _routed(config: Config, records: int) -> None:
    """Runs ROUTE until it has accounted for so many records."""
    router = Router(Decoder.of(config), Privacy.of(config, MemoryKeyring(b"k" * 32)))
    stop, seen = threading.Event(), [0]

    def observe(counts: Counts, _behind: Mapping[Place, int]) -> None:
        seen[0] += counts.records
        if seen[0] >= records:
            stop.set()

    guard = threading.Timer(90, stop.set)
    guard.start()
    try:
        daemon.route(config, lambda batch: route_step(batch, router), stop, daemon.Hooks(observe))
    finally:
        guard.cancel()
    assert seen[0] == records


def test_no_marker_is_in_a_topic_that_route_wrote(broker: Broker) -> None:
    lines = attack()
    topic = create_topic(broker, unique("raw"), 2)
    kafka = settings(broker, unique("group"))
    config = Config(topics=[Topic(topic, "stadt", site="rathaus", timezone="UTC")], kafka=kafka)
    with KafkaProducer(bootstrap_servers=broker.address) as producer:
        for i, line in enumerate(lines):
            producer.send(
                topic, line, key=b"moerkelbach", headers=[("host", b"10.77.3.200")], partition=i % 2, timestamp_ms=NOON // 1000 + i
            )
    _routed(config, len(lines))
    found = {name: (size, hits) for name, size, hits in counted(topics(kafka, {}), NEEDLES)}
    for name in (kafka.events_topic, kafka.dead_letters_topic):
        assert found[f"topic {name}"][0] > 0, "there was nothing to search"
    assert {hits for _, hits in found.values()} == {0}
    careless = msgspec.structs.replace(kafka, alerts_topic=topic)
    assert counted(topics(careless, {}), NEEDLES[:2])[-1][2] > 0, "the search finds nothing even where the markers are"
