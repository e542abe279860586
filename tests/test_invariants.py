"""The invariants of design section 4 that SCORE's pure core must keep, by name."""

from __future__ import annotations

import ast
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.decode import ecs
from detector.features import FeatureState, bloom, slab, state, step
from detector.judge.core import Core
from detector.judge.findings import Changes, Episode, EvidenceRow, Incident
from tests.eventgen import START, events, flow, login, noise
from tests.stub import LIMITS, stub_models

MODELS = stub_models(
    {**LIMITS, "firewall-source": {"hosts_1h": 1.0, "ports_1h": 1.0, "denies_1h": 1.0}, "firewall-pair": {"regular_and_rare": -3.4}}
)
CORE = Core(MODELS, entities=600)  # few, so that eviction is part of what must not depend on the cut
SHARD = "stadt/rathaus"
N = 12_000


class Outcome:
    """All that a run said: incidents in their last state, evidence added up, samples, vectors and scores."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.openings: dict[str, Incident] = {}
        self.evidence: dict[tuple[str, int, str, str], EvidenceRow] = {}
        self.episodes: dict[tuple[str, int], Episode] = {}
        self.samples: dict[str, list[tuple[str, int, int]]] = {}
        self.scores: list[pl.DataFrame] = []

    def add(self, changes: Changes, scores: list[pl.DataFrame]) -> None:
        self.openings.update((i.id, i) for i in changes.opened)
        self.incidents.update((i.id, i) for i in (*changes.opened, *changes.updated))
        self.scores += scores
        for id_, rows in changes.evidence.items():
            for row in rows:
                key = (id_, row.episode, row.field, row.value)
                old = self.evidence.get(key, replace(row, events=0))
                self.evidence[key] = replace(
                    row, events=old.events + row.events, first=min(old.first, row.first), last=max(old.last, row.last)
                )
        for id_, samples in changes.samples.items():
            self.samples.setdefault(id_, []).extend((s.topic, s.partition, s.offset) for s in samples)
        self.episodes.update(((one.incident, one.number), one) for one in changes.episodes)

    def table(self) -> pl.DataFrame:
        return pl.concat(self.scores).sort(["model", "log.offset"])


def run(frame: pl.DataFrame, cuts: list[int], reload: list[bool] | None = None) -> tuple[Outcome, bytes]:
    """The frame in pieces; where `reload` says so, the state goes through a snapshot first."""
    outcome, memory = Outcome(), CORE.fresh(SHARD)
    borders = [0, *cuts, len(frame)]
    for i, (first, last) in enumerate(pairwise(borders)):
        if reload is not None and reload[i % len(reload)]:
            memory = CORE.load(SHARD, CORE.dump(memory))
        outcome.add(*CORE.step_scored(memory, frame[first:last], True))
    return outcome, CORE.dump(memory)


def assert_same(one: Outcome, other: Outcome) -> None:
    assert one.incidents == other.incidents
    assert one.openings.keys() == other.openings.keys()
    assert one.evidence == other.evidence
    assert one.episodes == other.episodes
    assert one.samples == other.samples
    assert one.table().equals(other.table())  # bit by bit, not only to 1e-9


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return noise(N, seed=1, days=1.0)  # across 05:00 in Berlin, when tokens change


@pytest.fixture(scope="module")
def whole(frame: pl.DataFrame) -> Outcome:
    return run(frame, [])[0]


def test_the_random_stream_exercises_every_model_and_opens_incidents(whole: Outcome) -> None:
    assert set(whole.table()["model"]) == set(MODELS.tables)
    families = {incident.family for incident in whole.incidents.values()}
    assert families >= {"credential-access", "discovery", "success-after-failures", "command-and-control"}, families
    assert max(incident.events for incident in whole.incidents.values()) > 50


@given(cuts=st.lists(st.integers(0, N), max_size=12).map(sorted), reload=st.lists(st.booleans(), min_size=1, max_size=6))
@settings(max_examples=8, deadline=None)
def test_i1_batch_invariance(frame: pl.DataFrame, whole: Outcome, cuts: list[int], reload: list[bool]) -> None:
    assert_same(run(frame, cuts, reload)[0], whole)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 6))])
def test_i1_batch_invariance_of_200000_events(seed: int) -> None:
    long = noise(200_000, seed, days=20.0, sources=6_000)
    cuts = sorted(np.random.default_rng(seed).integers(0, len(long), 30).tolist())
    whole = run(long, [])[0]
    assert len(whole.episodes) > 30
    assert_same(run(long, cuts, [False, True, True])[0], whole)


def test_i1_the_state_itself_does_not_depend_on_the_cut(frame: pl.DataFrame) -> None:
    assert run(frame, [7, 5_000])[1] == run(frame, [1, 2, 3, 11_000])[1]


def test_i2_every_event_is_scored(frame: pl.DataFrame, whole: Outcome) -> None:
    scored = whole.table().filter(pl.col("model").is_in(["firewall-source", "auth-source"]))
    assert scored["log.offset"].sort().to_list() == list(range(N))


def test_i2_events_that_lack_everything_are_scored_too() -> None:
    bare = events([{"event.category": "network"}, {"event.category": "authentication"}, {"event.category": "network"}])
    rows = step(FeatureState.fresh(1000), bare, MODELS.tables)
    assert sorted([*rows["firewall-source"].row, *rows["auth-source"].row]) == [0, 1, 2]
    assert all(np.isfinite(one.X).all() for one in rows.values())


@pytest.mark.parametrize("late", [60, 3_600, 86_400])
def test_i2_a_late_event_counts_what_it_would_have_left(late: int) -> None:
    """Failures at 0, late, in order or the second one late: the counters end the same."""
    ordered = [login(0, "198.51.100.1", "a", "h", ok=False), login(late, "198.51.100.1", "b", "h", ok=False)]
    decays = [MODELS.tables["auth-source"].names.index(f"failures_{window}") for window in ("1m", "10m", "1h", "24h")]
    straight = step(FeatureState.fresh(1000), events(ordered), MODELS.tables)["auth-source"].X[-1, decays]
    swapped = step(FeatureState.fresh(1000), events(ordered[::-1]), MODELS.tables)["auth-source"].X[-1, decays]
    assert np.allclose(straight, swapped, atol=1e-9)


def test_i3_the_same_batch_from_the_same_snapshot_changes_nothing_new(frame: pl.DataFrame) -> None:
    memory = CORE.fresh(SHARD)
    CORE.step(memory, frame[:8_000])
    kept = CORE.dump(memory)
    first, second = (CORE.step(CORE.load(SHARD, kept), frame[8_000:]) for _ in range(2))
    assert first == second
    assert len(first.opened) + len(first.updated) > 0


def test_i3_ids_name_the_opening_event_not_the_run(whole: Outcome, frame: pl.DataFrame) -> None:
    """Routed again (record times a little later, other batches), the same raw events give the same ids."""
    again = frame.with_columns((pl.col("event.created") + pl.duration(minutes=4)).alias("event.created"))
    assert run(again, [4_000])[0].incidents.keys() == whole.incidents.keys()


SLABS = ("network.sources", "network.pairs", "network.places", "network.groups", "network.networks", "logins.sessions",
         "logins.sources", "logins.services", "logins.targets", "logins.users", "logins.habits")  # fmt: skip


def test_i4_memory_per_entity_is_at_most_1_5_kib() -> None:
    full = FeatureState.fresh(1_024)
    seen = 0
    for memory in (full.network, full.logins):
        for one in memory:
            if isinstance(one, slab.Slab):
                seen += 1
                assert slab.nbytes(slab.grown_to_limit(one)) / int(one.info[slab.LIMIT]) <= 1536
    assert seen == len(SLABS)


def test_i4_entities_are_capped() -> None:
    memory = FeatureState.fresh(1_000)
    flood = [flow(i * 0.01, f"198.51.{i // 250}.{i % 250}", "10.0.0.1", 1 + i, direction="inbound", action="denied") for i in range(5_000)]
    step(memory, events(flood), MODELS.tables)
    held = {name: int(array[slab.LIVE]) for name, array in state.dump(memory).items() if name.endswith(".info") and len(array) > 2}
    assert max(held.values()) == 500
    assert sum(held.values()) <= 2_000
    assert state.size(memory)[1] < 8 << 20


@pytest.mark.parametrize("sources", [500_000, pytest.param(5_000_000, marks=pytest.mark.soak)])
def test_i4_eviction_never_makes_old_things_new(sources: int) -> None:
    """Partners known before five days of ever other sources (usual here, so no flood) are no new peers after them; a stranger is."""
    names = MODELS.tables["firewall-source"].names
    memory = FeatureState.fresh(10_000)
    old = [flow(-100 + i, f"10.0.0.{i}", "10.0.9.9", 445, direction="internal") for i in range(100)]
    step(memory, events(old), MODELS.tables)
    for begin in range(0, sources, 100_000):  # one source an event, five days in all
        step(memory, passers_by(begin, 100_000, 5 * 86_400 / sources), MODELS.tables)
    assert int(memory.network.sources.info[slab.LIVE]) == 5_000
    later = [flow(5 * 86_400 + i, f"10.0.0.{i}", "10.0.9.9", 445, direction="internal") for i in range(100)]
    stranger = flow(5 * 86_400 + 200, "10.0.0.1", "10.0.9.77", 445, direction="internal")
    x = step(memory, events([*later, stranger]), MODELS.tables)["firewall-source"].X[:, names.index("new_internal_1h")]
    assert x[:100].max() < 0.01
    assert x[100] > 0.9


def passers_by(begin: int, n: int, gap: float) -> pl.DataFrame:
    """n inbound events, each from an address of its own, spread over many networks; `gap` seconds apart."""
    frame = noise(n, 0)
    number = np.arange(begin, begin + n, dtype=np.uint64)
    spread = (number * np.uint64(2_654_435_761)) & np.uint64(0xFFFFFFFF)
    time = START + (np.arange(begin, begin + n) * gap * 1e6).astype(np.int64)
    return frame.with_columns(
        pl.Series("source.ip.lo", np.uint64(0xFFFF_0000_0000) + spread), pl.Series("source.ip.hi", np.zeros(n, np.uint64)),
        pl.Series("@timestamp", time).cast(pl.Datetime("us", "UTC")), pl.Series("event.created", time).cast(pl.Datetime("us", "UTC")),
        ecs.text(np.ones(n, np.uint8), ["", "inbound"], "network.direction"), ecs.text(np.zeros(n, np.uint8), [""], "source.network"),
        ecs.text(np.ones(n, np.uint8), ["", "network"], "event.category"), ecs.text(np.ones(n, np.uint8), ["", "denied"], "event.action"),
    )  # fmt: skip


def test_i4_filters_turn_after_15_days_and_forget_after_30() -> None:
    """An address that succeeded is remembered for at least 15 days after its last success, and no longer than 30."""
    day = 86_400.0

    def urgent(quiet_days: float) -> bool:
        core, memory = Core(MODELS), CORE.fresh(SHARD)
        core.step(memory, events([login(0, "198.51.100.1", "u", "h", ok=True)]))
        ticks = [login(d * day, "198.51.100.99", "x", "h", ok=True) for d in np.arange(1, quiet_days, 1.0)]
        core.step(memory, events(ticks)) if ticks else None
        guessed = [login(quiet_days * day + i, "198.51.100.1", "u", "h", ok=i == 9) for i in range(10)]
        return any(incident.urgent for incident in core.step(memory, events(guessed)).opened)

    assert not urgent(1)
    assert not urgent(14)
    assert urgent(31)


def test_i4_a_full_filter_keeps_what_it_knows() -> None:
    """60,000 keys grow the filter through three layers; none is forgotten, and few strangers are taken for known."""
    memory = FeatureState.fresh(1_000)
    rows = noise(20_000, seed=5, sources=20_000)
    for _ in range(3):
        step(memory, rows, MODELS.tables)
    before = int(memory.network.now.info[bloom.COUNT])
    step(memory, rows, MODELS.tables)
    assert int(memory.network.now.info[bloom.COUNT]) == before


CORE_ROOMS = [path for room in ("features", "judge") for path in sorted((Path(__file__).parent.parent / "detector" / room).rglob("*.py"))]


@pytest.mark.parametrize("path", CORE_ROOMS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_i7_the_core_reads_no_clock_and_throws_no_dice(path: Path) -> None:
    clocks = {
        "now",
        "utcnow",
        "today",
        "time",
        "time_ns",
        "monotonic",
        "perf_counter",
        "random",
        "default_rng",
        "urandom",
        "uuid4",
        "uuid1",
    }
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    called = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert not called & clocks


OPENING = (
    "id", "shard", "tenant", "site", "model", "model_id", "family", "entity_kind", "entity_value", "techniques", "opened",
    "p_value", "score", "title", "counterfactual", "reasons", "urgent", "volume",
)  # fmt: skip
COURSE = (
    "severity", "updated", "closes_at", "worst_p", "worst_score", "events", "got_in", "critical", "spread", "episode", "episode_opened",
    "episode_events", "usual",
)  # fmt: skip
FACTS = ("incident", "number", "opened", "closes_at", "model", "model_id", "p_value", "score", "reasons", "counterfactual")


def test_i8_opening_facts_are_never_rewritten(frame: pl.DataFrame) -> None:
    assert {one.name for one in fields(Incident)} == {*OPENING, *COURSE}
    first: dict[str, object] = {}
    memory, changed = CORE.fresh(SHARD), 0
    for begin in range(0, N, 1_000):
        changes = CORE.step(memory, frame[begin : begin + 1_000])
        first |= {incident.id: msgspec.to_builtins(incident) for incident in changes.opened}
        for incident in changes.updated:
            changed += 1
            assert {name: getattr(incident, name) for name in OPENING} == {
                name: getattr(msgspec.convert(first[incident.id], Incident), name) for name in OPENING
            }
            assert incident.worst_p <= incident.p_value
    assert changed > 20


def test_i8_the_opening_facts_of_an_episode_are_never_rewritten() -> None:
    """Over days, so that incidents come again: what an episode said when it began it says to its end."""
    long, memory, seen = noise(20_000, seed=3, days=4.0), CORE.fresh(SHARD), 0
    first: dict[tuple[str, int], object] = {}
    for begin in range(0, len(long), 500):
        for episode in CORE.step(memory, long[begin : begin + 500]).episodes:
            facts = msgspec.to_builtins({name: getattr(episode, name) for name in FACTS})
            seen += (episode.incident, episode.number) in first
            assert first.setdefault((episode.incident, episode.number), facts) == facts
    assert seen > 20
    assert max(number for _, number in first) >= 3


def test_i8_what_was_handed_out_does_not_change_afterwards(frame: pl.DataFrame) -> None:
    memory = CORE.fresh(SHARD)
    opened = CORE.step(memory, frame[:6_000]).opened
    copies = [msgspec.to_builtins(incident) for incident in opened]
    CORE.step(memory, frame[6_000:])
    assert [msgspec.to_builtins(incident) for incident in opened] == copies
