"""Addresses, times and zones against Python's own understanding of them."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.decode import address, clock, zones
from detector.decode.scan import readonly

patiently = settings(deadline=None)  # the first call compiles
ZONES = zones.of(["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
FIRST, LAST = datetime(1991, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)


def _read(text: str) -> str | None:
    values = readonly(np.frombuffer(text.encode() + b" ", np.uint8))
    hi, lo, readable = address.parse(values, 0, len(values) - 1)
    return address.text(hi, lo) if readable else None


def _not_mapped(value: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped is None


def _time(text: str, zone: int = 0, near: int = 0, day_first: bool = False) -> datetime | None:
    values = readonly(np.frombuffer(text.encode() + b" ", np.uint8))
    micro, _ = clock.parse(values, 0, len(values) - 1, day_first, ZONES, zone, near, 0)
    return None if micro == clock.NONE else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micro)


@patiently
@given(st.ip_addresses(v=4))
def test_every_ipv4_address_is_read_as_itself(given_address: ipaddress.IPv4Address) -> None:
    assert _read(str(given_address)) == str(given_address)


@patiently
@given(st.ip_addresses(v=6).filter(_not_mapped), st.booleans())
def test_every_ipv6_address_is_read_as_itself_short_and_long(given_address: ipaddress.IPv6Address, long: bool) -> None:
    assert _read(given_address.exploded if long else given_address.compressed) == str(given_address)


@settings(max_examples=500, deadline=None)
@given(st.text("0123456789abcdefg:.%[]x /", max_size=24))
def test_what_python_calls_an_ipv6_address_we_do_too_and_nothing_else(text: str) -> None:
    if any(c in text for c in "%[] /") or text.endswith("."):
        _read(text)  # we are more lenient here: zones, brackets, blanks, a full stop
        return
    try:
        expected = str(ipaddress.IPv6Address(text).ipv4_mapped or ipaddress.IPv6Address(text))
    except ValueError:
        if ":" in text and "." in text:
            return  # 1.2.3.4:80 is an address to us
        assert _read(text) is None or "." in text
        return
    assert _read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("999.1.1.1", None), ("1.2.3", None), ("1.2.3.4.5", None), ("", None), ("N/A", None),
        ("1.2.3.4:443", "1.2.3.4"), ("1.2.3.4:99999", None),
        ("[2001:db8::1]:443", "2001:db8::1"), ("fe80::1%eth0", "fe80::1"), ("::ffff:10.0.0.1", "10.0.0.1"), (" 10.0.0.1 ", "10.0.0.1"),
        ("10.0.0.1.", "10.0.0.1"), ("1::2::3", None), (":::", None), ("::1:", None), ("12345::", None),
    ],
)  # fmt: skip
def test_addresses_as_logs_write_them(text: str, expected: str | None) -> None:
    assert _read(text) == expected


MOMENTS = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)).map(lambda m: m.replace(tzinfo=UTC))


@patiently
@given(
    MOMENTS, st.sampled_from(["%Y-%m-%dT%H:%M:%S.%fZ", "%Y/%m/%d %H:%M:%S.%f+0000", "%b %d %Y %H:%M:%S.%f UTC", "%d.%m.%Y %H:%M:%S.%f GMT"])
)
def test_a_time_written_with_a_zone_is_read_to_the_microsecond(moment: datetime, layout: str) -> None:
    assert _time(moment.strftime(layout)) == moment


@patiently
@given(MOMENTS, st.integers(-14 * 4, 14 * 4))
def test_an_offset_is_subtracted(moment: datetime, quarters: int) -> None:
    there = moment.astimezone(timezone(timedelta(minutes=15 * quarters)))
    assert _time(there.isoformat()) == moment


@patiently
@given(MOMENTS, st.sampled_from([(1, "Europe/Berlin"), (2, "Australia/Lord_Howe")]))
def test_local_time_becomes_the_same_utc_as_with_zoneinfo_when_the_record_is_near(moment: datetime, zone: tuple[int, str]) -> None:
    local = moment.astimezone(ZoneInfo(zone[1])).replace(tzinfo=None)
    near = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert _time(local.strftime("%Y-%m-%d %H:%M:%S.%f"), zone[0], near) == moment


@patiently
@given(MOMENTS, st.integers(-6, 357))
def test_a_date_without_a_year_is_found_again_when_the_record_came_within_the_year_after_it(moment: datetime, days: int) -> None:
    near = (moment + timedelta(days=days) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    whole = moment.replace(microsecond=0)
    assert _time(whole.strftime("%b %e %H:%M:%S"), 0, near) == whole


@patiently
@given(MOMENTS, st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]))
def test_an_epoch_number_is_understood_by_its_size(moment: datetime, unit: int) -> None:
    whole = moment.replace(microsecond=0)
    assert _time(str(int(whole.timestamp()) * unit)) == whole


@pytest.mark.parametrize(
    "text",
    ["", "9999-12-31 23:59:59", "1970-01-01 00:00:00", "2026-02-30 12:00:00", "2026-13-01 12:00:00", "2026-01-01 24:00:00",
     "2026-01-01 12:61:00",
     "99999999999999999999", "12345", "-1780315200", "Mar 32 12:00:00", "Foo 12 12:00:00", "2026-01-01"],
)  # fmt: skip
def test_what_is_no_time_or_lies_outside_1990_to_2100_is_none(text: str) -> None:
    assert _time(text, near=1_780_315_200_000_000) is None


def test_day_and_month_can_be_told_apart_only_by_being_told() -> None:
    assert _time("03/04/2026 12:00:00") == datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert _time("03/04/2026 12:00:00", day_first=True) == datetime(2026, 4, 3, 12, tzinfo=UTC)
    assert _time("9/16/19 10:00") == datetime(2019, 9, 16, 10, tzinfo=UTC)
    assert _time("01/Mar/2026:12:00:00 +0100") == datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert _time("Mar 1 2026 12:30:00 PM") == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
