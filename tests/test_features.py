"""What the features say, seen from outside: a few events in, the last vector out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.features import FeatureState, step
from detector.features.table import read_all
from tests.eventgen import Row, events, flow, login

TABLES = read_all(Path(__file__).parent.parent / "models")
OUTSIDE = "198.51.100.7"


def last(model: str, rows: Sequence[Row]) -> dict[str, float]:
    """The features of the model's last vector, amounts in their unit."""
    found = step(FeatureState.fresh(1_000), events(rows), TABLES)[model]
    assert len(found.X) > 0, f"{model} has no vector"
    values = zip(TABLES[model].features, found.X[-1], strict=True)
    return {f.name: float(np.exp2(x) - 1) if f.scale == "log2" else float(x) for f, x in values}


def fails(n: int, *, every: float = 1.0, at: float = 0.0, source: str = OUTSIDE, user: str = "u", host: str = "h") -> list[Row]:
    return [login(at + i * every, source, user.replace("#", str(i)), host, ok=False) for i in range(n)]


def test_counters_halve_in_their_half_life() -> None:
    x = last("auth-source", [*fails(8, every=0), login(3_600, OUTSIDE, "u", "h", ok=False)])
    assert x["failures_1h"] == pytest.approx(8 / 2 + 1)
    assert x["failures_1m"] == pytest.approx(1.0)
    assert x["failures_24h"] == pytest.approx(8 * 2 ** (-1 / 24) + 1)


def test_one_line_may_report_several_attempts() -> None:
    assert last("auth-source", [login(0, OUTSIDE, "u", "h", ok=False, **{"attempt.count": 5})])["failures_since_success"] == pytest.approx(
        5
    )


def test_reports_of_one_connection_count_the_largest_of_their_kinds() -> None:
    """sshd counts two attempts, PAM the same two and a summary claims three: that is three."""
    kinds = [(1, 0), (2, 0), (1, 0), (2, 0), (3, 3)]
    reports = [
        login(i, OUTSIDE, "u", "h", ok=False, **{"session.key": 9, "attempt.kind": kind, "attempt.count": count})
        for i, (kind, count) in enumerate(kinds)
    ]
    found = step(FeatureState.fresh(1_000), events(reports), TABLES)["auth-source"]
    assert found.weight.tolist() == [1, 0, 1, 0, 1]


def test_pam_in_a_child_and_sshd_in_its_parent_tell_of_one_attempt() -> None:
    """Keyboard-interactive: the child's pid is another for each attempt, and the connection ends with a line of its own."""
    told = [(11, 1), (10, 3), (12, 1), (10, 3), (13, 1), (10, 3), (10, 5)]
    lines = [
        login(i * 2, OUTSIDE, "root", "h", ok=False, **{"session.key": session, "attempt.kind": kind})
        for i, (session, kind) in enumerate(told)
    ]
    found = step(FeatureState.fresh(1_000), events(lines), TABLES)["auth-source"]
    assert found.weight.tolist() == [1, 0, 1, 0, 1, 0, 0]


def test_sshd_alone_or_much_later_is_news() -> None:
    alone = [login(i * 2, OUTSIDE, "root", "h", ok=False, **{"session.key": 20 + i, "attempt.kind": 3}) for i in range(3)]
    late = login(200, OUTSIDE, "root", "h", ok=False, **{"session.key": 30, "attempt.kind": 3})
    pam = login(10, OUTSIDE, "root", "h", ok=False, **{"session.key": 29, "attempt.kind": 1})
    found = step(FeatureState.fresh(1_000), events([*alone, pam, late]), TABLES)["auth-source"]
    assert found.weight.tolist() == [1, 1, 1, 1, 1]


def test_connections_do_not_share_their_reports() -> None:
    reports = [login(i, OUTSIDE, "u", "h", ok=False, **{"session.key": 1 + i, "attempt.kind": 1}) for i in range(4)]
    assert last("auth-source", reports)["failures_since_success"] == pytest.approx(4)


