"""Logins of one tenant: for its dashboards, its auditor and its notebooks. What they see is decided in 0012_retention.sql.

The names of the roles are drawn by lot: every login of a server may list the names of all roles, and the name of a tenant in
one of them would tell the others who else is a customer.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import psycopg
import psycopg.sql
from psycopg.sql import SQL, Identifier, Literal

from detector.store.database import Connection, StoreError, moment, visit

KINDS = ("grafana", "auditor", "trainer")
SETTINGS = {  # a member does not inherit the settings of its group
    "grafana": {"statement_timeout": "15s", "default_transaction_read_only": "on"},
    "auditor": {"statement_timeout": "60s", "default_transaction_read_only": "on"},
    "trainer": {"statement_timeout": "300s"},
}


@dataclass(frozen=True, slots=True)
class Login:
    """A role and its password, which exists nowhere else in plain."""

    tenant: str
    kind: str
    role: str
    password: str

    def file(self) -> tuple[str, str]:
        """Name and content of the file that hands it over: the role, the password, one line each."""
        return f"{self.tenant}.{self.kind}.login", f"{self.role}\n{self.password}\n"


def add(admin_url: str, tenant: str, now: int) -> list[Login]:
    """Makes the tenant's three roles; from the first tenant on the shared roles see health only. `now` in µs.

    Raises StoreError when the tenant has them already or `admin_url` may not make roles.
    """
    with visit(admin_url) as connection:
        if any(row[2] == tenant for row in roles(connection)):
            raise StoreError(f"The tenant {tenant} has its roles already; new passwords: tuermer tenant renew {tenant}.")
        connection.execute("UPDATE store.tenant_roles SET scope = 'health' WHERE tenant IS NULL AND kind <> 'daemon'")
        return [_make(connection, tenant, kind, now) for kind in KINDS]


def renew(admin_url: str, tenant: str) -> list[Login]:
    """New passwords for the tenant's roles; the old ones end at once. Raises StoreError when it has none."""
    with visit(admin_url) as connection:
        return [_set_password(connection, Login(tenant, kind, role, _password())) for role, kind in _of(connection, tenant)]


def remove(admin_url: str, tenant: str) -> list[str]:
    """Takes the tenant's roles away, ending their sessions' rights; its data stay until their time. Returns the roles' names."""
    with visit(admin_url) as connection:
        gone = [role for role, _ in _of(connection, tenant)]
        for role in gone:
            connection.execute(SQL("DROP ROLE {}").format(Identifier(role)))
        connection.execute("DELETE FROM store.tenant_roles WHERE tenant = %s", (tenant,))
        return gone


def roles(connection: Connection) -> list[tuple[str, str, str]]:
    """(role, kind, tenant) of all tenants' roles. The daemon may ask."""
    rows = connection.execute("SELECT role::text, kind, tenant FROM store.tenant_roles WHERE tenant IS NOT NULL ORDER BY tenant, kind")
    return [(role, kind, tenant) for role, kind, tenant in rows.fetchall()]


def narrow(connection: Connection, tenants: Iterable[str] | None) -> None:
    """Until the end of the transaction the public views show these tenants only; None shows all that the login may see."""
    given = "" if tenants is None else msgspec.json.encode(sorted(tenants)).decode()
    connection.execute("SELECT set_config('tuermer.tenants', %s, true)", (given,))


def _of(connection: Connection, tenant: str) -> list[tuple[str, str]]:
    found = [(role, kind) for role, kind, whose in roles(connection) if whose == tenant]
    if found == []:
        raise StoreError(f"The tenant {tenant} has no roles of its own.")
    return found


def _make(connection: Connection, tenant: str, kind: str, now: int) -> Login:
    login = Login(tenant, kind, f"tuermer_{kind}_{secrets.token_hex(4)}", _password())
    role = Identifier(login.role)
    try:
        connection.execute(SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(role, Identifier(f"tuermer_{kind}")))
        for name, value in SETTINGS[kind].items():
            connection.execute(SQL("ALTER ROLE {} SET {} = {}").format(role, Identifier(name), Literal(value)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(
            f"{connection.info.user} may not make roles: let an administrator of the database run this command once "
            "with database.owner_url of a role that has CREATEROLE."
        ) from error
    connection.execute(
        "INSERT INTO store.tenant_roles (role, kind, tenant, scope, made) VALUES (%s, %s, %s, 'tenant', %s)",
        (login.role, kind, tenant, moment(now)),
    )
    return _set_password(connection, login)


def _set_password(connection: Connection, login: Login) -> Login:
    """Only the SCRAM verifier travels, so that no log of statements holds the password."""
    verifier = connection.pgconn.encrypt_password(login.password.encode(), login.role.encode(), b"scram-sha-256").decode()
    connection.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(login.role), Literal(verifier)))
    return login


def _password() -> str:
    return secrets.token_urlsafe(24)
