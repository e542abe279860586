"""Least privilege, walked through as a whole matrix on a real server."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres import TestDatabase

NOTHING = ""
READ = "SELECT"
WRITE_ONCE = "SELECT INSERT"
KEEP = "SELECT INSERT UPDATE"
COUNTED = "SELECT INSERT DELETE"
ALL = "SELECT INSERT UPDATE DELETE"

MATRIX = {
    #                          daemon      grafana  auditor
    "public.alike":           (READ,       NOTHING, NOTHING),
    "public.decisions":       (READ,       NOTHING, NOTHING),
    "public.devices":         (READ,       NOTHING, NOTHING),
    "public.digest":          (READ,       NOTHING, NOTHING),
    "public.drift":           (READ,       NOTHING, NOTHING),
    "public.episodes":        (READ,       NOTHING, NOTHING),
    "public.events_recent":   (READ,       NOTHING, NOTHING),
    "public.evidence":        (READ,       NOTHING, NOTHING),
    "public.given_back":      (READ,       NOTHING, NOTHING),
    "public.health":          (READ,       NOTHING, READ),
    "public.health_incidents": (READ,      NOTHING, READ),
    "public.incident_links":  (READ,       NOTHING, NOTHING),
    "public.incidents":       (READ,       NOTHING, NOTHING),
    "public.learning":        (READ,       NOTHING, READ),
    "public.maintenance":     (READ,       NOTHING, READ),
    "public.migrations":      (READ,       NOTHING, READ),
    "public.models":         (READ,       NOTHING, READ),
    "public.model_steps":    (READ,       NOTHING, READ),
    "public.model_use":      (READ,       NOTHING, READ),
    "public.shadow_counts":  (READ,       NOTHING, NOTHING),
    "public.shadow_incidents": (READ,       NOTHING, NOTHING),
    "store.artefacts":       (WRITE_ONCE, NOTHING, NOTHING),
    "store.registry":        (WRITE_ONCE, NOTHING, NOTHING),
    "store.model_steps":     (WRITE_ONCE, NOTHING, NOTHING),
    "store.model_approvals": (WRITE_ONCE, NOTHING, NOTHING),
    "store.model_gates":     (WRITE_ONCE, NOTHING, NOTHING),
    "store.shadow_counts":   (WRITE_ONCE, NOTHING, NOTHING),
    "store.shadow_incidents": (WRITE_ONCE, NOTHING, NOTHING),
    "public.model_days":     (READ,       NOTHING, NOTHING),
    "public.model_misses":   (READ,       NOTHING, NOTHING),
    "public.model_reasons":  (READ,       NOTHING, NOTHING),
    "public.model_verdicts": (READ,       NOTHING, NOTHING),
    "public.near_misses":     (READ,       NOTHING, NOTHING),
    "public.notes":           (READ,       NOTHING, NOTHING),
    "public.suppressions":    (READ,       NOTHING, READ),
    "public.verdicts":        (READ,       NOTHING, READ),
    "public.training":        (READ,       NOTHING, NOTHING),
    "store.ailments":         (WRITE_ONCE, NOTHING, NOTHING),
    "store.annotations":      (WRITE_ONCE, NOTHING, NOTHING),
    "store.buckets":          (KEEP,       NOTHING, NOTHING),
    "store.deciles":          (WRITE_ONCE, NOTHING, NOTHING),
    "store.decisions":        (WRITE_ONCE, NOTHING, NOTHING),
    "store.deletion_runs":    (WRITE_ONCE, NOTHING, NOTHING),
    "store.deletions":        (READ,       NOTHING, READ),
    "store.deliveries":       (WRITE_ONCE, NOTHING, READ),
    "store.device_slots":     (COUNTED,    NOTHING, NOTHING),
    "store.digests":          (WRITE_ONCE, NOTHING, NOTHING),
    "store.drift":            (WRITE_ONCE, NOTHING, NOTHING),
    "store.episodes":         (WRITE_ONCE, NOTHING, NOTHING),
    "store.evidence":         (WRITE_ONCE, NOTHING, NOTHING),
    "store.health":           (KEEP,       NOTHING, NOTHING),
    "store.holds":            (WRITE_ONCE, NOTHING, READ),
    "store.incidents":        (WRITE_ONCE, NOTHING, NOTHING),
    "store.inputs":           (WRITE_ONCE, NOTHING, READ),
    "store.keepings":         (READ,       NOTHING, READ),
    "store.kinds":            (NOTHING,    NOTHING, NOTHING),
    "store.learning":         (WRITE_ONCE, NOTHING, NOTHING),
    "store.local_days":       (NOTHING,    NOTHING, NOTHING),
    "store.maintenance":      (WRITE_ONCE, NOTHING, NOTHING),
    "store.models":           (WRITE_ONCE, NOTHING, READ),
    "store.near_misses":      (WRITE_ONCE, NOTHING, NOTHING),
    "store.notes":            (WRITE_ONCE, NOTHING, NOTHING),
    "store.outbox":           (WRITE_ONCE, NOTHING, NOTHING),
    "store.reservoir":        (WRITE_ONCE, NOTHING, NOTHING),
    "store.receivers":        (WRITE_ONCE, NOTHING, NOTHING),
    "store.samples":          (WRITE_ONCE, NOTHING, NOTHING),
    "store.privacy_reports":  (WRITE_ONCE, NOTHING, NOTHING),
    "store.shards":           (WRITE_ONCE, NOTHING, NOTHING),
    "store.snapshot_parts":   (ALL,        NOTHING, NOTHING),
    "store.snapshots":        (ALL,        NOTHING, NOTHING),
    "store.suppressions":     (WRITE_ONCE, NOTHING, NOTHING),
    "store.tenant_roles":     (READ,       NOTHING, NOTHING),
    "store.guidance":          (KEEP,       NOTHING, NOTHING),
    "store.pulse":             (ALL,        NOTHING, NOTHING),
    "store.veil":              (NOTHING,    NOTHING, NOTHING),
    "store.tenants":          (WRITE_ONCE, NOTHING, NOTHING),
    "store.unread_slots":     (COUNTED,    NOTHING, NOTHING),
    "store.verdicts":         (WRITE_ONCE, NOTHING, NOTHING),
    "store.watched":          (WRITE_ONCE, NOTHING, NOTHING),
    "public.audit":           (READ,       NOTHING, READ),
    "store.audit":            (READ,       NOTHING, READ),
    "store.audit_heads":      (READ,       NOTHING, READ),
    "store.audit_seals":      (WRITE_ONCE, NOTHING, READ),
    "store.link_keys":        (COUNTED,    NOTHING, NOTHING),
    "store.link_slots":       (COUNTED,    NOTHING, NOTHING),
    "store.link_tenants":     (COUNTED,    NOTHING, NOTHING),
    "store.links":            (COUNTED,    NOTHING, NOTHING),
    "store.opening_tokens":   (WRITE_ONCE, NOTHING, NOTHING),
    "store.openings":         (WRITE_ONCE, NOTHING, NOTHING),
}  # fmt: skip
ROLES = ("tuermer_daemon", "tuermer_grafana", "tuermer_auditor")

COLUMNS = {
    "store.holds": "ended ended_by",
    "store.deletion_runs": "document ended key signature",
    "store.incidents": "closes_at critical episode episode_events episode_opened events got_in notification notified owner "
    "severity spread ticket updated usual_high usual_low verdict verdict_at verdict_by verdict_episode work_by work_until "
    "worst_p worst_score",
    "store.annotations": "changed gone",
    "store.receivers": "done",
    "store.episodes": "events got_in updated worst_p worst_score",
    "store.evidence": "events first last",
    "store.shards": "applied claimed epoch moved owner",
    "store.inputs": "from_offset placed refused",
    "store.registry": "since state",
    "store.shadow_counts": "candidate_alerts champion_alerts first last rows sampled",
    "store.shadow_incidents": "events updated worst_p",
    "store.device_slots": "by events filled last off",
    "store.unread_slots": "records",
    "store.watched": "next",
    "store.ailments": "closed severity text title updated",
    "store.link_tenants": "key",
    "store.openings": "answer answer_signature answered answered_by expires handed shown state",
    "store.drift": "cause features ks made model_id psi realised rows text unknown",
    "store.deciles": "counts",
    "store.learning": "ended ended_by",
    "store.maintenance": "withdrawn withdrawn_by",
    "store.near_misses": "family model_id nearness p_value reasons score techniques time title",
    "store.suppressions": "ended ended_by observed score",
    "store.tenants": "zone",
}


def test_every_table_and_view_grants_what_the_matrix_says_and_no_more(any_database: TestDatabase) -> None:
    any_database.rows("SELECT store.make_day('2026-05-01')")
    rows = any_database.rows(
        """
        SELECT n.nspname || '.' || c.relname, r.role, string_agg(p.privilege, ' ' ORDER BY p.rank) FILTER
            (WHERE has_table_privilege(r.role, c.oid, p.privilege))
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        CROSS JOIN unnest(%s::text[]) AS r (role)
        CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) WITH ORDINALITY AS p (privilege, rank)
        WHERE n.nspname IN ('store', 'public') AND c.relkind IN ('r', 'v', 'p') AND NOT c.relispartition
        GROUP BY 1, 2
        """,
        list(ROLES),
    )
    found = {(table, role): privileges or "" for table, role, privileges in rows}
    assert found == {(table, role): wanted[i] for table, wanted in MATRIX.items() for i, role in enumerate(ROLES)}


def test_nobody_reaches_a_partition_past_its_table(any_database: TestDatabase) -> None:
    any_database.rows("SELECT store.make_day('2026-05-01')")
    rows = any_database.rows(
        "SELECT c.relname, r.role FROM pg_class AS c CROSS JOIN unnest(%s::text[]) AS r (role)"
        " WHERE c.relispartition AND c.relkind = 'r' AND has_any_column_privilege(r.role, c.oid, 'SELECT, INSERT, UPDATE')",
        list(ROLES),
    )
    assert rows == []


def test_i8_the_daemon_may_update_the_course_of_an_incident_and_nothing_else(any_database: TestDatabase) -> None:
    rows = any_database.rows(
        """
        SELECT a.attrelid::regclass::text || ': ' || string_agg(a.attname::text, ' ' ORDER BY a.attname) FROM pg_attribute AS a
        WHERE a.attrelid = ANY(%s::regclass[]) AND a.attnum > 0 AND has_column_privilege('tuermer_daemon', a.attrelid, a.attnum, 'UPDATE')
        GROUP BY a.attrelid
        """,
        list(COLUMNS),
    )
    assert {text for (text,) in rows} == {f"{table}: {names}" for table, names in COLUMNS.items()}


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("tuermer_daemon", "UPDATE store.incidents SET p_value = 1"),
        ("tuermer_daemon", "DELETE FROM store.incidents"),
        ("tuermer_daemon", "TRUNCATE store.evidence"),
        ("tuermer_daemon", "UPDATE store.decisions SET answer = 'sent'"),
        ("tuermer_daemon", "UPDATE store.suppressions SET expires = 'infinity'"),
        ("tuermer_daemon", "DELETE FROM store.near_misses"),
        ("tuermer_daemon", "UPDATE store.verdicts SET author = 'somebody else'"),
        ("tuermer_daemon", "DELETE FROM store.verdicts"),
        ("tuermer_daemon", "UPDATE store.notes SET text = ''"),
        ("tuermer_daemon", "CREATE TABLE public.mine (x int)"),
        ("tuermer_grafana", "SELECT * FROM store.incidents"),
        ("tuermer_grafana", "SELECT payload FROM store.snapshot_parts"),
        ("tuermer_grafana", "SELECT store.make_day('2026-05-02')"),
        ("tuermer_auditor", "SELECT * FROM public.incidents"),
        ("tuermer_auditor", "SELECT payload FROM store.outbox"),
    ],
)
def test_what_is_forbidden_is_refused(database: TestDatabase, role: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.rows(f"SET default_transaction_read_only = off; {statement}", role=role)


def test_grafana_reads_only_and_not_for_ever(any_database: TestDatabase) -> None:
    assert any_database.rows("SHOW statement_timeout", role="tuermer_grafana") == [("15s",)]
    assert any_database.rows("SHOW transaction_read_only", role="tuermer_grafana") == [("on",)]
    with pytest.raises(psycopg.errors.QueryCanceled):
        any_database.rows("SET statement_timeout = 50; SELECT pg_sleep(5)", role="tuermer_grafana")


def test_no_role_of_ours_is_more_than_it_must_be(any_database: TestDatabase) -> None:
    rows = any_database.rows(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'tuermer%%' AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls)"
    )
    assert rows == []
