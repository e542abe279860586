"""What the page asks about openings; one connection, safe to share between threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from detector.opening import names
from detector.opening.names import Name
from detector.store import openings
from detector.store.database import Database
from detector.store.openings import Opening

Tenants = frozenset[str] | None


class OpeningBook:
    """Tenants: None = all. Each method raises Away while the database does not answer."""

    def __init__(self, conninfo: str) -> None:
        self._database, self._lock = Database(conninfo), threading.Lock()

    def newest(self, tenants: Tenants) -> Sequence[Opening]:
        with self._lock, self._database.transaction() as connection:
            return openings.newest(connection, tenants)

    def one(self, id_: str, tenants: Tenants) -> Opening | None:
        with self._lock, self._database.transaction() as connection:
            found = openings.find(connection, id_)
        return found if found is not None and (tenants is None or found.tenant in tenants) else None

    def view(self, one: Opening, login: str, code: str, now: int) -> Sequence[Name]:
        """Raises UnsealError."""
        with self._lock:
            return names.view(self._database, one.id, login, code, now)

    def close(self) -> None:
        self._database.close()
