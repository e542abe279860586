"""From configuration to a database that is ready: start the embedded server, migrate, give the addresses."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
import psycopg.sql
from psycopg.conninfo import make_conninfo

from detector.config import Config
from detector.store import migrate
from detector.store.database import Away, StoreError
from detector.store.embedded import DATABASE, LOGINS, SUPERUSER, Embedded


@dataclass(frozen=True, slots=True)
class Opened:
    """Addresses with passwords (never to be logged) and how to end what was started."""

    daemon_url: str
    reader_url: str
    close: Callable[[], None]
    admin_url: str = ""  # of who may make roles


def open_database(config: Config, environ: Mapping[str, str], *, visit: bool = False) -> Opened:
    """A visitor (a command beside the daemon) leaves an embedded server running that ran before; others end it.

    Raises StoreError with one sentence when there is no usable database.
    """
    if config.database.url == "embedded":
        return _alone(Path(config.database.directory), visit=visit)
    url = with_password(config.database.url, config, environ)
    owner = url if config.database.owner_url == "" else with_password(config.database.owner_url, config, environ, "owner_")
    try:
        migrate.migrate(owner)
    except Away as error:
        raise StoreError(f"The database does not answer: {error}. Is it running, and is database.url right?") from error
    return Opened(url, url, lambda: None, owner)


def trainer_url(config: Config, environ: Mapping[str, str]) -> str:
    """The login of notebooks, to a database that runs; nothing is started or migrated. Raises StoreError."""
    if config.database.url == "embedded":
        server = Embedded(Path(config.database.directory))
        server.start()
        return server.url("tuermer_trainer")
    if config.database.trainer_url == "":
        raise StoreError("database.trainer_url is missing: notebooks need a login of their own, of the role tuermer_trainer.")
    return with_password(config.database.trainer_url, config, environ, "trainer_")


def _alone(directory: Path, *, visit: bool) -> Opened:
    """The embedded server for one owner at a time: whoever ends would end it for the other, too. Visitors may come and go."""
    if visit:
        return open_embedded(Embedded(directory), visit=True)
    directory.mkdir(parents=True, exist_ok=True)
    lock = (directory / "lock").open("wb")
    with contextlib.ExitStack() as undo:
        undo.callback(lock.close)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"Another Türmer is running with the embedded database in {directory}: end it, or use another folder."
            ) from None
        opened = open_embedded(Embedded(directory))
        undo.pop_all()

    def close() -> None:
        opened.close()
        lock.close()

    return Opened(opened.daemon_url, opened.reader_url, close, opened.admin_url)


def open_embedded(server: Embedded, *, visit: bool = False) -> Opened:
    started = server.start()
    prepare(server)
    close = server.stop if started or not visit else lambda: None
    daemon = server.url("tuermer_daemon")
    return Opened(daemon, daemon, close, server.url(SUPERUSER))


def prepare(server: Embedded, database: str = DATABASE) -> None:
    """Roles with logins, the database, and its schema; repeating it changes nothing."""
    passwords = server.passwords()
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as connection:
        migrate.make_roles(connection)
        rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin").fetchall()
        for role in LOGINS:
            if (role,) not in rows:
                password = psycopg.sql.Literal(passwords[role])
                connection.execute(psycopg.sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(psycopg.sql.Identifier(role), password))
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", (database,)).fetchone() is None:
            name = psycopg.sql.Identifier(database)
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {} OWNER tuermer_owner").format(name))
            connection.execute(psycopg.sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        connection.execute(
            psycopg.sql.SQL("GRANT CONNECT ON DATABASE {} TO tuermer_daemon, tuermer_grafana, tuermer_auditor, tuermer_trainer").format(
                psycopg.sql.Identifier(database)
            )
        )
    migrate.migrate(server.url("tuermer_owner", database))


def with_password(url: str, config: Config, environ: Mapping[str, str], prefix: str = "") -> str:
    """The address with the password from the environment or file that the configuration names; `prefix` "owner_" for the owner's."""
    variable: str = getattr(config.database, f"{prefix}password_env")
    file: str = getattr(config.database, f"{prefix}password_file")
    if variable != "":
        secret = environ.get(variable)
        if secret is None:
            raise StoreError(f"database.{prefix}password_env: the environment has no variable {variable}.")
    elif file != "":
        try:
            secret = Path(file).read_text().strip()
        except OSError as error:
            raise StoreError(f"database.{prefix}password_file: {file} cannot be read ({error.strerror}).") from error
    else:
        return url
    return make_conninfo(url, password=secret)
