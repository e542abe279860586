"""The streams' figures as a terminal table and as markdown for docs/quality.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.quality.streams_measure import LONG, SOON
from tests.quality.streams_people import MINUTE

Figures = Mapping[str, Any]
FEW = 20  # logins of an account below which novelty cannot protect it


def share(found: Sequence[bool]) -> str:
    return f"{100 * sum(found) / len(found):.0f}" if len(found) > 0 else "–"


def _rate(figures: Figures, what: str) -> str:
    return f"{100 * figures[f'{what}_named'] / figures[what]:.1f}" if figures.get(what, 0) > 0 else "–"


def _of(figures: Figures, kind: str, low: float, high: float) -> str:
    return share([found for size, found in figures.get(kind, []) if low <= size < high])


def _sprays(figures: Figures, low: float, high: float, within: int) -> str:
    return share([minutes <= within / MINUTE for hours, minutes, _ in figures.get("c", []) if low <= hours < high])


COLUMNS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("inc/day", lambda f: f"{f['incidents_a_day']:.2f}"),
    ("most", lambda f: str(f["incidents_most"])),
    ("owner/staff/system", lambda f: "/".join(str(f["opened_by"][who]) for who in ("owner", "staff", "system"))),
    ("bursts %", lambda f: _rate(f, "bursts")),
    ("s after 20th", lambda f: f"{f['seconds_after_20th']:.0f}" if "seconds_after_20th" in f else "–"),
    ("scans %", lambda f: _rate(f, "scans")),
    ("a", lambda f: _of(f, "a", 0, 1e9)),
    ("b ≥20", lambda f: _of(f, "b", FEW, 1e9)),
    ("b all", lambda f: _of(f, "b", 0, 1e9)),
    ("c ≤3h", lambda f: _sprays(f, 0.0, 3.0, SOON)),
    ("c 9-24h", lambda f: _sprays(f, 9.0, 25.0, LONG)),
    ("c chance", lambda f: share([chance for _, _, chance in f.get("c", [])])),
    ("d ≥20", lambda f: _of(f, "d", FEW, 1e9)),
    ("d all", lambda f: _of(f, "d", 0, 1e9)),
    ("e 3-4", lambda f: _of(f, "e", 3, 5)),
    ("e 5-19", lambda f: _of(f, "e", 5, 20)),
    ("e 20+", lambda f: _of(f, "e", 20, 1e9)),
)


def rows(host: Mapping[str, Any]) -> list[list[str]]:
    """One row per candidate: name, then COLUMNS; the last is ours as shipped, in mode none."""
    all_of = [*host["candidates"].items(), ("ours, mode none", host["none"])]
    return [[name, *(column(figures) for _, column in COLUMNS)] for name, figures in all_of]


def _heading(name: str, host: Mapping[str, Any]) -> str:
    first = next(iter(host["candidates"].values()))
    return (
        f"{name}: {first['days']} days of test, {first.get('bursts', 0)} bursts of 20+, {first.get('scans', 0)} vertical scans, "
        f"{host['staff_logins']} staff logins, {first['honest_lines']} honest lines in the test"
    )


def terminal(found: Mapping[str, Any]) -> str:
    lines = []
    for name, host in found["hosts"].items():
        table = [["", *(title for title, _ in COLUMNS)], *rows(host)]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines += ["", _heading(name, host)]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
        lines += [
            f"calibration, {mode}: {figures}" for mode, figures in (("profile", host["calibration"]), ("none", host["none"]["calibration"]))
        ]
        for candidate, figures in [*host["candidates"].items(), ("none", host["none"])]:
            lines += [f"opened in error, {candidate}: {text}" for text in figures["honest_texts"]] if candidate != "naive rules" else []
    return "\n".join(lines) + "\n"


def markdown(found: Mapping[str, Any]) -> str:
    lines = []
    for name, host in found["hosts"].items():
        titles = [title for title, _ in COLUMNS]
        lines += [f"**{_heading(name, host)}**", "", f"| | {' | '.join(titles)} |", f"| --- |{' --- |' * len(titles)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows(host)]
        lines.append("")
    return "\n".join(lines)
