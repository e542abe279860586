"""The sealed link table: which token belonged to which name, readable only where people of two groups work together.

How it is sealed (SECURITY.md says what that protects against, and what not):

- A slot is the work of one ROUTE process for one tenant and epoch, at most fifteen minutes of it. For each group of people a
  slot has one random secret, which every member of the *other* groups gets and the group itself does not (replicated secret
  sharing, Ito, Saito, Nishizeki 1987). So one group always lacks one secret, and any two groups have all of them.
- Each member gets their secrets sealed to their own public key (HPKE, RFC 9180), once per slot.
- A row's key is derived (NIST SP 800-56C, HMAC-SHA256) from the row's shares, one from each secret (HKDF-Expand, RFC 5869), with
  the tenant's key as salt; the value is sealed with it by AES-256-GCM, padded, bound to tenant, epoch and token. Who opens a row
  hands over the row's share, never the secret: the other rows stay closed. Without the tenant's key nobody opens anything: its
  deletion shreds all rows.
- A row's tag is the XOR of one HMAC of the value under each secret, a pseudo-random function that takes all of them (Naor,
  Pinkas, Reingold 1999): two people can find the rows of one name without opening any other.
- ROUTE signs each slot with the hashes of its secrets (audit.key_file), so that who can write to the database cannot lay a slot of
  their own there and hang somebody else's name on a token.
- Slots live in ROUTE's memory only. There is no file from which a daemon, or who takes its machine tomorrow, could get them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from detector.privacy.people import Holder, Person, Public
from detector.sections import BREAK_GLASS
from detector.sentence import Sentence

SIZE = 32  # bytes of a secret
BLOCK = 32  # values are padded to a multiple, so that their length does not tell names apart
ROTATE = 900_000_000  # µs: the longest that one slot's secrets stay in memory
TAG = 16
PURPOSE = "link slot"


class VaultError(Sentence):
    """A sealed value does not open, or may not be opened; one sentence."""


@dataclass(frozen=True, slots=True, repr=False)
class Fresh:
    """A token that was given for the first time, and what it stands for; in memory only, and never printed."""

    tenant: str
    epoch: int
    token: str  # u-…, h-…, ip-…
    value: str  # the form that names are compared in


@dataclass(frozen=True, slots=True)
class Link:
    """One row of the table: a token and what it stands for, sealed."""

    tenant: str
    epoch: int
    token: str
    slot: bytes
    tag: bytes
    sealed: bytes

    @property
    def row(self) -> bytes:
        return row_id(self.tenant, self.epoch, self.token)


class Halted(Exception):
    """We were asked to end while links waited to be written; the batch is not committed and will come again."""


class Links(Protocol):
    """The table that takes links; writing one twice changes nothing."""

    def write(self, fresh: Sequence[Fresh]) -> None:
        """Before the batch's Kafka transaction is committed, so that no token is out whose link is not kept.

        Waits while the table is away. Raises Halted when asked to end meanwhile.
        """


class NoLinks:
    """Nothing is kept: no two groups of people were named who could open anything."""

    def write(self, fresh: Sequence[Fresh]) -> None:
        """Links end here."""


@dataclass(frozen=True, slots=True, repr=False)
class Slot:
    """Secrets of one process, tenant and epoch; see the module."""

    id: bytes  # 16 bytes
    tenant: str
    epoch: int
    made: int  # µs
    tenant_key: bytes
    secrets: Mapping[str, bytes]  # by the group that does not get it; in the order of their names

    @classmethod
    def fresh(cls, tenant: str, epoch: int, groups: Iterable[str], tenant_key: bytes, now: int) -> Slot:
        named = {group: secrets.token_bytes(SIZE) for group in sorted(groups)}
        return cls(secrets.token_bytes(16), tenant, epoch, now, tenant_key, named)

    @property
    def commitments(self) -> bytes:
        """The SHA-256 of each secret, in the order of the groups' names."""
        return b"".join(hashlib.sha256(secret).digest() for secret in self.secrets.values())

    @property
    def stated(self) -> bytes:
        """What ROUTE signs."""
        return slot_statement(self.id, self.tenant, self.epoch, self.secrets, self.commitments)

    def wrapped(self, group: str, member: Public) -> bytes:
        """The secrets of all other groups, for one member of `group`."""
        return member.seal(PURPOSE, self.id + b"".join(secret for other, secret in self.secrets.items() if other != group))

    def seal(self, fresh: Fresh) -> Link:
        row, value = row_id(fresh.tenant, fresh.epoch, fresh.token), fresh.value.encode("utf-8", "replace")
        key = row_key(self.tenant_key, [share(secret, self.id, row) for secret in self.secrets.values()], row)
        nonce = secrets.token_bytes(12)
        tag = combined([tag_part(secret, self.id, fresh.token, value) for secret in self.secrets.values()])
        return Link(fresh.tenant, fresh.epoch, fresh.token, self.id, tag, nonce + AESGCM(key).encrypt(nonce, _padded(value), row))


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """What one person has of one slot: the secrets of all groups but their own."""

    id: bytes
    secrets: Mapping[str, bytes]

    @classmethod
    def unwrap(cls, person: Person, sealed: bytes, slot: bytes, group: str, groups: Iterable[str]) -> Held:
        """Raises VaultError when it was sealed to somebody else or changed."""
        others = [other for other in sorted(groups) if other != group]
        try:
            plain = person.unseal(PURPOSE, sealed)
        except InvalidTag:
            raise VaultError(
                f"the key of {person.name} does not open its part of the link table: another key, or the row was changed"
            ) from None
        if plain[:16] != slot or len(plain) != 16 + SIZE * len(others):
            raise VaultError("a row of the link table's keys was exchanged for another one")
        return cls(slot, {other: plain[16 + SIZE * i : 16 + SIZE * (i + 1)] for i, other in enumerate(others)})

    def matches(self, groups: Iterable[str], commitments: bytes) -> bool:
        """Whether these secrets are those that the slot was made with."""
        known = {group: commitments[SIZE * i : SIZE * (i + 1)] for i, group in enumerate(sorted(groups))}
        return all(hashlib.sha256(secret).digest() == known[group] for group, secret in self.secrets.items())

    def shares(self, row: bytes) -> dict[str, bytes]:
        """The shares of one row, by group."""
        return {group: share(secret, self.id, row) for group, secret in self.secrets.items()}

    def tag_parts(self, token_kind: str, value: bytes) -> dict[str, bytes]:
        return {group: tag_part(secret, self.id, token_kind, value) for group, secret in self.secrets.items()}

    def wrapped(self, member: Public) -> bytes:
        """The same secrets for another member of the same group."""
        return member.seal(PURPOSE, self.id + b"".join(self.secrets[group] for group in sorted(self.secrets)))


