"""Three tenants in one database: nobody sees, writes or learns of another's rows, whatever view or table it is."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from cyclopts import CycloptsError
from psycopg.rows import TupleRow
from starlette.testclient import TestClient

from detector.cli import app
from detector.sentence import Sentence
from detector.store import Reader, tenancy
from detector.store.database import StoreError
from detector.store.embedded import Embedded
from detector.web.access import Access, Person
from detector.web.page import Probes, application
from tests.filled import fill, token
from tests.postgres import TestDatabase, fresh

NOW = 1_780_315_200_000_000
TENANTS = ("altstadt", "bergdorf", "cäcilienhof")


@pytest.fixture(scope="module")
def made(postgres_server: Embedded) -> Iterator[TestDatabase]:
    with fresh(postgres_server) as database:
        yield database


@pytest.fixture(scope="module")
def logins(made: TestDatabase) -> Iterator[dict[tuple[str, str], tenancy.Login]]:
    """All tests here read, or are refused: one database is enough for them."""
    yield {(one.tenant, one.kind): one for name in TENANTS for one in tenancy.add(made.url("postgres"), name, NOW)}
    for name in TENANTS:
        tenancy.remove(made.url("postgres"), name)


@pytest.fixture(scope="module")
def towns(made: TestDatabase, logins: dict[tuple[str, str], tenancy.Login]) -> TestDatabase:
    """Each table has rows of each tenant, in which its name, its token or its incidents' ids stand."""
    fill(made, TENANTS, dt.datetime.now(dt.UTC), (0, 1), held=True)
    return made


def test_a_login_of_each_kind_is_made_whose_name_tells_nothing(logins: dict[tuple[str, str], tenancy.Login]) -> None:
    assert {kind for _, kind in logins} == set(tenancy.KINDS)
    assert not any(tenant[:4] in login.role for (tenant, _), login in logins.items())


def test_the_login_of_one_tenant_works_and_has_the_limits_of_its_kind(
    made: TestDatabase, logins: dict[tuple[str, str], tenancy.Login]
) -> None:
    with psycopg.connect(url(made, logins["altstadt", "grafana"])) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("15s",)
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


def test_a_tenant_is_added_once_and_gets_new_passwords_on_request(made: TestDatabase, logins: dict[tuple[str, str], tenancy.Login]) -> None:
    with pytest.raises(StoreError, match="has its roles already"):
        tenancy.add(made.url("postgres"), "altstadt", NOW)
    old = logins["altstadt", "grafana"]
    renewed = tenancy.renew(made.url("postgres"), "altstadt")
    new = next(one for one in renewed if one.kind == "grafana")
    assert new.role == old.role
    psycopg.connect(url(made, new)).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(made, old))
    logins.update({(one.tenant, one.kind): one for one in renewed})


HEALTH = {  # what the operator of many tenants sees of each
    "grafana.health", "grafana.devices", "grafana.unwell", "public.health", "public.health_incidents", "public.devices", "public.learning",
    "grafana.dead_letters", "grafana.dead_letters_24h", "grafana.learning", "store.shards",
}  # fmt: skip


def relations(database: TestDatabase) -> list[str]:
    rows = database.rows(
        "SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('store', 'public', 'grafana') AND c.relkind IN ('r', 'v', 'p', 'm') ORDER BY 1"
    )
    return [str(name) for (name,) in rows]


def marks(database: TestDatabase, tenant: str) -> list[str]:
    """What gives the tenant away: its name, its token, its incidents."""
    ids = database.rows("SELECT id::text FROM store.incidents WHERE tenant = %s", tenant)
    return [tenant, token(tenant), *(str(id_) for (id_,) in ids)]


def read(connection: psycopg.Connection[TupleRow], relation: str) -> str | None:
    """All rows as text (columns that may be read), None where nothing may be."""
    try:
        columns = connection.execute(
            "SELECT string_agg(quote_ident(attname), ',') FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped AND has_column_privilege(attrelid, attnum, 'SELECT')",
            (relation,),
        ).fetchone()
        if columns is None or columns[0] is None:
            return None
        rows = connection.execute(f"SELECT row_to_json(x)::text FROM (SELECT {columns[0]} FROM {relation}) AS x")
        return "\n".join(row[0] for row in rows.fetchall())
    except psycopg.errors.InsufficientPrivilege:
        return None


