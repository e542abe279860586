"""How many notifications a tenant gets: a token bucket that fills by the hour, with an urgent lane beside it.

What does not fit is held, not lost: the incident stands in the list, only nobody is called.
"""

from __future__ import annotations

from typing import NamedTuple

DAY = 86_400_000_000  # µs
BURST = 0.25  # share of a day's budget that may go at once: one bad hour must not use up the day


class Bucket(NamedTuple):
    """Notifications that may go now, and the clock time (µs) for which that was computed."""

    tokens: float
    at: int


def full(per_day: int, now: int) -> Bucket:
    """The bucket of a tenant that was never notified."""
    return Bucket(_capacity(per_day), now)


def decide(bucket: Bucket, per_day: int, urgent: bool, now: int) -> tuple[Bucket, str]:
    """Whether a notification goes out: "sent" or "held". Urgent ones always go, and cost nothing."""
    elapsed = max(0, now - bucket.at)
    tokens = min(_capacity(per_day), bucket.tokens + per_day * elapsed / DAY)
    refilled = Bucket(tokens, max(now, bucket.at))
    if urgent:
        return refilled, "sent"
    if tokens < 1:
        return refilled, "held"
    return refilled._replace(tokens=tokens - 1), "sent"


def _capacity(per_day: int) -> float:
    return max(1.0, per_day * BURST)
