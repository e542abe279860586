"""Legal holds: what must be kept for a case although its time is up, until when and why."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row

from detector.store import audit
from detector.store.database import Database, StoreError, clean, moment
from detector.store.openings import incident_of

LONGEST = 3 * 366  # days; then somebody has to say why once more


def add(database: Database, incident: str, case: str, reason: str, author: str, days: int, now: int) -> int:
    """Keeps the incident with its evidence for `days`; the number of the hold. Raises StoreError when there is no such incident."""
    if not 1 <= days <= LONGEST:
        raise StoreError(f"A hold lasts 1 to {LONGEST} days, not {days}.")
    if "" in (case.strip(), reason.strip(), author.strip()):
        raise StoreError("A hold needs a case number, a reason and who asks for it.")
    with database.transaction() as connection:
        found = incident_of(connection, incident)
        if found is None:
            raise StoreError(f"There is no incident {incident}, or more than one begins so.")
        whole, tenant = found
        row = connection.execute(
            """
            INSERT INTO store.holds (tenant, incident, case_number, reason, author, begun, expires)
            VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id
            """,
            (tenant, whole, clean(case), clean(reason), clean(author), moment(now), moment(now + days * 86_400_000_000)),
        ).fetchone()
        assert row is not None
        audit.append(connection, audit.Entry(tenant, author, "hold.begin", str(whole), {"hold": row[0], "case": case, "days": days}), now)
        return int(row[0])


def end(database: Database, number: int, author: str, now: int) -> bool:
    """Whether there was such a hold in force; what it kept goes the next night if its time is up."""
    with database.transaction() as connection:
        row = connection.execute(
            "UPDATE store.holds SET ended = %s, ended_by = %s WHERE id = %s AND ended IS NULL AND expires > %s"
            " RETURNING tenant, incident::text",
            (moment(now), clean(author), number, moment(now)),
        ).fetchone()
        if row is not None:
            audit.append(connection, audit.Entry(row[0], author, "hold.end", row[1], {"hold": number}), now)
        return row is not None


def listed(database: Database, now: int) -> list[dict[str, Any]]:
    """Those in force, the next to expire first."""
    with database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            SELECT id, tenant, incident::text, case_number, reason, author, begun, expires FROM store.holds
            WHERE ended IS NULL AND expires > %s ORDER BY expires, id
            """,
            (moment(now),),
        ).fetchall()
