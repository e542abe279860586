"""The list of what may stay plain is complete, published, and the code keeps to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from detector.decode import ecs, table
from detector.privacy import fields
from detector.privacy.pseudonyms import KEPT

PAGE = (Path(__file__).parents[1] / "docs" / "privacy-fields.md").read_text("utf-8")


def _section(title: str) -> str:
    return PAGE.split(f"## {title}", 1)[1].split("\n## ", 1)[0]


def _rows(title: str) -> dict[str, str]:
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", _section(title), re.MULTILINE))


@pytest.mark.parametrize(
    ("title", "listed"), [("Always plain", fields.ALWAYS), ("Plain for some", fields.SOMETIMES), ("Never plain", fields.NEVER)]
)
def test_the_published_list_is_the_code_s(title: str, listed: dict[str, str]) -> None:
    assert _rows(title) == dict(listed)


def test_the_published_accounts_are_the_code_s() -> None:
    paragraph = _section("Plain for some").split("overrules them:", 1)[1]
    assert set(re.findall(r"`([^`]+)`", paragraph)) == set(fields.WELL_KNOWN_ACCOUNTS)


def test_every_event_column_is_on_exactly_one_list() -> None:
    columns = {re.sub(r"\.(hi|lo|kind)$", "", name) if name.startswith(ecs.ADDRESS) else name for name in ecs.NAMES}
    listed = [*fields.ALWAYS, *fields.SOMETIMES, *fields.NEVER]
    assert sorted(listed) == sorted(columns)


def test_only_numbers_and_times_pass_without_a_look_at_their_value() -> None:
    assert not KEPT & set(ecs.TEXT)
    assert set(fields.ALWAYS) >= KEPT


def test_no_word_of_a_format_looks_like_an_address_or_a_token() -> None:
    for column, words in fields.vocabulary(table.shipped()).items():
        for word in words:
            assert re.fullmatch(r"[A-Za-z0-9_./+ -]{0,40}", word), f"{column}: {word}"
            assert not re.search(r"\d+\.\d+\.\d+\.\d+|^[uh]-", word), f"{column}: {word}"


def test_a_word_is_admitted_only_in_its_own_column() -> None:
    vocabulary = fields.vocabulary(table.shipped())
    assert fields.admitted("event.category", "network", vocabulary["event.category"]) == "network"
    assert fields.admitted("event.action", "network-of-anna", vocabulary["event.action"]) == "other"
    assert fields.admitted("event.action", "4624", vocabulary["event.action"]) == "other"
