"""Where everything stands: sites, networks, servers, the outside. Invented, in private and documentation ranges.

The outside lives in 198.18.0.0/15 (the benchmark range) and in the documentation networks, see `outside`; 203.0.113.0/24
are the city's own public addresses.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def ip(text: str) -> int:
    return int(ip_address(text))


class Site(NamedTuple):
    name: str
    short: str
    tenant: str
    public: int  # its first public address
    prefix: str  # of its private networks


SITES = (
    Site("rathaus", "RH", "stadt", ip("203.0.113.0"), "10.10"),
    Site("bauhof", "BH", "stadt", ip("203.0.113.64"), "10.20"),
    Site("leitstelle", "LS", "stadtwerke", ip("203.0.113.128"), "10.30"),
)
RATHAUS, BAUHOF, LEITSTELLE = 0, 1, 2
CLIENTS = np.array([ip("10.10.128.0"), ip("10.20.128.0"), ip("10.30.128.0")])
POOLS = np.array([ip("10.10.64.0"), ip("10.10.64.0"), ip("10.30.64.0")])  # bauhof dials in at the town hall
PRINTERS = np.array([ip("10.10.30.10"), ip("10.20.30.10"), ip("10.30.30.10")])
WIFI = np.array([ip("10.10.48.10"), ip("10.20.48.10"), ip("10.30.48.10")])
DATA_CENTRE = ip("10.10.12.0")  # a /22 behind the town hall's inner firewall, an ASA
BRANCH = ip("10.10.192.0")  # clients of a site that opens later, behind the town hall's firewall


class Server(NamedTuple):
    name: str
    site: int
    address: int
    windows: bool


def _server(name: str, site: int, last: int, *, windows: bool = False, third: int = 10) -> Server:
    return Server(name, site, ip(f"{SITES[site].prefix}.{third}.{last}"), windows)


SERVERS = (
    _server("dc-rathaus", 0, 10, windows=True),
    _server("fs-rathaus", 0, 11, windows=True),
    _server("mail-rathaus", 0, 12, windows=True),
    _server("fach-rathaus", 0, 13, windows=True),
    _server("web-rathaus", 0, 20),
    _server("db-rathaus", 0, 21),
    _server("mon-rathaus", 0, 22),
    _server("bak-rathaus", 0, 23),
    _server("scan-rathaus", 0, 30),
    _server("sprung-rathaus", 0, 31, windows=True),
    _server("sso-rathaus", 0, 10, third=12),
    _server("fv01-rathaus", 0, 11, windows=True, third=12),
    _server("db01-rathaus", 0, 12, third=12),
    _server("fs-bauhof", 1, 11, windows=True),
    _server("ssh-bauhof", 1, 20),
    _server("gis-bauhof", 1, 21),
    _server("dc-leitstelle", 2, 10, windows=True),
    _server("fs-leitstelle", 2, 11, windows=True),
    _server("abr-leitstelle", 2, 12, windows=True),
    _server("sftp-leitstelle", 2, 20),
    _server("gis-leitstelle", 2, 21),
    _server("bak-leitstelle", 2, 23),
    _server("sprung-leitstelle", 2, 31, windows=True),
)
BY_NAME = {server.name: server for server in SERVERS}
HOME_DC = ("dc-rathaus", "dc-rathaus", "dc-leitstelle")
HOME_FILES = ("fs-rathaus", "fs-bauhof", "fs-leitstelle")
MONITOR = ("mon-rathaus", "mon-rathaus", "bak-leitstelle")
BACKUP = ("bak-rathaus", "bak-rathaus", "bak-leitstelle")


def of(site: int) -> NDArray[np.int64]:
    """The addresses in a site's oldest server network."""
    return np.array([server.address for server in SERVERS if server.site == site and server.address >> 8 & 255 == 10], np.int64)


def addresses(names: tuple[str, ...]) -> NDArray[np.int64]:
    """One address per site."""
    return np.array([BY_NAME[name].address for name in names], np.int64)
