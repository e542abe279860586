"""Who rents the city's people and its attackers their addresses: providers of homes, telephones, hotels and computers.

All lie in 198.18.0.0/15 (the benchmark range) and two documentation networks, cut into /24s; a provider has several that are
no neighbours, as real ones have. The names are invented, the shares are roughly those of the German market.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
SCANNERS = int(ip_address("198.18.0.0"))  # 32,768 addresses from which the internet knocks
_ABROAD = int(ip_address("198.18.128.0"))
_HOSTING, _MOBILE = int(ip_address("198.18.192.0")), int(ip_address("198.18.224.0"))
_HOME = int(ip_address("198.19.0.0"))
WORLD = int(ip_address("198.19.128.0"))  # servers that the city's people ask
PER_PREFIX = 250  # customers of a /24
COMMON = 5  # providers that many colleagues have; behind them the rare ones
_BIG = ("telnet-nord", "kabelwerk", "einsnetz", "funknetz-dsl", "stadtnetz")
_MIDDLE = ("glasfaser-west", "regiokom", "netzverbund", "dsl-haus", "landkabel")
_SYLLABLES = (("al", "ber", "dor", "eif", "hel", "kor", "lip", "mar", "ruhr", "sieg"), ("net", "kom", "kabel", "faser", "line"))
_COUNTRIES = tuple(["FR", "NL", "BE", "AT", "IT", "ES", "PL", "CZ", "DK", "GB", "PT", "GR", "HR", "TR", "US", "CH", "SE", "NO", "VN", "BR"])
_HOSTERS = (("rechenzentrum-eins", "DE"), ("wolke-nord", "DE"), ("serverhof", "FI"), ("blitzhost", "NL"), ("cheapvps", "US"),
    ("tunnelfix-vpn", "DE"), ("maskenball-vpn", "RO"))  # fmt: skip
_LANDS = ("NW", "NW", "NW", "NW", "NW", "NW", "HE", "NI", "RP", "BE", "BY", "BW", "HH", "SN")  # the city lies in North Rhine-Westphalia


class Provider(NamedTuple):
    """Whose customers have addresses in `prefixes` (first address of each /24), each with the region where it is used."""

    name: str
    kind: str  # home | mobile | hosting | relay
    prefixes: tuple[int, ...]
    regions: tuple[str, ...]  # ISO 3166-2 within Germany, otherwise the country
    daily: bool = False  # customers get another address every day


def _blocks(base: int, first: int, count: int) -> tuple[int, ...]:
    return tuple(base + 256 * (first + k) for k in range(count))


def _homes() -> list[Provider]:
    """Sixty domestic providers; the /24s are dealt out like cards, so that a provider's lie apart."""
    rng = np.random.default_rng(20)
    small = [a + b for b in _SYLLABLES[1] for a in _SYLLABLES[0]]
    names = (*_BIG, *_MIDDLE, *small)
    sizes = [10] * 5 + [4] * 5 + [1] * len(small)
    cards = (_HOME + 256 * rng.permutation(128)).tolist()
    providers = []
    for k, (name, size) in enumerate(zip(names, sizes, strict=True)):
        own, cards = cards[:size], cards[size:]
        lands = ["NW"] * size if name in ("stadtnetz", "glasfaser-west") else rng.choice(_LANDS, size).tolist()
        providers.append(Provider(name, "home", tuple(own), tuple(f"DE-{land}" for land in lands), daily=k % 3 != 1))
    return providers


HOMES = tuple(_homes())
MOBILES = tuple(Provider(name, "mobile", _blocks(_MOBILE, 8 * k, 8), ("DE-NW",) * 8, daily=True)
    for k, name in enumerate(("funknetz-eins", "funknetz-zwei", "funknetz-drei")))  # fmt: skip
ABROAD = tuple(Provider(f"telecom-{c.lower()}", "home", _blocks(_ABROAD, 3 * k, 3), (c,) * 3, daily=True) for k, c in enumerate(_COUNTRIES))
HOSTING = tuple(
    Provider(name, "hosting", _blocks(_HOSTING, 4 * k, 4), (f"DE-{_LANDS[k + 6]}" if c == "DE" else c,) * 4)
    for k, (name, c) in enumerate(_HOSTERS)
)
RELAY = Provider("apfel-relay", "relay", _blocks(_HOSTING, 28, 4), ("DE-NW",) * 4, daily=True)  # behind which telephones hide
RENTED = Provider("bulletproof", "hosting", (int(ip_address("198.51.100.0")), int(ip_address("192.0.2.0"))), ("MD", "SC"))
ALL = (*HOMES, *MOBILES, *ABROAD, *HOSTING, RELAY, RENTED)
_WEIGHTS = np.array([34.0, 20.0, 11.0, 8.0, 8.0, 2.5, 2.0, 1.8, 1.5, 1.2, *(10.0 * 0.94 ** np.arange(50) / 16.0)])
HOME_SHARES = np.cumsum(_WEIGHTS / _WEIGHTS.sum())


@lru_cache(maxsize=8)
def _table(kind: str) -> tuple[Int64, Int64]:
    """First addresses of every provider's /24s, one row each (repeated to equal length), and how many are its own."""
    providers = {"home": HOMES, "mobile": MOBILES, "abroad": ABROAD, "hosting": HOSTING, "relay": (RELAY,)}[kind]
    longest = max(len(p.prefixes) for p in providers)
    rows = [np.resize(p.prefixes, longest) for p in providers]
    return np.array(rows, np.int64), np.array([len(p.prefixes) for p in providers])


def chosen(dice: NDArray[np.float64]) -> Int64:
    """The home provider at each number from 0 to 1: few have most customers."""
    found: Int64 = np.minimum(np.searchsorted(HOME_SHARES, dice), len(HOMES) - 1).astype(np.int64)
    return found


def daily(provider: Int64) -> NDArray[np.bool_]:
    """Which home providers hand out another address every day."""
    return np.array([p.daily for p in HOMES])[provider]


def address(kind: str, provider: Int64, customer: Int64) -> Int64:
    """The address of a customer number of the providers of a kind (home, mobile, abroad, hosting, relay); any shape."""
    prefixes, count = _table(kind)
    dice = scrambled(customer)
    found: Int64 = prefixes[provider, dice % count[provider]] + 2 + (dice >> 20) % PER_PREFIX
    return found


def scrambled(number: Int64) -> Int64:
    """A well mixed number from 0 to 2⁵² for each given one (splitmix64), so that a day's choices need no stream of chances."""
    x = number.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(12)).astype(np.int64)


def share(number: Int64) -> NDArray[np.float64]:
    """A number between 0 and 1 for each given one."""
    part: NDArray[np.float64] = scrambled(number) / 2.0**52
    return part


def csv(providers: Iterable[Provider] = ALL) -> str:
    """The providers as `networks_file`: cidr,provider,region,kind, without a header."""
    rows = ((prefix, p.name, region, p.kind) for p in providers for prefix, region in zip(p.prefixes, p.regions, strict=True))
    return "".join(f"{ip_address(prefix)}/24,{name},{region},{kind}\n" for prefix, name, region, kind in sorted(rows))
