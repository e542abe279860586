"""Keys: made once, and for tokens a new one each epoch from which nobody can compute the old ones.

The privacy key is a ratchet: root(e + 1) = HKDF(root(e)). The file holds the root of the oldest epoch that may still
be asked for, because an event may be a day late; when that day is over too, the file is overwritten by the next root.
So whoever takes the file can compute tokens of today, of yesterday and of days to come, never of a day before.
Several ROUTE processes share one file: the step is the same whoever makes it, it is made under a lock, and the file
only ever moves forward.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from numpy.typing import NDArray

from detector.config import Config
from detector.privacy.epochs import DAY, HOUR, epoch
from detector.sentence import Sentence

GRACE = DAY  # an event's time may lie 24 h before its record's
KEEP = 72 * HOUR  # no epoch is kept open longer than tuermer.events is, whatever still waits
WRITABLE = "its folder must be writable for Türmer, because the key changes daily"
REACH = 1000  # epochs that may be asked for beyond the oldest; a wrong clock must not cost hours of hashing


class KeyFileError(Sentence):
    """A key file cannot be used or made; the text is one sentence."""


class Keyring(Protocol):
    """Where pseudonymising gets its keys from."""

    @property
    def first(self) -> int:
        """The oldest epoch whose key still exists."""

    @property
    def last(self) -> int:
        """The newest epoch that may be asked for."""

    def key(self, tenant: str, epoch: int, purpose: str) -> bytes:
        """32 bytes for one tenant, epoch and purpose. Raises KeyError when the epoch's key is destroyed."""

    def lasting(self, tenant: str, purpose: str) -> bytes:
        """32 bytes that do not change with the epoch; only for `privacy.person_memory = "first-seen"`."""


class MemoryKeyring:
    """Keys from a root that lives as long as this object: for replays, demonstrations and tests, any epoch in any order."""

    first, last = -1, 10_000_000

    def __init__(self, root: bytes | None = None) -> None:
        self._root = secrets.token_bytes(32) if root is None else root
        self._known: dict[tuple[str, int, str], bytes] = {}

    def key(self, tenant: str, epoch: int, purpose: str) -> bytes:
        asked = (tenant, epoch, purpose)
        if asked not in self._known:
            self._known[asked] = _derive(_derive(self._root, f"epoch {epoch}"), f"{purpose}\0{tenant}")
        return self._known[asked]

    def lasting(self, tenant: str, purpose: str) -> bytes:
        return _derive(_derive(self._root, "lasting"), f"{purpose}\0{tenant}")


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The privacy key file."""

    epoch: int
    root: str  # base64, of that epoch
    lasting: str  # base64
    tuermer: str = "privacy key 1"


class FileKeyring:
    """The privacy key of a running ROUTE; `advance` destroys what is over."""

    def __init__(self, path: Path, stored: _Stored, zones: tuple[str, ...]) -> None:
        self.first = stored.epoch
        self._path, self._zones = path, zones
        self._root = base64.b64decode(stored.root)
        self._lasting = base64.b64decode(stored.lasting)
        self._known: dict[tuple[str, int, str], bytes] = {}
        self._roots: dict[int, bytes] = {self.first: self._root}

    @classmethod
    def open(cls, path: Path, zones: Iterable[str]) -> FileKeyring:
        """The key file at `path`; `zones` are all time zones whose tenants share it.

        Raises KeyFileError when it is missing or is none.
        """
        if not path.is_file():
            raise KeyFileError(f"{path} does not exist; make it with `tuermer keys new privacy --out {path}`")
        if not os.access(path.parent, os.W_OK):
            raise KeyFileError(f"{path} cannot be rewritten; {WRITABLE}")
        with _locked(path):
            _beside(path).unlink(missing_ok=True)  # a kill may have left it, and its root would outlive its day
            return cls(path, _read(path), tuple(sorted(set(zones))) or ("UTC",))

    @classmethod
    def of(cls, config: Config) -> FileKeyring:
        """The configured key file, with the time zones of all topics and observers."""
        zones = {t.timezone for t in config.topics} | {o.timezone for o in config.observers if o.timezone != ""}
        return cls.open(Path(config.privacy.key_file), zones)

    @property
    def last(self) -> int:
        return self.first + REACH

    def key(self, tenant: str, epoch: int, purpose: str) -> bytes:
        asked = (tenant, epoch, purpose)
        if asked not in self._known:
            self._known[asked] = _derive(self._root_of(epoch), f"{purpose}\0{tenant}")
        return self._known[asked]

    def lasting(self, tenant: str, purpose: str) -> bytes:
        return _derive(self._lasting, f"{purpose}\0{tenant}")

    def advance(self, now: int, waiting: int | None = None) -> int:
        """Destroys the keys of all epochs that are over at `now` (µs); returns the oldest epoch that is left.

        `waiting` is the time of the oldest record that is still to be read: while a backlog is worked off, its epochs
        stay open, but none longer than 72 h. Events older than every open epoch join the oldest one.
        Raises KeyFileError when the key is ahead of the clock: one of them is wrong, and tokens would not change.
        """
        self.check(now)
        reach = min(now, now if waiting is None else waiting) - GRACE
        target = max(min(epoch(at, zone) for zone in self._zones) for at in (reach, now - KEEP))
        if target > self.first:
            root = self._root_of(target)
            _write_forward(self._path, _Stored(target, base64.b64encode(root).decode(), base64.b64encode(self._lasting).decode()))
            self.first, self._root, self._roots = target, root, {target: root}
            self._known = {asked: key for asked, key in self._known.items() if asked[1] >= target}
        return self.first

    def check(self, now: int) -> None:
        """Raises KeyFileError when the key is of a later day than the clock's."""
        today = max(epoch(now, zone) for zone in self._zones)
        if self.first > today:
            ahead = f"{self._path} is {self.first - today} days ahead of this machine's clock"
            raise KeyFileError(f"{ahead}; set the clock right or make a new key")

    def _root_of(self, epoch: int) -> bytes:
        if not self.first <= epoch <= self.last:
            raise KeyError(f"there is no key for epoch {epoch}: keys exist from {self.first} to {self.last}")
        known = max(e for e in self._roots if e <= epoch)
        root = self._roots[known]
        for _ in range(epoch - known):
            root = _derive(root, "next epoch")
        self._roots[epoch] = root
        return root


