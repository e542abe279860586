"""Maintenance windows: when somebody works on the machines, so that what looks odd is known. Pure; calendars come in as text.

An incident that opens within a window is marked and nobody is called, unless someone got in. The trainer leaves such times out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from dateutil.rrule import rrulestr
from numpy.typing import NDArray

from detector.config import Maintenance
from detector.sentence import Sentence

DAY = 86_400_000_000  # µs
BACK = 400 * DAY  # occurrences that far in the past are still made: a window added later marks what it covers
AHEAD = 400 * DAY
MOST = 5_000  # occurrences of one entry within that horizon; more is a mistake
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WindowError(Sentence):
    """An entry makes no windows; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Series:
    """One entry of a calendar: start on the wall of `zone`, length by that wall, RRULE or "", starts that are left out."""

    name: str
    start: datetime
    length: timedelta
    zone: str
    rule: str = ""
    excluded: frozenset[datetime] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Window:
    """[begins, ends) in µs of event time. `tenant` and `site` "" mean all; `like` is an SQL pattern of entities."""

    tenant: str
    site: str
    like: str
    name: str
    begins: int
    ends: int


def configured(entry: Maintenance, zone: str) -> Series:
    """An entry with begin and end. Raises WindowError."""
    start, end = (_wall(entry.name, text) for text in (entry.begin, entry.end))
    if end <= start:
        raise WindowError(f"maintenance {entry.name} ends before it begins")
    return Series(entry.name, start, end - start, zone, entry.repeat)


def _wall(name: str, text: str) -> datetime:
    if MOMENT.fullmatch(text) is None:
        raise WindowError(f'maintenance {name} needs begin and end written as 2026-11-21 22:00, not "{text}"')
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise WindowError(f"maintenance {name} names a day or hour that does not exist: {text}") from error


def windows(entry: Maintenance, series: Sequence[Series], now: int) -> list[Window]:
    """All windows of an entry around `now` (µs), in the order of time. Raises WindowError."""
    like = pattern(entry.entity)
    found = [
        Window(entry.tenant, entry.site, like, entry.name if one.name in ("?", entry.name) else f"{entry.name}: {one.name}", begins, ends)
        for one in series
        for begins, ends in occurrences(one, now - BACK, now + AHEAD)
    ]
    return sorted(found, key=lambda window: (window.begins, window.ends, window.name))


def occurrences(series: Series, begin: int, end: int) -> list[tuple[int, int]]:
    """[begins, ends) in µs of every occurrence that touches [begin, end). Raises WindowError for a rule that cannot be read."""
    zone = ZoneInfo(series.zone)
    after, before = _local(begin, zone) - series.length, _local(end, zone)
    starts = list(itertools.islice(_starts(series, after, before), MOST + 1))
    if len(starts) > MOST:
        raise WindowError(f"{series.name} repeats more than {MOST} times in two years")
    spans = [(_micros(start, zone), _micros(start + series.length, zone)) for start in starts if start not in series.excluded]
    return [(begins, ends) for begins, ends in spans if begins < ends and ends > begin and begins < end]


def _starts(series: Series, after: datetime, before: datetime) -> Iterator[datetime]:
    if series.rule == "":
        yield series.start
        return
    try:
        rule = rrulestr(_local_until(series), dtstart=series.start)
        yield from itertools.takewhile(lambda start: start < before, rule.xafter(after, inc=True))
    except (ValueError, TypeError, KeyError) as error:
        raise WindowError(f"{series.name} repeats by a rule that cannot be read: {series.rule}") from error


def _local_until(series: Series) -> str:
    """The rule with UNTIL on the wall of the series' zone, since its starts are, too."""

    def there(found: re.Match[str]) -> str:
        until = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return f"UNTIL={until.astimezone(ZoneInfo(series.zone)):%Y%m%dT%H%M%S}"

    return re.sub(r"UNTIL=(\d{8}T\d{6})Z", there, series.rule)


def _local(at: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=max(at, 0))).astimezone(zone).replace(tzinfo=None)


def _micros(wall: datetime, zone: ZoneInfo) -> int:
    return (wall.replace(tzinfo=zone) - _EPOCH) // timedelta(microseconds=1)


def pattern(shell: str) -> str:
    """A shell pattern (* and ?) as one of SQL's LIKE."""
    escaped = re.sub(r"([\\%_])", r"\\\1", shell)
    return escaped.replace("*", "%").replace("?", "_")


def covered(known: Sequence[Window], tenant: str, site: str, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which times (µs) lie in a window of the whole tenant or site, shape (n,): what a trainer leaves out."""
    inside = np.zeros(len(times), np.bool_)
    for window in known:
        if window.tenant in ("", tenant) and window.site in ("", site) and window.like == "%":
            inside |= (times >= window.begins) & (times < window.ends)
    return inside


def zone_of(entry: Maintenance, zones: Mapping[str, str]) -> str:
    """The zone of the entry's tenant; without one that of the first tenant."""
    return zones.get(entry.tenant, next(iter(zones.values()), "Europe/Berlin"))
