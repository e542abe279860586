"""What the page and the command line show: read through the same views as Grafana."""

from __future__ import annotations

import copy
import threading
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row

from detector.config import CANARY
from detector.store.database import Database
from detector.store.tenancy import narrow

SHORT = (
    "id, tenant, site, model, model_id, family, status, severity, opened, updated, closes_at, entity, techniques, title, "
    "p_value, one_in, score, worst_p, worst_score, events, got_in, urgent, notification, reasons, counterfactual, volume, chance_days, "
    "critical, spread, episode, episode_opened, episode_events, usual_low, usual_high, learning, maintenance, why, suppression, "
    "until, verdict, verdict_by, verdict_at, work_by, work_until, ticket, owner, signature"
)
NEAREST = 10  # related incidents of one, those that share most
CHAIN, STEPS, WIDTH = 20, 3, 3  # incidents in a chain; steps away; how many of each step are followed further
Document = dict[str, Any]
EVIDENCE = """
    SELECT field, value, events, first, last, total FROM (
        SELECT *, count(*) OVER (PARTITION BY field) AS total, row_number() OVER (PARTITION BY field ORDER BY events DESC, value) AS place
        FROM (
            SELECT field, value, sum(events)::bigint AS events, min(first) AS first, max(last) AS last
            FROM public.evidence WHERE incident_id = %(id)s::uuid GROUP BY field, value
        ) AS whole
    ) AS ranked WHERE place <= %(rows)s ORDER BY field, events DESC, value
"""
LINKS = """
    SELECT %(id)s::text AS via, other_id::text AS other, array_agg(DISTINCT value ORDER BY value) AS shared
    FROM public.incident_links WHERE incident_id = %(id)s::text::uuid
    GROUP BY other_id ORDER BY count(*) DESC, other_id LIMIT %(nearest)s
"""


class Reader:
    """Reads incidents; safe to share between threads. Raises Away when the database does not answer."""

    def __init__(self, conninfo: str) -> None:
        self._database = Database(conninfo)
        self._lock = threading.Lock()
        self._tenants: frozenset[str] | None = None

    def narrowed(self, tenants: frozenset[str] | None) -> Reader:
        """The same connection, for the rows of these tenants; None: all."""
        if tenants is None:
            return self
        other = copy.copy(self)
        other._tenants = tenants
        return other

    def list_incidents(self, limit: int = 100, tenant: str | None = None, status: str | None = None) -> list[Document]:
        """What began last first, as design section 9 has incidents but without evidence; the tenant of rehearsals only if asked for.

        `status`: one of the view's, or `current`: what is not over.
        """
        sql = f"""
            SELECT {SHORT} FROM public.incidents
            WHERE CASE WHEN %(tenant)s::text IS NULL THEN tenant <> %(canary)s ELSE tenant = %(tenant)s END
                AND (%(status)s::text IS NULL OR status = %(status)s OR (%(status)s = 'current' AND until > now()))
            ORDER BY episode_opened DESC, id LIMIT %(limit)s
        """  # noqa: S608 - the columns are a constant of ours
        return self._rows(sql, {"tenant": tenant, "status": status, "limit": limit, "canary": CANARY.tenant})

    def incident(self, id_: str, rows: int = 50, samples: int = 50) -> Document | None:
        """One incident with the `rows` strongest values of each field; `evidence_rest` says per field how many more there are.

        `id_` may be the beginning of an id, as long as one incident alone has it.
        """
        found = self._rows(
            f"SELECT {SHORT} FROM public.incidents WHERE id >= %(low)s::uuid AND id <= %(high)s::uuid LIMIT 2",  # noqa: S608 - likewise
            _range(id_),
        )
        if len(found) != 1:
            return None
        arguments = {"id": found[0]["id"], "rows": rows, "samples": samples}
        evidence = self._rows(EVIDENCE, arguments)
        rest = {row["field"]: max(0, row.pop("total") - rows) for row in evidence}
        behind = self._rows(
            """
            SELECT time, log_topic, log_partition, log_offset, fields FROM public.events_recent
            WHERE incident_id = %(id)s::uuid ORDER BY time DESC, log_topic, log_partition, log_offset DESC LIMIT %(samples)s
            """,
            arguments,
        )
        episodes = self._rows("SELECT * FROM public.episodes WHERE incident_id = %(id)s::uuid ORDER BY episode DESC LIMIT 30", arguments)
        return {**found[0], "evidence": evidence, "evidence_rest": rest, "samples": behind[::-1], "episodes": episodes}

    def chain(self, id_: str) -> list[Document]:
        """The incident and those that it is related to, over a few steps, in time order; alone it is no chain, and empty.

        Each has `shared`: the values by which it was found, and `via`: the incident that it shares them with.
        """
        found: dict[str, Document] = {id_: {"shared": [], "via": None}}
        edge = [id_]
        for _ in range(STEPS):
            here, edge = edge[:WIDTH] if len(found) < CHAIN else [], []
            links = [link for one in here for link in self._rows(LINKS, {"id": one, "nearest": NEAREST})]
            for link in links:
                if link["other"] not in found and len(found) < CHAIN:
                    found[link["other"]] = {"shared": link["shared"], "via": link["via"]}
                    edge.append(link["other"])
        if len(found) == 1:
            return []
        sql = f"SELECT {SHORT} FROM public.incidents WHERE id = ANY(%(ids)s::uuid[]) ORDER BY episode_opened, id"  # noqa: S608 - likewise
        rows = self._rows(sql, {"ids": [*found]})
        return [row | found[row["id"]] for row in rows]

    def ailments(self) -> list[Document]:
        """What is not well with the watching itself and not mended yet, the gravest first."""
        order = "array_position(ARRAY['critical', 'high', 'medium', 'low'], severity), opened DESC"
        return self._rows(f"SELECT * FROM public.health_incidents WHERE status = 'open' ORDER BY {order} LIMIT 20", {})  # noqa: S608 - likewise

    def health(self) -> list[Document]:
        """One row per shard and per reporting process: component, instance, reported, age in seconds, values."""
        return self._rows("SELECT component, instance, reported, age, values FROM public.health ORDER BY 1, 2", {})

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _rows(self, sql: str, arguments: dict[str, object]) -> list[Document]:
        with self._lock, self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            narrow(connection, self._tenants)
            rows = cursor.execute(sql.encode(), arguments).fetchall()
        return [{name: _plain(name, value) for name, value in row.items()} for row in rows]


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value) if name in ("id", "incident_id") else value


def _range(prefix: str) -> dict[str, object]:
    """The first and last id that begin so; a range that holds nothing for what is no beginning of an id."""
    digits = prefix.replace("-", "").lower()
    if not 1 <= len(digits) <= 32 or not set(digits) <= set("0123456789abcdef"):
        return {"low": "f" * 32, "high": "0" * 32}
    return {"low": digits.ljust(32, "0"), "high": digits.ljust(32, "f")}
