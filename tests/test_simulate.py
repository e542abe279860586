"""The simulated city: the same lines however it is asked, its days and clocks, and its four attacks."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.records import Records
from detector.replay import simulate_to
from detector.simulate import KINDS, TOPICS, City, CityError, SimulatedWindow, bulk, produce, write
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
    indices = {(attack.start - city.start) // (10 * MINUTE) for attack in city.attack_plan(date(2026, 3, 3))}
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
    assert morning > 5 * _count(city, 0, 1)
    assert morning > 4 * _count(city, 6, 8)
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


@pytest.mark.parametrize(("people", "sharing"), [(20, 0), (300, 23)])
def test_any_number_of_people_from_twenty_on_makes_three_sites(people: int, sharing: int) -> None:
    city = City(7, people=people, start=MONDAY)
    assert len(city.people) == people
    accounts = [city.press.value(int(code)) for code in city.people.account]
    assert len(set(accounts)) == people
    assert np.bincount(city.people.site).min() >= 4
    assert people - len(np.unique(city.people.address)) == sharing  # crews of the depot have one computer together


def test_each_kind_of_attack_happens_once_a_day_and_says_what_it_is(city: City) -> None:
    assert city.attack_plan(date(2026, 3, 2)) == ()
    for day in range(3, 9):
        plan = city.attack_plan(date(2026, 3, day))
        assert [attack.kind for attack in plan] == list(KINDS)
        assert [attack.technique for attack in plan] == ["T1046", "T1110.003", "T1110.001", "T1071.001"]
        for attack in plan:
            assert attack.start < attack.end
            assert attack.number == 10 * (day - 2) + KINDS.index(attack.kind) + 1
            assert {name for name, _ in attack.entities} <= {"source.ip", "destination.ip", "destination.port", "user.name", "host.name"}


def test_a_rehearsal_shows_each_attack_within_the_first_hours_whatever_the_hour() -> None:
    city = City(7, start=datetime(2026, 3, 7, 22, 0, tzinfo=UTC), rehearsal_hours=4)  # a Saturday night
    assert [attack.number for attack in city.rehearsal] == [5, 6, 7, 8]
    seen: set[int] = set()
    for window in city.windows(0, 24):
        seen |= {int(number) for truth in window.truth.values() for number in np.unique(truth) if number > 0}
    assert seen == {5, 6, 7, 8}


def test_merged_topics_stand_in_the_order_of_arrival_with_their_truth(city: City) -> None:
    attack = city.attack_plan(date(2026, 3, 3))[0]
    window = city.window((attack.start - city.start) // (10 * MINUTE))
    merged, truth = window.merged()
    assert (np.diff(merged.timestamps) >= 0).all()
    assert sorted(lines(merged)) == sorted(line for records in window.records.values() for line in lines(records))
    hits = np.flatnonzero(truth == attack.number)
    assert len(hits) > 100
    assert all(dict(attack.entities)["source.ip"].encode() in merged.value(int(row)) for row in hits)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chosen_attack_comes_alone(kind: str) -> None:
    city = City(7, start=MONDAY, attacks=(kind,))
    assert [attack.kind for attack in city.attack_plan(date(2026, 3, 3))] == [kind]


def test_wrong_wishes_are_refused_in_a_sentence() -> None:
    with pytest.raises(CityError, match="no attack is called phishing; there are port-scan, password-spraying, brute-force, beaconing"):
        City(1, attacks="phishing")
    with pytest.raises(CityError, match="a city needs at least 20 people, not 3"):
        City(1, people=3)
    with pytest.raises(CityError, match="a city starts on a full ten minutes"):
        City(1, start=datetime(2026, 3, 2, 0, 5, tzinfo=UTC))
    with pytest.raises(ValueError, match="whole chunks"):
        next(bulk(100, chunk=33))


def test_written_labels_point_at_the_lines_of_their_attack(tmp_path: Path) -> None:
    city = City(7, start=MONDAY, attacks_from_day=0)
    progress: list[tuple[int, int]] = []
    counts = write(city, 1, tmp_path, lambda done, of: progress.append((done, of)))
    assert progress[-1] == (144, 144)
    texts = {topic: (tmp_path / f"{topic}.log").read_bytes().split(b"\n") for topic in TOPICS}
    assert {topic: len(text) - 1 for topic, text in texts.items()} == counts
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [label["kind"] for label in labels] == list(KINDS)
    for label in labels:
        source = {entity["field"]: entity["value"] for entity in label["entities"]}["source.ip"].encode()
        rows = [texts[topic][row] for topic, numbers in label["lines"].items() for row in numbers]
        assert len(rows) >= 40
        assert sum(source in row for row in rows) > 0.3 * len(rows)  # PAM's session lines name no address
        assert datetime.fromisoformat(label["start"]).date() == date(2026, 3, 2)


def test_the_command_puts_the_chosen_attacks_even_into_a_single_day(tmp_path: Path) -> None:
    said = simulate_to(1, 7, "port-scan,beaconing", 20, tmp_path, None, {}, 0)
    assert str(tmp_path) in said
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [label["kind"] for label in labels] == ["port-scan", "beaconing"]


def test_produced_lines_are_those_of_the_windows_in_order_of_time(city: City) -> None:
    sent: list[tuple[str, bytes, int]] = []
    labels = produce(city, 60, 62, lambda topic, value, timestamp: sent.append((topic, value, timestamp)))
    times = [timestamp for _, _, timestamp in sent]
    assert times == sorted(times)
    for topic in TOPICS:
        assert [value for name, value, _ in sent if name == topic] == [v for w in city.windows(60, 62) for v in lines(w.records[topic])]
        assert labels.counts[topic] == sum(name == topic for name, _, _ in sent)


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


HOLES = "«n:int» «n:hex» «a:ip» «t:text» «time:utc» «time:date» «time:clock» «time:syslog» «time:slashed» «time:nanos» «time:iso» «time:tz»"


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
    sheet.add("all", np.array([time]), {"n": number, "a": address, "t": text}, truth=5)
    page = sheet.print()
    offset = around.before if time < around.change else around.after
    utc, local = datetime.fromtimestamp(second, UTC), datetime.fromtimestamp(second + offset, UTC)
    hours = f"{offset // 3600:02d}"
    assert page.values[: page.bounds[1]].tobytes().decode() == (
        f"{number} {number:#x} {ip_address(address)} {text} {utc:%Y-%m-%dT%H:%M:%S}.{micro // 1000:03d}Z {local:%Y-%m-%d} {local:%H:%M:%S} "
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
