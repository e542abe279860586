"""Three tenants in one database: nobody sees, writes or learns of another's rows, whatever view or table it is."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from detector.store import tenancy
from detector.store.database import StoreError
from tests.postgres import TestDatabase

NOW = 1_780_315_200_000_000
TENANTS = ("altstadt", "bergdorf", "cäcilienhof")


@pytest.fixture
def logins(database: TestDatabase) -> Iterator[dict[tuple[str, str], tenancy.Login]]:
    made = {(one.tenant, one.kind): one for name in TENANTS for one in tenancy.add(database.url("postgres"), name, NOW)}
    yield made
    for name in {tenant for tenant, _ in made}:
        tenancy.remove(database.url("postgres"), name)


def test_a_login_of_each_kind_is_made_whose_name_tells_nothing(logins: dict[tuple[str, str], tenancy.Login]) -> None:
    assert {kind for _, kind in logins} == set(tenancy.KINDS)
    assert not any(tenant[:4] in login.role for (tenant, _), login in logins.items())


def test_the_login_of_one_tenant_works_and_has_the_limits_of_its_kind(
    database: TestDatabase, logins: dict[tuple[str, str], tenancy.Login]
) -> None:
    with psycopg.connect(url(database, logins["altstadt", "grafana"])) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("15s",)
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


def test_a_tenant_is_added_once_and_gets_new_passwords_on_request(
    database: TestDatabase, logins: dict[tuple[str, str], tenancy.Login]
) -> None:
    with pytest.raises(StoreError, match="has its roles already"):
        tenancy.add(database.url("postgres"), "altstadt", NOW)
    old = logins["altstadt", "grafana"]
    new = next(one for one in tenancy.renew(database.url("postgres"), "altstadt") if one.kind == "grafana")
    assert new.role == old.role
    psycopg.connect(url(database, new)).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(database, old))


def url(database: TestDatabase, login: tenancy.Login) -> str:
    return f"postgresql://{login.role}:{login.password}@127.0.0.1:{database.server.port}/{database.name}"
