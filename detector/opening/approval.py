"""The second person's half: shares for exactly the rows that were asked for, sealed to the requester."""

from __future__ import annotations

import base64

import msgspec

from detector.config import Config
from detector.opening.requests import HOUR, Request, Side, UnsealError, checked, found, route_key
from detector.privacy.people import Holder, Person
from detector.store import audit, links, openings
from detector.store.audit import Entry
from detector.store.database import Connection, Database
from detector.store.openings import Opening


class Handed(msgspec.Struct, frozen=True):
    """The shares of one row that the requester lacked, base64 by group."""

    epoch: int
    token: str
    share: str


def approve(database: Database, config: Config, person: Person, beginning: str, now: int) -> Opening:
    """Hands over the second half of exactly what was asked for. Raises UnsealError as `permitted` does."""
    one = permitted(database, config, person, beginning, now)
    with database.transaction() as connection:
        request, author = checked(config, one)
        grant(connection, config, one, request, author, Side.of(config, person, one.tenant), now)
    return one


def permitted(database: Database, config: Config, person: Person, beginning: str, now: int) -> Opening:
    """The request, if this person can be the second one. Raises UnsealError and notes it in the audit log otherwise."""
    with database.transaction() as connection:
        one = found(connection, beginning)
        _, author = checked(config, one)
        name, denied = _standing(config, person, author, one.tenant)
        if denied is None:
            return one
        audit.append(connection, Entry(one.tenant, name, "opening.denied", str(one.id), {}), now)
    raise UnsealError(denied)


def _standing(config: Config, person: Person, author: Holder, tenant: str) -> tuple[str, str | None]:
    """Who it is, and why not, if so."""
    try:
        side = Side.of(config, person, tenant)
    except UnsealError as error:
        return person.name, str(error)
    return side.holder.name, _denied(author, side)


def _denied(author: Holder, side: Side) -> str | None:
    """Why this person cannot be the second one. Whatever stands here, one group's keys alone lack a part of every row's key."""
    if author.name == side.holder.name or author.public.raw == side.person.public.raw:
        return f"{author.name} asked for this and cannot approve it, too: a person of another group does"
    if side.group in author.groups:
        return f"{side.holder.name} and {author.name} are both of the group {side.group}: a person of another group approves"
    return None


def grant(connection: Connection, config: Config, one: Opening, request: Request, author: Holder, side: Side, now: int) -> None:
    """Approves within the caller's transaction.

    Raises UnsealError when somebody answered first, or more is asked for than the incident shows.
    """
    shown = openings.linked(connection, one.incident, openings.tokens_of(connection, one.incident))
    if not set(request.tokens) <= set(shown):
        raise UnsealError(f"request {one.id} asks for more than incident {one.incident} shows: nothing is opened")
    lacking = next(group for group in config.opening.groups if author.of(group, one.tenant))
    rows = links.find(connection, one.tenant, request.tokens)
    mine = links.held(connection, side.person, [row.slot for row in rows], one.tenant, trusted=route_key(config))
    handed = []
    for row in rows:
        shares = mine[row.slot].shares(row.row)
        if lacking not in shares:
            raise UnsealError(f"some of these names were sealed before {lacking} was a group: {author.name} cannot open them")
        handed.append(Handed(row.epoch, row.token, base64.b64encode(shares[lacking]).decode()))
    sealed = author.public.seal(f"opening {one.id}", msgspec.json.encode(handed))
    signature = side.person.sign("opening approval", one.request + sealed)
    if not openings.approve(connection, one.id, side.holder.name, sealed, signature, now, now + config.opening.hours * HOUR):
        raise UnsealError(f"request {one.id} has been answered already, or its time is up")
    audit.append(connection, Entry(one.tenant, side.holder.name, "opening.approval", str(one.id), {"rows": len(rows)}), now)
