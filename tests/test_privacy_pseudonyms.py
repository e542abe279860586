"""What ROUTE makes of names and addresses: tokens of one tenant and one epoch, and only listed things stay plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import Account, Config, ConfigError, Host, Network, Observer
from detector.config import Privacy as Settings
from detector.decode import ecs
from detector.decode.decoded import Decoded, Origin
from detector.decode.table import shipped
from detector.privacy import MemoryKeyring, Privacy, fields, texts
from detector.privacy.epochs import DAY, HOUR
from detector.privacy.verify import hits, of_frame

NOON = int(datetime(2026, 6, 10, 12, tzinfo=UTC).timestamp()) * 1_000_000
RATHAUS = Origin("stadt", "rathaus", "Europe/Berlin")
BAUHOF = Origin("stadt", "bauhof", "Europe/Berlin")
WERKE = Origin("werke", "", "Europe/Berlin")
CONFIG = Config(
    networks=[
        Network("10.1.0.0/16", "client", name="Büro"),
        Network("10.2.0.0/16", "server", name="Server"),
        Network("10.2.0.9/32", "server", name="srv-mail"),
        Network("10.9.0.0/16", "vpn", name="VPN", tenant="stadt"),
    ],
    accounts=[
        Account("svc-*", "service"),
        Account("srv-*$", "machine"),
        Account("adm.*", "admin"),
        Account("backup", "service", tenant="werke"),
        Account("svc-anna", "person"),
    ],
    hosts=[Host("srv-*"), Host("fw?")],
    observers=[Observer(match="x", name="Firewall-Nord")],
    privacy=Settings(domains=["stadt.example"]),
)
Row = Mapping[str, str | int]
VOCABULARY = fields.vocabulary(shipped())


def _column(name: str, given: Sequence[str | int]) -> dict[str, pl.Series]:
    if name in ecs.TEXT:
        distinct = ["", *dict.fromkeys(str(text) for text in given if text not in ("", 0))]
        return {name: ecs.text(np.array([distinct.index(str(t)) if t not in ("", 0) else 0 for t in given]), distinct, name)}
    if name in ecs.ADDRESS:
        numbers = [_number(str(text)) if text not in ("", 0) else 0 for text in given]
        return {
            f"{name}.hi": pl.Series(np.array([n >> 64 for n in numbers], np.uint64)),
            f"{name}.lo": pl.Series(np.array([n & (2**64 - 1) for n in numbers], np.uint64)),
            f"{name}.kind": pl.Series(np.array([int(n > 0) for n in numbers], np.uint8)),
        }
    if name in ("@timestamp", "event.created"):
        return {name: pl.Series(np.array(given, np.int64)).cast(pl.Datetime("us", "UTC"))}
    return {name: pl.Series(np.array(given), dtype={**ecs.INTEGER, **ecs.KEY, **ecs.PROVENANCE}[name])}


def _number(address: str) -> int:
    parsed = ip_address(address)
    return int(parsed) + (0xFFFF << 32 if parsed.version == 4 else 0)


def decoded(rows: Sequence[Row], origins: Sequence[Origin] = (RATHAUS,), origin: Sequence[int] | None = None) -> Decoded:
    """A decoded batch from rows of column -> value; what a row does not name is absent."""
    rows = [{"@timestamp": NOON, "event.created": row.get("@timestamp", NOON), **row} for row in rows]
    columns: dict[str, pl.Series] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        columns |= _column(name, [row.get(name, 0) for row in rows])
    which = np.zeros(len(rows), np.int32) if origin is None else np.array(origin, np.int32)
    return Decoded(ecs.frame(len(rows), columns), np.arange(len(rows)), which, tuple(origins), (), {})


def privacy(config: Config = CONFIG) -> Privacy:
    return Privacy.of(config, MemoryKeyring(b"k" * 32))


def routed(rows: Sequence[Row], config: Config = CONFIG) -> pl.DataFrame:
    return privacy(config).pseudonymise(decoded(rows))["stadt/rathaus"]


def _users(names: Sequence[str]) -> pl.DataFrame:
    return routed([{"user.name": name} for name in names]).select("user.name", "user.kind", "user.roles").cast(pl.String)


def test_persons_become_tokens_and_service_and_machine_accounts_keep_their_names() -> None:
    frame = _users(["Anna.Muster", "svc-backup", "SRV-FILE$", "PC-ANNA$", "adm.muster", "root"])
    assert frame["user.kind"].to_list() == ["unknown", "service", "machine", "unknown", "admin", "admin"]
    shown = frame["user.name"].to_list()
    assert shown[1:3] + shown[5:] == ["svc-backup", "srv-file$", "root"]
    assert all(name.startswith("u-") and len(name) == 18 for name in (shown[0], shown[3], shown[4]))


def test_one_account_has_one_token_however_it_is_written() -> None:
    shown = _users(["anna.muster", "STADT\\Anna.Muster", "anna.muster@stadt.example", " ANNA.MUSTER "])["user.name"].to_list()
    assert len(set(shown)) == 1


def test_people_of_other_domains_are_other_people() -> None:
    shown = _users(["anna@stadt.example", "anna@mail.example", "anna@post.example"])["user.name"].to_list()
    assert len(set(shown)) == 3


def test_the_first_pattern_that_matches_decides() -> None:
    config = msgspec.structs.replace(CONFIG, accounts=[Account("svc-anna", "person"), Account("svc-*", "service")])
    shown = routed([{"user.name": "svc-anna"}, {"user.name": "svc-backup"}], config)["user.name"].to_list()
    assert shown[0].startswith("u-")
    assert shown[1] == "svc-backup"


@pytest.mark.parametrize(
    "name", ["svc-Geheim Passwort1!", "svc-10.1.2.3", "svc-10-1-2-3", "svc-x@anna.muster.example", "svc-" + "x" * 80, "svc-fd00-1-2-3-4"]
)
def test_a_pattern_does_not_let_free_text_or_addresses_through(name: str) -> None:
    assert _users([name])["user.name"].to_list()[0].startswith("u-")


def test_the_target_of_an_account_change_has_the_same_token_as_the_account_itself() -> None:
    frame = routed([{"user.name": "anna", "user.target.name": "anna"}, {"user.target.name": "svc-backup"}])
    assert frame["user.name"].to_list()[0] == frame["user.target.name"].to_list()[0] != "anna"
    assert frame["user.target.name"].to_list()[1] == "svc-backup"


def test_an_account_listed_for_one_tenant_is_a_person_in_another() -> None:
    done = privacy().pseudonymise(decoded([{"user.name": "backup"}] * 2, (RATHAUS, WERKE), [0, 1]))
    assert done["werke"]["user.name"].to_list() == ["backup"]
    assert done["stadt/rathaus"]["user.name"].to_list()[0].startswith("u-")


def test_role_groups_under_five_people_are_not_told_apart(tmp_path: Path) -> None:
    rows = [f"person{i},Einwohneramt" for i in range(5)] + [f"chef{i},Bürgermeister" for i in range(4)] + ["anna,Werk,werke"]
    (tmp_path / "roles.csv").write_text("\n".join(rows), "utf-8")
    config = msgspec.structs.replace(CONFIG, privacy=Settings(roles_file=str(tmp_path / "roles.csv")))
    frame = routed([{"user.name": name} for name in ("STADT\\Person3", "chef0", "anna", "fremd")], config)
    assert frame["user.roles"].to_list() == ["Einwohneramt", "", "", ""]
    assert frame["user.kind"].to_list() == ["person", "unknown", "unknown", "unknown"]


def test_two_names_of_one_person_are_one_account_where_the_file_says_so(tmp_path: Path) -> None:
    """Entra writes anna.berger@stadt.example, Windows STADT\\bergera; another tenant's file row changes nothing here."""
    (tmp_path / "aliases.csv").write_text("anna.berger@stadt.example,bergera\nemil.koch,kochem,werke\n", "utf-8")
    config = msgspec.structs.replace(CONFIG, privacy=Settings(aliases_file=str(tmp_path / "aliases.csv"), domains=["stadt.example"]))
    names = ("Anna.Berger@stadt.example", "STADT\\BergerA", "emil.koch", "kochem")
    shown = routed([{"user.name": name} for name in names], config)["user.name"].to_list()
    assert shown[0] == shown[1]
    assert shown[2] != shown[3]


