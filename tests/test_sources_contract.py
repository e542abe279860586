"""Every source keeps the same promises: the memory one that ships for tests, files, and the real Kafka read in two ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kafka import KafkaProducer
from msgspec.structs import replace

from detector.records import Place, Records, concat, of_lines
from detector.sources import kafka
from detector.sources.contract import Source
from detector.sources.files import FileSource
from detector.sources.memory import MemorySource
from tests.broker import create_topic, settings, unique

LINES = {0: [b"a", b"", b"ccc", b"\xff\x00binary"] * 50, 1: [b"one", b"two"]}

Open = Callable[[dict[int, list[bytes]]], Source]
KAFKA = [pytest.param(f"kafka-{kind}", marks=pytest.mark.kafka) for kind in ("columnar", "stock")]


@pytest.fixture(params=["memory", "files", *KAFKA])
def open_source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """A function that writes the lines (by partition) and opens a source on them from the beginning."""
    with ExitStack() as stack:

        def opened(lines: dict[int, list[bytes]]) -> Source:
            source = OPENERS[request.param.split("-")[0]](request, tmp_path, lines)
            stack.callback(source.close)
            return source

        yield opened


def _memory(_request: pytest.FixtureRequest, _folder: Path, lines: dict[int, list[bytes]]) -> Source:
    return MemorySource([of_lines(values, Place("t", partition)) for partition, values in lines.items()], at_once=7)


def _files(_request: pytest.FixtureRequest, folder: Path, lines: dict[int, list[bytes]]) -> Source:
    for partition, values in lines.items():
        (folder / f"{partition}.log").write_bytes(b"".join(value + b"\n" for value in values))
    return FileSource([folder / f"{partition}.log" for partition in lines], chunk=64)


def _kafka(request: pytest.FixtureRequest, _folder: Path, lines: dict[int, list[bytes]]) -> Source:
    broker = request.getfixturevalue("broker")
    topic = create_topic(broker, unique("contract"), partitions=len(lines))
    with KafkaProducer(bootstrap_servers=broker.address, linger_ms=50, batch_size=200) as producer:
        for partition, values in lines.items():
            for value in values:
                producer.send(topic, value, partition=partition)
    config = settings(broker, topic)
    return kafka.reader(replace(config, reader=request.param.split("-")[1]), {Place(topic, partition): 0 for partition in lines})


OPENERS = {"memory": _memory, "files": _files, "kafka": _kafka}


def read(source: Source, count: int) -> dict[Place, Records]:
    """Poll until `count` records have come (or nothing more comes for 5 s)."""
    parts: dict[Place, list[Records]] = {}
    deadline = time.monotonic() + 5
    while count > 0 and time.monotonic() < deadline:
        for records in source.poll(0.2):
            (place,) = records.places
            parts.setdefault(place, []).append(records)
            count -= len(records)
    assert count == 0, f"{count} records have not come"
    return {place: concat(records) for place, records in sorted(parts.items())}


def values(records: Records) -> list[bytes]:
    return [records.value(row) for row in range(len(records))]


def test_every_record_comes_once_and_in_the_order_of_its_place(open_source: Open) -> None:
    found = read(open_source(LINES), 202)
    assert [values(records) for records in found.values()] == [LINES[0], LINES[1]]
    assert [records.offsets.tolist() for records in found.values()] == [list(range(200)), [0, 1]]


def test_nothing_more_comes_after_the_end_and_nobody_is_behind(open_source: Open) -> None:
    source = open_source(LINES)
    read(source, 202)
    assert source.poll(0.05) == []
    assert set(source.behind().values()) == {0}


def test_unread_records_show_as_behind(open_source: Open) -> None:
    assert min(open_source(LINES).behind().values()) > 0


def test_after_a_seek_everything_from_there_comes_again(open_source: Open) -> None:
    source = open_source(LINES)
    place = next(iter(read(source, 202)))
    source.seek(place, 133)
    again = read(source, 67)
    assert again[place].offsets.tolist() == list(range(133, 200))
    assert values(again[place]) == LINES[0][133:]


def test_the_position_is_the_offset_after_the_last_record(open_source: Open) -> None:
    source = open_source(LINES)
    places = list(read(source, 202))
    assert [source.position(place) for place in places] == [200, 2]


def test_a_held_place_sends_nothing_and_comes_back_whole(open_source: Open) -> None:
    source = open_source(LINES)
    held, free = sorted(source.behind())
    source.hold([held])
    assert set(read(source, 2)) == {free}
    assert source.poll(0.05) == []
    source.hold([])
    assert len(read(source, 200)[held]) == 200


def test_closing_twice_does_nothing(open_source: Open) -> None:
    source = open_source(LINES)
    source.close()
    source.close()
