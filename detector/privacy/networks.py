"""What an address is: outside, a named network, or inside and unlisted. Longest prefix wins, found by binary search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.config import Network
from detector.privacy.siphash import sip

PLAIN_KINDS = ("server", "dmz")
MAPPED = 0xFFFF << 32  # IPv4 addresses lie at ::ffff:a.b.c.d
INSIDE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "0.0.0.0/8", "240.0.0.0/4", "::/0")
ROUTED = ("2000::/3", "64:ff9b::/96", "::ffff:0:0/96")  # all of IPv6 that the internet routes, and where IPv4 lies
# What nobody routes is inside or a misread inside address (`for fd00:77::3` with `fd00` taken for an interface), so a token.
NOBODY = ("127.0.0.0/8", "0.0.0.0/32", "224.0.0.0/4", "255.255.255.255/32", "::/128", "::1/128", "ff00::/8")  # name no machine
EMBEDDING = ((0, 96), (0x64FF9B << 96, 96), (0x2002 << 112, 16))  # ::a.b.c.d, NAT64, 6to4: an IPv4 address within an IPv6 one
ABSENT, PLAIN, TOKEN = 0, 1, 2
OUTSIDE, SPECIAL, UNLISTED = 0, 1, 2  # the first entries of every table


@dataclass(frozen=True, slots=True)
class NetworkTable:
    """The address space of one tenant cut into stretches, each belonging to one entry.

    begin_hi, begin_lo   uint64 (stretches), first address of each, ascending
    entry                int32 (stretches), index into the following
    plain, inside, vpn   bool (entries)
    names                name of each entry, "" for the first three (outside, special, inside but unlisted)
    """

    begin_hi: NDArray[np.uint64]
    begin_lo: NDArray[np.uint64]
    entry: NDArray[np.int32]
    plain: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    vpn: NDArray[np.bool_]
    names: tuple[str, ...]

    @classmethod
    def of(cls, networks: Iterable[Network]) -> NetworkTable:
        listed = list(networks)
        spans = [(*span(ip_network(cidr)), OUTSIDE) for cidr in ROUTED]
        spans += [(*span, UNLISTED) for cidr in INSIDE for span in _embedded(cidr)]
        spans += [(*span(ip_network(cidr)), SPECIAL) for cidr in NOBODY]
        spans += [(*span(ip_network(n.cidr, strict=False)), 3 + i) for i, n in enumerate(listed)]
        begins, entry = cut(spans)
        return cls(
            np.array([b >> 64 for b in begins], np.uint64),
            np.array([b & (2**64 - 1) for b in begins], np.uint64),
            entry,
            np.array([True, True, False, *(n.kind in PLAIN_KINDS for n in listed)]),
            np.array([False, True, True, *(True for _ in listed)]),
            np.array([False, False, False, *(n.kind == "vpn" for n in listed)]),
            ("", "", "", *(n.name if n.name != "" else n.cidr for n in listed)),
        )

    def entry_of(self, address: str) -> int | None:
        """The entry of one written address, or None when the text is no address."""
        try:
            parsed = ip_address(address.split("%")[0])
        except ValueError:
            return None
        number = int(parsed) + (MAPPED if parsed.version == 4 else 0)
        return int(self.entry[find(np.uint64(number >> 64), np.uint64(number & (2**64 - 1)), self.begin_hi, self.begin_lo)])


def span(network: IPv4Network | IPv6Network) -> tuple[int, int, int]:
    """First address, address after the last, prefix length; all in the 128-bit space."""
    base, prefix = int(network.network_address), network.prefixlen
    if network.version == 4:
        base, prefix = base + MAPPED, prefix + 96
    return base, base + (1 << (128 - prefix)), prefix


def _embedded(cidr: str) -> list[tuple[int, int, int]]:
    """The network itself and, for IPv4, the IPv6 addresses that carry its addresses inside them."""
    network = ip_network(cidr)
    spans = [span(network)]
    if network.version == 4:
        for base, offset in EMBEDDING:
            shift = 128 - offset - 32
            begin = base + (int(network.network_address) << shift)
            spans.append((begin, begin + (network.num_addresses << shift), offset + network.prefixlen))
    return spans


def cut(spans: list[tuple[int, int, int, int]]) -> tuple[list[int], NDArray[np.int32]]:
    """Disjoint stretches from nested networks: short prefixes are painted first, configured ones after built-in ones."""
    begins = sorted({0, *(s[0] for s in spans), *(s[1] for s in spans if s[1] < 2**128)})
    place = {begin: i for i, begin in enumerate(begins)}
    entry = np.zeros(len(begins), np.int32)
    for begin, end, _, which in sorted(spans, key=lambda s: (s[2], s[3])):
        entry[place[begin] : place.get(end, len(begins))] = which
    return begins, entry


@njit(cache=True, nogil=True)
def find(hi: np.uint64, lo: np.uint64, begin_hi: NDArray[np.uint64], begin_lo: NDArray[np.uint64]) -> int:
    """The stretch that holds the address (hi, lo)."""
    low, high = 0, len(begin_hi)
    while high - low > 1:
        middle = (low + high) >> 1
        if begin_hi[middle] < hi or (begin_hi[middle] == hi and begin_lo[middle] <= lo):
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _tokens(
    hi: NDArray[np.uint64],
    lo: NDArray[np.uint64],
    kind: NDArray[np.uint8],
    group: NDArray[np.uint32],
    keys: NDArray[np.uint64],
    begin_hi: NDArray[np.uint64],
    begin_lo: NDArray[np.uint64],
    entry: NDArray[np.int32],
    plain: NDArray[np.bool_],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint8], NDArray[np.int32]]:
    n = len(hi)
    out_hi, out_lo, out_kind = np.zeros(n, np.uint64), np.zeros(n, np.uint64), np.zeros(n, np.uint8)
    out_entry = np.full(n, -1, np.int32)
    for i in range(n):
        if kind[i] == ABSENT:
            continue
        which = entry[find(hi[i], lo[i], begin_hi, begin_lo)]
        out_entry[i] = which
        if plain[which]:
            out_hi[i], out_lo[i], out_kind[i] = hi[i], lo[i], PLAIN
        else:
            g = group[i]
            out_hi[i], out_lo[i] = sip(keys[g, 0], keys[g, 1], hi[i], lo[i])
            out_kind[i] = TOKEN
    return out_hi, out_lo, out_kind, out_entry


@dataclass(frozen=True, slots=True)
class Addresses:
    """One address column after privacy, and which entry of the table each address belongs to (-1 = absent)."""

    hi: NDArray[np.uint64]
    lo: NDArray[np.uint64]
    kind: NDArray[np.uint8]
    entry: NDArray[np.int32]


def pseudonyms(
    table: NetworkTable,
    hi: NDArray[np.uint64],
    lo: NDArray[np.uint64],
    kind: NDArray[np.uint8],
    group: NDArray[np.uint32],
    keys: NDArray[np.uint64],
) -> Addresses:
    """Addresses of the shape (n,); those that must not stay plain hashed under keys[group[i]], keys (groups, 2)."""
    return Addresses(*_tokens(hi, lo, kind, group, keys, table.begin_hi, table.begin_lo, table.entry, table.plain))
