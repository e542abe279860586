"""How many notifications a tenant gets: a token bucket filled by the hour, with a lane of its own for what is urgent.

Pure: the store calls `decide` inside its transaction, once per incident and change, with its own clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HOUR = 3_600_000_000  # µs
SENT: Literal["sent"] = "sent"
HELD: Literal["held"] = "held"
BURST = 0.25  # of the daily budget may leave at once; at least one


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left of the budget: notifications that may leave now, and when that was reckoned (µs since the epoch)."""

    tokens: float
    at: int


def full(per_day: int, now: int) -> Bucket:
    """The bucket of a tenant that was never notified."""
    return Bucket(_burst(per_day), now)


def _burst(per_day: int) -> float:
    return max(1.0, per_day * BURST)


def refill(bucket: Bucket, per_day: int, now: int) -> Bucket:
    """The bucket at `now`: whole hours give per_day / 24 each. A clock that went backwards gives nothing and takes nothing."""
    hours = max(0, now - bucket.at) // HOUR
    tokens = min(_burst(per_day), bucket.tokens + hours * per_day / 24)
    return Bucket(tokens, bucket.at + hours * HOUR)


def decide(bucket: Bucket, per_day: int, urgent: bool, now: int) -> tuple[Bucket, Literal["sent", "held"]]:
    """Whether one notification leaves. Urgent ones always do and cost nothing: they must not silence the others."""
    bucket = refill(bucket, per_day, now)
    if urgent:
        return bucket, SENT
    if bucket.tokens >= 1:
        return Bucket(bucket.tokens - 1, bucket.at), SENT
    return bucket, HELD
