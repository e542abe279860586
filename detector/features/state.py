"""All that the features remember of one shard, and how a batch of its events moves it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features import authentication, authkernel, bloom, firewall, logins, network, slab
from detector.features.authentication import Logins
from detector.features.bloom import Bloom
from detector.features.calendar import Calendar
from detector.features.columns import times
from detector.features.network import Network
from detector.features.slab import Slab
from detector.features.table import ModelTable

Arrays = dict[str, NDArray[np.generic]]
BERLIN = Calendar.of("Europe/Berlin")


_SOURCE = ("source.ip.hi", "source.ip.lo", "source.ip.kind", "network.direction")
_TARGET = ("destination.ip.hi", "destination.ip.lo", "destination.ip.kind", "destination.port")
_COLUMNS = {  # what each kernel reads: a gather of all columns costs more than the kernel on small batches
    "network": (*_SOURCE, *_TARGET, "source.network", "event.action", "source.bytes", "destination.bytes"),
    "authentication": (
        *_SOURCE, "source.network", "host.name", "observer.name", "event.dataset", "event.action", "event.outcome", "event.epoch",
        "user.name", "user.target.name", "user.roles", "user.kind", "authentication.method", "session.key", "attempt.kind",
        "attempt.count", "source.as.organization.name", "source.geo.region_iso_code", "source.kind",
        "seen.account", "seen.provider", "seen.region", "seen.band",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rows:
    """m vectors of one model, in stream order.

    X       float64 (m, F), scaled as the model's table says; always finite
    row     int64 (m), index into the batch's events
    weight  int32 (m), what the row counts: new attempts for logins (0 = a repeated report), 1 for network events
    entity  uint64 (m), whom the row is about (of a pair: its source); for caps per entity in training
    rule    bool (m), a rule of the model holds: for auth-source "success after failures"
    pooled  bool (m), the row is about a network from which never-seen sources flood in; only for firewall-source
    """

    X: NDArray[np.float64]
    row: NDArray[np.int64]
    weight: NDArray[np.int32]
    entity: NDArray[np.uint64]
    rule: NDArray[np.bool_]
    pooled: NDArray[np.bool_]


@dataclass(slots=True)
class FeatureState:
    """The memory of one shard. Changed in place by `step`; `dump` and `load` keep it exactly."""

    network: Network
    logins: Logins
    calendar: Calendar

    @classmethod
    def fresh(cls, entities: int = 500_000, calendar: Calendar = BERLIN) -> FeatureState:
        """Nothing seen yet; `entities` addresses and pairs are held at most, and half as many sources and accounts of logins."""
        return cls(network.fresh(entities), authkernel.fresh(entities), calendar)


def scale(table: ModelTable, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raw amounts as the table wants them: log2(1 + amount) where its scale says so."""
    log = np.array([feature.scale == "log2" for feature in table.features])
    return np.where(log, np.log2(1.0 + np.where(log, x, 0.0)), x)


def step(state: FeatureState, events: pl.DataFrame, tables: Mapping[str, ModelTable]) -> dict[str, Rows]:
    """Vectors of every model for a batch, in stream order. However the stream is cut, the same vectors come out (I1).

    Every event of category network or authentication yields at least one vector.
    """
    time = times(events)
    category = ecs.codes(events, "event.category")
    names = ecs.values(events, "event.category")
    found: dict[str, Rows] = {}
    for name, advance in (("network", _network), ("authentication", _logins)):
        if name in names:
            where = np.flatnonzero(category == names.index(name))
            if len(where) > 0:
                chosen = events if len(where) == len(events) else events.select(_COLUMNS[name])[where]
                found |= {model: _scaled(tables[model], rows, where) for model, rows in advance(state, chosen, time[where]).items()}
    return found


def _scaled(table: ModelTable, rows: Rows, where: NDArray[np.int64]) -> Rows:
    return replace(rows, X=scale(table, rows.X), row=where[rows.row])


def _network(state: FeatureState, events: pl.DataFrame, time: NDArray[np.int64]) -> dict[str, Rows]:
    e = network.flows(events, time, state.calendar)
    n = len(time)
    x_source, x_pair = np.zeros((n, firewall.SOURCE_FEATURES)), np.zeros((n, firewall.PAIR_FEATURES))
    entity, pooled, pair_row = np.zeros(n, np.uint64), np.zeros(n, np.uint8), np.zeros(n, np.int64)
    done = pairs = 0
    while done < n:
        state.network = network.roomy(state.network)
        done, pairs = firewall.advance(state.network, e, done, x_source, entity, pooled, x_pair, pair_row, pairs)
    pair_row, one, none = pair_row[:pairs], np.ones(n, np.int32), np.zeros(n, np.bool_)
    return {
        "firewall-source": Rows(x_source, np.arange(n), one, entity, none, pooled.view(np.bool_)),
        "firewall-pair": Rows(x_pair[:pairs], pair_row, one[:pairs], entity[pair_row], none[:pairs], none[:pairs]),
    }


