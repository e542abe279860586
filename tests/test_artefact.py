"""I6: models are data. What is altered, unsigned, cut off, made for other features or impossible is refused with one sentence."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from detector.features.table import ModelTable, parse, read_all
from detector.forest import Forest, artefact, fit
from detector.forest.artefact import ArtefactError
from detector.forest.detector import Detector
from detector.forest.trusted import TRUSTED
from detector.learn.train import train

MODELS = Path(__file__).parent.parent / "models"
KEY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KEYS = [KEY.public_key()]
HEAD = 'name = "probe"\nentity = "source.ip"\nmembers = ["forest", "tail_sum", "tail_max"]\nthreshold = 3e-4\n'
TEXT = 'text.de = "x"\ntext.en = "x"\nunit = "times"\ndirection = "high"\ntechnique = "T1110"\n'
ROWS = np.random.default_rng(1).exponential(size=(400, 3))


def table(names: tuple[str, ...] = ("a", "b", "c")) -> ModelTable:
    return parse(
        (HEAD + 'title.de = "x"\ntitle.en = "x"\n' + "".join(f'[[features]]\nname = "{n}"\n{TEXT}' for n in names)).encode(), "probe"
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    train(table(), ROWS[:200], ROWS[200:]).save(folder)
    artefact.sign(folder, KEY)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "model"))


def altered(folder: Path, change: Callable[[dict[str, NDArray[Any]]], None]) -> None:
    """Write changed arrays under a new, valid signature: as a trusted signer with a broken tool would."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    arrays = dict(np.load(io.BytesIO((folder / "arrays.npz").read_bytes())))
    change(arrays)
    artefact.write(folder, {k: v for k, v in manifest.items() if k not in ("format", "arrays", "files")}, arrays)
    artefact.sign(folder, KEY)


def refused(folder: Path, sentence: str, keys: Any = KEYS, made_for: ModelTable | None = None) -> None:
    with pytest.raises(ArtefactError, match=sentence) as error:
        Detector.load(folder, keys, made_for)
    assert "\n" not in str(error.value)


def test_a_saved_detector_judges_as_before(folder: Path) -> None:
    fresh = train(table(), ROWS[:200], ROWS[200:]).detector
    loaded = Detector.load(folder, KEYS, table())
    assert loaded.model_id == fresh.model_id
    assert [c.tobytes() for c in loaded.score(ROWS * 3)] == [c.tobytes() for c in fresh.score(ROWS * 3)]
    assert [c.tobytes() for c in loaded.without_forest().score(ROWS)] == [c.tobytes() for c in fresh.without_forest().score(ROWS)]


def test_the_same_rows_and_seed_give_the_same_bytes(original: Path, tmp_path: Path) -> None:
    train(table(), ROWS[:200], ROWS[200:]).save(tmp_path)
    for name in ("manifest.json", "arrays.npz"):
        assert (tmp_path / name).read_bytes() == (original / name).read_bytes()


def test_a_forest_alone_is_saved_signed_and_loaded(tmp_path: Path) -> None:
    forest = fit(ROWS)
    forest.save(tmp_path)
    with pytest.raises(ArtefactError, match="nor signed"):
        Forest.load(tmp_path, KEYS)
    artefact.sign(tmp_path, KEY)
    assert Forest.load(tmp_path, KEYS).score(ROWS).tobytes() == forest.score(ROWS).tobytes()
    with pytest.raises(ArtefactError, match="not a usable model"):
        Detector.load(tmp_path, KEYS)


def test_an_unsigned_model_is_refused_unless_its_manifest_is_pinned(folder: Path) -> None:
    (folder / "manifest.sig").unlink()
    refused(folder, "neither shipped with this version nor signed")
    manifest, _ = artefact.read(folder, pinned=[artefact.manifest_hash(folder)])
    assert manifest["model"] == "probe"


def test_a_signature_by_another_key_is_refused(folder: Path) -> None:
    artefact.sign(folder, STRANGER)
    refused(folder, "signature was made by none of the trusted keys")
    refused(folder, "signature was made by none of the trusted keys", keys=[])


def test_writing_again_removes_the_old_signature(folder: Path) -> None:
    train(table(), ROWS[:200], ROWS[200:], seed=9).save(folder)
    refused(folder, "nor signed")


