"""Which of Grafana's annotations we have seen: each is taken once, at first sight; what happens to it later is only written down."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from detector.store import audit
from detector.store.audit import Entry
from detector.store.database import Connection, Database, moment

LOCK = 0x7475_7277  # of PostgreSQL's advisory locks: one of several processes takes annotations at a time
Key = tuple[int, int]  # id, created (ms): a Grafana that was set up anew counts its ids from 1 again


@dataclass(frozen=True, slots=True)
class Seen:
    """`updated`: when it was last edited, as far as we know, in ms of Grafana's clock."""

    key: Key
    updated: int


def seen(database: Database, tenant: str) -> dict[Key, Seen]:
    """All that are not known to be gone."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT id, created, greatest(updated, (extract(epoch FROM changed) * 1000)::bigint) FROM store.annotations "
            "WHERE tenant = %s AND gone IS NULL",
            (tenant,),
        ).fetchall()
    return {(id_, created): Seen((id_, created), updated) for id_, created, updated in rows}


def is_new(connection: Connection, tenant: str, key: Key) -> bool:
    """Whether nobody has taken it; nobody else can until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    return (
        connection.execute("SELECT FROM store.annotations WHERE tenant = %s AND id = %s AND created = %s", (tenant, *key)).fetchone()
        is None
    )


def take(connection: Connection, tenant: str, key: Key, updated: int, outcome: str, now: int) -> None:
    """Writes down what was made of it. `now` in µs."""
    connection.execute(
        "INSERT INTO store.annotations (tenant, id, created, updated, seen, outcome) VALUES (%s, %s, %s, %s, %s, %s)",
        (tenant, *key, updated, moment(now), outcome),
    )


def changed(connection: Connection, tenant: str, key: Key, updated: int, now: int) -> None:
    """Somebody edited it later. Grafana keeps the first author's name, so it says nothing about who."""
    row = connection.execute(
        """
        UPDATE store.annotations SET changed = 'epoch'::timestamptz + %s * interval '1 millisecond'
        WHERE tenant = %s AND id = %s AND created = %s AND (changed IS NULL OR (extract(epoch FROM changed) * 1000)::bigint < %s)
        RETURNING outcome
        """,
        (updated, tenant, *key, updated),
    ).fetchone()
    if row is not None:
        audit.append(connection, Entry(tenant, "grafana", "annotation.changed", str(key[0]), {"updated": updated, "was": row[0]}), now)


def gone(connection: Connection, tenant: str, keys: Collection[Key], now: int) -> None:
    """Somebody deleted them. What followed from them stays."""
    for key in sorted(keys):
        row = connection.execute(
            "UPDATE store.annotations SET gone = %s WHERE tenant = %s AND id = %s AND created = %s AND gone IS NULL RETURNING outcome",
            (moment(now), tenant, *key),
        ).fetchone()
        if row is not None:
            audit.append(connection, Entry(tenant, "grafana", "annotation.gone", str(key[0]), {"was": row[0]}), now)
