"""The open incidents of a shard, and how flagged rows open and change them.

An incident is open while the stream's clock (the latest event time so far) is before `closes_at`; so what a row belongs to
depends on the order of events alone, never on where a batch ends. Its opening facts are never rewritten (I8).
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from detector.judge.entities import KINDS, SERVICE
from detector.judge.families import ACCESS, CREDENTIALS, FAMILIES, GOT_IN, LATERAL, severity
from detector.judge.findings import Incident
from detector.judge.flags import Flags

DAY = 86_400_000_000  # µs
NAMESPACE = uuid.UUID("6f1c7c52-8f0e-5d0a-9b1b-8b6f6b6a7e10")
SAMPLES = 50  # events shown per incident
_LOGINS = (CREDENTIALS, ACCESS, LATERAL, GOT_IN)

Key = tuple[int, int, int]  # family, kind of entity, identity


@dataclass(slots=True)
class Case:
    """An open incident and what we must remember of it beyond what it says."""

    key: Key
    incident: Incident
    level: int  # -log10 of the p that was last thought worth a notification
    samples: int = 0
    values: dict[str, set[int]] = field(default_factory=dict)  # by evidence field: identities of the values that are kept


@dataclass(slots=True)
class Cases:
    """Open incidents by family and entity, and the stream's clock in µs."""

    clock: int = 0
    open: dict[Key, Case] = field(default_factory=dict)


@dataclass(slots=True)
class Touched:
    """What a batch did to one incident; `rows` are indices into the flags, one per event, in stream order."""

    case: Case
    rows: NDArray[np.intp]
    opened: bool
    wants: bool


Open = Callable[[int], Incident]  # makes the incident that a flag (by index) opens


def attend(cases: Cases, flags: Flags, opener: Open) -> list[Touched]:
    """Apply the flags in stream order; cases that the clock has passed are dropped."""
    return [touched for key, rows in _groups(flags) for touched in _attend_group(cases, key, rows, flags, opener)]


def prune(cases: Cases, clock: int) -> None:
    """The stream's clock moved on: what closed by then is forgotten here (the store keeps it)."""
    cases.clock = clock
    for key in [key for key, case in cases.open.items() if case.incident.closes_at <= clock]:
        del cases.open[key]


def _groups(flags: Flags) -> Iterator[tuple[Key, NDArray[np.intp]]]:
    """Rows by family and entity, each event once (with its smallest p), in the order in which the groups began."""
    what = flags.family * 8 + flags.kind
    order = np.lexsort((flags.p, flags.event, flags.entity, what))
    new_group = _changes(what[order]) | _changes(flags.entity[order])
    once = order[new_group | _changes(flags.event[order])]
    begins = np.flatnonzero(_changes(what[once]) | _changes(flags.entity[once]))
    groups = np.split(once, begins[1:])
    for rows in sorted(groups, key=lambda rows: int(rows[0])):
        first = rows[0]
        yield (int(flags.family[first]), int(flags.kind[first]), int(flags.entity[first])), rows


def _changes(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a value differs from the one before; the first always does."""
    differs = np.ones(len(values), np.bool_)
    differs[1:] = values[1:] != values[:-1]
    return differs


def _attend_group(cases: Cases, key: Key, rows: NDArray[np.intp], flags: Flags, opener: Open) -> Iterator[Touched]:
    clock, begin = flags.clock[rows], 0
    while begin < len(rows):
        case = cases.open.get(key)
        opened = case is None or case.incident.closes_at <= clock[begin]
        if case is None or opened:
            incident = opener(int(rows[begin]))
            case = cases.open[key] = Case(key, incident, _level(incident.p_value))
        end = begin + int(np.searchsorted(clock[begin:], case.incident.closes_at, "left"))
        mine = rows[begin : max(end, begin + 1)]
        wants = _note(case, flags, mine) or opened
        yield Touched(case, mine, opened, wants)
        begin += len(mine)


def _level(p: float) -> int:
    """Whole orders of magnitude: being worse by less is not worth a second message."""
    return math.floor(-math.log10(max(p, 1e-300)) + 1e-9)


def _note(case: Case, flags: Flags, rows: NDArray[np.intp]) -> bool:
    """Take the rows into the incident's course; whether it became worse by an order of magnitude, or someone got in."""
    incident = case.incident
    worst = rows[np.argmin(flags.p[rows])]
    if flags.p[worst] < incident.worst_p:
        incident.worst_p = float(flags.p[worst])
    incident.worst_score = max(incident.worst_score, float(flags.s[rows].max()))
    incident.events += int(flags.weight[rows].sum())
    incident.updated = max(incident.updated, int(flags.time[rows].max()))
    got_in = incident.got_in != "yes" and FAMILIES[case.key[0]] in _LOGINS and bool(flags.success[rows].any())
    if got_in:
        incident.got_in = "yes"
    outside = incident.entity_kind == KINDS[SERVICE]
    incident.severity = severity(incident.family, incident.worst_p, incident.got_in, outside=outside, critical=incident.critical)
    worse = _level(incident.worst_p) > case.level
    case.level = max(case.level, _level(incident.worst_p))
    return worse or (got_in and incident.family == CREDENTIALS)


def incident_id(tenant: str, entity: str, family: str, topic: str, partition: int, offset: int) -> str:
    """The same for the same opening event, however the stream was cut and however often it was routed."""
    return str(uuid.uuid5(NAMESPACE, "\0".join((tenant, entity, family, topic, str(partition), str(offset)))))


def snapshot(incident: Incident) -> Incident:
    """The incident as it is now; the case goes on changing its own."""
    return replace(incident)