def test_a_success_shows_what_went_before_and_then_begins_anew() -> None:
    rows = [*fails(7), login(10, OUTSIDE, "u", "h", ok=True)]
    assert last("auth-source", rows)["failures_since_success"] == 7
    assert last("auth-source", [*rows, *fails(1, at=20)])["failures_since_success"] == 1


def test_spells_end_after_five_quiet_minutes() -> None:
    x = last("auth-source", [*fails(3), *fails(3, at=200), *fails(3, at=600)])
    assert x["spells_since_success"] == pytest.approx(2)
    assert x["hours_failing"] == pytest.approx(602 / 3_600)


@pytest.mark.parametrize("n", [1, 5, 12])
def test_few_distinct_values_are_counted_exactly(n: int) -> None:
    twice = [*fails(n, user="u-#", every=0.1), *fails(n, at=10, user="u-#", every=0.1)]
    assert last("auth-source", twice)["users_failed_1h"] == pytest.approx(n)


@pytest.mark.parametrize("n", [13, 40, 200, 2_000])
def test_many_distinct_values_are_counted_within_a_quarter(n: int) -> None:
    x = last("auth-source", fails(n, user="u-#", every=0.1))
    assert x["users_failed_24h"] == pytest.approx(n, rel=0.25)


def test_distinct_values_leave_after_their_window_and_the_next() -> None:
    rows = fails(10, user="u-#")
    assert last("auth-source", [*rows, *fails(1, at=4_000)])["users_failed_1h"] == 10
    assert last("auth-source", [*rows, *fails(1, at=9_000)])["users_failed_1h"] == 1


def test_the_service_counts_only_sources_that_never_succeeded() -> None:
    """Thirty attackers are thirty rows; an owner who mistypes after a success is none of the service's business."""
    attackers = [login(i, f"203.0.113.{i}", "root", "h", ok=False) for i in range(30)]
    owner = [login(-1, "192.0.2.1", "u", "h", ok=True), *fails(20, at=31, source="192.0.2.1")]
    rows = step(FeatureState.fresh(1_000), events([*owner, *attackers]), TABLES)["auth-service"]
    assert rows.row.tolist() == list(range(21 + 9, 21 + 30))


def test_a_service_with_few_sources_is_not_judged() -> None:
    rows = events([login(i, f"203.0.113.{i}", "root", "h", ok=False) for i in range(9)])
    assert len(step(FeatureState.fresh(1_000), rows, TABLES)["auth-service"].X) == 0


def test_growth_is_measured_against_the_last_days() -> None:
    """A host that meets ten new sources an hour for three days, then two hundred within one; and one that goes on as before."""

    def arrivals(first: int, n: int, begin: float, seconds: float) -> list[Row]:
        sources = [f"203.{i // 65_536}.{i // 256 % 256}.{i % 256}" for i in range(first, first + n)]
        return [login(begin + i * seconds / n, source, "root", "h", ok=False) for i, source in enumerate(sources)]

    steady = arrivals(0, 720, 0, 259_200)
    burst = last("auth-service", [*steady, *arrivals(1_000, 200, 259_200, 3_600)])
    same = last("auth-service", [*steady, *arrivals(1_000, 10, 259_200, 3_600)])
    assert burst["growth_1h"] > 2.5
    assert burst["growth_10m"] > 2.5
    assert abs(same["growth_1h"]) < 1.0
    assert abs(same["growth_24h"]) < 0.6


def test_new_sources_on_accounts_in_use_count_apart() -> None:
    """A spray over accounts that people log in with, against the same number of sources that guess names."""

    def spray(names: str) -> float:
        staff = [login(-3_600 + i, "192.0.2.1", f"u-{i}", "h", ok=True) for i in range(40)]
        usual = [login(i * 3_600, f"203.0.113.{i % 60}", f"guess-{i}", "h", ok=False) for i in range(72)]
        wave = [login(259_200 + i * 10, f"198.51.100.{i}", f"{names}-{i % 40}", "h", ok=False) for i in range(120)]
        return last("auth-service", [*staff, *usual, *wave])["known_growth_1h"]

    assert spray("u") > 4
    assert spray("guess") < 0.1


