"""The judge's texts that live in data files: a sentence per feature (phrases.toml), what to check next (guidance.toml).

Both are data, so that an analyst can mend a sentence without reading Python; texts may change without a retrain.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from detector.features.table import Text

FOLDER = Path(__file__).parent
# How {n} is said: as its unit asks, as 1 in N (of bits), as a factor (of doublings), or not at all.
Form = Literal["unit", "odds", "factor", "none"]


class Phrase(Struct, frozen=True, forbid_unknown_fields=True):
    """What was seen, as a clause in which {n} is the amount; in German "|n" stands for an ending of the dative alone."""

    de: str
    en: str
    form: Form = "unit"

    def clause(self, language: str, *, dative: bool = False) -> str:
        if language == "en":
            return self.en
        return self.de.replace("|n", "n" if dative else "")


class Steps(Struct, frozen=True, forbid_unknown_fields=True):
    de: list[str]
    en: list[str]


class Guidance(Struct, frozen=True, forbid_unknown_fields=True):
    """Of one technique: its names in ATT&CK, three steps that need no name of a person, and what not to conclude."""

    name: Text
    tactic_id: str
    tactic: Text
    next: Steps
    beware: Text


@cache
def phrases() -> dict[str, dict[str, Phrase]]:
    """By model and feature."""
    return msgspec.toml.decode((FOLDER / "phrases.toml").read_bytes(), type=dict[str, dict[str, Phrase]])


@cache
def guidance() -> dict[str, Guidance]:
    """By technique; the family of successes after failures has its own."""
    return msgspec.toml.decode((FOLDER / "guidance.toml").read_bytes(), type=dict[str, Guidance])


def guide(family: str, techniques: tuple[str, ...] | list[str]) -> Guidance | None:
    """What applies to an incident: its family's where there is one, else that of its first technique that is known."""
    found = guidance().get(family)
    return found if found is not None else next((one for one in map(of_technique, techniques) if one is not None), None)


def of_technique(technique: str) -> Guidance | None:
    """The technique's own entry, or that of the technique it is a part of."""
    return guidance().get(technique) or guidance().get(technique.partition(".")[0])
