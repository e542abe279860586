"""A small core for tests of the loop: counts failures per account, exactly, and shows at once when one is lost or doubled."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
import numpy as np
import polars as pl

from detector.decode import ecs
from detector.judge.findings import Changes, Deciles, EventSample, EvidenceRow, Incident, Reason, first_episode
from detector.lanes import Message
from detector.sentence import Sentence

START = 1_780_000_000_000_000
SECOND = 1_000_000
HOUR = 3600 * SECOND
OPENS_AT, WORSE_AT = 5, 20
DAY = 20_602  # of START, since 1970-01-01


@dataclass
class CountingState:
    shard: str
    limit: int = OPENS_AT
    failures: dict[str, int] = field(default_factory=dict)
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: int = 0  # events, all
    taken: list[str] = field(default_factory=list)  # inputs, each with the number of events before it


class CountingCore:
    """An incident per account from its fifth failure on; an input `limit` changes the five."""

    schema = "counting-1"

    def fresh(self, shard: str) -> CountingState:
        return CountingState(shard)

    def load(self, shard: str, payload: bytes) -> CountingState:
        state = CountingState(**msgspec.json.decode(payload))
        assert state.shard == shard
        return state

    def dump(self, state: CountingState) -> bytes:
        return msgspec.json.encode(state)

    def ready(self, shard: str, kind: str, payload: Mapping[str, object]) -> None:
        if "limit" not in payload:
            raise Sentence(f"{shard} has no use for this {kind}")

    def take(self, state: CountingState, kind: str, payload: Mapping[str, object]) -> None:
        state.taken.append(f"{kind}@{state.seen}")
        state.limit = int(str(payload["limit"]))

    def step(self, state: CountingState, events: pl.DataFrame) -> Changes:
        opened: dict[str, Incident] = {}
        updated: dict[str, Incident] = {}
        evidence: dict[str, list[EvidenceRow]] = {}
        samples: dict[str, list[EventSample]] = {}
        notify: list[str] = []
        for user, port, time, offset in _rows(events):
            state.seen += 1
            state.failures[user] = state.failures.get(user, 0) + 1
            if state.failures[user] < state.limit:
                continue
            if user not in state.incidents:
                incident = _incident(state.shard, user, time, offset)
                opened[user] = incident
                notify.append(incident.id)
            else:
                incident = _restored(state.incidents[user])
                (opened if user in opened else updated)[user] = incident
            incident.events += 1
            incident.updated = max(incident.updated, time)
            if incident.events == WORSE_AT:
                incident.worst_p, incident.severity = 1e-8, "high"
                notify.append(incident.id)
            state.incidents[user] = asdict(incident)
            evidence.setdefault(incident.id, []).append(EvidenceRow("source.port", str(port), 1, time, time))
            if incident.events <= 3:
                samples.setdefault(incident.id, []).append(EventSample(time, "auth", 0, offset, {"user.name": user, "source.port": port}))
        return Changes(
            state.shard, tuple(opened.values()), tuple(updated.values()),
            {id_: tuple(rows) for id_, rows in evidence.items()}, {id_: tuple(rows) for id_, rows in samples.items()}, tuple(notify),
            tuple(first_episode(incident) for incident in (*opened.values(), *updated.values())),
            deciles=(Deciles(DAY, "auth-source", (len(events), *(0,) * 9)),),
        )  # fmt: skip


def _rows(events: pl.DataFrame) -> list[tuple[str, int, int, int]]:
    users = ecs.values(events, "user.name")
    columns = (ecs.numbers(events, name).tolist() for name in ("source.port", "@timestamp", "log.offset"))
    return [(users[code], *rest) for code, *rest in zip(ecs.codes(events, "user.name").tolist(), *columns, strict=True)]


def _incident(shard: str, user: str, time: int, offset: int) -> Incident:
    tenant, _, site = shard.partition("/")
    return Incident(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{shard} {user} {offset}")), shard=shard, tenant=tenant, site=site, model="auth-user",
        model_id="counting", family="credential-access", severity="medium", entity_kind="user.name", entity_value=user,
        techniques=("T1110",), opened=time, updated=time, closes_at=time + 24 * HOUR, p_value=1e-5, score=5.0, worst_p=1e-5,
        worst_score=5.0, events=0, title={"de": "x", "en": "x"}, counterfactual={},
        reasons=(Reason("failures", 5, 0, 5, 1, {"de": "", "en": ""}),),
    )  # fmt: skip


def _restored(kept: dict[str, Any]) -> Incident:
    return msgspec.convert(kept, Incident)


def events(users: Sequence[str], first: int) -> pl.DataFrame:
    """One failure per user name, at offsets first, first + 1, … of the raw topic and as many seconds."""
    n = len(users)
    names = ["", *dict.fromkeys(users)]
    numbers = np.arange(first, first + n)
    return ecs.frame(
        n,
        {
            "@timestamp": pl.Series(START + numbers * SECOND).cast(pl.Datetime("us", "UTC")),
            "user.name": ecs.text(np.array([names.index(user) for user in users], np.uint32), names),
            "source.port": pl.Series(1024 + numbers % 7, dtype=pl.Int32()),
            "log.offset": pl.Series(numbers, dtype=pl.Int64()),
        },
    )


SHARDS = ("stadt/rathaus", "stadt/bauhof", "stadtwerke")


def a_log(seed: int, messages: int = 120, gaps: bool = True) -> list[Message]:
    """A lane's messages: three shards, small and large frames, offsets with holes as Kafka's transactions leave them."""
    draw = np.random.default_rng(seed)
    offset, raw, made = int(draw.integers(0, 50)) if gaps else 0, 0, []
    for _ in range(messages):
        users = [f"u-{number}" for number in draw.zipf(1.5, size=int(draw.integers(1, 40))) if number < 60] or ["u-1"]
        shard = SHARDS[int(draw.choice(3, p=(0.7, 0.25, 0.05)))]
        made.append(Message(offset, shard, events(users, raw)))
        raw += len(users)
        offset += int(draw.integers(1, 4)) if gaps else 1
    return made
