"""What SCORE notes beside incidents: the rows that came next, just below the evidence threshold, and how p is spread over the day.

Near misses are, per shard and local day of the stream's clock, the 50 entities that came nearest to their model's threshold, each with
the row that did. What is kept between batches is only how near each of the 50 is: an entity that is among the best 50 at the end of
the day has been so since the row that brought it there, so the result does not depend on how the stream was cut (I1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.features.calendar import local
from detector.judge import entities, flags
from detector.judge.families import FAMILIES
from detector.judge.findings import MODELS, Deciles, NearMiss
from detector.judge.flags import Times
from detector.judge.models import Models, Scored
from detector.judge.reasons import because
from detector.judge.titles import title

KEPT = 50  # entities per shard and day
NEAR = 30.0  # times the threshold: beyond it nothing is near
LARGEST_P = 0.05  # and nothing so common is worth a line
_DAY = 86_400_000_000  # µs
_NETWORK_MODELS = ("firewall-source", "firewall-pair")

Key = tuple[int, int, int]  # model, kind of entity, identity


@dataclass(slots=True)
class Nearest:
    """The day (local, since 1970-01-01) and how near its best entities came: p over the model's threshold, above 1."""

    day: int = 0
    best: dict[Key, float] = field(default_factory=dict)


class _Rows(NamedTuple):
    """c candidates in stream order, one row per event and model."""

    event: NDArray[np.int64]
    model: NDArray[np.int64]
    vector: NDArray[np.int64]
    family: NDArray[np.int64]
    nearness: NDArray[np.float64]
    day: NDArray[np.int64]
    kind: NDArray[np.int64]
    entity: NDArray[np.uint64]


def near(
    nearest: Nearest, events: pl.DataFrame, scored: Mapping[str, Scored], models: Models, at: Times, zone: ZoneInfo
) -> tuple[NearMiss, ...]:
    """Takes the batch into `nearest`; returns what is new or nearer among the best of its days."""
    rows = _candidates(nearest, events, scored, models, local(at.clock, zone) // _DAY)
    if rows is None:
        return ()
    chosen: list[int] = []
    for day in np.unique(rows.day):
        mine = np.flatnonzero(rows.day == day)
        if day > nearest.day:
            nearest.day, nearest.best = int(day), {}
        chosen += _take(nearest, rows, mine)
    return tuple(_describe(events, scored, models, rows, at, i) for i in sorted(chosen))


def _take(nearest: Nearest, rows: _Rows, mine: NDArray[np.intp]) -> list[int]:
    """The candidates of one day that are now among its best and were not, or not so near."""
    order = mine[np.lexsort((rows.event[mine], rows.nearness[mine]))]  # the earliest of equally near ones
    improved: dict[Key, int] = {}
    for i in order.tolist():
        key = (int(rows.model[i]), int(rows.kind[i]), int(rows.entity[i]))
        if key not in improved and rows.nearness[i] < nearest.best.get(key, np.inf):
            improved[key] = i
    merged = nearest.best | {key: float(rows.nearness[i]) for key, i in improved.items()}
    nearest.best = dict(sorted(merged.items(), key=lambda item: (item[1], item[0]))[:KEPT])
    return [i for key, i in improved.items() if key in nearest.best]


def _candidates(
    nearest: Nearest, events: pl.DataFrame, scored: Mapping[str, Scored], models: Models, days: NDArray[np.int64]
) -> _Rows | None:
    parts = [part for name in MODELS if name in scored for part in _of_model(nearest, name, scored[name], models, days)]
    if not parts:
        return None
    event, model, vector, family = (np.concatenate([part[i] for part in parts]) for i in range(4))
    nearness = np.concatenate([part[4] for part in parts])
    kind, entity = flags.entities_of(events, event, model, np.zeros(len(event), np.bool_))
    return _Rows(event, model, vector, family, nearness, days[event], kind, entity)


def _of_model(
    nearest: Nearest, name: str, scored: Scored, models: Models, days: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """(event, model, vector, family, nearness) of the rows between the threshold and what is far."""
    threshold = models.scorers[name].threshold_p
    farthest = min(NEAR * threshold, LARGEST_P)
    if len(nearest.best) == KEPT and len(days) > 0 and days[-1] == nearest.day:  # nothing behind the last of them can come in
        farthest = min(farthest, max(nearest.best.values()) * threshold)
    between = (scored.p > threshold) & (scored.p <= farthest) & (scored.rows.weight > 0) & ~scored.rows.rule
    vector = np.flatnonzero(between).astype(np.int64)
    if len(vector) == 0:
        return
    family = flags.families_of(models.tables[name], models.scorers[name].leading(scored.rows.X[vector]))
    model = np.full(len(vector), MODELS.index(name), np.int64)
    yield scored.rows.row[vector].astype(np.int64), model, vector, family, scored.p[vector] / threshold


def _describe(events: pl.DataFrame, scored: Mapping[str, Scored], models: Models, rows: _Rows, at: Times, i: int) -> NearMiss:
    model, family, kind = MODELS[rows.model[i]], FAMILIES[rows.family[i]], int(rows.kind[i])
    event, vector = events.row(int(rows.event[i]), named=True), int(rows.vector[i])
    scorer, one = models.scorers[model], scored[model]
    why = because(models.tables[model], scorer, one.rows.X[vector])
    entity = entities.name(event, kind, model in _NETWORK_MODELS)
    return NearMiss(
        day=int(rows.day[i]), model=model, model_id=scorer.model_id, family=family, entity_kind=entities.KINDS[kind],
        identity=int(rows.entity[i]), entity_value=entity, time=int(at.time[rows.event[i]]), p_value=float(one.p[vector]),
        score=float(one.s[vector]), nearness=float(rows.nearness[i]), techniques=why.techniques,
        title=title(family, kind, entity, event), reasons=why.reasons,
    )  # fmt: skip


def deciles(scored: Mapping[str, Scored], at: Times, zone: ZoneInfo) -> tuple[Deciles, ...]:
    """Rows of the batch by local day, model and tenth of p; uniform while what a model sees is what it was calibrated on."""
    days = local(at.clock, zone) // _DAY
    found: list[Deciles] = []
    for name, of in scored.items():
        counts = of.rows.weight > 0
        day, tenth = days[of.rows.row[counts]], np.minimum((of.p[counts] * 10).astype(np.int64), 9)
        found += [Deciles(int(one), name, tuple(np.bincount(tenth[day == one], minlength=10).tolist())) for one in np.unique(day)]
    return tuple(found)
