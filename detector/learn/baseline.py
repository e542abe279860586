"""The shipped baselines: honest simulated people, through the product's own decoding, privacy and features, into detectors.

Several cities with different people, some to train on, some to calibrate on. The number of people and servers sets what a
p-value can promise, not the number of rows (streams.md no. 2): at least 300 people in each city, and a whole week
after the warm-up, since Saturdays are no Mondays. They begin on different weekdays.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import replace as replace_field
from numpy.typing import NDArray

from detector import records
from detector.config import Config
from detector.decode import Decoder, ecs
from detector.features import FeatureState, Rows, step
from detector.features.table import ModelTable, read_all
from detector.forest import artefact
from detector.forest.detector import Detector
from detector.judge.calibration import threshold_by_replay
from detector.learn import prior
from detector.learn.registry import SHIPPED
from detector.learn.train import Days, Trained, capped, train
from detector.pipeline import Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.simulate import City, SimulatedWindow

F64 = NDArray[np.float64]
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = 86_400_000_000
WARM_UP = 4  # days whose rows are left out: everything is new then, and who was seen on three days is known
FEWEST_PEOPLE = 300
KEPT = {"firewall-source": 0.25, "firewall-pair": 0.25}  # of a city's rows, drawn evenly, so that busy hours stay busy; else all
PER_ENTITY = 200  # rows of one source, pair, account or service in the end
MOST = 40_000  # training rows
PER_CITY = 60_000  # rows to calibrate on; drawn as they come, so that "1 in N" is of the rows that SCORE will see
TRAINING, CALIBRATION = 4, 4  # cities
# Thresholds come from replaying the calibration cities: (incidents a day and city, the most it may be). A share of rows is no
# measure: services are attacked all day (streams.md no. 6), and a vulnerability scanner is 0.1 % of all rows and as odd as any
# attack, but one incident a week, which an administrator suppresses by its name.
REPLAYED = {
    "auth-service": (1.2, 1e-2),
    "auth-source": (1.0, 3e-3),
    "auth-user": (1.7, 3e-3),
    "firewall-pair": (1.0, 7e-4),  # one city in four has software that calls home anew: no median stops that
    "firewall-source": (2.0, 5e-3),
}
NOISE_TOO = ("auth-service",)  # its entity is attacked all day: its usual is the background of attacks
OFFSET_ROW = (1 << 26) - 1  # of a simulated record's offset: the row in its window and topic


@dataclass(frozen=True, slots=True)
class Sample:
    """Honest rows of one model: X float64 (n, F); entity uint64 (n); time int64 (n), µs, rising inside each entity."""

    X: F64
    entity: NDArray[np.uint64]
    time: NDArray[np.int64]


def train_baseline(people: int = 400, days: int = 11, seed: int = 1, out: Path = SHIPPED) -> Iterator[str]:
    """Write <out>/<model>/candidate for every table in the models folder; yields a line per step, for a terminal.

    Equal arguments give equal bytes. Raises ValueError for too few people or days.
    """
    if people < FEWEST_PEOPLE or days <= WARM_UP:
        raise ValueError(f"a baseline needs {FEWEST_PEOPLE} people and {WARM_UP + 1} days or more")
    tables = read_all(SHIPPED)
    cities: list[dict[str, Sample]] = []
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # two processes, two cores
    with ProcessPoolExecutor(2, get_context("spawn")) as workers:  # forked, polars would hang
        work = [(1000 * seed + k, people, days, 2 * k) for k in range(TRAINING + CALIBRATION)]
        for sample in workers.map(_of_city, *zip(*work, strict=True)):
            cities.append(sample)
            yield f"city {len(cities)} of {len(work)}: " + ", ".join(f"{model} {len(rows.X)}" for model, rows in sample.items())
    made_of = {"people": people, "days": days, "seed": seed, "cities": {"training": TRAINING, "calibration": CALIBRATION}}
    for model, table in tables.items():
        rows = [sample[model] for sample in cities]
        trained = fitted(table, rows[:TRAINING], rows[TRAINING:], made_of)
        trained.save(out / model / "candidate")
        prior.write(out / model, table, *drawn(table, rows[:TRAINING], rows[TRAINING:])[:2], rows[:TRAINING])
        yield f"{model}: {trained.detector.model_id}, threshold {trained.detector.threshold_p:.1e}, {trained.about['rows']}"


def ship(models: Path = SHIPPED) -> None:
    """Candidates become the baselines, and their manifests' hashes the pinned ones: for those who release a version."""
    pins = {}
    for name in read_all(models):
        candidate, baseline = models / name / "candidate", models / name / "baseline"
        if candidate.exists():
            shutil.rmtree(baseline, ignore_errors=True)
            candidate.rename(baseline)
        pins[name] = artefact.manifest_hash(baseline)
    prior.pin(models)
    lines = "".join(f'    "{name}": "{pin}",\n' for name, pin in sorted(pins.items()))
    trusted = Path(artefact.__file__).with_name("trusted.py")
    head = trusted.read_text().split("TRUSTED")[0]
    trusted.write_text(f"{head}TRUSTED: dict[str, str] = {{\n{lines}}}\n")


