"""What the judge makes of flagged rows: incidents over time, notifications, evidence, reasons, snapshots."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
import zstandard

from detector.decode import ecs
from detector.judge import cases, entities, evidence, snapshot
from detector.judge.core import Core, ShardState
from detector.judge.entities import address_text
from detector.judge.evidence import SAMPLES
from detector.judge.families import FAMILIES, SEVERITY_RULE, WIDE, severity
from detector.judge.findings import Changes
from detector.judge.models import Models
from detector.judge.sayings import number
from detector.judge.titles import title
from tests.eventgen import START, Row, events, flow, login, noise
from tests.stub import stub_models

CORE = Core(stub_models())
SHARD = "stadt/rathaus"
DAY = 86_400.0


def fails(n: int, at: float = 0.0, every: float = 2.0, host: str = "ssh-1", source: str = "198.51.100.7") -> list[Row]:
    return [login(at + i * every, source, "root", host, ok=False) for i in range(n)]


def feed(state: ShardState, rows: Sequence[Row], offset: int = 0) -> Changes:
    return CORE.step(state, events([{"log.offset": offset + i, **row} for i, row in enumerate(rows)]))


def test_an_incident_is_updated_not_repeated() -> None:
    state = CORE.fresh(SHARD)
    first = feed(state, fails(10)).opened
    later = feed(state, fails(10, at=30), offset=100)
    assert [incident.id for incident in later.updated] == [first[0].id]
    assert later.opened == ()
    assert later.updated[0].events > first[0].events


def test_it_is_notified_when_new_and_when_an_order_of_magnitude_worse_only() -> None:
    state = CORE.fresh(SHARD)
    wishes, levels = [], []
    for i in range(60):
        changes = feed(state, fails(1, at=2 * i), offset=i)
        wishes.append(len(changes.notify))
        levels += [int(-np.log10(incident.worst_p)) for incident in (*changes.opened, *changes.updated)]
    assert sum(wishes) == 1 + levels[-1] - levels[0]
    assert 2 < sum(wishes) < 12


def test_a_repeat_continues_the_incident_and_only_what_is_worse_is_notified() -> None:
    state = CORE.fresh(SHARD)
    first = feed(state, fails(40)).opened[0]
    wishes = []
    for night, n in enumerate((38, 40, 42, 100), start=1):
        changes = feed(state, fails(n, at=night * 1.1 * DAY, source=f"198.51.100.{10 + night}"), offset=1_000 * night)
        assert changes.opened == ()
        assert [incident.id for incident in changes.updated] == [first.id]
        assert [(one.incident, one.number) for one in changes.episodes] == [(first.id, night + 1)]
        wishes.append(changes.notify)
    assert wishes == [(), (), (), (first.id,)], "the fifth time is more than twice as many as any before"
    last = changes.updated[0]
    assert (last.episode, last.usual) == (5, (first.events - 2, first.events + 2))
    assert last.episode_events > 2 * first.events
    assert last.closes_at - last.episode_opened == 86_400_000_000
    assert (last.opened, last.p_value, last.reasons) == (first.opened, first.p_value, first.reasons)


def test_a_success_in_a_series_is_notified_though_nothing_else_is_worse() -> None:
    state = CORE.fresh(SHARD)
    first = feed(state, fails(40)).opened[0]
    assert feed(state, fails(40, at=1.1 * DAY, source="198.51.100.8"), offset=1_000).notify == ()
    entered = [*fails(39, at=2.2 * DAY, source="198.51.100.9"), login(2.2 * DAY + 80, "198.51.100.9", "root", "ssh-1", ok=True)]
    changes = feed(state, entered, offset=2_000)
    assert first.id in changes.notify
    assert {incident.family for incident in changes.opened} == {"success-after-failures"}
    again = [*fails(39, at=3.3 * DAY, source="198.51.100.10"), login(3.3 * DAY + 80, "198.51.100.10", "root", "ssh-1", ok=True)]
    assert first.id in feed(state, again, offset=3_000).notify, "each night that someone gets in is news"


def test_after_a_fortnight_of_quiet_a_repeat_is_a_new_incident() -> None:
    state = CORE.fresh(SHARD)
    first = feed(state, fails(10)).opened[0]
    second = feed(state, fails(10, at=15.1 * DAY), offset=100).opened[0]
    assert first.id != second.id
    assert first.closes_at - first.opened == 86_400_000_000


def test_beyond_the_cap_the_quietest_are_forgotten_the_same_way_however_the_stream_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "KNOWN", 16)
    sources = [f"10.0.{i}.{i}" for i in np.random.default_rng(5).integers(1, 60, 400)]
    rows = [login(i * 300, source, "root", "dc-1", ok=False, direction="internal") for i, source in enumerate(sources) for _ in range(12)]
    frame = events(rows)
    whole, parts = CORE.fresh(SHARD), CORE.fresh(SHARD)
    CORE.step(whole, frame)
    for begin in range(0, len(frame), 357):
        CORE.step(parts, frame[begin : begin + 357])
    assert len(whole.cases.known) <= 16
    assert CORE.dump(whole) == CORE.dump(parts)


def test_a_late_event_joins_the_incident_that_is_open() -> None:
    state = CORE.fresh(SHARD)
    first = feed(state, fails(10, at=3_600)).opened[0]
    changes = feed(state, fails(10, at=0), offset=100)
    assert changes.opened == ()
    assert changes.updated[0].updated == first.updated  # the latest event seen, not the last to arrive


def test_closed_incidents_leave_the_memory() -> None:
    state = CORE.fresh(SHARD)
    for day in range(5):
        feed(state, fails(10, at=day * 2 * DAY), offset=100 * day)
    assert len(state.cases.known) == 1
    (case,) = state.cases.known.values()
    feed(state, [{"@timestamp": START + int(12 * DAY * 1e6), "event.category": ""}])
    assert case.bout.values == {}, "what is closed keeps no evidence"
    feed(state, [{"@timestamp": START + int(30 * DAY * 1e6), "event.category": ""}])
    assert state.cases.known == {}


def test_evidence_adds_up_to_the_incident() -> None:
    """Every field that an event has is counted once per event: the sums by field are the incident's events."""
    state = CORE.fresh(SHARD)
    changes = CORE.step(state, noise(5_000, seed=4, days=0.2))
    assert len(changes.opened) > 5
    for incident in changes.opened:
        rows = changes.evidence[incident.id]
        assert sum(row.events for row in rows if row.field == "source.ip") == incident.events
        assert min(row.first for row in rows) <= incident.opened
        assert max(row.last for row in rows) == incident.updated
        assert len({(row.field, row.value) for row in rows}) == len(rows)


