"""An incident on the terminal: the lines of the list, and everything that `tuermer explain` prints."""

from __future__ import annotations

import pytest

from detector.web.terminal import lines, whole
from tests.test_page import INCIDENT, RELATED


def test_the_first_lines_say_what_where_when_whether_anyone_got_in_and_the_series() -> None:
    head, entered, series, reason = lines(INCIDENT, "de")
    assert head.startswith("● hoch     20.11. 03:14:00  stadt/rathaus  Viele Konten")
    assert head.endswith("[T1110.003]")
    assert entered.strip() == "Ist jemand hineingekommen? nein"
    assert series.strip() == "12. Mal; hier üblich 300 bis 900 Anmeldeversuche, diesmal 412"
    assert reason.strip() == "80 Konten in einer Stunde, üblich ist 1."


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("de", ("etwa alle 2 Tage", "Was als Nächstes zu prüfen ist", "1. Zählen", "77aa  Das Netz wird abgesucht  (10.0.0.5)",
                "Quellen (source.ip)", "und 10 weitere Werte")),
        ("en", ("about every 2 days", "What to check next", "1. Count", "77aa  The network is being scanned  (10.0.0.5)",
                "Sources (source.ip)", "and 10 more values")),
    ],
)  # fmt: skip
def test_explain_tells_what_the_page_tells(language: str, told: tuple[str, ...]) -> None:
    text = "\n".join(whole(INCIDENT, [RELATED, INCIDENT | {"shared": []}], language))
    assert [part for part in told if part not in text] == []


def test_what_a_log_smuggles_in_is_not_obeyed_by_the_terminal() -> None:
    """Not in the list, not in `explain`: every text field holds a sequence that would clear the screen or turn the writing round."""
    nasty = "x\x1b[2J\x1b]0;owned\x07\r\n\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}"
    row = INCIDENT["evidence"][0] | {"value": nasty, "field": nasty}
    reason = INCIDENT["reasons"][0] | {"text": {"de": nasty, "en": nasty}}
    hostile = INCIDENT | {"tenant": nasty, "site": nasty, "title": {"de": nasty, "en": nasty}, "reasons": [reason], "techniques": [nasty],
                          "evidence": [row], "evidence_rest": {}, "counterfactual": {"de": nasty, "en": nasty}}  # fmt: skip
    related = hostile | {"id": nasty, "shared": [nasty]}
    told = [*lines(hostile, "de"), *whole(hostile, [related, hostile], "de")]
    assert any("x" in line for line in told)
    assert [line for line in told if not line.isprintable()] == []
