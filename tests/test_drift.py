"""Drift: numbers that chance does not raise, and a cause by rules; each cause on made-up days, then on the simulated city."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from detector.features.state import BERLIN
from detector.judge import health
from detector.learn.drift import DRIFTED, Cause, Day, Device, Shift, cause, distance, shift, stability
from detector.learn.drifting import DriftWatch
from detector.learn.registry import detectors
from detector.store import Database, ailments, drift
from detector.store.drift import Found
from detector.web.metrics import Metrics
from tests.kept import DAY, MODEL, START, TABLE, days, keep
from tests.postgres import TestDatabase

ALL = frozenset(range(144))
NOW = START + 9 * DAY


def device(events: int = 10_000, slots: frozenset[int] = ALL, filled: float = 0.9) -> Device:
    return Device(events, slots, (int(filled * events),) * 6)


def day(kind: int = 0, devices: Mapping[str, Device] | None = None, *, free: bool = False, entities: int = 300, unread: int = 0) -> Day:
    return Day(kind, free, {"fw": device(), "vpn": device(2_000)} if devices is None else devices, unread, entities)


WEEK = [day(), day(), day(), day(), day(1), day(1), day()]
STILL = Shift(1000, {"ports": 0.02}, 0.03, 0.0)
MOVED = Shift(1000, {"ports": 0.02, "hosts": 0.9, "bytes": 0.4}, 0.4, 0.1)


def kind(found: Cause | None) -> str | None:
    return None if found is None else found.kind


def test_a_day_like_the_days_before_has_no_cause() -> None:
    assert cause(day(), WEEK, STILL) is None
    assert cause(day(1), WEEK, STILL) is None
    assert cause(day(), [], MOVED) is None


def test_a_device_that_always_sent_something_and_is_missing_for_an_hour_fell_silent() -> None:
    gap = ALL - frozenset(range(28, 37))
    found = cause(day(0, {"fw": device(slots=gap), "vpn": device(2_000)}), WEEK, MOVED)
    assert kind(found) == "source"
    assert found is not None
    assert found.text["de"] == "Eine Quelle ist verstummt: fw fehlte 1,5 Stunden lang, in denen sonst immer etwas von ihr kam."
    assert "fw was missing for 1.5 hours" in found.text["en"]
    assert kind(cause(day(0, {"vpn": device(2_000)}), WEEK, STILL)) == "source"


def test_a_device_that_is_often_quiet_at_that_hour_did_not_fall_silent() -> None:
    gap = ALL - frozenset(range(28, 37))
    assert (
        cause(
            day(0, {"fw": device(slots=gap), "vpn": device(2_000)}), [*WEEK, day(0, {"fw": device(slots=gap), "vpn": device(2_000)})], STILL
        )
        is None
    )


def test_a_device_that_nobody_knew_is_a_new_source_unless_it_says_next_to_nothing() -> None:
    assert kind(cause(day(0, {"fw": device(), "vpn": device(2_000), "lab": device(1_000)}), WEEK, MOVED)) == "source"
    assert cause(day(0, {"fw": device(), "vpn": device(2_000), "lab": device(50)}), WEEK, STILL) is None


def test_lines_that_nobody_can_read_and_fields_that_are_no_longer_filled_are_a_changed_format() -> None:
    found = cause(day(unread=2_000), WEEK, MOVED)
    assert kind(found) == "format"
    assert found is not None
    assert found.text["de"] == "Ein Format hat sich geändert: 14 % der Zeilen waren nicht lesbar, bisher 0 %."
    assert kind(cause(day(0, {"fw": device(filled=0.2), "vpn": device(2_000)}), WEEK, MOVED)) == "format"
    assert cause(day(unread=2_000), [day(unread=1_900) for _ in range(7)], STILL) is None


def test_a_holiday_and_the_first_day_of_a_school_break_are_the_calendar() -> None:
    few = {"fw": device(3_000), "vpn": device(500)}
    assert kind(cause(day(1, few, free=True), WEEK, MOVED)) == "calendar"
    assert kind(cause(day(2, few), WEEK, MOVED)) == "calendar"
    assert cause(day(2, few), [*WEEK, day(2)], STILL) is None
    assert kind(cause(day(2, few), [*WEEK, day(2)], MOVED)) == "behaviour"


def test_more_events_of_more_entities_are_growth_and_of_the_same_entities_are_not() -> None:
    more = {"fw": device(16_000), "vpn": device(3_000)}
    assert kind(cause(day(0, more, entities=450), WEEK, MOVED)) == "volume"
    assert kind(cause(day(0, more, entities=300), WEEK, MOVED)) == "behaviour"


def test_what_nothing_explains_is_behaviour_and_names_the_features_most_drifted_first() -> None:
    found = cause(day(), WEEK, MOVED)
    assert kind(found) == "behaviour"
    assert found is not None
    assert "hosts, bytes (Abstand der Bewertungen 0.40)" in found.text["de"]


@pytest.mark.parametrize("n", [150, 1000, 20_000])
def test_chance_alone_drifts_nothing_however_few_rows_there_are(n: int) -> None:
    rng = np.random.default_rng(n)
    found = [stability(rng.exponential(size=n), rng.exponential(size=3 * n)) for _ in range(20)]
    assert max(found) < DRIFTED / 2


def test_a_feature_that_is_mostly_one_value_drifts_when_it_no_longer_is() -> None:
    rng = np.random.default_rng(0)
    before = np.where(rng.random(5000) < 0.97, 0.0, 3.0)
    assert stability(np.where(rng.random(1000) < 0.97, 0.0, 3.0), before) < 0.05
    assert stability(np.where(rng.random(1000) < 0.5, 0.0, 3.0), before) > DRIFTED


def test_the_distance_of_scores_is_what_scipy_says() -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(1)
    one, other = rng.normal(size=300), np.round(rng.normal(0.3, size=500), 1)
    assert distance(one, other) == pytest.approx(ks_2samp(one, other).statistic)


def test_values_that_nobody_had_are_unknown_and_a_handful_of_rows_says_nothing() -> None:
    rng = np.random.default_rng(2)
    before = rng.random((1000, 2))
    strange = rng.random((200, 2)) + np.array([0.0, 5.0])
    found = shift(["a", "b"], strange, before, (strange[:, 0], before[:, 0]))
    assert found is not None
    assert found.unknown == pytest.approx(0.5, abs=0.01)
    assert found.drifted == ("b",)
    assert shift(["a", "b"], strange[:50], before, (strange[:50, 0], before[:, 0])) is None


# kept per model and day, told to Prometheus, and to people when the calibration is off


def found_of(database: TestDatabase, base: Database, low: int) -> list[Found]:
    """A week of days of the database through the watch; on the last, so many of 5,000 rows had p <= 0.01."""
    blocks = days(7)
    last = [
        one._replace(low=(low, low, 0), eligible=5_000) if one.hour == blocks[-1].hour else one._replace(low=(0, 0, 0)) for one in blocks
    ]
    keep(base, [*last, blocks[0]._replace(day=blocks[-1].day + 1, hour=blocks[-1].hour + DAY)])
    found: list[Found] = []
    watch = DriftWatch(base, {MODEL: TABLE}, lambda _: detectors(), lambda _: BERLIN, found.append)
    assert watch(NOW) == 7
    assert watch(NOW + DAY) == 0
    assert database.rows("SELECT count(*) FROM store.drift") == [(7,)]
    return found


@pytest.fixture
def base(database: TestDatabase) -> Iterator[Database]:
    with contextlib.closing(Database(database.url())) as made:
        yield made


@pytest.mark.parametrize(("low", "rule"), [(250, "alarms"), (5, "asleep"), (60, None)])
def test_a_calibration_that_was_off_for_a_day_is_a_health_incident_that_proposes_recalibration(
    base: Database, database: TestDatabase, low: int, rule: str | None
) -> None:
    found = found_of(database, base, low)
    assert found[-1].realised is not None
    with base.transaction() as connection:
        said = health.ailments([], [], ailments.operation(connection, NOW), NOW)
    assert [one.kind for one in said if one.kind in ("alarms", "asleep")] == ([] if rule is None else [rule])
    for one in said:
        if one.kind == rule:
            assert one.tenant == "stadt"
            assert "tuermer train auth-source --tenant stadt --calibrate-only" in one.text["de"]
            assert "a person decides" in one.text["en"]


def test_the_last_day_of_each_model_is_in_the_metrics(base: Database, database: TestDatabase) -> None:
    metrics = Metrics()
    for one in found_of(database, base, 100):
        metrics.drifted(one)
    text = metrics.text().decode()
    assert 'tuermer_drift_psi{model="auth-source",tenant="stadt"}' in text
    assert 'tuermer_alert_rate_ratio{model="auth-source",tenant="stadt"}' in text
    assert 'tuermer_drift_cause{cause="behaviour",model="auth-source",tenant="stadt"} 0.0' in text
    assert drift.newest(base)[0].rows == 500
    assert set(drift.newest(base)[0].psi) == set(TABLE.names)
