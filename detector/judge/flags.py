"""The rows of a batch that matter, as one table over all models, in stream order, with the incident they belong to by family and entity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features.columns import times
from detector.features.table import ModelTable
from detector.judge import entities
from detector.judge.families import ACCESS, CREDENTIALS, FAMILIES, FAMILY_OF, GOT_IN
from detector.judge.findings import MODELS
from detector.judge.models import Models, Scored

_NO_ENTRY = frozenset({"ticket", "logout", "account-change"})  # may succeed without anybody getting in
_LOGIN_MODELS = ("auth-source", "auth-user", "auth-service")


@dataclass(frozen=True, slots=True)
class Flags:
    """f flagged rows, sorted by event and model; several models may flag the same event for the same incident.

    event     int64 (f), index into the batch's events
    model     int64 (f), index into findings.MODELS;  vector int64 (f), the row's index in that model's X
    p, s      float64 (f)
    weight    int64 (f), what the event counts
    family    int64 (f), index into FAMILIES;  kind int64 (f), of the entity;  entity uint64 (f)
    time      int64 (f), event time, µs;  clock int64 (f), the latest event time of the stream so far
    success   bool (f), the event is a successful login;  critical bool (f), it touches a network that is marked so
    """

    event: NDArray[np.int64]
    model: NDArray[np.int64]
    vector: NDArray[np.int64]
    p: NDArray[np.float64]
    s: NDArray[np.float64]
    weight: NDArray[np.int64]
    family: NDArray[np.int64]
    kind: NDArray[np.int64]
    entity: NDArray[np.uint64]
    time: NDArray[np.int64]
    clock: NDArray[np.int64]
    success: NDArray[np.bool_]
    critical: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.event)


@dataclass(frozen=True, slots=True)
class Times:
    """Of a batch's events, in µs: their own time, and the stream's clock (the latest event time so far)."""

    time: NDArray[np.int64]
    clock: NDArray[np.int64]

    @classmethod
    def of(cls, events: pl.DataFrame, clock: int) -> Times:
        """`clock` is the latest event time before the batch."""
        time = times(events)
        return cls(time, np.maximum(np.maximum.accumulate(time), clock) if len(time) > 0 else time)


def flagged(events: pl.DataFrame, scored: Mapping[str, Scored], models: Models, at: Times) -> Flags | None:
    """The flags of a batch; None without any."""
    parts = [part for name in MODELS if name in scored for part in _of_model(name, scored[name], models)]
    if not parts:
        return None
    columns = [np.concatenate([part[i] for part in parts]) for i in range(8)]
    order = np.lexsort((columns[1], columns[0]))
    event, model, vector, p, s, weight, family, network = (column[order] for column in columns)
    kind, entity = entities_of(events, event, model, family == FAMILIES.index(GOT_IN))
    kind, entity = np.where(network != 0, entities.NETWORK, kind), np.where(network != 0, network, entity)
    logins = np.isin(model, [MODELS.index(name) for name in _LOGIN_MODELS])  # a connection that was let through is no login
    success = logins & _says(events, event, "event.outcome", frozenset({"success"})) & ~_says(events, event, "event.action", _NO_ENTRY)
    critical = _says(events, event, "destination.network", models.critical) | _says(events, event, "source.network", models.critical)
    return Flags(event, model, vector, p, s, weight, family, kind, entity, at.time[event], at.clock[event], success, critical)


def _says(events: pl.DataFrame, event: NDArray[np.int64], column: str, wanted: frozenset[str]) -> NDArray[np.bool_]:
    """Whether the column of each of these events holds one of the wanted values."""
    codes = [code for code, value in enumerate(ecs.values(events, column)) if value in wanted]
    return np.isin(ecs.codes(events, column)[event], codes) if codes else np.zeros(len(event), np.bool_)


def _of_model(name: str, scored: Scored, models: Models) -> list[tuple[NDArray[np.generic], ...]]:
    """(event, model, vector, p, s, weight, family, network) of the rows at or below the threshold, and of those a rule names."""
    parts = []
    counts = scored.rows.weight > 0
    vectors = np.flatnonzero(counts & (scored.p <= models.scorers[name].threshold_p))
    if len(vectors) > 0:
        parts.append(_rows(name, scored, vectors, families_of(models.tables[name], models.scorers[name].leading(scored.rows.X[vectors]))))
    named = np.flatnonzero(counts & scored.rows.rule)
    if len(named) > 0:
        parts.append(_rows(name, scored, named, np.full(len(named), FAMILIES.index(GOT_IN))))
    return parts


def _rows(name: str, scored: Scored, vectors: NDArray[np.intp], family: NDArray[np.int64]) -> tuple[NDArray[np.generic], ...]:
    model = np.full(len(vectors), MODELS.index(name), np.int64)
    weight = scored.rows.weight[vectors].astype(np.int64)
    network = np.where(scored.rows.pooled[vectors], scored.rows.entity[vectors], np.uint64(0))  # from which never-seen sources flood in
    return scored.rows.row[vectors], model, vectors.astype(np.int64), scored.p[vectors], scored.s[vectors], weight, family, network


def families_of(table: ModelTable, leading: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the family that each row's leading feature points to; a login model never says less than its own family."""
    by_feature = [FAMILY_OF.get(f.technique, CREDENTIALS) for f in table.features]
    if table.name == "auth-user":
        by_feature = [ACCESS if family == CREDENTIALS else family for family in by_feature]
    return np.array([FAMILIES.index(family) for family in by_feature], np.int64)[leading]


def entities_of(
    events: pl.DataFrame, event: NDArray[np.int64], model: NDArray[np.int64], got_in: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Kind and identity of the entity of each flagged row."""
    kind, identity = np.zeros(len(event), np.int64), np.zeros(len(event), np.uint64)
    events = events.select(entities.COLUMNS)
    for index, name in enumerate(MODELS):
        mine = np.flatnonzero(model == index)
        if len(mine) == 0:
            continue
        rows = events[event[mine]]
        found = _of_rows(name, rows)
        kind[mine], identity[mine] = found.kind, found.identity
    intruders = np.flatnonzero(got_in)
    if len(intruders) > 0:  # each gets an incident of its own, or the second one would hide behind the first
        found = entities.of_intruders(events[event[intruders]])
        kind[intruders], identity[intruders] = found.kind, found.identity
    return kind, identity


def _of_rows(name: str, rows: pl.DataFrame) -> entities.Entities:
    if name == "auth-user":
        return entities.of_accounts(rows)
    if name == "auth-service":
        return entities.of_services(rows, entities.login_services(rows))
    service = entities.login_services(rows) if name in _LOGIN_MODELS else entities.network_services(rows)
    return entities.of_sources(rows, service)
