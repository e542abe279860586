"""Recorded days: the events of log files, and what a labels.jsonl says about some of their lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from detector.config import Config
from detector.decode import ecs
from detector.features.columns import times
from detector.learn.backtest.placing import BacktestError
from detector.learn.backtest.stream import Batch, Happened

I64 = NDArray[np.int64]
HOUR, DAY = 3_600_000_000, 86_400_000_000  # µs
STEP = 2 * HOUR


class Labelled(Struct, frozen=True):
    """A line of labels.jsonl as `tuermer simulate` writes it: which lines of which topics (file names without ending) are an attack's."""

    id: int
    kind: str
    technique: str
    start_: datetime = msgspec.field(name="start")
    end_: datetime = msgspec.field(name="end")
    lines: dict[str, list[int]]
    strength: str = "usual"
    site: str = ""

    @property
    def number(self) -> int:
        return self.id + 1  # 0 means honest

    @property
    def start(self) -> int:
        return round(self.start_.timestamp() * 1e6)

    @property
    def end(self) -> int:
        return round(self.end_.timestamp() * 1e6)


def read_labels(path: Path) -> tuple[Labelled, ...]:
    """Raises BacktestError for a file that cannot be read or is not what `tuermer simulate` writes."""
    try:
        lines = path.read_bytes().splitlines()
        return tuple(msgspec.json.decode(line, type=Labelled) for line in lines)
    except OSError as error:
        raise BacktestError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BacktestError(f"{path} does not look like the labels of `tuermer simulate`: {error}") from error


@dataclass(frozen=True, slots=True)
class RecordedDays:
    """Events by shard, sorted by time; days are 24 hours from the first event's midnight (UTC)."""

    config: Config
    events: Mapping[str, pl.DataFrame]
    attacks: Sequence[Happened] = ()
    lines: Mapping[str, Mapping[int, I64]] = field(default_factory=dict)  # topic -> attack number -> line numbers

    @classmethod
    def of(cls, config: Config, events: Mapping[str, pl.DataFrame], labels: Sequence[Labelled]) -> RecordedDays:
        """Raises BacktestError where there are no events."""
        if sum(map(len, events.values())) == 0:
            raise BacktestError("the files hold no events that could be judged")
        lines: dict[str, dict[int, I64]] = {}
        for label in labels:
            for topic, rows in label.lines.items():
                lines.setdefault(topic, {})[label.number] = np.array(rows, np.int64)
        return cls(config, events, labels, lines)

    @property
    def start(self) -> int:
        return min(int(times(frame)[0]) for frame in self.events.values() if len(frame) > 0) // DAY * DAY

    @property
    def days(self) -> int:
        """How many days begin before the last event."""
        last = max(int(times(frame)[-1]) for frame in self.events.values() if len(frame) > 0)
        return (last - self.start) // DAY + 1

    def batches(self) -> Iterator[Batch]:
        for begin in range(self.start, self.start + self.days * DAY, STEP):
            parts = {shard: _between(frame, begin, begin + STEP) for shard, frame in self.events.items()}
            present = {shard: frame for shard, frame in parts.items() if len(frame) > 0}
            truth = {shard: self._truth(frame) for shard, frame in present.items()}
            yield Batch((begin - self.start) // DAY, sum(map(len, present.values())), present, truth)

    def _truth(self, events: pl.DataFrame) -> I64:
        truth = np.zeros(len(events), np.int64)
        codes, names = ecs.codes(events, "log.topic"), ecs.values(events, "log.topic")
        offsets = events["log.offset"].to_numpy()
        for code, name in enumerate(names):
            for number, rows in self.lines.get(name.rsplit(".", 1)[0], {}).items():
                truth[(codes == code) & np.isin(offsets, rows)] = number
        return truth


def _between(events: pl.DataFrame, begin: int, end: int) -> pl.DataFrame:
    first, last = np.searchsorted(times(events), (begin, end))
    return events[int(first) : int(last)]
