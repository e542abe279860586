"""What tells a takeover from its owner: where the account was that day, what is usual for its group, what it did lately."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import Config, ConfigError, Enrichment, Network
from detector.decode import ecs
from detector.features import FeatureState, step
from detector.features.table import read_all
from detector.privacy import providers
from detector.privacy.networks import NetworkTable
from detector.privacy.providers import Provider, Providers
from tests.eventgen import Row, events, login
from tests.eventgen import address as parsed

TABLES = read_all(Path(__file__).parent.parent / "models")
TABLE = TABLES["auth-user"]
HOUR = 3_600
EPOCH = 20458


def at_home(at: float, user: Any = "u-1", provider: Any = "AS1", region: Any = "DE-NW", **more: Any) -> Row:
    place = {"source.as.organization.name": provider, "source.geo.region_iso_code": region, "source.kind": "home"}
    return login(at, "198.51.100.7", user, "mail", ok=True, **{**place, **more})


def at_office(at: float, user: Any = "u-1", host: Any = "files", **more: Any) -> Row:
    return login(at, "10.0.0.5", user, host, ok=True, **{"direction": "internal", "source.network": "amt", "source.kind": "office", **more})


def last(rows: Sequence[Row]) -> dict[str, float]:
    """The features of the last login, in bits or amounts."""
    x = step(FeatureState.fresh(1_000), events(rows), TABLES)["auth-user"].X[-1]
    return dict(zip(TABLE.names, x.tolist(), strict=True))


def test_an_account_that_leaves_and_comes_back_within_hours_was_in_two_places() -> None:
    thief = [at_office(0), at_home(1 * HOUR), at_office(2 * HOUR)]
    commuter = [at_home(0), at_office(1 * HOUR), at_home(10 * HOUR)]
    assert last(thief)["there_and_back"] == pytest.approx(np.log2(6))
    assert last(thief)["two_places"] == pytest.approx(3)
    assert last(commuter)["there_and_back"] < 0.3


def test_a_look_into_the_mail_before_the_office_is_no_second_place() -> None:
    assert last([at_home(0), at_office(0.4 * HOUR)])["two_places"] == 0


@pytest.mark.parametrize("kind", ["vpn", "mobile", "relay"])
def test_telephones_the_vpn_and_relays_are_no_place(kind: str) -> None:
    x = last([at_office(0), at_home(600, provider="AS9", **{"source.kind": kind}), at_office(1_200)])
    assert (x["there_and_back"], x["two_places"], x["place_change"]) == (0, 0, 0)


def test_travel_needs_another_region_abroad() -> None:
    abroad = at_home(2 * HOUR, provider="AS7", region="BR", **{"source.kind": "abroad"})
    assert last([at_office(0), abroad])["travel"] == pytest.approx(np.log2(6))
    assert last([at_home(0), at_home(2 * HOUR, provider="AS7", region="DE-BY")])["travel"] == 0


def known_days(n: int, *, provider: int = 10, first: int = 0) -> list[Row]:
    keys = {"seen.account": 1, "seen.provider": provider, "seen.region": 20, "seen.band": 30}
    return [at_home((first + day) * 86_400 + k, **{"event.epoch": EPOCH + first + day, **keys}) for day in range(n) for k in range(3)]


def newcomer(day: int, **keys: int) -> Row:
    seen = {"account": 1, "provider": 10, "region": 20, "band": 30, **keys}
    return at_home(day * 86_400 + 900, **{"event.epoch": EPOCH + day, **{f"seen.{name}": value for name, value in seen.items()}})


def test_first_seen_is_silent_without_its_keys_and_asks_only_about_accounts_known_on_three_days() -> None:
    assert last([at_home(day * 86_400, **{"event.epoch": EPOCH + day}) for day in range(5)])["provider_new"] == 0
    assert last([*known_days(2), newcomer(2, provider=11)])["provider_new"] == 0
    assert last([*known_days(6), newcomer(6, provider=11)])["provider_new"] == pytest.approx(np.log2(14))
    assert last([*known_days(6), newcomer(6)])["provider_new"] < 0.2
    assert last([*known_days(6), newcomer(6, band=31)])["band_new"] == pytest.approx(np.log2(14))


def test_first_seen_counts_days_and_not_logins() -> None:
    """Three logins a day on six days are six days; a provider used on one of them was used on one of six."""
    rows = [*known_days(5), *known_days(1, provider=12, first=5), newcomer(6, provider=12)]
    assert last(rows)["provider_new"] == pytest.approx(-np.log2(1.5 / 7))


def test_the_turn_of_the_filters_makes_nothing_new() -> None:
    assert last([*known_days(20), newcomer(20)])["provider_new"] < 0.2


def test_a_new_provider_alone_is_no_news_and_together_with_anything_odd_it_is() -> None:
    """The same day, once at the new provider only, once between two logins in the office."""
    office = {"event.epoch": EPOCH + 6, "seen.account": 1}
    alone = [*known_days(6), newcomer(6, provider=11)]
    between = [*known_days(6), at_office(6 * 86_400, **office), newcomer(6, provider=11), at_office(6 * 86_400 + 1_800, **office)]
    known = [*known_days(6), at_office(6 * 86_400, **office), newcomer(6), at_office(6 * 86_400 + 1_800, **office)]
    assert last(between)["new_and_odd"] > last(alone)["new_and_odd"] + 5
    assert last(known)["new_and_odd"] == 0


def night(seed: int) -> list[Row]:
    """Two days of thirty people and a takeover from 04:00 to 06:00 that crosses the change of tokens; some lines are late."""
    rng = np.random.default_rng(seed)
    change = 20 * HOUR  # 05:00 in Berlin, 08:00 UTC being second 0
    rows: list[tuple[float, Row]] = []
    for at in np.sort(rng.uniform(0, 40 * HOUR, 400)):
        late = rng.uniform(0, HOUR) if rng.random() < 0.1 else 0.0
        epoch = EPOCH + int(at - late >= change)
        who = f"u-{epoch}-{rng.integers(0, 30)}"
        rows.append((at, (at_office if rng.random() < 0.6 else at_home)(round(at - late), who, **{"event.epoch": epoch})))
    for k in range(12):
        at = 19 * HOUR + k * 600
        epoch = EPOCH + int(at >= change)
        rows.append((at, at_office(at, f"u-{epoch}-victim", f"server-{k}", **{"event.epoch": epoch})))
    return [row for _, row in sorted(rows, key=lambda arrived: arrived[0])]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1_000), st.lists(st.integers(1, 411), max_size=6, unique=True))
def test_i1_i2_an_attack_across_the_change_of_tokens_gives_the_same_vectors_however_it_is_cut(seed: int, cuts: list[int]) -> None:
    frame = events(night(seed))
    whole = step(FeatureState.fresh(1_000), frame, TABLES)["auth-user"].X
    state, parts = FeatureState.fresh(1_000), []
    for first, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(frame)], strict=True):
        parts.append(step(state, frame[first:end], TABLES)["auth-user"].X)
    assert len(whole) == len(frame), "an event got lost"
    assert np.array_equal(np.concatenate(parts), whole)


def test_at_the_change_of_tokens_the_account_begins_anew_and_the_hosts_go_on_to_be_unusual() -> None:
    rows = night(0)
    found = step(FeatureState.fresh(1_000), events(rows), TABLES)["auth-user"].X
    mine = [i for i, row in enumerate(rows) if str(row["user.name"]).endswith("victim")]
    hosts = 2 ** found[mine, TABLE.names.index("hosts_1h")] - 1
    assert hosts[:6].tolist() == pytest.approx([1, 2, 3, 4, 5, 6])
    assert hosts[6:].tolist() == pytest.approx([1, 2, 3, 4, 5, 6])


def table(tmp_path: Path, content: str, **more: list[str]) -> Providers:
    (tmp_path / "networks.csv").write_text(content)
    return Providers.read(Config(enrichment=Enrichment(networks_file=str(tmp_path / "networks.csv"), **more)))


def of(known: Providers, address: str) -> Provider:
    hi, lo, _ = parsed(address)
    return known.of[int(known.entries(np.array([hi], np.uint64), np.array([lo], np.uint64))[0])]


def test_the_longest_match_names_provider_region_and_kind(tmp_path: Path) -> None:
    known = table(tmp_path, "198.51.0.0/16,Nordnetz,DE-SH,home\n198.51.100.0/24,Funk,DE,mobile\n2001:db8::/32,Fern,FR,home\n")
    assert of(known, "198.51.7.1") == Provider("Nordnetz", "DE-SH", "home")
    assert of(known, "198.51.100.9") == Provider("Funk", "DE", "mobile")
    assert of(known, "2001:db8::1") == Provider("Fern", "FR", "abroad")
    assert of(known, "203.0.113.1") == Provider("", "", "")


def test_home_countries_are_configured(tmp_path: Path) -> None:
    assert of(table(tmp_path, "198.51.0.0/16,Netz,AT-9,home\n", home=["AT"]), "198.51.7.1").kind == "home"


@pytest.mark.parametrize("row", ["198.51.0.0/16,Netz,DE", "198.51.0.0/33,Netz,DE,home", "198.51.0.0/16,Netz,DE,house"])
def test_a_row_that_is_none_stops_the_start_with_its_number(tmp_path: Path, row: str) -> None:
    with pytest.raises(ConfigError, match="row 2"):
        table(tmp_path, f"203.0.113.0/24,Netz,DE,home\n{row}\n")


def test_events_of_an_earlier_version_are_read_with_the_new_columns_absent() -> None:
    whole = events([at_home(0), at_office(1)])
    message = ecs.to_arrow(whole.drop(*ecs.ADDED))
    read = ecs.from_arrow(message)
    assert tuple(read.columns) == ecs.NAMES
    assert ecs.values(read, "source.kind") == [""]
    assert ecs.values(read, "user.name") == ecs.values(whole, "user.name")
    with pytest.raises(ValueError, match="other columns"):
        ecs.from_arrow(ecs.to_arrow(whole.drop("user.name")))


def test_inside_addresses_are_office_or_vpn() -> None:
    networks = NetworkTable.of([Network("10.9.0.0/16", "vpn"), Network("10.8.0.0/16", "client")])
    entry = np.array([networks.entry_of(a) for a in ("10.9.0.1", "10.8.0.1", "198.51.100.1")], np.int32)
    zeros = np.zeros(3, np.uint64)
    texts, _ = providers.columns(Providers.made(()), networks, np.ones(3, np.bool_), entry, zeros, zeros)
    codes, values = texts["source.kind"]
    assert [values[c] for c in codes] == ["vpn", "office", ""]