def test_no_login_of_a_tenant_reads_anything_of_another_from_any_table_or_view(
    towns: TestDatabase, logins: dict[tuple[str, str], tenancy.Login]
) -> None:
    names, seen = relations(towns), set()
    for (tenant, kind), login in logins.items():
        foreign = [mark for other in TENANTS if other != tenant for mark in marks(towns, other)]
        own = marks(towns, tenant)
        with psycopg.connect(url(towns, login), autocommit=True) as connection:
            for name in names:
                text = read(connection, name)
                if text is not None:
                    assert [mark for mark in foreign if mark in text] == [], f"the {kind} of {tenant} in {name}"
                    seen |= {(kind, name)} if any(mark in text for mark in own) else set()
    assert {("grafana", "grafana.triage"), ("auditor", "store.audit"), ("trainer", "store.reservoir")} <= seen
    assert len(seen) > 25, "each kind of login sees what is its own"


def test_the_shared_logins_see_health_and_no_contents_once_there_are_tenants(towns: TestDatabase) -> None:
    everything = [mark for tenant in TENANTS for mark in marks(towns, tenant)]
    found = set()
    for role in ("tuermer_grafana", "tuermer_auditor", "tuermer_trainer"):
        with psycopg.connect(towns.url(role), autocommit=True) as connection:
            for name in relations(towns):
                text = read(connection, name)
                if text is not None and any(mark in text for mark in everything):
                    found.add(name)
    assert found <= HEALTH, "the operator sees contents"
    assert found >= {"grafana.devices"}, "the operator sees no health"


def test_one_town_without_logins_of_tenants_needs_no_more_than_the_shared_ones(database: TestDatabase) -> None:
    fill(database, ("stadt",), dt.datetime.now(dt.UTC), (0,))
    with psycopg.connect(database.url("tuermer_grafana"), autocommit=True) as connection:
        assert "stadt" in (read(connection, "grafana.triage") or "")


def test_another_tenants_row_and_none_at_all_give_the_same_answer(
    towns: TestDatabase, logins: dict[tuple[str, str], tenancy.Login]
) -> None:
    ((foreign,),) = towns.rows("SELECT id::text FROM store.incidents WHERE tenant = 'bergdorf' LIMIT 1")
    with psycopg.connect(url(towns, logins["altstadt", "grafana"]), autocommit=True) as connection:
        for id_ in (str(foreign), "00000000-0000-0000-0000-000000000000"):
            assert connection.execute("SELECT * FROM grafana.triage WHERE id = %s::uuid", (id_,)).fetchall() == []
        for trick in (  # a filter that would tell by an error which rows there are, were it asked before ours
            "SELECT count(*) FROM grafana.triage WHERE 1 / (CASE WHEN tenant = 'bergdorf' THEN 0 ELSE 1 END) = 1",
            "SELECT count(*) FROM grafana.triage WHERE tenant = 'bergdorf' AND 1 / (length(tenant) - 8) = 1",
        ):
            connection.execute(trick.encode()).fetchall()


def test_a_tenant_writes_nothing_for_another(towns: TestDatabase, logins: dict[tuple[str, str], tenancy.Login]) -> None:
    """Whatever a login may insert, update or delete: a foreign tenant's name is refused by the rule, before any key is looked at."""
    writable = towns.rows(
        "SELECT r.rolname::text, c.oid::regclass::text, string_agg(quote_ident(a.attname), ',') FROM pg_roles AS r"
        " CROSS JOIN pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE r.rolname = ANY(%s) AND c.relnamespace IN ('store'::regnamespace, 'public'::regnamespace) AND c.relkind IN ('r', 'p', 'v')"
        " AND has_column_privilege(r.oid, c.oid, a.attnum, 'INSERT') GROUP BY 1, 2",
        [login.role for login in logins.values() if login.tenant == "altstadt"],
    )
    by_role = {login.role: login for login in logins.values()}
    for role, name, columns in writable:
        ((row,),) = towns.rows(f"SELECT row_to_json(t)::text FROM {name} AS t WHERE tenant = 'bergdorf' LIMIT 1")
        for foreign in (str(row), str(row).replace("m-bergdorf", "m-new")):  # one that is there, one that is not
            with psycopg.connect(url(towns, by_role[str(role)]), autocommit=True) as connection:
                copy = f"INSERT INTO {name} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::{name}, %s)"
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="violates row-level security policy"):
                    connection.execute(copy.encode(), (foreign,))
    assert len(writable) >= 4


