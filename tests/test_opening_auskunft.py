"""What a person is told who asks what is held about them; two keys of two groups answer, and no other name is opened."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from detector.config import Privacy
from detector.opening import approval, auskunft, names, recipients, requests
from detector.opening.requests import UnsealError
from detector.privacy.people import Person, holders
from detector.privacy.vault import Fresh, Sealer
from detector.sections import Keyholder
from detector.store import Database
from detector.store.links import LinkTable
from tests.people import person
from tests.postgres import TestDatabase
from tests.test_opening import CONFIG as BASE
from tests.test_opening import EPOCH, HUBER, INCIDENT, MEIER, MINE, NOW, OTHER, SCHMIDT, THEIRS, WHY, incident

CONFIG = replace(BASE, privacy=Privacy(domains=["stadt.example"]))
HOUR = 3_600_000_000
BOTH = (MEIER, SCHMIDT)


@pytest.fixture
def city(database: TestDatabase) -> Iterator[Database]:
    """Müller has a token on three days and is in one incident; another person of the same name works for the county."""
    incident(database, INCIDENT, MINE)
    incident(database, OTHER, THEIRS)
    with closing(Database(database.url())) as made:
        table = LinkTable(made, Sealer(CONFIG.opening.groups, holders(CONFIG)), lambda: NOW, lambda _: True)
        table.write(
            [
                Fresh("city", EPOCH, MINE[0], "müller"), Fresh("city", EPOCH, MINE[1], "10.10.128.7"),
                Fresh("city", EPOCH, MINE[2], "pc-7"),
                Fresh("city", EPOCH - 1, "u-00000000000000a9", "müller"), Fresh("city", EPOCH - 80, "u-00000000000000a8", "müller"),
                Fresh("city", EPOCH, THEIRS[0], "schulz"),
            ]
        )  # fmt: skip
        yield made


def looked_up(city: Database) -> None:
    id_ = str(requests.ask(city, CONFIG, MEIER, str(INCIDENT), "AZ 12/2026", WHY, NOW).id)
    approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    names.unlock(city, CONFIG, MEIER, id_, NOW + HOUR)


def test_all_days_of_a_person_are_found_whatever_way_the_name_is_written(city: Database) -> None:
    for written in ("müller", "STADT\\Müller", "Müller@stadt.example"):
        found = auskunft.about(city, CONFIG, BOTH, "city", written, NOW)
        assert found["tage_mit_kennung"] == 3, written
    assert auskunft.about(city, CONFIG, BOTH, "city", "10.10.128.7", NOW)["tage_mit_kennung"] == 1
    assert auskunft.about(city, CONFIG, BOTH, "city", "mülle", NOW)["gespeichert"] == []


def test_the_answer_says_what_why_and_until_when(city: Database) -> None:
    found = auskunft.about(city, CONFIG, BOTH, "city", "müller", NOW)
    what = {(one["was"], one["tag"]): one for one in found["gespeichert"]}
    link = what["Kennung des Tages mit versiegeltem Namen", "2026-09-20"]
    assert (link["wird_geloescht_ab"], link["zweck"]) == ("2026-12-20", "versiegelter Weg vom Token zum Namen")
    assert ("Auffälligkeit, die von dieser Kennung handelt", "2026-09-21") in what
    assert found["profil"] == "nein"


def test_three_looks_are_three_looks_and_no_analyst_is_named(city: Database) -> None:
    for _ in range(3):
        looked_up(city)
    found = auskunft.about(city, CONFIG, BOTH, "city", "müller", NOW)
    assert [one["vorgang"] for one in found["einsichten"]] == ["AZ 12/2026"] * 3
    assert auskunft.about(city, CONFIG, BOTH, "city", "schulz", NOW)["einsichten"] == []
    for login in ("meier", "schmidt", WHY):
        assert login not in json.dumps(found, ensure_ascii=False)


def test_a_request_that_was_never_unlocked_is_no_look(city: Database) -> None:
    requests.ask(city, CONFIG, MEIER, str(INCIDENT), "AZ 13/2026", WHY, NOW)
    assert auskunft.about(city, CONFIG, BOTH, "city", "müller", NOW)["einsichten"] == []


@pytest.mark.parametrize("pair", [(MEIER, MEIER), (MEIER, HUBER)], ids=["one person", "one group"])
def test_one_person_or_one_group_gets_no_answer(city: Database, pair: tuple[Person, Person]) -> None:
    with pytest.raises(UnsealError, match="two people of two groups answer together"):
        auskunft.about(city, CONFIG, pair, "city", "müller", NOW)


def test_it_is_written_down_without_the_name(database: TestDatabase, city: Database) -> None:
    auskunft.about(city, CONFIG, BOTH, "city", "müller", NOW)
    assert database.rows("SELECT actor, action, details FROM public.audit") == [("meier+schmidt", "auskunft", '{"tokens":3}')]


def test_what_two_keys_cannot_ask_is_counted_and_said(city: Database) -> None:
    new = person("neu")
    config = replace(CONFIG, keyholders=[*CONFIG.keyholders, Keyholder("neu", new.public.line, ["security"])])
    found = auskunft.about(city, config, (new, SCHMIDT), "city", "müller", NOW)
    assert (found["gespeichert"], found["nicht_pruefbare_abschnitte"]) == ([], 3)
    lines = recipients.rotate(city, config, MEIER, "security", "city", NOW)
    assert lines == ["3 slots are sealed to huber, meier, neu of security"]
    assert auskunft.about(city, config, (new, SCHMIDT), "city", "müller", NOW)["tage_mit_kennung"] == 3


def test_after_shredding_the_tenant_nothing_is_found(database: TestDatabase, city: Database) -> None:
    assert recipients.shred(city, "city", "weber", NOW).startswith("6 links of city are gone")
    with pytest.raises(UnsealError, match="there are no links of city"):
        recipients.shred(city, "city", "weber", NOW)
    assert auskunft.about(city, CONFIG, BOTH, "city", "müller", NOW)["gespeichert"] == []
    assert ("links.shred",) in database.rows("SELECT action FROM public.audit")


def test_the_page_to_print_says_it_in_plain_german_and_is_its_owners_alone(city: Database, tmp_path: Path) -> None:
    looked_up(city)
    document = auskunft.about(city, CONFIG, BOTH, "city", "müller", NOW)
    json_file, html = auskunft.written(document, tmp_path / "out")
    text = html.read_text()
    assert "Ihr Name wurde 1-mal geöffnet" in text
    assert "Wird gelöscht ab" in text
    assert "meier" not in text
    assert json.loads(json_file.read_text()) == document
    assert stat.S_IMODE(html.stat().st_mode) == 0o600


def test_a_name_with_markup_stays_text(city: Database) -> None:
    assert "<script>" not in auskunft.page(auskunft.about(city, CONFIG, BOTH, "city", "<script>alert(1)</script>", NOW))
