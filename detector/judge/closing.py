"""What a person's verdict means for the cases that a shard knows: closed ones begin a new episode with what comes next.

Confirming changes nothing here: the incident goes on, and episode after episode belongs to what was confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping

from detector.judge.cases import Case, Cases

CLOSING = frozenset({"false-positive", "allowed", "closed"})
REOPENING = frozenset({"confirmed", "retracted"})


def verdict(incident: str, episode: int, word: str) -> dict[str, object]:
    """The payload of an input of kind "verdict"."""
    return {"incident": incident, "episode": episode, "word": word}


def take(cases: Cases, payload: Mapping[str, object]) -> None:
    """Applies one verdict. An incident or episode that is not (or no longer) here, and any other word, changes nothing."""
    case = next((one for one in cases.known.values() if one.incident.id == payload.get("incident")), None)
    if case is None or case.incident.episode != payload.get("episode"):
        return
    if payload.get("word") in CLOSING:
        case.incident.closes_at = min(case.incident.closes_at, cases.clock)
    elif payload.get("word") in REOPENING:
        _reopen(case)


def _reopen(case: Case) -> None:
    """Back to the end that the episode was given when it began."""
    case.incident.closes_at = case.bout.episode.closes_at
