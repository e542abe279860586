"""Verdicts from Grafana: each annotation is taken once, at first sight; whatever else people do to it changes nothing."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from detector.grafana.adapter import Trouble
from detector.grafana.verdicts import LATEST, PAGE, SWEEP, Poll
from detector.grafanawatch import GrafanaWatch, Organisation
from detector.store import Database
from detector.store.ailments import operation
from tests.postgres import TestDatabase
from tests.test_store_notify import feeding, opening
from tests.test_store_verdicts import LIVE, NOW, found

ONE, OTHER = found(), found(2, entity_value="198.51.100.2")
HERE = NOW // 1000 - 100_000_000  # ms, by Grafana's clock


class Board:
    """Grafana's annotations, as its API lists them: newest `time` first, at most `limit`."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.numbers = itertools.count(1)
        self.away = False
        self.asked = 0

    def post(self, word: str = "false-positive", incident: str = ONE.id, **changes: object) -> dict[str, Any]:
        number = next(self.numbers)
        row = {
            "id": number, "created": HERE + number, "updated": HERE + number, "time": HERE + number, "dashboardUID": "tuermer-lage",
            "panelId": 4, "login": "anna", "email": "", "text": "-", "tags": ["tuermer-verdict", f"verdict:{word}", f"incident:{incident}"],
        } | changes  # fmt: skip
        self.rows.append(row)
        return row

    def annotations(self, tag: str, limit: int = 5000) -> Sequence[dict[str, Any]]:
        return self.annotations_between(tag, limit, 0, LATEST)

    def annotations_between(self, tag: str, limit: int, begin: int, end: int) -> Sequence[dict[str, Any]]:
        self.asked += 1
        if self.away:
            raise Trouble("Grafana at http://127.0.0.1:3000/ did not answer", 0)
        some = [row for row in self.rows if begin <= row["time"] <= end and tag in (row["tags"] or [])]
        return sorted(some, key=lambda row: -row["time"])[:limit]


class Bench:
    def __init__(self, database: TestDatabase) -> None:
        self.rows, self.board, self.counted = database.rows, Board(), Counter[str]()
        self.database = Database(database.url())
        self.poll = Poll(self.board, self.database, "stadt", lambda outcome: self.counted.update([outcome]))

    def status(self, id_: str = ONE.id) -> object:
        return self.rows("SELECT status FROM public.incidents WHERE id = %s", id_)[0][0]

    def audited(self) -> list[tuple[object, ...]]:
        return self.rows("SELECT action, subject FROM store.audit WHERE action LIKE 'annotation.%%' ORDER BY seq")


@pytest.fixture
def bench(database: TestDatabase) -> Iterator[Bench]:
    with feeding(database, LIVE) as feed:
        feed(opening(ONE, OTHER), NOW)
        made = Bench(database)
        yield made
        made.database.close()


def test_a_button_acts_once_however_often_it_is_polled_and_by_whomever(bench: Bench, database: TestDatabase) -> None:
    bench.board.post()
    assert [bench.poll(NOW) for _ in range(3)] == [1, 0, 0]
    with contextlib.closing(Database(database.url())) as second:
        assert Poll(bench.board, second, "stadt", lambda _: None)(NOW) == 0
    assert bench.status() == "closed"
    assert bench.rows("SELECT word, author, via FROM public.verdicts") == [("false-positive", "anna", "grafana")]
    assert bench.counted == {"applied": 1}


def test_a_correction_is_a_new_annotation_and_the_smaller_id_comes_first(bench: Bench) -> None:
    bench.board.post("retracted", time=HERE - 5_000_000)
    bench.board.post("confirmed", time=HERE - 9_000_000)
    bench.poll(NOW)
    assert bench.status() == "confirmed"


def test_what_is_edited_later_is_written_down_and_changes_nothing(bench: Bench) -> None:
    row = bench.board.post("in-work")
    bench.poll(NOW)
    row["tags"], row["updated"] = ["tuermer-verdict", "verdict:allowed", f"incident:{ONE.id}"], row["created"] + 60_000
    for _ in range(3):
        bench.poll(NOW)
    assert bench.status() == "in-work"
    assert bench.audited() == [("annotation.changed", "1")]
    row["updated"] += 1
    bench.poll(NOW)
    assert bench.audited() == [("annotation.changed", "1")] * 2


def test_what_was_edited_before_we_saw_it_is_refused_since_anybody_may_have_done_it(bench: Bench) -> None:
    bench.board.post("allowed", updated=HERE + 5_000)
    bench.poll(NOW)
    assert (bench.status(), bench.counted) == ("open", {"edited": 1})


def test_what_disappears_is_written_down_once_and_its_effect_stays(bench: Bench) -> None:
    bench.board.post()
    bench.poll(NOW)
    bench.board.rows.clear()
    for _ in range(3):
        bench.poll(NOW)
    assert (bench.status(), bench.audited()) == ("closed", [("annotation.gone", "1")])


def test_what_turmer_itself_deletes_after_its_time_is_not_gone(bench: Bench) -> None:
    bench.board.post(created=HERE - 91 * 86_400_000, updated=HERE - 91 * 86_400_000)
    bench.poll(NOW)
    bench.board.rows.clear()
    bench.poll(NOW)
    assert (bench.status(), bench.audited()) == ("closed", [])


