"""An incident in two or three readable lines, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from detector.web.words import WORDS

BERLIN = ZoneInfo("Europe/Berlin")
MARKS = {"low": "○", "medium": "◐", "high": "●", "critical": "▲"}


def clock(moment: datetime) -> str:
    return moment.astimezone(BERLIN).strftime("%d.%m. %H:%M:%S")


def lines(incident: Mapping[str, Any], language: str) -> list[str]:
    """Head (severity, when, where, what) and at most two reasons. `incident` has the fields of the view `incidents`."""
    w = WORDS[language]
    opened = incident["opened"]
    moment = opened if isinstance(opened, datetime) else datetime.fromisoformat(opened)
    place = incident["tenant"] if incident["site"] in (None, "") else f"{incident['tenant']}/{incident['site']}"
    severity = incident["severity"]
    techniques = ", ".join(incident["techniques"])
    head = f"{MARKS[severity]} {w['severity.' + severity]:<8} {clock(moment)}  {place}  {incident['title'][language]}  [{techniques}]"
    reasons = [f"    {reason['text'][language]}" for reason in incident["reasons"][:2]]
    return [head, *reasons]


def progress(events_per_second: float, at: datetime, now: datetime, open_incidents: int, language: str) -> str:
    """One line: how fast, how far behind the present, how many open."""
    lag = max(0.0, (now - at.astimezone(UTC)).total_seconds())
    behind = f"{lag / 3600:.1f} h" if lag >= 3600 else f"{lag:.0f} s"
    rate = f"{events_per_second:>9,.0f}"
    if language == "de":
        rate, behind = (text.translate(str.maketrans(",.", ".,")) for text in (rate, behind))
        return f"{rate} Ereignisse/s   Stand {clock(at)}   Rückstand {behind}   offen: {open_incidents}"
    return f"{rate} events/s   at {clock(at)}   lag {behind}   open: {open_incidents}"
