"""Who is told about what a batch found: each wish is decided once, in the batch's transaction, and stored with its reason.

The tenant's row of the purse is locked meanwhile, so shards of one tenant decide one after the other. A replay writes nothing below
`applied`, hence never decides again. What a suppression or a window held back is looked at anew whenever it goes on: it may have
become stronger than what people had seen, the suppression may have ended, the window may be over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from detector.judge import budget, suppress
from detector.judge.budget import Purse, Wish
from detector.judge.families import LEVELS
from detector.judge.findings import Changes, Incident
from detector.judge.policy import Decision, Policy, Standing, decide, urgent
from detector.judge.suppress import Facts, Suppression
from detector.store import outbox, suppressions
from detector.store.database import Connection, as_json, clean, moment


@dataclass(frozen=True, slots=True)
class Past:
    """What was decided about an incident before: how often, and its severity when somebody was last told ("" if nobody)."""

    decisions: int = 0
    told: str = ""


@dataclass(slots=True)
class Desk:
    """One tenant's decisions in one transaction."""

    connection: Connection
    tenant: str
    policy: Policy
    now: int  # µs
    zone: str
    purse: Purse
    learning: bool
    active: list[Suppression]
    sent: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, connection: Connection, tenant: str, policy: Policy, now: int) -> Desk:
        zone = policy.zone(tenant)
        purse = _locked_purse(connection, tenant, policy, now, zone)
        learning = connection.execute("SELECT FROM store.learning WHERE tenant = %s AND ended IS NULL", (tenant,)).fetchone() is not None
        return cls(connection, tenant, policy, now, zone, purse, learning, suppressions.active(connection, tenant, now))

    def close(self) -> None:
        self.connection.execute(
            "UPDATE store.buckets SET tokens = %s, refilled = %s, day = %s, sent = %s, shares = %s::jsonb WHERE tenant = %s",
            (*self.purse[:4], as_json(self.purse.shares), self.tenant),
        )

    def standing(self, incident: Incident, at: int) -> Standing:
        """What bears on the incident at event time `at`, µs."""
        hiding = None
        if self.active and not suppress.never_hidden(incident):
            hiding = suppress.first_hiding(self.active, incident, _facts(self.connection, incident, self.active))
        if hiding is not None and hiding.seen is None:
            suppressions.first_seen(self.connection, hiding.id, incident)
            self.active = suppressions.active(self.connection, self.tenant, self.now)
        return Standing(None if hiding is None else hiding.id, _window(self.connection, incident, at), self.learning)

    def decide(self, incident: Incident, standing: Standing, opening: Mapping[str, str | int], past: Past) -> None:
        incident = replace(incident, entity_value=clean(incident.entity_value))
        raised = past.told != "" and LEVELS.index(incident.severity) > _level(past.told)
        wish = Wish(urgent(incident), budget.origins(incident, opening), raised)
        self.purse, decision = decide(self.policy, self.purse, wish, standing, self.now, self.zone)
        self._write(incident, standing, decision, past.decisions + 1)
        if decision.answer == "sent":
            outbox.enqueue_incident(self.connection, incident, self.now)
            self.sent.append(incident.id)

    def _write(self, incident: Incident, standing: Standing, decision: Decision, number: int) -> None:
        self.connection.execute(
            """
            WITH known AS (
                UPDATE store.incidents SET
                    notification = CASE WHEN notification = 'sent' THEN 'sent' ELSE %(answer)s END,
                    notified = CASE WHEN %(answer)s = 'sent' THEN %(now)s ELSE notified END
                WHERE id = %(id)s
            )
            INSERT INTO store.decisions (incident, number, decided, answer, why, severity, suppression, maintenance)
            VALUES (%(id)s, %(number)s, %(now)s, %(answer)s, %(why)s, %(severity)s, %(suppression)s, %(window)s)
            """,
            {
                "id": incident.id, "number": number, "now": moment(self.now), "answer": decision.answer, "why": decision.why,
                "severity": incident.severity, "suppression": standing.suppression if decision.answer == "suppressed" else None,
                "window": standing.window,
            },
        )  # fmt: skip


def decide_all(connection: Connection, tenant: str, changes: Changes, now: int, policy: Policy) -> tuple[str, ...]:
    """Decides every wish of the batch, and what was held back and goes on; returns the ids whose notification goes out. `now` in µs."""
    known = {incident.id: incident for incident in (*changes.opened, *changes.updated)}
    wishes = set(changes.notify)
    back = _held_back(connection, [incident.id for incident in changes.updated if incident.id not in wishes])
    if not changes.notify and not back:
        return ()
    desk = Desk.open(connection, tenant, policy.of_tenant(tenant), now)
    opened = {incident.id for incident in changes.opened}
    ids = [*changes.notify, *back]
    openings, pasts = _openings(connection, ids), _pasts(connection, ids)
    allowed = _allowed(connection, ids)
    for id_ in ids:
        incident = known[id_]
        standing = desk.standing(incident, incident.opened if id_ in opened else incident.updated)
        if id_ in allowed:
            _go_on_allowing(connection, id_, hidden=standing.suppression is not None)
        if id_ in wishes or (standing.suppression is None and standing.window is None):
            desk.decide(incident, standing, openings.get(id_, {}), pasts.get(id_, Past()))
    desk.close()
    return tuple(desk.sent)


