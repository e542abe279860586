"""What one shift tells the next: new, worse, being worked on; what ends and what begins soon; who is silent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row

from detector.config import CANARY
from detector.store.database import Connection, moment

Document = dict[str, Any]
HOUR = 3_600_000_000  # µs
SOON = 48 * HOUR  # what ends or begins within it is told
MOST = 200  # rows of each kind

_HEAD = (
    "id::text AS id, tenant, site, severity, status, title, episode_opened, updated, got_in, entity_value, work_by, work_until, "
    "verdict, verdict_by, verdict_at, ticket, owner"
)
_GRAVEST = "array_position(ARRAY['critical', 'high', 'medium', 'low'], severity), episode_opened DESC"


@dataclass(frozen=True, slots=True)
class Handover:
    """Rows as documents; incidents as in the view `incidents`, without evidence."""

    since: str
    new: list[Document]  # began since then, and are not closed
    worse: list[Document]  # began before, and somebody was told once more since then
    working: list[Document]  # in work, or confirmed and not closed
    closed: list[Document]  # closed by people since then
    suppressions: list[Document]  # end soon
    windows: list[Document]  # are open, or begin soon
    silent: list[Document]  # health incidents about devices that are silent
    unwell: list[Document]  # other health incidents


def collect(connection: Connection, since: int, now: int) -> Handover:
    """For the tenants that the connection is narrowed to; `since` and `now` in µs."""
    asked = {"since": moment(since), "now": moment(now), "soon": moment(now + SOON), "canary": CANARY.tenant, "most": MOST}

    def incidents(which: str) -> list[Document]:
        sql = f"SELECT {_HEAD} FROM public.incidents WHERE tenant <> %(canary)s AND {which} ORDER BY {_GRAVEST} LIMIT %(most)s"  # noqa: S608 - constants of ours
        return _rows(connection, sql, asked)

    ill = _rows(connection, "SELECT * FROM public.health_incidents WHERE status = 'open' ORDER BY opened LIMIT %(most)s", asked)
    return Handover(
        since=_plain(moment(since)),
        new=incidents("recorded >= %(since)s AND status <> 'closed'"),
        worse=incidents(
            "recorded < %(since)s AND until > %(now)s AND EXISTS (SELECT FROM public.decisions AS d WHERE d.incident_id = incidents.id "
            "AND d.decided >= %(since)s AND d.number > 1)"
        ),
        working=incidents("until > %(now)s AND status IN ('in-work', 'confirmed')"),
        closed=incidents("verdict_at >= %(since)s AND status = 'closed'"),
        suppressions=_rows(
            connection,
            "SELECT * FROM public.suppressions WHERE status = 'active' AND expires <= %(soon)s ORDER BY expires LIMIT %(most)s", asked,
        ),
        windows=_rows(
            connection,
            "SELECT * FROM public.maintenance WHERE ends > %(now)s AND begins <= %(soon)s ORDER BY begins, id LIMIT %(most)s", asked,
        ),
        silent=[row for row in ill if row["kind"] == "silent"],
        unwell=[row for row in ill if row["kind"] != "silent"],
    )  # fmt: skip


def _rows(connection: Connection, sql: str, asked: dict[str, object]) -> list[Document]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return [{name: _plain(value) for name, value in row.items()} for row in cursor.execute(sql.encode(), asked).fetchall()]


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
