"""What dashboards, rules and messages depend on, as one value: language, links, office hours. The rest is the same everywhere."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

Language = Literal["de", "en"]


@dataclass(frozen=True, slots=True)
class Office:
    """When somebody is there: outside of it only urgent things are told at once. Days as Grafana calls them (monday); times as HH:MM."""

    days: tuple[str, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday")
    begin: str = "08:00"
    end: str = "17:00"
    zone: str = "Europe/Berlin"
    holidays: tuple[dt.date, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """`links`: title and URL template of each log search; `runbooks`: URL of the folder deploy/runbooks, or empty."""

    language: Language = "de"
    office: Office = field(default_factory=Office)
    links: tuple[tuple[str, str], ...] = ()
    runbooks: str = ""

    def t(self, de: str, en: str) -> str:
        """The text in this setting's language."""
        return de if self.language == "de" else en

    def about(self, panel: str) -> tuple[str, str]:
        """Title and description of a panel, e.g. of situation.triage, from texts.toml."""
        room, _, name = panel.partition(".")
        found = texts()[room][name]
        return found["title"][self.language], found["about"][self.language]

    def column(self, name: str) -> str:
        """A view's column that exists per language, under its plain name: `title_de AS title`."""
        return f"{name}_{self.language} AS {name}"


@cache
def texts() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "texts.toml").read_text(encoding="utf-8"))
