"""How much there is to compare with: logins by the row, addresses by the day; the same however the stream is cut."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from detector.judge.volume import DAY, HOUR, Volumes

START = 20_000 * DAY + 9 * HOUR


def filled(hours: int, per_hour: int, addresses: int, cuts: int = 1) -> Volumes:
    """`per_hour` rows each hour of addresses that come round."""
    made, n = Volumes(), hours * per_hour
    clock = START + np.arange(n) * (HOUR // per_hour)
    entity = np.random.default_rng(1).integers(0, 2**63, addresses).astype(np.uint64)[np.arange(n) % addresses] * np.uint64(2)
    for part in np.array_split(np.arange(n), cuts):
        rows = np.arange(len(part))
        made.count(clock[part], {"auth-user": (rows, entity[part]), "auth-source": (rows, entity[part])})
        made.forget(int(clock[part][-1]) if len(part) > 0 else 0)
    return made


def test_logins_are_counted_as_they_are_after_a_few_hours() -> None:
    volumes = filled(hours=30, per_hour=10, addresses=7)
    assert volumes.per_day("auth-user", START + 6 * HOUR) is None
    assert volumes.per_day("auth-user", START + 7 * HOUR) == 240.0
    assert volumes.per_day("auth-user", START + 29 * HOUR) == 240.0


@pytest.mark.parametrize("addresses", [1, 300, 5_000])
def test_for_addresses_what_counts_is_how_many_there_are_in_a_complete_day(addresses: int) -> None:
    volumes = filled(hours=72, per_hour=1_000, addresses=addresses)
    assert volumes.per_day("auth-source", START + 10 * HOUR) is None
    assert volumes.per_day("auth-source", START + 60 * HOUR) == pytest.approx(addresses, rel=0.02)


def test_what_is_said_does_not_depend_on_the_cut() -> None:
    whole, parts = filled(100, 50, 400), filled(100, 50, 400, cuts=37)
    assert msgspec.msgpack.encode(whole) == msgspec.msgpack.encode(parts)


def test_it_does_not_grow_for_ever() -> None:
    volumes = filled(hours=24 * 40, per_hour=2, addresses=9, cuts=80)
    assert len(volumes.rows["auth-user"]) <= 24 * 14 + 12
    assert len(volumes.entities["auth-source"]) <= 15
