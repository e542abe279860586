"""What the goals ask of a candidate on one real stream: who is named, how soon, what opens, and which episodes are found."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector import features
from detector.decode import ecs
from detector.features import FeatureState, Rows
from detector.features.calendar import Calendar
from detector.features.table import ModelTable
from detector.judge.core import ShardState, judge
from detector.judge.findings import Changes
from detector.judge.flags import Times, flagged
from detector.judge.models import Scored
from detector.records import Records
from tests.quality import streams_profile
from tests.quality.streams_candidates import Candidate
from tests.quality.streams_episodes import Episode
from tests.quality.streams_lines import AUTH, BURST, DAY, EPISODES, HOUR, SECOND, STAFF, TENANT, TOPICS, UFW, Stream, route
from tests.quality.streams_people import MINUTE

SHARD, ENTITIES = TENANT, 100_000
SOON, LONG = 30 * MINUTE, 12 * HOUR  # until a short spray, and a long one, should be named
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Replayed:
    """All events of one variant of a stream, with every model's vectors, and where each event comes from."""

    stream: Stream
    events: pl.DataFrame
    vectors: Mapping[str, Rows]
    time: NDArray[np.int64]
    topic: NDArray[np.int64]  # index into TOPICS
    offset: NDArray[np.int64]

    def of(self, topic: str) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.topic == TOPICS.index(topic)
        return found


def replayed(stream: Stream, parts: Sequence[Records], tables: Mapping[str, ModelTable], *, profile: bool) -> Replayed:
    """`profile`: endless tokens, and the account model's vectors are the yardstick's; otherwise as the product is shipped."""
    events = route(parts, stream.host.zone, stable=profile)
    state = FeatureState.fresh(ENTITIES, _calendar(stream))
    return _placed(stream, events, _vectors(stream, events, features.step(state, events, tables), profile=profile))


def _calendar(stream: Stream) -> Calendar:
    return Calendar.of(stream.host.zone)


def _vectors(stream: Stream, events: pl.DataFrame, found: Mapping[str, Rows], *, profile: bool) -> dict[str, Rows]:
    if not profile or "auth-source" not in found:
        return dict(found)
    return {**found, "auth-user": streams_profile.of_events(events, found["auth-source"], ZoneInfo(stream.host.zone))}


def _placed(stream: Stream, events: pl.DataFrame, vectors: Mapping[str, Rows]) -> Replayed:
    names = ecs.values(events, "log.topic")
    index = np.array([TOPICS.index(name) if name in TOPICS else -1 for name in names], np.int64)
    time = events["@timestamp"].dt.epoch("us").to_numpy()
    return Replayed(stream, events, vectors, time, index[ecs.codes(events, "log.topic")], events["log.offset"].cast(pl.Int64).to_numpy())


def hits(run: Replayed, candidate: Candidate, scored: Mapping[str, Scored]) -> NDArray[np.bool_]:
    """Which events some model flags; each of them stands in an incident's evidence."""
    flags = flagged(run.events, scored, candidate.models, Times.of(run.events, 0))
    found = np.zeros(len(run.events), np.bool_)
    if flags is not None:
        found[flags.event] = True
    return found


def quiet_days(run: Replayed, candidate: Candidate) -> Figures:
    """The stream with staff and without episodes."""
    scored = candidate.scored(run.events, run.vectors)
    hit = hits(run, candidate, scored)
    found = _named(run, hit, AUTH, run.stream.bursts, "bursts") | _soon(run, hit)
    if run.stream.host.firewall:
        found |= _named(run, hit, UFW, run.stream.scans, "scans")
    return found | _incidents(run, candidate, scored) | _honest(run, hit)


