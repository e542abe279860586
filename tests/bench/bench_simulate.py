"""How fast the simulator writes: `python -m tests.bench.bench_simulate`; goal 200,000 lines a second on one core."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from detector.records import Records
from detector.simulate import City, bulk

GOAL = 200_000
CASES = ((120, 1.0), (300, 1.0), (2000, 1.0), (120, 10.0))  # people, volume


def rate(batches: Iterable[Records]) -> tuple[int, float, float]:
    """Lines, lines per CPU second, MB per CPU second."""
    start = time.process_time()
    lines = octets = 0
    for batch in batches:
        lines += len(batch)
        octets += len(batch.values)
    seconds = time.process_time() - start
    return lines, lines / seconds, octets / seconds / 1e6


def working_day(people: int, volume: float) -> Iterable[Records]:
    """Every second window from 08:00 to 16:00 on the wall of a day with all attacks."""
    city = City(1, people=people, volume=volume, attacks_from_day=0)
    city.window(41)  # compiles
    return (records for index in range(42, 90, 2) for records in city.window(index).records.values())


def logins_alone(people: int) -> Iterable[Records]:
    """A whole working day of logins without connections, as the benches of takeovers read it."""
    city = City(1, people=people, attacks="none", only="authentication")
    city.window(0)
    return (records for index in range(144, 288) for records in city.window(index).records.values())


def report() -> list[str]:
    next(iter(bulk(1_000, chunk=1_000)))
    rows = [("bulk: 60 % FortiGate, 20 % PAN-OS, 20 % sshd", rate(bulk(2_000_000, seed=1)))]
    rows += [(f"working day, {people} people, volume {volume:g}", rate(working_day(people, volume))) for people, volume in CASES]
    rows.append(("a day's logins alone, 2,000 people", rate(logins_alone(2000))))
    return [
        f"{name:46s} {n:10,d} lines {speed:10,.0f} lines/s {mb:6.0f} MB/s   x {speed / GOAL:.1f} of the goal"
        for name, (n, speed, mb) in rows
    ]


def main() -> None:
    sys.stdout.write("\n".join(report()) + "\n")


if __name__ == "__main__":
    main()
