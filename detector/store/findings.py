"""The transaction of SCORE: one batch of one shard, written whole or not at all, once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from detector.judge import budget
from detector.judge.findings import Changes, EventSample, EvidenceRow, Incident
from detector.store.claims import Claim, Input
from detector.store.database import Connection, Database, Fenced, clean, held, moment


@dataclass(frozen=True, slots=True)
class Applied:
    """What the transaction decided: incidents whose notification was sent off, inputs that take effect from `next` on."""

    notified: tuple[str, ...]
    inputs: tuple[Input, ...]


def apply(database: Database, mine: Claim, first: int, next_: int, changes: Changes, now: int, per_day: int) -> Applied:
    """Writes what the messages in [first, next_) of the shard changed. `now` in µs; `per_day` notifications per tenant.

    Repeating it after a lost connection changes nothing and gives the same inputs (and no notified ids).
    Raises Fenced when the shard has a newer owner or stands elsewhere, Away when the database does not answer.
    """
    make_days(database, changes.opened)
    with database.transaction() as connection:
        moved = connection.execute(
            "UPDATE store.shards SET applied = %s, moved = %s WHERE shard = %s AND epoch = %s AND applied = %s",
            (next_, moment(now), mine.shard, mine.epoch, first),
        )
        if moved.rowcount == 0:
            _done_before(connection, mine, next_)
            return Applied((), _inputs_at(connection, mine.shard, next_))
        _write_incidents(connection, changes, now)
        _write_evidence(connection, changes)
        _write_samples(connection, changes)
        sent = _notify(connection, mine.tenant, changes, now, per_day)
        connection.execute("UPDATE store.inputs SET from_offset = %s WHERE shard = %s AND from_offset IS NULL", (next_, mine.shard))
        return Applied(sent, _inputs_at(connection, mine.shard, next_))


def _done_before(connection: Connection, mine: Claim, next_: int) -> None:
    """The row that says so was written by ourselves when the connection fell between COMMIT and its answer."""
    row = connection.execute("SELECT epoch, applied FROM store.shards WHERE shard = %s", (mine.shard,)).fetchone()
    if row != (mine.epoch, next_):
        raise Fenced(f"Another instance has taken over the shard {mine.shard}; this one stops.")


def _inputs_at(connection: Connection, shard: str, offset: int) -> tuple[Input, ...]:
    rows = connection.execute(
        "SELECT id, from_offset, kind, payload FROM store.inputs WHERE shard = %s AND from_offset = %s ORDER BY id", (shard, offset)
    )
    return tuple(Input(*row) for row in rows.fetchall())


def _day(incident: Incident) -> dt.date:
    return moment(incident.opened).date()


def make_days(database: Database, opened: Sequence[Incident]) -> None:
    """Makes the partitions of these openings, in a transaction of its own: readers must not wait for the batch."""
    days = sorted({_day(incident) for incident in opened})
    if not days:
        return
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT d FROM unnest(%s::date[]) AS d WHERE to_regclass('store.samples_' || to_char(d, 'YYYYMMDD')) IS NULL", (days,)
        )
        for (day,) in rows.fetchall():
            connection.execute("SELECT store.make_day(%s)", (day,))


def _write_incidents(connection: Connection, changes: Changes, now: int) -> None:
    rows = [_incident_row(incident, now) for incident in (*changes.opened, *changes.updated)]
    if not rows:
        return
    names = ", ".join(rows[0])
    values = ", ".join(f"%({name})s{_CAST.get(name, '')}" for name in rows[0])
    course = ", ".join(f"{name} = excluded.{name}" for name in COURSE)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO store.incidents ({names}) VALUES ({values}) ON CONFLICT (id) DO UPDATE SET {course}".encode(),  # noqa: S608 - names of ours
            rows,
        )


# What may change after the opening; the rest is a fact (I8), and the daemon's role may not even update it.
COURSE = ("updated", "severity", "worst_p", "worst_score", "events", "got_in")
_CAST = {"title": "::jsonb", "counterfactual": "::jsonb", "reasons": "::jsonb"}


def _incident_row(incident: Incident, now: int) -> dict[str, object]:
    return {
        "id": incident.id,
        "day": _day(incident),
        "shard": incident.shard,
        "tenant": incident.tenant,
        "site": incident.site,
        "model": incident.model,
        "model_id": incident.model_id,
        "family": incident.family,
        "entity_kind": incident.entity_kind,
        "entity_value": clean(incident.entity_value),
        "techniques": list(incident.techniques),
        "opened": moment(incident.opened),
        "closes_at": moment(now + incident.closes_at - incident.opened),
        "p_value": incident.p_value,
        "score": incident.score,
        "opening_severity": incident.severity,
        "urgent": incident.urgent,
        "title": as_json(incident.title),
        "counterfactual": as_json(incident.counterfactual),
        "reasons": as_json(incident.reasons),
        "recorded": moment(now),
        "updated": moment(incident.updated),
        "severity": incident.severity,
        "worst_p": incident.worst_p,
        "worst_score": incident.worst_score,
        "events": incident.events,
        "got_in": incident.got_in,
    }


def _write_evidence(connection: Connection, changes: Changes) -> None:
    flat = [_evidence_row(id_, row) for id_, rows in changes.evidence.items() for row in rows]
    if not flat:
        return
    connection.execute(
        """
        INSERT INTO store.evidence AS e (day, incident, field, value, events, first, last)
        SELECT i.day, i.id, r.field, r.value, sum(r.events),
            'epoch'::timestamptz + min(r.first) * interval '1 microsecond', 'epoch'::timestamptz + max(r.last) * interval '1 microsecond'
        FROM json_to_recordset(%s::json) AS r (incident uuid, field text, value text, events bigint, first bigint, last bigint)
        JOIN store.incidents AS i ON i.id = r.incident
        GROUP BY 1, 2, 3, 4
        ON CONFLICT (day, incident, field, value) DO UPDATE
            SET events = e.events + excluded.events, first = least(e.first, excluded.first), last = greatest(e.last, excluded.last)
        """,
        (msgspec.json.encode(flat).decode(),),  # one text: arrays of parameters cost ten times as much here
    )


def _evidence_row(id_: str, row: EvidenceRow) -> dict[str, object]:
    return {
        "incident": id_, "field": row.field, "value": clean(row.value), "events": row.events,
        "first": held(row.first), "last": held(row.last),
    }  # fmt: skip


def _write_samples(connection: Connection, changes: Changes) -> None:
    flat: list[tuple[str, EventSample]] = [(id_, sample) for id_, samples in changes.samples.items() for sample in samples]
    if not flat:
        return
    connection.execute(
        """
        INSERT INTO store.samples (day, incident, time, topic, partition, position, fields)
        SELECT i.day, i.id, r.time, r.topic, r.partition, r.position, r.fields::jsonb
        FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[], %s::integer[], %s::bigint[], %s::text[])
            AS r (incident, time, topic, partition, position, fields)
        JOIN store.incidents AS i ON i.id = r.incident
        ON CONFLICT DO NOTHING
        """,
        (
            [id_ for id_, _ in flat],
            [moment(sample.time) for _, sample in flat],
            [sample.topic for _, sample in flat],
            [sample.partition for _, sample in flat],
            [sample.offset for _, sample in flat],
            [as_json(sample.fields) for _, sample in flat],
        ),
    )


def _notify(connection: Connection, tenant: str, changes: Changes, now: int, per_day: int) -> tuple[str, ...]:
    """Spends the tenant's budget; what does not fit is marked as held and stays in the list. Returns the ids that go out."""
    if not changes.notify:
        return ()
    wanted = {incident.id: incident for incident in (*changes.opened, *changes.updated)}
    bucket = _locked_bucket(connection, tenant, now, per_day)
    sent = []
    for id_ in changes.notify:
        incident = wanted[id_]
        bucket, answer = budget.decide(bucket, per_day, incident.urgent, now)
        connection.execute(
            """
            UPDATE store.incidents SET
                notification = CASE WHEN notification = 'sent' THEN 'sent' ELSE %(answer)s END,
                notified = CASE WHEN %(answer)s = 'sent' THEN %(now)s ELSE notified END
            WHERE id = %(id)s
            """,
            {"answer": answer, "now": moment(now), "id": id_},
        )
        if answer == "sent":
            _enqueue(connection, incident, now)
            sent.append(id_)
    connection.execute("UPDATE store.buckets SET tokens = %s, refilled = %s WHERE tenant = %s", (bucket.tokens, bucket.at, tenant))
    return tuple(sent)


