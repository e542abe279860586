"""Lage (situation), the home: what needs me now?"""

from __future__ import annotations

from detector.grafana import beneath, buttons, frame, panels, places, wording
from detector.grafana.frame import Row
from detector.grafana.panels import Column, Json
from detector.grafana.places import HERE, select
from detector.grafana.setting import Setting

TRIAGE = 4  # id of the panel with the buttons
CHOICES = ("open", "unattended", "in-work", "confirmed", "new", "worse", "expired", "all")


def dashboard(s: Setting) -> Json:
    rows = (
        Row(4, ((8, _severities(s)), (4, _unattended(s)), (4, _oldest(s)), (4, _news(s)), (4, _expired(s)))),
        Row(14, ((24, _triage(s)),)),
        Row(8, ((24, _search(s)),), title=s.t("Suche", "Search")),
        Row(9, ((12, _trend(s)), (12, _heatmap(s))), title=s.t("Verlauf", "Trend")),
        Row(9, ((24, beneath.near_misses(s)),), title=s.t("Knapp darunter", "Just below")),
        Row(
            8,
            ((12, beneath.suppressions(s)), (12, beneath.hidden(s))),
            title=s.t("Unterdrückungen und was sie verdeckt haben", "Suppressions and what they hid"),
        ),
        Row(
            6,
            ((12, beneath.silent(s)), (12, beneath.unwell(s))),
            title=s.t("Verstummte Geräte, Türmer selbst", "Silent devices, Türmer itself"),
        ),
    )
    texts = {
        "open": s.t("alle offenen", "all open"), "unattended": s.t("unbesehen", "unattended"), "in-work": s.t("in Arbeit", "in work"),
        "confirmed": s.t("bestätigt", "confirmed"), "new": s.t("neu seit 24 h", "new within 24 h"),
        "worse": s.t("schlimmer seit 24 h", "worse within 24 h"),
        "expired": s.t("abgelaufen ohne Blick", "expired without a look"), "all": s.t("alles (7 Tage)", "everything (7 days)"),
    }  # fmt: skip
    variables = (
        frame.tenant_variable(s),
        frame.choice_variable("show", s.t("Liste", "List"), [(one, texts[one]) for one in CHOICES]),
        frame.text_variable(
            "search",
            s.t("Suche", "Search"),
            s.t(
                "Adressen, Netze, Rechner, Ports, Nummern; auch eine ganze Liste",
                "addresses, networks, hosts, ports, ids; also a whole list",
            ),
        ),
    )
    title = s.t("Türmer · Lage", "Türmer · Situation")
    return frame.dashboard(places.SITUATION, title, s.t("Was braucht mich jetzt?", "What needs me now?"), rows, variables)


def _severities(s: Setting) -> Json:
    return panels.bars(
        1,
        *s.about("situation.severities"),
        select("severity, incidents", "open_by_severity", HERE, "level DESC", 4),
        words=wording.severities(s),
        link=places.rows(s, "open"),
        names="left",
    )


def _unattended(s: Setting) -> Json:
    return panels.stat(
        2,
        *s.about("situation.unattended"),
        select("unattended", "situation", HERE, "", 1),
        link=places.rows(s, "unattended"),
    )


def _oldest(s: Setting) -> Json:
    return panels.stat(
        3,
        *s.about("situation.oldest"),
        select("oldest_age", "situation", HERE, "", 1),
        unit="dtdhms",
        link=places.rows(s, "unattended"),
        nothing=s.t("keine", "none"),
        steps=((None, panels.CALM), (8 * 3600.0, wording.ORANGE)),
    )


def _news(s: Setting) -> Json:
    made = panels.stat(
        5,
        *s.about("situation.news"),
        select("new, worse", "situation", HERE, "", 1),
        link=places.rows(s, "new"),
    )
    made["options"]["textMode"] = "value_and_name"
    made["fieldConfig"]["overrides"] = [
        Column("new", s.t("neu", "new")).override(),
        Column("worse", s.t("schlimmer", "worse"), link=places.rows(s, "worse")).override(),
    ]
    return made


def _expired(s: Setting) -> Json:
    return panels.stat(
        6,
        *s.about("situation.expired"),
        select("expired", "situation", HERE, "", 1),
        link=places.rows(s, "expired"),
        steps=((None, panels.CALM), (1, wording.ORANGE)),
    )


