"""The event columns: one polars frame per batch, ECS names, no nulls, every column zero-copy to numpy.

Absent is a value of the column itself, because a null mask would cost a copy on the way to the kernels:
text -> "" (always category 0) · address -> kind 0 · port, bytes, packets -> -1 · keys -> 0.
A text column is a `pl.Enum` whose categories are those of this batch only: the codes go to the kernels as they
are, the few distinct texts are handled in Python (tokens, words), and the dictionary travels inside the Arrow message.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

ABSENT, PLAIN, TOKEN = 0, 1, 2  # the kind of an address
DRILL = "tuermer-drill"  # host and account of rehearsed attacks: names nobody, stays plain, and no real machine may be called so

TEXT = (
    "event.dataset",  # the format's name, e.g. fortigate
    "event.category",  # network | authentication
    "event.action",  # allowed | denied | dropped | login | logout | ticket | account-change | …, see decode/formats/README.md
    "event.outcome",  # success | failure | unknown
    "event.code",  # e.g. the Windows event id
    "network.transport",  # tcp | udp | icmp | …
    "network.direction",  # inbound | outbound | internal | external; filled by privacy from [[networks]]
    "source.network",  # name of the configured network, "" outside; filled by privacy
    "destination.network",
    "user.name",  # plain before privacy, token (or plain service account) after
    "user.target.name",
    "user.kind",  # person | service | machine | admin | unknown; filled by privacy from [[accounts]]
    "user.roles",  # role group; filled by privacy
    "host.name",  # the machine logged in to
    "observer.name",  # the device that wrote the line
    "authentication.method",  # password | publickey | kerberos | ntlm | mfa | … (our one extension)
    "log.topic",  # provenance
    # What kind of network a login comes from; filled by privacy for logins, from [[networks]] and [enrichment].
    "source.as.organization.name",  # the provider of an outside address
    "source.geo.region_iso_code",  # DE-BW, or the country alone
    "source.kind",  # office | vpn | home | mobile | hosting | relay | abroad (our extension)
)
ADDRESS = ("source.ip", "destination.ip")  # each as .hi .lo (UInt64, network order, IPv4 as ::ffff:a.b.c.d) and .kind
INTEGER: Mapping[str, pl.DataType] = {
    "source.port": pl.Int32(),
    "destination.port": pl.Int32(),
    "source.bytes": pl.Int64(),
    "destination.bytes": pl.Int64(),
    "source.packets": pl.Int64(),
}
KEY: Mapping[str, pl.DataType] = {
    # One attempt is reported by several lines of one connection (shared/streams.md no. 10): the connection's key,
    # which kind of line this is (1..7, 0 = no login attempt) and how many attempts the line itself claims.
    "session.key": pl.UInt64(),
    "attempt.kind": pl.UInt8(),
    "attempt.count": pl.UInt16(),
    # privacy.person_memory = "first-seen": keyed hashes that SCORE may ask its filters about; 0 otherwise.
    "seen.provider": pl.UInt64(),
    "seen.region": pl.UInt64(),
    "seen.band": pl.UInt64(),
    "seen.account": pl.UInt64(),
    "event.epoch": pl.Int32(),  # days since 1970 of the token epoch (05:00 to 05:00 tenant time)
}
PROVENANCE: Mapping[str, pl.DataType] = {
    "log.partition": pl.Int32(),
    "log.offset": pl.Int64(),
    "event.created": pl.Datetime("us", "UTC"),  # the record's timestamp
}

NAMES: tuple[str, ...] = (
    "@timestamp",
    *TEXT,
    *(f"{name}.{part}" for name in ADDRESS for part in ("hi", "lo", "kind")),
    *INTEGER,
    *KEY,
    *PROVENANCE,
)

# Columns that messages of an earlier version lack; there they are absent. `tuermer.events` keeps messages for 72 hours.
ADDED = frozenset(("source.as.organization.name", "source.geo.region_iso_code", "source.kind"))

Text = tuple[NDArray[np.integer], Sequence[str]]  # codes (n), distinct values; values[0] == ""


def _width(values: Sequence[str]) -> type[np.unsignedinteger]:
    return np.uint8 if len(values) < 256 else np.uint16 if len(values) < 65_536 else np.uint32


def text(codes: NDArray[np.integer], values: Sequence[str], name: str = "") -> pl.Series:
    """A text column from codes into distinct values; `values[0]` must be "" and all must differ."""
    return pl.Series(name, codes.astype(_width(values), copy=False)).cat.to(pl.Enum(values))


def texts(columns: Mapping[str, Text]) -> dict[str, pl.Series]:
    """Many text columns at once, by name; one call of polars instead of one per column, which small batches feel."""
    plain = pl.DataFrame([pl.Series(name, codes.astype(_width(values), copy=False)) for name, (codes, values) in columns.items()])
    enums = plain.select([pl.col(name).cat.to(pl.Enum(values)) for name, (_, values) in columns.items()])
    return {series.name: series for series in enums}


def codes(frame: pl.DataFrame, name: str) -> NDArray[np.integer]:
    """The codes of a text column, shape (n,), zero-copy."""
    return frame[name].to_physical().to_numpy()


def values(frame: pl.DataFrame, name: str) -> list[str]:
    """The distinct texts of a text column, in the order of its codes (some may not occur in the rows)."""
    dtype = frame[name].dtype  # not frame.schema, which builds the types of all columns
    assert isinstance(dtype, pl.Enum)
    return dtype.categories.to_list()


def numbers(frame: pl.DataFrame, name: str) -> NDArray[np.generic]:
    """Any other column as numpy, zero-copy; times as int64 µs."""
    return frame[name].to_physical().to_numpy()


def _absent(name: str) -> pl.Series:
    """One row in which the column says nothing."""
    if name in TEXT:
        return text(np.zeros(1, np.uint8), [""], name)
    if name in INTEGER:
        return pl.Series(name, [-1], dtype=INTEGER[name])
    if name in KEY:
        return pl.Series(name, [0], dtype=KEY[name])
    if name in PROVENANCE or name == "@timestamp":
        return pl.Series(name, [0]).cast(PROVENANCE.get(name, pl.Datetime("us", "UTC")))
    return pl.Series(name, np.zeros(1, np.uint8 if name.endswith(".kind") else np.uint64))


_ABSENT: Mapping[str, pl.Series] = {name: _absent(name) for name in NAMES}  # one row each, repeated as often as needed


def frame(n: int, columns: Mapping[str, pl.Series]) -> pl.DataFrame:
    """The event frame of n rows from the columns at hand; all others absent. An unknown name is a mistake.

    Raises KeyError for a column that is not an event column.
    """
    unknown = columns.keys() - set(NAMES)
    if unknown:
        raise KeyError(f"not an event column: {', '.join(sorted(unknown))}")
    return pl.DataFrame([columns[name].alias(name) if name in columns else _ABSENT[name].new_from_index(0, n) for name in NAMES])


def concat(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of several event frames below each other; text columns get the union of their values."""
    frames = [f for f in frames if len(f)]
    if len(frames) == 1:
        return frames[0]
    if not frames:
        return frame(0, {})
    columns: dict[str, pl.Series] = {}
    for name in NAMES:
        if name in TEXT:
            union: dict[str, int] = {"": 0}
            parts = []
            for f in frames:
                renumber = np.array([union.setdefault(v, len(union)) for v in values(f, name)], np.uint32)
                parts.append(renumber[codes(f, name)])
            columns[name] = text(np.concatenate(parts), list(union))
        else:
            columns[name] = pl.concat([f[name] for f in frames])
    return frame(sum(map(len, frames)), columns)


def to_arrow(frame: pl.DataFrame) -> bytes:
    """An event frame as one Arrow IPC stream, the value of one message in `tuermer.events`."""
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compression="lz4")
    return buffer.getvalue()


def from_arrow(message: bytes) -> pl.DataFrame:
    """The event frame of one message; raises ValueError when its columns are neither today's nor an earlier version's."""
    read = pl.read_ipc_stream(io.BytesIO(message))
    if tuple(read.columns) == NAMES:
        return read
    if tuple(read.columns) != tuple(name for name in NAMES if name not in ADDED):
        raise ValueError("a message in tuermer.events has other columns than this version's events")
    return frame(len(read), {series.name: series for series in read})
