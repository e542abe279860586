"""How a day differs from the days before, and why: plain numbers in, a cause in words out. The sentences are in drift.toml.

Population stability index (PSI) of a feature: sum over ten bins of (a - b) ln(a / b), a and b the shares of the day and of the
days before; what chance alone gives, (bins - 1)(1/n + 1/m), is taken off. 0.25 is the usual limit (detection.md 3, S31).
Causes are told apart by counts of devices first, because these are certain, then by the calendar, then by volume; what
remains is that people or machines behave differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.judge.devices import FIELDS

F64 = NDArray[np.float64]
DRIFTED = 0.25  # PSI of a feature
KS_DRIFTED = 0.2
FEWEST = 100  # rows of the day, and of the days before
BINS = 10
SLOTS = 6  # of ten minutes, one after the other, in which a device was always heard and is not: silent
HEARD = 2  # days of the same kind that know such a slot
NEW_SHARE, NEW_EVENTS = 0.01, 100  # of the day's events, from a device that nobody knew
UNREAD_SHARE, UNREAD_FACTOR = 0.01, 5.0  # lines that could not be read
FILLED_BEFORE, FILLED_EVENTS = 0.3, 100  # a field that so many of a device's lines had; events to say so
GREW, ENTITIES_GREW = 1.15, 1.1  # events and entities, over the median of the days before


@dataclass(frozen=True, slots=True)
class Device:
    """One device on one day. `slots`: tenths of hours since 05:00 in which it was heard, 0..143; `filled`: events with each of FIELDS."""

    events: int
    slots: frozenset[int]
    filled: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """What counts say of one day of a tenant, 05:00 to 05:00.

    kind    0 working, 1 free, 2 working in a school break
    free    a weekday that is a public holiday, or lies between two free days
    """

    kind: int
    free: bool = False
    devices: Mapping[str, Device] = field(default_factory=dict)
    unread: int = 0  # lines
    entities: int = 0  # of the model that is asked about

    @property
    def events(self) -> int:
        return sum(device.events for device in self.devices.values())


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a model's rows of a day lie from those of the days before. `psi` by feature."""

    rows: int
    psi: Mapping[str, float]
    ks: float
    unknown: float

    @property
    def drifted(self) -> tuple[str, ...]:
        """Features, the most drifted first."""
        return tuple(sorted((name for name, psi in self.psi.items() if psi > DRIFTED), key=lambda name: -self.psi[name]))


@dataclass(frozen=True, slots=True)
class Cause:
    """One of source, format, volume, calendar, behaviour; and its sentence, de and en."""

    kind: str
    text: dict[str, str]


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cause: str
    text: dict[str, str]


@cache
def _texts() -> dict[str, _Said]:
    return msgspec.toml.decode((Path(__file__).parent / "drift.toml").read_bytes(), type=dict[str, _Said])


def _cause(rule: str, **values: object) -> Cause:
    said = _texts()[rule]
    return Cause(said.cause, {language: text.format(**values) for language, text in said.text.items()})


def shift(names: Sequence[str], day: F64, before: F64, scores: tuple[F64, F64]) -> Shift | None:
    """Of a day's rows float (n, F) against those before (m, F), with their scores; None where there are too few."""
    if min(len(day), len(before)) < FEWEST:
        return None
    outside = (day < before.min(axis=0)) | (day > before.max(axis=0))
    psi = {name: round(stability(day[:, j], before[:, j]), 4) for j, name in enumerate(names)}
    return Shift(len(day), psi, round(distance(*scores), 4), round(float(outside.mean()), 6))


