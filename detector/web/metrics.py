"""What Prometheus is told: each metric once, with its type and meaning. Labels come from closed sets, never from events."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from detector import __version__
from detector.judge.findings import Changes
from detector.pipeline import Counts
from detector.records import Place

BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)  # s
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """One line of the published list of metrics."""

    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()


METRICS: Mapping[str, Metric] = {
    "tuermer_build_info": Metric("gauge", "Always 1; the label tells the version.", ("version",)),
    "tuermer_records_read_total": Metric("counter", "Raw records read; equals events + ignored + dead letters."),
    "tuermer_events_total": Metric("counter", "Records that became events.", ("format",)),
    "tuermer_ignored_total": Metric("counter", "Records that were readable and carry nothing for us.", ("format",)),
    "tuermer_dead_letters_total": Metric("counter", "Records that nobody could read.", ("format", "reason")),
    "tuermer_lag_records": Metric("gauge", "Raw records in Kafka that are still to be read.", ("topic",)),
    "tuermer_lag_messages": Metric("gauge", "Messages of tuermer.events that are still to be scored."),
    "tuermer_scored_events_total": Metric("counter", "Events scored since the start, replayed ones included."),
    "tuermer_incidents_total": Metric("counter", "Incidents opened.", ("model",)),
    "tuermer_notified_total": Metric("counter", "Notifications that the budget let through."),
    "tuermer_annotations_total": Metric(
        "counter", "Verdicts that Grafana's annotations held, each once: applied, or why not.", ("outcome",)
    ),
    "tuermer_delivered_total": Metric("counter", "Messages that a receiver took.", ("receiver",)),
    "tuermer_undelivered": Metric("gauge", "Messages that wait for a receiver that does not take them.", ("receiver",)),
    "tuermer_latency_seconds": Metric("histogram", "From the record's time in Kafka to its committed row."),
    "tuermer_entities": Metric("gauge", "Sources, accounts, services and pairs that are held in memory."),
    "tuermer_entity_bytes": Metric("gauge", "Memory that they take."),
    "tuermer_drift_psi": Metric("gauge", "Largest population stability index of a feature, last complete day.", ("tenant", "model")),
    "tuermer_drift_ks": Metric("gauge", "Distance of that day's scores from those before (Kolmogorov-Smirnov).", ("tenant", "model")),
    "tuermer_alert_rate_ratio": Metric("gauge", "Rows with p <= 0.01 over those that there should be.", ("tenant", "model")),
    "tuermer_unknown_values_share": Metric("gauge", "Values outside all that the days before had.", ("tenant", "model")),
    "tuermer_drift_cause": Metric("gauge", "1 where this is why the last complete day differs.", ("tenant", "model", "cause")),
}


class Progress(Protocol):
    """What SCORE's loop counts since its start."""

    events: int
    lag: int


CAUSES = ("source", "format", "volume", "calendar", "behaviour")


