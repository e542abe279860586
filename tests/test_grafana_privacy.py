"""Whoever may send SQL to the data source (in Grafana: every Viewer) cannot follow a person from one incident to the next."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from detector.grafana.setting import Setting
from detector.store.embedded import SUPERUSER, Embedded
from tests.grafana_seed import CLIENT, PERSON, fill
from tests.grafana_sql import of_panels, of_rules, of_variables
from tests.postgres import TestDatabase, fresh

GRAFANA = "tuermer_grafana"
TOKEN = re.compile(r"\b(?:u|h|ip)-[0-9a-f]{16}\b")


@pytest.fixture(scope="module")
def town(postgres_server: Embedded) -> Iterator[TestDatabase]:
    """One account and one client's address stand in each of sixty incidents, in titles, reasons, evidence and samples."""
    with fresh(postgres_server) as database:
        with psycopg.connect(database.url(SUPERUSER), autocommit=True) as connection:
            fill(connection, 60, 3)
            connection.execute(
                "UPDATE store.suppressions SET field = 'user.name', value = %s",
                (PERSON,),
            )
        yield database


def views(town: TestDatabase) -> list[str]:
    return [str(name) for (name,) in town.rows("SELECT table_name FROM information_schema.views WHERE table_schema = 'grafana' ORDER BY 1")]


def test_no_view_shows_a_stored_token(town: TestDatabase) -> None:
    for view in views(town):
        for row in town.rows(f"SELECT * FROM grafana.{view} AS x", role=GRAFANA):
            assert not {PERSON, CLIENT} & set(TOKEN.findall(repr(row))), view


def test_a_token_of_one_incident_stands_in_no_other(town: TestDatabase) -> None:
    """Over all views: every token that Grafana can read belongs to one incident (or one near miss, or one suppression)."""
    owners: dict[str, set[str]] = {}
    for view in views(town):
        columns = {str(name) for (name,) in town.rows(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'grafana' AND table_name = %s", view
        )}  # fmt: skip
        key = next((one for one in ("other_id", "incident_id", "id", "incident") if one in columns), None)
        if key is None or view in ("suppressions", "near_misses", "unwell", "chain_states"):
            continue
        for owner, text in town.rows(f"SELECT x.{key}::text, x::text FROM grafana.{view} AS x", role=GRAFANA):
            for token in TOKEN.findall(str(text)):
                owners.setdefault(token, set()).add(str(owner))
    assert len(owners) > 100  # two tokens in most incidents
    assert {token: many for token, many in owners.items() if len(many) > 1} == {}


def test_within_one_incident_the_same_account_stays_the_same(town: TestDatabase) -> None:
    [(incident,)] = town.rows("SELECT id::text FROM store.incidents WHERE entity_value = %s ORDER BY id LIMIT 1", PERSON)
    here = f"WHERE incident_id = '{incident}'"
    told = [
        *town.rows(f"SELECT entity FROM grafana.incidents WHERE id = '{incident}'", role=GRAFANA),
        *town.rows(f"SELECT value FROM grafana.evidence {here} AND field = 'user.name'", role=GRAFANA),
        *town.rows(f"SELECT account FROM grafana.events {here}", role=GRAFANA),
    ]
    tokens = {str(value) for (value,) in told}
    [(title, reason)] = town.rows(
        f"SELECT i.title_de, r.text_de FROM grafana.incidents AS i JOIN grafana.reasons AS r ON r.incident_id = i.id AND r.place = 1"
        f" WHERE i.id = '{incident}'", role=GRAFANA,
    )  # fmt: skip
    assert len(tokens) == 1
    assert tokens == set(TOKEN.findall(str(title))) == set(TOKEN.findall(str(reason)))


def test_nothing_but_the_key_in_the_database_leads_from_one_token_to_another(town: TestDatabase) -> None:
    """Whoever knows a stored token (from the daemon's own page) cannot compute what Grafana shows for it without the key."""
    [(key,)] = town.rows("SELECT length(key) FROM store.veil")
    assert key == 32
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        town.rows("SELECT key FROM store.veil", role=GRAFANA)
    [(own,)] = town.rows("SELECT DISTINCT store.veiled(key, 'x', %s) FROM store.veil", PERSON)
    [(other,)] = town.rows("SELECT store.veiled(sha256('guessed'), 'x', %s)", PERSON)
    assert own != other


