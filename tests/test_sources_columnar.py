"""A record batch as columns holds what the client's own decoder reads from it, and breaks where that breaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from detector.records import Place
from detector.sources import columnar

PLACE = Place("t", 3)
START = 1_763_600_000_000

some_bytes = st.none() | st.binary(max_size=300)
headers = st.lists(st.tuples(st.text(max_size=5), some_bytes), max_size=3)
record = st.tuples(some_bytes, some_bytes, headers, st.integers(-10_000, 10_000))
Row = tuple[int, int, bytes | None]


def batch(rows: list[Any], codec: int = 0) -> bytearray:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for offset, (key, value, heads, late) in enumerate(rows):
        builder.append(offset, START + late, key, value, heads)
    return bytearray(builder.build())


def client_reads(raw: bytes | bytearray, first: int = 0) -> list[Row]:
    return [(r.offset, r.timestamp * 1000, r.value) for r in DefaultRecordBatch(raw) if r.offset >= first]


def columns_read(raw: bytes | bytearray, first: int = 0) -> list[Row]:
    records = columnar.decode(DefaultRecordBatch(raw), PLACE, first)
    assert records.places == (PLACE,)
    assert len(records.bounds) == len(records) + 1
    return [
        (int(records.offsets[row]), int(records.timestamps[row]), None if records.null[row] else records.value(row))
        for row in range(len(records))
    ]


@given(st.lists(record, min_size=1, max_size=20), st.integers(0, 20))
@settings(deadline=None)
def test_columns_hold_what_the_client_reads_from_any_offset_on(rows: list[Any], first: int) -> None:
    assert columns_read(batch(rows), first) == client_reads(batch(rows), first)


@given(st.lists(record, min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=300)
def test_a_damaged_payload_never_reads_differently(rows: list[Any], data: st.DataObject) -> None:
    raw = batch(rows)
    at = data.draw(st.integers(DefaultRecordBatch.HEADER_STRUCT.size, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        expected = client_reads(raw)
    except CorruptRecordError:
        return  # a bad header text is an error there and never read here; everything else is covered by the next test
    assert columns_read(raw) == expected


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_payload_that_ends_too_early_is_corrupt(cut: int) -> None:
    raw = batch([(b"key", b"value", [("h", b"v")], 0)])[:-cut]
    with pytest.raises(CorruptRecordError, match="batch at offset 0 of t/3 is not a sequence of 1 records"):
        columns_read(raw)


@given(st.binary(min_size=0, max_size=60))
@example(b"\xff" * 60)
@settings(deadline=None)
def test_any_bytes_are_decoded_or_refused_but_never_read_past(payload: bytes) -> None:
    raw = batch([(None, b"", [], 0)])[: DefaultRecordBatch.HEADER_STRUCT.size] + payload
    try:
        records = columnar.decode(DefaultRecordBatch(raw), PLACE, 0)
    except CorruptRecordError:
        return
    assert records.bounds[-1] <= len(payload)
    assert np.all(np.diff(records.bounds) >= 0)
