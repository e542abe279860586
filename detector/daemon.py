"""ROUTE's endless loop: raw topics -> `step` -> events and dead letters, nothing lost, nothing doubled.

One turn:
1. poll, forget what was taken away, merge the partitions by record timestamp
2. when a batch is full or old enough: step (decode, pseudonymise; pure)
3. keep the sealed links of tokens that are new; then commit in one transaction: the events as Arrow messages, the dead letters,
   the offsets of the emitted rows
4. when the transaction was undone: forget what waits, go back to what is committed

Never here: pausing partitions (the client stalls them for good), committing what was read but not emitted.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from detector.config import CANARY, Config, Kafka
from detector.decode import ecs
from detector.pipeline import Counts, Routed
from detector.privacy.vault import Halted, Links, NoLinks
from detector.records import Place, Records
from detector.sources import client, kafka
from detector.sources.contract import Aborted, Message, Sink, Source, SourceError
from detector.sources.merge import SECOND, Merge
from detector.sources.transaction import KafkaSink

MESSAGE_BYTES = 900_000
MESSAGE_ROWS = 10_000  # tried first: about 600 KB; whatever is still too long is cut again
SHORT = 4_096  # characters; a dictionary so short is not worth making shorter
LINGER = SECOND // 2  # a batch that is not full waits so long, because every message costs some KB whatever it holds
WAIT = 0.1  # s, the longest wait for records
IDLE = 5 * SECOND  # so often the offsets are committed when nothing comes: that is how a replaced process notices it
TICK = 60 * SECOND
ABORTS = 10  # in a row; then a supervisor shall look

Step = Callable[[Records], Routed]
Observe = Callable[[Counts, Mapping[Place, int]], None]
Tick = Callable[[int, int | None], None]
NOTHING = Counts(0, {}, {}, {})


def _unobserved(_counts: Counts, _behind: Mapping[Place, int]) -> None:
    """Nobody looks."""


def _no_tick(_now: int, _waiting: int | None) -> None:
    """Nothing to do every minute."""


def _clock() -> int:
    return time.time_ns() // 1000


@dataclass(slots=True)
class Hooks:
    """What others want to know or do while the loop runs.

    observe  after every committed batch with its counts, and about once a second with `NOTHING`; unread records by place
    tick     at the start and once a minute: now, and the time of the oldest record that has not been emitted (None: there
             is none; 0: nobody knows yet); µs. It may raise, which ends the loop
    """

    observe: Observe = _unobserved
    tick: Tick = _no_tick


@dataclass(slots=True)
class Route:
    """One slot of ROUTE. `turn` is one round of the loop; `run` repeats it."""

    source: Source
    sink: Sink
    step: Step
    topics: Kafka  # names of our topics, size of a batch
    hooks: Hooks = field(default_factory=Hooks)
    links: Links = field(default_factory=NoLinks)
    clock: Callable[[], int] = _clock
    merge: Merge = field(default_factory=Merge)
    _committed: dict[Place, int] = field(default_factory=dict)
    _emitted: int = 0  # when the last batch was taken, µs
    _observed: int = 0
    _ticked: int = 0
    _aborts: int = 0

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; what was begun is finished. Raises SourceError with a sentence."""
        with contextlib.suppress(Halted):  # what was not committed comes again
            while not stop.is_set():
                self.turn(WAIT)

    def turn(self, wait: float) -> int:
        """Read, and emit a batch if one is due; how many records it held."""
        now = self.clock()
        behind = self._read(now, wait)
        self._keep_informed(now, behind)
        due = self.merge.ready(behind) >= self.topics.batch_records or now - self._emitted >= LINGER
        taken = self.merge.take(behind, self.topics.batch_records) if due else None
        if taken is not None:
            self._emitted = now
            return self._emit(taken, behind)
        if now - self._emitted >= IDLE and len(behind) > 0:
            self._emitted = now
            self._commit([], {place: self._reached(place) for place in behind})
        return 0

    def _read(self, now: int, wait: float) -> Mapping[Place, int]:
        """Take in what has arrived, unless a whole batch is ready; the places with what is still unread there."""
        behind = self.source.behind()
        self.source.hold(self.merge.ahead(behind))
        enough = self.merge.ready(behind) >= self.topics.batch_records
        batches = [] if enough else self.source.poll(wait)
        for place in self.source.lost():  # also without a poll: a member can be expelled at any time
            self.merge.forget(place)
            self._committed.pop(place, None)
        after = self.clock()
        self.merge.add(batches, after, waited=0 if enough else after - now)
        return self.source.behind()

    def _emit(self, taken: Records, behind: Mapping[Place, int]) -> int:
        routed = self.step(taken)
        self.links.write(routed.fresh)  # whatever becomes of the batch: the step will not call these tokens new again
        if self.source.lost():  # while we were at it: these rows are the new owner's
            self._go_back()
            return 0
        if not self._commit(list(self._messages(routed)), self._offsets(behind)):
            return 0
        self.hooks.observe(routed.counts, behind)
        return len(taken)

    def _commit(self, messages: list[Message], offsets: dict[Place, int]) -> bool:
        """Whether it was done; if not, we are back at what is committed."""
        try:
            self.sink.commit(messages, offsets)
        except Aborted as aborted:
            self._start_over(aborted)
            return False
        self._aborts = 0
        self._committed |= offsets
        return True

    def _offsets(self, behind: Mapping[Place, int]) -> dict[Place, int]:
        """Where to go on after this batch, for every place that has moved: the first row that waits, else the position,
        which also passes over markers and aborted records."""
        reached = {place: self._reached(place) for place in behind}
        return {place: offset for place, offset in reached.items() if self._committed.get(place) != offset}

    def _reached(self, place: Place) -> int:
        waiting = self.merge.next_offset(place)
        return self.source.position(place) if waiting is None else waiting

    def _messages(self, routed: Routed) -> Iterator[Message]:
        for shard, events in routed.events.items():
            for value in split(events):
                yield Message(self.topics.events_topic, shard.encode(), value)
        for letter in routed.dead_letters:
            yield Message(self.topics.dead_letters_topic, None, letter)

    def _start_over(self, aborted: Aborted) -> None:
        self._aborts += 1
        if self._aborts >= ABORTS:
            raise SourceError(f"{ABORTS} transactions in a row were undone, the last because of: {aborted}") from aborted
        self._go_back()

    def _go_back(self) -> None:
        """Forget what waits; everything since the last commit will come again."""
        self.merge.clear()
        self._committed.clear()
        self.source.rewind()

    def _keep_informed(self, now: int, behind: Mapping[Place, int]) -> None:
        if now - self._observed >= SECOND:
            self._observed = now
            self.hooks.observe(NOTHING, behind)
        if now - self._ticked >= TICK:
            self._ticked = now
            self.hooks.tick(now, self.merge.oldest(behind))