def test_tickets_for_many_services_are_no_logins_of_those_services() -> None:
    tickets = [
        login(i, "10.0.0.5", "u-1", "dc", ok=True, direction="internal", **{"event.action": "ticket", "user.target.name": f"svc-{i}"})
        for i in range(30)
    ]
    x = last("auth-source", tickets)
    assert x["tickets_1h"] == pytest.approx(30, rel=0.25)
    assert x["accounts_1h"] == 1


def test_little_is_much_only_where_the_source_is_a_stranger() -> None:
    """Ten failures in five spells: from a network that nobody logs in from they are strange, from the office they are mistyping."""
    staff = [login(i * 4_000, "10.0.0.1", f"u-{i}", "h", ok=True, direction="internal") for i in range(60)]
    stranger = [login(240_000 + i * 200, OUTSIDE, "u-1", "h", ok=False) for i in range(10)]
    colleague = [login(240_000 + i * 200, "10.0.0.9", "u-1", "h", ok=False, direction="internal") for i in range(10)]
    assert last("auth-source", [*staff, *stranger])["strange_failures"] > 1
    assert last("auth-source", [*staff, *colleague])["strange_failures"] < 0.5
    assert last("auth-source", [*staff, login(239_000, OUTSIDE, "u-2", "h", ok=True), *stranger])["strange_failures"] == 0


def test_a_machines_own_log_has_no_spells_and_a_raised_right_ends_its_failures() -> None:
    def local(at: float, ok: bool) -> Row:
        return login(at, "", "u-1", "h", ok=ok, direction="", **{"event.action": "elevate"})

    failed = [local(i * 400.0, False) for i in range(8)]
    x = last("auth-source", failed)
    assert (x["spells_since_success"], x["hours_failing"], x["strange_spells"]) == (0, 0, 0)
    assert x["failures_since_success"] == pytest.approx(8)
    assert last("auth-source", [*failed, local(4_000, True)])["failures_since_success"] == 0


def test_a_persons_token_is_no_feature() -> None:
    """Whoever logs in, the vector is the same: another token for each person changes nothing (I5, no memory of persons)."""

    def day(names: list[str]) -> list[Row]:
        return [login(i * 60, f"10.0.0.{i % 20}", names[i % 20], f"h-{i % 3}", ok=i % 7 != 0, direction="internal") for i in range(200)]

    one, other = (step(FeatureState.fresh(1_000), events(day([f"u-{prefix}{i}" for i in range(20)])), TABLES) for prefix in ("old", "new"))
    for model in ("auth-source", "auth-user"):
        assert np.array_equal(one[model].X, other[model].X)


def test_nothing_of_a_person_survives_the_change_of_tokens() -> None:
    """The same token name in a later epoch starts from nothing: what is remembered of an account ends with its day."""
    today = [login(i, "10.0.0.5", "u-1", f"h-{i}", ok=True, direction="internal") for i in range(6)]
    tomorrow = login(10, "10.0.0.5", "u-1", "h-0", ok=True, direction="internal", **{"event.epoch": 20459})
    x = last("auth-user", [*today, tomorrow])
    assert (x["hosts_1h"], x["logins_10m"], x["networks_today"]) == (1, 1, 1)


def test_first_seen_is_silent_without_its_keys_and_asks_only_about_accounts_known_on_three_days() -> None:
    def at(day: int, **seen: int) -> Row:
        keys = {f"seen.{name}": value for name, value in seen.items()}
        return login(day * 86_400, "198.51.100.9", "u", "h", ok=True, **{"event.epoch": 20458 + day, "source.kind": "abroad", **keys})

    def new(*rows: Row) -> list[bool]:
        x = last("auth-user", rows)
        return [x[f"{what}_new"] > 1.0 for what in ("provider", "region", "band")]

    assert new(*(at(day) for day in range(5))) == [False] * 3
    usual = [at(day, account=1, provider=10, region=20, band=30) for day in range(3)]
    assert new(*usual[:2], at(2, account=1, provider=11, region=20, band=30)) == [False] * 3
    assert new(*usual, at(3, account=1, provider=11, region=20, band=30)) == [True, False, False]
    abroad = {**at(3, account=1, provider=11, region=21, band=31), "source.kind": "abroad"}
    assert new(*usual, abroad) == [True, True, True]
    assert new(*usual, at(3, account=1, provider=10, region=20, band=30)) == [False] * 3


