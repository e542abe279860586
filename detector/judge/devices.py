"""What SCORE notices about the devices themselves: how much they send, which fields they fill, whether their clock is right.

A device whose clock is off for minutes by the same amount is scored by the record's time until it is mended. Whether a row is
corrected follows from the rows of its device before it alone, so the cut of the stream does not matter (I1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs

SLOT = 600_000_000  # µs: facts are kept per ten minutes of record time
TOLERATED = 300_000_000  # µs that a device may be off the record's time
STEADY = 120_000_000  # µs: an offset that stays within such a band is a clock, not a late delivery, which dwindles
SPAN, ROWS = 300_000_000, 20  # it must stay there for so long by record time, and for so many rows
FIELDS = ("source.ip", "destination.ip", "destination.port", "user.name", "host.name", "source.bytes")

I64 = NDArray[np.int64]


class Run(msgspec.Struct):
    """A device's rows whose offset lies in one band, counted from the band's first row; one of two overlapping bands."""

    band: int
    began: int  # record time of the first, µs
    rows: int


class Facts(NamedTuple):
    """One device in ten minutes of record time; counts add up."""

    observer: str
    slot: int  # µs, the beginning
    events: int
    filled: tuple[int, ...]  # events that have each of FIELDS
    last: int  # record time, µs
    off: int  # events whose clock was corrected
    by: int  # µs, record time minus event time of the last one corrected


Clocks = dict[str, list[Run]]  # by device: a run in each of the two bands; only devices that are off at present


class Corrected(NamedTuple):
    """The events with times put right, which rows that were (n), and record time minus event time as it came, µs (n)."""

    events: pl.DataFrame
    wrong: NDArray[np.bool_]
    offset: I64


def correct(clocks: Clocks, events: pl.DataFrame) -> Corrected:
    """Put the record's time where a device's clock is off; moves `clocks` on in place."""
    time, created = ecs.numbers(events, "@timestamp").astype(np.int64), ecs.numbers(events, "event.created").astype(np.int64)
    offset = np.where(created > 0, created - time, 0)
    off = np.abs(offset) > TOLERATED
    if not off.any() and len(clocks) == 0:
        return Corrected(events, off, offset)
    wrong = _wrong(clocks, events, offset, created, off)
    if wrong.any():
        right = pl.Series("@timestamp", np.where(wrong, created, time)).cast(pl.Datetime("us", "UTC"))
        events = events.with_columns(right)
    return Corrected(events, wrong, offset)


def _wrong(clocks: Clocks, events: pl.DataFrame, offset: I64, created: I64, off: NDArray[np.bool_]) -> NDArray[np.bool_]:
    wrong = np.zeros(len(events), np.bool_)
    codes, names = ecs.codes(events, "observer.name"), ecs.values(events, "observer.name")
    for code in np.unique(codes).tolist():
        name, rows = names[code], np.flatnonzero(codes == code)
        if not off[rows].any():
            clocks.pop(name, None)
            continue
        runs = clocks.setdefault(name, [Run(0, 0, 0), Run(0, 0, 0)])
        for shift, run in enumerate(runs):
            wrong[rows] |= _steady(run, offset[rows] + shift * STEADY // 2, created[rows], off[rows])
        if not off[rows[-1]]:
            del clocks[name]
    return wrong


def _steady(run: Run, offset: I64, created: I64, off: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows continue a run that is long enough; `run` becomes the last row's."""
    band = offset // STEADY
    begins = np.ones(len(band), np.bool_)
    begins[1:] = (band[1:] != band[:-1]) | ~off[:-1]
    begins[0] = run.rows == 0 or int(band[0]) != run.band
    begins |= ~off
    index = np.arange(len(band))
    first = np.maximum.accumulate(np.where(begins, index, -1))  # -1: the run goes on from the batch before
    rows = np.where(first >= 0, index - first + 1, run.rows + index + 1)
    began = np.where(first >= 0, created[np.maximum(first, 0)], run.began)
    run.band, run.began, run.rows = int(band[-1]), int(began[-1]), int(rows[-1]) if off[-1] else 0
    steady: NDArray[np.bool_] = off & (rows >= ROWS) & (created - began >= SPAN)
    return steady


def facts(corrected: Corrected) -> tuple[Facts, ...]:
    """What the batch says about each device, per ten minutes of record time."""
    events = corrected.events
    if len(events) == 0:
        return ()
    created = ecs.numbers(events, "event.created").astype(np.int64)
    moment = np.where(created > 0, created, ecs.numbers(events, "@timestamp").astype(np.int64))
    codes, names = ecs.codes(events, "observer.name").astype(np.int64), ecs.values(events, "observer.name")
    slots, slot = np.unique(moment // SLOT, return_inverse=True)
    group = codes * len(slots) + slot
    size = len(names) * len(slots)
    count = np.bincount(group, minlength=size)
    filled = np.stack([np.bincount(group[_given(events, name)], minlength=size) for name in FIELDS])
    off = np.bincount(group[corrected.wrong], minlength=size)
    last, by = np.zeros(size, np.int64), np.zeros(size, np.int64)
    np.maximum.at(last, group, moment)
    by[group[corrected.wrong]] = corrected.offset[corrected.wrong]
    named = [g for g in np.flatnonzero(count).tolist() if names[g // len(slots)] != ""]
    return tuple(
        Facts(
            names[g // len(slots)], int(slots[g % len(slots)]) * SLOT, int(count[g]), tuple(filled[:, g].tolist()),
            int(last[g]), int(off[g]), int(by[g]),
        )
        for g in named
    )  # fmt: skip


def _given(events: pl.DataFrame, name: str) -> NDArray[np.bool_]:
    given: NDArray[np.bool_]
    if name in ecs.ADDRESS:
        given = ecs.numbers(events, f"{name}.kind") != ecs.ABSENT
    elif name in ecs.INTEGER:
        given = np.greater_equal(ecs.numbers(events, name), 0)
    else:
        given = ecs.codes(events, name) != 0
    return given


def added(parts: Iterable[tuple[Facts, ...]]) -> tuple[Facts, ...]:
    """Facts of several batches as those of one."""
    joined: dict[tuple[str, int], Facts] = {}
    for one in (fact for part in parts for fact in part):
        key = (one.observer, one.slot)
        before = joined.get(key)
        if before is not None:
            one = Facts(
                one.observer, one.slot, before.events + one.events, tuple(map(int.__add__, before.filled, one.filled)),
                max(before.last, one.last), before.off + one.off, one.by if one.off > 0 else before.by,
            )  # fmt: skip
        joined[key] = one
    return tuple(joined.values())