def test_every_table_that_knows_its_tenant_is_under_the_rule(any_database: TestDatabase) -> None:
    rows = any_database.rows(
        "SELECT DISTINCT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'store'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " AND a.attname IN ('tenant', 'shard') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
    )
    assert rows == [("tenant_roles",)], "store.protect('store.…') is missing"


def test_the_page_narrows_itself_and_never_widens(towns: TestDatabase, logins: dict[tuple[str, str], tenancy.Login]) -> None:
    count = "SELECT DISTINCT tenant FROM public.incidents ORDER BY 1"
    with psycopg.connect(towns.url()) as connection:
        tenancy.narrow(connection, ["bergdorf"])
        assert connection.execute(count).fetchall() == [("bergdorf",)]
        tenancy.narrow(connection, [])
        assert connection.execute(count).fetchall() == []
        tenancy.narrow(connection, None)
        assert len(connection.execute(count).fetchall()) == 3
    with psycopg.connect(url(towns, logins["altstadt", "grafana"])) as connection:
        connection.execute("SELECT set_config('tuermer.tenants', '[\"bergdorf\"]', true)")
        assert connection.execute("SELECT FROM grafana.triage").fetchall() == []


COMMANDS = (
    ("explain", "{incident}"),
    ("explain", "{incident}", "--json"),
    ("digest", "--tenant", "{tenant}"),
    ("go-live", "--tenant", "{tenant}", "--by", "a", "--yes"),
    ("suppress", "list", "--tenant", "{tenant}"),
    ("suppress", "add", "--by", "a", "--reason", "r", "--incident", "{incident}"),
    ("suppress", "add", "--by", "a", "--reason", "r", "--tenant", "{tenant}", "--entity", "service=x"),
    ("suppress", "end", "{suppression}", "--by", "a"),
    ("hold", "add", "--incident", "{incident}", "--case", "1", "--reason", "r", "--by", "a"),
    ("hold", "list"),
    ("hold", "end", "{hold}", "--by", "a"),
    ("tenant", "list"),
    ("tenant", "add", "{tenant}"),
    ("tenant", "remove", "{tenant}"),
    ("night",),
    ("privacy", "report"),
    ("audit", "export", "--tenant", "{tenant}"),
    ("audit", "verify"),
    ("models", "promote", "m-{tenant}", "--tenant", "{tenant}"),
)


