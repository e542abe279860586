"""The changes of several steps as those of one, so that a batch is written in one transaction."""

from __future__ import annotations

from collections.abc import Iterable

from detector.judge.blocks import Block
from detector.judge.devices import Facts, added
from detector.judge.findings import Beside, Changes, Deciles, Episode, EventSample, EvidenceRow, Incident, NearMiss


def merged(shard: str, parts: Iterable[Changes]) -> Changes:
    """The changes of several steps as those of one: the last value of each incident, all evidence, each wish once."""
    opened: dict[str, Incident] = {}
    updated: dict[str, Incident] = {}
    evidence: dict[str, list[EvidenceRow]] = {}
    samples: dict[str, list[EventSample]] = {}
    notify: dict[str, None] = {}
    episodes: dict[tuple[str, int], Episode] = {}
    facts: list[tuple[Facts, ...]] = []
    misses: list[NearMiss] = []
    deciles: list[Deciles] = []
    shadows: list[Beside] = []
    blocks: list[Block] = []
    for part in parts:
        opened.update((incident.id, incident) for incident in part.opened)
        for incident in part.updated:
            (opened if incident.id in opened else updated)[incident.id] = incident
        for id_, rows in part.evidence.items():
            evidence.setdefault(id_, []).extend(rows)
        for id_, more in part.samples.items():
            samples.setdefault(id_, []).extend(more)
        notify.update(dict.fromkeys(part.notify))
        episodes.update(((episode.incident, episode.number), episode) for episode in part.episodes)
        facts.append(part.devices)
        misses += part.misses
        deciles += part.deciles
        shadows += part.shadows
        blocks += part.blocks
    return Changes(
        shard, tuple(opened.values()), tuple(updated.values()),
        {id_: tuple(rows) for id_, rows in evidence.items()}, {id_: tuple(rows) for id_, rows in samples.items()}, tuple(notify),
        tuple(episodes.values()), devices=added(facts), misses=tuple(misses), deciles=tuple(deciles),
        shadows=tuple(shadows), blocks=tuple(blocks),
    )  # fmt: skip
