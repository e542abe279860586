"""A verdict is applied once, with all that follows: status, suppression, training, SCORE's state. On every PostgreSQL that is here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from detector.judge.findings import Changes, EvidenceRow, Incident
from detector.judge.policy import Policy
from detector.store import Database, Reader, notes, verdicts
from detector.store.notes import Written
from detector.store.verdicts import Outcome, Said, Word
from tests.postgres import TestDatabase
from tests.test_store import HOUR, an_incident
from tests.test_store_notify import Feed, feeding, going_on, opening

NOW = time.time_ns() // 1000  # views ask the server's clock
DAY = 24 * HOUR
LIVE = Policy(per_day=20, learning_days=0)


def found(number: int = 1, **changes: object) -> Incident:
    base = an_incident(number, opened=NOW - HOUR, updated=NOW, closes_at=NOW + 23 * HOUR, episode_opened=NOW - HOUR)
    return replace(base, **changes)  # type: ignore[arg-type] # a test's keyword arguments


class Bench:
    """A shard that finds, people who judge, and what is to be seen of it."""

    def __init__(self, database: TestDatabase, feed: Feed) -> None:
        self.rows, self.feed = database.rows, feed
        self.daemon, self.reader = Database(database.url()), Reader(database.url())
        self.said = 0

    def say(self, word: Word, incident: str, source: str = "", now: int = NOW, **more: object) -> Outcome:
        self.said += 1
        said = Said(source or f"page/{self.said}", incident, word, "Frau Muster", now, **more)  # type: ignore[arg-type] # likewise
        with self.daemon.transaction() as connection:
            return verdicts.apply(connection, said, now)

    def status(self, id_: str) -> str:
        return str(self.rows("SELECT status FROM public.incidents WHERE id = %s", id_)[0][0])

    def inputs(self) -> list[tuple[object, ...]]:
        return self.rows("SELECT payload ->> 'word', (payload ->> 'episode')::int FROM store.inputs WHERE kind = 'verdict' ORDER BY id")

    def suppressions(self) -> list[tuple[object, ...]]:
        return self.rows("SELECT status, field, value FROM public.suppressions ORDER BY id")


@pytest.fixture
def bench(any_database: TestDatabase) -> Iterator[Bench]:
    with feeding(any_database, LIVE) as feed:
        made = Bench(any_database, feed)
        yield made
        made.daemon.close()
        made.reader.close()


ONE = found()


@pytest.mark.parametrize(
    ("word", "status", "told"),
    [
        ("confirmed", "confirmed", ["confirmed"]),
        ("false-positive", "closed", ["false-positive"]),
        ("allowed", "closed", ["allowed"]),
        ("closed", "closed", ["closed"]),
        ("in-work", "in-work", []),
    ],
)
def test_each_verdict_has_its_status_and_what_closes_reaches_score(bench: Bench, word: Word, status: str, told: list[str]) -> None:
    bench.feed(opening(ONE), NOW)
    assert bench.say(word, ONE.id) == Outcome(1)
    assert bench.status(ONE.id) == status
    assert bench.inputs() == [(one, 1) for one in told]
    assert bench.rows("SELECT word, author FROM public.verdicts") == [(word, "Frau Muster")]
    assert bench.rows("SELECT actor, action, subject FROM store.audit") == [("Frau Muster", f"verdict.{word}", ONE.id)]


def test_a_source_counts_once_however_often_it_is_polled(bench: Bench) -> None:
    bench.feed(opening(ONE), NOW)
    assert [bench.say("false-positive", ONE.id, "grafana/x/1").refused for _ in range(3)] == ["", "repeated", "repeated"]
    assert bench.rows("SELECT count(*)::int FROM store.verdicts") == [(1,)]
    assert len(bench.inputs()) == 1


@pytest.mark.parametrize("id_", ["", "nope", "00000000-0000-0000-0000-000000000009", "' OR 1=1 --", "0" * 1_000_000])
def test_an_unknown_incident_is_refused_and_nothing_is_written(bench: Bench, id_: str) -> None:
    bench.feed(opening(ONE), NOW)
    assert bench.say("false-positive", id_).refused == "unknown"
    assert bench.rows("SELECT count(*)::int FROM store.verdicts") == [(0,)]


def test_an_incident_of_a_tenant_that_the_author_has_nothing_to_do_with_is_unknown_to_him(bench: Bench) -> None:
    bench.feed(opening(ONE), NOW)
    with bench.daemon.transaction() as connection:
        said = Said("page/1", ONE.id, "confirmed", "Frau Muster", NOW)
        assert verdicts.apply(connection, said, NOW, frozenset({"kreis"})).refused == "unknown"
    assert bench.status(ONE.id) == "open"


def test_in_work_lapses_after_eight_hours(bench: Bench) -> None:
    bench.feed(opening(ONE), NOW)
    bench.say("in-work", ONE.id, now=NOW - 8 * HOUR - 60_000_000)
    assert bench.status(ONE.id) == "open"
    bench.say("in-work", ONE.id, now=NOW - 7 * HOUR)
    assert bench.status(ONE.id) == "in-work"


def test_confirmed_stays_open_beyond_its_day_until_it_is_closed_by_hand(bench: Bench) -> None:
    old = found(opened=NOW - 3 * DAY, closes_at=NOW - 2 * DAY, episode_opened=NOW - 3 * DAY)
    bench.feed(opening(old), NOW - 3 * DAY)
    assert bench.status(old.id) == "expired"
    bench.say("confirmed", old.id)
    assert bench.status(old.id) == "confirmed"
    assert bench.rows("SELECT until > now() + interval '1000 years' FROM public.incidents") == [(True,)]
    bench.say("closed", old.id)
    assert bench.status(old.id) == "closed"


def test_a_false_alarm_that_comes_again_is_open_again_in_a_new_episode_of_the_same_day(bench: Bench) -> None:
    bench.feed(opening(ONE), NOW)
    bench.say("false-positive", ONE.id)
    bench.feed(comes_again(replace(ONE, episode=2, episode_opened=NOW, episode_events=1)), NOW)
    assert bench.status(ONE.id) == "open"
    shown = bench.reader.incident(ONE.id)
    assert shown is not None
    assert [(e["episode"], e["status"]) for e in shown["episodes"]] == [(2, "open"), (1, "closed")]
    assert shown["evidence"][0]["events"] == 6
    assert bench.suppressions() == []


def test_allowed_suppresses_for_thirty_days_and_what_it_hides_stays_closed(bench: Bench) -> None:
    bench.feed(opening(ONE), NOW)
    bench.say("allowed", ONE.id)
    assert bench.suppressions() == [("active", "source.ip", "198.51.100.7")]
    assert bench.rows("SELECT (extract(epoch FROM expires - created) / 86400)::int, author FROM public.suppressions") == [
        (30, "Frau Muster")
    ]
    again = replace(ONE, episode=2, episode_opened=NOW, episode_events=1)
    bench.feed(comes_again(again), NOW)
    assert bench.status(ONE.id) == "closed"
    stronger = replace(again, worst_score=9.0)
    assert bench.feed(comes_again(stronger, wish=True), NOW) == (ONE.id,), "more than twice as strong is told"
    assert bench.status(ONE.id) == "open"
    assert bench.rows("SELECT verdict FROM public.incidents") == [(None,)], "and no longer counts as harmless"


def comes_again(incident: Incident, *, wish: bool = False) -> Changes:
    second = replace(going_on(incident).episodes[0], number=incident.episode, opened=NOW, closes_at=NOW + DAY)
    more: dict[str, tuple[EvidenceRow, ...]] = {incident.id: (EvidenceRow("source.ip", "198.51.100.7", 5, NOW, NOW, incident.episode),)}
    return replace(going_on(incident, wish=wish), episodes=(second,), evidence=more)


def test_a_success_after_failures_may_be_closed_but_never_suppressed(bench: Bench) -> None:
    entered = found(got_in="yes")
    bench.feed(opening(entered), NOW)
    assert bench.say("allowed", entered.id) == Outcome(1, remarks=("a success after failures is never suppressed",))
    assert (bench.status(entered.id), bench.suppressions()) == ("closed", [])


@pytest.mark.parametrize("first", ["confirmed", "false-positive", "allowed", "in-work", "closed"])
def test_taking_back_undoes_all(bench: Bench, first: Word) -> None:
    bench.feed(opening(ONE), NOW)
    bench.say(first, ONE.id)
    bench.say("retracted", ONE.id)
    assert bench.status(ONE.id) == "open"
    assert [status for status, *_ in bench.suppressions()] in ([], ["ended"])
    assert bench.rows("SELECT verdict, verdict_by, verdict_at, work_by, work_until FROM store.incidents") == [(None,) * 5]
    assert bench.rows("SELECT word FROM public.verdicts ORDER BY id") == [(first,), ("retracted",)]


def test_confirming_what_was_allowed_ends_the_suppression(bench: Bench) -> None:
    bench.feed(opening(ONE), NOW)
    bench.say("allowed", ONE.id)
    bench.say("confirmed", ONE.id)
    assert (bench.status(ONE.id), bench.suppressions()[0][0]) == ("confirmed", "ended")


def test_one_click_takes_all_open_ones_of_its_kind_and_the_preview_said_how_many(bench: Bench) -> None:
    alike = [found(n, entity_value=f"198.51.100.{n}") for n in range(1, 5)]
    other = found(9, techniques=("T1046",))
    over = found(10, entity_value="198.51.100.1", opened=NOW - 5 * DAY, closes_at=NOW - 4 * DAY, episode_opened=NOW - 5 * DAY)
    bench.feed(opening(over), NOW - 5 * DAY)
    bench.feed(opening(*alike, other), NOW)
    bench.say("confirmed", alike[3].id)
    preview = bench.rows("SELECT open_now::int, hidden_30d::int, hidden_one::int FROM public.alike WHERE incident_id = %s", alike[0].id)
    assert preview == [(3, 4, 2)]
    assert bench.say("allowed", alike[0].id, scope="alike") == Outcome(3)
    assert [bench.status(one.id) for one in (*alike, other, over)] == ["closed"] * 3 + ["confirmed", "open", "expired"]
    assert bench.say("retracted", alike[1].id, scope="alike") == Outcome(3)
    assert [bench.status(one.id) for one in alike] == ["open"] * 3 + ["confirmed"]
    assert {status for status, *_ in bench.suppressions()} == {"ended"}


def test_notes_are_kept_and_the_latest_ticket_and_owner_show(bench: Bench) -> None:
    bench.feed(opening(ONE), NOW)

    def write(source: str, kind: notes.Kind, text: str) -> bool:
        with bench.daemon.transaction() as connection:
            return notes.write(connection, Written(source, ONE.id, kind, text, "Frau Muster"), NOW)

    assert write("page/1", "note", "<b>angerufen</b>\0")
    assert not write("page/1", "note", "<b>angerufen</b>"), "the same form, sent twice"
    assert not write("page/2", "note", "  ")
    assert write("page/3", "ticket", "INC-1")
    assert write("page/4", "ticket", "INC-2")
    assert write("page/5", "owner", "Herr Beispiel")
    assert bench.rows("SELECT ticket, owner FROM public.incidents") == [("INC-2", "Herr Beispiel")]
    assert bench.rows("SELECT kind, text FROM public.notes ORDER BY id") == [
        ("note", "<b>angerufen</b>\N{REPLACEMENT CHARACTER}"), ("ticket", "INC-1"), ("ticket", "INC-2"), ("owner", "Herr Beispiel"),
    ]  # fmt: skip
