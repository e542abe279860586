"""What the database keeps of devices: SCORE's counts per ten minutes, written with the batch; and histories read from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from detector.judge.devices import FIELDS, SLOT, Facts
from detector.judge.health import DAY, MINUTE, Device, Unread
from detector.store.database import EPOCH, Connection, clean, moment

KEPT_DAYS = 8
RECENT = 20 * MINUTE
FILLED_RECENT = 30 * MINUTE
PAST_DAYS = 7


def write(connection: Connection, shard: str, facts: Sequence[Facts]) -> None:
    """Adds the batch's counts; part of its transaction, so each event counts once."""
    if not facts:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO store.device_slots AS d (shard, observer, slot, events, filled, last, off, by)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (shard, observer, slot) DO UPDATE SET
                events = d.events + excluded.events,
                filled = ARRAY(SELECT a + b FROM unnest(d.filled, excluded.filled) WITH ORDINALITY AS pair (a, b, i) ORDER BY i),
                last = greatest(d.last, excluded.last), off = d.off + excluded.off,
                by = CASE WHEN excluded.off > 0 THEN excluded.by ELSE d.by END
            """,
            [
                (
                    shard, clean(one.observer), moment(one.slot), one.events, list(one.filled), moment(one.last), one.off,
                    dt.timedelta(microseconds=one.by),
                )
                for one in facts
            ],
        )  # fmt: skip


def histories(connection: Connection, now: int) -> list[Device]:
    """Every device of the last week, as the rules want to know it at `now` (µs)."""
    before = _before(connection, now)
    filled = _filled(connection, now)
    rows = connection.execute(
        """
        SELECT shard, observer, max(last), coalesce(sum(off) FILTER (WHERE last > %(recent)s), 0)::bigint,
            (array_agg(by ORDER BY slot DESC) FILTER (WHERE off > 0 AND last > %(recent)s))[1]
        FROM store.device_slots GROUP BY shard, observer ORDER BY shard, observer
        """,
        {"recent": moment(now - RECENT)},
    ).fetchall()
    return [
        Device(
            shard, observer, (last - EPOCH) // dt.timedelta(microseconds=1), before.get((shard, observer), ()), off,
            0 if by is None else by // dt.timedelta(microseconds=1), filled.get((shard, observer)),
        )
        for shard, observer, last, off, by in rows
    ]  # fmt: skip


def _before(connection: Connection, now: int) -> dict[tuple[str, str], tuple[int, ...]]:
    """Events in the window since each silent device was last heard, so many whole days earlier, for each day of its past."""
    rows = connection.execute(
        """
        SELECT d.shard, d.observer, k.days, coalesce(sum(s.events), 0)::bigint
        FROM (
            SELECT shard, observer, min(slot) AS first, max(last) AS last FROM store.device_slots GROUP BY shard, observer
            HAVING max(last) < %(now)s - interval '10 minutes'
        ) AS d
        CROSS JOIN generate_series(1, %(most)s) AS k (days)
        LEFT JOIN store.device_slots AS s ON s.shard = d.shard AND s.observer = d.observer
            AND s.slot >= d.last - make_interval(days => k.days)
            AND s.slot + interval '10 minutes' <= %(now)s - make_interval(days => k.days)
        WHERE d.first <= d.last - make_interval(days => k.days)
        GROUP BY d.shard, d.observer, k.days ORDER BY d.shard, d.observer, k.days
        """,
        {"now": moment(now), "most": PAST_DAYS},
    ).fetchall()
    found: dict[tuple[str, str], list[int]] = {}
    for shard, observer, _, events in rows:
        found.setdefault((shard, observer), []).append(events)
    return {key: tuple(counts) for key, counts in found.items()}


def _filled(connection: Connection, now: int) -> dict[tuple[str, str], dict[str, tuple[int, int, int, int]]]:
    """By device and field: (filled, events) of the last half hour and of the week before."""
    rows = connection.execute(
        """
        SELECT shard, observer, f.field,
            coalesce(sum(f.filled) FILTER (WHERE slot >= %(recent)s), 0)::bigint,
            coalesce(sum(events) FILTER (WHERE slot >= %(recent)s), 0)::bigint,
            coalesce(sum(f.filled) FILTER (WHERE slot < %(recent)s), 0)::bigint,
            coalesce(sum(events) FILTER (WHERE slot < %(recent)s), 0)::bigint
        FROM store.device_slots, unnest(filled, %(names)s::text[]) AS f (filled, field)
        GROUP BY shard, observer, f.field
        """,
        {"recent": moment(now - FILLED_RECENT), "names": list(FIELDS)},
    ).fetchall()
    found: dict[tuple[str, str], dict[str, tuple[int, int, int, int]]] = {}
    for shard, observer, field, *counts in rows:
        found.setdefault((shard, observer), {})[field] = (counts[0], counts[1], counts[2], counts[3])
    return found


def count_unread(connection: Connection, place: str, first: int, next_: int, letters: Sequence[tuple[str, str, str, str, int]]) -> bool:
    """Adds dead letters (tenant, topic, format, reason, record time in µs) of [first, next_); False when somebody counted them before."""
    connection.execute("INSERT INTO store.watched (place, next) VALUES (%s, %s) ON CONFLICT DO NOTHING", (place, first))
    moved = connection.execute("UPDATE store.watched SET next = %s WHERE place = %s AND next = %s", (next_, place, first))
    if moved.rowcount == 0:
        return False
    counts: dict[tuple[str, str, str, str, int], int] = {}
    for tenant, topic, format_, reason, created in letters:
        key = (clean(tenant), clean(topic), format_, reason, created // SLOT * SLOT)
        counts[key] = counts.get(key, 0) + 1
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO store.unread_slots AS u (tenant, topic, format, reason, slot, records) VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT (tenant, topic, format, reason, slot) DO UPDATE SET records = u.records + excluded.records
            """,
            [(*key[:4], moment(key[4]), count) for key, count in counts.items()],
        )
    return True


