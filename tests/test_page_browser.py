"""The page in a real Chromium: axe-core finds nothing, nothing overflows, and the keyboard alone is enough to give a verdict."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from detector.store import Reader
from detector.store.book import Book
from detector.web.access import Access
from detector.web.page import application
from detector.web.server import Page
from tests.postgres import TestDatabase
from tests.test_page_desk import ONE, OTHER, PEOPLE, PROBES
from tests.test_store_notify import feeding, opening
from tests.test_store_verdicts import LIVE, NOW

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATHS = ("/", f"/incident/{ONE.id}", f"/incident/{ONE.id}/alike", "/windows", "/handover", "/nowhere-at-all")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed here: the page is not tried in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def url(database: TestDatabase) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        feeding(database, LIVE) as feed,
        contextlib.closing(Reader(database.url())) as reader,
        contextlib.closing(Book(database.url())) as book,
    ):
        feed(opening(ONE, OTHER), NOW)
        page = Page(application(reader, PROBES, access=Access(dict(PEOPLE)), book=book), "127.0.0.1", port)
        page.start()
        yield page.url
        page.stop()


def at(browser: Any, width: int, scheme: str) -> Any:
    """A page of this width that fails when the browser complains, for example about the Content-Security-Policy."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=True)
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda told: page.complaints.append(told.text) if told.type == "error" and "404" not in told.text else None)
    return page


def login(page: Any, url: str) -> None:
    page.goto(f"{url}login")
    page.fill("#token", "anna")
    page.keyboard.press("Enter")
    page.wait_for_selector("table.list")


@pytest.mark.parametrize(("language", "width", "scheme"), [("de", 1400, "light"), ("en", 390, "dark")])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(browser: Any, url: str, language: str, width: int, scheme: str) -> None:
    page, axe = at(browser, width, scheme), importlib.import_module("axe_playwright_python.sync_playwright").Axe()  # it has no types
    page.goto(f"{url}login?lang={language}")
    found = {"/login": [v["id"] for v in axe.run(page).response["violations"]]}
    login(page, url)
    for path in PATHS:
        page.goto(f"{url.rstrip('/')}{path}?lang={language}")
        found[path] = [v["id"] for v in axe.run(page).response["violations"]]
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
    assert {path: rules for path, rules in found.items() if rules != []} == {}
    assert page.complaints == []
    page.context.close()


def test_the_keyboard_alone_gives_a_verdict(browser: Any, url: str, database: TestDatabase) -> None:
    page = at(browser, 1400, "light")
    login(page, url)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "false-positive"
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=status]")
    assert database.rows("SELECT word, author FROM public.verdicts") == [("false-positive", "Anna Muster")]
    assert page.complaints == []
    page.context.close()


def test_reading_needs_no_script(browser: Any, url: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    login(page, url)
    page.goto(f"{url}incident/{ONE.id}")
    assert "40 Fehlversuche" in page.inner_text("main")
    page.click("button[value=confirmed]")
    assert "Vorfall, bestätigt von Anna Muster" in page.inner_text("main")
    page.context.close()
