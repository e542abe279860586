"""The template tokenizer: which template takes a line, which bytes its holes hold, and that no line can stall it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.decode import template
from detector.decode.scan import readonly
from detector.decode.spans import IGNORED, NO_TEMPLATE, OK
from detector.decode.table import Table, Template


def table(*texts: str, prefix: str = "", ignore: tuple[str, ...] = (), otherwise: str = "ignore") -> Table:
    templates = [Template(text=text) for text in texts] + [Template(text=text, ignore=True) for text in ignore]
    kind = "ignore" if otherwise == "ignore" else "event"
    return Table("try", "try", "template", [], templates=templates, prefix=prefix, otherwise=kind)  # type: ignore[arg-type]  # a Literal


def read(chosen: Table, *lines: bytes, fields: tuple[str, ...] = ("user", "ip", "port", "word")) -> list[tuple[int, int, dict[str, bytes]]]:
    """(status, variant, holes) of each line."""
    values = readonly(np.frombuffer(b"".join(lines) + b"\0", np.uint8))
    length = np.array([len(line) for line in lines], np.int64)
    stop = np.cumsum(length)
    start = stop - length
    found = template.build(chosen, fields)(values, start, stop)
    return [
        (
            int(found.status[i]),
            int(found.variant[i]),
            {
                name: values[found.begin[i, k] : found.begin[i, k] + found.length[i, k]].tobytes()
                for k, name in enumerate(fields)
                if found.length[i, k] >= 0
            },
        )
        for i in range(len(lines))
    ]


def one(chosen: Table, line: bytes) -> tuple[int, int, dict[str, bytes]]:
    return read(chosen, line)[0]


def test_holes_hold_the_bytes_between_the_literals() -> None:
    login = table("login of {user} from {ip:ip} port {port:int}")
    assert one(login, b"login of anna from 192.0.2.7 port 22 ssh2") == (OK, 0, {"user": b"anna", "ip": b"192.0.2.7", "port": b"22"})


def test_a_name_that_imitates_the_rest_of_the_message_does_not_move_the_address() -> None:
    login = table("Invalid user {user:last} from {ip:ip}")
    line = b"Invalid user x from 198.51.100.1 from 203.0.113.9"
    assert one(login, line)[2] == {"user": b"x from 198.51.100.1", "ip": b"203.0.113.9"}


def test_the_first_or_the_last_place_that_fits_is_taken_and_earlier_misfits_are_taken_back() -> None:
    assert one(table("{user:until} at {port:int}"), b"a at b at 7 at 8")[2] == {"user": b"a at b", "port": b"7"}
    assert one(table("{user:last} at {port:int}"), b"a at 7 at 8 at x")[2] == {"user": b"a at 7", "port": b"8"}


def test_optional_parts_may_be_missing_and_leave_nothing_behind() -> None:
    optional = table("from {ip:ip}{? port {port:int}}{? user={user:rest}}")
    assert one(optional, b"from 192.0.2.7 port 22 user=a b ")[2] == {"ip": b"192.0.2.7", "port": b"22", "user": b"a b"}
    assert one(optional, b"from 192.0.2.7")[2] == {"ip": b"192.0.2.7"}
    half = table("{?{word} is }{user} done")
    assert one(half, b"anna done")[2] == {"user": b"anna"}


def test_alternatives_are_kept_under_their_name() -> None:
    verdict = table("access {word=permitted|denied} for {user}")
    assert one(verdict, b"access denied for anna")[2] == {"word": b"denied", "user": b"anna"}
    assert one(verdict, b"access maybe for anna")[:2] == (IGNORED, -1)
    assert one(verdict, b"access denied for ")[:2] == (NO_TEMPLATE, -1)


def test_the_longest_known_beginning_decides() -> None:
    chosen = table("Failed {word} for {user}", "Failed password for {user}", "{word} {user}")
    assert [variant for _, variant, _ in read(chosen, b"Failed password for a", b"Failed none for a", b"other a")] == [1, 0, 2]


def test_a_known_beginning_without_a_fitting_rest_is_refused_and_an_unknown_one_is_ignored() -> None:
    chosen = table("Failed password for {user} from {ip:ip}", ignore=("Failed ",))
    statuses = [status for status, _, _ in read(chosen, b"Failed password for anna", b"Failed to start", b"heartbeat", b"")]
    assert statuses == [NO_TEMPLATE, OK, IGNORED, IGNORED]
    assert one(chosen, b"Failed to start")[1] == 1  # the template that ignores; the decoder counts it so
    assert one(table("a {user}", otherwise="event"), b"heartbeat")[:2] == (OK, -1)


def test_what_stands_before_every_message_is_skipped_once() -> None:
    chosen = table("{word=302013}: Built {user}", prefix="{:until}%{=ASA|FTD}-{:int}-")
    assert one(chosen, b"fw1 100% %FTD-6-302013: Built it")[2] == {"word": b"302013", "user": b"it"}
    assert one(chosen, b"%XXX-6-302013: Built it")[:2] == (NO_TEMPLATE, -1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a {user:until}", "needs text after it"),
        ("a {user:until}{ip:ip}", "needs text after it"),
        ("a {user:number}", "whose type is none of word, int, ip, host, name, until, last, rest"),
        ("a {user", "has a brace that is never closed"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        template.build(table(text), ("user",))


def test_work_grows_with_the_length_of_the_line_however_ambiguous_it_is() -> None:
    nasty = table("x{:until}a{:until}a{:until}a{:until}a{:until}a{user:int}")
    read(nasty, b"xaaaaaa1")  # compiled
    begin = time.process_time()
    assert one(nasty, b"x" + b"a" * 100_000)[0] == NO_TEMPLATE
    assert time.process_time() - begin < 2.0  # unlimited it would take longer than the universe is old


PIECES = st.lists(
    st.sampled_from([b"a", b" from ", b"192.0.2.7", b" port ", b"22", b"Failed password for ", b"\0", b"\xff", b"{"]), max_size=12
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES.map(b"".join), max_size=8))
def test_holes_lie_inside_their_own_line_and_say_what_stands_there(lines: list[bytes]) -> None:
    chosen = table("Failed password for {user:last} from {ip:ip}{? port {port:int}}", "{word} {user:until} port {port:int}")
    for line, (status, variant, holes) in zip(lines, read(chosen, *lines), strict=True):
        assert status in (OK, NO_TEMPLATE, IGNORED)
        assert all(text in line for text in holes.values())
        assert holes.get("port", b"0").isdigit()
        assert read(chosen, line) == [(status, variant, holes)]
