"""One connection to PostgreSQL: opened late, reopened after a fall; failures become two words that the loop understands."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
from psycopg.rows import TupleRow

from detector.sentence import Sentence

Connection = psycopg.Connection[TupleRow]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = 946_684_800_000_000, 4_102_444_799_999_999  # µs: the years 2000 to 2099


class StoreError(Sentence):
    """The database cannot be used as it is; the text is one sentence for the operator. Ends the process."""


class Away(Exception):
    """The database does not answer at the moment: wait and try the same again."""


class Fenced(Sentence):
    """A newer owner has claimed the shard; nothing was written: stop."""


class Database:
    """A connection for one thread. No transaction is open between two calls."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: Connection | None = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction, rolled back by any exception. Raises Away when the server is not there or falls meanwhile.

        What the login has no right to is a StoreError that names neither the row nor its tenant.
        """
        try:
            with self._open() as connection:
                yield connection
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
            raise StoreError("The database login of this configuration has no right to that.") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise Away(_sentence(error)) from error

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _open(self) -> Iterator[Connection]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._conninfo)
        with self._connection.transaction():
            yield self._connection


@contextlib.contextmanager
def visit(conninfo: str) -> Iterator[Connection]:
    """One transaction on a connection of its own, with the same sentences as `Database.transaction`."""
    with contextlib.closing(Database(conninfo)) as database, database.transaction() as connection:
        yield connection


REFUSALS = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "does not support SSL",
    "certificate",
)


def connect(conninfo: str) -> Connection:
    """Raises StoreError where waiting would not help (wrong password, no such database), Away where it may."""
    try:
        return psycopg.connect(conninfo, autocommit=True, connect_timeout=5, application_name="tuermer")
    except psycopg.OperationalError as error:
        text = _sentence(error)
        if any(word in text for word in REFUSALS):
            raise StoreError(f"The database refuses the connection: {text}. Check database.url and its password.") from error
        raise Away(text) from error


def _sentence(error: psycopg.Error) -> str:
    """The line that says what failed; libpq adds advice and a summary of all addresses tried."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next((line for line in lines if "failed:" in line), lines[0]).removeprefix("connection failed: ").strip()


def held(us: int) -> int:
    """µs since the epoch within the years that our day partitions hold; what lies outside is held to the nearest."""
    return min(max(us, FIRST), LAST)


def moment(us: int) -> datetime:
    """µs since the epoch as a time, held as above."""
    return EPOCH + timedelta(microseconds=held(us))


def clean(text: str) -> str:
    """Text as PostgreSQL takes it: no NUL, no half characters; long values end in a mark so that an index can hold them."""
    kept = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return kept if len(kept) <= 500 else kept[:499] + "…"


def as_json(value: object) -> str:
    """JSON that PostgreSQL's jsonb takes: it knows no NUL character, and NaN becomes null."""
    return msgspec.json.encode(value).decode().replace("\\u0000", "\\ufffd")