def _held_back(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Of these incidents those that a suppression, a window or the verdict "allowed" keeps from people, in a stable order."""
    if not ids:
        return []
    rows = connection.execute(
        "SELECT id::text FROM store.incidents WHERE id = ANY(%s::uuid[]) "
        "AND (notification IN ('suppressed', 'maintenance') OR verdict = 'allowed') ORDER BY id",
        (list(ids),),
    )
    return [id_ for (id_,) in rows.fetchall()]


def _allowed(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Of these incidents those that somebody has allowed."""
    rows = connection.execute("SELECT id::text FROM store.incidents WHERE id = ANY(%s::uuid[]) AND verdict = 'allowed'", (list(ids),))
    return {id_ for (id_,) in rows.fetchall()}


def _go_on_allowing(connection: Connection, id_: str, *, hidden: bool) -> None:
    """What was allowed stays closed over its repeats as long as its suppression hides it; beyond that it is open again."""
    connection.execute(
        "UPDATE store.incidents SET verdict_episode = episode WHERE id = %s AND verdict_episode <> episode"
        if hidden
        else "UPDATE store.incidents SET verdict = NULL, verdict_episode = NULL, verdict_by = NULL, verdict_at = NULL WHERE id = %s",
        (id_,),
    )


def _locked_purse(connection: Connection, tenant: str, policy: Policy, now: int, zone: str) -> Purse:
    fresh = budget.full(policy.per_day, now, zone)
    connection.execute(
        "INSERT INTO store.buckets (tenant, tokens, refilled, day) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (tenant, fresh.tokens, fresh.at, fresh.day),
    )
    row = connection.execute(
        "SELECT tokens, refilled, day, sent, shares FROM store.buckets WHERE tenant = %s FOR UPDATE", (tenant,)
    ).fetchone()
    assert row is not None
    return Purse(*row)


def _openings(connection: Connection, ids: Sequence[str]) -> dict[str, Mapping[str, str | int]]:
    """The first event of each incident's latest episode, as the analyst sees it."""
    rows = connection.execute(
        """
        SELECT DISTINCT ON (i.id) i.id::text, s.fields FROM store.incidents AS i
        JOIN store.episodes AS p ON p.incident = i.id AND p.number = i.episode
        JOIN store.samples AS s ON s.incident = p.incident AND s.episode = p.number AND s.day = p.day
        WHERE i.id = ANY(%s::uuid[]) ORDER BY i.id, s.time, s.topic, s.partition, s.position
        """,
        (list(ids),),
    )
    return dict(rows.fetchall())


def _pasts(connection: Connection, ids: Sequence[str]) -> dict[str, Past]:
    """What the learning phase kept back counts as told: the purse was spent for it."""
    rows = connection.execute(
        """
        SELECT incident::text, count(*), (array_agg(severity ORDER BY number DESC)
            FILTER (WHERE answer = 'sent' OR (answer = 'learning' AND why = 'budget')))[1]
        FROM store.decisions WHERE incident = ANY(%s::uuid[]) GROUP BY incident
        """,
        (list(ids),),
    )
    return {id_: Past(count, told or "") for id_, count, told in rows.fetchall()}


def _level(severity: str) -> int:
    return next(level for level, name in enumerate(LEVELS) if name == severity)


def _window(connection: Connection, incident: Incident, at: int) -> int | None:
    row = connection.execute(
        "SELECT store.window_of(%s, %s, %s, %s)", (incident.tenant, incident.site, clean(incident.entity_value), moment(at))
    ).fetchone()
    return None if row is None else row[0]


def _facts(connection: Connection, incident: Incident, active: Sequence[Suppression]) -> Facts:
    """Of the latest episode, every value of the fields that an active suppression may ask for, as far as they are wholly known."""
    wanted = {name for one in active for name in (*suppress.EVIDENCE.get(one.field, ()), *_also(one))}
    rows = connection.execute(
        """
        SELECT e.field, CASE WHEN count(*) < %s THEN array_agg(e.value) END FROM store.incidents AS i
        JOIN store.episodes AS p ON p.incident = i.id AND p.number = i.episode
        JOIN store.evidence AS e ON e.incident = p.incident AND e.episode = p.number AND e.day = p.day
        WHERE i.id = %s AND e.field = ANY(%s) GROUP BY e.field
        """,
        (suppressions.COMPLETE, incident.id, list(wanted)),
    )
    found: dict[str, list[str] | None] = dict(rows.fetchall())
    evidence = {name: frozenset(values) for name in wanted if (values := found.get(name, [])) is not None}
    return Facts(evidence, _sampled(connection, incident) if any(one.field in suppress.SAMPLED for one in active) else {})


def _also(one: Suppression) -> tuple[str, ...]:
    return ("source.ip",) if one.field == "network" else ()


def _sampled(connection: Connection, incident: Incident) -> dict[str, frozenset[str]]:
    """Of an incident about a service the samples are only the first events; of one source or account they are typical."""
    if incident.entity_kind == "service" and incident.episode_events > suppressions.SAMPLES:
        return {}
    rows = connection.execute(
        """
        SELECT s.fields FROM store.incidents AS i
        JOIN store.episodes AS p ON p.incident = i.id AND p.number = i.episode
        JOIN store.samples AS s ON s.incident = p.incident AND s.episode = p.number AND s.day = p.day
        WHERE i.id = %s
        """,
        (incident.id,),
    ).fetchall()
    return {name: frozenset(str(fields.get(name, "")) for (fields,) in rows) for name in suppress.SAMPLED.values()}
