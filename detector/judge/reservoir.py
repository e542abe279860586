"""What SCORE keeps to learn from: per model and hour a uniform sample of vectors, without those of incidents, without names.

Of an hour the rows with the smallest keys are kept, a key being a hash of the event's place in the raw log: uniform, the same
however the stream is cut (I1), and the same in a replay. An hour is closed when nothing can change it any more: an incident
reaches back an hour, so two hours later by the stream's clock. Then it becomes a block (`blocks`), with a number in place of
each entity that is forgotten at the next token epoch, of a person's account already with the next hour.

Who may teach: for sources, pairs and accounts only those who had succeeded before (`acquainted`), since 99.7 % of an exposed
host's rows are attackers'; `auth-service` learns from all. Nobody gives more than one row in a thousand of a day's: of the rows
that a day can hold, by a limit per hour, and of those that it had so far, when the hour is closed. For `auth-service` "nobody"
is a source, not the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features import Rows
from detector.features.calendar import EPOCH_HOUR, local
from detector.features.columns import SOURCE_INSIDE, sides
from detector.features.hashing import address_ids, text_ids, words
from detector.judge.acquainted import ACCOUNT, FLOW, LOGIN, Acquainted, mixed
from detector.judge.blocks import LEVELS, Block, Columns, packed
from detector.judge.models import Models, Scored

HOUR = 3_600_000_000  # µs
AROUND = HOUR  # before an incident's first flag and after its end
ONE_IN = 1000  # of a day's rows, from anybody
SPANS = 20_000  # entities in incidents that are remembered per model; far more than an hour's sample holds
LEARNS_ALL = frozenset({"auth-service"})
PERSONS = frozenset({"auth-user"})  # their numbers restart each hour: a day's rows of one account, gathered, would be recognised again
_NETWORK = ("firewall-source", "firewall-pair")

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Spans = dict[int, dict[str, tuple[int, int]]]


class Involved(NamedTuple):
    """Which events of a batch an incident flagged, indices; which of them because of the service; when it closes, µs of the stream."""

    incident: str
    events: I64
    service: I64
    closes_at: int


class Sample(NamedTuple):
    """k rows in the order of their keys, all distinct: X float32 (k, F); entity, teacher (whom the limit is about), key uint64 (k);
    clock int64 (k), µs of the stream's clock."""

    X: NDArray[np.float32]
    entity: U64
    teacher: U64
    key: U64
    clock: I64

    def take(self, chosen: NDArray[np.intp]) -> Sample:
        return Sample(self.X[chosen], self.entity[chosen], self.teacher[chosen], self.key[chosen], self.clock[chosen])


@dataclass(slots=True)
class Hour:
    """One hour of one model that may still change."""

    hour: int  # since 1970
    sample: Sample
    seen: int = 0
    eligible: int = 0
    low: tuple[int, ...] = (0,) * len(LEVELS)


@dataclass(slots=True)
class Day:
    """What closed hours of the present epoch gave: rows seen, rows kept by teacher, and each entity's number."""

    epoch: int = -1
    seen: int = 0
    given: dict[int, int] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Part:
    """Of one model. `spans`: entity -> incident -> the stream's clock at its first flag, and when that is over; `watched`: their
    entities, rising."""

    hours: list[Hour] = field(default_factory=list)
    spans: Spans = field(default_factory=dict)
    day: Day = field(default_factory=Day)
    watched: U64 = field(default_factory=lambda: np.zeros(0, np.uint64))

    def watch(self, spans: Spans) -> None:
        """These are its spans now."""
        self.spans, self.watched = spans, np.array(sorted(spans), np.uint64)


@dataclass(slots=True)
class Reservoir:
    """Of one shard; moved on in place by `take`. `rows`: kept per model and hour, 0 = nothing is."""

    acquainted: Acquainted
    rows: int = 1000
    hour: int = -1  # the stream's, since 1970
    parts: dict[str, Part] = field(default_factory=dict)

    @classmethod
    def fresh(cls, entities: int, rows: int = 1000) -> Reservoir:
        return cls(Acquainted.fresh(entities), rows)


class _Batch(NamedTuple):
    """What all models share: key of each event, who may teach by which name; arrays (events)."""

    clock: I64
    hour: I64
    key: U64
    source: U64
    account: U64  # a key that outlives the epoch where person_memory keeps one, else the token's
    login: NDArray[np.bool_]  # a successful one
    flow: NDArray[np.bool_]  # let through, from inside


def take(
    reservoir: Reservoir, events: pl.DataFrame, scored: Mapping[str, Scored], clock: I64, involved: Iterable[Involved], models: Models,
    zone: ZoneInfo,
) -> tuple[Block, ...]:  # fmt: skip
    """Takes a batch in; returns the hours that it closed. `clock`: the stream's at each event, µs, rising."""
    if reservoir.rows == 0 or len(events) == 0:
        return ()
    batch, touched = _batch(events, clock), list(involved)
    blocks: list[Block] = []
    for hour in [int(batch.hour[0])] if batch.hour[0] == batch.hour[-1] else np.unique(batch.hour).tolist():
        if hour > reservoir.hour:
            blocks += _turn(reservoir, hour, models, zone)
        mine = batch.hour == hour
        for name, one in scored.items():
            part = reservoir.parts.setdefault(name, Part())
            rows, within = one.rows, mine[one.rows.row]
            _involve(part, name, rows, within, batch, touched)
            _sample(reservoir, part, name, one, within & (rows.weight > 0), batch, hour)
        _learn(reservoir.acquainted, batch, mine)
    return tuple(blocks)


