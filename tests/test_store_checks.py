"""What doctor says of the database."""

from __future__ import annotations

import time

import pytest
from psycopg.conninfo import make_conninfo

from detector.store import checks, migrate
from tests.postgres import TestDatabase


def texts(conninfo: str, now: int | None = None) -> dict[str, tuple[bool, str]]:
    return {check.name: (check.ok, check.text) for check in checks.examine(conninfo, time.time_ns() // 1000 if now is None else now)}


def test_a_database_that_is_as_it_should_be(any_database: TestDatabase) -> None:
    found = texts(any_database.url())
    assert all(ok for ok, _ in found.values())
    assert list(found) == ["database", "clock", "schema", "role"]
    assert found["role"][1] == "tuermer_daemon may write what SCORE finds, and may not change or delete it"


def test_a_daemon_that_owns_the_tables_is_told_so(database: TestDatabase) -> None:
    assert "let the daemon log in as tuermer_daemon" in texts(database.url("tuermer_owner"))["role"][1]


def test_a_role_that_may_not_write_is_told_what_to_grant(database: TestDatabase) -> None:
    database.rows("GRANT SELECT ON public.migrations TO tuermer_grafana")
    found = texts(database.url("tuermer_grafana"))
    assert found["role"] == (False, "tuermer_grafana may not write; say GRANT tuermer_daemon TO tuermer_grafana in the database")


def test_an_empty_database_is_told_what_will_happen(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    database.rows("DROP SCHEMA store, grafana CASCADE; DROP TABLE public.migrations")
    found = texts(database.url("tuermer_owner"))
    assert found["schema"] == (True, f"{len(migrate.shipped())} migrations will run at the next start, beginning with 0001_tables.sql")
    assert "role" not in found


def test_a_clock_that_is_off_is_found(database: TestDatabase) -> None:
    ok, text = texts(database.url(), time.time_ns() // 1000 - 600_000_000)["clock"]
    assert (ok, text.split(" ", 1)[1]) == (False, "s from the database's; let both follow the same NTP server")


def test_a_database_that_is_not_there_is_one_sentence(database: TestDatabase) -> None:
    found = texts(make_conninfo(database.url(), port="1"))
    assert list(found) == ["database"]
    assert found["database"][0] is False
    assert "refused" in found["database"][1]
    wrong = texts(make_conninfo(database.url(), password="wrong"))
    assert "password authentication failed" in wrong["database"][1]
