"""A practice town for the notebooks: an embedded database, some simulated days through ROUTE and SCORE, verdicts, and two people's keys.

Everything lies in one folder. Its keys belong to nobody, their passphrases are made here and lie beside them: for practice only.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid5

import msgspec

from detector import records
from detector.assembly import core, router
from detector.config import Config
from detector.configload import load
from detector.features.state import BERLIN
from detector.judge.cases import NAMESPACE
from detector.judge.policy import Policy
from detector.lanes import Tools
from detector.learn import signing
from detector.learn.drifting import DriftWatch
from detector.learn.notebook.session import DAY, PRACTICE, Practice
from detector.pipeline import route_step
from detector.privacy import MemoryKeyring
from detector.privacy.keys import new_privacy
from detector.privacy.people import new_person
from detector.scorer import LocalScorer
from detector.simulate import City
from detector.store import Database, Store, open_database
from detector.store.verdicts import Said, Word, apply

PEOPLE = {"training": "uebung.training", "freigabe": "uebung.freigabe"}  # files and logins
TENANT = "stadt"
WINDOWS = 18  # of ten minutes, a unit
JUDGED = 0.8  # share of the incidents that somebody has judged


@dataclass(slots=True)
class _Clock:
    now: int


def exists(folder: Path) -> bool:
    return (folder / "practice.json").exists()


def make(folder: Path, town: Practice, told: Callable[[int, int], None] = lambda _done, _of: None) -> None:
    """The whole town; practice.json is written last. Raises StoreError where the embedded database cannot run."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    city = town.city()
    _files(folder, city)
    config = load(folder / "tuermer.toml", dict(os.environ))
    opened = open_database(config, dict(os.environ))
    try:
        attacks = _live(config, opened.daemon_url, city, town.days, told)
        with contextlib.closing(Database(opened.daemon_url)) as database:
            _drift(config, database, city.start + town.days * DAY)
            _verdicts(database, attacks, city.start + town.days * DAY)
    finally:
        opened.close()
    (folder / "practice.json").write_bytes(msgspec.json.encode(town))


def _files(folder: Path, city: City) -> None:
    """Keys and configuration, as an administrator would have them."""
    if not (folder / "privacy.key").exists():
        new_privacy(folder / "privacy.key", city.start)
    lines = [_person(folder, file, login) for file, login in PEOPLE.items()]
    holders = "".join(
        f'[[keyholders]]\nname = "{login}"\npublic = "{line}"\ngroups = ["{signing.GROUP}"]\n\n'
        for login, line in zip(PEOPLE.values(), lines, strict=True)
    )
    extra = '[database]\nurl = "embedded"\ndirectory = "postgres"\n\n[privacy]\nkey_file = "privacy.key"\n\n[budget]\nlearning_days = 0\n'
    text = f"{city.config_toml()}\n{extra}\n{holders}"
    tomllib.loads(text)
    (folder / "tuermer.toml").write_text(text, encoding="utf-8")


def _person(folder: Path, file: str, login: str) -> str:
    """The line of the .pub file."""
    key, words = folder / f"{file}.key", folder / f"{file}.passphrase"
    if not key.exists():
        words.touch(0o600)
        words.write_text(secrets.token_urlsafe(18), encoding="utf-8")
        new_person(key, login, words.read_text(encoding="utf-8"))
    return key.with_name(key.name + ".pub").read_text(encoding="utf-8").strip()


def _live(config: Config, url: str, city: City, days: int, told: Callable[[int, int], None]) -> set[tuple[str, int]]:
    """The days through both steps into the database; the places of the attacks' lines in the raw log."""
    steps, clock, attacks = router(config, MemoryKeyring(secrets.token_bytes(32))), _Clock(city.start), set[tuple[str, int]]()
    with contextlib.closing(Store(url, Policy.of(config))) as store:
        scorer = LocalScorer(core(config), Tools(store, lambda: clock.now, lambda _: True), "practice-town")
        units = days * city.windows_per_day // WINDOWS
        for unit in range(units):
            windows = list(city.windows(unit * WINDOWS, (unit + 1) * WINDOWS))
            for window in windows:
                for topic, truth in window.truth.items():
                    attacks |= {(topic, int(offset)) for offset in window.records[topic].offsets[truth > 0]}
            clock.now = windows[-1].end
            scorer.feed(unit, route_step(records.concat([window.merged()[0] for window in windows]), steps).events)
            told(unit + 1, units)
        scorer.close()
    return attacks


def _drift(config: Config, database: Database, now: int) -> None:
    models = core(config).models
    DriftWatch(database, models.tables, lambda _: models.scorers, lambda _: BERLIN)(now)


def _verdicts(database: Database, attacks: set[tuple[str, int]], now: int) -> None:
    """What somebody who knows the truth would have said, of most incidents."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT i.id::text, array_agg(s.topic), array_agg(s.position) FROM store.incidents i "
            "LEFT JOIN store.samples s ON s.incident = i.id GROUP BY i.id, i.opened ORDER BY i.opened, i.id"
        ).fetchall()
        for number, (incident, topics, positions) in enumerate(rows[: round(JUDGED * len(rows))]):
            real = any((topic, position) in attacks for topic, position in zip(topics, positions, strict=True))
            word: Word = "confirmed" if real else "allowed" if number % 4 == 3 else "false-positive"
            source = f"page/{uuid5(NAMESPACE, incident)}"
            apply(connection, Said(source, incident, word, "uebung.analyse", now), now)


@contextlib.contextmanager
def lab(folder: Path, notebooks: Path) -> Iterator[list[str]]:
    """The command that opens JupyterLab there, while the database runs; it is stopped when the caller is done."""
    config = load(folder / "tuermer.toml", dict(os.environ))
    opened = open_database(config, dict(os.environ))
    os.environ[PRACTICE] = str(folder.absolute())
    try:
        yield [sys.executable, "-m", "jupyter", "lab", str(notebooks)]
    finally:
        opened.close()
