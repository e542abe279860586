"""The streams' figures as a terminal table and as markdown for docs/quality.md."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.quality.streams_goals import FEW, judged, named, share, sized, sprays
from tests.quality.streams_measure import LONG, SOON

Figures = Mapping[str, Any]
LEVELS = ("0.01", "0.001", "0.0003", "0.0001")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}".removesuffix(".0")


COLUMNS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("incidents/day", lambda f: f"{f['incidents_a_day']:.2f}"),
    ("worst day", lambda f: str(f["incidents_most"])),
    ("by owner/staff/system", lambda f: "/".join(str(f["opened_by"][who]) for who in ("owner", "staff", "system"))),
    ("bursts", lambda f: _percent(named(f, "bursts"))),
    ("s after 20th", lambda f: f"{f['seconds_after_20th']:.0f}" if "seconds_after_20th" in f else "–"),
    ("scans", lambda f: _percent(named(f, "scans"))),
    ("a", lambda f: _percent(share(sized(f, "a", 0, 1e9)))),
    ("b ≥20", lambda f: _percent(share(sized(f, "b", FEW, 1e9)))),
    ("b all", lambda f: _percent(share(sized(f, "b", 0, 1e9)))),
    ("c ≤3h", lambda f: _percent(share(sprays(f, 0.0, 3.0, SOON)))),
    ("c 9-24h", lambda f: _percent(share(sprays(f, 9.0, 25.0, LONG)))),
    ("c chance", lambda f: _percent(share([chance for _, _, chance in f.get("c", [])]))),
    ("d ≥20", lambda f: _percent(share(sized(f, "d", FEW, 1e9)))),
    ("d all", lambda f: _percent(share(sized(f, "d", 0, 1e9)))),
    ("e 3-4", lambda f: _percent(share(sized(f, "e", 3, 5)))),
    ("e 5-19", lambda f: _percent(share(sized(f, "e", 5, 20)))),
    ("e 20+", lambda f: _percent(share(sized(f, "e", 20, 1e9)))),
)


def rows(host: Figures) -> list[list[str]]:
    """One row per candidate: name, then COLUMNS; the last is ours as shipped, in mode none."""
    all_of = [*host["candidates"].items(), ("ours, mode none", host["none"])]
    return [[name, *(column(figures) for _, column in COLUMNS)] for name, figures in all_of]


def _heading(name: str, host: Figures) -> str:
    first = next(iter(host["candidates"].values()))
    return (
        f"{name}: {first['days']} days of test, {first.get('bursts', 0)} bursts of 20+, {first.get('scans', 0)} vertical scans, "
        f"{host['staff_logins']} staff logins, {first['honest_lines']} honest lines in the test"
    )


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _errors(host: Figures) -> list[str]:
    named_ones = [*host["candidates"].items(), ("ours, mode none", host["none"])]
    return [f"opened in error, {name}: {text}" for name, figures in named_ones if name != "naive rules" for text in figures["honest_texts"]]


def verdicts(found: Figures) -> list[list[str]]:
    """Goals that are not reached, and goals on which somebody is ahead of ours."""
    table = [["host", "goal", "wanted", "ours", "ahead of ours"]]
    for row in judged(found):
        if not row["reached"] or row["ahead"] != []:
            sign = "≤" if row["most"] else "≥"
            ahead = ", ".join(f"{name} ({row['rivals'][name]:.3g})" for name in row["ahead"])
            table.append([row["host"], row["goal"], f"{sign} {row['wanted']:g}", f"{row['ours']:.3g}", ahead or "–"])
    return table


def realised(found: Figures) -> list[list[str]]:
    """Honest rows of all hosts together, models as shipped (mode none): how many fall below a p, against how many should."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for host in found["hosts"].values():
        for name, counts in host["none"]["calibration"].items():
            sums[name].update(counts)
    table = [["honest rows of the real streams", "rows", *(f"at {level} (expected)" for level in LEVELS)]]
    for name, counts in sorted(sums.items()):
        if counts["rows"] > 0:
            cells = [f"{counts[level]} ({counts['rows'] * float(level):.2g})" for level in LEVELS]
            table.append([name, str(counts["rows"]), *cells])
    return table


def terminal(found: Figures) -> str:
    lines = []
    for name, host in found["hosts"].items():
        lines += ["", _heading(name, host), *_aligned([["", *(title for title, _ in COLUMNS)], *rows(host)])]
        lines += _errors(host)
    lines += ["", *_aligned(realised(found)), "", "not reached, or somebody ahead:", *_aligned(verdicts(found))]
    return "\n".join(lines) + "\n"


def _table(table: Sequence[Sequence[str]]) -> list[str]:
    head, *body = table
    return [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *(f"| {' | '.join(row)} |" for row in body), ""]


def markdown(found: Figures) -> str:
    lines = []
    for name, host in found["hosts"].items():
        lines += [f"**{_heading(name, host)}**", "", *_table([["", *(title for title, _ in COLUMNS)], *rows(host)])]
    lines += _table(realised(found))
    lines += ["**Not reached, or somebody ahead of ours**", "", *_table(verdicts(found))]
    return "\n".join(lines)
