"""A backtest as a table for the terminal, as JSON, as lines for docs/quality.md and as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from rich.table import Table

from detector.learn.backtest import plots
from detector.learn.backtest.campaign import Report
from detector.learn.backtest.measures import SLOW, Cell, Estimate, Figures

HERE = Path(__file__).parent
STRENGTHS = ("loud", "usual", "quiet")
FATES = {
    "found": "notified",
    "held": "held back by the budget",
    "recorded": "added to an incident that was already known",
    "near": "came within ten times the threshold",
    "unseen": "not seen",
}


def as_json(report: Report) -> dict[str, Any]:
    """Everything, as plain values: rates are shares of 1, delays µs, `minutes` minutes."""
    found: dict[str, Any] = msgspec.to_builtins(report)
    found["goals"] = [{"goal": goal, "reached": reached, "figure": figure} for goal, figure, reached in goals(report)]
    return found


def goals(report: Report) -> list[tuple[str, str, bool]]:
    """(goal, figure, whether reached) of issue 4 for our own scoring: the mean over the seeds counts, not its interval."""
    ours, *others = report.figures
    usual = ours.recall.get("usual")
    quick, slow = ours.minutes["quick median"], ours.minutes["slow median"]
    found = [
        ("recall of incidents at usual strength ≥ 90 %", share(usual), usual is not None and usual.value >= 0.90),
        (f"precision ≥ 60 % at ≤ {report.plan.budget} a day", share(ours.precision), _at_least(ours.precision, 0.60)),
        ("median time to detect ≤ 5 min", minutes(quick), quick is not None and quick <= 5.0),
        ("slow attacks: median ≤ 24 h", minutes(slow), slow is not None and slow <= 24 * 60.0),
        (f"≥ 95 % of days with ≤ {report.plan.budget} incidents", share(ours.within_budget), ours.within_budget.value >= 0.95),
    ]
    behind = [other.rival for other in others if balance(other) > balance(ours)]
    return [*found, ("ahead of every baseline (F1 of recall at usual strength and precision)", ", ".join(behind) or "yes", behind == [])]


def _at_least(estimate: Estimate | None, limit: float) -> bool:
    return estimate is not None and estimate.value >= limit


def balance(figures: Figures) -> float:
    """Harmonic mean of recall at usual strength and precision: one number to compare rivals that trade the one for the other."""
    recall, precision = figures.recall.get("usual"), figures.precision
    if recall is None or precision is None or recall.value + precision.value == 0.0:
        return 0.0
    return 2 * recall.value * precision.value / (recall.value + precision.value)


HEAD = (
    "", "recall usual", "loud", "quiet", "only combined", "precision", "without noise", "incidents/day", "notified/day", "false/day",
    "days in budget", "median", "90th", "slow median", "at 0.1 % FP",
)  # fmt: skip


def row(figures: Figures) -> list[str]:
    """One rival's line under HEAD."""
    m = figures.minutes
    return [
        figures.rival, *(share(figures.recall.get(s)) for s in ("usual", "loud", "quiet")), share(figures.combined),
        share(figures.precision), share(figures.precision_without_noise), number(figures.incidents_a_day), number(figures.notified_a_day),
        number(figures.false_a_day), share(figures.within_budget), minutes(m["quick median"]), minutes(m["quick ninetieth"]),
        minutes(m["slow median"]), share(figures.at_false_positives),
    ]  # fmt: skip


def share(estimate: Estimate | None) -> str:
    """A rate in percent with its interval; a single city has none."""
    if estimate is None:
        return "–"
    value, low, high = (100 * min(max(part, 0.0), 1.0) for part in (estimate.value, estimate.low, estimate.high))
    return f"{value:.0f} %" if estimate.low == estimate.high else f"{value:.0f} % ({low:.0f}–{high:.0f})"


def number(estimate: Estimate) -> str:
    interval = "" if estimate.low == estimate.high else f" ({max(estimate.low, 0.0):.1f}–{estimate.high:.1f})"
    return f"{estimate.value:.1f}{interval}"


