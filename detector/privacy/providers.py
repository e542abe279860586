"""Whose network an outside address is: provider, region and kind from an offline table, `[enrichment] networks_file`.

ROUTE asks before it makes tokens, and only for logins. The table is a CSV without header, cidr, provider, region, kind; the
longest match wins. It can be made of any AS and GeoIP list; nothing is downloaded. Without a table the provider is unknown
(SCORE then goes by the address's /16 or /32) and all of outside is one kind.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.config import Config, ConfigError
from detector.decode import ecs
from detector.privacy import texts
from detector.privacy.networks import NetworkTable, cut, find, span

KINDS = ("home", "mobile", "hosting", "relay", "")
OFFICE, VPN, ABROAD = "office", "vpn", "abroad"
LONGEST = 64  # characters of a provider or region


class Provider(NamedTuple):
    """One line of the table. region: ISO 3166, DE-BW or the country alone. kind: one of KINDS, or abroad."""

    name: str
    region: str
    kind: str


@dataclass(frozen=True, slots=True)
class Providers:
    """The outside cut into stretches; entry 0 is what the table does not list.

    begin_hi, begin_lo   uint64 (stretches), first address of each, ascending
    entry                int32 (stretches), index into `of`
    """

    begin_hi: NDArray[np.uint64]
    begin_lo: NDArray[np.uint64]
    entry: NDArray[np.int32]
    of: tuple[Provider, ...]

    @classmethod
    def read(cls, config: Config) -> Providers:
        """Raises ConfigError, one sentence, for a row that is not cidr, provider, region, kind."""
        path = config.enrichment.networks_file
        if path == "":
            return cls.made(())
        with Path(path).open(encoding="utf-8", newline="") as file:
            return cls.made(
                _row(row, f"{Path(path).name}: row {number}", config.enrichment.home) for number, row in enumerate(csv.reader(file), 1)
            )

    @classmethod
    def made(cls, rows: Iterable[tuple[str, Provider]]) -> Providers:
        """From (cidr, provider) pairs."""
        known: dict[Provider, int] = {Provider("", "", ""): 0}
        spans = [(*span(ip_network(cidr, strict=False)), known.setdefault(provider, len(known))) for cidr, provider in rows]
        begins, entry = cut(spans)
        hi, lo = (np.array([b >> 64 for b in begins], np.uint64), np.array([b & (2**64 - 1) for b in begins], np.uint64))
        return cls(hi, lo, entry, tuple(known))

    def entries(self, hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Index into `of` for each address, shape (n,)."""
        out = np.zeros(len(hi), np.int32)
        if len(self.of) > 1:
            _entries(hi, lo, self.begin_hi, self.begin_lo, self.entry, out)
        return out


def _row(row: list[str], where: str, home: list[str]) -> tuple[str, Provider]:
    if len(row) != 4 or row[3].strip() not in KINDS or max(len(row[1]), len(row[2])) > LONGEST:
        raise ConfigError(f"{where} is not: cidr, provider, region, kind ({' | '.join(KINDS[:-1])} or nothing)")
    cidr, name, region, kind = (field.strip() for field in row)
    try:
        ip_network(cidr, strict=False)
    except ValueError as error:
        raise ConfigError(f"{where}: {cidr!r} is no network") from error
    foreign = region != "" and region.split("-")[0] not in home and kind != "relay"
    return cidr, Provider(name, region, ABROAD if foreign else kind)


@njit(cache=True, nogil=True)
def _entries(
    hi: NDArray[np.uint64], lo: NDArray[np.uint64], begin_hi: NDArray[np.uint64], begin_lo: NDArray[np.uint64],
    entry: NDArray[np.int32], out: NDArray[np.int32],
) -> None:  # fmt: skip
    for i in range(len(hi)):
        out[i] = entry[find(hi[i], lo[i], begin_hi, begin_lo)]


def columns(
    providers: Providers,
    networks: NetworkTable,
    login: NDArray[np.bool_],
    entry: NDArray[np.int32],
    hi: NDArray[np.uint64],
    lo: NDArray[np.uint64],
) -> tuple[dict[str, ecs.Text], NDArray[np.int32]]:
    """Provider, region and kind of the network of each login, "" elsewhere; and each row's index into `providers.of`, 0 unknown.

    login   bool (n), the rows that are logins
    entry   int32 (n), what the source address is, see NetworkTable; hi, lo uint64 (n), the address itself
    """
    inside = np.append(networks.inside, False)[entry]
    which = np.zeros(len(entry), np.int32)
    outside = np.flatnonzero(login & ~inside & (entry >= 0))
    if len(outside) > 0:
        which[outside] = providers.entries(hi[outside], lo[outside])
    places = [*providers.of, Provider("", "", OFFICE), Provider("", "", VPN)]
    of_inside = len(providers.of) + np.append(networks.vpn, False)[entry]
    at = np.where(login & inside, of_inside, which).astype(np.int32)
    return {
        name: texts.from_entries(at, [getattr(place, field) for place in places])
        for name, field in (("source.as.organization.name", "name"), ("source.geo.region_iso_code", "region"), ("source.kind", "kind"))
    }, which
