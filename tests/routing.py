"""A step simple enough to be obviously right, for tests of the loop around it.

A line `bad…` becomes a dead letter, `skip…` is ignored, any other an event whose user.name is the line. The shard is the
line's first letter, or the topic for lines without one.
"""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from detector.decode import ecs
from detector.pipeline import Counts, Routed
from detector.records import Records


def step(records: Records) -> Routed:
    lines = [records.value(row).decode("utf-8", "replace") for row in range(len(records))]
    bad = [row for row, line in enumerate(lines) if line.startswith("bad")]
    skipped = [row for row, line in enumerate(lines) if line.startswith("skip")]
    shards: dict[str, list[int]] = {}
    for row in sorted(set(range(len(lines))) - set(bad) - set(skipped)):
        shards.setdefault(lines[row][:1] or "empty", []).append(row)
    counts = Counts(
        records=len(records),
        events={"plain": sum(map(len, shards.values()))} if shards else {},
        ignored={"plain": len(skipped)} if skipped else {},
        dead_letters={("plain", "bad"): len(bad)} if bad else {},
    )
    return Routed(
        {shard: events(records, rows, lines) for shard, rows in shards.items()},
        [json.dumps(where(records, row)).encode() for row in bad],
        counts,
    )


def where(records: Records, row: int) -> tuple[str, int, int]:
    """Topic, partition, offset of a record."""
    place = records.places[records.place[row]]
    return place.topic, place.partition, int(records.offsets[row])


def events(records: Records, rows: list[int], lines: list[str]) -> pl.DataFrame:
    times = pl.Series(records.timestamps[rows]).cast(pl.Datetime("us", "UTC"))
    return ecs.frame(
        len(rows),
        {
            "@timestamp": times,
            "event.created": times,
            "user.name": texts([lines[row] for row in rows]),
            "log.topic": texts([where(records, row)[0] for row in rows]),
            "log.partition": pl.Series([where(records, row)[1] for row in rows], dtype=pl.Int32()),
            "log.offset": pl.Series(records.offsets[rows]),
        },
    )


def texts(values: list[str]) -> pl.Series:
    distinct = {"": 0}
    codes = np.array([distinct.setdefault(value, len(distinct)) for value in values], np.uint32)
    return ecs.text(codes, list(distinct))


def positions(frame: pl.DataFrame) -> list[tuple[str, int, int]]:
    """Topic, partition, offset of every event."""
    return list(zip(frame["log.topic"].cast(pl.String), frame["log.partition"], frame["log.offset"], strict=True))
