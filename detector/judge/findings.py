"""What SCORE says: plain values that travel from the judge to the store and the page. Nothing here does anything."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.judge.blocks import Block
from detector.judge.devices import Facts

MODELS = ("firewall-source", "firewall-pair", "auth-source", "auth-user", "auth-service")
NO_PROBABILITY = frozenset({"auth-service"})  # its p is no probability (streams.md no. 6): nothing says "1 in N"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, for one feature: three numbers and two sentences."""

    feature: str
    observed: float
    usual: float  # the 90th percentile among ordinary rows (the 10th where low is adverse)
    rarity: float  # -log10 of the one-sided tail probability among honest rows
    contribution: float  # share of the member that spoke, 0..1
    text: dict[str, str]  # de, en
    median: float = 0.0


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One value seen in an incident; counts add up, times widen, so the order of arrival does not matter."""

    field: str  # ECS name: source.ip, user.name, host.name, destination.port, …
    value: str
    events: int
    first: int  # µs since the epoch
    last: int
    episode: int = 1


@dataclass(frozen=True, slots=True)
class EventSample:
    """An event behind an incident (already pseudonymous), as the analyst sees it."""

    time: int  # µs
    topic: str
    partition: int
    offset: int
    fields: dict[str, str | int]
    episode: int = 1


@dataclass(slots=True)
class Episode:
    """One time that an incident was open, at most 24 hours. A repeat within 14 days is the next episode of the same incident."""

    incident: str
    number: int  # 1, 2, 3, …
    opened: int  # event time, µs; from here to counterfactual: facts of this opening (I8)
    closes_at: int
    model: str
    model_id: str
    p_value: float
    score: float
    reasons: tuple[Reason, ...]
    counterfactual: dict[str, str]
    updated: int  # from here on: its course
    worst_p: float
    worst_score: float
    events: int = 0
    got_in: str = "unknown"


@dataclass(slots=True)
class Incident:
    """A series of episodes of one entity and technique family, often a single one; the opening facts are those of the first.

    SCORE's state holds the open ones and those that a repeat would continue; the store has all.
    """

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
    critical: bool = False  # something in it touched a network that the configuration marks critical
    volume: float | None = None  # comparable rows of this tenant and site a day, at the opening; None = not known, or p is no probability
    spread: int = 0  # hosts or accounts reached, whichever are more, in the widest episode
    episode: int = 1  # the number of the latest episode: 12 = for the 12th time
    episode_opened: int = 0  # µs; of the latest episode, as the next two
    episode_events: int = 0
    usual: tuple[int, int] | None = None  # 10th and 90th percentile of the events of the episodes before


@dataclass(frozen=True, slots=True)
class NearMiss:
    """The row of an entity that came nearest to its model's threshold on one day without reaching it."""

    day: int  # local, since 1970-01-01
    model: str
    model_id: str
    family: str
    entity_kind: str
    identity: int  # of the entity, 64 bits
    entity_value: str
    time: int  # µs
    p_value: float
    score: float
    nearness: float  # p over the model's threshold, above 1
    techniques: tuple[str, ...]
    title: dict[str, str]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Deciles:
    """How many rows of a model fell into each tenth of p; counts of several batches add up."""

    day: int  # local, since 1970-01-01
    model: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """What one batch adds to the comparison of a candidate with the champion over the same sample of entities.

    Counts are increments; of an incident that one of them would have opened, the whole current value.
    """

    model: str
    model_id: str  # of the candidate
    rows: int  # of the champion
    sampled: int
    alerts: tuple[int, int]  # sampled rows with p <= 1e-3: the candidate's, the champion's
    first: int  # event time, µs, of the batch
    last: int
    incidents: tuple[tuple[str, Incident], ...] = ()  # (candidate | champion, incident)


def first_episode(incident: Incident) -> Episode:
    """The episode with which an incident begins."""
    return Episode(
        incident.id, 1, incident.opened, incident.closes_at, incident.model, incident.model_id, incident.p_value, incident.score,
        incident.reasons, incident.counterfactual, incident.updated, incident.worst_p, incident.worst_score, incident.events,
        incident.got_in,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Changes:
    """What one batch of one shard changes in the database; written in one transaction."""

    shard: str
    opened: tuple[Incident, ...] = ()  # new rows
    updated: tuple[Incident, ...] = ()  # whole current value of incidents that were known already
    evidence: dict[str, tuple[EvidenceRow, ...]] = field(default_factory=dict)  # incident id -> increments of this batch
    samples: dict[str, tuple[EventSample, ...]] = field(default_factory=dict)  # incident id -> new samples (first 50 per incident)
    notify: tuple[str, ...] = ()  # ids that are new or worse and want a notification; the store applies the budget
    episodes: tuple[Episode, ...] = ()  # whole current value of every episode that began or went on
    rows: dict[str, NDArray[np.int64]] = field(default_factory=dict, compare=False)  # incident id -> flagged events of this batch, indices
    misses: tuple[NearMiss, ...] = ()  # what is new or nearer among the day's near misses
    deciles: tuple[Deciles, ...] = ()  # increments of this batch
    devices: tuple[Facts, ...] = ()  # increments of this batch
    blocks: tuple[Block, ...] = ()  # hours of rows to learn from that were closed
    shadows: tuple[Beside, ...] = ()  # of models with a candidate beside the champion
