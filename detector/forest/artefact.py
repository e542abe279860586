"""Models on disk: arrays.npz and manifest.json, trusted by a pinned hash or an Ed25519 signature, checked before use (I6).

The only module of this room that touches files. Order of reading: the manifest's bytes are trusted first, then they say what
the arrays' bytes must hash to, then arrays are parsed (never with pickle), then every number is checked by its owner.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from detector.features.table import ModelTable
from detector.forest.trusted import TRUSTED
from detector.sentence import Sentence

Key = Ed25519PublicKey
FORMAT = 2
LARGEST = 64 << 20  # bytes of arrays; a model of ours has under 2 MB


class ArtefactError(Sentence):
    """A model that must not be used; the sentence says which and why."""


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
    """(manifest, arrays) of a trusted, unaltered artefact. Raises ArtefactError; nothing is parsed before it is trusted."""
    content = _bytes(folder, "manifest.json")
    hashes = TRUSTED.values() if pinned is None else pinned
    if hashlib.sha256(content).hexdigest() not in set(hashes):
        _check_signature(folder, content, keys)
    with reading(folder):
        manifest = json.loads(content)
        if manifest["format"] != FORMAT:
            raise ArtefactError(f"{folder}: format {manifest['format']} is not known to this version")
        expected = manifest["files"]["arrays.npz"]
        packed = _bytes(folder, "arrays.npz")
        if hashlib.sha256(packed).hexdigest() != expected:
            raise ArtefactError(f"{folder}: arrays.npz was altered or cut off; its SHA-256 is not the manifest's")
        with np.load(io.BytesIO(packed), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if {name: [a.dtype.str, *a.shape] for name, a in arrays.items()} != manifest["arrays"]:
            raise ArtefactError(f"{folder}: the arrays are not those that the manifest lists")
    return manifest, arrays


def check_schema(folder: Path, manifest: dict[str, Any], table: ModelTable) -> None:
    """Raise ArtefactError unless the artefact was made for exactly these features and members."""
    if manifest["model"] != table.name:
        raise ArtefactError(f"{folder}: this is model {manifest['model']}, not {table.name}")
    if manifest["schema_hash"] != table.schema_hash or tuple(manifest["features"]) != table.names:
        raise ArtefactError(f"{folder}: trained for another set of features than models/{table.name}/model.toml; train it again")
    places = {name: j for j, name in enumerate(table.names)}
    wanted = [(m.name, m.member, sorted(places[name] for name in m.features), m.weight) for m in table.speakers]
    if [(m["name"], m["kind"], m["features"], m["weight"]) for m in manifest["members"]] != wanted:
        raise ArtefactError(f"{folder}: trained for other members than models/{table.name}/model.toml; train it again")


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turns what a malformed but trusted artefact can raise into one sentence."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OverflowError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"{folder}: not a usable model: {error}") from error


def _check_signature(folder: Path, content: bytes, keys: Iterable[Key]) -> None:
    if not (folder / "manifest.sig").exists():
        raise ArtefactError(f"{folder}: neither shipped with this version nor signed")
    signature = _bytes(folder, "manifest.sig")
    for key in keys:
        try:
            key.verify(signature, content)
        except InvalidSignature:
            continue
        return
    raise ArtefactError(f"{folder}: the signature was made by none of the trusted keys, or the manifest was altered")


def _bytes(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise ArtefactError(f"{folder}: {name} is missing")
    if path.stat().st_size > LARGEST:
        raise ArtefactError(f"{folder}: {name} is larger than {LARGEST >> 20} MB")
    return path.read_bytes()
