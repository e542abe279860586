"""How each process does, a row a minute: events per second, lag, latency. For a month, so that people see what a day does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from detector.store.database import Database, moment

MINUTE = 60_000_000  # µs
DAY = 1440 * MINUTE
KEPT = 30 * DAY


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one minute; latencies in seconds, None when nothing was scored."""

    events_per_second: float
    lag: int  # messages
    latency_p50: float | None = None
    latency_p99: float | None = None


@dataclass(slots=True)
class PulseChore:
    """A chore of the SCORE loop. `figures` is asked once a minute for what happened since it was asked before, in so many µs."""

    database: Database
    instance: str
    figures: Callable[[int], Figures]
    last: int = 0  # µs
    cleaned: int = 0

    def __call__(self, now: int) -> None:
        if now - self.last < MINUTE:
            return
        if self.last > 0:
            keep(self.database, "score", self.instance, self.figures(now - self.last), now)
        self.last = now
        if now - self.cleaned >= DAY:
            with self.database.transaction() as connection:
                connection.execute("DELETE FROM store.pulse WHERE minute < %s", (moment(now - KEPT),))
            self.cleaned = now


def keep(database: Database, component: str, instance: str, figures: Figures, now: int) -> None:
    """The row of this minute; a second report of the same minute replaces it."""
    with database.transaction() as connection:
        connection.execute(
            """
            INSERT INTO store.pulse (component, instance, minute, events_per_second, lag, latency_p50, latency_p99)
            VALUES (%s, %s, date_trunc('minute', %s::timestamptz), %s, %s, %s, %s)
            ON CONFLICT (component, instance, minute) DO UPDATE SET events_per_second = excluded.events_per_second, lag = excluded.lag,
                latency_p50 = excluded.latency_p50, latency_p99 = excluded.latency_p99
            """,
            (
                component, instance, moment(now), figures.events_per_second, figures.lag, figures.latency_p50, figures.latency_p99,
            ),
        )  # fmt: skip
