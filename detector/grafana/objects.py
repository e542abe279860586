"""Objekt: an address, a host, a service, a network; never a person. What is known about it, and is this new for it?"""

from __future__ import annotations

from detector.grafana import frame, panels, places, wording
from detector.grafana.frame import Row
from detector.grafana.panels import Column, Json
from detector.grafana.places import HERE, select
from detector.grafana.setting import Setting

THIS = f"{HERE} AND value = grafana.named(${{entity:sqlstring}})"


def dashboard(s: Setting) -> Json:
    rows = (
        Row(4, ((8, _name(s)), (4, _count(s, 2, "open")), (4, _count(s, 3, "incidents")), (4, _count(s, 4, "entered")), (4, _first(s)))),
        Row(9, ((24, _scores(s)),)),
        Row(9, ((24, _incidents(s)),)),
        Row(9, ((14, _peers(s)), (10, _ports(s)))),
        Row(9, ((24, _list(s)),), title=s.t("Andere Objekte", "Other objects")),
    )
    variables = (
        frame.tenant_variable(s),
        frame.text_variable("entity", s.t("Objekt", "Object"), s.t("sein Schlüssel", "its key"), hidden=True),
    )
    title = s.t("Türmer · Objekt", "Türmer · Object")
    question = s.t(
        "Was weiß man über diese Adresse, diesen Rechner, diesen Dienst?", "What is known about this address, this host, this service?"
    )
    return frame.dashboard(places.OBJECT, title, question, rows, variables, since="now-30d")


def _none(s: Setting) -> str:
    return s.t("Bitte unten oder in der Lage ein Objekt wählen.", "Please choose an object below or in the situation.")


def _name(s: Setting) -> Json:
    return panels.stat(
        1,
        *s.about("objects.name"),
        select("value", "object_facts", THIS, "", 1),
        unit="string",
        nothing=_none(s),
    )


_COUNTS = {
    "open": (("Offen", "Open"), ("Offene Auffälligkeiten, in denen es vorkommt.", "Open anomalies that it occurs in.")),
    "incidents": (("Auffälligkeiten", "Anomalies"), ("Alle, in denen es vorkommt.", "All that it occurs in.")),
    "entered": (("Hineingekommen", "Got in"), ("Wie viele davon mit gelungener Anmeldung.", "How many of these with a successful login.")),
}


def _count(s: Setting, id_: int, column: str) -> Json:
    title, description = _COUNTS[column]
    here = (
        s.t("Zeilen unten", "Rows below"),
        f"/d/{places.OBJECT}?${{entity:queryparam}}&${{tenant:queryparam}}&${{__url_time_range}}&viewPanel=panel-7",
    )
    return panels.stat(
        id_,
        s.t(*title),
        s.t(*description),
        select(f"{column}", "object_facts", THIS, "", 1),
        link=here,
        steps=((None, panels.CALM), (1, wording.RED)) if column == "entered" else ((None, panels.CALM),),
    )


def _first(s: Setting) -> Json:
    return panels.stat(
        5,
        *s.about("objects.first"),
        select("first", "object_facts", THIS, "", 1),
        unit=wording.date(s),
    )


def _scores(s: Setting) -> Json:
    columns = (
        Column("strength", s.t("Stärke", "Strength")),
        Column(
            "threshold",
            s.t("Schwelle", "Threshold"),
            more=(
                ("custom.drawStyle", "line"),
                ("custom.lineInterpolation", "stepAfter"),
                ("custom.spanNulls", True),
                ("custom.showPoints", "never"),
                ("color", {"mode": "fixed", "fixedColor": "orange"}),
            ),
        ),
    )
    return panels.series(
        6,
        *s.about("objects.scores"),
        select("time, strength, threshold", "object_scores", f"{THIS} AND $__timeFilter(time)", "time", 2000),
        unit="none",
        form="table",
        columns=columns,
        style="points",
        nothing=_none(s),
    )


def _incidents(s: Setting) -> Json:
    words = {"entity": panels.Word(s.t("es selbst", "itself")), "evidence": panels.Word(s.t("in den Belegen", "in the evidence"))}
    columns = (
        Column("severity", s.t("Stufe", "Level"), 86, words=wording.levels(s)),
        Column("title", s.t("Was", "What"), 380, link=places.incident(s), wrap=True),
        Column("role", s.t("Rolle", "Role"), 120, words=words),
        Column("status", s.t("Stand", "Status"), 200, words=wording.statuses(s)),
        Column("got_in", s.t("Hinein?", "Got in?"), 95, words=wording.entered(s)),
        Column("since", s.t("Seit", "Since"), 120, wording.moment(s)),
        Column("updated", s.t("Zuletzt", "Last"), 120, wording.moment(s)),
        Column("id", hidden=True),
    )
    return panels.table(
        7,
        *s.about("objects.incidents"),
        select(
            f"severity, {s.column('title')}, role, status, got_in, since, updated, incident_id::text AS id",
            "object_rows",
            THIS,
            "since DESC",
            200,
        ),
        columns,
        nothing=_none(s),
    )


def _peers(s: Setting) -> Json:
    columns = (
        Column("field", s.t("Als", "As"), 130, words=wording.fields(s)),
        Column("peer", s.t("Gegenstelle", "Peer"), 200, link=places.thing(s)),
        Column("events", s.t("Ereignisse", "Events"), 100, "locale"),
        Column("first", s.t("Zuerst", "First"), 120, wording.moment(s)),
        Column("last", s.t("Zuletzt", "Last"), 120, wording.moment(s)),
        Column("entity_key", hidden=True),
    )
    return panels.table(
        8,
        *s.about("objects.peers"),
        select(
            "field, peer, events, first, last, entity_key", "object_peers", f"{THIS} AND field <> 'destination.port'", "events DESC", 100
        ),
        columns,
        nothing=_none(s),
    )


def _ports(s: Setting) -> Json:
    columns = (
        Column("peer", s.t("Zielport", "Destination port"), 140),
        Column("events", s.t("Ereignisse", "Events"), 120, "locale"),
        Column("first", s.t("Zuerst", "First"), 120, wording.moment(s)),
        Column("last", s.t("Zuletzt", "Last"), 120, wording.moment(s)),
    )
    return panels.table(
        9,
        *s.about("objects.ports"),
        select("peer, events, first, last", "object_peers", f"{THIS} AND field = 'destination.port'", "events DESC", 100),
        columns,
        nothing=_none(s),
    )


def _list(s: Setting) -> Json:
    columns = (
        Column("entity", s.t("Objekt", "Object"), 260, link=places.thing(s)),
        Column("kind", s.t("Art", "Kind"), 170, words=wording.kinds(s)),
        Column("incidents", s.t("Auffälligkeiten in 14 Tagen", "Anomalies within 14 days"), 190, "none"),
        Column("last", s.t("Zuletzt", "Last"), 130, wording.moment(s)),
        Column("entity_key", hidden=True),
    )
    return panels.table(
        10,
        *s.about("objects.list"),
        select("entity, kind, incidents, last, entity_key", "objects", HERE, "last DESC", 200),
        columns,
        nothing=s.t("Keine in 14 Tagen.", "None within 14 days."),
    )
