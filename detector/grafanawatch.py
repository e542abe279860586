"""The daemon's look at Grafana every ten seconds: verdicts are collected, and a Grafana that is away is noticed.

A thread of SCORE beside the loop. Each organisation is asked on its own; one that does not answer is asked less and less often, up
to once a minute, and since when is written into `health`, where `watch` finds it and tells people once.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from detector.config import Config, ConfigError
from detector.grafanacheck import tenants
from detector.grafanasections import Organisation as Entry
from detector.store import Away, Database, claims

log = structlog.get_logger()
EVERY = 10.0  # s
SLOWEST = 60_000_000  # µs between two tries while it is away
Clock = Callable[[], int]


@dataclass(slots=True)
class Organisation:
    """One tenant's poll and how it goes. `ask` raises ConfigError or adapter.Trouble, both with a sentence, or Away."""

    tenant: str
    ask: Callable[[int], int]
    away: int = 0  # since when, µs; 0: it answers
    again: int = 0  # not before, µs
    said: str = ""


@dataclass(slots=True)
class GrafanaWatch:
    """`stop.wait` is its only clock besides `clock`."""

    database: Database
    organisations: Sequence[Organisation]
    clock: Clock

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY):
            try:
                self.round()
            except Away as away:
                log.warning("verdicts-postponed", reason=str(away))
        self.database.close()

    def round(self) -> int:
        """How many verdicts were applied."""
        applied = sum(self._ask(one, self.clock()) for one in self.organisations if self.clock() >= one.again)
        now = self.clock()
        longest = max((now - one.away for one in self.organisations if one.away > 0), default=0)
        claims.report(self.database, "grafana", "", {"away_seconds": longest / 1e6}, now)
        return applied

    def _ask(self, one: Organisation, now: int) -> int:
        from detector.grafana.adapter import Trouble

        try:
            applied = one.ask(now)
        except (Trouble, ConfigError) as trouble:
            self._trouble(one, str(trouble), now)
            return 0
        if one.away > 0:
            log.info("grafana-answers-again", tenant=one.tenant)
        one.away, one.again, one.said = 0, 0, ""
        return applied

    def _trouble(self, one: Organisation, sentence: str, now: int) -> None:
        if one.said != sentence:  # once, not every ten seconds
            log.warning("grafana-does-not-answer", tenant=one.tenant, reason=sentence)
        one.away = now if one.away == 0 else one.away
        one.again = now + min(SLOWEST, max(int(EVERY * 1e6), (now - one.away) // 2))
        one.said = sentence


@dataclass(slots=True)
class _Asking:
    """Logs in with the run-time token when it is needed, and again after trouble: tokens come later than the daemon, and change."""

    config: Config
    entry: Entry
    database: Database
    environ: Mapping[str, str]
    count: Callable[[str], None]
    poll: Callable[[int], int] | None = None

    def __call__(self, now: int) -> int:
        from detector.grafana import tokens
        from detector.grafana.adapter import Trouble
        from detector.grafana.verdicts import Poll

        if self.poll is None:
            grafana = tokens.login(self.config.grafana, self.entry, "runtime", self.environ)
            self.poll = Poll(grafana, self.database, self.entry.tenant, self.count, self.config.retention.annotations)
        try:
            return self.poll(now)
        except Trouble:
            self.poll = None
            raise


def watching(config: Config, url: str, environ: Mapping[str, str], clock: Clock, count: Callable[[str], None]) -> GrafanaWatch | None:
    """The watch of this configuration; None without Grafana. `url` of the database; `count` is told each annotation's outcome."""
    if config.grafana.url == "":
        return None
    database = Database(url)
    entries = config.grafana.organisations or [Entry(tenant) for tenant in tenants(config)]
    asked = [Organisation(entry.tenant, _Asking(config, entry, database, environ, count)) for entry in entries]
    return GrafanaWatch(database, asked, clock)


@contextlib.contextmanager
def beside(watch: GrafanaWatch | None, stop: threading.Event) -> Iterator[None]:
    """Runs it in a thread of its own until the block ends or `stop` is set."""
    if watch is None:
        yield
        return
    thread = threading.Thread(target=watch.run, args=(stop,), name="grafana", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)