def slot_statement(slot: bytes, tenant: str, epoch: int, groups: Iterable[str], commitments: bytes) -> bytes:
    return b"tuermer slot 1\0" + slot + f"{tenant}\0{epoch}\0{','.join(sorted(groups))}\0".encode() + commitments


def row_id(tenant: str, epoch: int, token: str) -> bytes:
    return f"{tenant}\0{epoch}\0{token}".encode()


def share(secret: bytes, slot: bytes, row: bytes) -> bytes:
    """HKDF-Expand (RFC 5869) to 32 bytes, which is one HMAC: cryptography's own takes four times as long to set up."""
    return hmac.digest(secret, b"tuermer link 1\0row\0" + slot + row + b"\x01", "sha256")


def row_key(tenant_key: bytes, shares: Sequence[bytes], row: bytes) -> bytes:
    """One-step key derivation of NIST SP 800-56C with HMAC-SHA256: the tenant's key is the salt, the row's shares in the order of
    their groups' names are the secret."""
    return hmac.digest(tenant_key, b"\0\0\0\x01" + b"".join(shares) + b"tuermer link 1\0key\0" + row, "sha256")


def tag_part(secret: bytes, slot: bytes, token: str, value: bytes) -> bytes:
    """What one secret says about a value; `token` or its beginning tells accounts, hosts and addresses apart."""
    kind = token.split("-")[0].encode()
    return hmac.digest(secret, b"tuermer link 1\0tag\0" + slot + kind + b"\0" + value, "sha256")[:TAG]


