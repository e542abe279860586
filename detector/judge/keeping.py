"""The reservoir of a shard as plain values for its snapshot, and back, exactly."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.judge.acquainted import Acquainted
from detector.judge.reservoir import Day, Hour, Part, Reservoir, Sample, Spans


class _Hour(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    hour: int
    features: int
    sample: list[bytes]
    seen: int
    eligible: int
    low: tuple[int, ...]


class _Part(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    hours: list[_Hour]
    spans: Spans
    epoch: int
    seen: int
    given: dict[int, int]
    numbers: dict[int, int]


class Kept(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    hour: int
    began: int
    acquainted: list[bytes]
    parts: dict[str, _Part]


def kept(reservoir: Reservoir) -> Kept:
    known = reservoir.acquainted
    filters = [known.now.tobytes(), known.before.tobytes(), known.coming.tobytes()]
    return Kept(reservoir.hour, known.began, filters, {name: _part(part) for name, part in sorted(reservoir.parts.items())})


def _part(part: Part) -> _Part:
    hours = [_Hour(h.hour, h.sample.X.shape[1], [values.tobytes() for values in h.sample], h.seen, h.eligible, h.low) for h in part.hours]
    spans = {who: dict(sorted(known.items())) for who, known in sorted(part.spans.items())}
    day = part.day
    return _Part(hours, spans, day.epoch, day.seen, dict(sorted(day.given.items())), dict(sorted(day.numbers.items())))


def again(form: Kept, rows: int) -> Reservoir:
    """The reservoir that was kept, from now on with so many rows per model and hour."""
    now, before, coming = (_array(content, np.uint64) for content in form.acquainted)
    parts = {name: _part_again(part) for name, part in form.parts.items()}
    return Reservoir(Acquainted(now, before, coming, form.began), rows, form.hour, parts)


def _part_again(form: _Part) -> Part:
    part = Part([_hour_again(hour) for hour in form.hours], day=Day(form.epoch, form.seen, form.given, form.numbers))
    part.watch(form.spans)
    return part


def _hour_again(form: _Hour) -> Hour:
    X, entity, teacher, key, clock = form.sample
    sample = Sample(
        _array(X, np.float32).reshape(-1, form.features), _array(entity, np.uint64), _array(teacher, np.uint64), _array(key, np.uint64),
        _array(clock, np.int64),
    )  # fmt: skip
    return Hour(form.hour, sample, form.seen, form.eligible, form.low)


def _array(content: bytes, kind: type[np.generic]) -> NDArray[Any]:
    return np.frombuffer(content, kind).copy()
