"""Looks at how long a broker keeps our own topics, and shortens it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from detector.config import Kafka
from detector.retentionsections import Retention
from detector.sources.client import arguments
from detector.sources.keeping import FOR_EVER, Kept, settings, wanted


def too_long(config: Kafka, days: Retention, environ: Mapping[str, str] = os.environ) -> dict[str, Kept]:
    """Our topics that keep records longer than they should, as they are set now. Raises KafkaError."""
    with KafkaAdminClient(**arguments(config, environ)) as admin:
        there = set(admin.list_topics())
        described = _described(admin, sorted(set(wanted(config, days)) & there))
    return {topic: kept for topic, kept in described.items() if _long(kept, config, days, topic)}


def shorten(config: Kafka, days: Retention, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Sets those that keep too long to what they should; their names. Raises KafkaError, also where we may not."""
    changed = sorted(too_long(config, days, environ))
    if changed != []:
        with KafkaAdminClient(**arguments(config, environ)) as admin:
            resources: list[Any] = [ConfigResource(ConfigResourceType.TOPIC, name, settings(config, days, name)) for name in changed]
            admin.alter_configs(resources)
    return changed


def _described(admin: KafkaAdminClient, names: list[str]) -> dict[str, Kept]:
    if names == []:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, ["retention.ms", "segment.ms"]) for name in names]
    told = admin.describe_configs(resources, config_filter="all")["topic"]
    return {name: Kept(*(int(told[name][key]["value"]) for key in ("retention.ms", "segment.ms"))) for name in names}


def _long(kept: Kept, config: Kafka, days: Retention, topic: str) -> bool:
    most = wanted(config, days)[topic]
    return kept.retention == FOR_EVER or kept.retention + kept.segment > most.retention + most.segment
