"""What the database knows of a tenant's days, for `learn/drift`; and what was found, kept per model and day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import LiteralString
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import dict_row

from detector.features.calendar import EPOCH_HOUR, local
from detector.store.database import EPOCH, Connection, Database, as_json, moment

SLOT, HOUR, DAY = 600_000_000, 3_600_000_000, 86_400_000_000  # µs
LEVEL, LEVELS_INDEX = 1e-2, 2  # of p, at which alerts are counted; its place in reservoir.low, from 1
FEWEST = 5_000  # rows of a day that may teach: fewer say nothing about one in a hundred
WRONG = (0.5, 2.0)  # realised over nominal, outside which a calibration is off
BACK = 7  # days


@dataclass(frozen=True, slots=True)
class Slot:
    """One device in ten minutes: `day` the token epoch's number, `slot` 0..143 since 05:00."""

    day: int
    slot: int
    device: str
    events: int
    filled: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What is kept of one model and day."""

    tenant: str
    model: str
    day: dt.date
    model_id: str
    rows: int
    ks: float
    realised: float | None
    unknown: float
    psi: dict[str, float]
    cause: str | None
    features: tuple[str, ...]
    text: dict[str, str]


def pending(database: Database) -> list[tuple[str, str, dt.date, str]]:
    """(tenant, model, day, zone) of complete days that nobody has looked at: their rows are kept, and the next day's began."""
    with database.transaction() as connection:
        return connection.execute(
            """
            SELECT r.tenant, r.model, r.day, t.zone
            FROM (SELECT DISTINCT tenant, model, day FROM store.reservoir) AS r
            JOIN (SELECT tenant, model, max(day) AS newest FROM store.reservoir GROUP BY tenant, model) AS n USING (tenant, model)
            JOIN store.tenants AS t USING (tenant)
            LEFT JOIN store.drift AS d USING (tenant, model, day)
            WHERE d.day IS NULL AND r.day < n.newest AND r.day >= n.newest - %s
            ORDER BY r.day, r.tenant, r.model
            """,
            (BACK,),
        ).fetchall()


