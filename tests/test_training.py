"""`tuermer train`: what a candidate is made of, that the same rows give the same bytes, and one sentence for everything that is wrong."""

from __future__ import annotations

import contextlib
import json
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.forest.detector import Detector
from detector.learn.registry import SHIPPED
from detector.learn.training import Made, TrainingError, Wish, candidate, limited
from detector.store import Database, reservoir
from tests.kept import DAY, HOUR, MODEL, PRIOR, START, TABLE, TENANT, block, days, keep, rows_of
from tests.postgres import TestDatabase

NOW = START + 14 * DAY
WISH = Wish(MODEL, TENANT, START, NOW, by="meier")
QUICK = replace(WISH, calibrate_only=True)  # reads, checks and writes like any other, but grows no trees


@pytest.fixture
def base(database: TestDatabase) -> Iterator[Database]:
    with contextlib.closing(Database(database.url())) as made:
        yield made


def made_of(base: Database, out: Path, wish: Wish = WISH, number: int = 7) -> Made:
    keep(base, days(number))
    return candidate(base, wish, out, NOW)


def test_a_candidate_is_arrays_and_a_manifest_that_says_what_it_was_made_of(base: Database, tmp_path: Path) -> None:
    made = made_of(base, tmp_path)
    manifest = json.loads((made.folder / "manifest.json").read_text())
    assert sorted(path.name for path in made.folder.iterdir()) == ["arrays.npz", "manifest.json"]
    assert manifest["schema_hash"] == TABLE.schema_hash
    assert manifest["features"] == list(TABLE.names)
    assert len(manifest["directions"]) == len(TABLE.names)
    about = manifest["about"]
    assert about["window"] == {"from": "2026-01-05 08:00", "to": "2026-01-19 08:00", "held_back_from": about["window"]["held_back_from"]}
    assert about["sources"]["prior"] == len(PRIOR.training)
    assert 1000 < about["sources"]["tenant"] == about["window_rows"]["older"] < 4 * about["window_rows"]["newest"] + 100
    assert about["rows"]["calibration"] == len(PRIOR.calibration) + about["window_rows"]["newest"]
    assert about["largest_entity"] <= 0.001
    assert (about["tenant"], about["trained_by"], about["seed"]) == (TENANT, "meier", 0)
    assert {"numpy", "scikit-learn", "pyod", "python"} <= about["libraries"].keys()
    assert about["calibration"]["realised"]["0.01"] == pytest.approx(0.01, rel=0.2)
    assert about["gates"] == {}


def test_the_same_rows_and_seed_give_the_same_bytes(base: Database, tmp_path: Path) -> None:
    one = made_of(base, tmp_path / "a").folder
    again = candidate(base, WISH, tmp_path / "b", NOW).folder
    names = ("arrays.npz", "manifest.json")
    assert [(one / name).read_bytes() for name in names] == [(again / name).read_bytes() for name in names]


def test_the_newest_fifth_calibrates_and_teaches_nothing(base: Database, tmp_path: Path) -> None:
    """Whatever stands in the newest hours, forest and tails stay; what p means changes."""
    keep(base, days(8))
    odd = block(START + 9 * DAY, rows_of(1000, 5) + np.float32(6.0), np.arange(1000))
    before = candidate(base, WISH, tmp_path, NOW)
    at = before.about["window"]["held_back_from"]
    keep(base, [odd])
    after = candidate(base, WISH, tmp_path, NOW)
    assert after.about["window"]["held_back_from"] >= at
    found = rows_of(50, 8) + np.float32(6.0)
    assert np.median(after.detector.score(found)[1]) > 5 * np.median(before.detector.score(found)[1])


def test_calibrate_only_keeps_every_tree_and_says_whose_they_are(base: Database, tmp_path: Path) -> None:
    keep(base, days(7))
    shipped = Detector.load(SHIPPED / MODEL / "baseline", table=TABLE)
    made = candidate(base, replace(WISH, calibrate_only=True), tmp_path, NOW)
    assert made.about["calibrated_from"] == shipped.model_id
    assert made.detector.model_id != shipped.model_id
    X = rows_of(500, 3).astype(np.float64)
    np.testing.assert_array_equal(made.detector.strength(X)[0], shipped.strength(X)[0])
    assert not np.array_equal(made.detector.score(X)[1], shipped.score(X)[1])


