"""The whole: a real Kafka with many lines → ROUTE and SCORE as two processes → PostgreSQL, beside the stock read loop.

Both are timed over the same topic on the same broker in the same run; trust the ratio, not the figures.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from detector.privacy.keys import new_privacy
from detector.simulate import City, bulk
from detector.sources import broker as local
from tests.bench import paced

TOPIC = "mixed"
PARTITIONS = 5
WARM = 60_000  # events that go through before the clock starts: compiling is not what is measured here
HALF_LOAD_SECONDS = 20
PER_BATCH = 300  # records that a shipper sends at once


@dataclass(frozen=True, slots=True)
class Daemons:
    """The two roles as processes, and where they answer."""

    route: subprocess.Popen[bytes]
    score: subprocess.Popen[bytes]
    route_url: str
    score_url: str

    def scored(self) -> float:
        return metric(self.score_url, "tuermer_scored_events_total")

    def accounted(self) -> float:
        """Events that SCORE must still see, by ROUTE's own accounting: read minus ignored minus dead letters."""
        return metric(self.route_url, "tuermer_events_total")

    def read(self) -> float:
        return metric(self.route_url, "tuermer_records_read_total")

    def check(self) -> None:
        for name, process in (("route", self.route), ("score", self.score)):
            if process.poll() is not None:
                raise SystemExit(f"{name} ended with {process.returncode}")


def metric(url: str, name: str) -> float:
    """Sum over the label values of a metric; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(url + "metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0.0
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE))


def produce(address: str, lines: int) -> None:
    """Lines into the topic, by hundreds round robin over the partitions, each with its own time."""
    producer = KafkaProducer(bootstrap_servers=address, linger_ms=50, batch_size=256 << 10, acks=1, compression_type="lz4")
    sent = 0
    for records in bulk(lines, chunk=min(lines, 100_000)):
        for row in range(len(records)):
            stamp = int(records.timestamps[row]) // 1000
            producer.send(TOPIC, value=records.value(row), partition=(sent + row) // 100 % PARTITIONS, timestamp_ms=stamp)
        sent += len(records)
    producer.flush()
    producer.close()


def half_load(running: Daemons, address: str, rate: float) -> tuple[float, float, float]:
    """(records/s that were sent, p50, p99 in seconds from Kafka timestamp to committed row)."""
    lines = int(rate * HALF_LOAD_SECONDS) // 100_000 * 100_000 or 100_000
    values = (records.value(row) for records in bulk(lines, seed=5, chunk=100_000) for row in range(len(records)))
    batches = [paced.batch(group) for group in paced.grouped(values, PER_BATCH)]
    before, already = buckets(running.score_url), running.read()
    reached = paced.send(address, TOPIC, PARTITIONS, batches, PER_BATCH, rate)
    _until(running, int(already) + len(batches) * PER_BATCH)
    return reached, *latency(running.score_url, before)


def stock_loop(address: str, lines: int) -> float:
    """Seconds that kafka-python's own loop needs to hand over the lines, one object each."""
    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest", max_poll_records=5000)
    places = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    started, seen = time.perf_counter(), 0
    while seen < lines:
        for batch in consumer.poll(timeout_ms=1000).values():
            for record in batch:
                seen += len(record.value) > 0
    took = time.perf_counter() - started
    consumer.close()
    return took


def _places() -> str:
    """The simulated city's networks and accounts; one topic whose formats are recognised line by line."""
    tables = City(seed=0).config_toml().split("\n\n")
    kept = [re.sub('tenant = "[^"]*"\n', "", t) for t in tables if t.startswith(("[[networks]]", "[[accounts]]"))]
    topic = f'[[topics]]\nname = "{TOPIC}"\ntenant = "stadt"\nsite = "rathaus"'
    return "\n\n".join([topic, *kept])


@contextlib.contextmanager
def daemons(folder: Path, address: str, ports: tuple[int, int]) -> Iterator[Daemons]:
    """ROUTE and SCORE against the broker, with the embedded PostgreSQL."""
    new_privacy(folder / "privacy.key", time.time_ns() // 1000)
    (folder / "tuermer.toml").write_text(
        f'[kafka]\nbootstrap_servers = "{address}"\ngroup = "bench"\nevents_partitions = 8\n\n'
        f'[database]\nurl = "embedded"\ndirectory = "postgres"\n\n[privacy]\nkey_file = "privacy.key"\n\n'
        f'[page]\nlisten = "127.0.0.1:{ports[0]}"\nroute_listen = "127.0.0.1:{ports[1]}"\n\n[logs]\nlevel = "warning"\n\n' + _places()
    )
    environ = {**os.environ, "POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "detector", "run", "--config", str(folder / "tuermer.toml"), "--role"]
    started = [subprocess.Popen([*command, role], env=environ) for role in ("route", "score")]
    try:
        yield Daemons(started[0], started[1], f"http://127.0.0.1:{ports[1]}/", f"http://127.0.0.1:{ports[0]}/")
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(60)


def _until(running: Daemons, records: int) -> None:
    """Waits until ROUTE has read so many records and SCORE has scored all their events."""
    while running.read() < records or running.scored() < running.accounted():
        running.check()
        time.sleep(0.05)


def catch_up(running: Daemons, lines: int) -> float:
    """Events a second through everything, of a backlog of so many lines; the clock starts when the first have come through."""
    while running.scored() < WARM:
        running.check()
        time.sleep(0.02)
    started, before = time.perf_counter(), running.scored()
    _until(running, lines)
    return (running.scored() - before) / (time.perf_counter() - started)


def latency(url: str, before: dict[float, float]) -> tuple[float, float]:
    """p50 and p99 in seconds of what came since `before`, from the histogram's buckets (upper bounds)."""
    after = buckets(url)
    bounds = sorted(after)
    grown = np.array([after[bound] - before.get(bound, 0.0) for bound in bounds])
    share = grown / max(1.0, grown[-1])
    return tuple(bounds[int(np.searchsorted(share, q))] for q in (0.5, 0.99))  # type: ignore[return-value]  # two quantiles, two values


def buckets(url: str) -> dict[float, float]:
    with urllib.request.urlopen(url + "metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        float(bound): float(n) for bound, n in re.findall(r'^tuermer_latency_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.MULTILINE)
    }


def main(lines: int = 2_000_000) -> None:
    with tempfile.TemporaryDirectory(prefix="tuermer-bench-") as name, local.running(Path(name) / "kafka") as broker:
        folder = Path(name)
        _topic(broker.address)
        produce(broker.address, lines)
        with daemons(folder, broker.address, (local.free_port(), local.free_port())) as running:
            rate = catch_up(running, lines)
            stock = lines / stock_loop(broker.address, lines)
            print(f"whole: {lines:,} lines, {rate:,.0f} events/s; stock loop {stock:,.0f} records/s; ratio {rate / stock:.2f}")
            reached, p50, p99 = half_load(running, broker.address, rate / 2)
            print(f"half load: {reached:,.0f}/s sent; Kafka timestamp to committed row p50 ≤ {p50:g} s, p99 ≤ {p99:g} s")
            entities, memory = metric(running.score_url, "tuermer_entities"), metric(running.score_url, "tuermer_entity_bytes")
            print(f"memory: {entities:,.0f} entities, {memory / max(1.0, entities):,.0f} bytes each in the slabs")


def _topic(address: str) -> None:
    from kafka import KafkaAdminClient

    with KafkaAdminClient(bootstrap_servers=address) as admin:
        admin.create_topics(
            {TOPIC: {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": {"retention.ms": "-1"}}}, wait_for_metadata=True
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