def _of_city(seed: int, people: int, days: int, later: int) -> dict[str, Sample]:
    return collect(City(seed, people, MONDAY + timedelta(days=later), attacks="none"), days, read_all(SHIPPED))


def _of(sample: Sample, chosen: NDArray[np.int64]) -> Sample:
    return Sample(sample.X[chosen], sample.entity[chosen], sample.time[chosen])


def collect(city: City, days: int, tables: Mapping[str, ModelTable]) -> dict[str, Sample]:
    """Honest rows of every model from a city's days after the warm-up."""
    router = _router(city)
    states: dict[str, FeatureState] = {}
    kept: dict[str, list[Sample]] = {model: [] for model in tables}
    for window in city.windows(0, days * city.windows_per_day):
        for shard, rows in _rows(window, router, states, tables):
            if window.index >= WARM_UP * city.windows_per_day:
                rng = np.random.default_rng([city.seed, window.index, len(shard)])
                for model, sample in rows.items():
                    kept[model].append(_of(sample, np.flatnonzero(rng.random(len(sample.X)) < KEPT.get(model, 1.0))))
    return {model: joined(parts) for model, parts in kept.items()}


def _router(city: City) -> Router:
    """As the city's own configuration has it, with its role groups and what is known of networks outside."""
    with TemporaryDirectory() as folder:
        for name, text in (("roles.csv", city.roles_csv()), ("networks.csv", city.networks_csv())):
            (Path(folder) / name).write_text(text)
        config = msgspec.toml.decode(city.config_toml(files=folder), type=Config)
        # with it the features that need it vary; where a tenant has it not, they are 0 and stay silent
        config = replace_field(config, privacy=replace_field(config.privacy, person_memory="first-seen"))
        return Router(Decoder.of(config), Privacy.of(config, MemoryKeyring(city.seed.to_bytes(32, "big"))))


def _rows(
    window: SimulatedWindow, router: Router, states: dict[str, FeatureState], tables: Mapping[str, ModelTable]
) -> Iterator[tuple[str, dict[str, Sample]]]:
    """One window through the product: (shard, honest rows by model)."""
    lines = records.concat(list(window.records.values()))
    routed = route_step(lines.take(np.argsort(lines.timestamps, kind="stable")), router)
    for shard, events in routed.events.items():
        truth, time = _truth(window, events), events["@timestamp"].cast(pl.Int64).to_numpy()
        found = step(states.setdefault(shard, FeatureState.fresh(100_000)), events, tables)
        yield shard, {model: _honest(rows, truth, time, noise_too=model in NOISE_TOO) for model, rows in found.items()}


