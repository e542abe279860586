"""`make quality`: every figure of docs/quality.md, obtained anew and written between its markers.

`python -m tests.quality --quick` takes a minute or two, prints and writes nothing: it shows that all of it works, not how well.
`python -m tests.quality "backtest none"` renews one part only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from detector.learn.backtest import Calendar, Plan, report
from detector.learn.backtest.command import QUICK, carried_out
from detector.learn.backtest.placing import Mode
from tests.quality.page import PAGE, filled

SEEDS = (100, 101, 102, 103, 104)  # never looked at while tuning
PLAN = Plan(SEEDS, people=250, calendar=Calendar(4, 1, 9))
Part = Callable[[bool], str]  # whether quick -> Markdown


def backtest(mode: Mode, quick: bool) -> str:
    plan = replace(QUICK if quick else PLAN, mode=mode)
    command = f"tuermer backtest --seeds {plan.seeds[0]}-{plan.seeds[-1]} --people {plan.people} --days {plan.calendar.days} --mode {mode}"
    return f"`{command}`\n\n{report.markdown(carried_out(plan, workers=1 if quick else 2))}"


PARTS: Mapping[str, Part] = {
    "backtest none": partial(backtest, "none"),
    "backtest first-seen": partial(backtest, "first-seen"),
}


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    words.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which figures; all without any")
    words.add_argument("--quick", action="store_true", help="small samples, printed and not written")
    chosen = words.parse_args()
    for name in chosen.parts or PARTS:
        figures = PARTS[name](chosen.quick)
        if chosen.quick:
            print(f"## {name}\n\n{figures}")
        else:
            PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), name, figures), encoding="utf-8")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
