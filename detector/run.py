"""`tuermer run`: the two roles as processes of their own, spawned and watched; each serves its health and metrics."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kafka.errors import KafkaError
from msgspec.structs import replace

from detector import daemon, desk, grafanawatch, scorer
from detector.assembly import core, router
from detector.config import CANARY, Config, ConfigError, Kafka
from detector.configload import load
from detector.deliver import courier
from detector.deliver import kafka as alerts
from detector.deliver.receivers import couriers
from detector.inputs import InUse
from detector.judge.core import Core
from detector.judge.findings import Changes
from detector.judge.policy import Policy
from detector.judge.texts import guidance
from detector.lanes import Tools
from detector.learn import drifting
from detector.logs import configure
from detector.opening.book import OpeningBook
from detector.opening.chores import opening_chores
from detector.opening.keeping import link_table
from detector.pipeline import Counts, route_step
from detector.privacy.keys import FileKeyring
from detector.privacy.vault import Halted
from detector.records import Place
from detector.sentence import Sentence
from detector.sources.client import ensure_topics, reachable
from detector.store import Applied, Away, Database, Reader, Store, ailments, open_database
from detector.store.book import Book
from detector.store.digests import DigestChore
from detector.store.guide import keep_guidance
from detector.store.links import LinkTable
from detector.store.pulse import Figures, PulseChore
from detector.watch import beside, watching
from detector.web import models, openings
from detector.web.metrics import Metrics
from detector.web.page import Probes, application, check_listen
from detector.web.server import Page
from detector.web.serving import page_of

Role = Literal["all", "route", "score"]
GRACE = 30.0  # s a role has to finish its batch after SIGTERM
STALE = 60.0  # s without a turn of the loop: not healthy


class Ended(Sentence):
    """A role has ended with a sentence for the operator."""


def run_role(path: Path, role: Role, environ: Mapping[str, str], *, accept_gap: bool = False) -> None:
    """Runs until SIGTERM or Ctrl-C. Raises Ended or ConfigError with one sentence."""
    config = load(path, environ, role)
    if config.watch.canary:
        config = replace(config, topics=[*config.topics, CANARY])
    if config.kafka is None:
        raise ConfigError(f"{path.name}: [kafka] is missing; `tuermer run` reads from Kafka (for files there is `tuermer replay`)")
    configure(config.logs.format, config.logs.level)
    reachable(config.kafka)
    if role == "all":
        scheme = "http" if config.page.cert_file == "" else "https"
        sys.stdout.write(
            f"Türmer runs. Page: {scheme}://{config.page.listen}/  Metrics: /metrics there and at {config.page.route_listen}\n"
        )
        sys.stdout.flush()
        _supervise(path, accept_gap)
        return
    try:
        if role == "route":
            _route(config, environ, _stop_on_signals(), accept_gap)
        else:
            _score(config, config.kafka, environ, _stop_on_signals(), accept_gap)
    except KafkaError as error:
        raise Ended(f"Kafka at {config.kafka.bootstrap_servers}: {type(error).__name__}; `tuermer doctor` says more") from error


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    return stop


def _supervise(path: Path, accept_gap: bool) -> None:
    """Both roles; when one ends by itself, the other is ended too, so that whoever watches us (systemd) starts both."""
    stop = _stop_on_signals()
    command = [sys.executable, "-m", "detector", "run", "--config", str(path), *(["--accept-gap"] if accept_gap else []), "--role"]
    # Sessions of their own: Ctrl-C reaches them once, through us.
    roles = {role: subprocess.Popen([*command, role], start_new_session=True) for role in ("route", "score")}
    while not stop.wait(0.2) and all(process.poll() is None for process in roles.values()):
        pass
    fell = [role for role, process in roles.items() if process.poll() is not None]
    for process in roles.values():
        if process.poll() is None:
            process.terminate()
    for process in roles.values():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        if process.poll() is None:
            process.kill()  # what it had not committed is done again by the next start
    if fell != [] and not stop.is_set():
        raise Ended(f"{' and '.join(fell)} ended by itself; the reason stands above")


@dataclass(slots=True)
class Pulse:
    """When the loop last turned, and what stands in the way of being ready."""

    clock: Callable[[], float] = time.monotonic
    last: float = field(default_factory=time.monotonic)
    waiting: str | None = "starting"

    def beat(self) -> None:
        self.last, self.waiting = self.clock(), None

    def healthy(self) -> str | None:
        still = self.clock() - self.last
        return None if still < STALE else f"the loop has not turned for {still:.0f} s"

    def ready(self) -> str | None:
        return self.waiting


@contextlib.contextmanager
def _serving(page: Page) -> Iterator[None]:
    page.start()
    try:
        yield
    finally:
        page.stop()


class _NoIncidents:
    """ROUTE has no database and nothing to list."""

    def narrowed(self, tenants: frozenset[str] | None) -> _NoIncidents:
        del tenants
        return self

    def list_incidents(self, limit: int, tenant: str | None = None, status: str | None = None) -> list[Any]:
        del limit, tenant, status
        return []

    def ailments(self) -> list[Any]:
        return []

    def incident(self, incident_id: str) -> None:
        del incident_id

    def chain(self, incident_id: str) -> list[Any]:
        del incident_id
        return []


def _route(config: Config, environ: Mapping[str, str], stop: threading.Event, accept_gap: bool) -> None:
    keyring = FileKeyring.of(config)
    with contextlib.suppress(Halted):
        links = link_table(config, environ, scorer.wall_clock, stop.wait)
        _routing(config, keyring, links, stop, accept_gap)


def _routing(config: Config, keyring: FileKeyring, links: LinkTable | None, stop: threading.Event, accept_gap: bool) -> None:
    steps, metrics, pulse = router(config, keyring, links=links is not None), Metrics(), Pulse()

    def observe(counts: Counts, behind: Mapping[Place, int]) -> None:
        pulse.beat()
        metrics.routed(counts, behind)

    def tick(now: int, waiting: int | None) -> None:
        keyring.advance(now, waiting)
        if links is not None:
            links.tick(now)

    probes = Probes(pulse.healthy, pulse.ready, metrics.text)
    page = Page(application(_NoIncidents(), probes, config.language), *check_listen(config.page.route_listen))
    with _serving(page):
        hooks = daemon.Hooks(observe, tick)
        daemon.route(config, lambda records: route_step(records, steps), stop, hooks, links=links, accept_gap=accept_gap)


def _score(config: Config, kafka: Kafka, environ: Mapping[str, str], stop: threading.Event, accept_gap: bool) -> None:
    # Whichever role is first: a consumer would look for a missing topic only after minutes.
    ensure_topics(kafka, environ, [CANARY.name] if config.watch.canary else [])
    with contextlib.ExitStack() as stack:
        opened = open_database(config, environ)
        stack.callback(opened.close)
        metrics, pulse, judge = Metrics(), Pulse(), core(config, opened.daemon_url)
        reader = Reader(opened.reader_url)
        probes = Probes(pulse.healthy, lambda: pulse.ready() or _database_answers(reader), metrics.text)
        book = Book(opened.daemon_url)
        stack.callback(book.close)
        opened_names = OpeningBook(opened.daemon_url)
        stack.callback(opened_names.close)
        sections = [lambda site: openings.pages(site, opened_names), lambda site: models.pages(site, opened.daemon_url)]
        stack.enter_context(_serving(page_of(config, reader, book, probes, sections)))
        consumer = stack.enter_context(contextlib.closing(scorer.consumer(kafka)))
        sender = stack.enter_context(contextlib.closing(alerts.producer(kafka)))
        loop = scorer.Scorer(consumer, kafka.events_topic, judge, _tools(config, opened.daemon_url, stop, metrics, accept_gap))
        database, now = Database(opened.daemon_url), scorer.wall_clock()
        loop.tools.patiently(lambda: desk.begin(config, database, now))
        loop.tools.patiently(lambda: _keep_texts(database))
        receivers = couriers(config, opened.daemon_url, environ, sender, scorer.wall_clock, metrics.delivered)
        chores = (
            desk.CalendarChore(config, database, now),
            DigestChore(database, Policy.of(config), ailments.silent),
            scorer.Report(loop, kafka.instance),
            InUse(database, judge, loop.lanes),
            PulseChore(database, kafka.instance, _Figures(metrics, loop)),
        )
        own = opening_chores(config, database, environ)
        loop.chores = (lambda _now: pulse.beat(), lambda _now: _tell(metrics, judge, loop), *chores, *own)
        watch = watching(config, kafka, opened.daemon_url, scorer.wall_clock)
        watch.also.append(drifting.watching(config, opened.daemon_url, judge.models, metrics.drifted))
        grafana = grafanawatch.watching(config, opened.daemon_url, environ, scorer.wall_clock, metrics.annotated)
        with beside(watch, stop), grafanawatch.beside(grafana, stop), courier.beside(receivers):
            loop.run(stop)


def _keep_texts(database: Database) -> None:
    with database.transaction() as connection:
        keep_guidance(connection, guidance())


def _tools(config: Config, url: str, stop: threading.Event, metrics: Metrics, accept_gap: bool) -> Tools:
    def watch(changes: Changes, applied: Applied) -> None:
        metrics.judged(changes, len(applied.notified))

    return Tools(
        Store(url, Policy.of(config)), scorer.wall_clock, stop.wait, owner=_owner(), accept_gap=accept_gap, watch=watch,
        latencies=metrics.latencies,
    )  # fmt: skip


def _database_answers(reader: Reader) -> str | None:
    try:
        reader.list_incidents(limit=1)
    except Away as away:
        return f"the database does not answer ({away}); processing waits, nothing is lost"
    return None


@dataclass(slots=True)
class _Figures:
    """What a minute of this process was like, for the dashboards."""

    metrics: Metrics
    loop: scorer.Scorer
    events: int = 0

    def __call__(self, span: int) -> Figures:
        events, lag = self.loop.progress.events, self.loop.progress.lag
        rate, self.events = (events - self.events) / (span / 1e6), events
        return Figures(rate, lag, *(self.metrics.recent_latency() or (None, None)))


def _tell(metrics: Metrics, judge: Core, loop: scorer.Scorer) -> None:
    metrics.scored(loop.progress)
    sizes = [judge.size(owned.state) for lane in loop.lanes.values() for owned in lane.shards.values()]
    metrics.held(sum(entities for entities, _ in sizes), sum(size for _, size in sizes))


def _owner() -> str:
    return f"{os.uname().nodename}:{os.getpid()}"


def read_incident(path: Path, incident: str, environ: Mapping[str, str]) -> Mapping[str, Any] | None:
    """One incident of the configured database with its chain, or None; the beginning of its id is enough if it is unique."""
    opened = open_database(load(path, environ, "score"), environ, visit=True)
    try:
        with contextlib.closing(Reader(opened.reader_url)) as reader:
            found = reader.incident(incident)
            return None if found is None else found | {"chain": reader.chain(found["id"])}
    finally:
        opened.close()
