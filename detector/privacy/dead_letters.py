"""What is told about a record that nobody could read: where, why, how long, what shape; its content only sealed.

The SHA-256 is keyed (HMAC with a key of the record's epoch): short lines could otherwise be found by trying. So equal
records are recognisable within one tenant and epoch, and nobody who lacks that day's key can test guesses.
"""

from __future__ import annotations

import base64
import hmac
import re
from pathlib import Path

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from detector.config import ConfigError
from detector.decode.decoded import Decoded, Reject
from detector.privacy.epochs import epochs
from detector.privacy.keys import Keyring, clamp
from detector.privacy.people import SUITE
from detector.records import Records

SEALED_MOST = 256 * 1024  # bytes of a record that are sealed
SHAPE_MOST = 200  # characters
CODE = re.compile(r"[a-z0-9_-]{0,40}")
INFO = b"tuermer dead letter 1"


def _shape_table() -> bytes:
    """Letters (and the first byte of anything beyond ASCII) -> a, digits -> 0, control characters -> ?, the rest as it is."""
    table = bytearray(range(256))
    for byte in range(256):
        character = chr(byte)
        if byte >= 0xC0 or (byte < 0x80 and character.isalpha()):
            table[byte] = ord("a")
        elif byte < 0x80 and character.isdigit():
            table[byte] = ord("0")
        elif byte < 0x20 or byte == 0x7F:
            table[byte] = ord("?")
    return bytes(table)


SHAPE = _shape_table()
CONTINUATION = bytes(range(0x80, 0xC0))  # further bytes of a character beyond ASCII


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message of `tuermer.dead-letters`, as JSON."""

    topic: str
    partition: int
    offset: int
    created: int  # the record's time, µs since 1970
    tenant: str
    site: str
    format: str
    reason: str
    length: int
    sha256: str  # HMAC-SHA-256, hexadecimal
    shape: str
    sealed: str | None = None  # base64 of HPKE (X25519, HKDF-SHA256, ChaCha20-Poly1305)


class DeadLetters:
    """Writes them; holds the public key and never the private one."""

    def __init__(self, keyring: Keyring, public_key: X25519PublicKey | None) -> None:
        self._keyring, self._public_key = keyring, public_key

    @classmethod
    def of(cls, public_key_file: str, keyring: Keyring) -> DeadLetters:
        """Raises ConfigError when the file holds no X25519 public key."""
        return cls(keyring, None if public_key_file == "" else _public_key(Path(public_key_file)))

    def messages(self, records: Records, decoded: Decoded) -> list[bytes]:
        """One JSON message per reject of the batch, in its order."""
        return [msgspec.json.encode(self._letter(records, decoded, reject)) for reject in decoded.rejects]

    def _letter(self, records: Records, decoded: Decoded, reject: Reject) -> DeadLetter:
        row, origin = reject.row, decoded.origins[reject.origin]
        value, created = records.value(row), int(records.timestamps[row])
        place = records.places[int(records.place[row])]
        epoch = clamp(self._keyring, epochs(np.array([created], np.int64), origin.timezone))
        key = self._keyring.key(origin.tenant, int(epoch[0]), "dead letter")
        return DeadLetter(
            topic=place.topic.rsplit("/", 1)[-1], partition=place.partition, offset=int(records.offsets[row]), created=created,
            tenant=origin.tenant, site=origin.site, format=_code(reject.format), reason=_code(reject.reason),
            length=len(value), sha256=hmac.digest(key, value, "sha256").hex(), shape=shape(value),
            sealed=None if self._public_key is None else base64.b64encode(seal(value, self._public_key)).decode(),
        )  # fmt: skip


def shape(value: bytes) -> str:
    """What a record looks like without what it says: letters -> a, digits -> 0; at most 200 characters."""
    return value[: 4 * SHAPE_MOST].translate(SHAPE, CONTINUATION)[:SHAPE_MOST].decode("ascii")


def seal(value: bytes, public_key: X25519PublicKey) -> bytes:
    """The first 256 KiB of a record, readable only with the private key."""
    return SUITE.encrypt(value[:SEALED_MOST], public_key, INFO)


def unseal(message: bytes, private_key_file: Path) -> bytes:
    """The record inside a dead letter, on the machine of whoever holds the private key.

    Raises ValueError when nothing is sealed in it or the key is another one's.
    """
    letter = msgspec.json.decode(message, type=DeadLetter)
    private_key = load_pem_private_key(private_key_file.read_bytes(), None)
    if letter.sealed is None or not isinstance(private_key, X25519PrivateKey):
        raise ValueError("the dead letter holds no record, or the file no X25519 private key")
    return SUITE.decrypt(base64.b64decode(letter.sealed), private_key, INFO)


def _public_key(path: Path) -> X25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        key = None
    if not isinstance(key, X25519PublicKey):
        raise ConfigError(
            f"privacy.dead_letter_public_key names {path}, which is no X25519 public key; make one with `tuermer keys new dead-letters`"
        )
    return key


def _code(text: str) -> str:
    """A code, or "other": a quotation must not slip in here."""
    return text if CODE.fullmatch(text) is not None else "other"
