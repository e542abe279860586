"""Rows for training as they are kept: a compressed block of columns per model and hour. Nothing in it names anybody.

A row knows its features (float32), the hour of its block, and a number that stands for its entity until the next token epoch.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

F32 = NDArray[np.float32]
LEVELS = (1e-1, 1e-2, 1e-3)  # of p, whose rows are counted
MOST = 1_000_000  # rows of one block that a reader takes


class Block(NamedTuple):
    """What one model saw in one hour of the stream's clock.

    aside     these rows belong to incidents: nobody learns from them unless a person says that the incident was none
    seen      rows of that hour; eligible: those that may be learnt from; low: of these, outside incidents, with p at or below LEVELS
    """

    model: str
    day: int  # token epoch (05:00 to 05:00), since 1970
    hour: int  # µs, its beginning
    aside: bool
    schema: str  # of the features
    rows: int
    seen: int
    eligible: int
    low: tuple[int, ...]
    incidents: tuple[str, ...]
    columns: bytes


class Columns(NamedTuple):
    """X float32 (n, F); entity uint32 (n), of one epoch; incident int16 (n), index into the block's incidents, -1 = none."""

    X: F32
    entity: NDArray[np.uint32]
    incident: NDArray[np.int16]


class _Stored(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    rows: int
    features: int
    entity: bytes
    incident: bytes
    values: bytes


def packed(columns: Columns) -> bytes:
    """The columns as bytes: feature by feature, the four bytes of a number apart from each other, which halves what zstd makes of it."""
    n, features = columns.X.shape
    values = np.ascontiguousarray(columns.X.T, "<f4").view(np.uint8).reshape(-1, 4).T.tobytes()
    entity, incident = columns.entity.astype("<u4").tobytes(), columns.incident.astype("<i2").tobytes()
    return zstandard.ZstdCompressor(level=3).compress(msgspec.msgpack.encode(_Stored(n, features, entity, incident, values)))


def unpacked(content: bytes, features: int) -> Columns:
    """What `packed` was given. Raises ValueError for anything that is not a block of so many features."""
    try:
        most = MOST * (4 * features + 6) + 100
        stored = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(content, max_output_size=most), type=_Stored)
        values = np.frombuffer(stored.values, np.uint8).reshape(4, stored.rows * features).T
        X = np.ascontiguousarray(np.ascontiguousarray(values).view("<f4").reshape(features, stored.rows).T)
        found = Columns(X, np.frombuffer(stored.entity, "<u4"), np.frombuffer(stored.incident, "<i2"))
    except (zstandard.ZstdError, msgspec.DecodeError, ValueError) as error:
        raise ValueError(f"not a block of rows for training: {error}") from error
    if stored.features != features or len({len(values) for values in found}) != 1 or not np.isfinite(X).all():
        raise ValueError("not a block of rows for training: its columns do not fit together")
    return found
