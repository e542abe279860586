"""docs/quality.md: figures stand between markers, prose outside them stays."""

from __future__ import annotations

import pytest

from tests.quality.__main__ import PARTS
from tests.quality.page import PAGE, UnknownMarkerError, filled, names

TEXT = "before\n<!-- begin: one -->\nold\n<!-- end: one -->\nbetween\n<!-- begin: two -->\n<!-- end: two -->\nafter\n"


def test_every_part_has_its_place_on_the_page_and_every_place_its_part() -> None:
    assert names(PAGE.read_text(encoding="utf-8")) == list(PARTS)


def test_figures_are_replaced_and_prose_stays() -> None:
    once = filled(TEXT, "one", "new\n")
    assert once == TEXT.replace("old", "new")
    assert filled(once, "one", "new") == once


def test_an_unknown_place_is_named() -> None:
    with pytest.raises(UnknownMarkerError, match="no place for three; there are: one, two"):
        filled(TEXT, "three", "")
