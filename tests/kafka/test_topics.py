"""Our topics keep no longer than configured; one that does is seen and mended on a real broker."""

from __future__ import annotations

import msgspec
import pytest

from detector.retentionsections import Retention
from detector.sources import client, topics
from detector.sources.broker import Broker
from detector.sources.keeping import DAY_MS, Kept, wanted
from tests.broker import create_topic, settings, unique

pytestmark = pytest.mark.kafka


def test_a_new_topic_keeps_what_is_configured_and_nothing_is_too_long(broker: Broker) -> None:
    config = settings(broker, unique("kept"))
    client.ensure_topics(config)
    assert topics.too_long(config, Retention()) == {}


def test_a_topic_that_an_administrator_made_for_ever_is_shortened(broker: Broker) -> None:
    config = settings(broker, unique("kept"))
    create_topic(broker, config.events_topic, config.events_partitions)
    client.ensure_topics(config)
    assert topics.too_long(config, Retention()) == {config.events_topic: Kept(-1, 7 * DAY_MS)}
    assert topics.shorten(config, Retention()) == [config.events_topic]
    assert topics.too_long(config, Retention()) == {}


def test_a_shorter_period_takes_effect_on_topics_that_are_there(broker: Broker) -> None:
    config = settings(broker, unique("kept"))
    client.ensure_topics(config)
    assert topics.shorten(config, msgspec.structs.replace(Retention(), dead_letters=2)) == [config.dead_letters_topic]


def test_no_record_outlives_its_days_because_of_its_segment(broker: Broker) -> None:
    config = settings(broker, "any")
    for topic, days in ((config.events_topic, 3), (config.dead_letters_topic, 7), (config.alerts_topic, 30)):
        kept = wanted(config, Retention())[topic]
        assert kept.retention + kept.segment == days * DAY_MS
