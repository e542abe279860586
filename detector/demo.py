"""`make run`: a simulated city, watched. The last hours in fast motion, then live; the same steps as with Kafka, in one process.

The simulator is a source whose windows (10 minutes each) can be asked for again, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console

from detector import warm
from detector.assembly import core, router
from detector.configload import load
from detector.judge.policy import Policy
from detector.judge.texts import guidance
from detector.lanes import Stopped, Tools
from detector.pipeline import Router, route_step
from detector.privacy.keys import FileKeyring, new_privacy
from detector.scorer import LocalScorer
from detector.simulate import City
from detector.store import Store
from detector.store.book import Book
from detector.store.database import Database
from detector.store.guide import keep_guidance
from detector.store.opening import Opened, open_database
from detector.store.reading import Reader
from detector.web.access import Access, Person, digest_of, new_token
from detector.web.desk import GROUP
from detector.web.metrics import Metrics
from detector.web.page import Probes, application, check_listen
from detector.web.server import Page
from detector.web.terminal import lines, progress

SEED = 1
PEOPLE = 120
Language = Literal["de", "en"]


class Begun(msgspec.Struct, frozen=True):
    """When this demo's city began; kept in the state folder so that every start continues the same days."""

    start: datetime


@dataclass(slots=True)
class Demo:
    """Everything that `run` needs, opened in the order of the journey."""

    city: City
    keyring: FileKeyring
    router: Router
    opened: Opened
    reader: Reader
    scorer: LocalScorer
    page: Page
    language: Language
    console: Console
    stop: threading.Event
    metrics: Metrics
    token: str  # of the page's login, made anew at every start
    shown: dict[str, str] = field(default_factory=dict)  # incident id -> severity as last printed

    @classmethod
    def open(cls, state: Path, listen: str, language: Language, hours: int) -> Demo:
        """Starts the embedded database and the page; makes key and configuration at the first start."""
        if not warm.MARK.exists():
            subprocess.Popen([sys.executable, "-m", "detector.warm"], stdin=subprocess.DEVNULL)  # ends by itself, within a minute
            sys.stdout.write(_COMPILING[language])
            sys.stdout.flush()
        console = Console(highlight=False, soft_wrap=True)
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        city = City(seed=SEED, people=PEOPLE, start=_begin(state, hours), attacks="show", rehearsal_hours=hours)
        config = load(_configuration(state, city, listen), dict(os.environ))
        with contextlib.ExitStack() as undo:
            opened = open_database(config, dict(os.environ))
            undo.callback(opened.close)
            with contextlib.closing(Database(opened.daemon_url)) as database, database.transaction() as connection:
                keep_guidance(connection, guidance())
            keyring, stop = FileKeyring.of(config), threading.Event()
            metrics = Metrics()
            tools = Tools(
                Store(opened.daemon_url, Policy.of(config)),
                _clock,
                stop.wait,
                watch=lambda changes, applied: metrics.judged(changes, len(applied.notified)),
            )
            reader = Reader(opened.reader_url)
            probes = Probes(lambda: None, lambda: None, metrics.text)
            token, book = new_token(), Book(opened.daemon_url)
            undo.callback(book.close)
            access = Access({digest_of(token): Person("demo", frozenset({GROUP}))}, public=True)
            page = Page(application(reader, probes, language, access=access, book=book), *check_listen(listen))
            scorer = LocalScorer(core(config, opened.daemon_url), tools, "simulated-city")
            undo.pop_all()
        return cls(city, keyring, router(config, keyring), opened, reader, scorer, page, language, console, stop, metrics, token)

    def run(self) -> None:
        """Until Ctrl-C or SIGTERM."""
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: self.stop.set())
        try:
            self.page.start()
            self.console.print(f"{_GREETING[self.language]} {self.page.url}")
            self.console.print(f"{_JUDGING[self.language]} {self.page.url}login?lang={self.language}  {self.token}\n", markup=False)
            with contextlib.suppress(Stopped):
                self._show()
                while not self.stop.is_set():
                    self._window()
                self.scorer.close()
        finally:
            self.page.stop()
            self.opened.close()
        self.console.print(_GOODBYE[self.language])

    def _window(self) -> None:
        """One window of the city, when its time has come: records -> ROUTE -> SCORE -> database -> terminal."""
        unit = self.scorer.position
        window = self.city.window(unit)
        end = datetime.fromtimestamp(window.end / 1e6, UTC)
        while (left := (end - datetime.now(UTC)).total_seconds()) > 0:
            if self.stop.wait(min(left, 1.0)):
                return
        started = time.monotonic()
        records, _ = window.merged()
        routed = route_step(records, self.router)
        self.metrics.routed(routed.counts, {})
        self.scorer.feed(unit, routed.events)
        self.keyring.advance(_clock(), window.end)
        self._show()
        rate = routed.counts.records / max(1e-6, time.monotonic() - started)
        self._progress(rate, end)

    def _show(self) -> None:
        """Prints what is new or more severe than when it was printed last."""
        for incident in reversed(self.reader.list_incidents(limit=50, status="open")):
            if self.shown.get(incident["id"]) != incident["severity"]:
                self.shown[incident["id"]] = incident["severity"]
                self._clear()
                for line in lines(incident, self.language):
                    self.console.print(line, markup=False)

    def _progress(self, rate: float, at: datetime) -> None:
        text = progress(rate, at, datetime.now(UTC), len(self.shown), self.language)
        if self.console.is_terminal:
            sys.stdout.write(f"\r{text}")
            sys.stdout.flush()
        elif self.scorer.position % 12 == 0:
            self.console.print(text, markup=False)

    def _clear(self) -> None:
        if self.console.is_terminal:
            sys.stdout.write("\r\x1b[2K")


_COMPILING = {
    "de": "Beim ersten Start wird übersetzt, das dauert etwa eine Minute.\n",
    "en": "The first start compiles, which takes about a minute.\n",
}
_GREETING = {
    "de": "Türmer beobachtet eine simulierte Stadt. Seite:",
    "en": "Türmer is watching a simulated city. Page:",
}
_JUDGING = {
    "de": "Lesen geht ohne Anmeldung; wer urteilen will, meldet sich mit diesem Zugangswort an (es gilt bis zum Ende dieses Laufs):",
    "en": "Reading needs no login; to give verdicts, log in with this token (it is valid until this run ends):",
}
_GOODBYE = {
    "de": "\nBeendet. Der nächste Start geht hier weiter.",
    "en": "\nStopped. The next start goes on from here.",
}


def _clock() -> int:
    return time.time_ns() // 1000


def _begin(state: Path, hours: int) -> datetime:
    """The city's first moment: full hour, `hours` before the very first start."""
    path = state / "demo.json"
    if not path.exists():
        start = (datetime.now(UTC) - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
        path.write_bytes(msgspec.json.encode(Begun(start)))
    return msgspec.json.decode(path.read_bytes(), type=Begun).start


def _configuration(state: Path, city: City, listen: str) -> Path:
    """The city's configuration as an administrator would write it, beside its key."""
    key = state / "demo-privacy.key"
    if not key.exists():
        new_privacy(key, _clock())
    path = state / "demo.toml"
    extra = f'[database]\nurl = "embedded"\ndirectory = "postgres"\n\n[privacy]\nkey_file = "{key.name}"\n\n[page]\nlisten = "{listen}"\n'
    path.write_text(city.config_toml() + "\n" + extra)
    return path
