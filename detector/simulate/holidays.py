"""The city's calendar: public and school holidays of North Rhine-Westphalia, citizens' day, patch night."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

CITIZENS_DAY, PATCH_WEEKDAY = 3, 3  # Thursday
_SCHOOL = (  # first and last day off, as published for the school years to 2027/28
    ("2024-12-23", "2025-01-06"), ("2025-04-14", "2025-04-26"), ("2025-07-14", "2025-08-26"), ("2025-10-13", "2025-10-25"),
    ("2025-12-22", "2026-01-06"), ("2026-03-30", "2026-04-11"), ("2026-07-20", "2026-09-01"), ("2026-10-17", "2026-10-31"),
    ("2026-12-23", "2027-01-06"), ("2027-03-22", "2027-04-03"), ("2027-07-19", "2027-08-31"), ("2027-10-23", "2027-11-06"),
    ("2027-12-24", "2028-01-08"),
)  # fmt: skip
_SPANS = tuple((date.fromisoformat(first), date.fromisoformat(last)) for first, last in _SCHOOL)
_FIXED = ((1, 1), (5, 1), (10, 3), (11, 1), (12, 25), (12, 26))
_AFTER_EASTER = (-2, 1, 39, 50, 60)  # Good Friday, Easter Monday, Ascension, Whit Monday, Corpus Christi


@lru_cache(maxsize=64)
def easter(year: int) -> date:
    """Easter Sunday (Butcher's algorithm, Nature 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def is_public(day: date) -> bool:
    return (day.month, day.day) in _FIXED or day - easter(day.year) in {timedelta(days) for days in _AFTER_EASTER}


def is_school(day: date) -> bool:
    return any(first <= day <= last for first, last in _SPANS)


def is_citizens_day(day: date) -> bool:
    """Thursdays the doors are open until six in the evening."""
    return day.weekday() == CITIZENS_DAY


def is_password_day(day: date) -> bool:
    """The second Monday of a quarter, when passwords run out and telephones still have the old ones."""
    return day.weekday() == 0 and 8 <= day.day <= 14 and day.month % 3 == 1


def is_patch_night(day: date) -> bool:
    """The Thursday after the month's second Tuesday."""
    second = 8 + (1 - day.replace(day=8).weekday()) % 7
    return day.day == second + 2
