"""What SCORE keeps to learn from: the same however the stream is cut, nobody's more than a thousandth, no incident's, nobody's name."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.judge.acquainted import LOGIN, Acquainted
from detector.judge.blocks import Block, Columns, packed, unpacked
from detector.judge.core import Core
from detector.judge.findings import Changes
from detector.judge.keeping import kept
from detector.judge.reservoir import Sample, smallest
from detector.judge.shard import ShardState
from detector.privacy.verify import hits
from detector.store import Store, reservoir
from tests.eventgen import START, Row, events, flow, login, noise
from tests.postgres import TestDatabase
from tests.stub import stub_models

SHARD = "stadt/rathaus"
HOUR = 3_600_000_000  # µs
CORE = Core(stub_models(), entities=5_000)
N = 6_000
END = login(40 * 3600, "198.51.100.99", "u-end", "srv-1", ok=True)  # closes every hour before


def kept_of(frame: pl.DataFrame, cuts: Sequence[int] = (), core: Core = CORE, *, reload: bool = False) -> tuple[list[Block], ShardState]:
    state, blocks = core.fresh(SHARD), list[Block]()
    for first, last in pairwise([0, *cuts, len(frame)]):
        if reload:
            state = core.load(SHARD, core.dump(state))
        blocks += core.step(state, frame[first:last]).blocks
    return blocks, state


def rows(blocks: Sequence[Block], model: str, *, aside: bool = False) -> NDArray[np.float32]:
    features = len(CORE.models.tables[model].features)
    parts = [unpacked(b.columns, features).X for b in blocks if b.model == model and b.aside == aside]
    return np.concatenate([np.zeros((0, features), np.float32), *parts])


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(1, N - 1), max_size=6, unique=True).map(sorted), st.booleans())
def test_i1_however_the_stream_is_cut_the_same_rows_are_kept(cuts: list[int], reload: bool) -> None:
    whole, end = kept_of(NOISE)
    parts, other = kept_of(NOISE, cuts, reload=reload)
    assert parts == whole
    assert CORE.dump(other) == CORE.dump(end)
    assert sum(block.rows for block in whole) > 300


NOISE = noise(N, 3)


def test_only_the_smallest_keys_of_an_hour_stay_whatever_the_order() -> None:
    rng = np.random.default_rng(0)
    n = 5_000
    key, teacher = rng.permutation(n).astype(np.uint64), rng.integers(0, 300, n).astype(np.uint64)
    one = Sample(np.zeros((n, 2), np.float32), teacher, teacher, key, key.astype(np.int64))
    none = one.take(np.zeros(0, np.intp))
    whole = smallest(none, one, 100, 3)
    for order in (np.arange(n), rng.permutation(n), np.arange(n)[::-1]):
        found = none
        for part in np.array_split(order, 7):
            found = smallest(found, one.take(part), 100, 3)
        assert found.key.tolist() == whole.key.tolist()
    assert max(Counter(whole.teacher.tolist()).values()) <= 3
    assert len(whole.key) == 100


def test_the_rows_of_an_hour_are_drawn_evenly_over_it() -> None:
    """Sixteen thousand logins of four thousand sources in one hour; four hundred are kept, as many from each quarter of the hour."""
    blocks, state = kept_of(steady(16_000, np.arange(16_000) % 4_000, 3600.0), core=Core(CORE.models, entities=5_000, kept=400))
    clock = state.reservoir.parts["auth-source"].hours[-1].sample.clock
    assert blocks == []
    assert len(clock) == 400
    quarters = np.bincount((clock - START) * 4 // HOUR - 4, minlength=4)
    assert (abs(quarters - 100) < 40).all()


def steady(n: int, who: NDArray[np.int64], seconds: float) -> pl.DataFrame:
    """n successful logins, evenly over so many seconds of the second hour; everybody had succeeded in the hour before."""
    people = np.unique(who)
    first = [login(float(i) / 10, _address(p), f"u-{p}", "srv-1", ok=True) for i, p in enumerate(people.tolist())]
    later = [login(3600 + seconds * i / n, _address(p), f"u-{p}", "srv-1", ok=True) for i, p in enumerate(who.tolist())]
    return events([*first, *later])


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def test_nobody_gives_more_than_a_thousandth_of_a_days_rows() -> None:
    """Half of all logins of a day come from one source: of its rows no more are kept than of anybody's, one an hour."""
    hours = 12
    who = np.concatenate([np.where(np.arange(400) % 2 == 0, 7, 1000 + np.arange(400)) for _ in range(hours)])
    first = [login(i / 10, _address(p), f"u-{p}", "srv-1", ok=True) for i, p in enumerate(np.unique(who).tolist())]
    later = [login(3600 + 9 * i, _address(p), f"u-{p}", "srv-1", ok=True) for i, p in enumerate(who.tolist())]
    blocks, _ = kept_of(events([*first, *later, END]))
    by_day: dict[int, Counter[int]] = {}
    seen: Counter[int] = Counter()
    for b in blocks:
        if b.model == "auth-source":
            numbers = unpacked(b.columns, len(CORE.models.tables[b.model].features)).entity
            by_day.setdefault(b.day, Counter()).update(numbers.tolist())
            seen[b.day] += b.seen
    assert by_day
    for day, counts in by_day.items():
        assert max(counts.values()) <= max(1, seen[day] // 1000)


def test_rows_come_only_from_those_who_had_succeeded_in_an_hour_before() -> None:
    guesser = [login(60.0 * i, "203.0.113.9", f"u-{i}", "srv-1", ok=False) for i in range(100)]
    fresh = [login(7_200.0 + i, f"192.0.2.{i}", f"u-f{i}", "srv-1", ok=True) for i in range(50)]
    honest = [login(at, f"10.0.0.{i}", f"u-h{i}", "srv-1", ok=True) for at in (10.0, 7_300.0) for i in range(30)]
    frame = events(sorted([*guesser, *fresh, *honest, END], key=lambda row: row["@timestamp"]))
    blocks, _ = kept_of(frame)
    assert len(rows(blocks, "auth-source")) == 30
    assert len(rows(blocks, "auth-user")) == 30
    assert sum(b.seen for b in blocks if b.model == "auth-source") == 100 + 50 + 60


def test_of_firewalls_rows_come_from_inside_or_from_those_who_logged_in() -> None:
    outside = [flow(at, "203.0.113.5", "10.0.0.1", 443, direction="inbound") for at in range(0, 9_000, 60)]
    inside = [flow(at, "10.0.0.7", "198.51.100.1", 443) for at in range(0, 9_000, 60)]
    frame = events(sorted([*outside, *inside, END], key=lambda row: row["@timestamp"]))
    blocks, _ = kept_of(frame)
    assert sum(b.eligible for b in blocks if b.model == "firewall-source") == 150 - 60  # not those of its first hour
    assert sum(b.seen for b in blocks if b.model == "firewall-source") == 300


def test_the_service_model_learns_from_everything_but_no_source_dominates_it() -> None:
    spray = [login(3.0 * i, f"203.0.113.{i % 50}", f"u-{i}", "srv-1", ok=False) for i in range(600)]
    blocks, _ = kept_of(events([*spray, END]))
    assert 0 < len(rows(blocks, "auth-service")) + len(rows(blocks, "auth-service", aside=True)) <= 50
    assert len(rows(blocks, "auth-source")) == 0


def scanned() -> list[Row]:
    """Inside sources that talk all the time; one of them scans in the fourth hour."""
    calm = [flow(at + i, f"10.0.0.{i}", "198.51.100.1", 443) for at in range(0, 7 * 3600, 30) for i in range(12)]
    scan = [flow(4 * 3600 + i, "10.0.0.7", f"10.1.{i // 200}.{i % 200}", 22, direction="internal", action="denied") for i in range(300)]
    return sorted([*calm, *scan, END], key=lambda row: row["@timestamp"])


def test_rows_of_an_open_incident_and_the_hour_around_it_are_set_aside_under_its_name() -> None:
    blocks, state = kept_of(events(scanned()))
    own = [b for b in blocks if b.model == "firewall-source"]
    incidents = {case.incident.id for case in state.cases.known.values()}
    began = START + 4 * 3600 * 1_000_000
    assert len(incidents) == 1
    assert {id_ for b in own for id_ in b.incidents} == incidents
    aside = {b.hour: b.rows for b in own if b.aside}
    assert min(aside) == began - HOUR
    assert set(aside.values()) == {1}
    assert {began - 3 * HOUR, began - 2 * HOUR}.isdisjoint(aside)
    assert {b.rows for b in own if not b.aside and began - HOUR < b.hour < began + 2 * HOUR} == {11}
    assert {b.rows for b in own if not b.aside and b.hour == began - 2 * HOUR} == {12}


def test_nothing_of_a_block_names_anybody_and_numbers_restart_with_the_epoch() -> None:
    names = ["xaver.moerkelbach", "203.0.113.77", "u-k3f9q2xw7m"]
    people = [
        login(at + i, f"203.0.113.{70 + i}", names[0] if i == 7 else f"u-{i}", names[2], ok=True) for at in (0.0, 8e3) for i in range(9)
    ]
    night = [login(23 * 3600.0 + i, f"203.0.113.{70 + i}", f"u-{i}", "srv-1", ok=True) for i in range(9)]
    blocks, _ = kept_of(events([*people, *night, END]))
    taken = [unpacked(b.columns, len(CORE.models.tables[b.model].features)) for b in blocks]
    assert sum(len(one.X) for one in taken) > 20
    plain = b"".join(one.X.tobytes() + one.entity.tobytes() + one.incident.tobytes() for one in taken)
    assert hits(plain, names) == []
    first = {(b.model, b.day): one.entity for b, one in zip(blocks, taken, strict=True) if len(one.X) > 0}
    assert len({day for model, day in first if model == "auth-source"}) == 2
    for numbers in first.values():
        assert numbers.max() < 9


def test_memory_is_bounded_however_many_come_and_go() -> None:
    """Four hours of floods from ever new sources, all of which succeed: the state holds three hours' samples and the filters."""
    core = Core(stub_models(), entities=5_000, kept=50)
    state = core.fresh(SHARD)
    most = 0
    for hour in range(4):
        for part in range(5):
            n = 800
            frame = events(
                [
                    login(3600 * hour + 700 * part + 0.5 * i, _address(i + n * (part + 5 * hour)), f"u-{hour}-{part}-{i}", "srv", ok=True)
                    for i in range(n)
                ]
            )
            core.step(state, frame)
            most = max(most, size(state))
    features = max(len(table.features) for table in core.models.tables.values())
    a_row, models, hours = 4 * features + 8 * 4, len(core.models.tables), 3
    assert most <= 3 * len(state.reservoir.acquainted.now) * 8 + models * (hours * 50 * a_row + 24 * 50 * 40) + 4_000


def size(state: ShardState) -> int:
    return len(msgspec.msgpack.encode(kept(state.reservoir)))


def test_disk_is_bounded_by_the_rows_that_are_configured() -> None:
    n = 3_000
    core = Core(stub_models(), entities=5_000, kept=100)
    blocks, _ = kept_of(events([*_rows_of(n), END]), core=core)
    for b in blocks:
        features = len(core.models.tables[b.model].features)
        assert b.rows <= 100
        assert len(b.columns) <= 100 * (4 * features + 6) + 200


def _rows_of(n: int) -> list[Row]:
    return [login(5.0 * i, _address(i % 700), f"u-{i % 700}", "srv-1", ok=True) for i in range(n)]


def test_with_no_rows_wished_nothing_is_kept() -> None:
    core = Core(stub_models(), entities=5_000, kept=0)
    blocks, state = kept_of(NOISE, core=core)
    assert blocks == []
    assert state.reservoir.parts == {}


def test_a_block_comes_back_as_it_was_and_anything_else_is_refused() -> None:
    rng = np.random.default_rng(0)
    columns = Columns(rng.random((50, 7), np.float32), np.arange(50, dtype=np.uint32), np.full(50, -1, np.int16))
    content = packed(columns)
    for one, other in zip(unpacked(content, 7), columns, strict=True):
        np.testing.assert_array_equal(one, other)
    broken = columns._replace(X=np.full((50, 7), np.nan, np.float32))
    for bad, features in ((content, 8), (content[:-9], 7), (b"", 7), (packed(broken), 7)):
        with pytest.raises(ValueError, match="not a block of rows for training"):
            unpacked(bad, features)


def test_a_success_counts_from_the_next_hour_and_for_fifteen_to_thirty_days() -> None:
    known = Acquainted.fresh(1000)
    who = np.array([1, 2, 0], np.uint64)
    known.turn(0)
    known.add(LOGIN, who)
    assert not known.known(LOGIN, who).any()
    known.turn(1)
    assert known.known(LOGIN, who).tolist() == [True, True, False]
    for day in range(1, 31):
        known.turn(24 * day + 1)
        assert known.known(LOGIN, who)[0] == (day < 30)


def test_i3_a_batch_that_is_applied_twice_keeps_its_hours_once(database: TestDatabase) -> None:
    blocks, _ = kept_of(NOISE)
    table = CORE.models.tables["auth-source"]
    with contextlib.closing(Store(database.url())) as store:
        claim = store.claim(SHARD, START)
        for first in (0, 0, 1):
            store.apply(claim, first, first + 1, Changes(SHARD, blocks=tuple(blocks)), START)
        assert database.rows("SELECT count(*), sum(rows) FROM store.reservoir") == [(len(blocks), sum(b.rows for b in blocks))]
        found = reservoir.read(store.database, "stadt", "auth-source", table.schema_hash, len(table.features), (0, START * 2))
    assert sorted(map(tuple, found.X.tolist())) == sorted(map(tuple, rows(blocks, "auth-source").tolist()))
    assert len(found) > 0
    assert (found.hour % HOUR == 0).all()
