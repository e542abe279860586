"""Answers that the push relies on, asked of the stand-in and of a real Grafana alike: which status for which call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from detector.grafana.adapter import Method, Trouble
from detector.grafana.api import PROVISIONING, Grafana
from detector.grafana.model import FOLDER, VERDICTS, receiver
from tests.grafana.conftest import Place
from tests.grafana.sample import board, rule

Json = dict[str, Any]
HOOK: Json = {
    "uid": "tuermer-c",
    "name": "tuermer-c",
    "type": "webhook",
    "settings": {"url": "http://127.0.0.1:9/"},
    "disableResolveMessage": False,
}
TIMING: Json = {"name": "tuermer-c", "time_intervals": [{"weekdays": ["sunday"]}]}


def status(grafana: Grafana, method: Method, path: str, body: object = None, **more: Any) -> int:
    """0 for an answer that is no error."""
    try:
        grafana.call(method, path, body, **more)
    except Trouble as trouble:
        return trouble.status
    return 0


def group(*rules: Json, interval: int = 10) -> Json:
    placed = [{**entry, "orgID": 1, "folderUID": FOLDER, "ruleGroup": "tuermer-c"} for entry in rules]
    return {"title": "tuermer-c", "folderUid": FOLDER, "interval": interval, "rules": placed}


def patiently(ask: Callable[[], list[Json]], seconds: int) -> list[Json]:
    """A new right is seen when Grafana's memory of the old ones ends."""
    for _ in range(seconds):
        try:
            return ask()
        except Trouble as trouble:
            if trouble.status != 403:
                raise
            time.sleep(1)
    return ask()


def put(place: Place, body: Json, folder: str = FOLDER) -> int:
    return status(place.content, "PUT", f"{PROVISIONING}/folder/{folder}/rule-groups/tuermer-c", body)


def test_folders(place: Place) -> None:
    hidden = (403,) if place.fake is not None else (403, 404)  # a real one remembers rights for a while, also of a folder that is gone
    assert status(place.content, "GET", f"/folders/{FOLDER}") in hidden  # missing or hidden: an Editor is not told which
    assert status(place.boss, "GET", f"/folders/{FOLDER}") == 404
    place.content.create_folder(FOLDER, "Türmer")
    assert status(place.content, "POST", "/folders", {"uid": FOLDER, "title": "Türmer"}) == 412
    assert status(place.content, "PUT", f"/folders/{FOLDER}", {"title": "x"}) == 412
    place.content.rename_folder(FOLDER, "x")
    found = place.content.folder(FOLDER)
    assert found is not None
    assert found["title"] == "x"
    assert place.runtime.folder(FOLDER) is None


def test_mute_timings_and_templates(place: Place) -> None:
    place.content.create_mute_timing(TIMING, locked=True)
    assert status(place.content, "POST", f"{PROVISIONING}/mute-timings", TIMING) == 400
    bad = {"name": "tuermer-d", "time_intervals": [{"times": [{"start_time": "25:00", "end_time": "04:00"}]}]}
    assert status(place.content, "POST", f"{PROVISIONING}/mute-timings", bad) == 400
    place.content.delete_mute_timing("tuermer-nowhere")  # not an error
    with pytest.raises(Trouble, match="invalid template"):
        place.content.put_template("tuermer-c", '{{ define "x" }}{{ .Foo ', locked=True)
    place.content.delete_template("tuermer-nowhere")
    assert status(place.runtime, "GET", f"{PROVISIONING}/mute-timings") == 403


def test_contact_points(place: Place) -> None:
    place.content.create_contact_point(HOOK, locked=True)
    assert status(place.content, "POST", f"{PROVISIONING}/contact-points", HOOK) == 409
    assert status(place.content, "PUT", f"{PROVISIONING}/contact-points/nope", {**HOOK, "uid": "nope"}) == 404
    assert status(place.content, "POST", f"{PROVISIONING}/contact-points", {**HOOK, "uid": "tuermer-e", "type": "nope"}) == 400
    assert status(place.content, "POST", f"{PROVISIONING}/contact-points", {**HOOK, "uid": "tuermer-e", "settings": {}}) == 400
    unlocked = {"headers": {"X-Disable-Provenance": "true"}}
    assert status(place.content, "PUT", f"{PROVISIONING}/contact-points/tuermer-c", HOOK, **unlocked) == 500
    place.content.delete_contact_point("tuermer-nowhere")  # not an error
    assert status(place.runtime, "GET", f"{PROVISIONING}/contact-points") == 403


def test_secrets_are_never_shown(place: Place) -> None:
    signed = {**HOOK["settings"], "authorization_credentials": "s", "hmacConfig": {"secret": "t", "header": "X"}}
    place.content.create_contact_point({**HOOK, "settings": signed}, locked=True)
    (found,) = (point for point in place.content.contact_points() if point["uid"] == "tuermer-c")
    assert found["settings"]["authorization_credentials"] == "[REDACTED]"
    assert found["settings"]["hmacConfig"] == {"secret": "[REDACTED]", "header": "X"}


