"""Cases that an analyst can write (tests/golden/*.toml): few events in, the expected incidents out."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from detector.judge.core import Core
from detector.judge.findings import Changes, Incident
from tests.eventgen import Row, events, flow, login
from tests.stub import stub_models

FOLDER = Path(__file__).parent / "golden"
CASES = [case | {"file": path.name} for path in sorted(FOLDER.glob("*.toml")) for case in tomllib.loads(path.read_text())["case"]]
CORE = Core(stub_models())


def rows(entry: dict[str, Any]) -> list[Row]:
    """One line of a case as events: repeated `times`, the whole again `rounds` times after a `pause`."""
    entry = dict(entry)
    at, times, every = entry.pop("at", 0), entry.pop("times", 1), entry.pop("every", 0)
    rounds, pause = entry.pop("rounds", 1), entry.pop("pause", 0)
    text, is_login = (entry.pop("login"), True) if "login" in entry else (entry.pop("flow"), False)
    made = []
    for i in range(times * rounds):
        moment = at + i * every + i // times * pause
        source, rest = text.replace("{i}", str(i % times)).split(" -> ")
        if is_login:
            user, host = rest.split(" @ ")
            made.append(login(moment, source, user, host, **{"ok": False, **entry}))
        else:
            destination, port = rest.rsplit(":", 1)
            made.append(flow(moment, source, destination, int(port), **entry))
    return made


def seen(changes: Changes, incident: Incident) -> dict[str, int]:
    return {f"{row.field} {row.value}": row.events for row in changes.evidence[incident.id]}


def wrong(changes: Changes, incident: Incident, expected: dict[str, Any]) -> list[str]:
    """What of the expectation the incident does not meet, as sentences."""
    facts: dict[str, Any] = {name: getattr(incident, name) for name in ("family", "severity", "urgent", "got_in", "events", "model", "episode", "spread")}
    facts["entity"] = f"{incident.entity_kind} {incident.entity_value}"
    facts["technique"] = incident.techniques[0]
    facts["hours_open"] = (incident.closes_at - incident.opened) // 3_600_000_000  # whole
    for name, value in expected.items():
        if name == "title":
            facts[name] = value if value in incident.title["de"] and value in incident.title["en"] else incident.title["de"]
        if name == "evidence":
            facts[name] = {key: seen(changes, incident).get(key) for key in value}
    return [f"{name} is {facts[name]!r}, expected {value!r}" for name, value in expected.items() if facts[name] != value]


def test_all_golden_cases_are_found() -> None:
    assert len(CASES) >= 18


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "-"))
def test_golden(case: dict[str, Any]) -> None:
    stream = sorted((row for entry in case["events"] for row in rows(entry)), key=lambda row: row["@timestamp"])
    changes = CORE.step(CORE.fresh("stadt/rathaus"), events(stream))
    found = list(changes.opened)
    about = [f"{i.family} {i.entity_kind} {i.entity_value} (p {i.worst_p:.1e}, {i.events} events)" for i in found]
    keys = Counter((i.family, f"{i.entity_kind} {i.entity_value}") for i in found)
    assert keys == Counter((one["family"], one["entity"]) for one in case["expect"]), about
    for expected in case["expect"]:
        matching = [i for i in found if (i.family, f"{i.entity_kind} {i.entity_value}") == (expected["family"], expected["entity"])]
        complaints = [wrong(changes, incident, expected) for incident in matching]
        assert [] in complaints, complaints
