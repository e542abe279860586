"""Health incidents: what is not well, opened once, kept as long as it lasts, closed when it is found well; each told once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from detector.judge.health import DAY, Ailment, Operation
from detector.store import drift
from detector.store.database import EPOCH, Connection, as_json, clean, moment

STALE_REPORT = 60  # seconds: an older report of a process says nothing about now


def keep(connection: Connection, found: Sequence[Ailment], now: int) -> tuple[int, int]:
    """Open what is new, go on with what lasts, close the rest; (opened, closed). `now` in µs."""
    opened = sum(_open(connection, ailment, now) for ailment in found)
    still = [f"{a.kind}\x1f{a.tenant}\x1f{clean(a.subject)}" for a in found]
    closed = connection.execute(
        "UPDATE store.ailments SET closed = %s WHERE closed IS NULL AND kind || E'\\x1f' || tenant || E'\\x1f' || subject <> ALL(%s)",
        (moment(now), still),
    )
    return opened, closed.rowcount


def _open(connection: Connection, ailment: Ailment, now: int) -> bool:
    """Whether it is new; what lasts only takes over the newest figures."""
    values = (ailment.severity, as_json(ailment.title), as_json(ailment.text), moment(now))
    key = (ailment.kind, ailment.tenant, clean(ailment.subject))
    lasting = connection.execute(
        "UPDATE store.ailments SET severity = %s, title = %s::jsonb, text = %s::jsonb, updated = %s "
        "WHERE closed IS NULL AND kind = %s AND tenant = %s AND subject = %s",
        (*values, *key),
    )
    if lasting.rowcount > 0:
        return False
    row = connection.execute(
        "INSERT INTO store.ailments (severity, title, text, opened, updated, kind, tenant, subject) "
        "VALUES (%s, %s::jsonb, %s::jsonb, %s, %s, %s, %s, %s) RETURNING id",
        (*values, moment(now), *key),
    ).fetchone()
    assert row is not None
    _enqueue(connection, row[0], ailment, now)
    return True


def _enqueue(connection: Connection, id_: int, ailment: Ailment, now: int) -> None:
    document = {
        "id": id_, "kind": ailment.kind, "subject": ailment.subject, "severity": ailment.severity,
        "title": ailment.title, "text": ailment.text, "opened": moment(now).isoformat(),
    }  # fmt: skip
    connection.execute(
        "INSERT INTO store.outbox (id, kind, tenant, created, payload) VALUES (%s, 'health', %s, %s, %s::jsonb)",
        (f"health/{id_}", ailment.tenant, moment(now), as_json(document)),
    )


def operation(connection: Connection, now: int, canary_missed: int = 0) -> Operation:
    """How SCORE is doing, by what is written down."""
    row = connection.execute(
        """
        SELECT coalesce(sum((values ->> 'lag_messages')::double precision), 0)::bigint
        FROM store.health WHERE component = 'score' AND reported > %s - make_interval(secs => %s)
        """,
        (moment(now), STALE_REPORT),
    ).fetchone()
    newest = connection.execute("SELECT max(last) FROM store.device_slots").fetchone()
    assert row is not None
    assert newest is not None
    behind = 0 if newest[0] is None else max(0, now - _micros(newest[0]))
    return Operation(
        int(row[0]), behind, _models(connection), _quiet(connection, now), drift.miscalibrated(connection), canary_missed,
        _grafana_away(connection, now),
    )  # fmt: skip


def _grafana_away(connection: Connection, now: int) -> int:
    """µs since Grafana does not answer, as the thread that asks it wrote lately; 0: it answers, or nobody asks it."""
    row = connection.execute(
        """
        SELECT max((values ->> 'away_seconds')::double precision) FROM store.health
        WHERE component = 'grafana' AND reported > %s - make_interval(secs => %s)
        """,
        (moment(now), 2 * STALE_REPORT),
    ).fetchone()
    return 0 if row is None or row[0] is None else int(row[0] * 1e6)


def note_models(connection: Connection, models: Mapping[str, str], now: int) -> None:
    """Since when each model (name -> model id, which holds a digest of its arrays) is in use; known ones keep their time."""
    for name, model_id in models.items():
        connection.execute(
            "INSERT INTO store.models (model_id, model, sha256, manifest, loaded) VALUES (%s, %s, '', '{}', %s) ON CONFLICT DO NOTHING",
            (model_id, name, moment(now)),
        )


def _models(connection: Connection) -> Mapping[str, int]:
    """The newest of each model, and since when it is loaded."""
    rows = connection.execute("SELECT DISTINCT ON (model) model_id, loaded FROM store.models ORDER BY model, loaded DESC").fetchall()
    return {model_id: _micros(loaded) for model_id, loaded in rows}


def _quiet(connection: Connection, now: int) -> Mapping[str, int]:
    """Events of the last 24 hours of tenants that have been here for two days and had no incident in one."""
    rows = connection.execute(
        """
        SELECT s.tenant, sum(d.events)::bigint FROM store.device_slots AS d JOIN store.shards AS s ON s.shard = d.shard
        WHERE d.slot > %(day)s AND NOT EXISTS (SELECT FROM store.incidents AS i WHERE i.tenant = s.tenant AND i.updated > %(day)s)
            AND EXISTS (
                SELECT FROM store.device_slots AS e JOIN store.shards AS t ON t.shard = e.shard
                WHERE t.tenant = s.tenant AND e.slot < %(days)s
            )
        GROUP BY s.tenant
        """,
        {"day": moment(now - DAY), "days": moment(now - 2 * DAY)},
    ).fetchall()
    return dict(rows)


def silent(connection: Connection, tenant: str, now: int) -> list[str]:
    """Names of a tenant's devices that are silent now; for the digest."""
    del now
    rows = connection.execute(
        "SELECT subject FROM store.ailments WHERE kind = 'silent' AND tenant = %s AND closed IS NULL ORDER BY subject", (tenant,)
    ).fetchall()
    return [subject for (subject,) in rows]


def _micros(at: dt.datetime) -> int:
    return (at - EPOCH) // dt.timedelta(microseconds=1)
