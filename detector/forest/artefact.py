"""Models on disk: arrays.npz and manifest.json, trusted by a pinned hash or an Ed25519 signature, checked before use (I6).

The only module of this room that touches files. Order of reading: the manifest's bytes are trusted first, then they say what
the arrays' bytes must hash to, then arrays are parsed (never with pickle), then every number is checked by its owner.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from detector.features.table import ModelTable
from detector.forest.trusted import TRUSTED
from detector.sentence import Sentence

FORMAT = 2
LARGEST = 64 << 20  # bytes of arrays; a model of ours has under 2 MB
# What json, zipfile, zlib and numpy raise on bytes that are not what they seem; found by tests/test_artefact_fuzz.py.
MALFORMED = (
    KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError, NotImplementedError, RuntimeError, EOFError, MemoryError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


class ArtefactError(Sentence):
    """A model that must not be used; the sentence says which and why."""


class Key(Protocol):
    """What may vouch for a manifest: an Ed25519 public key, or a person's."""

    def verify(self, signature: bytes, data: bytes, /) -> None:
        """Raises InvalidSignature."""
        ...


@dataclass(frozen=True, slots=True)
class Files:
    """A model's bytes, wherever they lie; `place` is how sentences call it, `signature` is empty where there is none."""

    place: str
    manifest: bytes
    arrays: bytes
    signature: bytes = b""

    @classmethod
    def of(cls, folder: Path) -> Files:
        """Raises ArtefactError where a file is missing or too large."""
        signature = _bytes(folder, "manifest.sig") if (folder / "manifest.sig").exists() else b""
        return cls(str(folder), _bytes(folder, "manifest.json"), _bytes(folder, "arrays.npz"), signature)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which names the arrays' hash: what a model is known by exactly."""
        return hashlib.sha256(self.manifest).hexdigest()


def write(folder: Path, manifest: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """arrays.npz and manifest.json; the same content gives the same bytes. An old signature is removed: it no longer holds."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    shapes = {name: [values.dtype.str, *values.shape] for name, values in sorted(arrays.items())}
    whole = {"format": FORMAT, **manifest, "arrays": shapes, "files": {"arrays.npz": hashlib.sha256(content).hexdigest()}}
    (folder / "arrays.npz").write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(whole, indent=1, sort_keys=True, allow_nan=False) + "\n")
    (folder / "manifest.sig").unlink(missing_ok=True)


def sign(folder: Path, key: Ed25519PrivateKey) -> None:
    """Write manifest.sig, the Ed25519 signature over the manifest's bytes, which in turn name every file's hash."""
    (folder / "manifest.sig").write_bytes(key.sign((folder / "manifest.json").read_bytes()))


def manifest_hash(folder: Path) -> str:
    """SHA-256 of the manifest: what a shipped model is pinned by."""
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def read(folder: Path, keys: Iterable[Key] = (), pinned: Iterable[str] | None = None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """As `opened`, of the files in a folder."""
    return opened(Files.of(folder), keys, pinned)


def opened(files: Files, keys: Iterable[Key] = (), pinned: Iterable[str] | None = None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """(manifest, arrays) of a trusted, unaltered artefact. Raises ArtefactError; nothing is parsed before it is trusted."""
    place = files.place
    if files.digest not in set(TRUSTED.values() if pinned is None else pinned):
        _check_signature(files, keys)
    with reading(place):
        manifest = json.loads(files.manifest)
        if manifest["format"] != FORMAT:
            raise ArtefactError(f"{place}: format {manifest['format']} is not known to this version")
        if hashlib.sha256(files.arrays).hexdigest() != manifest["files"]["arrays.npz"]:
            raise ArtefactError(f"{place}: arrays.npz was altered or cut off; its SHA-256 is not the manifest's")
        with np.load(io.BytesIO(files.arrays), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if {name: [a.dtype.str, *a.shape] for name, a in arrays.items()} != manifest["arrays"]:
            raise ArtefactError(f"{place}: the arrays are not those that the manifest lists")
    return manifest, arrays


def check_schema(place: str, manifest: dict[str, Any], table: ModelTable) -> None:
    """Raise ArtefactError unless the artefact was made for exactly these features and members."""
    if manifest["model"] != table.name:
        raise ArtefactError(f"{place}: this is model {manifest['model']}, not {table.name}")
    if manifest["schema_hash"] != table.schema_hash or tuple(manifest["features"]) != table.names:
        raise ArtefactError(f"{place}: trained for another set of features than models/{table.name}/model.toml; train it again")
    wanted = [(m.name, m.member, table.places(m), m.weight, table.limits(m)) for m in table.speakers]
    if [(m["name"], m["kind"], tuple(m["features"]), m["weight"], _tuples(m.get("rules", []))) for m in manifest["members"]] != wanted:
        raise ArtefactError(f"{place}: trained for other members than models/{table.name}/model.toml; train it again")


def _tuples(rules: list[list[list[float]]]) -> tuple[tuple[tuple[float, ...], ...], ...]:
    return tuple(tuple(tuple(part) for part in rule) for rule in rules)


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turns what a malformed but trusted artefact can raise into one sentence."""
    try:
        yield
    except MALFORMED as error:
        raise ArtefactError(f"{place}: not a usable model: {error}") from error


def _check_signature(files: Files, keys: Iterable[Key]) -> None:
    if files.signature == b"":
        raise ArtefactError(f"{files.place}: neither shipped with this version nor signed")
    if not any(vouches(key, files) for key in keys):
        raise ArtefactError(f"{files.place}: the signature was made by none of the trusted keys, or the manifest was altered")


def vouches(key: Key, files: Files) -> bool:
    """Whether this key signed exactly this manifest."""
    try:
        key.verify(files.signature, files.manifest)
    except InvalidSignature:
        return False
    return True


def _bytes(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise ArtefactError(f"{folder}: {name} is missing")
    if path.stat().st_size > LARGEST:
        raise ArtefactError(f"{folder}: {name} is larger than {LARGEST >> 20} MB")
    return path.read_bytes()
