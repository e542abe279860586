"""What waits to be sent, per receiver. A row leaves at least once; its id lets receivers drop repeats."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from detector.judge.findings import Incident
from detector.store.database import Connection, Database, as_json, moment

KINDS = ("incident", "digest", "health", "opening")
HOUR = 3_600_000_000  # µs
LOCK = 0x7475  # of PostgreSQL's advisory locks, with the receiver's name


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification: an incident as it was when it was decided to tell somebody, a tenant's daily digest, or a health incident."""

    id: str  # <incident>/<n>, digest/<tenant>/<day> or health/<n>
    tenant: str
    kind: str  # incident | digest | health
    payload: Mapping[str, object]
    created: int  # µs

    @property
    def key(self) -> str:
        """What its notices are in order by: the incident, the tenant's digests, the health incident."""
        return self.id.rpartition("/")[0]


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


def waiting(
    database: Database,
    receiver: str,
    limit: int = 100,
    *,
    kinds: Collection[str] = KINDS,
    tenants: Collection[str] = (),
    without: Collection[str] = (),
) -> list[Notice]:
    """The oldest notices that this receiver has not had, in the order in which they were decided.

    `tenants` none: every one. `without`: keys whose notices are left out for now.
    """
    with database.transaction() as connection:
        rows = connection.execute(
            """
            SELECT o.id, o.tenant, o.kind, o.payload, (extract(epoch FROM o.created) * 1000000)::bigint FROM store.outbox AS o
            WHERE o.sequence > (SELECT r.done FROM store.receivers AS r WHERE r.receiver = %(receiver)s)
                AND NOT EXISTS (SELECT FROM store.deliveries AS d WHERE d.id = o.id AND d.receiver = %(receiver)s)
                AND o.kind = ANY(%(kinds)s) AND (%(tenants)s::text[] = '{}' OR o.tenant = ANY(%(tenants)s) OR o.tenant = '')
                AND NOT (regexp_replace(o.id, '/[^/]*$', '') = ANY(%(without)s))
            ORDER BY o.sequence LIMIT %(limit)s
            """,
            {"receiver": receiver, "kinds": list(kinds), "tenants": list(tenants), "without": list(without), "limit": limit},
        ).fetchall()
    return [Notice(*row) for row in rows]


def begin(database: Database, receiver: str, now: int, *, from_the_start: bool = False) -> None:
    """Makes the receiver known; it is told what is decided from now on. `now` in µs."""
    with database.transaction() as connection:
        connection.execute(
            """
            INSERT INTO store.receivers (receiver, first, done, began)
            SELECT %(receiver)s, last, last, %(now)s
            FROM (SELECT CASE WHEN %(all)s THEN 0 ELSE coalesce(max(sequence), 0) END AS last FROM store.outbox) AS newest
            ON CONFLICT DO NOTHING
            """,
            {"receiver": receiver, "now": moment(now), "all": from_the_start},
        )


def mine(database: Database, receiver: str) -> bool:
    """Whether this process is the one that tells the receiver: as long as its connection lasts, nobody else is."""
    with database.transaction() as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (LOCK, receiver)).fetchone()
    return row == (True,)


def advance(database: Database, receiver: str, kinds: Collection[str], tenants: Collection[str], now: int) -> None:
    """Moves the line below which the receiver has everything. The last hour is left: a row may be committed after a later one."""
    with database.transaction() as connection:
        connection.execute(
            """
            UPDATE store.receivers AS r SET done = greatest(r.done, least(
                (SELECT max(o.sequence) FROM store.outbox AS o WHERE o.created < %(before)s),
                (SELECT min(o.sequence) - 1 FROM store.outbox AS o
                    WHERE o.sequence > r.done AND o.kind = ANY(%(kinds)s)
                        AND (%(tenants)s::text[] = '{}' OR o.tenant = ANY(%(tenants)s) OR o.tenant = '')
                        AND NOT EXISTS (SELECT FROM store.deliveries AS d WHERE d.id = o.id AND d.receiver = r.receiver))
            )) WHERE r.receiver = %(receiver)s
            """,
            {"receiver": receiver, "kinds": list(kinds), "tenants": list(tenants), "before": moment(now - HOUR)},
        )


def delivered(database: Database, receiver: str, ids: Sequence[str], now: int) -> None:
    """Notes that the receiver has these; noting it twice changes nothing."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO store.deliveries (id, receiver, delivered) SELECT id, %s, %s FROM unnest(%s::text[]) AS id ON CONFLICT DO NOTHING",
            (receiver, moment(now), list(ids)),
        )
