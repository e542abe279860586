"""Why, in German and English: what was seen, what is usual, how rare that is, and what would have been quiet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.features.table import Feature, ModelTable
from detector.judge.calibration import one_in
from detector.judge.findings import Reason
from detector.judge.models import Scorer

SHOWN = 3
UNITS: dict[str, dict[str, str]] = {
    "attempts": {"de": "Versuche", "en": "attempts"}, "failures": {"de": "Fehlversuche", "en": "failures"},
    "events": {"de": "Ereignisse", "en": "events"}, "addresses": {"de": "Adressen", "en": "addresses"},
    "accounts": {"de": "Konten", "en": "accounts"}, "hosts": {"de": "Rechner", "en": "hosts"}, "ports": {"de": "Ports", "en": "ports"},
    "bytes": {"de": "Byte", "en": "bytes"}, "hours": {"de": "Stunden", "en": "hours"}, "seconds": {"de": "Sekunden", "en": "seconds"},
    "bits": {"de": "Bit", "en": "bits"}, "times": {"de": "mal", "en": "times"}, "share": {"de": "von 1", "en": "of 1"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Why:
    """What an incident says about its opening row."""

    reasons: tuple[Reason, ...]
    techniques: tuple[str, ...]
    counterfactual: dict[str, str]


def amount(feature: Feature, value: float) -> float:
    """A number of X in the feature's unit."""
    return float(np.exp2(value) - 1.0) if feature.scale == "log2" else float(value)


def number(value: float, language: str) -> str:
    """At most three digits that matter, with the language's separators."""
    rounded = f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}".removesuffix(".0")
    return rounded.translate(str.maketrans(",.", ".,")) if language == "de" else rounded


def because(table: ModelTable, scorer: Scorer, x: NDArray[np.float64]) -> Why:
    """Reasons for one row (F), the leading one first."""
    parts = scorer.explain(x)[:SHOWN]
    reasons = tuple(_reason(table.features[j], scorer.usual(j), x[j], share, rarity) for j, share, rarity in parts)
    techniques = tuple(dict.fromkeys(table.features[j].technique for j, _, _ in parts))
    return Why(reasons, techniques or (table.features[0].technique,), _counterfactual(table, scorer, x, parts))


def _reason(feature: Feature, usual: tuple[float, float], value: float, share: float, rarity: float) -> Reason:
    observed, often = amount(feature, value), amount(feature, usual[1])
    n = one_in(10.0**-rarity)
    text = {
        "de": f"{feature.text.de}: {number(observed, 'de')} {UNITS[feature.unit]['de']}, üblich bis {number(often, 'de')}; "
        + (f"so auffällig ist eines von {number(n, 'de')} gewöhnlichen Ereignissen" if n > 1 else "für sich allein gewöhnlich"),
        "en": f"{feature.text.en}: {number(observed, 'en')} {UNITS[feature.unit]['en']}, usually up to {number(often, 'en')}; "
        + (f"one in {number(n, 'en')} ordinary events is as unusual" if n > 1 else "ordinary by itself"),
    }
    return Reason(feature.name, observed, often, rarity, share, text)


def _counterfactual(table: ModelTable, scorer: Scorer, x: NDArray[np.float64], parts: list[tuple[int, float, float]]) -> dict[str, str]:
    for j, _, _ in parts:
        limit = scorer.counterfactual(x, j, scorer.threshold_p)
        if limit is not None:
            feature = table.features[j]
            value, unit = amount(feature, limit), UNITS[feature.unit]
            return {
                "de": f"Keine Auffälligkeit unter {number(value, 'de')} {unit['de']} ({feature.text.de}), alles andere gleich",
                "en": f"Would not have alerted below {number(value, 'en')} {unit['en']} ({feature.text.en}), all else equal",
            }
    return {
        "de": "Kein einzelnes Merkmal allein macht die Auffälligkeit aus",
        "en": "No single feature alone makes the difference",
    }
