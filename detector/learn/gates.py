"""What a candidate must show before it may become champion: six gates, each with its number.

A gate that could not be computed has not been passed; its text says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from detector.judge.findings import NO_PROBABILITY
from detector.learn.backtest.ledger import Sighting
from detector.learn.duel import Outcome, Said

FALSE_POSITIVES = (0.5, 1.5)  # realised over nominal at p <= 1e-3
VOLUME = (0.7, 1.3)  # the candidate's incidents a day over the champion's
FEWEST_ROWS = 2_000  # honest rows, or two of them decide
FEW = 3  # incidents: where both sides have so few, a ratio says nothing
LARGEST_ENTITY = 0.05  # of the training rows
DRIFTED = 0.25  # population stability index
Texts = dict[str, str]


class Gate(msgspec.Struct, frozen=True):
    """`value` lies within [low, high] where it passed; None = could not be computed, or no bound on that side."""

    name: str
    passed: bool
    value: float | None
    low: float | None
    high: float | None
    text: Texts


class Results(msgspec.Struct, frozen=True):
    """One run of the gates; its bytes are what an approval names. `data`: what was replayed."""

    model: str
    model_id: str
    champion: str
    data: Texts
    gates: list[Gate]

    @property
    def failed(self) -> list[str]:
        return [gate.name for gate in self.gates if not gate.passed]


def attacks(outcome: Outcome) -> Gate:
    """No attack that was put among the tenant's days is missed that the champion finds: in number, and the text names them."""
    was, now = _found(outcome.champion), _found(outcome.candidate)
    kinds = {label.number: f"{label.kind} ({label.strength})" for label in outcome.labels}
    lost = ", ".join(sorted(kinds[number] for number in was - now)) or "–"
    won = ", ".join(sorted(kinds[number] for number in now - was)) or "–"
    whole = len(outcome.labels)
    text = {
        "de": f"{len(now)} von {whole} eingespielten Angriffen gefunden, der Champion {len(was)}; verloren: {lost}; gewonnen: {won}",
        "en": f"{len(now)} of {whole} injected attacks found, champion {len(was)}; lost: {lost}; won: {won}",
    }
    return Gate("attacks", whole > 0 and len(now) >= len(was), float(len(now)), float(len(was)), None, text)


def false_positives(outcome: Outcome) -> Gate:
    """Rows of who had succeeded before, at p <= 1e-3, before any incident about them."""
    if outcome.model in NO_PROBABILITY:
        text = {
            "de": "p ist bei diesem Modell keine Wahrscheinlichkeit: nicht anwendbar",
            "en": "this model's p is no probability: not applicable",
        }
        return Gate("false-positives", True, None, *FALSE_POSITIVES, text)
    said = outcome.candidate
    if said.honest < FEWEST_ROWS:
        text = {
            "de": f"nur {said.honest} ehrliche Zeilen, {FEWEST_ROWS} sind nötig",
            "en": f"{said.honest} honest rows only, {FEWEST_ROWS} are needed",
        }  # fmt: skip
        return Gate("false-positives", False, None, *FALSE_POSITIVES, text)
    ratio, before = rate(said), rate(outcome.champion)
    text = {
        "de": f"auf {said.honest} ehrlichen Zeilen das {ratio:.2f}-Fache der zugesagten 1e-3 (Champion {before:.2f})",
        "en": f"on {said.honest} honest rows {ratio:.2f} times the promised 1e-3 (champion {before:.2f})",
    }
    return Gate("false-positives", FALSE_POSITIVES[0] <= ratio <= FALSE_POSITIVES[1], ratio, *FALSE_POSITIVES, text)


def rate(said: Said) -> float:
    """Realised over nominal at p <= 1e-3; 0 without rows."""
    return said.low / said.honest / 1e-3 if said.honest > 0 else 0.0


def volume(outcome: Outcome) -> Gate:
    """Incidents a day without those of the injected attacks."""
    was, now = (len(own(said)) for said in (outcome.champion, outcome.candidate))
    ratio = now / was if was > 0 else None
    fits = VOLUME[0] <= ratio <= VOLUME[1] if ratio is not None else False
    few = max(was, now) <= FEW
    a_day = [n / outcome.days for n in (now, was)]
    note_de, note_en = ("; zu wenige für ein Verhältnis", "; too few for a ratio") if few and not fits else ("", "")
    text = {
        "de": f"{a_day[0]:.1f} Auffälligkeiten am Tag, Champion {a_day[1]:.1f}{note_de}",
        "en": f"{a_day[0]:.1f} incidents a day, champion {a_day[1]:.1f}{note_en}",
    }
    return Gate("volume", fits or few, ratio, *VOLUME, text)


def own(said: Said) -> list[Sighting]:
    """What it said of the tenant's own events."""
    return [one for one in said.sightings if not any(number > 0 for number in one.truth)]


def _found(said: Said) -> set[int]:
    return {one.label.number for one in said.finds if one.fate in ("found", "held", "recorded")}


def drift(rows: Sequence[tuple[str, float, str | None]]) -> Gate:
    """(feature, population stability index, cause) of the training window's days."""
    drifted = {feature for feature, psi, _ in rows if psi > DRIFTED}
    bare = sorted({feature for feature, psi, cause in rows if psi > DRIFTED and cause is None})
    text = {
        "de": f"{len(drifted)} Merkmale verschoben, ohne erklärte Ursache: {', '.join(bare) or 'keines'}",
        "en": f"{len(drifted)} features drifted, without a cause: {', '.join(bare) or 'none'}",
    }
    return Gate("drift", len(bare) == 0, float(len(bare)), None, 0.0, text)


def window(about: Mapping[str, Any]) -> Gate:
    """The largest share of the training rows that one entity has."""
    share = about.get("largest_entity")
    if not isinstance(share, int | float):
        text = {"de": "das Manifest nennt keinen größten Anteil", "en": "the manifest names no largest share"}
        return Gate("window", False, None, None, LARGEST_ENTITY, text)
    text = {
        "de": f"höchstens {share:.2%} der Trainingszeilen von einem einzigen Objekt",
        "en": f"at most {share:.2%} of the training rows from a single entity",
    }
    return Gate("window", float(share) <= LARGEST_ENTITY, float(share), None, LARGEST_ENTITY, text)


def signature(trainer: str | None, why: str = "") -> Gate:
    """`trainer`: login of who signed, None where no trusted key did; `why` then says so."""
    if trainer is None:
        return Gate("signature", False, 0.0, 1.0, None, {"de": why, "en": why})
    return Gate("signature", True, 1.0, 1.0, None, {"de": f"gültig, von {trainer}", "en": f"good, by {trainer}"})


def all_of(outcome: Outcome, about: Mapping[str, Any], drifted: Sequence[tuple[str, float, str | None]], signed: Gate) -> list[Gate]:
    """The six, in the order in which they are shown."""
    return [attacks(outcome), false_positives(outcome), volume(outcome), drift(drifted), window(about), signed]
