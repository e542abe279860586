"""What people write beside an incident: notes, the ticket's number, who looks after it. Rows are kept; the latest ticket and owner show."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from detector.store import audit
from detector.store.audit import Entry
from detector.store.database import Connection, clean, moment
from detector.store.suppressions import UUID

Kind = Literal["note", "ticket", "owner"]
LONGEST = {"note": 4000, "ticket": 100, "owner": 100}  # characters; longer ones are cut


@dataclass(frozen=True, slots=True)
class Written:
    """`source` names where it was written, so that it is kept once. An empty ticket or owner takes the old one away."""

    source: str
    incident: str
    kind: Kind
    text: str
    author: str


def write(connection: Connection, written: Written, now: int, tenants: Collection[str] | None = None) -> bool:
    """Whether it was kept now: not twice, not of an incident that is not there or another tenant's, no empty note. `now` in µs."""
    text = _text(written.text)[: LONGEST[written.kind]]
    if UUID.fullmatch(written.incident) is None or (written.kind == "note" and text == ""):
        return False
    row = connection.execute("SELECT tenant FROM store.incidents WHERE id = %s::uuid FOR UPDATE", (written.incident,)).fetchone()
    if row is None or (tenants is not None and row[0] not in tenants):
        return False
    kept = connection.execute(
        "INSERT INTO store.notes (source, incident, tenant, kind, text, author, written) VALUES (%s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (source) DO NOTHING",
        (clean(written.source), written.incident, row[0], written.kind, text, clean(written.author), moment(now)),
    )
    if kept.rowcount == 0:
        return False
    if written.kind != "note":
        connection.execute(_COLUMN[written.kind], (text or None, written.incident))
    audit.append(connection, Entry(row[0], written.author, f"note.{written.kind}", written.incident, {}), now)
    return True


_COLUMN: dict[str, bytes] = {
    "ticket": b"UPDATE store.incidents SET ticket = %s WHERE id = %s",
    "owner": b"UPDATE store.incidents SET owner = %s WHERE id = %s",
}


def _text(text: str) -> str:
    """As `clean`, but longer."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode().strip()