@pytest.mark.parametrize("name", ["manifest.json", "arrays.npz"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, f"{name} is missing")


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_truncated_file_is_refused(folder: Path, keep: int) -> None:
    content = (folder / "arrays.npz").read_bytes()
    (folder / "arrays.npz").write_bytes(content[:keep])
    refused(folder, "arrays.npz was altered or cut off")


def test_a_changed_word_in_the_manifest_is_refused(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"threshold": 0.0003', '"threshold": 0.3'))
    refused(folder, "or the manifest was altered")


def test_another_feature_schema_is_refused(folder: Path) -> None:
    refused(folder, "trained for another set of features", made_for=table(("a", "c", "b")))


def test_pickles_are_never_read(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, tree0_starts=np.array([{"a": 1}], dtype=object))
    (folder / "arrays.npz").write_bytes(buffer.getvalue())
    manifest["files"]["arrays.npz"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    artefact.sign(folder, KEY)
    refused(folder, "Object arrays cannot be loaded")


def first_inner(arrays: dict[str, NDArray[Any]]) -> int:
    return int(np.flatnonzero(arrays["tree0_feature"] >= 0)[0])


def put(name: str, at: int | None, value: float) -> Callable[[dict[str, NDArray[Any]]], None]:
    def change(arrays: dict[str, NDArray[Any]]) -> None:
        arrays[name][first_inner(arrays) if at is None else at] = value

    return change


def cast(name: str, kind: str) -> Callable[[dict[str, NDArray[Any]]], None]:
    def change(arrays: dict[str, NDArray[Any]]) -> None:
        arrays[name] = arrays[name].astype(kind)

    return change


def shortened(name: str) -> Callable[[dict[str, NDArray[Any]]], None]:
    def change(arrays: dict[str, NDArray[Any]]) -> None:
        arrays[name] = arrays[name][:-1]

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("tree0_threshold", None, np.nan), "threshold or box is not a finite number"),
        (put("tree0_low", None, -np.inf), "threshold or box is not a finite number"),
        (put("tree0_child", None, 1 << 30), "a link leaves its tree"),
        (put("tree0_child", None, -5), "a link leaves its tree or points backwards"),
        (put("tree0_child", None, 0), "points backwards"),
        (put("tree0_child", None, 4), "reached by no link or by several"),
        (put("tree0_feature", None, 3), "split feature is out of range"),
        (put("tree0_feature", None, -7), "split feature is out of range"),
        (put("tree0_feature", None, -1), "a leaf has a child"),
        (put("tree0_size", None, 7), "do not add up"),
        (put("tree0_size", -1, 0), "row count is out of range"),
        (put("tree0_threshold", None, 1e9), "threshold lies outside its node's box"),
        (put("tree0_starts", 1, 1 << 30), "starts are out of range"),
        (put("tree0_starts", 1, -1), "starts are out of range"),
        (put("tail_knots", 1, np.nan), "tail_knots is not finite"),
        (put("tail_knots", 1, -1e9), "knots do not rise"),
        (put("tail_shape", 0, -0.5), "tail_shape is negative"),
        (put("tail_starts", 1, 1 << 30), "starts are out of range"),
        (put("usual_median", 0, np.inf), "usual value is not a finite number"),
        (put("usual_floor", 0, 1e9), "outside its feature's clamp"),
        (cast("tree0_child", "<i8"), "array child has the wrong type"),
        (cast("tail_terms", "<f4"), "tail_terms has the wrong type"),
        (shortened("tree0_high"), "array high has"),
        (shortened("usual_extreme"), "usual_extreme has the wrong type or shape"),
        (lambda arrays: arrays.pop("tail_cap"), "tail_cap"),
        (put("usual_extreme", 0, 0.5), "not those of model probe-"),
    ],
)
def test_impossible_numbers_are_refused_even_when_signed(folder: Path, change: Any, sentence: str) -> None:
    altered(folder, change)
    refused(folder, sentence)


def any_byte_changed(folder: Path, rng: np.random.Generator) -> None:
    name = str(rng.choice(["manifest.json", "arrays.npz", "manifest.sig"]))
    content = bytearray((folder / name).read_bytes())
    content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
    (folder / name).write_bytes(content)


def any_number_changed(folder: Path, rng: np.random.Generator) -> None:
    def change(arrays: dict[str, NDArray[Any]]) -> None:
        values = arrays[str(rng.choice(sorted(arrays)))]
        raw = values.view(np.uint8)
        raw[rng.integers(len(raw))] ^= np.uint8(rng.integers(1, 256))

    altered(folder, change)


def check_any_byte(original: Path, tmp_path: Path, rounds: int) -> None:
    for seed in range(rounds):
        folder = Path(shutil.copytree(original, tmp_path / "fuzz", dirs_exist_ok=True))
        any_byte_changed(folder, np.random.default_rng(seed))
        refused(folder, "altered")


def check_any_number(original: Path, tmp_path: Path, rounds: int) -> None:
    """One flipped byte in an array, signed anew: the arrays' digest refuses it; with that recomputed, it is refused or harmless."""
    for seed in range(rounds):
        folder = Path(shutil.copytree(original, tmp_path / "fuzz", dirs_exist_ok=True))
        any_number_changed(folder, np.random.default_rng(seed))
        with pytest.raises(ArtefactError):
            Detector.load(folder, KEYS)
        manifest, arrays = artefact.read(folder, KEYS)
        try:
            detector = Detector.of_arrays(manifest, arrays)
        except (ValueError, OverflowError):
            continue
        _, p, _ = detector.score(ROWS[:20] * 3)
        assert ((p >= 0) & (p <= 1)).all(), seed


def test_any_changed_byte_is_refused(original: Path, tmp_path: Path) -> None:
    check_any_byte(original, tmp_path, 60)


def test_any_changed_number_is_refused_or_harmless(original: Path, tmp_path: Path) -> None:
    check_any_number(original, tmp_path, 60)


@pytest.mark.soak
def test_any_changed_byte_is_refused_long(original: Path, tmp_path: Path) -> None:
    check_any_byte(original, tmp_path, 5000)


@pytest.mark.soak
def test_any_changed_number_is_refused_or_harmless_long(original: Path, tmp_path: Path) -> None:
    check_any_number(original, tmp_path, 5000)


@pytest.mark.parametrize("name", sorted(TRUSTED))
def test_the_shipped_baseline_is_whole_and_made_for_its_table(name: str) -> None:
    detector = Detector.load(MODELS / name / "baseline", table=read_all(MODELS)[name])
    assert artefact.manifest_hash(MODELS / name / "baseline") == TRUSTED[name]
    assert len(fields(detector.tails)) == 8


def test_every_model_with_a_table_ships_a_pinned_baseline_and_all_stay_small() -> None:
    assert sorted(TRUSTED) == sorted(read_all(MODELS))
    assert sum(path.stat().st_size for path in MODELS.glob("*/baseline/*")) <= 15 << 20
