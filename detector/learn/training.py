"""A candidate from what a tenant's days gave: rows of the reservoir beside the simulated prior, in, an artefact out.

1. rows of the window, checked; 2. the oldest four fifths to learn from, at most one in a thousand from anybody, the newest fifth held
back to calibrate on (in time, never shuffled); 3. fit, trim, refit (`train`); 4. arrays and manifest in a folder, whole or not at all.
The same rows, wish and seed give the same bytes. Nothing that runs is touched: a candidate is only a folder until people
promote it (`registry`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.features.table import ModelTable, read_all
from detector.forest.artefact import ArtefactError
from detector.forest.detector import Detector
from detector.judge.calibration import threshold_by_replay
from detector.judge.findings import NO_PROBABILITY
from detector.judge.reservoir import LEARNS_ALL
from detector.learn import prior
from detector.learn.registry import SHIPPED
from detector.learn.train import Days, Trained, capped, recalibrated, train
from detector.sentence import Sentence
from detector.store import Away, Database, reservoir
from detector.store.reservoir import Rows

FEWEST = 2_000  # rows of the window
FEWEST_EACH = 100  # rows to learn from, and to calibrate on, when nobody has too many
HELD_BACK = 0.2  # of them, the newest
ONE_IN = 1_000  # of a day's rows, from anybody
AHEAD = 3_600_000_000  # µs that an hour may lie in the future: clocks are not that exact
MOST_AHEAD = 0.05  # of the rows
DAY = 86_400_000_000
PER_SERVICE_DAY = 1.2  # openings a day that a replay of the held-back days may have, of all services together
STEPS = 5

Tell = Callable[[int, int], None]


class TrainingError(Sentence):
    """No candidate was made and nothing was written; the text is the one sentence for who asked for it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to train: hours in [begin, end), µs. `champion`: whose calibration is made anew with `calibrate_only`; None = the shipped."""

    model: str
    tenant: str
    begin: int
    end: int
    seed: int = 0
    calibrate_only: bool = False
    by: str = ""
    champion: Detector | None = None
    models: Path = SHIPPED


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate in its folder (manifest.json, arrays.npz; not signed yet), and what is to be said about it."""

    folder: Path
    detector: Detector
    about: dict[str, Any]
    notes: tuple[str, ...]


def candidate(database: Database, wish: Wish, out: Path, now: int, tell: Tell | None = None) -> Made:
    """Trains into `out`/<model id>. `now` in µs. Raises TrainingError with one sentence; then nothing is written."""
    table, tell = _table(wish), tell or _quiet
    with _alone(database, wish):
        tell(0, STEPS)
        rows, notes = _checked(wish, _read(database, wish, table), now)
        tell(1, STEPS)
        trained = _calibrated(table, wish, rows) if wish.calibrate_only else _trained(table, wish, rows)
        tell(4, STEPS)
        folder = _written(trained, out)
        tell(STEPS, STEPS)
    return Made(folder, trained.detector, trained.about, tuple(notes))


def _quiet(done: int, of: int) -> None:
    del done, of


def rows(database: Database, wish: Wish) -> Rows:
    """The rows of the window as they would be learnt from, for those who want to look at them. Raises TrainingError."""
    return _read(database, wish, _table(wish))


def _table(wish: Wish) -> ModelTable:
    tables = read_all(wish.models)
    if wish.model not in tables:
        raise TrainingError(f"there is no model {wish.model}; there are: {', '.join(tables)}")
    if wish.end <= wish.begin:
        raise TrainingError(f"the window ends before it begins: {_said(wish)}")
    return tables[wish.model]


def _said(wish: Wish) -> str:
    return f"{_moment(wish.begin)} to {_moment(wish.end)} UTC"


def _moment(at: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at):%Y-%m-%d %H:%M}"


@contextlib.contextmanager
def _alone(database: Database, wish: Wish) -> Iterator[None]:
    """One training of a model and tenant at a time, wherever it runs: the lock is the database's and falls with its connection."""
    with contextlib.ExitStack() as stack:
        try:
            free = stack.enter_context(reservoir.locked(database, f"train {wish.tenant} {wish.model}"))
        except Away as away:
            raise TrainingError(f"the database does not answer ({away}); nothing was written, the model in use stays") from away
        if not free:
            raise TrainingError(f"{wish.model} is already being trained for {wish.tenant}; wait until that is done")
        yield


