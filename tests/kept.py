"""Rows to learn from in a database, as SCORE puts them there, but made up: the prior's rows drawn again, with entities of our choice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.features.table import ModelTable, read_all
from detector.judge.blocks import Block, Columns, packed
from detector.learn import prior
from detector.learn.registry import SHIPPED
from detector.store import Database, learning, reservoir
from detector.store.database import moment

TENANT = "stadt"
MODEL = "auth-source"
TABLE: ModelTable = read_all(SHIPPED)[MODEL]
PRIOR = prior.load(SHIPPED / MODEL, TABLE)
START = 1_767_600_000_000_000  # 2026-01-05 08:00 UTC, µs
HOUR, DAY = 3_600_000_000, 86_400_000_000
FIRST = dt.date(1970, 1, 1)


def rows_of(n: int, seed: int, known: prior.Prior = PRIOR) -> NDArray[np.float32]:
    """Honest rows, float32 (n, F)."""
    return known.calibration[np.random.default_rng(seed).integers(0, len(known.calibration), n)]


def block(
    hour: int, X: NDArray[np.float32], entity: Sequence[int] | NDArray[np.int64], incidents: tuple[str, ...] = (), table: ModelTable = TABLE
) -> Block:  # fmt: skip
    """One hour's rows; with incidents they are set aside, all for the first of them."""
    numbers = np.asarray(entity, np.uint32)
    index = np.full(len(X), 0 if incidents else -1, np.int16)
    seen = 0 if incidents else 10 * len(X)
    return Block(
        table.name, hour // DAY, hour, len(incidents) > 0, table.schema_hash, len(X), seen, seen, (seen // 10, seen // 100, seen // 1000),
        incidents, packed(Columns(X, numbers, index)),
    )  # fmt: skip


def keep(database: Database, blocks: Sequence[Block], shard: str = TENANT) -> None:
    with database.transaction() as connection:
        learning.begin(connection, TENANT, 0, "Europe/Berlin", START)
        connection.execute(
            "INSERT INTO store.shards (shard, tenant, site, place, owner, claimed, origin, applied) "
            "VALUES (%s, %s, '', 'local', '', %s, 0, 0) ON CONFLICT DO NOTHING",
            (shard, TENANT, moment(START)),
        )
        reservoir.write(connection, shard, blocks)


def days(number: int, per_hour: int = 50, entities: int = 400, seed: int = 1) -> list[Block]:
    """So many days of honest rows, ten hours each."""
    rng = np.random.default_rng(seed)
    return [
        block(START + day * DAY + hour * HOUR, rows_of(per_hour, seed + 100 * day + hour), rng.integers(0, entities, per_hour))
        for day in range(number)
        for hour in range(10)
    ]
