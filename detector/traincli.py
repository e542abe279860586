"""The verb `train`: words in, a candidate's folder out. As in `cli`, it parses, calls and prints."""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from detector.options import DEFAULT_CONFIG, ConfigFile, Failed

if TYPE_CHECKING:
    from detector.config import Config
    from detector.forest.detector import Detector
    from detector.learn.training import Made
    from detector.store import Database

DAY = 86_400_000_000  # µs
ROWS = {"prior": "of the simulated prior", "tenant": "of the tenant", "given_back": "of incidents that were none"}


def train(
    model: str = "",
    *,
    tenant: str = "",
    begin: Annotated[str, Parameter(name="--from")] = "",
    end: Annotated[str, Parameter(name="--to")] = "",
    calibrate_only: bool = False,
    seed: int = 0,
    out: Path = Path("candidates"),
    by: str = "",
    key: Path | None = None,
    passphrase_file: Path | None = None,
    listed: Annotated[bool, Parameter(name="--list")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Train a candidate from what SCORE kept of a tenant's days, beside the simulated prior. The model in use stays as it is.

    Parameters
    ----------
    tenant
        Whose rows; may be left out where there is one tenant.
    begin, end
        Days, 2026-11-01, or times, 2026-11-01T12:00, UTC. Without them the last days, as [training] window_days says.
    calibrate_only
        Keep the forests of the model in use; only what p-values mean is made anew.
    out
        The candidate's folder is made in here.
    by
        Your name, for the manifest; --key knows it.
    key
        Your key file (`tuermer keys new person`): signs the candidate. The passphrase from --passphrase-file, TUERMER_PASSPHRASE
        or the terminal.
    listed
        Only say which days have rows.
    """
    from detector import desk
    from detector.learn import signing
    from detector.learn.training import Wish, candidate
    from detector.privacy import people
    from detector.privacy.keyfiles import passphrase

    environ, now = dict(os.environ), time.time_ns() // 1000
    person = None if key is None else people.unlock(key, passphrase(passphrase_file, environ))
    with desk.visiting(config, environ) as (settings, database):
        whose = tenant or _only_tenant(settings)
        if listed or model == "":
            Console().print(_days(database, whose, model))
            return
        last = now if end == "" else _moment(end)
        first = last - settings.training.window_days * DAY if begin == "" else _moment(begin)
        champion = _champion(settings, database, whose, model) if calibrate_only else None
        who = by if person is None else person.name
        with _bar() as tell:
            wish = Wish(model, whose, first, last, seed, calibrate_only=calibrate_only, by=who, champion=champion)
            made = candidate(database, wish, out, now, tell)
    if person is not None:
        signing.sign(made.folder, person)
    sys.stdout.write("".join(f"{line}\n" for line in _said(made, whose, signed=person is not None)))


def _only_tenant(settings: Config) -> str:
    tenants = sorted({topic.tenant for topic in settings.topics})
    if len(tenants) != 1:
        raise Failed("say whose rows: --tenant T")
    return tenants[0]


def _moment(text: str) -> int:
    """µs of a day or time, UTC."""
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Failed(f"--from and --to want a day, 2026-11-01, or a time, 2026-11-01T12:00; not {text}") from None
    return int((at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)).timestamp()) * 1_000_000


def _champion(settings: Config, database: Database, tenant: str, model: str) -> Detector | None:
    """What judges the tenant now; None where it is the shipped one."""
    from detector.features.table import read_all
    from detector.learn.library import RegistryLibrary
    from detector.learn.registry import SHIPPED
    from detector.store import registry

    entry = registry.champion(database, tenant, model) or registry.champion(database, "", model)
    if entry is None:
        return None
    return RegistryLibrary(database, settings, read_all(SHIPPED)).scorer(tenant, model, entry.digest, "champion")


def _days(database: Database, tenant: str, model: str) -> Table:
    from detector.store import reservoir

    table = Table(*("model", "day", "rows", "of incidents", "seen", "may teach", "KB"), title=f"Rows to learn from, {tenant}")
    for row in reservoir.days(database, tenant, model):
        table.add_row(*map(str, row))
    return table


def _said(made: Made, tenant: str, *, signed: bool) -> Iterator[str]:
    about = made.about
    yield f"{made.detector.model_id} in {made.folder}"
    yield from (f"  {note}" for note in made.notes)
    counts: dict[str, Any] = about["rows"] | {name: n for name, n in about["sources"].items() if n > 0}
    yield "  rows: " + ", ".join(f"{ROWS.get(name, name)} {n}" for name, n in counts.items())
    yield "  calibration: " + ", ".join(f"p <= {level}: {share:.2g}" for level, share in about["calibration"]["realised"].items())
    if not signed:
        yield "  not signed: train it again with --key, the same rows and seed give the same model"
    yield f"Next: tuermer models import {made.folder} --tenant {tenant}"


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("training"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("training", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
