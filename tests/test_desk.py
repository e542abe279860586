"""What people decide, by the commands they type: go-live, suppressions, digest; and entries of the configuration taking effect."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from psycopg.conninfo import conninfo_to_dict

from detector import desk
from detector.cli import app
from detector.config import Config, Maintenance, Suppression, Topic
from detector.judge.ical import CalendarError
from detector.judge.policy import Policy
from detector.judge.suppress import SuppressionError
from detector.judge.windows import WindowError
from detector.sentence import Sentence
from detector.store import Database, Store
from tests.postgres import TestDatabase
from tests.test_judge_windows import calendar, event, us
from tests.test_store import SHARD, an_incident
from tests.test_store_notify import opening

TOPICS = [Topic(name="auth", tenant="stadt")]


@pytest.fixture
def folder(database: TestDatabase, tmp_path: Path) -> Iterator[Path]:
    """A configuration beside a database in which a new tenant has had two incidents, one of them urgent."""
    parts = conninfo_to_dict(database.url())
    (tmp_path / "tuermer.toml").write_text(
        '[[topics]]\nname = "auth"\ntenant = "stadt"\n'
        f'[database]\nurl = "postgresql://{parts["user"]}@{parts["host"]}:{parts["port"]}/{parts["dbname"]}"\n'
        'password_env = "DATABASE_PASSWORD"\n'
    )
    now = time.time_ns() // 1000
    with contextlib.closing(Store(database.url(), Policy())) as store:
        calm = an_incident(1, opened=now, updated=now, severity="high")
        urgent = an_incident(2, opened=now, updated=now, urgent=True, got_in="yes", severity="critical", entity_value="203.0.113.9")
        store.apply(store.claim(SHARD, now - 3_600_000_000), 0, 1, opening(calm, urgent), now)
    os.environ["DATABASE_PASSWORD"] = str(parts["password"])
    yield tmp_path
    del os.environ["DATABASE_PASSWORD"]


class Done(NamedTuple):
    stdout: str
    refusal: str  # "" when it was done


def tuermer(folder: Path, *words: str) -> Done:
    """The command in this process: each start of its own would cost seconds."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO("yes\n"))  # nobody who could be asked
        try:
            app([*words, "--config", str(folder / "tuermer.toml")], exit_on_error=False, result_action="return_value")
        except Sentence as error:
            return Done(out.getvalue(), str(error))
    return Done(out.getvalue(), "")


def test_going_live_shows_what_would_have_been_notified_and_asks(folder: Path, database: TestDatabase) -> None:
    asked = tuermer(folder, "go-live", "--tenant", "stadt", "--by", "Frau Muster")
    assert "Would have been notified: 2 (2.0 a day); held by the budget: 0." in asked.stdout
    assert "That day has not come yet" in asked.stdout
    assert "(was notified, urgent)" in asked.stdout
    assert "add --yes" in asked.refusal
    assert database.rows("SELECT learning FROM public.learning") == [(True,)]
    done = tuermer(folder, "go-live", "--tenant", "stadt", "--by", "Frau Muster", "--yes")
    assert done.refusal == ""
    assert database.rows("SELECT learning, ended_by FROM public.learning") == [(False, "Frau Muster")]
    again = tuermer(folder, "go-live", "--tenant", "stadt", "--by", "Frau Muster", "--yes")
    assert "by Frau Muster" in again.refusal


def test_suppressions_are_added_listed_and_ended(folder: Path) -> None:
    by = ("--by", "Frau Muster", "--reason", "Schwachstellenscanner")
    added = tuermer(folder, "suppress", "add", "--incident", an_incident(1).id, *by)
    assert added.refusal == ""
    assert "source.ip 198.51.100.7 until" in added.stdout
    token = tuermer(folder, "suppress", "add", "--tenant", "stadt", "--entity", "user.name=u-0123456789abcdef", *by)
    assert "is a token: it names somebody else from 05:00 on" in token.stdout
    listed = json.loads(tuermer(folder, "suppress", "list", "--json").stdout)
    assert [(row["field"], row["status"], row["technique"], row["strength"]) for row in listed] == [
        ("source.ip", "active", "credential-access", 4.0), ("user.name", "active", "", None),
    ]  # fmt: skip
    ended = tuermer(folder, "suppress", "end", str(listed[0]["id"]), "--by", "Herr Beispiel")
    assert ended.refusal == ""
    lines = tuermer(folder, "suppress", "list").stdout.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["active", "ended"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--incident", an_incident(2).id), "a success after failures is never suppressed"),
        (("--incident", "nowhere"), "there is no incident nowhere"),
        (("--tenant", "dorf", "--entity", "service=x"), "there is no tenant dorf"),
        (("--entity", "service=x"), "name either --incident"),
        ((), "name either --incident"),
    ],
)
def test_a_suppression_that_cannot_be_given_is_refused_in_a_sentence(folder: Path, words: tuple[str, ...], sentence: str) -> None:
    done = tuermer(folder, "suppress", "add", *words, "--by", "A", "--reason", "B")
    assert sentence in done.refusal