def _named(run: Replayed, hit: NDArray[np.bool_], topic: str, starts: NDArray[np.int64], what: str) -> Figures:
    wanted = np.flatnonzero(starts >= run.stream.begins)
    mine = np.flatnonzero(hit & run.of(topic))
    found = np.unique(run.stream.part_of[topic][run.offset[mine]])
    return {what: len(wanted), f"{what}_named": int(np.isin(wanted, found).sum())}


def _soon(run: Replayed, hit: NDArray[np.bool_]) -> Figures:
    """Seconds from a burst's first line, and from its 20th attempt, to the first flag; medians over the bursts that were named."""
    burst = np.full(len(run.events), -1, np.int64)
    auth = np.flatnonzero(run.of(AUTH))
    burst[auth] = run.stream.part_of[AUTH][run.offset[auth]]
    weight = np.zeros(len(run.events), np.int64)
    if "auth-source" in run.vectors:
        weight[run.vectors["auth-source"].row] = run.vectors["auth-source"].weight
    after_first, after_twenty = [], []
    for number in np.flatnonzero(run.stream.bursts >= run.stream.begins).tolist():
        rows = np.flatnonzero(burst == number)
        named = rows[hit[rows]]
        if len(named) > 0:
            twentieth = rows[min(int(np.searchsorted(weight[rows].cumsum(), BURST)), len(rows) - 1)]
            after_first.append((run.time[named[0]] - run.time[rows[0]]) / SECOND)
            after_twenty.append(max(0.0, (run.time[named[0]] - run.time[twentieth]) / SECOND))
    if len(after_first) == 0:
        return {}
    return {"seconds_after_first": float(np.median(after_first)), "seconds_after_20th": float(np.median(after_twenty))}


