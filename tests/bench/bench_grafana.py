"""What a dashboard costs PostgreSQL when a million incidents are kept: each query as Grafana's role, on the wheel's server.

`python -m tests.bench.bench_grafana [incidents] [days]`; the target is 300 ms for each (issue 5). The seed takes ten minutes and more.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass

import psycopg

from detector.grafana.setting import Setting
from detector.store.embedded import SETTINGS, SUPERUSER, Embedded, wheel_binaries
from detector.store.opening import prepare
from tests.grafana_seed import TENANT, fill
from tests.grafana_sql import Query, filled, of_panels, of_rules, of_variables
from tests.postgres import open_folder

TARGET = 300.0  # ms
ROLE = "tuermer_grafana"
LISTS = ("open", "unattended", "in-work", "confirmed", "new", "worse", "expired", "all")


@dataclass(frozen=True, slots=True)
class Took:
    """Planning and execution in ms, the second of two runs: Grafana asks every 30 seconds."""

    place: str
    planning: float
    execution: float

    @property
    def whole(self) -> float:
        return self.planning + self.execution


def main(incidents: int = 1_000_000, days: int = 180) -> None:
    with open_folder() as folder:
        server = Embedded(folder / "postgres", wheel_binaries(), settings={**SETTINGS, "fsync": "off", "shared_buffers": "512MB"})
        server.start()
        try:
            prepare(server, "tuermer")
            began = time.perf_counter()
            with psycopg.connect(server.url(SUPERUSER, "tuermer"), autocommit=True) as connection:
                fill(connection, incidents, days, kept=30)  # [retention]: evidence 30 days, incidents 180
                connection.execute("VACUUM ANALYZE")
            print(f"{incidents:,} incidents over {days} days, seeded in {time.perf_counter() - began:.0f} s")
            report(server.url(SUPERUSER, "tuermer"), server.url(ROLE, "tuermer"))
        finally:
            server.kill()


def report(owner: str, reader: str) -> list[Took]:
    """All queries with an open incident and a busy host as variables; prints them, the slowest first."""
    with psycopg.connect(owner, autocommit=True) as connection:
        row = connection.execute("SELECT id::text FROM store.incidents WHERE until > now() ORDER BY opened DESC LIMIT 1").fetchone()
    assert row is not None
    values = {"tenant": TENANT, "show": "open", "search": "srv-3, 198.51.100.0/24 22", "incident": row[0], "entity": b"srv-3".hex()}
    s = Setting()
    queries = [*of_panels(s), *of_variables(s), *of_rules(s)]
    [triage] = [query for query in queries if query.place.startswith("tuermer-lage/4 ")]
    with psycopg.connect(reader, autocommit=True) as connection:
        found = [_took(connection, query, values) for query in queries]
        found += [_took(connection, Query(f"{triage.place}: {one}", triage.sql), values | {"show": one}) for one in LISTS]
    for one in sorted(found, key=lambda took: -took.whole):
        print(f"{'SLOW' if one.whole > TARGET else '    '} {one.whole:8.1f} ms (planning {one.planning:6.1f})  {one.place}")
    print(f"{sum(one.whole <= TARGET for one in found)} of {len(found)} within {TARGET:.0f} ms")
    return found


def _took(connection: psycopg.Connection[tuple[object, ...]], query: Query, values: dict[str, str]) -> Took:
    explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {filled(query.sql, values, days=1)}".encode()
    for _ in range(2):
        row = connection.execute(explained).fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(str(row[0]))
    return Took(query.place, plan[0]["Planning Time"], plan[0]["Execution Time"])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
