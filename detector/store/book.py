"""What people at the page decide, kept; and what they look at for it. Reads are narrowed to the person's tenants by the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row

from detector.config import CANARY
from detector.judge.windows import Window, WindowError
from detector.store import audit, handover, maintenance, notes, verdicts
from detector.store.audit import Entry
from detector.store.database import Connection, Database
from detector.store.handover import Handover
from detector.store.notes import Written
from detector.store.tenancy import narrow
from detector.store.verdicts import Outcome, Said

Document = dict[str, Any]
Tenants = frozenset[str] | None  # None: all
LONGEST_WINDOW = 31 * 86_400_000_000  # µs


@dataclass(frozen=True, slots=True)
class Beside:
    """What people said of an incident, latest first, and what "all of this kind" would take (view `alike`)."""

    verdicts: list[Document] = field(default_factory=list)
    notes: list[Document] = field(default_factory=list)
    open_now: int = 0
    hidden_30d: int = 0
    hidden_one: int = 0


def _now() -> int:
    return time.time_ns() // 1000


class Book:
    """Safe to share between threads. Raises Away when the database does not answer."""

    def __init__(self, conninfo: str, clock: Callable[[], int] = _now) -> None:
        self._database = Database(conninfo)
        self._lock = threading.Lock()
        self._clock = clock

    def beside(self, incident: str, tenants: Tenants) -> Beside:
        with self._lock, self._database.transaction() as connection:
            narrow(connection, tenants)
            said = _rows(connection, "SELECT * FROM public.verdicts WHERE incident_id = %s::uuid ORDER BY id DESC LIMIT 50", (incident,))
            written = _rows(connection, "SELECT * FROM public.notes WHERE incident_id = %s::uuid ORDER BY id DESC LIMIT 50", (incident,))
            alike = _rows(connection, "SELECT * FROM public.alike WHERE incident_id = %s::uuid", (incident,))
        counts = alike[0] if alike != [] else {"open_now": 0, "hidden_30d": 0, "hidden_one": 0}
        return Beside(said, written, counts["open_now"], counts["hidden_30d"], counts["hidden_one"])

    def verdict(self, said: Said, tenants: Tenants) -> Outcome:
        with self._lock, self._database.transaction() as connection:
            return verdicts.apply(connection, said, self._clock(), tenants)

    def note(self, written: Written, tenants: Tenants) -> bool:
        with self._lock, self._database.transaction() as connection:
            return notes.write(connection, written, self._clock(), tenants)

    def tenants(self, tenants: Tenants) -> list[tuple[str, str]]:
        """(tenant, its time zone) of those that the person may enter windows for."""
        with self._lock, self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT tenant, zone FROM store.tenants WHERE tenant <> %s ORDER BY tenant", (CANARY.tenant,)
            ).fetchall()
        return [(tenant, zone) for tenant, zone in rows if tenants is None or tenant in tenants]

    def windows(self, tenants: Tenants) -> list[Document]:
        """Those that are not over for more than a week, and those ahead for 60 days."""
        with self._lock, self._database.transaction() as connection:
            narrow(connection, tenants)
            return _rows(
                connection,
                "SELECT * FROM public.maintenance WHERE ends > now() - interval '7 days' AND begins < now() + interval '60 days' "
                "ORDER BY begins, id LIMIT 300",
                (),
            )

    def add_window(self, window: Window, author: str, source: str, tenants: Tenants) -> None:
        """In force with this call, also for what is past. Raises WindowError with one sentence."""
        if window.name.strip() == "":
            raise WindowError("a window needs a name")
        if window.ends <= window.begins or window.ends - window.begins > LONGEST_WINDOW:
            raise WindowError("a window ends after it begins, and at most 31 days later")
        if not _allowed(window.tenant, tenants):
            raise WindowError("the window's tenant is none of yours")
        with self._lock, self._database.transaction() as connection:
            now = self._clock()
            id_ = maintenance.add(connection, window, author, now)
            if id_ is not None:
                audit.append(connection, Entry(window.tenant, author, "window.add", str(id_), {"source": source}), now)

    def withdraw_window(self, id_: int, author: str, tenants: Tenants) -> bool:
        """Whether there was such a window that a person had entered; those of the configuration are changed there."""
        with self._lock, self._database.transaction() as connection:
            now = self._clock()
            tenant = maintenance.withdraw(connection, id_, author, now, tenants)
            if tenant is not None:
                audit.append(connection, Entry(tenant, author, "window.withdraw", str(id_), {}), now)
        return tenant is not None

    def handover(self, since: int, tenants: Tenants) -> Handover:
        """`since` in µs."""
        with self._lock, self._database.transaction() as connection:
            narrow(connection, tenants)
            return handover.collect(connection, since, self._clock())

    def close(self) -> None:
        with self._lock:
            self._database.close()


def _allowed(tenant: str, tenants: Collection[str] | None) -> bool:
    return tenants is None or tenant in tenants


def _rows(connection: Connection, sql: str, arguments: tuple[object, ...]) -> list[Document]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return [{name: plain(value) for name, value in row.items()} for row in cursor.execute(sql.encode(), arguments).fetchall()]


def plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
