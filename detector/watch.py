"""Türmer's watch over itself: a thread of SCORE beside the loop, so that a slow look at a week of counts delays no event.

Per round: 1. count new dead letters; 2. once a day play the canary; 3. ask the rules what is not well; 4. open and close health
incidents. Of several SCORE processes one does it, whoever holds the database's advisory lock.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from detector.config import CANARY, Config, Kafka
from detector.drill import Player, found_since
from detector.judge.health import DAY, HOUR, MINUTE, ailments
from detector.night import Night
from detector.privacy.dead_letters import DeadLetter
from detector.rehearsal import ATTACKS
from detector.sources import client
from detector.store import Away, Database, devices
from detector.store import ailments as kept
from detector.store.database import Connection

log = structlog.get_logger()
ROUND = 60.0  # s
LOCK = 0x7475_726D  # of PostgreSQL's advisory locks
PATIENCE = 15 * MINUTE  # for the canary to be found
LETTERS = 5_000  # at most per poll
CANARY_ATTACK = ATTACKS["brute-force"]
Clock = Callable[[], int]


@dataclass(slots=True)
class DeadLetterCount:
    """Counts the topic of dead letters into the database; where it stands is kept there, too."""

    consumer: KafkaConsumer
    topic: str
    assigned: bool = False

    def __call__(self, database: Database) -> int:
        """How many were counted now."""
        if not self.assigned:
            self._begin(database)
        counted = 0
        while records := self.consumer.poll(timeout_ms=500, max_records=LETTERS):
            for partition, batch in records.items():
                letters = [_told(msgspec.json.decode(one.value, type=DeadLetter)) for one in batch if one.value is not None]
                with database.transaction() as connection:
                    place = f"{partition.topic}/{partition.partition}"
                    if not devices.count_unread(connection, place, batch[0].offset, batch[-1].offset + 1, letters):
                        log.warning("dead-letters-counted-by-another", place=place)
                counted += len(letters)
        return counted

    def _begin(self, database: Database) -> None:
        partitions = [TopicPartition(self.topic, p) for p in sorted(self.consumer.partitions_for_topic(self.topic) or ())]
        with database.transaction() as connection:
            known = devices.watched(connection)
        self.consumer.assign(partitions)
        ends = self.consumer.end_offsets(partitions)
        for partition in partitions:
            self.consumer.seek(partition, known.get(f"{partition.topic}/{partition.partition}", ends[partition]))
        self.assigned = True


def _told(letter: DeadLetter) -> tuple[str, str, str, str, int]:
    return letter.tenant, letter.topic, letter.format, letter.reason, letter.created


@dataclass(slots=True)
class Canary:
    """Plays a rehearsed attack once a day in a tenant of its own, and says whether it was found."""

    player: Player
    played: int = 0  # µs; 0: not since this process started

    def __call__(self, connection: Connection, now: int) -> int:
        """µs since an attack that was not found in time; 0 when all is well."""
        if now - self.played >= DAY:
            self.player.play(CANARY.name, CANARY_ATTACK, now)
            self.played = now
        waited = now - self.played
        return 0 if waited < PATIENCE or found_since(connection, CANARY.tenant, CANARY_ATTACK, self.played - 2 * MINUTE) else waited


@dataclass(slots=True)
class Watch:
    """See the module. `stop.wait` is its only clock besides `clock`."""

    database: Database
    clock: Clock
    letters: DeadLetterCount | None = None
    canary: Canary | None = None
    cleaned: int = field(default=0)
    night: Night | None = None
    also: list[Callable[[int], object]] = field(default_factory=list)  # at leisure, by the clock

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(ROUND):
            try:
                self.round()
                if self.night is not None:
                    self.night(self.clock())
                for chore in self.also:
                    chore(self.clock())
            except Away as away:
                log.warning("watch-postponed", reason=str(away))
            except KafkaError as error:
                log.warning("watch-postponed", reason=type(error).__name__)
        self.database.close()

    def round(self) -> tuple[int, int]:
        """Health incidents that were opened and closed."""
        now = self.clock()
        with self.database.transaction() as connection:
            (mine,) = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (LOCK,)).fetchone() or (False,)
            if not mine:
                return 0, 0
            missed = 0 if self.canary is None else self.canary(connection, now)
            operation = kept.operation(connection, now, missed)
            found = ailments(devices.histories(connection, now), devices.unread(connection, now), operation, now)
            result = kept.keep(connection, found, now)
            if now - self.cleaned >= HOUR:
                devices.forget(connection, now)
                self.cleaned = now
        if self.letters is not None:
            self.letters(self.database)
        return result


def dead_letters(config: Kafka) -> DeadLetterCount:
    """A reader of the topic of dead letters in no group: the database says where it stands."""
    consumer = KafkaConsumer(
        **client.arguments(config), enable_auto_commit=False, isolation_level="read_committed", auto_offset_reset="earliest",
        allow_auto_create_topics=False, metrics_enabled=False,
    )  # fmt: skip
    return DeadLetterCount(consumer, config.dead_letters_topic)


def canary(config: Kafka) -> Canary:
    return Canary(Player(KafkaProducer(**client.arguments(config), acks="all", metrics_enabled=False)))


def watching(config: Config, kafka: Kafka, url: str, clock: Clock, environ: Mapping[str, str] = os.environ) -> Watch:
    """The watch of one SCORE process."""
    night = Night.of(config, Database(url), environ)
    return Watch(Database(url), clock, dead_letters(kafka), canary(kafka) if config.watch.canary else None, night=night)


@contextlib.contextmanager
def beside(watch: Watch, stop: threading.Event) -> Iterator[None]:
    """Runs it in a thread of its own until the block ends or `stop` is set."""
    thread = threading.Thread(target=watch.run, args=(stop,), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)
