"""The audit log: who did what and when, in one chain per tenant that shows every change made to it afterwards.

Each row's hash covers the row before it (store.audit_append computes it; the daemon's role cannot write rows itself). Every hour
the daemon signs where each chain ends and appends the signature to the anchor file. What that proves: who lacks the daemon's key
cannot change, remove or reorder a row that was signed, nor cut the end off. What it does not: who has the key (root on the daemon's
machine) can write another history and sign it; only an anchor file out of his reach shows that. Rows of the last hour are protected
by the database's rights alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from detector.store.database import EPOCH, Connection, as_json, clean, moment

NOTHING = bytes(32)  # what the first row of a chain follows
FORGOTTEN = "audit.forgotten"  # a row that says where the chain begins after its old rows were deleted
KEPT = timedelta(days=30)  # no row is deleted earlier; store.audit_forget sees to it


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done. `details` hold no name of a person, no token and no address."""

    tenant: str  # "" = the whole system
    actor: str  # a login, or daemon, configuration
    action: str  # dotted: opening.request
    subject: str  # what it was done to: an id
    details: Mapping[str, object]


class Seal(msgspec.Struct, frozen=True):
    """A signature over the end of one chain; one line of the anchor file. Bytes are hexadecimal."""

    tenant: str
    seq: int
    hash: str
    made: int  # µs
    key: str
    signature: str

    @property
    def stated(self) -> bytes:
        return msgspec.json.encode(["tuermer audit 1", self.tenant, self.seq, self.hash, self.made])


def append(connection: Connection, entry: Entry, now: int) -> int:
    """Adds the row within the caller's transaction; its number in the tenant's chain. Holds the chain until the transaction ends."""
    row = connection.execute(
        "SELECT store.audit_append(%s, %s, %s, %s, %s, %s)",
        (entry.tenant, moment(now), clean(entry.actor), clean(entry.action), clean(entry.subject), as_json(entry.details)),
    ).fetchone()
    assert row is not None
    return int(row[0])


def unsigned(connection: Connection) -> list[tuple[str, int, bytes]]:
    """(tenant, seq, hash) of each chain that has grown since it was last signed."""
    return connection.execute(
        """
        SELECT h.tenant, h.seq, h.hash FROM store.audit_heads AS h
        WHERE h.seq > coalesce((SELECT max(s.seq) FROM store.audit_seals AS s WHERE s.tenant = h.tenant), 0) ORDER BY h.tenant
        """
    ).fetchall()


def signed(heads: Iterable[tuple[str, int, bytes]], key: Ed25519PrivateKey, now: int) -> list[Seal]:
    """A signature for each."""
    made = []
    for tenant, seq, hash_ in heads:
        bare = Seal(tenant, seq, hash_.hex(), now, fingerprint(key.public_key()), "")
        made.append(msgspec.structs.replace(bare, signature=key.sign(bare.stated).hex()))
    return made


def keep(connection: Connection, made: Sequence[Seal]) -> None:
    connection.cursor().executemany(
        "INSERT INTO store.audit_seals VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [(s.tenant, s.seq, bytes.fromhex(s.hash), moment(s.made), s.key, bytes.fromhex(s.signature)) for s in made],
    )


