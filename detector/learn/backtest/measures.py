"""From what the rivals said to figures with confidence intervals. Rates are shares of 1, times µs; None = nothing to say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from detector.judge.budget import local_day
from detector.judge.policy import ZONE
from detector.learn.backtest.ledger import Sighting
from detector.learn.backtest.matching import Fate, Find, Verdict, find, verdict
from detector.learn.backtest.running import DAY, Outcome, Seed
from detector.learn.backtest.tally import BINS, LEVELS, LOWEST, WIDTH, Tally

SLOW = ("slow-scan", "slow-exfiltration", "beaconing")  # attacks that are nothing in their first minutes, by their nature
COMBINED = ("odd-hour-hosts", "odd-service", "odd-path")  # odd only in combination: the forests must earn their place there
FALSE_POSITIVES = 1e-3
MINUTE = 60_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with its 95 % interval (Student's t); the interval is the value itself with a single seed."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One attack at one strength, all seeds together: found of placed, Wilson's 95 % interval, and the time it took (µs)."""

    kind: str
    strength: str
    placed: int
    found: int
    low: float
    high: float
    median: float | None
    ninetieth: float | None
    fates: dict[Fate, int]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one model's honest rows: how many, and the share at or below each level over that level (1 is exact)."""

    model: str
    rows: int
    realised: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Figures:
    """One rival in one mode."""

    rival: str
    recall: dict[str, Estimate]  # by strength: attacks found at the budget
    recorded: dict[str, Estimate]  # by strength: attacks with an event in any incident, notified or not
    combined: Estimate | None  # recall of what is odd only in combination, all strengths
    precision: Estimate | None  # finds / (finds + false notifications)
    precision_without_noise: Estimate | None
    incidents_a_day: Estimate  # that began, per tenant
    notified_a_day: Estimate  # per tenant
    false_a_day: Estimate  # notified and false, per tenant
    within_budget: Estimate  # tenant-days with no more incidents than the budget
    busiest_day: int
    minutes: dict[str, float | None]  # to detect at usual strength: median and 90th percentile, of quick and of slow attacks
    at_false_positives: Estimate | None  # share of an attack's events above the honest events' 99.9 % quantile, mean over attacks
    any_at_false_positives: Estimate | None  # attacks with at least one such event
    verdicts: dict[Verdict, int]  # of notified incidents
    fates: dict[Fate, int]
    false_because: list[tuple[str, str, int]]  # (model, leading feature, false notifications), the most frequent first
    calibration: list[Calibration]
    cells: list[Cell]
    per_day: list[int]  # incidents that began, of every tenant-day


def figures(seeds: Sequence[Seed], rival: str, budget: int) -> Figures:
    """One rival's figures over the seeds of one mode."""
    cities = [_City(seed, seed.outcomes[rival]) for seed in seeds]
    finds = [one for city in cities for one in city.finds]
    strengths = list(dict.fromkeys(one.label.strength for one in finds))
    return Figures(
        rival,
        recall={strength: _recall(cities, strength, ("found",)) for strength in strengths},
        recorded={strength: _recall(cities, strength, ("found", "held", "recorded")) for strength in strengths},
        combined=_maybe(cities, _City.combined),
        precision=_maybe(cities, lambda c: c.precision(noise=True)),
        precision_without_noise=_maybe(cities, lambda c: c.precision(noise=False)),
        incidents_a_day=_over(cities, lambda c: float(np.mean(c.per_day))),
        notified_a_day=_over(cities, lambda c: len(c.notified) / len(c.per_day)),
        false_a_day=_over(cities, lambda c: (c.verdicts["honest"] + c.verdicts["noise"]) / len(c.per_day)),
        within_budget=_over(cities, lambda c: float(np.mean([n <= budget for n in c.per_day]))),
        busiest_day=max(n for city in cities for n in city.per_day),
        minutes=_minutes(finds),
        at_false_positives=_maybe(cities, lambda c: c.above(of_events=True)),
        any_at_false_positives=_maybe(cities, lambda c: c.above(of_events=False)),
        verdicts=dict(sum((city.verdicts for city in cities), Counter())),
        fates=dict(Counter(one.fate for one in finds)),
        false_because=_because(cities),
        calibration=calibration([city.outcome.tally for city in cities]),
        cells=_cells(finds),
        per_day=[n for city in cities for n in city.per_day],
    )