def test_the_digest_is_printed_in_both_languages(folder: Path) -> None:
    german, english = (tuermer(folder, "digest", "--tenant", "stadt", "--language", language) for language in ("de", "en"))
    assert "2 Auffälligkeiten seit" in german.stdout
    assert "Learning phase since" in english.stdout
    assert json.loads(tuermer(folder, "digest", "--tenant", "stadt", "--json").stdout)["counts"]["n"] == 2
    assert "there is no tenant dorf" in tuermer(folder, "digest", "--tenant", "dorf").refusal


# Entries of the configuration


def config(**lists: object) -> Config:
    return Config(topics=TOPICS, **lists)  # type: ignore[arg-type] # a test's keyword arguments


NOW = us(2026, 11, 20)


def test_windows_and_suppressions_of_the_configuration_take_effect_at_the_start(database: TestDatabase, tmp_path: Path) -> None:
    (tmp_path / "it.ics").write_text(calendar(event("SUMMARY:Umzug", "DTSTART:20261121T100000", "DTEND:20261121T120000")))
    settings = config(
        maintenance=[
            Maintenance(name="Patchnacht", begin="2026-11-10 22:00", end="2026-11-11 02:00", repeat="FREQ=MONTHLY;BYDAY=2TU;COUNT=3"),
            Maintenance(name="Kalender", calendar=str(tmp_path / "it.ics")),
        ],
        suppressions=[Suppression(tenant="stadt", entity="source.ip=198.51.100.7", author="A", reason="B", until="2026-12-31")],
    )
    with contextlib.closing(Database(database.url())) as store:
        for _ in range(2):
            desk.begin(settings, store, NOW)
        names = database.rows("SELECT name, count(*)::int FROM public.maintenance GROUP BY 1 ORDER BY 1", role="tuermer_daemon")
        assert names == [("Kalender: Umzug", 1), ("Patchnacht", 3)]
        until = database.rows("SELECT value, (expires AT TIME ZONE 'Europe/Berlin')::text FROM public.suppressions")
        assert until == [("198.51.100.7", "2027-01-01 00:00:00")]


def test_a_calendar_is_read_again_and_one_that_went_bad_leaves_the_windows(database: TestDatabase, tmp_path: Path) -> None:
    file = tmp_path / "it.ics"
    file.write_text(calendar(event("DTSTART:20261121T100000", "DTEND:20261121T120000")))
    settings = config(maintenance=[Maintenance(name="Kalender", calendar=str(file))])
    with contextlib.closing(Database(database.url())) as store:
        desk.begin(settings, store, NOW)
        chore, counts = desk.CalendarChore(settings, store, NOW), []
        for number, text in enumerate((calendar(), "nonsense", calendar(event("DTSTART:20261122T100000", "DURATION:PT1H"))), 1):
            file.write_text(text)
            chore(NOW + number * desk.CALENDARS_EVERY - 1)
            chore(NOW + number * desk.CALENDARS_EVERY)
            counts.append(database.rows("SELECT count(*)::int FROM public.maintenance")[0][0])
    assert counts == [0, 0, 1]


@pytest.mark.parametrize(
    ("entry", "error", "sentence"),
    [
        (Maintenance(name="x", begin="2026-11-10 22:00", end="2026-11-10 20:00"), WindowError, "maintenance x ends before it begins"),
        (Maintenance(name="x", calendar="/nowhere.ics"), CalendarError, "maintenance x: /nowhere.ics cannot be read"),
        (Suppression(tenant="stadt", entity="colour=red", author="A", reason="B"), SuppressionError, r"suppressions\[1\]: .* not colour"),
        (Suppression(tenant="stadt", entity="service=x", author="A", reason="B", until="soon"), SuppressionError, "soon is not a day"),
    ],
)
def test_an_entry_that_cannot_be_used_ends_the_start_with_a_sentence(
    entry: Maintenance | Suppression, error: type[Exception], sentence: str
) -> None:
    given = {"maintenance" if isinstance(entry, Maintenance) else "suppressions": [entry]}
    settings = config(**given)
    with pytest.raises(error, match=sentence):
        desk.windows_of(settings, NOW) if "maintenance" in given else desk.suppressions_of(settings)


def test_changing_an_entry_makes_it_another() -> None:
    entry = Suppression(tenant="stadt", entity="service=x", author="A", reason="B")
    keys = [desk.suppressions_of(Config(topics=TOPICS, suppressions=[one]))[0].key for one in (entry, entry, replaced(entry))]
    assert keys[0] == keys[1] != keys[2]


def replaced(entry: Suppression) -> Suppression:
    return msgspec.structs.replace(entry, until="2026-12-31")


def test_policy_follows_the_configuration() -> None:
    policy = Policy.of(
        Config(topics=[*TOPICS, Topic(name="b", tenant="stadt", timezone="UTC"), Topic(name="c", tenant="dorf", timezone="UTC")])
    )
    assert (policy.per_day, policy.learning_days, policy.digest_at) == (5, 14, 450)
    assert (policy.zone("stadt"), policy.zone("dorf"), policy.zone("nowhere")) == ("Europe/Berlin", "UTC", "Europe/Berlin")
