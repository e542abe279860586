"""The link table on a real server: written once, waited for, rotated, shredded; never opened by one person."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.privacy import vault
from detector.privacy.people import Holder, Person
from detector.privacy.vault import Fresh, Halted, Sealer, VaultError
from detector.store import Database, links
from detector.store.database import connect
from detector.store.links import LinkTable, Rotated
from tests.people import ESCROW, PROTECTION, SECURITY, holder, person
from tests.postgres import TestDatabase

NOW = 1_790_000_000_000_000
DAY = 86_400_000_000
MEIER, HUBER, SCHMIDT, NOTARY = (person(name) for name in ("meier", "huber", "schmidt", "notary"))
TWO = [holder(MEIER, SECURITY), holder(SCHMIDT, PROTECTION)]
NAMES = [Fresh("city", 20_000, f"u-{i:016x}", f"person{i}") for i in range(4)]


def table(
    database: TestDatabase, holders: list[Holder] = TWO, now: int = NOW, pause: Callable[[float], bool] = lambda _: True
) -> LinkTable:
    return LinkTable(Database(database.url()), Sealer((SECURITY, PROTECTION, ESCROW), holders), lambda: now, pause)


def write(database: TestDatabase, fresh: list[Fresh] = NAMES, holders: list[Holder] = TWO, now: int = NOW) -> None:
    made = table(database, holders, now)
    with closing(made.database):
        made.write(fresh)


def read(database: TestDatabase, *who: Person, fresh: list[Fresh] = NAMES) -> list[str]:
    """What these people read together."""
    with connect(database.url()) as connection:
        rows = links.find(connection, fresh[0].tenant, [(one.epoch, one.token) for one in fresh])
        keys: dict[str, bytes] = dict(connection.execute("SELECT tenant, key FROM store.link_tenants").fetchall())
        shares: dict[str, dict[str, bytes]] = {row.token: {} for row in rows}
        for one in who:
            held = links.held(connection, one, [row.slot for row in rows], fresh[0].tenant)
            for row in rows:
                shares[row.token] |= held[row.slot].shares(row.row)
        return [vault.open_row(row, bytes(keys[row.tenant]), shares[row.token]) for row in rows]


def count(database: TestDatabase, name: str) -> object:
    return database.rows(f"SELECT count(*) FROM store.{name}")[0][0]


def test_two_people_read_what_route_wrote_and_one_cannot(any_database: TestDatabase) -> None:
    write(any_database)
    assert read(any_database, MEIER, SCHMIDT) == ["person0", "person1", "person2", "person3"]
    for alone in (MEIER, SCHMIDT):
        with pytest.raises(VaultError, match="a part of the key is missing"):
            read(any_database, alone)


def test_writing_twice_changes_nothing_whoever_does_it(any_database: TestDatabase) -> None:
    write(any_database)
    before = any_database.rows("SELECT * FROM store.links ORDER BY token")
    write(any_database, NAMES[::-1], now=NOW + DAY)
    assert any_database.rows("SELECT * FROM store.links ORDER BY token") == before


def test_without_two_groups_of_people_nothing_is_kept(database: TestDatabase) -> None:
    write(database, holders=TWO[:1])
    assert (count(database, "links"), count(database, "link_tenants")) == (0, 0)


def test_a_row_that_was_altered_in_the_database_does_not_open(database: TestDatabase) -> None:
    write(database)
    database.rows(
        "UPDATE store.links SET sealed = (SELECT sealed FROM store.links WHERE token = %s) WHERE token = %s", NAMES[1].token, NAMES[0].token
    )
    with pytest.raises(VaultError, match=f"the link of {NAMES[0].token} does not open: it was changed"):
        read(database, MEIER, SCHMIDT)


def test_route_waits_while_the_database_is_away_and_writes_when_it_is_back(database: TestDatabase) -> None:
    waited = threading.Event()

    def pause(_: float) -> bool:
        if waited.is_set():
            database.server.start()
        waited.set()
        return False

    made = table(database, pause=pause)
    with closing(made.database):
        database.server.stop()
        made.write(NAMES)
    assert waited.is_set()
    assert read(database, MEIER, SCHMIDT)[0] == "person0"


def test_who_is_asked_to_end_while_waiting_ends_without_having_written(database: TestDatabase) -> None:
    made = table(database)
    with closing(made.database):
        database.server.stop()
        with pytest.raises(Halted):
            made.write(NAMES)
    database.server.start()
    assert count(database, "links") == 0


def test_a_full_disk_in_the_middle_is_waited_out_and_leaves_nothing_half_written(database: TestDatabase) -> None:
    database.rows(
        """
        CREATE FUNCTION store.full() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.token LIKE '%%2' THEN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON store.links FOR EACH ROW EXECUTE FUNCTION store.full()
        """
    )
    tries: list[object] = []

    def pause(_: float) -> bool:
        tries.append((count(database, "links"), count(database, "link_slots")))
        if len(tries) == 2:
            database.rows("DROP TRIGGER full_disk ON store.links")
        return False

    made = table(database, pause=pause)
    with closing(made.database):
        made.write(NAMES)
    assert tries == [(0, 0), (0, 0)]
    assert read(database, MEIER, SCHMIDT) == ["person0", "person1", "person2", "person3"]


def test_before_score_has_made_the_tables_route_waits(database: TestDatabase) -> None:
    database.rows("ALTER TABLE store.links RENAME TO elsewhere")

    def pause(_: float) -> bool:
        database.rows("ALTER TABLE store.elsewhere RENAME TO links")
        return False

    made = table(database, pause=pause)
    with closing(made.database):
        made.write(NAMES)
    assert count(database, "links") == 4


def test_rotation_gives_old_names_to_a_new_member_and_takes_them_from_a_former_one(any_database: TestDatabase) -> None:
    write(any_database)
    with pytest.raises(VaultError, match="before huber had a key: somebody of the same group runs"):
        read(any_database, HUBER, SCHMIDT)
    with connect(any_database.url()) as connection, connection.transaction():
        assert links.rotate(connection, "city", MEIER, SECURITY, [holder(HUBER, SECURITY)]) == Rotated(slots=1, closed=0, former=("meier",))
    assert read(any_database, HUBER, SCHMIDT)[0] == "person0"
    with pytest.raises(VaultError):
        read(any_database, MEIER, SCHMIDT)
    with pytest.raises(VaultError, match="a part of the key is missing"):
        read(any_database, HUBER)


def test_rotation_needs_a_key_of_the_group_itself(database: TestDatabase) -> None:
    write(database)
    with connect(database.url()) as connection, connection.transaction():
        assert links.rotate(connection, "city", SCHMIDT, SECURITY, [holder(HUBER, SECURITY)]) == Rotated(slots=0, closed=1, former=())
    assert read(database, MEIER, SCHMIDT)[0] == "person0"


def test_with_an_escrow_group_a_lost_key_loses_no_name(database: TestDatabase) -> None:
    write(database, holders=[*TWO, holder(NOTARY, ESCROW)])
    assert read(database, NOTARY, SCHMIDT)[3] == "person3"  # meier's key is lost
    with pytest.raises(VaultError):
        read(database, NOTARY)


def test_shredding_a_tenant_closes_its_names_for_ever_and_touches_no_other(database: TestDatabase) -> None:
    county = [Fresh("county", 20_000, "u-00000000000000aa", "person9")]
    write(database, [*NAMES, *county])
    copies = {name: database.rows(f"SELECT * FROM store.{name} WHERE tenant = 'city'") for name in ("link_slots", "link_keys", "links")}
    with connect(database.url()) as connection, connection.transaction():
        assert links.shred(connection, "city") == {"link_tenants": 1, "link_keys": 2, "link_slots": 1, "links": 4}
    assert read(database, MEIER, SCHMIDT, fresh=county) == ["person9"]
    # a backup that holds everything but the tenant's key
    database.rows("INSERT INTO store.link_tenants VALUES ('city', decode(repeat('00', 32), 'hex'))")
    for name, rows in copies.items():
        columns = {"link_slots": (0, 1, 2, 4, 5, 6, 7), "link_keys": range(6), "links": range(6)}[name]
        names = {
            "link_slots": "slot, tenant, epoch, groups, made, commitments, signature",
            "link_keys": "slot, tenant, holder, name, grp, sealed",
        }
        for row in rows:
            into = names.get(name, "tenant, epoch, token, slot, tag, sealed")
            database.rows(f"INSERT INTO store.{name} ({into}) VALUES ({', '.join(['%s'] * len(columns))})", *(row[i] for i in columns))
    with pytest.raises(VaultError):
        read(database, MEIER, SCHMIDT)


def test_a_tenant_shredded_under_a_running_route_begins_anew(database: TestDatabase) -> None:
    made = table(database)
    with closing(made.database):
        made.write(NAMES[:2])
        with connect(database.url()) as connection, connection.transaction():
            links.shred(connection, "city")
        made.write(NAMES[2:])
    assert read(database, MEIER, SCHMIDT) == ["person2", "person3"]


def test_two_routes_that_write_the_same_tokens_at_once_both_come_through(database: TestDatabase) -> None:
    many = [Fresh("city", 20_000, f"u-{i:016x}", f"person{i}") for i in range(3_000)]
    threads = [threading.Thread(target=write, args=(database, part)) for part in (many, many[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database, "links") == 3_000
    assert read(database, MEIER, SCHMIDT, fresh=many) == [one.value for one in many]


def test_grafana_and_the_auditor_see_nothing_of_it(database: TestDatabase) -> None:
    for role in ("tuermer_grafana", "tuermer_auditor"):
        for name in ("links", "link_keys", "link_slots", "link_tenants", "openings", "opening_tokens"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                database.rows(f"SELECT * FROM store.{name}", role=role)


@pytest.mark.parametrize("signed", ["not at all", "by somebody else"])
def test_a_false_name_laid_into_the_database_is_refused_because_route_did_not_sign_its_slot(database: TestDatabase, signed: str) -> None:
    route, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    honest = Sealer((SECURITY, PROTECTION), TWO, route)
    forger = Sealer((SECURITY, PROTECTION), TWO, None if signed == "not at all" else stranger)
    with closing(Database(database.url())) as own:
        LinkTable(own, honest, lambda: NOW, lambda _: True).write(NAMES[:1])
        database.rows("DELETE FROM store.links")
        LinkTable(own, forger, lambda: NOW, lambda _: True).write([Fresh("city", 20_000, NAMES[0].token, "innocent")])
        assert read(database, MEIER, SCHMIDT, fresh=NAMES[:1]) == ["innocent"]  # who does not know ROUTE's key is deceived
        with own.transaction() as connection, pytest.raises(VaultError, match="was not made by ROUTE, so its names may be false"):
            links.held(connection, MEIER, links.groups_of(connection, "city"), "city", trusted=route.public_key())


def test_secrets_exchanged_within_a_signed_slot_are_refused(database: TestDatabase) -> None:
    route = Ed25519PrivateKey.generate()
    with closing(Database(database.url())) as own:
        LinkTable(own, Sealer((SECURITY, PROTECTION), TWO, route), lambda: NOW, lambda _: True).write(NAMES)
        with own.transaction() as connection:
            (slot,) = links.groups_of(connection, "city")
            assert set(links.held(connection, MEIER, [slot], "city", trusted=route.public_key())) == {slot}
            database.rows("UPDATE store.link_keys SET sealed = %s WHERE name = 'meier'", MEIER.public.seal(vault.PURPOSE, slot + bytes(32)))
            with pytest.raises(VaultError, match="was not made by ROUTE"):
                links.held(connection, MEIER, [slot], "city")
