"""Rows to learn from in the database: written with the batch, read as arrays."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.features.calendar import day_number
from detector.judge.blocks import Block, Columns, unpacked
from detector.judge.reservoir import PERSONS
from detector.judge.windows import Window, covered
from detector.store.database import EPOCH, Away, Connection, Database, moment
from detector.store.misses import day

HOUR = 3_600_000_000  # µs


def write(connection: Connection, shard: str, blocks: Sequence[Block]) -> None:
    """Adds closed hours; part of the batch's transaction."""
    if not blocks:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO store.reservoir (tenant, shard, day, model, hour, aside, schema, rows, seen, eligible, low, incidents, columns) "
            "VALUES (split_part(%s, '/', 1), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::uuid[], %b) ON CONFLICT DO NOTHING",
            [
                (
                    shard, shard, day(b.day), b.model, moment(b.hour), b.aside, b.schema, b.rows, b.seen, b.eligible, list(b.low),
                    list(b.incidents), b.columns,
                )
                for b in blocks
            ],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows to learn from, in the order of time.

    X           float32 (n, F)
    entity      int64 (n), equal numbers are one entity of one day (auth-user: of one hour); the upper half is that day's or hour's
    hour        int64 (n), µs
    given_back  how many are of incidents that were none; covered: how many lay in maintenance windows and are out
    """

    X: NDArray[np.float32]
    entity: NDArray[np.int64]
    hour: NDArray[np.int64]
    given_back: int = 0
    covered: int = 0
    strange: int = 0  # rows of another feature schema, which were left out

    def __len__(self) -> int:
        return len(self.X)


def read(database: Database, tenant: str, model: str, schema: str, features: int, span: tuple[int, int]) -> Rows:
    """A tenant's rows with hours in [begin, end), µs; without maintenance windows, with what verdicts give back.

    Raises Away; ValueError for bytes that are no block.
    """
    with database.transaction() as connection:
        allowed = _allowed(connection, tenant)
        windows = _windows(connection, tenant)
        found = [_Part.of(row, schema, features, allowed) for row in _stored(connection, tenant, model, span)]
    kept = [part for part in found if part is not None]
    hour = np.array([part.hour for part in kept], np.int64)
    out = np.array([_within(windows, tenant, part) for part in kept], np.bool_)
    chosen = [part for part, gone in zip(kept, out.tolist(), strict=True) if not gone]
    if len(chosen) == 0:
        return Rows(np.zeros((0, features), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64), strange=len(found) - len(kept))
    # numbers of one day, or of one hour where they are persons', are told from others'
    groups = [(part.shard, part.hour if model in PERSONS else day_number(part.day)) for part in chosen]
    names = {key: i << 32 for i, key in enumerate(sorted(set(groups)))}
    return Rows(
        np.concatenate([part.columns.X for part in chosen]),
        np.concatenate([part.columns.entity.astype(np.int64) | names[group] for part, group in zip(chosen, groups, strict=True)]),
        np.repeat(hour[~out], [len(part.columns.X) for part in chosen]),
        sum(len(part.columns.X) for part in chosen if part.aside),
        sum(len(part.columns.X) for part, gone in zip(kept, out.tolist(), strict=True) if gone),
        len(found) - len(kept),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    shard: str
    day: dt.date
    hour: int
    aside: bool
    columns: Columns

    @classmethod
    def of(
        cls, row: tuple[str, dt.date, dt.datetime, bool, str, list[str], bytes], schema: str, features: int, allowed: set[str]
    ) -> _Part | None:
        """None where the features are of another version."""
        shard, day_, hour, aside, its_schema, incidents, content = row
        if its_schema != schema:
            return None
        columns = unpacked(content, features)
        if aside:
            back = np.array([str(one) in allowed for one in incidents], np.bool_)[columns.incident]
            columns = Columns(columns.X[back], columns.entity[back], columns.incident[back])
        return cls(shard, day_, (hour - EPOCH) // dt.timedelta(microseconds=1), aside, columns)


def _stored(
    connection: Connection, tenant: str, model: str, span: tuple[int, int]
) -> Iterator[tuple[str, dt.date, dt.datetime, bool, str, list[str], bytes]]:
    yield from connection.execute(
        "SELECT shard, day, hour, aside, schema, incidents::text[], columns FROM store.reservoir "
        "WHERE tenant = %s AND model = %s AND hour >= %s AND hour < %s ORDER BY hour, shard, aside",
        (tenant, model, moment(span[0]), moment(span[1])),
        binary=True,
    )


def _allowed(connection: Connection, tenant: str) -> set[str]:
    """Incidents that people called none."""
    rows = connection.execute("SELECT incident::text FROM public.given_back WHERE tenant = %s", (tenant,)).fetchall()
    return {id_ for (id_,) in rows}


def _windows(connection: Connection, tenant: str) -> list[Window]:
    rows = connection.execute(
        "SELECT tenant, site, entity, name, begins, ends FROM public.maintenance WHERE tenant IN ('', %s)", (tenant,)
    ).fetchall()
    return [Window(*row[:4], *((at - EPOCH) // dt.timedelta(microseconds=1) for at in row[4:])) for row in rows]


def _within(windows: Sequence[Window], tenant: str, part: _Part) -> bool:
    """Whether any of the hour lies in a window; its rows know no minutes."""
    site = part.shard.partition("/")[2]
    begin_or_end = covered(windows, tenant, site, np.array([part.hour, part.hour + HOUR - 1], np.int64))
    return bool(begin_or_end.any()) or any(
        part.hour <= w.begins < part.hour + HOUR and w.site in ("", site) and w.like == "%" for w in windows if w.tenant in ("", tenant)
    )


@contextlib.contextmanager
def locked(database: Database, what: str) -> Iterator[bool]:
    """Whether nobody else holds the lock of that name; it is ours inside the block, and falls with our connection. Raises Away."""
    with database.transaction() as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (what,)).fetchone()
    free = row == (True,)
    try:
        yield free
    finally:
        if free:
            with contextlib.suppress(Away), database.transaction() as connection:
                connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (what,))


def days(database: Database, tenant: str, model: str = "") -> list[tuple[str, dt.date, int, int, int, int, int]]:
    """(model, day, rows, rows of incidents, seen, eligible, KB) of what is kept, newest day first."""
    with database.transaction() as connection:
        return connection.execute(
            "SELECT model, day, coalesce(rows, 0), aside, seen, eligible, bytes / 1024 FROM public.training "
            "WHERE tenant = %s AND %s IN ('', model) ORDER BY day DESC, model",
            (tenant, model),
        ).fetchall()
