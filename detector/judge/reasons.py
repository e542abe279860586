"""Why, in German and English: what was seen, what is usual, how rare that is, and what would have been quiet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.features.authentication import RULE_FAILURES, RULE_FAILURES_INSIDE
from detector.features.table import Feature, ModelTable
from detector.judge import counterfactual, sayings
from detector.judge.findings import NO_PROBABILITY, Reason
from detector.judge.models import Scorer
from detector.judge.sayings import LANGUAGES, amount, number
from detector.judge.texts import Form, Phrase, phrases

SHOWN = 3
UNITS: dict[str, dict[str, str]] = {  # for features without a phrase of their own
    "attempts": {"de": "Versuche|n", "en": "attempts"}, "failures": {"de": "Fehlversuche|n", "en": "failures"},
    "events": {"de": "Ereignisse|n", "en": "events"}, "addresses": {"de": "Adressen", "en": "addresses"},
    "accounts": {"de": "Konten", "en": "accounts"}, "hosts": {"de": "Rechner|n", "en": "hosts"}, "ports": {"de": "Ports", "en": "ports"},
    "bytes": {"de": "", "en": ""}, "hours": {"de": "", "en": ""}, "seconds": {"de": "", "en": ""}, "bits": {"de": "", "en": ""},
    "times": {"de": "mal", "en": "times"}, "share": {"de": "", "en": ""},
}  # fmt: skip
_ORDINARY = {
    "auth-source": {"de": "gewöhnlichen Anmeldeversuchen", "en": "ordinary login attempts"},
    "auth-user": {"de": "gewöhnlichen Anmeldungen", "en": "ordinary logins"},
    "firewall-source": {"de": "gewöhnlichen Verbindungen", "en": "ordinary connections"},
    "firewall-pair": {"de": "gewöhnlichen Verbindungen", "en": "ordinary connections"},
}
_SINCE = "failures_since_success"


@dataclass(frozen=True, slots=True)
class Why:
    """What an incident says about its opening row."""

    reasons: tuple[Reason, ...]
    techniques: tuple[str, ...]
    counterfactual: dict[str, str]


def because(table: ModelTable, scorer: Scorer, x: NDArray[np.float64], *, entered: bool = False) -> Why:
    """Reasons for one row (F), the leading one first; `entered`: the rule "success after failures" named it."""
    parts = scorer.explain(x)
    reasons = tuple(_reason(table, j, scorer.usual(j), x[j], share, rarity) for j, share, rarity in parts[:SHOWN])
    techniques = tuple(dict.fromkeys(table.features[j].technique for j, _, _ in parts[:SHOWN])) or (table.features[0].technique,)
    if entered:
        rest = tuple(reason for reason in reasons if reason.feature != _SINCE)
        return Why((_entered(table, scorer, x, parts), *rest)[:SHOWN], techniques, _ENTERED_LIMIT)
    limit = counterfactual.find(table, scorer, x, [j for j, _, _ in parts[:SHOWN]])
    return Why(reasons, techniques, _NOTHING if limit is None else _limit(table, limit))


def _phrase(table: ModelTable, feature: Feature) -> Phrase:
    """The feature's own sentence, or one made of its noun phrase and unit."""
    own = phrases().get(table.name, {}).get(feature.name)
    if own is not None:
        return own
    unit = UNITS[feature.unit]
    form: Form = "odds" if feature.unit == "bits" and feature.scale == "bits" else "none" if feature.unit == "bits" else "unit"
    number_ = "" if form == "none" else ": {n}"
    return Phrase(f"{feature.text.de}{number_} {unit['de']}".rstrip(), f"{feature.text.en}{number_} {unit['en']}".rstrip(), form)


def _said(feature: Feature, phrase: Phrase, value: float, language: str) -> str:
    """An amount (in the feature's unit) as its phrase wants it."""
    if phrase.form == "odds":
        return sayings.odds(2.0 ** min(value, 60.0), language)
    if phrase.form == "factor":
        return number(2.0 ** min(value, 60.0), language)
    match feature.unit:
        case "bytes":
            return sayings.size(value, language)
        case "hours":
            return sayings.span(3600 * value, language)
        case "seconds":
            return sayings.span(value, language)
        case "share":
            return f"{sayings.whole(100 * value, language)} %"
        case _:
            return sayings.whole(value, language)


def _reason(table: ModelTable, j: int, usual: tuple[float, float], value: float, share: float, rarity: float) -> Reason:
    feature = table.features[j]
    observed, median, often = amount(feature, value), amount(feature, usual[0]), amount(feature, usual[1])
    phrase = _phrase(table, feature)
    text: dict[str, str] = {}
    for language in LANGUAGES:
        seen = phrase.clause(language).replace("{n}", _said(feature, phrase, observed, language))
        parts = [seen[0].upper() + seen[1:], _usual(feature, phrase, median, often, language)]
        text[language] = ". ".join(["; ".join(filter(None, parts)), *filter(None, [_rare(table.name, rarity, language)])]) + "."
    return Reason(feature.name, observed, often, rarity, share, text, median)