def test_a_grafana_that_was_set_up_anew_counts_from_one_again_and_is_heard(bench: Bench) -> None:
    bench.board.post("in-work")
    bench.poll(NOW)
    bench.board.rows.clear()
    bench.board.numbers = itertools.count(1)
    bench.board.post("confirmed", created=HERE + 9_000_000, updated=HERE + 9_000_000)
    bench.poll(NOW)
    assert bench.status() == "confirmed"


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"tags": ["tuermer-verdict", "verdict:false-positive"]}, "forged"),
        ({"tags": ["tuermer-verdict", "verdict:false-positive", "incident"]}, "forged"),
        ({"tags": ["tuermer-verdict", "verdict:false-positive", "incident:"]}, "forged"),
        ({"tags": ["tuermer-verdict", "verdict:false-positive", "incident:' OR 1=1 --"]}, "forged"),
        ({"tags": ["tuermer-verdict", "verdict:delete", f"incident:{ONE.id}"]}, "forged"),
        ({"tags": ["tuermer-verdict", "verdict:allowed", "verdict:confirmed", f"incident:{ONE.id}"]}, "forged"),
        ({"tags": ["tuermer-verdict", "verdict:allowed", f"incident:{ONE.id}", f"incident:{OTHER.id}"]}, "forged"),
        ({"tags": ["tuermer-verdict", "verdict:allowed", f"incident:{ONE.id}", "scope:everything"]}, "forged"),
        ({"tags": ["tuermer-verdict", "verdict:allowed", "incident:00000000-0000-0000-0000-00000000ffff"]}, "unknown"),
        ({"tags": ["tuermer-verdict", {"verdict": "allowed"}]}, "forged"),
        ({"dashboardUID": "somewhere-else"}, "elsewhere"),
        ({"dashboardUID": None}, "elsewhere"),
        ({"login": ""}, "nobody"),
        ({"login": None}, "nobody"),
        ({"login": "sa-1-tuermer-content"}, "nobody"),
        ({"created": "yesterday"}, "unreadable"),
    ],
)
def test_what_is_no_persons_verdict_is_refused_and_counted(bench: Bench, changes: dict[str, Any], outcome: str) -> None:
    bench.board.post(**changes)
    bench.poll(NOW)
    assert (bench.status(), bench.counted) == ("open", {outcome: 1})
    assert bench.rows("SELECT count(*)::int FROM store.verdicts") == [(0,)]


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "x" * 1_000_000},
        {"text": "<script>alert(1)</script>{{7*7}}\0\x1b[31m"},
        {"time": 0},
        {"time": LATEST - 1},
        {"login": "<b>'; DROP TABLE incidents --\0"},
    ],
)
def test_texts_of_any_size_markup_and_times_of_any_year_are_harmless(bench: Bench, changes: dict[str, Any]) -> None:
    bench.board.post(**changes)
    assert bench.poll(NOW) == 1
    assert bench.status() == "closed"
    assert bench.rows(
        "SELECT count(*)::int FROM store.verdicts WHERE given = 'epoch'::timestamptz + %s * interval '1 millisecond'", HERE + 1
    ) == [(1,)]


def test_another_tenants_incident_is_unknown_in_this_organisation(bench: Bench) -> None:
    bench.rows("INSERT INTO store.tenants (tenant) VALUES ('kreis')")
    poll = Poll(bench.board, bench.database, "kreis", lambda outcome: bench.counted.update([outcome]))
    bench.board.post()
    poll(NOW)
    assert (bench.status(), bench.counted) == ("open", {"unknown": 1})


def test_all_alike_in_one_click(bench: Bench) -> None:
    bench.board.post("allowed", tags=["tuermer-verdict", "verdict:allowed", f"incident:{ONE.id}", "scope:alike"])
    bench.poll(NOW)
    assert (bench.status(), bench.status(OTHER.id)) == ("closed", "closed")
    assert bench.rows("SELECT count(*)::int FROM public.suppressions") == [(2,)]


def test_forged_times_in_the_future_hide_a_verdict_for_minutes_at_most(bench: Bench) -> None:
    for number in range(3 * PAGE):
        bench.board.post("nonsense", time=HERE + 10_000_000 + number)
    bench.board.post("confirmed", time=HERE)
    bench.poll(NOW)
    assert bench.status() == "confirmed", "at the first look all are looked at"
    bench.board.post("closed", time=HERE)
    bench.poll(NOW + 10_000_000)
    assert bench.status() == "confirmed"
    bench.poll(NOW + SWEEP)
    assert bench.status() == "closed"
    assert bench.audited() == []
    bench.board.rows = bench.board.rows[5:]
    bench.poll(NOW + SWEEP + 10_000_000)
    assert bench.audited() == [], "what is not among the newest is not gone"


def test_a_grafana_that_is_away_is_asked_less_often_and_people_are_told_once(bench: Bench) -> None:
    clock = [NOW]
    watch = GrafanaWatch(bench.database, [Organisation("stadt", bench.poll)], lambda: clock[0])
    bench.board.away = True
    bench.board.post()
    for _ in range(60):
        watch.round()
        clock[0] += 10_000_000
    assert bench.board.asked < 20
    with bench.database.transaction() as connection:
        assert operation(connection, clock[0]).grafana_away >= 590_000_000
    bench.board.away = False
    clock[0] += 60_000_000
    assert watch.round() == 1
    with bench.database.transaction() as connection:
        assert operation(connection, clock[0]).grafana_away == 0
