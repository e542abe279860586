"""One ordered log of events and the shards that live in it: replay, score, write, snapshot.

A lane is one partition of `tuermer.events`, or a local source. Its messages carry rising offsets; several shards may share it.
Per batch and shard, in this order:
1. what the state knows already is skipped; 2. inputs take effect before the message at their offset; 3. below `applied`
only the state is rebuilt; 4. from there on the changes of all messages are written in one transaction.
While the database is away the lane waits inside its call, so nobody polls: that is the back-pressure.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import polars as pl
import structlog
from numpy.typing import NDArray

from detector.decode import ecs
from detector.forest.artefact import ArtefactError
from detector.judge.findings import Changes
from detector.judge.merging import merged
from detector.sentence import Sentence
from detector.store import Applied, Away, Claim, Input, Store

log = structlog.get_logger()
State = TypeVar("State")
Answer = TypeVar("Answer")
ROWS_PER_STEP = 8_192  # small messages are joined up to about this many events: a step has fixed costs, but so has joining
SNAPSHOT_SHARE = 0.05  # of the time
SNAPSHOT_PAUSE = 10.0  # seconds at least between two snapshots of a shard


class Core(Protocol[State]):
    """The pure part of SCORE: state in, changes out; no clock, no I/O."""

    @property
    def schema(self) -> str:
        """Changes whenever an older snapshot cannot be loaded."""
        ...

    def fresh(self, shard: str) -> State: ...

    def load(self, shard: str, payload: bytes) -> State: ...

    def dump(self, state: State) -> bytes: ...

    def step(self, state: State, events: pl.DataFrame) -> Changes: ...

    def ready(self, shard: str, kind: str, payload: Mapping[str, object]) -> None:
        """Raises a `Sentence` for an input that this process could not take; what it needs is at hand afterwards."""
        ...

    def take(self, state: State, kind: str, payload: Mapping[str, object]) -> None: ...


class LaneError(Sentence):
    """The log and the database do not fit together; the text is the sentence for the operator. Ends the process."""


class Stopped(Exception):
    """We were asked to end while the database was away; what was not written will be replayed."""


@dataclass(frozen=True, slots=True)
class Message:
    """Some events of one shard at one offset of the lane."""

    offset: int
    shard: str
    events: pl.DataFrame


@dataclass(slots=True)
class Tools:
    """What the lanes of one process share. `clock` gives µs, `pause` waits up to so many seconds and says whether to stop."""

    store: Store
    clock: Callable[[], int]
    pause: Callable[[float], bool]
    owner: str = ""
    accept_gap: bool = False
    watch: Callable[[Changes, Applied], None] | None = None  # told after every write: metrics, the terminal
    latencies: Callable[[NDArray[np.float64]], None] | None = None  # told after every write: seconds since each record's time
    monotonic: Callable[[], float] = time.monotonic
    quiet_until: float = 0.0  # no snapshot of any shard before this moment of `monotonic`

    def patiently(self, call: Callable[[], Answer]) -> Answer:
        """The answer of `call`, asked for again while the database is away. Raises Stopped when asked to end meanwhile."""
        delay = 0.1
        while True:
            try:
                return call()
            except Away as away:
                log.warning("database-away", reason=str(away), next_try_s=delay)
                if self.pause(delay):
                    raise Stopped from away
                delay = min(2 * delay, 5.0)


@dataclass(slots=True)
class Owned:
    """A shard that we own: its claim, its state, and how far each of them is."""

    claim: Claim
    state: Any  # as the core made it
    next: int  # the state holds every message below
    applied: int  # the database holds every message below
    inputs: deque[Input]  # not yet taken, in the order of their offsets
    saved: bool = True  # the snapshot in the database holds this state
    due: float = 0.0  # no snapshot of it before this moment of `Tools.monotonic`


@dataclass(slots=True)
class Lane:
    """See the module. `next` is the first offset that was not fed yet."""

    core: Core[Any]  # the type of its state is the core's own affair
    tools: Tools
    place: str
    next: int = 0
    shards: dict[str, Owned] = field(default_factory=dict)

    def start(self, begin: int, end: int) -> int:
        """Claims the shards known here; returns the offset to seek to. The log holds [begin, end).

        Raises LaneError when a snapshot is older than the log, or the log is shorter than what was read of it.
        """
        known = self.tools.patiently(lambda: self.tools.store.known(self.place))
        for shard in known:
            self._claim(shard, begin, begin)
        self.next = min((owned.next for owned in self.shards.values()), default=begin)
        for owned in self.shards.values():
            self._check(owned, begin, end)
        self.next = max(self.next, begin)
        return self.next

    def feed(self, messages: Sequence[Message], next_: int) -> list[str]:
        """Scores the messages, all those of the lane in [self.next, next_); returns the ids whose notification goes out.

        Raises Fenced (see `Store.apply`), Stopped, and whatever the core raises on events that it cannot read.
        """
        by_shard: dict[str, list[Message]] = {}
        for message in messages:
            if message.offset >= self.next:
                by_shard.setdefault(message.shard, []).append(message)
        for shard, own in by_shard.items():  # all, before any is written: a restart must find each by its row
            if shard not in self.shards:
                self._claim(shard, own[0].offset, self.next)
        notified = [id_ for shard, own in by_shard.items() for id_ in self._feed_shard(self.shards[shard], own, next_)]
        self.next = max(self.next, next_)
        return notified

    def snapshot(self, *, due_only: bool = True) -> None:
        """Stores the states whose turn it is; shards that had no message meanwhile only move their snapshot's offset."""
        for owned in sorted(self.shards.values(), key=lambda owned: owned.due):
            started = self.tools.monotonic()
            if due_only and started < max(owned.due, self.tools.quiet_until):
                break
            self._save(owned)
            finished = self.tools.monotonic()
            owned.due = finished + SNAPSHOT_PAUSE
            self.tools.quiet_until = started + (finished - started) / SNAPSHOT_SHARE

    def _claim(self, shard: str, origin: int, begin: int) -> None:
        store, now = self.tools.store, self.tools.clock()
        claim = self.tools.patiently(lambda: store.claim(shard, now, self.place, self.tools.owner, origin))
        state, next_ = self._state(claim, begin)
        inputs = self.tools.patiently(lambda: store.inputs_since(shard, next_))
        for entry in inputs:
            self._must(shard, lambda entry=entry: self.core.ready(shard, entry.kind, entry.payload))  # type: ignore[misc] # mypy knows no defaults of lambdas
        due = self.tools.monotonic() + SNAPSHOT_PAUSE
        self.shards[shard] = Owned(claim, state, next_, claim.applied, deque(inputs), claim.snapshot is not None, due)
        if claim.snapshot is None and claim.origin == claim.applied:  # its tenant's models judge it from the first message on
            self.settle(shard, self.tools.patiently(lambda: store.waiting([shard])).get(shard, []))

    def _state(self, claim: Claim, begin: int) -> tuple[Any, int]:
        kept = claim.snapshot
        if kept is None:
            return self.core.fresh(claim.shard), claim.origin
        if kept.schema == self.core.schema:
            return self._must(claim.shard, lambda: self.core.load(claim.shard, kept.payload)), kept.next
        if not self.tools.accept_gap:
            raise LaneError(
                f"The snapshot of the shard {claim.shard} was made by another version (schema {kept.schema}, this is {self.core.schema}): "
                "run that version, or start once with --accept-gap to rebuild the state from what tuermer.events still holds."
            )
        return self.core.fresh(claim.shard), begin

    def _must(self, shard: str, call: Callable[[], Answer]) -> Answer:
        """What a replay needs: without it the shard could not be rebuilt as it was."""
        try:
            return self.tools.patiently(call)
        except (ArtefactError, ValueError) as error:
            raise LaneError(f"The shard {shard} cannot be rebuilt: {error}") from error

    def settle(self, shard: str, waiting: Sequence[Input]) -> None:
        """Gives inputs of one of our shards their offset, here: they take effect before the next message that is not yet written.

        What this process cannot take is refused for good, with the reason.
        """
        owned, now = self.shards[shard], self.tools.clock()
        refused = {entry.id: why for entry in waiting if (why := self._refusal(shard, entry)) is not None}
        ready = [entry.id for entry in waiting if entry.id not in refused]
        placed = self.tools.patiently(lambda: self.tools.store.place(owned.claim, owned.applied, ready, refused, now))
        known = {entry.id for entry in owned.inputs}
        owned.inputs.extend(entry for entry in placed if entry.id not in known)

    def _refusal(self, shard: str, entry: Input) -> str | None:
        try:
            self.tools.patiently(lambda: self.core.ready(shard, entry.kind, entry.payload))
        except Sentence as sentence:
            return str(sentence)
        return None

    def _check(self, owned: Owned, begin: int, end: int) -> None:
        shard = owned.claim.shard
        if owned.next > end or owned.applied > end:
            raise LaneError(
                f"The shard {shard} has read {self.place} up to {max(owned.next, owned.applied)}, but it ends at {end}: "
                "the topic was made anew. Use a database that belongs to it."
            )
        if owned.next >= begin:
            return
        if not self.tools.accept_gap:
            raise LaneError(
                f"The snapshot of the shard {shard} ends at {owned.next}, but {self.place} begins at {begin}: the events between "
                "are gone, after more than 72 hours without SCORE. Start once with --accept-gap to go on without them."
            )
        log.warning("gap-accepted", shard=shard, first=owned.next, next=begin)
        owned.next = begin
        if owned.applied < begin:
            self._write(owned, Changes(shard), begin)

    def _feed_shard(self, owned: Owned, messages: list[Message], next_: int) -> list[str]:
        fresh = [m for m in messages if m.offset >= owned.next]
        for _ in self._steps(owned, [m for m in fresh if m.offset < owned.applied]):
            pass  # the database has these changes
        live = [m for m in fresh if m.offset >= owned.applied]
        changes = merged(owned.claim.shard, self._steps(owned, live))
        owned.next = max(owned.next, next_)
        if next_ <= owned.applied:
            return []
        applied = self._write(owned, changes, next_)
        if self.tools.latencies is not None and live:
            created = np.concatenate([ecs.numbers(m.events, "event.created") for m in live])
            self.tools.latencies((self.tools.clock() - created) / 1e6)
        return list(applied.notified)

    def _write(self, owned: Owned, changes: Changes, next_: int) -> Applied:
        store, now = self.tools.store, self.tools.clock()
        applied = self.tools.patiently(lambda: store.apply(owned.claim, owned.applied, next_, changes, now))
        owned.applied = next_
        owned.inputs.extend(applied.inputs)
        if self.tools.watch is not None:
            self.tools.watch(changes, applied)
        return applied

    def _steps(self, owned: Owned, messages: list[Message]) -> Iterator[Changes]:
        """The core's answer to each group of messages; inputs in between at their offsets."""
        group: list[pl.DataFrame] = []
        rows = 0
        for message in messages:
            if group and (rows >= ROWS_PER_STEP or self._has_input(owned, message.offset)):
                yield self.core.step(owned.state, ecs.concat(group))
                group, rows = [], 0
            self._take_inputs(owned, message.offset)
            group.append(message.events)
            rows += len(message.events)
            owned.next, owned.saved = message.offset + 1, False
        if group:
            yield self.core.step(owned.state, ecs.concat(group))

    def _has_input(self, owned: Owned, offset: int) -> bool:
        return len(owned.inputs) > 0 and owned.inputs[0].from_offset <= offset

    def _take_inputs(self, owned: Owned, offset: int) -> None:
        while self._has_input(owned, offset):
            entry = owned.inputs.popleft()
            self.core.take(owned.state, entry.kind, entry.payload)
            owned.saved = False

    def _save(self, owned: Owned) -> None:
        store, now = self.tools.store, self.tools.clock()
        owned.next = max(owned.next, self.next)
        self._take_inputs(owned, owned.next - 1)  # a snapshot at n holds the inputs of every offset below n
        if owned.next > owned.applied:
            self._write(owned, Changes(owned.claim.shard), owned.next)
        if owned.saved:
            if self.tools.patiently(lambda: store.move_snapshot(owned.claim, owned.next, now)):
                return
            owned.state = self.core.fresh(owned.claim.shard)  # silent past its retention: the night has deleted it, we forget it, too
        payload = self.core.dump(owned.state)
        self.tools.patiently(lambda: store.save_snapshot(owned.claim, owned.next, self.core.schema, payload, now))
        owned.saved = True
