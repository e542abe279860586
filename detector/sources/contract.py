"""What a source of raw records promises. Kafka, files and memory keep the same promises (tests/test_sources_contract.py)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from detector.records import Place, Records
from detector.sentence import Sentence


class SourceError(Sentence):
    """Reading cannot go on; the text is for the operator: what is wrong and what to do."""


class Fenced(SourceError):
    """A newer process with the same name has taken over: stop, touch nothing."""


class Aborted(Exception):
    """A transaction was undone and nothing of it is visible: go back to what is committed and try again."""


class Message(NamedTuple):
    """What a sink writes."""

    topic: str
    key: bytes | None
    value: bytes


class Source(Protocol):
    """Records of one or more places, each place in the order of its offsets, each record exactly once between two seeks.

    A source never decides what counts as read: whoever reads keeps the offsets and comes back with `seek`.
    """

    def poll(self, seconds: float) -> list[Records]:
        """What has arrived, at most one `Records` per place; waits up to `seconds` when nothing has. Raises SourceError."""
        ...

    def behind(self) -> Mapping[Place, int]:
        """Every place that we read, with the number of records known to be still unread there; 0 = it is idle."""
        ...

    def position(self, place: Place) -> int:
        """The offset after the last record handed over, gaps included."""
        ...

    def lost(self) -> frozenset[Place]:
        """Places taken away since the last call (perhaps given back since): forget what is buffered from them."""
        ...

    def hold(self, places: Collection[Place]) -> None:
        """Advice: fetch nothing from these places until the next call; what is under way may still come."""
        ...

    def seek(self, place: Place, offset: int) -> None:
        """Hand over from this offset on."""
        ...

    def rewind(self) -> None:
        """Hand over again from what the reader has committed (`Sink.commit`), everywhere."""
        ...

    def close(self) -> None:
        """Give everything back; a second call does nothing."""
        ...


class Sink(Protocol):
    """Where results go, together with the offsets up to which they are complete: both or neither."""

    def commit(self, messages: Sequence[Message], offsets: Mapping[Place, int]) -> None:
        """Write all messages and remember the offsets. Raises Aborted (nothing happened), Fenced or SourceError (stop)."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
