"""The yardstick mode `profile`: stable accounts and their own habits, which the product does not keep (modes.md). Only here.

Address, network, region and hour against the account's own past, the network against the tenant's. Summed, because a forest or a
sum of tails over the single ones found 74 % of the moves (b) where the two sums find 99 % (on simulated people, at p <= 1e-3).
That p is the threshold, not 3e-4: honest people change their provider about that often, and a move looks just like it.
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
KNOWN = 5  # logins before an account's novelty counts


def _feature(name: str, german: str, english: str) -> Feature:
    return Feature(name, Text(german, english), "bits", "high", "T1078", "bits")


TABLE = ModelTable(
    name="auth-user", entity="user.name", members=["forest", "tail_sum", "tail_max"], threshold=1e-3,
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
    hours: F64 = field(default_factory=lambda: np.zeros(24))

    def bits(self, which: int, value: int) -> float:
        """-log2 (d + 1/2) / (n + 1) for a value never seen, d the number of different ones seen; 0 for a known one."""
        known = self.values[which]
        if self.logins < KNOWN or value in known:
            return 0.0
        return max(0.0, -math.log2((len(known) + 0.5) / (self.logins + 1.0)))

    def learn(self, answers: tuple[int, ...], hour: int) -> None:
        self.logins += 1
        self.hours[[(hour - 1) % 24, hour, (hour + 1) % 24]] += (0.25, 0.5, 0.25)
        for known, value in zip(self.values, answers, strict=True):
            known[value] += 1


def vectors(logins: Logins, zone: ZoneInfo) -> F64:
    """float64 (n, 2), each login against what went before it. That a source had failed before is the source model's business."""
    tenant, own = _Known(), defaultdict(_Known)
    hours = (Calendar(zone).hours(logins.time)[1] % 24).tolist()
    X = np.zeros((len(logins), len(TABLE.features)))
    for i, hour in enumerate(hours):
        address = int(logins.address[i])
        answers = (address, address >> 16, int(REGION_OF[address >> 24 & 255]))
        account = own[int(logins.person[i])]
        if address >= 0:
            X[i, 0] = sum(account.bits(which, value) for which, value in enumerate(answers)) + _fading(tenant, address >> 16)
        X[i, 1] = X[i, 0] + _hour(account, tenant, hour)
        account.learn(answers, hour)
        tenant.learn(answers, hour)
    return X


def _fading(tenant: _Known, network: int) -> float:
    count = tenant.values[1].get(network, 0)
    return max(0.0, -math.log2((count + 0.5) / (tenant.logins + 1.0))) * 10.0 / (10.0 + count)


def _hour(account: _Known, tenant: _Known, hour: int) -> float:
    if account.logins < KNOWN:
        return 0.0
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
    return Rows(vectors(logins, zone), row, np.ones(len(row), np.int32), user[row], np.zeros(len(row), np.bool_))


def _is(events: pl.DataFrame, column: str, value: str) -> NDArray[np.bool_]:
    names = ecs.values(events, column)
    found: NDArray[np.bool_] = ecs.codes(events, column) == (names.index(value) if value in names else -1)
    return found
