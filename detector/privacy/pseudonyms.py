"""From plain events to pseudonymous ones: the only place that sees a name and lets no name past it.

A token names the same person, host or inside address within one tenant and one epoch (05:00 to 05:00), and nothing
beyond. `Privacy.pseudonymise` is pure given its keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.config import Config
from detector.decode import ecs, table
from detector.decode.decoded import Decoded
from detector.privacy import fields, networks, providers, seen, texts
from detector.privacy.accounts import Accounts, Hosts, read_aliases, read_roles
from detector.privacy.dead_letters import DeadLetters
from detector.privacy.epochs import epochs, limited
from detector.privacy.fresh import Collector
from detector.privacy.keys import Keyring, clamp
from detector.privacy.networks import Addresses, NetworkTable
from detector.privacy.providers import Providers
from detector.privacy.siphash import mix, words
from detector.privacy.texts import Rows
from detector.privacy.vault import Fresh
from detector.records import Records

CACHED = 200_000  # names per tenant; an epoch's names are forgotten with the epoch
DIRECTIONS = ("external", "inbound", "outbound", "internal")  # by (source inside) * 2 + (destination inside)


@dataclass(slots=True)
class Epochs:
    """The epochs of a shard's rows within one batch."""

    epoch: NDArray[np.int32]  # (n)
    group: NDArray[np.uint32]  # (n), index into `numbers`
    numbers: list[int]  # the distinct epochs, ascending

    @classmethod
    def of(cls, epoch: NDArray[np.int32]) -> Epochs:
        if len(epoch) == 0:
            return cls(epoch, np.zeros(0, np.uint32), [])
        first = int(epoch.min())
        present = np.bincount(epoch - first) > 0
        place = (np.cumsum(present) - 1).astype(np.uint32)
        return cls(epoch, place[epoch - first], (np.flatnonzero(present) + first).tolist())


class Tenant:
    """What the configuration says about one tenant, and the names it was asked about in the epochs still open."""

    def __init__(self, config: Config, tenant: str) -> None:
        domains = tuple(d.casefold().lstrip("@.") for d in config.privacy.domains)
        listed = [n for n in config.networks if n.tenant == ""] + [n for n in config.networks if n.tenant == tenant and tenant != ""]
        self.name = tenant
        self.networks = NetworkTable.of(listed)
        self.hosts = Hosts(config, tenant, self.networks)
        accounts = [a for a in config.accounts if a.tenant in ("", tenant)]
        roles = read_roles(config.privacy.roles_file, tenant, domains)
        self.accounts = Accounts(accounts, roles, domains, read_aliases(config.privacy.aliases_file, tenant, domains))
        self.users: dict[int, dict[str, tuple[str, str, str]]] = {}  # epoch -> name as written -> (shown, kind, role)
        self.machines: dict[int, dict[str, tuple[str]]] = {}

    def forget(self, first: int) -> None:
        """Drops the names of epochs before `first`, and all of them when they are too many."""
        for cache in (self.users, self.machines):
            full = sum(map(len, cache.values())) > CACHED
            for epoch in [e for e in cache if full or e < first]:
                del cache[epoch]