def command(folder: Path, words: Sequence[str]) -> str:
    """What a command says, in this process; an exception that is no sentence would fail the test."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            app([*words, "--config", str(folder / "tuermer.toml")], exit_on_error=False, result_action="return_value")
        except (Sentence, CycloptsError) as error:
            out.write(str(error))
        except SystemExit:
            pass
    return out.getvalue()


@pytest.mark.parametrize("kind", tenancy.KINDS)
def test_a_command_with_a_tenants_login_tells_nothing_of_another_not_even_that_it_is_there(
    towns: TestDatabase, logins: dict[tuple[str, str], tenancy.Login], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    login = logins["altstadt", kind]
    (tmp_path / "tuermer.toml").write_text(
        '[[topics]]\nname = "auth"\ntenant = "altstadt"\n[database]\npassword_env = "LOGIN"\n'
        f'url = "postgresql://{login.role}@127.0.0.1:{towns.server.port}/{towns.name}"\n'
    )
    monkeypatch.setenv("LOGIN", login.password)
    monkeypatch.chdir(tmp_path)
    ((incident, suppression, hold),) = towns.rows(
        "SELECT id::text, (SELECT min(id) FROM store.suppressions WHERE tenant = 'bergdorf')::text,"
        " (SELECT min(id) FROM store.holds WHERE tenant = 'bergdorf')::text FROM store.incidents WHERE tenant = 'bergdorf' LIMIT 1"
    )
    there = {"incident": str(incident), "tenant": "bergdorf", "suppression": str(suppression), "hold": str(hold)}
    nowhere = {"incident": "00000000-0000-0000-0000-000000000000", "tenant": "nirgends", "suppression": "99999", "hold": "99999"}
    foreign = [mark for other in TENANTS[1:] for mark in marks(towns, other)]
    for words in COMMANDS:
        answers = []
        for values in (there, nowhere):
            said = command(tmp_path, [word.format(**values) for word in words])
            for name in ("incident", "tenant"):
                said = said.replace(values[name], "…")
            answers.append(re.sub(r"[0-9T:.+Z-]{8,}|[0-9]+", "#", said))
        assert answers[0] == answers[1], words
        assert [mark for mark in foreign if mark in answers[0]] == [], words
    before = towns.rows("SELECT count(*) FROM store.holds WHERE ended IS NULL")
    assert before == [(3,)], "something was written"


def test_the_page_of_a_person_of_one_tenant_gives_the_same_answer_for_anothers_incident_and_for_none(towns: TestDatabase) -> None:
    person = Person("meier", frozenset({"analyst"}), frozenset({"altstadt"}))
    foreign = [mark for other in TENANTS[1:] for mark in marks(towns, other)]
    ((incident,),) = towns.rows("SELECT id::text FROM store.incidents WHERE tenant = 'bergdorf' LIMIT 1")
    access = Access({hashlib.sha256(b"x" * 32).hexdigest(): person})
    with contextlib.closing(Reader(towns.url())) as reader:
        made = application(reader, Probes(lambda: None, lambda: None, lambda: b""), access=access, hosts=("testserver",))
        client = TestClient(made, cookies={access.cookie: access.login("x" * 32) or ""})
        assert token("altstadt") in client.get("/").text or "altstadt" in client.get("/").text
        for path in ("/", "/?tenant=bergdorf", "/?status=open"):
            answer = client.get(path).text
            assert [mark for mark in foreign if mark in answer.replace("tenant=bergdorf", "")] == [], path
        none = "00000000-0000-0000-0000-000000000000"
        for pattern in ("/incident/{}", "/incident/{}?lang=en"):
            there, nowhere = client.get(pattern.format(incident)), client.get(pattern.format(none))
            assert there.status_code == nowhere.status_code == 404
            assert plain(there.text, str(incident)) == plain(nowhere.text, none)


def test_a_login_whose_password_cannot_be_kept_is_not_made(database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN", database.server.passwords()["postgres"])
    (tmp_path / "tuermer.toml").write_text(
        '[[topics]]\nname = "auth"\ntenant = "altstadt"\n[database]\npassword_env = "ADMIN"\n'
        f'url = "postgresql://postgres@127.0.0.1:{database.server.port}/{database.name}"\n'
    )
    (tmp_path / "altstadt.auditor.login").write_text("")
    assert "exists and is not overwritten" in command(tmp_path, ["tenant", "add", "altstadt", "--out", str(tmp_path)])
    assert "cannot be made: No such file or directory" in command(tmp_path, ["tenant", "add", "altstadt", "--out", str(tmp_path / "none")])
    assert "is not a tenant of any of [[topics]]" in command(tmp_path, ["tenant", "add", "neustadt", "--out", str(tmp_path)])
    assert database.rows("SELECT FROM store.tenant_roles WHERE tenant IS NOT NULL") == []
    assert sorted(path.name for path in tmp_path.glob("*.login")) == ["altstadt.auditor.login"]
    (tmp_path / "altstadt.auditor.login").unlink()
    said = command(tmp_path, ["tenant", "add", "altstadt", "--out", str(tmp_path)])
    try:
        made = tmp_path / "altstadt.grafana.login"
        role, password = made.read_text().split()
        assert password not in said
        assert made.stat().st_mode & 0o077 == 0
        psycopg.connect(f"postgresql://{role}:{password}@127.0.0.1:{database.server.port}/{database.name}").close()
    finally:
        assert command(tmp_path, ["tenant", "remove", "altstadt"]).count("removed tuermer_") == 3


def plain(page: str, id_: str) -> str:
    """Without the id that was asked for and the mark against forged forms, which is new each time."""
    return re.sub(r'value="[A-Za-z0-9_-]{22}"', "", page).replace(id_, "…")


def url(database: TestDatabase, login: tenancy.Login) -> str:
    return f"postgresql://{login.role}:{login.password}@127.0.0.1:{database.server.port}/{database.name}"
