"""`tuermer try` lists inside networks that the configuration does not describe, and only those."""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np
import polars as pl

from detector.config import Network
from detector.decode import ecs
from detector.privacy.networks import NetworkTable
from detector.tryout import unlisted_networks


def _events(addresses: list[str]) -> pl.DataFrame:
    numbers = [int(ip) + (0xFFFF << 32 if ip.version == 4 else 0) for ip in map(ip_address, addresses)]
    columns = {
        "source.ip.hi": pl.Series(np.array([n >> 64 for n in numbers], np.uint64)),
        "source.ip.lo": pl.Series(np.array([n & (2**64 - 1) for n in numbers], np.uint64)),
        "source.ip.kind": pl.Series(np.ones(len(numbers), np.uint8)),
    }
    return ecs.frame(len(numbers), columns)


def test_inside_networks_that_nobody_listed_come_with_the_number_of_their_addresses() -> None:
    events = _events(["10.0.0.1", "10.9.1.5", "10.9.1.6", "10.9.1.6", "8.8.8.8", "fd00:1:2:3::9", "127.0.0.1"])
    found = unlisted_networks(events, NetworkTable.of([Network("10.0.0.0/24", "client")]))
    assert found == [("10.9.1.0/24", 2), ("fd00:1:2:3::/64", 1)]


def test_nothing_is_listed_when_every_inside_address_is_described() -> None:
    assert unlisted_networks(_events(["10.0.0.1", "8.8.8.8"]), NetworkTable.of([Network("10.0.0.0/8", "client")])) == []
