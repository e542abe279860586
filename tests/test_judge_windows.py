"""Maintenance windows: from the configuration and from calendar files, on the tenant's wall."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from detector.config import Maintenance
from detector.judge import ical
from detector.judge.ical import CalendarError
from detector.judge.windows import DAY, Series, Window, WindowError, configured, covered, occurrences, pattern, windows

ZONE = "Europe/Berlin"


def us(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1e6)  # type: ignore[misc, arg-type] # a test's shorthand


def shown(series: Series, begin: int = us(2026, 1, 1), end: int = us(2027, 6, 1)) -> list[str]:
    """UTC, without the seconds."""
    return [
        " - ".join(f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M}" for at in span) for span in occurrences(series, begin, end)
    ]


def entry(**settings: str) -> Maintenance:
    return Maintenance(**{"name": "Patchnacht", "begin": "2026-11-10 22:00", "end": "2026-11-11 02:00", **settings})


def test_a_single_window_is_on_the_tenants_wall() -> None:
    assert shown(configured(entry(), ZONE)) == ["2026-11-10 21:00 - 2026-11-11 01:00"]
    assert shown(configured(entry(), "UTC")) == ["2026-11-10 22:00 - 2026-11-11 02:00"]


def test_a_repeated_one_keeps_its_hour_when_the_clock_is_set_forward() -> None:
    weekly = configured(entry(begin="2026-03-15 02:30", end="2026-03-15 06:00", repeat="FREQ=WEEKLY;COUNT=3"), ZONE)
    assert shown(weekly) == [
        "2026-03-15 01:30 - 2026-03-15 05:00",
        "2026-03-22 01:30 - 2026-03-22 05:00",
        "2026-03-29 01:30 - 2026-03-29 04:00",
    ]


def test_every_second_tuesday_is_one_rule() -> None:
    monthly = configured(entry(repeat="FREQ=MONTHLY;BYDAY=2TU"), ZONE)
    assert [text[:10] for text in shown(monthly, us(2026, 12, 1), us(2027, 3, 1))] == ["2026-12-08", "2027-01-12", "2027-02-09"]


def test_one_that_began_before_the_span_and_lasts_into_it_counts() -> None:
    assert len(shown(configured(entry(repeat="FREQ=DAILY"), ZONE), us(2026, 11, 20, 0), us(2026, 11, 20, 0) + 1)) == 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"begin": "morgen"}, 'needs begin and end written as 2026-11-21 22:00, not "morgen"'),
        ({"begin": "2026-02-30 10:00"}, "names a day or hour that does not exist"),
        ({"end": "2026-11-10 22:00"}, "ends before it begins"),
        ({"repeat": "FREQ=SOMETIMES"}, "repeats by a rule that cannot be read"),
        ({"repeat": "FREQ=MINUTELY"}, "repeats more than 5000 times"),
    ],
)
def test_an_entry_that_makes_no_windows_is_refused_in_a_sentence(settings: dict[str, str], sentence: str) -> None:
    one = entry(**settings)
    with pytest.raises(WindowError, match=sentence):
        windows(one, [configured(one, ZONE)], us(2026, 11, 20))


def test_windows_carry_tenant_site_and_the_pattern_of_what_is_worked_on() -> None:
    one = entry(tenant="stadt", site="rathaus", entity="srv_mail-0?.*")
    assert windows(one, [configured(one, ZONE)], us(2026, 11, 20)) == [
        Window("stadt", "rathaus", r"srv\_mail-0_.%", "Patchnacht", us(2026, 11, 10, 21), us(2026, 11, 11, 1))
    ]


@pytest.mark.parametrize(("shell", "like"), [("*", "%"), ("100%", r"100\%"), ("a\\b?", r"a\\b_")])
def test_shell_patterns_become_those_of_the_database(shell: str, like: str) -> None:
    assert pattern(shell) == like


def calendar(*events: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *events, "END:VCALENDAR", ""])


def event(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT"])


def test_a_calendar_with_repetition_exception_and_a_moved_occurrence() -> None:
    text = calendar(
        event(
            "UID:a", "SUMMARY:Patch\\, Nacht", "DTSTART;TZID=W. Europe Standard Time:20261110T220000", "DURATION:PT4H",
            "RRULE:FREQ=MONTHLY;BYDAY=2TU;UNTIL=20270301T000000Z", "EXDATE;TZID=Europe/Berlin:20261208T220000",
            "BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT15M", "END:VALARM",
        ),
        event("UID:a", "RECURRENCE-ID;TZID=Europe/Berlin:20270112T220000", "DTSTART:20270113T210000Z", "DTEND:20270113T230000Z"),
    )  # fmt: skip
    regular, moved = ical.read(text, ZONE)
    assert regular.name == "Patch, Nacht"
    assert shown(regular) == ["2026-11-10 21:00 - 2026-11-11 01:00", "2027-02-09 21:00 - 2027-02-10 01:00"]
    assert shown(moved) == ["2027-01-13 21:00 - 2027-01-13 23:00"]


def test_whole_days_floating_times_and_unknown_zones_are_the_tenants() -> None:
    text = calendar(
        event("DTSTART;VALUE=DATE:20261224"), event("DTSTART:20261201T100000", "DTEND:20261201T120000"),
        event("DTSTART;TZID=Unser Rathaus:20261202T100000", "DTEND;TZID=Unser Rathaus:20261202T120000"),
    )  # fmt: skip
    assert [shown(one)[0] for one in ical.read(text, ZONE)] == [
        "2026-12-23 23:00 - 2026-12-24 23:00", "2026-12-01 09:00 - 2026-12-01 11:00", "2026-12-02 09:00 - 2026-12-02 11:00",
    ]  # fmt: skip


def test_what_is_cancelled_or_has_no_length_makes_no_window() -> None:
    text = calendar(event("DTSTART:20261201T100000", "DURATION:PT1H", "STATUS:CANCELLED"), event("DTSTART:20261201T100000"))
    assert [shown(one) for one in ical.read(text, ZONE)] == [[]]


@pytest.mark.parametrize(
    "text",
    ["", "hello", "BEGIN:VCALENDAR\nfoo", calendar(event("DTSTART:2026122")), calendar(event("SUMMARY:x")), calendar("BEGIN:VEVENT")],
)
def test_what_is_no_calendar_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(CalendarError):
        ical.read(text, ZONE)


def test_the_trainer_leaves_out_windows_of_the_whole_tenant() -> None:
    known = [Window("stadt", "", "%", "x", 10, 20), Window("stadt", "", "srv-%", "y", 0, 100), Window("dorf", "", "%", "z", 0, 100)]
    assert covered(known, "stadt", "rathaus", np.array([9, 10, 19, 20])).tolist() == [False, True, True, False]
    assert covered([], "stadt", "", np.array([DAY])).tolist() == [False]
