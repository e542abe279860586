"""Cost of pseudonymising, µs of one core per event: a quiet batch, one where every row has a new name, and first-seen."""

from __future__ import annotations

import sys
import time

import msgspec
import numpy as np
import polars as pl

from detector.config import Account, Config, Host, Network
from detector.config import Privacy as Settings
from detector.decode import ecs
from detector.decode.decoded import Decoded, Origin
from detector.privacy import MemoryKeyring, Privacy

ROWS = 20_000
NOW = 1_781_092_800_000_000
CONFIG = Config(
    networks=[Network(f"10.{i}.0.0/16", "client" if i % 2 else "server", name=f"Netz {i}") for i in range(200)],
    accounts=[Account("svc-*", "service"), Account("adm.*", "admin")],
    hosts=[Host("srv-*")],
)


def batch(names: int, first: int, seed: int = 1) -> Decoded:
    """ROWS events of one shard with `names` different accounts."""
    rng = np.random.default_rng(seed)
    users = ["", *(f"person{first + i}" for i in range(names))]
    hosts = ["", *(f"pc-{i}" for i in range(100))]
    mapped = 0xFFFF << 32
    times = pl.Series(NOW + np.arange(ROWS, dtype=np.int64)).cast(pl.Datetime("us", "UTC"))
    columns = {
        "@timestamp": times,
        "event.created": times,
        "event.category": ecs.text(np.ones(ROWS, np.uint8), ["", "authentication"]),
        "event.outcome": ecs.text(rng.integers(1, 3, ROWS), ["", "success", "failure"]),
        "source.ip.lo": pl.Series(mapped + rng.integers(0x0A000000, 0x0AFFFFFF, ROWS).astype(np.uint64)),
        "source.ip.kind": pl.Series(np.ones(ROWS, np.uint8)),
        "destination.ip.lo": pl.Series(mapped + rng.integers(0x50000000, 0x5FFFFFFF, ROWS).astype(np.uint64)),
        "destination.ip.kind": pl.Series(np.ones(ROWS, np.uint8)),
        "user.name": ecs.text(rng.permutation(np.arange(ROWS) % len(users)), users),
        "host.name": ecs.text(rng.integers(0, len(hosts), ROWS), hosts),
        "session.key": pl.Series(rng.integers(1, 2**60, ROWS).astype(np.uint64)),
    }
    origin = (Origin("stadt", "rathaus", "Europe/Berlin"),)
    return Decoded(ecs.frame(ROWS, columns), np.arange(ROWS), np.zeros(ROWS, np.int32), origin, (), {})


def cost(settings: Settings, names: int, fresh: bool) -> float:
    """The best of ten batches, µs of processor time per event."""
    step = Privacy.of(msgspec.structs.replace(CONFIG, privacy=settings), MemoryKeyring(b"k" * 32))
    step.pseudonymise(batch(names, 0))
    best = float("inf")
    for turn in range(1, 11):
        decoded = batch(names, turn * names if fresh else 0)
        started = time.process_time()
        step.pseudonymise(decoded)
        best = min(best, time.process_time() - started)
    return best / ROWS * 1e6


def main() -> None:
    """Prints a table."""
    none, first_seen = Settings(), Settings(person_memory="first-seen")
    for title, settings, names, fresh in (
        ("known names, person_memory none", none, 500, False),
        ("known names, person_memory first-seen", first_seen, 500, False),
        ("every row a new name (spraying)", none, ROWS - 1, True),
    ):
        sys.stdout.write(f"privacy: {title:<40} {cost(settings, names, fresh):6.2f} µs/event\n")


if __name__ == "__main__":
    main()
