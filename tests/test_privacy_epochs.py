"""Token epochs run from 05:00 to 05:00 local time, on days of 23 and 25 hours too."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.privacy.epochs import DAY, begin, epoch, epochs, limited

BERLIN = ZoneInfo("Europe/Berlin")


def _us(*moment: int, zone: ZoneInfo = BERLIN) -> int:
    return int(datetime(*moment, tzinfo=zone).timestamp() * 1_000_000)  # type: ignore[arg-type, misc]  # year, month, … in order


def _day(*day: int) -> int:
    return (date(*day) - date(1970, 1, 1)).days


def test_a_night_belongs_to_the_day_before() -> None:
    assert epoch(_us(2026, 6, 2, 4, 59, 59), "Europe/Berlin") == _day(2026, 6, 1)
    assert epoch(_us(2026, 6, 2, 5, 0, 0), "Europe/Berlin") == _day(2026, 6, 2)


def test_the_change_is_at_five_on_both_days_of_the_clock_change() -> None:
    for day in ((2026, 3, 29), (2026, 10, 25)):
        assert epoch(_us(*day, 4, 59, 59), "Europe/Berlin") == _day(*day) - 1
        assert epoch(_us(*day, 5, 0, 0), "Europe/Berlin") == _day(*day)
    assert begin(_day(2026, 3, 29), "Europe/Berlin") - begin(_day(2026, 3, 28), "Europe/Berlin") == 23 * DAY // 24
    assert begin(_day(2026, 10, 25), "Europe/Berlin") - begin(_day(2026, 10, 24), "Europe/Berlin") == 25 * DAY // 24


@given(
    st.lists(st.integers(0, 4_000_000_000_000_000), min_size=1, max_size=30),
    st.sampled_from(["Europe/Berlin", "UTC", "Pacific/Kiritimati", "Pacific/Niue", "America/St_Johns", "Australia/Lord_Howe"]),
)
def test_columns_agree_with_the_calendar_row_by_row(times: list[int], zone: str) -> None:
    expected = []
    for at in times:
        local = datetime.fromtimestamp(at // 1_000_000, UTC).astimezone(ZoneInfo(zone))
        day = (local.date() - date(1970, 1, 1)).days
        expected.append(day if local.hour >= 5 else day - 1)
    assert epochs(np.array(times, np.int64), zone).tolist() == expected


def test_an_impossible_time_is_an_epoch_all_the_same() -> None:
    assert epochs(np.array([-(2**62), 2**62], np.int64), "Europe/Berlin").tolist()[0] == -1


def test_an_event_time_is_held_within_a_day_of_its_record() -> None:
    record = _us(2026, 6, 2, 12)
    times = np.array([record - 3 * DAY, record - DAY, record, record + 5 * DAY], np.int64)
    assert limited(times, np.full(4, record)).tolist() == [record - DAY, record - DAY, record, record + DAY]


def test_a_record_without_a_time_limits_nothing() -> None:
    assert limited(np.array([5, 7], np.int64), np.array([0, -1], np.int64)).tolist() == [5, 7]
