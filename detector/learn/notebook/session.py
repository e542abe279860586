"""Where a notebook works: configuration, the trainer's login, a tenant; or a practice town that `tuermer notebooks` made."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl

from detector.config import Config
from detector.configload import load
from detector.features.table import read_all
from detector.learn.promotion import Desk
from detector.learn.registry import SHIPPED
from detector.privacy.keyfiles import passphrase
from detector.privacy.people import Person, unlock
from detector.sentence import Sentence
from detector.simulate import City
from detector.store import Database
from detector.store.opening import trainer_url

PRACTICE, CONFIG = "TUERMER_PRACTICE", "TUERMER_CONFIG"
DAY = 86_400_000_000  # µs


class SessionError(Sentence):
    """The notebook cannot work here; the text says what is missing."""


class Practice(msgspec.Struct, frozen=True):
    """practice.json in the folder that `tuermer notebooks` made: a simulated town and when its days end."""

    seed: int
    people: int
    days: int
    start: str  # ISO, a midnight in UTC
    tenant: str
    only: Literal["authentication", "firewall"] | None = None  # lines of these alone

    def city(self) -> City:
        return City(self.seed, self.people, dt.datetime.fromisoformat(self.start), attacks="show", only=self.only)


@dataclass(frozen=True, slots=True)
class Session:
    """One notebook's work. `now` in µs: the clock, or in a practice town the end of its days."""

    desk: Desk
    tenant: str
    folder: Path  # for candidates
    now: int
    key: Path | None = None  # of who trains, in a practice town
    practice: Practice | None = None

    @property
    def models(self) -> list[str]:
        return list(self.desk.tables)

    def frame(self, sql: str, **values: object) -> pl.DataFrame:
        """The rows of a query of ours; %(tenant)s is the session's."""
        with self.desk.database.transaction() as connection:
            cursor = connection.execute(sql.encode(), {"tenant": self.tenant, **values})
            names = [column.name for column in cursor.description or ()]
            return pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)

    def person(self) -> Person:
        """Who trains: the key file's passphrase is asked for, or in a practice town lies beside it."""
        if self.key is None:
            raise SessionError("name your key file: open_session(key='meier.key'); it is made by `tuermer keys new person`")
        beside = self.key.with_suffix(".passphrase")
        return unlock(self.key, passphrase(beside if self.practice is not None else None, dict(os.environ)))

    def __repr__(self) -> str:
        where = "Übungsstadt / practice town" if self.practice is not None else "Türmer"
        return f"{where}: {self.tenant or 'alle / all'}; {', '.join(self.models)}"


def open_session(tenant: str = "", key: str = "", environ: Mapping[str, str] | None = None) -> Session:
    """The practice town of TUERMER_PRACTICE if that is set, else the configuration of TUERMER_CONFIG (tuermer.toml).

    Raises SessionError, ConfigError or StoreError with one sentence.
    """
    pl.Config(tbl_rows=60, tbl_cols=-1, fmt_str_lengths=300, tbl_hide_column_data_types=True, tbl_width_chars=180)
    given = dict(os.environ if environ is None else environ)
    if given.get(PRACTICE, "") != "":
        return _practice(Path(given[PRACTICE]), given)
    config = load(Path(given.get(CONFIG, "tuermer.toml")), given, "score")
    tenants = sorted({topic.tenant for topic in config.topics})
    whose = tenant or (tenants[0] if len(tenants) == 1 else "")
    if whose not in tenants:
        raise SessionError(f"say whose models: open_session(tenant=...), one of {', '.join(tenants)}")
    desk = _desk(config, given)
    return Session(desk, whose, Path("candidates"), time.time_ns() // 1000, Path(key) if key != "" else None)


def _practice(folder: Path, environ: Mapping[str, str]) -> Session:
    try:
        town = msgspec.json.decode((folder / "practice.json").read_bytes(), type=Practice)
    except OSError:
        raise SessionError(f"{folder} holds no practice town; `tuermer notebooks` makes one") from None
    city = town.city()
    config = load(folder / "tuermer.toml", environ, "score")
    return Session(_desk(config, environ), town.tenant, folder / "candidates", city.start + town.days * DAY, folder / "training.key", town)


def _desk(config: Config, environ: Mapping[str, str]) -> Desk:
    folder = Path(config.state.models) if config.state.models != "" else SHIPPED
    return Desk(config, Database(trainer_url(config, environ)), read_all(folder))


def shown(values: Mapping[str, Any]) -> pl.DataFrame:
    """Names and values as a frame of two columns, as text."""
    return pl.DataFrame({"was": list(values), "wert": [str(value) for value in values.values()]})
