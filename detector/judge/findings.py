"""What SCORE says: plain values that travel from the judge to the store and the page. Nothing here does anything."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MODELS = ("firewall-source", "firewall-pair", "auth-source", "auth-user", "auth-service")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, for one feature: three numbers and two sentences."""

    feature: str
    observed: float
    usual: float
    rarity: float  # -log10 of the one-sided tail probability among honest rows
    contribution: float  # share of the member that spoke, 0..1
    text: dict[str, str]  # de, en


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One value seen in an incident; counts add up, times widen, so the order of arrival does not matter."""

    field: str  # ECS name: source.ip, user.name, host.name, destination.port, …
    value: str
    events: int
    first: int  # µs since the epoch
    last: int


@dataclass(frozen=True, slots=True)
class EventSample:
    """An event behind an incident (already pseudonymous), as the analyst sees it."""

    time: int  # µs
    topic: str
    partition: int
    offset: int
    fields: dict[str, str | int]


@dataclass(slots=True)
class Incident:
    """An open or closed incident; SCORE's state holds the open ones, the store has all."""

    id: str  # UUID5 of (tenant, entity, technique family, raw topic/partition/offset of the opening event)
    shard: str
    tenant: str
    site: str
    model: str
    model_id: str
    family: str  # technique family, see families.FAMILIES
    severity: str  # low | medium | high | critical
    entity_kind: str  # source.ip | service | user.name
    entity_value: str
    techniques: tuple[str, ...]
    opened: int  # event time, µs
    updated: int
    closes_at: int
    p_value: float  # the opening's; never rewritten (I8)
    score: float
    worst_p: float
    worst_score: float
    events: int
    title: dict[str, str]
    counterfactual: dict[str, str]
    reasons: tuple[Reason, ...] = ()
    got_in: str = "unknown"  # yes | no | unknown
    urgent: bool = False
    critical: bool = False  # the target lies in a network that the configuration marks critical


@dataclass(frozen=True, slots=True)
class Changes:
    """What one batch of one shard changes in the database; written in one transaction."""

    shard: str
    opened: tuple[Incident, ...] = ()  # new rows
    updated: tuple[Incident, ...] = ()  # whole current value of incidents that were already open
    evidence: dict[str, tuple[EvidenceRow, ...]] = field(default_factory=dict)  # incident id -> increments of this batch
    samples: dict[str, tuple[EventSample, ...]] = field(default_factory=dict)  # incident id -> new samples (first 50 per incident)
    notify: tuple[str, ...] = ()  # ids that are new or worse and want a notification; the store applies the budget
    rows: dict[str, NDArray[np.int64]] = field(default_factory=dict, compare=False)  # incident id -> flagged events of this batch, indices
