"""What people do on the page: logins, forms from our own page only, verdicts and windows that act. With the real database."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from detector.config import Config
from detector.desksections import Page as PageSection
from detector.desksections import Person as Configured
from detector.store import Reader
from detector.store.book import Book
from detector.web.access import Access, Person, digest_of, local
from detector.web.page import Probes, Section, Site, application, check_listen
from detector.web.serving import page_of
from tests.postgres import TestDatabase
from tests.test_deliver import certificate
from tests.test_store_notify import feeding, opening
from tests.test_store_verdicts import LIVE, NOW, found

__all__ = ["certificate"]  # a fixture
PROBES = Probes(lambda: None, lambda: None, lambda: b"tuermer_records_read_total 0\n")
PEOPLE = {
    digest_of("anna"): Person("Anna Muster", frozenset({"analyst"})),
    digest_of("rolf"): Person("Rolf Leser"),
    digest_of("kreis"): Person("Karla Kreis", frozenset({"analyst"}), frozenset({"kreis"})),
}
ONE, OTHER = found(), found(2, entity_value="198.51.100.2")


class Desk:
    """A browser in front of the page."""

    def __init__(self, database: TestDatabase, reader: Reader, book: Book) -> None:
        self.rows = database.rows
        self.access = Access(dict(PEOPLE))
        self.application = application(reader, PROBES, access=self.access, book=book)
        self.browser = TestClient(self.application, base_url="http://127.0.0.1")

    def login(self, token: str = "anna") -> TestClient:
        assert self.browser.post("/login", data={"token": token}, follow_redirects=False).status_code == 303
        return self.browser

    def fields(self, path: str) -> dict[str, str]:
        """The hidden fields of the first form of a page that is not the logout."""
        forms = re.findall(r'<form method="post" action="([^"]+)".*?</form>', self.browser.get(path).text, re.DOTALL)
        assert forms != []
        inside = re.search(r'<form method="post" action="/(?:incident|windows).*?</form>', self.browser.get(path).text, re.DOTALL)
        assert inside is not None
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', inside[0]))

    def status(self, id_: str = ONE.id) -> object:
        return self.rows("SELECT status FROM public.incidents WHERE id = %s", id_)[0][0]


@pytest.fixture
def desk(database: TestDatabase) -> Iterator[Desk]:
    with (
        feeding(database, LIVE) as feed,
        contextlib.closing(Reader(database.url())) as reader,
        contextlib.closing(Book(database.url())) as book,
    ):
        feed(opening(ONE, OTHER), NOW)
        yield Desk(database, reader, book)


def test_nothing_is_shown_without_a_login_where_people_are_configured(desk: Desk) -> None:
    for path in ("/", f"/incident/{ONE.id}", "/handover", "/windows", f"/incident/{ONE.id}/alike"):
        answer = desk.browser.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login"), path
    assert desk.browser.get("/healthz").text == "ok\n"


def test_a_wrong_token_says_so_and_sets_no_cookie(desk: Desk) -> None:
    answer = desk.browser.post("/login", data={"token": "somebody\N{SNOWMAN}"})
    assert answer.status_code == 403
    assert "gehört niemandem" in answer.text
    assert "set-cookie" not in answer.headers


def test_the_cookie_is_for_this_page_only_and_a_changed_one_is_nobody(desk: Desk) -> None:
    answer = desk.browser.post("/login", data={"token": "anna"}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "path=/"))
    name, _, value = answer.headers["set-cookie"].split(";")[0].partition("=")
    desk.browser.cookies.clear()
    for forged in (value[:-1] + ("0" if value[-1] != "0" else "1"), value.replace(".", "x."), "", "a.b", "."):
        assert desk.browser.get("/", headers={"cookie": f"{name}={forged}"}, follow_redirects=False).status_code == 303, forged
    assert desk.browser.get("/", headers={"cookie": f"{name}={value}"}, follow_redirects=False).status_code == 200


def test_a_session_ends_after_its_hours_with_the_logout_and_with_the_person(desk: Desk) -> None:
    now = 1_000_000.0
    desk.access.clock = lambda: now
    browser = desk.login()
    assert "Anna Muster" in browser.get("/").text
    now += 8 * 3600
    assert browser.get("/", follow_redirects=False).status_code == 303
    browser = desk.login()
    stolen = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    browser.post("/logout", data=desk.fields(f"/incident/{ONE.id}"))
    assert browser.get("/", headers={"cookie": stolen}, follow_redirects=False).status_code == 303
    desk.login()
    del desk.access.people[digest_of("anna")]
    assert browser.get("/", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("word", ["confirmed", "false-positive", "allowed", "in-work", "closed", "retracted"])
def test_every_verdict_of_grafana_can_be_given_here_and_shows_at_once(desk: Desk, word: str) -> None:
    browser = desk.login()
    answer = browser.post(f"/incident/{ONE.id}/verdict", data={**desk.fields(f"/incident/{ONE.id}"), "word": word})
    assert "Das Urteil ist gespeichert." in answer.text
    assert "Anna Muster" in answer.text
    assert desk.rows("SELECT word, author, via FROM public.verdicts") == [(word, "Anna Muster", "page")]


def test_a_form_that_is_sent_twice_counts_once(desk: Desk) -> None:
    browser = desk.login()
    fields = desk.fields(f"/incident/{ONE.id}") | {"word": "false-positive"}
    for _ in range(2):
        assert browser.post(f"/incident/{ONE.id}/verdict", data=fields).status_code == 200
    assert desk.rows("SELECT count(*)::int FROM store.verdicts") == [(1,)]


@pytest.mark.parametrize(
    ("changed", "headers"),
    [
        ({"csrf": ""}, {}),
        ({"csrf": "0" * 64}, {}),
        ({"csrf": "\N{SNOWMAN}"}, {}),
        ({"once": ""}, {}),
        ({"word": "delete-everything"}, {}),
        ({"scope": "everything"}, {}),
        ({"text": "x" * 100_000}, {}),
        ({}, {"origin": "https://evil.example"}),
        ({}, {"origin": "null"}),
        ({}, {"sec-fetch-site": "cross-site"}),
        ({}, {"content-type": "text/plain"}),
    ],
)
def test_a_forged_form_changes_nothing(desk: Desk, changed: dict[str, str], headers: dict[str, str]) -> None:
    browser = desk.login()
    fields = desk.fields(f"/incident/{ONE.id}") | {"word": "false-positive", "scope": "one"} | changed
    assert browser.post(f"/incident/{ONE.id}/verdict", data=fields, headers=headers).status_code == 403
    assert desk.status() == "open"


def test_a_proxy_may_speak_tls_for_the_page(desk: Desk) -> None:
    browser = desk.login()
    fields = desk.fields(f"/incident/{ONE.id}") | {"word": "closed"}
    assert browser.post(f"/incident/{ONE.id}/verdict", data=fields, headers={"origin": "https://127.0.0.1"}).status_code == 200
    assert desk.status() == "closed"


def test_no_verdict_by_get_and_none_by_who_may_only_read(desk: Desk) -> None:
    browser = desk.login()
    assert browser.get(f"/incident/{ONE.id}/verdict?word=false-positive").status_code == 405
    fields = desk.fields(f"/incident/{ONE.id}") | {"word": "false-positive"}
    other = desk.login("rolf")
    assert "Fehlalarm" not in other.get(f"/incident/{ONE.id}").text
    assert other.post(f"/incident/{ONE.id}/verdict", data=fields).status_code == 403
    assert desk.status() == "open"


def test_a_person_of_one_tenant_neither_sees_nor_judges_another_tenants_incidents(desk: Desk) -> None:
    desk.rows("INSERT INTO store.tenants (tenant) VALUES ('kreis')")
    browser = desk.login("kreis")
    assert "Noch keine Auffälligkeit." in browser.get("/").text
    fields = desk.fields("/windows")
    assert browser.get(f"/incident/{ONE.id}").status_code == 404
    assert browser.get(f"/incident/{ONE.id}/alike").status_code == 404
    assert browser.post(f"/incident/{ONE.id}/verdict", data=fields | {"word": "allowed", "scope": "alike"}).status_code == 404
    browser.post(f"/incident/{ONE.id}/note", data=desk.fields("/windows") | {"kind": "note", "text": "hello"})
    window = {"name": "x", "tenant": "stadt", "begins": "2026-11-21T22:00", "ends": "2026-11-21T23:00"}
    assert browser.post("/windows", data=desk.fields("/windows") | window).status_code == 400
    assert browser.post("/windows", data=desk.fields("/windows") | window | {"tenant": ""}).status_code == 400
    assert desk.rows("SELECT count(*)::int FROM store.verdicts UNION ALL SELECT count(*)::int FROM store.notes") == [(0,), (0,)]
    assert desk.rows("SELECT count(*)::int FROM store.maintenance") == [(0,)]


def test_before_all_of_a_kind_are_judged_the_page_says_how_many_that_takes(desk: Desk) -> None:
    browser = desk.login()
    text = browser.get(f"/incident/{ONE.id}/alike").text
    assert "gilt für 2 offene zugleich" in text
    assert "hätte von denen der letzten 30 Tage 2 zurückgehalten" in text
    browser.post(f"/incident/{ONE.id}/verdict", data=desk.fields(f"/incident/{ONE.id}/alike") | {"word": "false-positive"})
    assert (desk.status(), desk.status(OTHER.id)) == ("closed", "closed")


def test_note_ticket_and_owner_show_at_the_incident(desk: Desk) -> None:
    browser = desk.login()
    for kind, text in (("note", "<i>Herr</i> ruft zurück"), ("ticket", "INC-4711"), ("owner", "Nachtschicht")):
        browser.post(f"/incident/{ONE.id}/note", data=desk.fields(f"/incident/{ONE.id}") | {"kind": kind, "text": text})
    text = browser.get(f"/incident/{ONE.id}").text
    assert "&lt;i&gt;Herr&lt;/i&gt; ruft zurück" in text
    assert "INC-4711" in text
    assert "Nachtschicht" in text


def test_a_window_counts_at_once_also_for_what_is_past_and_can_be_withdrawn(desk: Desk) -> None:
    browser = desk.login()
    entry = {
        "name": "Patchnacht <b>",
        "tenant": "stadt",
        "begins": "2026-01-01T00:00",
        "ends": "2026-01-02T00:00",
        "entity": "198.51.100.*",
    }
    around = [datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(hours=hours) for hours in (-5, 5)]
    begins, ends = (f"{moment:%Y-%m-%dT%H:%M}" for moment in around)
    answer = browser.post("/windows", data=desk.fields("/windows") | entry | {"begins": begins, "ends": ends})
    assert "Patchnacht &lt;b&gt;" in answer.text
    assert "Wartungsfenster: Patchnacht &lt;b&gt;" in browser.get(f"/incident/{ONE.id}").text
    assert desk.rows("SELECT author FROM public.maintenance") == [("Anna Muster",)]
    number = desk.rows("SELECT id FROM store.maintenance")[0][0]
    browser.post(f"/windows/{number}/withdraw", data=desk.fields("/windows"))
    assert "Patchnacht" not in browser.get(f"/incident/{ONE.id}").text
    assert desk.rows("SELECT withdrawn_by FROM store.maintenance") == [("Anna Muster",)]


@pytest.mark.parametrize(
    "wrong",
    [{"ends": "2026-11-21T21:00"}, {"ends": "2027-11-21T23:00"}, {"begins": "morgen"}, {"begins": "2026-13-01T00:00"}, {"name": " "}],
)
def test_a_window_that_cannot_be_is_refused_with_a_sentence_and_what_was_entered_stays(desk: Desk, wrong: dict[str, str]) -> None:
    browser = desk.login()
    entry = {"name": "Rechenzentrum", "tenant": "stadt", "begins": "2026-11-21T22:00", "ends": "2026-11-21T23:00", "site": "keller"}
    answer = browser.post("/windows", data=desk.fields("/windows") | entry | wrong)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert 'value="keller"' in answer.text


def test_the_handover_tells_new_ones_work_windows_and_what_ends_soon(desk: Desk) -> None:
    browser = desk.login()
    browser.post(f"/incident/{ONE.id}/verdict", data=desk.fields(f"/incident/{ONE.id}") | {"word": "in-work"})
    browser.post(f"/incident/{OTHER.id}/verdict", data=desk.fields(f"/incident/{OTHER.id}") | {"word": "closed"})
    desk.rows(
        """
        INSERT INTO store.suppressions
            (key, tenant, field, value, technique, signature, author, reason, created, expires, ends_with_epoch)
        VALUES ('x', 'stadt', 'service', 'ssh-1', '', '{}', 'Anna', 'Scanner', now(), now() + interval '1 day', false);
        INSERT INTO store.maintenance (tenant, site, entity, name, begins, ends, added)
        VALUES ('stadt', '', '', 'Patchnacht', now() + interval '1 day', now() + interval '2 days', now());
        INSERT INTO store.ailments (kind, tenant, subject, severity, title, text, opened, updated) VALUES
            ('silent', 'stadt', 'fw-1', 'high', '{"de": "fw-1 schweigt", "en": "fw-1 is silent"}', '{"de": "", "en": ""}', now(), now())
        """
    )
    text = browser.get("/handover?hours=12").text
    for told in (
        "Neu (1)",
        "In Arbeit oder bestätigt (1)",
        "in Arbeit: Anna Muster",
        "Geschlossen (1)",
        "binnen zwei Tagen enden (1)",
        "Patchnacht",
        "fw-1 schweigt",
    ):
        assert told in text, told


def test_what_a_log_smuggles_in_is_neither_obeyed_by_the_browser_nor_by_a_terminal(desk: Desk) -> None:
    nasty = "<script>alert(1)</script>{{7*7}}' OR 1=1 --\x1b[31m\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}"
    desk.rows(
        "UPDATE store.incidents SET title = jsonb_build_object('de', %s::text, 'en', %s::text), entity_value = %s", nasty, nasty, nasty
    )
    browser = desk.login()
    browser.post(f"/incident/{ONE.id}/note", data=desk.fields(f"/incident/{ONE.id}") | {"kind": "note", "text": nasty})
    for path in ("/", f"/incident/{ONE.id}", "/handover"):
        text = browser.get(path).text
        assert "&lt;script&gt;" in text
        assert "{{7*7}}" in text
        assert [c for c in ("<script", "49&#39;", "\x1b", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}") if c in text] == []


def test_without_people_the_page_is_for_reading_without_a_login(database: TestDatabase, desk: Desk) -> None:
    with contextlib.closing(Reader(database.url())) as reader, contextlib.closing(Book(database.url())) as book:
        browser = TestClient(application(reader, PROBES, book=book), base_url="http://127.0.0.1")
        text = browser.get(f"/incident/{ONE.id}").text
        assert "Nur Lesen" in text
        assert "/verdict" not in text
        assert browser.post(f"/incident/{ONE.id}/verdict", data={"word": "allowed"}).status_code == 403
        assert browser.get("/handover").status_code == 200


def test_other_rooms_add_pages_for_their_group(desk: Desk) -> None:
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from detector.web.access import guarded

    def section(site: Site) -> Section:
        async def hello(request: object) -> PlainTextResponse:
            return PlainTextResponse("hello")

        return Section([Route("/models", guarded(hello, "models"))], ("/models", {"de": "Modelle", "en": "Models"}), "models")

    people = {digest_of("m"): Person("M", frozenset({"models"})), digest_of("a"): Person("A", frozenset({"analyst"}))}
    with contextlib.closing(Reader("")) as nowhere:
        site = application(nowhere, PROBES, access=Access(people), sections=[section])
    for token, status in (("m", 200), ("a", 403)):
        browser = TestClient(site, base_url="http://127.0.0.1")
        browser.post("/login", data={"token": token, "next": "/models"}, follow_redirects=False)
        assert browser.get("/models").status_code == status


@pytest.mark.parametrize("there", ["https://evil.example/", "//evil.example", "/\\evil.example", "", "javascript:alert(1)", "/a\nb"])
def test_a_login_leads_nowhere_else(there: str) -> None:
    assert local(there) == "/"


def test_with_tls_the_page_may_be_reached_from_other_machines_and_metrics_ask_for_a_token(desk: Desk) -> None:
    assert check_listen("0.0.0.0:443", guarded_by_tls=True) == ("0.0.0.0", 443)
    desk.access.secure = True
    browser = TestClient(desk.application, base_url="https://127.0.0.1")
    assert browser.get("/metrics").status_code == 401
    assert browser.get("/metrics", headers={"authorization": "Bearer rolf"}).status_code == 200
    cookie = browser.post("/login", data={"token": "anna"}, follow_redirects=False).headers["set-cookie"]
    assert cookie.startswith("__Host-tuermer=")
    assert "secure" in cookie.lower()
    assert "max-age" in browser.get("/").headers["strict-transport-security"]


def test_with_a_certificate_the_page_speaks_tls_only(certificate: tuple[str, str], database: TestDatabase) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Config(
        people=[Configured(name="Anna", token_sha256=digest_of("anna"))],
        page=PageSection(listen=f"127.0.0.1:{port}", cert_file=certificate[0], key_file=certificate[1]),
    )
    trusting = ssl.create_default_context(cafile=certificate[0])
    with contextlib.closing(Reader(database.url())) as reader, contextlib.closing(Book(database.url())) as book:
        page = page_of(settings, reader, book, PROBES)
        page.start()
        try:
            assert page.url == f"https://127.0.0.1:{port}/"
            with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=5)) as browser:
                browser.request("GET", "/")
                answer = browser.getresponse()
                assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2F")
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as plain:
                plain.request("GET", "/")
                with pytest.raises((http.client.HTTPException, OSError)):
                    plain.getresponse()
        finally:
            page.stop()
