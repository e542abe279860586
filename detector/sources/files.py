"""Lines of files as records: offset = line number from 0, timestamp = the file's modification time."""

from __future__ import annotations

import gzip
import io
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from detector.records import Place, Records
from detector.sources.contract import SourceError

CHUNK = 4 << 20  # bytes per file and poll
LONGEST = 16 << 20  # bytes without a line end that are kept waiting for one; more becomes a record of its own
STDIN = Path("-")
PAUSE = 0.2  # s between two looks at files that we follow


class FileSource:
    """A `Source` over files (also .gz, and "-" for standard input); with `follow` it waits for more, over rotation too."""

    def __init__(self, paths: Sequence[Path], *, follow: bool = False, chunk: int = CHUNK) -> None:
        self._follow = follow
        self._files = {Place(str(path), 0): _File(path, chunk) for path in paths}
        self._held: frozenset[Place] = frozenset()

    def poll(self, seconds: float) -> list[Records]:
        deadline = time.monotonic() + seconds
        while True:
            found = [self._read(place) for place in self._files if place not in self._held]
            found = [records for records in found if len(records) > 0]
            if found or not self._follow or time.monotonic() >= deadline:
                return found
            time.sleep(min(PAUSE, seconds))

    def _read(self, place: Place) -> Records:
        file = self._files[place]
        lines = file.read(last=not self._follow)
        if self._follow and len(lines) == 0:
            lines = file.reopen_when_rotated()
        values, bounds = lines.values, lines.bounds
        n = len(bounds) - 1
        offsets = np.arange(file.lines - n, file.lines, dtype=np.int64)
        return Records(values, bounds, np.zeros(n, np.bool_), np.zeros(n, np.int32), offsets, np.full(n, file.modified, np.int64), (place,))

    def behind(self) -> Mapping[Place, int]:
        """Bytes instead of records: nobody counts lines ahead."""
        return {place: file.left() for place, file in self._files.items()}

    def position(self, place: Place) -> int:
        return self._files[place].lines

    def lost(self) -> frozenset[Place]:
        return frozenset()

    def hold(self, places: Collection[Place]) -> None:
        self._held = frozenset(places)

    def seek(self, place: Place, offset: int) -> None:
        self._files[place].seek(offset)

    def rewind(self) -> None:
        raise SourceError("files have no committed offsets: whoever reads them keeps its place and comes back with seek")

    def close(self) -> None:
        for file in self._files.values():
            file.stream.close()


class _Lines:
    """Lines without their ends, as in `Records`."""

    def __init__(self, values: NDArray[np.uint8], bounds: NDArray[np.int64]) -> None:
        self.values, self.bounds = values, bounds

    def __len__(self) -> int:
        return len(self.bounds) - 1


class _File:
    def __init__(self, path: Path, chunk: int) -> None:
        self.path, self.chunk = path, chunk
        self.lines = 0  # handed over
        self._skip = 0  # still to be passed over after a seek
        self._rest = b""  # the beginning of a line whose end has not come yet
        self._open()

    def _open(self) -> None:
        try:
            self.stream: BinaryIO = sys.stdin.buffer if self.path == STDIN else _open(self.path)
            self._inode = 0 if self.path == STDIN else self.path.stat().st_ino
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}") from error

    @property
    def modified(self) -> int:
        return time.time_ns() // 1000 if self.path == STDIN else os.fstat(self.stream.fileno()).st_mtime_ns // 1000

    def left(self) -> int:
        """Bytes of the file that have not been read; for compressed files 1 until the end is reached."""
        if self.path == STDIN or self.path.suffix == ".gz":
            return 0 if self.stream.closed else len(self.stream.peek(1)[:1])  # type: ignore[attr-defined]  # all of ours are buffered
        return max(os.fstat(self.stream.fileno()).st_size - self.stream.tell(), 0) + len(self._rest)

    def read(self, *, last: bool) -> _Lines:
        """The lines that end in the next chunk; with `last` also the one that the file's end cuts off."""
        data = self.stream.read(self.chunk)
        whole = self._rest + data
        complete = (last and data == b"") or (len(whole) > LONGEST and b"\n" not in data)
        end = len(whole) if complete else whole.rfind(b"\n") + 1
        self._rest = whole[end:]
        return self._count(split(whole[:end]))

    def _count(self, lines: _Lines) -> _Lines:
        passed = min(self._skip, len(lines))
        self._skip -= passed
        if passed > 0:
            lines = _Lines(lines.values[lines.bounds[passed] :], lines.bounds[passed:] - lines.bounds[passed])
        self.lines += len(lines)
        return lines

    def reopen_when_rotated(self) -> _Lines:
        """The last line of the old file when a new one lies under the name, and from then on the new one's."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return split(b"")  # between two files
        if now.st_ino == self._inode and now.st_size >= self.stream.tell():
            return split(b"")
        cut, self._rest = self._rest, b""
        self.stream.close()
        self._open()
        return self._count(split(cut))

    def seek(self, line: int) -> None:
        if self.path == STDIN:
            raise SourceError("standard input cannot be read twice")
        self.stream.seek(0)
        self._rest, self._skip, self.lines = b"", line, line


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"))
    return path.open("rb")


def split(data: bytes) -> _Lines:
    """Lines of `data`, which ends with a line end or is the rest of a file; a carriage return before the end goes too."""
    buffer = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(buffer == ord("\n"))
    keep = np.ones(len(buffer), np.bool_)
    keep[ends] = False
    returns = ends[ends > 0] - 1
    keep[returns[buffer[returns] == ord("\r")]] = False
    if len(buffer) > 0 and (len(ends) == 0 or ends[-1] != len(buffer) - 1):
        ends = np.append(ends, len(buffer))
    kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep, dtype=np.int64)])
    return _Lines(buffer[keep], np.concatenate([np.zeros(1, np.int64), kept[ends]]))
