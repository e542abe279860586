"""What would have been quiet: the largest amount of the leading feature at which the same row would not have been raised.

Three questions, the first that has an answer is told: the feature alone; all features that count the same thing in other
time windows with it (a burst stands in each of them); everything less in proportion. Each is found by scoring, so each
can be checked by scoring.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.features.table import Feature, ModelTable
from detector.judge.models import Scorer
from detector.judge.sayings import amount

F64 = NDArray[np.float64]
How = Literal["alone", "alike", "together"]
POINTS, ROUNDS = 32, 3  # 1 / 32,768 of the way, finer than a sentence shows
_KINDS = {"failures": "logins", "attempts": "logins", "hosts": "targets", "addresses": "targets"}  # units that count the same thing
_COUNTS = ("attempts", "failures", "events", "addresses", "accounts", "hosts", "ports", "bytes")


@dataclass(frozen=True, slots=True)
class Limit:
    """Below `amount` of the feature (in its unit; of bits as they are) the row would have been quiet."""

    feature: int
    amount: float
    how: How

    def applied(self, table: ModelTable, scorer: Scorer, x: F64, amount: float) -> F64:
        """The row as it would have been at that amount of the feature, shape (F,)."""
        feature = table.features[self.feature]
        value = math.log2(1.0 + amount) if feature.scale == "log2" else amount
        row: F64 = _path(table, scorer, x, self.feature, self.how)(np.array([value]))[0]
        return row


def find(table: ModelTable, scorer: Scorer, x: F64, leading: list[int]) -> Limit | None:
    """The limit for a raised row (F,); `leading` are its reasons' features, strongest first. None if even the usual is loud."""
    if len(leading) == 0 or _p(scorer, x[None, :])[0] > scorer.threshold_p:
        return None
    tries: list[tuple[int, How]] = [(j, "alone") for j in leading]
    tries += [(j, "alike") for j in leading if table.features[j].unit in _COUNTS]
    for j, how in [*tries, (leading[0], "together")]:
        value = _quiet(scorer, _path(table, scorer, x, j, how), float(x[j]), scorer.usual(j)[0])
        if value is not None:
            return Limit(j, _rounded(table.features[j], value), how)
    return None


def _path(table: ModelTable, scorer: Scorer, x: F64, j: int, how: How) -> Callable[[F64], F64]:
    """From values of feature j to rows, shape (n,) -> (n, F)."""
    usual = np.array([scorer.usual(k)[0] for k in range(len(x))])
    kind = _kind(table.features[j])
    alike = np.array([k == j or (how == "alike" and _kind(f) == kind and f.direction == "high") for k, f in enumerate(table.features)])

    def rows(values: F64) -> F64:
        made = np.tile(x, (len(values), 1))
        if how == "together":
            whole = x[j] - usual[j]
            part = (values - usual[j]) / whole if whole != 0 else np.zeros(len(values))
            return np.asarray(usual + (made - usual) * part[:, None])
        made[:, alike] = np.minimum(made[:, alike], values[:, None]) if how == "alike" else made[:, alike]
        made[:, j] = values
        return made

    return rows


def _kind(feature: Feature) -> str:
    return _KINDS.get(feature.unit, feature.unit)


def _quiet(scorer: Scorer, path: Callable[[F64], F64], loud: float, usual: float) -> float | None:
    """The value nearest to `loud` at which the path is quiet; None when even the usual is not."""
    if loud == usual or _p(scorer, path(np.array([usual])))[0] <= scorer.threshold_p:
        return None
    quiet = usual
    for _ in range(ROUNDS):
        values = np.linspace(loud, quiet, POINTS + 1)[1:]
        first = int((_p(scorer, path(values)) > scorer.threshold_p).argmax())
        loud, quiet = (float(values[first - 1]) if first > 0 else loud), float(values[first])
    return quiet


def _rounded(feature: Feature, value: float) -> float:
    """Rounded so that what is said stays true: whole numbers for what is counted whole, down for what fades or is measured."""
    exact = amount(feature, value)
    if feature.unit not in _COUNTS:
        return exact
    if feature.half_life == 0 and feature.unit != "bytes":
        return math.floor(exact + 1e-6) + 1.0
    return math.floor(exact) if 1 <= exact < 100 else _two_digits_down(exact)


def _two_digits_down(value: float) -> float:
    if value <= 0:
        return value
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.floor(value / step + 1e-9) * step


def _p(scorer: Scorer, rows: F64) -> F64:
    return scorer.score(rows)[1]
