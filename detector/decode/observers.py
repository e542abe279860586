"""Who sent a line: the topic's settings, or those of the first `[[observers]]` entry whose `match` stands in the line's head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.config import Observer, Topic
from detector.decode.decoded import Origin
from detector.decode.scan import Bytes, find, pack

HEAD = 512  # bytes of a record in which `match` is looked for


@dataclass(frozen=True, slots=True)
class Source:
    """What is settled about a line once its sender is known."""

    origin: Origin
    format: str  # "auto" or a name
    name: str  # observer name, "" = as the line says


@dataclass(frozen=True, slots=True)
class Senders:
    """Topic t may come from sources first[t] (by itself) or, when their match is found, first[t] + 1 .. first[t + 1] - 1."""

    topics: dict[str, int]
    first: NDArray[np.int64]
    sources: tuple[Source, ...]
    buffer: Bytes
    bounds: NDArray[np.int64]

    def choose(self, values: Bytes, bounds: NDArray[np.int64], place: NDArray[np.int32], names: Sequence[str]) -> NDArray[np.int32]:
        """The source of each record, int32 (n). Raises ValueError for a topic without an entry."""
        for name in names:
            if name not in self.topics and "*" not in self.topics:
                raise ValueError(f"no [[topics]] entry has the name {name!r}")
        index = np.array([self.topics.get(name, self.topics.get("*", 0)) for name in names] or [0], np.int64)
        return _choose(values, bounds, index[place], self.first, self.buffer, self.bounds)


@njit(cache=True, nogil=True)
def _choose(
    values: Bytes, bounds: NDArray[np.int64], topic: NDArray[np.int64], first: NDArray[np.int64], buffer: Bytes, texts: NDArray[np.int64]
) -> NDArray[np.int32]:  # fmt: skip
    chosen = np.empty(len(topic), np.int32)
    for row in range(len(topic)):
        t = topic[row]
        chosen[row] = first[t]
        stop = min(bounds[row + 1], bounds[row] + HEAD)
        for source in range(first[t] + 1, first[t + 1]):
            if find(values, bounds[row], stop, buffer, texts[source], texts[source + 1]) >= 0:
                chosen[row] = source
                break
    return chosen


def _source(topic: Topic, observer: Observer) -> Source:
    """An observer's own settings, and the topic's where it has none."""
    origin = Origin(observer.tenant or topic.tenant, observer.site or topic.site, observer.timezone or topic.timezone)
    return Source(origin, observer.format or topic.format, observer.name)


def senders(topics: Sequence[Topic], observers: Sequence[Observer]) -> Senders:
    """From configuration; a topic named "*" stands for every topic without an entry of its own."""
    sources: list[Source] = []
    matches: list[bytes] = []
    first = [0]
    for topic in topics:
        sources.append(Source(Origin(topic.tenant, topic.site, topic.timezone), topic.format, ""))
        matches.append(b"")
        for observer in observers:
            if observer.topic in ("", topic.name):
                sources.append(_source(topic, observer))
                matches.append(observer.match.encode())
        first.append(len(sources))
    packed = pack(matches)
    return Senders({t.name: i for i, t in enumerate(topics)}, np.array(first, np.int64), tuple(sources), packed.buffer, packed.bounds)
