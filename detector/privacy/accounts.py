"""What an account or a host name is, and what of it may be shown. Only ROUTE asks; the answers carry no person's name."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from fnmatch import translate
from pathlib import Path
from typing import NamedTuple

from detector.config import Account, Config, ConfigError
from detector.decode.ecs import DRILL
from detector.privacy.fields import WELL_KNOWN_ACCOUNTS
from detector.privacy.networks import NetworkTable

SMALLEST_GROUP = 5  # people; a smaller role group would point at one of them
SAFE = re.compile(r"[a-z0-9._$-]{1,64}")
ADDRESS_INSIDE = re.compile(r"\d{1,3}([.-]\d{1,3}){3}|[0-9a-f]{1,4}(-+[0-9a-f]{1,4}){3,}")
# A pattern such as svc-* also matches what an attacker or a mistyped password puts behind it; a name kept plain must
# look like a name and hold no address.


class Answer(NamedTuple):
    """What is known of an account name."""

    plain: bool
    name: str  # the form that names are compared in
    kind: str  # person | service | machine | admin | unknown
    role: str  # role group, "" = the whole tenant


class Accounts:
    """[[accounts]], the operating systems' own accounts, and the role groups of one tenant."""

    def __init__(self, accounts: Iterable[Account], roles: dict[str, str], domains: Iterable[str], aliases: dict[str, str]) -> None:
        listed = list(accounts)
        self._kinds = [a.kind for a in listed]
        self._match = _any_of(a.pattern for a in listed)
        self._roles = roles
        self._aliases = aliases
        self._domains = tuple(d.casefold().lstrip("@.") for d in domains)

    def answer(self, written: str) -> Answer:
        """What `written`, a name as a log line has it, stands for. Lower case, DOMAIN\\ and own @domains are dropped."""
        name = bare_account(written, self._domains)
        name = self._aliases.get(name, name)
        found = self._match.fullmatch(name) if self._match is not None else None
        kind = self._kinds[found.lastindex - 1] if found is not None and found.lastindex is not None else None
        role = self._roles.get(name, "")
        if kind is not None:
            return Answer(kind in ("service", "machine") and is_safe(name), name, kind, role)
        if name in WELL_KNOWN_ACCOUNTS:
            return Answer(True, name, WELL_KNOWN_ACCOUNTS[name], role)
        return Answer(False, name, "person" if role != "" else "unknown", role)


class Hosts:
    """[[hosts]], named observers and one-address server networks of one tenant: the host names that stay plain."""

    def __init__(self, config: Config, tenant: str, networks: NetworkTable) -> None:
        self._networks = networks
        self._match = _any_of(h.pattern for h in config.hosts if h.tenant in ("", tenant))
        self._domains = tuple(d.casefold().lstrip("@.") for d in config.privacy.domains)
        self._names = frozenset(o.name.casefold() for o in config.observers if o.name != "") | frozenset(
            n.name.casefold() for n in config.networks if n.kind in ("server", "dmz") and n.tenant in ("", tenant) and _single(n.cidr)
        )

    def answer(self, written: str) -> tuple[bool, str]:
        """May the name stay plain, and the form that names are compared in (lower case, without an own domain)."""
        name = bare_host(written, self._domains)
        entry = self._networks.entry_of(name)
        if entry is not None:
            return bool(self._networks.plain[entry]), name
        if not is_safe(name):
            return False, name
        matched = self._match is not None and self._match.fullmatch(name) is not None
        return matched or name in self._names or name == DRILL, name


def is_safe(name: str) -> bool:
    """Looks like a name of a machine or service and holds no address."""
    return SAFE.fullmatch(name) is not None and ADDRESS_INSIDE.search(name) is None


def bare_account(written: str, domains: tuple[str, ...]) -> str:
    """`STADT\\Mueller` and, where stadt.example is an own domain, `mueller@stadt.example` are both `mueller`."""
    name = written.strip().casefold().rsplit("\\", 1)[-1]
    local, at, domain = name.rpartition("@")
    return local if at == "@" and domain in domains else name


def bare_host(written: str, domains: tuple[str, ...]) -> str:
    name = written.strip().casefold().rstrip(".")
    suffix = next((d for d in domains if name.endswith("." + d)), None)
    return name if suffix is None else name[: -len(suffix) - 1]


def read_roles(path: str, tenant: str, domains: tuple[str, ...]) -> dict[str, str]:
    """Account -> role group of one tenant from the CSV file; groups under five accounts are left out.

    Raises ConfigError when a row has not two or three columns.
    """
    if path == "":
        return {}
    roles: dict[str, str] = {}
    with Path(path).open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if len(row) not in (2, 3) or "" in (row[0].strip(), row[1].strip()):
                raise ConfigError(f"{Path(path).name}: row {number} is not: account, role group [, tenant]")
            if len(row) == 2 or row[2].strip() in ("", tenant):
                roles[bare_account(row[0], domains)] = row[1].strip()
    sizes: dict[str, int] = {}
    for role in roles.values():
        sizes[role] = sizes.get(role, 0) + 1
    return {account: role for account, role in roles.items() if sizes[role] >= SMALLEST_GROUP}


def read_aliases(path: str, tenant: str, domains: tuple[str, ...]) -> dict[str, str]:
    """Other name -> account of one tenant from the CSV file: what Entra calls anna.berger may be bergera to Windows.

    Raises ConfigError when a row has not two or three columns.
    """
    if path == "":
        return {}
    aliases: dict[str, str] = {}
    with Path(path).open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if len(row) not in (2, 3) or "" in (row[0].strip(), row[1].strip()):
                raise ConfigError(f"{Path(path).name}: row {number} is not: other name, account [, tenant]")
            if len(row) == 2 or row[2].strip() in ("", tenant):
                aliases[bare_account(row[0], domains)] = bare_account(row[1], domains)
    return aliases


def _any_of(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """One expression for all shell patterns; the number of its group is the pattern's."""
    parts = [f"({translate(p.casefold())})" for p in patterns]
    return re.compile("|".join(parts)) if parts else None


def _single(cidr: str) -> bool:
    return "/" not in cidr or cidr.endswith(("/32", "/128"))
