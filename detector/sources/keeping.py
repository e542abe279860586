"""How long Kafka keeps our own topics. A broker deletes whole segments, so their length counts, too."""

from __future__ import annotations

from typing import NamedTuple

from detector.config import Kafka
from detector.retentionsections import Retention

DAY_MS = 86_400_000
SEGMENT_MS = 3 * 3_600_000  # a segment is closed after so long and goes when its newest record is past its time
FOR_EVER = -1


class Kept(NamedTuple):
    """A topic's settings, ms; -1 = for ever."""

    retention: int
    segment: int


def wanted(config: Kafka, days: Retention) -> dict[str, Kept]:
    """So that nothing of it is older than its days: the last record of a segment may be SEGMENT_MS younger than the first."""
    by_topic = {config.events_topic: days.events, config.dead_letters_topic: days.dead_letters, config.alerts_topic: days.evidence}
    return {topic: Kept(number * DAY_MS - SEGMENT_MS, SEGMENT_MS) for topic, number in by_topic.items()}


def settings(config: Kafka, days: Retention, topic: str) -> dict[str, str]:
    """For a new topic."""
    kept = wanted(config, days).get(topic)
    return {} if kept is None else {"retention.ms": str(kept.retention), "segment.ms": str(kept.segment)}
