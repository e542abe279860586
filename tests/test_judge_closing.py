"""What people closed begins anew with the next event; in a replay, too."""

from __future__ import annotations

import pytest

from detector.judge import closing
from detector.judge.core import ShardState
from detector.judge.findings import Incident
from tests.test_judge import CORE, SHARD, fails, feed


def opened() -> tuple[ShardState, Incident]:
    state = CORE.fresh(SHARD)
    return state, feed(state, fails(10)).opened[0]


def say(state: ShardState, incident: Incident, word: str, episode: int = 1) -> None:
    CORE.take(state, "verdict", closing.verdict(incident.id, episode, word))


@pytest.mark.parametrize("word", ["false-positive", "allowed", "closed"])
def test_after_a_verdict_that_closes_the_next_event_begins_an_episode(word: str) -> None:
    state, incident = opened()
    say(state, incident, word)
    later = feed(state, fails(10, at=30), offset=100)
    assert [(one.id, one.episode) for one in later.updated] == [(incident.id, 2)]


@pytest.mark.parametrize("word", ["confirmed", "in-work", "nonsense"])
def test_other_verdicts_let_it_go_on(word: str) -> None:
    state, incident = opened()
    say(state, incident, word)
    assert [one.episode for one in feed(state, fails(10, at=30), offset=100).updated] == [1]


@pytest.mark.parametrize("word", ["retracted", "confirmed"])
def test_taken_back_it_goes_on_as_if_nothing_had_been_said(word: str) -> None:
    state, incident = opened()
    say(state, incident, "false-positive")
    feed(state, [], offset=50)
    say(state, incident, word)
    untouched, _ = opened()
    told, otherwise = feed(state, fails(10, at=30), offset=100), feed(untouched, fails(10, at=30), offset=100)
    assert (told.updated, told.evidence, told.episodes) == (otherwise.updated, otherwise.evidence, otherwise.episodes)


def test_a_verdict_on_an_earlier_episode_or_an_unknown_incident_changes_nothing() -> None:
    state, incident = opened()
    before = CORE.dump(state)
    say(state, incident, "closed", episode=2)
    CORE.take(state, "verdict", closing.verdict("somewhere else", 1, "closed"))
    CORE.take(state, "verdict", {})
    assert CORE.dump(state) == before


def test_a_closed_case_survives_a_snapshot() -> None:
    state, incident = opened()
    say(state, incident, "closed")
    restored = CORE.load(SHARD, CORE.dump(state))
    assert [one.episode for one in feed(restored, fails(10, at=30), offset=100).updated] == [2]


def test_a_case_about_a_token_that_was_closed_goes_on_until_the_token_changes() -> None:
    state = CORE.fresh(SHARD)
    token = fails(10, source="ip-00000000000000aa", host="u-00000000000000bb")
    changes = feed(state, token)
    assert changes.opened != ()
    for incident in changes.opened:
        say(state, incident, "closed")
    again = feed(state, [{**row, "log.offset": 100 + i} for i, row in enumerate(fails(10, at=30, source="ip-00000000000000aa",
                 host="u-00000000000000bb"))])  # fmt: skip
    assert again.opened == ()
    assert {one.episode for one in again.updated} == {2}
