"""Marker names and addresses planted in every field of every format: none leaves ROUTE (I5).

A field is whatever can be replaced: each word of each format's sample lines gives its place to a marker in turn, so no
list of fields can be forgotten, and words inside URLs, free text and JSON keys are among them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from detector.config import Account, Config, Host, Network, Observer, Topic
from detector.decode import Decoder, ecs, table
from detector.decode.decoded import Decoded, Origin
from detector.pipeline import Routed, Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.privacy.verify import hits, laid_open, of_frame
from detector.records import Place, Records, of_lines

NEEDLES = ("moerkelbach", "10.77.3.200", "fd00:77::3:c8ff:fe11:2233", "10.1.77.201")
NAMES = (
    "Xaver.Moerkelbach",
    "STADT\\\\xaver.moerkelbach",
    "xaver.moerkelbach@privat.example",
    "http://x.example/?u=moerkelbach&a=10.77.3.200",
    "PC-MOERKELBACH",
    "svc-x Moerkelbach",
)
ADDRESSES = ("10.77.3.200", "fd00:77::3:c8ff:fe11:2233", "10.1.77.201", "::ffff:10.77.3.200", "srv-10.77.3.200")
WORD = re.compile(r"[A-Za-z0-9_.:@\\$%-]*[A-Za-z0-9][A-Za-z0-9_.:@\\$%-]*")
RECEIVED = 1_780_315_200_000_000  # 2026-06-01T12:00:00Z, as the samples' default
FORMATS = sorted(table.shipped())


def config(topic_format: str) -> Config:
    """One that keeps as much plain as a careless city would."""
    return Config(
        topics=[Topic(name="raw", tenant="stadt", site="rathaus", format=topic_format)],
        networks=[Network("10.0.0.0/9", "server", name="alles"), Network("10.77.0.0/16", "client"), Network("10.1.77.0/24", "guest")],
        accounts=[Account("svc-*", "service"), Account("srv-*", "machine")],
        hosts=[Host("srv-*"), Host("fw*")],
        observers=[Observer(match="devname=none", name="fw-nord")],
    )


def router(topic_format: str) -> Router:
    settings = config(topic_format)
    return Router(Decoder.of(settings), Privacy.of(settings, MemoryKeyring(b"k" * 32)))


def _planted(line: str, markers: tuple[str, ...], each: int) -> Iterator[bytes]:
    """The line with one word after the other replaced by `each` of the markers, taken in turn."""
    turn = itertools.cycle(markers)
    for word in WORD.finditer(line):
        for marker in itertools.islice(turn, each):
            yield (line[: word.start()] + marker + line[word.end() :]).encode()


def _records(lines: list[bytes]) -> Records:
    return of_lines(lines, Place("raw", 0), timestamp=RECEIVED)


def _leaving(routed: Routed) -> bytes:
    """Everything that goes out of ROUTE, as it is sent and laid open."""
    messages = [laid_open(ecs.to_arrow(frame)) for frame in routed.events.values()]
    return b"".join([*messages, *routed.dead_letters, repr(routed.counts).encode()])


def _search(topic_format: str, names: list[str], each: int) -> None:
    samples = [sample.line for name in names for sample in table.shipped()[name].samples]
    step = router(topic_format)
    lines = [line for sample in samples for markers in (NAMES, ADDRESSES) for line in _planted(sample, markers, each)]
    seen: set[str] = set()
    for first in range(0, len(lines), 5_000):
        records = _records(lines[first : first + 5_000])
        routed = route_step(records, step)
        assert routed.counts.balanced
        assert hits(_leaving(routed), NEEDLES) == []
        seen |= {hit.needle for hit in hits(of_frame(step.decoder.decode(records).events), NEEDLES)}
    makes_events = any(sample.event for name in names for sample in table.shipped()[name].samples)
    assert seen or not makes_events, "no marker reached an event: the search above proved nothing"


@pytest.mark.parametrize("name", FORMATS)
def test_no_marker_leaves_route_whatever_field_holds_it(name: str) -> None:
    _search(name, [name], each=1)


def test_no_marker_leaves_route_when_the_format_is_recognised() -> None:
    _search("auto", FORMATS, each=1)


@pytest.mark.soak
@pytest.mark.parametrize("name", FORMATS)
def test_no_marker_of_any_kind_leaves_route_whatever_field_holds_it(name: str) -> None:
    _search(name, [name], each=max(len(NAMES), len(ADDRESSES)))


@pytest.mark.parametrize("column", [c for c in ecs.TEXT if c != "log.topic"])  # the topic's name comes from the configuration
@pytest.mark.parametrize("marker", [*NAMES, *ADDRESSES])
def test_no_marker_passes_in_a_text_column_wherever_a_decoder_may_have_put_it(column: str, marker: str) -> None:
    events = ecs.frame(
        1, {column: ecs.text(np.array([1]), ["", marker], column), "@timestamp": pl.Series([RECEIVED]).cast(pl.Datetime("us", "UTC"))}
    )
    decoded = Decoded(events, np.zeros(1, np.int64), np.zeros(1, np.int32), (Origin("stadt", "rathaus", "Europe/Berlin"),), (), {})
    done = Privacy.of(config("auto"), MemoryKeyring(b"k" * 32)).pseudonymise(decoded)["stadt/rathaus"]
    assert hits(laid_open(ecs.to_arrow(done)), NEEDLES) == []


def test_a_line_that_nobody_can_read_leaves_no_marker_either() -> None:
    lines = [marker.encode() * 3 + b"\0\xff{" for marker in (*NAMES, *ADDRESSES)]
    routed = route_step(_records(lines), router("auto"))
    assert len(routed.dead_letters) == len(lines)
    assert hits(_leaving(routed), NEEDLES) == []