def clamp(keyring: Keyring, epochs: NDArray[np.int32]) -> NDArray[np.int32]:
    """Epochs for which there are keys: what is older than the oldest open epoch joins that one."""
    return np.clip(epochs, keyring.first, keyring.last).astype(np.int32)


def new_privacy(out: Path, now: int) -> None:
    """A new privacy key file, 0600. Raises KeyFileError when the file exists."""
    oldest = epoch(now, "UTC") - (KEEP + GRACE) // DAY  # so that a backlog can be read; the key is new, so nothing leaks
    stored = _Stored(oldest, *(base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2)))
    create(out, msgspec.json.format(msgspec.json.encode(stored)) + b"\n", 0o600)


def new_signing(out: Path) -> None:
    """An Ed25519 pair that signs models: `out` (0600) and `out`.pub. Raises KeyFileError when either exists."""
    _pair(out, Ed25519PrivateKey.generate())


def new_dead_letters(out: Path) -> None:
    """An X25519 pair for sealed dead letters: `out` (keep it off the daemon's machine) and `out`.pub."""
    _pair(out, X25519PrivateKey.generate())


def _pair(out: Path, private: Ed25519PrivateKey | X25519PrivateKey) -> None:
    public = out.with_name(out.name + ".pub")
    if public.exists():
        raise KeyFileError(f"{public} exists and is not overwritten")
    create(out, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    create(public, private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)


def create(out: Path, content: bytes, mode: int) -> None:
    """A new file with that content. Raises KeyFileError when it exists or cannot be made."""
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise KeyFileError(f"{out} exists and is not overwritten") from None
    except OSError as error:
        raise KeyFileError(f"{out} cannot be made: {error.strerror}") from None
    with open(handle, "wb") as file:
        file.write(content)


def _derive(root: bytes, label: str) -> bytes:
    return HKDFExpand(SHA256(), 32, b"tuermer 1\0" + label.encode()).derive(root)


def _read(path: Path) -> _Stored:
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
        lengths = {len(base64.b64decode(key)) for key in (stored.root, stored.lasting)}
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}; make it with `tuermer keys new privacy --out {path}`") from None
    except (msgspec.MsgspecError, ValueError):
        raise KeyFileError(f"{path} is no privacy key; make one with `tuermer keys new privacy`") from None
    if stored.tuermer != "privacy key 1" or lengths != {32}:
        raise KeyFileError(f"{path} is no privacy key of this version")
    return stored


def _write_forward(path: Path, stored: _Stored) -> None:
    """Replaces the file atomically, unless another process has already moved it as far; the old root is overwritten."""
    with _locked(path) as folder:
        if _read(path).epoch >= stored.epoch:
            return
        with path.open("r+b") as old:
            beside = _beside(path)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(handle, "wb") as new:
                os.fchmod(handle, stat.S_IMODE(os.fstat(old.fileno()).st_mode))
                new.write(msgspec.json.format(msgspec.json.encode(stored)) + b"\n")
                new.flush()
                os.fsync(new.fileno())
            os.replace(beside, path)
            old.write(b"\0" * os.fstat(old.fileno()).st_size)
            old.flush()
            os.fsync(old.fileno())
        os.fsync(folder)


def _beside(path: Path) -> Path:
    """Where the next key is written before it takes the old one's place; a name that stays, so that a kill leaves at most one."""
    return path.with_name(path.name + ".next")


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Holds the folder: the file itself is replaced, and a lock file left by `sudo tuermer doctor` would shut the daemon out."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(folder)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be rewritten: {error.strerror}; {WRITABLE}") from None
