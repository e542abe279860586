"""What the decoder makes of the simulated lines: every one is answered, and each attack looks like what it is."""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import UTC, datetime
from functools import cache

import msgspec
import numpy as np
import polars as pl
import pytest

from detector.config import Config
from detector.decode import Decoder, ecs
from detector.decode.decoded import Decoded
from detector.records import Place, Records
from detector.simulate import KINDS, STRENGTHS, TAKEOVERS, TOPICS, Attack, City, Happening, Placed, SimulatedWindow
from detector.simulate.attacks.plot import Pages
from detector.simulate.clock import HOUR, MINUTE, SECOND, zone
from detector.simulate.wire import Sheet

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
MORNING = range(30, 60, 2)  # from six to eleven on the wall: logins, VPN, the first administrators


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
        ("windows_security", "ticket", "failure"), ("windows_security", "logout", "success"), ("cisco_asa", "allowed", "success"),
        ("cisco_asa", "closed", "success"), ("entra", "login", "success"), ("entra", "login", "failure"),
        ("entra", "login-step", "unknown"),
        ("keycloak", "login", "success"), ("keycloak", "token", "success"),
    } <= found  # fmt: skip


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2025, 12, 31, 22, 0, tzinfo=UTC)],
    ids=["march-change", "october-change", "new-year"],
)  # fmt: skip
def test_times_are_read_right_over_clock_changes_and_new_year(day: datetime) -> None:
    """Each device is at most four seconds from Kafka, so a wrong hour or year shows at once."""
    city = City(7, start=day, attacks="none")
    decoder = Decoder.of(configuration(city))
    for index in (3, 5, 6, 9, 11, 12, 13):
        for decoded in answered(decoder, city.window(index)).values():
            lag = (decoded.events["event.created"] - decoded.events["@timestamp"]).dt.total_milliseconds()
            assert len(lag) > 0
            assert lag.is_between(0, 4500).all()


def test_observers_put_each_device_into_its_tenant_and_site(city: City, decoder: Decoder) -> None:
    shards: dict[str, set[str]] = {}
    for decoded in answered(decoder, city.window(60)).values():
        names = decoded.events["event.dataset"].cast(pl.String).to_list()
        for name, origin in zip(names, decoded.origin.tolist(), strict=True):
            shards.setdefault(name, set()).add(decoded.origins[origin].shard)
    assert shards["fortigate"] == {"stadt/rathaus"}
    assert shards["netfilter"] == {"stadt/bauhof"}
    assert shards["panos"] == {"stadtwerke/leitstelle"}
    assert shards["cisco_asa"] == {"stadt/rathaus"}
    assert shards["keycloak"] == {"stadt/rathaus"}
    assert shards["entra"] == {"stadt/rathaus", "stadtwerke/leitstelle"}
    assert shards["windows_security"] == {"stadt/rathaus", "stadt/bauhof", "stadtwerke/leitstelle"}
    assert {"stadt/bauhof", "stadtwerke/leitstelle"} <= shards["sshd"]


@cache
def attacked() -> City:
    """Three of each attack in each strength, on the second day."""
    placed = [Placed(kind, strength, day=1, seed=seed) for kind in (*KINDS, *TAKEOVERS) for strength in STRENGTHS for seed in range(3)]
    return City(7, people=200, start=MONDAY, attacks="none", placed=placed)


def attacks_of(kind: str, strength: str = "usual") -> list[Attack]:
    return [attack for attack in attacked().placed if (attack.kind, attack.strength) == (kind, strength)]


def events_of(decoder: Decoder, attack: Attack) -> pl.DataFrame:
    """The decoded events of one attack, in order of time; fails with the first line that became a dead letter."""
    start, end = attack.start - MINUTE, attack.end + MINUTE
    sheets = {topic: Sheet(attacked().press, zone(start), start, end) for topic in TOPICS}
    attack.write(Pages(sheets["firewall"], sheets["auth"], np.random.default_rng(1), attack.number))
    parts = []
    for topic, sheet in sheets.items():
        page = sheet.print()
        n = len(page.truth)
        records = Records(
            page.values, page.bounds, np.zeros(n, np.bool_), np.zeros(n, np.int32), np.arange(n), page.timestamps, (Place(topic, 0),)
        )
        decoded = decoder.decode(records)
        assert [(r.format, r.reason, records.value(r.row)) for r in decoded.rejects] == []
        parts.append(decoded.events)
    return ecs.concat(parts).sort("@timestamp", maintain_order=True)


@pytest.mark.parametrize("kind", [*KINDS, *TAKEOVERS])
def test_every_line_of_an_attack_is_answered_and_most_are_events(kind: str, decoder: Decoder) -> None:
    for strength in STRENGTHS:
        for attack in attacks_of(kind, strength):
            events = events_of(decoder, attack)
            assert len(events) >= 1
            times = ecs.numbers(events, "@timestamp")
            assert attack.start - SECOND <= times.min() <= times.max() <= attack.end + HOUR


def text(events: pl.DataFrame, name: str) -> list[str]:
    return events[name].cast(pl.String).to_list()


def address(value: str) -> int:
    return int.from_bytes(bytes(int(part) for part in value.split("."))) | 0xFFFF_0000_0000


