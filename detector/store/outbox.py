"""What waits to be sent, per receiver. A row leaves at least once; its id lets receivers drop repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detector.store.database import Database, moment


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification: an incident as it was when it was decided to tell somebody."""

    id: str  # <incident>/<n>
    tenant: str
    payload: Mapping[str, object]


def waiting(database: Database, receiver: str, limit: int = 100) -> list[Notice]:
    """The oldest notices that this receiver has not had, in the order in which they were decided."""
    with database.transaction() as connection:
        rows = connection.execute(
            """
            SELECT o.id, o.tenant, o.payload FROM store.outbox AS o
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
