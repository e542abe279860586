"""`privacy.person_memory = "first-seen"`: one keyed hash per question, which SCORE's filters can be asked but not listed.

Questions: has this account used this provider, this region, this time of day from inside or outside, has it been here at all?
These hashes do not change with the epoch, so they exist only where the mode was chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.privacy.accounts import Accounts
from detector.privacy.keys import Keyring
from detector.privacy.networks import MAPPED, NetworkTable
from detector.privacy.providers import Providers
from detector.privacy.siphash import mix, words
from detector.privacy.texts import Rows

BAND_HOURS = 4
IPV4 = np.uint64(MAPPED >> 32)


class Known(NamedTuple):
    """What one tenant's configuration says about accounts and addresses."""

    accounts: Accounts
    networks: NetworkTable
    providers: Providers


def columns(
    keyring: Keyring, tenant: str, known: Known, events: Rows, entry: NDArray[np.int32], provider: NDArray[np.int32]
) -> dict[str, pl.Series]:
    """seen.account, seen.provider, seen.region and seen.band of each login, 0 elsewhere; seen.region is 0 where no table names one.

    events     the plain events of a shard, n rows
    entry      int32 (n), what the source address is, see NetworkTable
    provider   int32 (n), whose network it is, see Providers; 0 unknown
    """
    account = _account_hash(keyring, known.accounts, tenant, events)
    once = np.zeros(len(events), np.uint32)
    region = _named([place.region for place in known.providers.of])[provider]
    answers = {
        "account": (account, np.zeros(len(events), np.uint64)),
        "provider": (account, _provider(known, events, entry, provider)),
        "region": (np.where(region != 0, account, np.uint64(0)), region),
        "band": (account, _band(known.networks, events, entry)),
    }
    return {
        f"seen.{name}": pl.Series(f"seen.{name}", mix(words(keyring.lasting(tenant, f"seen {name}")).reshape(1, 2), once, who, answer))
        for name, (who, answer) in answers.items()
    }


def _named(names: Sequence[str]) -> NDArray[np.uint64]:
    """A number for each name, 0 for ""."""
    digests = [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") | 1 if name != "" else 0 for name in names]
    return np.array(digests, np.uint64)


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


def _provider(known: Known, events: Rows, entry: NDArray[np.int32], provider: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Of an outside address the provider, without a table its /16 (IPv4) or /32 (IPv6); of an inside one the network's name."""
    hi = events.numbers("source.ip.hi").astype(np.uint64, copy=False)
    lo = events.numbers("source.ip.lo").astype(np.uint64, copy=False)
    around = np.where((hi == 0) & (lo >> np.uint64(32) == IPV4), lo >> np.uint64(16), hi >> np.uint64(32))
    named = _named([place.name for place in known.providers.of])[provider]
    inside = np.append(_named(known.networks.names), np.uint64(0))
    return np.where(np.append(known.networks.inside, True)[entry], inside[entry], np.where(named != 0, named, around))


def _band(networks: NetworkTable, events: Rows, entry: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Inside or outside, and which four hours of the day (UTC: an hour's shift in summer does not matter to a band)."""
    hours = events.numbers("@timestamp").astype(np.int64) // (BAND_HOURS * 3_600_000_000) % (24 // BAND_HOURS)
    return hours.astype(np.uint64) + np.where(np.append(networks.inside, True)[entry], np.uint64(100), np.uint64(0))
