"""The page: what an analyst sees, and what it must never do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient

from detector.store.database import Away
from detector.web.page import Json, Probes, application, by_field, check_listen, number, when
from detector.web.words import WORDS

INCIDENT: dict[str, Any] = {
    "id": "0b8f", "tenant": "stadt", "site": "rathaus", "model": "auth-source", "model_id": "auth-source-1a2b", "status": "open",
    "severity": "high", "opened": "2026-11-20T02:14:00+00:00",
    "updated": "2026-11-20T02:20:00+00:00", "got_in": "no",
    "entity": {"kind": "service", "value": "vpn.example:443"}, "techniques": ["T1110.003"],
    "title": {"de": "Viele Konten, ein <Ziel>", "en": "Many accounts, one <target>"}, "p_value": 5e-5, "one_in": 20000,
    "score": 0.7, "events": 120,
    "evidence": [{"field": "source.ip", "value": f"198.51.100.{n}", "events": n + 1, "first": "2026-11-20T02:14:00+00:00",
                  "last": "2026-11-20T02:20:00+00:00"} for n in range(10, 60)],
    "evidence_rest": {"source.ip": 10},
    "reasons": [{"feature": "users_1h", "observed": 80.0, "usual": 1.0, "rarity": 4.2, "contribution": 0.6,
                 "text": {"de": "80 Konten in einer Stunde, üblich ist 1.", "en": "80 accounts in one hour; 1 is usual."}}],
    "counterfactual": {"de": "Unter 6 Konten nicht.", "en": "Not below 6 accounts."},
    "samples": [{"time": "2026-11-20T02:14:00+00:00", "fields": {"source.ip": "198.51.100.7"}}],
}  # fmt: skip


class Shelf:
    """The page's store, in memory."""

    def __init__(self, rows: Sequence[Json], *, down: bool = False) -> None:
        self.rows, self.down = rows, down

    def list_incidents(self, limit: int) -> Sequence[Json]:
        if self.down:
            raise Away("gone")
        return self.rows[:limit]

    def incident(self, incident_id: str) -> Json | None:
        return next((row for row in self.list_incidents(999) if row["id"] == incident_id), None)


def client(rows: Sequence[Json] = (INCIDENT,), *, down: bool = False, sick: str | None = None) -> TestClient:
    probes = Probes(lambda: None, lambda: sick, lambda: b"tuermer_records_read_total 0\n")
    return TestClient(application(Shelf(rows, down=down), probes), base_url="http://127.0.0.1")


def test_the_list_shows_severity_in_words_and_the_first_reason() -> None:
    text = client().get("/").text
    assert "hoch" in text
    assert "80 Konten in einer Stunde" in text
    assert 'href="/incident/0b8f?lang=de"' in text


def test_the_same_in_english() -> None:
    text = client().get("/?lang=en").text
    assert "80 accounts in one hour" in text
    assert "Vorfall" not in text


def test_one_incident_shows_reasons_counterfactual_and_the_number_of_values_not_shown() -> None:
    text = client().get("/incident/0b8f").text
    assert "Unter 6 Konten nicht." in text
    assert "und 10 weitere Werte" in text
    assert "198.51.100.59" in text  # most events first


def test_texts_from_logs_are_escaped() -> None:
    text = client().get("/incident/0b8f").text
    assert "<Ziel>" not in text
    assert "&lt;Ziel&gt;" in text


def test_the_page_loads_nothing_from_elsewhere_and_runs_no_script() -> None:
    answer = client().get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text


def test_an_unknown_incident_is_a_404_and_a_database_that_is_away_a_503() -> None:
    assert client().get("/incident/nope").status_code == 404
    answer = client(down=True).get("/")
    assert answer.status_code == 503
    assert "es geht nichts verloren" in answer.text


def test_a_foreign_host_name_is_refused() -> None:
    assert client().get("/", headers={"host": "evil.example"}).status_code == 400


def test_readiness_says_in_one_sentence_what_is_wrong() -> None:
    answer = client(sick="the database does not answer").get("/readyz")
    assert (answer.status_code, answer.text) == (503, "the database does not answer\n")
    assert client().get("/healthz").text == "ok\n"


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["de"].keys() == WORDS["en"].keys()


@pytest.mark.parametrize("listen", ["0.0.0.0:8765", "10.0.0.1:80", "127.0.0.1", "tuermer.example:80"])
def test_the_page_listens_on_loopback_only(listen: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        check_listen(listen)


def test_loopback_addresses_are_accepted() -> None:
    assert check_listen("127.0.0.1:8765") == ("127.0.0.1", 8765)
    assert check_listen("[::1]:80") == ("::1", 80)


def test_numbers_and_times_are_written_as_each_language_does() -> None:
    assert (number(60339, "de"), number(60339, "en"), number(0.5, "de")) == ("60.339", "60,339", "0,5")
    assert when("2026-11-20T02:14:00+00:00", "de") == "20.11.2026 03:14:00"
    assert when("2026-11-20T02:14:00+00:00", "en") == "20 Nov 2026 03:14:00"


def test_evidence_is_grouped_by_field_most_events_first() -> None:
    groups = by_field(INCIDENT["evidence"])
    assert [row["events"] for row in groups["source.ip"]][:2] == [60, 59]
