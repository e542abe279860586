"""How long a candidate takes: `python -m tests.bench.bench_training [rows]`. Goal: a million rows of 32 features in 30 s and 2 GB.

Twice: the numbers alone (32 features, forest and tails), and the whole way of `tuermer train firewall-source` (31 features) from
blocks in PostgreSQL to a folder. Each in a process of its own, whose largest memory counts.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from detector.features.table import Feature, ModelTable, Text, read_all
from detector.judge.blocks import Block, Columns, packed
from detector.learn import prior
from detector.learn.registry import SHIPPED
from detector.learn.train import train
from detector.learn.training import Wish, candidate
from detector.store import Database, learning, reservoir
from detector.store.database import moment
from detector.store.embedded import wheel_binaries
from tests.postgres import fresh, running

HOUR, START = 3_600_000_000, 1_767_600_000_000_000  # µs
PER_HOUR = 1000
MODEL = "firewall-source"


def numbers(rows: int) -> float:
    """Seconds to train on so many rows of 32 features and to calibrate on a fifth more."""
    text = Text("x", "x")
    columns = [Feature(f"f{j}", text, "times", "high", "T1046", "plain") for j in range(32)]
    table = ModelTable("bench", "source.ip", ["forest", "tail_sum", "tail_max"], 3e-4, text, columns)
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(rows, 32)).astype(np.float32)
    held_back, whose = X[-rows // 5 :], np.arange(rows // 5) // 20
    began = time.perf_counter()
    train(table, X[: -rows // 5], held_back, 0, whose, np.ones(rows - rows // 5, np.bool_))
    return time.perf_counter() - began


def whole(rows: int) -> float:
    """Seconds from the database to the folder."""
    with running(wheel_binaries()) as server, fresh(server) as made, tempfile.TemporaryDirectory() as out:
        base = Database(made.url())
        _fill(base, rows)
        began = time.perf_counter()
        end = START + (rows // PER_HOUR + 1) * HOUR
        candidate(base, Wish(MODEL, "stadt", START, end), Path(out), end)
        base.close()
        return time.perf_counter() - began


def _fill(base: Database, rows: int) -> None:
    table = read_all(SHIPPED)[MODEL]
    known, rng = prior.load(SHIPPED / MODEL, table).calibration, np.random.default_rng(0)
    with base.transaction() as connection:
        learning.begin(connection, "stadt", 0, "Europe/Berlin", START)
        connection.execute(
            "INSERT INTO store.shards (shard, tenant, site, place, owner, claimed, origin, applied) "
            "VALUES ('stadt', 'stadt', '', '', '', %s, 0, 0)",
            (moment(START),),
        )
        for hour in range(rows // PER_HOUR):
            X = known[rng.integers(0, len(known), PER_HOUR)]
            X = X + rng.normal(0.0, 0.01, X.shape).astype(np.float32)
            columns = Columns(X, rng.permutation(5_000)[:PER_HOUR].astype(np.uint32), np.full(PER_HOUR, -1, np.int16))
            at = START + hour * HOUR
            block = Block(MODEL, at // (24 * HOUR), at, False, table.schema_hash, PER_HOUR, 0, 0, (0, 0, 0), (), packed(columns))
            reservoir.write(connection, "stadt", [block])


PARTS = {"numbers": numbers, "whole": whole}


def main() -> None:
    rows = next((int(word) for word in sys.argv[1:] if word.isdigit()), 1_000_000)
    if sys.argv[-1] in PARTS:
        seconds = PARTS[sys.argv[-1]](rows)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        sys.stdout.write(f"{sys.argv[-1]:8s} {rows:,} rows: {seconds:.1f} s, {memory:.2f} GB (goal for a million: 30 s, 2 GB)\n")
        return
    for part in PARTS:
        subprocess.run([sys.executable, "-m", "tests.bench.bench_training", str(rows), part], check=True)


if __name__ == "__main__":
    main()
