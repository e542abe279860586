"""Raw records as columns: what a source hands over and ROUTE consumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray


class Place(NamedTuple):
    """Where records come from: a Kafka topic and partition, or a file name with partition 0."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Records:
    """n raw records, struct of arrays; no Python object per record.

    values      uint8, all record values one after the other
    bounds      int64 (n + 1), record i is values[bounds[i]:bounds[i + 1]]
    null        bool (n), the record had no value at all (a tombstone)
    place       int32 (n), index into `places`
    offsets     int64 (n), Kafka offset, or line number for files
    timestamps  int64 (n), record timestamp, µs since the epoch, UTC
    """

    values: NDArray[np.uint8]
    bounds: NDArray[np.int64]
    null: NDArray[np.bool_]
    place: NDArray[np.int32]
    offsets: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    places: tuple[Place, ...]

    def __len__(self) -> int:
        return len(self.offsets)

    def value(self, row: int) -> bytes:
        """The bytes of one record; for tests, errors and dead letters, never for the hot path."""
        return self.values[self.bounds[row] : self.bounds[row + 1]].tobytes()

    def take(self, rows: NDArray[np.integer]) -> Records:
        """The given rows in the given order, values copied into a buffer of their own."""
        values, bounds = _gather(_read_only(self.values), self.bounds, np.asarray(rows, np.int64))
        return Records(
            values, bounds, self.null[rows], self.place[rows],
            self.offsets[rows], self.timestamps[rows], self.places,
        )  # fmt: skip


MEMORY = Place("memory", 0)


def _read_only(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same bytes, always typed as read-only, so that each kernel compiles once."""
    view = values.view()
    view.flags.writeable = False
    return view


@numba.njit(cache=True, nogil=True)
def _gather(values: NDArray[np.uint8], bounds: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    new = np.zeros(len(rows) + 1, np.int64)
    for i in range(len(rows)):
        new[i + 1] = new[i] + bounds[rows[i] + 1] - bounds[rows[i]]
    out = np.empty(new[-1], np.uint8)
    for i in range(len(rows)):
        start, at = bounds[rows[i]], new[i]
        for j in range(new[i + 1] - at):
            out[at + j] = values[start + j]
    return out, new


@numba.njit(cache=True, nogil=True)
def _scatter(values: NDArray[np.uint8], bounds: NDArray[np.int64], at: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    for i in range(len(at)):
        start, to = bounds[i], at[i]
        for j in range(bounds[i + 1] - start):
            out[to + j] = values[start + j]


def of_lines(lines: list[bytes], place: Place = MEMORY, *, first: int = 0, timestamp: int = 0) -> Records:
    """Records from Python lines; for tests, files and small inputs."""
    lengths = np.array([len(line) for line in lines], np.int64)
    bounds = np.zeros(len(lines) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    n = len(lines)
    return Records(
        np.frombuffer(b"".join(lines), np.uint8), bounds, np.zeros(n, np.bool_), np.zeros(n, np.int32),
        np.arange(first, first + n, dtype=np.int64), np.full(n, timestamp, np.int64), (place,),
    )  # fmt: skip


def concat(parts: list[Records]) -> Records:
    """One batch from several, in the given order; their places are merged."""
    bounds = [np.zeros(1, np.int64)]
    total = 0
    for part in parts:
        bounds.append(part.bounds[1:] - part.bounds[0] + total)
        total = int(bounds[-1][-1]) if len(part) else total
    values = _joined([p.values[p.bounds[0] : p.bounds[-1]] for p in parts], np.uint8)
    return _with(values, np.concatenate(bounds), parts)


def interleave(parts: list[Records], order: NDArray[np.int64]) -> Records:
    """As `concat(parts).take(order)`, each value copied only once; `order` names every row exactly once."""
    lengths = _joined([np.diff(part.bounds) for part in parts], np.int64)
    bounds = np.zeros(len(order) + 1, np.int64)
    np.cumsum(lengths[order], out=bounds[1:])
    at = np.empty(len(order), np.int64)
    at[order] = bounds[:-1]
    values = np.empty(bounds[-1], np.uint8)
    first = 0
    for part in parts:
        _scatter(_read_only(part.values), part.bounds, at[first : first + len(part)], values)
        first += len(part)
    return _with(values, bounds, parts, order)


def _with(
    values: NDArray[np.uint8], bounds: NDArray[np.int64], parts: list[Records], order: NDArray[np.int64] | slice = slice(None)
) -> Records:
    """Records with these values; all else from the parts, in the given order."""
    places = tuple(dict.fromkeys(place for part in parts for place in part.places))
    index = {place: i for i, place in enumerate(places)}
    renumber = [np.array([index[p] for p in part.places], np.int32) for part in parts]
    return Records(
        values,
        bounds,
        _joined([p.null for p in parts], np.bool_)[order],
        _joined([r[p.place] for p, r in zip(parts, renumber, strict=True)], np.int32)[order],
        _joined([p.offsets for p in parts], np.int64)[order],
        _joined([p.timestamps for p in parts], np.int64)[order],
        places,
    )


def _joined(arrays: list[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype)
