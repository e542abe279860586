"""The page: what an analyst sees, and what it must never do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient

from detector.store.database import Away
from detector.web.page import Json, Probes, application, check_listen, number, when
from detector.web.story import by_field
from detector.web.words import WORDS

INCIDENT: dict[str, Any] = {
    "id": "0b8f", "tenant": "stadt", "site": "rathaus", "model": "auth-source", "model_id": "auth-source-1a2b", "status": "open",
    "severity": "high", "opened": "2026-11-20T02:14:00+00:00",
    "updated": "2026-11-20T02:20:00+00:00", "got_in": "no",
    "entity": {"kind": "service", "value": "vpn.example:443"}, "techniques": ["T1110.003"],
    "title": {"de": "Viele Konten, ein <Ziel>", "en": "Many accounts, one <target>"}, "p_value": 5e-5, "one_in": 20000,
    "score": 0.7, "worst_p": 2e-5, "events": 4_000, "family": "credential-access",
    "volume": 10_000.0, "chance_days": 2.0, "spread": 12, "critical": False,
    "episode": 12, "episode_opened": "2026-11-20T02:14:00+00:00", "episode_events": 412, "usual_low": 300, "usual_high": 900,
    "learning": False, "maintenance": None, "notification": "sent", "why": "budget", "suppression": None,
    "verdict": None, "verdict_by": None, "verdict_at": None, "work_by": None, "work_until": None, "ticket": None, "owner": None,
    "evidence": [{"field": "source.ip", "value": f"198.51.100.{n}", "events": n + 1, "first": "2026-11-20T02:14:00+00:00",
                  "last": "2026-11-20T02:20:00+00:00"} for n in range(10, 60)],
    "evidence_rest": {"source.ip": 10},
    "reasons": [{"feature": "users_1h", "observed": 80.0, "usual": 1.0, "rarity": 4.2, "contribution": 0.6,
                 "text": {"de": "80 Konten in einer Stunde, üblich ist 1.", "en": "80 accounts in one hour; 1 is usual."}}],
    "counterfactual": {"de": "Unter 6 Konten nicht.", "en": "Not below 6 accounts."},
    "episodes": [
        {"episode": 12, "opened": "2026-11-20T02:14:00+00:00", "events": 412, "got_in": "no", "status": "open",
         "model_id": "auth-source-1a2b",
         "reasons": [{"text": {"de": "Diesmal 90 Konten.", "en": "This time 90 accounts."}, "contribution": 0.6}],
         "counterfactual": {"de": "Unter 6 Konten nicht.", "en": "Not below 6 accounts."}},
        {"episode": 11, "opened": "2026-11-19T02:14:00+00:00", "events": 350, "got_in": "no", "status": "expired",
         "model_id": "auth-source-1a2b", "reasons": [], "counterfactual": {}},
    ],
    "samples": [{"time": "2026-11-20T02:14:00+00:00", "fields": {"source.ip": "198.51.100.7"}}],
}  # fmt: skip


RELATED = INCIDENT | {"id": "77aa", "title": {"de": "Das Netz wird abgesucht", "en": "The network is being scanned"}, "got_in": "unknown",
                      "shared": ["10.0.0.5"], "via": "0b8f"}  # fmt: skip


class Shelf:
    """The page's store, in memory."""

    def __init__(self, rows: Sequence[Json], *, down: bool = False) -> None:
        self.rows, self.down = rows, down
        self.unwell: list[Json] = []
        self.related: Json = RELATED

    def chain(self, incident_id: str) -> Sequence[Json]:
        return [self.related, {**INCIDENT, "shared": ["10.0.0.5"], "via": "77aa"}]

    def ailments(self) -> Sequence[Json]:
        return self.unwell

    def narrowed(self, tenants: frozenset[str] | None) -> Shelf:
        return self

    def list_incidents(self, limit: int, tenant: str | None = None, status: str | None = None) -> Sequence[Json]:
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


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("de", (
            "12. Mal; hier üblich 300 bis 900 Anmeldeversuche, diesmal 412", "Diesmal 90 Konten.",
            "T1110.003 Ein Passwort an vielen Konten", "bis zu 12 Rechner oder Konten",
            "1 von 20.000 vergleichbaren Anmeldeversuchen; bei Ihrem Aufkommen durch Zufall etwa alle 2 Tage",
            "zweiter Faktor verlangt wird", "Was man daraus nicht schließen sollte", "Das Netz wird abgesucht", "Höchstens hoch, solange",
        )),
        ("en", (
            "12th time; usual here 300 to 900 login attempts, this time 412", "This time 90 accounts.", "Brute Force: Password Spraying",
            "1 in 20,000 comparable login attempts; at your volume by chance about every 2 days", "up to 12 hosts or accounts",
            "ask for a second factor", "What not to conclude from it", "The network is being scanned", "At most high as long as",
        )),
    ],
)  # fmt: skip
def test_one_incident_tells_series_rarity_technique_next_steps_chain_and_the_rule(language: str, told: tuple[str, ...]) -> None:
    text = client().get(f"/incident/0b8f?lang={language}").text
    assert [sentence for sentence in told if sentence not in text] == []


