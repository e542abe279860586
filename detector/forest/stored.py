"""A detector's parts as named arrays and back, every number checked; `artefact` has seen to it that they may be trusted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.features.table import FORESTS, MOST_CONTRASTED
from detector.forest.members import KINDS, Member
from detector.forest.scoring import Forest
from detector.forest.tails import Tails
from detector.forest.trees import Trees

F64 = NDArray[np.float64]
MOST_MEMBERS = 64


@dataclass(frozen=True, slots=True)
class Usual:
    """What honest training rows look like, per feature, float64 (F). `extreme` is the 90th percentile on the adverse side."""

    median: F64
    extreme: F64
    floor: F64  # values below are clamped to it: the median where only high is adverse, else -infinity
    ceiling: F64


def member_entry(member: Member) -> dict[str, Any]:
    """What the manifest says of a member."""
    samples = 0 if member.forest is None else member.forest.samples
    entry = {"name": member.name, "kind": KINDS[member.kind], "features": list(member.features), "weight": member.weight}
    entry |= {"samples": samples, "spread": list(member.spread)}
    return entry | ({"rules": [[list(part) for part in rule] for rule in member.rules]} if len(member.rules) > 0 else {})


def arrays(members: Sequence[Member], tails: Tails, usual: Usual) -> dict[str, NDArray[Any]]:
    """Everything of a detector that is numbers, by name: tail_*, usual_*, and tree<m>_* for member m where it is a forest."""
    parts: dict[str, Trees | Tails | Usual] = {"tail": tails, "usual": usual}
    parts |= {f"tree{m}": member.forest.trees for m, member in enumerate(members) if member.forest is not None}
    return {f"{prefix}_{field.name}": getattr(part, field.name) for prefix, part in parts.items() for field in fields(part)}


def digest(described: dict[str, Any], members: Sequence[Member], tails: Tails, usual: Usual) -> str:
    """SHA-256 over all that decides how a detector judges."""
    sha = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name, values in sorted(arrays(members, tails, usual).items()):
        sha.update(name.encode() + values.tobytes())
    return sha.hexdigest()


def read(entries: list[dict[str, Any]], features: int, given: dict[str, NDArray[Any]]) -> tuple[tuple[Member, ...], Tails, Usual]:
    """The parts of a detector over so many features; raises KeyError, TypeError or ValueError where something does not fit together."""
    if not 0 < len(entries) <= MOST_MEMBERS:
        raise ValueError("the number of members is out of range")
    members = tuple(_member(m, entry, features, given) for m, entry in enumerate(entries))
    tails = Tails(**{field.name: given[f"tail_{field.name}"] for field in fields(Tails)})
    usual = Usual(**{field.name: given[f"usual_{field.name}"] for field in fields(Usual)})
    _check_tails(tails, 2 * features + len(members) + 2)
    _check_usual(usual, features)
    return members, tails, usual


def _member(m: int, entry: dict[str, Any], features: int, given: dict[str, NDArray[Any]]) -> Member:
    kind, used, weight = KINDS.index(entry["kind"]), tuple(int(j) for j in entry["features"]), float(entry["weight"])
    if len(used) == 0 or used[0] < 0 or used[-1] >= features or (np.diff(used) <= 0).any() or not 0.0 < weight <= 1000.0:
        raise ValueError(f"member {entry['name']}: features or weight are out of range")
    if entry["kind"] == "rules":
        return Member(str(entry["name"]), kind, used, weight, rules=_rules(entry, used))
    if entry["kind"] not in FORESTS:
        return Member(str(entry["name"]), kind, used, weight)
    spread, width = tuple(float(s) for s in entry["spread"]), len(used)
    if entry["kind"] == "contrasts":
        if len(spread) != len(used) or len(used) > MOST_CONTRASTED or not all(0.0 < s < np.inf for s in spread):
            raise ValueError(f"member {entry['name']}: the spread is out of range")
        width += len(used) * (len(used) - 1) // 2
    trees = Trees(**{field.name: given[f"tree{m}_{field.name}"] for field in fields(Trees)})
    return Member(str(entry["name"]), kind, used, weight, Forest(trees, width, int(entry["samples"])), spread)


def _rules(entry: dict[str, Any], used: tuple[int, ...]) -> tuple[tuple[tuple[int, float], ...], ...]:
    rules = tuple(tuple((int(j), float(amount)) for j, amount in rule) for rule in entry["rules"])
    parts = [part for rule in rules for part in rule]
    if len(parts) == 0 or not all(rules) or not all(j in used and 0.0 < amount < np.inf for j, amount in parts):
        raise ValueError(f"member {entry['name']}: a rule is empty, or its feature or amount is out of range")
    return rules


def _check_usual(usual: Usual, features: int) -> None:
    for field in fields(Usual):
        values = getattr(usual, field.name)
        if values.shape != (features,) or values.dtype != np.float64:
            raise ValueError(f"array usual_{field.name} has the wrong type or shape")
    if not (np.isfinite(usual.median).all() and np.isfinite(usual.extreme).all()):
        raise ValueError("a usual value is not a finite number")
    if not ((usual.floor <= usual.median) & (usual.median <= usual.ceiling)).all():
        raise ValueError("a median lies outside its feature's clamp")


def _check_tails(tails: Tails, count: int) -> None:
    shapes = {"starts": count + 1, "knots": len(tails.terms), "terms": len(tails.knots)}
    for field in fields(Tails):
        values = getattr(tails, field.name)
        if values.shape != (shapes.get(field.name, count),) or values.dtype != (np.int32 if field.name == "starts" else np.float64):
            raise ValueError(f"array tail_{field.name} has the wrong type or shape")
        if np.isnan(values).any() or (field.name != "edge" and not np.isfinite(values).all()):
            raise ValueError(f"array tail_{field.name} is not finite")
        if field.name in ("terms", "base", "shape", "scale", "cap") and (values < 0.0).any():
            raise ValueError(f"array tail_{field.name} is negative")
    if tails.starts[0] != 0 or tails.starts[-1] != len(tails.knots) or (np.diff(tails.starts) < 0).any():
        raise ValueError("the tails' starts are out of range")
    inside = np.ones(len(tails.knots), np.bool_)
    inside[tails.starts[:-1][np.diff(tails.starts) > 0]] = False
    if (np.diff(tails.knots)[inside[1:]] <= 0).any() or (np.diff(tails.terms)[inside[1:]] < 0).any():
        raise ValueError("a tail's knots do not rise")
