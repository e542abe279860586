"""Rights that only an Admin may give: the run-time account looks into our folder, the verdict team edits one dashboard.

Each is given by itself, so that nobody else's right is touched; grafana-client's own method would take it away instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from detector.grafana.api import Grafana
from detector.grafana.model import VERDICTS, Model

VIEW, EDIT = 1, 2


@dataclass(frozen=True, slots=True)
class Missing:
    """A right in words, and the call that gives it."""

    words: str
    give: Callable[[], None]


def missing(boss: Grafana, model: Model, runtime: int | None, team: str) -> list[Missing]:
    """What is not given yet; folder and dashboard must be there.

    `runtime`: number of the run-time account, None if there is none. `team` "": nobody gets buttons through a team.
    """
    return [*_runtime(boss, model, runtime), *(_team(boss, team) if team != "" else ())]


def _runtime(boss: Grafana, model: Model, number: int | None) -> Iterator[Missing]:
    if number is None:
        return
    if not any(entry.get("userId") == number and entry["permission"] >= VIEW for entry in boss.permissions("folders", model.folder)):
        words = f"the run-time account may not look into the folder {model.folder_title}, so verdicts are not read"
        yield Missing(words, lambda: boss.permit("folders", model.folder, "users", number, "View"))


def _team(boss: Grafana, name: str) -> Iterator[Missing]:
    found = boss.team(name)
    if found is None:
        yield Missing(
            f'there is no team "{name}" to press the verdict buttons; add people to it in Grafana',
            lambda: _edit(boss, boss.create_team(name)),
        )
        return
    number = int(found["id"])
    if not any(entry.get("teamId") == number and entry["permission"] >= EDIT for entry in boss.permissions("dashboards/uid", VERDICTS)):
        yield Missing(f'the team "{name}" has no right to the verdict buttons', lambda: _edit(boss, number))


def _edit(boss: Grafana, team: int) -> None:
    boss.permit("dashboards", VERDICTS, "teams", team, "Edit")
