"""The simulated city: the same lines however it is asked, its days and clocks, and where its lines go."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.records import Records
from detector.replay import simulate_to
from detector.simulate import (
    SHOW,
    TOPICS,
    City,
    CityError,
    Happening,
    Placed,
    SimulatedWindow,
    background,
    bulk,
    clock,
    holidays,
    outside,
    places,
    produce,
    whereabouts,
    write,
)
from detector.simulate.clock import HOUR, MINUTE, SECOND, micros, zone
from detector.simulate.wire import IPV6, Press, Sheet

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
OUR_NETWORKS = [
    ip_network(cidr)
    for cidr in ("10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32", "0.0.0.0/32")
]


@pytest.fixture(scope="module")
def city() -> City:
    return City(7, start=MONDAY)


def lines(records: Records) -> list[bytes]:
    return [records.value(row) for row in range(len(records))]


def same(one: SimulatedWindow, other: SimulatedWindow) -> bool:
    return all(
        one.records[topic].values.tobytes() == other.records[topic].values.tobytes()
        and np.array_equal(one.records[topic].bounds, other.records[topic].bounds)
        and np.array_equal(one.records[topic].timestamps, other.records[topic].timestamps)
        and np.array_equal(one.truth[topic], other.truth[topic])
        for topic in TOPICS
    )


def test_a_window_is_the_same_whatever_was_asked_before(city: City) -> None:
    forwards = [city.window(index) for index in (50, 51, 199, 200)]
    fresh = City(7, start=MONDAY)
    backwards = [fresh.window(index) for index in (200, 199, 51, 50)][::-1]
    assert all(same(one, other) for one, other in zip(forwards, backwards, strict=True))
    assert all(len(window.records[topic]) > 0 for window in forwards for topic in TOPICS)


def test_a_window_depends_on_its_place_in_time_not_on_the_start_of_the_run(city: City) -> None:
    later = City(7, start=datetime(2026, 3, 2, 6, 30, tzinfo=UTC))
    assert same(city.window(60), later.window(60 - 39))


def test_another_process_makes_the_same_city(city: City) -> None:
    program = (
        "import hashlib; from detector.simulate import City; records = City(7).window(60).records.values(); "
        "print(*(hashlib.sha256(r.values).hexdigest() for r in records))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == [hashlib.sha256(r.values.tobytes()).hexdigest() for r in city.window(60).records.values()]


def test_another_seed_makes_another_city(city: City) -> None:
    assert lines(City(8, start=MONDAY).window(60).records["firewall"]) != lines(city.window(60).records["firewall"])


def test_attacks_leave_the_honest_city_as_it_is(city: City) -> None:
    peaceful = City(7, start=MONDAY, attacks="none")
    indices = sorted({(attack.start - city.start) // (10 * MINUTE) for attack in city.attack_plan(date(2026, 3, 3))})[::3]
    assert len(indices) >= 3
    for index in indices:
        window, without = city.window(index), peaceful.window(index)
        assert any((window.truth[topic] > 0).any() for topic in TOPICS)
        for topic in TOPICS:
            honest = window.records[topic].take(np.flatnonzero(window.truth[topic] <= 0))
            assert lines(honest) == lines(without.records[topic])


def test_lines_arrive_in_order_within_their_window_and_offsets_rise(city: City) -> None:
    last = dict.fromkeys(TOPICS, -1)
    for window in city.windows(57, 63):
        for topic, records in window.records.items():
            assert (np.diff(records.timestamps) >= 0).all()
            assert records.timestamps[0] >= window.start
            assert records.timestamps[-1] < window.end
            assert (np.diff(records.offsets) == 1).all()
            assert records.offsets[0] > last[topic]
            last[topic] = int(records.offsets[-1])


def test_every_address_in_every_line_is_private_or_reserved_for_documentation(city: City) -> None:
    for index in (40, 60, 200):
        for records in city.window(index).records.values():
            text = records.values.tobytes().decode()
            found = set(re.findall(r"(?<![\d.:])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])", text)) | set(re.findall(r"2001:[0-9a-f:]+", text))
            assert len(found) > 20
            strangers = [a for a in found if not any(ip_address(a) in n for n in OUR_NETWORKS if n.version == ip_address(a).version)]
            assert strangers == []


def _count(city: City, day: int, hour: int) -> int:
    """Firewall lines within one UTC hour of a day since the start."""
    first = day * city.windows_per_day + hour * 6
    return sum(len(window.records["firewall"]) for window in city.windows(first, first + 6))


def test_a_working_morning_is_busy_a_night_and_a_sunday_are_not(city: City) -> None:
    morning = _count(city, 0, 8)
    assert morning > 3 * _count(city, 0, 1)
    assert morning > 3 * _count(city, 6, 8)
    assert _count(city, 0, 11) < morning  # lunch


def test_people_come_at_the_same_hour_on_the_wall_before_and_after_the_change_of_clocks(city: City) -> None:
    """Friday 27 March is CET, Monday 30 March is CEST: one hour earlier in UTC."""

    def first_quarter(day: date, utc: int) -> float:
        plan = city._plan(day)
        hours = (np.sort(plan.start[plan.works]) - micros(datetime(day.year, day.month, day.day, tzinfo=UTC))) / HOUR
        return float(np.median(hours)) + utc

    assert first_quarter(date(2026, 3, 27), 1) == pytest.approx(first_quarter(date(2026, 3, 30), 2), abs=0.25)


@pytest.mark.parametrize(
    ("moment", "before", "after"),
    [
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), 3600, 7200),
        (datetime(2026, 10, 25, 1, 0, tzinfo=UTC), 7200, 3600),
    ],
)
def test_the_clock_changes_at_one_in_utc(moment: datetime, before: int, after: int) -> None:
    change = micros(moment.replace(hour=1, minute=0))
    assert zone(micros(moment)) == (change, before, after)


def test_lines_of_the_doubled_hour_tell_its_two_passes_apart() -> None:
    city = City(7, start=datetime(2026, 10, 25, tzinfo=UTC), attacks="none")
    texts = [b"\n".join(lines(city.window(index).records["firewall"])) for index in (3, 9)]  # 00:30 and 01:30 UTC
    assert all(re.search(rb"date=2026-10-25 time=02:3\d", text) for text in texts)
    assert b'tz="+0200"' in texts[0]
    assert b'tz="+0100"' not in texts[0]
    assert b'tz="+0100"' in texts[1]


def test_volume_multiplies_the_traffic_not_the_people() -> None:
    one, five = (City(7, start=MONDAY, attacks="none", volume=volume) for volume in (1.0, 5.0))
    ratio = len(five.window(54).records["firewall"]) / len(one.window(54).records["firewall"])
    assert 4 < ratio < 5.5
    assert len(one.people) == len(five.people)


@pytest.mark.parametrize("people", [20, 300, 2000])
def test_any_number_of_people_from_twenty_on_makes_three_sites(people: int) -> None:
    city = City(7, people=people, start=MONDAY)
    assert len(city.people) == people
    accounts = [city.press.value(int(code)) for code in city.people.account[:: people // 20]]
    assert len(set(accounts)) == len(accounts)
    assert np.bincount(city.people.site).min() >= 4
    assert np.bincount(city.people.site[city.people.admin]).min() >= 2
    shared = people - len(np.unique(city.people.address))  # crews of the depot have one computer together
    assert shared < 0.2 * people


def test_two_thousand_people_have_forty_role_groups_and_three_hundred_servers() -> None:
    city = City(7, people=2000, start=MONDAY)
    rows = [line.split(",") for line in city.roles_csv().splitlines()]
    assert len({role for _, role, _ in rows if not role.endswith("-admin")}) == 40
    assert len({account for account, _, _ in rows}) == len(rows) > 2000
    assert {tenant for _, _, tenant in rows} == {"stadt", "stadtwerke"}
    assert len(city.town.estate.servers) == pytest.approx(300, abs=3)
    assert len(np.unique(city.town.estate.address)) == len(city.town.estate.servers)


@pytest.mark.parametrize("sites", [1, 2])
def test_a_city_of_fewer_sites_has_lines_of_those_alone(sites: int) -> None:
    window = City(7, people=40, start=MONDAY, sites=sites, attacks="none").window(50)
    text = b"\n".join(record.values.tobytes() for record in window.records.values())
    assert b"fw-rathaus" in text
    assert (b"gw-bauhof" in text) == (sites > 1)
    assert b"pa-leitstelle" not in text


def test_sixty_providers_share_the_city_and_few_have_most_of_it() -> None:
    city = City(7, people=2000, start=MONDAY)
    providers = np.bincount(whereabouts.provider(city.people, 7, date(2026, 3, 3)), minlength=len(outside.HOMES))
    assert len(providers) == 60
    assert providers[:5].sum() > 0.75 * 2000
    assert (providers[5:] > 0).sum() > 35
    moved = whereabouts.provider(city.people, 7, date(2026, 4, 16)) != whereabouts.provider(city.people, 7, date(2026, 3, 3))
    assert 0.005 < moved.mean() < 0.15


def test_every_outside_address_of_people_belongs_to_a_network_of_the_table() -> None:
    city = City(7, people=2000, start=MONDAY)
    table = {line.split("/")[0].rsplit(".", 1)[0]: line.split(",")[1:] for line in city.networks_csv().splitlines()}
    plan = city._plan(date(2026, 3, 3))
    for column, kinds in ((plan.flat, {"home"}), (plan.phone, {"mobile", "relay"}), (plan.holiday[plan.holiday > 0], {"home"})):
        found = [table[str(ip_address(int(address))).rsplit(".", 1)[0]] for address in column.tolist()]
        assert {kind for _, _, kind in found} == kinds
    abroad = [table[str(ip_address(int(a))).rsplit(".", 1)[0]][1] for a in plan.holiday[plan.holiday > 0].tolist()]
    assert len(abroad) > 0
    assert not any(region.startswith("DE") for region in abroad)


def test_some_households_share_one_outside_address() -> None:
    plan = City(7, people=2000, start=MONDAY)._plan(date(2026, 3, 3))
    people, counts = np.unique(plan.flat, return_counts=True)
    assert 20 < (counts > 1).sum() < 0.2 * len(people)


def test_nobody_but_shifts_works_on_public_holidays_and_fewer_in_school_holidays() -> None:
    city = City(7, people=2000, start=MONDAY, attacks="none")
    works = {day: city._plan(day).works for day in (date(2026, 3, 3), date(2026, 4, 3), date(2026, 4, 7), date(2026, 3, 7))}
    usual, friday, school, saturday = works.values()
    assert usual.sum() > 1.15 * school.sum()
    assert friday.sum() < 0.1 * usual.sum()
    assert (saturday & city.people.shifts).sum() > 40


@pytest.mark.parametrize(("year", "month", "day"), [(2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (2027, 3, 28), (2038, 4, 25)])
def test_easter_falls_on_its_sunday(year: int, month: int, day: int) -> None:
    assert holidays.easter(year) == date(year, month, day)


def test_the_control_room_is_staffed_day_and_night() -> None:
    city = City(7, people=2000, start=MONDAY, attacks="none")
    at_night = clock.presence(city._plan(date(2026, 3, 3)), *(micros(datetime(2026, 3, 4, 1, m, tzinfo=UTC)) for m in (0, 10)))
    assert (at_night > 0).sum() > 10
    assert city.people.shifts[at_night > 0].all()


def _scanned(city: City, index: int) -> int:
    scanner = str(ip_address(places.BY_NAME["scan-rathaus"].address)).encode()
    return city.window(index).records["firewall"].values.tobytes().count(b"srcip=" + scanner)


def test_the_vulnerability_scanner_works_on_wednesday_evenings_only() -> None:
    city = City(7, start=MONDAY, attacks="none")
    assert _scanned(city, 2 * 144 + 108) > 100
    assert _scanned(city, 144 + 108) < 20


def test_in_the_patch_night_servers_start_again_and_administrators_go_round() -> None:
    city = City(7, people=300, start=datetime(2026, 3, 11, tzinfo=UTC), attacks="none", only="authentication")

    def remote_desktops(day: int) -> int:
        windows = (city.window(day * 144 + index) for index in range(114, 138, 4))
        return sum(window.records["auth"].values.tobytes().count(b'"LogonType":"10"') for window in windows)

    assert remote_desktops(1) > remote_desktops(0) + 5


def test_authentication_alone_is_the_same_logins_without_connections(city: City) -> None:
    alone = City(7, start=MONDAY, only="authentication").window(45)
    full = city.window(45)
    assert alone.records["auth"].values.tobytes() == full.records["auth"].values.tobytes()
    flows = [line for line in lines(full.records["firewall"]) if line not in set(lines(alone.records["firewall"]))]
    assert len(flows) > 0.9 * len(full.records["firewall"])
    assert set(lines(alone.records["firewall"])) <= set(lines(full.records["firewall"]))


def test_firewall_alone_has_no_lines_of_hosts(city: City) -> None:
    alone = City(7, start=MONDAY, only="firewall").window(45)
    assert len(alone.records["auth"]) == 0
    assert alone.records["firewall"].values.tobytes() == city.window(45).records["firewall"].values.tobytes()


def test_a_growing_city_hires_and_a_new_site_brings_a_new_network() -> None:
    city = City(7, people=400, start=MONDAY, attacks="none", happenings=[Happening("growth", 1, 8), Happening("new-site", 3)])
    staff = [city._plan(date(2026, 3, day)).works.sum() for day in (3, 10)]
    assert staff[1] > 1.2 * staff[0]
    branch = [(city._plan(date(2026, 3, day)).desk >= places.BRANCH).sum() for day in (3, 5)]
    assert branch[0] == (city.people.address >= places.BRANCH).sum()
    assert branch[1] > branch[0] + 5


def test_an_outage_loses_the_lines_of_one_device_for_a_while() -> None:
    city, whole = (City(7, start=MONDAY, attacks="none", happenings=h) for h in ([Happening("outage", 0)], []))
    for index, lost in ((50, False), (54, True), (62, False)):
        there = [b"devname=" in one.window(index).records["firewall"].values.tobytes() for one in (city, whole)]
        assert there == [not lost, True]


def test_a_wrong_clock_changes_what_lines_say_not_when_they_arrive() -> None:
    city, right = (City(7, start=MONDAY, attacks="none", happenings=h) for h in ([Happening("clock-skew", 0)], []))
    one, other = city.window(50).records["firewall"], right.window(50).records["firewall"]
    assert one.timestamps.tolist() == other.timestamps.tolist()
    depot = [line for line in lines(one) if b"gw-bauhof" in line]
    assert len(depot) > 10
    assert all(b" 10:" in line[:30] for line in depot)  # 08:20 UTC is 09:20 on the wall
    assert [line for line in lines(one) if b"gw-bauhof" not in line] == [line for line in lines(other) if b"gw-bauhof" not in line]


def test_duplicates_are_equal_lines_more() -> None:
    city, once = (City(7, start=MONDAY, attacks="none", happenings=h) for h in ([Happening("duplicates", 0)], []))
    one, other = Counter(lines(city.window(50).records["firewall"])), Counter(lines(once.window(50).records["firewall"]))
    assert set(one) == set(other)
    assert 1.02 < one.total() / other.total() < 1.09


def test_the_internets_noise_comes_in_waves() -> None:
    heights = np.array([background.wave(7, hour * HOUR, 0) for hour in range(2000)])
    assert heights.mean() == pytest.approx(1.0, abs=0.1)
    assert np.log(heights).std() == pytest.approx(0.7, abs=0.05)


def test_merged_topics_stand_in_the_order_of_arrival_with_their_truth(city: City) -> None:
    attack = city.attack_plan(date(2026, 3, 3))[0]
    window = city.window((attack.start - city.start) // (10 * MINUTE))
    merged, truth = window.merged()
    assert (np.diff(merged.timestamps) >= 0).all()
    assert sorted(lines(merged)) == sorted(line for records in window.records.values() for line in lines(records))
    hits = np.flatnonzero(truth == attack.number)
    assert len(hits) > 100
    assert all(dict(attack.entities)["source.ip"].encode() in merged.value(int(row)) for row in hits)


def test_wrong_wishes_are_refused_in_a_sentence() -> None:
    with pytest.raises(CityError, match="no attack is called phishing; there are port-scan, slow-scan, brute-force"):
        City(1, attacks="phishing")
    with pytest.raises(CityError, match="an attack is loud, usual, quiet, not silent"):
        City(1, placed=[Placed("port-scan", "silent")])
    with pytest.raises(CityError, match="nothing is called flood that could happen"):
        City(1, happenings=["flood"])
    with pytest.raises(CityError, match="one to three sites, not 4"):
        City(1, sites=4)
    with pytest.raises(CityError, match="a city needs at least 20 people, not 3"):
        City(1, people=3)
    with pytest.raises(CityError, match="a city starts on a full ten minutes"):
        City(1, start=datetime(2026, 3, 2, 0, 5, tzinfo=UTC))
    with pytest.raises(ValueError, match="whole chunks"):
        next(bulk(100, chunk=33))


def test_written_labels_point_at_the_lines_of_their_attack(tmp_path: Path) -> None:
    city = City(7, people=20, start=MONDAY, attacks="show", attacks_from_day=0)
    progress: list[tuple[int, int]] = []
    counts = write(city, 1, tmp_path, lambda done, of: progress.append((done, of)))
    assert progress[-1] == (144, 144)
    texts = {topic: (tmp_path / f"{topic}.log").read_bytes().split(b"\n") for topic in TOPICS}
    assert {topic: len(text) - 1 for topic, text in texts.items()} == counts
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert {label["kind"] for label in labels} == set(SHOW)
    for label in labels:
        assert label["strength"] == "usual"
        source = {entity["field"]: entity["value"] for entity in label["entities"]}["source.ip"].encode()
        rows = [texts[topic][row] for topic, numbers in label["lines"].items() for row in numbers]
        assert len(rows) >= 15
        assert sum(source in row for row in rows) > 0.3 * len(rows)  # PAM's session lines name no address
        assert datetime.fromisoformat(label["start"]).date() == date(2026, 3, 2)


def test_the_command_puts_the_chosen_attacks_even_into_a_single_day(tmp_path: Path) -> None:
    said = simulate_to(1, 7, "port-scan,beaconing", 20, tmp_path, None, {}, 0)
    assert str(tmp_path) in said
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [label["kind"] for label in labels] == ["port-scan", "beaconing"]


def test_produced_lines_are_those_of_the_windows_in_order_of_time(city: City) -> None:
    sent: list[tuple[str, bytes, int]] = []

    def send(topic: str, value: bytes, timestamp: int) -> None:
        sent.append((topic, value, timestamp))

    labels = produce(city, 60, 62, send)
    times = [timestamp for _, _, timestamp in sent]
    assert times == sorted(times)
    for topic in TOPICS:
        assert [value for name, value, _ in sent if name == topic] == [v for w in city.windows(60, 62) for v in lines(w.records[topic])]
        assert labels.counts[topic] == sum(name == topic for name, _, _ in sent)


def test_labels_of_sent_lines_name_partition_and_offset() -> None:
    placed = (Placed("port-scan", "quiet", day=0, hour=9.0),)
    city = City(7, people=20, start=MONDAY, attacks="none", placed=placed)
    sent: list[bytes] = []

    def send(topic: str, value: bytes, timestamp: int) -> Callable[[], tuple[int, int]]:
        offset = len(sent)
        sent.append(value)
        return lambda: (0, offset)

    first = (city.placed[0].start - city.start) // (10 * MINUTE)
    (label,) = (json.loads(line) for line in produce(city, first, first + 2, send).json_lines())
    source = label["entities"][0]["value"].encode()
    assert "lines" not in label
    assert all(partition == 0 and b"srcip=" + source in sent[offset] for partition, offset in label["records"]["firewall"])


def test_the_benches_mixture_has_its_shares_and_is_repeatable() -> None:
    chunks = list(bulk(20_000, seed=3, chunk=10_000))
    for chunk, again in zip(chunks, bulk(20_000, seed=3, chunk=10_000), strict=True):
        text = lines(chunk)
        assert len(text) == 10_000
        assert sum(b"devname=" in line for line in text) == 6_000
        assert sum(b" pa-leitstelle 1," in line for line in text) == 2_000
        assert sum(b" sshd[" in line for line in text) == 2_000
        assert chunk.values.tobytes() == again.values.tobytes()
    assert chunks[1].offsets[0] == 10_000
    assert chunks[1].timestamps[0] > chunks[0].timestamps[-1]


TIMES = ("utc", "date", "clock", "syslog", "slashed", "nanos", "iso", "tz")
HOLES = "«n:int» «n:hex» «u:span» «a:ip» «t:text» " + " ".join(f"«time:{kind}»" for kind in TIMES)


@settings(max_examples=150, deadline=None)
@given(
    number=st.integers(0, 2**62), address=st.integers(0, 2**32 - 1), text=st.text(max_size=40),
    second=st.integers(0, 4_102_444_799), micro=st.integers(0, 999_999),
)  # fmt: skip
def test_the_press_writes_what_python_would(number: int, address: int, text: str, second: int, micro: int) -> None:
    press = Press({"all": HOLES})
    time = second * SECOND + micro
    around = zone(time)
    sheet = Sheet(press, around, time, time + 1)
    sheet.add("all", np.array([time]), {"n": number, "a": address, "t": text, "u": second % 400_000}, truth=5)
    page = sheet.print()
    offset = around.before if time < around.change else around.after
    utc, local = datetime.fromtimestamp(second, UTC), datetime.fromtimestamp(second + offset, UTC)
    span = second % 400_000
    hours = f"{offset // 3600:02d}"
    assert page.values[: page.bounds[1]].tobytes().decode() == (
        f"{number} {number:#x} {span // 3600}:{span // 60 % 60:02d}:{span % 60:02d} {ip_address(address)} {text} "
        f"{utc:%Y-%m-%dT%H:%M:%S}.{micro // 1000:03d}Z {local:%Y-%m-%d} {local:%H:%M:%S} "
        f"{local:%b} {local.day:2d} {local:%H:%M:%S} {local:%Y/%m/%d %H:%M:%S} {time}000 "
        f"{local:%Y-%m-%dT%H:%M:%S}.{micro:06d}+{hours}:00 +{hours}00"
    )
    assert page.truth.tolist() == [5]


def test_the_press_writes_ipv6_and_leaves_room_for_a_newline() -> None:
    press = Press({"one": "from «a:ip»", "two": "nothing"})
    code = IPV6 + press.text("2001:db8::1")
    sheet = Sheet(press, zone(0), 0, 10 * SECOND)
    sheet.add("two", np.array([4 * SECOND]), {})
    sheet.add("one", np.array([SECOND]), {"a": code}, delay=0)
    assert sheet.print(newline=True).values.tobytes() == b"from 2001:db8::1\nnothing\n"


def test_an_empty_sheet_prints_nothing() -> None:
    page = Sheet(Press({}), zone(0), 0, 1).print()
    assert len(page.truth) == 0
    assert page.bounds.tolist() == [0]


def test_a_line_without_its_column_is_a_mistake() -> None:
    sheet = Sheet(Press({"one": "from «a:ip»"}), zone(0), 0, 1)
    with pytest.raises(KeyError):
        sheet.add("one", np.array([0]), {})


def test_some_people_at_home_dial_in_again_in_the_evening_and_some_stand_in_for_other_departments() -> None:
    city = City(7, people=2000, start=MONDAY, attacks="none", only="authentication")
    plan = city._plan(date(2026, 3, 3))
    assert 0.05 < plan.evening.sum() / (plan.works & (plan.place == clock.HOME)).sum() < 0.15
    assert 0.01 < (plan.role != city.people.role).mean() < 0.03
    dialled = sum(
        w.records["firewall"].values.tobytes().count(b'"tunnel-up"') for w in city.windows(144 + 111, 144 + 126)
    )  # 19:30 to 22:00
    assert dialled > 10
