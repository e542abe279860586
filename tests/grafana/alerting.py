"""Mute timings, templates, contact points and alert rules of the stand-in."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from detector.grafana.normal import flat, seconds
from tests.grafana.content import right_on
from tests.grafana.server import Request, route
from tests.grafana.world import STAMP, Json, Organisation, Refused, coded, denied, nested, plain, route_of, version_of

PROVISIONING = "/v1/provisioning"
NEEDS = {"webhook": "url", "email": "addresses", "slack": "recipient", "teams": "url"}
HIDDEN = {"webhook": ("authorization_credentials", "password", "hmacConfig.secret"), "slack": ("token", "url"), "email": (), "teams": ()}
REDACTED = "[REDACTED]"
TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")


@route("GET", f"{PROVISIONING}/mute-timings")
def mute_timings(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.provisioning:read")
    return 200, list(request.organisation.mute_timings.values())


@route("GET", f"{PROVISIONING}/mute-timings/*")
def mute_timing(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.provisioning:read")
    if request.parts[0] not in request.organisation.mute_timings:
        raise coded(404, "alerting.notifications.time-intervals.notFound", "NotFound")
    return 200, request.organisation.mute_timings[request.parts[0]]


def _keep_timing(request: Request) -> Json:
    body = request.body
    for interval in body["time_intervals"]:
        for times in interval.get("times", ()):
            if TIME.fullmatch(times["start_time"]) is None or TIME.fullmatch(times["end_time"]) is None:
                raise plain(400, "bad request data")
    stored = {"name": body["name"], "time_intervals": body["time_intervals"]}
    kept = {**stored, "version": version_of(stored), "provenance": request.provenance}
    request.organisation.mute_timings[body["name"]] = kept
    return kept


@route("POST", f"{PROVISIONING}/mute-timings")
def create_mute_timing(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.notifications:write")
    if request.body["name"] in request.organisation.mute_timings:
        said = "Time interval with this name already exists. Use a different name or update existing one."
        raise coded(400, "alerting.notifications.time-intervals.nameExists", said)
    return 201, _keep_timing(request)


@route("PUT", f"{PROVISIONING}/mute-timings/*")
def put_mute_timing(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.notifications:write")
    if request.parts[0] not in request.organisation.mute_timings:
        raise coded(404, "alerting.notifications.time-intervals.notFound", "NotFound")
    return 202, _keep_timing(request)


@route("DELETE", f"{PROVISIONING}/mute-timings/*")
def delete_mute_timing(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.notifications:write")
    for rule in request.organisation.rules.values():
        if request.parts[0] in (rule.get("notification_settings") or {}).get("mute_time_intervals", ()):
            raise coded(409, "alerting.notifications.time-intervals.used", "Conflict", {"UsedByRoutes": False})
    request.organisation.mute_timings.pop(request.parts[0], None)
    return 204, None


@route("GET", f"{PROVISIONING}/templates")
def templates(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.provisioning:read")
    return 200, list(request.organisation.templates.values())


@route("GET", f"{PROVISIONING}/templates/*")
def template(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.provisioning:read")
    if request.parts[0] not in request.organisation.templates:
        raise coded(404, "alerting.notifications.templates.notFound", "NotFound")
    return 200, request.organisation.templates[request.parts[0]]


@route("PUT", f"{PROVISIONING}/templates/*")
def put_template(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.notifications:write")
    name, text = request.parts[0], request.body["template"]
    stored = request.organisation.templates.get(name)
    if request.body.get("version", "") != "" and (stored is None or stored["version"] != request.body["version"]):
        raise coded(409, "alerting.notifications.conflict", "Conflict")
    if text.count("{{") != text.count("}}"):
        said = "Template is in invalid format. Correct the payload and try again."
        raise coded(
            400, "alerting.notifications.templates.invalidFormat", said, {"Error": "invalid template: template: :1: unclosed action"}
        )
    if "define" not in text:
        text = f'{{{{ define "{name}" }}}}\n  {text}\n{{{{ end }}}}'
    request.organisation.templates[name] = {"name": name, "template": text, "provenance": request.provenance, "version": version_of(text)}
    return 202, request.organisation.templates[name]


@route("DELETE", f"{PROVISIONING}/templates/*")
def delete_template(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.notifications:write")
    request.organisation.templates.pop(request.parts[0], None)
    return 204, None


def _hidden(point: Json) -> Json:
    """As GET shows it."""
    settings = {key: REDACTED if key in HIDDEN[point["type"]] else value for key, value in flat(point["settings"]).items()}
    return {**point, "settings": nested(settings)}


def _echo(point: Json) -> Json:
    """As POST shows it: nested secrets stand beside their table."""
    shown = _hidden(point)
    settings = copy.deepcopy(shown["settings"])
    for key in HIDDEN[point["type"]]:
        table, _, name = key.partition(".")
        if name != "" and name in settings.get(table, {}):
            del settings[table][name]
            settings[key] = REDACTED
    return {key: value for key, value in {**shown, "settings": settings}.items() if key != "provenance"}


@route("GET", f"{PROVISIONING}/contact-points")
def contact_points(request: Request) -> tuple[int, object]:
    request.need("Editor", "any of alert.notifications:read, alert.provisioning:read")
    name = request.first("name")
    return 200, [_hidden(point) for point in request.organisation.contact_points.values() if name in ("", point["name"])]


def _checked(body: Mapping[str, Any], stored: Json | None) -> Json:
    if body["type"] not in NEEDS:
        raise plain(400, f'invalid object specification: unknown integration type "{body["type"]}"')
    if NEEDS[body["type"]] not in body["settings"]:
        raise plain(400, f"invalid object specification: required field '{NEEDS[body['type']]}' is not specified")
    settings = flat(body["settings"])
    if stored is not None:  # [REDACTED] keeps a secret of the first level only; a nested one becomes that very word
        before = flat(stored["settings"])
        settings = {k: before.get(k, v) if v == REDACTED and "." not in k else v for k, v in settings.items()}
    return {"uid": body["uid"], "name": body["name"], "type": body["type"], "settings": nested(settings),
            "disableResolveMessage": bool(body.get("disableResolveMessage", False))}  # fmt: skip


@route("POST", f"{PROVISIONING}/contact-points")
def create_contact_point(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.notifications:write")
    if request.body["uid"] in request.organisation.contact_points:
        raise coded(409, "alerting.notifications.contact-points.uidInUse", "contact point uid in use")
    point = {**_checked(request.body, None), "provenance": request.provenance}
    request.organisation.contact_points[point["uid"]] = point
    return 202, _echo(point)


@route("PUT", f"{PROVISIONING}/contact-points/*")
def put_contact_point(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.notifications:write")
    stored = request.organisation.contact_points.get(request.parts[0])
    if stored is None:
        raise plain(404, f"object not found: contact point with uid '{request.parts[0]}' not found")
    before, after = stored["provenance"], request.provenance
    if before not in ("", after):
        raise plain(500, f"cannot change provenance from '{before}' to '{after}'")
    request.organisation.contact_points[request.parts[0]] = {**_checked(request.body, stored), "provenance": after}
    return 202, {"message": "contactpoint updated"}


@route("DELETE", f"{PROVISIONING}/contact-points/*")
def delete_contact_point(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.notifications:write")
    organisation, uid = request.organisation, request.parts[0]
    point = organisation.contact_points.get(uid)
    if point is not None:
        alone = sum(other["name"] == point["name"] for other in organisation.contact_points.values()) == 1
        users = [r for r in organisation.rules.values() if (r.get("notification_settings") or {}).get("receiver") == point["name"]]
        if alone and users != []:
            said = "Contact point is currently used in the notification settings of one or many alert rules."
            raise coded(409, "alerting.notifications.contact-points.used-by-rule", said)
        del organisation.contact_points[uid]
    return 202, {"message": "contactpoint deleted"}


def _stored(rule: Json) -> Json:
    """What GET gives: defaults filled in, ids and times added."""
    shown = {"id": 1, "updated": STAMP, "for": "0s", "keep_firing_for": "0s", "isPaused": False, "record": None, **copy.deepcopy(rule)}
    for query in shown["data"]:
        query.setdefault("queryType", "")
        query.setdefault("relativeTimeRange", {"from": 0, "to": 0})
        query["model"] = {"intervalMs": 1000, "maxDataPoints": 43200, **query["model"]}
    for key in ("for", "keep_firing_for"):
        shown[key] = _short(shown[key])
    return {key: value for key, value in shown.items() if key != "provenance" and not (key in ("labels", "annotations") and not value)}


def _short(duration: str) -> str:
    whole = int(seconds(duration))
    return f"{whole // 60}m" if whole != 0 and whole % 60 == 0 else f"{whole}s"


def _group(organisation: Organisation, folder: str, name: str) -> list[Json]:
    return [rule for rule in organisation.rules.values() if (rule["folderUID"], rule["ruleGroup"]) == (folder, name)]


@route("GET", f"{PROVISIONING}/folder/*/rule-groups/*")
def rule_group(request: Request) -> tuple[int, object]:
    folder, name = request.parts
    if right_on(request, folder) < 1:
        raise denied("folders:read")
    rules = _group(request.organisation, folder, name)
    if rules == []:
        raise coded(404, "alerting.alert-rule.notFound", "NotFound")
    interval = request.organisation.intervals[folder, name]
    return 200, {"title": name, "folderUid": folder, "interval": interval, "rules": [_stored(rule) for rule in rules]}


@route("PUT", f"{PROVISIONING}/folder/*/rule-groups/*")
def put_rule_group(request: Request) -> tuple[int, object]:
    folder, name = request.parts
    organisation, body = request.organisation, request.body
    if right_on(request, folder) < 2:
        raise denied("any of alert.provisioning:write, alert.rules.provisioning:write")
    if body["interval"] <= 0 or body["interval"] % 10 != 0:
        said = f"invalid alert rule: interval ({body['interval']}s) should be non-zero and divided exactly by scheduler interval: 10"
        raise plain(400, said)
    for rule in body["rules"]:
        _check_rule(organisation, rule)
    before = {rule["uid"]: rule for rule in _group(organisation, folder, name)}
    if body["rules"] != [] and any(rule.get("provenance") == "file" for rule in before.values()):
        raise plain(409, "cannot change provenance from 'file' to 'api'")
    for uid in set(before) - {rule["uid"] for rule in body["rules"]}:
        if body["rules"] != []:  # an empty list deletes nothing
            del organisation.rules[uid]
    for rule in body["rules"]:
        _speak(organisation, before.get(rule["uid"]), rule)
        place = {"folderUID": folder, "ruleGroup": name, "provenance": request.provenance}
        organisation.rules[rule["uid"]] = {**copy.deepcopy(rule), **place}
    organisation.intervals[folder, name] = body["interval"]
    echo = [{"id": 0, "updated": "0001-01-01T00:00:00Z", "record": None, **rule} for rule in body["rules"]]
    return 200, {"title": name, "folderUid": folder, "interval": body["interval"], "rules": echo}


def _check_rule(organisation: Organisation, rule: Json) -> None:
    settings = rule.get("notification_settings") or {}
    try:
        for value in (
            rule.get("for", "0s"),
            rule.get("keep_firing_for", "0s"),
            *(settings.get(k, "0s") for k in ("group_wait", "group_interval", "repeat_interval")),
        ):
            seconds(value)
    except ValueError:
        raise plain(400, "bad request data") from None
    if settings and settings["receiver"] not in {point["name"] for point in organisation.contact_points.values()}:
        raise plain(400, f"invalid alert rule\nreceiver {settings['receiver']} does not exist")
    for timing in settings.get("mute_time_intervals", ()):
        if timing not in organisation.mute_timings:
            raise plain(400, f"invalid alert rule\ntime interval {timing} does not exist")
    if rule.get("missingSeriesEvalsToResolve", 1) < 1:
        said = "failed to update alert rules: invalid alert rule: field `missing_series_evals_to_resolve` must be greater than 0"
        raise plain(400, said)
    annotations = rule.get("annotations") or {}
    if ("__dashboardUid__" in annotations) != ("__panelId__" in annotations):
        raise plain(400, "invalid alert rule: both annotations __dashboardUid__ and __panelId__ must be specified")


def _speak(organisation: Organisation, before: Json | None, rule: Json) -> None:
    """What a rule that is not paused does at once: its alerts go out, wrongly if the Alertmanager does not know it yet."""
    if rule.get("isPaused"):
        return
    if route_of(rule) not in organisation.routes:
        organisation.misrouted.append(rule["uid"])
    if before is not None and not before.get("isPaused"):
        identity = ("title", "labels", "notification_settings")
        if [before.get(key) for key in identity] != [rule.get(key) for key in identity]:
            organisation.resent.append(rule["uid"])


@route("DELETE", f"{PROVISIONING}/folder/*/rule-groups/*")
def delete_rule_group(request: Request) -> tuple[int, object]:
    folder, name = request.parts
    if right_on(request, folder) < 2:
        raise denied("alert.rules:delete")
    rules = _group(request.organisation, folder, name)
    if rules == []:
        raise coded(404, "alerting.alert-rule.notFound", "NotFound")
    if any(rule.get("provenance") == "file" for rule in rules):
        raise plain(409, "cannot delete with provided provenance 'api', needs 'file'")
    for rule in rules:
        del request.organisation.rules[rule["uid"]]
    return 204, None


@route("GET", f"{PROVISIONING}/alert-rules")
def alert_rules(request: Request) -> tuple[int, object]:
    rules = [rule for rule in request.organisation.rules.values() if right_on(request, rule["folderUID"]) >= 1]
    return 200, [{**_stored(rule), "provenance": rule["provenance"]} for rule in rules]


@route("GET", f"{PROVISIONING}/alert-rules/*")
def alert_rule(request: Request) -> tuple[int, object]:
    rule = request.organisation.rules.get(request.parts[0])
    if rule is None:
        return 404, None
    return 200, {**_stored(rule), "provenance": rule["provenance"]}


@route("DELETE", f"{PROVISIONING}/alert-rules/*")
def delete_alert_rule(request: Request) -> tuple[int, object]:
    rule = request.organisation.rules.get(request.parts[0])
    if rule is None:
        if request.login.role != "Admin":
            raise plain(500, "Internal Server Error")
        return 204, None
    if right_on(request, rule["folderUID"]) < 2:
        raise denied("alert.rules:delete")
    del request.organisation.rules[request.parts[0]]
    return 204, None


@route("GET", "/prometheus/grafana/api/v1/rules")
def rule_states(request: Request) -> tuple[int, object]:
    folder, groups = request.first("folder_uid"), dict[str, list[Json]]()
    for rule in request.organisation.rules.values():
        if rule["folderUID"] == folder and right_on(request, folder) >= 1:
            bad = request.world.broken_sql and not rule.get("isPaused")
            state = {"uid": rule["uid"], "name": rule["title"], "state": "inactive", "health": "error" if bad else "ok", "type": "alerting"}
            groups.setdefault(rule["ruleGroup"], []).append({**state, **({"lastError": "pq: column does not exist"} if bad else {})})
    listed = [{"name": name, "file": folder, "folderUid": folder, "rules": rules} for name, rules in groups.items()]
    return 200, {"status": "success", "data": {"groups": listed}}


@route("GET", f"{PROVISIONING}/policies")
def policies(request: Request) -> tuple[int, object]:
    request.need("Editor", "alert.notifications:read")
    return 200, {"receiver": "grafana-default-email", "group_by": ["grafana_folder", "alertname"]}


@route("PUT", f"{PROVISIONING}/policies")
def put_policies(request: Request) -> tuple[int, object]:
    """Nothing of ours may ever come here."""
    raise Refused(599, "the organisation's policy tree was touched")
