"""A scorer without training, so that a retrain moves no golden test: p follows from how far features stand above fixed limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.features.table import ModelTable, read_all
from detector.judge.models import Models

F64 = NDArray[np.float64]
MODELS = Path(__file__).parent.parent / "models"


@dataclass(frozen=True)
class StubScorer:
    """p = 10^-(sum of what exceeds `limits`, in the units of X); features without a limit never speak."""

    table: ModelTable
    limits: Mapping[str, float]

    @property
    def model_id(self) -> str:
        return f"{self.table.name}-stub"

    @property
    def threshold_p(self) -> float:
        return 3e-4

    def _excess(self, X: F64) -> F64:
        limits = np.array([self.limits.get(name, np.inf) for name in self.table.names])
        return np.asarray(np.maximum(0.0, X - limits))

    def score(self, X: F64) -> tuple[F64, F64, NDArray[np.int8]]:
        s = self._excess(X).sum(axis=1)
        return s, 10.0**-s, np.zeros(len(X), np.int8)

    def leading(self, X: F64) -> NDArray[np.int64]:
        return np.asarray(self._excess(X).argmax(axis=1))

    def explain(self, x: F64) -> list[tuple[int, float, float]]:
        excess = self._excess(x[None, :])[0]
        order = np.argsort(-excess, kind="stable")
        return [(int(j), float(excess[j] / excess.sum()), float(excess[j])) for j in order if excess[j] > 0]

    def usual(self, feature: int) -> tuple[float, float]:
        return 0.0, self.limits.get(self.table.names[feature], 0.0)


# In X's own scale, mostly log2(1 + amount): 3 means seven.
LIMITS: dict[str, dict[str, float]] = {
    "auth-source": {"failures_10m": 1.0, "failures_since_success": 2.0, "users_failed_24h": 2.0},
    "auth-user": {"two_places": 3.0, "network_rarity": 4.0, "unusual_hosts_1h": 3.0},
    "auth-service": {"growth_1h": 0.0, "growth_10m": 0.0},
    "firewall-source": {"ports_10m": 2.0, "hosts_10m": 3.0, "bytes_out_1h": 28.0, "denies_10m": 4.0},
    "firewall-pair": {"regular_and_rare": 2.0},
}


def stub_models(limits: Mapping[str, Mapping[str, float]] = LIMITS) -> Models:
    """All five models of the product with stub scorers."""
    tables = read_all(MODELS)
    return Models(tables, {name: StubScorer(table, limits.get(name, {})) for name, table in tables.items()})
