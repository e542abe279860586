"""What the page and the command line show: read through the same views as Grafana."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row

from detector.store.database import Database

SHORT = (
    "id, tenant, site, model, model_id, family, status, severity, opened, updated, closes_at, entity, techniques, title, "
    "p_value, one_in, score, worst_p, worst_score, events, got_in, urgent, notification, reasons, counterfactual"
)
Document = dict[str, Any]


class Reader:
    """Reads incidents; safe to share between threads. Raises Away when the database does not answer."""

    def __init__(self, conninfo: str) -> None:
        self._database = Database(conninfo)
        self._lock = threading.Lock()

    def list_incidents(self, limit: int = 100, tenant: str | None = None, status: str | None = None) -> list[Document]:
        """The newest incidents first, as design section 9 has them but without evidence."""
        sql = f"""
            SELECT {SHORT} FROM public.incidents
            WHERE (%(tenant)s::text IS NULL OR tenant = %(tenant)s) AND (%(status)s::text IS NULL OR status = %(status)s)
            ORDER BY opened DESC, id LIMIT %(limit)s
        """  # noqa: S608 - the columns are a constant of ours
        return self._rows(sql, {"tenant": tenant, "status": status, "limit": limit})

    def incident(self, id_: str, rows: int = 50, samples: int = 50) -> Document | None:
        """One incident with the `rows` strongest values of each field; `evidence_rest` says per field how many more there are."""
        found = self._rows(f"SELECT {SHORT} FROM public.incidents WHERE id::text = %(id)s", {"id": id_})  # noqa: S608 - likewise
        if not found:
            return None
        arguments = {"id": id_, "rows": rows, "samples": samples}
        evidence = self._rows(
            """
            SELECT field, value, events, first, last, total FROM (
                SELECT *, count(*) OVER (PARTITION BY field) AS total,
                    row_number() OVER (PARTITION BY field ORDER BY events DESC, value) AS place
                FROM public.evidence WHERE incident_id = %(id)s::uuid
            ) AS ranked WHERE place <= %(rows)s ORDER BY field, events DESC, value
            """,
            arguments,
        )
        rest = {row["field"]: max(0, row.pop("total") - rows) for row in evidence}
        behind = self._rows(
            """
            SELECT time, log_topic, log_partition, log_offset, fields FROM public.events_recent
            WHERE incident_id = %(id)s::uuid ORDER BY time, log_topic, log_partition, log_offset LIMIT %(samples)s
            """,
            arguments,
        )
        return {**found[0], "evidence": evidence, "evidence_rest": rest, "samples": behind}

    def health(self) -> list[Document]:
        """One row per shard and per reporting process: component, instance, reported, age in seconds, values."""
        return self._rows("SELECT component, instance, reported, age, values FROM public.health ORDER BY 1, 2", {})

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _rows(self, sql: str, arguments: dict[str, object]) -> list[Document]:
        with self._lock, self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(sql.encode(), arguments).fetchall()
        return [{name: _plain(name, value) for name, value in row.items()} for row in rows]


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value) if name == "id" else value
