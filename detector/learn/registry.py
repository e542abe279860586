"""The models at hand: those in the folder `models/` beside the package, each with its table and its baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detector.features.table import ModelTable, read_all
from detector.forest import artefact
from detector.forest.artefact import ArtefactError, Key
from detector.forest.detector import Detector

SHIPPED = Path(__file__).resolve().parents[2] / "models"


def detectors(models: Path = SHIPPED, keys: tuple[Key, ...] = ()) -> dict[str, Detector]:
    """All baselines by model name; raises ArtefactError at the first that must not be used."""
    return {name: Detector.load(models / name / "baseline", keys, table) for name, table in read_all(models).items()}


def listed(models: Path = SHIPPED) -> list[dict[str, Any]]:
    """One entry per model: name, id, features, rows it was trained and calibrated on, threshold. Raises ArtefactError."""
    return [_entry(manifest(name, models)) for name in read_all(models)]


def manifest(name: str, models: Path = SHIPPED) -> dict[str, Any]:
    """The manifest of one model's baseline; raises ArtefactError when it is unknown or must not be trusted."""
    if name not in read_all(models):
        raise ArtefactError(f"there is no model {name}; there are: {', '.join(read_all(models))}")
    return artefact.read(models / name / "baseline")[0]


def verify(models: Path = SHIPPED, keys: tuple[Key, ...] = ()) -> list[str]:
    """One sentence for each model that must not be used; none when all is well."""
    try:
        tables = read_all(models)
    except (ValueError, OSError) as error:
        return [str(error)]
    if len(tables) == 0:
        return [f"{models}: there are no models here"]
    return [sentence for name, table in tables.items() for sentence in _wrong(models / name / "baseline", keys, table)]


def _wrong(folder: Path, keys: tuple[Key, ...], table: ModelTable) -> list[str]:
    try:
        Detector.load(folder, keys, table)
    except ArtefactError as error:
        return [str(error)]
    return []


def _entry(whole: dict[str, Any]) -> dict[str, Any]:
    rows = whole["about"].get("rows", {})
    return {
        "model": whole["model"], "id": whole["model_id"], "features": len(whole["features"]), "threshold": whole["threshold"],
        "training_rows": rows.get("training", 0), "calibration_rows": rows.get("calibration", 0),
    }  # fmt: skip
