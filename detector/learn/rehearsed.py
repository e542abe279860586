"""Simulated attacks among a tenant's own recorded days: the events that they would have left, beside those that there were.

The attackers come from a small simulated town in which nobody else writes a line. Their events keep its names of hosts and
accounts; only shard and time are the tenant's. So this asks whether two models see the same attacks in the tenant's noise, not
how good either is: for that there is `tuermer backtest`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector import records
from detector.config import Config
from detector.decode import Decoder, ecs
from detector.features.columns import times
from detector.learn.backtest.placing import Calendar, Plan
from detector.learn.backtest.recorded import DAY, STEP, RecordedDays
from detector.learn.backtest.stream import Batch, Happened, config_of, truth_of
from detector.pipeline import Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.simulate import KINDS, City, Placed
from detector.simulate.wire import Sheet

I64 = NDArray[np.int64]
PEOPLE, SEED = 40, 77
Played = list[tuple[pl.DataFrame, I64]]  # events of one shard, and whose attack each is


class Attackers(City):
    """A town in which nobody writes a line but attackers."""

    def _honest(self, start: int, sheets: dict[str, Sheet]) -> None:
        del start, sheets


def attacks(start: int, days: int, first: int, strengths: Sequence[str] = ("usual",)) -> Attackers:
    """A town with every kind of attack once per strength, spread over the days from `first` on; `start` is a midnight (UTC), µs."""
    wanted = [(kind, strength) for kind in KINDS for strength in strengths]
    span = max(days - first, 1)
    placed = tuple(Placed(kind, strength=strength, day=first + k % span, seed=k) for k, (kind, strength) in enumerate(wanted))
    return Attackers(SEED, PEOPLE, datetime.fromtimestamp(start / 1e6, UTC), attacks="none", placed=placed)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """Recorded days with attacks among them; implements `backtest.stream.Days`."""

    recorded: RecordedDays
    attacks: Sequence[Happened]
    played: Mapping[str, Played]  # by shard of the tenant

    @classmethod
    def of(cls, recorded: RecordedDays, first: int, strengths: Sequence[str] = ("usual",)) -> Rehearsed:
        """`first`: the day from which on attacks happen; what would lie outside the recording is left out."""
        town = attacks(recorded.start, recorded.days, first, strengths)
        last = max(int(times(frame)[-1]) for frame in recorded.events.values() if len(frame) > 0)
        shards = sorted(recorded.events)
        played: dict[str, Played] = {shard: [] for shard in shards}
        for number, (events, truth) in _played(town, recorded.days, last):
            played[shards[number % len(shards)]].append((events, truth))
        seen = {int(one) for parts in played.values() for _, truth in parts for one in np.unique(truth)}
        return cls(recorded, [one for one in town.placed if one.number in seen], played)

    @property
    def config(self) -> Config:
        return self.recorded.config

    @property
    def start(self) -> int:
        return self.recorded.start

    def batches(self) -> Iterator[Batch]:
        added = {shard: _sorted(parts) for shard, parts in self.played.items() if len(parts) > 0}
        for batch in self.recorded.batches():
            begin = times(next(iter(batch.events.values())))[0] // STEP * STEP if len(batch.events) > 0 else 0
            events, truth = dict(batch.events), dict(batch.truth)
            for shard, (more, whose) in added.items():
                a, b = np.searchsorted(times(more), (begin, begin + STEP))
                if b > a and len(batch.events) > 0:
                    events[shard], truth[shard] = _merged(events.get(shard), truth.get(shard), more[int(a) : int(b)], whose[a:b])
            yield Batch(batch.day, batch.lines, events, truth)


def _played(town: City, days: int, last: int) -> Iterator[tuple[int, tuple[pl.DataFrame, I64]]]:
    """(number of the town's shard, events of attacks and whose they are), window by window."""
    with TemporaryDirectory() as folder:
        config = config_of(town, Plan((SEED,), calendar=Calendar()), Path(folder))
        router = Router(Decoder.of(config), Privacy.of(config, MemoryKeyring(SEED.to_bytes(32, "big"))))
    numbers: dict[str, int] = {}
    for index in sorted({i for one in town.placed for i in _windows(town, one)}):
        if index >= days * town.windows_per_day or index < 0:
            continue
        window = town.window(index)
        parts = [window.records[topic].take(np.flatnonzero(window.truth[topic] > 0)) for topic in window.records]
        lines = records.concat([part for part in parts if len(part) > 0]) if any(len(part) for part in parts) else None
        if lines is None:
            continue
        routed = route_step(lines.take(np.argsort(lines.timestamps, kind="stable")), router)
        for shard, events in routed.events.items():
            mine = events.filter(pl.col("@timestamp").cast(pl.Int64) <= last)
            if len(mine) > 0:
                yield numbers.setdefault(shard, len(numbers)), (mine, truth_of([window], mine))


def _windows(town: City, attack: Happened) -> range:
    span = DAY // town.windows_per_day
    return range((attack.start - town.start) // span, (attack.end - town.start) // span + 1)


def _sorted(parts: Played) -> tuple[pl.DataFrame, I64]:
    events, truth = ecs.concat([events for events, _ in parts]), np.concatenate([truth for _, truth in parts])
    order = np.argsort(times(events), kind="stable")
    return events[order], truth[order]


def _merged(events: pl.DataFrame | None, truth: I64 | None, more: pl.DataFrame, whose: I64) -> tuple[pl.DataFrame, I64]:
    """By time; what was recorded comes first at equal times."""
    if events is None or truth is None:
        return more, whose
    whole, both = ecs.concat([events, more]), np.concatenate([truth, whose])
    order = np.argsort(times(whole), kind="stable")
    return whole[order], both[order]
