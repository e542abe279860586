"""Where the contract suite runs: on the stand-in, and on a real Grafana when GRAFANA_URL and GRAFANA_TOKEN are set.

The token must be an Admin's of an organisation that may be emptied: whatever is called `tuermer…` in it is removed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from detector.grafana.adapter import Who
from detector.grafana.api import Grafana
from detector.grafana.model import FOLDER, Model
from detector.grafana.present import ready
from detector.grafana.push import Outcome, Push
from detector.grafana.record import Record
from tests.grafana.openapi import checker
from tests.grafana.sample import Watched, sample
from tests.grafana.server import Fake, serving
from tests.grafana.world import World

WHO = Who("the token of the test", "look into conftest.py")


@dataclass
class Place:
    """A Grafana to push to. `fake` is None on a real one."""

    url: str
    content: Watched
    boss: Watched
    runtime: Grafana
    folder: Path
    fake: Fake | None = None
    told: list[str] = field(default_factory=list)

    @property
    def writes(self) -> list[str]:
        return self.boss.writes + self.content.writes

    def forget(self) -> None:
        """Count writes anew."""
        self.boss.writes.clear()
        self.content.writes.clear()
        self.content.dies_at = 0

    def record(self) -> Record:
        return Record.load(self.folder / "pushed.json")

    def sleep(self, seconds: float) -> None:
        """Only the stand-in's clock moves."""
        if self.fake is not None:
            self.fake.world.sleep(seconds)

    def pushing(self, model: Model | None = None, *, locked: bool = True, boss: bool = True) -> Push:
        who = self.boss if boss else None
        return Push(self.content, who, sample() if model is None else model, self.record(), locked, self.sleep, self.told.append)

    def push(self, model: Model | None = None, *, prune: bool = False, resend: bool = False) -> Outcome:
        """Push the sample, or another model."""
        return self.pushing(model).run(prune=prune, resend=resend)


def _fake(folder: Path) -> Iterator[Place]:
    world = World()
    with contextlib.ExitStack() as closing:
        fake = closing.enter_context(serving(world, checker()))
        content = closing.enter_context(Watched(fake.url, world.token("tuermer-content", "Editor"), WHO, timeout=5))
        boss = closing.enter_context(Watched(fake.url, world.token("tuermer-bootstrap", "Admin"), WHO, timeout=5))
        runtime = closing.enter_context(Grafana(fake.url, world.token("tuermer-runtime", "None"), WHO, timeout=5))
        yield Place(fake.url, content, boss, runtime, folder, fake)
        assert fake.violations == []


def _real(folder: Path) -> Iterator[Place]:
    url, token = os.environ.get("GRAFANA_URL", ""), os.environ.get("GRAFANA_TOKEN", "")
    if "" in (url, token):
        pytest.skip("no real Grafana: GRAFANA_URL and GRAFANA_TOKEN are not set")
    with contextlib.ExitStack() as closing:
        boss = closing.enter_context(Watched(url, token, WHO))
        ready(boss, time.sleep, print)
        empty(boss)
        content = closing.enter_context(Watched(url, _token(boss, "tuermer-content", "Editor"), WHO))
        runtime = closing.enter_context(Grafana(url, _token(boss, "tuermer-runtime", "None"), WHO))
        boss.writes.clear()
        yield Place(url, content, boss, runtime, folder)


def _token(boss: Grafana, name: str, role: str) -> str:
    account = boss.service_account(name) or boss.create_service_account(name, role)
    return boss.create_token(account["id"], f"{name}-{time.time_ns()}", 3600)


def empty(boss: Grafana) -> None:
    """Remove all that a test may have left."""
    for rule in boss.rules():
        if rule["folderUID"] == FOLDER:
            boss.delete_rule(rule["uid"])
    for found in boss.found("tuermer"):
        boss.delete_dashboard(found["uid"])
    for point in boss.contact_points():
        if point["uid"].startswith(("tuermer", "foreign")):
            boss.delete_contact_point(point["uid"])
    for template in boss.templates():
        boss.delete_template(template["name"])
    for timing in boss.mute_timings():
        boss.delete_mute_timing(timing["name"])
    if boss.folder(FOLDER) is not None:
        boss.call("DELETE", f"/folders/{FOLDER}")
    if boss.datasource("tuermer-pg") is not None:
        boss.call("DELETE", "/datasources/uid/tuermer-pg")


@pytest.fixture(params=["stand-in", "real"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Both, one after the other."""
    yield from _fake(tmp_path) if request.param == "stand-in" else _real(tmp_path)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Place]:
    """For what a real one cannot be made to do."""
    yield from _fake(tmp_path)
