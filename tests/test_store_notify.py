"""Who is told: decided once per wish in the batch's transaction, stored with its reason. On every PostgreSQL that is here."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from detector.judge.findings import Changes, Episode, EventSample, EvidenceRow, Incident
from detector.judge.policy import Policy
from detector.judge.suppress import DAY, Seen, SuppressionError
from detector.judge.windows import Window
from detector.store import Store, learning, maintenance, suppressions
from detector.store.migrate import shipped
from detector.store.suppressions import Given
from tests.postgres import TestDatabase
from tests.test_store import HOUR, NOW, SHARD, an_incident

ZONE = "Europe/Berlin"
LIVE = Policy(per_day=20, learning_days=0)


def episode(incident: Incident) -> Episode:
    return Episode(
        incident.id, incident.episode, incident.opened, incident.closes_at, incident.model, incident.model_id, incident.p_value,
        incident.score, incident.reasons, incident.counterfactual, incident.updated, incident.worst_p, incident.worst_score,
    )  # fmt: skip


def opening(*incidents: Incident, source: str = "198.51.100.7", **fields: str) -> Changes:
    """Each incident with one event, and the wish for a notification."""
    shown = {"source.ip": source, **fields}
    return Changes(
        SHARD, opened=incidents, notify=tuple(one.id for one in incidents), episodes=tuple(map(episode, incidents)),
        evidence={one.id: (EvidenceRow("source.ip", source, 1, one.opened, one.updated),) for one in incidents},
        samples={one.id: (EventSample(one.opened, "auth", 0, number, dict(shown)),) for number, one in enumerate(incidents)},
    )  # fmt: skip


def going_on(incident: Incident, *, wish: bool = False) -> Changes:
    return Changes(SHARD, updated=(incident,), notify=(incident.id,) if wish else (), episodes=(episode(incident),))


class Feed:
    """A shard and how far it is."""

    def __init__(self, store: Store) -> None:
        self.store, self.claim, self.at = store, store.claim(SHARD, NOW), 0

    def __call__(self, changes: Changes, now: int = NOW) -> tuple[str, ...]:
        self.at += 1
        return self.store.apply(self.claim, self.at - 1, self.at, changes, now).notified


@contextlib.contextmanager
def feeding(database: TestDatabase, policy: Policy) -> Iterator[Feed]:
    with contextlib.closing(Store(database.url(), policy)) as store:
        yield Feed(store)


@pytest.fixture
def feed(any_database: TestDatabase) -> Iterator[Feed]:
    with feeding(any_database, LIVE) as made:
        yield made


def decisions(database: TestDatabase) -> list[tuple[object, ...]]:
    return database.rows("SELECT answer, why FROM public.decisions ORDER BY decided, incident_id, number", role="tuermer_daemon")


def many(n: int, first: int = 1) -> list[Incident]:
    return [an_incident(number, entity_value=f"198.51.100.{number}") for number in range(first, first + n)]


def test_a_flood_from_one_network_takes_a_fifth_and_every_answer_is_kept_with_its_reason(any_database: TestDatabase, feed: Feed) -> None:
    sent = feed(opening(*many(30), **{"source.network": "clients"}))
    assert len(sent) == 4
    other = an_incident(99, entity_value="10.0.0.9")
    assert feed(opening(other, **{"source.network": "servers"})) == (other.id,)
    answers = any_database.rows("SELECT answer, why, count(*)::int FROM store.decisions GROUP BY 1, 2 ORDER BY 3")
    assert answers == [("sent", "budget", 5), ("held", "share", 26)]
    assert any_database.rows("SELECT notification, count(*)::int FROM public.incidents GROUP BY 1 ORDER BY 1") == [
        ("held", 26),
        ("sent", 5),
    ]


def test_an_outside_flood_counts_by_the_networks_around_its_addresses(feed: Feed) -> None:
    sent = [feed(opening(one, source=f"203.0.113.{n}")) for n, one in enumerate(many(8))]
    assert sum(map(len, sent)) == 4


def test_the_purse_is_the_tenants_and_survives_a_restart(any_database: TestDatabase, feed: Feed) -> None:
    assert len(feed(opening(*many(5)[:1]))) == 1
    before = any_database.rows("SELECT tokens, refilled, day, sent, shares FROM store.buckets")
    with feeding(any_database, LIVE) as again:
        again.at = feed.at
        assert any_database.rows("SELECT tokens, refilled, day, sent, shares FROM store.buckets") == before
        assert len(again(opening(*many(9, 2), **{"source.network": "a"}))) == 4, "the hour's rest"


def test_a_repeated_transaction_decides_nothing_again(any_database: TestDatabase, feed: Feed) -> None:
    changes = opening(*many(3))
    feed(changes)
    kept = decisions(any_database), any_database.rows("SELECT * FROM store.buckets"), any_database.rows("SELECT id FROM store.outbox")
    assert feed.store.apply(feed.claim, 0, 1, changes, NOW + HOUR).notified == ()
    assert kept == (
        decisions(any_database),
        any_database.rows("SELECT * FROM store.buckets"),
        any_database.rows("SELECT id FROM store.outbox"),
    )


def test_worse_is_told_again_only_when_its_severity_rose_past_the_share(any_database: TestDatabase) -> None:
    with feeding(any_database, Policy(per_day=5, learning_days=0)) as feed:
        one = an_incident()
        feed(opening(one))
        same, raised = replace(one, worst_p=1e-6), replace(one, worst_p=1e-7, severity="high")
        assert [len(feed(going_on(worse, wish=True), NOW + hour * HOUR)) for hour, worse in ((1, same), (2, raised))] == [0, 1]
        assert decisions(any_database) == [("sent", "budget"), ("held", "share"), ("sent", "budget")]


# Learning phase


def test_a_new_tenant_learns_first_and_only_urgent_ones_are_told(any_database: TestDatabase) -> None:
    with feeding(any_database, Policy()) as feed:
        calm, urgent = an_incident(1), an_incident(2, urgent=True, entity_value="203.0.113.9")
        assert feed(opening(calm, urgent)) == (urgent.id,)
        assert decisions(any_database) == [("learning", "budget"), ("sent", "urgent")]
        assert any_database.rows("SELECT learning, days, ended FROM public.learning", role="tuermer_daemon") == [(True, 14, None)]
        shown = any_database.rows("SELECT notification, learning FROM public.incidents ORDER BY id", role="tuermer_daemon")
        assert shown == [("learning", True), ("sent", True)]


def test_what_would_have_been_notified_is_known_before_somebody_ends_it(any_database: TestDatabase) -> None:
    with feeding(any_database, Policy(per_day=5)) as feed:
        feed(opening(*many(4), an_incident(9, urgent=True)))
        database = feed.store.database
        assert [row.answer for row in learning.would_have(database, "stadt")] == ["budget", "share", "share", "share", "sent"]
        assert learning.go_live(database, "stadt", "Frau Muster", NOW + HOUR)
        assert not learning.go_live(database, "stadt", "Herr Beispiel", NOW + 2 * HOUR), "it was ended already"
        phase = learning.phase(database, "stadt")
        assert phase is not None
        assert phase.ended_by == "Frau Muster"
        after = an_incident(20, entity_value="192.0.2.1")
        assert feed(opening(after, source="192.0.2.1"), NOW + 25 * HOUR) == (after.id,)
        marks = any_database.rows("SELECT learning, count(*)::int FROM public.incidents GROUP BY 1 ORDER BY 1")
        assert marks == [(False, 1), (True, 5)], "what was found while learning says so for ever"


def test_it_begins_once_and_goes_on_until_a_person_ends_it(any_database: TestDatabase) -> None:
    with feeding(any_database, Policy()) as feed:
        began = any_database.rows("SELECT began FROM store.learning")
        feed.store.claim(SHARD, NOW + 30 * DAY)
        feed.store.claim("stadt/bauhof", NOW + 30 * DAY)
        assert any_database.rows("SELECT began FROM store.learning") == began
    with feeding(any_database, Policy()) as feed:
        late = an_incident()
        assert feed(opening(late), NOW + 30 * DAY) == ()
        assert decisions(any_database) == [("learning", "budget")]


def test_without_a_learning_phase_in_the_configuration_a_new_tenant_is_live_at_once(any_database: TestDatabase, feed: Feed) -> None:
    assert any_database.rows("SELECT learning, ended_by FROM public.learning") == [(False, "configuration")]


# Suppressions


def give(feed: Feed, field: str = "source.ip", value: str = "198.51.100.7", **more: object) -> int:
    wanted = Given("stadt", field, value, "Frau Muster", "Schwachstellenscanner", **more)  # type: ignore[arg-type] # a test's arguments
    return suppressions.add(feed.store.database, wanted, NOW, ZONE)[0]


def test_a_suppressed_incident_is_listed_not_told_and_counted_at_its_suppression(any_database: TestDatabase, feed: Feed) -> None:
    number = give(feed)
    assert feed(opening(an_incident(1), an_incident(2))) == ()
    row = any_database.rows(
        "SELECT id, status, author, hidden::int, last_hidden IS NOT NULL, strength FROM public.suppressions", role="tuermer_daemon"
    )
    assert row == [(number, "expired", "Frau Muster", 2, True, 4.0)], "the view goes by today's clock"
    assert any_database.rows("SELECT notification, suppression FROM public.incidents") == [("suppressed", number)] * 2
    assert any_database.rows("SELECT count(*)::int FROM store.outbox") == [(0,)]


def test_it_costs_no_budget(any_database: TestDatabase) -> None:
    with feeding(any_database, Policy(per_day=1, learning_days=0)) as feed:
        give(feed)
        feed(opening(*many(20, 30)[:0], *[an_incident(n) for n in range(1, 9)]))
        other = an_incident(50, entity_value="203.0.113.5")
        assert feed(opening(other, source="203.0.113.5")) == (other.id,)


def test_another_source_in_the_evidence_wakes_it(feed: Feed) -> None:
    give(feed)
    one = an_incident()
    assert feed(opening(one)) == ()
    grown = replace(going_on(one), evidence={one.id: (EvidenceRow("source.ip", "203.0.113.5", 1, NOW, NOW),)})
    assert feed(grown) == (one.id,)


def test_stronger_than_twice_wakes_it_and_its_end_does_too(any_database: TestDatabase, feed: Feed) -> None:
    number = give(feed, seen=Seen(4.0, {"failures": 39.0}))
    one = an_incident()
    assert feed(opening(one)) == ()
    assert feed(going_on(replace(one, worst_score=7.9))) == ()
    assert feed(going_on(replace(one, worst_score=8.1))) == (one.id,)
    two = an_incident(2)
    feed(opening(two))
    assert suppressions.end(feed.store.database, number, "Herr Beispiel", NOW)
    assert not suppressions.end(feed.store.database, number, "Herr Beispiel", NOW)
    assert feed(going_on(two)) == (two.id,)
    assert [answer for answer, _ in decisions(any_database)] == ["suppressed", "sent", "suppressed", "sent"]


def test_a_success_after_failures_is_told_in_spite_of_it(feed: Feed) -> None:
    give(feed)
    entered = an_incident(urgent=True, family="success-after-failures", got_in="yes")
    assert feed(opening(entered)) == (entered.id,)


def test_it_ends_after_its_time(feed: Feed) -> None:
    give(feed, expires=NOW + HOUR)
    assert feed(opening(an_incident(1))) == ()
    assert len(feed(opening(an_incident(2)), NOW + HOUR)) == 1


def test_it_can_be_taken_from_an_incident(any_database: TestDatabase, feed: Feed) -> None:
    one = an_incident(worst_score=5.0)
    feed(opening(one))
    scope = suppressions.scope_of(feed.store.database, one.id)
    assert scope is not None
    assert (scope.field, scope.value, scope.technique, scope.signature) == ("source.ip", "198.51.100.7", "credential-access", ("failures",))
    assert scope.seen == Seen(5.0, {"failures": 39.0})
    suppressions.add(feed.store.database, replace(scope, author="A", reason="B"), NOW, ZONE)
    assert feed(opening(an_incident(2), an_incident(3, family="discovery"))) == (an_incident(3).id,)
    entered = an_incident(4, urgent=True, got_in="yes")
    feed(opening(entered))
    with pytest.raises(SuppressionError, match="never suppressed"):
        suppressions.scope_of(feed.store.database, entered.id)


def test_a_token_is_hidden_until_it_changes_and_a_tenant_that_is_not_there_is_refused(any_database: TestDatabase, feed: Feed) -> None:
    _, expires, token = suppressions.add(feed.store.database, Given("stadt", "user.name", "u-0123456789abcdef", "A", "B"), NOW, ZONE)
    assert token
    assert expires < NOW + DAY
    assert any_database.rows("SELECT ends_with_epoch FROM public.suppressions") == [(True,)]
    with pytest.raises(SuppressionError, match="there is no tenant dorf"):
        suppressions.add(feed.store.database, Given("dorf", "service", "x", "A", "B"), NOW, ZONE)


def test_entries_of_the_configuration_begin_end_and_do_not_begin_again(any_database: TestDatabase, feed: Feed) -> None:
    database = feed.store.database
    entry = Given("stadt", "service", "ssh-1", "A", "B", key="config:1")
    other = Given("dorf", "service", "ssh-2", "A", "B", key="config:2")
    given = give(feed)
    for wanted in ([entry], [entry, other], [other]):
        suppressions.follow(database, wanted, NOW, {})
    suppressions.follow(database, [entry, other], NOW + DAY, {})
    rows = any_database.rows("SELECT key, ended_by FROM store.suppressions WHERE id <> %s ORDER BY key", given)
    assert rows == [("config:1", "configuration"), ("config:2", None)]


# Maintenance windows


def window(begins: int, ends: int, **more: str) -> Window:
    return Window(**{"tenant": "", "site": "", "like": "%", "name": "Patchnacht", **more}, begins=begins, ends=ends)


def test_an_incident_in_a_window_is_marked_and_not_told_unless_someone_got_in(any_database: TestDatabase, feed: Feed) -> None:
    maintenance.follow(feed.store.database, [window(NOW - 2 * HOUR, NOW)], NOW)
    calm, urgent = an_incident(1), an_incident(2, urgent=True)
    assert feed(opening(calm, urgent)) == (urgent.id,)
    shown = any_database.rows("SELECT notification, maintenance FROM public.incidents ORDER BY id", role="tuermer_daemon")
    assert shown == [("maintenance", "Patchnacht"), ("sent", "Patchnacht")]


def test_what_goes_on_after_the_window_is_told(feed: Feed) -> None:
    maintenance.follow(feed.store.database, [window(NOW - 2 * HOUR, NOW)], NOW)
    one = an_incident()
    assert feed(opening(one)) == ()
    assert feed(going_on(replace(one, updated=NOW - 1))) == ()
    assert feed(going_on(replace(one, updated=NOW))) == (one.id,)


@pytest.mark.parametrize(
    ("more", "marked"),
    [
        ({"tenant": "stadt"}, True), ({"tenant": "dorf"}, False), ({"site": "rathaus"}, True), ({"site": "bauhof"}, False),
        ({"like": "198.51.100.%"}, True), ({"like": "srv-%"}, False), ({"like": r"198\_51%"}, False),
    ],
)  # fmt: skip
def test_a_window_covers_its_tenant_site_and_entities(database: TestDatabase, more: dict[str, str], marked: bool) -> None:
    with feeding(database, LIVE) as feed:
        maintenance.follow(feed.store.database, [window(NOW - 2 * HOUR, NOW, **more)], NOW)
        assert (feed(opening(an_incident())) == ()) is marked


def test_a_window_added_later_marks_what_is_past_and_one_taken_away_marks_nothing(any_database: TestDatabase, feed: Feed) -> None:
    feed(opening(an_incident()))
    mark = "SELECT notification, maintenance FROM public.incidents"
    assert any_database.rows(mark) == [("sent", None)]
    late = window(NOW - 2 * HOUR, NOW)
    for wanted, name in (([late], "Patchnacht"), ([], None), ([late], "Patchnacht")):
        maintenance.follow(feed.store.database, wanted, NOW + DAY)
        assert any_database.rows(mark) == [("sent", name)], "what was decided stays decided"


def test_windows_that_left_the_horizon_stay(any_database: TestDatabase, feed: Feed) -> None:
    maintenance.follow(feed.store.database, [window(NOW - 2 * HOUR, NOW)], NOW)
    assert maintenance.follow(feed.store.database, [], NOW + 401 * DAY) == 1


def test_the_view_of_incidents_is_that_of_its_own_migration_with_what_was_decided_at_the_end() -> None:
    """A view can only be replaced whole: whoever changes one of the two texts must change the other."""
    sql = dict(shipped())
    before, after = (re.search(r"VIEW public\.incidents AS.*?(?=\nFROM store\.incidents AS i)", sql[name], re.S) for name in VIEWS)
    assert before is not None
    assert after is not None
    assert after[0].startswith(f"{before[0]},\n    l.tenant IS NOT NULL AS learning,")


VIEWS = ("0005_series.sql", "0006_people.sql")
