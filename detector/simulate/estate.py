"""The city's servers as columns: the twenty odd of every city, and the data centres that grow with the number of people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.simulate import places
from detector.simulate.places import SITES, Server
from detector.simulate.roles import ROLES
from detector.simulate.wire import Int64, Press

PER_PEOPLE = 0.15  # servers for each person, up to `MOST`
MOST = 300
_SHARES = (0.62, 0.06, 0.32)  # of the growing part, by site
_KINDS = (("fv", True), ("db", False), ("fv", True), ("lx", False), ("ts", True))  # fachverfahren, databases, Linux, terminal servers
_FIRST = {0: ("10.10.12.0", 20), 1: ("10.20.12.0", 20), 2: ("10.30.12.0", 20)}


@dataclass(frozen=True, slots=True, eq=False)
class Estate:
    """One entry per server in every array; `own` are the servers of each role, as many for each (roles, 3)."""

    servers: tuple[Server, ...]
    site: Int64
    address: Int64
    windows: NDArray[np.bool_]
    name: Int64  # code of the name in the host's own lines: a Windows host's is qualified
    account: Int64  # code of NAME$, as Kerberos calls the host
    domain: Int64
    own: Int64

    @property
    def grown(self) -> NDArray[np.bool_]:
        """The servers that only a larger city has."""
        return np.arange(len(self.servers)) >= len(places.SERVERS)

    def number(self, name: str) -> int:
        return next(k for k, server in enumerate(self.servers) if server.name == name)

    def at(self, site: int, *, windows: bool | None = None) -> Int64:
        """The numbers of a site's servers, of one kind if asked."""
        rows = self.site == site
        return np.flatnonzero(rows if windows is None else rows & (self.windows == windows))


def qualified(server: Server) -> str:
    return f"{server.name}.{SITES[server.site].tenant}.example" if server.windows else server.name


def _grown(people: int, sites: int) -> Iterator[Server]:
    """Further servers of each site, five kinds in turn; numbers go on behind those of `places.SERVERS`."""
    total = max(0, min(MOST, round(people * PER_PEOPLE)) - len(places.SERVERS))
    for site in range(sites):
        base, first = _FIRST[site]
        for k in range(round(total * _SHARES[site])):
            kind, windows = _KINDS[k % len(_KINDS)]
            yield Server(f"{kind}{k + 2:02d}-{SITES[site].name}", site, places.ip(base) + first + k, windows)


def _owned(servers: tuple[Server, ...]) -> Int64:
    """Three application servers for each role: its department's from the growing part, else those of its site."""
    rows = []
    for k, role in enumerate(ROLES):
        usual = [i for i, s in enumerate(servers) if s.site == role.site and s.name.startswith(("fv", "fach", "ts", "gis", "abr"))]
        rows.append([usual[(7 * k + step) % len(usual)] for step in range(3)])
    return np.array(rows, np.int64)


def build(press: Press, people: int, sites: int) -> Estate:
    servers = (*places.SERVERS, *_grown(people, sites))
    domains = press.texts(site.tenant.upper() for site in SITES)
    site = np.array([server.site for server in servers], np.int64)
    return Estate(
        servers, site, np.array([server.address for server in servers], np.int64), np.array([server.windows for server in servers]),
        press.texts(map(qualified, servers)), press.texts(server.name.upper() + "$" for server in servers), domains[site], _owned(servers),
    )  # fmt: skip
