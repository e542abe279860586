"""A small model with one or two of everything, and a connection that counts and can die."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.grafana.adapter import Method, Trouble
from detector.grafana.api import Grafana
from detector.grafana.model import (
    DATASOURCE,
    DATASOURCE_TYPE,
    OFF_HOURS,
    TAG,
    VERDICTS,
    ContactPoint,
    Dashboard,
    DataSource,
    Model,
    MuteTiming,
    Route,
    RuleGroup,
    Template,
    receiver,
)

Json = dict[str, Any]


class Watched(Grafana):
    """Notes every write; the n-th from now fails before it reaches Grafana, if `dies_at` is n."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.writes: list[str] = []
        self.dies_at = 0

    def call(
        self,
        method: Method,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        if method != "GET":
            self.writes.append(f"{method} {path}")
            if len(self.writes) == self.dies_at:
                raise Trouble("the line is cut", 0, unsure=True)
        return super().call(method, path, body, params=params, headers=headers)


def rule(uid: str, title: str, to: str, **more: Any) -> Json:
    """A rule over a view, one alert per row."""
    model = {
        "refId": "A",
        "datasource": {"type": DATASOURCE_TYPE, "uid": DATASOURCE},
        "editorMode": "code",
        "rawQuery": True,
        "format": "table",
        "rawSql": "SELECT 'a'::text AS incident, 1::float8 AS value",
    }
    threshold = {
        "refId": "B",
        "type": "threshold",
        "expression": "A",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
        "conditions": [
            {
                "type": "query",
                "evaluator": {"type": "gt", "params": [0]},
                "query": {"params": ["A"]},
                "reducer": {"type": "last", "params": []},
            }
        ],
    }
    return {
        "uid": uid,
        "title": title,
        "condition": "B",
        "for": "0s",
        "noDataState": "OK",
        "execErrState": "KeepLast",
        "data": [
            {"refId": "A", "datasourceUid": DATASOURCE, "relativeTimeRange": {"from": 86400, "to": 0}, "model": model},
            {"refId": "B", "datasourceUid": "__expr__", "model": threshold},
        ],
        "labels": {"source": "tuermer"},
        "annotations": {"summary": "{{ $labels.incident }}"},
        "notification_settings": {
            "receiver": to,
            "group_by": ["alertname", "grafana_folder", "incident"],
            "group_wait": "1s",
            "repeat_interval": "300m",
        },
        **more,
    }


def board(uid: str, title: str) -> Dashboard:
    panel = {
        "id": 4,
        "type": "table",
        "title": "Offene",
        "gridPos": {"h": 8, "w": 24, "x": 0, "y": 0},
        "datasource": {"type": DATASOURCE_TYPE, "uid": "${ds}"},
        "targets": [{"refId": "A", "rawQuery": True, "format": "table", "rawSql": "SELECT 1 AS a"}],
    }
    return Dashboard(uid, title, {"uid": uid, "title": title, "tags": [TAG], "schemaVersion": 42, "editable": False, "panels": [panel]})


def hook(route: Route, url: str = "http://127.0.0.1:9/hook", key: str = "hmac-key") -> ContactPoint:
    settings = {"url": url, "httpMethod": "POST", "maxAlerts": 50, "hmacConfig": {"secret": key, "header": "X-Signature"}}
    return ContactPoint(f"tuermer-{route}-soc", receiver(route), "webhook", settings, ("hmacConfig.secret",))


def sample(**changes: Any) -> Model:
    """The model that tests push; keywords replace its parts."""
    muted = {"mute_time_intervals": [OFF_HOURS]}
    rest = rule("tuermer-rest", "Auffälligkeit", receiver("rest"))
    rest["notification_settings"] |= muted
    parts: Json = {
        "datasource": DataSource(
            DATASOURCE,
            "Türmer PostgreSQL",
            {
                "type": DATASOURCE_TYPE,
                "access": "proxy",
                "url": "127.0.0.1:5432",
                "user": "tuermer_grafana",
                "jsonData": {"database": "tuermer", "sslmode": "disable"},
            },
            {"password": "db-password"},
        ),
        "mute_timings": (MuteTiming(OFF_HOURS, ({"weekdays": ["saturday", "sunday"], "location": "Europe/Berlin"},)),),
        "templates": (Template("tuermer", '{{ define "tuermer.title" }}{{ .Status }}{{ end }}'),),
        "contact_points": (hook("urgent"), hook("rest")),
        "dashboards": (board(VERDICTS, "Lage"), board("tuermer-betrieb", "Betrieb")),
        "rule_groups": (
            RuleGroup("tuermer-urgent", 10, (rule("tuermer-urgent", "Dringend", receiver("urgent")),)),
            RuleGroup("tuermer-rest", 60, (rest,)),
        ),
    }
    return Model(**{**parts, **changes})
