"""Another model from one offset on, and a candidate beside the champion: what stays, what is apart, what does not depend on the cut."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.features import Rows
from detector.forest.artefact import ArtefactError
from detector.judge import inputs, shadow
from detector.judge.core import Core
from detector.judge.findings import Changes, Incident
from detector.judge.models import Scorer
from detector.judge.shard import Shadow
from tests.eventgen import noise
from tests.stub import LIMITS, StubScorer, stub_models

MODEL = "firewall-source"
MODELS = stub_models({**LIMITS, MODEL: {"hosts_1h": 0.2, "ports_1h": 0.2, "denies_1h": 0.2}})
SHARD = "stadt/rathaus"
N = 6_000


@dataclass(frozen=True)
class Named(StubScorer):
    name: str = ""

    @property
    def model_id(self) -> str:
        return self.name


def louder(name: str, limit: float) -> Named:
    return Named(MODELS.tables[MODEL], {"hosts_1h": limit, "ports_1h": limit, "denies_1h": limit}, name)


@dataclass
class Shelf:
    """A library in memory that notes what it was asked for."""

    held: dict[str, Scorer]
    asked: list[tuple[str, str]] = field(default_factory=list)

    def scorer(self, shard: str, name: str, digest: str, part: str) -> Scorer:
        self.asked.append((digest, part))
        if digest not in self.held:
            raise ArtefactError(f"no {digest}")
        return self.held[digest]


CORE = Core(MODELS, entities=600, library=Shelf({"b": louder("champion-b", 0.1), "c": louder("candidate-c", -0.4)}))


def take(state: object, digest: str, part: inputs.Part) -> None:
    CORE.take(state, inputs.MODEL, inputs.model(MODEL, digest, part))  # type: ignore[arg-type]


def opened(changes: list[Changes]) -> dict[str, Incident]:
    return {i.id: i for one in changes for i in one.opened}


def frame() -> pl.DataFrame:
    return noise(N, 5, days=1.0)


def test_from_the_offset_on_incidents_name_the_new_model_and_those_before_keep_theirs() -> None:
    state, events = CORE.fresh(SHARD), frame()
    before = opened([CORE.step(state, events[: N // 2])])
    kept = {key: replace(case.incident) for key, case in state.cases.known.items()}
    take(state, "b", "champion")
    counters = CORE.dump(state)
    after = [CORE.step(state, events[N // 2 :])]
    mine = {i.model_id for i in before.values() if i.model == MODEL}
    assert mine == {f"{MODEL}-stub"}
    assert {i.model_id for i in opened(after).values() if i.model == MODEL} == {"champion-b"}
    assert CORE.load(SHARD, counters).chosen == {MODEL: "b"}
    still = {key: case.incident for key, case in state.cases.known.items() if key in kept and case.incident.id == kept[key].id}
    assert len(still) > 0
    for key, incident in still.items():  # what was open goes on, its opening facts as they were
        assert (incident.model_id, incident.p_value, incident.reasons) == (kept[key].model_id, kept[key].p_value, kept[key].reasons)


def test_back_to_the_shipped_one_judges_as_before() -> None:
    state, events = CORE.fresh(SHARD), frame()
    take(state, "b", "champion")
    take(state, inputs.SHIPPED, "champion")
    assert opened([CORE.step(state, events)]) == opened([CORE.step(CORE.fresh(SHARD), events)])


def test_a_shadow_changes_nothing_that_is_said() -> None:
    events = frame()
    plain, beside = CORE.fresh(SHARD), CORE.fresh(SHARD)
    take(beside, "c", "shadow")
    alone, both = CORE.step(plain, events), CORE.step(beside, events)
    assert replace(both, shadows=()) == alone
    (one,) = both.shadows
    assert one.model_id == "candidate-c"
    sides = [side for side, _ in one.incidents]
    assert sides.count("candidate") > sides.count("champion") > 0
    assert {i.model_id for side, i in one.incidents if side == "champion"} == {f"{MODEL}-stub"}


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(1, N - 1), min_size=1, max_size=8))
def test_i1_what_a_shadow_says_does_not_depend_on_the_cut_nor_on_a_snapshot(cuts: list[int]) -> None:
    events = frame()
    whole, parts = CORE.fresh(SHARD), CORE.fresh(SHARD)
    for state in (whole, parts):
        take(state, "c", "shadow")
    expected = _added([CORE.step(whole, events)])
    borders = sorted({0, *cuts, N})
    said = []
    for first, last in itertools.pairwise(borders):
        parts = CORE.load(SHARD, CORE.dump(parts))
        said.append(CORE.step(parts, events[first:last]))
    assert _added(said) == expected
    assert parts.shadows[MODEL] == whole.shadows[MODEL]


def _added(changes: list[Changes]) -> tuple[object, ...]:
    shadows = [one for change in changes for one in change.shadows]
    incidents = {(side, i.id): i for one in shadows for side, i in one.incidents}
    return sum(s.rows for s in shadows), sum(s.sampled for s in shadows), [sum(s.alerts[k] for s in shadows) for k in (0, 1)], incidents


def rows(entity: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> Rows:
    n = len(entity)
    return Rows(np.zeros((n, 1)), np.arange(n), np.ones(n, np.int32), entity, np.zeros(n, np.bool_), np.zeros(n, np.bool_))


def test_whole_entities_are_sampled_about_one_in_four() -> None:
    entity = np.random.default_rng(1).integers(1, 1 << 63, 4_000).astype(np.uint64)
    chosen = shadow.sampled(Shadow("c"), MODEL, rows(np.repeat(entity, 5)))
    assert chosen.reshape(-1, 5).all(axis=1).sum() == chosen.sum() / 5
    assert 0.22 < chosen.mean() < 0.28


@pytest.mark.parametrize("seed", range(5))
def test_one_busy_source_does_not_make_a_shadow_cost_more_than_half(seed: int) -> None:
    entity = np.random.default_rng(seed).integers(1, 1 << 63, 50_000).astype(np.uint64)
    entity[np.random.default_rng(seed).random(50_000) < 0.9] = np.uint64(seed + 1)
    beside, scored = Shadow("c"), 0
    for part in np.array_split(entity, 40):
        scored += int(shadow.sampled(beside, MODEL, rows(part)).sum())
        assert scored <= 0.5 * beside.rows + shadow.SLACK


def test_an_input_for_a_model_that_is_not_at_hand_is_refused_before_it_has_an_offset() -> None:
    with pytest.raises(ArtefactError, match="no x"):
        CORE.ready(SHARD, inputs.MODEL, inputs.model(MODEL, "x", "champion"))
    CORE.ready(SHARD, inputs.MODEL, inputs.model(MODEL, inputs.SHIPPED, "champion"))
    CORE.ready(SHARD, "something-later", {"a": 1})


@pytest.mark.parametrize(
    "payload", [{}, {"model": MODEL}, {"model": 1, "digest": "b", "part": "champion"}, inputs.model("gone", "b", "champion")]
)
def test_inputs_of_another_version_change_nothing_that_is_said(payload: dict[str, object]) -> None:
    state, events = CORE.fresh(SHARD), frame()
    CORE.take(state, inputs.MODEL, payload)
    CORE.take(state, "unheard-of", payload)
    assert opened([CORE.step(state, events)]) == opened([CORE.step(CORE.fresh(SHARD), events)])
