"""`person_memory = "first-seen"`: on how many days did this account use this provider, region or time of day lately?

The keys are ROUTE's keyed hashes; what is remembered are bits in the rotating filters, which can be asked and not listed. Days
are counted, not logins, in unary: the n-th day adds the key (hash, n), up to 30. Each generation of the filters counts anew
and the larger count holds, otherwise every rotation would look like novelty.
"""

from __future__ import annotations

import math

import numpy as np

from detector.features import bloom
from detector.features.bloom import Bloom
from detector.features.hashing import combine
from detector.features.jit import part

MOST_DAYS = 30
KNOWN_DAYS = 3  # an account known on fewer days is not judged
_TODAY = np.uint64(0x70DA7)


@part
def _counted(filter_: Bloom, key: np.uint64) -> int:
    """Days in one generation: the largest n whose key is there."""
    low, high = 0, MOST_DAYS + 1
    while high - low > 1:
        middle = (low + high) >> 1
        if bloom.contains(filter_, combine(key, np.uint64(middle))):
            low = middle
        else:
            high = middle
    return low


@part
def days(now: Bloom, before: Bloom, key: np.uint64) -> float:
    """On how many days the key was seen, 0..30."""
    return float(max(_counted(now, key), _counted(before, key)))


@part
def note(now: Bloom, key: np.uint64, epoch: np.int32) -> None:
    """One more day, unless this day was counted."""
    today = combine(combine(key, _TODAY), np.uint64(epoch))
    if bloom.contains(now, today):
        return
    bloom.add(now, today)
    n = _counted(now, key)
    if n < MOST_DAYS:
        bloom.add(now, combine(key, np.uint64(n + 1)))


@part
def novelty(seen: float, of_days: float) -> float:
    """-log2((d + 1/2) / (n + 1)) of something the account did on d of its n days; 0 while the account is little known."""
    if of_days < KNOWN_DAYS:
        return 0.0
    return max(0.0, -math.log2((seen + 0.5) / (of_days + 1.0)))