def combined(parts: Iterable[bytes]) -> bytes:
    number = 0
    for part in parts:
        number ^= int.from_bytes(part, "big")
    return number.to_bytes(TAG, "big")


def open_row(link: Link, tenant_key: bytes, shares: Mapping[str, bytes]) -> str:
    """The value behind a token, from the row's shares of all groups. Raises VaultError when one is wrong or the row was changed."""
    key = row_key(tenant_key, [shares[group] for group in sorted(shares)], link.row)
    try:
        padded = AESGCM(key).decrypt(link.sealed[:12], link.sealed[12:], link.row)
    except (InvalidTag, ValueError):
        raise VaultError(f"the link of {link.token} does not open: it was changed, or a part of the key is missing") from None
    return padded[: padded.rindex(b"\x80")].decode()


def opening_groups(wanted: Iterable[str], holders: Iterable[Holder], tenant: str) -> dict[str, list[Public]]:
    """The members of each group that may open names of this tenant; groups without anybody are left out."""
    known = list(holders)
    found = {group: [holder.public for holder in known if holder.of(group, tenant)] for group in wanted}
    return {group: members for group, members in found.items() if members != []}


@dataclass(slots=True)
class Sealer:
    """Makes links of fresh tokens; holds the slots. A tenant with people in fewer than two groups has no links; the daemon's
    own group does not count."""

    groups: Sequence[str]
    holders: Sequence[Holder]
    signer: Ed25519PrivateKey | None = None
    _slots: dict[tuple[str, int], Slot] = field(default_factory=dict)

    def wants(self, tenant: str) -> bool:
        return len(opening_groups(self.groups, self.holders, tenant).keys() - {BREAK_GLASS}) >= 2

    def seal(self, fresh: Sequence[Fresh], tenant_keys: Mapping[str, bytes], now: int) -> tuple[list[Link], list[Slot]]:
        """The links, and the slots they lie in. A slot whose time is up, or whose tenant's key is another one now, is begun anew."""
        used: dict[bytes, Slot] = {}
        links = []
        for one in fresh:
            at, key = (one.tenant, one.epoch), tenant_keys[one.tenant]
            slot = self._slots.get(at)
            if slot is None or not 0 <= now - slot.made < ROTATE or slot.tenant_key != key:
                slot = Slot.fresh(*at, opening_groups(self.groups, self.holders, one.tenant), key, now)
                self._slots[at] = slot
            used[slot.id] = slot
            links.append(slot.seal(one))
        return links, list(used.values())

    def signed(self, slot: Slot) -> bytes | None:
        return None if self.signer is None else self.signer.sign(slot.stated)

    def wraps(self, slot: Slot) -> list[tuple[str, Public, bytes]]:
        """(group, member, sealed secrets) for everybody who may take part in opening this slot's rows."""
        members = opening_groups(slot.secrets, self.holders, slot.tenant)
        return [(group, member, slot.wrapped(group, member)) for group, people in members.items() for member in people]

    def forget(self, now: int) -> None:
        """Drops the secrets whose time is up."""
        self._slots = {at: slot for at, slot in self._slots.items() if 0 <= now - slot.made < ROTATE}


def _padded(value: bytes) -> bytes:
    """ISO 7816-4: a byte 0x80 and zeros."""
    return value + b"\x80" + bytes(-(len(value) + 1) % BLOCK)
