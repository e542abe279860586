"""A database from before there were series goes on: what was found becomes the first episode of each incident."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from detector.judge.findings import Changes, EvidenceRow, first_episode
from detector.judge.policy import Policy
from detector.store import Reader, Store, migrate
from tests.postgres import TestDatabase
from tests.test_store import HOUR, NOW, SHARD, again, an_incident, evidence

BEFORE = """
    INSERT INTO store.tenants (tenant) VALUES ('stadt');
    INSERT INTO store.shards (shard, tenant, site, place, origin, applied, claimed)
        VALUES ('stadt/rathaus', 'stadt', 'rathaus', 'local', 0, 7, now());
    SELECT store.make_day('2026-05-28');
    INSERT INTO store.incidents (id, day, shard, tenant, site, model, model_id, family, entity_kind, entity_value, techniques,
        opened, closes_at, p_value, score, opening_severity, urgent, title, counterfactual, reasons, recorded, updated, severity,
        worst_p, worst_score, events, got_in)
    VALUES ('00000000-0000-0000-0000-000000000001', '2026-05-28', 'stadt/rathaus', 'stadt', 'rathaus', 'auth-source', 'm',
        'credential-access', 'service', 'ssh-1', '{T1110.003}', '2026-05-28 19:26:40+00', '2026-05-29 19:26:40+00', 1e-4, 4, 'low', false,
        '{"de": "a", "en": "b"}', '{}', '[]', '2026-05-28 19:26:40+00', '2026-05-28 19:26:40+00', 'low', 1e-4, 4, 7, 'no');
    INSERT INTO store.evidence SELECT day, id, 'source.ip', '10.0.0.1', 7, opened, opened FROM store.incidents;
    INSERT INTO store.samples SELECT day, id, opened, 'raw', 0, 1, '{}' FROM store.incidents;
"""


@pytest.fixture
def earlier(any_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> TestDatabase:
    """A database as version 0004 left it, with one incident."""
    any_database.rows("DROP SCHEMA store, grafana CASCADE; DROP TABLE public.migrations")
    any_database.rows("GRANT ALL ON SCHEMA public TO tuermer_owner")
    with monkeypatch.context() as past:
        shipped = migrate.shipped()
        past.setattr(migrate, "shipped", lambda: [(name, sql) for name, sql in shipped if name < "0005"])
        migrate.migrate(any_database.url("tuermer_owner"))
    any_database.rows(BEFORE, role="tuermer_owner")
    return any_database


def test_incidents_from_before_are_shown_and_go_on(earlier: TestDatabase) -> None:
    assert migrate.migrate(earlier.url("tuermer_owner"))[0] == "0005_series.sql"
    one = an_incident(1, entity_kind="service", entity_value="ssh-1", opened=NOW - HOUR)
    with contextlib.closing(Reader(earlier.url("tuermer_daemon"))) as reader, contextlib.closing(Store(earlier.url(), Policy())) as store:
        shown = reader.incident(one.id)
        assert shown is not None
        assert (shown["episode"], shown["episode_events"], shown["evidence"][0]["events"], len(shown["samples"])) == (1, 7, 7, 1)
        claim = store.claim(SHARD, NOW)
        same: dict[str, tuple[EvidenceRow, ...]] = {one.id: (evidence(events=1),)}
        open_still = Changes(SHARD, updated=(one,), episodes=(first_episode(one),), evidence=same)
        store.apply(claim, 7, 8, open_still, NOW)
        later, episode = again(one, 2, NOW + 30 * HOUR)
        more: dict[str, tuple[EvidenceRow, ...]] = {one.id: (replace(evidence(events=2), episode=2),)}
        store.apply(claim, 8, 9, Changes(SHARD, updated=(later,), episodes=(episode,), evidence=more), NOW + 30 * HOUR)
        shown = reader.incident(one.id)
    assert shown is not None
    assert (shown["episode"], shown["p_value"], shown["evidence"][0]["events"]) == (2, 1e-4, 10)
