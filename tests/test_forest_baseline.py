"""Baselines: honest simulated rows only, the same every time; and the registry says what is at hand and what is wrong."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from detector.features.table import read_all
from detector.forest.artefact import ArtefactError
from detector.learn import baseline, registry
from detector.simulate import City

MORNING = datetime(2026, 3, 2, 9, tzinfo=UTC)


class ShortDays(City):
    """A city whose days have twenty minutes, so that a test need not wait."""

    windows_per_day = 2


@pytest.fixture(scope="module")
def samples() -> dict[str, baseline.Sample]:
    return collected()


def collected() -> dict[str, baseline.Sample]:
    return baseline.collect(ShortDays(3, 60, MORNING, attacks="none"), baseline.WARM_UP + 1, read_all(registry.SHIPPED))


def test_rows_come_from_after_the_warm_up_only(samples: dict[str, baseline.Sample]) -> None:
    start = int(MORNING.timestamp()) * 1_000_000 + baseline.WARM_UP * 2 * 600_000_000
    for model in ("firewall-source", "auth-source", "auth-user"):
        time = samples[model].time
        assert len(time) > 50, model
        assert start <= time.min(), model
        assert time.max() < start + 2 * 600_000_000, model


def test_the_internets_noise_gives_no_honest_rows(samples: dict[str, baseline.Sample]) -> None:
    """Scanners are denied hundreds of times an hour; nobody honest is."""
    names = read_all(registry.SHIPPED)["firewall-source"].names
    assert samples["firewall-source"].X[:, names.index("denies_1h")].max() < np.log2(1 + 100)


def test_the_same_city_gives_the_same_rows(samples: dict[str, baseline.Sample]) -> None:
    again = collected()
    assert {m: s.X.tobytes() for m, s in again.items()} == {m: s.X.tobytes() for m, s in samples.items()}


@pytest.mark.parametrize(("people", "days"), [(299, 10), (300, baseline.WARM_UP)])
def test_too_few_people_or_days_are_refused(people: int, days: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"a baseline needs 300 people and {baseline.WARM_UP + 1} days or more"):
        next(baseline.train_baseline(people, days, out=tmp_path))


def test_the_registry_lists_every_shipped_model_and_finds_nothing_wrong() -> None:
    assert registry.verify() == []
    entries = registry.listed()
    assert [entry["model"] for entry in entries] == sorted(read_all(registry.SHIPPED))
    assert all(entry["calibration_rows"] >= 100 for entry in entries)
    assert {detector.model_id for detector in registry.detectors().values()} == {entry["id"] for entry in entries}


def test_the_registry_says_in_one_sentence_what_is_wrong(tmp_path: Path) -> None:
    models = Path(shutil.copytree(registry.SHIPPED, tmp_path / "models"))
    arrays = models / "auth-user" / "baseline" / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-1])
    [sentence] = registry.verify(models)
    assert "auth-user" in sentence
    assert "altered or cut off" in sentence
    assert registry.verify(tmp_path / "nowhere") == [f"{tmp_path / 'nowhere'}: there are no models here"]
    with pytest.raises(ArtefactError, match="there is no model door"):
        registry.manifest("door", models)
