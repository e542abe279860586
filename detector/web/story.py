"""How one incident is told: the sentences that page and terminal make of a document of the view `incidents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detector.judge import sayings
from detector.judge.texts import Guidance, guide, of_technique
from detector.web import moments
from detector.web.words import WORDS

Json = Mapping[str, Any]
# What an ECS field is called; in this order on the page, the rest behind.
FIELDS = {
    "source.ip": {"de": "Quellen", "en": "Sources"},
    "user.name": {"de": "Konten", "en": "Accounts"},
    "user.target.name": {"de": "Zielkonten", "en": "Target accounts"},
    "host.name": {"de": "Rechner", "en": "Hosts"},
    "destination.ip": {"de": "Ziele", "en": "Destinations"},
    "destination.port": {"de": "Zielports", "en": "Destination ports"},
    "event.outcome": {"de": "Ergebnis der Anmeldungen", "en": "Outcome of the logins"},
    "event.action": {"de": "Was das Gerät tat", "en": "What the device did"},
    "observer.name": {"de": "Gemeldet von", "en": "Reported by"},
}


def rarity(i: Json, language: str) -> str:
    """ "1 in 20,000 comparable logins; at your volume by chance about every 12 days", or why nothing is stated."""
    if i["family"] == "success-after-failures":
        return WORDS[language]["by_rule"]
    worst = 1 / i["worst_p"] if i["worst_p"] > 0 else None
    return sayings.rarity(i["model"], i["one_in"], i["volume"], language, worst) or WORDS[language]["not_stated"]


def again(i: Json, language: str) -> str | None:
    """ "12th time; usual here 300 to 900 login attempts, this time 412"; None the first time."""
    usual = None if i["usual_low"] is None else (i["usual_low"], i["usual_high"])
    return sayings.again(i["family"], i["episode"], i["episode_events"], usual, language)


def techniques(i: Json, language: str) -> list[str]:
    """Each technique with id and name, and its tactic."""
    return [technique(id_, of_technique(id_), language) for id_ in i["techniques"]]


def technique(id_: str, known: Guidance | None, language: str) -> str:
    if known is None:
        return id_
    name, tactic = getattr(known.name, language), getattr(known.tactic, language)
    return f"{id_} {name} ({known.tactic_id} {tactic})"


def steps(i: Json, language: str) -> list[str]:
    found = guide(i["family"], list(i["techniques"]))
    return [] if found is None else list(getattr(found.next, language))


def beware(i: Json, language: str) -> str | None:
    found = guide(i["family"], list(i["techniques"]))
    return None if found is None else str(getattr(found.beware, language))


def spread(i: Json, language: str) -> str | None:
    """How far it reached; not said of a single host or account."""
    return None if i["spread"] < 2 else WORDS[language]["spread_n"].format(n=sayings.whole(i["spread"], language))


def quiet(i: Json, language: str) -> str | None:
    """Why nobody was told, where nobody was."""
    word = "why.learning" if i["notification"] == "learning" else f"why.{i['why']}"  # there `why` is what the budget would have said
    if i["notification"] in ("none", "sent") or word not in WORDS[language]:
        return None
    return WORDS[language][word].format(window=i["maintenance"] or "", id=i["suppression"] or "")


def standing(i: Json, language: str) -> str:
    """How it stands, and because of whom: "false alarm by Frau Muster, 20 Nov 2026 14:03:00"."""
    w = WORDS[language]
    if i["status"] == "in-work":
        return f"{w['status.in-work']}: {i['work_by']}, {w['lapses'].format(when=moments.when(i['work_until'], language))}"
    if i["status"] in ("confirmed", "closed") and i["verdict_by"] is not None:
        word = w["status.confirmed"] if i["status"] == "confirmed" else w["closed_as"].format(word=w[f"word.{i['verdict']}"])
        return w["by"].format(word=word, name=i["verdict_by"], when=moments.when(i["verdict_at"], language))
    return w[f"status.{i['status']}"]


def field(name: str, language: str) -> str:
    return FIELDS.get(name, {}).get(language, name)


def by_field(evidence: Sequence[Json]) -> dict[str, list[Json]]:
    """Evidence rows grouped by field, what people look for first; in a field most events first."""
    order = [*FIELDS, *sorted({row["field"] for row in evidence} - FIELDS.keys())]
    groups: dict[str, list[Json]] = {name: [] for name in order}
    for row in evidence:
        groups[row["field"]].append(row)
    return {name: sorted(rows, key=lambda r: (-r["events"], r["value"])) for name, rows in groups.items() if rows}
