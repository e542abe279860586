"""How numbers are said to people, in German and English; shared by the judge's texts, the page and the terminal."""

from __future__ import annotations

import math
from typing import Literal

from detector.features.table import Feature
from detector.judge.calibration import one_in

Language = Literal["de", "en"]
LANGUAGES: tuple[Language, ...] = ("de", "en")
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_SPANS = {  # seconds, and the words for one and for several
    "de": ((86_400.0, "Tag", "Tage"), (3_600.0, "Stunde", "Stunden"), (60.0, "Minute", "Minuten"), (1.0, "Sekunde", "Sekunden")),
    "en": ((86_400.0, "day", "days"), (3_600.0, "hour", "hours"), (60.0, "minute", "minutes"), (1.0, "second", "seconds")),
}


def amount(feature: Feature, value: float) -> float:
    """A number of X in the feature's unit."""
    return math.exp2(value) - 1.0 if feature.scale == "log2" else float(value)


def number(value: float, language: str) -> str:
    """At most three digits that matter, with the language's separators."""
    rounded = f"{value:,.0f}" if abs(value) >= 10 else f"{value:,.1f}".removesuffix(".0")
    return rounded.translate(str.maketrans(",.", ".,")) if language == "de" else rounded


def whole(value: float, language: str) -> str:
    """A count: decayed counters are fractions, people count in ones."""
    return number(round(value), language)


def size(value: float, language: str) -> str:
    """Bytes as people read them, decimal."""
    if value < 0.5:
        return "nichts" if language == "de" else "nothing"
    scale, unit = next(((scale, unit) for scale, unit in _BYTES if value >= scale), (1.0, "Byte" if language == "de" else "bytes"))
    return f"{number(value / scale, language)} {unit}"


def span(seconds: float, language: str) -> str:
    """A duration in its largest unit, with one digit after the comma below ten."""
    if seconds < 0.5:
        return "gar nicht" if language == "de" else "not at all"
    length, one, many = next((unit for unit in _SPANS[language] if seconds >= unit[0]), _SPANS[language][-1])
    text = number(seconds / length, language)
    return f"{text} {one if text == '1' else many}"


def odds(n: float, language: str) -> str:
    """1 in n, n rounded to two digits."""
    shown = number(one_in(1.0 / max(n, 1.0)), language)
    return f"1 von {shown}" if language == "de" else f"1 in {shown}"


_COMPARABLE = {
    "auth-source": {"de": "vergleichbaren Anmeldeversuchen", "en": "comparable login attempts"},
    "auth-user": {"de": "vergleichbaren Anmeldungen", "en": "comparable logins"},
    "firewall-source": {"de": "vergleichbaren Verbindungen", "en": "comparable connections"},
    "firewall-pair": {"de": "vergleichbaren Verbindungen", "en": "comparable connections"},
}
_CHANCE = {
    "de": ("bei Ihrem Aufkommen durch Zufall etwa {} am Tag", "bei Ihrem Aufkommen durch Zufall etwa alle {}"),
    "en": ("at your volume by chance about {} a day", "at your volume by chance about every {}"),
}


def rarity(model: str, one_in: float | None, volume: float | None, language: str, worst: float | None = None) -> str | None:
    """ "1 in 20,000 comparable logins; at your volume by chance about every 12 days"; None where p is no probability.

    `worst` is 1 in how many it became later, told where it is far more.
    """
    if one_in is None or model not in _COMPARABLE:
        return None
    parts = [f"{odds(one_in, language)} {_COMPARABLE[model][language]}"]
    if volume is not None and volume > 0:
        parts.append(chance(one_in / volume, language))
    if worst is not None and worst >= 3 * one_in:
        parts.append(f"später {odds(worst, language)}" if language == "de" else f"later {odds(worst, language)}")
    return "; ".join(parts)


def chance(days: float, language: str) -> str:
    often, seldom = _CHANCE[language]
    if days < 2 / 3:
        return often.format(f"{number(1 / days, language)}-mal" if language == "de" else _times(1 / days))
    if days > 730:
        years = number(days / 365, language)
        return seldom.format(f"{years} Jahre" if language == "de" else f"{years} years")
    shown = number(round(days), language)
    if shown == "1":
        return seldom.format("24 Stunden" if language == "de" else "24 hours")
    return seldom.format(f"{shown} Tage" if language == "de" else f"{shown} days")


def _times(value: float) -> str:
    shown = number(value, "en")
    return {"1": "once", "2": "twice"}.get(shown, f"{shown} times")


_LOGINS = ("credential-access", "initial-access", "lateral-movement", "success-after-failures")
_COUNTED = {
    "de": {True: "Anmeldeversuche", False: "Ereignisse"},
    "en": {True: "login attempts", False: "events"},
}


def again(family: str, episode: int, events: int, usual: tuple[int, int] | None, language: str) -> str | None:
    """ "12th time; usual here 300 to 900 login attempts, this time 412"; None the first time."""
    if episode < 2 or usual is None:
        return None
    what, low, high = _COUNTED[language][family in _LOGINS], whole(usual[0], language), whole(usual[1], language)
    this = whole(events, language)
    if language == "de":
        return f"{episode}. Mal; hier üblich {low if low == high else f'{low} bis {high}'} {what}, diesmal {this}"
    return f"{_ordinal(episode)} time; usual here {low if low == high else f'{low} to {high}'} {what}, this time {this}"


def _ordinal(n: int) -> str:
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
