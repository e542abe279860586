"""Models for tests of the registry: the shipped ones with another threshold, signed by people of the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.config import Config, Database
from detector.features.table import read_all
from detector.forest.detector import Detector
from detector.learn import signing
from detector.learn.promotion import Desk
from detector.learn.registry import SHIPPED
from detector.privacy.people import Person, Public, new_person, unlock
from detector.sections import Keyholder
from detector.store import Database as Connection
from tests.postgres import TestDatabase

TABLES = read_all(SHIPPED)
PASSPHRASE = "correct horse battery"
ABOUT: dict[str, Any] = {"largest_entity": 0.001, "window": {"from": "2026-11-01T00:00", "to": "2026-11-15T00:00"}, "tenant": "stadt"}


def person(folder: Path, name: str) -> Person:
    """Somebody with a key file; the cheapest scrypt."""
    new_person(folder / f"{name}.key", name, PASSPHRASE, cost=10)
    return unlock(folder / f"{name}.key", PASSPHRASE)


def configured(people: Mapping[str, Public] | Sequence[Person], **more: Any) -> Config:
    """A configuration in which these people may vouch for models."""
    public = list(people.values()) if isinstance(people, Mapping) else [one.public for one in people]
    return Config(keyholders=[Keyholder(one.name, one.line, [signing.GROUP]) for one in public], database=Database(), **more)


def desk(database: TestDatabase, people: Sequence[Person], **more: Any) -> Desk:
    return Desk(configured(people, **more), Connection(database.url()), TABLES)


def candidate(
    folder: Path, trainer: Person | None, model: str = "auth-source", threshold: float = 1e-2, about: Mapping[str, Any] = ABOUT
) -> Path:
    """A folder as `tuermer train` leaves it: the shipped model, but it flags more."""
    shipped = Detector.load(SHIPPED / model / "baseline", table=TABLES[model])
    made = replace(shipped, threshold_p=threshold, model_id="")
    out = folder / made.model_id
    made.save(out, dict(about))
    if trainer is not None:
        signing.sign(out, trainer)
    return out
