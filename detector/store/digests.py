"""Makes each tenant's daily digest once: a row, and a message in the outbox. Reads through the views that people read."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.rows import dict_row

from detector.judge import digest
from detector.judge.beside import KEPT, NEAR
from detector.judge.policy import Policy
from detector.store import outbox
from detector.store.database import EPOCH, Connection, Database, as_json, moment

MINUTE = 60_000_000  # µs
LISTED = 50  # incidents named; the counts are of all

Silent = Callable[[Connection, str, int], Sequence[str] | None]  # names of sources of a tenant that fell silent by now; None: not watched


def nobody_watches(_connection: Connection, _tenant: str, _now: int) -> None:
    """Until there is a watch over sources."""


@dataclass(slots=True)
class DigestChore:
    """A chore of the SCORE loop: at the tenant's digest time, once a day, whichever process comes first."""

    database: Database
    policy: Policy
    silent: Silent = nobody_watches
    looked: int = 0  # µs
    done: dict[str, dt.date] = field(default_factory=dict)

    def __call__(self, now: int) -> None:
        """`now` in µs. Raises Away."""
        if now - self.looked < MINUTE:
            return
        self.looked = now
        for tenant in tenants(self.database):
            day, due = latest(now, self.policy, tenant)
            if self.done.get(tenant) != day:
                make(self.database, self.policy, tenant, day, due, now, self.silent)
                self.done[tenant] = day


def tenants(database: Database) -> list[str]:
    with database.transaction() as connection:
        return [tenant for (tenant,) in connection.execute("SELECT tenant FROM store.learning ORDER BY tenant").fetchall()]


