"""Issue 4's goals on the real streams, and on which of them somebody is ahead of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.quality.streams_measure import LONG, SOON
from tests.quality.streams_people import MINUTE

Figures = Mapping[str, Any]
FEW = 20  # logins of an account below which novelty cannot protect it
FEWEST = 5  # cases without which a share says nothing
NOISE = 1e-9


def share(found: Sequence[bool]) -> float | None:
    return sum(found) / len(found) if len(found) > 0 else None


def sized(figures: Figures, kind: str, low: float, high: float) -> list[bool]:
    return [found for size, found in figures.get(kind, []) if low <= size < high]


def sprays(figures: Figures, low: float, high: float, within: int) -> list[bool]:
    return [minutes <= within / MINUTE for hours, minutes, _ in figures.get("c", []) if low <= hours < high]


def named(figures: Figures, what: str) -> float | None:
    return figures[f"{what}_named"] / figures[what] if figures.get(what, 0) > 0 else None


def honest_a_week(figures: Figures) -> float:
    """Incidents that people opened, a week of this host; the stream's length counts as a week at least."""
    opened: int = figures["opened_by"]["owner"] + figures["opened_by"]["staff"]
    weeks: float = max(figures["days"] / 7, 1.0)
    return opened / weeks


@dataclass(frozen=True, slots=True)
class Goal:
    """At least (or `most`: at most) this; None where a host has no such case, or too few."""

    name: str
    wanted: float
    value: Callable[[Figures], float | None]
    most: bool = False

    def reached(self, value: float) -> bool:
        return value <= self.wanted + NOISE if self.most else value >= self.wanted - NOISE

    def behind(self, mine: float, theirs: float) -> bool:
        """Worse than theirs, and not good enough by itself: beyond the goal nobody asks who has less of what is allowed."""
        worse = mine > theirs + NOISE if self.most else mine < theirs - NOISE
        return worse and not (self.most and self.reached(mine))


def _enough(found: list[bool]) -> float | None:
    return share(found) if len(found) >= FEWEST else None


GOALS = (
    Goal("bursts of 20+ named", 0.99, lambda f: named(f, "bursts")),
    Goal("seconds to the first flag after the 20th attempt, median", 10, lambda f: f.get("seconds_after_20th"), most=True),
    Goal("vertical scans named", 0.98, lambda f: named(f, "scans")),
    Goal("incidents on the worst day", 3, lambda f: f["incidents_most"], most=True),
    Goal("incidents opened by system lines", 0, lambda f: f["opened_by"]["system"], most=True),
    Goal("incidents opened by honest people, a week", 1, honest_a_week, most=True),
    Goal("a: guessed passwords", 0.99, lambda f: _enough(sized(f, "a", 0, 1e9))),
    Goal("b: never-seen address (accounts with 20 logins)", 0.95, lambda f: _enough(sized(f, "b", FEW, 1e9))),
    Goal("c: sprays up to 3 h, within 30 min", 0.95, lambda f: _enough(sprays(f, 0, 3, SOON))),
    Goal("c: sprays of 9-24 h, within 12 h", 0.75, lambda f: _enough(sprays(f, 9, 25, LONG))),
    Goal("d: 03:00 from another region (accounts with 20 logins)", 0.95, lambda f: _enough(sized(f, "d", FEW, 1e9))),
    Goal("e: honeypot sessions of 20+ attempts", 0.99, lambda f: _enough(sized(f, "e", 20, 1e9))),
    Goal("e: honeypot sessions of 5-19 attempts", 0.70, lambda f: _enough(sized(f, "e", 5, 20))),
)
QUIET = Goal("incidents on the quiet host", 0, lambda f: f["incidents"], most=True)


def judged(found: Figures) -> list[dict[str, Any]]:
    """One entry per host and goal that the host can say something about: ours, whether reached, and who is ahead."""
    rows = []
    for host, figures in found["hosts"].items():
        (_, ours), *rivals = figures["candidates"].items()
        for goal in (*GOALS, *([QUIET] if not figures["noisy"] else [])):
            mine = goal.value(ours)
            if mine is None:
                continue
            theirs = {name: value for name, rival in rivals if (value := goal.value(rival)) is not None}
            ahead = [name for name, value in theirs.items() if goal.behind(mine, value)]
            row = {"host": host, "goal": goal.name, "wanted": goal.wanted, "most": goal.most, "ours": mine, "reached": goal.reached(mine)}
            rows.append(row | {"rivals": theirs, "ahead": ahead})
    return rows
