"""Which tokens of a batch were never given before in their epoch: a link is written for each, once."""

from __future__ import annotations

from ipaddress import IPv6Address

import numpy as np
from numpy.typing import NDArray

from detector.privacy.networks import TOKEN, Addresses
from detector.privacy.vault import Fresh

SLOTS = 1 << 18  # places of the filter, 2 MB; two frequent tokens in one place only cost a look into the set
KNOWN = 1_000_000  # tokens; beyond it they are forgotten and written once more, which changes nothing


class Collector:
    """Collects the new tokens of a batch until somebody takes them.

    Names come one by one, because their tokens are made once per epoch anyway. Addresses come as columns: a direct-mapped filter
    of those seen last lets a batch pass without any work in Python per row.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], set[str]] = {}
        self._filter = np.zeros(SLOTS, np.uint64)
        self._fresh: list[Fresh] = []

    def name(self, tenant: str, epoch: int, token: str, value: str) -> None:
        known = self._known.setdefault((tenant, epoch), set())
        if token not in known:
            known.add(token)
            self._fresh.append(Fresh(tenant, epoch, token, value))

    def addresses(self, tenant: str, epoch: NDArray[np.int32], hi: NDArray[np.uint64], lo: NDArray[np.uint64], shown: Addresses) -> None:
        """One address column: `hi`, `lo` as they came, `shown` as they go on; all of shape (n,)."""
        words = shown.hi ^ shown.lo  # as judge.entities.address_text shows them
        new = np.flatnonzero((self._filter[words & np.uint64(SLOTS - 1)] != words) & (shown.kind == TOKEN))
        if len(new) == 0:
            return
        first = new[np.unique(words[new], return_index=True)[1]]
        self._filter[words[first] & np.uint64(SLOTS - 1)] = words[first]
        for row in first.tolist():
            self.name(tenant, int(epoch[row]), f"ip-{int(words[row]):016x}", _text(int(hi[row]), int(lo[row])))

    def take(self) -> list[Fresh]:
        """What has come since it was last asked."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def forget(self, first: int) -> None:
        """Drops the tokens of epochs before `first`, and all of them when they are too many."""
        full = sum(map(len, self._known.values())) > KNOWN
        if full:
            self._filter[:] = 0
        self._known = {} if full else {key: tokens for key, tokens in self._known.items() if key[1] >= first}


def _text(hi: int, lo: int) -> str:
    address = IPv6Address(hi << 64 | lo)
    return str(address if address.ipv4_mapped is None else address.ipv4_mapped)