def test_a_roles_file_with_a_broken_row_is_refused_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "roles.csv").write_text("anna,Amt\nnur-ein-feld\n", "utf-8")
    config = msgspec.structs.replace(CONFIG, privacy=Settings(roles_file=str(tmp_path / "roles.csv")))
    with pytest.raises(ConfigError, match=r"^roles\.csv: row 2 is not: account, role group \[, tenant\]$"):
        routed([{"user.name": "anna"}], config)


def test_host_names_stay_plain_only_when_listed() -> None:
    names = ["SRV-Web.stadt.example", "fw1", "Firewall-Nord", "srv-mail", "pc-muster", "10.2.0.7", "10.1.0.7", "8.8.8.8", "srv-10.1.2.3"]
    for column in ("host.name", "observer.name"):
        shown = routed([{column: name} for name in names])[column].to_list()
        assert [s if not s.startswith("h-") else "h-…" for s in shown] == [
            "srv-web", "fw1", "firewall-nord", "srv-mail", "h-…", "10.2.0.7", "h-…", "8.8.8.8", "h-…",
        ]  # fmt: skip


def test_networks_and_direction_are_told_before_addresses_are_hidden() -> None:
    pairs = [
        ("10.1.0.1", "10.2.0.1"),
        ("10.1.0.1", "8.8.8.8"),
        ("8.8.8.8", "10.2.0.1"),
        ("8.8.8.8", "9.9.9.9"),
        ("8.8.8.8", ""),
        ("", "10.2.0.1"),
    ]
    frame = routed([{"source.ip": source, "destination.ip": destination} for source, destination in pairs])
    assert frame["network.direction"].to_list() == ["internal", "outbound", "inbound", "external", "inbound", ""]
    assert frame["source.network"].to_list() == ["Büro", "Büro", "", "", "", ""]
    assert frame["destination.network"].to_list() == ["Server", "", "Server", "", "", "Server"]
    assert frame["source.ip.kind"].to_list() == [2, 2, 1, 1, 1, 0]
    assert frame["destination.ip.kind"].to_list() == [1, 1, 1, 1, 0, 1]


