"""A shard's state as bytes and back, exactly: arrays and JSON, compressed; nothing that could run."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
import zstandard

from detector.features import state as remembered
from detector.features.calendar import Calendar
from detector.judge.beside import Nearest
from detector.judge.cases import Bout, Case, Cases
from detector.judge.devices import Clocks
from detector.judge.findings import Episode, Incident
from detector.judge.keeping import Kept, again, kept
from detector.judge.series import Past
from detector.judge.shard import Shadow, ShardState
from detector.judge.volume import Volumes

VERSION = 2  # raise it when a kept value changes its meaning without changing its form
_LARGEST = 1 << 33  # bytes: what a header may claim before we refuse to allocate it


class _Array(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    name: str
    dtype: str
    shape: list[int]
    data: bytes


class _Case(msgspec.Struct, forbid_unknown_fields=True):
    key: tuple[int, int, int]
    incident: Incident
    lasting: bool
    episode: Episode
    samples: int
    values: dict[str, list[int]]
    level: int
    seen: int
    past: Past


class _Cases(msgspec.Struct, forbid_unknown_fields=True):
    clock: int
    known: list[_Case]
    volumes: Volumes
    near_day: int
    nearest: list[tuple[int, int, int, float]]  # model, kind, identity, nearness


class _Shadow(msgspec.Struct, forbid_unknown_fields=True):
    digest: str
    candidate: _Cases
    champion: _Cases
    rows: int
    wished: int


class _Snapshot(msgspec.Struct, forbid_unknown_fields=True):
    schema: str
    cases: _Cases
    clocks: Clocks
    chosen: dict[str, str]
    shadows: dict[str, _Shadow]
    reservoir: Kept
    arrays: list[_Array]


def schema() -> str:
    """32 hex digits over the form of everything kept."""
    form = msgspec.json.encode([VERSION, remembered.schema(), msgspec.json.schema(_Snapshot)])
    return hashlib.sha256(form).hexdigest()[:32]


def dump(state: ShardState) -> bytes:
    features = remembered.dump(state.features)
    arrays = [_Array(name, a.dtype.str, list(a.shape), np.ascontiguousarray(a).tobytes()) for name, a in features.items()]
    shadows = {
        name: _Shadow(of.digest, _cases(of.candidate), _cases(of.champion), of.rows, of.wished)
        for name, of in sorted(state.shadows.items())
    }
    clocks, chosen = dict(sorted(state.clocks.items())), dict(sorted(state.chosen.items()))
    packed = msgspec.msgpack.encode(_Snapshot(schema(), _cases(state.cases), clocks, chosen, shadows, kept(state.reservoir), arrays))
    return zstandard.ZstdCompressor(level=1).compress(packed)


def _cases(cases: Cases) -> _Cases:
    kept = [_packed(case) for _, case in sorted(cases.known.items())]
    of = cases.volumes
    volumes = Volumes(of.first, _ordered(of.rows), _ordered(of.entities), dict(sorted(of.today.items())))
    return _Cases(cases.clock, kept, volumes, cases.nearest.day, _nearest(cases))


def _nearest(cases: Cases) -> list[tuple[int, int, int, float]]:
    return [(*key, nearness) for key, nearness in cases.nearest.best.items()]


def _ordered(counts: dict[str, dict[int, int]]) -> dict[str, dict[int, int]]:
    return {model: dict(sorted(known.items())) for model, known in sorted(counts.items())}


def _packed(case: Case) -> _Case:
    values = {column: sorted(known) for column, known in sorted(case.bout.values.items())}
    return _Case(
        case.key, case.incident, case.lasting, case.bout.episode, case.bout.samples, values, case.level, case.seen, case.past
    )  # fmt: skip


def load(shard: str, payload: bytes, calendar: Calendar, rows: int = 1000) -> ShardState:
    """What `dump` was given; from now on `rows` per model and hour are kept to learn from.

    Raises ValueError for bytes that are not a snapshot of this schema.
    """
    try:
        packed = zstandard.ZstdDecompressor().decompress(payload, max_output_size=_LARGEST)
        found = msgspec.msgpack.decode(packed, type=_Snapshot)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise ValueError(f"not a snapshot of a shard: {error}") from error
    if found.schema != schema():
        raise ValueError(f"the snapshot has schema {found.schema}, this version {schema()}")
    arrays: dict[str, Any] = {a.name: np.frombuffer(a.data, a.dtype).reshape(a.shape) for a in found.arrays}
    shadows = {name: Shadow(of.digest, _known(of.candidate), _known(of.champion), of.rows, of.wished) for name, of in found.shadows.items()}
    kept, cases = again(found.reservoir, rows), _known(found.cases)
    return ShardState(shard, remembered.load(arrays, calendar), cases, found.clocks, found.chosen, shadows, kept)


def _known(of: _Cases) -> Cases:
    nearest = Nearest(of.near_day, {(model, kind, identity): near for model, kind, identity, near in of.nearest})
    return Cases(of.clock, {c.key: _unpacked(c) for c in of.known}, of.volumes, nearest)


def _unpacked(c: _Case) -> Case:
    bout = Bout(c.episode, c.samples, {column: set(values) for column, values in c.values.items()})
    return Case(c.key, c.incident, c.lasting, bout, c.level, c.seen, c.past)
