"""`tuermer audit verify|export`: reads what the auditor's role may read, and the files that an auditor keeps."""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from detector.config import Config
from detector.opening.chores import anchors
from detector.opening.requests import public_key
from detector.sentence import Sentence
from detector.store import audit
from detector.store.audit import Found, Seal
from detector.store.database import Database


class AuditError(Sentence):
    """The log cannot be checked; one sentence."""


def chains(database: Database, config: Config, tenant: str | None, key: Path | None, anchor: Path | None) -> list[Found]:
    """Each chain that this login may see, or one tenant's. Raises AuditError or ConfigError for a file that cannot be read."""
    trusted, known = _key(config, key), _anchors(config, anchor)
    with database.transaction() as connection:
        seen = audit.tenants(connection)
        wanted = [*seen, *sorted({seal.tenant for seal in known} - set(seen))] if tenant is None else [tenant]
        return [audit.verify(connection, one, trusted, known) for one in wanted]


def line(found: Found) -> str:
    """One line about one chain."""
    name = "the whole system" if found.tenant == "" else found.tenant
    if found.troubles != ():
        return f"FAIL  {name}: " + "; ".join(found.troubles)
    if found.rows == 0:
        return f"ok    {name}: no rows"
    signed = "not signed" if found.signed == 0 else f"signed up to row {found.signed}"
    return f"ok    {name}: rows {found.first} to {found.last} are as they were written, {signed}"


def exported(database: Database, tenant: str | None) -> list[str]:
    """JSON lines: rows, then signatures, tenant by tenant."""
    lines: list[str] = []
    with database.transaction() as connection:
        for one in audit.tenants(connection) if tenant is None else [tenant]:
            lines += [_line({"row": row}) for row in audit.rows(connection, one)]
            lines += [_line({"signature": msgspec.structs.asdict(seal)}) for seal in audit.seals(connection, one)]
    return lines


def _line(value: object) -> str:
    return msgspec.json.encode(value).decode() + "\n"


def _key(config: Config, path: Path | None) -> Ed25519PublicKey | None:
    if path is None:
        if config.audit.key_file == "":
            return None
        path = Path(config.audit.key_file + ".pub")
    return public_key(path)


def _anchors(config: Config, path: Path | None) -> list[Seal]:
    chosen = path if path is not None else Path(config.audit.anchor_file) if config.audit.anchor_file != "" else None
    if chosen is None or (path is None and not chosen.exists()):
        return []
    try:
        return anchors(chosen)
    except OSError as error:
        raise AuditError(f"the anchor file {chosen} cannot be read: {error.strerror}") from None
