"""A dashboard around its panels: their places on the grid, the variables, the links between our dashboards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.grafana.model import DATASOURCE, DATASOURCE_TYPE, TAG
from detector.grafana.panels import SOURCE, Json
from detector.grafana.setting import Setting

SCHEMA = 42
WIDTH = 24  # columns of Grafana's grid


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side: (width of 24, panel). With a title they stand under a heading, folded in if `folded`."""

    height: int
    panels: tuple[tuple[int, Json], ...]
    title: str = ""
    folded: bool = False


def grid(rows: Sequence[Row]) -> list[Json]:
    """The panels with their places, top to bottom without gaps; headings get ids from 900 on."""
    placed: list[Json] = []
    y = 0
    for number, row in enumerate(rows):
        inside = []
        if row.title != "":
            heading: Json = {"id": 900 + number, "type": "row", "title": row.title, "collapsed": row.folded, "panels": []}
            placed.append(heading | {"gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y}})
            y += 1
        x = 0
        for width, made in row.panels:
            inside.append(made | {"gridPos": {"h": row.height, "w": width, "x": x, "y": y}})
            x += width
        if row.folded:
            placed[-1]["panels"] = inside
        else:
            placed.extend(inside)
        y += row.height
    return placed


def variable(kind: str, name: str, label: str, **values: object) -> Json:
    return {"type": kind, "name": name, "label": label, "hide": 0, "skipUrlSync": False, **values}


def source_variable() -> Json:
    return variable(
        "datasource", "ds", "Data source", query=DATASOURCE_TYPE, regex="", refresh=1, multi=False, includeAll=False, options=[],
        current={"text": "Türmer", "value": DATASOURCE},
    ) | {"hide": 2}  # fmt: skip


def query_variable(name: str, label: str, sql: str) -> Json:
    return variable(
        "query", name, label, datasource=SOURCE, query=sql, definition=sql, regex="", refresh=1, sort=0, multi=False, includeAll=False,
        options=[], current={},
    )  # fmt: skip


def tenant_variable(s: Setting) -> Json:
    """Whose rows: every dashboard has it."""
    sql = "SELECT tenant AS __text, tenant AS __value FROM grafana.tenants ORDER BY 1 LIMIT 500"
    return query_variable("tenant", s.t("Mandant", "Tenant"), sql)


def text_variable(name: str, label: str, about: str, *, hidden: bool = False) -> Json:
    """`about` is shown when one points at the field."""
    made = variable(
        "textbox", name, label, query="", options=[{"selected": True, "text": "", "value": ""}], current={"text": "", "value": ""}
    )
    return made | {"hide": 2 if hidden else 0, "description": about}


def choice_variable(name: str, label: str, choices: Sequence[tuple[str, str]]) -> Json:
    """(value, text) each; the first is the default."""
    options = [{"selected": n == 0, "text": text, "value": value} for n, (value, text) in enumerate(choices)]
    return variable(
        "custom", name, label, query=",".join(f"{text} : {value}" for value, text in choices), multi=False, includeAll=False,
        options=options,
        current={"text": choices[0][1], "value": choices[0][0]},
    )  # fmt: skip


def dashboard(uid: str, title: str, description: str, rows: Sequence[Row], variables: Sequence[Json], *, since: str = "now-24h") -> Json:
    """Without `id` and `version`, which are Grafana's."""
    return {
        "uid": uid, "title": title, "description": description, "tags": [TAG], "schemaVersion": SCHEMA, "timezone": "browser",
        "editable": False, "graphTooltip": 1, "refresh": "30s", "time": {"from": since, "to": "now"}, "fiscalYearStartMonth": 0,
        "liveNow": False, "weekStart": "monday", "timepicker": {"refresh_intervals": ["30s", "1m", "5m", "15m"]},
        "templating": {"list": [source_variable(), *variables]},
        "annotations": {"list": [{
            "builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": False, "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard",
        }]},
        "links": [{
            "type": "dashboards", "title": "Türmer", "tags": [TAG], "asDropdown": False, "includeVars": True, "keepTime": True,
            "targetBlank": False, "icon": "external link", "tooltip": "", "url": "",
        }],
        "panels": grid(rows),
    }  # fmt: skip
