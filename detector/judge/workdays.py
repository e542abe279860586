"""Which days are not like others at a place: public holidays of its federal state, school holidays from calendar files."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import holidays

from detector.config import Workdays
from detector.features.calendar import Calendar
from detector.judge import ical

_YEARS = range(2015, 2051)  # of recorded days and of those to come


def calendar(timezone: str, config: Workdays) -> Calendar:
    """The calendar of one time zone. Raises ValueError, one sentence, for a calendar file that cannot be read."""
    free = holidays.country_holidays("DE", subdiv=config.state or None, years=_YEARS)
    away: set[date] = set()
    for name in config.school_holidays:
        try:
            away |= days_of(Path(name).read_text(encoding="utf-8"), timezone)
        except (OSError, UnicodeDecodeError, ical.CalendarError) as error:
            raise ValueError(f"workdays.school_holidays {name} cannot be read: {error}") from error
    return Calendar.of(timezone, frozenset(free), frozenset(away))


def days_of(text: str, timezone: str) -> set[date]:
    """Every day that an event of the calendar touches; school holidays do not repeat, so rules are not followed."""
    return {
        series.start.date() + timedelta(days=k)
        for series in ical.read(text, timezone)
        for k in range(max(1, -(-series.length // timedelta(days=1))))
    }
