"""What the database costs SCORE: one transaction a batch, evidence of floods, snapshots. On the wheel's server, with fsync."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import numpy as np

from detector.judge.findings import Changes, EvidenceRow
from detector.store import Claim, Store
from detector.store.embedded import Embedded
from detector.store.opening import open_embedded
from tests.postgres import open_folder
from tests.test_store import NOW, SHARD, an_incident

FLOOD = 5000  # distinct values in one batch
MEGABYTES = 64


def main() -> None:
    with open_folder() as folder:
        server = Embedded(folder / "postgres")
        opened = open_embedded(server)
        try:
            with contextlib.closing(Store(opened.daemon_url)) as store:
                _report(store, store.claim(SHARD, NOW))
        finally:
            server.kill()


def _report(store: Store, claim: Claim) -> None:
    one = an_incident(1)
    flood = tuple(EvidenceRow("source.ip", f"10.0.{n // 256}.{n % 256}", 1, NOW, NOW) for n in range(FLOOD))
    offset = iter(range(1_000_000))

    def written(changes: Changes) -> None:
        first = next(offset)
        store.apply(claim, first, first + 1, changes, NOW)

    _line("a batch without findings", 200, lambda n: written(Changes(SHARD)))
    _line(
        "a batch that opens an incident",
        100,
        lambda n: written(Changes(SHARD, opened=(an_incident(n + 1),), notify=(an_incident(n + 1).id,))),
    )
    _line("a batch with 100 rows of evidence", 50, lambda n: written(Changes(SHARD, updated=(one,), evidence={one.id: flood[:100]})))
    _line(f"a batch with {FLOOD} rows of evidence", 10, lambda n: written(Changes(SHARD, updated=(one,), evidence={one.id: flood})))
    state = np.random.default_rng(0).bytes(MEGABYTES << 20)
    _line(f"a snapshot of {MEGABYTES} MB", 3, lambda n: store.save_snapshot(claim, n, "bench", state, NOW))
    _line(f"a claim that loads {MEGABYTES} MB", 3, lambda n: store.claim(SHARD, NOW))


def _line(name: str, times: int, act: Callable[[int], object]) -> None:
    took = []
    for number in range(times):
        began = time.perf_counter()
        act(number)
        took.append((time.perf_counter() - began) * 1000)
    p50, p99 = np.percentile(took, [50, 99])
    print(f"{name:<38} p50 {p50:8.1f} ms   p99 {p99:8.1f} ms")
