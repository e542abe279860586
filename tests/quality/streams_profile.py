"""The yardstick mode `profile`: stable accounts and their own habits, which the product does not keep (modes.md). Only here.

Address, network, region and hour against the account's own past, the network against the tenant's. Summed, because a forest or a
sum of tails over the single ones found 74 % of the moves (b) where the two sums find 99 % (on simulated people).
The threshold is 1.55e-3, not 3e-4: honest people change their provider about that often, and a move looks just like it. For
fourteen people that is an opened incident every other week.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features import Rows
from detector.features.calendar import Calendar
from detector.features.hashing import text_ids
from detector.features.table import Feature, ModelTable, Text
from tests.quality.streams_people import REGION_OF, Logins

F64 = NDArray[np.float64]
KNOWN = 20  # logins until an account's novelty counts in full: before, everything is new to it
PRIOR = 10.0  # logins that the tenant's habit weighs against the account's own


def _feature(name: str, german: str, english: str) -> Feature:
    return Feature(name, Text(german, english), "bits", "high", "T1078", "bits")


TABLE = ModelTable(
    name="auth-user", entity="user.name", members=["forest", "tail_sum", "tail_max"], threshold=1.55e-3,
    title=Text("Ungewöhnliche Anmeldung eines Kontos", "Unusual login of an account"),
    features=[
        _feature("elsewhere", "Neuheit von Adresse, Netz und Region", "novelty of address, network and region"),
        _feature("strange", "Neuheit des Ortes und der Uhrzeit", "novelty of the place and of the hour"),
    ],
)  # fmt: skip


@dataclass(slots=True)
class _Known:
    """Counts of one account or of the tenant."""

    logins: int = 0
    values: list[dict[int, int]] = field(default_factory=lambda: [defaultdict(int) for _ in range(3)])
    news: list[int] = field(default_factory=lambda: [0, 0, 0])  # values that were new, after an account's first login
    hours: F64 = field(default_factory=lambda: np.zeros(24))

    @property
    def known(self) -> float:
        return min(1.0, self.logins / KNOWN)

    def rate(self, which: int) -> float:
        """How often a login of the tenant brings its account something new."""
        return (self.news[which] + 1.0) / (self.logins + 20.0)

    def bits(self, which: int, value: int, prior: float) -> float:
        """-log2 of the chance of something new, drawn towards the tenant's while the account is little known; 0 for a known value."""
        if value in self.values[which]:
            return 0.0
        return -math.log2((self.news[which] + PRIOR * prior) / (self.logins + PRIOR))

    def learn(self, answers: tuple[int, ...], new: list[bool], hour: int) -> None:
        self.logins += 1
        self.hours[[(hour - 1) % 24, hour, (hour + 1) % 24]] += (0.25, 0.5, 0.25)
        for which, (value, is_new) in enumerate(zip(answers, new, strict=True)):
            self.values[which][value] += 1
            self.news[which] += is_new


def vectors(logins: Logins, zone: ZoneInfo) -> F64:
    """float64 (n, 2), each login against what went before it. That a source had failed before is the source model's business."""
    tenant = _Known()
    own: defaultdict[int, _Known] = defaultdict(_Known)
    hours = (Calendar(zone).hours(logins.time)[1] % 24).tolist()
    X = np.zeros((len(logins), len(TABLE.features)))
    for i, hour in enumerate(hours):
        address = int(logins.address[i])
        answers = (address, address >> 16, int(REGION_OF[address >> 24 & 255]))
        account = own[int(logins.person[i])]
        if address >= 0:
            own_news = (account.bits(which, value, tenant.rate(which)) for which, value in enumerate(answers))
            X[i, 0] = account.known * (sum(own_news) + _fading(tenant, address >> 16))
        X[i, 1] = X[i, 0] + account.known * _hour(account, tenant, hour)
        new = [account.logins > 0 and value not in account.values[which] for which, value in enumerate(answers)]
        account.learn(answers, new, hour)
        tenant.learn(answers, new, hour)
    return X


def _fading(tenant: _Known, network: int) -> float:
    count = tenant.values[1].get(network, 0)
    return max(0.0, -math.log2((count + 0.5) / (tenant.logins + 1.0))) * 10.0 / (10.0 + count)


def _hour(account: _Known, tenant: _Known, hour: int) -> float:
    share = (tenant.hours[hour] + 0.5) / (tenant.logins + 12.0)
    return max(0.0, -math.log2(8.0 * (account.hours[hour] + 20.0 * share) / (account.logins + 20.0)))


def of_events(events: pl.DataFrame, sources: Rows, zone: ZoneInfo) -> Rows:
    """Profile rows of the successful logins in a frame of all events."""
    success = _is(events, "event.action", "login") & _is(events, "event.outcome", "success")
    user = text_ids(events, "user.name")
    weight = np.zeros(len(events), np.int64)
    weight[sources.row] = sources.weight
    row = np.flatnonzero(success & (user != 0) & (weight > 0))
    lo, kind = ecs.numbers(events, "source.ip.lo")[row].astype(np.int64), ecs.numbers(events, "source.ip.kind")[row]
    address = np.where(kind == ecs.ABSENT, -1, lo & 0xFFFFFFFF)
    nothing = np.zeros(len(row), np.int64)
    logins = Logins(events["@timestamp"].dt.epoch("us").to_numpy()[row], user[row].view(np.int64), address, nothing, nothing)
    none = np.zeros(len(row), np.bool_)
    return Rows(vectors(logins, zone), row, np.ones(len(row), np.int32), user[row], none, none)


def _is(events: pl.DataFrame, column: str, value: str) -> NDArray[np.bool_]:
    names = ecs.values(events, column)
    found: NDArray[np.bool_] = ecs.codes(events, column) == (names.index(value) if value in names else -1)
    return found
