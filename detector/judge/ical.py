"""Calendar files (.ics, RFC 5545) as series: what a maintenance window needs of an event, read by the library `icalendar`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vRecur

from detector.judge.windows import Series
from detector.sentence import Sentence


class CalendarError(Sentence):
    """The file is no calendar that we can read; the text is one sentence."""


def read(text: str, zone: str) -> list[Series]:
    """The events of a calendar; times without a zone, or in one that nobody knows, are in `zone`. Raises CalendarError.

    Cancelled events are left out; an occurrence that was moved stands for itself and leaves its old place.
    """
    try:
        found = Calendar.from_ical(text)
    except ValueError as error:
        raise CalendarError(str(error).splitlines()[0]) from error
    events = [event for event in found.walk("VEVENT") if isinstance(event, Event) and event.get("STATUS") != "CANCELLED"]
    moved: dict[str, set[datetime]] = {}
    for event in events:
        if "RECURRENCE-ID" in event:
            moved.setdefault(str(event.get("UID")), set()).add(_wall(_value(event, "RECURRENCE-ID"), zone)[0])
    return [_series(event, moved, zone) for event in events]


def _series(event: Event, moved: dict[str, set[datetime]], zone: str) -> Series:
    begins = _value(event, "DTSTART")
    start, own = _wall(begins, zone)
    name = str(event.get("SUMMARY", "")).strip() or "?"
    length = _length(event, begins, start, own, zone)
    if "RECURRENCE-ID" in event:
        return Series(name, start, length, own)
    try:
        excluded = {_wall(one, zone, own)[0] for one in event.exdates}
    except (ValueError, AttributeError) as error:
        raise CalendarError(f"the event {name} holds an EXDATE that cannot be read") from error
    rule = event.get("RRULE")
    if not isinstance(rule, vRecur | None):
        raise CalendarError(f"the event {name} has an RRULE that cannot be read")
    written = "" if rule is None else rule.to_ical().decode()  # type: ignore[no-untyped-call]  # its library leaves it untyped
    return Series(name, start, length, own, written, frozenset(excluded | moved.get(str(event.get("UID")), set())))


def _length(event: Event, begins: date, start: datetime, own: str, zone: str) -> timedelta:
    if "DTEND" in event:
        return _wall(_value(event, "DTEND"), zone, own)[0] - start
    if "DURATION" in event:
        return timedelta(seconds=_value(event, "DURATION").total_seconds())
    return timedelta(0) if isinstance(begins, datetime) else timedelta(days=1)


def _value(event: Event, name: str) -> Any:
    """The property as Python's date, datetime or timedelta."""
    try:
        found: Any = event[name]
        return found.dt
    except (KeyError, ValueError, AttributeError) as error:
        raise CalendarError(f"the event {event.get('SUMMARY', '?')} has no {name} that can be read") from error


def _wall(moment: date, zone: str, on: str = "") -> tuple[datetime, str]:
    """A time on the wall of a zone: of `on` where given, else of its own."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    own = on or (moment.tzinfo.key if isinstance(moment.tzinfo, ZoneInfo) else "UTC")
    return moment.astimezone(ZoneInfo(own) if own != "UTC" else UTC).replace(tzinfo=None), own
