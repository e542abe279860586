"""What one organisation in Grafana holds of ours, read once before a push or a diff."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from detector.grafana import model as names
from detector.grafana.adapter import Trouble
from detector.grafana.api import Grafana
from detector.grafana.model import Model, is_ours

Json = dict[str, Any]
PAUSE: Final = 5.0
ATTEMPTS: Final = 18


@dataclass(frozen=True, slots=True)
class Present:
    """Bodies as Grafana gives them; only ours, by name. `dashboards`: {"dashboard", "meta"}; `provenance` by rule group."""

    organisation: int
    folder: Json | None
    datasource: Json | None
    mute_timings: dict[str, Json]
    templates: dict[str, Json]
    contact_points: dict[str, Json]
    dashboards: dict[str, Json]
    rule_groups: dict[str, Json]
    provenance: dict[str, str]


def ready(grafana: Grafana, sleep: Callable[[float], None], tell: Callable[[str], None]) -> None:
    """Waits until a new organisation has its Alertmanager, which Grafana makes at its next synchronisation, up to 60 s later."""
    for attempt in range(ATTEMPTS):
        try:
            grafana.contact_points()
        except Trouble as trouble:
            if "alertmanager configuration" not in trouble.said or attempt == ATTEMPTS - 1:
                raise
            if attempt == 0:
                tell("waiting up to a minute: Grafana has not yet set up alerting in this new organisation")
            sleep(PAUSE)
        else:
            return


def read(grafana: Grafana, model: Model) -> Present:
    """Raises Trouble. A folder that this login may not see counts as missing: Grafana does not tell the two apart."""
    rules = [rule for rule in grafana.rules() if rule["folderUID"] == model.folder]
    groups = {group.name for group in model.rule_groups} | {r["ruleGroup"] for r in rules if is_ours(r["ruleGroup"])}
    boards = {board.uid for board in model.dashboards}
    boards |= {found["uid"] for found in grafana.found(names.TAG) if found.get("folderUid") == model.folder and is_ours(found["uid"])}
    return Present(
        organisation=int(grafana.me()["orgId"]),
        folder=grafana.folder(model.folder),
        datasource=grafana.datasource(model.datasource.uid),
        mute_timings={body["name"]: body for body in grafana.mute_timings() if is_ours(body["name"])},
        templates={body["name"]: body for body in grafana.templates() if is_ours(body["name"])},
        contact_points={body["uid"]: body for body in grafana.contact_points() if is_ours(body["uid"])},
        dashboards=_present({uid: grafana.dashboard(uid) for uid in sorted(boards)}),
        rule_groups=_present({name: grafana.rule_group(model.folder, name) for name in sorted(groups)}),
        provenance={rule["ruleGroup"]: rule.get("provenance", "") for rule in rules},
    )


def _present(found: dict[str, Json | None]) -> dict[str, Json]:
    return {key: body for key, body in found.items() if body is not None}
