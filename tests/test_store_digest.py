"""Near misses as they are stored and ranked, and the daily digest of them: a row and a message, once."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from detector.judge import digest
from detector.judge.core import Core
from detector.judge.findings import Changes, Deciles, NearMiss, first_episode
from detector.judge.policy import Policy
from detector.lanes import Lane, Message, Tools
from detector.store import Store, digests, learning, outbox
from detector.store.digests import MINUTE, DigestChore, latest, make, preview, stored
from detector.store.embedded import Embedded
from tests.counting import START
from tests.eventgen import noise
from tests.postgres import TestDatabase, fresh
from tests.stub import stub_models
from tests.test_scorer_lanes import never
from tests.test_store import HOUR, NOW, SHARD, an_incident
from tests.test_store_notify import LIVE, Feed, feeding, opening

DAY = 24 * HOUR
TODAY = NOW // DAY  # 2026-05-28, 20:26 UTC, 22:26 in Berlin
MORNING = TODAY * DAY + DAY + 5 * HOUR + HOUR // 2  # 07:30 in Berlin, the next day


def a_miss(number: int = 1, nearness: float = 2.0, **changes: object) -> NearMiss:
    base = NearMiss(
        day=TODAY, model="auth-source", model_id="auth-source-0", family="credential-access", entity_kind="source.ip",
        identity=2**64 - number, entity_value=f"198.51.100.{number}", time=NOW - HOUR, p_value=nearness * 3e-4, score=3.0,
        nearness=nearness, techniques=("T1110.003",), title={"de": f"Fund {number}", "en": f"Finding {number}"}, reasons=(),
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type] # a test's keyword arguments


def missing(*misses: NearMiss, **more: object) -> Changes:
    return Changes(SHARD, misses=misses, **more)  # type: ignore[arg-type] # likewise


@pytest.fixture
def feed(any_database: TestDatabase) -> Iterator[Feed]:
    with feeding(any_database, LIVE) as made:
        yield made


def ranked(database: TestDatabase, columns: str = "rank, what, entity_value") -> list[tuple[object, ...]]:
    return database.rows(f"SELECT {columns} FROM public.near_misses ORDER BY day, rank", role="tuermer_daemon")


def test_an_entity_stands_once_a_day_with_its_nearest_row(any_database: TestDatabase, feed: Feed) -> None:
    feed(missing(a_miss(1, 5.0), a_miss(2, 3.0)))
    feed(missing(a_miss(1, 2.0, title={"de": "näher", "en": "nearer"}), a_miss(1, 9.0, day=TODAY + 1, time=NOW + DAY)))
    feed(missing(a_miss(2, 4.0)))
    rows = ranked(any_database, "(day - '1970-01-01')::int, rank::int, nearness, title_de, one_in IS NULL")
    assert rows == [(TODAY, 1, 2.0, "näher", False), (TODAY, 2, 3.0, "Fund 2", False), (TODAY + 1, 1, 9.0, "Fund 1", False)]


def test_at_most_fifty_of_a_shard_and_day_are_shown_the_nearest(any_database: TestDatabase, feed: Feed) -> None:
    for part in range(8):
        feed(missing(*(a_miss(n, 1.0 + (n * 37 % 80) / 10) for n in range(part * 10 + 1, part * 10 + 11))))
    rows = ranked(any_database, "nearness")
    assert len(rows) == 50
    assert [value for (value,) in rows] == [1.0 + place / 10 for place in range(50)]


def test_what_the_budget_held_comes_first_by_severity(any_database: TestDatabase) -> None:
    with feeding(any_database, Policy(per_day=1, learning_days=0)) as feed:
        feed(opening(an_incident(1), an_incident(2, severity="low", entity_value="a"), an_incident(3, severity="high", entity_value="b")))
        feed(missing(a_miss(9)))
        assert ranked(any_database, "rank::int, what, severity") == [
            (1, "incident", "high"), (2, "incident", "low"), (3, "finding", None),
        ]  # fmt: skip


def test_an_entity_that_crossed_the_line_is_no_near_miss_that_day(any_database: TestDatabase, feed: Feed) -> None:
    one = an_incident(entity_value="198.51.100.1")
    feed(opening(one))
    feed(missing(a_miss(1), a_miss(1, day=TODAY + 3, time=NOW + 3 * DAY), a_miss(2)))
    assert ranked(any_database, "(day - '1970-01-01')::int, entity_value") == [
        (TODAY, "198.51.100.2"),
        (TODAY + 3, "198.51.100.1"),
    ]


def test_the_service_model_states_no_probability(any_database: TestDatabase, feed: Feed) -> None:
    feed(missing(a_miss(1, model="auth-service", entity_kind="service", entity_value="ssh-1")))
    assert ranked(any_database, "one_in") == [(None,)]


def test_a_repeated_transaction_counts_no_row_twice(any_database: TestDatabase, feed: Feed) -> None:
    changes = missing(a_miss(), deciles=(Deciles(TODAY, "auth-user", tuple(range(10))), Deciles(TODAY, "auth-user", (1,) * 10)))
    feed(changes)
    feed.store.apply(feed.claim, 0, 1, changes, NOW)
    feed(changes)
    assert any_database.rows("SELECT model, counts FROM store.deciles") == [("auth-user", [2 + 2 * n for n in range(10)])]


def scored(database: TestDatabase, parts: list[pl.DataFrame], killed_at: tuple[int, ...]) -> list[list[tuple[object, ...]]]:
    """The product's own core through a lane that is killed before these parts, once after a snapshot; what the database then shows."""
    feed = [Message(number, SHARD, part) for number, part in enumerate(parts)]
    for begin, end in zip((0, *killed_at), (*killed_at, len(feed)), strict=True):
        with contextlib.closing(Store(database.url(), LIVE)) as store:
            lane = Lane(Core(stub_models(), 10_000), Tools(store, lambda: START, never), "tuermer.events/0")
            at = lane.start(0, len(feed))
            for message in feed[at:end]:
                lane.feed([message], message.offset + 1)
                if message.offset == begin + 2:
                    lane.snapshot(due_only=False)
    return [
        database.rows("SELECT * FROM public.near_misses ORDER BY day, rank"),
        database.rows("SELECT * FROM store.deciles ORDER BY shard, day, model"),
        database.rows("SELECT incident, number, answer, why FROM store.decisions ORDER BY 1, 2"),
    ]


