"""Small builders for Grafana's core panels (dashboard schema v1, version 42): values in, JSON out. Nothing is fetched or computed here.

A panel shows rows of a view; what a column is called, how wide it is, its unit, its words and its links are `Column`s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from detector.grafana.model import DATASOURCE_TYPE

Json = dict[str, Any]
SOURCE: Json = {"type": DATASOURCE_TYPE, "uid": "${ds}"}
CALM = "text"  # a colour name of Grafana: as ordinary text, in dark and in light


@dataclass(frozen=True, slots=True)
class Word:
    """How a value is shown: text (with a sign, so that nothing relies on colour) and colour."""

    text: str
    color: str = CALM


Words = dict[str, Word]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, or one field of another panel. Hidden ones can still be used in links and actions."""

    name: str
    title: str = ""
    width: int = 0
    unit: str = ""
    words: Words = field(default_factory=dict)
    link: tuple[str, str] | None = None  # title, URL
    hidden: bool = False
    wrap: bool = False
    bare: bool = False  # empty is shown as empty, because links are filled with it
    cell: Json = field(default_factory=dict)
    more: tuple[tuple[str, Any], ...] = ()

    def override(self, *, in_table: bool = False) -> Json:
        properties: list[Json] = []

        def put(id_: str, value: object) -> None:
            properties.append({"id": id_, "value": value})

        if self.title != "":
            put("displayName", self.title)
        if self.width > 0:
            put("custom.width", self.width)
        if self.unit != "":
            put("unit", self.unit)
        if self.words:
            put("mappings", [mapping(self.words)])
        if self.link is not None:
            put("links", [{"title": self.link[0], "url": self.link[1], "targetBlank": False}])
        if self.hidden:
            put("custom.hideFrom.viz", True)
        cell = self.cell
        if not cell and any(word.color != CALM for word in self.words.values()):
            cell = {"type": "color-text"}
        if self.wrap:
            cell = {"type": "auto", "wrapText": True, **cell}
            put("custom.wrapText", True)  # where 12.3 looks for it; older ones look into the cell
        if cell:
            put("custom.cellOptions", cell)
        if in_table:  # the panel's own text is for a table without rows; what fills links stays empty where there is nothing
            put("noValue", "" if self.hidden or self.bare else "–")
        for id_, value in self.more:
            put(id_, value)
        return {"matcher": {"id": "byName", "options": self.name}, "properties": properties}


def mapping(words: Words) -> Json:
    return {
        "type": "value",
        "options": {value: {"text": word.text, "color": word.color, "index": n} for n, (value, word) in enumerate(words.items())},
    }


def target(sql: str, form: str = "table", ref: str = "A") -> Json:
    """A query; `form` is table or time_series."""
    return {"refId": ref, "datasource": SOURCE, "editorMode": "code", "rawQuery": True, "format": form, "rawSql": " ".join(sql.split())}


def panel(
    id_: int,
    kind: str,
    title: str,
    description: str,
    targets: Sequence[Json],
    *,
    options: Json,
    defaults: Json,
    columns: Sequence[Column] = (),
) -> Json:
    """What every panel has. Its place is given by `grid`."""
    return {
        "id": id_,
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "targets": list(targets),
        "options": options,
        "fieldConfig": {"defaults": defaults, "overrides": [column.override() for column in columns]},
    }


def table(id_: int, title: str, description: str, sql: str, columns: Sequence[Column], *, nothing: str, tall: bool = False) -> Json:
    defaults = {"custom": {"align": "auto", "filterable": False, "inspect": False}, "noValue": nothing, "unit": "string"}
    options = {"showHeader": True, "cellHeight": "md" if tall else "sm", "footer": {"show": False, "reducer": [], "fields": ""}}
    made = panel(id_, "table", title, description, [target(sql)], options=options, defaults=defaults)
    made["fieldConfig"]["overrides"] = [column.override(in_table=True) for column in columns]
    return made


def stat(
    id_: int, title: str, description: str, sql: str, *, unit: str = "short", column: Column | None = None, nothing: str = "–",
    link: tuple[str, str] | None = None, steps: Sequence[tuple[float | None, str]] = ((None, CALM),),
) -> Json:  # fmt: skip
    """One number, or one word. `link` opens the rows behind it; `steps`: from which value on which colour."""
    links = [] if link is None else [{"title": link[0], "url": link[1], "targetBlank": False}]
    defaults: Json = {
        "unit": unit, "noValue": nothing, "links": links, "mappings": [] if column is None else [mapping(column.words)],
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]},
        "color": {"mode": "thresholds"}, "decimals": 0,
    }  # fmt: skip
    if unit not in ("short", "string"):
        del defaults["decimals"]
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": "/.*/"}, "orientation": "auto", "textMode": "value",
        "colorMode": "value", "graphMode": "none", "justifyMode": "center", "wideLayout": True, "showPercentChange": False,
    }  # fmt: skip
    return panel(id_, "stat", title, description, [target(sql)], options=options, defaults=defaults)


