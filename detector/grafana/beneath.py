"""The lower half of the situation: what stayed just below the line, what was hidden and by whom's word, what fell silent."""

from __future__ import annotations

from detector.grafana import panels, places, wording
from detector.grafana.panels import Column, Json
from detector.grafana.places import HERE, select
from detector.grafana.setting import Setting


def near_misses(s: Setting) -> Json:
    columns = (
        Column("time", s.t("Zeit", "Time"), 115, wording.moment(s)),
        Column("title", s.t("Was", "What"), 330, wrap=True),
        Column("nearness", s.t("Abstand zur Schwelle", "Distance from the line"), 130, "suffix:×", more=(("decimals", 1),)),
        Column("one_in", s.t("1 von", "1 in"), 100, "locale", more=(("decimals", 0),)),
        Column("entity", s.t("Wo", "Where"), 150, link=places.thing(s)),
        Column("site", s.t("Standort", "Site"), 100),
        Column("reason", s.t("Stärkster Grund", "Strongest reason"), wrap=True),
        Column("entity_key", hidden=True),
    )
    return panels.table(
        10,
        *s.about("situation.near_misses"),
        select(
            f"time, {s.column('title')}, nearness, one_in, entity, site, {s.column('reason')}, entity_key",
            "near_misses",
            f"{HERE} AND $__timeFilter(time)",
            "nearness, time DESC",
            50,
        ),
        columns,
        nothing=s.t("Nichts blieb knapp darunter.", "Nothing stayed just below."),
    )


def suppressions(s: Setting) -> Json:
    words = {
        "active": panels.Word(s.t("in Kraft", "in force")),
        "expired": panels.Word(s.t("abgelaufen", "expired")),
        "ended": panels.Word(s.t("beendet", "ended")),
    }
    columns = (
        Column("id", s.t("Nr.", "No."), 55, "none"),
        Column("status", s.t("Stand", "Status"), 90, words=words),
        Column("hidden", s.t("verdeckte", "hid"), 85, "none"),
        Column("field", s.t("Feld", "Field"), 110, words=wording.fields(s)),
        Column("value", s.t("Wert", "Value"), 150),
        Column("technique", s.t("Technik", "Technique"), 100),
        Column("reason", s.t("Begründung", "Reason"), 220, wrap=True),
        Column("expires", s.t("bis", "until"), 115, wording.date(s)),
        Column("last_hidden", s.t("zuletzt", "last"), 115, wording.moment(s)),
    )
    return panels.table(
        11,
        *s.about("situation.suppressions"),
        select(
            "id, status, hidden, field, value, technique, reason, expires, last_hidden", "suppressions", HERE, "hidden DESC, expires", 100
        ),
        columns,
        nothing=s.t("Keine Unterdrückung.", "No suppression."),
    )


def hidden(s: Setting) -> Json:
    columns = (
        Column("time", s.t("Zeit", "Time"), 115, wording.moment(s)),
        Column("suppression", s.t("durch Nr.", "by no."), 80, "none"),
        Column("severity", s.t("Stufe", "Level"), 86, words=wording.levels(s)),
        Column("title", s.t("Was", "What"), 300, link=places.incident(s), wrap=True),
        Column("entity", s.t("Wo", "Where"), 150, link=places.thing(s)),
        Column("entity_key", hidden=True),
        Column("id", hidden=True),
    )
    return panels.table(
        12,
        *s.about("situation.hidden"),
        select(f"time, suppression, severity, {s.column('title')}, entity, entity_key, id::text AS id", "hidden", HERE, "time DESC", 100),
        columns,
        nothing=s.t("Nichts wurde verdeckt.", "Nothing was hidden."),
    )


def silent(s: Setting) -> Json:
    columns = (
        Column("device", s.t("Gerät", "Device"), 160),
        Column("since", s.t("seit", "since"), 115, wording.moment(s)),
        Column("age", s.t("Dauer", "For"), 120, "dtdhms"),
        Column("text", s.t("Was das heißt", "What it means"), wrap=True),
    )
    return panels.table(
        13,
        *s.about("situation.silent"),
        select(f"device, since, age, {s.column('text')}", "silent_devices", HERE, "since", 100),
        columns,
        nothing=s.t("Alle Geräte sprechen.", "All devices speak."),
    )


def unwell(s: Setting) -> Json:
    columns = (
        Column("severity", s.t("Stufe", "Level"), 86, words=wording.levels(s)),
        Column("title", s.t("Was", "What"), 240, link=places.board(s.t("Betrieb", "Operation"), places.OPERATION), wrap=True),
        Column("since", s.t("seit", "since"), 115, wording.moment(s)),
        Column("text", s.t("Was das heißt", "What it means"), wrap=True),
    )
    return panels.table(
        14,
        *s.about("situation.unwell"),
        select(
            f"severity, {s.column('title')}, since, {s.column('text')}",
            "unwell",
            "tenant IN ('', ${tenant:sqlstring})",
            "level DESC, since",
            50,
        ),
        columns,
        nothing=s.t("Alles in Ordnung.", "All is well."),
    )
