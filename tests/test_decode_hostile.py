"""Bad input: no bytes crash the decoder, lose a record, or take a neighbour with them (I2)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.config import Topic
from detector.decode import Decoded, Decoder, to_json
from detector.decode.table import shipped
from detector.records import Place, of_lines

NOON = 1_772_450_000_000_000
SAMPLES = [sample.line.encode() for table in shipped().values() for sample in table.samples]
GOOD = next(s.line.encode() for s in shipped()["fortigate"].samples)
NAMES = [*shipped()]
BY_FORMAT = {name: Decoder.build([Topic(name="*", tenant="stadt", format=name)]) for name in ["auto", *NAMES]}


def _decode(lines: Sequence[bytes], format_: str = "auto") -> Decoded:
    return BY_FORMAT[format_].decode(of_lines(list(lines), Place("t", 0), timestamp=NOON))


def _assert_accounted(decoded: Decoded, n: int) -> None:
    """I2: every record is exactly one of event, reject, ignored."""
    rows = [
        *decoded.rows.tolist(),
        *(r.row for r in decoded.rejects),
        *(row for part in decoded.ignored_rows.values() for row in part.tolist()),
    ]
    assert sorted(rows) == list(range(n))
    assert len(decoded.events) == len(decoded.rows) == len(decoded.origin)
    assert {name: len(rows) for name, rows in decoded.ignored_rows.items()} == dict(decoded.ignored)


HOSTILE = {
    "empty": b"",
    "blank": b" \t\r\n",
    "nul": b"\0" * 100,
    "one NUL inside": GOOD.replace(b"fw-rathaus", b"fw\0rathaus"),
    "one megabyte": b"a" * 1_000_000,
    "one megabyte of pairs": b'devid=1 type="traffic" ' * 45_000,
    "one megabyte of one value": b'<189>date=2026-03-02 time=08:15:30 devid="x" type="traffic" srcip="' + b"1" * 200_000,
    "broken UTF-8": GOOD.replace(b"fw-rathaus", b"fw\xff\xfe\xc3rathaus"),
    "half a JSON object": b'{"event_type":"flow","timestamp":"2026-03-02T07:15:30.000000+0000","src_ip":"10.0',
    "deep JSON": b'{"a":' * 50_000,
    "deep lists": b'{"message":' + b"[" * 50_000,
    "overflowing numbers": GOOD.replace(b"srcport=51512", b"srcport=" + b"9" * 400),
    "year 9999": GOOD.replace(b"2026-03-02", b"9999-12-31").replace(b"eventtime=1772435730123456789", b"eventtime=253402300799000000000"),
    "no such address": GOOD.replace(b"srcip=10.1.20.30", b"srcip=999.1.1.1"),
    "only a priority": b"<134>",
    "an endless priority": b"<" + b"1" * 1000,
    "only a header": b"<134>Mar  2 08:15:30 host ",
    "an open quote": b'date=2026-03-02 time=08:15:30 devid="x" type="traffic" action="close',
    "a trailing backslash": b'date=2026-03-02 time=08:15:30 devid="x" type="traffic" user="\\',
    "RFC 5424 with open structured data": b'<134>1 2026-03-02T08:15:30Z host app 1 - [a b="c',
    "CEF of pipes": b"CEF:" + b"|" * 5000,
    "CEF of backslashes": b"CEF:0|a|b|c|d|e|f|" + b"\\" * 5001,
    "commas": b"1,2026/03/02 08:15:30,1,TRAFFIC," + b"," * 5000,
    "quotes": b"1,2026/03/02 08:15:30,1,TRAFFIC," + b'"' * 5001,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_line_ends_as_event_or_dead_letter_and_its_neighbours_are_read_as_if_it_were_not_there(name: str) -> None:
    alone = to_json(_decode([GOOD]), 1)[0]
    decoded = _decode([GOOD, HOSTILE[name], GOOD])
    _assert_accounted(decoded, 3)
    answers = to_json(decoded, 3)
    assert answers[0] == answers[2] == alone
    assert answers[1] != {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"", "empty"), (b" \r\n", "empty"), (b"a" * 1_000_000, "too-long"), (b"nobody knows this line", "unknown-format")],
)
def test_a_dead_letter_names_its_reason_by_a_code(line: bytes, reason: str) -> None:
    assert [(r.row, r.reason) for r in _decode([line]).rejects] == [(0, reason)]


def test_a_record_without_any_value_is_a_dead_letter() -> None:
    records = of_lines([GOOD, b""], Place("t", 0), timestamp=NOON)
    records.null[1] = True
    assert [(r.row, r.reason) for r in BY_FORMAT["auto"].decode(records).rejects] == [(1, "empty")]


def test_values_that_cannot_be_converted_are_absent_and_the_event_stays() -> None:
    broken = to_json(_decode([HOSTILE["no such address"], HOSTILE["overflowing numbers"], HOSTILE["year 9999"]]), 3)
    whole = to_json(_decode([GOOD]), 1)[0]
    assert broken[0] == {k: v for k, v in whole.items() if k != "source.ip"}
    assert broken[1] == {k: v for k, v in whole.items() if k != "source.port"}
    assert broken[2] == whole | {"@timestamp": "2026-03-02T11:13:20Z"}  # the record's time stands in


def test_a_line_without_any_time_is_a_dead_letter_when_the_record_has_none_either() -> None:
    line = b'devid="x" type="traffic" subtype="forward" srcip=10.0.0.1 dstip=10.0.0.2 action="close"'
    decoded = BY_FORMAT["auto"].decode(of_lines([line], Place("t", 0), timestamp=0))
    assert [(r.format, r.reason) for r in decoded.rejects] == [("fortigate", "no-timestamp")]


def test_texts_hold_no_nul_no_broken_utf8_and_are_not_endless() -> None:
    lines = [HOSTILE["one NUL inside"], HOSTILE["broken UTF-8"], GOOD.replace(b"fw-rathaus", b"f" * 300)]
    names = [str(answer["observer.name"]) for answer in to_json(_decode(lines), 3)]
    assert names[0] == "fw\ufffdrathaus"
    assert names[1].startswith("fw\ufffd")
    assert names[2] == "f" * 256


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample line with a few pieces cut out, doubled, overwritten or swapped for hostile bytes."""
    line = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(line)))
        end = min(len(line), at + draw(st.integers(0, 12)))
        piece = draw(
            st.sampled_from([b"", b'"', b"\\", b"=", b"|", b",", b"{", b"}", b"\0", b"\xff", b"[", b" ", b":", bytes(line[at:end]) * 3])
        )
        line[at:end] = piece + draw(st.binary(max_size=3))
    return bytes(line)


