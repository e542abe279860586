"""SCORE's pure core: events in, changes out. Everything it remembers of a shard is in `ShardState`; no clock, no I/O but `Core.of`.

features.step -> models.score -> judge: flags -> cases -> evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector import features
from detector.config import Config
from detector.features import Rows
from detector.features import state as remembered
from detector.features.calendar import Calendar, epoch_end
from detector.features.state import BERLIN
from detector.features.table import ModelTable, read_all
from detector.forest.detector import Detector
from detector.judge import beside, entities, evidence, inputs, reservoir, shadow, snapshot, workdays
from detector.judge.cases import DAY, Opening, Touched, attend, incident_id, prune
from detector.judge.cases import snapshot as copied
from detector.judge.devices import correct, facts
from detector.judge.families import FAMILIES, GOT_IN, LEVELS, severity
from detector.judge.findings import MODELS, NO_PROBABILITY, Beside, Changes, Incident
from detector.judge.flags import Flags, Times, flagged
from detector.judge.models import Library, Models, OnlyShipped, Scored, Scorer, score
from detector.judge.reasons import because
from detector.judge.reservoir import Involved
from detector.judge.shard import ShardState
from detector.judge.titles import title
from detector.judge.volume import Counted

SHIPPED = Path(__file__).parents[2] / "models"
_GRACE = 3_600_000_000  # µs: an incident about a token that is already over stays open so long, or each late event would open one
_NETWORK_MODELS = ("firewall-source", "firewall-pair")

__all__ = ["Core", "ShardState", "judge", "score_step"]


def score_step(state: ShardState, events: pl.DataFrame, models: Models) -> Changes:
    """Carry one batch of one shard from events to changes. Must not touch network, disk or clock."""
    return _step(state, events, models, {})[0]


def _step(state: ShardState, events: pl.DataFrame, models: Models, candidates: Mapping[str, Scorer]) -> tuple[Changes, dict[str, Scored]]:
    corrected = correct(state.clocks, events)
    vectors = features.step(state.features, corrected.events, models.tables)
    scored = score(vectors, models)
    before = state.cases.clock
    changes = judge(state, corrected.events, scored, models)
    compared = [(name, one) for name, one in candidates.items() if name in scored]
    shadows = tuple(_compared(state, name, corrected.events, scored[name], models, one, before) for name, one in compared)
    for beside_ in state.shadows.values():  # by the shard's clock, whether or not a row of their model came
        prune(beside_.candidate, state.cases.clock)
        prune(beside_.champion, state.cases.clock)
    return replace(changes, devices=facts(corrected), shadows=shadows), scored


def judge(state: ShardState, events: pl.DataFrame, scored: Mapping[str, Scored], models: Models) -> Changes:
    """Step 6 of the journey: flagged rows open, continue and worsen incidents."""
    at = Times.of(events, state.cases.clock)
    state.cases.volumes.count(at.clock, {name: _counted(one.rows) for name, one in scored.items()})
    flags = flagged(events, scored, models, at)
    changes, involved = Changes(state.shard), list[Involved]()
    if flags is not None:
        touched = attend(state.cases, flags, _Opener(state, events, scored, models, flags))
        involved = [_involved(flags, one) for one in touched]
        changes = _changes(state.shard, events, flags, touched)
    if len(events) > 0:
        prune(state.cases, int(at.clock[-1]))
    zone = state.features.calendar.zone
    misses = beside.near(state.cases.nearest, events, scored, models, at, zone)
    blocks = reservoir.take(state.reservoir, events, scored, at.clock, involved, models, zone)
    return replace(changes, misses=misses, deciles=beside.deciles(scored, at, zone), blocks=blocks)


def _compared(
    state: ShardState, name: str, events: pl.DataFrame, scored: Scored, models: Models, candidate: Scorer, clock: int
) -> Beside:  # fmt: skip
    """What candidate and champion say of the same sample; neither is told to anybody. `clock`: the stream's before the batch, µs."""
    beside_ = state.shadows[name]
    chosen = shadow.sampled(beside_, name, scored.rows)
    theirs, ours = shadow.both(scored, chosen, candidate)
    sides = (("candidate", beside_.candidate, theirs, models.instead({name: candidate})), ("champion", beside_.champion, ours, models))
    would = tuple(
        (side, one) for side, cases, mine, its in sides for one in _would(replace(state, cases=cases), events, {name: mine}, its, clock)
    )
    weigh, at = scored.rows.weight > 0, Times.of(events, clock).clock[scored.rows.row]
    return Beside(
        name, candidate.model_id, int(weigh.sum()), int((weigh & chosen).sum()), (shadow.alerts(theirs), shadow.alerts(ours)),
        int(at[0]), int(at[-1]), would,
    )  # fmt: skip


