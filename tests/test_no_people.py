"""No view, panel, metric or endpoint groups by person, and no group of fewer than five is counted: linted over all there is.

A person is a token (or a person account's name), wherever it stands: columns that may hold one are listed here. Grouping by such
a column is allowed only where the reason stands below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.grafana.dashboards import dashboards
from detector.grafana.rules import groups, rules
from detector.grafana.setting import Setting
from detector.web.metrics import METRICS
from tests.postgres import TestDatabase

PEOPLE = re.compile(
    r"\b(user_name|user_target_name|entity|entity_value|entity_key|value|peer|token|identity|source_ip|account|login|author)\b|user\.(target\.)?name",
    re.IGNORECASE,
)
ENDS = re.compile(r"\b(order by|limit|having|union|window|fetch|offset)\b", re.IGNORECASE)
GROUPS = re.compile(r"\b(group by|partition by|distinct on)\b", re.IGNORECASE)
OF_ONE_INCIDENT = "evidence of one incident, which is a case"
NO_PERSON = "its rows are servers, services, networks and outside addresses: tokens and accounts are left out where it reads"
ALLOWED = {
    "store.kinds": "counts what one decision would close; no login may read it, and what it is read for gives sums only",
    "public.alike": "counts what one decision about one incident would close",
    "grafana.object_incidents": NO_PERSON,
    "public.incidents": OF_ONE_INCIDENT,
    "public.model_reasons": "`value` is a reason there, and what is grouped by is the feature it names",
    "public.incident_links": OF_ONE_INCIDENT,
    "grafana.raw_lines": OF_ONE_INCIDENT,
    "grafana.objects": NO_PERSON,
    "grafana.object_facts": NO_PERSON,
    "grafana.object_peers": NO_PERSON,
}


def grouped(sql: str) -> Iterator[str]:
    """What a statement groups by: the lists after GROUP BY, PARTITION BY and DISTINCT ON, up to where they end."""
    for found in GROUPS.finditer(sql):
        depth, end = 0, len(sql)
        for at in range(found.end(), len(sql)):
            depth += {"(": 1, ")": -1}.get(sql[at], 0)
            if depth < 0 or (depth == 0 and ENDS.match(sql, at) is not None and not sql[at - 1].isalnum()):
                end = at
                break
            if depth == 0 and sql[at] == ")" and found[1].lower() == "distinct on":
                end = at + 1
                break
        yield sql[found.end() : end]


def small(sql: str) -> list[str]:
    """Counts of distinct people that nothing keeps from being below five."""
    counts = re.findall(r"count\(\s*distinct ([^)]*)\)", sql, re.IGNORECASE)
    return [what for what in counts if PEOPLE.search(what) is not None and re.search(r">=?\s*[45]\b", sql) is None]


def panels() -> Iterator[tuple[str, str]]:
    """Every SQL text of every dashboard and rule, in both languages."""
    for setting in (Setting("de"), Setting("en")):
        for board in dashboards(setting):
            yield from ((str(board.get("uid")), sql) for sql in texts(board))
        for group in groups(setting):
            yield from (("rules", sql) for sql in texts(group))


def texts(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key in ("rawSql", "query") and isinstance(value, str))
        yield from (sql for value in part.values() for sql in texts(value))
    elif isinstance(part, list | tuple):
        yield from (sql for value in part for sql in texts(value))
    elif hasattr(part, "__dataclass_fields__"):
        yield from texts({name: getattr(part, name) for name in part.__dataclass_fields__})


def views(database: TestDatabase) -> list[tuple[str, str]]:
    rows = database.rows(
        "SELECT schemaname || '.' || viewname, definition FROM pg_views WHERE schemaname IN ('store', 'public', 'grafana')"
    )
    return [(str(name), str(definition)) for name, definition in rows]


def test_no_view_groups_by_person(database: TestDatabase) -> None:
    found = {name for name, sql in views(database) if any(PEOPLE.search(group) is not None for group in grouped(sql))}
    assert found == set(ALLOWED), "a new one needs a reason, one that is gone needs none"


def test_no_panel_and_no_rule_groups_by_person() -> None:
    found = [(board, sql) for board, sql in panels() if any(PEOPLE.search(group) is not None for group in grouped(sql))]
    assert found == []


def test_no_alert_is_gathered_by_person() -> None:
    labels = {label for rule in rules(Setting()) for label in rule.group_by}
    assert [label for label in sorted(labels) if PEOPLE.search(label) is not None] == []


def test_no_group_of_fewer_than_five_is_counted(database: TestDatabase) -> None:
    assert [name for name, sql in (*views(database), *panels()) if small(sql) != []] == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT user_name, count(*) FROM events GROUP BY user_name ORDER BY 2 DESC",
        "SELECT count(*) FROM events GROUP BY fields ->> 'user.name'",
        "SELECT row_number() OVER (PARTITION BY entity_value ORDER BY time) FROM x",
        "SELECT DISTINCT ON (token) token, time FROM x ORDER BY token",
    ],
)
def test_the_lint_finds_what_it_looks_for(sql: str) -> None:
    assert any(PEOPLE.search(group) is not None for group in grouped(sql))


def test_the_lint_sees_a_count_of_few() -> None:
    assert small("SELECT role, count(DISTINCT user_name) FROM x GROUP BY role") == ["user_name"]
    assert small("SELECT role, count(DISTINCT user_name) FROM x GROUP BY role HAVING count(DISTINCT user_name) >= 5") == []


def test_no_metric_has_a_label_for_people() -> None:
    labels = {label for metric in METRICS.values() for label in metric.labels}
    assert labels, "there is nothing to look at"
    assert [label for label in sorted(labels) if PEOPLE.search(label) is not None or "user" in label] == []


def test_no_endpoint_asks_for_a_person() -> None:
    pages = "".join(path.read_text() for path in (Path(__file__).parent.parent / "detector" / "web").glob("*.py"))
    paths = re.findall(r"""Route\(\s*f?"(/[^"]*)\"""", pages)
    assert len(paths) > 5, "there is nothing to look at"
    assert [path for path in paths if PEOPLE.search(path.replace("/login", "")) is not None or "user" in path] == []