def test_two_places_at_once_counts_inside_and_outside_logins_by_their_gap() -> None:
    def pair(gap: float) -> float:
        inside = login(0, "10.0.0.5", "u", "h", ok=True, direction="internal")
        return last("auth-user", [inside, login(gap, "203.0.113.9", "u", "h", ok=True)])["two_places"]

    assert pair(3_600) == pytest.approx(3)
    assert pair(60) > 8
    assert pair(10 * 3_600) == 0


def test_failures_of_the_source_do_not_count_against_a_key() -> None:
    key = login(10, OUTSIDE, "u", "h", ok=True, **{"authentication.method": "publickey"})
    assert last("auth-user", [*fails(6), key])["source_failures"] == 0
    assert last("auth-user", [*fails(6), login(10, OUTSIDE, "u", "h", ok=True)])["source_failures"] == pytest.approx(6)


def test_a_login_under_suspicion_teaches_nothing() -> None:
    """After five failures of its source, a success leaves no habit: the same network stays as unusual as before."""
    staff = [login(i * 5_000, f"10.0.{i % 4}.{i}", f"u-{i}", "h", ok=True, direction="internal") for i in range(50)]
    suspicious = [*fails(9, at=250_000), login(250_120, OUTSIDE, "u-1", "h", ok=True)]
    honest = [login(250_120, OUTSIDE, "u-1", "h", ok=True)]
    again = login(250_200, OUTSIDE, "u-2", "h", ok=True)
    assert (
        last("auth-user", [*staff, *suspicious, again])["network_rarity"]
        > last("auth-user", [*staff, *honest, again])["network_rarity"] + 0.4
    )


def test_a_new_shard_does_not_judge_novelty() -> None:
    """In the first minutes every network is new; that says nothing."""
    rows = [login(i, f"{10 + i}.0.0.1", f"u-{i}", f"h-{i}", ok=True, **{"user.roles": f"r-{i % 3}"}) for i in range(100)]
    x = last("auth-user", rows)
    assert x["network_rarity"] + x["host_rarity"] + x["hour_rarity"] < 0.1


def test_an_unusual_hour_is_rarer_than_a_usual_one() -> None:
    def at(day: int, hour: float, who: int) -> Row:
        moment = day * 86_400 + hour * 3_600 + who
        return login(moment, f"10.0.0.{who}", f"u-{who}", "h", ok=True, direction="internal", **{"event.epoch": 20458 + day})

    def login_at(hour: float) -> float:
        days = [at(day, h, who) for day in range(4) for h in range(9) for who in range(12)]
        return last("auth-user", [*days, at(4, hour, 1)])["hour_rarity"]

    assert login_at(4) < 1.0
    assert login_at(18) > 4.0  # 03:00 in Berlin


def beacon(gaps: Sequence[float] | NDArray[np.float64], size: int = 500) -> dict[str, float]:
    """What a pair says after these gaps, among two hundred sources that talk to another destination."""
    others = [flow(-500 + i, f"10.0.{i // 100}.{i % 100}", "203.0.113.80", 443) for i in range(200)]
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    return last("firewall-pair", [*others, *(flow(t, "10.0.9.9", "203.0.113.99", 443, **{"source.bytes": size}) for t in times)])


def test_a_beacon_is_regular_and_a_person_is_not() -> None:
    rng = np.random.default_rng(0)
    machine, jitter, person = beacon([300.0] * 20), beacon(300 * rng.uniform(0.9, 1.1, 20)), beacon(rng.exponential(300, 20))
    assert machine["regular_and_rare"] > jitter["regular_and_rare"] > 2 * person["regular_and_rare"]
    assert machine["uniform_and_rare"] > jitter["uniform_and_rare"]


