"""What a model is, as a table: `models/<name>/model.toml`, read strictly. The kernels fill its features in this order."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from detector.sentence import Sentence

Entity = Literal["source.ip", "pair", "user.name", "service"]
Kind = Literal["forest", "tail_sum", "tail_max", "tail_min", "contrasts", "rules"]
FORESTS = ("forest", "contrasts")
MOST_CONTRASTED = 6  # features, with 15 differences
# context: only forests read it, to see what is odd in its company; no value of it is adverse by itself
Direction = Literal["high", "low", "both", "context"]
# How a number in X reads back: log2 = log2(1 + amount in the unit), hours = likewise, bits = -log2 of a share, plain = as it is.
Scale = Literal["log2", "bits", "plain"]
Unit = Literal[
    "attempts", "failures", "events", "addresses", "accounts", "hosts", "ports", "bytes", "hours", "seconds", "bits", "times", "share"
]
Technique = Annotated[str, Meta(pattern=r"^T\d{4}(\.\d{3})?$")]


class Text(Struct, frozen=True, forbid_unknown_fields=True):
    de: str
    en: str


class Feature(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    text: Text  # a noun phrase: "failed logins in the last hour"
    unit: Unit
    direction: Direction
    technique: Technique  # what it points to when it leads the reasons
    scale: Scale = "log2"
    half_life: Annotated[int, Meta(ge=0)] = 0  # seconds; 0 = no decay

    def scaled(self, amount: float) -> float:
        """An amount in the feature's unit as it stands in X."""
        return math.log2(1.0 + amount) if self.scale == "log2" else amount


class ForestTable(Struct, frozen=True, forbid_unknown_fields=True):
    trees: Annotated[int, Meta(ge=10, le=1000)] = 100
    samples: Annotated[int, Meta(ge=32, le=4096)] = 256
    trim: Annotated[float, Meta(ge=0, le=0.2)] = 0.05
    seed: int = 0


class Theme(Struct, frozen=True, forbid_unknown_fields=True):
    """A member over some of the features: their tails summed, the strongest, or the weakest (all at once); or a forest of its own.

    "contrasts" is a forest over the features and their differences two by two: much for someone who does little is a
    difference that nobody has, where each amount is usual. Cuts along the axes hardly see that.

    "rules" is the form in which people write them: each rule names features with amounts in their units, and counts by how
    far the weakest of them is reached; the rule that is exceeded most speaks.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    member: Kind
    features: list[str] = []  # none for rules, which name their own
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0  # its p is divided by this before the smallest is taken
    rules: list[Annotated[dict[str, Annotated[float, Meta(gt=0)]], Meta(min_length=1)]] = []

    @property
    def used(self) -> list[str]:
        return self.features or sorted({name for rule in self.rules for name in rule})


class ModelTable(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=r"^[a-z][a-z-]*$")]
    entity: Entity
    members: list[Kind]  # over all features
    threshold: Annotated[float, Meta(gt=0, le=0.01)]
    title: Text
    features: Annotated[list[Feature], Meta(min_length=1, max_length=32)]
    forest: ForestTable = ForestTable()
    themes: list[Theme] = []

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def speakers(self) -> list[Theme]:
        """All members, those over all features first."""
        return [Theme(kind, kind, list(self.names)) for kind in self.members] + self.themes

    @property
    def schema_hash(self) -> str:
        """32 hex digits over everything that gives X its meaning; texts may change without a retrain."""
        meaning = [self.name, self.entity, [(f.name, f.unit, f.direction, f.scale, f.half_life) for f in self.features]]
        return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()[:32]

    def places(self, theme: Theme) -> tuple[int, ...]:
        """Indices of the features that a member reads, rising."""
        return tuple(sorted(self.names.index(name) for name in theme.used))

    def limits(self, theme: Theme) -> tuple[tuple[tuple[int, float], ...], ...]:
        """A theme's rules, each as (index of a feature, its amount as it stands in X), rising."""
        rules = [[(self.names.index(name), amount) for name, amount in rule.items()] for rule in theme.rules]
        return tuple(tuple((j, self.features[j].scaled(amount)) for j, amount in sorted(rule)) for rule in rules)


class TableError(Sentence):
    """A model table cannot be used; the sentence names file and key."""


def parse(content: bytes, origin: str) -> ModelTable:
    """The table in a TOML text; raises TableError, which names `origin` and the key."""
    try:
        table = msgspec.toml.decode(content, type=ModelTable)
    except msgspec.DecodeError as error:
        raise TableError(f"{origin}: {error}") from error
    twice = {name for name in table.names if table.names.count(name) > 1}
    if twice:
        raise TableError(f"{origin}: feature named twice: {', '.join(sorted(twice))}")
    _check_members(table, origin)
    return table


def _check_members(table: ModelTable, origin: str) -> None:
    names = [member.name for member in table.speakers]
    if len(names) == 0:
        raise TableError(f"{origin}: members and themes are both empty; who should judge?")
    if len(set(names)) < len(names):
        raise TableError(f"{origin}: two members or themes have one name")
    for theme in table.speakers:
        if (len(theme.rules) > 0) != (theme.member == "rules") or (len(theme.features) > 0) != (theme.member != "rules"):
            raise TableError(f'{origin}: theme {theme.name}: rules are for member = "rules", and features for all others')
        unknown = [name for name in theme.used if name not in table.names]
        if unknown:
            raise TableError(f"{origin}: theme {theme.name} names features that there are not: {', '.join(unknown)}")
        if theme.member == "contrasts" and not 2 <= len(theme.features) <= MOST_CONTRASTED:
            raise TableError(f"{origin}: theme {theme.name} contrasts {len(theme.features)} features; 2 to {MOST_CONTRASTED} can be")
    _check_directions(table, origin)


def _check_directions(table: ModelTable, origin: str) -> None:
    direction = {feature.name: feature.direction for feature in table.features}
    for theme in table.themes:
        context = [name for name in theme.used if direction[name] == "context"]
        if theme.member not in FORESTS and len(context) > 0:
            raise TableError(f"{origin}: theme {theme.name} is no forest, but reads context: {', '.join(context)}")
        other = [name for name in theme.used if theme.member == "rules" and direction[name] != "high"]
        if other:
            raise TableError(f"{origin}: theme {theme.name} has a rule about {other[0]}, of which not much, but little is adverse")


def read(folder: Path) -> ModelTable:
    """The table of one model, from its folder `models/<name>`."""
    path = folder / "model.toml"
    table = parse(path.read_bytes(), str(path))
    if table.name != folder.name:
        raise TableError(f"{path}: name is {table.name!r}, but the folder is {folder.name!r}")
    return table


def read_all(models: Path) -> dict[str, ModelTable]:
    """All tables below `models/`, by name."""
    return {path.parent.name: read(path.parent) for path in sorted(models.glob("*/model.toml"))}
