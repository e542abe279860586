"""Whom an incident is about: outside attackers are gathered under the attacked service, inside sources and accounts stand alone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features.columns import SOURCE_INSIDE, sides
from detector.features.hashing import address_ids, text_ids

SOURCE, SERVICE, ACCOUNT, NETWORK = range(4)
# What the functions below read of the events.
COLUMNS = (
    "source.ip.hi", "source.ip.lo", "source.ip.kind", "destination.ip.hi", "destination.ip.lo", "destination.ip.kind", "network.direction",
    "destination.network", "user.name", "user.target.name", "host.name", "observer.name", "event.dataset",
)  # fmt: skip
KINDS = ("source.ip", "service", "user.name", "source.network")
_TOKEN = re.compile(r"(u|h|ip)-[0-9a-f]{16}")
U64 = NDArray[np.uint64]


def address_text(hi: int, lo: int, kind: int) -> str:
    """An address as people write it; a token as ip- and 16 hex digits; absent as ""."""
    if kind == ecs.ABSENT:
        return ""
    if kind == ecs.TOKEN:
        return f"ip-{(hi ^ lo):016x}"
    if hi == 0 and lo >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(lo & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(hi << 64 | lo))


def lasts(entity: str, kind: int, event: Mapping[str, object]) -> bool:
    """Whether the entity is the same tomorrow: tokens of persons, clients and their addresses change every day at 05:00."""
    return _TOKEN.fullmatch(entity) is None and (kind != ACCOUNT or event["user.kind"] in ("service", "machine"))


@dataclass(frozen=True, slots=True)
class Entities:
    """For n events: the kind of entity, uint8 (n), and its identity, uint64 (n)."""

    kind: NDArray[np.uint8]
    identity: U64


def of_sources(events: pl.DataFrame, service: U64) -> Entities:
    """Inside sources themselves; what comes from outside, or from nowhere, belongs to the service."""
    source = address_ids(events, "source.ip")
    alone = ((sides(events) & SOURCE_INSIDE) != 0) & (source != 0)
    return Entities(np.where(alone, SOURCE, SERVICE).astype(np.uint8), np.where(alone, source, service))


def of_services(events: pl.DataFrame, service: U64) -> Entities:
    return Entities(np.full(len(events), SERVICE, np.uint8), service)


def of_intruders(events: pl.DataFrame) -> Entities:
    """Who got in: the source, wherever it is; without an address the service."""
    source, service = address_ids(events, "source.ip"), login_services(events)
    return Entities(np.where(source != 0, SOURCE, SERVICE).astype(np.uint8), np.where(source != 0, source, service))


def of_accounts(events: pl.DataFrame) -> Entities:
    return Entities(np.full(len(events), ACCOUNT, np.uint8), _first_of(events, ("user.target.name", "user.name")))


def login_services(events: pl.DataFrame) -> U64:
    """The host or application that is logged in to, shape (n,)."""
    return _first_of(events, ("host.name", "observer.name", "event.dataset"))


def network_services(events: pl.DataFrame) -> U64:
    """The attacked network where it is configured, else the device that saw it, else the address; shape (n,)."""
    named = _first_of(events, ("destination.network", "observer.name"))
    return np.where(named != 0, named, address_ids(events, "destination.ip"))


def _first_of(events: pl.DataFrame, columns: tuple[str, ...]) -> U64:
    ids = np.zeros(len(events), np.uint64)
    for name in columns:
        ids = np.where(ids == 0, text_ids(events, name), ids)
    return ids


def name(event: dict[str, object], kind: int, network: bool) -> str:
    """The entity's name from the event that opens its incident (a row of the frame as a dict)."""
    if kind == SOURCE:
        return _address(event, "source.ip")
    if kind == ACCOUNT:
        return _text(event, ("user.target.name", "user.name"))
    if kind == NETWORK:
        return _text(event, ("source.network",)) or _surroundings(_address(event, "source.ip")) or "?"
    if network:
        return _text(event, ("destination.network", "observer.name")) or _address(event, "destination.ip") or "?"
    return _text(event, ("host.name", "observer.name", "event.dataset")) or "?"


def _surroundings(address: str) -> str:
    """The network that newcomers from a plain outside address are counted in, see `features.newcomers`."""
    if address == "" or _TOKEN.fullmatch(address) is not None:
        return ""
    found = ipaddress.ip_address(address)
    return str(ipaddress.ip_network((found, 16 if found.version == 4 else 32), strict=False))


def _text(event: dict[str, object], columns: tuple[str, ...]) -> str:
    return next((str(event[column]) for column in columns if event[column] != ""), "")


def _address(event: dict[str, object], column: str) -> str:
    hi, lo, kind = (int(str(event[f"{column}.{part}"])) for part in ("hi", "lo", "kind"))
    return address_text(hi, lo, kind)


def fields(event: dict[str, object]) -> dict[str, str | int]:
    """An event as the analyst sees it: what is present, addresses as text. Provenance and keys are left out."""
    shown: dict[str, str | int] = {}
    for column in ecs.TEXT:
        if column != "log.topic" and event[column] != "":
            shown[column] = str(event[column])
    for column in ecs.ADDRESS:
        text = _address(event, column)
        if text != "":
            shown[column] = text
    for column in ecs.INTEGER:
        value = int(str(event[column]))
        if value >= 0:
            shown[column] = value
    return shown
