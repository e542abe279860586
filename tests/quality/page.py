"""docs/quality.md: prose that people wrote, and between markers the figures that `make quality` obtained."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "quality.md"
MARKED = re.compile(r"<!-- begin: (?P<name>[a-z -]+) -->\n(?P<text>.*?)<!-- end: (?P=name) -->", re.DOTALL)


class UnknownMarkerError(ValueError):
    """The page has no place of that name."""


def names(text: str) -> list[str]:
    """The marked places, in their order."""
    return [found["name"] for found in MARKED.finditer(text)]


def filled(text: str, name: str, figures: str) -> str:
    """The page with new figures at one place; everything else stays to the byte."""
    if name not in names(text):
        raise UnknownMarkerError(f"docs/quality.md has no place for {name}; there are: {', '.join(names(text))}")

    def put(found: re.Match[str]) -> str:
        if found["name"] != name:
            return found[0]
        return f"<!-- begin: {name} -->\n{figures.strip()}\n<!-- end: {name} -->"

    return MARKED.sub(put, text)
