"""The daily digest as plain values and two texts: what was found, how much of it chance would bring, what came next, what fell silent.

Expected false: the entities just below the line say how many would be above it by chance. Where nothing happens, the smallest p of an
entity's day is spread evenly near the threshold t, so if k entities lie between t and r·t, about k / (r - 1) lie below t by chance.
It needs no assumption about how rows of one entity depend on each other, which a count of rows would; true traces among the k make it
too large rather than too small. `auth-service` is left out: its p are no probabilities.
Drift: half the sum of the differences between the shares of the ten tenths of p and one tenth each (total variation, 0..0.9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NEXT = 10  # below the line
RULED = ("auth-service",)
DRIFTED = 0.2  # total variation from where on it is said in words
LEAST = 1000  # rows of a model in a day below which its spread says nothing

Document = dict[str, Any]


def expected_false(nearness: Sequence[float], most: int, farthest: float) -> float:
    """Entities above the line by chance, from those below it: `nearness` (p over threshold, each > 1) holds at most the best `most`
    of those up to `farthest`."""
    if len(nearness) == 0:
        return 0.0
    reach = max(nearness) if len(nearness) >= most else farthest
    return len(nearness) / max(reach - 1, 1e-9)


def false_share(expected: float, incidents: int) -> float | None:
    """Expected share of false ones among so many incidents; None without any."""
    return None if incidents == 0 else min(1.0, expected / incidents)


def drift(counts: Sequence[int]) -> float | None:
    """Total variation between the shares of ten counts and the uniform; None for too few rows."""
    total = sum(counts)
    return None if total < LEAST else sum(abs(count / total - 0.1) for count in counts) / 2


WORDS = {
    "de": {
        "head": "Türmer, {tenant}: Tagesbericht {day}",
        "learning": "Lernphase seit {began}: nur Dringendes wird gemeldet, bis jemand sie mit `tuermer go-live` beendet.",
        "overdue": "Die geplante Lernphase endete am {until}; bis jemand `tuermer go-live` sagt, wird weiter nur Dringendes gemeldet.",
        "incidents": "{n} Auffälligkeiten seit {since}, davon gemeldet {sent}, vom Budget zurückgehalten {held}, unterdrückt {suppressed}, "
        "im Wartungsfenster {maintenance}.",
        "none": "Keine Auffälligkeit seit {since}.",
        "false": "Durch Zufall zu erwarten: etwa {expected} davon ({share} %).",
        "got_in": "Hineingekommen: {n}.",
        "below": "Knapp darunter:",
        "silent": "Verstummt:",
        "silent_none": "Keine Quelle ist verstummt.",
        "silent_unknown": "Ob Quellen verstummt sind, wird noch nicht geprüft.",
        "drift": "Das Modell {model} sieht anderes als beim Training (Abweichung {value}): bitte prüfen, ob sich das Netz geändert hat.",
        "steady": "Die Modelle sehen, was sie kennen.",
        "decimal": ",",
        "severity": {"critical": "kritisch", "high": "hoch", "medium": "mittel", "low": "niedrig", None: "darunter"},
    },
    "en": {
        "head": "Türmer, {tenant}: daily digest {day}",
        "learning": "Learning phase since {began}: only urgent ones are notified until somebody ends it with `tuermer go-live`.",
        "overdue": "The planned learning phase ended on {until}; until somebody says `tuermer go-live`, only urgent ones are notified.",
        "incidents": "{n} anomalies since {since}: {sent} notified, {held} held by the budget, {suppressed} suppressed, "
        "{maintenance} during maintenance.",
        "none": "No anomaly since {since}.",
        "false": "To be expected by chance: about {expected} of them ({share} %).",
        "got_in": "Someone got in: {n}.",
        "below": "Just below:",
        "silent": "Fell silent:",
        "silent_none": "No source fell silent.",
        "silent_unknown": "Whether sources fell silent is not watched yet.",
        "drift": "The model {model} sees something else than in training (difference {value}): check whether the network has changed.",
        "steady": "The models see what they know.",
        "decimal": ".",
        "severity": {"critical": "critical", "high": "high", "medium": "medium", "low": "low", None: "below"},
    },
}  # fmt: skip


def text(document: Mapping[str, Any], language: str) -> str:
    """The digest for people. `document` as `detector.store.digests` makes it."""
    w: Any = WORDS[language]
    lines = [w["head"].format(**document), ""]
    lines += _learning(document, w)
    lines += _incidents(document, w, language)
    if document["near_misses"]:
        lines += ["", w["below"], *(_line(row, w, language) for row in document["near_misses"])]
    lines += ["", *_silent(document["silent"], w), *_drift(document["drift"], w)]
    return "\n".join(lines) + "\n"


def _learning(document: Mapping[str, Any], w: Any) -> list[str]:
    phase = document["learning"]
    if phase is None:
        return []
    return [w["overdue" if phase["overdue"] else "learning"].format(**phase), ""]


def _incidents(document: Mapping[str, Any], w: Any, language: str) -> list[str]:
    rows, counts = document["incidents"], document["counts"]
    if counts["n"] == 0:
        return [w["none"].format(since=document["since"])]
    lines = [w["incidents"].format(since=document["since"], **counts)]
    if document["false_share"] is not None:
        expected, share = _number(document["expected_false"], w), round(100 * document["false_share"])
        lines.append(w["false"].format(expected=expected, share=share))
    if counts["got_in"] > 0:
        lines.append(w["got_in"].format(n=counts["got_in"]))
    return [*lines, *(_line(row, w, language) for row in rows)]


def _line(row: Mapping[str, Any], w: Any, language: str) -> str:
    return f"  {row['time']}  {w['severity'][row['severity']]:<9} {row['title'][language]}"


def _silent(silent: Sequence[str] | None, w: Any) -> list[str]:
    if silent is None:
        return [w["silent_unknown"]]
    return [w["silent"], *(f"  {source}" for source in silent)] if len(silent) > 0 else [w["silent_none"]]


def _drift(drifts: Mapping[str, float | None], w: Any) -> list[str]:
    told = [(model, value) for model, value in sorted(drifts.items()) if value is not None and value >= DRIFTED]
    return [w["drift"].format(model=model, value=_number(value, w)) for model, value in told] or [w["steady"]]


def _number(value: float, w: Any) -> str:
    return f"{value:.1f}".replace(".", w["decimal"])