def route(
    config: Config,
    step: Step,
    stop: threading.Event,
    hooks: Hooks | None = None,
    *,
    links: Links | None = None,
    accept_gap: bool = False,
) -> None:
    """Run one slot of ROUTE against real Kafka until `stop` is set. Raises SourceError or ClientError with a sentence.

    accept_gap: where the records to go on from were deleted, go on with the oldest that are left instead of stopping.
    """
    if config.kafka is None:
        raise SourceError("there is no [kafka] section: ROUTE has nothing to read")
    client.ensure_topics(config.kafka, more=[topic.name for topic in config.topics if topic.name == CANARY.name])
    client.require_topics(config.kafka, [topic.name for topic in config.topics])
    with (
        closing(kafka.member(config.kafka, [topic.name for topic in config.topics], "route", accept_gap=accept_gap)) as source,
        closing(KafkaSink(config.kafka, "route", source.consumer)) as sink,
    ):
        Route(source, sink, step, config.kafka, hooks or Hooks(), links or NoLinks()).run(stop)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set: the loop ends after the batch at hand. For the main thread of a process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def split(events: pl.DataFrame) -> Iterator[bytes]:
    """The events as Arrow messages under MESSAGE_BYTES each, in order; one event alone may be larger."""
    parts = -(-len(events) // MESSAGE_ROWS)
    if parts > 1:
        yield from _slices(events, -(-len(events) // parts))
    elif len(events) > 0:
        message = ecs.to_arrow(events)
        if len(message) < MESSAGE_BYTES or len(events) == 1:
            yield message
        else:
            yield from _slices(events, -(-len(events) // (len(message) // MESSAGE_BYTES + 2)))


def _slices(events: pl.DataFrame, size: int) -> Iterator[bytes]:
    for start in range(0, len(events), size):
        yield from split(used_only(events[start : start + size]))


def used_only(events: pl.DataFrame) -> pl.DataFrame:
    """The same events; each long dictionary lists only the texts that occur (a slice keeps those of the whole)."""
    shorter = {}
    for name in ecs.TEXT:
        texts = ecs.values(events, name)
        if sum(map(len, texts)) <= SHORT:
            continue
        codes = ecs.codes(events, name)
        occurs = np.zeros(len(texts), np.bool_)
        occurs[0], occurs[codes] = True, True
        place = np.cumsum(occurs) - 1
        shorter[name] = (place[codes], [texts[code] for code in np.flatnonzero(occurs)])
    return events.with_columns(ecs.texts(shorter).values()) if shorter else events
