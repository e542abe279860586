"""What `tuermer doctor` asks the database: each answer is whether it holds, and one sentence. Nothing is changed."""

from __future__ import annotations

from typing import NamedTuple

from detector.store.database import Away, Connection, StoreError, connect
from detector.store.migrate import OLDEST, pending

ENTER = "SELECT has_schema_privilege('store', 'USAGE')"
WRITE = "SELECT bool_and(has_table_privilege(t, 'INSERT')) FROM unnest(%s::text[]) AS t"
FORBIDDEN = "SELECT has_table_privilege('store.incidents', 'DELETE')"
WRITTEN = ["store.incidents", "store.evidence", "store.samples", "store.outbox", "store.shards"]


class Check(NamedTuple):
    name: str
    ok: bool
    text: str


def examine(conninfo: str, now: int) -> list[Check]:
    """Reachable, new enough, same clock, migrated, and as what role we come. `now` in µs; `conninfo` is the daemon's."""
    try:
        with connect(conninfo) as connection:
            checks = [_version(connection), _clock(connection, now)]
            schema = _schema(connection)
            return [*checks, schema, *([_role(connection)] if schema.ok and _ready(connection) else [])]
    except (Away, StoreError) as error:
        return [Check("database", False, f"{error}")]


def _version(connection: Connection) -> Check:
    version = connection.info.server_version
    ok = version >= OLDEST
    return Check(
        "database", ok, f"PostgreSQL {version // 10_000} answers" if ok else f"PostgreSQL {version // 10_000} is too old; 15 or newer"
    )


def _clock(connection: Connection, now: int) -> Check:
    row = connection.execute("SELECT (extract(epoch FROM now()) * 1000000)::bigint").fetchone()
    assert row is not None
    skew = abs(row[0] - now) / 1e6
    return Check("clock", skew < 60, f"{skew:.0f} s from the database's" + ("" if skew < 60 else "; let both follow the same NTP server"))


def _ready(connection: Connection) -> bool:
    return connection.execute("SELECT to_regnamespace('store')").fetchone() != (None,)


def _schema(connection: Connection) -> Check:
    try:
        missing = pending(connection)
    except StoreError as error:
        return Check("schema", False, str(error))
    if not missing:
        return Check("schema", True, "all migrations are done")
    return Check("schema", True, f"{len(missing)} migrations will run at the next start, beginning with {missing[0][0]}")


def _role(connection: Connection) -> Check:
    user = connection.info.user
    may = connection.execute(ENTER.encode()).fetchone() == (True,) and connection.execute(WRITE.encode(), (WRITTEN,)).fetchone() == (True,)
    if not may:
        return Check("role", False, f"{user} may not write; say GRANT tuermer_daemon TO {user} in the database")
    if connection.execute(FORBIDDEN.encode()).fetchone() == (True,):
        text = (
            f"{user} owns the tables, so nothing but our care keeps findings from being rewritten; let the daemon log in as tuermer_daemon"
        )
        return Check("role", True, text)
    return Check("role", True, f"{user} may write what SCORE finds, and may not change or delete it")
