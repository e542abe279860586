"""Keys of people: one file each, opened by its passphrase, with an Ed25519 key to sign and an X25519 key to unseal.

The file is JSON: both private keys, 32 bytes each, under AES-256-GCM with a key that scrypt (RFC 7914, 128 MiB) makes of the
passphrase; name, public keys and scrypt's parameters are authenticated with them. cryptography's own encrypted PKCS8 stretches a
passphrase by 2,048 rounds of PBKDF2 only, which is why it is not used. The public half is one line, as it stands in
[[keyholders]]. A signature covers its purpose, so that none can be used for another one's.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from detector.config import Config, ConfigError
from detector.privacy.keys import KeyFileError, create

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)  # RFC 9180; a fresh ephemeral key per message
KIND = "person key 1"
LINE = "tuermer-person-1"
COST = 17  # scrypt's n = 2^17 with r = 8: 128 MiB, about a third of a second
COSTS = range(10, 21)  # accepted in a file: a forged one must not take the machine's memory
SHORTEST = 12  # characters of a passphrase
LOGIN = re.compile(r"[A-Za-z0-9äöüÄÖÜß._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Public:
    """The public half: anybody may have it."""

    name: str
    signing: Ed25519PublicKey
    sealing: X25519PublicKey

    @property
    def raw(self) -> bytes:
        """64 bytes: the Ed25519 and the X25519 key."""
        return self.signing.public_bytes_raw() + self.sealing.public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, to compare over the telephone."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def line(self) -> str:
        return f"{LINE} {base64.b64encode(self.raw).decode()} {self.name}"

    def verifies(self, purpose: str, message: bytes, signature: bytes) -> bool:
        """Whether this person signed `message` for this purpose."""
        try:
            self.signing.verify(signature, _stated(purpose, message))
        except InvalidSignature:
            return False
        return True

    def seal(self, purpose: str, value: bytes) -> bytes:
        """Only this person's private key opens it (HPKE)."""
        return SUITE.encrypt(value, self.sealing, b"tuermer 1\0" + purpose.encode())


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose key file is open."""

    name: str
    signing: Ed25519PrivateKey
    sealing: X25519PrivateKey

    @property
    def public(self) -> Public:
        return Public(self.name, self.signing.public_key(), self.sealing.public_key())

    def sign(self, purpose: str, message: bytes) -> bytes:
        return self.signing.sign(_stated(purpose, message))

    def unseal(self, purpose: str, sealed: bytes) -> bytes:
        """Raises InvalidTag when it was sealed to another key, for another purpose, or was changed."""
        return SUITE.decrypt(sealed, self.sealing, b"tuermer 1\0" + purpose.encode())


@dataclass(frozen=True, slots=True)
class Holder:
    """A person of [[keyholders]]."""

    public: Public
    groups: frozenset[str]
    tenants: frozenset[str]  # empty = every tenant

    @property
    def name(self) -> str:
        return self.public.name

    def of(self, group: str, tenant: str) -> bool:
        """Whether the person belongs to the group for this tenant."""
        return group in self.groups and (not self.tenants or tenant in self.tenants)


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's key file; byte strings are base64."""

    name: str
    public: str  # 64 bytes
    cost: int  # scrypt: n = 2^cost, r = 8, p = 1
    salt: str
    nonce: str
    sealed: str
    tuermer: str = KIND


def new_person(out: Path, name: str, passphrase: str, cost: int = COST) -> Public:
    """Makes `out` (0600) and `out`.pub. Raises KeyFileError when a file exists, or name or passphrase will not do."""
    if LOGIN.fullmatch(name) is None:
        raise KeyFileError("the name must be a login: letters, digits, dot, dash and underscore, at most 64")
    if len(passphrase) < SHORTEST:
        raise KeyFileError(f"the passphrase must have at least {SHORTEST} characters")
    public_file = out.with_name(out.name + ".pub")
    if public_file.exists():
        raise KeyFileError(f"{public_file} exists and is not overwritten")
    person = Person(name, Ed25519PrivateKey.generate(), X25519PrivateKey.generate())
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    private = person.signing.private_bytes_raw() + person.sealing.private_bytes_raw()
    stretched = AESGCM(_stretched(passphrase, salt, cost))
    sealed = stretched.encrypt(nonce, private, _stated(name, person.public.raw))
    stored = _Stored(name, _text(person.public.raw), cost, _text(salt), _text(nonce), _text(sealed))
    create(out, msgspec.json.format(msgspec.json.encode(stored)) + b"\n", 0o600)
    create(public_file, f"{person.public.line}\n".encode(), 0o644)
    return person.public


def unlock(path: Path, passphrase: str) -> Person:
    """The person whose key file this is. Raises KeyFileError with a sentence."""
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
        public, salt, nonce, sealed = (
            base64.b64decode(part, validate=True) for part in (stored.public, stored.salt, stored.nonce, stored.sealed)
        )
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError):
        raise KeyFileError(f"{path} is no person's key, or only a part of one") from None
    if stored.tuermer != KIND or stored.cost not in COSTS or len(nonce) != 12 or len(salt) != 16:
        raise KeyFileError(f"{path} is no person's key of this version")
    try:
        private = AESGCM(_stretched(passphrase, salt, stored.cost)).decrypt(nonce, sealed, _stated(stored.name, public))
    except InvalidTag:
        raise KeyFileError(f"the passphrase of {path} is wrong, or the file was changed") from None
    return Person(stored.name, Ed25519PrivateKey.from_private_bytes(private[:32]), X25519PrivateKey.from_private_bytes(private[32:]))


def read_public(line: str) -> Public:
    """The public half from its line. Raises ValueError when it is none."""
    kind, raw, name = ([*line.split(), "", "", ""])[:3]
    keys = base64.b64decode(raw, validate=True)
    if kind != LINE or len(keys) != 64 or LOGIN.fullmatch(name) is None:
        raise ValueError("this is no line of a person's .pub file")
    return Public(name, Ed25519PublicKey.from_public_bytes(keys[:32]), X25519PublicKey.from_public_bytes(keys[32:]))


def holders(config: Config) -> list[Holder]:
    """All of [[keyholders]]. Raises ConfigError with a sentence that names the entry."""
    found: list[Holder] = []
    for number, entry in enumerate(config.keyholders, 1):
        try:
            public = read_public(entry.public)
        except ValueError:
            raise ConfigError(f"keyholders[{number}].public is not the line of a .pub file made by `tuermer keys new person`") from None
        found.append(Holder(Public(entry.name, public.signing, public.sealing), frozenset(entry.groups), frozenset(entry.tenants)))
    return found


def signers(config: Config, group: str, tenant: str = "") -> Mapping[str, Public]:
    """The people of a group by login; `public.verifies(purpose, message, signature)`. Raises ConfigError."""
    return {holder.name: holder.public for holder in holders(config) if holder.of(group, tenant)}


def trusted(config: Config, person: Person) -> Holder:
    """The entry of [[keyholders]] for an opened key file. Raises KeyFileError when its keys are not listed."""
    for holder in holders(config):
        if holder.public.raw == person.public.raw:
            return holder
    raise KeyFileError(f"the key of {person.name} ({person.public.fingerprint}) is not among [[keyholders]]")


def _stated(purpose: str, message: bytes) -> bytes:
    return b"tuermer 1\0" + purpose.encode() + b"\0" + message


def _stretched(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt, 32, 1 << cost, 8, 1).derive(passphrase.encode())


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