def _logins(state: FeatureState, events: pl.DataFrame, time: NDArray[np.int64]) -> dict[str, Rows]:
    e = authkernel.attempts(events, time, state.calendar)
    n = len(time)
    x_source, weight, rule = np.zeros((n, authentication.SOURCE_FEATURES)), np.zeros(n, np.int32), np.zeros(n, np.uint8)
    x_service, service_row = np.zeros((n, authentication.SERVICE_FEATURES)), np.zeros(n, np.int64)
    x_user, user_row = np.zeros((n, logins.USER_FEATURES)), np.zeros(n, np.int64)
    done = services = users = 0
    while done < n:
        state.logins = authkernel.roomy(state.logins)
        done, services, users = authkernel.advance(
            state.logins, e, done, x_source, weight, rule, x_service, service_row, x_user, user_row, services, users
        )
    none = np.zeros(n, np.bool_)
    user_row, service_row = user_row[:users], service_row[:services]
    return {
        "auth-source": Rows(x_source, np.arange(n), weight, e.source, rule.view(np.bool_), none),
        "auth-user": Rows(x_user[:users], user_row, weight[user_row], e.user[user_row], none[:users], none[:users]),
        "auth-service": Rows(x_service[:services], service_row, weight[service_row], e.host[service_row], none[:services], none[:services]),
    }


def dump(state: FeatureState) -> Arrays:
    """Every array of the memory by a dotted name: network.sources.word, …"""
    arrays: Arrays = {}
    for room, memory in (("network", state.network), ("logins", state.logins)):
        for name, value in memory._asdict().items():
            if isinstance(value, Slab):
                arrays |= {f"{room}.{name}.{part}": array for part, array in slab.dump(value).items()}
            elif isinstance(value, Bloom):
                arrays |= {f"{room}.{name}.{part}": array for part, array in bloom.dump(value).items()}
            else:
                arrays[f"{room}.{name}"] = value
    return arrays


def load(arrays: Arrays, calendar: Calendar) -> FeatureState:
    """The memory whose arrays these are."""
    sources, pairs, places, groups, networks = (_slab(arrays, f"network.{name}") for name in Network._fields[:5])
    tally = np.array(arrays["network.tally"], np.float64)
    found = Network(
        sources, pairs, places, groups, networks, *_filters(arrays, "network"), tally, np.array(arrays["network.clock"], np.int64)
    )
    a, b, c, d, e, f = (_slab(arrays, f"logins.{name}") for name in Logins._fields[:6])
    clock = np.array(arrays["logins.clock"], np.int64)
    return FeatureState(found, Logins(a, b, c, d, e, f, *_filters(arrays, "logins"), clock), calendar)


def _slab(arrays: Arrays, name: str) -> Slab:
    return slab.load({part: arrays[f"{name}.{part}"] for part in ("word", "info")})


def _filters(arrays: Arrays, room: str) -> tuple[Bloom, Bloom]:
    now, before = (
        Bloom(np.array(arrays[f"{room}.{name}.bits"], np.uint64), np.array(arrays[f"{room}.{name}.info"], np.int64))
        for name in ("now", "before")
    )
    return now, before


def size(state: FeatureState) -> tuple[int, int]:
    """(entities held, bytes of all memory)."""
    slabs = [value for memory in (state.network, state.logins) for value in memory if isinstance(value, Slab)]
    filters = [value for memory in (state.network, state.logins) for value in memory if isinstance(value, Bloom)]
    return sum(int(s.info[slab.LIVE]) for s in slabs), sum(map(slab.nbytes, slabs)) + sum(f.bits.nbytes for f in filters)


def schema() -> str:
    """Changes whenever the meaning of the arrays does; an older snapshot is then not loaded but replayed."""
    shapes = [(name, array.dtype.str, array.shape[1:]) for name, array in sorted(dump(FeatureState.fresh(1000)).items())]
    return f"{VERSION}:{shapes}"


VERSION = 1  # raise it when a number in a row changes its meaning without changing its place