def _batch(events: pl.DataFrame, clock: I64) -> _Batch:
    topic = text_ids(events, "log.topic")
    partition, offset = (ecs.numbers(events, f"log.{part}").astype(np.uint64) for part in ("partition", "offset"))
    success = words(events, "event.outcome", {"success": 1}) == 1
    target, user, lasting = text_ids(events, "user.target.name"), text_ids(events, "user.name"), ecs.numbers(events, "seen.account")
    account = np.where(lasting != 0, lasting, np.where(target != 0, target, user)).astype(np.uint64)
    login = success & (words(events, "event.action", {"login": 1, "ticket": 1}) == 1)
    flow = (words(events, "event.action", {"allowed": 1}) == 1) & ((sides(events) & SOURCE_INSIDE) != 0)
    key = mixed(mixed(topic ^ mixed(partition)) + offset)
    return _Batch(clock, clock // HOUR, key, address_ids(events, "source.ip"), account, login, flow)


def _learn(acquainted: Acquainted, batch: _Batch, mine: NDArray[np.bool_]) -> None:
    login, flow = mine & batch.login, mine & batch.flow
    if login.any():
        acquainted.add(LOGIN, batch.source[login])
        acquainted.add(ACCOUNT, batch.account[login])
    if flow.any():
        acquainted.add(FLOW, batch.source[flow])


def _eligible(acquainted: Acquainted, name: str, row: I64, batch: _Batch) -> NDArray[np.bool_]:
    """Rows (of those events) that may be learnt from."""
    if name in LEARNS_ALL:
        return np.ones(len(row), np.bool_)
    if name == "auth-user":
        return acquainted.known(ACCOUNT, batch.account[row])
    known = acquainted.known(LOGIN, batch.source[row])
    return known | acquainted.known(FLOW, batch.source[row]) if name in _NETWORK else known


def _involve(part: Part, name: str, rows: Rows, within: NDArray[np.bool_], batch: _Batch, touched: list[Involved]) -> None:
    """Notes whose rows the incidents' events are. A service, attacked all day, is only left out while it is flagged itself."""
    for entity, k, first, last in _parties(rows, within, [one.service if name in LEARNS_ALL else one.events for one in touched]):
        one, since = touched[k], int(batch.clock[first])
        until = int(batch.clock[last]) + 1 if name in LEARNS_ALL else one.closes_at
        if entity in part.spans or len(part.spans) < SPANS:
            known = part.spans.setdefault(entity, {})
            before = known.get(one.incident, (since, until))
            known[one.incident] = (min(before[0], since), max(before[1], until))
    if len(touched) > 0:
        part.watch(part.spans)


def _parties(rows: Rows, within: NDArray[np.bool_], flagged: list[I64]) -> list[tuple[int, int, int, int]]:
    """(entity, index of the list, its first and its last event) of everybody whose rows are of events in one of the lists."""
    event = np.concatenate([*flagged, np.zeros(0, np.int64)])
    which = np.repeat(np.arange(len(flagged)), [len(one) for one in flagged])
    order = np.argsort(event, kind="stable")
    event, which = event[order], which[order]
    begin, end = np.searchsorted(event, rows.row, "left"), np.searchsorted(event, rows.row, "right")
    times = np.where(within, end - begin, 0)
    row = np.repeat(np.arange(len(rows.row)), times)
    k = which[np.repeat(begin, times) + np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)]
    found: dict[tuple[int, int], list[int]] = {}
    for who, at, e in zip(rows.entity[row].tolist(), k.tolist(), rows.row[row].tolist(), strict=True):
        found.setdefault((who, at), []).append(e)
    return [(who, at, events[0], events[-1]) for (who, at), events in found.items()]