class Drifted(Protocol):
    """What a look at a model's day found."""

    @property
    def tenant(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def psi(self) -> Mapping[str, float]: ...

    @property
    def ks(self) -> float: ...

    @property
    def realised(self) -> float | None: ...

    @property
    def unknown(self) -> float: ...

    @property
    def cause(self) -> str | None: ...


class Metrics:
    """The metrics of one process; the loops report, the page's thread reads."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series per counter, which nobody asks for
        self._registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, m.meaning, m.labels, registry=self._registry) for name, m in METRICS.items() if m.kind == "counter"
        }
        self._gauges = {name: Gauge(name, m.meaning, m.labels, registry=self._registry) for name, m in METRICS.items() if m.kind == "gauge"}
        self._latency = _Latency("tuermer_latency_seconds")
        self._registry.register(self._latency)
        self._gauges["tuermer_build_info"].labels(__version__).set(1)
        self._scored = 0

    def routed(self, counts: Counts, behind: Mapping[Place, int]) -> None:
        """After each committed batch of ROUTE: what its records became, and how many wait in each partition."""
        self._counters["tuermer_records_read_total"].inc(counts.records)
        for name, by_format in (("tuermer_events_total", counts.events), ("tuermer_ignored_total", counts.ignored)):
            for form, number in by_format.items():
                self._counters[name].labels(_said(form)).inc(number)
        for (form, reason), number in counts.dead_letters.items():
            self._counters["tuermer_dead_letters_total"].labels(_said(form), reason).inc(number)
        waiting: dict[str, int] = {}
        for place, number in behind.items():
            waiting[place.topic] = waiting.get(place.topic, 0) + number
        for topic, number in waiting.items():
            self._gauges["tuermer_lag_records"].labels(topic).set(number)

    def judged(self, changes: Changes, notified: int) -> None:
        """After each committed write of SCORE."""
        for incident in changes.opened:
            self._counters["tuermer_incidents_total"].labels(incident.model).inc()
        self._counters["tuermer_notified_total"].inc(notified)

    def scored(self, progress: Progress) -> None:
        """Now and then from SCORE's loop, with its running totals."""
        self._counters["tuermer_scored_events_total"].inc(progress.events - self._scored)
        self._scored = progress.events
        self._gauges["tuermer_lag_messages"].set(progress.lag)

    def annotated(self, outcome: str) -> None:
        """An annotation of Grafana was looked at for the first time."""
        self._counters["tuermer_annotations_total"].labels(outcome).inc()

    def delivered(self, receiver: str, number: int, waiting: int) -> None:
        """A receiver took `number` messages, and `waiting` are left."""
        self._counters["tuermer_delivered_total"].labels(receiver).inc(number)
        self._gauges["tuermer_undelivered"].labels(receiver).set(waiting)

    def latencies(self, seconds: NDArray[np.floating]) -> None:
        """The latency of each event of a committed batch, shape (n,)."""
        self._latency.observe(seconds)

    def recent_latency(self) -> tuple[float, float] | None:
        """50th and 99th percentile in seconds since this was asked before; None if nothing was scored in between."""
        return self._latency.recent()

    def drifted(self, found: Drifted) -> None:
        """How a model's last complete day differed from those before."""
        whose = (found.tenant, found.model)
        self._gauges["tuermer_drift_psi"].labels(*whose).set(max(found.psi.values(), default=0.0))
        self._gauges["tuermer_drift_ks"].labels(*whose).set(found.ks)
        self._gauges["tuermer_alert_rate_ratio"].labels(*whose).set(float("nan") if found.realised is None else found.realised)
        self._gauges["tuermer_unknown_values_share"].labels(*whose).set(found.unknown)
        for cause in CAUSES:
            self._gauges["tuermer_drift_cause"].labels(*whose, cause).set(1 if cause == found.cause else 0)

    def held(self, entities: int, size: int) -> None:
        """How many entities SCORE holds, and their bytes."""
        self._gauges["tuermer_entities"].set(entities)
        self._gauges["tuermer_entity_bytes"].set(size)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format (CONTENT_TYPE)."""
        return generate_latest(self._registry)


class _Latency(Collector):
    """A histogram that takes a batch at once; the client's own would be a Python call per event."""

    def __init__(self, name: str) -> None:
        self._name, self._lock = name, threading.Lock()
        self._counts = np.zeros(len(BUCKETS) + 1, np.int64)
        self._told = self._counts.copy()
        self._sum = 0.0

    def observe(self, seconds: NDArray[np.floating]) -> None:
        counts = np.bincount(np.searchsorted(BUCKETS, seconds), minlength=len(BUCKETS) + 1)
        with self._lock:
            self._counts += counts
            self._sum += float(seconds.sum())

    def recent(self) -> tuple[float, float] | None:
        """Percentiles since the last call, read off the buckets; never more than the last one's edge."""
        with self._lock:
            counts, self._told = self._counts - self._told, self._counts.copy()
        if counts.sum() == 0:
            return None
        running = np.cumsum(counts) / counts.sum()
        edges = (0.0, *BUCKETS, BUCKETS[-1])
        p50, p99 = np.interp([0.5, 0.99], np.concatenate([[0.0], running]), edges)
        return float(p50), float(p99)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            running, total = np.cumsum(self._counts).tolist(), self._sum
        buckets = list(zip([*map(str, BUCKETS), "+Inf"], running, strict=True))
        yield HistogramMetricFamily(self._name, METRICS[self._name].meaning, buckets, total)


def table() -> str:
    """The metrics as a markdown table, for the README."""
    lines = ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
    lines += [f"| `{name}` | {m.kind} | {', '.join(m.labels)} | {m.meaning} |" for name, m in METRICS.items()]
    return "\n".join(lines) + "\n"


def _said(form: str) -> str:
    return form if form != "" else "none"
