"""Can who holds the stored training rows tell that two tokens of different days are one person? A forest tries.

    python -m tests.quality.linkage 120 5

A simulated city without attacks runs through the product (person_memory = none); the rows of `auth-user` that SCORE hands over to be
stored are all that the attacker has, with whose they are only to grade him. Nothing in them gathers rows of a day (judge/reservoir.py),
so he compares one row with one row: for a row of one day he picks among one row each of everybody with the same role on the next day.
His forest has learnt from earlier days who belongs together. Chance is one in as many as he picks from.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from detector import records
from detector.config import Config
from detector.decode import Decoder
from detector.features.hashing import text_ids
from detector.judge.blocks import unpacked
from detector.judge.core import Core, ShardState
from detector.learn.baseline import MONDAY
from detector.pipeline import Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.simulate.city import City

MODEL = "auth-user"
Memory = Literal["none", "first-seen"]
Where = tuple[str, str, int]  # shard, role, epoch
Rows = list[NDArray[np.float64]]
Groups = dict[Where, dict[str, Rows]]


class Row(NamedTuple):
    """A stored row; `who` and `role` are the examiner's."""

    where: Where
    who: str
    x: NDArray[np.float64]


class Figure(NamedTuple):
    """Shares of right answers and what chance would give, both as means over persons; `error`: of their difference."""

    right: float
    chance: float
    error: float
    persons: int


def stored(people: int, days: int, memory: Memory = "none", seed: int = 5) -> list[Row]:
    """What a city's days leave in the reservoir."""
    city = City(seed, people, MONDAY, attacks="none", only="authentication")
    router, core = _product(city, memory)
    states: dict[str, ShardState] = {}
    owners: dict[tuple[str, bytes], tuple[str, str]] = {}
    found = []
    for window in city.windows(0, days * city.windows_per_day):
        lines = records.concat(list(window.records.values()))
        lines = lines.take(np.argsort(lines.timestamps, kind="stable"))
        truth = _names(router.decoder.decode(lines).events)
        for shard, events in route_step(lines, router).events.items():
            state = states.setdefault(shard, core.fresh(shard))
            people_of = _people(events, truth)
            for block in core.step(state, events).blocks:
                if block.model == MODEL and not block.aside:
                    found += _rows(shard, block.day, block.hour, unpacked(block.columns, len(core.models.tables[MODEL].names)).X, owners)
            _remember(shard, state, people_of, owners)
    return found


def _product(city: City, memory: Memory) -> tuple[Router, Core]:
    with TemporaryDirectory() as folder:
        for name, text in (("roles.csv", city.roles_csv()), ("networks.csv", city.networks_csv())):
            (Path(folder) / name).write_text(text)
        config = msgspec.toml.decode(city.config_toml(files=folder), type=Config)
        config = replace(config, privacy=replace(config.privacy, person_memory=memory))
        return Router(Decoder.of(config), Privacy.of(config, MemoryKeyring(b"k" * 32))), Core.of(config)


def _names(plain: pl.DataFrame) -> dict[tuple[str, int], str]:
    """The account in a line, by its place; as one name of a person, or "" for machines and services."""
    texts = [plain[name].cast(pl.String).to_list() for name in ("log.topic", "user.name", "user.target.name")]
    named = {}
    for topic, offset, user, target in zip(texts[0], plain["log.offset"].to_list(), texts[1], texts[2], strict=True):
        name = (target or user or "").lower().split("@")[0]
        named[topic, offset] = name if name.replace(".", "").isalpha() and "." in name else ""
    return named


def _people(events: pl.DataFrame, truth: dict[tuple[str, int], str]) -> dict[int, tuple[str, str]]:
    """By the hash of a token: its person and role."""
    target, user = text_ids(events, "user.target.name"), text_ids(events, "user.name")
    entity = np.where(target != 0, target, user).tolist()
    topics, roles = (events[name].cast(pl.String).to_list() for name in ("log.topic", "user.roles"))
    places = zip(topics, events["log.offset"].to_list(), strict=True)
    return {who: (truth.get(place, ""), role or "") for who, place, role in zip(entity, places, roles, strict=True) if who != 0}


def _remember(
    shard: str, state: ShardState, people_of: dict[int, tuple[str, str]], owners: dict[tuple[str, bytes], tuple[str, str]]
) -> None:
    """Whose the rows are that wait to be stored."""
    part = state.reservoir.parts.get(MODEL)
    for hour in [] if part is None else part.hours:
        for entity, x in zip(hour.sample.entity.tolist(), hour.sample.X, strict=True):
            if entity in people_of:
                owners[shard, hour.hour.to_bytes(8) + x.tobytes()] = people_of[entity]


def _rows(shard: str, epoch: int, hour: int, values: NDArray[np.float32], owners: dict[tuple[str, bytes], tuple[str, str]]) -> list[Row]:
    rows = []
    for x in values:
        who, role = owners.get((shard, (hour // 3_600_000_000).to_bytes(8) + x.tobytes()), ("", ""))
        if who != "":
            rows.append(Row((shard, role, epoch), who, np.append(x.astype(float), hour // 3_600_000_000 % 24)))
    return rows


def figure(rows: list[Row], seed: int = 0, trees: int = 300) -> Figure:
    """The forest learns on the first half of the days and is graded on the rest."""
    rng = np.random.default_rng(seed)
    groups: Groups = defaultdict(lambda: defaultdict(list))
    for row in rows:
        groups[row.where][row.who].append(row.x)
    epochs = sorted({where[2] for where in groups})
    half = epochs[len(epochs) // 2]
    pairs, same = [], []
    for who, x, others in _questions(groups, lambda epoch: epoch < half):
        chosen = [(name, vectors[rng.integers(len(vectors))]) for name, vectors in others.items()]
        pairs += [_beside(x, other) for _, other in chosen]
        same += [name == who for name, _ in chosen]
    forest = RandomForestClassifier(trees, min_samples_leaf=5, class_weight="balanced_subsample", random_state=seed)
    forest.fit(np.array(pairs), np.array(same))
    gains: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for who, x, others in _questions(groups, lambda epoch: epoch >= half):
        names = list(others)
        answers = forest.predict_proba(np.array([_beside(x, others[name][rng.integers(len(others[name]))]) for name in names]))[:, 1]
        answers = answers + rng.random(len(names)) * 1e-6
        gains[who].append((float(names[int(np.argmax(answers))] == who), 1 / len(names)))
    persons = np.array([np.mean(known, axis=0) for known in gains.values()])
    gain = persons[:, 0] - persons[:, 1]
    return Figure(float(persons[:, 0].mean()), float(persons[:, 1].mean()), float(gain.std() / np.sqrt(len(gain))), len(gain))


def _questions(groups: Groups, wanted: Callable[[int], bool]) -> Iterator[tuple[str, NDArray[np.float64], dict[str, Rows]]]:
    """Each row with everybody of the same role who has one the next day, among at least two, the owner with them."""
    for (shard, role, epoch), known in list(groups.items()):
        others = groups.get((shard, role, epoch + 1), {})
        if wanted(epoch) and len(others) > 1:
            yield from ((who, x, others) for who, xs in known.items() if who in others for x in xs)


def _beside(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([np.abs(one - other), np.minimum(one, other)])


if __name__ == "__main__":
    print(figure(stored(int(sys.argv[1]), int(sys.argv[2]), "first-seen" if "first-seen" in sys.argv else "none")))
