"""One feature of an honest row is made odd: the shipped models name it, and say truly at which value they would have kept quiet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.features.table import read_all
from detector.forest.detector import Detector
from detector.judge.counterfactual import find
from detector.learn import baseline, registry
from detector.simulate import City

F64 = NDArray[np.float64]
MORNING = datetime(2026, 3, 2, 9, tzinfo=UTC)
EACH = 12  # honest rows for each feature


class ShortDays(City):
    """A city whose days have twenty minutes, so that a test need not wait."""

    windows_per_day = 2


@pytest.fixture(scope="module")
def samples() -> dict[str, baseline.Sample]:
    return baseline.collect(ShortDays(5, 60, MORNING, attacks="none"), baseline.WARM_UP + 1, read_all(registry.SHIPPED))


def planted(detector: Detector, honest: F64) -> Iterator[tuple[int, F64]]:
    """(feature, row) for each feature that can be adverse: usual rows in which it alone is far beyond what honest rows have.

    In a city that is an hour old everything is new; so rows are usual where honest ones are cut at the usual extreme.
    """
    rng = np.random.default_rng(1)
    sign = np.where(np.array(detector.directions) == "low", -1.0, 1.0)
    extreme = np.array([detector.usual(j)[1] for j in range(len(sign))])
    cut = sign * np.minimum(sign * honest, sign * extreme)
    quiet = np.concatenate([cut[detector.score(cut)[1] > 0.01], [[detector.usual(j)[0] for j in range(len(sign))]]])
    for j, direction in enumerate(detector.directions):
        if direction == "context":
            continue
        farthest = sign[j] * max((sign[j] * honest[:, j]).max(), sign[j] * extreme[j])
        for row in quiet[rng.choice(len(quiet), EACH)]:
            odd = row.copy()
            odd[j] = farthest + sign[j] * max(abs(farthest - detector.usual(j)[0]), 3.0)
            yield j, odd


def odd_rows(model: str, honest: F64, level: float) -> tuple[Detector, list[tuple[int, F64]]]:
    """The planted rows of a model with p at or below the level."""
    detector = registry.detectors()[model]
    rows = list(planted(detector, honest))
    p = detector.score(np.array([row for _, row in rows]))[1]
    return detector, [found for found, seen in zip(rows, p <= level, strict=True) if seen]


def test_the_planted_cause_is_named_first_or_among_the_first_three(samples: dict[str, baseline.Sample]) -> None:
    """Also where one feature alone is not enough to be raised, as long as the row is among the oddest 3 %."""
    places = []
    for model in registry.detectors():
        detector, rows = odd_rows(model, samples[model].X, 0.03)
        for j, row in rows:
            order = [feature for feature, _, _ in detector.explain(row)]
            places.append(order.index(j) if j in order else len(order))
    assert len(places) > 150
    assert np.mean(np.array(places) == 0) >= 0.82
    assert np.mean(np.array(places) < 3) >= 0.96


def test_what_would_have_been_quiet_is_quiet_when_scored_again(samples: dict[str, baseline.Sample]) -> None:
    checked = 0
    for model, table in read_all(registry.SHIPPED).items():
        detector = registry.detectors()[model]
        for j, row in odd_rows(model, samples[model].X, detector.threshold_p)[1][::EACH]:
            found = find(table, detector, row, [j])
            if found is None:
                continue
            whole = table.features[j].half_life == 0 and table.features[j].scale == "log2" and table.features[j].unit != "bytes"
            changed = found.applied(table, detector, row, found.amount - 1 if whole else found.amount * (1 - 1e-9))
            assert detector.score(changed[None, :])[1][0] > detector.threshold_p, (model, table.features[j].name)
            checked += 1
    assert checked > 10