def _usual(feature: Feature, phrase: Phrase, median: float, often: float, language: str) -> str:
    """The middle and the edge of what is usual; nothing where the amount is a rarity already."""
    if phrase.form in ("odds", "none"):
        return ""
    low, high = (_said(feature, phrase, value, language) for value in (median, often))
    if phrase.form == "factor":
        return f"üblich ist höchstens das {high}-Fache" if language == "de" else f"usually at most {high} times"
    if low == high:
        return f"üblich: {_none(high, language)}" if language == "de" else f"usual: {_none(high, language)}"
    if feature.direction == "low":
        return f"üblich: meist {low}, selten unter {high}" if language == "de" else f"usually {low}, seldom below {high}"
    return f"üblich: meist {low}, selten über {high}" if language == "de" else f"usually {low}, seldom above {high}"


def _none(shown: str, language: str) -> str:
    return ("keine" if language == "de" else "none") if shown == "0" else shown


def _rare(model: str, rarity: float, language: str) -> str:
    """Nothing for models whose p is no probability, and nothing that is not rare."""
    if model in NO_PROBABILITY or model not in _ORDINARY:
        return ""
    if rarity < 1.0:
        return "Für sich allein ist das nicht selten" if language == "de" else "Not rare by itself"
    shown = f"{sayings.odds(10.0**rarity, language)} {_ORDINARY[model][language]}"
    return f"So auffällig ist nur {shown}" if language == "de" else f"Only {shown} is as unusual"


_ENTERED_LIMIT = {
    "de": f"Nicht gemeldet worden wäre die Anmeldung bei weniger als {RULE_FAILURES} Fehlversuchen davor "
    f"(von innen: {RULE_FAILURES_INSIDE}), mit öffentlichem Schlüssel, oder wenn sie von dort früher schon gelungen war.",
    "en": f"Would not have been raised after fewer than {RULE_FAILURES} failed attempts (from inside: {RULE_FAILURES_INSIDE}), "
    "with a public key, or if it had succeeded from there before.",
}
_NOTHING = {
    "de": "Keine einzelne Zahl macht die Auffälligkeit aus; erst ihr Zusammentreffen ist ungewöhnlich.",
    "en": "No single number makes the difference; what is unusual is that they come together.",
}


def _entered(table: ModelTable, scorer: Scorer, x: NDArray[np.float64], parts: list[tuple[int, float, float]]) -> Reason:
    """The rule's own reason: failures, then in."""
    if _SINCE not in table.names:
        text = {"de": "Die Anmeldung gelang nach vielen Fehlversuchen.", "en": "The login succeeded after many failed attempts."}
        return Reason(_SINCE, 0.0, 0.0, 0.0, 0.0, text)
    j = table.names.index(_SINCE)
    feature = table.features[j]
    observed = amount(feature, float(x[j]))
    usual, often = (amount(feature, value) for value in scorer.usual(j))
    share, rarity = next(((share, rarity) for k, share, rarity in parts if k == j), (0.0, 0.0))
    text = {
        "de": f"Die Anmeldung gelang nach {sayings.whole(observed, 'de')} Fehlversuchen; von dort war sie vorher nie gelungen.",
        "en": f"The login succeeded after {sayings.whole(observed, 'en')} failed attempts; from there it had never succeeded before.",
    }
    return Reason(feature.name, observed, often, rarity, share, text, usual)


_HOW = {
    "alone": {"de": "", "en": ""},
    "alike": {"de": ", in jedem Zeitraum", "en": ", in every time window"},
    "together": {"de": ", alles andere im selben Maß geringer", "en": ", everything else less in proportion"},
}


def _limit(table: ModelTable, limit: counterfactual.Limit) -> dict[str, str]:
    feature = table.features[limit.feature]
    phrase = _phrase(table, feature)
    text: dict[str, str] = {}
    for language in LANGUAGES:
        said, how = _said(feature, phrase, limit.amount, language), _HOW[limit.how][language]
        if phrase.form == "unit":
            clause = phrase.clause(language, dative=True).replace("{n}", said)
            start = "Nicht gemeldet worden wäre es unter" if language == "de" else "Would not have been raised below"
        elif phrase.form == "none":
            clause = phrase.clause(language)
            start = (
                "Nicht gemeldet worden wäre es, wenn dies schwächer wäre:" if language == "de" else "Would not have been raised if weaker:"
            )
        else:
            clause = f"{feature.text.de if language == 'de' else feature.text.en}: {_AT_MOST[phrase.form][language].format(said)}"
            start = "Nicht gemeldet worden wäre es bei" if language == "de" else "Would not have been raised at"
        text[language] = f"{start} {clause}{how}."
    return text


_AT_MOST = {"odds": {"de": "höchstens {}", "en": "at most {}"}, "factor": {"de": "höchstens das {}-Fache", "en": "at most {} times"}}
