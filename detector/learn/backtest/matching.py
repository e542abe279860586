"""Which incidents speak of which attack: the rule that every figure of the backtest rests on.

An incident is true when one of its flagged events belongs to an attack. It is an aftermath, neither true nor false, when
it holds no such event but is about the attack's own source, or the account that it got into, and began at most 24 hours
after the attack's end: their counters still remember. Everything else is false; `noise` if the internet's noise began it.
An attack is found when a notification went out at or after the first of its events in that incident: being added to
something that was reported before it began is not enough. Several incidents about one attack are one find.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from detector.learn.backtest.ledger import Sighting
from detector.learn.backtest.stream import Label

LAG = 86_400_000_000  # µs
Verdict = Literal["true", "aftermath", "noise", "honest"]
Fate = Literal["found", "held", "recorded", "near", "unseen"]
NOISE = -1


@dataclass(frozen=True, slots=True)
class Find:
    """What became of one attack.

    found: notified, `delay` µs after its start · held: wanted a notification that the budget held back · recorded: in an
    incident that was reported before, or not again · near: an event came within ten times the threshold · unseen
    """

    label: Label
    fate: Fate
    delay: int | None = None


def verdict(sighting: Sighting, labels: Sequence[Label]) -> Verdict:
    if any(number > 0 for number in sighting.truth):
        return "true"
    if any(_left_behind(sighting, label) for label in labels):
        return "aftermath"
    return "noise" if sighting.opener == NOISE else "honest"


def _left_behind(sighting: Sighting, label: Label) -> bool:
    names = label.accounts if sighting.kind == "user.name" else label.sources
    own = sighting.tenant == label.tenant and sighting.entity in names
    return own and label.start <= sighting.opened <= label.end + LAG


def find(label: Label, sightings: Iterable[Sighting], closest: float) -> Find:
    """closest: the largest margin of its events, log10(threshold / p)."""
    about = [s for s in sightings if label.number in s.truth]
    told = [at for s in about for at in s.sent if at >= s.since[label.number]]
    if told:
        return Find(label, "found", max(0, min(told) - label.start))
    if any(at >= s.since[label.number] for s in about for at, _ in s.wished):
        return Find(label, "held")
    if about:
        return Find(label, "recorded")
    return Find(label, "near" if closest >= -1.0 else "unseen")
