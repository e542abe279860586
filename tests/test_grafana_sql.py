"""Every query of a dashboard, a variable or a rule runs on a real PostgreSQL as Grafana's role, and gives what its panel needs."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from detector.grafana.dashboards import dashboards
from detector.grafana.setting import Setting
from detector.judge.texts import guidance, guide
from detector.store.embedded import SUPERUSER, Embedded
from tests.grafana_seed import CLIENT, PERSON, TENANT, fill
from tests.grafana_sql import Query, filled, of_panels, of_rules, of_variables, panels, quoted
from tests.postgres import TestDatabase, fresh

DE, EN = Setting("de"), Setting("en")
GRAFANA = "tuermer_grafana"
NUMBERS = {20, 21, 23, 700, 701, 1700}  # type OIDs: int8, int2, int4, float4, float8, numeric
TEXT = {25, 1043}


@pytest.fixture(scope="module")
def town(postgres_server: Embedded) -> Iterator[TestDatabase]:
    """Half a thousand incidents of two months; the tests of this module only read."""
    with fresh(postgres_server) as database:
        with psycopg.connect(database.url(SUPERUSER), autocommit=True) as connection:
            fill(connection, 500, 60)
        yield database


@pytest.fixture(scope="module")
def values(town: TestDatabase) -> dict[str, str]:
    """What the variables of the dashboards hold: an open incident about a person, and a host."""
    [(incident,)] = town.rows(
        "SELECT id::text FROM store.incidents WHERE entity_value = %s AND until > now() ORDER BY opened LIMIT 1", PERSON
    )
    return {"tenant": TENANT, "show": "open", "search": "srv-3, 198.51.0.0/16", "incident": str(incident), "entity": b"srv-3".hex()}


@pytest.mark.parametrize("query", [*of_panels(DE), *of_panels(EN), *of_variables(DE)], ids=lambda query: query.place)
def test_every_query_runs_as_grafanas_role_and_is_limited(town: TestDatabase, values: dict[str, str], query: Query) -> None:
    town.rows(filled(query.sql, values), role=GRAFANA)
    assert " LIMIT " in query.sql


MAY_BE_EMPTY = ("Urteile und Notizen", "Probeangriff gefunden vor")


@pytest.mark.parametrize(
    "query", [query for query in of_panels(DE) if not query.place.endswith(MAY_BE_EMPTY)], ids=lambda query: query.place
)
def test_every_panel_has_something_to_show(town: TestDatabase, values: dict[str, str], query: Query) -> None:
    assert town.rows(filled(query.sql, values), role=GRAFANA) != []


def test_a_panel_names_no_column_that_its_query_does_not_give(town: TestDatabase, values: dict[str, str]) -> None:
    with psycopg.connect(town.url(GRAFANA), autocommit=True) as connection:
        for board in (*dashboards(DE), *dashboards(EN)):
            for panel in panels(board):
                if panel["type"] != "table":
                    continue
                cursor = connection.execute(filled(panel["targets"][0]["rawSql"], values).encode())
                given = [column.name for column in cursor.description or ()]
                assert {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]} == set(given), panel["title"]


@pytest.mark.parametrize("choice", ["open", "unattended", "in-work", "confirmed", "new", "worse", "expired", "all"])
def test_each_list_of_the_situation_is_counted_by_its_number(town: TestDatabase, values: dict[str, str], choice: str) -> None:
    [triage] = [query for query in of_panels(DE) if query.place.startswith("tuermer-lage/4 ")]
    rows = town.rows(filled(triage.sql.replace("LIMIT 200", "LIMIT 100000"), values | {"show": choice}), role=GRAFANA)
    column = {"in-work": "in_work"}.get(choice, choice)
    if choice == "all":
        assert len(rows) > 50
        return
    [(count,)] = town.rows(f"SELECT {column} FROM grafana.situation WHERE tenant = '{TENANT}'", role=GRAFANA)
    assert len(rows) == count


def test_rules_keep_grafanas_contract_text_labels_one_number_and_no_two_rows_alike(town: TestDatabase) -> None:
    for setting in (DE, EN):
        for query in of_rules(setting):
            with psycopg.connect(town.url(GRAFANA), autocommit=True) as connection:
                cursor = connection.execute(query.sql.encode())
                types = {column.name: column.type_code for column in cursor.description or ()}
                rows = cursor.fetchall()
            assert [name for name, type_ in types.items() if type_ in NUMBERS] == ["value"], query.place
            assert {type_ for name, type_ in types.items() if name != "value"} <= TEXT, query.place
            labels = [row[:-1] for row in rows]
            assert len(set(labels)) == len(labels), query.place
            assert rows != [], query.place


def test_the_role_reads_no_table_and_writes_nothing(town: TestDatabase) -> None:
    for sql in (
        "SELECT * FROM store.incidents", "SELECT key FROM store.veil", "SELECT * FROM public.incidents", "SELECT * FROM public.evidence",
        "SET default_transaction_read_only = off; DELETE FROM grafana.incidents", "SELECT store.make_day('2026-01-01')",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            town.rows(sql, role=GRAFANA)


SHARED = ("grafana.unwell", "grafana.models")  # rows of the whole system stand beside a tenant's own


@pytest.mark.parametrize("forged", ["' OR true --", "x'; DROP TABLE store.incidents; --", 'a"b', "\\", "%%", "<script>"])
def test_a_forged_variable_finds_nothing_and_breaks_nothing(town: TestDatabase, values: dict[str, str], forged: str) -> None:
    for name in ("tenant", "show", "incident", "entity", "search"):
        for query in of_panels(DE):
            if f"${{{name}:sqlstring}}" in query.sql and not any(view in query.sql for view in SHARED):
                rows = town.rows(filled(query.sql, values | {name: forged}), role=GRAFANA)
                assert all("nothing" in row for row in rows), query.place
    assert town.rows("SELECT count(*) FROM store.incidents") == [(500,)]


def test_the_search_takes_a_pasted_list_and_says_what_is_not_stored(town: TestDatabase) -> None:
    [(incident, source)] = town.rows(
        "SELECT e.incident::text, e.value FROM store.evidence AS e WHERE e.field = 'source.ip' ORDER BY e.first DESC LIMIT 1"
    )
    asked = f"{source}; srv-3\n22,{incident} nowhere-1 203.0.113.9 2001:db8::/32 0.0.0.0/0 {PERSON} {CLIENT}"
    rows = town.rows(f"SELECT term, what FROM grafana.search('{TENANT}', {quoted(asked)})", role=GRAFANA)
    found: dict[str, set[str]] = {}
    for term, what in rows:
        found.setdefault(str(term), set()).add(str(what))
    assert found == {
        source: {"evidence"}, "srv-3": {"evidence", "incident", "near-miss"}, "22": {"evidence"}, incident: {"incident"},
        "nowhere-1": {"nothing"}, "203.0.113.9": {"nothing"}, "2001:db8::/32": {"nothing"}, "0.0.0.0/0": {"wide"}, PERSON: {"token"},
        CLIENT: {"token"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("198.51.100.0/24", ["198.51.100.1", "198.51.100.255"], ["198.51.1.100", "198.51.101.1"]),
        ("198.51.96.0/20", ["198.51.96.1", "198.51.111.9"], ["198.51.112.1"]),
        ("10.0.0.0/9", ["10.127.0.1"], ["10.128.0.1", "100.1.1.1"]),
        ("198.51.100.128/25", ["198.51.100.200"], ["198.51.100.20"]),
        ("2001:db8:0:1::/64", ["2001:db8:0:1::5", "2001:db8:0:1:2::"], ["2001:db8::5"]),
        ("2001:db8::/32", ["2001:db8::1", "2001:db8:ffff::1"], ["2001:db9::1"]),
    ],
)
def test_a_network_finds_its_addresses_and_no_others(database: TestDatabase, network: str, inside: list[str], outside: list[str]) -> None:
    with psycopg.connect(database.url(SUPERUSER), autocommit=True) as connection:
        fill(connection, 10, 5)
        connection.execute("DELETE FROM store.evidence")
        for address in (*inside, *outside):
            connection.execute(
                "INSERT INTO store.evidence SELECT day, id, 'source.ip', %s, 1, opened, updated, 1 FROM store.incidents LIMIT 1", (address,)
            )
    rows = database.rows(f"SELECT value, term FROM grafana.search('{TENANT}', '{network}')", role=GRAFANA)
    assert {value for value, _ in rows} == set(inside)
    assert {term for _, term in rows} == {network}


def test_the_database_chooses_the_same_guidance_as_the_page(town: TestDatabase) -> None:
    known = guidance()
    cases = [(family, list(techniques)) for family in ("success-after-failures", "discovery") for techniques in (
        [], ["T1110.003", "T1046"], ["T9999", "T1046"], ["T1558.003"], ["T1046.001", "T1110.003"]
    )]  # fmt: skip
    for family, techniques in cases:
        [(key,)] = town.rows("SELECT store.guide(%s, %s::text[])", family, techniques)
        found = guide(family, techniques)
        assert (None if found is None else [name for name, one in known.items() if one == found]) == (None if key is None else [key])


def test_each_kind_counts_as_the_question_of_the_page_does(town: TestDatabase) -> None:
    """What the buttons say before they act is what `public.alike` says, for every open incident."""
    rows = town.rows(
        "SELECT t.alike_open, a.open_now, t.alike_hidden, a.hidden_30d FROM grafana.triage AS t"
        " JOIN public.alike AS a ON a.incident_id = t.id WHERE t.open AND t.status <> 'confirmed'"
    )
    assert rows != []
    assert all(mine == theirs and hidden == asked for mine, theirs, hidden, asked in rows)
