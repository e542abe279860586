"""Numbered SQL files, each run once, in order, in one transaction. A changed file that was already run is refused."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import psycopg

from detector.store.database import Connection, StoreError, connect

OLDEST = 150_000
ROLES = ("tuermer_owner", "tuermer_daemon", "tuermer_grafana", "tuermer_auditor", "tuermer_trainer")
LEDGER = """
CREATE TABLE IF NOT EXISTS public.migrations (name text PRIMARY KEY, sha256 text NOT NULL, run timestamptz NOT NULL DEFAULT now())
"""


def shipped() -> list[tuple[str, str]]:
    """(name, SQL) of every migration, in order."""
    folder = files("detector.store") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name[:4].isdigit() and entry.name.endswith(".sql"))
    return [(name, (folder / name).read_text(encoding="utf-8")) for name in names]


def migrate(owner_url: str) -> list[str]:
    """Brings the database to this version's schema; returns the names of the migrations that were run now.

    Raises StoreError when the server is too old, roles are missing and may not be made, or a past migration differs.
    """
    with connect(owner_url) as connection, connection.transaction():
        if connection.info.server_version < OLDEST:
            raise StoreError(
                f"PostgreSQL {OLDEST // 10_000} or newer is needed; this server is {connection.info.server_version // 10_000}."
            )
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('tuermer.migrate'))")
        try:
            missing = pending(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoreError("The database login of this configuration has no right to that.") from error
        if missing:
            _run(connection, missing)
        return [name for name, _ in missing]


def pending(connection: Connection) -> list[tuple[str, str]]:
    """The migrations that were not run yet. Any role of ours may ask. Raises StoreError when a past one differs."""
    there = connection.execute("SELECT to_regclass('public.migrations')").fetchone()
    rows = [] if there in (None, (None,)) else connection.execute("SELECT name, sha256 FROM public.migrations").fetchall()
    done: dict[str, str] = dict(rows)
    for name, sql in shipped():
        if done.get(name, _digest(sql)) != _digest(sql):
            raise StoreError(
                f"The migration {name} was run in another version than the one shipped: add a new file, never change an old one."
            )
    return [(name, sql) for name, sql in shipped() if name not in done]


def _run(connection: Connection, missing: list[tuple[str, str]]) -> None:
    make_roles(connection)
    try:
        connection.execute(LEDGER)
        for name, sql in missing:
            connection.execute(sql.encode())
            connection.execute("INSERT INTO public.migrations (name, sha256) VALUES (%s, %s)", (name, _digest(sql)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(
            f"The role {connection.info.user} may not run the migration {missing[0][0]}: "
            "set database.owner_url to a role that owns the database."
        ) from error


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


def make_roles(connection: Connection) -> None:
    """The five roles, unless they are there already."""
    rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (list(ROLES),)).fetchall()
    missing = set(ROLES) - {row[0] for row in rows}
    if not missing:
        return
    try:
        with connection.transaction():
            connection.execute((files("detector.store") / "schema" / "roles.sql").read_bytes())
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(
            f"The roles {', '.join(sorted(missing))} are missing and {connection.info.user} may not make them: "
            "let an administrator run detector/store/schema/roles.sql once."
        ) from error
