"""Where a panel gets its rows, and where its links lead: each link carries time range, tenant and what it is about.

Only ids and server-made keys go into a URL, never a name that came from a log.
"""

from __future__ import annotations

from detector.grafana.model import VERDICTS
from detector.grafana.setting import Setting

SITUATION = VERDICTS
INCIDENT, OBJECT, OPERATION = "tuermer-auffaelligkeit", "tuermer-objekt", "tuermer-betrieb"
_COMMON = "${tenant:queryparam}&${__url_time_range}"
HERE = "tenant = ${tenant:sqlstring}"  # of every query: whose rows

Link = tuple[str, str]


def incident(s: Setting, column: str = "id") -> Link:
    return s.t("Öffnen", "Open"), f"/d/{INCIDENT}?var-incident=${{__data.fields.{column}}}&{_COMMON}"


def thing(s: Setting, column: str = "entity_key") -> Link:
    """An address, a host, a service; rows about accounts have an empty key and lead to the list of objects."""
    return s.t("Als Objekt ansehen", "See as an object"), f"/d/{OBJECT}?var-entity=${{__data.fields.{column}}}&{_COMMON}"


def rows(s: Setting, show: str) -> Link:
    """The rows behind a count of the situation."""
    return s.t("Zeilen zeigen", "Show the rows"), f"/d/{SITUATION}?var-show={show}&{_COMMON}"


def board(title: str, uid: str) -> Link:
    return title, f"/d/{uid}?{_COMMON}"


def select(columns: str, view: str, where: str, order: str, limit: int) -> str:
    """The one form that a panel's query has: rows of a view, filtered, ordered, limited. No arithmetic: that is the view's."""
    parts = [
        f"SELECT {columns} FROM grafana.{view}",  # noqa: S608 - names of ours, nothing from outside
        f"WHERE {where}" if where else "",
        f"ORDER BY {order}" if order else "",
        f"LIMIT {limit}",
    ]
    return " ".join(part for part in parts if part)
