"""Requests for the names of one incident, and what became of them. Nothing here can read a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from detector.store.database import Connection, as_json, clean, moment

SHAPE = "(u|h|ip)-[0-9a-f]{16}"
MOST = 10_000  # tokens of one incident, as many as evidence keeps


@dataclass(frozen=True, slots=True)
class Opening:
    """One request; see store.openings."""

    id: UUID
    tenant: str
    incident: UUID
    case_number: str
    reason: str
    requester: str
    request: bytes
    signature: bytes
    requested: datetime
    break_glass: bool
    state: str  # asked | approved | refused | expired
    answered: datetime | None
    answered_by: str | None
    answer: str | None
    answer_signature: bytes | None
    expires: datetime
    handed: bytes | None
    shown: bytes | None


COLUMNS = ", ".join(Opening.__slots__)


def incident_of(connection: Connection, beginning: str) -> tuple[UUID, str] | None:
    """(id, tenant) of the incident whose id begins so, if there is exactly one."""
    rows = connection.execute(
        "SELECT id, tenant FROM store.incidents WHERE starts_with(id::text, %s) LIMIT 2", (beginning.lower(),)
    ).fetchall()
    return (rows[0][0], rows[0][1]) if len(rows) == 1 and beginning != "" else None


def tokens_of(connection: Connection, incident: UUID) -> list[str]:
    """All tokens that the incident shows: its entity, its evidence, its sample of events."""
    rows = connection.execute(
        f"""
        SELECT DISTINCT token FROM (
            SELECT entity_value AS token FROM store.incidents WHERE id = %(id)s
            UNION ALL SELECT value FROM store.evidence WHERE incident = %(id)s
            UNION ALL SELECT f.value FROM store.samples AS s CROSS JOIN jsonb_each_text(s.fields) AS f WHERE s.incident = %(id)s
        ) AS shown WHERE token ~ '^{SHAPE}$' ORDER BY token LIMIT {MOST}
        """.encode(),  # noqa: S608 - constants of ours
        {"id": incident},
    ).fetchall()
    return [token for (token,) in rows]


def linked(connection: Connection, incident: UUID, tokens: Sequence[str]) -> list[tuple[int, str]]:
    """(epoch, token) of the links that are kept for these tokens around the time of the incident."""
    rows = connection.execute(
        """
        WITH span AS (
            SELECT i.tenant, least(min(e.first), i.opened)::date - date '1970-01-01' - 2 AS low,
                greatest(max(e.last), i.updated)::date - date '1970-01-01' + 1 AS high
            FROM store.incidents AS i LEFT JOIN store.evidence AS e ON e.incident = i.id
            WHERE i.id = %s GROUP BY i.id, i.tenant, i.opened, i.updated
        )
        SELECT l.epoch, l.token FROM span CROSS JOIN generate_series(low, high) AS d (epoch) CROSS JOIN unnest(%s::text[]) AS t (token)
        JOIN store.links AS l ON l.tenant = span.tenant AND l.epoch = d.epoch AND l.token = t.token ORDER BY 1, 2
        """,
        (incident, list(tokens)),
    ).fetchall()
    return [(epoch, token) for epoch, token in rows]


def add(connection: Connection, one: Opening, tokens: Sequence[tuple[int, str]]) -> None:
    connection.execute(
        """
        INSERT INTO store.openings
            (id, tenant, incident, case_number, reason, requester, request, signature, requested, break_glass, expires)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            one.id, one.tenant, one.incident, clean(one.case_number), clean(one.reason), one.requester, one.request, one.signature,
            one.requested, one.break_glass, one.expires,
        ),
    )  # fmt: skip
    connection.cursor().executemany(
        "INSERT INTO store.opening_tokens (opening, tenant, epoch, token) VALUES (%s, %s, %s, %s)",
        [(one.id, one.tenant, epoch, token) for epoch, token in tokens],
    )


