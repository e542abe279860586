"""What decoding a batch yields: events, dead letters and ignored lines; together they are exactly the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray


class Origin(NamedTuple):
    """Who sent a line: decided by `[[topics]]` and `[[observers]]`. The shard is tenant or tenant/site."""

    tenant: str
    site: str
    timezone: str

    @property
    def shard(self) -> str:
        return f"{self.tenant}/{self.site}" if self.site != "" else self.tenant


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that nobody could read: where it is and why. Never its content."""

    row: int  # index into the Records of the batch
    origin: int
    format: str  # "" when nothing claimed the line
    reason: str  # a code such as bad-json, too-long, no-timestamp, unknown-format; never a quotation


@dataclass(frozen=True, slots=True)
class Decoded:
    """records = len(rows) + len(rejects) + sum(ignored.values()), always (I2).

    events   frame of `ecs.NAMES`, plain values, in record order; provenance columns filled
    rows     int64 (events), the record each event came from, strictly increasing
    origin   int32 (events), index into origins
    """

    events: pl.DataFrame
    rows: NDArray[np.int64]
    origin: NDArray[np.int32]
    origins: tuple[Origin, ...]
    rejects: tuple[Reject, ...]
    ignored: Mapping[str, int]  # by format
    ignored_rows: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)  # by format, which records those were
