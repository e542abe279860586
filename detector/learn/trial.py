"""The gates of one candidate, computed over days and written down: who judges, on what, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from detector.forest.detector import Detector
from detector.judge.core import Core
from detector.judge.models import Scorer
from detector.learn import differences, gates
from detector.learn.backtest.stream import Days
from detector.learn.duel import Outcome, duel
from detector.learn.gates import Results, Texts
from detector.learn.library import RegistryLibrary
from detector.learn.promotion import Desk, champion_id, checked, files_of
from detector.store import registry
from detector.store.database import Database
from detector.store.registry import Entry

ENTITIES = 200_000  # of a shard's memory during a replay


def run(
    desk: Desk, entry: Entry, days: Days, first: int, data: Texts, now: int, told: Callable[[int], None] = lambda _: None
) -> tuple[Results, Outcome]:
    """Both models over the days, and what the gates say of it. `days` hold the attacks; `first`: the first day that counts.

    Raises ArtefactError where the candidate must not be used.
    """
    _, candidate, _ = checked(desk, entry.tenant, files_of(desk, entry))
    outcome = against(desk, entry.tenant, candidate, days, first, told)
    return record(desk, entry, outcome, data, now), outcome


def against(desk: Desk, tenant: str, candidate: Detector, days: Days, first: int, told: Callable[[int], None] = lambda _: None) -> Outcome:
    """The candidate and the model that judges the tenant now, on the same days."""
    core = of_tenant(desk, tenant)
    model = candidate.name
    return duel(days, core, model, (core.models.scorers[model], candidate), first, desk.config.budget.per_day, told)


def record(desk: Desk, entry: Entry, outcome: Outcome, data: Texts, now: int) -> Results:
    """Computes the gates from an outcome of this candidate and stores them. `data`: what was replayed, in words."""
    manifest, candidate, trainer = checked(desk, entry.tenant, files_of(desk, entry))
    if outcome.candidate.model_id != candidate.model_id:
        raise ValueError(f"the outcome is of {outcome.candidate.model_id}, not of {candidate.model_id}")
    about = manifest.get("about", {})
    drifted = drift(desk.database, entry, dict(about.get("window", {})))
    said = gates.all_of(outcome, about, drifted, gates.signature(trainer))
    results = Results(entry.model, entry.model_id, champion_id(desk, entry.tenant, entry.model), data, said)
    registry.add_gates(desk.database, entry.tenant, entry.model_id, msgspec.json.encode(results), differences.report(outcome), now)
    return results


def of_tenant(desk: Desk, tenant: str) -> Core:
    """The core with the models that judge this tenant now. Raises ArtefactError."""
    core = replace(Core.of(desk.config), entities=ENTITIES)
    library = RegistryLibrary(desk.database, desk.config, desk.tables)
    chosen: dict[str, Scorer] = {}
    for model in desk.tables:
        found = registry.champion(desk.database, tenant, model) or registry.champion(desk.database, "", model)
        if found is not None:
            chosen[model] = library.scorer(tenant, model, found.digest, "champion")
    return replace(core, models=core.models.instead(chosen))


def drift(database: Database, entry: Entry, window: dict[str, str]) -> list[tuple[str, float, str | None]]:
    """(feature, population stability index, cause) of each day of the training window; without a window of all days."""
    with database.transaction() as connection:
        return connection.execute(
            "SELECT feature, psi, cause FROM public.drift WHERE (tenant = %(tenant)s OR %(tenant)s = '') AND model = %(model)s "
            "AND (%(from)s::text IS NULL OR day BETWEEN left(%(from)s, 10)::date AND left(%(to)s, 10)::date) ORDER BY day, feature",
            {"tenant": entry.tenant, "model": entry.model, "from": window.get("from"), "to": window.get("to")},
        ).fetchall()
