"""The stand-in answers the recorded requests of a real Grafana 12.3.0 as that did: status by status, and with no key that it had not."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.grafana.openapi import RECORDINGS, checker
from tests.grafana.server import Fake, serving
from tests.grafana.world import World

Json = dict[str, Any]
# What Türmer never calls, or what happens outside the API. Each with its reason; everything else must answer as recorded.
SKIPPED = (
    (r"090|091|092|093|094|095|096|098", "queries: the SQL itself is tested on PostgreSQL"),
    (r"072.?|073|074|075|077|078b?|079|080|081|082|083b?", "health of databases that the stand-in has not"),
    (r"049a|069a|084|160b|270|28[3457]|294", "rest on a state, or on a cache, that no recording made"),
    (r"052", "a list that Türmer never asks for"),
    (r"134|135|136|137|138|139b?", "the policy tree: never touched"),
    (r"17[24]|177|210|211|212|22\d|265|266", "versions, tags, history, states with alerts"),
    (r"25\d|260|264|280|281|282", "silences, active alerts, test messages"),
    (r"29[5-9]|30\d.?|31\d|356|357", "files, exports, moved rules"),
    (r"20\d|23\d|24[0-5]|33\d|340|341|351|35[23]", "annotations and rights of people: tested by name below and in test_contract.py"),
    (r"3[56]\d.?|36\d|4\d\d", "single rules, accounts by other roles, webhooks, browser"),
)
AS = re.compile(r"service account (\w+)")


def _skipped(number: str) -> bool:
    return any(re.fullmatch(pattern, number) for pattern, _ in SKIPPED)


@pytest.fixture(scope="module")
def recordings() -> list[Json]:
    if not RECORDINGS.is_dir():
        pytest.skip("the recordings of a real Grafana are not at ../shared/grafana")
    return [json.loads(file.read_text("utf-8")) for file in sorted(RECORDINGS.glob("*.json"), key=_when)]


def _when(file: Path) -> str:
    """Numbers are by subject; rights on a dashboard were tried when there was one."""
    return f"199-{file.name}" if file.name[:3] in ("053", "054", "055") else file.name


def test_the_stand_in_answers_recorded_requests_as_grafana_did(recordings: list[Json]) -> None:
    world = World()
    world.login("admin", "SECRET-USER", "Admin", server_admin=True)
    tokens: dict[str, str] = {}
    wrong, replayed = [], 0
    with serving(world) as fake:
        for recording in recordings:
            number = recording["name"].split("-")[0]
            if _skipped(number):
                continue
            status, body = _replayed(fake, recording, tokens)
            replayed += 1
            if status != recording["response"]["status"]:
                wrong.append(f"{recording['name']}: {status} {body}, recorded {recording['response']['status']}")
            elif (more := _keys(body) - _keys(recording["response"]["body"])) != set():
                wrong.append(f"{recording['name']}: has {sorted(more)}, which Grafana did not answer")
            _learn(recording, body, tokens)
    assert wrong == [], "\n".join(wrong)
    assert replayed >= 100


def _replayed(fake: Fake, recording: Json, tokens: dict[str, str]) -> tuple[int, Any]:
    request = recording["request"]
    headers = {key.lower(): str(value) for key, value in request["headers"].items()}
    caller = AS.match(recording["as"])
    if caller is not None:
        headers["authorization"] = f"Bearer {tokens[caller[1]]}"
    elif recording["as"].startswith("admin"):
        headers["authorization"] = "Basic " + base64.b64encode(b"admin:SECRET-USER").decode()
    elif recording["as"] == "bad token":
        headers["authorization"] = "Bearer nope"
    elif recording["as"].startswith("editor1"):
        fake.world.passwords.setdefault("editor1", ("p", fake.world.login("editor1", "p", "Editor")))
        headers["authorization"] = "Basic " + base64.b64encode(b"editor1:p").decode()
    query = "&".join(f"{key}={value}" for key, value in request["query"].items())
    return fake.answer(request["method"], request["path"] + (f"?{query}" if query else ""), headers, request["body"])


def _learn(recording: Json, body: Any, tokens: dict[str, str]) -> None:
    made = re.fullmatch(r"01\d-create-token-(\w+)", recording["name"])
    if made is not None and made[1] != "same":
        tokens[made[1]] = body["key"]


def _keys(body: Any) -> set[str]:
    """Keys of an answer; of a list, those of all its entries."""
    if isinstance(body, list):
        return set().union(*(_keys(entry) for entry in body))
    return set(body) if isinstance(body, dict) else set()


def test_the_description_accepts_what_grafana_accepted(recordings: list[Json]) -> None:
    check = checker()
    assert check is not None
    known_wrong = {"050-acl-single-user-through-client-wrong", "230-add-annotation-client", "232-client-partial-update-text-only"}
    undescribed = {"265-rule-history", "318-reload-provisioning-alerting"}
    refused = set()
    for recording in recordings:
        request = recording["request"]
        if not request["path"].startswith("/api/") or "body_text" in request or recording["response"]["status"] >= 300:
            continue
        if check(request["method"], request["path"].split("?")[0], request["body"]) is not None:
            refused.add(recording["name"])
    assert refused == known_wrong | undescribed


def test_the_description_finds_a_misspelt_key(recordings: list[Json]) -> None:
    check = checker()
    assert check is not None
    found = next(recording for recording in recordings if recording["name"] == "150-put-rule-group")["request"]
    broken = json.loads(json.dumps(found["body"]).replace('"keep_firing_for"', '"keepFiringFor"'))
    assert "keepFiringFor" in (check("PUT", found["path"], broken) or "")


def test_no_recording_is_in_this_repository() -> None:
    root = Path(__file__).parents[2]
    assert [path for path in root.rglob("openapi3-*.json") if ".venv" not in path.parts] == []
