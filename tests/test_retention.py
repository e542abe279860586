"""A year of data, one night: nothing past its time is left in any table, and nothing is missing that should be there."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.config import Config, Topic
from detector.night import Night, due
from detector.retentionsections import Retention
from detector.store import Away, Database, holds, retention
from detector.store.database import EPOCH
from detector.store.embedded import Embedded
from detector.store.retention import Periods
from tests.filled import fill, token
from tests.postgres import TestDatabase, fresh

TODAY = dt.datetime(2026, 11, 1, 3, 30, tzinfo=dt.UTC)
NOW = (TODAY - EPOCH) // dt.timedelta(microseconds=1)
DAY = 86_400_000_000
DEFAULT = Retention()
PERIODS = Periods(
    {name: getattr(DEFAULT, name) for name in ("evidence", "links", "incidents", "training", "annotations", "audit")},
    {"kurz": {"evidence": 10, "incidents": 60}},
)
TENANTS = ("stadt", "kurz")
AGES = (*range(45), *range(45, 400, 12))  # days
FEW = (0, 5, 15, 25, 29, 30, 31, 59, 61, 100, 179, 181, 200, 379, 381)
TOKEN = token("stadt")


@pytest.fixture
def year(database: TestDatabase) -> TestDatabase:
    return filled(database, FEW)


def filled(database: TestDatabase, ages: Sequence[int]) -> TestDatabase:
    fill(database, TENANTS, TODAY, ages)
    database.rows("UPDATE store.snapshots SET heard = %s::timestamptz - interval '11 days' WHERE shard = 'kurz/x'", TODAY)
    return database


@pytest.fixture
def daemon(year: TestDatabase) -> Iterator[Database]:
    with contextlib.closing(Database(year.url())) as opened:
        yield opened


@dataclass
class Left:
    """A year of data, what was there before, and the record of one night."""

    database: TestDatabase
    before: dict[str, dict[str, list[int]]]
    record: retention.Record
    key: Ed25519PrivateKey


@pytest.fixture(scope="module")
def after(postgres_server: Embedded) -> Iterator[Left]:
    """One night for all tests that only look at what it left."""
    with fresh(postgres_server) as database, contextlib.closing(Database(filled(database, AGES).url())) as opened:
        before, key = left(database), Ed25519PrivateKey.generate()
        record = retention.night(opened, PERIODS, NOW, key)
        assert record is not None
        yield Left(database, before, record, key)


def left(database: TestDatabase) -> dict[str, dict[str, list[int]]]:
    """By table and tenant: the ages in days of the rows that are left, by the table's own moment."""
    ages: dict[str, dict[str, list[int]]] = {}
    for relation, how, whose, moment in database.rows("SELECT relation, how, whose, moment FROM store.keepings"):
        if how == "days":
            whose = "(SELECT i.tenant FROM store.incidents AS i WHERE i.id = t.incident)"
        elif how != "rows" or whose == "''":
            continue
        rows = database.rows(
            f"SELECT {whose}, %s::date - (({moment})::timestamptz AT TIME ZONE 'UTC')::date FROM store.{relation} AS t ORDER BY 2",
            TODAY,
        )
        for tenant, age in rows:
            ages.setdefault(str(relation), {}).setdefault(str(tenant), []).append(int(str(age)))
    return ages


def test_a_night_leaves_nothing_past_its_time_and_takes_nothing_before(after: Left) -> None:
    period = {relation: str(key) for relation, key in after.database.rows("SELECT relation, period FROM store.keepings")}
    still = left(after.database)
    assert len(after.before) >= 17
    for relation, by_tenant in after.before.items():
        for tenant, ages in by_tenant.items():
            days = PERIODS.of(tenant, period[relation])
            # A table of days goes by the whole day: what began 30 days ago at 00:00 is past its time at 03:30.
            whole = relation in (
                "evidence",
                "samples",
                "near_misses",
                "deciles",
                "digests",
                "reservoir",
                "links",
                "link_slots",
                "opening_tokens",
            )
            kept = [age for age in ages if age < days or (age == days and not whole)]
            assert still.get(relation, {}).get(tenant, []) == kept, (relation, tenant)


def test_incidents_stay_longer_than_their_evidence_but_without_tokens_and_addresses(after: Left) -> None:
    rows = after.database.rows(
        "SELECT %s::date - i.day, i.redacted IS NOT NULL, (to_jsonb(i) || jsonb_build_object('n', n.text, 'p', p.reasons))::text"
        " FROM store.incidents AS i JOIN store.notes AS n ON n.incident = i.id JOIN store.episodes AS p ON p.incident = i.id"
        " WHERE i.tenant = 'stadt'",
        TODAY,
    )
    named = re.compile(r"u-[0-9a-f]{16}|203\.0\.113\.7")
    assert {age for age, redacted, _ in rows if not redacted} == {age for age in AGES if age < 30}
    assert {age for age, _, text in rows if named.search(str(text)) is not None} == {age for age in AGES if age < 30}
    assert any("12:30:45" in str(text) for _, redacted, text in rows if redacted), "a time of day is no address"