def _would(state: ShardState, events: pl.DataFrame, scored: Mapping[str, Scored], models: Models, clock: int) -> list[Incident]:
    """Incidents that would have been touched."""
    flags = flagged(events, scored, models, Times.of(events, clock))
    touched = [] if flags is None else attend(state.cases, flags, _Opener(state, events, scored, models, flags))
    return [copied(incident) for incident in {one.case.incident.id: one.case.incident for one in touched}.values()]


def _counted(rows: Rows) -> Counted:
    new = rows.weight > 0
    return rows.row[new], rows.entity[new]


def _changes(shard: str, events: pl.DataFrame, flags: Flags, touched: list[Touched]) -> Changes:
    found = evidence.gather(events, flags, touched)
    samples = evidence.sample(events, flags, touched)
    wants = [one.case.incident.id for one in touched if _settle(one) or one.wants]
    opened = {one.case.incident.id: one.case.incident for one in touched if one.opened}
    updated = {one.case.incident.id: one.case.incident for one in touched if one.case.incident.id not in opened}
    return Changes(
        shard,
        opened=tuple(copied(incident) for incident in opened.values()),
        updated=tuple(copied(incident) for incident in updated.values()),
        evidence=found,
        samples=samples,
        notify=tuple(dict.fromkeys(wants)),
        episodes=tuple(replace(one.bout.episode) for one in touched),
        rows=_rows(flags, touched),
    )


def _involved(flags: Flags, touched: Touched) -> Involved:
    """Whose rows nobody learns from: those of the flagged events."""
    events = flags.event[touched.rows]
    service = flags.event[flags.model == MODELS.index("auth-service")]
    return Involved(touched.case.incident.id, events, events[np.isin(events, service)], touched.bout.episode.closes_at)


def _settle(touched: Touched) -> bool:
    """Spread and severity follow from what the batch left; whether that is worse than before."""
    incident = touched.case.incident
    before = incident.severity, incident.spread
    incident.spread = max(incident.spread, evidence.spread(touched.bout))
    outside = incident.entity_kind == entities.KINDS[entities.SERVICE]
    incident.severity = severity(
        incident.family, incident.worst_p, incident.got_in, outside=outside, critical=incident.critical, spread=incident.spread
    )
    entered_more = incident.family == GOT_IN and 0 < before[1] < incident.spread  # the second account is news as the first was
    return entered_more or LEVELS.index(incident.severity) > LEVELS.index(before[0])


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

    def __call__(self, flag: int) -> Opening:
        f = self.flags
        model, family = MODELS[f.model[flag]], FAMILIES[f.family[flag]]
        event = self.events.row(int(f.event[flag]), named=True)
        table, scorer = self.models.tables[model], self.models.scorers[model]
        why = because(table, scorer, self.scored[model].rows.X[f.vector[flag]], entered=family == GOT_IN)
        kind = int(f.kind[flag])
        entity = entities.name(event, kind, model in _NETWORK_MODELS)
        tenant, _, site = self.state.shard.partition("/")
        place = (str(event["log.topic"]), int(event["log.partition"]), int(event["log.offset"]))
        got_in = "yes" if family == GOT_IN else "unknown" if model in _NETWORK_MODELS else "no"
        p, s, time, lasting = float(f.p[flag]), float(f.s[flag]), int(f.time[flag]), entities.lasts(entity, kind, event)
        volume = None if model in NO_PROBABILITY else self.state.cases.volumes.per_day(model, int(f.clock[flag]))
        incident = Incident(
            id=incident_id(tenant, f"{entities.KINDS[kind]}\0{entity}", family, *place), shard=self.state.shard, tenant=tenant, site=site,
            model=model, model_id=scorer.model_id, family=family, severity=severity(family, 1.0, "no", outside=True),
            entity_kind=entities.KINDS[kind], entity_value=entity, techniques=why.techniques, opened=time, updated=time,
            closes_at=self._closes_at(flag, event, lasting=lasting), p_value=p, score=s, worst_p=p, worst_score=s, events=0,
            title=title(family, kind, entity, event), counterfactual=why.counterfactual, reasons=why.reasons, got_in=got_in,
            urgent=family == GOT_IN, volume=volume, episode_opened=time,
        )  # fmt: skip
        return Opening(incident, lasting)

    def _closes_at(self, flag: int, event: Mapping[str, object], *, lasting: bool) -> int:
        """A day after the opening by the stream's clock; about a person or a client at the latest when its token changes."""
        clock = int(self.flags.clock[flag])
        if lasting:
            return clock + DAY
        change = epoch_end(int(str(event["event.epoch"])), self.state.features.calendar.zone)
        return min(clock + DAY, max(change, clock + _GRACE))


