"""Several cities at once, each in a process of its own, and one result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized

from detector.learn.backtest.measures import Figures, figures
from detector.learn.backtest.placing import Plan, planned
from detector.learn.backtest.running import Seed, carried, city
from detector.learn.backtest.stream import Days

_days: Synchronized[int] | None = None  # days done by all processes, for the progress bar


@dataclass(frozen=True, slots=True)
class Report:
    """A backtest: its plan, what it ran through, and every rival's figures, ours first."""

    plan: Plan
    what: str
    lines: int
    placed: int
    models: dict[str, str]
    figures: list[Figures]


Progress = Callable[[int, int], None]  # simulated or recorded days done, and those to do


def run(plan: Plan, workers: int = 1, progress: Progress = lambda _done, _of: None) -> Report:
    """Carry the plan out in simulated cities. Raises BacktestError for a wrong plan."""
    what = (
        f"{len(plan.seeds)} simulated {'city' if len(plan.seeds) == 1 else 'cities'} (seeds {_listed(plan.seeds)}) of {plan.people} people"
    )
    return _report(plan, f"{what} at 3 sites", _carried(planned(plan), workers, progress))


def run_recorded(days: Days, plan: Plan, what: str, progress: Progress = lambda _done, _of: None) -> Report:
    """The same over days that were recorded; of the plan only calendar and budget matter."""
    done = iter(range(1, plan.calendar.days + 1))
    return _report(plan, what, [carried(days, plan, 0, lambda: progress(next(done), plan.calendar.days))])


def _listed(seeds: Sequence[int]) -> str:
    whole = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}–{seeds[-1]}" if whole else ", ".join(map(str, seeds))


def _report(plan: Plan, what: str, seeds: Sequence[Seed]) -> Report:
    return Report(
        plan, what, sum(seed.lines for seed in seeds), sum(len(seed.labels) for seed in seeds), seeds[0].models,
        [figures(seeds, name, plan.budget) for name in seeds[0].outcomes],
    )  # fmt: skip


def _carried(plan: Plan, workers: int, progress: Progress) -> list[Seed]:
    """One process per city, at most `workers` at once; in this process when there is one worker."""
    of = len(plan.seeds) * plan.calendar.days
    if workers == 1:
        done = iter(range(1, of + 1))
        return [city(plan, seed, lambda: progress(next(done), of)) for seed in plan.seeds]
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
    return city(plan, seed, _told)


def _told() -> None:
    if _days is not None:
        with _days.get_lock():
            _days.value += 1
