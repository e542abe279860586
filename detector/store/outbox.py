"""What waits to be sent, per receiver. A row leaves at least once; its id lets receivers drop repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detector.judge.findings import Incident
from detector.store.database import Connection, Database, as_json, moment


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification: an incident as it was when it was decided to tell somebody, or a tenant's daily digest."""

    id: str  # <incident>/<n> or digest/<tenant>/<day>
    tenant: str
    kind: str  # incident | digest
    payload: Mapping[str, object]


def enqueue_incident(connection: Connection, incident: Incident, now: int) -> None:
    connection.execute(
        """
        INSERT INTO store.outbox (id, incident, tenant, created, payload)
        SELECT %(id)s || '/' || count(*) + 1, %(id)s::uuid, %(tenant)s, %(now)s, %(payload)s::jsonb
        FROM store.outbox WHERE incident = %(id)s::uuid
        """,
        {"id": incident.id, "tenant": incident.tenant, "now": moment(now), "payload": as_json(incident)},
    )


def enqueue_digest(connection: Connection, tenant: str, day: str, document: Mapping[str, object], now: int) -> None:
    connection.execute(
        "INSERT INTO store.outbox (id, kind, tenant, created, payload) VALUES (%s, 'digest', %s, %s, %s::jsonb)",
        (f"digest/{tenant}/{day}", tenant, moment(now), as_json(document)),
    )


def waiting(database: Database, receiver: str, limit: int = 100) -> list[Notice]:
    """The oldest notices that this receiver has not had, in the order in which they were decided."""
    with database.transaction() as connection:
        rows = connection.execute(
            """
            SELECT o.id, o.tenant, o.kind, o.payload FROM store.outbox AS o
            WHERE NOT EXISTS (SELECT FROM store.deliveries AS d WHERE d.id = o.id AND d.receiver = %s)
            ORDER BY o.sequence LIMIT %s
            """,
            (receiver, limit),
        ).fetchall()
    return [Notice(*row) for row in rows]


def delivered(database: Database, receiver: str, ids: Sequence[str], now: int) -> None:
    """Notes that the receiver has these; noting it twice changes nothing."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO store.deliveries (id, receiver, delivered) SELECT id, %s, %s FROM unnest(%s::text[]) AS id ON CONFLICT DO NOTHING",
            (receiver, moment(now), list(ids)),
        )
