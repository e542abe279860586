"""Event frames for tests of SCORE: random ones for properties, and single events written by hand."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs

START = 1_767_600_000_000_000  # Monday 2026-01-05 08:00 UTC, µs
Row = Mapping[str, Any]


def address(text: str) -> tuple[int, int, int]:
    """hi, lo, kind of an address text; "" is absent, ip- and 16 digits a token."""
    if text == "":
        return 0, 0, ecs.ABSENT
    if text.startswith("ip-"):
        return 0, int(text[3:], 16), ecs.TOKEN
    value = ipaddress.ip_address(text)
    number = int(value) if value.version == 6 else 0xFFFF_0000_0000 + int(value)
    return number >> 64, number & (2**64 - 1), ecs.PLAIN


def _column(name: str, rows: Sequence[Row]) -> pl.Series:
    if name in ecs.TEXT:
        texts = [str(row.get(name, "")) for row in rows]
        known = {"": 0}
        codes = np.array([known.setdefault(text, len(known)) for text in texts], np.uint32)
        return ecs.text(codes, list(known), name)
    if name in ("@timestamp", "event.created"):
        return pl.Series(name, [int(row.get(name, 0)) for row in rows], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    dtypes = {**ecs.INTEGER, **ecs.KEY, **ecs.PROVENANCE}
    return pl.Series(name, [row[name] for row in rows], dtype=dtypes[name])


def events(rows: Sequence[Row]) -> pl.DataFrame:
    """A frame of the events given; `source.ip` and `destination.ip` as text, times in µs, offsets counted where not given."""
    names = {name for row in rows for name in row} | {"@timestamp", "log.offset", "log.topic"}
    full = [{"log.topic": "raw", "log.offset": i, **row} for i, row in enumerate(rows)]
    columns: dict[str, pl.Series] = {}
    for name in sorted(names):
        if name in ecs.ADDRESS:
            parts = np.array([address(row.get(name, "")) for row in rows], np.uint64).reshape(-1, 3)
            columns |= {f"{name}.hi": pl.Series(parts[:, 0]), f"{name}.lo": pl.Series(parts[:, 1])}
            columns[f"{name}.kind"] = pl.Series(parts[:, 2].astype(np.uint8))
        else:
            default: Any = "" if name in ecs.TEXT else -1 if name in ecs.INTEGER else 0
            columns[name] = _column(name, [{name: default, **row} for row in full])
    return ecs.frame(len(rows), columns)


def flow(at: float, source: str, destination: str, port: int, *, direction: Any = "outbound", action: Any = "allowed", **more: Any) -> Row:
    """One firewall event, `at` seconds after START."""
    return {
        "@timestamp": START + int(at * 1e6), "event.category": "network", "event.dataset": "fortigate", "event.action": action,
        "source.ip": source, "destination.ip": destination, "destination.port": port, "network.direction": direction,
        "observer.name": "fw-1", **more,
    }  # fmt: skip


def login(at: float, source: str, user: str, host: str, *, ok: bool, direction: Any = "inbound", **more: Any) -> Row:
    """One login attempt, `at` seconds after START."""
    return {
        "@timestamp": START + int(at * 1e6), "event.category": "authentication", "event.dataset": "sshd", "event.action": "login",
        "event.outcome": "success" if ok else "failure", "source.ip": source, "user.name": user, "user.kind": "person",
        "host.name": host, "network.direction": direction, "authentication.method": "password", "event.epoch": 20458, **more,
    }  # fmt: skip


def _texts(rng: np.random.Generator, n: int, prefix: str, kinds: int) -> pl.Series:
    values = ["", *(f"{prefix}{i}" for i in range(kinds))]
    return ecs.text(np.minimum(rng.geometric(3 / kinds, n), kinds), values)


def _chosen(rng: np.random.Generator, n: int, values: Sequence[str]) -> pl.Series:
    return ecs.text(1 + rng.integers(0, len(values), n), ["", *values])


def noise(n: int, seed: int, *, days: float = 2.0, sources: int = 400) -> pl.DataFrame:
    """n random events, half firewall, half logins, of few addresses, some late by up to an hour, many of equal time."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, int(days * 86_400), n)) * 1_000_000 + START
    late = rng.random(n) < 0.1
    time[late] -= rng.integers(0, 3_600_000_000, int(late.sum()))
    who = np.minimum(rng.geometric(5 / sources, n), sources).astype(np.uint64)
    inside = who % 3 == 0
    to = np.minimum(rng.geometric(0.1, n), 300).astype(np.uint64)
    login = rng.random(n) < 0.5
    columns: dict[str, pl.Series] = {
        "@timestamp": _times(time), "event.created": _times(time),
        "event.category": ecs.text(1 + login, ["", "network", "authentication"]),
        "event.action": ecs.text(np.where(login, 3, 1 + (rng.random(n) < 0.3)), ["", "allowed", "denied", "login"]),
        "event.outcome": ecs.text(np.where(rng.random(n) < 0.9, 2, 1), ["", "success", "failure"]),
        "network.direction": ecs.text(np.where(inside, 1 + (rng.random(n) < 0.2), 3), ["", "outbound", "internal", "inbound"]),
        "source.network": ecs.text(inside.astype(np.uint8), ["", "office"]),
        "user.name": _texts(rng, n, "u-", 80), "user.kind": _chosen(rng, n, ["person", "service"]),
        "host.name": _texts(rng, n, "host-", 6), "observer.name": _chosen(rng, n, ["fw-1", "fw-2"]),
        "authentication.method": _chosen(rng, n, ["password", "publickey"]), "log.topic": _chosen(rng, n, ["raw"]),
        **_addresses("source.ip", who), **_addresses("destination.ip", to),
        "destination.port": pl.Series(np.where(rng.random(n) < 0.7, 443, rng.geometric(0.02, n)).astype(np.int32)),
        "source.bytes": pl.Series(rng.integers(-1, 50_000, n)),
        "session.key": pl.Series(np.where(rng.random(n) < 0.7, rng.integers(1, 2_000, n), 0).astype(np.uint64)),
        "attempt.kind": pl.Series(rng.integers(0, 4, n).astype(np.uint8)),
        "attempt.count": pl.Series(rng.integers(0, 3, n).astype(np.uint16)),
        "event.epoch": pl.Series(((time // 1_000_000 - 14_400) // 86_400).astype(np.int32)),
        **{f"seen.{name}": pl.Series(rng.integers(0, 60, n).astype(np.uint64)) for name in ("account", "provider", "region", "band")},
        "log.offset": pl.Series(np.arange(n)),
    }  # fmt: skip
    return ecs.frame(n, columns)


def _times(time: NDArray[np.int64]) -> pl.Series:
    return pl.Series(time).cast(pl.Datetime("us", "UTC"))


def _addresses(name: str, number: NDArray[np.uint64]) -> dict[str, pl.Series]:
    n = len(number)
    return {
        f"{name}.hi": pl.Series(np.zeros(n, np.uint64)), f"{name}.lo": pl.Series(np.uint64(0xFFFF_0A00_0000) + number),
        f"{name}.kind": pl.Series(np.full(n, ecs.PLAIN, np.uint8)),
    }  # fmt: skip
