"""The JSON tokenizer: the wanted paths, in every way they may be written, and the structure that must be whole."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.decode import jsonpath
from detector.decode.scan import readonly
from detector.decode.spans import BAD_JSON, OK
from detector.decode.table import Json, Table, Texts

Found = tuple[int, dict[str, bytes]]


def read(lines: list[bytes], *fields: str, names: dict[str, Texts] | None = None) -> list[Found]:
    """(status, values) of each line."""
    chosen = Table("try", "try", "json", [], json=Json(names={} if names is None else names))
    values = readonly(np.frombuffer(b"".join(lines) + b"\0", np.uint8))
    length = np.array([len(line) for line in lines], np.int64)
    stop = np.cumsum(length)
    start = stop - length
    found = jsonpath.build(chosen, fields)(values, start, stop)
    return [
        (
            int(found.status[i]),
            {
                name: values[found.begin[i, k] : found.begin[i, k] + found.length[i, k]].tobytes()
                for k, name in enumerate(fields)
                if found.length[i, k] >= 0
            },
        )
        for i in range(len(lines))
    ]


def one(line: bytes, *fields: str, names: dict[str, Texts] | None = None) -> Found:
    return read([line], *fields, names=names)[0]


def test_a_path_is_found_nested_dotted_and_in_any_mixture() -> None:
    for line in (b'{"a":{"b":{"c":7}}}', b'{"a.b.c":7}', b'{"a":{"b.c":7}}', b' { "a.b" : { "c" : 7 } } '):
        assert one(line, "a.b.c") == (OK, {"a.b.c": b"7"})


def test_keys_that_only_look_alike_are_not_taken() -> None:
    assert one(b'{"x":{"b":1},"ab":2,"a":{"bc":3},"A":{"b":4}}', "a.b") == (OK, {})


def test_values_are_texts_without_their_quotes_numbers_and_truth_values() -> None:
    assert one(b'{"t":"x y","n":-1.5e3,"b":true,"z":null,"e":""}', "t", "n", "b", "z", "e") == (
        OK,
        {"t": b"x y", "n": b"-1.5e3", "b": b"true"},
    )


def test_escapes_stay_inside_and_do_not_end_a_text() -> None:
    assert one(rb'{"k":"a\"}{\\","u":"m\u00fcller"}', "k", "u") == (OK, {"k": rb"a\"}{\\", "u": rb"m\u00fcller"})


def test_of_a_list_the_first_element_that_answers_is_taken() -> None:
    assert one(b'{"d":[{"x":1},{"m":"otp"},{"m":"sms"}],"c":["network","session"],"l":[]}', "d.m", "c", "l") == (
        OK,
        {"d.m": b"otp", "c": b"network"},
    )


def test_a_list_can_be_had_as_it_is_written() -> None:
    assert one(b'{"c":["network","session"],"o":"one"}', "c[]", "c", "o[]") == (
        OK,
        {"c[]": b'["network","session"]', "c": b"network", "o[]": b"one"},
    )


def test_of_several_paths_for_one_name_the_first_named_wins_wherever_it_stands() -> None:
    names: dict[str, Texts] = {"id": ["winlog.id", "EventID"]}
    assert one(b'{"EventID":1,"winlog":{"id":2}}', "id", names=names) == (OK, {"id": b"2"})
    assert one(b'{"EventID":1}', "id", names=names) == (OK, {"id": b"1"})


def test_the_first_of_two_equal_keys_counts() -> None:
    assert one(b'{"a":1,"a":2}', "a") == (OK, {"a": b"1"})


BROKEN = [
    b"", b"{", b"}", b"[]", b'"x"', b"7", b'{"a":1}x', b'{"a":}', b'{"a"}', b'{"a":[}', b'{"a":[1,]}', b'{"a":1,}', b'{,"a":1}', b'{"a":1]',
    b'{"a":"x', b'{"a":"\\"}', b'{"a" 1}', b'{a:1}', b'{"a":x}', b'{"a":{"b":1}', b'{"a":' * 80 + b"1" + b"}" * 80, b'{"a":1}{"a":2}',
]  # fmt: skip


def test_a_broken_object_is_refused_and_leaves_its_neighbours_alone() -> None:
    lines = [line for broken in BROKEN for line in (b'{"a":"good"}', broken)]
    answers = read(lines, "a")
    assert answers[0::2] == [(OK, {"a": b"good"})] * len(BROKEN)
    assert [status for status, _ in answers[1::2]] == [BAD_JSON] * len(BROKEN)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "x.y", ""]), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c", "é"]), VALUES, max_size=4)


def expected(value: object, path: list[str]) -> object | None:
    """The first scalar at the path, by Python's own reader. Lists are transparent; null and "" do not answer."""
    if isinstance(value, list):
        return next((found for found in (expected(item, path) for item in value) if found is not None), None)
    if isinstance(value, dict):
        return expected(value[path[0]], path[1:]) if path and path[0] in value else None
    return None if path or value == "" else value


@settings(max_examples=300, deadline=None)
@given(OBJECTS, st.booleans())
def test_it_finds_what_pythons_reader_finds(document: dict[str, object], ascii_only: bool) -> None:
    line = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    status, values = one(line, "a", "a.b", "b.c", "c.a.b")
    assert status == OK
    for path in ("a", "a.b", "b.c", "c.a.b"):
        wanted = expected(document, path.split("."))
        got = values.get(path)
        assert (
            wanted is None
            if got is None
            else json.dumps(wanted, ensure_ascii=ascii_only).strip('"').encode("utf-8", "surrogatepass") == got.strip(b'"')
        )


@settings(max_examples=300, deadline=None)
@given(OBJECTS, st.data())
def test_an_object_that_was_cut_is_never_read(document: dict[str, object], data: st.DataObject) -> None:
    line = json.dumps(document).encode()
    cut = data.draw(st.integers(0, len(line) - 1))
    assert one(line[:cut], "a", "b")[0] == BAD_JSON
