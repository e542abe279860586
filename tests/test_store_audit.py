"""The audit log: every row that somebody changed, removed or reordered afterwards is found."""

from __future__ import annotations

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.store import audit
from detector.store.audit import Entry, Found, Seal
from detector.store.database import connect
from tests.postgres import TestDatabase

NOW = 1_790_000_000_000_000
HOUR = 3_600_000_000
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def write(database: TestDatabase, number: int, tenant: str = "city", now: int = NOW) -> None:
    with connect(database.url()) as connection:
        for i in range(number):
            audit.append(connection, Entry(tenant, "meier", "opening.request", f"O-{i}", {"case": f"Zürich, „{i}“", "n": i}), now + i)


def sign(database: TestDatabase, now: int = NOW + HOUR) -> list[Seal]:
    with connect(database.url()) as connection:
        seals = audit.signed(audit.unsigned(connection), KEY, now)
        audit.keep(connection, seals)
        return seals


def verify(database: TestDatabase, anchors: list[Seal] | None = None, key: Ed25519PrivateKey = KEY, tenant: str = "city") -> Found:
    with connect(database.url("tuermer_auditor")) as connection, connection.transaction():
        return audit.verify(connection, tenant, key.public_key(), anchors or [])


def test_an_untouched_chain_verifies_and_says_how_far_it_is_signed(any_database: TestDatabase) -> None:
    write(any_database, 5)
    sign(any_database)
    write(any_database, 2, now=NOW + 2 * HOUR)
    assert verify(any_database) == Found("city", rows=7, first=1, last=7, signed=5, troubles=())


@pytest.mark.parametrize(
    ("tampering", "sentence"),
    [
        ("UPDATE store.audit SET actor = 'schmidt' WHERE seq = 3", "row 3 was changed"),
        ("UPDATE store.audit SET at = at + interval '1 microsecond' WHERE seq = 3", "row 3 was changed"),
        ("UPDATE store.audit SET details = replace(details, '2', '7') WHERE seq = 3", "row 3 was changed"),
        ("UPDATE store.audit SET subject = subject || action, action = '' WHERE seq = 3", "row 3 was changed"),
        ("DELETE FROM store.audit WHERE seq = 3", "row 3 is missing"),
        ("DELETE FROM store.audit WHERE seq IN (1, 2)", "rows 1 to 2 are missing"),
        ("DELETE FROM store.audit WHERE seq = 5", "the chain ends at row 4, but its head says 5: rows at the end were removed or added"),
        (
            "UPDATE store.audit SET seq = 9 WHERE seq = 2; UPDATE store.audit SET seq = 2 WHERE seq = 3;"
            " UPDATE store.audit SET seq = 3 WHERE seq = 9",
            "row 2 does not follow row 1: one of them was replaced, or they were reordered",
        ),
    ],
)
def test_whatever_is_done_to_a_row_is_found(any_database: TestDatabase, tampering: str, sentence: str) -> None:
    write(any_database, 5)
    any_database.rows(tampering)
    assert verify(any_database).troubles == (sentence,)


REWRITE = """
DELETE FROM store.audit WHERE seq > 2;
UPDATE store.audit_heads SET seq = 2, hash = (SELECT hash FROM store.audit WHERE seq = 2);
"""


def test_an_end_that_was_cut_off_with_its_head_is_found_by_the_signature(database: TestDatabase) -> None:
    write(database, 5)
    sign(database)
    database.rows(REWRITE)
    assert verify(database).troubles == ("rows after 2 are missing: a signature covers row 5",)


def test_a_history_written_anew_by_the_owner_of_the_database_is_found_by_the_signature(database: TestDatabase) -> None:
    write(database, 5)
    sign(database)
    database.rows(REWRITE)
    write(database, 3, now=NOW + 1)
    assert verify(database).troubles == ("row 5 is not the one that was signed",)


