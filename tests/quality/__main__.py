"""`make quality`: every figure of docs/quality.md, obtained anew and written between its markers.

`python -m tests.quality --quick` takes small samples, prints and writes nothing: it shows that all of it works, not how well.
`python -m tests.quality "backtest none"` renews one part only. What needs ../shared/datasets is left as it is where they are absent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from detector.backtest import QUICK, carried_out
from detector.learn.backtest import Calendar, Plan, report
from detector.learn.backtest.placing import Mode
from tests.quality.page import PAGE, filled

DATASETS = Path(__file__).parents[3] / "shared" / "datasets"
SEEDS = (100, 101, 102, 103, 104)  # never looked at while tuning
PLAN = Plan(SEEDS, people=120, calendar=Calendar(4, 1, 9))
Part = Callable[[bool], str]  # whether quick -> Markdown


def backtest(mode: Mode, quick: bool) -> str:
    plan = replace(QUICK if quick else PLAN, mode=mode)
    command = f"tuermer backtest --seeds {plan.seeds[0]}-{plan.seeds[-1]} --people {plan.people} --days {plan.calendar.days} --mode {mode}"
    return f"`{command}`\n\n{report.markdown(carried_out(plan, workers=1 if quick else 2))}"


def streams(quick: bool) -> str:
    """Recorded streams with injected episodes; needs ../shared/datasets."""
    from tests.quality import streams, streams_report

    return "`python -m tests.quality.streams`\n\n" + streams_report.markdown(streams.run(quick))


def takeovers(quick: bool) -> str:
    """Takeovers in a town of 2,000 people; minutes a seed, so the quick look takes one."""
    from tests.quality import takeover_report

    seeds = [100] if quick else [100, 101]
    table = takeover_report.report(seeds)
    missed = takeover_report.missed(table) or ["All goals reached."]
    command = f"`python -m tests.quality.takeover_report --seeds {' '.join(map(str, seeds))}`"
    return "\n\n".join([command, "\n".join(takeover_report.lines(table)), "Not reached:\n\n" + "\n".join(f"- {line}" for line in missed)])


def scoring(quick: bool) -> str:
    """Scoring alone, on published data sets; needs ../shared/datasets."""
    from tests.bench import bench_detection

    seeds = 1 if quick else bench_detection.SEEDS
    found = dict(bench_detection.figures(seeds))
    return f"`make bench-detection` ({seeds} seeds)\n\n```\n" + "\n".join(bench_detection.report(found)).strip() + "\n```"


PARTS: Mapping[str, Part] = {
    "backtest none": partial(backtest, "none"),
    "backtest first-seen": partial(backtest, "first-seen"),
    "real streams": streams,
    "takeovers": takeovers,
    "scoring": scoring,
}
RECORDED = ("real streams", "scoring")  # parts that need ../shared/datasets


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    words.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all without any")
    words.add_argument("--quick", action="store_true", help="small samples, printed and not written")
    chosen = words.parse_args()
    unknown = [name for name in chosen.parts if name not in PARTS]
    if unknown:
        words.error(f"there is no part {unknown[0]}; there are: {', '.join(PARTS)}")
    for name in chosen.parts or PARTS:
        if name in RECORDED and not DATASETS.is_dir():
            print(f"{name}: no ../shared/datasets, left as it is")
            continue
        figures = PARTS[name](chosen.quick)
        if chosen.quick:
            print(f"## {name}\n\n{figures}")
        else:
            PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), name, figures), encoding="utf-8")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
