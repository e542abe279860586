"""One receiver, one courier: a thread with a connection of its own, so that a dead receiver never keeps the others waiting.

At least once, in order: what a receiver did not take is tried again, less and less often. If it refuses one message as such, only
what belongs to the same incident waits; if it is away, everything does.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from detector.deliver.alert import Language, Letter, letter
from detector.store import Away, Database, outbox

log = structlog.get_logger()
EVERY = 1.0  # s
FIRST, SLOWEST = 1_000_000, 300_000_000  # µs between two tries
TIDY = 3_600_000_000  # µs
FETCHED = 100


class Down(Exception):
    """The receiver does not take anything now; the text says why, without secrets."""


class Refused(Exception):
    """The receiver does not take this message; another may pass."""


class Transport(Protocol):
    """How letters reach one receiver. `batch`: how many at once at most."""

    @property
    def batch(self) -> int: ...

    def send(self, letters: Sequence[Letter]) -> None:
        """Returns when the receiver has them all. Raises Down, or (a batch of one) Refused."""
        ...


@dataclass(slots=True)
class Wait:
    """When to try again; the pause doubles."""

    until: int = 0  # µs
    pause: int = 0

    def failed(self, now: int) -> None:
        self.pause = min(SLOWEST, max(FIRST, 2 * self.pause))
        self.until = now + self.pause


@dataclass(slots=True)
class Courier:
    """`told`: which kinds of notices; `tenants` none: every one. `count` is told how many were taken, and how many wait."""

    receiver: str
    transport: Transport
    database: Database
    clock: Callable[[], int]
    language: Language = "de"
    told: Collection[str] = outbox.KINDS
    tenants: Collection[str] = ()
    count: Callable[[str, int, int], None] | None = None
    from_the_start: bool = False
    down: Wait = field(default_factory=Wait)
    refused: dict[str, Wait] = field(default_factory=dict)  # by key
    said: str = ""
    begun: bool = False
    tidied: int = 0

    def run(self, end: threading.Event) -> None:
        """Until `end`, and once more after it: what was written last goes out, too."""
        while not end.wait(EVERY):
            self._tried()
        self._tried()
        self.database.close()

    def _tried(self) -> None:
        try:
            self.round()
        except Away as away:
            log.warning("delivery-postponed", receiver=self.receiver, reason=str(away))

    def round(self) -> int:
        """How many letters were taken. Raises Away when the database is."""
        now = self.clock()
        if now < self.down.until:
            return 0
        if not self.begun:
            outbox.begin(self.database, self.receiver, now, from_the_start=self.from_the_start)
            self.begun = True
        if not outbox.mine(self.database, self.receiver):
            return 0
        taken = self._deliver(now)
        if now - self.tidied >= TIDY:
            outbox.advance(self.database, self.receiver, self.told, self.tenants, now)
            self.tidied = now
        return taken

    def _deliver(self, now: int) -> int:
        held = {key for key, wait in self.refused.items() if now < wait.until}
        notices = outbox.waiting(self.database, self.receiver, FETCHED, kinds=self.told, tenants=self.tenants, without=held)
        letters, taken = [letter(notice, self.language) for notice in notices], 0
        while letters != []:
            batch, letters = letters[: self.transport.batch], letters[self.transport.batch :]
            try:
                self.transport.send(batch)
            except Refused as refused:
                self._refused(batch[0], str(refused), now)
                letters = [one for one in letters if one.key != batch[0].key]
                continue
            except Down as down:
                self._away(str(down), now, len(batch) + len(letters))
                return taken
            outbox.delivered(self.database, self.receiver, [one.id for one in batch], self.clock())
            taken += len(batch)
            for one in batch:
                self.refused.pop(one.key, None)
        self._well(taken)
        return taken

    def _refused(self, one: Letter, reason: str, now: int) -> None:
        if one.key not in self.refused:
            log.warning("message-refused", receiver=self.receiver, message=one.id, reason=reason)
        self.refused.setdefault(one.key, Wait()).failed(now)

    def _away(self, reason: str, now: int, waiting: int) -> None:
        if self.said != reason:  # once, not every time
            log.warning("receiver-away", receiver=self.receiver, reason=reason, waiting=waiting)
        self.said = reason
        self.down.failed(now)
        self._count(0, waiting)

    def _well(self, taken: int) -> None:
        if self.said != "" and taken > 0:
            log.info("receiver-takes-again", receiver=self.receiver)
            self.said = ""
        if taken > 0:
            self.down = Wait()
            self._count(taken, len(self.refused))

    def _count(self, taken: int, waiting: int) -> None:
        if self.count is not None:
            self.count(self.receiver, taken, waiting)


@contextlib.contextmanager
def beside(couriers: Sequence[Courier]) -> Iterator[None]:
    """Each in a thread of its own, until the block ends."""
    end = threading.Event()
    threads = [threading.Thread(target=one.run, args=(end,), name=f"to-{one.receiver}", daemon=True) for one in couriers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join(timeout=5)
