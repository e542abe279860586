"""What the database keeps of devices and of what is not well, and the rounds that look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from detector.judge.devices import FIELDS, SLOT, Facts
from detector.judge.findings import Changes
from detector.judge.health import DAY, HOUR, MINUTE
from detector.store import Database, Store, devices
from detector.store import ailments as kept
from detector.watch import Canary, Watch
from tests.postgres import TestDatabase

NOON = 1_772_449_200_000_000  # 2026-03-02 11:00 UTC
PLACES = "tuermer.events/0"


class Listening:
    """A shard whose devices tell; each call is one batch."""

    def __init__(self, database: TestDatabase, shard: str = "stadt/rathaus") -> None:
        self.store = Store(database.url("tuermer_daemon"))
        self.claim = self.store.claim(shard, NOON - 9 * DAY, PLACES)
        self.next = 0

    def hear(self, *facts: Facts) -> None:
        self.store.apply(self.claim, self.next, self.next + 1, Changes(self.claim.shard, devices=facts), NOON)
        self.next += 1

    def week(self, observer: str, per_slot: int, filled: int) -> None:
        """A week of ten minutes each, up to an hour before noon, in one batch."""
        slots = range(NOON - 7 * DAY, NOON - HOUR, SLOT)
        self.hear(*(Facts(observer, slot, per_slot, (filled,) * len(FIELDS), slot + SLOT - 1, 0, 0) for slot in slots))


@pytest.fixture
def listening(database: TestDatabase) -> Iterator[Listening]:
    made = Listening(database)
    yield made
    made.store.close()


def round_at(database: TestDatabase, now: int) -> tuple[int, int]:
    with closing(Database(database.url("tuermer_daemon"))) as own:
        return Watch(own, lambda: now).round()


def ailing(database: TestDatabase) -> list[tuple[object, ...]]:
    """All but the question why a whole week brought no incident."""
    return database.rows("SELECT kind, subject, status FROM public.health_incidents WHERE kind <> 'quiet' ORDER BY id")


def test_counts_of_many_batches_add_up(database: TestDatabase, listening: Listening) -> None:
    for by in (0, HOUR):
        listening.hear(Facts("fw1", NOON, 10, (9, 0, 0, 0, 0, 1), NOON + MINUTE, by // HOUR, by))
    rows = database.rows("SELECT events, filled, off, extract(epoch FROM by)::integer FROM store.device_slots")
    assert rows == [(20, [18, 0, 0, 0, 0, 2], 1, 3600)]


def test_a_device_that_fell_silent_is_told_once_and_is_well_when_it_is_back(database: TestDatabase, listening: Listening) -> None:
    listening.week("fw1", per_slot=50, filled=50)
    round_at(database, NOON - HOUR + 5 * MINUTE)
    assert ailing(database) == []
    assert round_at(database, NOON) == (1, 0)
    assert round_at(database, NOON + 5 * MINUTE) == (0, 0)
    assert ailing(database) == [("silent", "fw1 (stadt/rathaus)", "open")]
    listening.hear(Facts("fw1", NOON, 50, (50,) * 6, NOON + 6 * MINUTE, 0, 0))
    assert round_at(database, NOON + 7 * MINUTE) == (0, 1)
    assert ailing(database) == [("silent", "fw1 (stadt/rathaus)", "mended")]
    assert database.rows("SELECT count(*) FROM store.outbox WHERE payload ->> 'kind' = 'silent'") == [(1,)]


def test_a_device_that_never_sent_at_night_is_not_missed_at_night(database: TestDatabase, listening: Listening) -> None:
    slots = [slot for slot in range(NOON - 7 * DAY, NOON, SLOT) if (slot // HOUR) % 24 in range(7, 11)]
    listening.hear(*(Facts("depot", slot, 50, (50,) * 6, slot + SLOT - 1, 0, 0) for slot in slots))
    round_at(database, NOON + 5 * HOUR)
    assert ailing(database) == []


def test_a_wrong_clock_and_a_lost_field_are_told(database: TestDatabase, listening: Listening) -> None:
    listening.week("fw1", per_slot=50, filled=50)
    listening.hear(Facts("fw1", NOON - SLOT, 100, (0, *(100,) * 5), NOON - MINUTE, 90, HOUR))
    round_at(database, NOON)
    assert ailing(database) == [
        ("clock", "fw1 (stadt/rathaus)", "open"),
        ("unfilled", "fw1 (stadt/rathaus) source.ip", "open"),
    ]
    assert "genau 1 Stunde: Zeitzone" in str(database.rows("SELECT text_de FROM public.health_incidents WHERE kind = 'clock'"))


def test_dead_letters_count_once_whoever_counts_them(database: TestDatabase, listening: Listening) -> None:
    listening.hear(Facts("fw1", NOON - SLOT, 1000, (1000,) * 6, NOON - MINUTE, 0, 0))
    letters = [("stadt", "firewall", "fortigate", "bad-structure", NOON - MINUTE)] * 60
    for expected in (True, False):
        with listening.store.database.transaction() as connection:
            assert devices.count_unread(connection, "tuermer.dead-letters/0", 0, 60, letters) is expected
    round_at(database, NOON)
    assert ailing(database) == [("unread", "firewall fortigate", "open")]


def test_counts_older_than_the_rules_look_back_are_dropped(database: TestDatabase, listening: Listening) -> None:
    listening.hear(Facts("fw1", NOON - 9 * DAY, 1, (0,) * 6, NOON - 9 * DAY, 0, 0), Facts("fw1", NOON - DAY, 1, (0,) * 6, NOON - DAY, 0, 0))
    round_at(database, NOON)
    assert database.rows("SELECT count(*) FROM store.device_slots") == [(1,)]


def test_a_tenant_with_much_traffic_and_no_incident_for_a_day_is_asked_about(database: TestDatabase, listening: Listening) -> None:
    listening.week("fw1", per_slot=50, filled=50)
    with listening.store.database.transaction() as connection:
        assert kept.operation(connection, NOON).quiet == {"stadt": 50 * (24 - 1) * 6 - 50}


def test_a_model_in_use_for_half_a_year_is_told_and_a_restart_does_not_make_it_young(listening: Listening) -> None:
    with listening.store.database.transaction() as connection:
        for days in (200, 10):
            kept.note_models(connection, {"auth-user": "auth-user-1"}, NOON - days * DAY)
        assert kept.operation(connection, NOON).models == {"auth-user-1": NOON - 200 * DAY}


class Unheard:
    """A broker that takes everything, so that nothing is ever found."""

    def __init__(self) -> None:
        self.played: list[int] = []

    def play(self, _topic: str, _attack: object, now: int) -> dict[object, object]:
        self.played.append(now)
        return {}


def test_a_canary_that_is_not_found_in_a_quarter_of_an_hour_is_told_and_played_again_the_next_day(listening: Listening) -> None:
    broker = Unheard()
    canary = Canary(broker)  # type: ignore[arg-type]  # stands in for Player
    for minutes, missed in ((0, 0), (14, 0), (20, 20), (24 * 60, 0)):
        with listening.store.database.transaction() as connection:
            assert canary(connection, NOON + minutes * MINUTE) == missed * MINUTE
    assert broker.played == [NOON, NOON + DAY]
