"""One feature of an honest row is made odd: the shipped models name it, and say truly at which value they would have kept quiet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.features.table import read_all
from detector.forest.detector import Detector
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
    """(feature, row) for each feature that can be adverse: honest rows in which it alone is far beyond what these rows have."""
    rng = np.random.default_rng(1)
    quiet = honest[detector.score(honest)[1] > 0.05]
    for j, direction in enumerate(detector.directions):
        if direction == "context":
            continue
        sign = -1.0 if direction == "low" else 1.0
        usual, extreme = detector.usual(j)
        farthest = sign * max((sign * honest[:, j]).max(), sign * extreme)
        for row in quiet[rng.choice(len(quiet), EACH)]:
            odd = row.copy()
            odd[j] = farthest + sign * max(abs(farthest - usual), 3.0)
            yield j, odd


def raised(model: str, samples: dict[str, baseline.Sample]) -> tuple[Detector, list[tuple[int, F64]]]:
    detector = registry.detectors()[model]
    return detector, [
        (j, row) for j, row in planted(detector, samples[model].X) if detector.score(row[None, :])[1][0] <= detector.threshold_p
    ]


def test_the_planted_cause_is_named_first_or_among_the_first_three(samples: dict[str, baseline.Sample]) -> None:
    places = []
    for model in registry.detectors():
        detector, rows = raised(model, samples)
        for j, row in rows:
            order = [feature for feature, _, _ in detector.explain(row)]
            places.append(order.index(j) if j in order else len(order))
    first, three = np.mean(np.array(places) == 0), np.mean(np.array(places) < 3)
    assert len(places) > 300
    assert first >= 0.82
    assert three >= 0.96


def test_what_would_have_been_quiet_is_quiet_and_a_little_more_is_not(samples: dict[str, baseline.Sample]) -> None:
    checked = 0
    for model in registry.detectors():
        detector, rows = raised(model, samples)
        for j, row in rows[::EACH]:
            limit = detector.counterfactual(row, j, detector.threshold_p)
            if limit is None:
                continue
            step = (row[j] - detector.usual(j)[0]) / 2000.0
            both = np.array([row, row])
            both[:, j] = limit, limit + step
            quiet, loud = detector.score(both)[1]
            assert quiet > detector.threshold_p >= loud, (model, detector.features[j])
            checked += 1
    assert checked > 20
