"""How many takeovers are found in a town of 2,000 people, in each mode of `person_memory`, beside rules and one diluted forest.

Habits grow over days 0-29, scoring is trained on honest rows of days 15-29, thresholds are set there to 0.6 false incidents per
1,000 logins, and tested on days 30-44 with at least 100 episodes of each kind. An incident is an account and its day. Goals and
earlier figures: shared/modes.md. Run: python -m tests.quality.takeovers [--seeds 100 101] [--json FILE]
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features import FeatureState, step
from detector.features.calendar import Calendar
from detector.features.state import dump, load
from detector.features.table import read_all
from detector.privacy.siphash import mix
from tests.quality.town import DAYS, FIRST_DAY, GROUPS, HOSTS, KINDS, NETS, PEOPLE, Login, Town, episode

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
ROOT = Path(__file__).parent.parent.parent
ALL_TABLES = read_all(ROOT / "models")
TABLE = ALL_TABLES["auth-user"]
HOUR = 3_600_000_000
SHIFT = HOUR  # the wall is an hour ahead of UTC all winter
CALIBRATION, TEST = range(15, 30), range(30, DAYS)
FALSE_PER_1000 = 0.6
TOGETHER = 3  # attacks in one replay of a day
MODES = ("none", "first-seen")


@dataclass(frozen=True)
class Run:
    """One seed and mode. X float64 (n, F); account, day int64 (n); kind int64 (n), -1 honest, else index into KINDS.

    episode  int64 (n), number of the episode whose account and day the row is, -1 honest
    active   bool (episodes): the victim logged in itself that day
    of_kind  int64 (episodes)
    logins   successful honest logins a day, int64 (DAYS)
    """

    X: F64
    account: I64
    day: I64
    episode: I64
    active: NDArray[np.bool_]
    of_kind: I64
    logins: I64


def _column(values: Sequence[str], codes: I64) -> pl.Series:
    return ecs.text(codes, ["", *values])


_LISTED = sorted({net.listed for net in NETS} - {""})
_PROVIDERS = sorted({net.provider for net in NETS} - {""})
_REGIONS = sorted({net.region for net in NETS} - {""})
_WHENCE = sorted({net.kind for net in NETS})


def _places(values: Sequence[str], field: str) -> I64:
    return np.array([1 + values.index(getattr(net, field)) if getattr(net, field) != "" else 0 for net in NETS])


_OF_NET = {"listed": _places(_LISTED, "listed"), "provider": _places(_PROVIDERS, "provider"), "region": _places(_REGIONS, "region"),
    "kind": _places(_WHENCE, "kind")}  # fmt: skip
_METHODS = ("kerberos", "mfa")


def frame(town: Town, logins: Sequence[Login], day: int, mode: str) -> pl.DataFrame:
    """The logins of one epoch as ROUTE leaves them."""
    at, who, net, host = (np.array([getattr(login, name) for login in logins]) for name in ("at", "who", "net", "host"))
    person = who < PEOPLE
    time = 86_400_000_000 * FIRST_DAY + (at * HOUR).astype(np.int64) - SHIFT
    inside = _OF_NET["listed"][net] > 0
    groups = np.array([p.group for p in town.people] + [-1] * (who.max() + 1))[who]
    role = np.where(person, np.where(groups == GROUPS, GROUPS + 1, groups + 1), 0)
    names = [f"u-{day}-{i}" for i in range(PEOPLE)] + [f"svc-{i}" for i in range(100)]
    columns: dict[str, pl.Series] = {
        "@timestamp": pl.Series(time).cast(pl.Datetime("us", "UTC")), "event.created": pl.Series(time).cast(pl.Datetime("us", "UTC")),
        "event.category": _column(["authentication"], np.ones_like(who)), "event.action": _column(["login"], np.ones_like(who)),
        "event.outcome": _column(["success"], np.ones_like(who)), "network.direction": _column(["inbound", "internal"], 1 + inside),
        "source.network": _column(_LISTED, _OF_NET["listed"][net]), "user.name": _column(names, 1 + who),
        "user.kind": _column(["person", "service"], np.where(person, 1, 2)),
        "user.roles": _column([f"g-{i}" for i in range(GROUPS + 1)], role),
        "host.name": _column([f"h-{i}" for i in range(HOSTS)], 1 + host),
        "authentication.method": _column(_METHODS, 1 + np.array([_METHODS.index(login.method) for login in logins])),
        "source.as.organization.name": _column(_PROVIDERS, _OF_NET["provider"][net]),
        "source.geo.region_iso_code": _column(_REGIONS, _OF_NET["region"][net]), "source.kind": _column(_WHENCE, _OF_NET["kind"][net]),
        "source.ip.hi": pl.Series(np.zeros(len(who), np.uint64)),
        "source.ip.lo": pl.Series(np.uint64(0xFFFF_0000_0000) + (65_536 * net + who).astype(np.uint64)),
        "source.ip.kind": pl.Series(np.where(inside, ecs.TOKEN, ecs.PLAIN).astype(np.uint8)),
        "event.epoch": pl.Series(np.full(len(who), FIRST_DAY + day, np.int32)), "log.offset": pl.Series(np.arange(len(who))),
    }  # fmt: skip
    if mode == "first-seen":
        columns |= _seen(who, net, time, inside)
    return ecs.frame(len(who), columns)


def _seen(who: I64, net: I64, time: I64, inside: NDArray[np.bool_]) -> dict[str, pl.Series]:
    """What ROUTE adds: one keyed hash per question (privacy.seen)."""
    account = who.astype(np.uint64) + np.uint64(1)
    band = (time // (4 * HOUR) % 6).astype(np.uint64) + np.where(inside, np.uint64(100), np.uint64(0))
    answers = {"account": np.zeros_like(account), "provider": 1 + net.astype(np.uint64), "band": 1 + band,
        "region": _OF_NET["region"][net].astype(np.uint64)}  # fmt: skip
    key = np.array([[7, 9]], np.uint64)
    once = np.zeros(len(who), np.uint32)
    asked = {name: np.where((answer == 0) & (name != "account"), np.uint64(0), account) for name, answer in answers.items()}
    return {
        f"seen.{name}": pl.Series(mix(key + np.uint64(31 * i), once, asked[name], answer))
        for i, (name, answer) in enumerate(answers.items())
    }


def run(seed: int, mode: str, per_day: int = 27, people: int = PEOPLE) -> Run:
    """All honest rows of calibration and test days, and those of `per_day` episodes of each kind on each working day of the test."""
    town, r = Town(seed, people), random.Random(seed + 7_000)
    state = FeatureState.fresh(100_000)
    parts: list[tuple[F64, I64, I64, I64]] = []
    active: list[bool] = []
    of_kind: list[int] = []
    for day, honest in enumerate(town.days):
        before = dump(state)
        before = {name: array.copy() for name, array in before.items()} if day in TEST and day % 7 < 5 else {}
        events = frame(town, honest, day, mode)
        rows = step(state, events, ALL_TABLES)["auth-user"]
        who = np.array([login.who for login in honest])[rows.row]
        if day >= CALIBRATION.start:
            parts.append((rows.X, who, np.full(len(who), day), np.full(len(who), -1)))
        here = {login.who for login in honest}
        for kind in KINDS if day in TEST and day % 7 < 5 else ():
            victims = r.sample(range(people), per_day)
            first = len(active)
            active += [v in here for v in victims]
            of_kind += [KINDS.index(kind)] * per_day
            for k in range(0, per_day, TOGETHER):
                attacks = {v: (first + k + j, episode(town, kind, v, day, r)) for j, v in enumerate(victims[k : k + TOGETHER])}
                parts.append(_attacked(town, [login for login in honest if login.who in attacks], attacks, day, mode, before))
    X, account, day_, number = (np.concatenate([part[j] for part in parts]) for j in range(4))
    return Run(X, account, day_, number, np.array(active), np.array(of_kind), np.array([len(d) for d in town.days]))


def _attacked(
    town: Town, honest: list[Login], attacks: dict[int, tuple[int, list[Login]]], day: int, mode: str,
    before: dict[str, NDArray[np.generic]],
) -> tuple[F64, I64, I64, I64]:  # fmt: skip
    """Rows of attacked accounts from their attack on; `honest` are their own logins of the day.

    Habits are those of the morning, so that what others do that day is left out: a night in which a town is attacked 27 times
    would make such nights usual.
    """
    start = {who: logins[0].at for who, (_, logins) in attacks.items()}
    logins = sorted([*honest, *(login for _, of_one in attacks.values() for login in of_one)])
    state = load({name: array.copy() for name, array in before.items()}, Calendar.of("Europe/Berlin"))
    rows = step(state, frame(town, logins, day, mode), ALL_TABLES)["auth-user"]
    keep = np.array([login.at >= start[login.who] for login in logins])[rows.row]
    who = np.array([login.who for login in logins])[rows.row[keep]]
    return rows.X[keep], who, np.full(len(who), day), np.array([attacks[w][0] for w in who.tolist()], np.int64)