def test_i3_near_misses_deciles_and_decisions_are_the_same_after_kills(postgres_server: Embedded) -> None:
    stream = noise(1_500, seed=3, days=1.2)
    parts = [stream[begin : begin + 100] for begin in range(0, len(stream), 100)]
    with fresh(postgres_server) as calm, fresh(postgres_server) as killed:
        one, many = scored(calm, parts, ()), scored(killed, parts, (4, 5, 9))
    assert one == many
    assert all(len(rows) > 3 for rows in one)


# The digest


def day(feed: Feed) -> None:
    """An evening: two told, two held, twenty near misses; a model that sees what it knows and one that does not."""
    incidents = [an_incident(n, severity=severity, entity_value=f"{n}") for n, severity in ((1, "low"), (2, "high"), (3, "medium"))]
    feed(opening(*incidents, an_incident(4, urgent=True, severity="critical", got_in="yes", entity_value="4")))
    even, uneven = Deciles(TODAY, "auth-source", (200,) * 10), Deciles(TODAY, "auth-user", (1_000, *(0,) * 9))
    feed(missing(*(a_miss(n, 1.5 + n) for n in range(20, 40)), deciles=(even, uneven)))


def test_it_says_what_was_found_what_came_next_and_what_the_models_see(any_database: TestDatabase) -> None:
    with feeding(any_database, Policy(per_day=5, learning_days=0)) as feed:
        day(feed)
        assert make(feed.store.database, LIVE, "stadt", dt.date(2026, 5, 29), MORNING, MORNING, lambda *_: ["fw-rathaus"])
        document = stored(feed.store.database, "stadt")
    assert document is not None
    assert (document["counts"]["n"], document["counts"]["sent"], document["counts"]["held"], document["counts"]["got_in"]) == (4, 2, 2, 1)
    assert [row["severity"] for row in document["incidents"]] == ["critical", "high", "medium", "low"]
    assert [row["title"]["de"] for row in document["near_misses"]] == [f"Fund {n}" for n in range(20, 30)]
    assert document["expected_false"] == pytest.approx(20 / 29, abs=0.01)
    assert document["false_share"] == pytest.approx(20 / 29 / 3), "the success after failures rests on no p-value"
    assert document["drift"] == {"auth-source": 0.0, "auth-user": 0.9}
    assert document["silent"] == ["fw-rathaus"]
    german, english = document["text"]["de"], document["text"]["en"]
    assert "4 Auffälligkeiten seit 28.05. 07:30, davon gemeldet 2, vom Budget zurückgehalten 2" in german
    assert "Durch Zufall zu erwarten: etwa 0,7 davon (23 %)." in german
    assert "The model auth-user sees something else than in training (difference 0.9)" in english
    assert "fw-rathaus" in german
    assert "Vorfall" not in german


def test_what_came_back_is_of_the_day_too(any_database: TestDatabase, feed: Feed) -> None:
    one = an_incident()
    feed(opening(one))
    again = replace(one, episode=2, episode_opened=NOW + 3 * DAY, updated=NOW + 3 * DAY)
    feed(Changes(SHARD, updated=(again,), episodes=(replace(first_episode(again), number=2, opened=NOW + 3 * DAY),)))
    found = [preview(feed.store.database, LIVE, "stadt", NOW + days * DAY + HOUR)["counts"]["n"] for days in (0, 2, 3, 5)]
    assert found == [1, 0, 1, 0]


