"""What a candidate beside the champion would have said: counts that add up, incidents apart from the real ones."""

from __future__ import annotations

from detector.judge.findings import Changes, Incident
from detector.store.database import Connection, as_json, clean, moment


def write(connection: Connection, changes: Changes) -> None:
    """In the transaction of the batch, so that nothing is counted twice."""
    for one in changes.shadows:
        connection.execute(
            """
            INSERT INTO store.shadow_counts AS c
                (shard, model_id, model, rows, sampled, candidate_alerts, champion_alerts, first, last)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (shard, model_id) DO UPDATE SET rows = c.rows + excluded.rows, sampled = c.sampled + excluded.sampled,
                candidate_alerts = c.candidate_alerts + excluded.candidate_alerts,
                champion_alerts = c.champion_alerts + excluded.champion_alerts,
                first = least(c.first, excluded.first), last = greatest(c.last, excluded.last)
            """,
            (changes.shard, one.model_id, one.model, one.rows, one.sampled, *one.alerts, moment(one.first), moment(one.last)),
        )
        rows = [_row(changes.shard, one.model_id, side, incident) for side, incident in one.incidents]
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(_INCIDENT, rows)


_INCIDENT = """
INSERT INTO store.shadow_incidents
    (shard, model_id, side, id, model, family, entity_kind, entity_value, title, opened, updated, worst_p, events)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s)
ON CONFLICT (shard, model_id, side, id) DO UPDATE
    SET updated = excluded.updated, worst_p = excluded.worst_p, events = excluded.events
"""


def _row(shard: str, model_id: str, side: str, incident: Incident) -> tuple[object, ...]:
    return (
        shard, model_id, side, incident.id, incident.model, incident.family, incident.entity_kind, clean(incident.entity_value),
        as_json(incident.title), moment(incident.opened), moment(incident.updated), incident.worst_p, incident.events,
    )  # fmt: skip