def _triage(s: Setting) -> Json:
    shown = " ".join(f"WHEN '{one}' THEN {_condition(one)}" for one in CHOICES)
    sql = f"""
        SELECT severity, verdict, {s.column("title")}, status, got_in, more, since, updated, entity, site, one_in, events, episode,
            alike, alike_open, alike_hidden, one_hidden, entity_key, id::text AS id
        FROM grafana.triage WHERE {HERE} AND CASE ${{show:sqlstring}} {shown} END
        ORDER BY level DESC, since DESC LIMIT 200
    """  # noqa: S608 - names of ours
    columns = (
        Column("severity", s.t("Stufe", "Level"), 80, words=wording.levels(s)),
        Column("verdict", s.t("Urteil", "Verdict"), 288, cell={"type": "actions"}, more=(("actions", buttons.first(s)),)),
        Column("title", s.t("Was", "What"), 330, link=places.incident(s), wrap=True),
        Column("status", s.t("Stand", "Status"), 120, words=wording.statuses(s)),
        Column("got_in", s.t("Hinein?", "Got in?"), 95, words=wording.entered(s)),
        Column("more", s.t("Mehr", "More"), 165, cell={"type": "actions"}, more=(("actions", buttons.more(s)),)),
        Column("since", s.t("Seit", "Since"), 115, wording.moment(s)),
        Column("updated", s.t("Zuletzt", "Last"), 115, wording.moment(s)),
        Column("entity", s.t("Wo", "Where"), 150, link=places.thing(s)),
        Column("site", s.t("Standort", "Site"), 100),
        Column("one_in", s.t("1 von", "1 in"), 100, "locale", more=(("decimals", 0),)),
        Column("events", s.t("Ereignisse", "Events"), 90, "locale"),
        Column("episode", s.t("Mal", "Time no."), 60, "none"),
        Column("alike", s.t("Alle gleichartigen", "All alike"), 330, cell={"type": "actions"}, more=(("actions", buttons.alike(s)),)),
        Column("alike_open", s.t("gleiche offen", "alike, open"), 95, "none"),
        Column("alike_hidden", hidden=True),
        Column("one_hidden", hidden=True),
        Column("entity_key", hidden=True),
        Column("id", hidden=True),
    )
    return panels.table(
        TRIAGE,
        *s.about("situation.triage"),
        sql,
        columns,
        nothing=s.t("Nichts in dieser Liste.", "Nothing in this list."),
        tall=True,
    )


def _condition(choice: str) -> str:
    """Of a row of grafana.triage; the choices of the variable `show` are ours."""
    match choice:
        case "all":
            return "true"
        case "in-work" | "confirmed":
            return f"status = '{choice}'"
        case _:
            return choice


def _search(s: Setting) -> Json:
    sql = f"""
        SELECT term, what, severity, {s.column("title")}, status, field, value, events, first, last, entity_key, incident_id::text AS id
        FROM grafana.search(${{tenant:sqlstring}}, ${{search:sqlstring}}) LIMIT 500
    """  # noqa: S608 - likewise
    columns = (
        Column("term", s.t("Gesucht", "Asked for"), 160),
        Column("what", s.t("Gefunden in", "Found in"), 200, words=wording.searched(s), wrap=True),
        Column("severity", s.t("Stufe", "Level"), 80, words=wording.levels(s)),
        Column("title", s.t("Auffälligkeit, oder warum nichts", "Anomaly, or why nothing"), 330, link=places.incident(s), wrap=True),
        Column("status", s.t("Stand", "Status"), 120, words=wording.statuses(s)),
        Column("field", s.t("Als", "As"), 130, words=wording.matched(s)),
        Column("value", s.t("Wert", "Value"), 160, link=places.thing(s)),
        Column("events", s.t("Ereignisse", "Events"), 90, "locale"),
        Column("first", s.t("Zuerst", "First"), 115, wording.date(s)),
        Column("last", s.t("Zuletzt", "Last"), 115, wording.date(s)),
        Column("entity_key", hidden=True),
        Column("id", hidden=True),
    )
    return panels.table(
        7,
        *s.about("situation.search"),
        sql,
        columns,
        nothing=s.t("Oben etwas in das Suchfeld eingeben.", "Type something into the search field above."),
    )


def _trend(s: Setting) -> Json:
    return panels.series(
        8,
        *s.about("situation.trend"),
        select(f"time, name_{s.language} AS metric, incidents", "techniques", HERE, "time", 2000),
        style="bars",
        stacked=True,
        nothing=s.t("keine", "none"),
    ) | {"timeFrom": "35d"}


def _heatmap(s: Setting) -> Json:
    return panels.heatmap(
        9,
        *s.about("situation.heatmap"),
        select(f"time, name_{s.language} AS metric, incidents", "techniques", HERE, "time, metric", 2000),
        nothing=s.t("keine", "none"),
    ) | {"timeFrom": "35d"}
