"""From configuration to a ready database: migrations, passwords, and one sentence for each thing that can be wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from detector.config import Config, Database
from detector.store import Store, StoreError, migrate, open_database
from detector.store.embedded import SUPERUSER
from tests.postgres import TestDatabase


def without_password(url: str) -> tuple[str, str]:
    parts = conninfo_to_dict(url)
    password = str(parts.pop("password"))
    return make_conninfo("", **parts), password


@pytest.fixture
def empty(any_database: TestDatabase) -> TestDatabase:
    """A database of its owner in which nothing was ever run."""
    any_database.rows("DROP SCHEMA store, grafana CASCADE; DROP TABLE public.migrations")
    any_database.rows("GRANT ALL ON SCHEMA public TO tuermer_owner")
    return any_database


def test_all_migrations_run_once_in_order(empty: TestDatabase) -> None:
    names = [name for name, _ in migrate.shipped()]
    assert names == sorted(names)
    assert len(names) >= 3
    assert migrate.migrate(empty.url("tuermer_owner")) == names
    assert migrate.migrate(empty.url("tuermer_owner")) == []
    with contextlib.closing(Store(empty.url())) as store:
        assert store.claim("stadt", 0).applied == 0


def test_a_migration_that_fails_leaves_nothing_behind(empty: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "shipped", lambda: [("0001_a.sql", "CREATE TABLE public.a (x int)"), ("0002_b.sql", "CREATE TABEL b ()")])
    with pytest.raises(psycopg.errors.SyntaxError):
        migrate.migrate(empty.url("tuermer_owner"))
    assert empty.rows("SELECT to_regclass('public.a'), to_regclass('public.migrations')") == [(None, None)]


def test_a_past_migration_that_was_changed_is_refused(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    first, sql = migrate.shipped()[0]
    monkeypatch.setattr(migrate, "shipped", lambda: [(first, sql + "\n-- a late thought")])
    with pytest.raises(StoreError, match=f"The migration {first} was run in another version"):
        migrate.migrate(database.url("tuermer_owner"))


def test_missing_roles_that_we_may_not_make_are_named(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    database.rows("DELETE FROM public.migrations")
    monkeypatch.setattr(migrate, "ROLES", (*migrate.ROLES, "tuermer_new"))
    with pytest.raises(
        StoreError, match=r"The roles tuermer_new are missing and tuermer_owner may not make them: let an administrator run .*roles\.sql"
    ):
        migrate.migrate(database.url("tuermer_owner"))


def test_an_old_server_is_refused(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "OLDEST", 990_000)
    with pytest.raises(StoreError, match="PostgreSQL 99 or newer is needed; this server is 18"):
        migrate.migrate(database.url("tuermer_owner"))


def test_a_database_elsewhere_is_opened_with_the_password_from_the_environment(any_database: TestDatabase) -> None:
    url, password = without_password(any_database.url())
    owner, owner_password = without_password(any_database.url("tuermer_owner"))
    config = Config(database=Database(url=url, password_env="TUERMER_DB", owner_url=owner, owner_password_env="TUERMER_OWNER"))
    opened = open_database(config, {"TUERMER_DB": password, "TUERMER_OWNER": owner_password})
    with contextlib.closing(Store(opened.daemon_url)) as store:
        store.claim("stadt", 0)
    opened.close()


def test_without_the_owner_a_ready_database_opens_and_one_with_missing_migrations_says_what_to_do(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the daemon's machine need not know the owner's password."""
    config = Config(database=Database(url=database.url()))
    open_database(config, {}).close()
    later = [*migrate.shipped(), ("0999_later.sql", "CREATE TABLE public.later (x int)")]
    monkeypatch.setattr(migrate, "shipped", lambda: later)
    with pytest.raises(StoreError, match=r"The role tuermer_daemon may not run the migration 0999_later\.sql: set database\.owner_url"):
        open_database(config, {})


def test_one_role_for_everything_works_too(empty: TestDatabase, tmp_path: Path) -> None:
    """The smallest installation: one role that owns the database; the administrator made the others or lets it make them."""
    url, password = without_password(empty.url(SUPERUSER))
    (tmp_path / "password").write_text(password + "\n")
    opened = open_database(Config(database=Database(url=url, password_file=str(tmp_path / "password"))), {})
    with contextlib.closing(Store(opened.daemon_url)) as store:
        store.claim("stadt", 0)


def test_what_is_wrong_with_the_address_is_said_in_one_sentence(database: TestDatabase) -> None:
    url, password = without_password(database.url("tuermer_owner"))
    cases = [
        (Database(url=url, password_env="TUERMER_DB"), "database.password_env: the environment has no variable TUERMER_DB."),
        (Database(url=url, owner_url=url, owner_password_file="/nowhere/p"), "database.owner_password_file: /nowhere/p cannot be read"),
        (Database(url=url, password_file="/nowhere/password"), "database.password_file: /nowhere/password cannot be read"),
        (Database(url=make_conninfo(url, password="wrong")), "The database refuses the connection: .*password authentication failed"),
        (Database(url=make_conninfo(url, password=password, dbname="absent")), 'refuses the connection: .*"absent" does not exist'),
        (
            Database(url=make_conninfo(url, password=password, port="1")),
            "The database does not answer: .*Is it running, and is database.url right",
        ),
    ]
    for settings, sentence in cases:
        with pytest.raises(StoreError, match=sentence) as caught:
            open_database(Config(database=settings), {})
        assert password not in str(caught.value)
