"""What the firewall features say of peers, first times, own past and floods, seen from outside: events in, the last vector out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from detector.features import FeatureState, step
from detector.features.newcomers import FLOOD
from tests.eventgen import Row, events, flow
from tests.test_features import TABLES, last

HOUR, DAY = 3_600.0, 86_400.0
OFFICE = {"direction": "internal", "source.network": "office"}
OUT = {"direction": "outbound", "source.network": "office"}


def office(day: int, people: int = 40, prefix: str = "10.0.0", hours: Sequence[int] = range(9)) -> list[Row]:
    """A working day of the office: everyone to the file server, the mail server and a web site, hour by hour from 09:00 Berlin."""
    return [
        flow(day * DAY + hour * HOUR + who, f"{prefix}.{who}", to, port, **(OFFICE if inside else OUT), **{"source.bytes": size})
        for hour in hours
        for who in range(people)
        for to, port, inside, size in (("10.0.9.1", 445, True, 9_000), ("10.0.9.2", 443, True, 3_000), ("203.0.113.80", 443, False, 5_000))
    ]


def working(days: int = 3) -> list[Row]:
    return [row for day in range(days) for row in office(day)]


def after(*rows: Row, days: int = 3) -> dict[str, float]:
    return last("firewall-source", [*working(days), *rows])


def test_a_service_that_everyone_uses_is_not_rare_among_peers_and_another_is() -> None:
    usual = after(flow(3 * DAY, "10.0.0.1", "10.0.9.1", 445, **OFFICE))
    odd = after(flow(3 * DAY, "10.0.0.1", "10.0.9.7", 5432, **OFFICE))
    assert usual["service_rarity"] < 1.0
    assert odd["service_rarity"] > 4.0


def test_rarity_is_that_of_the_sources_own_network() -> None:
    """The servers all use the database; an office computer that does so is as odd as ever."""
    servers = [
        flow(2 * DAY + who, f"10.0.5.{who}", "10.0.9.7", 5432, direction="internal", **{"source.network": "server"}) for who in range(40)
    ]
    to_database = flow(3 * DAY, "10.0.0.1", "10.0.9.7", 5432, **OFFICE)
    assert after(*servers, to_database)["service_rarity"] > 4.0
    again = flow(3 * DAY, "10.0.5.1", "10.0.9.7", 5432, direction="internal", **{"source.network": "server"})
    assert after(*servers, again)["service_rarity"] < 1.0


def test_first_times_are_told_apart_for_the_source_its_peers_and_the_tenant() -> None:
    colleague = flow(2 * DAY, "10.0.0.2", "10.0.9.8", 8443, **OFFICE)
    server = flow(2 * DAY, "10.0.5.1", "10.0.9.9", 8443, direction="internal", **{"source.network": "server"})
    own = after(colleague, flow(3 * DAY, "10.0.0.1", "10.0.9.8", 8443, **OFFICE))
    peers = after(server, flow(3 * DAY, "10.0.0.1", "10.0.9.9", 8443, **OFFICE))
    tenant = after(flow(3 * DAY, "10.0.0.1", "10.0.9.10", 8443, **OFFICE))
    assert own["new_services_1h"] == pytest.approx(1, abs=0.05)
    assert own["new_for_peers_1h"] < 2.0 < 4.0 < peers["new_for_peers_1h"]
    assert peers["new_for_tenant_1h"] < 2.0 < 4.0 < tenant["new_for_tenant_1h"]


def test_novelty_fades_with_age() -> None:
    def hours_later(hours: float) -> float:
        first = flow(2 * DAY, "10.0.0.2", "10.0.9.8", 8443, **OFFICE)
        return after(first, flow(2 * DAY + hours * HOUR, "10.0.0.1", "10.0.9.8", 8443, **OFFICE), days=2)["new_for_peers_1h"]

    assert hours_later(0.1) > hours_later(3) > hours_later(24) > 0


def test_a_newcomer_is_not_judged_by_its_first_times() -> None:
    """A computer that has just been switched on does everything for the first time."""
    settled = after(flow(3 * DAY, "10.0.0.1", "10.0.9.8", 8443, **OFFICE))
    newcomer = after(flow(3 * DAY, "10.0.7.7", "10.0.9.8", 8443, **OFFICE))
    assert settled["new_services_1h"] > 0.9
    assert newcomer["new_services_1h"] < 0.1


def test_new_targets_of_remote_administration_count_only_where_colleagues_have_none() -> None:
    hop = [flow(3 * DAY + k, "10.0.0.1", f"10.0.9.{20 + k}", 3389, **OFFICE) for k in range(5)]
    assert after(*hop)["admin_new_1h"] > 15
    assert after(flow(3 * DAY, "10.0.7.7", "10.0.9.1", 445, **OFFICE))["admin_new_1h"] < 1.0


def test_refused_targets_of_a_day_are_counted_however_slowly_they_come() -> None:
    slow = [flow(2 * DAY + k * 900.0, "10.0.0.1", f"10.0.8.{k}", 445, **OFFICE, action="denied") for k in range(80)]
    x = after(*slow, days=2)
    assert x["denied_targets_24h"] == pytest.approx(80, rel=0.25)
    assert x["reach_vs_peers_24h"] > 2.5
    assert after()["reach_vs_peers_24h"] < 0.6


def test_bytes_are_compared_with_peers_and_with_ones_own_past() -> None:
    bulk = flow(3 * DAY, "10.0.0.1", "203.0.113.80", 443, **OUT, **{"source.bytes": 2_000_000_000, "destination.bytes": 90_000})
    x = after(bulk)
    assert x["bytes_vs_peers_24h"] > 4
    assert x["bytes_growth_1h"] > 4
    assert x["upload_24h"] > 8
    quiet = after()
    assert max(quiet["bytes_vs_peers_24h"], quiet["bytes_growth_1h"], quiet["upload_24h"]) < 0.6


def test_an_hour_in_which_the_network_sleeps_is_rare() -> None:
    assert after(flow(3 * DAY + 3 * HOUR, "10.0.0.1", "10.0.9.1", 445, **OFFICE))["hour_rarity"] == 0
    assert after(flow(3 * DAY + 18 * HOUR, "10.0.0.1", "10.0.9.1", 445, **OFFICE))["hour_rarity"] > 2


def test_the_share_of_refusals_and_the_quiet_of_a_day_are_shown() -> None:
    refused = [flow(3 * DAY + k, "10.0.0.1", "10.0.9.1", 23, **OFFICE, action="denied") for k in range(36)]
    assert after(*refused)["deny_share_1h"] == pytest.approx(36 / 40, abs=0.02)
    assert after(flow(3 * DAY, "10.0.7.7", "10.0.9.1", 445, **OFFICE))["flows_24h"] == pytest.approx(1)
    assert after(flow(3 * DAY, "10.0.0.1", "10.0.9.1", 445, **OFFICE))["flows_24h"] > 20


def spoofed(n: int, at: float, prefix: str = "10.9", **more: object) -> list[Row]:
    return [flow(at + i * 0.01, f"{prefix}.{i // 250}.{i % 250}", "10.0.9.2", 443, **OFFICE, **more) for i in range(n)]


def test_a_flood_of_never_seen_sources_is_one_entity_that_says_how_many() -> None:
    rows = [*working(), *spoofed(6_000, 3 * DAY)]
    memory = FeatureState.fresh(100_000)
    found = step(memory, events(rows), TABLES)["firewall-source"]
    pooled = found.pooled[-6_000:]
    assert pooled[:900].sum() == 0
    assert pooled[2_000:].all()
    assert len(set(found.entity[-4_000:].tolist())) == 1
    seen = 2 ** found.X[-1, TABLES["firewall-source"].names.index("new_sources_10m")] - 1
    assert seen == pytest.approx(6_000, rel=0.4)
    others = np.delete(found.X[-1], TABLES["firewall-source"].names.index("new_sources_10m"))
    assert not others.any(), "a row about a network says nothing else"


def test_who_was_there_before_the_flood_keeps_its_own_row() -> None:
    rows = [*working(), *spoofed(5_000, 3 * DAY), flow(3 * DAY + 60, "10.0.0.1", "10.0.9.1", 445, **OFFICE)]
    found = step(FeatureState.fresh(100_000), events(rows), TABLES)["firewall-source"]
    assert found.pooled[-2]
    assert not found.pooled[-1]
    assert 2 ** found.X[-1, TABLES["firewall-source"].names.index("flows_24h")] > 20


def test_the_change_of_tokens_in_the_morning_is_no_flood() -> None:
    """Every client of a large network has a new token at 05:00, and many of them talk at once."""
    people = 3_000
    rows = [
        flow(day * DAY - 4 * HOUR + who * 0.1, f"10.{100 + day}.{who // 250}.{who % 250}", "10.0.9.1", 445, **OFFICE)
        for day in range(5)
        for who in range(people)
    ]
    assert people > 2 * FLOOD
    assert not step(FeatureState.fresh(100_000), events(rows), TABLES)["firewall-source"].pooled.any()


def test_a_flood_is_over_when_newcomers_are_few_again() -> None:
    late = flow(3 * DAY + 2 * HOUR, "10.0.7.7", "10.0.9.1", 445, **OFFICE)
    found = step(FeatureState.fresh(100_000), events([*working(), *spoofed(5_000, 3 * DAY), late]), TABLES)["firewall-source"]
    assert found.pooled.sum() > 3_000
    assert not found.pooled[-1]


def test_the_internets_usual_scanners_are_no_flood() -> None:
    """Fifty new outside addresses an hour from everywhere, for three days: each has its own row."""
    rows = [
        flow(i * 72.0, f"{1 + i % 200}.{i // 200 % 250}.{i % 250}.9", "10.0.9.2", 443, direction="inbound", action="denied")
        for i in range(3_600)
    ]
    found = step(FeatureState.fresh(100_000), events(rows), TABLES)["firewall-source"]
    assert not found.pooled.any()


def test_a_pair_says_how_much_goes_one_way_and_for_how_many_hours() -> None:
    rows = [
        flow(hour * HOUR + 5, "10.0.0.1", "203.0.113.9", 443, **OUT, **{"source.bytes": 40_000_000, "destination.bytes": 100_000})
        for hour in range(20)
    ]
    x = last("firewall-pair", rows)
    assert x["hours_active"] == 20
    assert x["upload_24h"] > 6
    assert 4e8 < x["sent_24h"] < 8e8


def test_hours_of_a_pair_leave_after_a_day_and_late_ones_still_count() -> None:
    early = [flow(hour * HOUR, "10.0.0.1", "203.0.113.9", 443, **OUT) for hour in range(6)]
    assert last("firewall-pair", [*early, flow(40 * HOUR, "10.0.0.1", "203.0.113.9", 443, **OUT)])["hours_active"] == 1
    assert last("firewall-pair", [*early[:3], *early[4:], early[3]])["hours_active"] == 6