def watched(connection: Connection) -> dict[str, int]:
    """How far the dead letters of each place are counted."""
    return dict(connection.execute("SELECT place, next FROM store.watched").fetchall())


def unread(connection: Connection, now: int) -> list[Unread]:
    """What could not be read in the last 20 minutes, beside what is usual."""
    rows = connection.execute(
        """
        SELECT u.tenant, u.topic, u.format, (array_agg(u.reason ORDER BY u.recent DESC, u.reason))[1], sum(u.recent)::bigint,
            sum(u.before)::double precision,
            coalesce((
                SELECT sum(d.events) FROM store.device_slots AS d JOIN store.shards AS s ON s.shard = d.shard
                WHERE s.tenant = u.tenant AND d.last > %(recent)s
            ), 0)::bigint
        FROM (
            SELECT tenant, topic, format, reason,
                coalesce(sum(records) FILTER (WHERE slot >= %(recent)s), 0) AS recent,
                coalesce(sum(records) FILTER (WHERE slot < %(recent)s), 0) AS before
            FROM store.unread_slots GROUP BY tenant, topic, format, reason
        ) AS u
        GROUP BY u.tenant, u.topic, u.format HAVING sum(u.recent) > 0
        """,
        {"recent": moment(now - RECENT)},
    ).fetchall()
    windows = PAST_DAYS * DAY / RECENT
    return [
        Unread(tenant, topic, format_, reason, now=recent, usual=before / windows, events=events)
        for tenant, topic, format_, reason, recent, before, events in rows
    ]


def forget(connection: Connection, now: int) -> None:
    """Drops counts older than the rules look back."""
    oldest = moment(now - KEPT_DAYS * DAY)
    connection.execute("DELETE FROM store.device_slots WHERE slot < %s", (oldest,))
    connection.execute("DELETE FROM store.unread_slots WHERE slot < %s", (oldest,))