def test_an_inside_address_nobody_listed_becomes_a_token() -> None:
    frame = routed([{"source.ip": "192.168.7.7"}, {"source.ip": "fe80::7"}])
    assert frame["source.ip.kind"].to_list() == [2, 2]
    assert frame["source.network"].to_list() == ["", ""]


def test_tokens_last_one_epoch_and_do_not_cross_tenants() -> None:
    row: Row = {"user.name": "anna", "source.ip": "10.1.0.1", "host.name": "pc1", "session.key": 77}
    times = [NOON, NOON + 12 * HOUR, NOON + DAY]
    days = routed([{**row, "@timestamp": at} for at in times])
    other = privacy().pseudonymise(decoded([row], (WERKE,)))["werke"]
    for column in ("user.name", "host.name", "source.ip.lo", "session.key"):
        one, same, next_day = days[column].to_list()
        assert one == same
        assert len({one, next_day, other[column].to_list()[0]}) == 3, column
    assert days["event.epoch"].to_list() == [20614, 20614, 20615]


def test_a_wrong_clock_cannot_ask_for_a_far_epoch() -> None:
    frame = routed([{"@timestamp": NOON + 300 * DAY, "event.created": NOON}, {"@timestamp": 0, "event.created": NOON}])
    assert frame["event.epoch"].to_list() == [20615, 20613]
    assert frame["@timestamp"].to_physical().to_list() == [NOON + 300 * DAY, 0]  # the event itself is not changed


def test_of_a_file_only_its_name_is_told() -> None:
    frame = routed([{"log.topic": "/home/anna.muster/auth.log"}, {"log.topic": "firewall"}])
    assert frame["log.topic"].to_list() == ["auth.log", "firewall"]