def test_few_equal_gaps_are_not_yet_regular() -> None:
    assert beacon([300.0] * 4)["regular_and_rare"] < 0.4 * beacon([300.0] * 20)["regular_and_rare"]


def test_a_pair_is_judged_from_its_fourth_flow_on() -> None:
    rows = events([flow(i * 60, "10.0.0.5", "203.0.113.9", 443) for i in range(6)])
    assert step(FeatureState.fresh(1_000), rows, TABLES)["firewall-pair"].row.tolist() == [3, 4, 5]


def everyone(destination: str, n: int = 200) -> list[Row]:
    return [flow(-500 + i, f"10.0.{i // 100}.{i % 100}", destination, 443) for i in range(n)]


def test_connections_of_one_moment_are_one_visit() -> None:
    """A machine opens six connections at once: the gaps between visits count, not the zeros."""
    times = [visit * 300 + i * 0.05 for visit in range(15) for i in range(6)]
    x = last("firewall-pair", [*everyone("203.0.113.80"), *(flow(t, "10.0.9.9", "203.0.113.99", 443) for t in times)])
    assert x["regular_and_rare"] > 0.8 * beacon([300.0] * 14)["regular_and_rare"]


def test_regular_traffic_to_the_destination_everyone_uses_is_nothing() -> None:
    times = [i * 300.0 for i in range(20)]
    usual = last("firewall-pair", [*everyone("203.0.113.80"), *(flow(t, "10.0.0.5", "203.0.113.80", 443) for t in times)])
    rare = last("firewall-pair", [*everyone("203.0.113.80"), *(flow(t, "10.0.0.5", "203.0.113.81", 443) for t in times)])
    assert usual["regular_and_rare"] < 0.2
    assert rare["regular_and_rare"] > 3


def test_a_scan_counts_ports_and_hosts() -> None:
    x = last(
        "firewall-source",
        [flow(i * 0.1, "10.0.0.6", f"10.0.1.{i % 50}", 1_000 + i, direction="internal", action="denied") for i in range(500)],
    )
    assert x["ports_10m"] == pytest.approx(500, rel=0.25)
    assert x["hosts_10m"] == pytest.approx(50, rel=0.25)
    assert x["denies_1h"] == pytest.approx(500, rel=0.02)


def test_only_what_leaves_the_house_counts_as_sent() -> None:
    def sent(direction: str) -> float:
        return last("firewall-source", [flow(0, "10.0.0.6", "203.0.113.9", 443, direction=direction, **{"source.bytes": 1_000})])[
            "bytes_out_1h"
        ]

    assert sent("outbound") == pytest.approx(1_000)
    assert sent("internal") == 0
    assert sent("inbound") == 0


def test_a_broken_clock_does_not_freeze_a_counter() -> None:
    """One event from the year 9999 (its record says today): what follows is counted all the same, a day later at the latest."""
    broken = login(2.5e11, OUTSIDE, "u", "h", ok=False, **{"event.created": 1_767_600_000_000_000})
    later = [login(90_000 + i, OUTSIDE, "u", "h", ok=False, **{"event.created": 1_767_690_000_000_000}) for i in range(5)]
    assert last("auth-source", [broken, *later])["failures_10m"] > 4.9


def test_addresses_of_both_families_are_kept_apart() -> None:
    rows = [login(i, source, "u", "h", ok=False) for i, source in enumerate(["2001:db8::1", "2001:db8::2", "0.0.0.1", "::1"])]
    found = step(FeatureState.fresh(1_000), events(rows), TABLES)["auth-source"]
    assert len(set(found.entity.tolist())) == 4


@pytest.mark.parametrize("source", ["::1", "127.0.0.1"])
def test_a_machine_that_talks_to_itself_has_no_source(source: str) -> None:
    """dovecot names ::1 for its own logins: six failures in six spells are nobody's persistence."""
    x = last("auth-source", fails(6, every=400, source=source))
    assert (x["spells_since_success"], x["hours_failing"], x["strange_spells"], x["strange_failures"]) == (0, 0, 0, 0)
    assert last("auth-source", fails(6, every=400))["spells_since_success"] == 6
