"""The page with requests for names: who sees what, and that names are shown to one person, for one code, and to nobody else."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from detector.opening import approval, names, requests
from detector.opening.book import OpeningBook
from detector.privacy.vault import Fresh, Sealer
from detector.store import Database, Reader
from detector.store.links import LinkTable
from detector.web import openings
from detector.web.access import Access, Person, digest_of
from detector.web.page import application
from tests.people import PROTECTION, SECURITY, holder
from tests.postgres import TestDatabase
from tests.test_opening import CONFIG, INCIDENT, MEIER, MINE, SCHMIDT, WHY, incident
from tests.test_page_desk import PROBES

PEOPLE = {
    digest_of("m"): Person("meier", frozenset({"analyst", "approver"})),
    digest_of("s"): Person("schmidt", frozenset({"approver"})),
    digest_of("a"): Person("anna", frozenset({"analyst"})),
    digest_of("k"): Person("kreis", frozenset({"approver"}), frozenset({"county"})),
}
LONG = "<b>" + "x" * 10_240


class Desk:
    """Browsers in front of the page, and one approved request that meier has unlocked."""

    def __init__(self, database: TestDatabase, own: Database, reader: Reader, book: OpeningBook) -> None:
        self.rows = database.rows
        now = time.time_ns() // 1000
        self.id = str(requests.ask(own, CONFIG, MEIER, str(INCIDENT), "AZ 12/2026", WHY, now).id)
        approval.approve(own, CONFIG, SCHMIDT, self.id, now)
        _, self.code = names.unlock(own, CONFIG, MEIER, self.id, now)
        self.application = application(
            reader, PROBES, access=Access(dict(PEOPLE)), sections=[lambda site: openings.pages(site, book)]
        )  # fmt: skip

    def browser(self, token: str) -> TestClient:
        made = TestClient(self.application, base_url="http://127.0.0.1")
        assert made.post("/login", data={"token": token}, follow_redirects=False).status_code == 303
        return made

    def show(self, browser: TestClient, code: str) -> tuple[int, str]:
        page = browser.get(f"/openings/{self.id}").text
        form = re.search(r'<form method="post" action="/openings/.*?</form>', page, re.DOTALL)
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page if form is None else form[0]))
        answer = browser.post(f"/openings/{self.id}", data={**fields, "code": code})
        return answer.status_code, answer.text


@pytest.fixture
def desk(database: TestDatabase) -> Iterator[Desk]:
    incident(database, INCIDENT, MINE)
    now = time.time_ns() // 1000
    values = {MINE[0]: "mueller", MINE[1]: "10.10.128.7", MINE[2]: LONG}
    database.rows("UPDATE store.incidents SET opened = now(), updated = now(); UPDATE store.evidence SET first = now(), last = now()")
    with closing(Database(database.url())) as own, closing(Reader(database.url())) as reader, closing(OpeningBook(database.url())) as book:
        sealer = Sealer((SECURITY, PROTECTION), [holder(MEIER, SECURITY), holder(SCHMIDT, PROTECTION)])
        fresh = [Fresh("city", now // 86_400_000_000, token, value) for token, value in values.items()]
        LinkTable(own, sealer, lambda: now, lambda _: True).write(fresh)
        yield Desk(database, own, reader, book)


def test_the_requester_sees_the_names_with_the_code_beside_what_the_page_and_grafana_show(desk: Desk) -> None:
    status, text = desk.show(desk.browser("m"), desk.code)
    assert status == 200
    assert "<td>mueller</td>" in text
    assert "10.10.128.7" in text
    assert f"<code>{MINE[0]}</code></td><td><code>u-" in text
    assert desk.rows("SELECT actor, action FROM public.audit ORDER BY seq DESC LIMIT 1") == [("meier", "opening.view")]


def test_a_name_of_10_kb_is_shortened_and_never_becomes_part_of_the_page(desk: Desk) -> None:
    _, text = desk.show(desk.browser("m"), desk.code)
    assert "<b>" not in text
    assert "&lt;b&gt;xxx" in text
    assert "… (10,243)" in text


@pytest.mark.parametrize(
    ("who", "code", "sentence"),
    [("s", None, "Diese Namen sieht nur, wer sie angefragt hat."), ("m", "AAAAA", "Der Einsichtscode stimmt nicht.")],
)
def test_nobody_else_and_no_other_code_shows_a_name(desk: Desk, who: str, code: str | None, sentence: str) -> None:
    status, text = desk.show(desk.browser(who), desk.code if code is None else code)
    assert status == 403
    assert sentence in text
    assert "mueller" not in text


def test_the_list_shows_requests_and_states_and_no_name(desk: Desk) -> None:
    text = desk.browser("s").get("/openings").text
    assert "AZ 12/2026" in text
    assert "zugestimmt" in text
    assert "mueller" not in text
    assert "agreed" in desk.browser("s").get("/openings?lang=en").text


def test_who_is_not_of_the_group_or_of_another_tenant_sees_no_request(desk: Desk) -> None:
    assert desk.browser("a").get("/openings").status_code == 403
    assert "AZ 12" not in desk.browser("k").get("/openings").text
    assert desk.browser("k").get(f"/openings/{desk.id}").status_code == 404
    assert desk.browser("s").get("/openings/00000000-0000-0000-0000-000000000000").status_code == 404


def test_without_a_form_of_our_own_page_nothing_is_shown(desk: Desk) -> None:
    answer = desk.browser("m").post(f"/openings/{desk.id}", data={"code": desk.code})
    assert answer.status_code == 403
    assert "mueller" not in answer.text


def test_when_the_time_is_up_the_page_has_nothing_to_show(desk: Desk) -> None:
    browser = desk.browser("m")
    desk.rows("UPDATE store.openings SET expires = now()")
    status, text = desk.show(browser, desk.code)
    assert status == 403
    assert "schon gelöscht" in text
