"""The incidents that a shard knows: how flagged rows open, continue and worsen them.

An incident is open while the stream's clock (the latest event time so far) is before `closes_at`; so what a row belongs to
depends on the order of events alone, never on where a batch ends. A closed one is remembered for 14 days after its last
flag: what repeats its entity and family continues it with a new episode. Its opening facts are never rewritten (I8).
What people close is in `closing`.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from detector.judge import series
from detector.judge.beside import Nearest
from detector.judge.families import ACCESS, CREDENTIALS, FAMILIES, GOT_IN, LATERAL
from detector.judge.findings import Episode, Incident, first_episode
from detector.judge.flags import Flags
from detector.judge.volume import Volumes

DAY = 86_400_000_000  # µs
REMEMBERED = 14 * DAY
KNOWN = 4_096  # incidents per shard, open or remembered; beyond it the eighth that was quiet the longest is forgotten
NAMESPACE = uuid.UUID("6f1c7c52-8f0e-5d0a-9b1b-8b6f6b6a7e10")
_LOGINS = (CREDENTIALS, ACCESS, LATERAL, GOT_IN)

Key = tuple[int, int, int]  # family, kind of entity, identity


@dataclass(slots=True)
class Bout:
    """An episode, and which evidence of it is kept."""

    episode: Episode
    samples: int = 0
    values: dict[str, set[int]] = field(default_factory=dict)  # by evidence field: identities of the values that are kept


@dataclass(slots=True)
class Case:
    """An incident and what we must remember of it beyond what it says."""

    key: Key
    incident: Incident
    lasting: bool  # its entity outlives the epoch of tokens, so that a repeat can be recognised
    bout: Bout  # the latest
    level: int  # -log10 of the p that was last thought worth a notification
    seen: int  # the stream's clock at its last flag
    past: series.Past = field(default_factory=series.Past)


@dataclass(slots=True)
class Cases:
    """Known incidents by family and entity, the stream's clock in µs, how much there is to compare with, and what came near."""

    clock: int = 0
    known: dict[Key, Case] = field(default_factory=dict)
    volumes: Volumes = field(default_factory=Volumes)
    nearest: Nearest = field(default_factory=Nearest)  # the day's near misses


@dataclass(slots=True)
class Touched:
    """What a batch did to one episode; `rows` are indices into the flags, one per event, in stream order."""

    case: Case
    bout: Bout
    rows: NDArray[np.intp]
    opened: bool  # the incident itself is new
    wants: bool


@dataclass(frozen=True, slots=True)
class Opening:
    """The incident that a flag opens, if there is none to continue."""

    incident: Incident
    lasting: bool


Open = Callable[[int], Opening]  # by index of the flag


def attend(cases: Cases, flags: Flags, opener: Open) -> list[Touched]:
    """Apply the flags in stream order."""
    groups = list(_groups(flags))
    if len(cases.known) + len(groups) > KNOWN:  # something may have to be forgotten, and what that is depends on the order
        groups = _one_by_one(groups)
    found: dict[int, Touched] = {}
    for key, rows in groups:
        for one in _attend_group(cases, key, rows, flags, opener):
            before = found.setdefault(id(one.bout), one)
            if before is not one:
                before.rows, before.wants = np.concatenate([before.rows, one.rows]), before.wants or one.wants
    return list(found.values())


def prune(cases: Cases, clock: int) -> None:
    """The stream's clock moved on: what nothing can continue any more is forgotten here (the store keeps it)."""
    cases.clock = clock
    cases.volumes.forget(clock)
    for key, case in list(cases.known.items()):
        if _over(case, clock):
            del cases.known[key]
        elif case.bout.episode.closes_at <= clock:
            case.bout.values.clear()


def _over(case: Case, clock: int) -> bool:
    """Closed, and nothing may continue it. Where a person closed it early, a repeat goes on until the episode would have ended."""
    return case.bout.episode.closes_at <= clock and not (case.lasting and clock < case.seen + REMEMBERED)


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


def _one_by_one(groups: list[tuple[Key, NDArray[np.intp]]]) -> list[tuple[Key, NDArray[np.intp]]]:
    """The same rows in stream order, each alone."""
    return sorted(((key, rows[i : i + 1]) for key, rows in groups for i in range(len(rows))), key=lambda one: int(one[1][0]))


