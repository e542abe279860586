"""The privacy report as people read it, in German or English; plain text, so that it can be printed and signed on paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
WORDS = {
    "title": ("Bericht zum Datenschutz", "Privacy report"),
    "memory": ("Gedächtnis für Personen", "Memory of persons"),
    "none": (
        "keines: Pseudonyme wechseln täglich, über eine Person wird nichts behalten",
        "none: pseudonyms change daily, nothing is remembered of a person",
    ),
    "first-seen": (
        "first-seen: gefragt werden kann nur, ob etwas an einem Konto neu ist; nichts lässt sich auflisten",
        "first-seen: it can only be asked whether something is new for an account; nothing can be listed",
    ),
    "pack": ("Regelpaket", "Policy pack"),
    "agreement": ("Dienstvereinbarung", "Works agreement"),
    "no": ("keine Angabe", "not stated"),
    "groups": ("Namen öffnen zwei dieser Gruppen gemeinsam", "Names are opened by two of these groups together"),
    "glass": ("Notfallzugang einer einzelnen Person", "Break-glass by one person"),
    "on": ("eingerichtet", "configured"),
    "off": ("nicht eingerichtet", "not configured"),
    "fields": ("Felder der Ereignisse, zur Erkennung von Angriffen", "Fields of events, to find attacks"),
    "plain": ("Klartext", "plain"),
    "plain or token": ("Klartext oder Token", "plain or token"),
    "keyed hash": ("nur als Hash", "keyed hash"),
    "stores": ("Was wo wie lange liegt", "What lies where, and how long"),
    "days": ("{} Tage", "{} days"),
    "current": ("nur der jetzige Stand", "the current state only"),
    "readers": ("Wer lesen kann (Rechte der Datenbank, eben gelesen)", "Who can read (rights of the database, read just now)"),
    "nologin": ("ohne eigene Anmeldung", "no login of its own"),
    "everything": ("alles", "everything"),
    "grafana": ("Wer in Grafana angemeldet sein kann (eben gelesen)", "Who can log in to Grafana (read just now)"),
    "unasked": ("Grafana ist nicht eingerichtet oder war nicht zu erreichen.", "Grafana is not configured or could not be reached."),
    "excluded": ("Ausgeschlossene Auswertungen", "Excluded evaluations"),
    "deletions": ("Letzte Löschungen", "Last deletions"),
    "rows": ("{} Zeilen, {}", "{} rows, {}"),
    "signed": ("unterschrieben", "signed"),
    "unsigned": ("nicht unterschrieben: audit.key_file fehlt", "not signed: audit.key_file is missing"),
    "holds": ("Aufbewahrung für Fälle in Kraft: {}", "Legal holds in force: {}"),
    "openings": ("Öffnungen von Namen je Monat", "Openings of names by month"),
    "never": ("Es gab keine.", "There were none."),
    "changes": ("Änderungen seit dem letzten unterschriebenen Bericht", "Changes since the last signed report"),
    "same": ("Keine, oder es gab noch keinen.", "None, or there was none yet."),
}


def written(document: Document, changed: Sequence[Document], language: str) -> str:
    """All of it, one paragraph per part."""
    german = language == "de"

    def say(word: str) -> str:
        return WORDS[word][0 if german else 1]

    lines = [f"{say('title')}  {document['made'][:16].replace('T', ' ')} UTC", ""]
    lines += _head(document["config"], say)
    for word, part in (
        ("fields", _fields(document, language, say)),
        ("stores", _stores(document, language, say)),
        ("readers", _readers(document, say)),
        ("grafana", _grafana(document, say)),
        ("excluded", (line[language] for line in document["excluded"])),
        ("deletions", _deletions(document, say)),
        ("openings", _openings(document, say)),
        ("changes", _changes(changed, say)),
    ):
        lines += ["", say(word), "-" * len(say(word)), *(f"  {line}" for line in part)]
    return "\n".join(lines)


def _head(config: Document, say: Any) -> list[str]:
    return [
        f"{say('memory')}: {say(config['person_memory'])}",
        f"{say('pack')}: {config['pack'] or say('no')}",
        f"{say('agreement')}: {config['agreement'] or say('no')}",
        f"{say('groups')}: {', '.join(config['opening_groups'])}",
        f"{say('glass')}: {say('on') if config['break_glass'] else say('off')}",
    ]


def _fields(document: Document, language: str, say: Any) -> Iterator[str]:
    return (f"{name} [{say(field['kind'])}]: {field[language]}" for name, field in document["fields"].items())


def _stores(document: Document, language: str, say: Any) -> Iterator[str]:
    for store in document["stores"]:
        days = store["days"]
        told = say("current") if days is None else ", ".join(f"{name} {say('days').format(n)}".strip() for name, n in days.items())
        yield f"{store['where']}: {store['purpose'][language]} ({told})"
        if store["columns"]:
            yield f"    {', '.join(store['columns'])}"


def _readers(document: Document, say: Any) -> Iterator[str]:
    for role, rights in document["readers"].items():
        login = "" if rights["login"] else f", {say('nologin')}"
        reads = say("everything") if rights["reads"] == ["*"] else ", ".join(rights["reads"])
        yield f"{role} [{rights['sees']}{login}]: {reads}"


def _grafana(document: Document, say: Any) -> Iterator[str]:
    if document["grafana"] is None:
        yield say("unasked")
        return
    for organisation, users in document["grafana"].items():
        yield f"{organisation}: {', '.join(f'{login} ({role})' for login, role in users.items())}"


def _deletions(document: Document, say: Any) -> Iterator[str]:
    for run in document["deletions"]:
        yield f"{run['ended']}: {say('rows').format(run['rows'], say('signed') if run['signed'] else say('unsigned'))}"
    yield say("holds").format(document["holds"])


def _openings(document: Document, say: Any) -> Iterator[str]:
    for month, states in document["openings"].items():
        yield f"{month}: {', '.join(f'{state} {count}' for state, count in states.items())}"
    if document["openings"] == {}:
        yield say("never")


def _changes(changed: Sequence[Document], say: Any) -> Iterator[str]:
    for change in changed:
        yield f"{change['what']}: {change['before'] or '–'} -> {change['after'] or '–'}"
    if not changed:
        yield say("same")