def _locked_bucket(connection: Connection, tenant: str, now: int, per_day: int) -> budget.Bucket:
    fresh = budget.full(per_day, now)
    connection.execute(
        "INSERT INTO store.buckets (tenant, tokens, refilled) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", (tenant, fresh.tokens, fresh.at)
    )
    row = connection.execute("SELECT tokens, refilled FROM store.buckets WHERE tenant = %s FOR UPDATE", (tenant,)).fetchone()
    assert row is not None
    return budget.Bucket(*row)


def _enqueue(connection: Connection, incident: Incident, now: int) -> None:
    connection.execute(
        """
        INSERT INTO store.outbox (id, incident, tenant, created, payload)
        SELECT %(id)s || '/' || count(*) + 1, %(id)s::uuid, %(tenant)s, %(now)s, %(payload)s::jsonb
        FROM store.outbox WHERE incident = %(id)s::uuid
        """,
        {
            "id": incident.id,
            "tenant": incident.tenant,
            "now": moment(now),
            "payload": as_json(replace(incident, entity_value=clean(incident.entity_value))),
        },
    )


def as_json(value: object) -> str:
    """JSON that PostgreSQL's jsonb takes: it knows no NUL character, and NaN becomes null."""
    return msgspec.json.encode(value).decode().replace("\\u0000", "\\ufffd")
