"""PostgreSQL is the one store: what was found, how far SCORE has come, and what is still to be sent.

`Store` is the daemon's side, for one thread; `Reader` is the page's. `open_database` starts the embedded server if asked
to, brings the schema up to date and says how to connect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detector.judge.findings import Changes
from detector.judge.policy import Policy
from detector.store import claims, findings
from detector.store.claims import Claim, Input, Snapshot
from detector.store.database import Away, Database, Fenced, StoreError
from detector.store.findings import Applied
from detector.store.opening import Opened, open_database
from detector.store.reading import Reader

__all__ = [
    "Applied", "Away", "Claim", "Database", "Fenced", "Input", "Opened", "Reader", "Snapshot", "Store", "StoreError", "open_database",
]  # fmt: skip


class Store:
    """The daemon's hold on the database. Every method is one transaction and raises Away when the server is not there."""

    def __init__(self, conninfo: str, policy: Policy | None = None) -> None:
        self.database = Database(conninfo)
        self.policy = Policy() if policy is None else policy

    def claim(self, shard: str, now: int, place: str = "local", owner: str = "", origin: int = 0) -> Claim:
        return claims.claim(self.database, self.policy, shard, now, place, owner, origin)

    def known(self, place: str) -> list[str]:
        return claims.known(self.database, place)

    def apply(self, claim: Claim, first: int, next_: int, changes: Changes, now: int) -> Applied:
        return findings.apply(self.database, claim, first, next_, changes, now, self.policy)

    def save_snapshot(self, claim: Claim, next_: int, schema: str, payload: bytes, now: int) -> None:
        claims.save_snapshot(self.database, claim, next_, schema, payload, now)

    def move_snapshot(self, claim: Claim, next_: int, now: int) -> bool:
        return claims.move_snapshot(self.database, claim, next_, now)

    def add_input(self, shard: str, kind: str, payload: Mapping[str, object], now: int) -> int:
        return claims.add_input(self.database, shard, kind, payload, now)

    def inputs_since(self, shard: str, offset: int) -> list[Input]:
        return claims.inputs_since(self.database, shard, offset)

    def waiting(self, shards: Sequence[str]) -> dict[str, list[Input]]:
        return claims.waiting(self.database, shards)

    def place(self, claim: Claim, offset: int, ready: Sequence[int], refused: Mapping[int, str], now: int) -> tuple[Input, ...]:
        return claims.place(self.database, claim, offset, ready, refused, now)

    def report(self, component: str, instance: str, values: Mapping[str, float], now: int) -> None:
        """How a process is doing, for the view `health`."""
        claims.report(self.database, component, instance, values, now)

    def close(self) -> None:
        self.database.close()
