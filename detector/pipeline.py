"""The two steps of the journey, as lists of calls. Neither touches network, disk or clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from detector.decode import ecs
from detector.decode.decoded import Decoded
from detector.judge.core import score_step
from detector.privacy.vault import Fresh
from detector.records import Records

__all__ = ["Counts", "Routed", "Router", "route_step", "score_step"]


class Decode(Protocol):
    """Step 1 of ROUTE: bytes -> ECS columns, plain."""

    def decode(self, records: Records) -> Decoded: ...


class Pseudonymise(Protocol):
    """Step 2 of ROUTE: from here on no plain person identifier exists."""

    def pseudonymise(self, decoded: Decoded) -> dict[str, pl.DataFrame]: ...

    def dead_letters(self, records: Records, decoded: Decoded) -> list[bytes]: ...

    def fresh(self) -> list[Fresh]: ...


@dataclass(frozen=True, slots=True)
class Router:
    """All that ROUTE needs besides the records: the format tables and the keys."""

    decoder: Decode
    privacy: Pseudonymise


@dataclass(frozen=True, slots=True)
class Counts:
    """The accounting of one batch: records = events + ignored + dead letters (I2)."""

    records: int
    events: Mapping[str, int]  # by format
    ignored: Mapping[str, int]  # by format
    dead_letters: Mapping[tuple[str, str], int]  # by (format, reason)

    @property
    def balanced(self) -> bool:
        return self.records == sum(self.events.values()) + sum(self.ignored.values()) + sum(self.dead_letters.values())


@dataclass(frozen=True, slots=True)
class Routed:
    """What ROUTE emits for one batch, in one Kafka transaction, and the new tokens whose links are kept before it."""

    events: Mapping[str, pl.DataFrame]  # by shard, record order kept
    dead_letters: list[bytes]
    counts: Counts
    fresh: Sequence[Fresh] = field(default=(), repr=False)


def route_step(records: Records, router: Router) -> Routed:
    """Carry one batch from bytes to pseudonymous events. Must not touch network, disk or clock."""
    decoded = router.decoder.decode(records)
    events = router.privacy.pseudonymise(decoded)
    dead_letters = router.privacy.dead_letters(records, decoded)
    counts = _count(records, decoded)
    if not counts.balanced:
        # Stopping is the only safe answer: going on would commit offsets past records that nobody accounted for.
        raise AssertionError(f"a batch of {counts.records} records came out as {counts}")
    return Routed(events, dead_letters, counts, router.privacy.fresh())


def _count(records: Records, decoded: Decoded) -> Counts:
    column = decoded.events["event.dataset"]
    per_code = np.bincount(ecs.codes(decoded.events, "event.dataset"), minlength=1) if len(column) else np.zeros(0, np.int64)
    names = ecs.values(decoded.events, "event.dataset")
    return Counts(
        records=len(records),
        events={names[code]: int(n) for code, n in enumerate(per_code) if n > 0},
        ignored=dict(decoded.ignored),
        dead_letters=dict(Counter((reject.format, reject.reason) for reject in decoded.rejects)),
    )
