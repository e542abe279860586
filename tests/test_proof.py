"""The proof for the works council: the report says what the database says, and the search finds a name wherever it lies."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from detector import proof
from detector.cli import app
from detector.privacy import keyfiles
from detector.proof import ProofError
from detector.proofreport import COMPARED, Document
from detector.prooftext import written
from detector.store import tenancy
from tests.postgres import TestDatabase

NOW = 1_780_315_200_000_000
HOUR = 3_600_000_000
NAME = "moerkelbach"


@pytest.fixture
def folder(database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration beside a database; the owner's login is the administrator's."""
    keyfiles.new_key("signing", tmp_path / "audit.key")
    server = database.server
    (tmp_path / "tuermer.toml").write_text(
        '[[topics]]\nname = "auth"\ntenant = "stadt"\n[audit]\nkey_file = "audit.key"\n[privacy]\npack = "neutral"\n[database]\n'
        f'url = "postgresql://tuermer_daemon@127.0.0.1:{server.port}/{database.name}"\npassword_env = "DAEMON"\n'
        f'owner_url = "postgresql://postgres@127.0.0.1:{server.port}/{database.name}"\nowner_password_env = "OWNER"\n'
    )
    for name, role in (("DAEMON", "tuermer_daemon"), ("OWNER", "postgres")):
        monkeypatch.setenv(name, server.passwords()[role])
    return tmp_path


def report(folder: Path, now: int = NOW, *, sign: bool = False) -> tuple[Document, list[Document]]:
    return proof.report(folder / "tuermer.toml", dict(os.environ), now, sign=sign)


def test_the_report_says_who_can_read_what_as_the_database_grants_it(folder: Path, database: TestDatabase) -> None:
    database.rows("CREATE ROLE curious LOGIN")
    try:
        assert "curious" not in report(folder)[0]["readers"]
        database.rows("GRANT USAGE ON SCHEMA store TO curious; GRANT SELECT (token) ON store.links TO curious")
        assert report(folder)[0]["readers"]["curious"] == {"login": True, "sees": "all tenants", "reads": ["store.links"]}
    finally:
        database.rows("DROP OWNED BY curious; DROP ROLE curious")


def test_every_table_stands_in_the_report_with_purpose_and_period(folder: Path, database: TestDatabase) -> None:
    stores = {store["where"]: store for store in report(folder)[0]["stores"]}
    assert stores["database store.evidence"]["days"] == {"": 30}
    assert all(store["purpose"]["de"] != "nicht erklärt" for store in stores.values())
    database.rows("CREATE TABLE store.secret_list (name text)")
    stores = {store["where"]: store for store in report(folder)[0]["stores"]}
    assert stores["database store.secret_list"]["purpose"]["de"] == "nicht erklärt"
    assert stores["database store.secret_list"]["columns"] == ["name"]


def test_it_says_what_changed_since_the_last_signed_one(folder: Path, database: TestDatabase) -> None:
    assert report(folder, sign=True)[1] == []
    assert report(folder, NOW + HOUR)[1] == []
    database.rows("ALTER TABLE store.incidents ADD COLUMN full_name text; GRANT SELECT ON public.incidents TO tuermer_auditor")
    config = (folder / "tuermer.toml").read_text()
    (folder / "tuermer.toml").write_text(config + "[retention]\nevidence = 60\n")
    told = {change["what"]: (change["before"], change["after"]) for change in report(folder, NOW + 2 * HOUR)[1]}
    assert told["stores database store.incidents columns full_name"] == (None, "yes")
    assert told["readers tuermer_auditor reads public.incidents"] == (None, "yes")
    assert told["stores database store.evidence days"] == ("30", "60")


def test_a_last_report_that_was_altered_is_named(folder: Path, database: TestDatabase) -> None:
    report(folder, sign=True)
    database.rows("UPDATE store.privacy_reports SET document = replace(document, 'neutral', 'nobody')")
    assert report(folder, NOW + HOUR)[1][0]["what"] == "signature of the last report"


def test_without_a_key_nothing_is_signed(folder: Path) -> None:
    config = (folder / "tuermer.toml").read_text()
    (folder / "tuermer.toml").write_text(config.replace('key_file = "audit.key"', ""))
    with pytest.raises(ProofError, match="There is nothing to sign with"):
        report(folder, sign=True)


@pytest.mark.parametrize(("language", "words"), [("de", "Ausgeschlossene Auswertungen"), ("en", "Excluded evaluations")])
def test_the_report_is_read_in_both_languages(folder: Path, language: str, words: str) -> None:
    document, changes = report(folder)
    text = written(document, changes, language)
    assert words in text
    assert all(field in text and texts[language] in text for field, texts in document["fields"].items())
    assert set(COMPARED) <= document.keys()


def test_logins_of_tenants_are_named_by_tenant(folder: Path, database: TestDatabase) -> None:
    (login, *_) = tenancy.add(database.url("postgres"), "stadt", NOW)
    try:
        readers = report(folder)[0]["readers"]
        assert readers[f"grafana stadt ({login.role})"]["sees"] == "tenant stadt"
        assert readers["tuermer_grafana"]["sees"] == "health"
    finally:
        tenancy.remove(database.url("postgres"), "stadt")


def verify(
    folder: Path, needles: Sequence[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *paths: Path
) -> dict[str, int]:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(needles)))
    words = ["privacy", "verify", *map(str, paths), "--config", str(folder / "tuermer.toml"), "--json"]
    try:
        app(words, exit_on_error=False, result_action="return_value")
        code = 0
    except SystemExit as ended:
        code = int(str(ended.code))
    counts = {line["store"]: int(line["hits"]) for line in json.loads(capsys.readouterr().out)}
    assert code == (1 if any(counts.values()) else 0)
    return {store: hits for store, hits in counts.items() if hits > 0}


def test_verify_finds_a_name_in_a_column_that_nobody_told_it_about(
    folder: Path, database: TestDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verify(folder, [NAME, "10.77.3.200"], capsys, monkeypatch) == {}
    database.rows("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.notes (many text[], packed bytea, more jsonb)")
    database.rows("INSERT INTO elsewhere.notes VALUES (%s, NULL, NULL)", [f"x {NAME.upper()} y"])
    assert verify(folder, [NAME], capsys, monkeypatch) == {"database elsewhere.notes": 1}
    database.rows(
        "UPDATE elsewhere.notes SET many = NULL, packed = %s", zlib.compress(" ".join(f"{i} {NAME} {i * i}" for i in range(300)).encode())
    )
    assert verify(folder, [NAME], capsys, monkeypatch) == {"database elsewhere.notes.packed": 1}
    database.rows('UPDATE elsewhere.notes SET packed = NULL, more = \'{"ip": "10.77.3.200"}\'')
    assert verify(folder, ["10.77.3.200"], capsys, monkeypatch) == {"database elsewhere.notes": 1}


def test_verify_finds_a_name_in_logs_and_exports_and_in_the_state_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "logs").mkdir()
    (folder / "logs" / "tuermer.log").write_text(f"user={NAME}\n")
    (folder / "var").mkdir()
    (folder / "var" / f"{NAME}.txt").write_text("")
    found = verify(folder, [NAME], capsys, monkeypatch, folder / "logs")
    assert found == {"state": 1, str(folder / "logs"): 1}


@pytest.mark.parametrize("needles", [[], ["abc"]])
def test_verify_wants_something_to_look_for(folder: Path, needles: list[str]) -> None:
    with pytest.raises(ProofError, match="at least four characters"):
        proof.verify(folder / "tuermer.toml", (), needles, {})
