"""What the kernels read of an event frame besides identities: times and sides."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs
from detector.features.hashing import words

SOURCE_INSIDE, DESTINATION_INSIDE = 1, 2  # bits of `sides`
_DAY = 86_400_000_000  # µs
_DIRECTIONS = {"outbound": 1, "inbound": 2, "internal": 3}


def times(events: pl.DataFrame) -> NDArray[np.int64]:
    """Event times in µs, shape (n,); at most a day after the record's own time, so that one broken clock cannot freeze a counter."""
    time = ecs.numbers(events, "@timestamp").astype(np.int64, copy=False)
    created = ecs.numbers(events, "event.created").astype(np.int64, copy=False)
    # No time at all is one microsecond after the beginning: 0 means "never" to the counters.
    return np.maximum(1, np.where(created > 0, np.minimum(time, created + _DAY), time))


def sides(events: pl.DataFrame) -> NDArray[np.uint8]:
    """Which ends lie inside the tenant's networks, as two bits, shape (n,)."""
    return words(events, "network.direction", _DIRECTIONS)
