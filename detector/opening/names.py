"""The names themselves: put together by the requester, shown by the page under the requester's code, until the time is up."""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from detector.config import Config
from detector.opening.approval import Handed
from detector.opening.requests import Request, Side, UnsealError, checked, found, route_key
from detector.privacy.people import Person, holders
from detector.privacy.vault import VaultError, open_row
from detector.store import audit, links, openings
from detector.store.audit import Entry
from detector.store.database import Connection, Database, moment
from detector.store.openings import Opening


class Name(msgspec.Struct, frozen=True):
    """One opened token; `value` None: its link was deleted or changed, and stays closed. `grafana`: the token as Grafana shows it."""

    epoch: int
    token: str
    value: str | None
    grafana: str = ""


def unlock(database: Database, config: Config, person: Person, beginning: str, now: int) -> tuple[Opening, str]:
    """Lays the names down for the page; returns the code that opens them there, which is nowhere else. Raises UnsealError."""
    with database.transaction() as connection:
        one = found(connection, beginning)
        request, author = checked(config, one)
        if author.public.raw != person.public.raw:
            raise UnsealError(f"these names are for {author.name} alone")
        if one.handed is None or one.state != "approved" or moment(now) >= one.expires:
            raise UnsealError(f"request {one.id} is {_said(one, now)}: there is nothing to show")
        names = _opened(connection, config, one, request, person)
        code = _code()
        if not openings.show(connection, one.id, _locked(code, one, names), now):
            raise UnsealError(f"the time of request {one.id} is up")
        audit.append(connection, Entry(one.tenant, author.name, "opening.unlock", str(one.id), {"names": len(names)}), now)
    return one, code


def _opened(connection: Connection, config: Config, one: Opening, request: Request, person: Person) -> list[Name]:
    """The names, from both halves; what does not open stays closed and is listed so."""
    assert one.handed is not None
    assert one.answer_signature is not None
    approver = next((holder for holder in holders(config) if holder.name == one.answered_by), None)
    if approver is None or not approver.public.verifies("opening approval", one.request + one.handed, one.answer_signature):
        raise UnsealError(f"the approval of request {one.id} is not signed by a listed person, or was changed: nothing is opened")
    try:
        handed = msgspec.json.decode(person.unseal(f"opening {one.id}", one.handed), type=list[Handed])
    except InvalidTag:
        raise UnsealError(f"what was handed over for request {one.id} does not open with this key") from None
    shares = {(part.epoch, part.token): base64.b64decode(part.share) for part in handed}
    side = Side.of(config, person, one.tenant)
    rows = {(row.epoch, row.token): row for row in links.find(connection, one.tenant, request.tokens)}
    held = links.held(connection, person, [row.slot for row in rows.values()], one.tenant, trusted=route_key(config))
    key = links.tenant_keys(connection, [one.tenant])[one.tenant]
    names = []
    for at in request.tokens:
        row = rows.get(at)
        try:
            value = None if row is None else open_row(row, key, held[row.slot].shares(row.row) | {side.group: shares[at]})
        except VaultError:
            value = None
        names.append(Name(*at, value))
    return names


def view(database: Database, id_: uuid.UUID, login: str, code: str, now: int) -> Sequence[Name]:
    """The names, for the page, to the requester only. Raises UnsealError."""
    with database.transaction() as connection:
        one = found(connection, str(id_))
        if one.requester != login:
            raise UnsealError(f"these names are for {one.requester} alone", "alone")
        if one.shown is None or one.state != "approved" or moment(now) >= one.expires:
            raise UnsealError(f"request {one.id} is {_said(one, now)}: there is nothing to show", "nothing")
        veils = openings.veils(connection, one.id)
        names = [msgspec.structs.replace(name, grafana=veils.get(name.token, "")) for name in _unlocked(code, one)]
        audit.append(connection, Entry(one.tenant, login, "opening.view", str(one.id), {}), now)
    return names


def _said(one: Opening, now: int) -> str:
    if one.state in ("asked", "approved") and moment(now) >= one.expires:
        return "expired"
    return "approved, but not unlocked with `tuermer open show`" if one.state == "approved" else one.state


def _code() -> str:
    """128 random bits as people can type them."""
    text = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=")
    return "-".join(text[i : i + 5] for i in range(0, len(text), 5))


def _key(code: str) -> bytes:
    return hashlib.sha256(b"tuermer view 1\0" + code.replace("-", "").replace(" ", "").upper().encode()).digest()


def _locked(code: str, one: Opening, names: Sequence[Name]) -> bytes:
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(_key(code)).encrypt(nonce, msgspec.json.encode(names), one.id.bytes)


def _unlocked(code: str, one: Opening) -> Sequence[Name]:
    assert one.shown is not None
    try:
        return msgspec.json.decode(AESGCM(_key(code)).decrypt(one.shown[:12], one.shown[12:], one.id.bytes), type=list[Name])
    except InvalidTag:
        raise UnsealError("the code is wrong, or what it opens was changed", "code") from None
