"""What to check next, as the views for Grafana read it: the texts of detector/judge/guidance.toml, written at each start."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from detector.judge.texts import Guidance
from detector.store.database import Connection, as_json


def keep_guidance(connection: Connection, guidance: Mapping[str, Guidance]) -> None:
    """Brings the table in step; an entry that is gone from the file stays, incidents may still name it."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO store.guidance (key, name, tactic_id, tactic, next, beware)
            VALUES (%s, %s::jsonb, %s, %s::jsonb, %s::jsonb, %s::jsonb)
            ON CONFLICT (key) DO UPDATE SET name = excluded.name, tactic_id = excluded.tactic_id, tactic = excluded.tactic,
                next = excluded.next, beware = excluded.beware
            """,
            [_row(key, one) for key, one in guidance.items()],
        )


def _row(key: str, one: Guidance) -> tuple[str, ...]:
    texts = (msgspec.to_builtins(part) for part in (one.name, one.tactic, one.next, one.beware))
    name, tactic, steps, beware = map(as_json, texts)
    return key, name, one.tactic_id, tactic, steps, beware
