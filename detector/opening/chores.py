"""What the daemon does by itself: names go when their time is up, break-glass requests are answered and told, the log is signed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from detector.config import Config, ConfigError
from detector.configload import secret
from detector.opening.approval import grant
from detector.opening.requests import HOUR, Side, UnsealError, checked
from detector.privacy.people import Person, unlock
from detector.privacy.vault import VaultError
from detector.store import audit, openings
from detector.store.audit import Entry, Seal
from detector.store.database import Database, moment
from detector.store.openings import Opening

log = structlog.get_logger()
EVERY = 10_000_000  # µs
MINUTE = 60_000_000


def expire(database: Database, now: int) -> int:
    """Deletes names and halves whose time is up, and closes requests without an answer; how many."""
    with database.transaction() as connection:
        due = openings.expire(connection, now)
        for one in due:
            audit.append(connection, Entry(one.tenant, "daemon", "opening.expiry", str(one.id), {"was": one.state}), now)
    return len(due)


def shatter(database: Database, config: Config, daemon: Person, now: int) -> int:
    """Approves break-glass requests with the daemon's key and tells the data protection officer in the same transaction; how many.

    Only where `opening.break_glass_key_file` is set: that key is one of a group of its own, so it opens nothing alone either.
    A request that cannot be granted is refused.
    """
    with database.transaction() as connection:
        waiting = openings.urgent(connection)
    return sum(_shattered(database, config, daemon, one, now) for one in waiting)


def _shattered(database: Database, config: Config, daemon: Person, one: Opening, now: int) -> bool:
    try:
        with database.transaction() as connection:
            request, author = checked(config, one)
            grant(connection, config, one, request, author, Side.of(config, daemon, one.tenant), now)
            openings.tell(connection, one, *_alarm(one, now), now)
            audit.append(connection, Entry(one.tenant, author.name, "opening.break-glass", str(one.id), {"case": one.case_number}), now)
        return True
    except (UnsealError, VaultError) as error:
        log.warning("break-glass-refused", incident=str(one.incident), reason=str(error))
        with database.transaction() as connection:
            if openings.refuse(connection, one.id, "daemon", str(error), now):
                audit.append(connection, Entry(one.tenant, "daemon", "opening.refusal", str(one.id), {}), now)
        return False


def _alarm(one: Opening, now: int) -> tuple[Mapping[str, str], Mapping[str, str]]:
    at = f"{moment(now):%Y-%m-%d %H:%M} UTC"
    title = {"de": "Namen ohne zweite Person geöffnet (Notfall)", "en": "Names opened without a second person (break-glass)"}
    said = {
        "de": f"{one.requester} hat am {at} die Namen der Auffälligkeit {one.incident} ohne Zustimmung einer zweiten Person geöffnet. "
        f"Vorgang {one.case_number}. Die Begründung steht in der Anfrage {one.id}.",
        "en": f"{one.requester} opened the names of incident {one.incident} on {at} without the consent of a second person. "
        f"Case {one.case_number}. The reason stands in request {one.id}.",
    }
    return title, said


@dataclass(slots=True)
class OpeningChore:
    """A chore of the SCORE loop, every ten seconds. Raises Away."""

    config: Config
    database: Database
    daemon: Person | None  # the key of the group `break-glass`, where one is configured
    looked: int = 0

    def __call__(self, now: int) -> None:
        """`now` in µs."""
        if 0 <= now - self.looked < EVERY:
            return
        self.looked = now
        expire(self.database, now)
        if self.daemon is not None:
            shatter(self.database, self.config, self.daemon, now)


@dataclass(slots=True)
class SealChore:
    """Signs the ends of the audit chains every hour; what cannot be appended to the anchor file is not signed, but tried again."""

    database: Database
    key: Ed25519PrivateKey
    anchor: Path | None
    last: int = 0
    failed: bool = field(default=False)

    def __call__(self, now: int) -> None:
        """`now` in µs. Raises Away."""
        if 0 <= now - self.last < HOUR:
            return
        with self.database.transaction() as connection:
            seals = audit.signed(audit.unsigned(connection), self.key, now)
            if not self._anchored(seals):
                return
            audit.keep(connection, seals)
        self.last = now if seals != [] else now - HOUR + MINUTE  # what comes after a silence is signed within a minute

    def _anchored(self, seals: list[Seal]) -> bool:
        if self.anchor is None or seals == []:
            return True
        lines = b"".join(msgspec.json.encode(seal) + b"\n" for seal in seals)
        try:
            handle = os.open(self.anchor, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            with open(handle, "ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(handle)
        except OSError as error:
            if not self.failed:
                log.warning("audit-not-anchored", where=str(self.anchor), reason=error.strerror)
            self.failed = True
            return False
        self.failed = False
        return True


def opening_chores(config: Config, database: Database, environ: Mapping[str, str]) -> list[Callable[[int], None]]:
    """What the SCORE loop does for openings and the audit log. Raises ConfigError or KeyFileError for a key that cannot be used."""
    key = signing_key(config.audit.key_file)
    anchor = None if config.audit.anchor_file == "" else Path(config.audit.anchor_file)
    chores: list[Callable[[int], None]] = [OpeningChore(config, database, daemon_key(config, environ))]
    return [*chores, SealChore(database, key, anchor)] if key is not None else chores


def anchors(path: Path) -> list[Seal]:
    """The lines of an anchor file; one that a full disk cut off is passed over."""
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(msgspec.json.decode(line, type=Seal))
        except msgspec.MsgspecError:
            continue
    return found


def signing_key(path: str) -> Ed25519PrivateKey | None:
    """The key that signs the audit log; None for "". Raises ConfigError."""
    if path == "":
        return None
    try:
        key = load_pem_private_key(Path(path).read_bytes(), None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"audit.key_file names {path}, which is no Ed25519 key; make one with `tuermer keys new signing`")
    return key


def daemon_key(config: Config, environ: Mapping[str, str]) -> Person | None:
    """The key of the group `break-glass`; None where nobody may open names alone. Raises KeyFileError."""
    ours = config.opening
    if ours.break_glass_key_file == "":
        return None
    passphrase = secret(ours.break_glass_passphrase_env, ours.break_glass_passphrase_file, environ)
    return unlock(Path(ours.break_glass_key_file), passphrase)
