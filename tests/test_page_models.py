"""The page of models: gates and differences for who may approve, of their own tenants; nothing there signs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient

from detector.learn import promotion
from detector.learn.gates import Gate, Results
from detector.store import Reader, registry
from detector.store.registry import Entry
from detector.web import models
from detector.web.access import Access, Person, digest_of
from detector.web.page import application
from tests.counting import START
from tests.models import candidate, desk, person
from tests.postgres import TestDatabase
from tests.test_page_desk import PROBES

PEOPLE = {
    digest_of("m"): Person("meier", frozenset({"model-approver"})),
    digest_of("a"): Person("anna", frozenset({"analyst"})),
    digest_of("k"): Person("kreis", frozenset({"model-approver"}), frozenset({"kreis"})),
}
REPORT = {
    "counts": {"appears": 1, "vanishes": 0, "moves": 0, "same": 4}, "more": 0,
    "incidents": [{"what": "appears", "family": "discovery", "kind": "service", "entity": "srv-<b>", "champion": None, "candidate": 2}],
    "attacks": [{"attack": "port-scan", "strength": "usual", "champion": "held", "candidate": "found"}],
}  # fmt: skip


@pytest.fixture
def entry(database: TestDatabase, tmp_path: Path) -> Entry:
    people = [person(tmp_path, "kramer"), person(tmp_path, "meier")]
    at = desk(database, people)
    with closing(at.database):
        made = promotion.bring(at, "stadt", candidate(tmp_path, people[0]), START)
        gates = [Gate("volume", False, 1.44, 0.7, 1.3, {"de": "zu viele", "en": "too many"})]
        results = Results(made.model, made.model_id, "shipped", {"de": "drei Tage", "en": "three days"}, gates)
        registry.add_gates(at.database, "stadt", made.model_id, msgspec.json.encode(results), REPORT, START)
    return made


@pytest.fixture
def browser(database: TestDatabase) -> Iterator[dict[str, TestClient]]:
    with closing(Reader(database.url())) as reader:
        site = application(reader, PROBES, access=Access(dict(PEOPLE)), sections=[lambda site: models.pages(site, database.url())])
        made = {token: TestClient(site, base_url="http://127.0.0.1") for token in ("m", "a", "k", "")}
        for token, client in made.items():
            if token != "":
                assert client.post("/login", data={"token": token}, follow_redirects=False).status_code == 303
        yield made


@pytest.mark.parametrize(
    ("lang", "words"), [("de", ("zu viele", "drei Tage", "✗ nein", "zurückgehalten", "neu: 1")), ("en", ("too many", "✗ no"))]
)
def test_gates_differences_and_attacks_stand_there_with_their_numbers_and_the_command_that_signs(
    browser: dict[str, TestClient], entry: Entry, lang: str, words: tuple[str, ...]
) -> None:
    text = browser["m"].get(f"/models/{entry.model_id}?tenant=stadt&lang={lang}").text
    for word in (*words, "1.44", "0.7 … 1.3", f"tuermer models approve {entry.model_id} --tenant stadt --key NAME.key"):
        assert word in text, word
    assert "srv-&lt;b&gt;" in text
    assert "<form" not in text.partition("<h1>")[2]
    assert f'href="/models/{entry.model_id}?tenant=stadt' in browser["m"].get("/models").text


def test_only_who_may_approve_sees_them_and_only_of_their_own_tenants(browser: dict[str, TestClient], entry: Entry) -> None:
    page = f"/models/{entry.model_id}?tenant=stadt"
    assert browser["a"].get(page).status_code == 403
    assert browser["k"].get(page).status_code == 404
    assert entry.model_id not in browser["k"].get("/models").text
    assert browser[""].get(page, follow_redirects=False).status_code == 303
    assert browser["m"].get("/models/gone?tenant=stadt").status_code == 404
