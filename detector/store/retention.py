"""The night: what is past its time goes, table by table, each in a transaction of its own together with its record.

Killed in the middle, the next night goes on in the same run: what was deleted is recorded, what was not is still due. The
functions of 0012_retention.sql decide what goes; here stands only the order, so the daemon's role can delete nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.store import audit, promotion
from detector.store.database import EPOCH, Connection, Database, moment

PARTITION = "20[0-9]{6}$"
LOCK = 0x7475_6E69  # of PostgreSQL's advisory locks


@dataclass(frozen=True, slots=True)
class Periods:
    """Days by key of [retention], and what single tenants have otherwise."""

    days: Mapping[str, int]
    by_tenant: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def of(self, tenant: str, period: str) -> int:
        return self.by_tenant.get(tenant, {}).get(period) or self.days[period]

    def by_name(self, period: str) -> dict[str, int]:
        """For each tenant that has its own, and "" for the others."""
        return {"": self.days[period]} | {tenant: self.of(tenant, period) for tenant in self.by_tenant}


class Deleted(msgspec.Struct, frozen=True):
    """One line of a deletion record. Times as ISO 8601 in UTC, `first` and `last` of what went."""

    tenant: str
    relation: str
    rows: int
    first: str | None
    last: str | None
    before: str


class Record(msgspec.Struct, frozen=True):
    """What a run deleted; `kept` counts legal holds in force."""

    run: int
    began: str
    ended: str
    deleted: list[Deleted]
    holds: int


Outside = Callable[[int], list[Deleted]]  # deletes where no table of ours is (Grafana, Kafka); given `now`


def night(
    database: Database, periods: Periods, now: int, key: Ed25519PrivateKey | None = None, outside: Outside | None = None
) -> Record | None:
    """Deletes everything that is past its time at `now` (µs), and says what; None when another process is at it.

    Raises Away, also when the disk is full or a reader holds a table; the next call goes on.
    """
    with database.transaction() as connection:
        alone = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()  # until it is given back, or we fall
    if alone != (True,):
        return None
    try:
        return _night(database, periods, now, key, outside)
    finally:
        database.close()  # and with it the lock


def _night(database: Database, periods: Periods, now: int, key: Ed25519PrivateKey | None, outside: Outside | None) -> Record:
    run = _begin(database, now)
    for day in _days(database):
        with database.transaction() as connection:
            keep = msgspec.json.encode(periods.by_name("evidence")).decode()
            connection.execute("SELECT store.forget_day(%s, %s::jsonb, %s, %s)", (day, keep, moment(now), run))
    for tenant in _tenants(database, periods):
        _tenant(database, tenant, periods, now, run)
    elsewhere = [] if outside is None else outside(now)
    return _finish(database, run, elsewhere, now, key)


def _begin(database: Database, now: int) -> int:
    """A run that was cut off, or a new one."""
    with database.transaction() as connection:
        row = connection.execute(
            """
            WITH open AS (SELECT id FROM store.deletion_runs WHERE ended IS NULL ORDER BY id LIMIT 1),
            made AS (
                INSERT INTO store.deletion_runs (began) SELECT %s::timestamptz WHERE NOT EXISTS (SELECT FROM open) RETURNING id
            )
            SELECT id FROM open UNION ALL SELECT id FROM made
            """,
            (moment(now),),
        ).fetchone()
        assert row is not None
        return int(row[0])


def _days(database: Database) -> list[dt.date]:
    with database.transaction() as connection:
        rows = connection.execute(
            """
            SELECT DISTINCT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent IN ('store.evidence'::regclass, 'store.samples'::regclass) AND c.relname ~ %s ORDER BY 1
            """,
            (PARTITION,),
        ).fetchall()
    return [day for (day,) in rows]


def _tenants(database: Database, periods: Periods) -> list[str]:
    """All that ever were, and "" for what belongs to every tenant."""
    with database.transaction() as connection:
        rows = connection.execute("SELECT tenant FROM store.tenants UNION SELECT tenant FROM store.audit_heads").fetchall()
    return sorted({tenant for (tenant,) in rows} | set(periods.by_tenant) | {""})


def _tenant(database: Database, tenant: str, periods: Periods, now: int, run: int) -> None:
    at = moment(now)
    evidence = periods.of(tenant, "evidence")
    with database.transaction() as connection:
        connection.execute("SELECT store.redact(%s, %s, %s, %s)", (tenant, evidence, at, run))
    with database.transaction() as connection:
        row = connection.execute("SELECT store.forget_states(%s, %s, %s, %s)", (tenant, evidence, at, run)).fetchone()
        for shard in [] if row is None else row[0]:
            promotion.greet(connection, shard, tenant, now)  # its models were said at offsets that its new state does not know
    for relation, period in _rules(database):
        with database.transaction() as connection:
            connection.execute("SELECT store.forget(%s, %s, %s, %s, %s)", (relation, tenant, periods.of(tenant, period), at, run))
    with database.transaction() as connection:
        edge = moment(now - periods.of(tenant, "audit") * 86_400_000_000)
        connection.execute("SELECT store.audit_forget(%s, %s, %s)", (tenant, edge, at))


def _rules(database: Database) -> list[tuple[str, str]]:
    """(table, period) in the order that their references ask for."""
    with database.transaction() as connection:
        return connection.execute(
            "SELECT relation, period FROM store.keepings WHERE how = 'rows' AND to_regclass('store.' || relation) IS NOT NULL"
            " ORDER BY rank, relation"
        ).fetchall()


def _finish(database: Database, run: int, elsewhere: list[Deleted], now: int, key: Ed25519PrivateKey | None) -> Record:
    with database.transaction() as connection:
        record = _record(connection, run, elsewhere, now)
        document = msgspec.json.encode(record)
        connection.execute(
            "UPDATE store.deletion_runs SET ended = %s, document = %s, key = %s, signature = %s WHERE id = %s",
            (
                moment(now), document.decode(), None if key is None else audit.fingerprint(key.public_key()),
                None if key is None else key.sign(signed_text(document)), run,
            ),
        )  # fmt: skip
        rows = sum(line.rows for line in record.deleted)
        audit.append(connection, audit.Entry("", "daemon", "retention.run", str(run), {"rows": rows, "holds": record.holds}), now)
    return record


def signed_text(document: bytes) -> bytes:
    return b"tuermer deletion record 1\n" + document


def _record(connection: Connection, run: int, elsewhere: list[Deleted], now: int) -> Record:
    rows = connection.execute(
        "SELECT tenant, relation, sum(rows)::bigint, min(first), max(last), max(before) FROM store.deletions WHERE run = %s"
        " GROUP BY tenant, relation ORDER BY tenant, relation",
        (run,),
    ).fetchall()
    began = connection.execute("SELECT began FROM store.deletion_runs WHERE id = %s", (run,)).fetchone()
    holds = connection.execute("SELECT count(*) FROM store.holds WHERE ended IS NULL AND expires > %s", (moment(now),)).fetchone()
    assert began is not None
    assert holds is not None
    deleted = [Deleted(row[0], row[1], row[2], _iso(row[3]), _iso(row[4]), str(_iso(row[5]))) for row in rows]
    return Record(run, str(_iso(began[0])), str(_iso(moment(now))), deleted + elsewhere, holds[0])


def _iso(at: dt.datetime | None) -> str | None:
    return None if at is None else at.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def last_run(connection: Connection) -> dt.datetime | None:
    row = connection.execute("SELECT max(ended) FROM store.deletion_runs").fetchone()
    return None if row is None else row[0]


def microseconds(at: dt.datetime) -> int:
    return (at - EPOCH) // dt.timedelta(microseconds=1)