@dataclass(frozen=True, slots=True)
class Core:
    """What the loops of SCORE hold: the models, and how states are made, kept and moved on."""

    models: Models
    entities: int = 500_000
    calendars: Mapping[str, Calendar] = field(default_factory=dict)  # by shard; Berlin's working week where absent
    library: Library = field(default_factory=OnlyShipped)
    kept: int = 1000  # rows to learn from per shard, model and hour

    @classmethod
    def of(cls, config: Config) -> Core:
        """The core that a configuration describes. Raises ValueError or ArtefactError, one sentence, for models that cannot be used."""
        folder = Path(config.state.models) if config.state.models != "" else SHIPPED
        tables = read_all(folder)
        scorers = {name: _load(folder / name, table) for name, table in tables.items()}
        zones = {
            f"{t.tenant}/{t.site}" if t.site != "" else t.tenant: workdays.calendar(t.timezone, config.workdays) for t in config.topics
        }
        critical = frozenset(network.name or network.cidr for network in config.networks if network.critical)
        return cls(Models(tables, scorers, critical), config.state.entities_per_shard, zones, kept=config.training.rows_per_hour)

    @property
    def schema(self) -> str:
        """Changes whenever an older snapshot cannot be loaded."""
        return snapshot.schema()

    def fresh(self, shard: str) -> ShardState:
        return ShardState.fresh(shard, self.entities, self.calendars.get(shard, BERLIN), self.kept)

    def dump(self, state: ShardState) -> bytes:
        return snapshot.dump(state)

    def load(self, shard: str, payload: bytes) -> ShardState:
        """The state that was dumped. Raises ValueError if the bytes are not a snapshot of this schema, and as `Library.scorer` does."""
        state = snapshot.load(shard, payload, self.calendars.get(shard, BERLIN), self.kept)
        self._models(state)
        self._candidates(state)
        return state

    def step(self, state: ShardState, events: pl.DataFrame) -> Changes:
        return _step(state, events, self._models(state), self._candidates(state))[0]

    def step_scored(self, state: ShardState, events: pl.DataFrame, keep: bool) -> tuple[Changes, list[pl.DataFrame]]:
        """As `step`, and if wanted the scores of every row: model, place of the event, entity, weight, score, p."""
        changes, scored = _step(state, events, self._models(state), self._candidates(state))
        return changes, [_score_table(name, one, events) for name, one in scored.items()] if keep else []

    def size(self, state: ShardState) -> tuple[int, int]:
        """How many entities a shard's memory holds, and its bytes; for metrics."""
        return remembered.size(state.features)

    def ready(self, shard: str, kind: str, payload: Mapping[str, object]) -> None:
        """Makes sure that an input can take effect, before it is given its offset: a model is checked and loaded.

        Raises a `Sentence` that says why it must not, and as `Library.scorer` does.
        """
        found = inputs.wanted(payload) if kind == inputs.MODEL else None
        if found is not None and found[1] != inputs.SHIPPED:
            self.library.scorer(shard, *found)

    def take(self, state: ShardState, kind: str, payload: Mapping[str, object]) -> None:
        """An input of the table `inputs` takes effect; see `detector.judge.inputs`."""
        inputs.take(state, kind, payload)

    def in_use(self, state: ShardState) -> dict[str, str]:
        """Model -> id of the one that judges this shard."""
        return {name: scorer.model_id for name, scorer in self._models(state).scorers.items()}

    def _models(self, state: ShardState) -> Models:
        chosen = {name: digest for name, digest in state.chosen.items() if name in self.models.tables}
        return self.models.instead({name: self.library.scorer(state.shard, name, digest, "champion") for name, digest in chosen.items()})

    def _candidates(self, state: ShardState) -> dict[str, Scorer]:
        shadows = {name: one.digest for name, one in state.shadows.items() if name in self.models.tables}
        return {name: self.library.scorer(state.shard, name, digest, "shadow") for name, digest in shadows.items()}


def _load(folder: Path, table: ModelTable) -> Detector:
    return Detector.load(folder / "baseline", table=table)


def _score_table(name: str, scored: Scored, events: pl.DataFrame) -> pl.DataFrame:
    rows: Rows = scored.rows
    chosen = events.select("@timestamp", "log.topic", "log.partition", "log.offset")[rows.row]
    chosen = chosen.with_columns(pl.col("log.topic").cast(pl.String))
    numbers = [pl.Series("entity", rows.entity), pl.Series("weight", rows.weight), pl.Series("score", scored.s), pl.Series("p", scored.p)]
    return chosen.with_columns(pl.lit(name).alias("model"), *numbers)
