"""An incident in a few readable lines, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from detector.visible import one_line
from detector.web import story
from detector.web.words import WORDS

BERLIN = ZoneInfo("Europe/Berlin")
MARKS = {"low": "○", "medium": "◐", "high": "●", "critical": "▲"}


def clock(moment: datetime) -> str:
    return moment.astimezone(BERLIN).strftime("%d.%m. %H:%M:%S")


def lines(incident: Mapping[str, Any], language: str) -> list[str]:
    """Head (severity, when, where, what), whether anyone got in, the series, two reasons. `incident` is a row of the view `incidents`."""
    w = WORDS[language]
    began = incident["episode_opened"]
    moment = began if isinstance(began, datetime) else datetime.fromisoformat(began)
    place = incident["tenant"] if incident["site"] in (None, "") else f"{incident['tenant']}/{incident['site']}"
    severity = incident["severity"]
    techniques = ", ".join(incident["techniques"])
    head = f"{MARKS[severity]} {w['severity.' + severity]:<8} {clock(moment)}  {place}  {incident['title'][language]}  [{techniques}]"
    entered = f"    {w['got_in']} {w['got_in.' + incident['got_in']]}"
    more = [f"    {text}" for text in (story.again(incident, language), story.quiet(incident, language)) if text is not None]
    reasons = [f"    {reason['text'][language]}" for reason in incident["reasons"][:2]]
    return [one_line(line) for line in (head, entered, *more, *reasons)]


def whole(incident: Mapping[str, Any], chain: list[Mapping[str, Any]], language: str) -> list[str]:
    """Everything the page shows of one incident, for `tuermer explain`."""
    w = WORDS[language]
    told = [f"    {w['rarity']}: {story.rarity(incident, language)}", f"    {incident['counterfactual'][language]}"]
    told += [f"    {text}" for text in story.techniques(incident, language)]
    steps = [f"    {n}. {text}" for n, text in enumerate(story.steps(incident, language), start=1)]
    related = [
        f"    {_short(one)}  {one['title'][language]}  ({', '.join(one['shared'][:3])})" for one in chain if one["id"] != incident["id"]
    ]
    evidence: list[str] = []
    for name, rows in story.by_field(incident["evidence"]).items():
        evidence.append(f"    {story.field(name, language)} ({name})")
        evidence += [f"      {row['value']}  {row['events']}  {row['first']} – {row['last']}" for row in rows]
        rest = incident["evidence_rest"].get(name, 0)
        evidence += [f"      {w['more'].format(n=rest)}"] if rest > 0 else []
    parts = [*lines(incident, language), *told, w["next"], *steps, f"    {story.beware(incident, language) or ''}".rstrip()]
    return [one_line(line) for line in (*parts, *([w["chain"], *related] if related else []), w["evidence"], *evidence)]


def _short(incident: Mapping[str, Any]) -> str:
    return str(incident["id"])[:8]


def progress(events_per_second: float, at: datetime, now: datetime, open_incidents: int, language: str) -> str:
    """One line: how fast, how far behind the present, how many open."""
    lag = max(0.0, (now - at.astimezone(UTC)).total_seconds())
    behind = f"{lag / 3600:.1f} h" if lag >= 3600 else f"{lag:.0f} s"
    rate = f"{events_per_second:>9,.0f}"
    if language == "de":
        rate, behind = (text.translate(str.maketrans(",.", ".,")) for text in (rate, behind))
        return f"{rate} Ereignisse/s   Stand {clock(at)}   Rückstand {behind}   offen: {open_incidents}"
    return f"{rate} events/s   at {clock(at)}   lag {behind}   open: {open_incidents}"