def test_shards_keep_record_order_and_share_no_dictionary() -> None:
    rows: list[Row] = [{"user.name": f"svc-{i}", "log.offset": i, "log.topic": f"topic-{i % 2}"} for i in range(10)]
    done = privacy().pseudonymise(decoded(rows, (RATHAUS, BAUHOF), [i % 2 for i in range(10)]))
    assert done["stadt/rathaus"]["log.offset"].to_list() == [0, 2, 4, 6, 8]
    assert done["stadt/bauhof"]["log.offset"].to_list() == [1, 3, 5, 7, 9]
    assert ecs.values(done["stadt/rathaus"], "user.name") == ["", "svc-0", "svc-2", "svc-4", "svc-6", "svc-8"]
    assert ecs.values(done["stadt/bauhof"], "log.topic") == ["", "topic-1"]


def test_topics_of_one_shard_may_lie_in_two_time_zones() -> None:
    zones = (RATHAUS, Origin("stadt", "rathaus", "America/New_York"))
    at = NOON - 6 * HOUR  # 08:00 in Berlin, 02:00 in New York
    frame = privacy().pseudonymise(decoded([{"@timestamp": at}] * 2, zones, [0, 1]))["stadt/rathaus"]
    assert frame["event.epoch"].to_list() == [20614, 20613]


def test_words_that_no_format_writes_become_other() -> None:
    frame = routed([{"event.action": "Anna Muster", "event.code": "Muster", "event.category": "network", "network.transport": "anna"}])
    assert frame.select("event.action", "event.code", "event.category", "network.transport").row(0) == (
        "other",
        "other",
        "network",
        "other",
    )


@pytest.mark.parametrize("code", ["4624", "0000000013", "%ASA-6-302013", "ASA-6-302013"])
def test_numbers_of_messages_stay(code: str) -> None:
    assert routed([{"event.code": code}])["event.code"].to_list() == [code]


def test_all_columns_are_there_in_their_order_and_numbers_pass_unchanged() -> None:
    counted = (*ecs.INTEGER, "attempt.kind", "attempt.count", "log.partition", "log.offset")
    row: Row = {name: number for number, name in enumerate(counted, 1)}
    frame = routed([row])
    assert tuple(frame.columns) == ecs.NAMES
    assert frame.schema == ecs.frame(1, {}).schema | {n: frame.schema[n] for n in ecs.TEXT}
    assert {name: frame[name].to_list()[0] for name in row} == row


def test_an_empty_batch_is_no_shard() -> None:
    empty = Decoded(ecs.frame(0, {}), np.zeros(0, np.int64), np.zeros(0, np.int32), (RATHAUS,), (), {})
    assert privacy().pseudonymise(empty) == {}


def test_nothing_is_remembered_of_persons_unless_the_mode_says_so() -> None:
    frame = routed([{"user.name": "anna", "event.category": "authentication", "source.ip": "8.8.8.8"}])
    assert [frame[f"seen.{name}"].to_list() for name in ("account", "provider", "band", "region")] == [[0]] * 4


def _seen(rows: Sequence[Row]) -> pl.DataFrame:
    config = msgspec.structs.replace(CONFIG, privacy=Settings(person_memory="first-seen"))
    return routed([{"event.category": "authentication", **row} for row in rows], config)


def test_first_seen_recognises_account_provider_and_band_across_epochs() -> None:
    frame = _seen(
        [
            {"user.name": "anna", "source.ip": "84.10.1.1"},
            {"user.name": "ANNA", "source.ip": "84.10.200.9", "@timestamp": NOON + 2 * DAY},
            {"user.name": "anna", "source.ip": "91.20.1.1", "@timestamp": NOON + 4 * HOUR},
            {"user.name": "bert", "source.ip": "84.10.1.1"},
            {"user.name": "anna", "source.ip": "10.1.0.1"},
        ]
    )
    account, provider, band = (frame[f"seen.{name}"].to_list() for name in ("account", "provider", "band"))
    assert account[0] == account[1] == account[2] == account[4] != account[3]
    assert provider[0] == provider[1]
    assert len({provider[0], provider[2], provider[3], provider[4]}) == 4
    assert band[0] == band[1]
    assert len({band[0], band[2], band[4]}) == 3


