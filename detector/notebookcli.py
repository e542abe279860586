"""The verb `notebooks`: JupyterLab with a practice town, or what is missing for it."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from detector.options import Failed

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def notebooks(
    *,
    folder: Path = Path("var/notebooks"),
    days: Annotated[int, Parameter(validator=Number(gte=3, lte=28))] = 14,
    people: Annotated[int, Parameter(validator=Number(gte=20, lte=400))] = 60,
    only_town: bool = False,
) -> None:
    """Open JupyterLab on the notebooks, with an embedded database and a simulated town: the whole round without any server.

    Parameters
    ----------
    folder
        Where town, database and practice keys lie; delete it to begin anew.
    days
        Of the town; they end at the last midnight.
    only_town
        Make the town and do not open JupyterLab.
    """
    from detector import practice
    from detector.learn.notebook.session import Practice

    if not only_town and importlib.util.find_spec("jupyterlab") is None:
        raise Failed("JupyterLab is not installed: `make notebooks` installs it from requirements-notebooks.lock")
    if not practice.exists(folder):
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        town = Practice(11, people, days, (midnight - timedelta(days=days)).isoformat(), practice.TENANT)
        with _bar(days * 24) as bar:
            practice.make(folder, town, bar)
    if only_town:
        print(f"The practice town lies in {folder}; without --only-town the notebooks open on it.")
        return
    with practice.lab(folder, NOTEBOOKS) as command, contextlib.suppress(KeyboardInterrupt):
        subprocess.run(command, check=False)


@contextlib.contextmanager
def _bar(hours: int) -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("practice town"), BarColumn(), TextColumn("{task.completed}/{task.total} h"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("hours", total=hours)
        yield lambda done, of: bar.update(task, completed=done, total=of)
