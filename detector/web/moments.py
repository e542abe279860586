"""Times and numbers as people here write them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
SHAPES = {"de": "%d.%m.%Y %H:%M:%S", "en": "%d %b %Y %H:%M:%S"}


def when(moment: str | datetime | None, language: str = "de") -> str:
    """A time as people here read it, in local time."""
    if moment is None:
        return ""
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return parsed.astimezone(BERLIN).strftime(SHAPES[language])


def brief(moment: str | datetime | None, language: str = "de") -> str:
    """A time of this year without its seconds, for lists."""
    return when(moment, language)[:-3].replace(datetime.now(BERLIN).strftime(" %Y" if language == "en" else "%Y"), "")


def number(value: float | None, language: str = "de") -> str:
    """Three significant digits, or whole with separators; German writes 1.234 and 0,5."""
    if value is None:
        return ""
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text.translate(str.maketrans(",.", ".,")) if language == "de" else text