def epochs(times: NDArray[np.int64], zone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of the token epoch of each time (µs), and the slot of ten minutes in it."""
    since = local(times, ZoneInfo(zone)) - EPOCH_HOUR * HOUR
    return since // DAY, since % DAY // SLOT


def slots(connection: Connection, tenant: str, zone: str, day: int) -> list[Slot]:
    """Every device of the tenant in the week before that day and on it."""
    rows = connection.execute(
        "SELECT d.observer, d.slot, sum(d.events)::bigint, array_agg(d.filled) FROM store.device_slots AS d "
        "JOIN store.shards AS s ON s.shard = d.shard WHERE s.tenant = %s AND d.slot >= %s AND d.slot < %s GROUP BY d.observer, d.slot",
        (tenant, moment((day - BACK - 1) * DAY), moment((day + 2) * DAY)),
    ).fetchall()
    if len(rows) == 0:
        return []
    at = np.array([(slot - EPOCH) // dt.timedelta(microseconds=1) for _, slot, _, _ in rows], np.int64)
    days, places = epochs(at, zone)
    return [
        Slot(d, place, observer, events, tuple(np.sum(filled, axis=0).tolist()))
        for d, place, (observer, _, events, filled) in zip(days.tolist(), places.tolist(), rows, strict=True)
        if day - BACK <= d <= day
    ]


def unread(connection: Connection, tenant: str, zone: str, day: int) -> dict[int, int]:
    """Lines that nobody could read, by day."""
    rows = connection.execute(
        "SELECT slot, sum(records)::bigint FROM store.unread_slots WHERE tenant = %s AND slot >= %s AND slot < %s GROUP BY slot",
        (tenant, moment((day - BACK - 1) * DAY), moment((day + 2) * DAY)),
    ).fetchall()
    at = np.array([(slot - EPOCH) // dt.timedelta(microseconds=1) for slot, _ in rows], np.int64)
    counts: dict[int, int] = {}
    for number, (_, records) in zip(epochs(at, zone)[0].tolist(), rows, strict=True):
        counts[number] = counts.get(number, 0) + records
    return counts


def realised(connection: Connection, tenant: str, model: str, day: dt.date) -> float | None:
    """Rows outside incidents with p at or below LEVEL, over those that there should be; None for too few rows."""
    row = connection.execute(
        "SELECT coalesce(sum(eligible), 0)::bigint, coalesce(sum(low[%s]), 0)::bigint FROM store.reservoir "
        "WHERE tenant = %s AND model = %s AND day = %s AND NOT aside",
        (LEVELS_INDEX, tenant, model, day),
    ).fetchone()
    assert row is not None
    return None if row[0] < FEWEST else round(row[1] / (LEVEL * row[0]), 4)


def write(database: Database, found: Found, now: int) -> None:
    """Keeps it, in place of an earlier answer about the same day."""
    with database.transaction() as connection:
        connection.execute(
            """
            INSERT INTO store.drift (tenant, model, day, made, model_id, rows, ks, realised, unknown, psi, cause, features, text)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s::jsonb)
            ON CONFLICT (tenant, model, day) DO UPDATE SET
                made = excluded.made, model_id = excluded.model_id, rows = excluded.rows, ks = excluded.ks, realised = excluded.realised,
                unknown = excluded.unknown, psi = excluded.psi, cause = excluded.cause, features = excluded.features, text = excluded.text
            """,
            (
                found.tenant, found.model, found.day, moment(now), found.model_id, found.rows, found.ks, found.realised, found.unknown,
                as_json(found.psi), found.cause, list(found.features), as_json(found.text),
            ),
        )  # fmt: skip


def read(
    database: Database, tenant: str, model: str = "", since: dt.date = dt.date(1970, 1, 1), until: dt.date = dt.date(9999, 1, 1)
) -> list[Found]:
    """What was found about days in [since, until], the oldest first."""
    with database.transaction() as connection:
        return _found(
            connection,
            "SELECT * FROM store.drift WHERE tenant = %s AND %s IN ('', model) AND day BETWEEN %s AND %s ORDER BY day, model",
            (tenant, model, since, until),
        )


def newest(database: Database) -> list[Found]:
    """Each model's last day."""
    with database.transaction() as connection:
        return _found(connection, "SELECT DISTINCT ON (tenant, model) * FROM store.drift ORDER BY tenant, model, day DESC", ())


def miscalibrated(connection: Connection) -> dict[tuple[str, str], float]:
    """Realised over nominal of models that were off on their last day, by tenant and model."""
    rows = connection.execute(
        "SELECT DISTINCT ON (tenant, model) tenant, model, realised FROM store.drift ORDER BY tenant, model, day DESC"
    ).fetchall()
    return {(tenant, model): ratio for tenant, model, ratio in rows if ratio is not None and not WRONG[0] <= ratio <= WRONG[1]}


def _found(connection: Connection, query: LiteralString, arguments: tuple[object, ...]) -> list[Found]:
    names = [one.name for one in fields(Found)]
    rows = connection.cursor(row_factory=dict_row).execute(query, arguments).fetchall()
    return [Found(**{name: row[name] for name in names} | {"features": tuple(row["features"])}) for row in rows]


def unexplained(database: Database, tenant: str, model: str, since: dt.date, until: dt.date) -> list[tuple[str, float, str | None]]:
    """(feature, its largest PSI, cause of that day) of a window; behaviour that changed explains nothing: None."""
    worst: dict[str, tuple[float, str | None]] = {}
    for found in read(database, tenant, model, since, until):
        cause = None if found.cause == "behaviour" else found.cause
        for feature, psi in found.psi.items():
            if psi > worst.get(feature, (0.0, None))[0]:
                worst[feature] = (psi, cause)
    return sorted((feature, psi, cause) for feature, (psi, cause) in worst.items())
