"""SCORE without Kafka: the next start goes on where the last one stopped, and a kill costs nothing but a little repetition."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from detector.lanes import Message, Tools
from detector.scorer import LocalScorer
from detector.store import StoreError
from detector.store.embedded import Embedded
from tests.counting import START, CountingCore, a_log
from tests.postgres import TestDatabase, fresh
from tests.test_scorer_lanes import facts, live, never

UNITS = a_log(21, messages=60, gaps=False)


@contextlib.contextmanager
def a_scorer(database: TestDatabase, source: str = "city") -> Iterator[LocalScorer]:
    with contextlib.closing(live(database.url())) as store:
        yield LocalScorer(CountingCore(), Tools(store, lambda: START, never), source)


def feed(scorer: LocalScorer, units: list[Message]) -> list[str]:
    return [id_ for unit in units for id_ in scorer.feed(unit.offset, {unit.shard: unit.events})]


def test_the_next_start_goes_on_where_a_clean_stop_was(postgres_server: Embedded) -> None:
    with fresh(postgres_server) as stopped, fresh(postgres_server) as calm:
        with a_scorer(calm) as scorer:
            feed(scorer, UNITS)
        with a_scorer(stopped) as scorer:
            assert scorer.position == 0
            feed(scorer, UNITS[:25])
            scorer.close()
        with a_scorer(stopped) as scorer:
            assert scorer.position == 25
            feed(scorer, UNITS[25:])
        assert facts(stopped) == facts(calm)


def test_after_a_kill_the_source_repeats_and_nothing_is_doubled_or_notified_again(database: TestDatabase) -> None:
    with a_scorer(database) as scorer:
        feed(scorer, UNITS[:20])
        scorer.close()
        told = feed(scorer, UNITS[20:40])
    before = facts(database)
    with a_scorer(database) as scorer:
        assert scorer.position == 20
        assert feed(scorer, UNITS[20:40]) == []
    assert told != []
    assert facts(database) == before


def test_units_that_were_fed_already_are_ignored(database: TestDatabase) -> None:
    with a_scorer(database) as scorer:
        feed(scorer, UNITS[:30])
        before = facts(database)
        feed(scorer, UNITS[:30])
        assert facts(database) == before


def test_a_unit_without_events_moves_the_position(database: TestDatabase) -> None:
    with a_scorer(database) as scorer:
        feed(scorer, UNITS[:3])
        scorer.feed(3, {"stadt": UNITS[0].events.clear()})
        scorer.feed(4, {})
        assert scorer.position == 5
        scorer.close()
    with a_scorer(database) as scorer:
        assert scorer.position == 5


def test_another_source_may_not_go_on_in_this_one_s_place(database: TestDatabase) -> None:
    with a_scorer(database) as scorer:
        feed(scorer, UNITS[:3])
    with a_scorer(database, "another city") as scorer, pytest.raises(StoreError, match="was read from city, not from another city"):
        feed(scorer, UNITS[:3])
