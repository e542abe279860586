"""Who owns a shard, how far it has come, its snapshot and its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from detector.judge.policy import Policy
from detector.store import learning, promotion
from detector.store.database import Connection, Database, Fenced, StoreError, clean, moment

PART = 16 * 1024 * 1024  # a value in PostgreSQL may not exceed 1 GB, and one message should not be that large either


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A shard's state after every message below `next`, as bytes of its core."""

    next: int
    schema: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write a shard until somebody claims it again. `applied`: the first offset not yet written when it was claimed."""

    shard: str
    tenant: str
    epoch: int
    origin: int
    applied: int
    snapshot: Snapshot | None


@dataclass(frozen=True, slots=True)
class Input:
    """Something that changes the state just before the message at `from_offset`."""

    id: int
    from_offset: int
    kind: str
    payload: Mapping[str, object]


def tenant_and_site(shard: str) -> tuple[str, str]:
    tenant, _, site = shard.partition("/")
    return tenant, site


def claim(database: Database, policy: Policy, shard: str, now: int, place: str = "local", owner: str = "", origin: int = 0) -> Claim:
    """Makes us the owner: raises the epoch, which fences the owner before, and reads the snapshot. A new tenant begins to learn.

    `place` names the log that offsets count in; a new shard begins at `origin`. Raises StoreError for a shard of another log.
    """
    tenant, site = tenant_and_site(shard)
    with database.transaction() as connection:
        promotion.hold(connection)  # no promotion may fall between the shard's first row and its models
        learning.begin(connection, tenant, policy.learning_days, policy.zone(tenant), now)
        row = connection.execute(
            """
            INSERT INTO store.shards AS s (shard, tenant, site, place, owner, claimed, origin, applied)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (shard) DO UPDATE
                SET epoch = s.epoch + 1, owner = excluded.owner, claimed = excluded.claimed
            RETURNING epoch, origin, applied, place, xmax = 0
            """,
            (shard, tenant, site, place, owner, moment(now), origin, origin),
        ).fetchone()
        assert row is not None
        if row[3] != place:
            raise StoreError(
                f"The shard {shard} was read from {row[3]}, not from {place}: use another database, or another tenant or site."
            )
        if row[4]:
            promotion.greet(connection, shard, tenant, now)
        return Claim(shard, tenant, row[0], row[1], row[2], _snapshot(connection, shard))


def known(database: Database, place: str) -> list[str]:
    """The shards that were seen in this log."""
    with database.transaction() as connection:
        rows = connection.execute("SELECT shard FROM store.shards WHERE place = %s ORDER BY shard", (place,)).fetchall()
    return [shard for (shard,) in rows]


def _snapshot(connection: Connection, shard: str) -> Snapshot | None:
    row = connection.execute("SELECT next, schema FROM store.snapshots WHERE shard = %s", (shard,)).fetchone()
    if row is None:
        return None
    parts = connection.execute("SELECT payload FROM store.snapshot_parts WHERE shard = %s ORDER BY part", (shard,), binary=True)
    return Snapshot(row[0], row[1], b"".join(part for (part,) in parts))


def save_snapshot(database: Database, mine: Claim, next_: int, schema: str, payload: bytes, now: int) -> None:
    """Replaces the shard's snapshot. Raises Fenced when the shard has a newer owner."""
    with database.transaction() as connection:
        _hold(connection, mine)
        connection.execute("DELETE FROM store.snapshots WHERE shard = %s", (mine.shard,))
        connection.execute(
            "INSERT INTO store.snapshots (shard, next, schema, bytes, saved) VALUES (%s, %s, %s, %s, %s)",
            (mine.shard, next_, schema, len(payload), moment(now)),
        )
        for part, start in enumerate(range(0, len(payload), PART)):
            connection.execute(
                "INSERT INTO store.snapshot_parts (shard, part, payload) VALUES (%s, %s, %b)",
                (mine.shard, part, payload[start : start + PART]),
            )