def _check(lines: list[bytes], format_: str) -> None:
    decoded = _decode([*lines, GOOD], format_)
    _assert_accounted(decoded, len(lines) + 1)
    assert {} not in to_json(decoded, len(lines) + 1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(mutated(), st.binary(max_size=200)), max_size=20), st.sampled_from(["auto", *NAMES]))
def test_records_are_events_plus_ignored_plus_dead_letters_whatever_the_bytes(lines: list[bytes], format_: str) -> None:
    _check(lines, format_)


@pytest.mark.soak
@settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(mutated(), st.binary(max_size=400)), max_size=30), st.sampled_from(["auto", *NAMES]))
def test_records_are_events_plus_ignored_plus_dead_letters_whatever_the_bytes_at_length(lines: list[bytes], format_: str) -> None:
    _check(lines, format_)


@settings(max_examples=60, deadline=None)
@given(st.lists(mutated(), min_size=1, max_size=12))
def test_an_answer_does_not_depend_on_the_other_lines_of_the_batch(lines: list[bytes]) -> None:
    together = to_json(_decode(lines), len(lines))
    assert together == [to_json(_decode([line]), 1)[0] for line in lines]


CEF_PAIRS = [
    "src=203.0.113.9",
    "dst=198.51.100.1",
    "spt=40000",
    "act=blocked",
    "msg=a b=c \\= d",
    "suser=anna",
    "xsrc=1",
    "proto=TCP",
    "rt=1772435730123",
]
HEADERS = [
    "CEF:0|Example Corp|Gate|1.0|100|refused|5|",
    "CEF:0|Example Corp|Gate|1.0|100|refused|55|",
    "CEF:0|A|G\\|x|1|7|login|5|",
    "CEF:0|Example",
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(HEADERS), st.permutations(CEF_PAIRS), st.integers(0, len(CEF_PAIRS))), min_size=2, max_size=12))
def test_a_cef_line_is_read_alike_whatever_header_and_order_of_keys_the_lines_before_it_had(
    drawn: list[tuple[str, list[str], int]],
) -> None:
    lines = [(header + " ".join(pairs[:kept])).encode() for header, pairs, kept in drawn]
    assert to_json(_decode(lines, "cef"), len(lines)) == [to_json(_decode([line], "cef"), 1)[0] for line in lines]
