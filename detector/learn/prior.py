"""The shipped simulated prior: honest rows of cities of 400 people, which stay in whatever a tenant's own rows add.

One file a model, `models/<model>/prior.bin`, made with the baselines and pinned like them by its SHA-256. Numbers have eleven bits
of mantissa, a rank in two thousand: what a forest or a tail makes of them does not change, and the files are half as large.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.features.table import ModelTable
from detector.judge.blocks import Columns, packed, unpacked
from detector.learn.pinned import PRIORS
from detector.sentence import Sentence

if TYPE_CHECKING:
    from detector.learn.baseline import Sample

FILE = "prior.bin"
ROWS = 20_000  # to train on, and as many to calibrate on
DAYS = 1_500  # an entity's each
LARGEST = 32 << 20  # bytes


class PriorError(Sentence):
    """The shipped rows must not be used; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Honest simulated rows: training float32 (n, F) of entities int64 (n), calibration float32 (m, F) in blocks int64 (m) that are
    no independent witnesses: an entity's day. `days` float32 (k, F): of some whole days, `day` (k), the rows that are the most
    adverse by some feature, so that the strongest of a day by any member is among them, or one close to it."""

    training: NDArray[np.float32]
    entity: NDArray[np.int64]
    calibration: NDArray[np.float32]
    block: NDArray[np.int64]
    days: NDArray[np.float32]
    day: NDArray[np.int64]


class _Stored(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    schema: str
    training: bytes
    calibration: bytes
    days: bytes


def write(folder: Path, table: ModelTable, training: Sample, calibration: Sample, cities: Sequence[Sample]) -> None:
    """`cities`: all rows of those that `training` was drawn from. The same rows give the same bytes."""
    from detector.learn.baseline import blocks  # it makes the prior along with the baseline

    parts = [_drawn(table, training, training.entity.astype(np.int64)), _drawn(table, calibration, blocks(calibration))]
    parts.append(_whole(table, [(city.X, blocks(city)) for city in cities]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(msgspec.msgpack.encode(_Stored(table.schema_hash, *parts)))


def pin(models: Path) -> None:
    """Writes down what the shipped files hash to: for those who release a version."""
    hashes = {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(models.glob(f"*/{FILE}"))}
    pinned = Path(__file__).with_name("pinned.py")
    lines = "".join(f'    "{name}": "{one}",\n' for name, one in hashes.items())
    pinned.write_text(f"{pinned.read_text().split('PRIORS')[0]}PRIORS: dict[str, str] = {{\n{lines}}}\n")


def load(folder: Path, table: ModelTable) -> Prior:
    """The prior of a model. Raises PriorError."""
    path = folder / FILE
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise PriorError(f"{path}: the simulated prior is missing; install Türmer's models folder again")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != PRIORS.get(table.name):
        raise PriorError(f"{path}: the simulated prior is not the one that was shipped with this version")
    stored = msgspec.msgpack.decode(content, type=_Stored)
    if stored.schema != table.schema_hash:
        raise PriorError(f"{path}: the simulated prior was made for another set of features; run `python -m detector.learn.baseline`")
    one, two, three = (unpacked(part, len(table.features)) for part in (stored.training, stored.calibration, stored.days))
    numbers = [part.entity.astype(np.int64) for part in (one, two, three)]
    return Prior(one.X, numbers[0], two.X, numbers[1], three.X, numbers[2])


def _drawn(table: ModelTable, sample: Sample, group: NDArray[np.int64]) -> bytes:
    rng = np.random.default_rng(table.forest.seed)
    chosen = np.sort(rng.choice(len(sample.X), min(ROWS, len(sample.X)), replace=False))
    numbers = np.unique(group[chosen], return_inverse=True)[1]
    return packed(Columns(_rounded(sample.X[chosen]), numbers.astype(np.uint32), np.full(len(chosen), -1, np.int16)))


def _whole(table: ModelTable, cities: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]]) -> bytes:
    """Of DAYS entity-days, evenly drawn from the cities, the rows that are the most adverse by some feature."""
    rng, rows, numbers = np.random.default_rng(table.forest.seed), [], []
    for k, (X, block) in enumerate(cities):
        known = np.unique(block)
        wanted = rng.choice(known, min(DAYS // len(cities), len(known)), replace=False)
        mine = np.flatnonzero(np.isin(block, wanted))
        chosen = mine[_extremes(table, X[mine], block[mine])]
        rows.append(X[chosen])
        numbers.append(np.unique(block[chosen], return_inverse=True)[1] + k * DAYS)
    day = np.unique(np.concatenate(numbers), return_inverse=True)[1]
    return packed(Columns(_rounded(np.concatenate(rows)), day.astype(np.uint32), np.full(len(day), -1, np.int16)))


def _extremes(table: ModelTable, X: NDArray[np.float64], block: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices, rising: of each block, for each feature and adverse side, the row that lies furthest out."""
    found = []
    for j, feature in enumerate(table.features):
        for sign in {"high": (1.0,), "low": (-1.0,)}.get(feature.direction, (1.0, -1.0)):
            order = np.lexsort((sign * X[:, j], block))
            last = np.append(block[order][1:] != block[order][:-1], True)
            found.append(order[last])
    return np.unique(np.concatenate(found))


def _rounded(X: NDArray[np.float64]) -> NDArray[np.float32]:
    """To eleven bits of mantissa, to the nearest."""
    bits = X.astype(np.float32).view(np.int32)
    return ((bits + (1 << 11)) & ~((1 << 12) - 1)).astype(np.int32).view(np.float32)