def _sample(reservoir: Reservoir, part: Part, name: str, scored: Scored, mine: NDArray[np.bool_], batch: _Batch, hour: int) -> None:
    found = np.flatnonzero(mine)
    if len(found) == 0:
        return
    rows = scored.rows
    event = rows.row[found]
    eligible = _eligible(reservoir.acquainted, name, event, batch)
    kept = _hour(part, hour, rows.X.shape[1])
    low = _low(part, rows.entity[found], scored.p[found], batch.clock[event], eligible)
    kept.seen, kept.eligible = kept.seen + len(found), kept.eligible + int(eligible.sum())
    kept.low = tuple(a + b for a, b in zip(kept.low, low, strict=True))
    if len(kept.sample.key) == reservoir.rows:
        eligible &= batch.key[event] < kept.sample.key[-1]
    chosen = found[eligible]
    if len(chosen) > 0:
        event = rows.row[chosen]
        teacher = batch.source[event] if name in LEARNS_ALL else rows.entity[chosen]
        new = Sample(rows.X[chosen].astype(np.float32), rows.entity[chosen], teacher, batch.key[event], batch.clock[event])
        kept.sample = smallest(kept.sample, new, reservoir.rows, max(1, reservoir.rows // ONE_IN))


def _low(part: Part, entity: U64, p: NDArray[np.float64], clock: I64, eligible: NDArray[np.bool_]) -> tuple[int, ...]:
    """How many rows lie at or below each level; those of an entity after its incident was opened are the incident's."""
    loud = np.flatnonzero(eligible & (p <= LEVELS[0]))
    if len(part.watched) > 0:
        loud = np.delete(loud, list(_covered(part, entity[loud], clock[loud] - 1, around=0)))
    return tuple(int((p[loud] <= level).sum()) for level in LEVELS)


def _covered(part: Part, entity: U64, clock: I64, *, around: int) -> dict[int, str]:
    """The rows that lie in an incident of their entity or so near to it: index -> incident."""
    found = {}
    for i in np.flatnonzero(np.isin(entity, part.watched)).tolist():
        for incident, (since, until) in sorted(part.spans[int(entity[i])].items()):
            if since - around <= clock[i] < until + around:
                found[i] = incident
                break
    return found


def _hour(part: Part, hour: int, features: int) -> Hour:
    if len(part.hours) == 0 or part.hours[-1].hour != hour:
        none = np.zeros(0, np.uint64)
        part.hours.append(Hour(hour, Sample(np.zeros((0, features), np.float32), none, none, none, np.zeros(0, np.int64))))
    return part.hours[-1]


def smallest(kept: Sample, new: Sample, most: int, each: int) -> Sample:
    """The `most` rows of the smallest keys, at most `each` of a teacher. Whatever the order in which rows come, the same remain:
    a row gives way only to smaller ones."""
    teacher, key = np.concatenate([kept.teacher, new.teacher]), np.concatenate([kept.key, new.key])
    order = np.lexsort((key, teacher))
    begins = np.ones(len(order), np.bool_)
    begins[1:] = teacher[order][1:] != teacher[order][:-1]
    first = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    allowed = order[np.arange(len(order)) - first < each]
    chosen = allowed[np.argsort(key[allowed], kind="stable")][:most]
    return Sample(*(np.concatenate([a, b])[chosen] for a, b in zip(kept, new, strict=True)))


def _turn(reservoir: Reservoir, hour: int, models: Models, zone: ZoneInfo) -> list[Block]:
    """The stream's clock enters a new hour: hours that nothing reaches any more are closed."""
    reservoir.hour = hour
    reservoir.acquainted.turn(hour)
    blocks: list[Block] = []
    for name, part in sorted(reservoir.parts.items()):
        while len(part.hours) > 0 and part.hours[0].hour <= hour - 2:
            blocks += _closed(name, part, part.hours.pop(0), models.tables[name].schema_hash, zone)
        part.watch(_still(part.spans, (hour - 1) * HOUR - AROUND))
    return blocks


def _still(spans: Spans, over: int) -> Spans:
    """Without those that were over by then."""
    kept = {who: {incident: span for incident, span in known.items() if span[1] > over} for who, known in spans.items()}
    return {who: known for who, known in kept.items() if len(known) > 0}


def _closed(name: str, part: Part, hour: Hour, schema: str, zone: ZoneInfo) -> list[Block]:
    """The hour as blocks: rows to learn from, and those of incidents apart."""
    epoch = int(local(np.array([hour.hour * HOUR]), zone)[0] - EPOCH_HOUR * HOUR) // (24 * HOUR)
    if epoch != part.day.epoch:
        part.day = Day(epoch)
    part.day.seen += hour.seen
    sample = hour.sample.take(_within_limit(part.day, hour.sample.teacher))
    whose = _covered(part, sample.entity, sample.clock, around=AROUND)
    incidents = tuple(sorted(set(whose.values())))
    known = {} if name in PERSONS else part.day.numbers
    numbers = np.array([known.setdefault(e, len(known)) for e in sample.entity.tolist()], np.uint32)
    index = np.full(len(numbers), -1, np.int16)
    for i, incident in whose.items():
        index[i] = incidents.index(incident)
    learnt, apart = (Columns(sample.X[mask], numbers[mask], index[mask]) for mask in (index < 0, index >= 0))
    at = hour.hour * HOUR
    blocks = [Block(name, epoch, at, False, schema, len(learnt.X), hour.seen, hour.eligible, hour.low, (), packed(learnt))]
    if len(apart.X) > 0:
        blocks.append(Block(name, epoch, at, True, schema, len(apart.X), 0, 0, (0,) * len(LEVELS), incidents, packed(apart)))
    return blocks


def _within_limit(day: Day, teacher: U64) -> NDArray[np.intp]:
    """Indices of the rows that may be kept, by what their teachers gave today; the first row of anybody may."""
    most, chosen = max(1, day.seen // ONE_IN), []
    for i, who in enumerate(teacher.tolist()):
        if day.given.get(who, 0) < most:
            day.given[who] = day.given.get(who, 0) + 1
            chosen.append(i)
    return np.array(chosen, np.intp)
