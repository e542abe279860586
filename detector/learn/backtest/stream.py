"""A simulated city's windows after ROUTE, with the truth about each event and the names under which its attacks went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector import records
from detector.config import Config
from detector.decode import ecs
from detector.judge.entities import address_text
from detector.learn.backtest.placing import MONDAY, Plan, placed
from detector.pipeline import Router, route_step
from detector.simulate import Attack, City, SimulatedWindow

I64 = NDArray[np.int64]
STEP = 12  # windows of ten minutes a batch; how the stream is cut changes nothing (I1)
OFFSET_BITS, OFFSET_ROW = 26, (1 << 26) - 1  # of a simulated record's offset: window, and row in it
FEW = 50  # an attack's source that is one of many names nobody: tomorrow it may be anybody's address


@dataclass(frozen=True, slots=True)
class Batch:
    """Some windows' events by shard; truth int64: of each event, 0 honest, -1 noise, otherwise an attack's number."""

    day: int  # since the start
    lines: int
    events: Mapping[str, pl.DataFrame]
    truth: Mapping[str, I64]


@dataclass(frozen=True, slots=True)
class Label:
    """An attack as it was placed. `sources`, `accounts`: as pseudonyms, whom the incidents that it leaves behind are about."""

    number: int
    kind: str
    strength: str
    technique: str
    tenant: str
    site: str
    start: int  # µs
    end: int
    events: int
    sources: frozenset[str]
    accounts: frozenset[str]


def city_of(plan: Plan, seed: int) -> City:
    return City(seed, plan.people, MONDAY, attacks="none", volume=plan.volume, placed=placed(plan, seed))


def config_of(city: City, plan: Plan, folder: Path) -> Config:
    """The city's configuration in the plan's mode; `folder` takes the tables that ROUTE reads."""
    for name, text in (("roles.csv", city.roles_csv()), ("networks.csv", city.networks_csv())):
        (folder / name).write_text(text, encoding="utf-8")
    config = msgspec.toml.decode(city.config_toml(files=str(folder)), type=Config)
    return msgspec.structs.replace(config, privacy=msgspec.structs.replace(config.privacy, person_memory=plan.mode))


def batches(city: City, router: Router, days: int) -> Iterator[Batch]:
    """The first days of a city."""
    for first in range(0, days * city.windows_per_day, STEP):
        windows = [city.window(index) for index in range(first, first + STEP)]
        lines = records.concat([part for window in windows for part in window.records.values()])
        routed = route_step(lines.take(np.argsort(lines.timestamps, kind="stable")), router)
        truth = {shard: truth_of(windows, events) for shard, events in routed.events.items()}
        yield Batch(first // city.windows_per_day, len(lines), routed.events, truth)


def truth_of(windows: list[SimulatedWindow], events: pl.DataFrame) -> I64:
    """int64 (events): the truth of the lines that they came from, found by their place in the topic."""
    offsets = events["log.offset"].to_numpy()
    truth = np.zeros(len(offsets), np.int64)
    codes, names = ecs.codes(events, "log.topic"), ecs.values(events, "log.topic")
    for topic in windows[0].truth:
        parts = [window.truth[topic] for window in windows]
        begins = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        mine = codes == (names.index(topic) if topic in names else -1)
        place = begins[(offsets[mine] >> OFFSET_BITS) - windows[0].index] + (offsets[mine] & OFFSET_ROW)
        truth[mine] = np.concatenate(parts)[place]
    return truth


class Traces:
    """Under which pseudonyms each attack went, and how many events it left."""

    def __init__(self, attacks: tuple[Attack, ...]) -> None:
        self._attacks = {attack.number: attack for attack in attacks}
        self._events = dict.fromkeys(self._attacks, 0)
        self._sources: dict[int, set[str]] = {number: set() for number in self._attacks}
        self._accounts: dict[int, set[str]] = {number: set() for number in self._attacks}

    def take(self, batch: Batch) -> None:
        for shard, truth in batch.truth.items():
            rows = np.flatnonzero(truth > 0)
            for number in np.unique(truth[rows]).tolist():
                self._note(number, batch.events[shard][rows[truth[rows] == number]])

    def _note(self, number: int, events: pl.DataFrame) -> None:
        self._events[number] += len(events)
        parts = ("source.ip.hi", "source.ip.lo", "source.ip.kind")
        self._sources[number] |= {address_text(*row) for row in events.select(parts).unique().iter_rows()} - {""}
        got_in = events.filter(pl.col("event.outcome").cast(pl.String) == "success")
        for column in ("user.target.name", "user.name"):
            self._accounts[number] |= set(got_in[column].cast(pl.String).unique().to_list()) - {""}

    def labels(self) -> list[Label]:
        """The attacks that left an event: what nobody wrote down nobody can find."""
        return [self._label(attack) for number, attack in self._attacks.items() if self._events[number] > 0]

    def _label(self, attack: Attack) -> Label:
        n = attack.number
        sources = self._sources[n] if len(self._sources[n]) <= FEW else set()
        return Label(
            n, attack.kind, attack.strength, attack.technique, attack.tenant, attack.site, attack.start, attack.end, self._events[n],
            frozenset(sources), frozenset(self._accounts[n]),
        )  # fmt: skip
