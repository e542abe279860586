"""Queries of our dashboards and rules as Grafana sends them: its macros and variables filled in (grafana.md, sections 2 and 8)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from detector.grafana.dashboards import dashboards
from detector.grafana.rules import groups
from detector.grafana.setting import Setting

Json = dict[str, Any]


class Query(NamedTuple):
    """Where it stands, and its SQL with variables still in it."""

    place: str
    sql: str


def panels(board: Json) -> Iterator[Json]:
    """Every panel, those inside folded rows too."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def of_panels(s: Setting) -> list[Query]:
    return [
        Query(f"{board['uid']}/{panel['id']} {panel['title']}", target["rawSql"])
        for board in dashboards(s)
        for panel in panels(board)
        for target in panel.get("targets", [])
    ]


def of_variables(s: Setting) -> list[Query]:
    return [
        Query(f"{board['uid']}/${one['name']}", one["query"])
        for board in dashboards(s)
        for one in board["templating"]["list"]
        if one["type"] == "query"
    ]


def of_rules(s: Setting) -> list[Query]:
    return [Query(rule["uid"], rule["data"][0]["model"]["rawSql"]) for group in groups(s) for rule in group["rules"]]


def filled(sql: str, values: Mapping[str, str], days: int = 30) -> str:
    """As `sqlstring` and `$__timeFilter` write them; the macro gives literals, like pkg/tsdb/grafana-postgresql-datasource/macros.go."""
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN now() - interval '{days} days' AND now()", sql)
    return re.sub(r"\$\{(\w+):sqlstring\}", lambda found: quoted(values[found[1]]), sql)


def quoted(value: str) -> str:
    """Grafana's format `sqlstring`, with its fault: a double quote gets a backslash, too (grafana-live.md, section 1, no. 10)."""
    return "'" + value.replace("'", "''").replace('"', '\\"') + "'"
