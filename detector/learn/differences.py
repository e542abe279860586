"""What a candidate would have changed: incidents that appear, vanish or change their rank; attacks found or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detector.learn.backtest.ledger import Sighting
from detector.learn.backtest.matching import Fate
from detector.learn.duel import DAY, Outcome, Said
from detector.learn.gates import own

SHOWN = 200  # incidents in a report; the rest is counted


@dataclass(frozen=True, slots=True)
class Difference:
    """One incident of either side or both; ranks from 1 = the rarest, None where that side has it not."""

    sighting: Sighting
    champion: int | None
    candidate: int | None

    @property
    def what(self) -> str:
        if self.champion is None:
            return "appears"
        if self.candidate is None:
            return "vanishes"
        return "same" if self.champion == self.candidate else "moves"


def differences(outcome: Outcome) -> list[Difference]:
    """All incidents of the tenant's own events, the rarest first. Two of one family and entity that began within a day are the same."""
    was, now = (sorted(own(said), key=lambda s: (s.p, s.opened, s.incident)) for said in (outcome.champion, outcome.candidate))
    places: dict[tuple[str, ...], list[int]] = {}
    for place, one in enumerate(now):
        places.setdefault(_what(one), []).append(place)
    found: list[Difference] = []
    for rank, one in enumerate(was, 1):
        same = next((p for p in places.get(_what(one), []) if abs(now[p].opened - one.opened) < DAY), None)
        if same is not None:
            places[_what(one)].remove(same)
        found.append(Difference(one, rank, None if same is None else same + 1))
    found += [Difference(now[place], None, place + 1) for left in places.values() for place in left]
    return sorted(found, key=lambda d: (min(d.champion or 1 << 30, d.candidate or 1 << 30), d.sighting.opened))


def _what(one: Sighting) -> tuple[str, ...]:
    return one.tenant, one.site, one.family, one.kind, one.entity


def fates(outcome: Outcome) -> list[tuple[str, str, Fate, Fate]]:
    """(attack, strength, champion's fate, candidate's) of each that was put in."""
    pairs = zip(outcome.champion.finds, outcome.candidate.finds, strict=True)
    return [(was.label.kind, was.label.strength, was.fate, now.fate) for was, now in pairs]


def report(outcome: Outcome) -> dict[str, Any]:
    """As JSON, for the page and the notebook."""
    all_ = differences(outcome)
    counts = {what: sum(d.what == what for d in all_) for what in ("appears", "vanishes", "moves", "same")}
    rows = [
        {
            "what": d.what, "family": d.sighting.family, "kind": d.sighting.kind, "entity": d.sighting.entity, "model": d.sighting.model,
            "opened": d.sighting.opened, "p": d.sighting.p, "champion": d.champion, "candidate": d.candidate,
        }
        for d in all_ if d.what != "same"
    ]  # fmt: skip
    return {
        "begin": outcome.begin, "end": outcome.end, "events": outcome.lines, "counts": counts, "incidents": rows[:SHOWN],
        "more": max(0, len(rows) - SHOWN),
        "attacks": [dict(zip(("attack", "strength", "champion", "candidate"), one, strict=True)) for one in fates(outcome)],
        "sides": {name: side(said) for name, said in (("champion", outcome.champion), ("candidate", outcome.candidate))},
    }  # fmt: skip


def side(said: Said) -> dict[str, Any]:
    return {"model_id": said.model_id, "incidents": len(own(said)), "honest": said.honest, "low": said.low}