def _incidents(run: Replayed, candidate: Candidate, scored: Mapping[str, Scored]) -> Figures:
    """How many begin on each day of the test (a repeat of a series counts as one), and whose event begins them."""
    changes = judge(ShardState.fresh(SHARD, ENTITIES, _calendar(run.stream)), run.events, scored, candidate.models)
    known = {incident.id: incident for incident in changes.opened}
    begun = [(known[id_], opened) for id_, opened in _starts(changes) if opened >= run.stream.begins]
    days = np.array([(opened - run.stream.begins) // DAY for _, opened in begun], np.int64)
    by = {"owner": 0, "staff": 0, "system": 0, "noise": 0}
    texts = []
    for incident, opened in begun:
        rows = changes.rows[incident.id]
        first = int(rows[np.argmax(run.time[rows] >= opened)])
        who = _whose(run, first)
        by[who] += 1
        if who != "noise":
            texts.append(f"{who}: {incident.title['en']} ({incident.model}: {incident.reasons[0].text['en'] if incident.reasons else ''})")
    models = dict(Counter(incident.model for incident, _ in begun))
    return {
        "days": round(run.stream.days, 1), "incidents": len(begun), "incidents_a_day": round(len(begun) / run.stream.days, 2),
        "incidents_most": int(np.bincount(days).max()) if len(days) > 0 else 0, "opened_by": by, "opened_of": models, "honest_texts": texts,
    }  # fmt: skip


def _starts(changes: Changes) -> list[tuple[str, int]]:
    """(incident, opened in µs) of everything that would stand in a day's list."""
    return [(episode.incident, episode.opened) for episode in changes.episodes]


def _whose(run: Replayed, event: int) -> str:
    topic, offset = TOPICS[int(run.topic[event])], int(run.offset[event])
    label = "staff" if topic == STAFF else run.stream.label[topic][offset]
    return label if label in ("owner", "staff", "system") else "noise"


def honest_rows(run: Replayed) -> NDArray[np.bool_]:
    """Events of the owner, of the machine itself and of the staff, in the test period."""
    honest = run.of(STAFF)
    auth = np.flatnonzero(run.of(AUTH))
    quiet = np.array([label in ("owner", "system") for label in run.stream.label[AUTH]])
    honest[auth] = quiet[run.offset[auth]]
    return honest & (run.time >= run.stream.begins)


def _honest(run: Replayed, hit: NDArray[np.bool_]) -> Figures:
    honest = honest_rows(run)
    return {"honest_lines": int(honest.sum()), "honest_flagged": int((honest & hit).sum())}


def calibration(run: Replayed, candidate: Candidate) -> dict[str, Figures]:
    """By model and kind of people: honest rows, and how many have a p at or below 1e-2, 1e-3, 3e-4, 1e-4."""
    honest, staff = honest_rows(run), run.of(STAFF)
    found = {}
    for name, scored in candidate.scored(run.events, run.vectors).items():
        if name == "auth-service":
            continue  # its rows are the noise
        for who, mine in (("real", honest & ~staff), ("staff", honest & staff)):
            p = scored.p[mine[scored.rows.row] & (scored.rows.weight > 0)]
            found[f"{name}, {who}"] = {"rows": len(p)} | {f"{level:g}": int((p <= level).sum()) for level in (1e-2, 1e-3, 3e-4, 1e-4)}
    return found


def episodes_found(run: Replayed, candidate: Candidate, episodes: Sequence[Episode], kind: str) -> list[tuple[float, bool]]:
    """(size, found) of each: a, b, d by its login itself, e by any of its lines."""
    hit = hits(run, candidate, candidate.scored(run.events, run.vectors))
    at = np.zeros(sum(len(episode.rows) for episode in episodes), np.bool_)
    mine = np.flatnonzero(run.of(EPISODES))
    at[run.offset[mine]] = hit[mine]
    return [(episode.size, bool(at[episode.rows].any() if kind == "e" else at[episode.rows[-1]])) for episode in episodes]


@dataclass(frozen=True, slots=True)
class Window:
    """One spray by itself: the stream from its start on with it, and that the others never happened."""

    episode: Episode
    run: Replayed


def sprayed(base: Replayed, injected: pl.DataFrame, episodes: Sequence[Episode], tables: Mapping[str, ModelTable]) -> list[Window]:
    """The base stream's memory at each spray's start, then both together for 12 hours at most."""
    state, done, windows = FeatureState.fresh(ENTITIES, _calendar(base.stream)), 0, []
    offsets = injected["log.offset"].cast(pl.Int64).to_numpy()
    for episode in sorted(episodes, key=lambda one: one.start):
        begin, end = np.searchsorted(base.time, [episode.start, min(episode.start + LONG, episode.times[-1] + 1)])
        features.step(state, base.events[done:begin], tables)
        done = int(begin)
        own = injected[np.flatnonzero(np.isin(offsets, episode.rows))]
        events = ecs.concat([base.events[int(begin) : int(end)], own]).sort("@timestamp", maintain_order=True)
        events = events.filter(pl.col("@timestamp").dt.epoch("us") <= episode.start + LONG)
        found = features.step(copy.deepcopy(state), events, tables)
        kept = {name: rows for name, rows in found.items() if name in ("auth-service", "auth-source")}
        windows.append(Window(episode, _placed(base.stream, events, kept)))
    return windows


def sprays_found(windows: Sequence[Window], base: Replayed, candidate: Candidate) -> list[tuple[float, float, bool]]:
    """(hours, minutes until one of its attempts is flagged, inf if none; whether chance flags the same half hour without it)."""
    service = {name: rows for name, rows in base.vectors.items() if name == "auth-service"}
    by_chance = base.time[hits(base, candidate, candidate.scored(base.events, service))]
    found = []
    for window in windows:
        run, start = window.run, window.episode.start
        hit = np.flatnonzero(hits(run, candidate, candidate.scored(run.events, run.vectors)) & run.of(EPISODES))
        minutes = float((run.time[hit[0]] - start) / MINUTE) if len(hit) > 0 else float("inf")
        a, b = np.searchsorted(by_chance, [start, start + SOON])
        found.append((window.episode.size, minutes, bool(b > a)))
    return found