def fingerprint(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Found:
    """What checking a chain showed. `troubles` empty: it is as it was written."""

    tenant: str
    rows: int
    first: int
    last: int
    signed: int  # the last row that a good signature covers, 0: none
    troubles: tuple[str, ...]


def tenants(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT tenant FROM store.audit_heads UNION SELECT tenant FROM store.audit ORDER BY 1").fetchall()
    return [tenant for (tenant,) in rows]


def verify(connection: Connection, tenant: str, key: Ed25519PublicKey | None, anchors: Sequence[Seal] = ()) -> Found:
    """Walks the tenant's chain from its first row. `key`: whose signatures count; `anchors`: the lines of the anchor file.

    The first broken row ends the walk, since everything after it hangs on it.
    """
    kept, anchored = seals(connection, tenant), [seal for seal in anchors if seal.tenant == tenant]
    wanted: dict[int, set[str]] = {}
    for seal in (*kept, *anchored):
        wanted.setdefault(seal.seq, set()).add(seal.hash)
    beginning = _beginning(connection, tenant)
    troubles = [] if key is None else list(_badly_signed([*kept, *anchored], key))
    rows, at, before = 0, beginning.seq, beginning.hash
    for row in _rows(connection, tenant):
        rows += 1
        trouble = _broken(row, at, before, wanted.get(row.seq))
        if trouble is not None:
            return Found(tenant, rows, beginning.seq + 1, at, 0, (*troubles, trouble))
        at, before = row.seq, row.hash
    troubles += [*_end(connection, tenant, at, before, max(wanted, default=0)), *_gone(kept, anchored, beginning)]
    return Found(tenant, rows, beginning.seq + 1, at, 0 if key is None or troubles != [] else max(wanted, default=0), tuple(troubles))


def rows(connection: Connection, tenant: str) -> Iterator[Mapping[str, object]]:
    """Each row of the chain, as it is exported: hashes in hexadecimal, the time in µs, details as the text that was hashed."""
    for row in _rows(connection, tenant):
        actor, action, subject, details = row.texts
        yield {
            "tenant": tenant, "seq": row.seq, "at": row.us, "actor": actor, "action": action, "subject": subject, "details": details,
            "previous": row.previous.hex(), "hash": row.hash.hex(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Row:
    seq: int
    at: datetime
    texts: tuple[str, str, str, str]  # actor, action, subject, details
    tenant: str
    previous: bytes
    hash: bytes

    @property
    def us(self) -> int:
        return (self.at - EPOCH) // timedelta(microseconds=1)


def _rows(connection: Connection, tenant: str) -> Iterator[_Row]:
    with connection.cursor(name="audit") as cursor:
        cursor.execute(
            "SELECT seq, at, actor, action, subject, details, previous, hash FROM store.audit WHERE tenant = %s ORDER BY seq", (tenant,)
        )
        for seq, at, actor, action, subject, details, previous, hash_ in cursor:
            yield _Row(seq, at, (actor, action, subject, details), tenant, previous, hash_)


def _broken(row: _Row, at: int, before: bytes, signed: set[str] | None) -> str | None:
    if row.seq != at + 1:
        return f"row {at + 1} is missing" if row.seq == at + 2 else f"rows {at + 1} to {row.seq - 1} are missing"
    if row.previous != before:
        return f"row {row.seq} does not follow row {at}: one of them was replaced, or they were reordered"
    if _hash(row) != row.hash:
        return f"row {row.seq} was changed"
    if signed is not None and signed != {row.hash.hex()}:
        return f"row {row.seq} is not the one that was signed"
    return None


def _hash(row: _Row) -> bytes:
    """As store.audit_hash: SHA-256 of the previous hash and each field as a netstring (length:bytes,)."""
    parts = [text.encode() for text in (row.tenant, str(row.seq), str(row.us), *row.texts)]
    return hashlib.sha256(row.previous + b"".join(b"%d:%b," % (len(part), part) for part in parts)).digest()


@dataclass(frozen=True, slots=True)
class _Beginning:
    """The row before the first that is left, and when the ones before were deleted."""

    seq: int
    hash: bytes
    forgotten: datetime | None


def _beginning(connection: Connection, tenant: str) -> _Beginning:
    row = connection.execute(
        "SELECT details, at FROM store.audit WHERE tenant = %s AND action = %s AND actor = 'daemon' ORDER BY seq DESC LIMIT 1",
        (tenant, FORGOTTEN),
    ).fetchone()
    if row is None:
        return _Beginning(0, NOTHING, None)
    details = msgspec.json.decode(row[0])
    return _Beginning(int(details["until"]), bytes.fromhex(details["hash"]), row[1])


def seals(connection: Connection, tenant: str) -> list[Seal]:
    """The signatures that the database holds over this chain."""
    rows = connection.execute(
        "SELECT seq, hash, made, key, signature FROM store.audit_seals WHERE tenant = %s ORDER BY seq", (tenant,)
    ).fetchall()
    return [
        Seal(tenant, seq, hash_.hex(), (made - EPOCH) // timedelta(microseconds=1), key, signature.hex())
        for seq, hash_, made, key, signature in rows
    ]


def _badly_signed(kept: Sequence[Seal], key: Ed25519PublicKey) -> Iterator[str]:
    for seal in kept:
        try:
            key.verify(bytes.fromhex(seal.signature), seal.stated)
        except (InvalidSignature, ValueError):
            yield f"the signature over row {seal.seq} is not the daemon's"


def _end(connection: Connection, tenant: str, at: int, hash_: bytes, sealed: int) -> Iterator[str]:
    head = connection.execute("SELECT seq, hash FROM store.audit_heads WHERE tenant = %s", (tenant,)).fetchone()
    if sealed > at:
        yield f"rows after {at} are missing: a signature covers row {sealed}"
    elif head is None or (int(head[0]), bytes(head[1])) != (at, hash_):
        yield f"the chain ends at row {at}, but its head says {None if head is None else head[0]}: rows at the end were removed or added"


def _gone(kept: Sequence[Seal], anchored: Sequence[Seal], beginning: _Beginning) -> Iterator[str]:
    """What the anchor file knows: signatures that the database no longer holds, and rows that were deleted before their time."""
    there = {seal.seq for seal in kept}
    missing = sorted({seal.seq for seal in anchored if seal.seq > beginning.seq} - there)
    if missing != []:
        yield f"the signature over row {missing[0]} stands in the anchor file and is gone from the database"
    young = [] if beginning.forgotten is None else [s for s in anchored if moment(s.made) > beginning.forgotten - KEPT]
    early = max((seal.seq for seal in young if seal.seq <= beginning.seq), default=None)
    if early is not None:
        yield f"row {early} was deleted before {KEPT.days} days had passed"