def test_no_token_older_than_the_evidence_is_in_any_table(year: TestDatabase, daemon: Database) -> None:
    retention.night(daemon, Periods({**PERIODS.days, "evidence": 1, "links": 1, "incidents": 400}), NOW + 3 * DAY)
    tables = year.rows("SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'p')")
    found = {name for (name,) in tables if year.rows(f"SELECT FROM {name} AS t WHERE t::text LIKE '%%{TOKEN}%%'")}
    assert found == set()


def test_days_without_anybodys_rows_are_dropped_as_partitions(after: Left) -> None:
    rows = after.database.rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'store.evidence'::regclass")
    assert rows == [(sum(age < 30 for age in AGES),)]


def test_the_state_of_a_silent_shard_goes_and_one_that_is_heard_stays(after: Left) -> None:
    assert after.database.rows("SELECT shard FROM store.snapshots") == [("stadt/x",)]
    assert after.database.rows("SELECT shard FROM store.snapshot_parts") == [("stadt/x",)]
    assert after.database.rows("SELECT origin FROM store.shards WHERE shard = 'kurz/x'") == [(100,)]


def test_each_run_is_recorded_and_signed(after: Left) -> None:
    ((document, signature),) = after.database.rows("SELECT document, signature FROM store.deletion_runs WHERE id = %s", after.record.run)
    assert isinstance(signature, bytes)
    after.key.public_key().verify(signature, retention.signed_text(str(document).encode()))
    samples = next(line for line in after.record.deleted if (line.tenant, line.relation) == ("stadt", "samples"))
    assert samples.rows == sum(age >= 30 for age in AGES)
    assert (samples.first, samples.last) == ("2025-10-04T00:00:00Z", "2026-10-02T00:00:00Z")
    assert after.database.rows("SELECT action, details FROM store.audit WHERE action = 'retention.run'") != []


def test_a_second_night_finds_nothing_to_do(after: Left) -> None:
    with contextlib.closing(Database(after.database.url())) as opened:
        record = retention.night(opened, PERIODS, NOW)
    assert record is not None
    assert record.deleted == []


def test_a_held_incident_is_kept_whole_until_the_hold_ends(year: TestDatabase, daemon: Database) -> None:
    ((held,),) = year.rows("SELECT id::text FROM store.incidents WHERE tenant = 'stadt' ORDER BY opened LIMIT 1")
    number = holds.add(daemon, str(held), "AZ 12/26", "Strafanzeige", "meier", 100, NOW)
    count = (
        "SELECT (SELECT count(*) FROM store.evidence WHERE incident = i.id), (SELECT count(*) FROM store.samples WHERE incident = i.id),"
        " (SELECT count(*) FROM store.outbox WHERE incident = i.id), entity_value,"
        " (SELECT count(*) FROM store.links AS l WHERE l.token = i.entity_value AND l.tenant = i.tenant AND l.day = i.day)"
        " FROM store.incidents AS i WHERE id = %s::uuid"
    )
    retention.night(daemon, PERIODS, NOW)
    assert year.rows(count, held) == [(1, 1, 1, TOKEN, 1)]
    assert holds.end(daemon, number, "meier", NOW)
    retention.night(daemon, PERIODS, NOW)
    assert year.rows(count, held) == []


def test_a_hold_ends_by_itself(year: TestDatabase, daemon: Database) -> None:
    ((held,),) = year.rows("SELECT id::text FROM store.incidents WHERE tenant = 'stadt' ORDER BY opened LIMIT 1")
    holds.add(daemon, str(held), "AZ 12/26", "Strafanzeige", "meier", 5, NOW - 10 * DAY)
    assert holds.listed(daemon, NOW) == []
    retention.night(daemon, PERIODS, NOW)
    assert year.rows("SELECT FROM store.incidents WHERE id = %s::uuid", held) == []


def test_a_night_that_was_killed_is_gone_on_with_and_nothing_is_counted_twice(year: TestDatabase, daemon: Database) -> None:
    class Killed(Exception):
        pass

    def kill(_now: int) -> list[retention.Deleted]:
        raise Killed

    with pytest.raises(Killed):
        retention.night(daemon, PERIODS, NOW, outside=kill)
    record = retention.night(daemon, PERIODS, NOW)
    assert record is not None
    assert year.rows("SELECT count(*) FROM store.deletion_runs") == [(1,)]
    incidents = next(line for line in record.deleted if (line.tenant, line.relation) == ("stadt", "incidents"))
    assert incidents.rows == sum(age > 180 for age in FEW)


