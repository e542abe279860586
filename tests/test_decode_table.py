"""A format is a table: a new one works at once, a wrong one is refused with a sentence that names file and mistake."""

from __future__ import annotations

import pytest

from detector.config import Topic
from detector.decode import Decoder, to_json
from detector.decode.table import of_toml
from detector.records import Place, of_lines

GATE = """
name = "gate"
title = "An access gate that nobody has heard of"
tokenizer = "keyvalue"
samples = []

[[recognise]]
starts = ["GATE "]

[[time]]
fields = "at"

[columns]
"user.name" = ["who", "badge"]
"source.ip" = "reader"
"source.bytes" = "n"

[set]
"event.category" = "authentication"

[[words]]
column = "authentication.method"
field = "by"
map = { card = "badge", pin = "password" }
other = "other"

[[rules]]
when = { verdict = "heartbeat" }
ignore = true

[[rules]]
when = { verdict = ["open", "OPENED"], note = "!test" }
set = { "event.action" = "login", "event.outcome" = "success" }
attempt = 2
count = "n"

[[rules]]
when = { note = ["~wrong pin", "^denied"], who = "" }
set = { "event.action" = "login", "event.outcome" = "failure" }
columns = { "user.name" = "badge" }

[[rules]]
when = { who = "*" }
set = { "event.action" = "other" }
"""


def _answers(*lines: str) -> list[dict[str, str | int]]:
    decoder = Decoder.build([Topic(name="*", tenant="t", timezone="UTC")], tables={"gate": of_toml(GATE)})
    return to_json(decoder.decode(of_lines([f"GATE at=1780315200 {line}".encode() for line in lines], Place("t", 0))), len(lines))


COMMON = {"@timestamp": "2026-06-01T12:00:00Z", "event.dataset": "gate", "event.category": "authentication"}


def test_conditions_words_and_candidates_decide_what_a_line_means() -> None:
    assert _answers(
        "verdict=open who=anna by=card reader=10.0.0.9 n=3",
        "verdict=Opened badge=17 by=face",
        'note="Denied at door" badge=18',
        'note="so many WRONG PINS" badge=19 by=pin',
        "verdict=open note=test who=-",
        "verdict=open note=test who=anna",
        "verdict=heartbeat",
    ) == [
        COMMON | {
            "event.action": "login", "event.outcome": "success", "user.name": "anna", "authentication.method": "badge",
            "source.ip": "10.0.0.9", "source.bytes": 3, "attempt.kind": 2, "attempt.count": 3,
        },
        COMMON | {
            "event.action": "login", "event.outcome": "success", "user.name": "17", "authentication.method": "other",
            "attempt.kind": 2, "attempt.count": 1,
        },
        COMMON | {"event.action": "login", "event.outcome": "failure", "user.name": "18"},
        COMMON | {"event.action": "login", "event.outcome": "failure", "user.name": "19", "authentication.method": "password"},
        {"ignored": "gate"},
        COMMON | {"event.action": "other", "user.name": "anna"},
        {"ignored": "gate"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("tokenizer = ", "tokeniser = "), "gate.toml: Object contains unknown field `tokeniser`"),
        (('"keyvalue"', '"regex"'), "gate.toml: Invalid enum value 'regex' - at `$.tokenizer`"),
        (
            ('"source.ip" = "reader"', '"source.address" = "reader"'),
            "gate.toml: `source.address` is not an event column that a format may fill",
        ),
        (('"event.action" = "other"', '"event.acton" = "other"'), "gate.toml: `event.acton` is not an event column that a format may fill"),
        (('title = "An access gate that nobody has heard of"\n', ""), "gate.toml: Object missing required field `title`"),
        (("attempt = 2", "attempt = 9"), "gate.toml: Expected `int` <= 7"),
    ],
)
def test_a_wrong_table_is_refused_with_the_file_and_the_mistake(change: tuple[str, str], sentence: str) -> None:
    assert change[0] in GATE
    with pytest.raises(ValueError) as refusal:
        of_toml(GATE.replace(*change), "gate.toml")
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize(
    ("layouts", "sentence"),
    [
        ("", "list: a delimited format needs [[delimited.layouts]]"),
        ('[[delimited.layouts]]\ncolumns = ["a", "src"]', "list: no layout has a column named 'scr'"),
    ],
)
def test_a_delimited_table_must_name_only_columns_that_a_layout_has(layouts: str, sentence: str) -> None:
    text = f'name = "list"\ntitle = "t"\ntokenizer = "delimited"\nsamples = []\n{layouts}\n[columns]\n"source.ip" = "scr"\n'
    with pytest.raises(ValueError) as refusal:
        Decoder.build([Topic(name="*", tenant="t")], tables={"list": of_toml(text)})
    assert str(refusal.value) == sentence


def test_more_searched_words_than_a_kernel_can_hold_are_refused() -> None:
    many = ", ".join(f'"~word{i}"' for i in range(65))
    table = of_toml(f'name = "n"\ntitle = "t"\ntokenizer = "keyvalue"\nsamples = []\n[[rules]]\nwhen = {{ a = [{many}] }}\n')
    with pytest.raises(ValueError, match="n: at most 64 conditions with ~ or \\^ in one table"):
        Decoder.build([Topic(name="*", tenant="t")], tables={"n": table})
