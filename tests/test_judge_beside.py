"""Near misses and the spread of p: exact, however the stream was cut."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import features
from detector.decode import ecs
from detector.features import FeatureState
from detector.features.calendar import Calendar, local
from detector.judge import beside, entities
from detector.judge.beside import NEAR, Nearest, deciles, near
from detector.judge.findings import NearMiss
from detector.judge.flags import Times
from detector.judge.models import Models, Scored, score
from tests.eventgen import events, flow, login, noise
from tests.stub import LIMITS, stub_models

ZONE = ZoneInfo("Europe/Berlin")
MODELS = stub_models()
THRESHOLD = 3e-4
STREAM = noise(6_000, seed=11, days=2.5)
STREAM = STREAM.with_columns(ecs.text(np.ones(len(STREAM), np.uint8), ["", "person"], "user.kind"))  # only people have places
Kept = dict[tuple[int, str, str, int], NearMiss]


def judged(parts: Sequence[pl.DataFrame], models: Models = MODELS) -> Iterator[tuple[pl.DataFrame, dict[str, Scored], Times]]:
    state, clock = FeatureState.fresh(100_000, Calendar.of("Europe/Berlin")), 0
    for part in parts:
        scored, at = score(features.step(state, part, models.tables), models), Times.of(part, clock)
        clock = int(at.clock[-1]) if len(part) > 0 else clock
        yield part, scored, at


def stored(parts: Sequence[pl.DataFrame]) -> Kept:
    """What the database would hold: the nearest row of each entity and day."""
    nearest, kept = Nearest(), dict[tuple[int, str, str, int], NearMiss]()
    for part, scored, at in judged(parts):
        for miss in near(nearest, part, scored, MODELS, at, ZONE):
            key = (miss.day, miss.model, miss.entity_kind, miss.identity)
            if key not in kept or miss.nearness < kept[key].nearness:
                kept[key] = miss
    return kept


def shown(kept: Kept) -> list[NearMiss]:
    """What the view shows: per day the best, as many as are kept."""
    rows = sorted(kept.values(), key=lambda m: (m.day, m.nearness, m.model, m.entity_kind, m.identity))
    return [miss for day in sorted({m.day for m in rows}) for miss in [m for m in rows if m.day == day][: beside.KEPT]]


def cut(places: Sequence[int]) -> list[pl.DataFrame]:
    edges = [0, *sorted(places), len(STREAM)]
    return [STREAM[begin:end] for begin, end in itertools.pairwise(edges)]


@pytest.fixture(scope="module")
def whole() -> Kept:
    return stored([STREAM])


@settings(max_examples=4, deadline=None)
@given(places=st.lists(st.integers(0, len(STREAM)), max_size=12))
@pytest.mark.parametrize("most", [5, 50])
def test_i1_near_misses_do_not_depend_on_how_the_stream_was_cut(most: int, places: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "KEPT", most)
        assert shown(stored(cut(places))) == uncut(most)


@functools.cache
def uncut(most: int) -> list[NearMiss]:
    assert most == beside.KEPT
    return shown(stored([STREAM]))


def test_they_are_the_nearest_rows_below_the_line_each_entity_once_a_day(whole: Kept) -> None:
    rows = shown(whole)
    assert len(rows) > 20
    assert len({m.day for m in rows}) >= 3
    assert all(1 < m.nearness <= NEAR and m.p_value == pytest.approx(m.nearness * THRESHOLD) for m in rows)
    assert len({(m.day, m.model, m.entity_kind, m.identity) for m in rows}) == len(rows)


def test_they_are_those_that_a_look_at_all_rows_finds(whole: Kept) -> None:
    """By brute force over the model of accounts, where the model's entity is the incident's: the smallest p of each account and day."""
    best: dict[tuple[int, int], float] = {}
    for _, scored, at in judged([STREAM]):
        of = scored["auth-user"]
        days = local(at.clock, ZONE) // 86_400_000_000
        for row, p, weight in zip(of.rows.row, of.p, of.rows.weight, strict=True):
            if THRESHOLD < p <= NEAR * THRESHOLD and weight > 0:
                key = (int(days[row]), int(entities.of_accounts(STREAM[int(row)]).identity[0]))
                best[key] = min(best.get(key, 1.0), float(p))
    assert len(best) > 0
    assert {(m.day, m.identity): m.p_value for m in whole.values() if m.model == "auth-user"} == best


def test_each_says_what_it_would_have_been_called_and_why(whole: Kept) -> None:
    for miss in whole.values():
        assert set(miss.title) == {"de", "en"}
        assert len(miss.reasons) >= 1
        assert miss.entity_value != ""
        assert miss.model_id == f"{miss.model}-stub"


def test_the_kept_are_bounded_and_the_nearest() -> None:
    talk = [flow(i, f"10.0.{i // 250}.{i % 250}", "10.1.0.1", 80, direction="internal") for i in range(400)]
    (part, scored, at), nearest = next(judged([events(talk)])), Nearest()
    of = scored["firewall-source"]
    p = THRESHOLD * np.linspace(20.0, 1.1, len(of.p))
    found = near(nearest, part, {"firewall-source": replace(of, p=p)}, MODELS, at, ZONE)
    assert len(found) == len(nearest.best) == beside.KEPT
    assert {miss.p_value for miss in found} == set(np.sort(p)[: beside.KEPT])


def test_what_is_above_the_line_or_far_below_is_no_near_miss() -> None:
    attack = events([login(i, "198.51.100.7", "root", "ssh-1", ok=False) for i in range(60)])
    (part, scored, at), nearest = next(judged([attack])), Nearest()
    of = scored["auth-source"]
    for p in (THRESHOLD, NEAR * THRESHOLD * 1.01, 1.0):
        assert near(nearest, part, {"auth-source": replace(of, p=np.full(len(of.p), p))}, MODELS, at, ZONE) == ()
    assert len(near(nearest, part, {"auth-source": replace(of, p=np.full(len(of.p), 1.1 * THRESHOLD))}, MODELS, at, ZONE)) == 1


def test_deciles_count_every_counted_row_once_by_day_and_do_not_depend_on_cuts() -> None:
    def sums(parts: list[pl.DataFrame]) -> dict[tuple[int, str], list[int]]:
        found: dict[tuple[int, str], list[int]] = {}
        for _, scored, at in judged(parts):
            for one in deciles(scored, at, ZONE):
                known = found.setdefault((one.day, one.model), [0] * 10)
                found[one.day, one.model] = [a + b for a, b in zip(known, one.counts, strict=True)]
        return found

    one, many = sums([STREAM]), sums(cut([100, 2_000, 2_001, 5_555]))
    assert one == many
    rows = {name: int((scored.rows.weight > 0).sum()) for _, all_, _ in judged([STREAM]) for name, scored in all_.items()}
    assert {name: sum(sum(counts) for (_, model), counts in one.items() if model == name) for name in rows} == rows
    assert set(LIMITS) >= {model for _, model in one}