def from_the_source(events: pl.DataFrame, attack: Attack) -> bool:
    source = dict(attack.entities)["source.ip"]
    known = events.filter(pl.col("source.ip.kind") > 0)
    return len(known) > 0 and known["source.ip.lo"].unique().to_list() == [address(source)]


def test_a_port_scan_is_one_source_and_very_many_refused_targets(decoder: Decoder) -> None:
    for attack in attacks_of("port-scan"):
        events = events_of(decoder, attack)
        assert from_the_source(events, attack)
        assert events.select(pl.struct("destination.ip.lo", "destination.port").n_unique()).item() > 500
        assert np.mean([outcome == "failure" for outcome in text(events, "event.outcome")]) > 0.9


def test_spraying_is_many_accounts_that_fail_a_few_times_each(decoder: Decoder) -> None:
    sources = []
    for attack in attacks_of("password-spraying"):
        events = events_of(decoder, attack)
        assert set(text(events, "event.outcome")) == {"failure"}
        assert events["user.name"].n_unique() >= 30
        assert max(Counter(text(events, "user.name")).values()) <= 12
        sources.append(events["source.ip.lo"].n_unique())
    assert sources[0] == 1
    assert sources[1] > 100
    assert sources[2] == 1


def test_brute_force_fails_often_and_then_gets_in_as_the_same_account(decoder: Decoder) -> None:
    for strength, least in (("loud", 300), ("usual", 40), ("quiet", 10)):
        for attack in attacks_of("brute-force", strength):
            events = events_of(decoder, attack)
            assert from_the_source(events, attack)
            logins = events.filter(pl.col("event.action").cast(pl.String).is_in(["login", "ticket"]))
            outcome = text(logins, "event.outcome")
            entered = outcome.index("success")
            assert outcome[:entered].count("failure") >= least
            assert "failure" not in outcome[entered:]
            assert set(text(logins, "user.name")) == {dict(attack.entities)["user.name"]}


def test_stuffing_comes_from_many_networks_with_names_that_are_nobodys(decoder: Decoder) -> None:
    for attack in attacks_of("stuffing"):
        events = events_of(decoder, attack).filter(pl.col("event.action").cast(pl.String) == "login")
        assert events["source.ip.lo"].n_unique() > 0.8 * len(events)
        assert np.mean([outcome == "failure" for outcome in text(events, "event.outcome")]) > 0.95
        assert 0.3 < np.mean([name.split("@")[0].endswith("7") for name in text(events, "user.name")]) < 0.7


def test_a_takeover_is_a_login_without_a_failure(decoder: Decoder) -> None:
    for kind in TAKEOVERS:
        for attack in attacks_of(kind, "quiet"):
            events = events_of(decoder, attack)
            assert "failure" not in text(events, "event.outcome")
            assert dict(attack.entities)["user.name"] in {name.split("@")[0] for name in text(events, "user.name")}


def test_lateral_takeovers_open_three_to_ten_hosts_within_an_hour(decoder: Decoder) -> None:
    for strength in STRENGTHS:
        for attack in attacks_of("takeover-lateral", strength):
            events = events_of(decoder, attack)
            hosts = set(text(events.filter(pl.col("event.dataset").cast(pl.String).is_in(["windows_security", "sshd"])), "host.name"))
            assert 3 <= len(hosts) <= 10


def test_asking_for_tickets_is_many_services_of_one_account(decoder: Decoder) -> None:
    for attack in attacks_of("kerberos-tickets"):
        events = events_of(decoder, attack)
        assert set(text(events, "event.code")) == {"4769"}
        assert len(events) >= 15
        assert events["user.name"].n_unique() == 1


@pytest.mark.parametrize(("strength", "jitter"), [("loud", 0.03), ("usual", 0.15), ("quiet", 0.35)])
def test_beaconing_is_small_regular_and_to_one_place(strength: str, jitter: float, decoder: Decoder) -> None:
    attack = next(attack for attack in attacks_of("beaconing", strength) if attack.site != "bauhof")  # netfilter names no bytes
    events = events_of(decoder, attack)
    assert from_the_source(events, attack)
    assert events["destination.ip.lo"].n_unique() == 1
    gaps = np.diff(ecs.numbers(events, "@timestamp")) / SECOND
    assert len(gaps) > 30
    assert gaps.std() / gaps.mean() < jitter
    sent = ecs.numbers(events, "source.bytes")
    assert 300 < sent.min() <= sent.max() < 600


def test_an_administrators_way_backwards_ends_where_it_usually_begins(decoder: Decoder) -> None:
    """The jump host is entered from a server; honest people enter it from their desks."""
    for attack in attacks_of("odd-path", "quiet"):
        events = events_of(decoder, attack).filter(pl.col("event.code").cast(pl.String) == "4624")
        hosts = text(events, "host.name")
        assert [host.startswith("sprung-") for host in hosts] == [False, True, False]
        assert events["source.ip.lo"].to_list()[1] == address(dict(attack.entities)["source.ip"])


@pytest.mark.soak
def test_every_line_of_a_fortnight_is_answered(city: City, decoder: Decoder) -> None:
    happenings: list[str | Happening] = ["growth", "new-site", "clock-skew", "duplicates", Happening("outage", 3)]
    busy = City(9, people=400, start=datetime(2026, 3, 2, tzinfo=UTC), happenings=happenings, volume=0.3)
    for index in range(0, 14 * city.windows_per_day, 5):
        answered(decoder, busy.window(index))
