"""Opening the names of one incident: two people of two groups, exactly its tokens, for one reader, for a day; every step written down."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec.structs import replace

from detector import desk
from detector.config import Config
from detector.opening import approval, chores, names, requests
from detector.opening.requests import UnsealError
from detector.privacy.keys import KeyFileError
from detector.privacy.people import Person, holders
from detector.privacy.vault import Fresh, Sealer, VaultError, open_row
from detector.sections import Keyholder, Opening
from detector.store import Database, audit, links, openings
from detector.store.audit import Seal
from detector.store.links import LinkTable
from detector.store.opening import Opened
from tests.people import PROTECTION, SECURITY, person
from tests.postgres import TestDatabase

NOW = 1_790_000_000_000_000
HOUR = 3_600_000_000
EPOCH = NOW // (24 * HOUR)
MEIER, HUBER, SCHMIDT, WEBER, NOTARY, DAEMON = (person(name) for name in ("meier", "huber", "schmidt", "weber", "notary", "daemon"))
CONFIG = Config(
    keyholders=[
        Keyholder("meier", MEIER.public.line, [SECURITY]),
        Keyholder("huber", HUBER.public.line, [SECURITY]),
        Keyholder("schmidt", SCHMIDT.public.line, [PROTECTION]),
        Keyholder("weber", WEBER.public.line, [PROTECTION], ["county"]),
    ]
)
INCIDENT, OTHER = UUID(int=1), UUID(int=2)
MINE = ["u-00000000000000a1", "ip-00000000000000a2", "h-00000000000000a3"]
THEIRS = ["u-00000000000000b1"]
WHY = "Anmeldung um 3 Uhr, Rückfrage nötig"


def incident(database: TestDatabase, id_: UUID, tokens: list[str], tenant: str = "city") -> None:
    database.rows("INSERT INTO store.tenants (tenant) VALUES (%s) ON CONFLICT DO NOTHING", tenant)
    database.rows(
        "INSERT INTO store.shards (shard, tenant, site, place, origin, applied, claimed) VALUES (%s, %s, '', 'local', 0, 0, now())"
        " ON CONFLICT DO NOTHING",
        tenant, tenant,
    )  # fmt: skip
    database.rows(
        """
        INSERT INTO store.incidents (id, day, shard, tenant, site, model, model_id, family, entity_kind, entity_value, techniques, opened,
            closes_at, p_value, score, opening_severity, urgent, title, counterfactual, reasons, recorded, updated, severity, worst_p,
            worst_score, events, got_in, episode_opened, episode_events)
        SELECT %s, t::date, %s, %s, '', 'auth-user', 'm', 'f', 'user.name', %s, '{}', t, t, 1e-5, 1, 'high', false, '{}', '{}', '[]', t, t,
            'high', 1e-5, 1, 1, 'no', t, 1 FROM (SELECT to_timestamp(%s)) AS x (t)
        """,
        id_, tenant, tenant, tokens[0], NOW / 1e6,
    )  # fmt: skip
    day = database.rows("SELECT store.make_day(to_timestamp(%s)::date), to_timestamp(%s)", NOW / 1e6, NOW / 1e6)[0][1]
    for token in [*tokens[1:], "10.1.2.3", "ssh-1"]:
        database.rows(
            "INSERT INTO store.evidence (day, incident, field, value, events, first, last) "
            "VALUES (%s::date, %s, 'source.ip', %s, 1, %s, %s)",
            day, id_, token, day, day,
        )  # fmt: skip


@pytest.fixture
def city(database: TestDatabase) -> Iterator[Database]:
    """Two incidents and the links of their tokens."""
    incident(database, INCIDENT, MINE)
    incident(database, OTHER, THEIRS)
    link(database, CONFIG)
    with closing(Database(database.url())) as made:
        yield made


def link(database: TestDatabase, config: Config) -> None:
    fresh = [Fresh("city", EPOCH, token, f"name of {token}") for token in [*MINE, *THEIRS]]
    table = LinkTable(Database(database.url()), Sealer(config.opening.groups, holders(config)), lambda: NOW, lambda _: True)
    with closing(table.database):
        table.write(fresh)


def ask(city: Database, who: Person = MEIER, now: int = NOW, config: Config = CONFIG, **more: Any) -> str:
    return str(requests.ask(city, config, who, str(INCIDENT), "AZ 12/2026", WHY, now, **more).id)


def actions(database: TestDatabase) -> list[str]:
    return [f"{actor} {action}" for actor, action in database.rows("SELECT actor, action FROM public.audit ORDER BY seq")]


def opened(city: Database, id_: str, now: int = NOW, who: Person = MEIER) -> dict[str, str | None]:
    one, code = names.unlock(city, CONFIG, who, id_, now)
    return {name.token: name.value for name in names.view(city, one.id, who.name, code, now)}


def test_two_people_open_exactly_the_names_of_the_incident_and_every_step_is_written_down(database: TestDatabase, city: Database) -> None:
    id_ = ask(city)
    approval.approve(city, CONFIG, SCHMIDT, id_, NOW + HOUR)
    assert opened(city, id_, NOW + 2 * HOUR) == {token: f"name of {token}" for token in MINE}
    assert actions(database) == ["meier opening.request", "schmidt opening.approval", "meier opening.unlock", "meier opening.view"]
    assert chain(city).troubles == ()


def chain(city: Database, key: Ed25519PublicKey | None = None, anchors: Sequence[Seal] = ()) -> audit.Found:
    with city.transaction() as connection:
        return audit.verify(connection, "city", key, anchors)


def test_what_the_database_holds_meanwhile_shows_no_name_and_no_passable_key(database: TestDatabase, city: Database) -> None:
    id_ = ask(city)
    approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    _, code = names.unlock(city, CONFIG, MEIER, id_, NOW)
    with city.transaction() as connection:
        row = openings.find(connection, id_)
    assert row is not None
    assert row.handed is not None
    assert row.shown is not None
    held = repr(row).encode() + row.handed + row.shown
    assert b"name of" not in held
    assert code.encode() not in held
    for thief in (SCHMIDT, HUBER):
        with pytest.raises(InvalidTag):
            thief.unseal(f"opening {id_}", row.handed)


def test_the_second_half_of_one_request_opens_no_name_of_another_incident(database: TestDatabase, city: Database) -> None:
    id_ = ask(city)
    approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    with city.transaction() as connection:
        one = openings.find(connection, id_)
        (other,) = links.find(connection, "city", [(EPOCH, THEIRS[0])])
        mine = links.held(connection, MEIER, [other.slot], "city")[other.slot].shares(other.row)
        key = links.tenant_keys(connection, ["city"])["city"]
    assert one is not None
    assert one.handed is not None
    shares = [part["share"] for part in json.loads(MEIER.unseal(f"opening {id_}", one.handed))]
    for share in shares:
        with pytest.raises(VaultError):
            open_row(other, key, mine | {SECURITY: base64.b64decode(share)})


@pytest.mark.parametrize(
    ("who", "sentence"),
    [
        (MEIER, "meier asked for this and cannot approve it, too: a person of another group does"),
        (HUBER, "huber and meier are both of the group security: a person of another group approves"),
    ],
)
def test_the_same_person_and_the_same_group_are_refused_and_that_is_written_down(
    database: TestDatabase, city: Database, who: Person, sentence: str
) -> None:
    id_ = ask(city)
    with pytest.raises(UnsealError, match=f"^{sentence}$"):
        approval.approve(city, CONFIG, who, id_, NOW)
    assert actions(database)[-1] == f"{who.name} opening.denied"
    assert state(database, id_) == "asked"


def state(database: TestDatabase, id_: str) -> object:
    return database.rows("SELECT state FROM store.openings WHERE id = %s", id_)[0][0]


def test_one_person_with_two_keys_of_two_groups_under_one_name_is_still_one_person(city: Database) -> None:
    twice = replace(CONFIG, keyholders=[*CONFIG.keyholders, Keyholder("meier", NOTARY.public.line, [PROTECTION])])
    id_ = ask(city)
    with pytest.raises(UnsealError, match="meier asked for this"):
        approval.approve(city, twice, NOTARY, id_, NOW)


@pytest.mark.parametrize(
    ("who", "error", "sentence"),
    [
        (WEBER, UnsealError, "weber is in none of the groups that open names of city"),
        (NOTARY, KeyFileError, r"the key of notary \(\w{16}\) is not among \[\[keyholders\]\]"),
    ],
)
def test_who_is_of_another_tenant_or_not_listed_takes_no_part(city: Database, who: Person, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        ask(city, who)
    id_ = ask(city)
    with pytest.raises(error, match=sentence):
        approval.approve(city, CONFIG, who, id_, NOW)


def test_only_the_requester_unlocks_and_only_the_requester_sees(city: Database) -> None:
    id_ = ask(city)
    approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    with pytest.raises(UnsealError, match="these names are for meier alone"):
        names.unlock(city, CONFIG, HUBER, id_, NOW)
    one, code = names.unlock(city, CONFIG, MEIER, id_, NOW)
    with pytest.raises(UnsealError, match="these names are for meier alone"):
        names.view(city, one.id, "huber", code, NOW)
    with pytest.raises(UnsealError, match="the code is wrong"):
        names.view(city, one.id, "meier", "AAAAA-AAAAA", NOW)
    assert len(names.view(city, one.id, "meier", code.lower().replace("-", " "), NOW)) == 3


def test_before_the_second_person_agrees_there_is_nothing_to_show(city: Database) -> None:
    id_ = ask(city)
    with pytest.raises(UnsealError, match=f"request {id_} is asked: there is nothing to show"):
        names.unlock(city, CONFIG, MEIER, id_, NOW)


def test_after_24_hours_the_names_are_gone_from_the_page_and_from_the_database(database: TestDatabase, city: Database) -> None:
    id_ = ask(city)
    approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    one, code = names.unlock(city, CONFIG, MEIER, id_, NOW)
    later = NOW + 24 * HOUR
    assert len(names.view(city, one.id, "meier", code, later - 1)) == 3
    with pytest.raises(UnsealError, match="is expired: there is nothing to show"):  # also before the chore has run
        names.view(city, one.id, "meier", code, later)
    assert chores.expire(city, later) == 1
    assert database.rows("SELECT state, handed, shown FROM store.openings") == [("expired", None, None)]
    with pytest.raises(UnsealError, match="is expired"):
        names.unlock(city, CONFIG, MEIER, id_, later)
    assert actions(database)[-1] == "daemon opening.expiry"
    assert chores.expire(city, later) == 0


def test_a_request_that_nobody_answers_closes_after_three_days(database: TestDatabase, city: Database) -> None:
    id_ = ask(city)
    with pytest.raises(UnsealError, match="has been answered already, or its time is up"):
        approval.approve(city, CONFIG, SCHMIDT, id_, NOW + 72 * HOUR)
    assert chores.expire(city, NOW + 72 * HOUR) == 1
    assert state(database, id_) == "expired"


def test_a_refused_request_stays_refused(database: TestDatabase, city: Database) -> None:
    id_ = ask(city)
    requests.refuse(city, CONFIG, SCHMIDT, id_, "not needed", NOW)
    with pytest.raises(UnsealError, match="has been answered already"):
        approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    assert actions(database)[-1] == "schmidt opening.refusal"
    assert state(database, id_) == "refused"


def test_of_two_approvals_at_once_one_counts_and_the_other_is_told(database: TestDatabase, city: Database) -> None:
    both = replace(CONFIG, keyholders=[*CONFIG.keyholders[:3], Keyholder("weber", WEBER.public.line, [PROTECTION])])
    with city.transaction() as connection:
        links.rotate(connection, "city", SCHMIDT, PROTECTION, [h for h in holders(both) if h.of(PROTECTION, "city")])
    id_, said = ask(city), list[str]()

    def agree(who: Person) -> None:
        with closing(Database(database.url())) as own:
            try:
                approval.approve(own, both, who, id_, NOW)
                said.append("approved")
            except UnsealError as error:
                said.append(str(error))

    threads = [threading.Thread(target=agree, args=(who,)) for who in (SCHMIDT, WEBER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["approved", f"request {id_} has been answered already, or its time is up"]
    assert sum(action.endswith("opening.approval") for action in actions(database)) == 1


CHANGES: dict[str, str] = {
    "another incident": "UPDATE store.openings SET incident = '00000000-0000-0000-0000-000000000002'",
    "another requester": "UPDATE store.openings SET requester = 'huber'",
    "another text": "UPDATE store.openings SET request = request || ' '",
    "not signed": "UPDATE store.openings SET signature = decode(repeat('00', 64), 'hex')",
    "break-glass": "UPDATE store.openings SET break_glass = true",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_request_that_was_changed_in_the_database_is_not_approved(database: TestDatabase, city: Database, change: str) -> None:
    id_ = ask(city)
    database.rows(change)
    with pytest.raises(UnsealError, match="nothing is opened"):
        approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    assert state(database, id_) == "asked"


def test_a_request_for_more_than_the_incident_shows_is_not_approved(city: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    real = openings.linked
    monkeypatch.setattr(openings, "linked", lambda c, i, t: [*real(c, i, t), (EPOCH, THEIRS[0])])  # a requester's own program
    id_ = ask(city)
    monkeypatch.setattr(openings, "linked", real)
    with pytest.raises(UnsealError, match="asks for more than incident"):
        approval.approve(city, CONFIG, SCHMIDT, id_, NOW)


def test_an_approval_that_was_changed_or_made_by_somebody_else_opens_nothing(database: TestDatabase, city: Database) -> None:
    id_ = ask(city)
    approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    database.rows("UPDATE store.openings SET answered_by = 'huber'")
    with pytest.raises(UnsealError, match="is not signed by a listed person, or was changed: nothing is opened"):
        names.unlock(city, CONFIG, MEIER, id_, NOW)


def test_a_link_that_was_altered_stays_closed_and_the_others_open(database: TestDatabase, city: Database) -> None:
    database.rows("UPDATE store.links SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1) WHERE token = %s", MINE[0])
    database.rows("DELETE FROM store.links WHERE token = 'h-00000000000000ff'")
    id_ = ask(city)
    approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    assert opened(city, id_) == {MINE[0]: None, MINE[1]: f"name of {MINE[1]}", MINE[2]: f"name of {MINE[2]}"}


@pytest.mark.parametrize(
    ("incident_id", "case", "reason", "sentence"),
    [
        ("00000000-0000-0000-0000-000000000009", "AZ 1", WHY, "there is no incident 00000000-0000-0000-0000-000000000009"),
        ("0000", "AZ 1", WHY, "there is no incident 0000, or more than one begins so"),
        ("", "AZ 1", WHY, "there is no incident"),
        (str(INCIDENT), " ", WHY, "give the number of the case"),
        (str(INCIDENT), "AZ 1", "weil", "a reason of at least 10 characters"),
    ],
)
def test_an_unclear_request_is_one_sentence(city: Database, incident_id: str, case: str, reason: str, sentence: str) -> None:
    with pytest.raises(UnsealError, match=sentence):
        requests.ask(city, CONFIG, MEIER, incident_id, case, reason, NOW)


def test_an_incident_whose_links_are_deleted_cannot_be_opened_and_says_so(database: TestDatabase, city: Database) -> None:
    database.rows("DELETE FROM store.links")
    with pytest.raises(UnsealError, match="it shows no token, or its links are deleted"):
        ask(city)


def broken(database: TestDatabase) -> Config:
    """A configuration where one person may open alone, together with the daemon's key."""
    config = replace(
        CONFIG,
        keyholders=[*CONFIG.keyholders, Keyholder("daemon", DAEMON.public.line, ["break-glass"])],
        opening=Opening(groups=[SECURITY, PROTECTION, "break-glass"], break_glass_key_file="daemon.key"),
    )
    database.rows("DELETE FROM store.links; DELETE FROM store.link_slots CASCADE")
    link(database, config)
    return config


