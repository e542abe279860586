"""Betrieb (operation): is Türmer itself well, does it keep up, and may its numbers be believed?"""

from __future__ import annotations

from detector.grafana import frame, panels, places, wording
from detector.grafana.frame import Row
from detector.grafana.panels import Column, Json, Word
from detector.grafana.places import HERE, select
from detector.grafana.setting import Setting


def dashboard(s: Setting) -> Json:
    rows = (
        Row(4, ((6, _heartbeat(s)), (6, _rate(s)), (6, _lag(s)), (6, _canary(s)))),
        Row(7, ((24, _unwell(s)),)),
        Row(8, ((8, _events(s)), (8, _waiting(s)), (8, _latency(s))), title=s.t("Durchsatz", "Throughput")),
        Row(8, ((12, _letters(s)), (12, _letters_by(s))), title=s.t("Unlesbare Zeilen", "Unreadable lines")),
        Row(8, ((12, _calibration(s)), (12, _drift(s))), title=s.t("Modelle", "Models")),
        Row(8, ((14, _models(s)), (10, _devices(s)))),
        Row(8, ((14, _budget(s)), (10, _database(s))), title=s.t("Budget und Datenbank", "Budget and database")),
    )
    variables = (frame.tenant_variable(s),)
    title = s.t("Türmer · Betrieb", "Türmer · Operation")
    question = s.t("Ist Türmer selbst gesund, und kommt es mit?", "Is Türmer itself well, and does it keep up?")
    return frame.dashboard(places.OPERATION, title, question, rows, variables)


def _heartbeat(s: Setting) -> Json:
    return panels.stat(
        1,
        *s.about("operation.heartbeat"),
        select("age", "heartbeat", "component = 'score'", "", 1),
        unit="dtdhms",
        steps=((None, panels.CALM), (120, wording.RED)),
        link=_here(2, s),
    )


def _here(id_: int, s: Setting) -> tuple[str, str]:
    """The panel with the rows behind a number of this dashboard, in full size."""
    return s.t(
        "Zeilen zeigen", "Show the rows"
    ), f"/d/{places.OPERATION}?viewPanel=panel-{id_}&${{tenant:queryparam}}&${{__url_time_range}}"


def _rate(s: Setting) -> Json:
    return panels.stat(
        3,
        *s.about("operation.rate"),
        select("events_per_second", "throughput_now", "", "time DESC", 1),
        unit="locale",
        link=_here(6, s),
    )


def _lag(s: Setting) -> Json:
    return panels.stat(
        4,
        *s.about("operation.lag"),
        select("lag", "throughput_now", "", "time DESC", 1),
        unit="locale",
        link=_here(7, s),
    )


def _canary(s: Setting) -> Json:
    return panels.stat(
        5,
        *s.about("operation.canary"),
        select("age", "canary", "", "", 1),
        unit="dtdhms",
        steps=((None, panels.CALM), (26 * 3600.0, wording.RED)),
        nothing=s.t("noch nie", "never yet"),
        link=_here(2, s),
    )


def _unwell(s: Setting) -> Json:
    columns = (
        Column("severity", s.t("Stufe", "Level"), 86, words=wording.levels(s)),
        Column("title", s.t("Was", "What"), 300, wrap=True),
        Column("subject", s.t("Woran", "Where"), 160),
        Column("since", s.t("seit", "since"), 120, wording.moment(s)),
        Column("text", s.t("Was zu tun ist", "What to do"), wrap=True),
    )
    return panels.table(
        2,
        *s.about("operation.unwell"),
        select(
            f"severity, {s.column('title')}, subject, since, {s.column('text')}",
            "unwell",
            "tenant IN ('', ${tenant:sqlstring})",
            "level DESC, since",
            100,
        ),
        columns,
        nothing=s.t("Alles in Ordnung.", "All is well."),
    )


def _events(s: Setting) -> Json:
    return panels.series(
        6,
        *s.about("operation.events"),
        select("time, events_per_second", "throughput", "$__timeFilter(time)", "time", 50000),
        unit="locale",
        form="table",
        columns=(Column("events_per_second", s.t("Ereignisse/s", "events/s")),),
    )


def _waiting(s: Setting) -> Json:
    return panels.series(
        7,
        *s.about("operation.waiting"),
        select("time, lag", "throughput", "$__timeFilter(time)", "time", 50000),
        unit="locale",
        form="table",
        columns=(Column("lag", s.t("wartend", "waiting")),),
    )


