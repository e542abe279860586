"""The sealed link table in PostgreSQL: ROUTE adds to it, two people together read from it, one command shreds it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from detector.privacy.people import Holder, Person, Public
from detector.privacy.vault import Fresh, Halted, Held, Link, Sealer, Slot, VaultError, slot_statement
from detector.store.database import Away, Connection, Database, moment

log = structlog.get_logger()


@dataclass(slots=True)
class LinkTable:
    """`privacy.vault.Links`. `clock` gives µs, `pause` waits up to so many seconds and says whether to stop."""

    database: Database
    sealer: Sealer
    clock: Callable[[], int]
    pause: Callable[[float], bool]

    def write(self, fresh: Sequence[Fresh]) -> None:
        """See Links.write. While the database is away or its disk is full, ROUTE waits here and reads nothing more."""
        wanted = [one for one in fresh if self.sealer.wants(one.tenant)]
        delay = 0.1
        while wanted != []:
            try:
                self._write(wanted)
                return
            except (Away, psycopg.errors.UndefinedTable) as away:  # SCORE has not made the tables yet
                log.warning("database-away", reason=str(away).splitlines()[0], next_try_s=delay, waiting=len(wanted))
                if self.pause(delay):
                    raise Halted from away
                delay = min(2 * delay, 5.0)

    def tick(self, now: int) -> None:
        """Forgets secrets whose time is up (`now` in µs)."""
        self.sealer.forget(now)

    def _write(self, fresh: Sequence[Fresh]) -> None:
        now = self.clock()
        with self.database.transaction() as connection:
            links, slots = self.sealer.seal(fresh, tenant_keys(connection, {one.tenant for one in fresh}), now)
            for slot in slots:
                self._add_slot(connection, slot)
            insert(connection, links)

    def _add_slot(self, connection: Connection, slot: Slot) -> None:
        new = connection.execute(
            """
            INSERT INTO store.link_slots (slot, tenant, epoch, groups, made, commitments, signature)
            VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
            """,
            (slot.id, slot.tenant, slot.epoch, list(slot.secrets), moment(slot.made), slot.commitments, self.sealer.signed(slot)),
        )
        if new.rowcount == 1:
            add_keys(connection, slot.tenant, [(slot.id, group, member, sealed) for group, member, sealed in self.sealer.wraps(slot)])


def tenant_keys(connection: Connection, tenants: Iterable[str]) -> dict[str, bytes]:
    """The tenants' keys, made where there is none; held against shredding until the transaction ends."""
    wanted = sorted(tenants)
    connection.cursor().executemany(
        "INSERT INTO store.link_tenants VALUES (%s, %s) ON CONFLICT DO NOTHING", [(tenant, secrets.token_bytes(32)) for tenant in wanted]
    )
    rows = connection.execute("SELECT tenant, key FROM store.link_tenants WHERE tenant = ANY(%s) FOR SHARE", (wanted,)).fetchall()
    return {tenant: bytes(key) for tenant, key in rows}


def insert(connection: Connection, links: Sequence[Link]) -> None:
    """Adds rows; those that are there already stay as they are. In the order of their keys, so that two writers never deadlock."""
    rows = sorted(links, key=lambda link: (link.tenant, link.epoch, link.token))
    connection.execute(
        """
        INSERT INTO store.links (tenant, epoch, token, slot, tag, sealed)
        SELECT * FROM unnest(%b::text[], %b::int[], %b::text[], %b::bytea[], %b::bytea[], %b::bytea[]) ON CONFLICT DO NOTHING
        """,
        (
            [r.tenant for r in rows], [r.epoch for r in rows], [r.token for r in rows], [r.slot for r in rows], [r.tag for r in rows],
            [r.sealed for r in rows],
        ),
    )  # fmt: skip


def add_keys(connection: Connection, tenant: str, keys: Iterable[tuple[bytes, str, Public, bytes]]) -> None:
    """(slot, group, member, sealed secrets)."""
    connection.cursor().executemany(
        """
        INSERT INTO store.link_keys (slot, tenant, holder, name, grp, sealed) VALUES (%s, %s, %s, %s, %s, %s)
        """,
        [(slot, tenant, member.fingerprint, member.name, group, sealed) for slot, group, member, sealed in keys],
    )


def find(connection: Connection, tenant: str, tokens: Sequence[tuple[int, str]]) -> list[Link]:
    """The rows of (epoch, token), as far as they are still there."""
    rows = connection.execute(
        """
        SELECT l.tenant, l.epoch, l.token, l.slot, l.tag, l.sealed
        FROM unnest(%s::int[], %s::text[]) AS w (epoch, token)
        JOIN store.links AS l ON l.tenant = %s AND l.epoch = w.epoch AND l.token = w.token ORDER BY l.epoch, l.token
        """,
        ([epoch for epoch, _ in tokens], [token for _, token in tokens], tenant),
    ).fetchall()
    return [Link(tenant, epoch, token, bytes(slot), bytes(tag), bytes(sealed)) for tenant, epoch, token, slot, tag, sealed in rows]


