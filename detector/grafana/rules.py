"""Alert rules: each a view whose rows are the alerts. Text columns become labels and never change while a row is there; one number fires.

The rows decide: what gets worse is a new row, what a person closed or the time ended is gone and resolves. Nothing is computed here.
"""

from __future__ import annotations

from dataclasses import dataclass

from detector.grafana import places
from detector.grafana.model import DATASOURCE, DATASOURCE_TYPE, OFF_HOURS, Route, receiver
from detector.grafana.panels import Json
from detector.grafana.setting import Office, Setting
from detector.grafana.situation import TRIAGE

INTERVAL = 10  # s between evaluations; with GROUP_WAIT below 30 s from row to webhook
GROUP_WAIT, GROUP_INTERVAL = "5s", "15s"
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Rule:
    """`sql` gives text columns and one number; it fires above `above`.

    `error`, `empty`: what Grafana does when the query fails, or has no row.
    """

    uid: str
    route: Route
    title: str
    sql: str
    above: float
    runbook: str
    link: str
    group_by: tuple[str, ...]
    repeat: str
    error: str = "KeepLast"
    empty: str = "OK"
    muted: bool = False
    panel: tuple[str, int] | None = None


def groups(s: Setting) -> list[Json]:
    """Bodies for PUT rule-groups: one group per rule, so that a slow one delays no other."""
    return [{"title": rule.uid, "folderUid": "tuermer", "interval": INTERVAL, "rules": [_rule(s, rule)]} for rule in rules(s)]


def rules(s: Setting) -> tuple[Rule, ...]:
    return (_incidents(s, urgent=True), _incidents(s, urgent=False), _health(s), _budget(s))


def mute_timings(s: Setting) -> list[Json]:
    """Everything outside office hours, and holidays, for what is not urgent; the morning's digest sums it up."""
    return [{"name": OFF_HOURS, "time_intervals": off_hours(s.office)}]


def off_hours(office: Office) -> list[Json]:
    """Grafana's time intervals of when nobody is there; in the office's zone."""
    location = {"location": office.zone}
    around = [{"start_time": "00:00", "end_time": office.begin}, {"start_time": office.end, "end_time": "24:00"}]
    times = [span for span in around if span["start_time"] != span["end_time"]]
    workdays = [{"weekdays": list(office.days), "times": times, **location}] if office.days and times else []
    free = [day for day in WEEK if day not in office.days]
    weekends = [{"weekdays": free, **location}] if free else []
    holidays = [
        {"years": [str(day.year)], "months": [str(day.month)], "days_of_month": [str(day.day)], **location} for day in office.holidays
    ]
    return [*workdays, *weekends, *holidays]


def _incidents(s: Setting, *, urgent: bool) -> Rule:
    # A fixed order and a limit far above what the budget lets out: no row comes and goes because of others.
    sql = f"""
        SELECT notice, tenant, site, incident, model, entity, family, severity, {s.column("news")},
            {s.column("title")}, {s.column("message")}, value
        FROM grafana.alerts WHERE {"urgent" if urgent else "NOT urgent"} ORDER BY told, notice LIMIT 2000
    """  # noqa: S608 - names of ours
    title = s.t("Türmer: dringende Auffälligkeit", "Türmer: urgent anomaly") if urgent else s.t("Türmer: Auffälligkeit", "Türmer: anomaly")
    return Rule(
        "tuermer-urgent" if urgent else "tuermer-rest",
        "urgent" if urgent else "rest",
        title,
        sql,
        0,
        "tuermer-urgent" if urgent else "tuermer-rest",
        f"d/{places.INCIDENT}?var-tenant={{{{ urlquery $labels.tenant }}}}&var-incident={{{{ urlquery $labels.incident }}}}",
        ("alertname", "grafana_folder", "tenant", "incident", "notice"),
        "24h" if not urgent else "4h",
        muted=not urgent,
        panel=(places.SITUATION, TRIAGE),
    )


