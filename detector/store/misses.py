"""Writes what SCORE notes beside incidents: near misses and the spread of p. In the batch's transaction, so exactly once."""

from __future__ import annotations

import datetime as dt

from detector.judge.findings import Changes, NearMiss
from detector.store.database import Connection, as_json, clean, moment

_FIRST = dt.date(1970, 1, 1)


def write(connection: Connection, changes: Changes) -> None:
    _near(connection, changes)
    _deciles(connection, changes)


def _near(connection: Connection, changes: Changes) -> None:
    """Each entity once a day, with the row that came nearest; the earlier of two equal ones stays."""
    if not changes.misses:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO store.near_misses AS n (
                shard, day, model, entity_kind, identity, entity_value, family, model_id, time, p_value, score, nearness, techniques,
                title, reasons
            ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb)
            ON CONFLICT (shard, day, model, entity_kind, identity) DO UPDATE SET
                family = excluded.family, model_id = excluded.model_id, time = excluded.time, p_value = excluded.p_value,
                score = excluded.score, nearness = excluded.nearness, techniques = excluded.techniques, title = excluded.title,
                reasons = excluded.reasons
            WHERE excluded.nearness < n.nearness
            """,
            [_row(changes.shard, miss) for miss in changes.misses],
        )


def _row(shard: str, miss: NearMiss) -> tuple[object, ...]:
    return (
        shard, day(miss.day), miss.model, miss.entity_kind, miss.identity, clean(miss.entity_value), miss.family, miss.model_id,
        moment(miss.time), miss.p_value, miss.score, miss.nearness, list(miss.techniques), as_json(miss.title), as_json(miss.reasons),
    )  # fmt: skip


def _deciles(connection: Connection, changes: Changes) -> None:
    if not changes.deciles:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO store.deciles AS d (shard, day, model, counts) VALUES (%s, %s, %s, %s)
            ON CONFLICT (shard, day, model) DO UPDATE SET counts = ARRAY(
                SELECT old + new FROM unnest(d.counts, excluded.counts) WITH ORDINALITY AS pair (old, new, place) ORDER BY place
            )
            """,
            [(changes.shard, day(one.day), one.model, list(one.counts)) for one in changes.deciles],
        )


def day(number: int) -> dt.date:
    """A local day since 1970-01-01 as a date within the years that we hold."""
    return min(max(_FIRST + dt.timedelta(days=min(max(number, 0), 1_000_000)), dt.date(2000, 1, 1)), dt.date(2099, 12, 31))