def held(
    connection: Connection,
    person: Person,
    slots: Iterable[bytes],
    tenant: str,
    *,
    trusted: Ed25519PublicKey | None = None,
    strict: bool = True,
) -> dict[bytes, Held]:
    """What the person's key opens of these slots, by slot. `trusted`: ROUTE's key, without which nothing is said about who made them.

    Raises VaultError where a sealed secret was changed, a slot is not ROUTE's and, if `strict`, where nothing is sealed to the person.
    """
    wanted = sorted(set(slots))
    rows = connection.execute(
        """
        SELECT s.slot, s.epoch, s.groups, s.commitments, s.signature, k.grp, k.sealed FROM store.link_slots AS s
        JOIN store.link_keys AS k ON k.slot = s.slot AND k.holder = %s WHERE s.slot = ANY(%s) AND s.tenant = %s
        """,
        (person.public.fingerprint, wanted, tenant),
    ).fetchall()
    if strict and len(rows) < len(wanted):
        mend = "somebody of the same group runs `tuermer keys rotate`"
        raise VaultError(f"some of these names were sealed before {person.name} had a key: {mend}")
    found = {}
    for slot, epoch, groups, commitments, signature, group, sealed in rows:
        mine = Held.unwrap(person, bytes(sealed), bytes(slot), group, groups)
        stated = slot_statement(slot, tenant, epoch, groups, commitments)
        if not mine.matches(groups, commitments) or not _is_ours(trusted, signature, stated):
            raise VaultError("a slot of the link table was not made by ROUTE, so its names may be false: nothing is opened")
        found[bytes(slot)] = mine
    return found


def _is_ours(trusted: Ed25519PublicKey | None, signature: bytes | None, stated: bytes) -> bool:
    if trusted is None:
        return True
    try:
        trusted.verify(b"" if signature is None else signature, stated)
    except InvalidSignature:
        return False
    return True


def groups_of(connection: Connection, tenant: str) -> dict[bytes, list[str]]:
    """The groups of every slot of the tenant."""
    rows = connection.execute("SELECT slot, groups FROM store.link_slots WHERE tenant = %s ORDER BY epoch, made", (tenant,)).fetchall()
    return {bytes(slot): groups for slot, groups in rows}


def tagged(connection: Connection, tenant: str, tags: Sequence[tuple[bytes, bytes]]) -> list[tuple[int, str]]:
    """(epoch, token) of the rows with these (slot, tag)."""
    rows = connection.execute(
        """
        SELECT l.epoch, l.token FROM unnest(%s::bytea[], %s::bytea[]) AS w (slot, tag)
        JOIN store.links AS l ON l.tenant = %s AND l.slot = w.slot AND l.tag = w.tag ORDER BY 1, 2
        """,
        ([slot for slot, _ in tags], [tag for _, tag in tags], tenant),
    ).fetchall()
    return [(epoch, token) for epoch, token in rows]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What `rotate` did: slots sealed anew, slots of the group that this person cannot open, and who has no key to them any more."""

    slots: int
    closed: int
    former: tuple[str, ...]


def rotate(
    connection: Connection, tenant: str, person: Person, group: str, members: Sequence[Holder], trusted: Ed25519PublicKey | None = None
) -> Rotated:
    """Seals what the group holds of every slot anew: to exactly these members. Needs the key of one of the group's people.

    A slot that was never sealed to this person is left as it is.
    """
    there = held(connection, person, groups_of(connection, tenant), tenant, trusted=trusted, strict=False)
    mine = {slot: one for slot, one in there.items() if group not in one.secrets}  # a group has the secrets of all but itself
    keys = [(slot, group, member.public, one.wrapped(member.public)) for slot, one in mine.items() for member in members]
    had = connection.execute(
        "DELETE FROM store.link_keys WHERE tenant = %s AND grp = %s AND slot = ANY(%s) RETURNING holder, name",
        (tenant, group, list(mine)),
    ).fetchall()
    add_keys(connection, tenant, keys)
    stay = {member.public.fingerprint for member in members}
    total = connection.execute("SELECT count(*) FROM store.link_slots WHERE tenant = %s AND %s = ANY(groups)", (tenant, group)).fetchone()
    assert total is not None
    return Rotated(len(mine), int(total[0]) - len(mine), tuple(sorted({name for print_, name in had if print_ not in stay})))


def shred(connection: Connection, tenant: str) -> Mapping[str, int]:
    """Deletes the tenant's key, with which all its links become unreadable for ever, then everything that belongs to them."""
    counts = {}
    for table in ("link_tenants", "link_keys", "link_slots", "links"):
        counts[table] = connection.execute(f"DELETE FROM store.{table} WHERE tenant = %s".encode(), (tenant,)).rowcount  # noqa: S608
    return counts
