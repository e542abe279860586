"""The bench over real streams measures what it says: episodes arrive as they were made, goals are judged as they are written."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from detector.features.table import read_all
from detector.learn.registry import SHIPPED
from tests.quality import streams_measure as measure
from tests.quality.streams_candidates import TUNED
from tests.quality.streams_episodes import Scene, episodes, records
from tests.quality.streams_goals import GOALS, judged
from tests.quality.streams_lines import DAY, EPISODES, HOSTS, HOUR, STAFF, present, read, records_of, route
from tests.quality.streams_people import Logins, Sshd, people, spoken, working
from tests.quality.streams_profile import TABLE, vectors

GATEWAY = next(host for host in HOSTS if host.name == "gateway")
needs_streams = pytest.mark.skipif(not present(GATEWAY), reason="the real streams are not at hand (../shared/datasets)")


@pytest.fixture(scope="module")
def scene() -> Scene:
    stream, rng = read(GATEWAY), np.random.default_rng(1)
    staff = people(rng)
    logins = working(rng, staff, stream.first, stream.last, GATEWAY.zone)
    return Scene(stream, staff, logins, Sshd(stream.machine, ZoneInfo(GATEWAY.zone)), rng)


def _outcomes(events: pl.DataFrame, topic: str) -> dict[str, int]:
    mine = events.filter((pl.col("log.topic").cast(pl.String) == topic) & (pl.col("event.action").cast(pl.String) == "login"))
    return dict(mine["event.outcome"].cast(pl.String).value_counts().iter_rows())


@needs_streams
def test_every_line_of_staff_and_episodes_becomes_a_login_event(scene: Scene) -> None:
    lines, times, _ = spoken(scene.staff, scene.logins, scene.sshd)
    parts = [records_of(STAFF, lines, times)]
    for kind in "abde":
        made = episodes(kind, scene, 8)
        found = _outcomes(route([*parts, records(made)], GATEWAY.zone, stable=True), EPISODES)
        assert sum(found.values()) == sum(len(episode.lines) for episode in made), kind
        assert found.get("success", 0) == (0 if kind == "e" else len(made)), kind
    assert _outcomes(route(parts, GATEWAY.zone, stable=True), STAFF)["success"] == len(scene.logins)


@needs_streams
def test_a_spray_has_one_attempt_a_source_and_an_episode_lies_in_the_test_period(scene: Scene) -> None:
    made = episodes("c", scene, 3)
    for episode in made:
        sources = {line.split(b" from ")[1].split()[0] for line in episode.lines}
        assert len(sources) == len(episode.lines) >= 100
        assert scene.stream.begins <= episode.times[0] <= episode.times[-1] <= scene.stream.last


@needs_streams
def test_tokens_are_endless_only_in_the_yardstick_mode(scene: Scene) -> None:
    lines, times, whose = spoken(scene.staff, scene.logins, scene.sshd)
    for stable in (True, False):
        events = route([records_of(STAFF, lines, times)], GATEWAY.zone, stable=stable)
        tokens = events["user.name"].cast(pl.String).n_unique()
        assert (tokens == len(np.unique(whose))) == stable


def test_a_move_is_novel_in_the_yardstick_and_the_usual_place_is_not() -> None:
    n, home, away = 30, 91 << 24 | 7, 101 << 24 | 9
    address = np.array([home] * n + [away])
    nothing = np.zeros(n + 1, np.int64)
    X = vectors(Logins(np.arange(n + 1) * DAY + 10 * HOUR, nothing, address, nothing, nothing), ZoneInfo("UTC"))
    elsewhere = X[:, TABLE.names.index("elsewhere")]
    assert elsewhere[10:n].max() < 1.0
    assert elsewhere[n] > 3 * np.log2(n), "address, network and region are new, and the network for the tenant, too"


@needs_streams
def test_the_tuned_rules_name_features_that_exist() -> None:
    tables = dict(read_all(SHIPPED)) | {"auth-user": TABLE}
    named = {(model, name) for model, rules in TUNED.items() for rule in rules for name in rule}
    assert {pair for pair in named if pair[1] not in tables[pair[0]].names} == set()


@needs_streams
def test_named_bursts_are_counted_only_where_one_of_their_own_lines_is_flagged(scene: Scene) -> None:
    run = measure.replayed(scene.stream, scene.stream.lines, read_all(SHIPPED), profile=True)
    nothing = np.zeros(len(run.events), np.bool_)
    assert measure._named(run, nothing, "auth", scene.stream.bursts, "bursts") == {"bursts": 3, "bursts_named": 0}
    first = int(np.flatnonzero((run.topic == 0) & (scene.stream.part_of["auth"][run.offset] == 0))[0])
    nothing[first] = True
    assert measure._named(run, nothing, "auth", scene.stream.bursts, "bursts")["bursts_named"] == 1


def _figures(opened: int, found: list[tuple[float, bool]]) -> dict[str, object]:
    by = {"owner": opened, "staff": 0, "system": 0}
    return {"days": 7.0, "incidents": opened, "incidents_most": opened, "opened_by": by, "bursts": 4, "bursts_named": 4, "b": found}


def test_a_goal_is_judged_by_host_and_says_who_is_ahead() -> None:
    ours, rival = _figures(2, [(30.0, False)] * 5 + [(3.0, True)] * 5), _figures(0, [(30.0, True)] * 5)
    rows = {row["goal"]: row for row in judged({"hosts": {"x": {"noisy": True, "candidates": {"ours": ours, "rules": rival}}}})}
    assert rows["bursts of 20+ named"]["reached"]
    assert rows["bursts of 20+ named"]["ahead"] == []
    assert (rows[GOALS[7].name]["ours"], rows[GOALS[7].name]["ahead"]) == (0.0, ["rules"])
    assert rows["incidents opened by honest people, a week"]["ahead"] == ["rules"]
    assert rows["incidents on the worst day"]["ahead"] == [], "within the goal, fewer is no victory"
