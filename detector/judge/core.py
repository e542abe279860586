"""SCORE's pure core: events in, changes out. Everything it remembers of a shard is in `ShardState`; no clock, no I/O but `Core.of`.

features.step -> models.score -> judge: flags -> cases -> evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector import features
from detector.config import Config
from detector.features import FeatureState, Rows
from detector.features import state as remembered
from detector.features.calendar import Calendar, epoch_end
from detector.features.state import BERLIN
from detector.features.table import ModelTable, read_all
from detector.forest.detector import Detector
from detector.judge import entities, evidence, snapshot
from detector.judge.cases import DAY, Cases, Touched, attend, incident_id, prune
from detector.judge.cases import snapshot as copied
from detector.judge.families import FAMILIES, GOT_IN, TITLES, severity
from detector.judge.findings import MODELS, Changes, Incident
from detector.judge.flags import Flags, flagged
from detector.judge.models import Models, Scored, score
from detector.judge.reasons import because

SHIPPED = Path(__file__).parents[2] / "models"
_GRACE = 3_600_000_000  # µs: an incident about a token that is already over stays open so long, or each late event would open one
_NETWORK_MODELS = ("firewall-source", "firewall-pair")


@dataclass(slots=True)
class ShardState:
    """All that SCORE remembers of one shard (tenant or tenant/site). Moved on in place by `score_step`."""

    shard: str
    features: FeatureState
    cases: Cases

    @classmethod
    def fresh(cls, shard: str, entities: int = 500_000, calendar: Calendar = BERLIN) -> ShardState:
        return cls(shard, FeatureState.fresh(entities, calendar), Cases())


def score_step(state: ShardState, events: pl.DataFrame, models: Models) -> Changes:
    """Carry one batch of one shard from events to changes. Must not touch network, disk or clock."""
    vectors = features.step(state.features, events, models.tables)
    scored = score(vectors, models)
    return judge(state, events, scored, models)


def judge(state: ShardState, events: pl.DataFrame, scored: Mapping[str, Scored], models: Models) -> Changes:
    """Step 6 of the journey: flagged rows open, continue and worsen incidents."""
    flags, clock = flagged(events, scored, models, state.cases.clock)
    if flags is None:
        prune(state.cases, clock)
        return Changes(state.shard)
    touched = attend(state.cases, flags, _Opener(state, events, scored, models, flags))
    changes = _changes(state.shard, events, flags, touched)
    prune(state.cases, clock)
    return changes


def _changes(shard: str, events: pl.DataFrame, flags: Flags, touched: list[Touched]) -> Changes:
    return Changes(
        shard,
        opened=tuple(copied(one.case.incident) for one in touched if one.opened),
        updated=tuple(copied(one.case.incident) for one in touched if not one.opened),
        evidence=evidence.gather(events, flags, touched),
        samples=evidence.sample(events, flags, touched),
        notify=tuple(one.case.incident.id for one in touched if one.wants),
        rows=_rows(flags, touched),
    )


def _rows(flags: Flags, touched: list[Touched]) -> dict[str, NDArray[np.int64]]:
    """Which events of the batch are whose, for benches that know the truth of each line; the store does not keep it."""
    found: dict[str, NDArray[np.int64]] = {}
    for one in touched:  # an incident that closed and opened again within a batch is touched twice
        id_, events = one.case.incident.id, flags.event[one.rows]
        found[id_] = np.concatenate([found[id_], events]) if id_ in found else events
    return found


@dataclass(frozen=True, slots=True)
class _Opener:
    """Makes the incident that a flag opens: the only place where explanations are computed."""

    state: ShardState
    events: pl.DataFrame
    scored: Mapping[str, Scored]
    models: Models
    flags: Flags

    def __call__(self, flag: int) -> Incident:
        f = self.flags
        model, family = MODELS[f.model[flag]], FAMILIES[f.family[flag]]
        event = self.events.row(int(f.event[flag]), named=True)
        table, scorer = self.models.tables[model], self.models.scorers[model]
        why = because(table, scorer, self.scored[model].rows.X[f.vector[flag]])
        kind = int(f.kind[flag])
        entity = entities.name(event, kind, model in _NETWORK_MODELS)
        tenant, _, site = self.state.shard.partition("/")
        place = (str(event["log.topic"]), int(event["log.partition"]), int(event["log.offset"]))
        got_in = "yes" if family == GOT_IN else "unknown" if model in _NETWORK_MODELS else "no"
        critical = not self.models.critical.isdisjoint((event["destination.network"], event["source.network"]))
        p, s, time = float(f.p[flag]), float(f.s[flag]), int(f.time[flag])
        return Incident(
            id=incident_id(tenant, f"{entities.KINDS[kind]}\0{entity}", family, *place), shard=self.state.shard, tenant=tenant, site=site,
            model=model, model_id=scorer.model_id, family=family,
            severity=severity(family, p, got_in, outside=kind == entities.SERVICE, critical=critical), critical=critical,
            entity_kind=entities.KINDS[kind], entity_value=entity, techniques=why.techniques, opened=time, updated=time,
            closes_at=self._closes_at(flag, kind, event), p_value=p, score=s, worst_p=p, worst_score=s, events=0,
            title=_title(family, entity, event), counterfactual=why.counterfactual, reasons=why.reasons, got_in=got_in,
            urgent=family == GOT_IN,
        )  # fmt: skip

    def _closes_at(self, flag: int, kind: int, event: Mapping[str, object]) -> int:
        """A day after the opening by the stream's clock; about an account at the latest when its token changes."""
        clock = int(self.flags.clock[flag])
        if kind != entities.ACCOUNT:
            return clock + DAY
        change = epoch_end(int(str(event["event.epoch"])), self.state.features.calendar.zone)
        return min(clock + DAY, max(change, clock + _GRACE))