def bars(
    id_: int, title: str, description: str, sql: str, *, unit: str = "short", words: Words | None = None,
    link: tuple[str, str] | None = None,
    steps: Sequence[tuple[float | None, str]] = ((None, "blue"),), nothing: str = "–", decimals: int | None = 0, names: str = "top",
) -> Json:  # fmt: skip
    """One bar per row: the first text column is its name, the number its length. `words` names and colours the bars by that text."""
    links = [] if link is None else [{"title": link[0], "url": link[1], "targetBlank": False}]
    defaults: Json = {
        "unit": unit, "min": 0, "noValue": nothing, "links": links,
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]},
        "color": {"mode": "thresholds"},
    }  # fmt: skip
    if decimals is not None:
        defaults["decimals"] = decimals
    named = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [
                {"id": "displayName", "value": word.text},
                {"id": "color", "value": {"mode": "fixed", "fixedColor": word.color}},
            ],
        }
        for name, word in (words or {}).items()
    ]
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""}, "orientation": "horizontal", "displayMode": "basic",
        "valueMode": "text", "showUnfilled": False, "minVizHeight": 16, "minVizWidth": 8, "namePlacement": names, "sizing": "auto",
        "text": {"titleSize": 13, "valueSize": 14},
    }  # fmt: skip
    made = panel(id_, "bargauge", title, description, [target(sql)], options=options, defaults=defaults)
    made["fieldConfig"]["overrides"] = named
    # Each row becomes a field of its own, named by its text: so a bar can have a word and a colour.
    made["transformations"] = [{"id": "rowsToFields", "options": {}}]
    return made


def series(
    id_: int, title: str, description: str, sql: str, *, unit: str = "short", form: str = "time_series", columns: Sequence[Column] = (),
    style: str = "line", stacked: bool = False, nothing: str = "–", limit: float | None = None,
) -> Json:  # fmt: skip
    """Numbers over time. In the form `time_series` the text column `metric` names the line; `style` is line, bars or points."""
    defaults: Json = {
        "unit": unit, "min": 0, "noValue": nothing, "color": {"mode": "palette-classic"},
        "custom": {
            "drawStyle": style, "lineWidth": 2 if style == "line" else 1, "fillOpacity": 70 if style == "bars" else 8, "pointSize": 6,
            "showPoints": "always" if style == "points" else "auto", "spanNulls": False, "axisLabel": "",
            "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        },
    }  # fmt: skip
    if limit is not None:
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"value": None, "color": CALM}, {"value": limit, "color": "orange"}]}
        defaults["custom"]["thresholdsStyle"] = {"mode": "dashed"}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel(id_, "timeseries", title, description, [target(sql, form)], options=options, defaults=defaults, columns=columns)


def heatmap(id_: int, title: str, description: str, sql: str, *, unit: str = "short", nothing: str = "–") -> Json:
    """Buckets by name over time; the query gives time, the bucket's name and a number."""
    options = {
        "calculate": False, "cellGap": 2, "showValue": "auto", "legend": {"show": True},
        "yAxis": {"axisPlacement": "left", "reverse": False},
        "rowsFrame": {"layout": "auto"}, "tooltip": {"mode": "single", "yHistogram": False}, "cellValues": {"unit": unit},
        "color": {
            "mode": "scheme", "scheme": "Blues", "steps": 64, "reverse": False, "fill": "dark-blue", "exponent": 0.5,
            "scale": "exponential",
        },
        "exemplars": {"color": CALM}, "filterValues": {"le": 1e-9},
    }  # fmt: skip
    defaults = {
        "unit": unit, "noValue": nothing,
        "custom": {"hideFrom": {"legend": False, "tooltip": False, "viz": False}},
    }  # fmt: skip
    return panel(id_, "heatmap", title, description, [target(sql, "time_series")], options=options, defaults=defaults)


def states(id_: int, title: str, description: str, sql: str, *, words: Words, nothing: str) -> Json:
    """Words over time, one line per name; the query gives time, state and name."""
    options = {
        "showValue": "auto", "rowHeight": 0.8, "mergeValues": True, "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False}, "tooltip": {"mode": "single", "sort": "none"},
    }  # fmt: skip
    defaults = {
        "unit": "string", "noValue": nothing, "mappings": [mapping(words)], "displayName": "${__field.labels.name}",
        "custom": {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False}, "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"value": None, "color": "blue"}]},
    }  # fmt: skip
    made = panel(id_, "state-timeline", title, description, [target(sql)], options=options, defaults=defaults)
    made["transformations"] = [
        {"id": "partitionByValues", "options": {"fields": ["name"], "keepFields": False, "naming": {"asLabels": True}}}
    ]
    return made
