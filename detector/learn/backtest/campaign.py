"""Several cities at once, each in a process of its own, and one result."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized

from detector.learn.backtest.measures import Figures, figures
from detector.learn.backtest.placing import Plan, planned
from detector.learn.backtest.running import Seed, carried

_days: Synchronized[int] | None = None  # days done by all processes, for the progress bar


@dataclass(frozen=True, slots=True)
class Report:
    """A backtest: its plan, what was carried, and every rival's figures, ours first."""

    plan: Plan
    lines: int
    placed: int
    models: dict[str, str]
    figures: list[Figures]


def run(plan: Plan, workers: int = 1, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Report:
    """Carry the plan out; `progress` is told the simulated days done and those to do. Raises BacktestError for a wrong plan."""
    seeds = _carried(planned(plan), workers, progress)
    names = list(seeds[0].outcomes)
    return Report(
        plan, sum(seed.lines for seed in seeds), sum(len(seed.labels) for seed in seeds), seeds[0].models,
        [figures(seeds, name, plan.budget) for name in names],
    )  # fmt: skip


def _carried(plan: Plan, workers: int, progress: Callable[[int, int], None]) -> list[Seed]:
    """One process per city, at most `workers` at once; in this process when there is one worker."""
    of = len(plan.seeds) * plan.calendar.days
    if workers == 1:
        done = iter(range(1, of + 1))
        return [carried(plan, seed, lambda: progress(next(done), of)) for seed in plan.seeds]
    context = get_context("spawn")  # forked, polars would hang
    days = context.Value("i", 0)
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(days,)) as pool:
        jobs = [pool.submit(_city, plan, seed) for seed in plan.seeds]
        left = set(jobs)
        while left:
            _, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)
            progress(days.value, of)
        return [job.result() for job in jobs]


def _begin(days: Synchronized[int]) -> None:
    global _days  # a process of the pool is given its counter once, when it starts
    _days = days


def _city(plan: Plan, seed: int) -> Seed:
    return carried(plan, seed, _told)


def _told() -> None:
    if _days is not None:
        with _days.get_lock():
            _days.value += 1