def _read(database: Database, wish: Wish, table: ModelTable) -> Rows:
    try:
        return reservoir.read(database, wish.tenant, table.name, table.schema_hash, len(table.features), (wish.begin, wish.end))
    except Away as away:
        raise TrainingError(f"the database went away while rows were read ({away}); nothing was written, the model in use stays") from away
    except ValueError as error:
        raise TrainingError(f"rows of {wish.model} for {wish.tenant} cannot be read: {error}") from error


def _checked(wish: Wish, found: Rows, now: int) -> tuple[Rows, list[str]]:
    """Rows that can be learnt from, in the order of time, and what was left out. Raises TrainingError."""
    about = f"{wish.model} for {wish.tenant} from {_said(wish)}"
    if len(found) == 0:
        raise TrainingError(f"there are no rows of {about}; `tuermer train --list` shows which days have some")
    ahead = found.hour > now + AHEAD
    if ahead.mean() > MOST_AHEAD:
        raise TrainingError(f"{ahead.mean():.0%} of the rows of {about} lie in the future: a device's clock is wrong, see `tuermer doctor`")
    kept = replace(found, X=found.X[~ahead], entity=found.entity[~ahead], hour=found.hour[~ahead])
    if len(kept) < FEWEST:
        raise TrainingError(f"there are only {len(kept)} rows of {about}; at least {FEWEST} are needed: choose a longer window")
    days = len(np.unique(kept.entity >> 32))
    if len(np.unique(kept.entity)) <= days and wish.model not in NO_PROBABILITY:
        raise TrainingError(f"all rows of {about} come from one entity; a model of it alone would call everybody else odd")
    notes = [f"{int(ahead.sum())} rows from the future were left out"] if ahead.any() else []
    notes += [f"{found.covered} rows lay in maintenance windows and were left out"] if found.covered > 0 else []
    notes += [f"{found.given_back} rows are of incidents that were none"] if found.given_back > 0 else []
    notes += [f"{found.strange} hours were kept by a version with other features and were left out"] if found.strange > 0 else []
    return kept, notes


