"""What people have asked not to be told about, and whether an incident is that.

A suppression holds an incident back only if the incident is wholly what it names (every source, every host, every account of its
evidence), speaks by no other reasons, and is at most twice as strong as what was seen when it was given. It never hides a success
after failures. Strength is the incident's score (the strongest member's -log10 tail probability, which goes on where p has reached
its floor) and, per reason, the distance of the observed value from the usual one: both may double, in the direction that is odd.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from detector.judge.families import CREDENTIALS, FAMILIES, GOT_IN
from detector.judge.findings import Incident, Reason
from detector.sentence import Sentence

FIELDS = ("service", "source.ip", "user.name", "host.name", "network", "role")
# Where a suppression of that field is looked for: fields of the evidence (complete), or of the sample events (the first fifty).
EVIDENCE = {"source.ip": ("source.ip",), "user.name": ("user.name", "user.target.name"), "host.name": ("host.name",)}
SAMPLED = {"network": "source.network", "role": "user.roles"}
TWICE = 2.0
DAYS = 30
DAY = 86_400_000_000  # µs
TOKEN = re.compile(r"(u|h|ip)-[0-9a-f]{16}")
TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHANGE = time(5)  # tokens change at 05:00 (privacy/epochs.py)


class SuppressionError(Sentence):
    """It cannot be given like this; the text is one sentence for the person who asked."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Strength when a suppression was given: the score, and each reason's distance between observed and usual value."""

    score: float
    observed: Mapping[str, float]

    @classmethod
    def of(cls, incident: Incident) -> Seen:
        return cls(incident.worst_score, {reason.feature: distance(reason) for reason in incident.reasons})


@dataclass(frozen=True, slots=True)
class Suppression:
    """`technique` "" and `signature` () mean any; `seen` None: nothing matched yet, the first match sets it."""

    id: int
    field: str
    value: str
    technique: str
    signature: tuple[str, ...]
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an incident by field: every value of its evidence, every value in its samples. Missing: not known wholly."""

    evidence: Mapping[str, frozenset[str]]
    samples: Mapping[str, frozenset[str]]


def distance(reason: Reason) -> float:
    return abs(reason.observed - reason.usual)


def hides(suppression: Suppression, incident: Incident, facts: Facts) -> bool:
    """Whether the incident's notification is held back."""
    return not never_hidden(incident) and concerns(suppression, incident, facts) and holds(suppression.seen, incident)


def never_hidden(incident: Incident) -> bool:
    """A success after failures, told by the rule or by what was flagged while passwords were tried."""
    return incident.urgent or incident.family == GOT_IN or (incident.family == CREDENTIALS and incident.got_in == "yes")


def concerns(suppression: Suppression, incident: Incident, facts: Facts) -> bool:
    """Entity, technique and reasons: all three are within the scope."""
    technique = suppression.technique in ("", incident.family, *incident.techniques)
    reasons = {reason.feature for reason in incident.reasons}
    signature = len(suppression.signature) == 0 or reasons <= set(suppression.signature)
    return technique and signature and _is_about(suppression, incident, facts)


def holds(seen: Seen | None, incident: Incident) -> bool:
    """At most twice the strength seen. The course of an incident moves its score, its reasons are those of its opening."""
    if seen is None:
        return True
    if incident.worst_score > seen.score + abs(seen.score) * (TWICE - 1):
        return False
    return all(distance(reason) <= TWICE * seen.observed.get(reason.feature, distance(reason)) for reason in incident.reasons)


def _is_about(suppression: Suppression, incident: Incident, facts: Facts) -> bool:
    if suppression.field == "service":
        return incident.entity_kind == "service" and incident.entity_value == suppression.value
    if suppression.field == "network" and _network(suppression.value) is not None:
        return _all(facts.evidence.get("source.ip"), suppression.value)
    if suppression.field in SAMPLED:
        return _all(facts.samples.get(SAMPLED[suppression.field]), suppression.value)
    known = [facts.evidence.get(field) for field in EVIDENCE[suppression.field]]
    values = frozenset[str]().union(*(some for some in known if some is not None))
    return None not in known and _all(values, suppression.value)


def _all(values: frozenset[str] | None, wanted: str) -> bool:
    """Whether all values (at least one) are the wanted one, or addresses inside it."""
    if values is None or len(values) == 0:
        return False
    network = _network(wanted)
    return all(value == wanted or (network is not None and _inside(value, network)) for value in values)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _inside(value: str, network: Network) -> bool:
    try:
        return ipaddress.ip_address(value) in network
    except ValueError:
        return False  # a token


def first_hiding(suppressions: Iterable[Suppression], incident: Incident, facts: Facts) -> Suppression | None:
    """The oldest suppression that hides it."""
    return next((one for one in suppressions if hides(one, incident, facts)), None)


def lasting(value: str, now: int, zone: str, expires: int | None) -> tuple[int, bool]:
    """When a suppression ends (µs), and whether that is because it names a token, which means somebody else after the epoch."""
    wanted = now + DAYS * DAY if expires is None else expires
    if TOKEN.fullmatch(value) is None:
        return wanted, False
    return min(wanted, epoch_change(now, zone)), True


def epoch_change(now: int, zone: str) -> int:
    """The next 05:00 on the tenant's wall, µs."""
    local = (_EPOCH + timedelta(microseconds=now)).astimezone(ZoneInfo(zone))
    day = local.date() + timedelta(days=0 if local.hour < _CHANGE.hour else 1)
    return (datetime.combine(day, _CHANGE, ZoneInfo(zone)) - _EPOCH) // timedelta(microseconds=1)


def checked(field: str, value: str, technique: str, signature: Sequence[str], author: str, reason: str) -> None:
    """Raises SuppressionError for a scope that names nothing, or everything, and where nobody answers for it."""
    if field not in FIELDS:
        raise SuppressionError(f"a suppression names {', '.join(FIELDS)}, not {field}")
    if value.strip() in ("", "*"):
        raise SuppressionError(f"a suppression names one {field}, not all of them; for a span of time there are maintenance windows")
    if technique not in ("", *FAMILIES) and TECHNIQUE.fullmatch(technique) is None:
        raise SuppressionError(f"{technique} is neither an ATT&CK technique such as T1046 nor one of {', '.join(FAMILIES)}")
    if technique == GOT_IN:
        raise SuppressionError("a success after failures is never suppressed")
    if author.strip() == "" or reason.strip() == "":
        raise SuppressionError("a suppression needs the name of who gives it and a reason")
    if any(feature.strip() == "" for feature in signature):
        raise SuppressionError("a reason signature lists names of features")