def test_first_seen_asks_only_about_logins_that_name_an_account() -> None:
    frame = _seen([{"user.name": "anna", "event.category": "network"}, {"source.ip": "84.10.1.1"}])
    assert frame["seen.account"].to_list() == frame["seen.provider"].to_list() == [0, 0]


def test_first_seen_hashes_are_not_the_same_for_two_tenants_or_questions() -> None:
    config = msgspec.structs.replace(CONFIG, privacy=Settings(person_memory="first-seen"))
    row = {"user.name": "anna", "event.category": "authentication", "source.ip": "84.10.1.1"}
    done = privacy(config).pseudonymise(decoded([row, row], (RATHAUS, WERKE), [0, 1]))
    numbers = [frame[f"seen.{name}"].to_list()[0] for frame in done.values() for name in ("account", "provider", "band")]
    assert len(set(numbers)) == 6


def test_cutting_the_batch_changes_no_event() -> None:
    """I1 begins here: tokens depend on key, tenant, epoch and name alone."""
    rows: list[Row] = [{"user.name": f"person{i % 7}", "source.ip": f"10.1.0.{i}", "@timestamp": NOON + i * HOUR} for i in range(60)]
    whole = routed(rows).with_columns(pl.col(pl.Enum).cast(pl.String))
    parts = [routed(rows[i : i + 7]).with_columns(pl.col(pl.Enum).cast(pl.String)) for i in range(0, 60, 7)]
    assert whole.equals(pl.concat(parts))


def test_names_over_many_epochs_come_out_as_over_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay of years asks for more pairs of name and epoch than a table of them should hold."""
    rows: list[Row] = [{"user.name": f"person{i % 40}", "@timestamp": NOON + i * 11 * HOUR} for i in range(400)]
    few = routed(rows)["user.name"].to_list()
    monkeypatch.setattr(texts, "LARGE", 100)
    assert routed(rows)["user.name"].to_list() == few
    assert len(set(few)) > 300


@given(st.lists(st.sampled_from([c for c in ecs.TEXT if c != "log.topic"]), min_size=1, unique=True), st.text(min_size=4, max_size=30))
def test_any_text_in_any_column_becomes_a_token_or_a_known_word(columns: list[str], text: str) -> None:
    """I5 as a property: what is not a known word, a number of a message or a listed name never comes out as it went in."""
    frame = routed([dict.fromkeys(columns, text)])
    for column in columns:
        shown = frame[column].to_list()[0]
        if column in fields.WORDS:
            assert shown in ("other", text)
            assert shown == "other" or fields.admitted(column, text, VOCABULARY[column]) == text
        elif column in ("user.name", "user.target.name"):
            assert shown.startswith(("u-", "svc-", "srv-")) or shown in fields.WELL_KNOWN_ACCOUNTS
        elif column in ("host.name", "observer.name"):
            assert shown.startswith(("h-", "srv-", "fw")) or ip_address(shown)
        else:
            assert shown in ("", "unknown", "admin", "service", "machine", "person")


def test_a_destroyed_epoch_is_forgotten_with_all_its_names() -> None:
    class Moving(MemoryKeyring):
        first = 0

    keyring = Moving(b"k" * 32)
    step = Privacy.of(CONFIG, keyring)
    step.pseudonymise(decoded([{"user.name": "anna.muster", "host.name": "pc-anna"}]))
    keyring.first = 20615
    step.pseudonymise(decoded([{"user.name": "bert", "@timestamp": NOON + DAY}]))
    remembered = repr([(tenant.users, tenant.machines) for tenant in step._tenants.values()])
    assert "anna" not in remembered
    assert "bert" in remembered


def test_no_plain_name_travels_in_an_unused_dictionary_entry() -> None:
    given = decoded([{"user.name": "anna.muster"}, {"user.name": "bert.muster"}])
    only_first = Decoded(given.events.head(1), given.rows[:1], given.origin[:1], given.origins, (), {})
    frame = privacy().pseudonymise(only_first)["stadt/rathaus"]
    assert hits(of_frame(frame), ["anna.muster", "bert.muster"]) == []
