"""When is a device, or Türmer itself, not well; and what is said then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.judge.health import BEHIND, DAY, HOUR, MINUTE, OLD_MODEL, SILENT_AFTER, Device, Operation, Unread, ailments, duration

NOW = 1_772_449_200_000_000
WELL = Device("stadt/rathaus", "fw1", NOW - MINUTE, (400,) * 7, filled={"source.ip": (99, 100, 9_900, 10_000)})
UNREAD = Unread("stadt", "firewall", "fortigate", "bad-structure", now=300, usual=3.0, events=10_000)


def said(devices: list[Device] | None = None, unread: list[Unread] | None = None, operation: Operation | None = None) -> list[str]:
    return [f"{a.kind} {a.subject}" for a in ailments(devices or [], unread or [], operation or Operation(), NOW)]


def test_who_sends_as_always_is_well() -> None:
    assert said([WELL], [replace(UNREAD, now=10)], Operation(waiting=10, behind=MINUTE)) == []


def test_a_device_fell_silent_when_it_sent_much_in_these_hours_of_every_day_before() -> None:
    silent = replace(WELL, last=NOW - SILENT_AFTER)
    assert said([silent]) == ["silent fw1 (stadt/rathaus)"]
    assert said([replace(silent, last=NOW - SILENT_AFTER + 1)]) == []
    assert said([replace(silent, before=(400, 400, 3))]) == []  # a Sunday without traffic
    assert said([replace(silent, before=())]) == []  # its first day


@pytest.mark.parametrize(
    ("by", "text"),
    [
        (HOUR, "Times from fw1 are 1 hour behind. Likely cause: exactly 1 hour: time zone"),
        (-2 * HOUR - 40_000_000, "Times from fw1 are 2 hours ahead. Likely cause: exactly 2 hours: time zone"),
        (5 * HOUR + HOUR // 2, "exactly 5.5 hours"),
        (17 * MINUTE, "Times from fw1 are 17 minutes behind. Likely cause: the clock is not synchronised"),
        (365 * DAY, "Times from fw1 are 365 days behind. Likely cause: the year is wrong"),
    ],
)
def test_a_wrong_clock_is_told_with_its_likely_cause(by: int, text: str) -> None:
    (one,) = ailments([replace(WELL, off=50, by=by)], [], Operation(), NOW)
    assert (one.kind, one.severity) == ("clock", "medium")
    assert text in one.text["en"]


def test_a_field_that_most_lines_had_is_missed() -> None:
    lost = {"source.ip": (3, 100, 9_900, 10_000), "user.name": (0, 100, 10, 10_000), "host.name": (0, 49, 9_900, 10_000)}
    (one,) = ailments([replace(WELL, filled=lost)], [], Operation(), NOW)
    assert one.title["de"] == "Feld fehlt: source.ip von fw1"
    assert "nur noch in 3 % der Zeilen von fw1, bisher in 99 %" in one.text["de"]


def test_unreadable_lines_are_told_when_they_are_many_and_more_than_usual() -> None:
    (one,) = ailments([], [UNREAD], Operation(), NOW)
    assert "300 Zeilen aus firewall (Format fortigate) nicht lesbar, üblich sind 3; meist: bad-structure" in one.text["de"]
    assert said(unread=[replace(UNREAD, now=19)]) == []
    assert said(unread=[replace(UNREAD, usual=61.0)]) == []
    assert said(unread=[replace(UNREAD, events=100_000)]) == []


def test_lag_old_models_quiet_days_and_a_missed_canary_are_told() -> None:
    bad = Operation(5, BEHIND, {"auth-user-1": NOW - OLD_MODEL, "new": NOW}, {"stadt": 5_000, "dorf": 20}, canary_missed=30 * MINUTE)
    assert said(operation=bad) == ["canary canary", "lag score", "model auth-user-1", "quiet stadt"]
    assert said(operation=replace(bad, waiting=0, models={}, quiet={}, canary_missed=0)) == []


@pytest.mark.parametrize(
    ("span", "de", "en"),
    [
        (10 * MINUTE, "10 Minuten", "10 minutes"),
        (HOUR, "1 Stunde", "1 hour"),
        (90 * MINUTE, "90 Minuten", "90 minutes"),
        (5 * HOUR + 30 * MINUTE, "5,5 Stunden", "5.5 hours"),
        (3 * DAY, "3 Tagen", "3 days"),
    ],
)
def test_durations_read_as_people_say_them(span: int, de: str, en: str) -> None:
    assert (duration(span, "de"), duration(span, "en")) == (de, en)