def find(connection: Connection, beginning: str) -> Opening | None:
    """The request whose id begins so, if there is exactly one."""
    found = _select(connection, "WHERE starts_with(id::text, %s) LIMIT 2", beginning.lower())
    return found[0] if len(found) == 1 and beginning != "" else None


def newest(connection: Connection, tenants: frozenset[str] | None, most: int = 200) -> list[Opening]:
    """The newest first; `tenants` None: all."""
    if tenants is None:
        return _select(connection, "ORDER BY requested DESC LIMIT %s", most)
    return _select(connection, "WHERE tenant = ANY(%s) ORDER BY requested DESC LIMIT %s", sorted(tenants), most)


def urgent(connection: Connection) -> list[Opening]:
    """Break-glass requests that wait for an answer."""
    return _select(connection, "WHERE break_glass AND state = 'asked' ORDER BY requested")


def _select(connection: Connection, where: str, *arguments: Any) -> list[Opening]:
    with connection.cursor(row_factory=class_row(Opening)) as cursor:
        return cursor.execute(f"SELECT {COLUMNS} FROM store.openings {where}".encode(), arguments).fetchall()  # noqa: S608


def approve(connection: Connection, id_: UUID, approver: str, handed: bytes, signature: bytes, now: int, expires: int) -> bool:
    """Whether we were the first to answer and in time; times in µs."""
    return _answered(
        connection,
        "UPDATE store.openings SET state = 'approved', answered = %s, answered_by = %s, handed = %s, answer_signature = %s, expires = %s",
        (moment(now), approver, handed, signature, moment(expires)), id_, now,
    )  # fmt: skip


def refuse(connection: Connection, id_: UUID, who: str, why: str, now: int) -> bool:
    """Whether we were the first to answer and in time."""
    return _answered(
        connection,
        "UPDATE store.openings SET state = 'refused', answered = %s, answered_by = %s, answer = %s",
        (moment(now), who, clean(why)),
        id_,
        now,
    )


def _answered(connection: Connection, update: str, values: tuple[object, ...], id_: UUID, now: int) -> bool:
    done = connection.execute(f"{update} WHERE id = %s AND state = 'asked' AND expires > %s".encode(), (*values, id_, moment(now)))
    return done.rowcount == 1


def show(connection: Connection, id_: UUID, shown: bytes, now: int) -> bool:
    """Lays the names, sealed under the requester's code, beside the request; whether its time was not up."""
    done = connection.execute(
        "UPDATE store.openings SET shown = %s WHERE id = %s AND state = 'approved' AND expires > %s", (shown, id_, moment(now))
    )
    return done.rowcount == 1


def veils(connection: Connection, id_: UUID) -> dict[str, str]:
    """The tokens of a request, and what Grafana shows instead of each in that incident."""
    return dict(connection.execute("SELECT token, shown FROM store.opening_veils(%s)", (id_,)).fetchall())


def expire(connection: Connection, now: int) -> list[Opening]:
    """Deletes what was handed over where the time is up, and closes requests that nobody answered; returns them."""
    due = _select(connection, "WHERE state IN ('asked', 'approved') AND expires <= %s ORDER BY tenant, requested FOR UPDATE", moment(now))
    connection.execute(
        "UPDATE store.openings SET state = 'expired', handed = NULL, shown = NULL WHERE id = ANY(%s)", ([one.id for one in due],)
    )
    return due


def tell(connection: Connection, one: Opening, title: Mapping[str, str], text: Mapping[str, str], now: int) -> None:
    """A message for the data protection officer; it names nobody."""
    payload = {"severity": "high", "title": title, "text": text, "request": str(one.id), "incident": str(one.incident)}
    connection.execute(
        "INSERT INTO store.outbox (id, kind, tenant, created, payload) VALUES (%s, 'opening', %s, %s, %s::jsonb)",
        (f"opening/{one.id}", one.tenant, moment(now), as_json(payload)),
    )
