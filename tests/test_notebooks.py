"""The notebooks, executed from a clean state on an embedded database with a small simulated town; what they print is checked."""

from __future__ import annotations

import base64
import json
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psycopg
import pytest
from nbclient import NotebookClient

from detector import practice
from detector.learn.notebook.session import PRACTICE, Practice
from detector.store import registry
from detector.store.database import Database
from detector.store.embedded import Embedded
from tests.postgres import open_folder

ROOT = Path(__file__).parent.parent
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TOWN = Practice(11, 30, 4, "2026-11-02T00:00:00+00:00", practice.TENANT, only="authentication")
MODEL = "auth-service"  # of a town so small the one with enough rows
HEADING = re.compile(r"^#+ .+\n\*[A-Z].+\.\*$|^#+ .+\n\*[A-Z].+\?\*$", re.MULTILINE)

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Read:
    """One executed notebook: what each code cell gave, by the cell's text."""

    texts: Mapping[str, str]
    pictures: Mapping[str, bytes]
    whole: str


@dataclass(frozen=True)
class Made:
    """A practice town whose database runs."""

    folder: Path
    server: Embedded


@pytest.fixture(scope="module")
def town() -> Iterator[Made]:
    with open_folder() as made:
        practice.make(made / "town", TOWN)
        server = Embedded(made / "town" / "postgres")
        server.start()
        yield Made(made / "town", server)
        server.kill()


@pytest.fixture(scope="module")
def books(town: Made) -> dict[str, Read]:
    """All three, one after the other, each in a kernel of its own."""
    return {path.stem: executed(path, town.folder) for path in BOOKS}


def executed(path: Path, folder: Path) -> Read:
    book = nbformat.read(path, 4)  # type: ignore[no-untyped-call] # nbformat has no types
    for cell in book.cells:
        if cell.source.startswith("model ="):
            cell.source = f'model = "{MODEL}"'
        cell.source = cell.source.replace("days=14", "days=2")
    client = NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    client.execute(env=os.environ | {PRACTICE: str(folder), "PYTHONPATH": str(ROOT)})
    texts, pictures = {}, {}
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            data: dict[str, Any] = output.get("data", {})
            texts[cell.source] = str(data.get("text/plain", output.get("text", "")))
            if "image/png" in data:
                pictures[cell.source] = base64.b64decode(data["image/png"])
    return Read(texts, pictures, nbformat.writes(book))  # type: ignore[no-untyped-call] # as above


def test_every_figure_is_drawn_and_every_table_has_rows(books: dict[str, Read]) -> None:
    assert {name: len(book.pictures) for name, book in books.items()} == {"01-look": 5, "02-retrain": 2, "03-review": 2}
    for book in books.values():
        for picture in book.pictures.values():
            width, height = struct.unpack(">II", picture[16:24])
            assert (picture[:4], width) == (b"\x89PNG", 900)
            assert height >= 300
            assert len(picture) > 5_000, "an empty figure is smaller"
    for call in ("look.volumes(s)", "look.incidents(s)", "look.drift(s, model)", "look.features(s, model)"):
        assert "shape: (0," not in books["01-look"].texts[call], call
    assert "shape: (0," not in books["03-review"].texts["review.precision(s)"]


def test_the_numbers_are_those_of_the_database(books: dict[str, Read], town: Made) -> None:
    with psycopg.connect(town.server.url("postgres")) as connection:
        seen = connection.execute("SELECT sum(seen) FROM public.training WHERE tenant = 'stadt' AND model = %s", (MODEL,)).fetchone()
        confirmed = connection.execute("SELECT count(*) FROM store.incidents WHERE tenant = 'stadt' AND verdict = 'confirmed'").fetchone()
        candidates = connection.execute("SELECT model, trainer FROM public.models").fetchall()
    assert seen is not None
    assert confirmed is not None
    assert sum(int(n) for n in re.findall(rf"│ {MODEL} +┆ [0-9-]+ ┆ (\d+)", books["01-look"].texts["look.volumes(s)"])) == seen[0]
    assert confirmed[0] > 0
    assert candidates == [(MODEL, practice.PEOPLE["training"])]


def test_retraining_shows_each_gate_with_its_number_each_attack_with_its_fate_and_hands_the_candidate_over(books: dict[str, Read]) -> None:
    texts = books["02-retrain"].texts
    for gate in ("attacks", "false-positives", "volume", "drift", "window", "signature"):
        assert re.search(rf"│ {gate} +┆ (ja|NEIN)", texts["retrain.hand_over(s, compared)"]), gate
    assert re.search(r"│ signature +┆ NEIN", texts["retrain.gates_of(s, compared)"])
    assert re.search(r"│ signature +┆ ja", texts["retrain.hand_over(s, compared)"])
    assert len(re.findall(r"┆ usual +┆ (found|held|recorded|near|unseen)", texts["retrain.attacks(compared)"])) >= 5
    assert "tuermer models approve auth-service-" in texts["print(retrain.next_steps(s, made))"]


def test_no_name_address_of_a_client_or_secret_is_in_any_output(books: dict[str, Read], town: Made) -> None:
    city = TOWN.city()
    people = {line.split(",")[0] for line in city.roles_csv().splitlines() if "." in line.split(",")[0]}
    assert len(people) >= 25
    secrets = {path.read_text().strip() for path in town.folder.glob("*.passphrase")} | set(
        json.loads((town.folder / "postgres/passwords.json").read_text()).values()
    )
    assert len(secrets) >= 6
    for book in books.values():
        assert [name for name in people if name in book.whole] == []
        assert [secret for secret in secrets if secret in book.whole] == []
        assert re.findall(r"\b10\.(?!0\.0\.)\d+\.(?:48|64|128|192)\.\d+\b", book.whole) == []


def test_the_trainers_role_hands_over_but_sees_no_links_and_promotes_nothing(books: dict[str, Read], town: Made) -> None:
    url = town.server.url("tuermer_trainer")
    refused = [
        "SELECT * FROM store.links", "SELECT * FROM store.link_keys", "SELECT * FROM public.incidents", "SELECT * FROM store.incidents",
        "SELECT * FROM store.audit", "UPDATE store.registry SET state = 'champion'", "DELETE FROM store.artefacts",
        "INSERT INTO store.registry (tenant, model_id, model, state, since) VALUES ('stadt', 'x', 'x', 'champion', now())",
        "INSERT INTO store.inputs (shard, kind, payload, created) VALUES ('stadt/rathaus', 'model', '{}', now())",
        "INSERT INTO store.model_approvals (tenant, model_id, approver, statement, signature, given) VALUES ('stadt','x','x','','',now())",
    ]  # fmt: skip
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    database = Database(url)
    (entry,) = registry.listed(database)
    database.close()
    assert entry.state == "candidate"


@pytest.mark.parametrize("path", BOOKS, ids=lambda p: p.stem)
def test_a_notebook_holds_german_text_with_an_english_line_only_calls_and_no_output(path: Path) -> None:
    book = nbformat.read(path, 4)  # type: ignore[no-untyped-call] # nbformat has no types
    nbformat.validate(book)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            assert cell.source.count("\n#") + cell.source.startswith("#") == len(HEADING.findall(cell.source)), cell.source
            continue
        assert (cell.outputs, cell.execution_count) == ([], None)
        for line in cell.source.splitlines():
            call = re.fullmatch(r'(\w+ = )?(print\()?(look|retrain|review)\.\w+\(.*\)\)?|s = open_session\(\)|s|model = "[\w-]+"', line)
            assert line == "" or line.startswith("from detector.") or call is not None, line
