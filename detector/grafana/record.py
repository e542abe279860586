"""What we pushed last: whether a secret changed (Grafana never shows one), and whether somebody changed things by hand.

One small file per tenant beside the tokens. Secrets are in it only as slow salted hashes; losing the file costs one
needless write per object with secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.sentence import Sentence

COST = {"n": 2**13, "r": 8, "p": 1}  # scrypt, about 20 ms a guess


class Record:
    """name of an object -> {"seen": digest of what is visible, "secret": salted hash, "version": Grafana's}."""

    def __init__(self, path: Path, marks: Mapping[str, Mapping[str, Any]] | None = None, salt: str = "") -> None:
        self._path = path
        self._salt = salt if salt != "" else secrets.token_hex(16)
        self._hashes: dict[bytes, str] = {}  # of this run: several objects share a secret, and a hash is slow on purpose
        self._marks = {name: dict(mark) for name, mark in (marks or {}).items()}

    @classmethod
    def load(cls, path: Path) -> Record:
        """An unreadable file counts as lost."""
        try:
            kept = json.loads(path.read_text("utf-8"))
            return cls(path, kept["objects"], kept["salt"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return cls(path)

    @classmethod
    def nothing(cls) -> Record:
        """For comparing where nothing is remembered."""
        return cls(Path(os.devnull))

    def seen(self, name: str) -> str | None:
        """The digest of the visible part as we pushed it; None if we never did."""
        return self._marks.get(name, {}).get("seen")

    def same_secret(self, name: str, secret: object) -> bool:
        """Whether this is the secret that was pushed last."""
        kept = str(self._marks.get(name, {}).get("secret", ""))
        return kept != "" and hmac.compare_digest(kept, self._hashed(secret))

    def version(self, name: str) -> int | None:
        """Grafana's version of the object after our push."""
        return self._marks.get(name, {}).get("version")

    def sent(self, name: str, secret: object) -> None:
        """Secrets of an object that has just been written; kept at once, because a push may die at any line."""
        self._marks.setdefault(name, {})["secret"] = self._hashed(secret)
        self._write()

    def saw(self, name: str, visible: object, version: int | None = None) -> None:
        """An object as it was read back."""
        mark = {**self._marks.get(name, {}), "seen": digest(visible)}
        if version is not None:
            mark["version"] = version
        if self._marks.get(name) != mark:
            self._marks[name] = mark
            self._write()

    def forget(self, name: str) -> None:
        """It was removed."""
        if self._marks.pop(name, None) is not None:
            self._write()

    def _hashed(self, secret: object) -> str:
        plain = _canonical(secret)
        if plain not in self._hashes:
            self._hashes[plain] = hashlib.scrypt(plain, salt=self._salt.encode(), **COST).hex()
        return self._hashes[plain]

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = self._path.with_suffix(".new")
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
                json.dump({"salt": self._salt, "objects": self._marks}, out, indent=1, sort_keys=True)
            beside.replace(self._path)
        except OSError as error:
            raise Sentence(f"{self._path} cannot be written ({error.strerror}); set grafana.directory to a folder of yours") from error


def digest(value: object) -> str:
    """Of a JSON value, independent of the order of keys."""
    return hashlib.sha256(_canonical(value)).hexdigest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
