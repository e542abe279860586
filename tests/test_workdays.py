"""Holidays and school holidays change which hours are usual; a calendar file that cannot be read stops the start."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detector.config import Workdays
from detector.features.calendar import Calendar, epoch_end, local
from detector.judge import workdays

EASTER_BREAK = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Ferien//NRW//DE
BEGIN:VEVENT
UID:1
SUMMARY:Osterferien
DTSTART;VALUE=DATE:20260330
DTEND;VALUE=DATE:20260412
END:VEVENT
END:VCALENDAR
"""


def hour(calendar: Calendar, year: int, month: int, day: int, at: int) -> int:
    """The hour of the week of a moment on the wall in Berlin."""
    time = datetime(year, month, day, at, tzinfo=ZoneInfo("Europe/Berlin"))
    return int(calendar.hours(np.array([int(time.timestamp() * 1e6)]))[0][0])


def test_a_public_holiday_has_the_hours_of_a_sunday() -> None:
    nrw = workdays.calendar("Europe/Berlin", Workdays(state="NW"))
    assert hour(nrw, 2026, 6, 3, 10) == 10  # a Wednesday
    assert hour(nrw, 2026, 6, 4, 10) == 34  # Corpus Christi
    assert hour(nrw, 2026, 6, 7, 10) == 34  # a Sunday
    assert hour(nrw, 2026, 10, 3, 10) == 34  # everywhere


def test_states_differ_and_without_one_only_common_holidays_count() -> None:
    assert hour(workdays.calendar("Europe/Berlin", Workdays(state="SN")), 2026, 6, 4, 10) == 10
    plain = workdays.calendar("Europe/Berlin", Workdays())
    assert (hour(plain, 2026, 6, 4, 10), hour(plain, 2026, 5, 1, 10)) == (10, 34)


def test_working_days_in_the_school_holidays_are_a_kind_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "ferien.ics"
    file.write_text(EASTER_BREAK)
    away = workdays.calendar("Europe/Berlin", Workdays(state="NW", school_holidays=[str(file)]))
    assert hour(away, 2026, 3, 27, 9) == 9
    assert hour(away, 2026, 3, 31, 9) == 57
    assert hour(away, 2026, 4, 3, 9) == 33  # Good Friday stays a holiday
    assert hour(away, 2026, 4, 10, 9) == 57
    assert hour(away, 2026, 4, 13, 9) == 9


@pytest.mark.parametrize("content", [None, "no calendar at all"])
def test_a_calendar_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ferien.ics"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"workdays.school_holidays .*ferien\.ics cannot be read"):
        workdays.calendar("Europe/Berlin", Workdays(school_holidays=[str(file)]))


def test_the_changes_of_summer_time_are_followed_to_the_hour() -> None:
    calendar = Calendar.of("Europe/Berlin")
    spring = [int(datetime(2026, 3, 29, h, 30, tzinfo=UTC).timestamp() * 1e6) for h in (0, 1)]
    assert calendar.hours(np.array(spring))[0].tolist() == [24 + 1, 24 + 3]
    autumn = [int(datetime(2026, 10, 25, h, 30, tzinfo=UTC).timestamp() * 1e6) for h in (0, 1)]
    assert calendar.hours(np.array(autumn))[0].tolist() == [24 + 2, 24 + 2]


def test_times_decades_apart_are_looked_up_one_by_one() -> None:
    zone = ZoneInfo("Europe/Berlin")
    times = np.array([1, 1_767_600_000_000_000, 5_000_000_000_000_000])
    assert local(times, zone).tolist() == [int(local(times[i : i + 1], zone)[0]) for i in range(3)]


def test_a_token_epoch_ends_at_five_on_the_wall_in_summer_and_winter() -> None:
    zone = ZoneInfo("Europe/Berlin")
    for day in (date(2026, 1, 5), date(2026, 7, 5)):
        end = datetime.fromtimestamp(epoch_end((day - date(1970, 1, 1)).days, zone) / 1e6, zone)
        assert (end.hour, end.day) == (5, day.day + 1)