class _City:
    """One rival in one city, as far as the figures need it."""

    def __init__(self, seed: Seed, outcome: Outcome) -> None:
        self.outcome, self._seed = outcome, seed
        self.finds = [find(label, outcome.sightings, closest(outcome.tally.attack.get(label.number))) for label in seed.labels]
        self.notified = [s for s in outcome.sightings if any(at >= seed.begin for at in s.sent)]
        verdicts = [verdict(s, seed.labels) for s in self.notified]
        self.verdicts: Counter[Verdict] = Counter(verdicts)
        self.false = [s for s, of in zip(self.notified, verdicts, strict=True) if of in ("honest", "noise")]
        self.per_day = _per_day(seed, outcome.sightings)

    def recall(self, strength: str, fates: Sequence[Fate]) -> float:
        mine = [one.fate in fates for one in self.finds if one.label.strength == strength]
        return float(np.mean(mine)) if mine else math.nan

    def combined(self) -> float | None:
        mine = [one.fate == "found" for one in self.finds if one.label.kind in COMBINED]
        return float(np.mean(mine)) if mine else None

    def precision(self, *, noise: bool) -> float | None:
        found = sum(one.fate == "found" for one in self.finds)
        false = self.verdicts["honest"] + (self.verdicts["noise"] if noise else 0)
        return found / (found + false) if found + false > 0 else None

    def above(self, *, of_events: bool) -> float | None:
        """Attacks above the margin that a share of FALSE_POSITIVES of the honest events reaches."""
        if self.outcome.tally.honest.sum() == 0:
            return None
        from_bin = quantile_bin(self.outcome.tally.honest, FALSE_POSITIVES)
        found = [self.outcome.tally.attack.get(label.number, np.zeros(BINS, np.int64)) for label in self._seed.labels]
        shares = [float(one[from_bin:].sum() / max(one.sum(), 1)) for one in found]
        return float(np.mean(shares if of_events else [share > 0 for share in shares])) if shares else None


def closest(histogram: NDArray[np.int64] | None) -> float:
    """The largest margin in it."""
    filled = np.flatnonzero(histogram) if histogram is not None else np.zeros(0, np.int64)
    return LOWEST + WIDTH * float(filled[-1] + 1) if len(filled) > 0 else -math.inf


def quantile_bin(histogram: NDArray[np.int64], share: float) -> int:
    """The first bin from which on at most that share lies; never the lowest, where nothing was said."""
    above = np.cumsum(histogram[::-1])[::-1]
    return max(1, int(np.argmax(np.append(above, 0) <= share * above[0])))


def _per_day(seed: Seed, sightings: Iterable[Sighting]) -> list[int]:
    """Incidents that began on each day that counts, by tenant; a tenant without any has zeros."""
    days = range((seed.end - seed.begin) // DAY)
    tenants = sorted({label.tenant for label in seed.labels} | {s.tenant for s in sightings})
    first = local_day(seed.begin + DAY // 2, ZONE)
    counts = Counter((s.tenant, local_day(s.opened, ZONE) - first) for s in sightings if s.opened >= seed.begin)
    return [counts[tenant, day] for tenant in tenants for day in days]


def _because(cities: Sequence[_City]) -> list[tuple[str, str, int]]:
    counts = Counter((s.model, s.because) for city in cities for s in city.false)
    return [(model, feature, n) for (model, feature), n in counts.most_common()]


def _recall(cities: Sequence[_City], strength: str, fates: Sequence[Fate]) -> Estimate:
    return _over(cities, lambda city: city.recall(strength, fates))


def _over(cities: Sequence[_City], of: Callable[[_City], float]) -> Estimate:
    return estimate([value for value in map(of, cities) if not math.isnan(value)])


def _maybe(cities: Sequence[_City], of: Callable[[_City], float | None]) -> Estimate | None:
    values = [value for value in map(of, cities) if value is not None]
    return estimate(values) if values else None


def estimate(values: Sequence[float]) -> Estimate:
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, mean, mean)
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Estimate(mean, mean - half, mean + half)


def wilson(found: int, of: int) -> tuple[float, float]:
    """95 % interval of a share."""
    z = 1.959964
    centre, spread = found / of + z * z / (2 * of), z * math.sqrt(found / of * (1 - found / of) / of + z * z / (4 * of * of))
    return max(0.0, (centre - spread) / (1 + z * z / of)), min(1.0, (centre + spread) / (1 + z * z / of))


def _minutes(finds: Sequence[Find]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name, slow in (("quick", False), ("slow", True)):
        delays = [f.delay for f in finds if f.delay is not None and f.label.strength == "usual" and (f.label.kind in SLOW) == slow]
        for word, q in (("median", 0.5), ("ninetieth", 0.9)):
            found[f"{name} {word}"] = float(np.quantile(delays, q)) / MINUTE if delays else None
    return found


def _cells(finds: Sequence[Find]) -> list[Cell]:
    groups: dict[tuple[str, str], list[Find]] = {}
    for one in finds:
        groups.setdefault((one.label.kind, one.label.strength), []).append(one)
    return [_cell(kind, strength, mine) for (kind, strength), mine in sorted(groups.items())]


def _cell(kind: str, strength: str, mine: Sequence[Find]) -> Cell:
    delays = [one.delay for one in mine if one.delay is not None]
    low, high = wilson(len(delays), len(mine))
    median, ninetieth = (float(np.quantile(delays, q)) if delays else None for q in (0.5, 0.9))
    return Cell(kind, strength, len(mine), len(delays), low, high, median, ninetieth, dict(Counter(one.fate for one in mine)))


def calibration(tallies: Sequence[Tally]) -> list[Calibration]:
    """Realised over nominal share of honest rows, all seeds together."""
    models = sorted({name for tally in tallies for name in tally.calibration})
    found = []
    for name in models:
        counts = np.sum([tally.calibration[name] for tally in tallies if name in tally.calibration], axis=0)
        shares = {
            f"{level:g}": float(n / counts[0] / level) if counts[0] > 0 else None for level, n in zip(LEVELS, counts[1:], strict=True)
        }
        found.append(Calibration(name, int(counts[0]), shares))
    return found
