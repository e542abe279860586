"""Models in the database: their bytes, their states per tenant, their steps, approvals and gates. `promotion` changes states.

Tenant "" is the shared one: its champion judges every tenant that has none of its own. Whether a model may be trusted is not
decided here: `detector.learn` does so before it is written, and again whenever a daemon loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
import psycopg.errors

from detector.forest.artefact import Files
from detector.store import audit
from detector.store.database import Database, StoreError, moment

State = Literal["candidate", "shadow", "champion", "retired"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A model in one tenant. `digest`: SHA-256 of its manifest."""

    tenant: str
    model: str
    model_id: str
    state: State
    since: datetime
    digest: str
    trainer: str


@dataclass(frozen=True, slots=True)
class Step:
    """Who did what with a model. model_id "" is the shipped one; `before` the champion that it took the place of."""

    tenant: str
    model: str
    model_id: str
    state: State
    before: str
    at: datetime
    actor: str
    second: str
    reason: str


@dataclass(frozen=True, slots=True)
class Use:
    """The latest model input of a shard: placed, still waiting, or refused."""

    shard: str
    model: str
    part: str
    digest: str
    from_offset: int | None
    created: datetime
    placed: datetime | None
    refused: str | None


_ENTRY = "SELECT r.tenant, r.model, r.model_id, r.state, r.since, a.digest, a.trainer FROM store.registry r JOIN store.artefacts a USING (tenant, model_id)"  # noqa: E501


def add(database: Database, tenant: str, files: Files, manifest: dict[str, object], trainer: str, now: int) -> None:
    """Takes a checked candidate in. Raises StoreError when the tenant has it already."""
    model, model_id = str(manifest["model"]), str(manifest["model_id"])
    with database.transaction() as connection:
        try:
            connection.execute(
                """
                INSERT INTO store.artefacts
                    (tenant, model_id, model, digest, schema_hash, trainer, manifest, arrays, signature, brought)
                VALUES (%s, %s, %s, %s, %s, %s, %b, %b, %b, %s)
                """,
                (
                    tenant, model_id, model, files.digest, manifest["schema_hash"], trainer, files.manifest, files.arrays,
                    files.signature, moment(now),
                ),
            )  # fmt: skip
        except psycopg.errors.UniqueViolation as error:
            raise StoreError(f"{model_id} is in the registry of {tenant or 'all tenants'} already") from error
        connection.execute(
            "INSERT INTO store.registry (tenant, model_id, model, since) VALUES (%s, %s, %s, %s)", (tenant, model_id, model, moment(now))
        )
        connection.execute(
            "INSERT INTO store.model_steps (tenant, model, model_id, at, actor) VALUES (%s, %s, %s, %s, %s)",
            (tenant, model, model_id, moment(now), trainer),
        )


def listed(database: Database) -> list[Entry]:
    """All models, the newest of each last."""
    with database.transaction() as connection:
        rows = connection.execute(f"{_ENTRY} ORDER BY r.model, r.tenant, a.brought, r.model_id".encode()).fetchall()
    return [Entry(*row) for row in rows]


def find(database: Database, tenant: str, model_id: str) -> Entry | None:
    with database.transaction() as connection:
        row = connection.execute(f"{_ENTRY} WHERE r.tenant = %s AND r.model_id = %s".encode(), (tenant, model_id)).fetchone()
    return None if row is None else Entry(*row)


def files(database: Database, digest: str, tenants: Sequence[str]) -> tuple[str, Files] | None:
    """(whose, bytes) of the model with this digest, if it is one of these tenants'; the first tenant's before the others'."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT tenant, model_id, manifest, arrays, signature FROM store.artefacts WHERE digest = %s AND tenant = ANY(%s) "
            "ORDER BY array_position(%s, tenant) LIMIT 1",
            (digest, list(tenants), list(tenants)),
            binary=True,
        ).fetchone()
    return None if row is None else (str(row[0]), Files(*row[1:]))


def champion(database: Database, tenant: str, model: str) -> Entry | None:
    """The tenant's own champion; None where the shared or the shipped one judges."""
    with database.transaction() as connection:
        row = connection.execute(
            f"{_ENTRY} WHERE r.tenant = %s AND r.model = %s AND r.state = 'champion'".encode(), (tenant, model)
        ).fetchone()
    return None if row is None else Entry(*row)


def steps(database: Database, tenant: str, model: str) -> list[Step]:
    """In the order in which they were done."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT tenant, model, model_id, state, before, at, actor, second, reason FROM store.model_steps "
            "WHERE tenant = %s AND model = %s ORDER BY id",
            (tenant, model),
        ).fetchall()
    return [Step(*row) for row in rows]


def use(database: Database, model: str) -> list[Use]:
    """What each shard was last told about a model."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT shard, model, part, coalesce(digest, ''), from_offset, created, placed, refused FROM public.model_use "
            "WHERE model = %s ORDER BY shard, part",
            (model,),
        ).fetchall()
    return [Use(*row) for row in rows]


def add_approval(database: Database, tenant: str, model_id: str, approver: str, statement: bytes, signature: bytes, now: int) -> None:
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO store.model_approvals (tenant, model_id, approver, statement, signature, given) VALUES (%s, %s, %s, %b, %b, %s)",
            (tenant, model_id, approver, statement, signature, moment(now)),
        )
        audit.append(connection, audit.Entry(tenant, approver, "model.approve", model_id, {}), now)


def approvals(database: Database, digest: str, tenants: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """(statement, signature), the newest first."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT p.statement, p.signature FROM store.model_approvals p JOIN store.artefacts a USING (tenant, model_id) "
            "WHERE a.digest = %s AND a.tenant = ANY(%s) ORDER BY p.id DESC",
            (digest, list(tenants)), binary=True,
        ).fetchall()  # fmt: skip
    return [(bytes(statement), bytes(signature)) for statement, signature in rows]


def add_gates(database: Database, tenant: str, model_id: str, results: bytes, report: object, now: int) -> None:
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO store.model_gates (tenant, model_id, run, computed, results, report) VALUES (%s, %s, %s, %s, %b, %s::jsonb)",
            (tenant, model_id, now, moment(now), results, msgspec.json.encode(report).decode()),
        )


def gates(database: Database, tenant: str, model_id: str) -> tuple[datetime, bytes, dict[str, object]] | None:
    """(when, results, report) of the latest run."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT computed, results, report FROM store.model_gates WHERE tenant = %s AND model_id = %s ORDER BY run DESC LIMIT 1",
            (tenant, model_id),
        ).fetchone()
    return None if row is None else (row[0], bytes(row[1]), row[2])
