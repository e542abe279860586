"""A tenant's learning phase: begins with its first shard, ends when a named person says so after seeing what would have been sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from detector.store.database import Connection, Database, clean, moment


@dataclass(frozen=True, slots=True)
class Phase:
    """`until` is the plan; it goes on until `ended`."""

    tenant: str
    began: datetime
    until: datetime
    ended: datetime | None
    ended_by: str | None


@dataclass(frozen=True, slots=True)
class Would:
    """An incident of the learning phase that wanted a notification, and what the budget would have said first."""

    incident: str
    opened: datetime
    severity: str
    title: dict[str, str]
    answer: str  # sent (also without the phase: urgent) | budget | hour | day | share


def begin(connection: Connection, tenant: str, days: int, zone: str, now: int) -> None:
    """Makes the tenant known, with its time zone; a new one learns from `now` on (µs), with `days` 0 not at all."""
    connection.execute(
        "INSERT INTO store.tenants AS t (tenant, zone) VALUES (%s, %s) ON CONFLICT (tenant) DO UPDATE SET zone = excluded.zone "
        "WHERE t.zone <> excluded.zone",
        (tenant, zone),
    )
    ended = moment(now) if days == 0 else None
    connection.execute(
        "INSERT INTO store.learning (tenant, began, days, ended, ended_by) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (tenant, moment(now), days, ended, None if ended is None else "configuration"),
    )


def phase(database: Database, tenant: str) -> Phase | None:
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT tenant, began, until, ended, ended_by FROM public.learning WHERE tenant = %s", (tenant,)
        ).fetchone()
    return None if row is None else Phase(*row)


def would_have(database: Database, tenant: str, limit: int = 1000) -> list[Would]:
    """The latest incidents of the phase that wanted a notification, by their first decision, in the order of their opening."""
    with database.transaction() as connection:
        rows = connection.execute(
            """
            SELECT * FROM (
                SELECT i.id::text, i.opened, i.severity, i.title, CASE WHEN d.answer = 'sent' THEN 'sent' ELSE d.why END
                FROM store.decisions AS d JOIN store.incidents AS i ON i.id = d.incident JOIN store.learning AS l ON l.tenant = i.tenant
                WHERE i.tenant = %s AND d.number = 1 AND d.decided >= l.began AND d.decided < coalesce(l.ended, 'infinity')
                    AND d.answer IN ('sent', 'learning')
                ORDER BY i.opened DESC, i.id LIMIT %s
            ) AS latest ORDER BY 2, 1
            """,
            (tenant, limit),
        ).fetchall()
    return [Would(*row) for row in rows]


def go_live(database: Database, tenant: str, author: str, now: int) -> bool:
    """Ends the phase; whether it was running. `author` is not empty."""
    with database.transaction() as connection:
        done = connection.execute(
            "UPDATE store.learning SET ended = %s, ended_by = %s WHERE tenant = %s AND ended IS NULL", (moment(now), clean(author), tenant)
        )
        return done.rowcount == 1
