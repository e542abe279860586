"""Where things stand on the report's plots: numbers in pixels; templates/report.html draws them as inline SVG."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from detector.learn.backtest.measures import Cell, Estimate, Figures

LEFT, WIDE, LINE = 170.0, 460.0, 34.0  # px: room for names, the axis, a row
SECOND, DAY = 1e6, 86_400e6  # µs
TICKS = (
    (10 * SECOND, "10 s"),
    (60 * SECOND, "1 min"),
    (300 * SECOND, "5 min"),
    (3600 * SECOND, "1 h"),
    (6 * 3600 * SECOND, "6 h"),
    (DAY, "1 d"),
)
MOST = 60  # incidents a day; the axis ends there


@dataclass(frozen=True, slots=True)
class Mark:
    """A value on a horizontal axis with its interval."""

    y: float
    x: float
    low: float
    high: float
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    y: float
    marks: tuple[Mark | None, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Rows of marks over an axis; ticks are (x, text)."""

    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    height: float
    left: float = LEFT
    width: float = LEFT + WIDE + 70


def bars(figures: Sequence[Figures]) -> Plot:
    """Recall at usual strength and precision of each rival."""
    rows = []
    for place, one in enumerate(figures):
        y = 10 + place * LINE
        rows.append(Row(one.rival, y, (_rate(one.recall.get("usual"), y + 4), _rate(one.precision, y + 17))))
    ticks = tuple((LEFT + WIDE * tenth / 10, f"{10 * tenth} %") for tenth in range(0, 11, 2))
    return Plot(tuple(rows), ticks, 10 + len(rows) * LINE)


def _rate(estimate: Estimate | None, y: float) -> Mark | None:
    if estimate is None:
        return None
    x, low, high = (LEFT + WIDE * min(max(v, 0.0), 1.0) for v in (estimate.value, estimate.low, estimate.high))
    return Mark(y, x, low, high, f"{100 * estimate.value:.0f} %")


@dataclass(frozen=True, slots=True)
class Square:
    """Found of placed; shade 0 (none) to 4 (all)."""

    text: str
    shade: int


def grid(figures: Sequence[Figures], strength: str = "usual") -> list[tuple[str, list[Square]]]:
    """By attack, one square per rival."""
    cells = [{cell.kind: cell for cell in one.cells if cell.strength == strength} for one in figures]
    kinds = list(dict.fromkeys(cell.kind for cell in figures[0].cells))
    return [(kind, [_square(of.get(kind)) for of in cells]) for kind in kinds]


def _square(cell: Cell | None) -> Square:
    return Square("–", 0) if cell is None else Square(f"{cell.found}/{cell.placed}", math.floor(4 * cell.found / cell.placed))


def delays(figures: Figures) -> Plot:
    """Median (the mark) to 90th percentile of the time to detect, by attack at usual strength."""
    mine = sorted((cell for cell in figures.cells if cell.strength == "usual"), key=lambda cell: (cell.median is None, cell.median or 0.0))
    rows = []
    for place, cell in enumerate(mine):
        y = 18 + place * 20.0
        mark = None
        if cell.median is not None and cell.ninetieth is not None:
            mark = Mark(y, _when(cell.median), _when(cell.median), _when(cell.ninetieth), f"{cell.found}/{cell.placed}")
        rows.append(Row(cell.kind, y, (mark,)))
    return Plot(tuple(rows), tuple((_when(at), text) for at, text in TICKS), 18 + len(rows) * 20.0)


def _when(micros: float) -> float:
    first, last = math.log(SECOND), math.log(2 * DAY)
    return LEFT + WIDE * (math.log(min(max(micros, SECOND), 2 * DAY)) - first) / (last - first)


def days(figures: Sequence[Figures], budget: int) -> Plot:
    """Share of tenant-days by number of incidents: a mark's `high - low` is its height in pixels, upwards from y."""
    rows = []
    for place, one in enumerate(figures):
        y = 40 + place * 44.0
        counts = Counter(min(n, MOST) for n in one.per_day)
        highest = max(counts.values(), default=1)
        marks = tuple(Mark(y, _count(n), 0.0, 32.0 * counts[n] / highest, f"{n}: {counts[n]}") for n in sorted(counts))
        rows.append(Row(one.rival, y, marks))
    ticks = tuple((_count(n), f"{n}{'+' if n == MOST else ''}") for n in sorted({0, 5, 10, budget, 40, MOST}))
    return Plot(tuple(rows), ticks, 40 + len(rows) * 44.0)


def _count(incidents: int) -> float:
    return LEFT + WIDE * incidents / MOST


def calibration(figures: Figures) -> Plot:
    """Realised over nominal share of honest rows at p = 1e-3 (the mark's row), on an axis from a tenth to ten times."""
    rows = []
    for place, one in enumerate(figures.calibration):
        y = 18 + place * 24.0
        marks = tuple(_ratio(one.realised.get(level), y, level) for level in ("0.001", "0.0001"))
        rows.append(Row(one.model, y, marks))
    ticks = tuple((_times(at), f"{at:g}×") for at in (0.1, 0.5, 1.0, 1.5, 3.0, 10.0))
    return Plot(tuple(rows), ticks, 18 + len(rows) * 24.0)


def _ratio(value: float | None, y: float, level: str) -> Mark | None:
    return None if value is None else Mark(y, _times(value), _times(value), _times(value), f"p ≤ {level}: {value:.2f}×")


def _times(value: float) -> float:
    return LEFT + WIDE * (math.log10(min(max(value, 0.1), 10.0)) + 1.0) / 2.0
