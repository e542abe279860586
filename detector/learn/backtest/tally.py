"""How far each event stood from the threshold, counted: the honest ones apart from each attack's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.features import Rows
from detector.judge.models import Models, Scored

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]
DAY = 86_400_000_000  # µs
BINS, LOWEST, WIDTH = 1300, -4.0, 0.01  # of a histogram of margins: log10(threshold / p), at 0 and above flagged
LEVELS = (1e-2, 1e-3, 1e-4)  # at which calibration is counted


@dataclass(slots=True)
class Memory:
    """Whom an attack used within the last day: their own counters remember it, so that their honest rows are not usual ones."""

    _last: dict[tuple[str, int], int] = field(default_factory=dict)

    def clean(self, shard: str, rows: Mapping[str, Rows], truth: I64, now: int) -> dict[str, Mask]:
        """By model, which rows are honest and of nobody whom an attack used by the end of this batch; `now` µs, its end."""
        return {name: (truth[one.row] == 0) & ~self._used(f"{shard} {name}", one, truth, now) for name, one in rows.items()}

    def _used(self, room: str, rows: Rows, truth: I64, now: int) -> Mask:
        for entity in np.unique(rows.entity[truth[rows.row] > 0]).tolist():
            self._last[room, entity] = now
        known = [entity for (where, entity), at in self._last.items() if where == room and now - at < DAY]
        return np.isin(rows.entity, np.array(known, np.uint64))


@dataclass(slots=True)
class Tally:
    """One rival's margins. honest, attack (by number): histograms int64 (BINS) of events; calibration: by model, honest rows,
    then how many of them at or below each of LEVELS."""

    honest: I64 = field(default_factory=lambda: np.zeros(BINS, np.int64))
    attack: dict[int, I64] = field(default_factory=dict)
    calibration: dict[str, I64] = field(default_factory=dict)

    def take(self, scored: Mapping[str, Scored], models: Models, truth: I64, clean: Mapping[str, Mask]) -> None:
        """One batch of a shard; rows that count nothing (repeated reports of an attempt) are left out."""
        margin, usual = np.full(len(truth), LOWEST), truth == 0
        for name, one in scored.items():
            counts = one.rows.weight > 0
            rows, p, mine = one.rows.row[counts], one.p[counts], clean[name][counts]
            np.maximum.at(margin, rows, np.log10(models.scorers[name].threshold_p / np.maximum(p, 1e-300)))
            usual[one.rows.row[~clean[name]]] = False
            counted = np.array([mine.sum(), *((p[mine] <= level).sum() for level in LEVELS)], np.int64)
            self.calibration[name] = self.calibration.get(name, np.zeros(len(counted), np.int64)) + counted
        bins = np.clip((margin - LOWEST) / WIDTH, 0, BINS - 1).astype(np.int64)
        self.honest += np.bincount(bins[usual], minlength=BINS)
        for number in np.unique(truth[truth > 0]).tolist():
            found = np.bincount(bins[truth == number], minlength=BINS)
            self.attack[number] = self.attack.get(number, np.zeros(BINS, np.int64)) + found