def test_the_chain_says_that_an_account_is_shared_and_not_which(town: TestDatabase) -> None:
    rows = town.rows("SELECT kinds, shared FROM grafana.chain WHERE kinds LIKE '%%account%%'", role=GRAFANA)
    assert rows != []
    assert TOKEN.findall(repr(rows)) == []


def test_the_daemons_own_page_still_reads_the_tokens_of_the_day(town: TestDatabase) -> None:
    [(count,)] = town.rows("SELECT count(*) FROM public.evidence WHERE value = %s", PERSON, role="tuermer_daemon")
    assert count == 60


FORBIDDEN = ("user.name", "user.target.name", "account", "author", "verdict_by", "work_by", "analyst")


def test_no_panel_groups_or_ranks_by_account_or_analyst() -> None:
    """Panels select, filter and order by what is no person: the views are where grouping happens, and the next test reads those."""
    for query in itertools.chain(of_panels(Setting()), of_rules(Setting()), of_variables(Setting())):
        assert "GROUP BY" not in query.sql, query.place
        order = query.sql.partition(" ORDER BY ")[2]
        assert not any(word in order for word in FORBIDDEN), query.place


def test_no_view_counts_per_account_or_analyst(town: TestDatabase) -> None:
    """By what they return: no view has a column of persons beside a number of incidents, each is of one incident."""
    for view in views(town):
        columns = Counter(str(name) for (name,) in town.rows(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'grafana' AND table_name = %s", view
        ))  # fmt: skip
        persons = {"account", "target_account", "author", "verdict_by", "work_by", "owner"} & columns.keys()
        per_incident = {"incident_id", "id"} & columns.keys()
        assert not persons or per_incident, view
    [(definitions,)] = town.rows("SELECT string_agg(definition, '\n') FROM pg_views WHERE schemaname = 'grafana'")
    grouped = re.findall(r"GROUP BY ([^\n;]*)", str(definitions))
    assert grouped != []
    assert not [line for line in grouped if any(word in line for word in ("author", "verdict_by", "work_by", "account"))]


def test_an_object_is_never_a_person(town: TestDatabase) -> None:
    for view in ("objects", "entities", "near_values", "sightings", "object_peers", "object_incidents"):
        assert TOKEN.findall(repr(town.rows(f"SELECT * FROM grafana.{view}", role=GRAFANA))) == [], view
    keyed = town.rows("SELECT count(*) FROM grafana.evidence WHERE field LIKE 'user.%%' AND entity_key <> ''", role=GRAFANA)
    assert keyed == [(0,)]
    forged = PERSON.encode().hex()
    for view in ("object_facts", "object_scores", "object_peers", "object_rows"):
        assert town.rows(f"SELECT * FROM grafana.{view} WHERE value = grafana.named('{forged}')", role=GRAFANA) == []


def test_control_characters_of_a_log_are_signs_in_every_view(database: TestDatabase) -> None:
    """A terminal colour, a bell, a C1 sequence and a name that reads backwards, through title, value and event."""
    nasty = "srv\x1b[31m\x07\x9b\u202eexe"
    shown = "srv␛[31m␇��exe"
    with psycopg.connect(database.url(SUPERUSER), autocommit=True) as connection:
        fill(connection, 4, 1)
        connection.execute("UPDATE store.incidents SET entity_kind = 'service', entity_value = %s", (nasty,))
        connection.execute("UPDATE store.incidents SET title = jsonb_build_object('de', %s::text, 'en', %s::text)", (nasty, nasty))
        connection.execute("UPDATE store.evidence SET value = %s WHERE field = 'host.name'", (nasty,))
        connection.execute("UPDATE store.samples SET fields = jsonb_build_object('host.name', %s::text)", (nasty,))
    assert database.rows("SELECT DISTINCT entity, title_de, title_en FROM grafana.incidents", role=GRAFANA) == [(shown, shown, shown)]
    assert database.rows("SELECT DISTINCT value FROM grafana.evidence WHERE field = 'host.name'", role=GRAFANA) == [(shown,)]
    assert database.rows("SELECT DISTINCT host, line FROM grafana.events", role=GRAFANA) == [(shown, f"host.name={shown}")]
    assert database.rows("SELECT DISTINCT entity FROM grafana.objects", role=GRAFANA) == [(shown,)]