class Privacy:
    """Step 2 of ROUTE; see the module's docstring."""

    def __init__(self, config: Config, keyring: Keyring, words: Mapping[str, frozenset[str]], *, links: bool = False) -> None:
        self._config, self._keyring, self._words = config, keyring, words
        self._collector = Collector() if links else None
        self._remember = config.privacy.person_memory == "first-seen"
        self._tenants: dict[str, Tenant] = {}
        self._providers = Providers.read(config)
        self._dead_letters = DeadLetters.of(config.privacy.dead_letter_public_key, keyring)

    @classmethod
    def of(cls, config: Config, keyring: Keyring, *, links: bool = False) -> Privacy:
        """`links`: new tokens are collected, see `fresh`.

        Raises ConfigError when the roles file or the public key is not what it should be.
        """
        privacy = cls(config, keyring, fields.vocabulary(table.shipped()), links=links)
        for tenant in {t.tenant for t in config.topics} | {o.tenant for o in config.observers if o.tenant != ""}:
            privacy._tenant(tenant)
        return privacy

    def pseudonymise(self, decoded: Decoded) -> dict[str, pl.DataFrame]:
        """The events of each shard, pseudonymous, in record order; no dictionary carries a value of another shard."""
        names = [origin.shard for origin in decoded.origins]
        shards = {name: i for i, name in enumerate(dict.fromkeys(names))}
        shard = np.array([shards[name] for name in names], np.int32)[decoded.origin]
        counts = np.bincount(shard, minlength=len(shards))
        done: dict[str, pl.DataFrame] = {}
        for name, number in shards.items():
            if counts[number] == len(decoded.events) and len(shard) > 0:
                done[name] = self._shard(decoded, Rows(decoded.events), decoded.origin)
            elif counts[number] > 0:
                rows = np.flatnonzero(shard == number)
                done[name] = self._shard(decoded, Rows(decoded.events, rows), decoded.origin[rows])
        return done

    def dead_letters(self, records: Records, decoded: Decoded) -> list[bytes]:
        """One message per record that nobody could read; see `privacy.dead_letters`."""
        return self._dead_letters.messages(records, decoded)

    def fresh(self) -> list[Fresh]:
        """The tokens that were given for the first time since it was last asked, with what they stand for."""
        return [] if self._collector is None else self._collector.take()

    def _tenant(self, name: str) -> Tenant:
        if name not in self._tenants:
            self._tenants[name] = Tenant(self._config, name)
        return self._tenants[name]

    def _shard(self, decoded: Decoded, events: Rows, origin: NDArray[np.int32]) -> pl.DataFrame:
        """All rows of one shard: addresses and accounts are told apart first, then replaced."""
        tenant = self._tenant(decoded.origins[int(origin[0])].tenant)
        ages = self._epochs(decoded, events, origin)
        tenant.forget(self._keyring.first)
        if self._collector is not None:
            self._collector.forget(self._keyring.first)
        keys = self._keys(tenant, ages, "address")
        source, destination = (self._addresses(tenant, events, name, ages, keys) for name in ecs.ADDRESS)
        login = _logins(events)
        hi, lo = events.words("source.ip.hi"), events.words("source.ip.lo")
        places, provider = providers.columns(self._providers, tenant.networks, login, source.entry, hi, lo)
        columns = {
            **_address_columns("source.ip", source),
            **_address_columns("destination.ip", destination),
            "event.epoch": pl.Series("event.epoch", ages.epoch),
            "session.key": self._sessions(tenant, events, ages),
            **ecs.texts(
                {
                    "source.network": texts.from_entries(source.entry, tenant.networks.names),
                    "destination.network": texts.from_entries(destination.entry, tenant.networks.names),
                    "network.direction": _direction(tenant.networks, source, destination),
                    **places,
                    **self._names(tenant, events, ages),
                    **self._vocabulary(events),
                }
            ),
        }
        if self._remember:
            known = seen.Known(tenant.accounts, tenant.networks, self._providers)
            columns |= seen.columns(self._keyring, tenant.name, known, events, source.entry, provider)
        kept = {name: events.series(name) for name in KEPT}
        return ecs.frame(len(events), {**kept, **columns})

    def _epochs(self, decoded: Decoded, events: Rows, origin: NDArray[np.int32]) -> Epochs:
        times = limited(events.numbers("@timestamp"), events.numbers("event.created"))
        zones = [o.timezone for o in decoded.origins]
        present = np.flatnonzero(np.bincount(origin, minlength=len(zones)))
        if len({zones[i] for i in present}) == 1:
            return Epochs.of(clamp(self._keyring, epochs(times, zones[present[0]])))
        result = np.zeros(len(times), np.int32)
        for i in present:
            rows = np.flatnonzero(origin == i)
            result[rows] = epochs(times[rows], zones[i])
        return Epochs.of(clamp(self._keyring, result))

    def _keys(self, tenant: Tenant, ages: Epochs, purpose: str) -> NDArray[np.uint64]:
        """uint64 (epochs of this batch, 2)."""
        return np.array([words(self._keyring.key(tenant.name, e, purpose)) for e in ages.numbers], np.uint64).reshape(-1, 2)

    def _addresses(self, tenant: Tenant, events: Rows, name: str, ages: Epochs, keys: NDArray[np.uint64]) -> Addresses:
        kind = np.require(events.numbers(f"{name}.kind"), np.uint8, "W")
        hi, lo = events.words(f"{name}.hi"), events.words(f"{name}.lo")
        shown = networks.pseudonyms(tenant.networks, hi, lo, kind, ages.group, keys)
        if self._collector is not None:
            self._collector.addresses(tenant.name, ages.epoch, hi, lo, shown)
        return shown

    def _sessions(self, tenant: Tenant, events: Rows, ages: Epochs) -> pl.Series:
        """The decoder's hash is not keyed, and what it is made of may be guessed."""
        plain = events.words("session.key")
        return pl.Series("session.key", mix(self._keys(tenant, ages, "session"), ages.group, plain, np.zeros_like(plain)))

    def _names(self, tenant: Tenant, events: Rows, ages: Epochs) -> dict[str, ecs.Text]:
        def user(written: str, group: int) -> tuple[str, str, str]:
            epoch = ages.numbers[group]
            known = tenant.users.setdefault(epoch, {})
            if written not in known:
                known[written] = self._user(tenant, written, epoch)
            return known[written]

        def target(written: str, group: int) -> tuple[str]:
            return (user(written, group)[0],)

        def machine(written: str, group: int) -> tuple[str]:
            epoch = ages.numbers[group]
            known = tenant.machines.setdefault(epoch, {})
            if written not in known:
                known[written] = (self._machine(tenant, written, epoch),)
            return known[written]

        groups = len(ages.numbers)
        return {
            **texts.rewrite(events.text("user.name"), ages.group, groups, user, ("user.name", "user.kind", "user.roles")),
            **texts.rewrite(events.text("user.target.name"), ages.group, groups, target, ("user.target.name",)),
            **texts.rewrite(events.text("host.name"), ages.group, groups, machine, ("host.name",)),
            **texts.rewrite(events.text("observer.name"), ages.group, groups, machine, ("observer.name",)),
        }

    def _user(self, tenant: Tenant, written: str, epoch: int) -> tuple[str, str, str]:
        answer = tenant.accounts.answer(written)
        shown = answer.name if answer.plain else self._token(tenant, epoch, "user", answer.name)
        return shown, answer.kind, answer.role

    def _machine(self, tenant: Tenant, written: str, epoch: int) -> str:
        plain, name = tenant.hosts.answer(written)
        return name if plain else self._token(tenant, epoch, "host", name)

    def _token(self, tenant: Tenant, epoch: int, what: str, name: str) -> str:
        made = f"{what[0]}-{token(self._keyring.key(tenant.name, epoch, what), name)}"
        if self._collector is not None:
            self._collector.name(tenant.name, epoch, made, name)
        return made

    def _vocabulary(self, events: Rows) -> dict[str, ecs.Text]:
        """Columns of words, and the topic; rewritten so that the dictionary holds only what occurs in these rows."""
        done: dict[str, ecs.Text] = {}
        for column in fields.WORDS:
            done |= texts.rewrite(events.text(column), None, 1, partial(_word, column, self._words[column]), (column,))
        return done | texts.rewrite(events.text("log.topic"), None, 1, _file, ("log.topic",))