def _changes(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a value differs from the one before; the first always does."""
    differs = np.ones(len(values), np.bool_)
    differs[1:] = values[1:] != values[:-1]
    return differs


def _attend_group(cases: Cases, key: Key, rows: NDArray[np.intp], flags: Flags, opener: Open) -> Iterator[Touched]:
    clock, begin = flags.clock[rows], 0
    while begin < len(rows):
        case, opened, began = _case(cases, key, int(rows[begin]), int(clock[begin]), opener)
        end = begin + int(np.searchsorted(clock[begin:], case.incident.closes_at, "left"))
        mine = rows[begin : max(end, begin + 1)]
        case.seen = int(clock[begin + len(mine) - 1])
        wants = _note(case, flags, mine, began=began) or opened
        yield Touched(case, case.bout, mine, opened, wants)
        begin += len(mine)


def _case(cases: Cases, key: Key, row: int, clock: int, opener: Open) -> tuple[Case, bool, bool]:
    """The case that a row belongs to, whether it is a new one, and whether an episode begins with the row."""
    case = cases.known.get(key)
    if case is not None and clock < case.incident.closes_at:
        return case, False, False
    opening = opener(row)
    if case is not None and not _over(case, clock):
        _continue(case, opening.incident)
        return case, False, True
    if case is None and len(cases.known) >= KNOWN:
        _forget(cases, clock)
    incident = opening.incident
    made = Case(key, incident, opening.lasting, Bout(first_episode(incident)), _level(incident.p_value), clock)
    cases.known[key] = made
    return made, True, True


def _continue(case: Case, again: Incident) -> None:
    """Begin the next episode; `again` is the incident that would have opened."""
    incident = case.incident
    case.past.add(incident.episode_events)
    case.bout = Bout(replace(first_episode(again), incident=incident.id, number=incident.episode + 1))
    incident.episode, incident.episode_opened, incident.episode_events = incident.episode + 1, again.opened, 0
    incident.closes_at, incident.usual = again.closes_at, case.past.usual()


def _forget(cases: Cases, clock: int) -> None:
    """Make room: what is over goes, and if that is not enough the eighth that was quiet the longest, closed ones first."""
    for key in [key for key, case in cases.known.items() if _over(case, clock)]:
        del cases.known[key]
    if len(cases.known) >= KNOWN:
        order = sorted(cases.known.values(), key=lambda case: (case.incident.closes_at > clock, case.seen, case.key))
        for case in order[: KNOWN // 8]:
            del cases.known[case.key]


def _level(p: float) -> int:
    """Whole orders of magnitude: being worse by less is not worth a second message."""
    return math.floor(-math.log10(max(p, 1e-300)) + 1e-9)


def _note(case: Case, flags: Flags, rows: NDArray[np.intp], *, began: bool) -> bool:
    """Take the rows into the incident's course; whether it became worse than ever in its series, or someone got in."""
    incident, episode, family = case.incident, case.bout.episode, FAMILIES[case.key[0]]
    worst, weight = rows[np.argmin(flags.p[rows])], int(flags.weight[rows].sum())
    for one in (incident, episode):
        one.worst_p = min(one.worst_p, float(flags.p[worst]))
        one.worst_score = max(one.worst_score, float(flags.s[rows].max()))
        one.events += weight
        one.updated = max(one.updated, int(flags.time[rows].max()))
    incident.episode_events = episode.events
    incident.critical = incident.critical or bool(flags.critical[rows].any())
    entered = family == GOT_IN if began else False
    if episode.got_in != "yes" and family in _LOGINS and bool(flags.success[rows].any()):
        episode.got_in, entered = "yes", entered or family == CREDENTIALS
    if episode.got_in == "yes":
        incident.got_in = "yes"
    rarer, more = _level(incident.worst_p) > case.level, case.past.outdone(episode.events)
    case.level = max(case.level, _level(incident.worst_p))
    return rarer or more or entered


def incident_id(tenant: str, entity: str, family: str, topic: str, partition: int, offset: int) -> str:
    """The same for the same opening event, however the stream was cut and however often it was routed."""
    return str(uuid.uuid5(NAMESPACE, "\0".join((tenant, entity, family, topic, str(partition), str(offset)))))


def snapshot(incident: Incident) -> Incident:
    """The incident as it is now; the case goes on changing its own."""
    return replace(incident)