def _title(family: str, entity: str, event: dict[str, object]) -> dict[str, str]:
    shown = entities.fields(event)
    if family == GOT_IN:
        account = shown.get("user.target.name", shown.get("user.name", "?"))
        entity = f"{account} @ {shown.get('host.name', '?')} ← {shown.get('source.ip', '?')}"
    return {language: text.format(entity) for language, text in TITLES[family].items()}


@dataclass(frozen=True, slots=True)
class Core:
    """What the loops of SCORE hold: the models, and how states are made, kept and moved on."""

    models: Models
    entities: int = 500_000
    calendars: Mapping[str, Calendar] = field(default_factory=dict)  # by shard; Berlin's working week where absent

    @classmethod
    def of(cls, config: Config) -> Core:
        """The core that a configuration describes. Raises ValueError or ArtefactError, one sentence, for models that cannot be used."""
        folder = Path(config.state.models) if config.state.models != "" else SHIPPED
        tables = read_all(folder)
        scorers = {name: _load(folder / name, table) for name, table in tables.items()}
        zones = {f"{t.tenant}/{t.site}" if t.site != "" else t.tenant: Calendar.of(t.timezone) for t in config.topics}
        critical = frozenset(network.name or network.cidr for network in config.networks if network.critical)
        return cls(Models(tables, scorers, critical), config.state.entities_per_shard, zones)

    @property
    def schema(self) -> str:
        """Changes whenever an older snapshot cannot be loaded."""
        return snapshot.schema()

    def fresh(self, shard: str) -> ShardState:
        return ShardState.fresh(shard, self.entities, self.calendars.get(shard, BERLIN))

    def dump(self, state: ShardState) -> bytes:
        return snapshot.dump(state.features, state.cases)

    def load(self, shard: str, payload: bytes) -> ShardState:
        """The state that was dumped. Raises ValueError if the bytes are not a snapshot of this schema."""
        return ShardState(shard, *snapshot.load(payload, self.calendars.get(shard, BERLIN)))

    def step(self, state: ShardState, events: pl.DataFrame) -> Changes:
        return score_step(state, events, self.models)

    def step_scored(self, state: ShardState, events: pl.DataFrame, keep: bool) -> tuple[Changes, list[pl.DataFrame]]:
        """As `step`, and if wanted the scores of every row: model, place of the event, entity, weight, score, p."""
        scored = score(features.step(state.features, events, self.models.tables), self.models)
        rows = [_score_table(name, one, events) for name, one in scored.items()] if keep else []
        return judge(state, events, scored, self.models), rows

    def size(self, state: ShardState) -> tuple[int, int]:
        """How many entities a shard's memory holds, and its bytes; for metrics."""
        return remembered.size(state.features)

    def take(self, state: ShardState, kind: str, payload: dict[str, object]) -> None:
        """Inputs of the table `inputs`. None changes a shard's state yet: verdicts and promotions come with their own tasks."""


def _load(folder: Path, table: ModelTable) -> Detector:
    return Detector.load(folder / "baseline", table=table)


def _score_table(name: str, scored: Scored, events: pl.DataFrame) -> pl.DataFrame:
    rows: Rows = scored.rows
    chosen = events.select("@timestamp", "log.topic", "log.partition", "log.offset")[rows.row]
    chosen = chosen.with_columns(pl.col("log.topic").cast(pl.String))
    numbers = [pl.Series("entity", rows.entity), pl.Series("weight", rows.weight), pl.Series("score", scored.s), pl.Series("p", scored.p)]
    return chosen.with_columns(pl.lit(name).alias("model"), *numbers)
