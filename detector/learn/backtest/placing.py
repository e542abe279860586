"""What a backtest is to do, and where the labelled attacks stand: decided by the seed alone, the same for every rival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from detector.sentence import Sentence
from detector.simulate import KINDS, STRENGTHS, Placed

Mode = Literal["none", "first-seen"]
# Midnight on the wall of a Monday; no holiday and no change of the clock in the fortnight that follows. The shipped
# baselines learned from other people, in March.
MONDAY = datetime(2026, 4, 12, 22, tzinfo=UTC)
RESERVED = range(1000, 1100)  # the cities that the shipped baselines learned from


class BacktestError(Sentence):
    """A backtest that cannot be, with the reason."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days since the start: `warmup` to learn from, `gap` whose incidents do not count, `test` that do."""

    warmup: int = 4
    gap: int = 1
    test: int = 9

    @property
    def first(self) -> int:
        """The first day that counts."""
        return self.warmup + self.gap

    @property
    def days(self) -> int:
        return self.warmup + self.gap + self.test

    @classmethod
    def of(cls, days: int, warmup: int, gap: int) -> Calendar:
        """Raises BacktestError where nothing is left to learn from or to test."""
        if warmup < 1:
            raise BacktestError("without a warm-up day everything is new; say --warmup 1 or more")
        if days - warmup - gap < 2:
            raise BacktestError(f"{days} days with {warmup} of warm-up and a gap of {gap} leave less than two days to test")
        return cls(warmup, gap, days - warmup - gap)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a backtest depends on; equal plans give equal figures."""

    seeds: tuple[int, ...]
    people: int = 300
    calendar: Calendar = field(default_factory=Calendar)
    mode: Mode = "none"
    attacks: tuple[str, ...] = KINDS
    strengths: tuple[str, ...] = STRENGTHS
    repeats: int = 1  # of each attack at each strength, per seed
    budget: int = 20  # notifications a day and tenant
    volume: float = 1.0


def planned(plan: Plan) -> Plan:
    """The plan itself, if it can be carried out; raises BacktestError with the reason if not."""
    unknown = [name for name in plan.attacks if name not in KINDS]
    if unknown != []:
        raise BacktestError(f"no attack is called {unknown[0]}; there are {', '.join(KINDS)}")
    unknown = [name for name in plan.strengths if name not in STRENGTHS]
    if unknown != []:
        raise BacktestError(f"no strength is called {unknown[0]}; there are {', '.join(STRENGTHS)}")
    taken = [seed for seed in plan.seeds if seed in RESERVED]
    if taken != []:
        raise BacktestError(f"seed {taken[0]} is a city that the shipped baselines learned from; choose others than 1000 to 1099")
    if len(plan.seeds) == 0 or len(set(plan.seeds)) < len(plan.seeds):
        raise BacktestError("name one seed or more, each once")
    return plan


def seeds_of(text: str) -> tuple[int, ...]:
    """ "100-104" or "0,3,7". Raises BacktestError otherwise."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last != "" and not last.isdigit()):
            raise BacktestError(f"{text} are no seeds; write 100-104 or 0,3,7")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def placed(plan: Plan, seed: int) -> tuple[Placed, ...]:
    """Each attack at each strength, `repeats` times, spread evenly over the days that count but the last.

    The last day is left for slow attacks to be found. Order and days depend on the seed alone.
    """
    wanted = [(attack, strength) for attack in plan.attacks for strength in plan.strengths for _ in range(plan.repeats)]
    rng = np.random.default_rng([seed, 31])
    order = rng.permutation(len(wanted)).tolist()
    return tuple(_place(plan.calendar, wanted[at], place, seed) for place, at in enumerate(order))


def _place(calendar: Calendar, what: Sequence[str], place: int, seed: int) -> Placed:
    attack, strength = what
    return Placed(attack, strength=strength, day=calendar.first + place % (calendar.test - 1), seed=1000 * seed + place)