def _latency(s: Setting) -> Json:
    return panels.series(
        8,
        *s.about("operation.latency"),
        select("time, latency_p50, latency_p99", "throughput", "$__timeFilter(time)", "time", 50000),
        unit="s",
        form="table",
        columns=(Column("latency_p50", "p50"), Column("latency_p99", "p99")),
    )


def _letters(s: Setting) -> Json:
    return panels.series(
        9,
        *s.about("operation.letters"),
        select("time, cause AS metric, records", "dead_letters", f"{HERE} AND $__timeFilter(time)", "time", 20000),
        style="bars",
        stacked=True,
        nothing=s.t("keine", "none"),
    )


def _letters_by(s: Setting) -> Json:
    columns = (
        Column("topic", "Topic", 140),
        Column("format", s.t("Format", "Format"), 120),
        Column("reason", s.t("Grund", "Reason"), 180),
        Column("records", s.t("Zeilen in 24 h", "Lines in 24 h"), 120, "locale"),
        Column("last", s.t("Zuletzt", "Last"), 120, wording.moment(s)),
    )
    return panels.table(
        10,
        *s.about("operation.letters_by"),
        select("topic, format, reason, records, last", "dead_letters_24h", HERE, "records DESC", 50),
        columns,
        nothing=s.t("Alle Zeilen waren lesbar.", "All lines were readable."),
    )


def _calibration(s: Setting) -> Json:
    made = panels.series(
        11,
        *s.about("operation.calibration"),
        select("time, model AS metric, share", "calibration", f"{HERE} AND tenth = 1", "time", 2000),
        unit="percentunit",
        limit=0.2,
    )
    return made | {"timeFrom": "35d"}


def _drift(s: Setting) -> Json:
    return panels.series(
        12,
        *s.about("operation.drift"),
        select("time, model AS metric, drift", "drift", HERE, "time", 2000),
        unit="none",
        limit=0.2,
    ) | {"timeFrom": "35d"}


def _models(s: Setting) -> Json:
    states = {"champion": Word(s.t("in Betrieb", "in use")), "shadow": Word(s.t("im Schatten", "in shadow")),
        "candidate": Word(s.t("Kandidat", "candidate")),
              "retired": Word(s.t("abgelöst", "retired"))}  # fmt: skip
    columns = (
        Column("model", s.t("Modell", "Model"), 150),
        Column("model_id", s.t("Version", "Version"), 220),
        Column("state", s.t("Stand", "State"), 110, words=states),
        Column("since", s.t("seit", "since"), 130, wording.date(s)),
        Column("age", s.t("Alter", "Age"), 120, "dtdhms"),
    )
    return panels.table(
        13,
        *s.about("operation.models"),
        select("model, model_id, state, since, age", "models", "tenant IN ('', ${tenant:sqlstring})", "model, since DESC", 100),
        columns,
        nothing=s.t("Noch kein Modell.", "No model yet."),
    )


def _devices(s: Setting) -> Json:
    columns = (
        Column("device", s.t("Gerät", "Device"), 160),
        Column("age", s.t("zuletzt vor", "last, ago"), 120, "dtdhms"),
        Column("events_24h", s.t("Ereignisse in 24 h", "Events in 24 h"), 140, "locale"),
        Column("site", s.t("Standort", "Site"), 110),
    )
    return panels.table(
        14,
        *s.about("operation.devices"),
        select("device, age, events_24h, site", "devices", HERE, "age DESC", 200),
        columns,
        nothing=s.t("Noch kein Gerät.", "No device yet."),
    )


def _budget(s: Setting) -> Json:
    columns = (
        Column("urgent", s.t("dringend", "urgent")),
        Column("told", s.t("gemeldet", "told")),
        Column("held", s.t("zurückgehalten", "held back")),
        Column("suppressed", s.t("unterdrückt", "suppressed")),
        Column("maintenance", s.t("im Wartungsfenster", "in maintenance")),
        Column("learning", s.t("in der Lernphase", "while learning")),
    )
    return panels.series(
        15,
        *s.about("operation.budget"),
        select("time, urgent, told, held, suppressed, maintenance, learning", "budget_days", HERE, "time", 100),
        form="table",
        style="bars",
        stacked=True,
        columns=columns,
        nothing=s.t("noch nichts", "nothing yet"),
    ) | {"timeFrom": "35d"}


def _database(s: Setting) -> Json:
    return panels.bars(
        16,
        *s.about("operation.database"),
        select("part, bytes", "database_size", "", "bytes DESC", 8),
        unit="decbytes",
        decimals=1,
    )
