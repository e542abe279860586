"""Everything that a database holds, found through its catalogue, so that no new table or column can be forgotten.

For the search for names (`privacy.verify`): every row as text, and every binary column as it is and, where it is compressed, unpacked.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import psycopg
import zstandard
from psycopg.sql import SQL, Identifier

from detector.store.database import Connection, connect

CHUNK = 8 << 20  # bytes of text given at once
LARGEST = 1 << 30  # of a value unpacked
ZSTD = b"\x28\xb5\x2f\xfd"
GZIP = (b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda")
SNAPSHOTS = "SELECT string_agg(payload, ''::bytea ORDER BY part) FROM store.snapshot_parts GROUP BY shard"


class Place(NamedTuple):
    """A part of the database: `readable` is false where the login has no right to it, and then nothing was looked at."""

    name: str
    content: bytes
    readable: bool = True


def contents(conninfo: str) -> Iterator[Place]:
    """All rows of all tables outside PostgreSQL's own, in pieces; snapshots once more as a whole. Raises Away, StoreError."""
    with connect(conninfo) as connection:
        for schema, table, binary in _tables(connection):
            name = f"{schema}.{table}"
            try:
                with connection.transaction():
                    for piece in _texts(connection, schema, table):
                        yield Place(name, piece)
                    for column in binary:
                        yield from (Place(f"{name}.{column}", value) for value in _values(connection, schema, table, column))
            except psycopg.errors.InsufficientPrivilege:
                yield Place(name, b"", readable=False)
        yield from _snapshots(connection)


def _tables(connection: Connection) -> list[tuple[str, str, list[str]]]:
    """Schema, table and its columns of type bytea (or arrays of them)."""
    rows = connection.execute(
        """
        SELECT n.nspname, c.relname, coalesce(
            array_agg(a.attname::text) FILTER (WHERE a.atttypid IN ('bytea'::regtype, 'bytea[]'::regtype)), '{}'
        )
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        GROUP BY 1, 2 ORDER BY 1, 2
        """
    ).fetchall()
    return [(schema, table, list(columns)) for schema, table, columns in rows]


def _texts(connection: Connection, schema: str, table: str) -> Iterator[bytes]:
    with connection.cursor(name="contents") as cursor:
        cursor.execute(SQL("SELECT t::text FROM {}.{} AS t").format(Identifier(schema), Identifier(table)))
        piece = bytearray()
        for (row,) in cursor:
            piece += row.encode() + b"\n"
            if len(piece) > CHUNK:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)


def _values(connection: Connection, schema: str, table: str, column: str) -> Iterator[bytes]:
    with connection.cursor(name="values") as cursor:
        cursor.execute(SQL("SELECT {} FROM {}.{}").format(Identifier(column), Identifier(schema), Identifier(table)))
        for (value,) in cursor:
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    yield unpacked(bytes(one))


def _snapshots(connection: Connection) -> Iterator[Place]:
    """A snapshot of many parts can be unpacked as a whole only."""
    if connection.execute("SELECT to_regclass('store.snapshot_parts')").fetchone() == (None,):
        return
    try:
        with connection.transaction():
            for (payload,) in connection.execute(SNAPSHOTS).fetchall():
                yield Place("snapshots", unpacked(bytes(payload)))
    except psycopg.errors.InsufficientPrivilege:
        yield Place("snapshots", b"", readable=False)


def unpacked(value: bytes) -> bytes:
    """The value and, where it is zstandard, gzip or zlib, what is in it."""
    try:
        if value.startswith(ZSTD):
            return value + zstandard.ZstdDecompressor().decompressobj().decompress(value)
        if value.startswith(GZIP):
            return value + zlib.decompressobj(wbits=47).decompress(value, LARGEST)
    except (zstandard.ZstdError, zlib.error):
        return value  # it only looked like it: half a value, or other bytes
    return value
