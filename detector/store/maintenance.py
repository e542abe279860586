"""Maintenance windows as they are kept: those of the configuration and its calendars, each occurrence a row."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from detector.judge.windows import BACK, Window
from detector.store.database import Connection, Database, clean, moment


def follow(database: Database, windows: Sequence[Window], now: int) -> int:
    """Brings the windows in step: new ones are added, those no longer wanted withdrawn; returns how many are in force.

    Windows that ended long ago are left as they are: an occurrence leaves the horizon, the fact stays. `now` in µs.
    """
    columns = [
        [window.tenant for window in windows], [window.site for window in windows], [window.like for window in windows],
        [window.name for window in windows], [moment(window.begins) for window in windows], [moment(window.ends) for window in windows],
    ]  # fmt: skip
    with database.transaction() as connection:
        connection.execute(
            f"""
            INSERT INTO store.maintenance (tenant, site, entity, name, begins, ends, added)
            SELECT DISTINCT w.tenant, w.site, w.entity, w.name, w.begins, w.ends, %s::timestamptz FROM {_WANTED}
            ON CONFLICT (tenant, site, entity, name, begins, ends) DO UPDATE SET withdrawn = NULL
            """.encode(),  # noqa: S608 - a constant of ours
            (moment(now), *columns),
        )
        connection.execute(
            f"""
            UPDATE store.maintenance AS m SET withdrawn = %s
            WHERE m.withdrawn IS NULL AND m.author = '' AND m.ends > %s AND NOT EXISTS (
                SELECT FROM {_WANTED}
                WHERE (w.tenant, w.site, w.entity, w.name, w.begins, w.ends) = (m.tenant, m.site, m.entity, m.name, m.begins, m.ends)
            )
            """.encode(),  # noqa: S608 - likewise
            (moment(now), moment(now - BACK), *columns),
        )
        row = connection.execute("SELECT count(*) FROM store.maintenance WHERE withdrawn IS NULL").fetchone()
        return 0 if row is None else int(row[0])


_WANTED = (
    "unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) "
    "AS w (tenant, site, entity, name, begins, ends)"
)


def add(connection: Connection, window: Window, author: str, now: int) -> int | None:
    """A window that a person enters; its id, or None where the very same is there already. `now` in µs."""
    row = connection.execute(
        """
        INSERT INTO store.maintenance AS m (tenant, site, entity, name, begins, ends, added, author)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (tenant, site, entity, name, begins, ends)
            DO UPDATE SET withdrawn = NULL, withdrawn_by = '' WHERE m.withdrawn IS NOT NULL
        RETURNING id
        """,
        (
            window.tenant, window.site, clean(window.like), clean(window.name), moment(window.begins), moment(window.ends), moment(now),
            clean(author),
        ),
    ).fetchone()  # fmt: skip
    return None if row is None else int(row[0])


def withdraw(connection: Connection, id_: int, author: str, now: int, tenants: Collection[str] | None) -> str | None:
    """Takes back a window that a person entered; its tenant, or None where there is none such (among `tenants`)."""
    row = connection.execute(
        "UPDATE store.maintenance SET withdrawn = %s, withdrawn_by = %s "
        "WHERE id = %s AND withdrawn IS NULL AND author <> '' AND (%s::text[] IS NULL OR tenant = ANY(%s::text[])) RETURNING tenant",
        (moment(now), clean(author), id_, *(2 * [None if tenants is None else list(tenants)])),
    ).fetchone()
    return None if row is None else str(row[0])
