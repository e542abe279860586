"""The candidates, ready to compete: shipped or freshly trained detectors, and the honest rows that the plain forest learns from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detector.features.table import ModelTable, read_all
from detector.forest.artefact import ArtefactError
from detector.forest.detector import Detector
from detector.learn import baseline
from detector.learn.baseline import MONDAY, Sample
from detector.learn.registry import SHIPPED, detectors
from detector.learn.train import train
from detector.simulate import City
from tests.quality import streams_profile
from tests.quality.streams_candidates import Candidate, naive, ours, plain, tuned, without_forests
from tests.quality.streams_people import reference

PEOPLE, DAYS = 400, 11
CITIES = ((1000, 0), (1002, 4), (1003, 6))  # seed and first day of three of the cities that the shipped baselines are made of: 1 + 2
CACHE = "TUERMER_QUALITY_CACHE"  # folder where simulated honest rows wait for the next run; empty: made anew
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Field:
    """Candidates in the order of the table, ours first; `shipped`: ours as it ships, without memory of persons."""

    tables: Mapping[str, ModelTable]
    candidates: tuple[Candidate, ...]
    shipped: Candidate
    described: dict[str, str]

    @classmethod
    def made(cls) -> Field:
        tables = read_all(SHIPPED)
        training, *held_back = (honest_rows(seed, later, tables) for seed, later in CITIES)
        models, state = _models(tables, training, held_back)
        yardstick = models | {"auth-user": profile_detector()}
        with_profile = dict(tables) | {"auth-user": streams_profile.TABLE}
        joint = {name: baseline.joined([sample[name] for sample in held_back]) for name in tables}
        rows = [sample | {"auth-user": _profile_rows(seed)} for seed, sample in ((1, training), (2, joint))]
        candidates = (
            ours(yardstick, with_profile), without_forests(yardstick, with_profile), plain(yardstick, with_profile, *rows),
            tuned(yardstick, with_profile), naive(yardstick, with_profile),
        )  # fmt: skip
        return cls(tables, candidates, replace(ours(models, tables), name="ours, mode none"), state)


def _models(
    tables: Mapping[str, ModelTable], training: Mapping[str, Sample], held_back: Sequence[Mapping[str, Sample]]
) -> tuple[dict[str, Detector], dict[str, str]]:
    """The shipped baselines; where their features changed since, trained here on the same kind of rows."""
    try:
        found = detectors()
        return found, {name: detector.model_id for name, detector in found.items()}
    except ArtefactError:
        made = {
            name: baseline.fitted(table, [training[name]], [rows[name] for rows in held_back], {}).detector
            for name, table in tables.items()
        }
        return made, {name: f"{detector.model_id} (trained here)" for name, detector in made.items()}


def _profile_rows(seed: int) -> Sample:
    parts = [(streams_profile.vectors(logins, BERLIN), logins) for logins in reference(seed)]
    entity = np.concatenate([logins.person + 1000 * k for k, (_, logins) in enumerate(parts)])
    return Sample(np.concatenate([X for X, _ in parts]), entity.astype(np.uint64), np.concatenate([logins.time for _, logins in parts]))


def profile_detector() -> Detector:
    return train(streams_profile.TABLE, _profile_rows(1).X, _profile_rows(2).X).detector


def honest_rows(seed: int, later: int, tables: Mapping[str, ModelTable]) -> dict[str, Sample]:
    """Rows of a simulated city without attacks, from the cache if it has them for these features."""
    folder = os.environ.get(CACHE, "")
    path = Path(folder or ".") / f"honest-{seed}-{'-'.join(sorted(t.schema_hash[:6] for t in tables.values()))}.npz"
    if folder != "" and path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            return {name: Sample(*(stored[f"{name}/{part}"] for part in ("X", "entity", "time"))) for name in tables}
    found = baseline.collect(City(seed, PEOPLE, MONDAY + timedelta(days=later), attacks="none"), DAYS, tables)
    if folder != "":
        arrays: dict[str, NDArray[np.generic]] = {
            f"{n}/{part}": getattr(s, part) for n, s in found.items() for part in ("X", "entity", "time")
        }
        np.savez(path, allow_pickle=False, **arrays)
    return found
