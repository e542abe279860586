"""What an incident says of its opening row: sentences in two languages, and a counterfactual that scoring confirms."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.features.table import ModelTable, read_all
from detector.judge import sayings
from detector.judge.counterfactual import Limit, find
from detector.judge.families import FAMILIES, FAMILY_OF, GOT_IN
from detector.judge.reasons import because
from detector.judge.texts import guidance, guide, phrases
from detector.learn.train import train
from tests.stub import StubScorer

F64 = NDArray[np.float64]
TABLES = read_all(Path(__file__).parent.parent / "models")
NAMES = ("failures_1h", "failures_24h", "hosts_24h", "users_failed_1h")


def table() -> ModelTable:
    """Four features of auth-source: two windows of failures, two distinct counts."""
    features = [feature for feature in TABLES["auth-source"].features if feature.name in NAMES]
    whole = TABLES["auth-source"]
    return ModelTable(whole.name, whole.entity, ["forest", "tail_sum", "tail_max"], 3e-4, whole.title, features)


def honest(rows: int, seed: int) -> F64:
    """Failures come in ones and twos and stand in both windows; a few hosts and accounts."""
    rng = np.random.default_rng(seed)
    hour, day = rng.poisson(0.4, rows), rng.poisson(1.0, rows)
    return np.log2(1.0 + np.column_stack([hour, hour + day, rng.integers(0, 3, rows), rng.poisson(1.5, rows)])[:, _order()])


def _order() -> list[int]:
    amounts = {"failures_1h": 0, "failures_24h": 1, "users_failed_1h": 2, "hosts_24h": 3}
    return [amounts[name] for name in TABLE.names]


TABLE = table()
DETECTOR = train(TABLE, honest(20_000, 1), honest(20_000, 2)).detector


def row(**amounts: float) -> F64:
    return np.log2(1.0 + np.array([amounts.get(name, 1.0) for name in TABLE.names]))


def p_of(x: F64) -> float:
    return float(DETECTOR.score(x[None, :])[1][0])


def limit_of(x: F64) -> Limit:
    found = find(TABLE, DETECTOR, x, [j for j, _, _ in DETECTOR.explain(x)[:3]])
    assert found is not None
    return found


BURST = row(failures_1h=400, failures_24h=400)


def test_one_feature_alone_has_a_limit_below_which_the_row_is_quiet() -> None:
    x = row(hosts_24h=60)
    found = limit_of(x)
    assert (TABLE.names[found.feature], found.how) == ("hosts_24h", "alone")
    assert found.amount == int(found.amount)
    assert p_of(found.applied(TABLE, DETECTOR, x, found.amount - 1)) > DETECTOR.threshold_p
    assert p_of(found.applied(TABLE, DETECTOR, x, found.amount)) <= DETECTOR.threshold_p
    text = because(TABLE, DETECTOR, x).counterfactual
    assert text["de"] == f"Nicht gemeldet worden wäre es unter {found.amount:.0f} verschiedenen angesprochenen Rechnern an einem Tag."
    assert text["en"] == f"Would not have been raised below {found.amount:.0f} different hosts tried in one day."


def test_a_burst_stands_in_every_window_and_is_lowered_in_all_of_them() -> None:
    found = limit_of(BURST)
    assert found.how == "alike"
    lowered = found.applied(TABLE, DETECTOR, BURST, found.amount)
    assert p_of(lowered) > DETECTOR.threshold_p
    assert (lowered <= BURST).all()
    assert p_of(found.applied(TABLE, DETECTOR, BURST, 2 * found.amount + 2)) <= DETECTOR.threshold_p
    assert because(TABLE, DETECTOR, BURST).counterfactual["de"].endswith(", in jedem Zeitraum.")


def test_what_is_loud_in_several_ways_is_lowered_in_proportion() -> None:
    x = row(failures_1h=300, failures_24h=300, hosts_24h=50, users_failed_1h=80)
    found = limit_of(x)
    assert found.how == "together"
    assert because(TABLE, DETECTOR, x).counterfactual["en"].endswith(", everything else less in proportion.")


@pytest.mark.parametrize("seed", range(40))
def test_every_counterfactual_is_true_when_scored_again(seed: int) -> None:
    """Whatever is planted: just below what the sentence names the row is quiet."""
    rng = np.random.default_rng(seed)
    planted = {name: float(rng.choice([1, 1, 40, 400])) for name in NAMES} | {"hosts_24h": 70.0}
    x = row(**planted) if seed % 2 else BURST + rng.random(4)
    assert p_of(x) <= DETECTOR.threshold_p
    found = limit_of(x)
    whole = TABLE.features[found.feature].half_life == 0
    below = found.amount - 1 if whole else found.amount * (1 - 1e-9)
    assert p_of(found.applied(TABLE, DETECTOR, x, below)) > DETECTOR.threshold_p


def test_a_quiet_row_has_no_counterfactual() -> None:
    assert find(TABLE, DETECTOR, row(), [0]) is None


def test_reasons_read_as_sentences_with_observed_usual_and_rarity() -> None:
    first = because(TABLE, DETECTOR, BURST).reasons[0]
    german = r"400 Fehlversuche in (der letzten Stunde|den letzten 24 Stunden); üblich: meist \w+, selten über \d+\. "
    assert re.fullmatch(german + r"So auffällig ist nur 1 von [\d.]+ gewöhnlichen Anmeldeversuchen\.", first.text["de"])
    english = r"400 failed logins in the last (hour|24 hours); usually \w+, seldom above \d+\. "
    assert re.fullmatch(english + r"Only 1 in [\d,]+ ordinary login attempts is as unusual\.", first.text["en"])
    assert (round(first.observed), first.median < first.usual) == (400, True)


def stub_row(model: str, feature: str, value: float) -> tuple[ModelTable, StubScorer, F64]:
    x = np.zeros(len(TABLES[model].features))
    x[TABLES[model].names.index(feature)] = value
    return TABLES[model], StubScorer(TABLES[model], {feature: 1.0}), x


@pytest.mark.parametrize("model", sorted(TABLES))
def test_every_feature_of_every_model_makes_a_sentence_without_bits_and_loose_ends(model: str) -> None:
    for name in TABLES[model].names:
        why = because(*stub_row(model, name, 8.0))
        for language in ("de", "en"):
            for text in (why.reasons[0].text[language], why.counterfactual[language]):
                assert not re.search(r"\bbits?\b|\{|\||  |\.\.|: \.", text, re.IGNORECASE), text
                assert text.endswith(".")


def test_every_phrase_belongs_to_a_feature() -> None:
    """A feature that was renamed must take its sentence along."""
    unknown = {f"{model}.{name}" for model, known in phrases().items() for name in known if name not in TABLES[model].names}
    assert unknown <= PLANNED


PLANNED = {"auth-source.tickets_1h"} | {
    f"auth-user.{name}" for name in ("travel", "there_and_back", "region_rarity", "far", "provider_new", "region_new", "band_new")
}


def test_bytes_and_hours_are_said_as_people_say_them() -> None:
    sent = because(*stub_row("firewall-source", "bytes_out_1h", np.log2(1 + 3.2e9))).reasons[0].text
    assert sent["de"].startswith("3,2 GB nach außen gesendet in der letzten Stunde")
    assert sent["en"].startswith("3.2 GB sent outside in the last hour")


def test_the_service_model_says_no_odds() -> None:
    why = because(*stub_row("auth-service", "growth_1h", 4.0))
    assert why.reasons[0].text["de"].startswith("In einer Stunde kamen 16-mal so viele nie gesehene Adressen")
    assert "1 von" not in why.reasons[0].text["de"]
    assert "1 in" not in why.reasons[0].text["en"]


def test_a_success_after_failures_says_so_first() -> None:
    model, scorer, x = stub_row("auth-source", "failures_since_success", np.log2(28))
    why = because(model, scorer, x, entered=True)
    assert why.reasons[0].text["en"] == "The login succeeded after 27 failed attempts; from there it had never succeeded before."
    assert [reason.feature for reason in why.reasons].count("failures_since_success") == 1
    assert "weniger als 5 Fehlversuchen" in why.counterfactual["de"]


@pytest.mark.parametrize(
    ("one_in", "volume", "german", "english"),
    [
        (20_000, 1_700.0, "1 von 20.000 vergleichbaren Anmeldungen; bei Ihrem Aufkommen durch Zufall etwa alle 12 Tage",
         "1 in 20,000 comparable logins; at your volume by chance about every 12 days"),
        (20_000, 60_000.0, "1 von 20.000 vergleichbaren Anmeldungen; bei Ihrem Aufkommen durch Zufall etwa 3-mal am Tag",
         "1 in 20,000 comparable logins; at your volume by chance about 3 times a day"),
        (20_000, 10.0, "1 von 20.000 vergleichbaren Anmeldungen; bei Ihrem Aufkommen durch Zufall etwa alle 5,5 Jahre",
         "1 in 20,000 comparable logins; at your volume by chance about every 5.5 years"),
        (20_000, None, "1 von 20.000 vergleichbaren Anmeldungen", "1 in 20,000 comparable logins"),
    ],
)  # fmt: skip
def test_one_in_n_is_said_so_that_it_can_be_used(one_in: float, volume: float | None, german: str, english: str) -> None:
    assert sayings.rarity("auth-user", one_in, volume, "de") == german
    assert sayings.rarity("auth-user", one_in, volume, "en") == english
    assert sayings.rarity("auth-service", one_in, volume, "en") is None


@pytest.mark.parametrize(
    ("episode", "usual", "english"),
    [
        (1, None, None),
        (2, (412, 412), "2nd time; usual here 412 events, this time 50"),
        (11, (3, 900), "11th time; usual here 3 to 900 events"),
    ],
)
def test_a_series_says_what_is_usual_here(episode: int, usual: tuple[int, int] | None, english: str | None) -> None:
    said = sayings.again("discovery", episode, 50, usual, "en")
    assert said is english is None or (said or "").startswith(str(english))


@pytest.mark.parametrize(
    ("seconds", "german", "english"),
    [
        (90.0, "1,5 Minuten", "1.5 minutes"),
        (3_600.0, "1 Stunde", "1 hour"),
        (200_000.0, "2,3 Tage", "2.3 days"),
        (0.2, "0,2 Sekunden", "0.2 seconds"),
    ],
)
def test_durations_are_said_in_their_largest_unit(seconds: float, german: str, english: str) -> None:
    assert (sayings.span(seconds, "de"), sayings.span(seconds, "en")) == (german, english)


@pytest.mark.parametrize("technique", sorted({*FAMILY_OF} | {f.technique for t in TABLES.values() for f in t.features}))
def test_every_technique_has_a_name_a_tactic_three_steps_and_a_caution_in_both_languages(technique: str) -> None:
    found = guide("", [technique])
    assert found is not None
    assert re.fullmatch(r"TA\d{4}", found.tactic_id)
    assert (len(found.next.de), len(found.next.en)) == (3, 3)
    assert all(len(text) > 20 for text in (*found.next.de, *found.next.en, found.beware.de, found.beware.en))
    assert "Vorfall" not in "".join((*found.next.de, found.beware.de, found.name.de))


def test_guidance_names_techniques_or_families_only() -> None:
    assert {name for name in guidance() if not re.fullmatch(r"T\d{4}(\.\d{3})?", name)} <= set(FAMILIES)
    assert guide(GOT_IN, ["T1110.001"]) is guidance()[GOT_IN]