def test_evidence_is_complete_up_to_ten_thousand_values_and_the_count_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "VALUES", 50)
    sweep = [flow(i * 0.01, "10.0.0.6", f"10.0.{i // 250}.{i % 250}", 400 + i, direction="internal", action="denied") for i in range(300)]
    whole, state = CORE.step(CORE.fresh(SHARD), events(sweep)), CORE.fresh(SHARD)
    parts = [CORE.step(state, events(sweep)[begin:end]) for begin, end in ((0, 100), (100, 170), (170, 300))]
    id_ = whole.opened[0].id
    kept = {(row.field, row.value) for row in whole.evidence[id_]}
    assert {column: sum(row[0] == column for row in kept) for column in ("destination.ip", "destination.port")} == {
        "destination.ip": 50,
        "destination.port": 50,
    }
    assert kept == {(row.field, row.value) for part in parts for row in part.evidence.get(id_, ())}
    assert parts[-1].updated[0].events == whole.opened[0].events > 250


def test_samples_are_the_first_fifty_events() -> None:
    state = CORE.fresh(SHARD)
    found = [sample for i in range(4) for sample in sum(feed(state, fails(30, at=60 * i), offset=100 * i).samples.values(), ())]
    assert len(found) == SAMPLES
    assert [sample.time for sample in found] == sorted(sample.time for sample in found)
    assert found[0].fields["source.ip"] == "198.51.100.7"
    assert found[0].fields["host.name"] == "ssh-1"
    assert not any(name.startswith(("seen.", "session.", "log.")) for sample in found for name in sample.fields)