def test_a_clock_that_jumps_ahead_deletes_nothing_early(year: TestDatabase, daemon: Database) -> None:
    ahead = (dt.datetime.now(dt.UTC) - EPOCH) // dt.timedelta(microseconds=1) + 3650 * DAY
    year.rows("UPDATE store.incidents SET opened = now(), updated = now(), closes_at = now(), day = current_date")
    count = year.rows("SELECT count(*) FROM store.incidents")
    retention.night(daemon, PERIODS, ahead)
    assert year.rows("SELECT count(*) FROM store.incidents") == count


def test_the_daemon_can_delete_nothing_of_today(year: TestDatabase) -> None:
    year.rows("UPDATE store.incidents SET updated = now(), closes_at = now()")
    count = year.rows("SELECT count(*) FROM store.incidents")
    year.rows("INSERT INTO store.deletion_runs (began) VALUES (now())")
    year.rows("SELECT store.forget('incidents', 'stadt', 0, now() + interval '9 years', 1)", role="tuermer_daemon")
    assert year.rows("SELECT count(*) FROM store.incidents") == count


def test_a_full_disk_in_the_middle_loses_nothing_and_the_next_night_goes_on(year: TestDatabase, daemon: Database) -> None:
    year.rows(
        "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;"
        " CREATE TRIGGER disk_full BEFORE DELETE ON store.incidents FOR EACH STATEMENT EXECUTE FUNCTION disk_full()"
    )
    before = year.rows("SELECT count(*) FROM store.incidents")
    with pytest.raises(Away, match="No space left on device"):
        retention.night(daemon, PERIODS, NOW)
    assert year.rows("SELECT count(*) FROM store.incidents") == before
    assert year.rows("SELECT ended FROM store.deletion_runs") == [(None,)]
    year.rows("DROP TRIGGER disk_full ON store.incidents")
    record = retention.night(daemon, PERIODS, NOW)
    assert record is not None
    assert {line.rows for line in record.deleted if line.relation == "samples" and line.tenant == "stadt"} == {
        sum(age >= 30 for age in FEW)
    }
    assert year.rows("SELECT count(*) FROM store.deletion_runs") == [(1,)]


def test_a_reader_that_holds_a_day_does_not_stop_the_night(year: TestDatabase, daemon: Database) -> None:
    with psycopg.connect(year.url("postgres")) as reader:
        reader.execute("SELECT count(*) FROM store.evidence").fetchall()  # its transaction stays open: no partition can be detached
        record = retention.night(daemon, Periods({**PERIODS.days, "evidence": 380}), NOW)
    assert record is not None
    assert year.rows("SELECT FROM store.evidence WHERE day <= %s::date - 380", TODAY) == []


def test_two_nights_at_once_are_one(year: TestDatabase, daemon: Database) -> None:
    with contextlib.closing(Database(year.url())) as other:
        inner: list[retention.Record | None] = []

        def meanwhile(_now: int) -> list[retention.Deleted]:
            inner.append(retention.night(other, PERIODS, NOW))
            return []

        outer = retention.night(daemon, PERIODS, NOW, outside=meanwhile)
    assert inner == [None]
    assert outer is not None


@pytest.mark.parametrize(
    ("last", "now", "is_due"),
    [
        (None, "2026-11-01T12:00+01:00", True),
        ("2026-11-01T03:01+01:00", "2026-11-01T23:00+01:00", False),
        ("2026-11-01T03:01+01:00", "2026-11-02T02:59+01:00", False),
        ("2026-11-01T03:01+01:00", "2026-11-02T03:00+01:00", True),
        ("2026-10-24T03:30+02:00", "2026-10-25T03:00+01:00", True),  # the night of 25 hours
        ("2026-11-05T03:30+01:00", "2026-11-01T12:00+01:00", False),  # the clock went back
    ],
)
def test_a_night_is_due_when_the_last_three_in_the_morning_has_seen_none(last: str | None, now: str, *, is_due: bool) -> None:
    before = None if last is None else dt.datetime.fromisoformat(last)
    assert due(before, dt.datetime.fromisoformat(now), "Europe/Berlin") is is_due


def test_the_watch_runs_one_night_a_day_and_catches_up(year: TestDatabase, daemon: Database) -> None:
    config = Config(topics=[Topic(name="auth", tenant="stadt")])
    night = Night.of(config, daemon, {})
    assert night(NOW) is not None
    assert night(NOW + 60_000_000) is None
    assert Night.of(config, daemon, {})(NOW + 3_600_000_000) is None, "another process sees that it was done"
    assert night(NOW + 3 * DAY) is not None
    assert year.rows("SELECT count(*) FROM store.deletion_runs WHERE ended IS NOT NULL") == [(2,)]


def test_every_table_says_how_long_it_is_kept(any_database: TestDatabase) -> None:
    tables = any_database.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    declared = any_database.rows("SELECT relation FROM store.keepings")
    assert {name for (name,) in tables} - {name for (name,) in declared} == set()