def test_break_glass_opens_for_one_person_and_tells_the_data_protection_officer_in_the_same_transaction(
    database: TestDatabase, city: Database
) -> None:
    config = broken(database)
    id_ = ask(city, config=config, break_glass=True)
    chore = chores.OpeningChore(config, city, DAEMON)
    chore(NOW + 5 * HOUR // 3600)
    one, code = names.unlock(city, config, MEIER, id_, NOW + HOUR)
    assert len(names.view(city, one.id, "meier", code, NOW + HOUR)) == 3
    ((kind, created, payload),) = database.rows("SELECT kind, created, payload FROM store.outbox")
    assert kind == "opening"
    assert created - one.requested <= timedelta(seconds=60)  # type: ignore[operator]
    assert "ohne Zustimmung einer zweiten Person" in payload["text"]["de"]  # type: ignore[index]
    assert not any(token in msgspec.json.encode(payload).decode() for token in MINE)
    assert "meier opening.break-glass" in actions(database)


def test_without_a_configured_key_a_break_glass_request_waits_like_any_other(database: TestDatabase, city: Database) -> None:
    id_ = ask(city, break_glass=True)
    chores.OpeningChore(CONFIG, city, None)(NOW + HOUR)
    assert state(database, id_) == "asked"
    assert database.rows("SELECT count(*) FROM store.outbox") == [(0,)]


def test_the_daemons_break_glass_key_alone_opens_nothing(database: TestDatabase, city: Database) -> None:
    config = broken(database)
    with city.transaction() as connection:
        rows = links.find(connection, "city", [(EPOCH, token) for token in MINE])
        held = links.held(connection, DAEMON, [row.slot for row in rows], "city")
    assert all("break-glass" not in held[row.slot].secrets for row in rows)
    assert len(config.opening.groups) == 3


def test_a_break_glass_request_that_was_forged_is_refused_and_the_daemon_goes_on(database: TestDatabase, city: Database) -> None:
    config = broken(database)
    id_ = ask(city, config=config)
    database.rows("UPDATE store.openings SET break_glass = true")
    assert chores.shatter(city, config, DAEMON, NOW) == 0
    assert state(database, id_) == "refused"


def test_the_chore_signs_every_hour_and_a_full_anchor_file_is_tried_again(database: TestDatabase, city: Database, tmp_path: Path) -> None:
    ask(city)
    key = Ed25519PrivateKey.generate()
    chore = chores.SealChore(city, key, tmp_path / "folder" / "anchor")
    chore(NOW)
    assert database.rows("SELECT count(*) FROM store.audit_seals") == [(0,)]
    (tmp_path / "folder").mkdir()
    chore(NOW + 1)
    ask(city)
    chore(NOW + HOUR // 2)
    assert database.rows("SELECT seq FROM store.audit_seals") == [(1,)]
    chore(NOW + HOUR + 1)
    with (tmp_path / "folder" / "anchor").open("ab") as cut_off:
        cut_off.write(b'{"tenant": "ci')
    assert [seal.seq for seal in chores.anchors(tmp_path / "folder" / "anchor")] == [1, 2]
    assert chain(city, key.public_key(), chores.anchors(tmp_path / "folder" / "anchor")).signed == 2


def test_a_full_disk_in_the_middle_of_an_approval_is_one_sentence_and_nothing_is_half_done(
    database: TestDatabase, city: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    id_ = ask(city)
    database.rows(
        """
        CREATE FUNCTION store.full() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON store.audit FOR EACH ROW EXECUTE FUNCTION store.full()
        """
    )
    monkeypatch.setattr(desk, "load", lambda *_: CONFIG)
    monkeypatch.setattr(desk, "open_database", lambda *_, **__: Opened(database.url(), database.url(), lambda: None))
    with (
        pytest.raises(desk.DeskError, match=r"^the database does not take it \(could not extend file\); nothing was changed"),
        desk.visiting(tmp_path, {}) as (config, own),
    ):
        approval.approve(own, config, SCHMIDT, id_, NOW)
    database.rows("DROP TRIGGER full_disk ON store.audit")
    assert database.rows("SELECT state, handed FROM store.openings") == [("asked", None)]
    approval.approve(city, CONFIG, SCHMIDT, id_, NOW)
    assert len(opened(city, id_)) == 3
