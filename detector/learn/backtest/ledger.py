"""What one rival said, incident by incident, and what of it went out under the budget; by event time alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.judge import budget
from detector.judge.budget import Purse, Wish
from detector.judge.families import LEVELS
from detector.judge.findings import Changes, Episode, Incident
from detector.judge.policy import ZONE, urgent

I64 = NDArray[np.int64]
_LEVEL: dict[str, int] = {name: level for level, name in enumerate(LEVELS)}


@dataclass(slots=True)
class Sighting:
    """One episode of an incident: what the list shows as new, or as come again.

    truth    flagged events by whose they were: 0 honest, -1 the internet's noise, otherwise the attack's number
    since    when the first of them happened, µs, likewise
    opener   whose event began it
    because  the leading feature of its first reason, "" without one
    wished   (µs, why) for each notification that it wanted; why as in budget.Why
    """

    incident: str
    number: int
    tenant: str
    site: str
    model: str
    family: str
    kind: str
    entity: str
    opened: int
    p: float
    opener: int
    because: str
    severity: str
    truth: dict[int, int] = field(default_factory=dict)
    since: dict[int, int] = field(default_factory=dict)
    wished: list[tuple[int, str]] = field(default_factory=list)

    @property
    def sent(self) -> list[int]:
        """When notifications of it went out, µs."""
        return [at for at, why in self.wished if why in ("urgent", "budget")]


@dataclass(slots=True)
class Ledger:
    """All that one rival said in one city, and each tenant's purse."""

    per_day: int
    sightings: dict[tuple[str, int], Sighting] = field(default_factory=dict)
    _purses: dict[str, Purse] = field(default_factory=dict)
    _severity: dict[str, str] = field(default_factory=dict)  # of an incident when last sent
    _origins: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def take(self, steps: Iterable[tuple[Changes, I64, I64]]) -> None:
        """One batch of all shards: what changed, the time (µs) and the truth of each of its events."""
        wants = [want for changes, time, truth in steps for want in self._shard(changes, time, truth)]
        for at, sighting, incident in sorted(wants, key=lambda want: (want[0], want[1].incident)):
            self._decide(at, sighting, incident)

    def _shard(self, changes: Changes, time: I64, truth: I64) -> Iterator[tuple[int, Sighting, Incident]]:
        incidents = {incident.id: incident for incident in (*changes.opened, *changes.updated)}
        for id_, rows in changes.rows.items():
            incident = incidents[id_]
            samples = changes.samples.get(id_, ())
            self._origins.setdefault(id_, budget.origins(incident, samples[0].fields if len(samples) > 0 else {}))
            episodes = sorted((one for one in changes.episodes if one.incident == id_), key=lambda one: one.number)
            began = False
            for episode, mine in _split(episodes, np.sort(rows), time):
                began = (id_, episode.number) not in self.sightings
                sighting = self.sightings.setdefault((id_, episode.number), _sighting(incident, episode, int(truth[mine[0]])))
                _note(sighting, incident, time[mine], truth[mine])
            if id_ in changes.notify:
                # one that became worse did so at the latest when it was last touched
                yield episodes[-1].opened if began else episodes[-1].updated, sighting, incident

    def _decide(self, at: int, sighting: Sighting, incident: Incident) -> None:
        before = self._severity.get(incident.id)
        raised = before is not None and _LEVEL[incident.severity] > _LEVEL[before]
        wish = Wish(urgent(incident), self._origins[incident.id], raised)
        purse = self._purses.get(incident.tenant) or budget.full(self.per_day, at, ZONE)
        self._purses[incident.tenant], answer = budget.decide(purse, self.per_day, wish, at, ZONE)
        sighting.wished.append((at, answer.why))
        if answer.sent:
            self._severity[incident.id] = incident.severity


def _split(episodes: list[Episode], rows: I64, time: I64) -> Iterator[tuple[Episode, I64]]:
    """The flagged rows of an incident by its episodes; seldom more than one within a batch."""
    begins = np.array([episode.opened for episode in episodes[1:]], np.int64)
    which = np.searchsorted(begins, np.maximum.accumulate(time[rows]), "right")
    for place, episode in enumerate(episodes):
        mine = rows[which == place]
        if len(mine) > 0:
            yield episode, mine


def _sighting(incident: Incident, episode: Episode, opener: int) -> Sighting:
    return Sighting(
        incident.id, episode.number, incident.tenant, incident.site, episode.model, incident.family, incident.entity_kind,
        incident.entity_value, episode.opened, episode.p_value, opener, episode.reasons[0].feature if episode.reasons else "",
        incident.severity,
    )  # fmt: skip


def _note(sighting: Sighting, incident: Incident, time: I64, truth: I64) -> None:
    sighting.severity = incident.severity
    for whose in np.unique(truth).tolist():
        first = int(time[truth == whose].min())
        sighting.truth[whose] = sighting.truth.get(whose, 0) + int((truth == whose).sum())
        sighting.since[whose] = min(sighting.since.get(whose, first), first)