def test_a_repeated_report_opens_and_counts_nothing() -> None:
    kinds = [{"session.key": i + 1, "attempt.kind": kind} for i in range(20) for kind in (1, 2, 3)]
    thrice = [login(i // 3 * 2, "198.51.100.7", "root", "h", ok=False, **kind) for i, kind in enumerate(kinds)]
    once = [login(i * 2, "198.51.100.7", "root", "h", ok=False) for i in range(20)]
    incidents = [CORE.step(CORE.fresh(SHARD), events(rows)).opened[0] for rows in (thrice, once)]
    assert incidents[0].events == incidents[1].events
    assert incidents[0].p_value == incidents[1].p_value


def test_every_reason_speaks_two_languages_and_names_three_numbers() -> None:
    changes = CORE.step(CORE.fresh(SHARD), noise(5_000, seed=4, days=0.2))
    for incident in changes.opened:
        assert 1 <= len(incident.reasons) <= 3
        assert len(incident.techniques) >= 1
        assert sum(reason.contribution for reason in incident.reasons) <= 1.0 + 1e-9
        for text in (incident.title, incident.counterfactual, *(reason.text for reason in incident.reasons)):
            assert set(text) == {"de", "en"}
            assert "Vorfall" not in text["de"]
        for reason in incident.reasons:
            assert re.fullmatch(r"[^.].*\.", reason.text["de"])
            assert re.fullmatch(r"[^.].*\.", reason.text["en"])
            assert "bit" not in reason.text["en"].lower()


@pytest.mark.parametrize(
    ("value", "german", "english"),
    [(0.0, "0", "0"), (4.25, "4,2", "4.2"), (17.4, "17", "17"), (1234.5, "1.234", "1,234"), (8e8, "800.000.000", "800,000,000")],
)
def test_numbers_follow_the_language(value: float, german: str, english: str) -> None:
    assert (number(value, "de"), number(value, "en")) == (german, english)


@pytest.mark.parametrize(
    ("family", "p", "got_in", "expected"),
    [
        ("success-after-failures", 1.0, "yes", "critical"), ("credential-access", 1e-4, "yes", "high"),
        ("discovery", 1e-5, "unknown", "high"), ("discovery", 1e-4, "unknown", "medium"), ("discovery", 3e-4, "no", "low"),
        ("initial-access", 3e-4, "yes", "medium"), ("initial-access", 1e-5, "yes", "high"), ("lateral-movement", 1e-4, "yes", "medium"),
    ],
)  # fmt: skip
def test_severity_follows_the_printed_rule(family: str, p: float, got_in: str, expected: str) -> None:
    assert severity(family, p, got_in) == expected


def test_what_only_knocks_from_outside_is_low_and_a_critical_target_raises_by_one() -> None:
    assert severity("discovery", 1e-6, "unknown", outside=True) == "low"
    assert severity("discovery", 1e-6, "unknown", outside=True, critical=True) == "medium"
    assert severity("credential-access", 1e-6, "yes", outside=True) == "high"
    assert severity("discovery", 1e-6, "unknown", critical=True) == "high", "nobody got in"
    assert severity("initial-access", 1e-6, "yes", critical=True) == "critical"
    assert severity("success-after-failures", 1.0, "yes", critical=True) == "critical"
    assert all(word in SEVERITY_RULE["en"].lower() for word in ("critical", "high", "medium", "low"))
    assert "1 in 100,000" in SEVERITY_RULE["en"]


def test_what_spreads_inside_is_one_level_higher() -> None:
    assert severity("discovery", 1e-4, "unknown", spread=9) == "medium"
    assert severity("discovery", 1e-4, "unknown", spread=10) == "high"
    assert severity("lateral-movement", 1e-5, "yes", spread=10) == "critical"
    assert severity("discovery", 1e-4, "unknown", spread=500, outside=True) == "low", "from outside everything is knocked at"
    assert f"{WIDE} hosts" in SEVERITY_RULE["en"]


def test_a_spread_over_ten_hosts_raises_the_incident_and_is_notified() -> None:
    state = CORE.fresh(SHARD)
    few = [flow(i, "10.0.0.6", f"10.0.1.{i % 9}", 400 + i, direction="internal", action="denied") for i in range(60)]
    incident = feed(state, few).opened[0]
    many = [flow(60 + i, "10.0.0.6", f"10.0.2.{i}", 400 + i, direction="internal", action="denied") for i in range(40)]
    after = feed(state, many, offset=100)
    assert (incident.spread, after.updated[0].spread) == (9, 49)
    assert after.updated[0].severity == "high"
    assert incident.id in after.notify


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", [entities.SOURCE, entities.SERVICE, entities.ACCOUNT])
def test_every_family_has_a_title_in_both_languages(family: str, kind: int) -> None:
    event = events([login(0, "198.51.100.7", "u-1", "ssh-1", ok=True)]).row(0, named=True)
    made = title(family, kind, "whoever", event)
    assert set(made) == {"de", "en"}
    assert all(("whoever" in text or "u-1" in text) and "{" not in text for text in made.values())


@pytest.mark.parametrize(
    ("hi", "lo", "kind", "text"),
    [
        (0, 0xFFFF_C000_0201, ecs.PLAIN, "192.0.2.1"), (0x2001_0DB8 << 32, 1, ecs.PLAIN, "2001:db8::1"), (0, 0, ecs.ABSENT, ""),
        (0, 0xAB, ecs.TOKEN, "ip-00000000000000ab"),
    ],
)  # fmt: skip
def test_addresses_are_written_as_people_write_them(hi: int, lo: int, kind: int, text: str) -> None:
    assert address_text(hi, lo, kind) == text


def test_a_snapshot_holds_everything_and_is_small_for_a_small_shard() -> None:
    state = CORE.fresh(SHARD)
    feed(state, fails(20))
    kept = CORE.dump(state)
    assert CORE.dump(CORE.load(SHARD, kept)) == kept
    assert len(kept) < 20_000


@pytest.mark.parametrize("payload", [b"", b"nonsense", zstandard.compress(b"nonsense"), zstandard.compress(pickle.dumps({"a": 1}))])
def test_what_is_no_snapshot_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="not a snapshot of a shard"):
        CORE.load(SHARD, payload)


def test_a_snapshot_of_another_schema_is_refused() -> None:
    packed = msgspec.msgpack.decode(zstandard.decompress(CORE.dump(CORE.fresh(SHARD))))
    packed["schema"] = "0" * 32
    with pytest.raises(ValueError, match=f"the snapshot has schema {'0' * 32}"):
        CORE.load(SHARD, zstandard.compress(msgspec.msgpack.encode(packed)))
    assert snapshot.schema() == CORE.schema


def test_models_without_a_trained_artefact_are_refused_by_name() -> None:
    models = stub_models()
    with pytest.raises(ValueError, match="lack a table or a trained artefact: auth-user"):
        Models(models.tables, {name: scorer for name, scorer in models.scorers.items() if name != "auth-user"})


def test_an_empty_batch_changes_nothing() -> None:
    state = CORE.fresh(SHARD)
    feed(state, fails(10))
    before = CORE.dump(state)
    assert CORE.step(state, ecs.frame(0, {})) == Changes(SHARD)
    assert CORE.dump(state) == before


def test_events_of_other_categories_move_only_the_clock() -> None:
    state = CORE.fresh(SHARD)
    assert feed(state, [{"@timestamp": 5, "event.category": ""}]) == Changes(SHARD)
    assert state.cases.clock == 5
