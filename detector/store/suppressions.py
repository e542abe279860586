"""Suppressions as they are kept: given, ended, listed, and brought in step with the configuration."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg.rows import dict_row

from detector.judge import suppress
from detector.judge.findings import Incident
from detector.judge.suppress import Seen, Suppression, SuppressionError
from detector.store.database import Connection, Database, clean, moment

COMPLETE = 10_000  # values of a field from which on its evidence may not be whole (judge/evidence.py)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SAMPLES = 50  # events kept per incident (judge/cases.py)


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody asks for. `expires` in µs, None: 30 days from now; `key` names an entry of the configuration."""

    tenant: str
    field: str
    value: str
    author: str
    reason: str
    technique: str = ""
    signature: tuple[str, ...] = ()
    expires: int | None = None
    seen: Seen | None = None
    key: str = ""


def active(connection: Connection, tenant: str, now: int) -> list[Suppression]:
    """Those in force, the oldest first."""
    rows = connection.execute(
        """
        SELECT id, field, value, technique, signature, score, observed FROM store.suppressions
        WHERE tenant = %s AND ended IS NULL AND expires > %s ORDER BY id
        """,
        (tenant, moment(now)),
    ).fetchall()
    return [
        Suppression(id_, field, value, technique, tuple(signature), None if score is None else Seen(score, observed))
        for id_, field, value, technique, signature, score, observed in rows
    ]


def first_seen(connection: Connection, id_: int, incident: Incident) -> None:
    """The first match says how strong is usual, where nobody did."""
    seen = Seen.of(incident)
    connection.execute(
        "UPDATE store.suppressions SET score = %s, observed = %s::jsonb WHERE id = %s AND score IS NULL",
        (seen.score, _json(seen.observed), id_),
    )


def add(database: Database, given: Given, now: int, zone: str) -> tuple[int, int, bool]:
    """Stores it; returns its id, when it ends (µs), and whether that is because it names a token. Raises SuppressionError."""
    with database.transaction() as connection:
        return put(connection, given, now, zone)


def put(connection: Connection, given: Given, now: int, zone: str) -> tuple[int, int, bool]:
    """As `add`, within a transaction of the caller."""
    suppress.checked(given.field, given.value, given.technique, given.signature, given.author, given.reason)
    expires, token = suppress.lasting(given.value, now, zone, given.expires)
    if expires <= now:
        raise SuppressionError("a suppression must end in the future")
    if connection.execute("SELECT FROM store.tenants WHERE tenant = %s", (given.tenant,)).fetchone() is None:
        raise SuppressionError(f"there is no tenant {given.tenant}")
    row = connection.execute(
        """
        INSERT INTO store.suppressions
            (key, tenant, field, value, technique, signature, author, reason, created, expires, ends_with_epoch, score, observed)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb) ON CONFLICT (key) DO NOTHING RETURNING id
        """,
        (
            given.key or str(uuid.uuid4()), given.tenant, given.field, clean(given.value), given.technique, list(given.signature),
            clean(given.author), clean(given.reason), moment(now), moment(expires), token,
            None if given.seen is None else given.seen.score, None if given.seen is None else _json(given.seen.observed),
        ),
    ).fetchone()  # fmt: skip
    return (0 if row is None else int(row[0])), expires, token


def _json(observed: Mapping[str, float]) -> str:
    return msgspec.json.encode(observed).decode()


def scope_of(database: Database, incident: str) -> Given | None:
    """The scope, strength and reasons of an incident that is to be suppressed; author and reason are still empty.

    Raises SuppressionError for a success after failures.
    """
    with database.transaction() as connection:
        return scope(connection, incident)


def scope(connection: Connection, incident: str) -> Given | None:
    """As `scope_of`, within a transaction of the caller."""
    if UUID.fullmatch(incident) is None:
        return None
    row = connection.execute(
        """
        SELECT tenant, entity_kind, entity_value, family, urgent, got_in, worst_score, reasons FROM store.incidents WHERE id = %s::uuid
        """,
        (incident,),
    ).fetchone()
    if row is None:
        return None
    tenant, kind, value, family, urgent, got_in, score, reasons = row
    if urgent or (family == "credential-access" and got_in == "yes"):
        raise SuppressionError("a success after failures is never suppressed")
    observed = {reason["feature"]: abs(reason["observed"] - reason["usual"]) for reason in reasons}
    return Given(
        tenant, suppress.NAMED.get(str(kind), str(kind)), value, "", "", family, tuple(sorted(observed)), seen=Seen(score, observed)
    )


def end(database: Database, id_: int, author: str, now: int) -> bool:
    """Whether it was in force until now. Raises SuppressionError without a name."""
    if author.strip() == "":
        raise SuppressionError("say who ends it")
    with database.transaction() as connection:
        done = connection.execute(
            "UPDATE store.suppressions SET ended = %s, ended_by = %s WHERE id = %s AND ended IS NULL AND expires > %s",
            (moment(now), clean(author), id_, moment(now)),
        )
        return done.rowcount == 1


def follow(database: Database, wanted: Sequence[Given], now: int, zones: Mapping[str, str]) -> None:
    """Brings the entries of the configuration in step: new ones begin now, missing ones end; one that has expired stays expired."""
    with database.transaction() as connection:
        known = connection.execute("SELECT key FROM store.suppressions WHERE key LIKE 'config:%%'").fetchall()
        missing = [given.tenant for given in wanted if given.tenant not in _tenants(connection)]
        connection.cursor().executemany("INSERT INTO store.tenants (tenant) VALUES (%s) ON CONFLICT DO NOTHING", [(t,) for t in missing])
        connection.execute(
            "UPDATE store.suppressions SET ended = %s, ended_by = 'configuration' "
            "WHERE key LIKE 'config:%%' AND key <> ALL(%s) AND ended IS NULL",
            (moment(now), [given.key for given in wanted]),
        )
    for given in wanted:
        if (given.key,) not in known:
            add(database, given, now, zones.get(given.tenant, "Europe/Berlin"))


def _tenants(connection: Connection) -> set[str]:
    return {tenant for (tenant,) in connection.execute("SELECT tenant FROM store.tenants").fetchall()}


def listed(database: Database, tenant: str | None) -> list[dict[str, Any]]:
    """Suppressions with what they hid, those in force first; columns of the view `suppressions`."""
    with database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM public.suppressions WHERE %s::text IS NULL OR tenant = %s ORDER BY status, id", (tenant, tenant)
        ).fetchall()
