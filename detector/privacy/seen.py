"""`privacy.person_memory = "first-seen"`: one keyed hash per question, which SCORE's filters can be asked but not listed.

Questions: has this account used this provider, this time of day from inside or outside, has it been here at all?
These hashes do not change with the epoch, so they exist only where the mode was chosen.
"""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.privacy.accounts import Accounts
from detector.privacy.keys import Keyring
from detector.privacy.networks import MAPPED, NetworkTable
from detector.privacy.siphash import mix, words
from detector.privacy.texts import Rows

BAND_HOURS = 4
IPV4 = np.uint64(MAPPED >> 32)


def columns(
    keyring: Keyring, accounts: Accounts, tenant: str, networks: NetworkTable, events: Rows, entry: NDArray[np.int32]
) -> dict[str, pl.Series]:
    """seen.account, seen.provider and seen.band of each login, 0 elsewhere; seen.region stays 0 without a region table.

    events   the plain events of a shard, n rows
    entry    int32 (n), what the source address is, see NetworkTable
    """
    account = _account_hash(keyring, accounts, tenant, events)
    once = np.zeros(len(events), np.uint32)
    answers = {
        "account": np.zeros(len(events), np.uint64),
        "provider": _provider(networks, events, entry),
        "band": _band(networks, events, entry),
    }
    return {
        f"seen.{name}": pl.Series(f"seen.{name}", mix(words(keyring.lasting(tenant, f"seen {name}")).reshape(1, 2), once, account, answer))
        for name, answer in answers.items()
    }


def _account_hash(keyring: Keyring, accounts: Accounts, tenant: str, events: Rows) -> NDArray[np.uint64]:
    """uint64 (n), one number per account; 0 for rows that are no login or name nobody."""
    key = keyring.lasting(tenant, "seen")
    codes, names = events.text("user.name")
    hashes = np.zeros(len(names), np.uint64)
    for at in np.flatnonzero(np.bincount(codes, minlength=len(names))).tolist():
        if names[at] != "":
            name = accounts.answer(names[at]).name.encode()
            hashes[at] = int.from_bytes(hashlib.blake2b(name, key=key, digest_size=8).digest(), "little") | 1
    category, categories = events.text("event.category")
    login = categories.index("authentication") if "authentication" in categories else -1
    return np.where(category == login, hashes[codes], np.uint64(0))


def _provider(networks: NetworkTable, events: Rows, entry: NDArray[np.int32]) -> NDArray[np.uint64]:
    """The /16 (IPv4) or /32 (IPv6) of an outside address, the network's name of an inside one; a table of ASs may follow."""
    hi = events.numbers("source.ip.hi").astype(np.uint64, copy=False)
    lo = events.numbers("source.ip.lo").astype(np.uint64, copy=False)
    outside = np.where((hi == 0) & (lo >> np.uint64(32) == IPV4), lo >> np.uint64(16), hi >> np.uint64(32))
    named = [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") for name in networks.names]
    inside = np.append(np.array(named, np.uint64), np.uint64(0))
    return np.where(np.append(networks.inside, True)[entry], inside[entry], outside)


def _band(networks: NetworkTable, events: Rows, entry: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Inside or outside, and which four hours of the day (UTC: an hour's shift in summer does not matter to a band)."""
    hours = events.numbers("@timestamp").astype(np.int64) // (BAND_HOURS * 3_600_000_000) % (24 // BAND_HOURS)
    return hours.astype(np.uint64) + np.where(np.append(networks.inside, True)[entry], np.uint64(100), np.uint64(0))
