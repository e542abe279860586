"""Models that wait for a second person: gates and differences are read here; this daemon has no key to sign with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from detector.learn.gates import Results
from detector.store import Database, registry
from detector.store.registry import Entry, Step
from detector.web.site import Section, Site

GROUP = "model-approver"
LINK = ("/models", {"de": "Modelle", "en": "Models"})


@dataclass(frozen=True, slots=True)
class Shown:
    """One model of the registry with what was computed and done about it."""

    entry: Entry
    computed: datetime | None
    results: Results | None
    report: dict[str, Any]
    approvals: list[dict[str, Any]]
    steps: list[Step]


def newest(url: str, tenants: frozenset[str] | None) -> list[Entry]:
    """The models that a person may see; those of all tenants among them."""
    return [one for one in _asked(url, registry.listed) if tenants is None or one.tenant in tenants or one.tenant == ""]


def one(url: str, tenant: str, model_id: str, tenants: frozenset[str] | None) -> Shown | None:
    if tenants is not None and tenant not in tenants and tenant != "":
        return None
    database = Database(url)
    try:
        entry = registry.find(database, tenant, model_id)
        if entry is None:
            return None
        gates = registry.gates(database, tenant, model_id)
        approvals = [msgspec.json.decode(statement) for statement, _ in registry.approvals(database, entry.digest, (tenant,))]
        steps = [step for step in registry.steps(database, tenant, entry.model) if model_id in (step.model_id, step.before)]
    finally:
        database.close()
    if gates is None:
        return Shown(entry, None, None, {}, approvals, steps)
    return Shown(entry, gates[0], msgspec.json.decode(gates[1], type=Results), gates[2], approvals, steps)


def _asked(url: str, question: Any) -> Any:
    database = Database(url)
    try:
        return question(database)
    finally:
        database.close()


def pages(site: Site, url: str) -> Section:
    """The routes, for people of the group; `url` of a database login that may read the registry."""

    async def listed(request: Request) -> Response:
        found: Sequence[Entry] = await run_in_threadpool(newest, url, request.state.person.narrowed)
        return site.render("models_list.html", request, models=list(reversed(found)), o=_words(site, request))

    async def shown(request: Request) -> Response:
        tenant = request.query_params.get("tenant", "")
        found = await run_in_threadpool(one, url, tenant, request.path_params["id"], request.state.person.narrowed)
        if found is None:
            return site.render("message.html", request, 404, message="missing")
        return site.render("models_one.html", request, one=found, o=_words(site, request))

    return Section([Route("/models", site.guarded(listed, GROUP)), Route("/models/{id:str}", site.guarded(shown, GROUP))], LINK, GROUP)


def _words(site: Site, request: Request) -> dict[str, str]:
    return WORDS[site.language_of(request)]


WORDS = {
    "de": {
        "heading": "Modelle",
        "intro": "Was gerade urteilt, was daneben läuft und was übergeben wurde. Ein Modell wird erst Champion, wenn eine zweite "
        "Person mit eigenem Schlüssel gezeichnet hat. Gezeichnet wird mit dem Befehl unten: Der Dienst hat keine "
        "privaten Schlüssel.",
        "none": "Im Register steht noch kein Modell; es urteilen die mitgelieferten.",
        "model": "Modell",
        "tenant": "Mandant",
        "all": "alle",
        "state": "Stand",
        "since": "seit",
        "trainer": "trainiert von",
        "candidate": "Kandidat",
        "shadow": "Schatten",
        "champion": "Champion",
        "retired": "abgelöst",
        "gates": "Tore",
        "computed": "berechnet",
        "against": "verglichen mit",
        "not_computed": "Die Tore sind noch nicht berechnet: tuermer models gates",
        "gate": "Tor",
        "passed": "bestanden",
        "yes": "ja",
        "no": "nein",
        "value": "Wert",
        "bounds": "Grenzen",
        "text": "Erklärung",
        "differences": "Was sich ändern würde",
        "appears": "neu",
        "vanishes": "fehlt",
        "moves": "anderer Rang",
        "same": "unverändert",
        "what": "was",
        "family": "Technik",
        "entity": "Objekt",
        "was": "Rang beim Champion",
        "now": "Rang beim Kandidaten",
        "attacks": "Eingespielte Angriffe",
        "attack": "Angriff",
        "strength": "Stärke",
        "with_champion": "Champion",
        "with_candidate": "Kandidat",
        "found": "gemeldet",
        "held": "zurückgehalten",
        "recorded": "verzeichnet",
        "near": "knapp",
        "unseen": "nicht gesehen",
        "approvals": "Freigaben",
        "nobody": "Noch niemand hat gezeichnet.",
        "approver": "gezeichnet von",
        "reason": "Begründung",
        "at": "am",
        "steps": "Verlauf",
        "who": "wer",
        "second": "zweite Person",
        "sign": "So zeichnen Sie",
        "more": "weitere nicht gezeigt",
    },
    "en": {
        "heading": "Models",
        "intro": "What judges, what runs beside it, and what was handed over. A model becomes champion only when a second person "
        "has signed with a key of their own. Sign with the command below: the daemon has no private keys.",
        "none": "The registry holds no model yet; the shipped ones judge.",
        "model": "Model",
        "tenant": "Tenant",
        "all": "all",
        "state": "State",
        "since": "since",
        "trainer": "trained by",
        "candidate": "candidate",
        "shadow": "shadow",
        "champion": "champion",
        "retired": "retired",
        "gates": "Gates",
        "computed": "computed",
        "against": "compared with",
        "not_computed": "The gates were not computed yet: tuermer models gates",
        "gate": "Gate",
        "passed": "passed",
        "yes": "yes",
        "no": "no",
        "value": "Value",
        "bounds": "Bounds",
        "text": "Meaning",
        "differences": "What would change",
        "appears": "new",
        "vanishes": "gone",
        "moves": "other rank",
        "same": "unchanged",
        "what": "what",
        "family": "Technique",
        "entity": "Entity",
        "was": "Champion's rank",
        "now": "Candidate's rank",
        "attacks": "Injected attacks",
        "attack": "Attack",
        "strength": "Strength",
        "with_champion": "Champion",
        "with_candidate": "Candidate",
        "found": "notified",
        "held": "held back",
        "recorded": "recorded",
        "near": "near",
        "unseen": "unseen",
        "approvals": "Approvals",
        "nobody": "Nobody has signed yet.",
        "approver": "signed by",
        "reason": "Reason",
        "at": "at",
        "steps": "History",
        "who": "who",
        "second": "second person",
        "sign": "How to sign",
        "more": "more are not shown",
    },
}