def minutes(value: float | None) -> str:
    if value is None:
        return "–"
    if value < 1.0:
        return f"{60 * value:.0f} s"
    return f"{value:.1f} min" if value < 90 else f"{value / 60:.1f} h"


def about(report: Report) -> str:
    plan, calendar = report.plan, report.plan.calendar
    return (
        f"{len(plan.seeds)} cities (seeds {plan.seeds[0]}–{plan.seeds[-1]}) of {plan.people} people at 3 sites, {calendar.days} days each "
        f"({calendar.warmup} to learn from, {calendar.gap} gap, {calendar.test} tested), person_memory = {plan.mode}; "
        f"{report.lines:,} lines, {report.placed} attacks; budget {plan.budget} notifications a day and tenant"
    )


def tables(report: Report) -> Iterator[Table]:
    """For the terminal: rivals, goals, our own finds by attack."""
    rivals = Table(title=about(report), title_justify="left")
    for name in HEAD:
        rivals.add_column(name, justify="left" if name == "" else "right")
    for figures in report.figures:
        rivals.add_row(*row(figures))
    yield rivals
    reached = Table("goal", "figure", "reached")
    for goal, figure, yes in goals(report):
        reached.add_row(goal, figure, "yes" if yes else "no")
    yield reached
    attacks = Table("attack", *STRENGTHS, "median time (usual)")
    for kind, cells, delay in by_attack(report.figures[0]):
        attacks.add_row(kind, *cells, delay)
    yield attacks


def by_attack(figures: Figures) -> Iterator[tuple[str, list[str], str]]:
    """(attack, found of placed at each of STRENGTHS, median delay at usual strength)."""
    cells = {(cell.kind, cell.strength): cell for cell in figures.cells}
    for kind in dict.fromkeys(kind for kind, _ in cells):
        usual = cells.get((kind, "usual"))
        delay = minutes(None if usual is None or usual.median is None else usual.median / 60e6)
        yield kind, [_of(cells.get((kind, strength))) for strength in STRENGTHS], delay


def _of(cell: Cell | None) -> str:
    return "–" if cell is None else f"{cell.found}/{cell.placed}"


def markdown(report: Report) -> str:
    """The same for docs/quality.md."""
    parts = [about(report) + ".", _table(HEAD, [row(figures) for figures in report.figures])]
    parts.append(_table(("goal", "figure", "reached"), [(goal, figure, "yes" if yes else "**no**") for goal, figure, yes in goals(report)]))
    for figures in report.figures[:2]:
        rows = [(kind, *cells, delay) for kind, cells, delay in by_attack(figures)]
        parts.append(f"Found of placed, {figures.rival}:\n\n" + _table(("attack", *STRENGTHS, "median time (usual)"), rows))
    parts.append("What became of the attacks, ours:\n\n" + _table(("", "attacks"), fates(report.figures[0])))
    levels = list(report.figures[0].calibration[0].realised) if report.figures[0].calibration else []
    parts.append(
        "Honest rows at or below p, realised over nominal (1 is exact):\n\n"
        + _table(
            ("model", "rows", *levels), [(c.model, f"{c.rows:,}", *map(_ratio, c.realised.values())) for c in report.figures[0].calibration]
        )
    )
    return "\n\n".join(parts) + "\n"


def fates(figures: Figures) -> list[tuple[str, str]]:
    return [(text, str(figures.fates.get(name, 0))) for name, text in FATES.items()]  # type: ignore[call-overload]


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def html(report: Report) -> str:
    """One page that needs nothing from elsewhere: no script, no font, no picture but its own."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"share": share, "number": number, "minutes": minutes, "ratio": _ratio}
    return environment.get_template("report.html").render(
        report=report, about=about(report), goals=goals(report), head=HEAD, row=row, strengths=STRENGTHS, slow=SLOW,
        fates=fates, bars=plots.bars(report.figures), grid=plots.grid(report.figures), delays=plots.delays(report.figures[0]),
        days=plots.days(report.figures, report.plan.budget), calibration=plots.calibration(report.figures[0]),
    )  # fmt: skip