def test_what_closed_by_time_is_called_expired_and_not_looked_at() -> None:
    old = INCIDENT | {"status": "expired"}
    assert "abgelaufen, nicht angesehen" in client([old]).get("/").text
    assert "expired, not looked at" in client([old]).get("/?lang=en").text


def test_what_is_not_well_with_the_watching_itself_stands_above_the_list() -> None:
    shelf = Shelf([])
    shelf.unwell = [{"severity": "high", "title_de": "fw-1 schweigt", "title_en": "fw-1 is silent", "text_de": "Seit <10> Minuten.",
                     "text_en": "For <10> minutes.", "opened": "2026-11-20T02:14:00+00:00"}]  # fmt: skip
    probes = Probes(lambda: None, lambda: None, lambda: b"")
    text = TestClient(application(shelf, probes), base_url="http://127.0.0.1").get("/").text
    assert "fw-1 schweigt" in text
    assert "Seit &lt;10&gt; Minuten." in text


def test_it_says_why_nobody_was_told() -> None:
    held = INCIDENT | {"notification": "suppressed", "why": "suppressed", "suppression": 7}
    assert "Nicht gemeldet: unterdrückt (Nr. 7)." in client([held]).get("/incident/0b8f").text
    learning = INCIDENT | {"learning": True}
    assert "Learning phase" in client([learning]).get("/?lang=en").text


def test_the_service_model_states_no_probability() -> None:
    text = client([INCIDENT | {"model": "auth-service", "one_in": None}]).get("/incident/0b8f?lang=en").text
    assert "its values are no probabilities" in text


def test_texts_from_logs_are_escaped() -> None:
    text = client().get("/incident/0b8f").text
    assert "<Ziel>" not in text
    assert "&lt;Ziel&gt;" in text


NASTY = "<script>alert(1)</script><img src=x onerror=y>{{7*7}}${7*7}' OR 1=1 --\"\x1b[2J\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}"
OURS = {"id", "via", "severity", "status", "got_in", "family", "model", "notification", "why", "opened", "updated", "episode_opened",
        "first", "last", "time"}  # fmt: skip


def poisoned(value: Any, name: str = "") -> Any:
    """The same document with hostile text in every field that a log could reach, names of evidence fields too."""
    if isinstance(value, dict):
        return {key: poisoned(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [poisoned(one, name) for one in value]
    return NASTY if isinstance(value, str) and name not in OURS else value


@pytest.mark.parametrize("path", ["/", "/incident/0b8f"])
def test_hostile_text_in_every_field_is_neither_markup_nor_template_nor_terminal_sequence(path: str) -> None:
    shelf = Shelf([poisoned(INCIDENT) | {"evidence_rest": {NASTY: 10}}])
    shelf.related = poisoned(RELATED)
    shelf.unwell = [
        poisoned({"severity": "high", "title_de": "", "title_en": "", "text_de": "", "text_en": "", "opened": INCIDENT["opened"]})
    ]
    probes = Probes(lambda: None, lambda: None, lambda: b"")
    text = TestClient(application(shelf, probes), base_url="http://127.0.0.1").get(path).text
    assert text.count("&lt;script&gt;") > 5
    assert "{{7*7}}" in text
    assert [part for part in ("<script", "<img", "$49", "\x1b", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}") if part in text] == []


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