def _health(s: Setting) -> Rule:
    sql = f"SELECT kind, tenant, subject, severity, {s.column('message')}, value FROM grafana.health_alerts ORDER BY kind LIMIT 500"  # noqa: S608
    return Rule(
        "tuermer-health",
        "health",
        s.t("Türmer: Betrieb gestört", "Türmer: not well"),
        sql,
        1,
        "tuermer-health",
        f"d/{places.OPERATION}",
        ("alertname", "grafana_folder", "kind"),
        "12h",
        error="Error",
        empty="Alerting",
        panel=(places.OPERATION, 2),
    )


def _budget(s: Setting) -> Rule:
    sql = f"SELECT tenant, day, {s.column('message')}, value FROM grafana.budget_alerts ORDER BY tenant LIMIT 500"  # noqa: S608
    return Rule(
        "tuermer-budget",
        "budget",
        s.t("Türmer: Tagesbudget verbraucht", "Türmer: daily budget used up"),
        sql,
        0,
        "tuermer-budget",
        f"d/{places.SITUATION}?var-show=new&var-tenant={{{{ urlquery $labels.tenant }}}}",
        ("alertname", "grafana_folder", "tenant"),
        "24h",
        muted=True,
        panel=(places.SITUATION, TRIAGE),
    )


def _rule(s: Setting, rule: Rule) -> Json:
    return {
        "uid": rule.uid, "title": rule.title, "condition": "B", "for": "0s", "keep_firing_for": "0s", "missingSeriesEvalsToResolve": 1,
        "noDataState": rule.empty, "execErrState": rule.error, "isPaused": False, "data": [_query(rule.sql), _above(rule.above)],
        "labels": {"source": "tuermer", "route": rule.route}, "annotations": _annotations(s, rule), "notification_settings": _routing(rule),
    }  # fmt: skip


def _query(sql: str) -> Json:
    model = {
        "refId": "A", "datasource": {"type": DATASOURCE_TYPE, "uid": DATASOURCE}, "editorMode": "code", "rawQuery": True, "format": "table",
        "intervalMs": 1000, "maxDataPoints": 43200, "rawSql": " ".join(sql.split()),
    }  # fmt: skip
    return {"refId": "A", "queryType": "", "relativeTimeRange": {"from": 86400, "to": 0}, "datasourceUid": DATASOURCE, "model": model}


def _above(limit: float) -> Json:
    condition = {
        "type": "query", "evaluator": {"type": "gt", "params": [limit]}, "operator": {"type": "and"}, "query": {"params": ["A"]},
        "reducer": {"type": "last", "params": []},
    }  # fmt: skip
    model = {
        "refId": "B", "type": "threshold", "expression": "A", "datasource": {"type": "__expr__", "uid": "__expr__"}, "intervalMs": 1000,
        "maxDataPoints": 43200, "conditions": [condition],
    }  # fmt: skip
    return {"refId": "B", "queryType": "", "relativeTimeRange": {"from": 0, "to": 0}, "datasourceUid": "__expr__", "model": model}


def _annotations(s: Setting, rule: Rule) -> Json:
    made = {"summary": "{{ $labels.message }}", "investigate_url": f"{{{{ externalURL }}}}{rule.link}"}
    made["runbook_url"] = f"{s.runbooks.rstrip('/')}/{rule.runbook}.md" if s.runbooks != "" else f"deploy/runbooks/{rule.runbook}.md"
    if rule.panel is not None:
        made |= {"__dashboardUid__": rule.panel[0], "__panelId__": str(rule.panel[1])}
    return made


def _routing(rule: Rule) -> Json:
    # Fixed after the first push: changing any of this resends every alert (grafana-live.md, section 1, no. 7).
    routing: Json = {
        "receiver": receiver(rule.route), "group_by": list(rule.group_by), "group_wait": GROUP_WAIT, "group_interval": GROUP_INTERVAL,
        "repeat_interval": rule.repeat,
    }  # fmt: skip
    return routing | ({"mute_time_intervals": [OFF_HOURS]} if rule.muted else {})
