"""A shard's state as bytes and back, exactly: arrays and JSON, compressed; nothing that could run."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
import zstandard

from detector.features import FeatureState
from detector.features import state as remembered
from detector.features.calendar import Calendar
from detector.judge.cases import Case, Cases
from detector.judge.findings import Incident

VERSION = 1  # raise it when a kept value changes its meaning without changing its form
_LARGEST = 1 << 33  # bytes: what a header may claim before we refuse to allocate it


class _Array(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    name: str
    dtype: str
    shape: list[int]
    data: bytes


class _Case(msgspec.Struct, forbid_unknown_fields=True):
    key: tuple[int, int, int]
    incident: Incident
    level: int
    samples: int
    values: dict[str, list[int]]


class _Snapshot(msgspec.Struct, forbid_unknown_fields=True):
    schema: str
    clock: int
    cases: list[_Case]
    arrays: list[_Array]


def schema() -> str:
    """32 hex digits over the form of everything kept."""
    form = msgspec.json.encode([VERSION, remembered.schema(), msgspec.json.schema(_Snapshot)])
    return hashlib.sha256(form).hexdigest()[:32]


def dump(features: FeatureState, cases: Cases) -> bytes:
    arrays = [_Array(name, a.dtype.str, list(a.shape), np.ascontiguousarray(a).tobytes()) for name, a in remembered.dump(features).items()]
    kept = [_Case(case.key, case.incident, case.level, case.samples, _sorted(case.values)) for _, case in sorted(cases.open.items())]
    packed = msgspec.msgpack.encode(_Snapshot(schema(), cases.clock, kept, arrays))
    return zstandard.ZstdCompressor(level=1).compress(packed)


def _sorted(values: dict[str, set[int]]) -> dict[str, list[int]]:
    return {column: sorted(known) for column, known in sorted(values.items())}


def load(payload: bytes, calendar: Calendar) -> tuple[FeatureState, Cases]:
    """What `dump` was given. Raises ValueError for bytes that are not a snapshot of this schema."""
    try:
        packed = zstandard.ZstdDecompressor().decompress(payload, max_output_size=_LARGEST)
        found = msgspec.msgpack.decode(packed, type=_Snapshot)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise ValueError(f"not a snapshot of a shard: {error}") from error
    if found.schema != schema():
        raise ValueError(f"the snapshot has schema {found.schema}, this version {schema()}")
    arrays: dict[str, Any] = {a.name: np.frombuffer(a.data, a.dtype).reshape(a.shape) for a in found.arrays}
    cases = {c.key: Case(c.key, c.incident, c.level, c.samples, {k: set(v) for k, v in c.values.items()}) for c in found.cases}
    return remembered.load(arrays, calendar), Cases(found.clock, cases)