def stability(day: F64, before: F64) -> float:
    """PSI of two samples over bins of equally many of the latter; values that many share have a bin of their own."""
    edges = np.unique(np.quantile(before, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    # a value v that is an edge belongs to the bin that ends at it, so that a mass at one value is told from what lies above
    shares = [np.bincount(np.searchsorted(edges, sample, "left"), minlength=len(edges) + 1) / len(sample) for sample in (day, before)]
    least = 0.5 / max(len(day), len(before))
    a, b = (np.maximum(share, least) for share in shares)
    by_chance = len(edges) * (1.0 / len(day) + 1.0 / len(before))
    return max(0.0, float(((a - b) * np.log(a / b)).sum()) - by_chance)


def distance(one: F64, other: F64) -> float:
    """Kolmogorov-Smirnov: the largest difference between two samples' distribution functions."""
    both = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(sample), both, "right") / len(sample) for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def alike(day: Day, before: Sequence[Day]) -> list[Day]:
    """The days before that are of its kind; all, where there is none."""
    return [one for one in before if one.kind == day.kind] or list(before)


def cause(day: Day, before: Sequence[Day], found: Shift | None) -> Cause | None:
    """Why the day differs; None where nothing says that it does. `before`: the days that are known, at most a week."""
    if len(before) == 0:
        return None
    for rule in (_format, _source, _calendar, _volume):
        for said in rule(day, before, found):
            return said
    if found is not None and (len(found.drifted) > 0 or found.ks > KS_DRIFTED):
        return _cause("behaviour", features=", ".join(found.drifted[:5]) or "-", ks=f"{found.ks:.2f}")
    return None


def _format(day: Day, before: Sequence[Day], _found: Shift | None) -> Iterator[Cause]:
    """More lines that nobody can read, or a field that a device no longer fills."""
    unread, events = sum(one.unread for one in before), sum(one.events for one in before)
    now, usual = day.unread / max(day.unread + day.events, 1), unread / max(unread + events, 1)
    if now >= UNREAD_SHARE and now >= UNREAD_FACTOR * usual:
        yield _cause("unread", now=_percent(now), before=_percent(usual))
    for name, device in sorted(day.devices.items()):
        past = [one.devices[name] for one in before if name in one.devices]
        lines = sum(one.events for one in past)
        if min(device.events, lines) < FILLED_EVENTS:
            continue
        for j, label in enumerate(FIELDS):
            filled, had = device.filled[j] / device.events, sum(one.filled[j] for one in past) / lines
            if had >= FILLED_BEFORE and filled < had / 2:
                yield _cause("unfilled", device=name, field=label, now=_percent(filled), before=_percent(had))


def _source(day: Day, before: Sequence[Day], _found: Shift | None) -> Iterator[Cause]:
    """A device that was not heard when it always was, or that nobody had heard before."""
    same = [one for one in before if one.kind == day.kind and one.free == day.free]
    for name in sorted({name for one in same for name in one.devices}):
        known = [one.devices[name].slots for one in same if name in one.devices]
        heard = day.devices[name].slots if name in day.devices else frozenset()
        missing = frozenset.intersection(*known) - heard if len(known) >= HEARD else frozenset()
        longest = _longest(missing)
        if longest >= SLOTS:
            yield _cause("silent", device=name, hours=_hours(longest, "de"), hours_en=_hours(longest, "en"))
    known_names = {name for one in before for name in one.devices}
    for name, device in sorted(day.devices.items()):
        if name not in known_names and device.events >= max(NEW_EVENTS, NEW_SHARE * day.events):
            yield _cause("new", device=name, share=_percent(device.events / day.events))


def _longest(slots: frozenset[int]) -> int:
    """The longest run of numbers that follow each other."""
    longest = run = 0
    for slot in range(max(slots, default=-1) + 1):
        run = run + 1 if slot in slots else 0
        longest = max(longest, run)
    return longest


def _calendar(day: Day, before: Sequence[Day], found: Shift | None) -> Iterator[Cause]:
    """A kind of day that the days before do not know; a public holiday is like no Sunday, either."""
    strange = day.kind not in {one.kind for one in before} or (day.free and not any(one.free for one in before))
    if strange and day.events < GREW * median(one.events for one in before) and (day.free or found is None or _moved(found)):
        yield _cause("holiday" if day.free else ("working", "weekend", "school")[day.kind])


def _volume(day: Day, before: Sequence[Day], _found: Shift | None) -> Iterator[Cause]:
    """More events of more entities, not of one device alone."""
    same = alike(day, before)
    events, entities = (median(values) for values in ([one.events for one in same], [one.entities for one in same]))
    grew = [name for name, device in day.devices.items() if device.events >= GREW * median(_events_of(name, same))]
    broad = sum(day.devices[name].events for name in grew) >= 0.5 * day.events
    if events > 0 and day.events >= GREW * max(events, 1) and day.entities >= ENTITIES_GREW * entities and broad:
        yield _cause("volume", times=f"{day.events / events:.1f}".replace(".", ","), times_en=f"{day.events / events:.1f}")


def _events_of(name: str, days: Sequence[Day]) -> list[int]:
    return [one.devices[name].events if name in one.devices else 0 for one in days]


def _moved(found: Shift) -> bool:
    return len(found.drifted) > 0 or found.ks > KS_DRIFTED


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0.01 or share == 0.0 else "< 1"


def _hours(slots: int, language: str) -> str:
    text = f"{slots / 6:.1f}".removesuffix(".0")
    return text.replace(".", ",") if language == "de" else text
