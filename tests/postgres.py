"""Real PostgreSQL servers for tests: the wheel's and, where installed, Debian's 15. Each session starts its own."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import psycopg.sql
import pytest

from detector.store.embedded import SETTINGS, SUPERUSER, Embedded, wheel_binaries
from detector.store.opening import prepare

DEBIAN = Path("/usr/lib/postgresql/15/bin")
FAST = {**SETTINGS, "fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB"}
TEMPLATE = "tuermer_template"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class TestDatabase:
    """A fresh database with our schema and roles."""

    __test__ = False  # not a class of tests

    server: Embedded
    name: str

    def url(self, role: str = "tuermer_daemon") -> str:
        return self.server.url(role, self.name)

    def rows(self, sql: str, *arguments: object, role: str = SUPERUSER) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(role), autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), arguments)
            return cursor.fetchall() if cursor.description is not None else []


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that a service user can reach: pytest's own are closed to everybody else."""
    folder = Path(tempfile.mkdtemp(prefix="tuermer-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def running(binaries: Path) -> Iterator[Embedded]:
    with open_folder() as folder:
        server = Embedded(folder / "postgres", binaries, settings=FAST)
        server.start()
        try:
            prepare(server, TEMPLATE)
            yield server
        finally:
            server.kill()  # its data is thrown away: no checkpoint


@contextlib.contextmanager
def fresh(server: Embedded) -> Iterator[TestDatabase]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as connection:
        create = psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY OWNER tuermer_owner")
        connection.execute(create.format(psycopg.sql.Identifier(name), psycopg.sql.Identifier(TEMPLATE)))
    yield TestDatabase(server, name)
    server.start()  # a test may have stopped it
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(psycopg.sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Embedded]:
    with running(wheel_binaries()) as server:
        yield server


@pytest.fixture(scope="session")
def debian_server() -> Iterator[Embedded]:
    if not (DEBIAN / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not installed here (apt-get install postgresql-15): the store is tested on the wheel's server only")
    with running(DEBIAN) as server:
        yield server


@pytest.fixture
def database(postgres_server: Embedded) -> Iterator[TestDatabase]:
    """A fresh database on the wheel's PostgreSQL."""
    with fresh(postgres_server) as made:
        yield made


@pytest.fixture(params=["postgres_server", "debian_server"], ids=["wheel", "debian15"])
def any_database(request: pytest.FixtureRequest) -> Iterator[TestDatabase]:
    """The same test on every PostgreSQL there is here."""
    with fresh(request.getfixturevalue(request.param)) as made:
        yield made
