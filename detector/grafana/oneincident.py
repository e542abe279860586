"""Auffälligkeit (one anomaly; an incident only after somebody confirmed it): what happened here, and did anyone get in?"""

from __future__ import annotations

import re

from detector.grafana import frame, panels, places, wording
from detector.grafana.frame import Row
from detector.grafana.panels import Column, Json
from detector.grafana.places import HERE, select
from detector.grafana.setting import Setting

THIS = f"{HERE} AND incident_id = grafana.id(${{incident:sqlstring}})"
# What a `[links] raw_search` template may name, and the column of grafana.raw_lines that fills it. Plain values only, never a token.
PLACEHOLDERS = {
    "{from}": "raw_from", "{to}": "raw_to", "{from_ms}": "raw_from_ms", "{to_ms}": "raw_to_ms", "{device}": "device", "{source}": "source",
    "{destination}": "destination", "{host}": "host", "{port}": "port",
}  # fmt: skip


def dashboard(s: Setting) -> Json:
    rows = (
        Row(11, ((14, _facts(s)), (10, _reasons(s)))),
        Row(7, ((10, _steps(s)), (14, _sentences(s)))),
        Row(9, ((24, _chain(s)),), title=s.t("Kette: was damit zusammenhängt", "Chain: what is related")),
        Row(7, ((24, _related(s)),)),
        Row(10, ((12, _evidence(s)), (12, _events(s))), title=s.t("Belege und Ereignisse", "Evidence and events")),
        Row(7, ((10, _history(s)), (14, _raw(s))), title=s.t("Urteile und Rohzeilen", "Verdicts and raw lines")),
        Row(6, ((24, _episodes(s)),)),
    )
    variables = (
        frame.tenant_variable(s),
        frame.text_variable("incident", s.t("Nummer", "Number"), s.t("der Auffälligkeit", "of the anomaly")),
    )
    title = s.t("Türmer · Auffälligkeit", "Türmer · Anomaly")
    question = s.t("Was ist hier geschehen, und ist jemand hineingekommen?", "What happened here, and did anyone get in?")
    return frame.dashboard(places.INCIDENT, title, question, rows, variables, since="now-7d")


def _none(s: Setting) -> str:
    return s.t("Bitte in der Lage eine Auffälligkeit öffnen.", "Please open an anomaly in the situation.")


def _facts(s: Setting) -> Json:
    columns = (Column("name", s.t("Frage", "Question"), 140, wrap=True), Column("text", s.t("Antwort", "Answer"), wrap=True))
    return panels.table(
        1,
        *s.about("oneincident.facts"),
        select(f"{s.column('name')}, {s.column('text')}", "facts", THIS, "place", 20),
        columns,
        nothing=_none(s),
    )


def _reasons(s: Setting) -> Json:
    return panels.bars(
        2,
        *s.about("oneincident.reasons"),
        select(f"{s.column('label')}, times", "reasons", THIS, "place", 10),
        unit="suffix:×",
        steps=((None, "blue"), (2.0, "orange")),
        nothing=_none(s),
        decimals=1,
    )


def _sentences(s: Setting) -> Json:
    columns = (
        Column("text", s.t("Grund", "Reason"), wrap=True),
        Column("observed", s.t("beobachtet", "observed"), 100, "short"),
        Column("usual", s.t("üblich bis", "usual up to"), 100, "short"),
        Column("median", s.t("meist", "mostly"), 80, "short"),
        Column("share", s.t("Anteil", "Share"), 80, "percentunit", more=(("decimals", 0),)),
    )
    return panels.table(
        3,
        *s.about("oneincident.sentences"),
        select(f"{s.column('text')}, observed, usual, median, share", "reasons", THIS, "place", 10),
        columns,
        nothing=_none(s),
    )


def _steps(s: Setting) -> Json:
    columns = (
        Column("place", s.t("Nr.", "No."), 50, "none"),
        Column("text", s.t("Was als Nächstes zu prüfen ist", "What to check next"), wrap=True),
    )
    return panels.table(
        4,
        *s.about("oneincident.steps"),
        select(f"place, {s.column('text')}", "next_steps", THIS, "place", 10),
        columns,
        nothing=_none(s),
    )


def _chain(s: Setting) -> Json:
    return panels.states(
        5,
        *s.about("oneincident.chain"),
        select(f"time, state, {s.column('name')}", "chain_states", THIS, "time", 100),
        words=wording.severities(s) | {"after": panels.Word(s.t("noch offen, nichts Neues", "still open, nothing new"), "#8e8e8e")},
        nothing=_none(s),
    )


def _related(s: Setting) -> Json:
    columns = (
        Column("begins", s.t("Beginn", "Begins"), 120, wording.moment(s)),
        Column("severity", s.t("Stufe", "Level"), 86, words=wording.levels(s)),
        Column("title", s.t("Was", "What"), 330, link=places.incident(s), wrap=True),
        Column("kinds", s.t("Verbindung", "Link"), 210, words=_joined(s)),
        Column("shared", s.t("Gemeinsam", "Shared"), 200, wrap=True),
        Column("got_in", s.t("Hinein?", "Got in?"), 95, words=wording.entered(s)),
        Column("status", s.t("Stand", "Status"), 120, words=wording.statuses(s)),
        Column("id", hidden=True),
    )
    return panels.table(
        6,
        *s.about("oneincident.related"),
        select(f"begins, severity, {s.column('title')}, kinds, shared, got_in, status, other_id::text AS id", "chain", THIS, "begins", 50),
        columns,
        nothing=_none(s),
    )