def test_an_end_that_was_cut_off_with_head_and_signature_is_found_by_the_anchor_file(database: TestDatabase) -> None:
    write(database, 5)
    anchors = sign(database)
    database.rows(REWRITE + "DELETE FROM store.audit_seals")
    assert verify(database).troubles == ()
    assert verify(database, anchors).troubles[0] == "rows after 2 are missing: a signature covers row 5"


def test_who_signs_with_another_key_is_found(database: TestDatabase) -> None:
    write(database, 2)
    sign(database)
    assert verify(database, key=Ed25519PrivateKey.generate()).troubles == ("the signature over row 2 is not the daemon's",)


def test_each_tenant_has_a_chain_of_its_own(database: TestDatabase) -> None:
    write(database, 2, "city")
    write(database, 3, "county")
    assert [(seal.tenant, seal.seq) for seal in sign(database)] == [("city", 2), ("county", 3)]
    assert sign(database) == []
    database.rows("DELETE FROM store.audit WHERE tenant = 'county' AND seq = 1")
    assert verify(database, tenant="city").troubles == ()
    assert verify(database, tenant="county").troubles == ("row 1 is missing",)


def test_rows_whose_time_is_up_leave_a_chain_that_verifies_and_younger_ones_stay(database: TestDatabase) -> None:
    year_ago = int(database.rows("SELECT (extract(epoch FROM now() - interval '400 days') * 1000000)::bigint")[0][0])  # type: ignore[call-overload]
    write(database, 4, now=year_ago)
    sign(database, year_ago + HOUR)
    write(database, 2, now=year_ago + 400 * 24 * HOUR - HOUR)
    gone = database.rows("SELECT store.audit_forget('city', now() + interval '1 year', now())", role="tuermer_daemon")
    assert gone == [(4,)]
    assert verify(database) == Found("city", rows=3, first=5, last=7, signed=0, troubles=())
    database.rows("DELETE FROM store.audit WHERE seq = 5")
    assert verify(database).troubles == ("row 5 is missing",)


def test_rows_that_were_deleted_before_their_time_are_known_to_the_anchor_file(database: TestDatabase) -> None:
    write(database, 3)
    anchors = sign(database)
    database.rows(
        """
        WITH gone AS (DELETE FROM store.audit WHERE seq <= 3 RETURNING seq, hash), old AS (DELETE FROM store.audit_seals)
        SELECT store.audit_append('city', to_timestamp(1790000000), 'daemon', 'audit.forgotten', '3',
            json_build_object('until', 3, 'hash', encode(hash, 'hex'))::text) FROM gone WHERE seq = 3
        """
    )
    assert verify(database).troubles == ()
    assert verify(database, anchors).troubles == ("row 3 was deleted before 30 days had passed",)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO store.audit SELECT * FROM store.audit",
        "UPDATE store.audit SET actor = ''",
        "DELETE FROM store.audit",
        "UPDATE store.audit_heads SET seq = 0",
        "DELETE FROM store.audit_seals",
        "UPDATE store.audit_seals SET seq = 0",
        "TRUNCATE store.audit CASCADE",
    ],
)
def test_the_daemon_can_only_add(database: TestDatabase, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.rows(statement, role="tuermer_daemon")


def test_the_auditor_reads_and_adds_nothing(database: TestDatabase) -> None:
    write(database, 1)
    assert database.rows("SELECT actor, action, subject FROM public.audit", role="tuermer_auditor") == [("meier", "opening.request", "O-0")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.rows(
            "SET default_transaction_read_only = off; SELECT store.audit_append('city', now(), '', '', '', '')", role="tuermer_auditor"
        )


def test_an_entry_goes_with_its_transaction(database: TestDatabase) -> None:
    with connect(database.url()) as connection:
        with connection.transaction(force_rollback=True):
            audit.append(connection, Entry("city", "meier", "x", "y", {}), NOW)
        assert audit.append(connection, Entry("city", "meier", "x", "y", {"nul": "a\0b"}), NOW) == 1
    assert verify(database).troubles == ()
