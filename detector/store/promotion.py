"""Steps of models between states, each with its record, and the inputs that bring them to SCORE's shards in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from detector.judge import inputs
from detector.store import audit
from detector.store.database import Connection, Database, StoreError, clean, moment
from detector.store.registry import Entry, State

_LOCK = "hashtext('tuermer.registry')"


def hold(connection: Connection) -> None:
    """Shared with other shards that are claimed; keeps steps of models out until the transaction ends."""
    connection.execute(f"SELECT pg_advisory_xact_lock_shared({_LOCK})".encode())


def _alone(connection: Connection) -> None:
    connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})".encode())


def shadow(database: Database, entry: Entry, actor: str, now: int) -> int:
    """Lets a candidate judge beside the champion, in the place of the shadow before; returns how many shards it concerns."""
    with database.transaction() as connection:
        _alone(connection)
        connection.execute(
            "UPDATE store.registry SET state = 'candidate', since = %s WHERE tenant = %s AND model = %s AND state = 'shadow'",
            (moment(now), entry.tenant, entry.model),
        )
        _become(connection, entry, "shadow", now)
        _step(connection, entry, "shadow", "", actor, "", "", now)
        told = _tell(connection, entry.tenant, inputs.model(entry.model, entry.digest, "shadow"), now)
        audit.append(connection, audit.Entry(entry.tenant, actor, "model.shadow", entry.model_id, {"model": entry.model}), now)
        return told


def promote(database: Database, entry: Entry, actor: str, second: str, reason: str, failed: Sequence[str], now: int) -> int:
    """Makes a shadow the champion; the one before is retired. Returns how many shards it concerns.

    `actor` trained, `second` approved; `reason` and `failed` where gates were overridden. Raises StoreError if it is no shadow any more.
    """
    with database.transaction() as connection:
        _alone(connection)
        before = _retire(connection, entry.tenant, entry.model, now)
        if not _become(connection, entry, "champion", now, only="shadow"):
            raise StoreError(f"{entry.model_id} is no shadow any more: somebody was quicker")
        _step(connection, entry, "champion", before, actor, second, reason, now)
        told = _tell(connection, entry.tenant, inputs.model(entry.model, entry.digest, "champion"), now)
        details = {"model": entry.model, "before": before, "trainer": actor, "approver": second}
        details |= {"failed": " ".join(failed), "reason": reason}
        audit.append(connection, audit.Entry(entry.tenant, second, "model.promote", entry.model_id, details), now)
        return told


def rollback(database: Database, tenant: str, model: str, to: Entry | None, actor: str, reason: str, now: int) -> int:
    """Makes a retired model the champion again, or with None the shared or shipped one; returns how many shards it concerns."""
    with database.transaction() as connection:
        _alone(connection)
        before = _retire(connection, tenant, model, now)
        if to is not None:
            _become(connection, to, "champion", now)
        digest = _fallback(connection, tenant, model) if to is None else to.digest
        state: State = "champion"
        connection.execute(
            "INSERT INTO store.model_steps (tenant, model, model_id, state, before, at, actor, reason) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (tenant, model, "" if to is None else to.model_id, state, before, moment(now), actor, clean(reason)),
        )
        told = _tell(connection, tenant, inputs.model(model, digest, "champion"), now)
        details = {"model": model, "before": before, "reason": reason}
        audit.append(connection, audit.Entry(tenant, actor, "model.rollback", "shipped" if to is None else to.model_id, details), now)
        return told


def greet(connection: Connection, shard: str, tenant: str, now: int) -> None:
    """A new shard begins with its tenant's champions, from its first message on; with the shared ones where it has none."""
    rows = connection.execute(
        "SELECT DISTINCT ON (r.model) r.model, a.digest FROM store.registry r JOIN store.artefacts a USING (tenant, model_id) "
        "WHERE r.state = 'champion' AND r.tenant IN (%s, '') ORDER BY r.model, r.tenant DESC",
        (tenant,),
    ).fetchall()
    for model, digest in rows:
        _send(connection, [shard], inputs.model(model, digest, "champion"), now)


def _retire(connection: Connection, tenant: str, model: str, now: int) -> str:
    row = connection.execute(
        "UPDATE store.registry SET state = 'retired', since = %s WHERE tenant = %s AND model = %s AND state = 'champion' "
        "RETURNING model_id",
        (moment(now), tenant, model),
    ).fetchone()
    return "" if row is None else str(row[0])


def _become(connection: Connection, entry: Entry, state: State, now: int, only: State | None = None) -> bool:
    done = connection.execute(
        "UPDATE store.registry SET state = %s, since = %s WHERE tenant = %s AND model_id = %s AND (%s::text IS NULL OR state = %s)",
        (state, moment(now), entry.tenant, entry.model_id, only, only),
    )
    return done.rowcount == 1


def _step(connection: Connection, entry: Entry, state: State, before: str, actor: str, second: str, reason: str, now: int) -> None:
    connection.execute(
        "INSERT INTO store.model_steps (tenant, model, model_id, state, before, at, actor, second, reason) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (entry.tenant, entry.model, entry.model_id, state, before, moment(now), actor, second, clean(reason)),
    )


def _fallback(connection: Connection, tenant: str, model: str) -> str:
    """Digest of what judges a tenant without a champion of its own."""
    row = connection.execute(
        "SELECT a.digest FROM store.registry r JOIN store.artefacts a USING (tenant, model_id) "
        "WHERE r.tenant = '' AND r.model = %s AND r.state = 'champion' AND %s <> ''",
        (model, tenant),
    ).fetchone()
    return inputs.SHIPPED if row is None else str(row[0])


def _tell(connection: Connection, tenant: str, payload: dict[str, object], now: int) -> int:
    """An input for every shard concerned: the tenant's, or for a shared model those of tenants without a champion of their own."""
    rows = connection.execute(
        """
        SELECT s.shard FROM store.shards s WHERE CASE WHEN %(tenant)s <> '' THEN s.tenant = %(tenant)s ELSE NOT EXISTS (
            SELECT FROM store.registry r WHERE r.tenant = s.tenant AND r.model = %(model)s AND r.state = 'champion') END
        ORDER BY s.shard
        """,
        {"tenant": tenant, "model": payload["model"]},
    ).fetchall()
    shards = [shard for (shard,) in rows]
    _send(connection, shards, payload, now)
    return len(shards)


def _send(connection: Connection, shards: Sequence[str], payload: dict[str, object], now: int) -> None:
    connection.execute(
        "INSERT INTO store.inputs (shard, kind, payload, created, waits) "
        "SELECT shard, %s, %s::jsonb, %s, true FROM unnest(%s::text[]) AS s (shard)",
        (inputs.MODEL, msgspec.json.encode(payload).decode(), moment(now), list(shards)),
    )
