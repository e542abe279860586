"""The transaction of SCORE: one batch of one shard, written whole or not at all, once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from detector.judge.findings import Changes, Episode, EventSample, EvidenceRow, Incident
from detector.judge.policy import Policy
from detector.store import devices, misses, notify, reservoir, shadows
from detector.store.claims import Claim, Input, inputs_at
from detector.store.database import Connection, Database, Fenced, as_json, clean, held, moment


@dataclass(frozen=True, slots=True)
class Applied:
    """What the transaction decided: incidents whose notification was sent off, inputs that take effect from `next` on."""

    notified: tuple[str, ...]
    inputs: tuple[Input, ...]


def apply(database: Database, mine: Claim, first: int, next_: int, changes: Changes, now: int, policy: Policy) -> Applied:
    """Writes what the messages in [first, next_) of the shard changed, and decides who is told. `now` in µs.

    Repeating it after a lost connection changes nothing and gives the same inputs (and no notified ids).
    Raises Fenced when the shard has a newer owner or stands elsewhere, Away when the database does not answer.
    """
    make_days(database, changes.episodes)
    with database.transaction() as connection:
        moved = connection.execute(
            "UPDATE store.shards SET applied = %s, moved = %s WHERE shard = %s AND epoch = %s AND applied = %s",
            (next_, moment(now), mine.shard, mine.epoch, first),
        )
        if moved.rowcount == 0:
            _done_before(connection, mine, next_)
            return Applied((), inputs_at(connection, mine.shard, next_))
        _write_incidents(connection, changes, now)
        _write_episodes(connection, changes, now)
        _write_evidence(connection, changes)
        _write_samples(connection, changes)
        misses.write(connection, changes)
        devices.write(connection, changes.shard, changes.devices)
        reservoir.write(connection, changes.shard, changes.blocks)
        sent = notify.decide_all(connection, mine.tenant, changes, now, policy)
        shadows.write(connection, changes)
        connection.execute(
            "UPDATE store.inputs SET from_offset = %s, placed = %s "
            "WHERE shard = %s AND from_offset IS NULL AND refused IS NULL AND NOT waits",
            (next_, moment(now), mine.shard),
        )
        return Applied(sent, inputs_at(connection, mine.shard, next_))


def _done_before(connection: Connection, mine: Claim, next_: int) -> None:
    """The row that says so was written by ourselves when the connection fell between COMMIT and its answer."""
    row = connection.execute("SELECT epoch, applied FROM store.shards WHERE shard = %s", (mine.shard,)).fetchone()
    if row != (mine.epoch, next_):
        raise Fenced(f"Another instance has taken over the shard {mine.shard}; this one stops.")


def _day(episode: Episode) -> dt.date:
    """The partition that its evidence lies in."""
    return moment(episode.opened).date()


def _began(incident: Incident) -> int:
    return incident.opened if incident.episode == 1 else incident.episode_opened


def make_days(database: Database, episodes: Sequence[Episode]) -> None:
    """Makes the partitions of these episodes, in a transaction of its own: readers must not wait for the batch."""
    days = sorted({_day(episode) for episode in episodes})
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
    course = ", ".join(f"{name} = excluded.{name}" for name in COURSE)
    # The end of an episode is set once, when it begins; it is clock time, so a later batch would move it.
    course += ", closes_at = CASE WHEN excluded.episode > old.episode THEN excluded.closes_at ELSE old.closes_at END"
    _upsert(connection, "store.incidents AS old", rows, "id", course)


def _write_episodes(connection: Connection, changes: Changes, now: int) -> None:
    rows = [_episode_row(episode, now) for episode in changes.episodes]
    if not rows:
        return
    course = ", ".join(f"{name} = excluded.{name}" for name in EPISODE_COURSE)
    _upsert(connection, "store.episodes", rows, "incident, number", course)


def _upsert(connection: Connection, table: str, rows: list[dict[str, object]], key: str, course: str) -> None:
    names = ", ".join(rows[0])
    values = ", ".join(f"%({name})s{_CAST.get(name, '')}" for name in rows[0])
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT ({key}) DO UPDATE SET {course}".encode(),  # noqa: S608 - names of ours
            rows,
        )


# What may change after the opening; the rest is a fact (I8), and the daemon's role may not even update it.
COURSE = (
    "updated", "severity", "worst_p", "worst_score", "events", "got_in", "critical", "spread", "episode", "episode_opened",
    "episode_events", "usual_low", "usual_high",
)  # fmt: skip
EPISODE_COURSE = ("updated", "worst_p", "worst_score", "events", "got_in")
_CAST = {"title": "::jsonb", "counterfactual": "::jsonb", "reasons": "::jsonb"}


def _incident_row(incident: Incident, now: int) -> dict[str, object]:
    return {
        "id": incident.id,
        "day": moment(incident.opened).date(),
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
        "closes_at": moment(now + incident.closes_at - _began(incident)),
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
        "volume": incident.volume,
        "critical": incident.critical,
        "spread": incident.spread,
        "episode": incident.episode,
        "episode_opened": moment(_began(incident)),
        "episode_events": incident.episode_events,
        "usual_low": None if incident.usual is None else incident.usual[0],
        "usual_high": None if incident.usual is None else incident.usual[1],
    }


def _episode_row(episode: Episode, now: int) -> dict[str, object]:
    return {
        "incident": episode.incident,
        "number": episode.number,
        "day": _day(episode),
        "opened": moment(episode.opened),
        "closes_at": moment(now + episode.closes_at - episode.opened),
        "model": episode.model,
        "model_id": episode.model_id,
        "p_value": episode.p_value,
        "score": episode.score,
        "reasons": as_json(episode.reasons),
        "counterfactual": as_json(episode.counterfactual),
        "updated": moment(episode.updated),
        "worst_p": episode.worst_p,
        "worst_score": episode.worst_score,
        "events": episode.events,
        "got_in": episode.got_in,
    }


def _write_evidence(connection: Connection, changes: Changes) -> None:
    flat = [_evidence_row(id_, row) for id_, rows in changes.evidence.items() for row in rows]
    if not flat:
        return
    connection.execute(
        """
        INSERT INTO store.evidence AS e (day, incident, episode, field, value, events, first, last)
        SELECT p.day, p.incident, p.number, r.field, r.value, sum(r.events),
            'epoch'::timestamptz + min(r.first) * interval '1 microsecond', 'epoch'::timestamptz + max(r.last) * interval '1 microsecond'
        FROM json_to_recordset(%s::json) AS r
            (incident uuid, episode integer, field text, value text, events bigint, first bigint, last bigint)
        JOIN store.episodes AS p ON p.incident = r.incident AND p.number = r.episode
        GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT (day, incident, episode, field, value) DO UPDATE
            SET events = e.events + excluded.events, first = least(e.first, excluded.first), last = greatest(e.last, excluded.last)
        """,
        (msgspec.json.encode(flat).decode(),),  # one text: arrays of parameters cost ten times as much here
    )


def _evidence_row(id_: str, row: EvidenceRow) -> dict[str, object]:
    return {
        "incident": id_, "episode": row.episode, "field": row.field, "value": clean(row.value), "events": row.events,
        "first": held(row.first), "last": held(row.last),
    }  # fmt: skip


def _write_samples(connection: Connection, changes: Changes) -> None:
    flat: list[tuple[str, EventSample]] = [(id_, sample) for id_, samples in changes.samples.items() for sample in samples]
    if not flat:
        return
    connection.execute(
        """
        INSERT INTO store.samples (day, incident, episode, time, topic, partition, position, fields)
        SELECT p.day, p.incident, p.number, r.time, r.topic, r.partition, r.position, r.fields::jsonb
        FROM unnest(%s::uuid[], %s::integer[], %s::timestamptz[], %s::text[], %s::integer[], %s::bigint[], %s::text[])
            AS r (incident, episode, time, topic, partition, position, fields)
        JOIN store.episodes AS p ON p.incident = r.incident AND p.number = r.episode
        ON CONFLICT DO NOTHING
        """,
        (
            [id_ for id_, _ in flat],
            [sample.episode for _, sample in flat],
            [moment(sample.time) for _, sample in flat],
            [sample.topic for _, sample in flat],
            [sample.partition for _, sample in flat],
            [sample.offset for _, sample in flat],
            [as_json(sample.fields) for _, sample in flat],
        ),
    )