def move_snapshot(database: Database, mine: Claim, next_: int, now: int) -> bool:
    """Says that the snapshot also holds at `next_`: nothing for this shard came in between. Raises Fenced.

    False when there is none: the shard was silent for so long that the night has deleted it (store.forget_states).
    """
    with database.transaction() as connection:
        _hold(connection, mine)
        moved = connection.execute(
            "UPDATE store.snapshots SET next = greatest(next, %s), saved = %s WHERE shard = %s", (next_, moment(now), mine.shard)
        )
        return moved.rowcount == 1


def _hold(connection: Connection, mine: Claim) -> None:
    row = connection.execute("SELECT epoch FROM store.shards WHERE shard = %s FOR UPDATE", (mine.shard,)).fetchone()
    if row != (mine.epoch,):
        raise Fenced(f"Another instance has taken over the shard {mine.shard}; this one stops.")


def add_input(database: Database, shard: str, kind: str, payload: Mapping[str, object], now: int) -> int:
    """Stores something that shall change the shard's state; it takes effect from the next batch on, at a fixed offset."""
    with database.transaction() as connection:
        row = connection.execute(
            "INSERT INTO store.inputs (shard, kind, payload, created) VALUES (%s, %s, %s::jsonb, %s) RETURNING id",
            (shard, kind, msgspec.json.encode(payload).decode(), moment(now)),
        ).fetchone()
        assert row is not None
        return int(row[0])


def inputs_since(database: Database, shard: str, offset: int) -> list[Input]:
    """Inputs with their place at or after `offset`, in the order in which they take effect."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT id, from_offset, kind, payload FROM store.inputs WHERE shard = %s AND from_offset >= %s ORDER BY from_offset, id",
            (shard, offset),
        ).fetchall()
    return [Input(*row) for row in rows]


def waiting(database: Database, shards: Sequence[str]) -> dict[str, list[Input]]:
    """Inputs of these shards that have no offset yet, by shard, in the order in which they were given."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT shard, id, 0, kind, payload FROM store.inputs "
            "WHERE from_offset IS NULL AND refused IS NULL AND shard = ANY(%s) ORDER BY id",
            (list(shards),),
        ).fetchall()
    found: dict[str, list[Input]] = {}
    for shard, *entry in rows:
        found.setdefault(shard, []).append(Input(*entry))
    return found


def place(database: Database, mine: Claim, offset: int, ready: Sequence[int], refused: Mapping[int, str], now: int) -> tuple[Input, ...]:
    """Lets inputs take effect at `offset`, the first that is not yet written; returns all that do so there. Raises Fenced.

    `refused`: why others never will, by id. Repeating it changes nothing.
    """
    with database.transaction() as connection:
        _hold(connection, mine)
        connection.execute(
            "UPDATE store.inputs SET from_offset = %s, placed = %s WHERE id = ANY(%s) AND from_offset IS NULL",
            (offset, moment(now), list(ready)),
        )
        for number, why in refused.items():
            connection.execute("UPDATE store.inputs SET refused = %s WHERE id = %s AND from_offset IS NULL", (clean(why), number))
        return inputs_at(connection, mine.shard, offset)


def inputs_at(connection: Connection, shard: str, offset: int) -> tuple[Input, ...]:
    rows = connection.execute(
        "SELECT id, from_offset, kind, payload FROM store.inputs WHERE shard = %s AND from_offset = %s ORDER BY id", (shard, offset)
    )
    return tuple(Input(*row) for row in rows.fetchall())


def report(database: Database, component: str, instance: str, values: Mapping[str, float], now: int) -> None:
    """Writes the one row of this process in the table `health`."""
    with database.transaction() as connection:
        connection.execute(
            """
            INSERT INTO store.health (component, instance, reported, values) VALUES (%s, %s, %s, %s::jsonb)
            ON CONFLICT (component, instance) DO UPDATE SET reported = excluded.reported, values = excluded.values
            """,
            (component, instance, moment(now), msgspec.json.encode(values).decode()),
        )