def _joined(s: Setting) -> panels.Words:
    """Kinds of links and their combinations, as grafana.chain joins them."""
    one = wording.kinds(s)
    pairs = [("account", "address"), ("account", "host"), ("address", "host")]
    both = {f"{a}+{b}": panels.Word(f"{one[a].text}, {one[b].text}") for a, b in pairs}
    every = {"account+address+host": panels.Word(", ".join(one[k].text for k in ("account", "address", "host")))}
    return {k: one[k] for k in ("self", "address", "account", "host")} | both | every


def _evidence(s: Setting) -> Json:
    columns = (
        Column("field", s.t("Feld", "Field"), 150, words=wording.fields(s)),
        Column("value", s.t("Wert", "Value"), 220, link=places.thing(s)),
        Column("events", s.t("Ereignisse", "Events"), 100, "locale"),
        Column("first", s.t("Zuerst", "First"), 120, wording.moment(s)),
        Column("last", s.t("Zuletzt", "Last"), 120, wording.moment(s)),
        Column("entity_key", hidden=True),
    )
    return panels.table(
        7,
        *s.about("oneincident.evidence"),
        select("field, value, events, first, last, entity_key", "evidence", THIS, "events DESC, field, value", 500),
        columns,
        nothing=_none(s),
    )


def _events(s: Setting) -> Json:
    names = {
        "time": s.t("Zeit", "Time"), "device": s.t("Gerät", "Device"), "action": s.t("was", "what"), "outcome": s.t("Ergebnis", "Outcome"),
        "source": s.t("Quelle", "Source"), "destination": s.t("Ziel", "Destination"), "port": "Port",
        "account": s.t("Konto (verdeckt)", "Account (hidden)"),
        "host": s.t("Rechner", "Host"),
    }  # fmt: skip
    columns = [
        Column(name, title, 130, wording.moment(s).replace("mm", "mm:ss") if name == "time" else "") for name, title in names.items()
    ]
    return panels.table(
        8,
        *s.about("oneincident.events"),
        select(f"{', '.join(names)}", "events", THIS, "time DESC", 200),
        columns,
        nothing=_none(s),
    )


def _history(s: Setting) -> Json:
    columns = (
        Column("time", s.t("Zeit", "Time"), 120, wording.moment(s)),
        Column("what", s.t("Urteil", "Verdict"), 120, words=wording.verdicts(s)),
        Column("author", s.t("von", "by"), 120),
        Column("text", s.t("Text", "Text"), wrap=True),
    )
    return panels.table(
        9,
        *s.about("oneincident.history"),
        select("time, what, author, text", "history", THIS, "time DESC", 100),
        columns,
        nothing=s.t("Noch kein Urteil.", "No verdict yet."),
    )


def _raw(s: Setting) -> Json:
    links = [{"title": title, "url": filled(template), "targetBlank": True} for title, template in s.links]
    columns = (
        Column("device", s.t("Gerät", "Device"), 200, more=(("links", links),) if links else ()),
        Column("events", s.t("Ereignisse", "Events"), 100, "locale"),
        *(Column(name, s.t(*title), 170, bare=True) for name, title in _RAW.items()),
        *(Column(name, hidden=True) for name in ("raw_from_ms", "raw_to_ms")),
    )
    how = s.t("Ein Klick auf das Gerät sucht seine Zeilen im Logspeicher.", "A click on the device searches its lines in the log store.")
    unset = s.t(
        "Für Links in den Logspeicher [links] raw_search in die Konfiguration eintragen.",
        "For links into the log store set [links] raw_search in the configuration.",
    )
    return panels.table(
        10,
        s.t("Rohzeilen im Logspeicher", "Raw lines in the log store"),
        how if links else unset,
        select(
            "device, events, raw_from, raw_to, source, destination, host, port, raw_from_ms, raw_to_ms",
            "raw_lines",
            THIS,
            "events DESC",
            20,
        ),
        columns,
        nothing=_none(s),
    )


_RAW = {
    "raw_from": ("von", "from"), "raw_to": ("bis", "to"), "source": ("Quelle", "source"), "destination": ("Ziel", "destination"),
    "host": ("Rechner", "host"), "port": ("Port", "port"),
}  # fmt: skip


def filled(template: str) -> str:
    """A template with Grafana's variables in the place of our placeholders; each value is percent-encoded when it is pasted."""
    return re.sub(
        "|".join(map(re.escape, PLACEHOLDERS)), lambda found: f"${{__data.fields.{PLACEHOLDERS[found[0]]}:percentencode}}", template
    )


def _episodes(s: Setting) -> Json:
    columns = (
        Column("episode", s.t("Mal", "Time no."), 70, "none"),
        Column("opened", s.t("Beginn", "Begin"), 140, wording.date(s)),
        Column("updated", s.t("Zuletzt", "Last"), 140, wording.date(s)),
        Column("events", s.t("Ereignisse", "Events"), 110, "locale"),
        Column("got_in", s.t("Hinein?", "Got in?"), 110, words=wording.entered(s)),
        Column("model_id", s.t("Modell", "Model"), 200),
    )
    return panels.table(
        11,
        *s.about("oneincident.episodes"),
        select("episode, opened, updated, events, got_in, model_id", "episodes", THIS, "episode DESC", 30),
        columns,
        nothing=_none(s),
    )
