"""The yardstick mode `profile`: stable accounts and their own habits, which the product does not keep (modes.md). Only here.

Seven questions to each login about the account's own past, as the prototype of streams.md asked them, and one about the tenant.
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
from detector.features.calendar import local
from detector.features.hashing import text_ids
from detector.features.table import Feature, ModelTable, Text
from tests.quality.streams_lines import HOUR
from tests.quality.streams_people import REGION_OF, Logins

F64 = NDArray[np.float64]
KNOWN = 5  # logins before an account's novelty counts
CAP = 20.0  # bits


def _feature(name: str, text: str, technique: str = "T1078") -> Feature:
    return Feature(name, Text(text, text), "bits", "high", technique, "bits")


TABLE = ModelTable(
    name="auth-user", entity="user.name", members=["forest", "tail_sum"], threshold=3e-4,
    title=Text("Ungewöhnliche Anmeldung eines Kontos", "Unusual login of an account"),
    features=[
        _feature("own_address", "address new to the account"), _feature("own_network", "network new to the account"),
        _feature("own_region", "region new to the account"), _feature("own_method", "method new to the account"),
        _feature("own_hour", "hour rare for the account"), _feature("tenant_network", "network rare for the tenant"),
        _feature("novelty", "sum of these"), _feature("source_failures", "failures of the source before", "T1110.001"),
    ],
)  # fmt: skip
NOVELTY = TABLE.names.index("novelty")


@dataclass(slots=True)
class _Known:
    """Counts of one account or of the tenant."""

    logins: int = 0
    values: list[dict[int, int]] = field(default_factory=lambda: [defaultdict(int) for _ in range(4)])
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
    """float64 (n, 8), each login against what went before it."""
    tenant, own = _Known(), defaultdict(_Known)
    hours = (local(logins.time, zone) // HOUR % 24).tolist()
    X = np.zeros((len(logins), len(TABLE.features)))
    for i, hour in enumerate(hours):
        address, method = int(logins.address[i]), int(logins.method[i])
        answers = (address, address >> 16, int(REGION_OF[address >> 24 & 255]), method)
        account = own[int(logins.person[i])]
        if address >= 0:
            X[i, :4] = [account.bits(which, value) for which, value in enumerate(answers)]
            X[i, 5] = _fading(tenant, address >> 16)
        X[i, 4] = _hour(account, tenant, hour)
        X[i, NOVELTY] = X[i, :6].sum()
        X[i, 7] = 0.0 if method == 1 else math.log2(1.0 + logins.failures[i])
        account.learn(answers, hour)
        tenant.learn(answers, hour)
    return np.minimum(X, [*[CAP] * 6, 6 * CAP, CAP])


def _fading(tenant: _Known, network: int) -> float:
    count = tenant.values[1].get(network, 0)
    return max(0.0, -math.log2((count + 0.5) / (tenant.logins + 1.0))) * 10.0 / (10.0 + count)


def _hour(account: _Known, tenant: _Known, hour: int) -> float:
    if account.logins < KNOWN:
        return 0.0
    share = (tenant.hours[hour] + 0.5) / (tenant.logins + 12.0)
    return max(0.0, -math.log2(8.0 * (account.hours[hour] + 20.0 * share) / (account.logins + 20.0)))


def of_events(events: pl.DataFrame, sources: Rows, failures: int, zone: ZoneInfo) -> Rows:
    """Profile rows of the successful logins in a frame of all events; `failures`: that column of the source model."""
    success = _is(events, "event.action", "login") & _is(events, "event.outcome", "success")
    user = text_ids(events, "user.name")
    weight = np.zeros(len(events), np.int64)
    weight[sources.row] = sources.weight
    row = np.flatnonzero(success & (user != 0) & (weight > 0))
    failed = np.zeros(len(events))
    failed[sources.row] = np.exp2(sources.X[:, failures]) - 1.0
    lo, kind = ecs.numbers(events, "source.ip.lo")[row].astype(np.int64), ecs.numbers(events, "source.ip.kind")[row]
    address = np.where(kind == ecs.ABSENT, -1, lo & 0xFFFFFFFF)
    time = events["@timestamp"].dt.epoch("us").to_numpy()[row]
    by_key = _is(events, "authentication.method", "publickey")[row].astype(np.int64)
    logins = Logins(time, user[row].view(np.int64), address, by_key, np.rint(failed[row]).astype(np.int64))
    return Rows(vectors(logins, zone), row, np.ones(len(row), np.int32), user[row], np.zeros(len(row), np.bool_))


def _is(events: pl.DataFrame, column: str, value: str) -> NDArray[np.bool_]:
    names = ecs.values(events, column)
    found: NDArray[np.bool_] = ecs.codes(events, column) == (names.index(value) if value in names else -1)
    return found
