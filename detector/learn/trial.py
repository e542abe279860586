"""The gates of one candidate, computed over days and written down: who judges, on what, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

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


@dataclass(frozen=True, slots=True)
class Trial:
    """Results, and the two sides' answers behind them."""

    results: Results
    outcome: Outcome


def run(desk: Desk, entry: Entry, days: Days, first: int, data: Texts, now: int, told: Callable[[int], None] = lambda _: None) -> Trial:
    """Computes and stores the gates. `days` hold the attacks; `first`: the first day that counts; `data`: what is replayed, in words.

    Raises ArtefactError where the candidate must not be used.
    """
    manifest, candidate, trainer = checked(desk, entry.tenant, files_of(desk, entry))
    core = of_tenant(desk, entry.tenant)
    outcome = duel(days, core, entry.model, (core.models.scorers[entry.model], candidate), first, desk.config.budget.per_day, told)
    about = manifest.get("about", {})
    drifted = drift(desk.database, entry, dict(about.get("window", {})))
    said = gates.all_of(outcome, about, drifted, gates.signature(trainer))
    results = Results(entry.model, entry.model_id, champion_id(desk, entry.tenant, entry.model), data, said)
    registry.add_gates(desk.database, entry.tenant, entry.model_id, msgspec.json.encode(results), differences.report(outcome), now)
    return Trial(results, outcome)


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
