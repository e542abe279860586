"""Why, in German and English: what was seen, what is usual, how rare that is, and what would have been quiet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
WEAK, COMPANY = 0.05, 0.2  # shares: below the first nothing is told; what is not rare by itself must have the second
SAME = 0.4  # log2: two windows that differ by less than a third tell the same
UTMOST = 6.0 - 1e-9  # rarity: the tails say no more
Part = tuple[int, float, float]  # feature, share, rarity
What = Literal["much", "rare", "this"]
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
    parts = _telling(table, x, scorer.explain(x))
    reasons = tuple(_reason(table, j, scorer.usual(j), x[j], share, rarity) for j, share, rarity in parts)
    techniques = tuple(dict.fromkeys(table.features[j].technique for j, _, _ in parts)) or (table.features[0].technique,)
    if entered:
        rest = tuple(reason for reason in reasons if reason.feature != _SINCE)
        return Why((_entered(table, scorer, x), *rest)[:SHOWN], techniques, _ENTERED_LIMIT)
    limit = counterfactual.find(table, scorer, x, [j for j, _, _ in parts])
    return Why(reasons, techniques, _NOTHING if limit is None else _limit(table, limit))


def _telling(table: ModelTable, x: NDArray[np.float64], parts: list[Part]) -> list[Part]:
    """The first three that tell something of their own: not the same burst in another time window, not what is ordinary."""
    told: list[Part] = []
    for part in parts:
        j, share, rarity = part
        common = table.features[j].scale == "bits" and x[j] < 1.0  # every second time at least
        strong = share >= WEAK and (rarity >= 1.0 or share >= COMPANY) and not common
        again = any(counterfactual.alike(table.features[j], table.features[k]) and abs(x[j] - x[k]) < SAME for k, _, _ in told)
        if not told or (strong and not again and len(told) < SHOWN):
            told.append(part)
    return told


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
    if phrase.form == "count":
        return sayings.whole(value, language)
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
        rare = _TOGETHER[language] if feature.direction == "context" else _rare(table.name, _what(feature, phrase), rarity, language)
        text[language] = ". ".join(["; ".join(filter(None, parts)), *filter(None, [rare])]) + "."
    return Reason(feature.name, observed, often, rarity, share, text, median)


def _usual(feature: Feature, phrase: Phrase, median: float, often: float, language: str) -> str:
    """The middle and the edge of what is usual; nothing where the amount is a rarity already."""
    if phrase.form in ("odds", "none"):
        return ""
    low, high = (_said(feature, phrase, value, language) for value in (median, often))
    if phrase.form == "factor" and high == "1":
        return "sonst höchstens ebenso viel" if language == "de" else "otherwise at most as much"
    if phrase.form == "factor":
        return f"sonst höchstens das {high}-Fache" if language == "de" else f"otherwise at most {high} times"
    if feature.direction == "context":
        return f"üblich: meist {low}" if language == "de" else f"usually {low}"
    if low == high:
        return f"üblich: {_none(high, language)}" if language == "de" else f"usual: {_none(high, language)}"
    if feature.direction == "low":
        return f"üblich: meist {low}, selten unter {high}" if language == "de" else f"usually {low}, seldom below {high}"
    return f"üblich: meist {low}, selten über {high}" if language == "de" else f"usually {low}, seldom above {high}"


def _none(shown: str, language: str) -> str:
    return ("keine" if language == "de" else "none") if shown == "0" else shown


def _what(feature: Feature, phrase: Phrase) -> What:
    """What of the feature is rare: that it is so much, that it is so rare, or simply this."""
    if phrase.form in ("odds", "none"):
        return "rare"
    return "this" if feature.unit == "hours" else "much"


_SHOWN: dict[What, dict[str, str]] = {
    "much": {"de": "So viel zeigt {} {}", "en": "{} {} shows as much"},
    "rare": {"de": "Etwas so Seltenes zeigt {} {}", "en": "{} {} shows anything as rare"},
    "this": {"de": "So etwas zeigt {} {}", "en": "{} {} shows such a thing"},
}


def _rare(model: str, what: What, rarity: float, language: str) -> str:
    """Nothing for models whose p is no probability."""
    if model in NO_PROBABILITY or model not in _ORDINARY:
        return ""
    if rarity < 1.0:
        return "Für sich allein ist das nicht selten" if language == "de" else "Not rare by itself"
    shown = f"{sayings.odds(10.0 ** min(rarity, 6.0), language)} {_ORDINARY[model][language]}"
    only = ("höchstens" if language == "de" else "At most") if rarity >= UTMOST else ("nur" if language == "de" else "Only")
    return _SHOWN[what][language].format(only, shown)


_TOGETHER = {"de": "Ungewöhnlich ist es erst zusammen mit dem Übrigen", "en": "Unusual only together with the rest"}
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


def _entered(table: ModelTable, scorer: Scorer, x: NDArray[np.float64]) -> Reason:
    """The rule's own reason: failures, then in."""
    if _SINCE not in table.names:
        text = {"de": "Die Anmeldung gelang nach vielen Fehlversuchen.", "en": "The login succeeded after many failed attempts."}
        return Reason(_SINCE, 0.0, 0.0, 0.0, 0.0, text)
    j = table.names.index(_SINCE)
    feature = table.features[j]
    observed = amount(feature, float(x[j]))
    usual, often = (amount(feature, value) for value in scorer.usual(j))
    text = {
        "de": f"Die Anmeldung gelang nach {sayings.whole(observed, 'de')} Fehlversuchen; von dort war sie vorher nie gelungen.",
        "en": f"The login succeeded after {sayings.whole(observed, 'en')} failed attempts; from there it had never succeeded before.",
    }
    return Reason(feature.name, observed, often, 0.0, 0.0, text, usual)  # a rule: no member of the model spoke


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
        form = _form(feature, phrase, limit.amount)
        said = _said(feature, phrase, limit.amount, language)
        clause = phrase.clause(language, dative=form == "counted").replace(
            "{n} " if form == "without" else "{n}", "" if form == "without" else said
        )
        text[language] = f"{_QUIET[form][language]} {clause}{_HOW[limit.how][language]}."
    return text


def _form(feature: Feature, phrase: Phrase, limit: float) -> str:
    """Which sentence suits a limit: below how many, without any, at which value, or only that it would have to be weaker."""
    if phrase.form == "none" or (phrase.form == "odds" and limit < 1.5) or (phrase.form == "factor" and limit < 0.1):
        return "none"
    if phrase.form == "unit" and feature.unit != "share" and phrase.de.startswith("{n}") and phrase.en.startswith("{n}"):
        return "without" if feature.unit != "bytes" and limit < 1.5 else "counted"
    return "measured"


_QUIET = {
    "without": {"de": "Nicht gemeldet worden wäre es ohne", "en": "Would not have been raised without"},
    "counted": {"de": "Nicht gemeldet worden wäre es unter", "en": "Would not have been raised below"},
    "measured": {"de": "Die Schwelle liegt hier bei:", "en": "The threshold here is:"},
    "none": {"de": "Nicht gemeldet worden wäre es, wenn dies schwächer wäre:", "en": "Would not have been raised if this were weaker:"},
}