def test_it_is_made_once_and_leaves_through_the_outbox(any_database: TestDatabase, feed: Feed) -> None:
    database = feed.store.database
    for _ in range(2):
        make(database, LIVE, "stadt", dt.date(2026, 5, 29), MORNING, MORNING)
    outbox.begin(database, "kafka", MORNING, from_the_start=True)
    notices = outbox.waiting(database, "kafka")
    assert [(notice.id, notice.kind) for notice in notices] == [("digest/stadt/2026-05-29", "digest")]
    assert notices[0].payload == stored(database, "stadt", dt.date(2026, 5, 29))
    assert stored(database, "stadt", dt.date(2026, 5, 28)) is None


def test_the_chore_makes_it_at_half_past_seven_on_the_tenants_wall_and_catches_up(any_database: TestDatabase, feed: Feed) -> None:
    chore = DigestChore(feed.store.database, LIVE)
    made = []
    for now in (NOW, MORNING - 2 * MINUTE, MORNING, MORNING + HOUR, MORNING + 2 * DAY + 3 * HOUR):
        chore(now)
        made.append(any_database.rows("SELECT count(*)::int FROM store.digests")[0][0])
    assert made == [0, 0, 1, 1, 2], "a tenant that was not there when it was due gets none; after a pause only the latest"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (dt.datetime(2026, 3, 29, 5, 29, tzinfo=dt.UTC), (2026, 3, 28, 6, 30)),
        (dt.datetime(2026, 3, 29, 5, 31, tzinfo=dt.UTC), (2026, 3, 29, 5, 30)),
        (dt.datetime(2026, 10, 25, 6, 31, tzinfo=dt.UTC), (2026, 10, 25, 6, 30)),
    ],
)
def test_it_is_due_by_local_time_when_the_clock_is_set(moment: dt.datetime, expected: tuple[int, int, int, int, int]) -> None:
    found, due = latest(int(moment.timestamp() * 1e6), LIVE, "stadt")
    assert dt.datetime.fromtimestamp(due / 1e6, dt.UTC) == dt.datetime(*expected, tzinfo=dt.UTC)
    assert found == dt.date(*expected[:3])


def test_while_learning_it_says_so_and_that_the_plan_is_over(any_database: TestDatabase) -> None:
    with feeding(any_database, Policy()) as feed:
        database = feed.store.database
        assert "Lernphase seit 28.05.2026" in preview(database, LIVE, "stadt", NOW)["text"]["de"]
        assert "endete am 11.06.2026" in preview(database, LIVE, "stadt", NOW + 15 * DAY)["text"]["de"]
        learning.go_live(database, "stadt", "A", NOW)
        assert "Lernphase" not in preview(database, LIVE, "stadt", NOW)["text"]["de"]


def test_a_preview_stores_nothing(any_database: TestDatabase, feed: Feed) -> None:
    document = preview(feed.store.database, LIVE, "stadt", NOW)
    assert document["counts"]["n"] == 0
    assert "No anomaly since 27.05. 22:26." in document["text"]["en"]
    assert any_database.rows("SELECT FROM store.digests") == []


def test_both_languages_say_the_same() -> None:
    assert digest.WORDS["de"].keys() == digest.WORDS["en"].keys()


@pytest.mark.parametrize(
    ("nearness", "expected"),
    [([], 0.0), ([2.0] * 29, 1.0), ([1.5, 2.0, 29.0], 3 / 29), ([1.0 + n / 50 for n in range(1, 51)], 50.0)],
)
def test_expected_false_follows_from_how_dense_it_is_just_below_the_line(nearness: list[float], expected: float) -> None:
    assert digest.expected_false(nearness, 50, 30.0) == pytest.approx(expected)


def test_expected_false_is_right_where_there_is_only_chance() -> None:
    """1,000 entities a day, the smallest of whose p are uniform: the count above the line is estimated from those below."""
    rng, estimated, real = np.random.default_rng(5), [], []
    for _ in range(300):
        nearness = rng.random(1_000) / 3e-3
        below = np.sort(nearness[(nearness > 1) & (nearness <= 30)])[:50].tolist()
        estimated.append(digest.expected_false(below, 50, 30.0))
        real.append(float((nearness <= 1).sum()))
    assert np.mean(estimated) == pytest.approx(np.mean(real), rel=0.1)


def test_drift_is_none_for_few_rows_and_grows_with_what_is_unusual() -> None:
    assert digest.drift([99] * 10) is None
    assert digest.drift([100] * 10) == 0
    assert digest.drift([1000] + [0] * 9) == pytest.approx(0.9)
    assert digests.LISTED == 50