def _logins(events: Rows) -> NDArray[np.bool_]:
    category, categories = events.text("event.category")
    logins: NDArray[np.bool_] = category == (categories.index("authentication") if "authentication" in categories else -1)
    return logins


def _word(column: str, known: frozenset[str], text: str, _group: int) -> tuple[str]:
    return (fields.admitted(column, text, known),)


def _file(text: str, _group: int) -> tuple[str]:
    """A topic has no slash; of a file only its name, since a path may lead through somebody's home."""
    return (text.rsplit("/", 1)[-1],)


KEPT = frozenset((*ecs.INTEGER, *ecs.PROVENANCE, "@timestamp", "attempt.kind", "attempt.count"))  # numbers that pass unchanged


def token(key: bytes, name: str) -> str:
    """64 bits of a keyed hash as 16 hexadecimal digits."""
    return hashlib.blake2b(name.encode(), key=key, digest_size=8).hexdigest()


def _address_columns(name: str, addresses: Addresses) -> dict[str, pl.Series]:
    parts: dict[str, NDArray[Any]] = {"hi": addresses.hi, "lo": addresses.lo, "kind": addresses.kind}
    return {f"{name}.{part}": pl.Series(f"{name}.{part}", array) for part, array in parts.items()}


def _direction(table: NetworkTable, source: Addresses, destination: Addresses) -> ecs.Text:
    """Where a connection comes from and goes to; without a destination address it goes to the machine that reports it."""
    inside = np.append(table.inside, True)  # entry -1, absent, is the last
    index = inside[source.entry] * 2 + inside[destination.entry]
    return texts.from_entries(np.where(source.entry < 0, -1, index).astype(np.int32), DIRECTIONS)
