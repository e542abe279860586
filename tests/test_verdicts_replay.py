"""A verdict reaches SCORE's state at a fixed place of the stream: whoever is killed and replays comes to the same."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence

from detector.inputs import Inbox
from detector.judge.core import Core
from detector.lanes import Lane, Message, Tools
from detector.store import Database, Store, verdicts
from detector.store.embedded import Embedded
from detector.store.verdicts import Said
from tests.eventgen import START, events
from tests.postgres import TestDatabase, fresh
from tests.stub import stub_models
from tests.test_judge import fails
from tests.test_scorer_lanes import never
from tests.test_store import SHARD
from tests.test_store_notify import LIVE

PARTS = [events([{"log.offset": 100 * n + i, **row} for i, row in enumerate(fails(5, at=20.0 * n))]) for n in range(12)]
MESSAGES = [Message(number, SHARD, part) for number, part in enumerate(PARTS)]


def judge(database: TestDatabase, number: int) -> None:
    """A person closes every incident that there is."""
    with contextlib.closing(Database(database.url())) as people, people.transaction() as connection:
        for (id_,) in connection.execute("SELECT id::text FROM store.incidents ORDER BY id").fetchall():
            verdicts.apply(connection, Said(f"page/{number}", id_, "false-positive", "Frau Muster", START), START)


def course(database: TestDatabase, killed_before: Sequence[int], judged_before: int, snapshot_at: int = -1) -> list[tuple[object, ...]]:
    """The stream through lanes that are killed before these messages; a person judges in between; what the database then shows."""
    done = False
    for end in (*killed_before, len(MESSAGES)):
        with contextlib.closing(Store(database.url(), LIVE)) as store:
            moments = itertools.count(0, 10)  # s: the inbox is due at each look
            tools = Tools(store, lambda: START, never, monotonic=lambda ticks=moments: float(next(ticks)))  # type: ignore[misc]
            lane, inbox = Lane(Core(stub_models(), 10_000), tools, "tuermer.events/0"), Inbox(tools)
            at = lane.start(0, len(MESSAGES))
            for message in MESSAGES[at:end]:
                if message.offset == judged_before and not done:
                    judge(database, 1)
                    inbox.look([lane])
                    done = True
                lane.feed([message], message.offset + 1)
                if message.offset == snapshot_at:
                    lane.snapshot(due_only=False)
    return database.rows("SELECT incident, number, day, opened, events, worst_p FROM store.episodes ORDER BY 1, 2")


def test_after_a_verdict_the_same_episodes_come_out_whoever_is_killed(postgres_server: Embedded) -> None:
    with contextlib.ExitStack() as stack:
        bases = [stack.enter_context(fresh(postgres_server)) for _ in range(4)]
        undisturbed = course(bases[0], (), 6)
        assert {number for _, number, *_ in undisturbed} == {1, 2}
        assert course(bases[1], (9,), 6) == undisturbed, "replayed from the beginning"
        assert course(bases[2], (8, 10), 6, snapshot_at=4) == undisturbed, "replayed from a snapshot before the verdict"
        assert course(bases[3], (9,), 6, snapshot_at=7) == undisturbed, "and from one after it"