def test_nobody_gives_more_than_a_thousandth_of_a_day() -> None:
    """One entity has half of all rows; the days have five hundred and three thousand others."""
    few, many = (np.concatenate([np.zeros(n, np.int64), 1 + np.arange(n) % others]) for n, others in ((500, 500), (9_000, 3_000)))
    entity = np.concatenate([few, (1 << 32) | many])
    kept = limited(entity, 0)
    counts = [np.unique(entity[kept][entity[kept] >> 32 == day], return_counts=True)[1] for day in (0, 1)]
    assert counts[0].tolist() == [1] * 501
    assert counts[1].max() <= max(1, counts[1].sum() // 1_000)
    assert counts[1].sum() > 3_000


def test_rows_of_an_incident_are_out_until_somebody_says_that_it_was_none(base: Database, database: TestDatabase, tmp_path: Path) -> None:
    incident = "00000000-0000-0000-0000-000000000001"
    keep(base, [*days(5), block(START + 3 * HOUR, rows_of(40, 9), np.arange(40), (incident,))])
    assert len(reservoir.read(base, TENANT, MODEL, TABLE.schema_hash, len(TABLE.features), (START, NOW))) == 2500
    database.rows("ALTER VIEW public.given_back RENAME TO hidden")
    database.rows(f"CREATE VIEW public.given_back AS SELECT 'stadt' AS tenant, '{incident}'::uuid AS incident")
    database.rows("GRANT SELECT ON public.given_back TO tuermer_daemon")
    made = candidate(base, QUICK, tmp_path, NOW)
    assert made.about["sources"]["given_back"] == 40
    assert "40 rows are of incidents that were none" in made.notes


def test_maintenance_windows_teach_nothing(base: Database, database: TestDatabase, tmp_path: Path) -> None:
    keep(base, days(6))
    database.rows(
        "INSERT INTO store.maintenance (tenant, site, entity, name, begins, ends, added) "
        "VALUES ('stadt', '', '%%', 'Umzug', '2026-01-05 09:20+00', '2026-01-05 09:40+00', now()),"
        " ('stadt', '', 'srv-1', 'one machine', '2026-01-05 11:00+00', '2026-01-05 12:00+00', now())"
    )
    made = candidate(base, QUICK, tmp_path, NOW)
    assert made.about["left_out"] == {"maintenance": 50}


def test_an_hour_of_other_features_is_left_out_and_said(base: Database, tmp_path: Path) -> None:
    keep(base, [*days(5), days(1)[0]._replace(hour=START - HOUR, schema="0" * 32)])
    made = candidate(base, replace(QUICK, begin=START - HOUR), tmp_path, NOW)
    assert made.notes == ("1 hours were kept by a version with other features and were left out",)


# what is wrong with the window


def refused(base: Database, out: Path, sentence: str, wish: Wish = WISH, now: int = NOW) -> None:
    with pytest.raises(TrainingError, match=sentence):
        candidate(base, wish, out, now)
    assert not out.exists() or list(out.iterdir()) == []


def test_a_window_without_data_is_a_sentence(base: Database, tmp_path: Path) -> None:
    refused(base, tmp_path / "out", "there are no rows of auth-source for stadt from 2026-01-05 08:00 to 2026-01-19 08:00 UTC")


def test_too_few_rows_are_a_sentence(base: Database, tmp_path: Path) -> None:
    keep(base, days(1))
    refused(base, tmp_path / "out", "there are only 500 rows of .* at least 2000 are needed: choose a longer window")


def test_one_entity_only_is_a_sentence(base: Database, tmp_path: Path) -> None:
    keep(base, days(5, entities=1))
    refused(base, tmp_path / "out", "all rows of .* come from one entity")


def test_a_single_hour_is_a_sentence(base: Database, tmp_path: Path) -> None:
    keep(base, [block(START, rows_of(2500, 1), np.arange(2500))])
    refused(base, tmp_path / "out", "are of too few hours or entities: 0 to learn from and 2500 to calibrate on")


def test_clocks_in_the_future_are_a_sentence_and_a_few_rows_are_left_out(base: Database, tmp_path: Path) -> None:
    keep(base, days(7))
    refused(base, tmp_path / "out", "71% of the rows of .* lie in the future: a device's clock is wrong", now=START + DAY + 10 * HOUR)
    made = candidate(base, QUICK, tmp_path / "out", START + 6 * DAY + 7 * HOUR)
    assert "50 rows from the future were left out" in made.notes


def test_a_window_that_ends_before_it_begins_and_an_unknown_model_are_sentences(base: Database, tmp_path: Path) -> None:
    refused(base, tmp_path / "out", "the window ends before it begins", replace(WISH, end=START))
    refused(base, tmp_path / "out", "there is no model auth; there are: auth-service", replace(WISH, model="auth"))


def test_of_two_trainings_at_once_the_second_is_told_to_wait(base: Database, database: TestDatabase, tmp_path: Path) -> None:
    keep(base, days(5))
    other = Database(database.url())
    with reservoir.locked(other, f"train {TENANT} {MODEL}"):
        refused(base, tmp_path / "out", "auth-source is already being trained for stadt")
    other.close()
    assert candidate(base, QUICK, tmp_path / "out", NOW).folder.is_dir()


def test_a_full_disk_leaves_nothing_behind_and_what_was_there_stays(base: Database, tmp_path: Path) -> None:
    """Files that may not grow stand for a full disk: writing breaks off in the middle of the arrays."""
    earlier = made_of(base, tmp_path, QUICK)
    content = (earlier.folder / "manifest.json").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(TrainingError, match=r"could not be written to .*File too large.*; nothing was left there"):
            candidate(base, replace(QUICK, end=NOW - 8 * DAY), tmp_path, NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [earlier.folder]
    assert (earlier.folder / "manifest.json").read_bytes() == content


def test_a_database_that_goes_away_in_the_middle_is_a_sentence(base: Database, database: TestDatabase, tmp_path: Path) -> None:
    keep(base, days(5))

    def gone(done: int, of: int) -> None:
        del of
        if done == 0:
            database.server.stop()

    with pytest.raises(TrainingError, match=r"the database went away while rows were read .*; nothing was written, the model in use stays"):
        candidate(base, WISH, tmp_path / "out", NOW, gone)
    assert not (tmp_path / "out").exists()
    with pytest.raises(TrainingError, match="the database does not answer"):
        candidate(base, WISH, tmp_path / "out", NOW)
