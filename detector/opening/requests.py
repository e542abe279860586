"""Asking for the names of one incident, and saying no."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from detector.config import Config, ConfigError
from detector.privacy.people import Holder, Person, holders, trusted
from detector.sentence import Sentence
from detector.store import audit, openings
from detector.store.audit import Entry
from detector.store.database import Connection, Database, moment
from detector.store.openings import Opening

HOUR = 3_600_000_000  # µs
UNANSWERED = 72 * HOUR  # so long a request waits
LEAST_REASON = 10  # characters


class UnsealError(Sentence):
    """Names are not opened; one sentence says why. `kind` lets the page say it in the reader's language."""

    def __init__(self, sentence: str, kind: Literal["", "alone", "nothing", "code"] = "") -> None:
        super().__init__(sentence)
        self.kind = kind


class Request(msgspec.Struct, frozen=True):
    """What the requester signs, byte for byte as it is stored."""

    id: str
    tenant: str
    incident: str
    case_number: str
    reason: str
    requester: str
    fingerprint: str
    requested: int  # µs
    tokens: list[tuple[int, str]]  # (epoch, token), ascending
    break_glass: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """Somebody who takes part: the opened key, the entry in the configuration, and the one opening group it is of."""

    person: Person
    holder: Holder
    group: str

    @classmethod
    def of(cls, config: Config, person: Person, tenant: str) -> Side:
        """Raises UnsealError for who may not take part, KeyFileError for a key that is not listed."""
        holder = trusted(config, person)
        mine = [group for group in config.opening.groups if holder.of(group, tenant)]
        if len(mine) != 1:
            raise UnsealError(f"{holder.name} is in {'none' if mine == [] else 'more than one'} of the groups that open names of {tenant}")
        return cls(person, holder, mine[0])


def ask(
    database: Database, config: Config, person: Person, incident: str, case: str, reason: str, now: int, *, break_glass: bool = False
) -> Opening:
    """Stores a signed request for the names of one incident. `now` in µs. Raises UnsealError."""
    if case.strip() == "" or len(reason.strip()) < LEAST_REASON:
        raise UnsealError(f"give the number of the case, and a reason of at least {LEAST_REASON} characters")
    with database.transaction() as connection:
        found = openings.incident_of(connection, incident)
        if found is None:
            raise UnsealError(f"there is no incident {incident}, or more than one begins so")
        side = Side.of(config, person, found[1])
        tokens = openings.linked(connection, found[0], openings.tokens_of(connection, found[0]))
        if tokens == []:
            raise UnsealError(f"nothing of incident {found[0]} can be opened: it shows no token, or its links are deleted")
        one = _signed(side, found, case, reason, tokens, now, break_glass)
        openings.add(connection, one, tokens)
        details = {"incident": str(one.incident), "case": one.case_number, "tokens": len(tokens), "break_glass": break_glass}
        audit.append(connection, Entry(one.tenant, side.holder.name, "opening.request", str(one.id), details), now)
    return one


def _signed(
    side: Side, incident: tuple[uuid.UUID, str], case: str, reason: str, tokens: list[tuple[int, str]], now: int, break_glass: bool
) -> Opening:
    id_ = uuid.uuid4()
    request = msgspec.json.encode(
        Request(
            str(id_), incident[1], str(incident[0]), case.strip(), reason.strip(), side.holder.name, side.person.public.fingerprint, now,
            tokens, break_glass,
        )
    )  # fmt: skip
    signature, expires = side.person.sign("opening request", request), moment(now + UNANSWERED)
    return Opening(
        id_, incident[1], incident[0], case.strip(), reason.strip(), side.holder.name, request, signature, moment(now), break_glass,
        "asked", None, None, None, None, expires, None, None,
    )  # fmt: skip


def checked(config: Config, one: Opening) -> tuple[Request, Holder]:
    """The request as its author signed it, and who that is. Raises UnsealError when it was changed or the author is not listed."""
    request = msgspec.json.decode(one.request, type=Request)
    author = next((h for h in holders(config) if h.public.fingerprint == request.fingerprint and h.name == request.requester), None)
    if author is None or not author.public.verifies("opening request", one.request, one.signature):
        raise UnsealError(f"request {one.id} is not signed by a listed person, or was changed: nothing is opened")
    signed = (request.id, request.tenant, request.incident, request.requester, request.break_glass)
    if signed != (str(one.id), one.tenant, str(one.incident), one.requester, one.break_glass):
        raise UnsealError(f"request {one.id} was changed in the database: nothing is opened")
    return request, author


def route_key(config: Config) -> Ed25519PublicKey | None:
    """ROUTE's key, by which its slots are known; None: none is configured here. Raises ConfigError."""
    return None if config.audit.key_file == "" else public_key(Path(config.audit.key_file + ".pub"))


def public_key(path: Path) -> Ed25519PublicKey:
    """Raises ConfigError when the file holds no such key."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path} is no public key of a daemon (the .pub file of `tuermer keys new signing`)")
    return key


def found(connection: Connection, beginning: str) -> Opening:
    """Raises UnsealError when there is none, or more than one begins so."""
    one = openings.find(connection, beginning)
    if one is None:
        raise UnsealError(f"there is no request {beginning}, or more than one begins so")
    return one


def refuse(database: Database, config: Config, person: Person, beginning: str, why: str, now: int) -> Opening:
    """Says no; anybody of an opening group may, the requester, too. Raises UnsealError."""
    with database.transaction() as connection:
        one = found(connection, beginning)
        side = Side.of(config, person, one.tenant)
        if not openings.refuse(connection, one.id, side.holder.name, why, now):
            raise UnsealError(f"request {one.id} has been answered already, or its time is up")
        audit.append(connection, Entry(one.tenant, side.holder.name, "opening.refusal", str(one.id), {}), now)
    return one