def _parts(wish: Wish, found: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the rows to learn from and of the newest, which are held back; no hour is in both. Nobody has more than a thousandth
    of a day's rows in either (SCORE's own limit counts what it saw, of which a small town keeps a part); services are many sources."""
    allowed = np.arange(len(found)) if wish.model in LEARNS_ALL else limited(found.entity, wish.seed)
    at = found.hour[allowed[int((1.0 - HELD_BACK) * len(allowed))]]
    older, newest = allowed[found.hour[allowed] < at], allowed[found.hour[allowed] >= at]
    if min(len(older), len(newest)) < FEWEST_EACH:
        raise TrainingError(
            f"the rows of {wish.model} for {wish.tenant} are of too few hours or entities: {len(older)} to learn from and {len(newest)} "
            "to calibrate on are left; choose a longer window"
        )
    return older, newest


def limited(entity: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Indices, rising, of rows so that no entity has more than one in ONE_IN of its day's, but one in any case, drawn evenly.

    `entity` as in `Rows`: the upper half of a number is the day.
    """
    kept = []
    for day in np.unique(entity >> 32).tolist():
        mine = np.flatnonzero(entity >> 32 == day)
        counts = np.unique(entity[mine], return_counts=True)[1]
        most = max(1, len(mine) // ONE_IN)
        while most > max(1, int(np.minimum(counts, most).sum()) // ONE_IN):
            most -= 1
        kept.append(mine[capped(entity[mine], most, seed)])
    return np.sort(np.concatenate(kept))


def _trained(table: ModelTable, wish: Wish, found: Rows) -> Trained:
    known, (learnt, newest) = _prior(wish, table), _parts(wish, found)
    X = np.concatenate([known.training, found.X[learnt]])
    doubted = np.arange(len(X)) >= len(known.training)
    held_back, blocks = _held_back(known, found, newest)
    try:
        made = train(table, X, held_back, wish.seed, blocks, doubted, Days(known.days, known.day))
    except ValueError as error:
        raise TrainingError(str(error)) from error
    detector = replace(made.detector, threshold_p=_threshold(wish, made.detector, found, newest), model_id="")
    entity = np.unique(found.entity[learnt], return_counts=True)[1]
    sources = {"prior": len(known.training), "tenant": len(learnt), "given_back": found.given_back}
    about = {"sources": sources, "largest_entity": float(entity.max() / len(X)), "seed": wish.seed}
    return Trained(detector, made.about | _about(wish, found, learnt, newest) | about)


def _calibrated(table: ModelTable, wish: Wish, found: Rows) -> Trained:
    """The champion's forests with a calibration on the window's newest fifth."""
    champion, known = wish.champion or _shipped(wish, table), _prior(wish, table)
    if champion.schema_hash != table.schema_hash:
        raise TrainingError(f"{champion.model_id} was trained for other features than this version's; train it whole")
    learnt, newest = _parts(wish, found)
    held_back, blocks = _held_back(known, found, newest)
    made = recalibrated(table, champion, held_back, blocks)
    detector = replace(made.detector, threshold_p=_threshold(wish, made.detector, found, newest), model_id="")
    sources = {"prior": 0, "tenant": 0, "given_back": found.given_back}
    about = {"sources": sources, "largest_entity": 0.0, "seed": wish.seed, "calibrated_from": champion.model_id}
    return Trained(detector, made.about | _about(wish, found, learnt[:0], newest) | about)


def _about(wish: Wish, found: Rows, learnt: NDArray[np.int64], newest: NDArray[np.int64]) -> dict[str, Any]:
    return {
        "tenant": wish.tenant, "trained_by": wish.by, "gates": {},
        "window": {"from": _moment(wish.begin), "to": _moment(wish.end), "held_back_from": _moment(int(found.hour[newest[0]]))},
        "window_rows": {"older": len(learnt), "newest": len(newest), "all": len(found)},
        "entities": {"training": len(np.unique(found.entity[learnt])), "calibration": len(np.unique(found.entity[newest]))},
        "left_out": {"maintenance": found.covered},
    }  # fmt: skip


def _held_back(known: prior.Prior, found: Rows, newest: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows to calibrate on, and which of them are no independent witnesses."""
    return np.concatenate([known.calibration, found.X[newest]]), np.concatenate([-1 - known.block, found.entity[newest]])


def _threshold(wish: Wish, detector: Detector, found: Rows, newest: NDArray[np.int64]) -> float:
    """The shipped one; for services, where a share of rows is no measure, what the held-back days would have opened limits it."""
    shipped = (wish.champion or _shipped(wish, read_all(wish.models)[wish.model])).threshold_p
    if wish.model not in NO_PROBABILITY:
        return shipped
    p, day = detector.score(found.X[newest])[1], found.hour[newest] // DAY
    each = PER_SERVICE_DAY / max(len(np.unique(found.entity[newest])) / max(len(np.unique(day)), 1), 1.0)
    return min(shipped, threshold_by_replay(
        p, found.hour[newest], found.entity[newest].astype(np.uint64), per_day=each, most=shipped, quiet=DAY
    ))  # fmt: skip


def _prior(wish: Wish, table: ModelTable) -> prior.Prior:
    return prior.load(wish.models / table.name, table)


def _shipped(wish: Wish, table: ModelTable) -> Detector:
    try:
        return Detector.load(wish.models / table.name / "baseline", table=table)
    except ArtefactError as error:
        raise TrainingError(str(error)) from error


def _written(trained: Trained, out: Path) -> Path:
    """The folder `out`/<model id>, put there in one move when all of it is on disk."""
    folder = out / trained.detector.model_id
    unfinished = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out))
        trained.save(unfinished)
        for path in unfinished.iterdir():
            _sync(path)
        shutil.rmtree(folder, ignore_errors=True)  # the same model, made again: the same bytes
        os.replace(unfinished, folder)
    except OSError as error:
        raise TrainingError(f"the candidate could not be written to {out} ({error.strerror}); nothing was left there") from error
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
