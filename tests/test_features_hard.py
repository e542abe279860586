"""Features under bad input and in any order: clocks that jump, missing days, silence, one loud entity, equal values, late events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from detector.features import FeatureState, Rows, step
from tests.eventgen import START, Row, events, flow, login, noise
from tests.test_features import TABLES
from tests.test_features_network import DAY, HOUR, OFFICE, OUT, office, working

F64 = NDArray[np.float64]
HALF_HOUR = 1_800_000_000  # µs


def stepped(frame: pl.DataFrame, cuts: Sequence[int] = (), entities: int = 100_000) -> dict[str, Rows]:
    """The rows of every model for a frame that comes in pieces."""
    memory, found = FeatureState.fresh(entities), list[dict[str, Rows]]()
    for first, last in zip([0, *cuts], [*cuts, len(frame)], strict=True):
        found.append(step(memory, frame[first:last], TABLES))
    joined = {}
    for model in TABLES:
        parts = [one[model] for one in found if model in one]
        if parts:
            columns = (np.concatenate([getattr(part, name) for part in parts]) for name in Rows.__slots__)
            joined[model] = Rows(*columns)
    return joined


def by_name(model: str, x: F64) -> dict[str, float]:
    return dict(zip(TABLES[model].names, x.tolist(), strict=True))


def moved(frame: pl.DataFrame, time: NDArray[np.int64]) -> pl.DataFrame:
    return frame.with_columns(pl.Series("@timestamp", time).cast(pl.Datetime("us", "UTC")))


@pytest.mark.parametrize("seed", range(3))
def test_i1_every_feature_of_every_model_is_the_same_however_the_stream_is_cut(seed: int) -> None:
    """Two days of random events, many late, many of equal time, across two changes of tokens; small memory, so evictions too."""
    frame = noise(8_000, seed, days=2.0, sources=100)
    cuts = sorted(np.random.default_rng(seed).integers(0, len(frame), 9).tolist())
    whole, pieces = stepped(frame, entities=300), stepped(frame, cuts, entities=300)
    assert set(whole) == set(TABLES)
    for model, rows in whole.items():
        assert np.array_equal(rows.X, pieces[model].X), model
        assert np.array_equal(rows.entity, pieces[model].entity)
        assert (rows.X.max(axis=0) > rows.X.min(axis=0)).sum() > 0.6 * rows.X.shape[1], "most features move in this stream"


# What a late event adds to is a decayed sum, or a ratio of such sums.
SUMS = {
    "firewall-source": ("denies_1m", "denies_10m", "denies_1h", "denies_24h", "flows_1m", "flows_1h", "flows_24h", "bytes_out_1h",
                        "bytes_out_24h", "deny_share_1h", "upload_24h"),
    "firewall-pair": ("sent_24h", "upload_24h"),
    "auth-source": ("failures_1m", "failures_10m", "failures_1h", "failures_24h", "attempts_10m", "failure_share_1h"),
}  # fmt: skip
# What is counted apart: distinct values, first times, spells; there a late event may count in the present window.
COUNTED = {
    "firewall-source": ("ports_1h", "ports_24h", "hosts_1h", "hosts_24h", "inside_hosts_24h", "denied_targets_24h"),
    "auth-source": ("users_failed_1h", "users_failed_24h", "hosts_24h", "accounts_1h", "failures_since_success"),
}


def one_of_each(rng: np.random.Generator, n: int) -> list[Row]:
    rows: list[Row] = []
    for at in np.sort(rng.uniform(0, HOUR, n)).tolist():
        denied, outside, ok = rng.random(3) < (0.4, 0.5, 0.0)
        sizes = {"source.bytes": int(rng.integers(0, 9_000_000)), "destination.bytes": int(rng.integers(0, 9_000_000))}
        action = "denied" if denied else "allowed"
        if outside:
            rows.append(flow(at, "10.0.0.1", "203.0.113.9", 443, **OUT, **sizes, action=action))
        else:
            rows.append(flow(at, "10.0.0.1", f"10.0.9.{rng.integers(1, 9)}", int(rng.integers(1, 9)), **OFFICE, action=action))
        rows.append(login(at, "198.51.100.7", f"u-{rng.integers(0, 9)}", f"h-{rng.integers(0, 4)}", ok=bool(ok)))
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_i2_late_events_leave_what_they_would_have_left_in_order(seed: int) -> None:
    """The same events, each up to half an hour late, then one in time: every decayed sum is the same, every count nearly."""
    rng = np.random.default_rng(seed)
    rows = one_of_each(rng, 120)
    lateness = rng.integers(0, HALF_HOUR, len(rows))
    shuffled = [rows[i] for i in np.argsort(np.array([row["@timestamp"] for row in rows]) + lateness, kind="stable")]
    probes = [flow(HOUR, "10.0.0.1", "203.0.113.9", 443, **OUT), login(HOUR, "198.51.100.7", "u-1", "h-1", ok=False)]
    straight, late = (stepped(events([*order, *probes])) for order in (rows, shuffled))
    for model, names in SUMS.items():
        one, other = (by_name(model, found[model].X[-1]) for found in (straight, late))
        for name in names:
            assert one[name] == pytest.approx(other[name], rel=1e-9, abs=1e-9), f"{model}.{name}"
        assert np.isfinite(late[model].X).all()
    for model, names in COUNTED.items():
        one, other = (by_name(model, found[model].X[-1]) for found in (straight, late))
        for name in names:
            assert one[name] == pytest.approx(other[name], abs=0.6), f"{model}.{name}"


def test_events_of_one_moment_leave_the_same_sums_in_any_order() -> None:
    rows = [flow(0, "10.0.0.1", f"10.0.9.{i}", 1 + i, **OFFICE, action="denied" if i % 3 == 0 else "allowed") for i in range(12)]
    probe = flow(60, "10.0.0.1", "10.0.9.1", 1, **OFFICE)
    one, other = (by_name("firewall-source", stepped(events([*order, probe]))["firewall-source"].X[-1]) for order in (rows, rows[::-1]))
    for name in (*SUMS["firewall-source"], *COUNTED["firewall-source"]):
        assert one[name] == pytest.approx(other[name], rel=1e-9, abs=1e-9), name


def test_an_attack_from_outside_goes_on_when_tokens_change_at_five() -> None:
    """Passwords are tried from 04:30 to 05:30 Berlin time: what is known of the source and the service does not begin anew."""

    def night(changes: bool) -> dict[str, Rows]:
        five = 20 * HOUR  # START is 09:00 in Berlin
        noise_before = [login(i * 600, f"203.0.113.{i % 60}", "x", "h", ok=False) for i in range(110)]
        attack = [
            login(five - 1_800 + i * 10, f"198.51.100.{7 + i % 3}", f"u-{i % 5}", "h", ok=False,
                  **{"event.epoch": 20459 if changes and i >= 180 else 20458})
            for i in range(360)
        ]  # fmt: skip
        return stepped(events([*noise_before, *attack]))

    kept, changed = night(changes=False), night(changes=True)
    for model in ("auth-source", "auth-service"):
        assert len(kept[model].X) > 300
        assert np.array_equal(kept[model].X, changed[model].X), model
    assert by_name("auth-source", changed["auth-source"].X[-1])["failures_1h"] > np.log2(60)


def test_a_clients_sums_begin_anew_with_its_token_and_its_peers_do_not() -> None:
    """The address of a client is a token of one day: its own past ends at 05:00, what its network is used to does not."""
    morning = flow(3 * DAY, "10.1.1.1", "10.0.9.1", 445, **OFFICE)  # a token that nobody has seen
    x = by_name("firewall-source", stepped(events([*working(), morning]))["firewall-source"].X[-1])
    assert x["flows_24h"] == 1.0
    assert x["service_rarity"] < 1.0


@pytest.mark.parametrize("jump", [-400 * DAY, -2 * DAY, -HOUR, HOUR, 2 * DAY, 400 * DAY])
def test_a_clock_that_jumps_leaves_no_impossible_number_and_no_flood(jump: float) -> None:
    """A third of the events have a clock that is off, by an hour or a year; their records know the time."""
    frame = noise(4_000, 7, days=2.0)
    time = frame["@timestamp"].cast(pl.Int64).to_numpy().copy()
    off = np.random.default_rng(0).random(len(time)) < 0.33
    found = stepped(moved(frame, np.where(off, time + int(jump * 1e6), time)))
    for model, rows in found.items():
        scaled = [feature.scale == "log2" for feature in TABLES[model].features]
        assert np.isfinite(rows.X).all(), model
        assert (rows.X[:, scaled] >= 0.0).all(), model
        assert not rows.pooled.any()


def test_a_missing_day_makes_nobody_unusual() -> None:
    """The log of one day is lost; the morning after looks like the mornings before."""
    names = ("bytes_growth_1h", "reach_vs_peers_24h", "bytes_vs_peers_24h", "service_rarity", "new_for_peers_1h", "new_for_tenant_1h",
             "new_sources_10m", "admin_new_1h", "port_rarity_1h")  # fmt: skip
    whole = stepped(events([row for day in (0, 1, 2, 3, 4) for row in office(day)]))["firewall-source"]
    gap = stepped(events([row for day in (0, 1, 2, 4) for row in office(day)]))["firewall-source"]
    today = len(office(4))
    for name in names:
        j = TABLES["firewall-source"].names.index(name)
        assert gap.X[-today:, j].max() <= whole.X[-today:, j].max() + 1.5, name
    assert not gap.pooled.any()


def test_a_tenant_with_twenty_events_a_day_stays_calm() -> None:
    rows = [
        flow(day * DAY + i * 1_000, f"10.0.0.{i % 4}", "203.0.113.80", 443, **OUT, **{"source.bytes": 900})
        for day in range(14)
        for i in range(20)
    ]
    x = stepped(events(rows))["firewall-source"].X[-40:]
    assert np.isfinite(x).all()
    for name in ("service_rarity", "new_for_peers_1h", "new_for_tenant_1h", "admin_new_1h", "denied_targets_24h", "bytes_growth_1h"):
        assert x[:, TABLES["firewall-source"].names.index(name)].max() < 1.0, name


def test_one_entity_with_half_of_all_events_does_not_make_the_others_odd() -> None:
    """Rarity counts sources, not connections: the backup server's thousand flows are one voice."""
    loud = [
        flow(DAY + i * 30, "10.0.0.200", "10.0.9.5", 10_000, direction="internal", **{"source.network": "office"}) for i in range(4_900)
    ]
    probe = flow(3 * DAY, "10.0.0.1", "10.0.9.1", 445, **OFFICE)
    calm, beside = (
        by_name(
            "firewall-source",
            stepped(events([*sorted([*working(), *more], key=lambda row: row["@timestamp"]), probe]))["firewall-source"].X[-1],
        )
        for more in ([], loud)
    )
    assert beside["service_rarity"] == pytest.approx(calm["service_rarity"], abs=0.3)
    assert beside["bytes_vs_peers_24h"] == pytest.approx(calm["bytes_vs_peers_24h"], abs=0.3)
    assert beside["reach_vs_peers_24h"] == pytest.approx(calm["reach_vs_peers_24h"], abs=0.3)


def test_events_that_are_all_alike_give_finite_rows() -> None:
    """One moment, one source, one target, one size, a thousand times: nothing is divided by nothing."""
    alike = [flow(0, "10.0.0.1", "203.0.113.9", 443, **OUT, **{"source.bytes": 100, "destination.bytes": 100})] * 1_000
    same = [login(0, "198.51.100.7", "u", "h", ok=False)] * 1_000
    found = stepped(events([*alike, *same]))
    for model, rows in found.items():
        assert np.isfinite(rows.X).all(), model
    assert by_name("firewall-pair", found["firewall-pair"].X[-1])["regular_and_rare"] == 0


def test_times_before_1970_and_after_9999_are_survived() -> None:
    rows = [flow(at, "10.0.0.1", "203.0.113.9", 443, **OUT) for at in (-START / 1e6 - 5, 0, 2.5e11, 1, 2, 3, 4)]
    for found in stepped(events(rows)).values():
        assert np.isfinite(found.X).all()
