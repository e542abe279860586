"""The store: one transaction a batch, fenced, repeatable; facts stay facts. On every PostgreSQL that is here."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from detector.judge.findings import Changes, Episode, EventSample, EvidenceRow, Incident, Reason, first_episode
from detector.judge.policy import Policy
from detector.store import Fenced, Reader, Store
from tests.postgres import TestDatabase

NOW = 1_780_000_000_000_000  # µs, May 2026
HOUR = 3_600_000_000
SHARD = "stadt/rathaus"


def an_incident(number: int = 1, **changes: object) -> Incident:
    base = Incident(
        id=str(uuid.UUID(int=number)), shard=SHARD, tenant="stadt", site="rathaus", model="auth-source", model_id="auth-source-00000000",
        family="credential-access", severity="medium", entity_kind="source.ip", entity_value="198.51.100.7", techniques=("T1110.003",),
        opened=NOW - HOUR, updated=NOW - HOUR, closes_at=NOW + 23 * HOUR, p_value=1e-4, score=4.0, worst_p=1e-4, worst_score=4.0, events=7,
        title={"de": "Auffälligkeit", "en": "Conspicuous"}, counterfactual={"de": "unter 3", "en": "below 3"},
        reasons=(Reason("failures", 40.0, 1.0, 4.0, 0.8, {"de": "40 Fehlversuche", "en": "40 failures"}),),
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type] # a test's keyword arguments


def opening(*incidents: Incident, **more: object) -> Changes:
    episodes = tuple(first_episode(incident) for incident in incidents)
    return Changes(SHARD, opened=incidents, episodes=episodes, **more)  # type: ignore[arg-type] # likewise


def evidence(value: str = "10.0.0.1", events: int = 3, first: int = NOW - HOUR, last: int = NOW) -> EvidenceRow:
    return EvidenceRow("source.ip", value, events, first, last)


@pytest.fixture
def store(any_database: TestDatabase) -> Iterator[Store]:
    with contextlib.closing(Store(any_database.url(), Policy(per_day=4, learning_days=0))) as made:
        yield made


@pytest.fixture
def reader(any_database: TestDatabase) -> Iterator[Reader]:
    with contextlib.closing(Reader(any_database.url("tuermer_daemon"))) as made:
        yield made


def test_a_batch_is_written_whole_and_shows_in_the_views(store: Store, reader: Reader) -> None:
    claim = store.claim(SHARD, NOW)
    sample = EventSample(NOW - HOUR, "auth", 2, 77, {"source.ip": "198.51.100.7", "event.outcome": "failure", "source.port": 4022})
    one = an_incident()
    store.apply(claim, 0, 10, opening(one, evidence={one.id: (evidence(),)}, samples={one.id: (sample,)}), NOW)
    shown = reader.incident(one.id)
    assert shown is not None
    assert (shown["status"], shown["one_in"], shown["entity"]) == ("expired", 10_000, {"kind": "source.ip", "value": "198.51.100.7"})
    assert shown["evidence"] == [
        {"field": "source.ip", "value": "10.0.0.1", "events": 3, "first": "2026-05-28T19:26:40Z", "last": "2026-05-28T20:26:40Z"}
    ]
    assert shown["samples"][0]["fields"]["source.port"] == 4022
    assert shown["reasons"][0]["text"]["de"] == "40 Fehlversuche"
    assert store.claim(SHARD, NOW).applied == 10


def test_a_newer_owner_fences_the_older(store: Store) -> None:
    old = store.claim(SHARD, NOW)
    new = store.claim(SHARD, NOW)
    with pytest.raises(Fenced, match="Another instance has taken over the shard stadt/rathaus"):
        store.apply(old, 0, 10, opening(an_incident()), NOW)
    with pytest.raises(Fenced):
        store.save_snapshot(old, 10, "1", b"state", NOW)
    store.apply(new, 0, 10, opening(an_incident()), NOW)


def test_a_batch_that_was_committed_but_never_answered_is_not_written_twice(any_database: TestDatabase, store: Store) -> None:
    claim = store.claim(SHARD, NOW)
    one = an_incident()
    changes = opening(one, evidence={one.id: (evidence(),)}, notify=(one.id,))
    store.add_input(SHARD, "verdict", {"is": "harmless"}, NOW)
    first = store.apply(claim, 0, 10, changes, NOW)
    again = store.apply(claim, 0, 10, changes, NOW)
    assert first.notified == (one.id,)
    assert again.notified == ()
    assert again.inputs == first.inputs
    assert any_database.rows("SELECT sum(events), count(*) FROM store.evidence") == [(3, 1)]
    assert any_database.rows("SELECT id FROM store.outbox") == [(f"{one.id}/1",)]


def test_evidence_adds_up_and_its_times_widen(any_database: TestDatabase, store: Store) -> None:
    claim = store.claim(SHARD, NOW)
    one = an_incident()
    store.apply(claim, 0, 1, opening(one, evidence={one.id: (evidence(events=2), evidence("10.0.0.2", 1))}), NOW)
    more = Changes(
        SHARD,
        updated=(one,),
        episodes=(first_episode(one),),
        evidence={one.id: (evidence(events=5, first=NOW - 2 * HOUR), evidence(events=1, last=NOW + HOUR))},
    )
    store.apply(claim, 1, 2, more, NOW)
    rows = any_database.rows("SELECT value, events, (extract(epoch FROM last - first) / 3600)::int FROM store.evidence ORDER BY value")
    assert rows == [("10.0.0.1", 8, 3), ("10.0.0.2", 1, 1)]


def again(one: Incident, number: int, opened: int) -> tuple[Incident, Episode]:
    """The incident and its episode when it repeats at `opened`."""
    later = replace(
        one, episode=number, episode_opened=opened, episode_events=2, closes_at=opened + 24 * HOUR, usual=(7, 9), updated=opened
    )
    episode = replace(
        first_episode(one), number=number, opened=opened, closes_at=opened + 24 * HOUR, updated=opened, p_value=1e-6, events=2
    )
    return later, episode


def test_a_repeat_continues_the_row_and_keeps_its_own_facts(any_database: TestDatabase, store: Store, reader: Reader) -> None:
    claim, one = store.claim(SHARD, NOW), an_incident()
    store.apply(claim, 0, 1, opening(one, evidence={one.id: (evidence(events=7),)}), NOW)
    later, episode = again(one, 2, NOW + 30 * HOUR)
    more = Changes(
        SHARD,
        updated=(later,),
        episodes=(episode,),
        evidence={one.id: (replace(evidence(events=2, last=NOW + 31 * HOUR), episode=2), replace(evidence("10.0.0.9", 1), episode=2))},
        samples={one.id: (EventSample(NOW + 30 * HOUR, "auth", 0, 5, {}, episode=2),)},
    )
    store.apply(claim, 1, 2, more, NOW + 30 * HOUR)
    shown = reader.incident(one.id)
    assert shown is not None
    assert (shown["episode"], shown["usual_low"], shown["usual_high"], shown["p_value"]) == (2, 7, 9, 1e-4)
    assert [(row["value"], row["events"]) for row in shown["evidence"]] == [("10.0.0.1", 9), ("10.0.0.9", 1)]
    assert [(row["episode"], row["p_value"]) for row in shown["episodes"]] == [(2, 1e-6), (1, 1e-4)]
    assert any_database.rows("SELECT count(*)::int, sum(jsonb_array_length(evidence))::int FROM public.incidents") == [(1, 2)]
    assert any_database.rows("SELECT episode, sum(events)::int FROM public.evidence GROUP BY 1 ORDER BY 1") == [(1, 7), (2, 3)]
    assert any_database.rows("SELECT episode FROM public.events_recent") == [(2,)]


def test_the_end_of_an_episode_is_set_when_it_begins_and_not_moved(any_database: TestDatabase, store: Store) -> None:
    claim, one = store.claim(SHARD, NOW), an_incident()
    store.apply(claim, 0, 1, opening(one), NOW)
    store.apply(claim, 1, 2, Changes(SHARD, updated=(one,), episodes=(first_episode(one),)), NOW + 5 * HOUR)
    ends = "SELECT (extract(epoch FROM closes_at) * 1000000)::bigint FROM store.incidents"
    assert any_database.rows(ends) == [(NOW + 24 * HOUR,)]
    later, episode = again(one, 2, NOW + 30 * HOUR)
    store.apply(claim, 2, 3, Changes(SHARD, updated=(later,), episodes=(episode,)), NOW + 30 * HOUR)
    assert any_database.rows(ends) == [(NOW + 54 * HOUR,)]


def test_an_incident_is_found_by_the_beginning_of_its_id_when_that_is_its_alone(store: Store, reader: Reader) -> None:
    claim = store.claim(SHARD, NOW)
    ids = ["abcd1234-0000-4000-8000-000000000001", "abcd5678-0000-4000-8000-000000000002"]
    store.apply(claim, 0, 1, opening(*(an_incident(id=id_) for id_ in ids)), NOW)
    found = reader.incident("abcd1")
    assert found is not None
    assert found["id"] == ids[0]
    assert [reader.incident(text) for text in ("abcd", "abcd9", "", "nonsense", ids[0] + "0", "%")] == [None] * 6


def test_what_the_service_model_says_is_no_probability(store: Store, reader: Reader) -> None:
    claim = store.claim(SHARD, NOW)
    store.apply(claim, 0, 1, opening(an_incident(1, volume=5_000.0), an_incident(2, model="auth-service")), NOW)
    said = {row["id"]: (row["one_in"], row["chance_days"]) for row in reader.list_incidents()}
    assert said == {an_incident(1).id: (10_000, 2.0), an_incident(2).id: (None, None)}


def linked(number: int, at: int, *values: tuple[str, str]) -> Changes:
    one = an_incident(number, opened=at, updated=at, closes_at=at + 24 * HOUR)
    return opening(one, evidence={one.id: tuple(EvidenceRow(field, value, 1, at, at) for field, value in values)})


def test_incidents_that_share_a_source_an_account_or_a_host_within_two_hours_are_a_chain_in_time_order(
    store: Store, reader: Reader
) -> None:
    claim, start = store.claim(SHARD, NOW), NOW - 20 * HOUR
    parts = (
        linked(3, start + 3 * HOUR, ("source.ip", "10.0.0.2"), ("user.name", "svc-1"), ("destination.port", "22")),
        linked(1, start, ("source.ip", "198.51.100.7"), ("destination.ip", "10.0.0.1"), ("destination.port", "22")),
        linked(2, start + HOUR, ("host.name", "h-1"), ("source.ip", "10.0.0.1"), ("destination.ip", "10.0.0.2")),
        linked(4, start + 9 * HOUR, ("source.ip", "10.0.0.2")),
        linked(5, start, ("user.name", "10.0.0.1"), ("destination.port", "22")),
    )
    for number, part in enumerate(parts):
        store.apply(claim, number, number + 1, part, NOW)
    ids = [an_incident(number).id for number in range(6)]
    chain = reader.chain(ids[1])
    assert [row["id"] for row in chain] == [ids[1], ids[2], ids[3]]
    assert [row["shared"] for row in chain] == [[], ["10.0.0.1"], ["10.0.0.2"]]
    assert [row["via"] for row in chain] == [None, ids[1], ids[2]]
    assert reader.chain(ids[4]) == reader.chain(ids[5]) == []


def test_a_value_that_many_share_links_nothing_and_tenants_are_never_linked(store: Store, reader: Reader) -> None:
    claim = store.claim(SHARD, NOW)
    for number in range(1, 14):
        store.apply(claim, number - 1, number, linked(number, NOW, ("host.name", "dc-1")), NOW)
    assert reader.chain(an_incident(1).id) == []
    other = store.claim("dorf", NOW)
    for number, tenant, mine in ((21, "stadt", claim), (22, "dorf", other)):
        changes = linked(number, NOW, ("source.ip", "203.0.113.5"))
        moved = replace(changes, opened=(replace(changes.opened[0], tenant=tenant, shard=mine.shard, site=""),))
        store.apply(mine, 0 if mine is other else 13, 14, moved, NOW)
    assert reader.chain(an_incident(21).id) == []


def test_i8_the_opening_of_an_incident_is_never_rewritten(store: Store, reader: Reader) -> None:
    claim = store.claim(SHARD, NOW)
    one = an_incident()
    store.apply(claim, 0, 1, opening(one), NOW)
    worse = replace(
        one, p_value=1e-9, score=9.0, worst_p=1e-9, worst_score=9.0, severity="high", events=99, reasons=(), model_id="other", title={}
    )
    store.apply(claim, 1, 2, Changes(SHARD, updated=(worse,)), NOW)
    shown = reader.incident(one.id)
    assert shown is not None
    assert (shown["p_value"], shown["score"], shown["model_id"], shown["title"]["en"]) == (1e-4, 4.0, "auth-source-00000000", "Conspicuous")
    assert len(shown["reasons"]) == 1
    assert (shown["worst_p"], shown["worst_score"], shown["severity"], shown["events"]) == (1e-9, 9.0, "high", 99)


def test_a_backlog_does_not_arrive_closed(any_database: TestDatabase, store: Store, reader: Reader) -> None:
    claim = store.claim(SHARD, NOW)
    (row,) = any_database.rows("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
    wall = int(str(row[0]))
    store.apply(claim, 0, 1, opening(an_incident(1), an_incident(2, closes_at=NOW - HOUR)), wall)
    status = {row["id"]: row["status"] for row in reader.list_incidents()}
    assert status == {an_incident(1).id: "open", an_incident(2).id: "expired"}


def test_the_budget_holds_notifications_back_but_never_the_incident(any_database: TestDatabase, store: Store) -> None:
    claim = store.claim(SHARD, NOW)
    calm = [an_incident(n) for n in range(1, 4)]
    urgent = an_incident(9, urgent=True)
    applied = store.apply(claim, 0, 1, opening(*calm, urgent, notify=tuple(i.id for i in (*calm, urgent))), NOW)
    assert applied.notified == (calm[0].id, urgent.id)
    marks = any_database.rows("SELECT notification, count(*)::int FROM public.incidents GROUP BY 1 ORDER BY 1")
    assert marks == [("held", 2), ("sent", 2)]
    worse = store.apply(claim, 1, 2, Changes(SHARD, updated=(calm[1],), notify=(calm[1].id,)), NOW + 24 * HOUR)
    assert worse.notified == (calm[1].id,)


def test_two_shards_of_a_tenant_share_its_budget(store: Store) -> None:
    other = "stadt/bauhof"
    here, there = store.claim(SHARD, NOW), store.claim(other, NOW)
    first = store.apply(here, 0, 1, opening(an_incident(1), notify=(an_incident(1).id,)), NOW)
    elsewhere = an_incident(2, shard=other, site="bauhof")
    second = store.apply(there, 0, 1, Changes(other, opened=(elsewhere,), notify=(elsewhere.id,)), NOW)
    assert (len(first.notified), len(second.notified)) == (1, 0)


def test_an_input_takes_effect_at_the_end_of_the_batch_that_was_running(store: Store) -> None:
    claim = store.claim(SHARD, NOW)
    store.apply(claim, 0, 10, Changes(SHARD), NOW)
    store.add_input(SHARD, "verdict", {"is": "harmless"}, NOW)
    assert store.inputs_since(SHARD, 0) == []
    applied = store.apply(claim, 10, 25, Changes(SHARD), NOW)
    assert [(i.from_offset, i.kind, i.payload) for i in applied.inputs] == [(25, "verdict", {"is": "harmless"})]
    assert store.inputs_since(SHARD, 25) == list(applied.inputs)
    assert store.inputs_since(SHARD, 26) == []


def test_a_snapshot_of_many_parts_comes_back_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.store.claims.PART", 1000)
    claim = store.claim(SHARD, NOW)
    assert claim.snapshot is None
    payload = bytes(range(256)) * 20
    store.apply(claim, 0, 40, Changes(SHARD), NOW)
    store.save_snapshot(claim, 30, "schema-1", b"older and longer" * 1000, NOW)
    store.save_snapshot(claim, 40, "schema-1", payload, NOW)
    store.move_snapshot(claim, 55, NOW)
    snapshot = store.claim(SHARD, NOW).snapshot
    assert snapshot is not None
    assert (snapshot.next, snapshot.schema, snapshot.payload) == (55, "schema-1", payload)


HOSTILE = ("a\0b", "half \ud800 character", "x" * 5000, "Größe'; DROP TABLE store.incidents --", "", "\\u0000", "{}", "\u202e")


def test_hostile_values_are_stored_without_breaking_the_batch(any_database: TestDatabase, store: Store) -> None:
    claim = store.claim(SHARD, NOW)
    for number, text in enumerate(HOSTILE):
        whole = text.replace("\ud800", "")  # JSON cannot carry half a character
        one = an_incident(number, entity_value=text, title={"de": whole, "en": ""})
        sample = EventSample(NOW, "auth", 0, 1, {"user.name": whole})
        changes = opening(one, evidence={one.id: (evidence(text),)}, samples={one.id: (sample,)}, notify=(one.id,))
        store.apply(claim, number, number + 1, changes, NOW)
    assert any_database.rows("SELECT count(*)::int FROM public.evidence") == [(len(HOSTILE),)]
    names = any_database.rows("SELECT entity_value FROM public.incidents ORDER BY id")
    assert [name for (name,) in names[:2]] == ["a\N{REPLACEMENT CHARACTER}b", "half ? character"]


def test_an_event_time_out_of_the_world_finds_a_partition(any_database: TestDatabase, store: Store) -> None:
    claim = store.claim(SHARD, NOW)
    for number, opened in enumerate((-(10**17), 0, 253_402_300_799_000_000, 2**62)):
        one = an_incident(number, opened=opened, updated=opened, closes_at=opened + 24 * HOUR)
        store.apply(claim, number, number + 1, opening(one, evidence={one.id: (evidence(first=opened, last=opened),)}), NOW)
    assert any_database.rows("SELECT count(*)::int FROM public.evidence") == [(4,)]


def test_evidence_and_samples_lie_in_one_partition_a_day_with_brin(any_database: TestDatabase, store: Store) -> None:
    claim = store.claim(SHARD, NOW)
    store.apply(claim, 0, 1, opening(an_incident(1), an_incident(2, opened=NOW - 48 * HOUR)), NOW)
    parts = any_database.rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent IN ('store.evidence'::regclass, 'store.samples'::regclass) ORDER BY 1"
    )
    assert [name for (name,) in parts] == [
        "store.evidence_20260526", "store.evidence_20260528", "store.samples_20260526", "store.samples_20260528",
    ]  # fmt: skip
    brin = any_database.rows(
        "SELECT count(*)::int FROM pg_indexes"
        " WHERE schemaname = 'store' AND tablename ~ '^(incidents|evidence|samples)' AND indexdef LIKE '%%USING brin%%'"
    )
    assert brin == [(7,)]


def test_what_was_found_is_read_through_the_views(any_database: TestDatabase, store: Store) -> None:
    claim = store.claim(SHARD, NOW)
    one = an_incident()
    sample = EventSample(NOW, "auth", 0, 1, {"user.name": "u-1", "destination.port": 22})
    store.apply(claim, 0, 1, opening(one, evidence={one.id: (evidence(),)}, samples={one.id: (sample,)}), NOW)
    rows = any_database.rows(
        "SELECT id::text, tenant, site, model, severity, entity_kind || ':' || entity_value, entity_key, title_de,"
        " coalesce(array_to_string(techniques, ','), ''), score::float8, one_in, updated FROM incidents WHERE status = 'expired' LIMIT 200",
        role="tuermer_daemon",
    )
    assert [row[:6] for row in rows] == [(one.id, "stadt", "rathaus", "auth-source", "medium", "source.ip:198.51.100.7")]
    behind = "SELECT incident_id::text, user_name, destination_port FROM events_recent WHERE time > '2026-01-01'"
    assert any_database.rows(behind, role="tuermer_daemon") == [(one.id, "u-1", "22")]
    assert any_database.rows("SELECT jsonb_array_length(evidence) FROM incidents", role="tuermer_daemon") == [(1,)]
    assert any_database.rows("SELECT component FROM health ORDER BY 1", role="tuermer_daemon") == [("outbox",), ("shard",)]
