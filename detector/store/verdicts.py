"""What people decide about incidents: applied once per source, with all that follows, in one transaction.

    confirmed       stays open until somebody closes it; not trained on
    false-positive  closes; what comes next is told again; trained on
    allowed         closes, and a suppression of 30 days keeps its like from people; trained on
    in-work         somebody looks at it, for 8 hours
    closed          closes, most of all what was confirmed; not trained on
    retracted       as if nobody had said anything; suppressions given by verdicts end

The row in `store.verdicts` is for ever; how the incident stands is in columns of `store.incidents` (view `incidents`: status, until).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from detector.judge import closing
from detector.judge.suppress import SuppressionError
from detector.store import audit, suppressions
from detector.store.audit import Entry
from detector.store.database import Connection, as_json, clean, moment
from detector.store.suppressions import UUID

Word = Literal["confirmed", "false-positive", "allowed", "in-work", "retracted", "closed"]
Scope = Literal["one", "alike"]
WORDS: tuple[Word, ...] = get_args(Word)
LAPSE = 8 * 3_600_000_000  # µs that "in work" lasts
_KEEPS_SUPPRESSION = ("in-work", "closed")


@dataclass(frozen=True, slots=True)
class Said:
    """A person's verdict. `source` names where it was said, so that it counts once; `given` in µs by that source's clock."""

    source: str
    incident: str
    word: Word
    author: str
    given: int
    scope: Scope = "one"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many incidents it was applied to; if none, why: unknown (or another tenant's), repeated. `remarks`: what did not follow."""

    applied: int = 0
    refused: Literal["", "unknown", "repeated"] = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Target:
    id: str
    tenant: str
    shard: str
    episode: int
    alike: str


def apply(connection: Connection, said: Said, now: int, tenants: Collection[str] | None = None) -> Outcome:
    """Applies it in the caller's transaction; `tenants` are those whose incidents its author may judge (None: all). `now` in µs."""
    if UUID.fullmatch(said.incident) is None:
        return Outcome(refused="unknown")
    asked = _locked(connection, "id = %(id)s::uuid", {"id": said.incident})
    if asked == [] or (tenants is not None and asked[0].tenant not in tenants):
        return Outcome(refused="unknown")
    if connection.execute("SELECT FROM store.verdicts WHERE source = %s LIMIT 1", (said.source,)).fetchone() is not None:
        return Outcome(refused="repeated")
    targets = asked if said.scope == "one" else _all_alike(connection, said, asked[0], now)
    remarks = [_apply_to(connection, said, target, now) for target in targets]
    details = {"scope": said.scope, "incidents": len(targets), "source": said.source}
    audit.append(connection, Entry(asked[0].tenant, said.author, f"verdict.{said.word}", said.incident, details), now)
    return Outcome(len(targets), remarks=tuple(dict.fromkeys(remark for remark in remarks if remark != "")))


def _all_alike(connection: Connection, said: Said, asked: _Target, now: int) -> Sequence[_Target]:
    """All open ones of its kind but those that somebody confirmed; of a retraction those that the same verdict was about."""
    if said.word != "retracted":
        which = "id = %(id)s::uuid OR (alike = %(alike)s AND until > %(now)s AND verdict IS DISTINCT FROM 'confirmed')"
        return _locked(connection, which, {"id": asked.id, "alike": asked.alike, "now": moment(now)})
    which = """
        id = %(id)s::uuid OR id IN (
            SELECT v.incident FROM store.verdicts AS v WHERE v.source = (
                SELECT x.source FROM store.verdicts AS x WHERE x.incident = %(id)s::uuid ORDER BY x.id DESC LIMIT 1
            ) AND NOT EXISTS (SELECT FROM store.verdicts AS later WHERE later.incident = v.incident AND later.id > v.id)
        )
    """
    return _locked(connection, which, {"id": asked.id})


def _locked(connection: Connection, which: str, arguments: dict[str, object]) -> list[_Target]:
    sql = f"SELECT id::text, tenant, shard, episode, alike FROM store.incidents WHERE {which} ORDER BY id FOR UPDATE"  # noqa: S608 - constants of ours
    return [_Target(*row) for row in connection.execute(sql.encode(), arguments).fetchall()]


def _apply_to(connection: Connection, said: Said, target: _Target, now: int) -> str:
    """What did not follow although people may expect it; "" mostly."""
    if said.word not in _KEEPS_SUPPRESSION:
        _lift(connection, target.id, said.author, now)
    suppression, remark = _hush(connection, said, target, now) if said.word == "allowed" else (None, "")
    _stand(connection, said, target, now)
    connection.execute(
        """
        INSERT INTO store.verdicts (source, incident, tenant, episode, word, scope, author, given, recorded, lapses, suppression, remark)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            clean(said.source), target.id, target.tenant, target.episode, said.word, said.scope, clean(said.author), moment(said.given),
            moment(now), moment(now + LAPSE) if said.word == "in-work" else None, suppression, remark,
        ),
    )  # fmt: skip
    if said.word in closing.CLOSING | closing.REOPENING:
        connection.execute(
            "INSERT INTO store.inputs (shard, kind, payload, created) VALUES (%s, 'verdict', %s::jsonb, %s)",
            (target.shard, as_json(closing.verdict(target.id, target.episode, said.word)), moment(now)),
        )
    return remark


def _lift(connection: Connection, incident: str, author: str, now: int) -> None:
    """Ends what earlier verdicts on this incident suppress."""
    connection.execute(
        """
        UPDATE store.suppressions SET ended = %s, ended_by = %s
        WHERE id IN (SELECT suppression FROM store.verdicts WHERE incident = %s) AND ended IS NULL AND expires > %s
        """,
        (moment(now), clean(author), incident, moment(now)),
    )


def _hush(connection: Connection, said: Said, target: _Target, now: int) -> tuple[int | None, str]:
    """The suppression of its entity, technique and reasons; or none, and why."""
    row = connection.execute("SELECT zone FROM store.tenants WHERE tenant = %s", (target.tenant,)).fetchone()
    assert row is not None
    try:
        found = suppressions.scope(connection, target.id)
        assert found is not None
        given = suppressions.Given(
            found.tenant, found.field, found.value, said.author, f"allowed: incident {target.id}", found.technique, found.signature,
            seen=found.seen, key=f"verdict:{said.source}:{target.id}",
        )  # fmt: skip
        return suppressions.put(connection, given, now, row[0])[0], ""
    except SuppressionError as error:
        return None, str(error)


def _stand(connection: Connection, said: Said, target: _Target, now: int) -> None:
    if said.word == "in-work":
        connection.execute(
            "UPDATE store.incidents SET work_by = %s, work_until = %s WHERE id = %s",
            (clean(said.author), moment(now + LAPSE), target.id),
        )
        return
    said_nothing = said.word == "retracted"
    connection.execute(
        """
        UPDATE store.incidents SET verdict = %s, verdict_episode = %s, verdict_by = %s, verdict_at = %s, work_by = NULL, work_until = NULL
        WHERE id = %s
        """,
        (
            None if said_nothing else said.word, target.episode if said.word in closing.CLOSING else None,
            None if said_nothing else clean(said.author), None if said_nothing else moment(now), target.id,
        ),
    )  # fmt: skip
