"""What the decoder makes of the simulated lines: every one is answered, and each attack looks like what it is."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime

import msgspec
import numpy as np
import polars as pl
import pytest

from detector.config import Config
from detector.decode import Decoder, ecs
from detector.decode.decoded import Decoded
from detector.simulate import TOPICS, City, SimulatedWindow
from detector.simulate.attacks import Attack
from detector.simulate.clock import MINUTE, SECOND

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
MORNING = range(30, 48)  # 06:00 to 09:00 on the wall: logins, VPN, the first administrators


@pytest.fixture(scope="module")
def city() -> City:
    return City(7, start=MONDAY)


@pytest.fixture(scope="module")
def decoder(city: City) -> Decoder:
    return Decoder.of(configuration(city))


def configuration(city: City) -> Config:
    return msgspec.convert(tomllib.loads(city.config_toml()), Config)


def answered(decoder: Decoder, window: SimulatedWindow) -> dict[str, Decoded]:
    """All topics of a window; fails with the first line that became a dead letter."""
    result = {}
    for topic in TOPICS:
        records = window.records[topic]
        decoded = decoder.decode(records)
        assert [(r.format, r.reason, records.value(r.row)) for r in decoded.rejects] == []
        assert len(decoded.events) + sum(decoded.ignored.values()) == len(records)
        result[topic] = decoded
    return result


def words(events: pl.DataFrame) -> set[tuple[str, str, str]]:
    return set(events.select("event.dataset", "event.action", "event.outcome").cast(pl.String).unique().rows())


def test_every_line_of_a_morning_is_an_event_or_deliberately_ignored(city: City, decoder: Decoder) -> None:
    found = set()
    for index in MORNING:
        for decoded in answered(decoder, city.window(index)).values():
            found |= words(decoded.events)
            assert set(decoded.ignored) <= {"pam", "sshd"}
    assert {
        ("fortigate", "allowed", "success"), ("fortigate", "denied", "failure"), ("fortigate", "login", "success"),
        ("panos", "allowed", "success"), ("panos", "denied", "failure"), ("panos", "login", "success"),
        ("netfilter", "allowed", "success"), ("netfilter", "dropped", "failure"), ("sshd", "login", "success"),
        ("sshd", "login", "failure"), ("windows_security", "login", "success"), ("windows_security", "ticket", "success"),
        ("windows_security", "ticket", "failure"), ("windows_security", "logout", "success"),
    } <= found  # fmt: skip


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2025, 12, 31, 22, 0, tzinfo=UTC)],
    ids=["march-change", "october-change", "new-year"],
)  # fmt: skip
def test_times_are_read_right_over_clock_changes_and_new_year(day: datetime) -> None:
    """Each device is at most three seconds from Kafka, so a wrong hour or year shows at once."""
    city = City(7, start=day, attacks="none")
    decoder = Decoder.of(configuration(city))
    for index in (3, 5, 6, 9, 11, 12, 13):
        for decoded in answered(decoder, city.window(index)).values():
            lag = (decoded.events["event.created"] - decoded.events["@timestamp"]).dt.total_milliseconds()
            assert len(lag) > 0
            assert lag.is_between(0, 3500).all()


def test_observers_put_each_device_into_its_tenant_and_site(city: City, decoder: Decoder) -> None:
    shards: dict[str, set[str]] = {}
    for decoded in answered(decoder, city.window(60)).values():
        names = decoded.events["event.dataset"].cast(pl.String).to_list()
        for name, origin in zip(names, decoded.origin.tolist(), strict=True):
            shards.setdefault(name, set()).add(decoded.origins[origin].shard)
    assert shards["fortigate"] == {"stadt/rathaus"}
    assert shards["netfilter"] == {"stadt/bauhof"}
    assert shards["panos"] == {"stadtwerke/leitstelle"}
    assert shards["windows_security"] == {"stadt/rathaus", "stadt/bauhof", "stadtwerke/leitstelle"}
    assert {"stadt/bauhof", "stadtwerke/leitstelle"} <= shards["sshd"]


def events_of(city: City, decoder: Decoder, attack: Attack) -> pl.DataFrame:
    """The decoded events of one attack, in order of time."""
    first, last = ((moment - city.start) // (10 * MINUTE) for moment in (attack.start, attack.end))
    parts = []
    for index in range(first, last + 1):
        window = city.window(index)
        for topic, decoded in answered(decoder, window).items():
            mine = window.truth[topic][decoded.rows] == attack.number
            parts.append(decoded.events.filter(pl.Series(mine)))
    return ecs.concat(parts).sort("@timestamp", maintain_order=True)


def attacks_of(city: City, kind: str) -> list[Attack]:
    """One attack of the kind per variant."""
    return [attack for day in range(3, 6) for attack in city.attack_plan(date(2026, 3, day)) if attack.kind == kind]


def text(events: pl.DataFrame, name: str) -> list[str]:
    return events[name].cast(pl.String).to_list()


def address(value: str) -> int:
    return int.from_bytes(bytes(int(part) for part in value.split("."))) | 0xFFFF_0000_0000


def from_the_source(events: pl.DataFrame, attack: Attack) -> bool:
    source = dict(attack.entities)["source.ip"]
    known = events.filter(pl.col("source.ip.kind") > 0)
    return len(known) > 0 and known["source.ip.lo"].unique().to_list() == [address(source)]


def test_a_port_scan_is_one_source_and_very_many_refused_targets(city: City, decoder: Decoder) -> None:
    for attack in attacks_of(city, "port-scan"):
        events = events_of(city, decoder, attack)
        assert from_the_source(events, attack)
        assert events.select(pl.struct("destination.ip.lo", "destination.port").n_unique()).item() > 500
        assert events["event.outcome"].cast(pl.String).eq("failure").mean() > 0.9  # type: ignore[operator]  # never None


def test_spraying_is_many_accounts_that_fail_a_few_times_each(city: City, decoder: Decoder) -> None:
    sources = []
    for attack in attacks_of(city, "password-spraying"):
        events = events_of(city, decoder, attack)
        assert set(text(events, "event.outcome")) == {"failure"}
        assert events["user.name"].n_unique() >= 30
        assert events["user.name"].value_counts()["count"].max() <= 12  # type: ignore[operator]  # never None
        sources.append(events["source.ip.lo"].n_unique())
    assert sources[0] == 1
    assert sources[1] > 100
    assert sources[2] == 1


def test_brute_force_fails_often_and_then_gets_in_as_the_same_account(city: City, decoder: Decoder) -> None:
    for attack in attacks_of(city, "brute-force"):
        events = events_of(city, decoder, attack)
        assert from_the_source(events, attack)
        logins = events.filter(pl.col("event.action").cast(pl.String).is_in(["login", "ticket"]))
        outcome = text(logins, "event.outcome")
        entered = outcome.index("success")
        assert outcome[:entered].count("failure") >= 40
        assert "failure" not in outcome[entered:]
        assert set(text(logins, "user.name")) == {dict(attack.entities)["user.name"]}


def test_beaconing_is_small_regular_and_to_one_place(city: City, decoder: Decoder) -> None:
    attack = attacks_of(city, "beaconing")[0]
    events = events_of(city, decoder, attack)
    assert from_the_source(events, attack)
    assert events["destination.ip.lo"].n_unique() == 1
    gaps = np.diff(ecs.numbers(events, "@timestamp")) / SECOND
    assert len(gaps) > 80
    assert gaps.std() / gaps.mean() < 0.06
    sent = ecs.numbers(events, "source.bytes")
    assert sent.min() > 300
    assert sent.max() < 600


@pytest.mark.soak
def test_every_line_of_a_fortnight_is_answered(city: City, decoder: Decoder) -> None:
    for index in range(14 * city.windows_per_day):
        answered(decoder, city.window(index))
