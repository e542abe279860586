"""Files as a source: line ends, compressed files, files that grow and are rotated."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.records import Records
from detector.sources import files
from detector.sources.contract import SourceError
from detector.sources.files import FileSource


def read(source: FileSource) -> list[tuple[int, bytes]]:
    """Offset and value of everything that comes until nothing more does."""
    found: list[tuple[int, bytes]] = []
    while batches := source.poll(0):
        found += rows(batches)
    return found


def rows(batches: list[Records]) -> list[tuple[int, bytes]]:
    return [(int(records.offsets[row]), records.value(row)) for records in batches for row in range(len(records))]


@given(st.binary(max_size=80).map(lambda data: data.replace(b"z", b"\n")))
def test_lines_are_those_between_line_ends(data: bytes) -> None:
    found = files.split(data)
    expected = data.split(b"\n")
    expected = expected[:-1] if expected[-1] == b"" else expected
    mine = [found.values[a:b].tobytes() for a, b in zip(found.bounds[:-1], found.bounds[1:], strict=True)]
    ended = data.count(b"\n")
    assert mine == [line.removesuffix(b"\r") if i < ended else line for i, line in enumerate(expected)]


def test_a_last_line_without_end_counts_and_windows_line_ends_do_not(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\r\n\r\ntwo\nthree")
    source = FileSource([tmp_path / "a.log"], chunk=4)
    assert read_all(source) == [(0, b"one"), (1, b""), (2, b"two"), (3, b"three")]
    source.close()


def test_lines_longer_than_a_chunk_stay_whole(tmp_path: Path) -> None:
    lines = [b"x" * 1_000_000, b"y", b"z" * 70_000]
    (tmp_path / "a.log").write_bytes(b"\n".join(lines))
    source = FileSource([tmp_path / "a.log"], chunk=4096)
    assert [value for _, value in read_all(source)] == lines
    source.close()


def read_all(source: FileSource) -> list[tuple[int, bytes]]:
    """As `read`, though a poll may bring nothing while a long line is being read."""
    found: list[tuple[int, bytes]] = []
    while any(source.behind().values()):
        found += rows(source.poll(0))
    return found + read(source)


def test_compressed_files_are_read_like_others(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.log.gz", "wb") as file:
        file.write(b"one\ntwo\n" * 1000)
    source = FileSource([tmp_path / "a.log.gz"], chunk=100)
    assert [value for _, value in read_all(source)] == [b"one", b"two"] * 1000
    assert set(source.behind().values()) == {0}
    source.close()


def test_the_timestamp_is_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\n")
    source = FileSource([tmp_path / "a.log"])
    (records,) = source.poll(0)
    assert np.all(records.timestamps == (tmp_path / "a.log").stat().st_mtime_ns // 1000)
    source.close()


def test_following_waits_for_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntw")
    source = FileSource([path], follow=True)
    assert read(source) == [(0, b"one")]
    with path.open("ab") as file:
        file.write(b"o\nthree\n")
    assert read(source) == [(1, b"two"), (2, b"three")]
    source.close()


def test_following_goes_on_in_the_new_file_after_rotation(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntwo")
    source = FileSource([path], follow=True)
    assert read(source) == [(0, b"one")]
    path.rename(tmp_path / "a.log.1")
    assert read(source) == []
    path.write_bytes(b"new\n")
    assert read(source) == [(1, b"two"), (2, b"new")]
    source.close()


def test_following_notices_that_a_file_was_emptied(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntwo\n")
    source = FileSource([path], follow=True)
    assert len(read(source)) == 2
    path.write_bytes(b"new\n")
    assert read(source) + read(source) == [(2, b"new")]
    source.close()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"{tmp_path}/none.log cannot be read: No such file or directory"):
        FileSource([tmp_path / "none.log"])
