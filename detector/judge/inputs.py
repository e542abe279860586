"""What changes a shard's state beside events: the inputs of design section 3, by kind.

Each is stored first, gets its offset, and takes effect just before the message there, in a replay too. So a `take` is pure,
knows no clock, and does nothing about what it does not know: a replay after an update may meet older ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from detector.judge import closing
from detector.judge.shard import Shadow, ShardState

Payload = Mapping[str, object]
Part = Literal["champion", "shadow"]
MODEL = "model"
VERDICT = "verdict"
SHIPPED = "shipped"  # instead of a digest: the baseline that came with this version


def model(name: str, digest: str, part: Part) -> dict[str, object]:
    """The payload of an input of kind "model". `digest`: SHA-256 of its manifest, or SHIPPED; as a shadow, that ends the one that runs."""
    return {"model": name, "digest": digest, "part": part}


def wanted(payload: Payload) -> tuple[str, str, Part] | None:
    """(model, digest, part) of an input of kind "model"; None where it is no such payload."""
    name, digest, part = payload.get("model"), payload.get("digest"), payload.get("part")
    if not isinstance(name, str) or not isinstance(digest, str) or part not in ("champion", "shadow"):
        return None
    return name, digest, part


def take_model(state: ShardState, payload: Payload) -> None:
    """Another model judges from here on, or stands beside. Counters, open incidents and what came near stay as they are: the features
    are the same, and facts of an incident name the model that found them."""
    found = wanted(payload)
    if found is None:
        return
    name, digest, part = found
    if part == "champion":
        if digest == SHIPPED:
            state.chosen.pop(name, None)
        else:
            state.chosen[name] = digest
        state.shadows.pop(name, None)  # it was compared with the one before
    elif digest == SHIPPED:
        state.shadows.pop(name, None)
    else:
        state.shadows[name] = Shadow(digest)


def take_verdict(state: ShardState, payload: Payload) -> None:
    """A person closed an incident, or took that back."""
    closing.take(state.cases, payload)


TAKES: dict[str, Callable[[ShardState, Payload], None]] = {MODEL: take_model, VERDICT: take_verdict}


def take(state: ShardState, kind: str, payload: Payload) -> None:
    """Apply one input; a kind that this version does not know changes nothing."""
    if kind in TAKES:
        TAKES[kind](state, payload)
