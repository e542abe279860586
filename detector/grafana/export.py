"""The model as files that Grafana reads at its start, for places where nobody may use its API (pure).

Files and API name some things differently: `keepFiringFor` and `keep_firing_for`, a folder's title and its uid, a dashboard's
key and an annotation. The .yaml files hold JSON, which is YAML too.
"""

from __future__ import annotations

import json
from typing import Any

from detector.grafana.model import Model, RuleGroup

Json = dict[str, Any]
PLACE = "/etc/grafana/provisioning"


def files(model: Model, organisation: int, place: str = PLACE) -> dict[str, str]:
    """Path below Grafana's provisioning folder -> text. `place`: that folder as Grafana sees it."""
    made: dict[str, object] = {
        "datasources/tuermer.yaml": _datasources(model, organisation),
        "dashboards/tuermer.yaml": _provider(model, organisation, place),
        "alerting/tuermer.yaml": _alerting(model, organisation),
    }
    made |= {f"dashboards/tuermer/{board.uid}.json": board.json for board in model.dashboards}
    return {path: json.dumps(body, indent=2, ensure_ascii=False) + "\n" for path, body in made.items()}


def _datasources(model: Model, organisation: int) -> Json:
    source = model.datasource
    entry = {
        "uid": source.uid,
        "name": source.name,
        "orgId": organisation,
        "editable": False,
        **source.body,
        "secureJsonData": source.secrets,
    }
    return {"apiVersion": 1, "prune": True, "datasources": [entry]}


def _provider(model: Model, organisation: int, place: str) -> Json:
    """Without folderUid: rules know a folder by its title only, and two folders of one title would come into being."""
    entry = {
        "name": "tuermer",
        "orgId": organisation,
        "type": "file",
        "folder": model.folder_title,
        "disableDeletion": False,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 10,
        "options": {"path": f"{place.rstrip('/')}/dashboards/tuermer", "foldersFromFilesStructure": False},
    }
    return {"apiVersion": 1, "providers": [entry]}


def _alerting(model: Model, organisation: int) -> Json:
    points: dict[str, list[Json]] = {}
    for point in model.contact_points:
        receiver = {"uid": point.uid, "type": point.type, "disableResolveMessage": not point.resolved, "settings": point.settings}
        points.setdefault(point.name, []).append(receiver)
    return {
        "apiVersion": 1,
        "muteTimes": [
            {"orgId": organisation, "name": timing.name, "time_intervals": list(timing.intervals)} for timing in model.mute_timings
        ],
        "templates": [{"orgId": organisation, "name": template.name, "template": template.text} for template in model.templates],
        "contactPoints": [{"orgId": organisation, "name": name, "receivers": receivers} for name, receivers in points.items()],
        "groups": [_group(model, group, organisation) for group in model.rule_groups],
    }


def _group(model: Model, group: RuleGroup, organisation: int) -> Json:
    return {
        "orgId": organisation,
        "name": group.name,
        "folder": model.folder_title,
        "interval": f"{group.interval}s",
        "rules": [_rule(rule) for rule in group.rules],
    }


def _rule(rule: Json) -> Json:
    renamed = {"keep_firing_for": "keepFiringFor", "missingSeriesEvalsToResolve": "missing_series_evals_to_resolve"}
    body = {renamed.get(key, key): value for key, value in rule.items()}
    annotations = body.get("annotations", {})
    if "__dashboardUid__" in annotations:  # the annotations stay beside the keys: messages take their links from them
        body["dashboardUid"], body["panelId"] = annotations["__dashboardUid__"], int(annotations["__panelId__"])
    return body
