"""Bytes that somebody changed: never loaded, never a crash. And what a trusted signer with a broken tool signs: one sentence or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.features.table import read_all
from detector.forest.artefact import ArtefactError, Files
from detector.forest.detector import Detector
from detector.learn.registry import SHIPPED

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = [KEY.public_key()]
TABLE = read_all(SHIPPED)["auth-source"]


@pytest.fixture(scope="module")
def files() -> Files:
    """The shipped model, signed; its threshold is another one, so that no pin vouches for it."""
    shipped = Files.of(SHIPPED / "auth-source" / "baseline")
    manifest = json.loads(shipped.manifest)
    manifest["about"]["note"] = "fuzzed"
    return signed(replace(shipped, manifest=json.dumps(manifest, indent=1, sort_keys=True).encode()))


def signed(files: Files) -> Files:
    return replace(files, signature=KEY.sign(files.manifest))


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Bits flipped, bytes overwritten, a piece cut out, doubled or swapped, the end missing, or all of it: never the same."""
    kind, changed = int(rng.integers(7)), bytearray(content)
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 64))
    if kind == 0:
        changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        changed[at : at + length] = rng.bytes(length)
    elif kind == 2:
        del changed[at : at + length]
    elif kind == 3:
        changed[at:at] = changed[at : at + length] or b"x"
    elif kind == 4:
        del changed[at:]
    elif kind == 5:
        changed[at : at + 2 * length] = changed[at + length : at + 2 * length] + changed[at : at + length]
    else:
        changed[:] = rng.bytes(length)
    return bytes(changed) if bytes(changed) != content else content + b"\0"


def check(files: Files, rounds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in range(rounds):
        parts = [files.manifest, files.arrays, files.signature]
        which = int(rng.integers(3))
        parts[which] = mutated(parts[which], rng)
        broken = Files(files.place, *parts)
        with pytest.raises(ArtefactError) as error:
            Detector.of_files(broken, KEYS, TABLE)
        assert "\n" not in str(error.value), number


def check_signed(files: Files, rounds: int, seed: int) -> None:
    """The manifest or the arrays changed, everything that vouches for them made anew."""
    rng, loaded = np.random.default_rng(seed), 0
    for _ in range(rounds):
        broken = files
        if rng.random() < 0.5:
            arrays = mutated(files.arrays, rng)
            manifest = json.loads(files.manifest)
            manifest["files"]["arrays.npz"] = hashlib.sha256(arrays).hexdigest()
            broken = replace(files, arrays=arrays, manifest=json.dumps(manifest).encode())
        else:
            broken = replace(files, manifest=mutated(files.manifest, rng))
        with contextlib.suppress(ArtefactError):
            detector = Detector.of_files(signed(broken), KEYS, TABLE)
            loaded += 1  # a byte that says nothing about how the model judges
            assert detector.model_id == Detector.of_files(files, KEYS, TABLE).model_id
    assert loaded < rounds / 2


def test_the_unchanged_bytes_load(files: Files) -> None:
    assert Detector.of_files(files, KEYS, TABLE).name == "auth-source"


def test_no_changed_byte_is_ever_loaded(files: Files) -> None:
    check(files, 1_500, 1)


def test_what_is_signed_and_broken_is_refused_with_a_sentence_or_judges_as_before(files: Files) -> None:
    check_signed(files, 60, 2)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_changed_byte_is_ever_loaded_long(files: Files) -> None:
    check(files, 100_000, 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_what_is_signed_and_broken_long(files: Files) -> None:
    check_signed(files, 5_000, 4)


def test_a_registry_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"manifest\.json is missing"):
        Files.of(tmp_path)
