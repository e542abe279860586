"""What SCORE says about itself every minute, and what Grafana makes of it."""

from __future__ import annotations

import contextlib

import numpy as np

from detector.judge.texts import guidance
from detector.store import Database
from detector.store.database import moment
from detector.store.guide import keep_guidance
from detector.store.pulse import DAY, KEPT, MINUTE, Figures, PulseChore, keep
from detector.web.metrics import Metrics
from tests.postgres import TestDatabase

NOON = 1_780_315_200_000_000  # 2026-06-01T12:00:00Z


def test_a_minute_is_one_row_and_is_told_over_the_time_since_the_last(any_database: TestDatabase) -> None:
    asked: list[int] = []

    def figures(span: int) -> Figures:
        asked.append(span)
        return Figures(100.0, 7, 0.4, 1.9)

    with contextlib.closing(Database(any_database.url())) as database:
        chore = PulseChore(database, "1", figures)
        for seconds in (0, 30, 60, 90, 125):
            chore(NOON + seconds * 1_000_000)
    assert asked == [60_000_000, 65_000_000]
    assert any_database.rows("SELECT minute, events_per_second, lag FROM store.pulse ORDER BY 1") == [
        (moment(NOON + MINUTE), 100.0, 7),
        (moment(NOON + 2 * MINUTE), 100.0, 7),
    ]


def test_a_months_figures_are_kept_and_no_more(any_database: TestDatabase) -> None:
    with contextlib.closing(Database(any_database.url())) as database:
        keep(database, "score", "1", Figures(1.0, 0), NOON - KEPT - MINUTE)
        keep(database, "score", "1", Figures(2.0, 0), NOON - KEPT + MINUTE)
        chore = PulseChore(database, "1", lambda _: Figures(3.0, 0), last=NOON - MINUTE, cleaned=NOON - DAY)
        chore(NOON)
    assert any_database.rows("SELECT events_per_second FROM store.pulse ORDER BY minute") == [(2.0,), (3.0,)]


def test_several_processes_add_up_and_the_slowest_one_is_shown(any_database: TestDatabase) -> None:
    now = any_database.rows("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
    [(micros,)] = now
    with contextlib.closing(Database(any_database.url())) as database:
        keep(database, "score", "1", Figures(100.0, 3, 0.2, 1.0), int(str(micros)))
        keep(database, "score", "2", Figures(50.0, 4, 0.3, 9.0), int(str(micros)))
    rows = any_database.rows("SELECT events_per_second, lag, latency_p50, latency_p99 FROM grafana.throughput", role="tuermer_grafana")
    assert rows == [(150.0, 7, 0.3, 9.0)]


def test_percentiles_are_of_what_came_since_the_last_question() -> None:
    metrics = Metrics()
    assert metrics.recent_latency() is None
    metrics.latencies(np.full(99, 0.1))
    metrics.latencies(np.array([9.0]))
    p50, p99 = metrics.recent_latency() or (0.0, 0.0)
    assert 0.05 < p50 <= 0.1
    assert 0.05 < p99 <= 10.0
    assert metrics.recent_latency() is None


def test_guidance_texts_follow_the_file(any_database: TestDatabase) -> None:
    with contextlib.closing(Database(any_database.url())) as database:
        for _ in range(2):
            with database.transaction() as connection:
                keep_guidance(connection, guidance())
    rows = any_database.rows("SELECT key, next -> 'de' ->> 0, beware ->> 'en' FROM store.guidance ORDER BY key")
    assert rows == sorted((key, one.next.de[0], one.beware.en) for key, one in guidance().items())