def latest(now: int, policy: Policy, tenant: str) -> tuple[dt.date, int]:
    """The day whose digest was due last, and when it was, µs."""
    zone = ZoneInfo(policy.zone(tenant))
    at = dt.time(policy.digest_at // 60, policy.digest_at % 60)
    local = moment(now).astimezone(zone)
    day = local.date() if local.time() >= at else local.date() - dt.timedelta(days=1)
    return day, _due(day, at, zone)


def _due(day: dt.date, at: dt.time, zone: ZoneInfo) -> int:
    return (dt.datetime.combine(day, at, zone) - EPOCH) // dt.timedelta(microseconds=1)


def make(database: Database, policy: Policy, tenant: str, day: dt.date, due: int, now: int, silent: Silent = nobody_watches) -> bool:
    """Writes the digest of `day` unless it is there; whether it was written. A tenant that was not there when it was due gets none."""
    with database.transaction() as connection:
        began = connection.execute("SELECT FROM store.learning WHERE tenant = %s AND began <= %s", (tenant, moment(due))).fetchone()
        if began is None:
            return False
        if connection.execute("SELECT FROM store.digests WHERE tenant = %s AND day = %s", (tenant, day)).fetchone() is not None:
            return False
        document = gather(connection, policy, tenant, day, due, silent(connection, tenant, now))
        made = connection.execute(
            "INSERT INTO store.digests (tenant, day, made, document) VALUES (%s, %s, %s, %s::jsonb) ON CONFLICT DO NOTHING",
            (tenant, day, moment(now), as_json(document)),
        )
        if made.rowcount == 0:
            return False
        outbox.enqueue_digest(connection, tenant, day.isoformat(), document, now)
        return True


def preview(database: Database, policy: Policy, tenant: str, now: int, silent: Silent = nobody_watches) -> Mapping[str, Any]:
    """The digest as it would be made now, not stored; covers the last 24 hours."""
    with database.transaction() as connection:
        day = moment(now).astimezone(ZoneInfo(policy.zone(tenant))).date()
        return gather(connection, policy, tenant, day, now, silent(connection, tenant, now))


def stored(database: Database, tenant: str, day: dt.date | None = None) -> Mapping[str, Any] | None:
    """The digest of that day, or the latest."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT document FROM public.digest WHERE tenant = %s AND (%s::date IS NULL OR day = %s) ORDER BY day DESC LIMIT 1",
            (tenant, day, day),
        ).fetchone()
    return None if row is None else row[0]


def gather(
    connection: Connection, policy: Policy, tenant: str, day: dt.date, until: int, silent: Sequence[str] | None
) -> Mapping[str, Any]:
    """The document of the 24 hours before `until` (µs)."""
    zone = ZoneInfo(policy.zone(tenant))
    end = moment(until)
    begin = (end.astimezone(zone) - dt.timedelta(days=1)).astimezone(dt.UTC)  # the same time on yesterday's wall
    incidents = _of_the_day(connection, tenant, begin, end)
    counts = _counts(incidents)
    near, expected = _near(connection, tenant, begin, end, zone)
    document: dict[str, Any] = {
        "tenant": tenant, "day": day.isoformat(), "since": _shown(begin, zone), "until": _shown(end, zone),
        "counts": counts, "incidents": [one | {"time": _shown(one["time"], zone)} for one in incidents[:LISTED]],
        "expected_false": round(expected, 2), "false_share": digest.false_share(expected, counts["by_chance"]),
        "near_misses": near, "silent": None if silent is None else list(silent), "learning": _learning(connection, tenant, end, zone),
        "drift": _drifts(connection, tenant, (end.astimezone(zone) - dt.timedelta(days=1)).date()),
    }  # fmt: skip
    return document | {"text": {language: digest.text(document, language) for language in ("de", "en")}}


def _shown(at: dt.datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%d.%m. %H:%M}"


def _of_the_day(connection: Connection, tenant: str, begin: dt.datetime, end: dt.datetime) -> list[dict[str, Any]]:
    """Incidents that are new, by when they were read (a backlog's, too), and those that came back, by when; the worst first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            SELECT id::text, episode_opened AS time, severity, title, notification, got_in,
                NOT urgent AND model <> ALL(%(ruled)s) AS by_chance
            FROM store.incidents
            WHERE tenant = %(tenant)s
                AND (recorded >= %(begin)s AND recorded < %(end)s
                    OR episode > 1 AND episode_opened >= %(begin)s AND episode_opened < %(end)s)
            ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END, worst_p, id
            """,
            {"ruled": list(digest.RULED), "tenant": tenant, "begin": begin, "end": end},
        ).fetchall()


def _counts(incidents: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """By what became of them; `by_chance`: those that rest on p-values that are probabilities."""
    told = Counter(one["notification"] for one in incidents)
    names = ("sent", "held", "suppressed", "maintenance", "learning")
    got_in = sum(one["got_in"] == "yes" for one in incidents)
    by_chance = sum(one["by_chance"] for one in incidents)
    return {"n": len(incidents), "got_in": got_in, "by_chance": by_chance, **{name: told[name] for name in names}}


def _near(connection: Connection, tenant: str, begin: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> tuple[list[dict[str, Any]], float]:
    """The next ten below the line, and how many above it chance explains (summed over sites)."""
    rows = connection.execute(
        """
        SELECT site, time, title, model, nearness, one_in FROM public.near_misses
        WHERE tenant = %s AND what = 'finding' AND time >= %s AND time < %s ORDER BY nearness, time, model
        """,
        (tenant, begin, end),
    ).fetchall()
    by_site: dict[str, list[float]] = {}
    for site, _, _, model, nearness, _ in rows:
        if model not in digest.RULED:
            by_site.setdefault(site, []).append(nearness)
    expected = sum(digest.expected_false(values, KEPT, NEAR) for values in by_site.values())
    listed = [
        {"time": _shown(time, zone), "title": title, "model": model, "one_in": one_in, "severity": None}
        for _, time, title, model, _, one_in in rows[: digest.NEXT]
    ]
    return listed, expected


def _learning(connection: Connection, tenant: str, end: dt.datetime, zone: ZoneInfo) -> dict[str, Any] | None:
    row = connection.execute("SELECT began, until FROM public.learning WHERE tenant = %s AND learning", (tenant,)).fetchone()
    if row is None:
        return None
    return {"began": f"{row[0].astimezone(zone):%d.%m.%Y}", "until": f"{row[1].astimezone(zone):%d.%m.%Y}", "overdue": row[1] <= end}


def _drifts(connection: Connection, tenant: str, day: dt.date) -> dict[str, float | None]:
    rows = connection.execute(
        """
        SELECT d.model, array_agg(d.counts) FROM store.deciles AS d JOIN store.shards AS s ON s.shard = d.shard
        WHERE s.tenant = %s AND d.day = %s GROUP BY d.model
        """,
        (tenant, day),
    ).fetchall()
    found = {model: digest.drift([sum(column) for column in zip(*many, strict=True)]) for model, many in rows}
    return {model: None if value is None else round(value, 3) for model, value in found.items()}
