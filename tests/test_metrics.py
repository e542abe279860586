"""Metrics say what happened, each under one name, and the accounting adds up."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from detector.config import Config, Topic
from detector.decode import Decoder, table
from detector.judge.findings import Changes, Incident
from detector.pipeline import Counts, Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.privacy.verify import hits
from detector.records import Place, of_lines
from detector.web.metrics import BUCKETS, METRICS, Metrics
from detector.web.metrics import table as published


@dataclass
class Progress:
    events: int
    lag: int


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample as name{label="value",…} -> number."""
    families = text_string_to_metric_families(metrics.text().decode())
    samples = [s for family in families for s in family.samples]
    return {s.name + "".join(f"{{{k}={v}}}" for k, v in sorted(s.labels.items())): s.value for s in samples}


def full() -> Metrics:
    """One of everything."""
    metrics = Metrics()
    counts = Counts(10, {"sshd": 5, "": 1}, {"pam": 2}, {("", "unknown-format"): 1, ("sshd", "bad-time"): 1})
    metrics.routed(counts, {Place("auth", 0): 3, Place("auth", 1): 4, Place("firewall", 0): 0})
    incident = Incident(
        "i", "s", "t", "", "auth-source", "m", "f", "low", "source.ip", "v", (), 0, 0, 0, 0.1, 1.0, 0.1, 1.0, 1, {}, {}
    )  # fmt: skip
    metrics.judged(Changes("s", opened=(incident, incident)), 1)
    metrics.scored(Progress(100, 7))
    metrics.latencies(np.array([0.01, 0.05, 0.06, 1000.0]))
    metrics.held(12, 3456)
    return metrics


def test_each_report_lands_under_its_name() -> None:
    got = values(full())
    assert got["tuermer_records_read_total"] == 10
    assert got["tuermer_events_total{format=sshd}"] == 5
    assert got["tuermer_events_total{format=none}"] == 1
    assert got["tuermer_ignored_total{format=pam}"] == 2
    assert got["tuermer_dead_letters_total{format=none}{reason=unknown-format}"] == 1
    assert got["tuermer_lag_records{topic=auth}"] == 7
    assert got["tuermer_incidents_total{model=auth-source}"] == 2
    assert got["tuermer_notified_total"] == 1
    assert got["tuermer_scored_events_total"] == 100
    assert got["tuermer_lag_messages"] == 7
    assert (got["tuermer_entities"], got["tuermer_entity_bytes"]) == (12, 3456)


def test_every_metric_has_one_declaration_with_type_and_meaning() -> None:
    families = list(text_string_to_metric_families(full().text().decode()))
    named = {f"{f.name}_total" if f.type == "counter" else f.name: (f.type, f.documentation) for f in families}
    assert len(named) == len(families)
    assert named == {name: (metric.kind, metric.meaning) for name, metric in METRICS.items()}


def test_the_published_table_lists_every_metric() -> None:
    assert [row.split("`")[1] for row in published().splitlines()[2:]] == list(METRICS)


def test_a_batch_of_latencies_fills_the_buckets_up_to_their_edges() -> None:
    got = values(full())
    assert got["tuermer_latency_seconds_bucket{le=0.05}"] == 2  # an edge belongs to its bucket
    assert got["tuermer_latency_seconds_bucket{le=0.1}"] == 3
    assert got[f"tuermer_latency_seconds_bucket{{le={BUCKETS[-1]}}}"] == 3
    assert got["tuermer_latency_seconds_bucket{le=+Inf}"] == got["tuermer_latency_seconds_count"] == 4
    assert got["tuermer_latency_seconds_sum"] == pytest.approx(1000.12)


def test_running_totals_are_counted_once() -> None:
    metrics = Metrics()
    for events in (10, 10, 25):
        metrics.scored(Progress(events, 0))
    assert values(metrics)["tuermer_scored_events_total"] == 25


def test_two_processes_do_not_share_their_metrics() -> None:
    full()
    assert values(Metrics())["tuermer_records_read_total"] == 0


def test_records_read_are_events_and_ignored_and_dead_letters() -> None:
    """I2, as an operator can check it, on every format's samples and on rubbish."""
    config = Config(topics=[Topic(name="raw", tenant="stadt")])
    router = Router(Decoder.of(config), Privacy.of(config, MemoryKeyring()))
    lines = [sample.line.encode() for t in table.shipped().values() for sample in t.samples] + [b"", b"\0\xff", b"{", b"moerkelbach " * 9]
    metrics = Metrics()
    for first in range(0, len(lines), 7):
        metrics.routed(route_step(of_lines(lines[first : first + 7], Place("raw", 0)), router).counts, {})
    got = values(metrics)
    parts = [
        number
        for name, number in got.items()
        if name.split("{")[0] in ("tuermer_events_total", "tuermer_ignored_total", "tuermer_dead_letters_total")
    ]
    assert got["tuermer_records_read_total"] == len(lines) == sum(parts)
    assert len(parts) > 5
    assert hits(metrics.text(), ["moerkelbach"]) == []


def test_prometheus_own_check_has_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    checked = subprocess.run([promtool, "check", "metrics"], input=full().text(), capture_output=True, timeout=60, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