def test_rule_groups(place: Place) -> None:
    place.content.create_folder(FOLDER, "Türmer")
    place.content.create_contact_point(HOOK, locked=True)
    good = rule("tuermer-c", "C", "tuermer-c")
    assert status(place.content, "GET", f"{PROVISIONING}/folder/{FOLDER}/rule-groups/tuermer-c") == 404
    assert put(place, group(rule("tuermer-c", "C", receiver("urgent")))) == 400  # no such receiver
    assert put(place, group(good, interval=15)) == 400
    assert put(place, group({**good, "for": "xx"})) == 400
    assert put(place, group({**good, "annotations": {"__dashboardUid__": "x"}})) == 400  # half of a pair
    assert put(place, group({**good, "missingSeriesEvalsToResolve": 0})) == 400
    assert put(place, group(good), folder="tuermer-nowhere") in (403, 404)
    assert put(place, group(good)) == 0
    assert put(place, group()) == 0  # an empty list deletes nothing
    found = place.content.rule_group(FOLDER, "tuermer-c")
    assert found is not None
    assert [entry["uid"] for entry in found["rules"]] == ["tuermer-c"]
    assert status(place.content, "DELETE", f"{PROVISIONING}/contact-points/tuermer-c") == 409  # in use
    assert status(place.runtime, "PUT", f"{PROVISIONING}/folder/{FOLDER}/rule-groups/tuermer-c", group(good)) == 403
    place.content.delete_rule_group(FOLDER, "tuermer-c")
    assert status(place.content, "DELETE", f"{PROVISIONING}/folder/{FOLDER}/rule-groups/tuermer-c") == 404


def test_dashboards_come_back_as_they_were_saved(place: Place) -> None:
    place.content.create_folder(FOLDER, "Türmer")
    saved = board(VERDICTS, "Lage").json
    place.content.save_dashboard(FOLDER, saved)
    found = place.content.dashboard(VERDICTS)
    assert found is not None
    assert {key: value for key, value in found["dashboard"].items() if key not in ("id", "version")} == saved
    assert found["meta"]["folderUid"] == FOLDER
    body = {"dashboard": saved, "folderUid": FOLDER, "overwrite": False}
    assert status(place.content, "POST", "/dashboards/db", body) == 412
    assert status(place.content, "POST", "/dashboards/db", {**body, "folderUid": "tuermer-nowhere", "overwrite": True}) in (400, 403)
    assert status(place.content, "POST", "/dashboards/db", {**body, "dashboard": {**saved, "title": ""}, "overwrite": True}) == 400
    assert [hit["uid"] for hit in place.content.found("tuermer")] == [VERDICTS]


def test_only_an_admin_makes_data_sources(place: Place) -> None:
    source = {"uid": "tuermer-pg", "name": "n", "type": "grafana-postgresql-datasource", "access": "proxy", "url": "x", "user": "u"}
    assert status(place.content, "POST", "/datasources", source) == 403
    place.boss.create_datasource(source)
    assert status(place.boss, "POST", "/datasources", source) == 409
    assert status(place.content, "GET", "/datasources/uid/tuermer-pg") == 0
    assert status(place.content, "PUT", "/datasources/uid/tuermer-pg", source) == 403


def test_the_run_time_account_reads_verdicts_once_it_may_look_into_the_folder_and_nothing_more(place: Place) -> None:
    place.content.create_folder(FOLDER, "Türmer")
    place.content.save_dashboard(FOLDER, board(VERDICTS, "Lage").json)
    tags = ["tuermer-verdict", "verdict:confirmed", "incident:a:b"]
    place.content.call("POST", "/annotations", {"dashboardUID": VERDICTS, "panelId": 4, "tags": tags, "text": "confirmed"})
    if place.fake is not None:  # a real one would remember the refusal for a minute
        assert status(place.runtime, "GET", "/annotations", params={"tags": "tuermer-verdict"}) == 403
    number = int(str(place.runtime.me()["uid"]).removeprefix("service-account:"))
    place.boss.permit("folders", FOLDER, "users", number, "View")
    (seen,) = patiently(lambda: place.runtime.annotations("tuermer-verdict"), 0 if place.fake is not None else 60)
    assert seen["tags"] == ["tuermer-verdict", "verdict:confirmed", "incident:a"]  # what follows a second colon is lost
    assert seen["dashboardUID"] == VERDICTS
    assert status(place.runtime, "POST", "/annotations", {"dashboardUID": VERDICTS, "tags": tags, "text": "x"}) == 403
    place.content.call("DELETE", f"/annotations/{seen['id']}")


def test_a_button_without_content_is_refused_for_other_reasons_than_its_path(place: Place) -> None:
    with pytest.raises(Trouble) as raised:
        place.runtime.button()
    assert raised.value.status in (400, 403)
