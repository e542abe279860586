"""What the sealed link table costs ROUTE: share of its processor time, from the first record after 05:00 on, on the bench's mixture.

Reading and producing (not counted here) would only make the share smaller. Then the worst case: every row a new client address.
"""

from __future__ import annotations

import contextlib
import time

import numpy as np

from detector import daemon
from detector.config import Config
from detector.decode import Decoder, ecs
from detector.privacy import MemoryKeyring, Privacy
from detector.privacy.fresh import Collector
from detector.privacy.networks import Addresses
from detector.privacy.vault import Fresh, Sealer
from detector.simulate import bulk
from detector.store import Database
from detector.store.database import connect
from detector.store.embedded import wheel_binaries
from detector.store.links import LinkTable
from tests.bench.bench_stages import BATCH, CONFIG, Clock
from tests.people import PROTECTION, SECURITY, holder, person
from tests.postgres import fresh, running

LINES = 2_000_000  # as many as `bulk` is made for: three hours of a city at its pace, ten seconds of full load
MEMBERS = [holder(person(f"{group}{i}"), group) for group in (SECURITY, PROTECTION) for i in range(3)]


def routed(config: Config, links: LinkTable | None) -> tuple[dict[str, float], int]:
    """Seconds of processor time by stage, and links written."""
    _route(config, None, BATCH)  # compiles
    return _route(config, links, LINES)


def _route(config: Config, links: LinkTable | None, lines: int) -> tuple[dict[str, float], int]:
    decoder, privacy, clock, written = Decoder.of(config), Privacy.of(config, MemoryKeyring(b"k" * 32), links=links is not None), Clock(), 0
    for records in bulk(lines, chunk=BATCH):
        decoded = clock.time("decode", lambda r=records: decoder.decode(r))  # type: ignore[misc]  # a lambda's default has no annotation
        frames = clock.time("privacy", lambda d=decoded, p=privacy: p.pseudonymise(d))  # type: ignore[misc]  # likewise
        clock.time("arrow", lambda f=frames: [m for frame in f.values() for m in daemon.split(frame)])  # type: ignore[misc]  # likewise
        if links is not None:
            new = privacy.fresh()
            written += len(new)
            clock.time("seal and write", lambda f=new: links.write(f))  # type: ignore[misc]  # likewise
    return clock.spent, written


def flood(links: LinkTable) -> tuple[float, float]:
    """Rows per second that are sealed and written when every row is a new address: processor time, and clock time."""
    rng, rows = np.random.default_rng(1), 20_000
    words = rng.integers(1, 2**63, rows).astype(np.uint64)
    shown = Addresses(np.zeros(rows, np.uint64), words, np.full(rows, ecs.TOKEN, np.uint8), np.zeros(rows, np.int32))
    collector = Collector()
    begun, clock = time.process_time(), time.perf_counter()
    collector.addresses("stadt", np.full(rows, 20_000, np.int32), np.zeros(rows, np.uint64), words, shown)
    new: list[Fresh] = collector.take()
    links.write(new)
    return rows / (time.process_time() - begun), rows / (time.perf_counter() - clock)


def main() -> None:
    with running(wheel_binaries()) as server, fresh(server) as database, contextlib.closing(Database(database.url())) as own:
        links = LinkTable(own, Sealer((SECURITY, PROTECTION), MEMBERS), lambda: time.time_ns() // 1000, lambda _: True)
        without, _ = routed(CONFIG, None)
        spent, written = routed(CONFIG, links)
        base, privacy = sum(without.values()), spent["privacy"] - without["privacy"]
        sealing = spent["seal and write"]
        print(f"ROUTE without links: {base / LINES * 1e6:.2f} µs per record (decode, privacy, arrow)")
        print(f"{written:,} new tokens among {LINES:,} records: {sealing / max(1, written) * 1e6:.0f} µs each to seal and write")
        print(f"looking for new tokens {privacy / base:+.1%}, sealing and writing {sealing / base:.1%} of ROUTE's processor time")
        by_cpu, by_clock = flood(links)
        print(f"worst case, every row a new address: {by_cpu:,.0f} rows per processor second, {by_clock:,.0f} by the clock")
        with connect(database.url()) as connection:
            print("rows kept:", *connection.execute("SELECT count(*) FROM store.links").fetchone() or ())


if __name__ == "__main__":
    main()