def _truth(window: SimulatedWindow, events: pl.DataFrame) -> NDArray[np.int32]:
    """int32 (events): 0 honest, -1 the internet's noise."""
    offsets = events["log.offset"].to_numpy()
    truth = np.zeros(len(offsets), np.int32)
    codes, names = ecs.codes(events, "log.topic"), ecs.values(events, "log.topic")
    for topic, of_lines in window.truth.items():
        mine = codes == (names.index(topic) if topic in names else -1)
        truth[mine] = of_lines[offsets[mine] & OFFSET_ROW]
    return truth


def _honest(rows: Rows, truth: NDArray[np.int32], time: NDArray[np.int64], *, noise_too: bool) -> Sample:
    keep = (rows.weight > 0) & ((truth[rows.row] == 0) | noise_too)
    return Sample(rows.X[keep], rows.entity[keep], time[rows.row[keep]])


def _some(rng: np.random.Generator, rows: int, most: int) -> NDArray[np.int64]:
    return np.arange(rows) if rows <= most else np.sort(rng.choice(rows, most, replace=False))


def joined(parts: Sequence[Sample]) -> Sample:
    return Sample(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("X", "entity", "time")))


def fitted(table: ModelTable, training: Sequence[Sample], calibration: Sequence[Sample], made_of: dict[str, Any]) -> Trained:
    """From the cities' rows. Some thresholds come from replaying the calibration periods."""
    learnt, held_back, entities = drawn(table, training, calibration)
    whole = joined([_apart(sample, k) for k, sample in enumerate(training)])
    trained = train(table, learnt.X, held_back.X, entities=blocks(held_back), days=Days(whole.X, blocks(whole)))
    detector = trained.detector
    if table.name in REPLAYED:
        detector = replace(detector, threshold_p=_by_replay(detector, calibration, *REPLAYED[table.name]), model_id="")
    counts = {"training": entities, "calibration": len(np.unique(held_back.entity))}
    return Trained(detector, trained.about | {"made_of": made_of, "entities": counts})


def drawn(table: ModelTable, training: Sequence[Sample], calibration: Sequence[Sample]) -> tuple[Sample, Sample, int]:
    """Rows capped per entity to train on, rows as they come to calibrate on, and how many entities there were to train on."""
    noisy = table.name in NOISE_TOO  # few services, each with a day of its own: no cap that would leave nothing
    rng = np.random.default_rng(table.forest.seed)
    learnt, held_back = (
        joined([_apart(_of(sample, _some(rng, len(sample.X), most)), k) for k, sample in enumerate(cities)])
        for cities, most in ((training, 10 * PER_CITY), (calibration, PER_CITY))
    )
    chosen = capped(learnt.entity, MOST if noisy else PER_ENTITY, table.forest.seed)
    chosen = chosen[_some(np.random.default_rng(table.forest.seed), len(chosen), MOST)]
    return _of(learnt, chosen), held_back, len(np.unique(learnt.entity))


def _apart(sample: Sample, city: int) -> Sample:
    """Entities of different cities may have one number, such as a service's."""
    return Sample(sample.X, sample.entity + np.uint64(city), sample.time)


def blocks(sample: Sample) -> NDArray[np.int64]:
    """Rows that are no independent witnesses have one number: those of an entity on one day."""
    _, entity = np.unique(sample.entity, return_inverse=True)
    return np.asarray(entity * 100_000 + sample.time // DAY, np.int64)


def _by_replay(detector: Detector, cities: Sequence[Sample], per_day: float, most: float) -> float:
    """The median of the cities' thresholds."""
    return float(
        np.median(
            [
                threshold_by_replay(
                    detector.score(sample.X)[1],
                    sample.time,
                    sample.entity,
                    per_day=per_day / max(len(np.unique(sample.entity)), 1),
                    most=most,
                    quiet=DAY,
                )
                for sample in cities
            ]
        )
    )


if __name__ == "__main__":
    for line in train_baseline(days=int(sys.argv[1]) if len(sys.argv) > 1 else 11):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    ship()
