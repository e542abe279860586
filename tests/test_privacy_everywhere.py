"""Marker names and addresses go in as raw lines; everything that is stored, shown or said afterwards is searched for them (I5).

Real ROUTE, real SCORE and a real PostgreSQL; only the trained forests are stand-ins, so that incidents are certain to open.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import structlog
from starlette.testclient import TestClient

from detector import logs
from detector.config import Config, Topic
from detector.config import Privacy as Settings
from detector.decode import Decoder, ecs
from detector.decode.decoded import Decoded
from detector.judge.core import Core
from detector.judge.findings import Changes
from detector.lanes import Tools
from detector.pipeline import Router, route_step
from detector.privacy import MemoryKeyring, Privacy, new_dead_letters
from detector.privacy.verify import Hit, hits, laid_open
from detector.records import Place, Records, of_lines
from detector.scorer import LocalScorer
from detector.store import Applied, Reader, Store
from detector.store.contents import contents
from detector.web.metrics import Metrics
from detector.web.page import Probes, application
from detector.web.terminal import lines as printed
from tests.postgres import TestDatabase
from tests.stub import stub_models

NEEDLES = ("moerkelbach", "10.77.3.200", "fd00:77::3:c8ff:fe11:2233")
NAME = "xaver.moerkelbach"
NOON = 1_780_315_200_000_000  # 2026-06-01T12:00:00Z
MINUTE = 60_000_000


def attack() -> list[bytes]:
    """What opens incidents about the markers: failures and a success from inside addresses, rubbish, a scan, a beacon's flows."""
    made: list[bytes] = []
    for i in range(40):
        clock = f"Jun  1 12:{i // 60:02d}:{i % 60:02d}"
        for source in ("10.77.3.200", "fd00:77::3:c8ff:fe11:2233", "81.2.3.4"):
            failed = (
                f"{clock} pc-moerkelbach sshd[{100 + i}]: Failed password for invalid user {NAME}{i % 3} from {source} port {4000 + i} ssh2"
            )
            made.append(failed.encode())
        scan = (
            f'devname="fw-moerkelbach" type="traffic" subtype="forward" srcip=10.77.3.200 dstip=10.77.9.{i} dstport={i + 1} user="{NAME}"'
        )
        made.append(
            f'<189>date=2026-06-01 time=12:{i // 60:02d}:{i % 60:02d} tz="+0000" {scan} action="deny" proto=6 url="http://x/?u={NAME}"'.encode()
        )
    accepted = "Jun  1 12:02:00 pc-moerkelbach sshd[9]: Accepted password for {}0 from {} port 5000 ssh2"
    made += [accepted.format(NAME, source).encode() for source in ("10.77.3.200", "81.2.3.4")]
    made += [f"\0\xff {NAME} from 10.77.3.200".encode(), b'{"user": "moerkelbach", "ip": "10.77.3.200"', NAME.encode() * 1000]
    return made


@dataclass
class Watched:
    """One run from raw lines to the page, with everything that came out of it."""

    database: TestDatabase
    out: dict[str, bytes] = field(default_factory=dict)  # what -> all its bytes
    metrics: Metrics = field(default_factory=Metrics)
    opened: list[str] = field(default_factory=list)

    def run(self, settings: Settings, privacy: type[Privacy] = Privacy) -> None:
        config = Config(topics=[Topic(name="auth", tenant="stadt", site="rathaus", timezone="UTC")], privacy=settings)
        router = Router(Decoder.of(config), privacy.of(config, MemoryKeyring(b"k" * 32)))
        with contextlib.closing(Store(self.database.url())) as store:
            tools = Tools(store, lambda: NOON + 10 * MINUTE, lambda _: True, watch=self.watch)
            scorer = LocalScorer(Core(stub_models()), tools, "markers")
            routed = route_step(of_lines(attack(), Place("auth", 0), timestamp=NOON), router)
            self.metrics.routed(routed.counts, {Place("auth", 0): 0})
            self.out["tuermer.events"] = b"".join(laid_open(ecs.to_arrow(frame)) for frame in routed.events.values())
            self.out["tuermer.dead-letters"] = b"\n".join(routed.dead_letters)
            scorer.feed(0, routed.events)
            scorer.close()
        self.out["metrics"] = self.metrics.text()
        self.out["database"] = self.stored()
        self.shown()

    def watch(self, changes: Changes, applied: Applied) -> None:
        self.metrics.judged(changes, len(applied.notified))
        self.opened += [incident.id for incident in changes.opened]
        self.out["changes"] = self.out.get("changes", b"") + repr(changes).encode()

    def stored(self) -> bytes:
        """Every row of every table, found as `tuermer privacy verify` finds them."""
        places = list(contents(self.database.url("postgres")))
        assert {"snapshots", "store.incidents", "store.evidence"} <= {place.name for place in places if place.content != b""}
        assert all(place.readable for place in places)
        return b"".join(place.content for place in places)

    def shown(self) -> None:
        """All pages, in both languages, and the lines of the terminal."""
        with contextlib.closing(Reader(self.database.url())) as reader:
            client = TestClient(application(reader, Probes(lambda: None, lambda: None, self.metrics.text)), base_url="http://127.0.0.1")
            paths = ["/", "/?lang=en", "/metrics", "/healthz", "/readyz", "/incident/none"]
            paths += [f"/incident/{found}{lang}" for found in self.opened for lang in ("", "?lang=en")]
            self.out["page"] = b"".join(client.get(path).content for path in paths)
            found = [reader.incident(each) for each in self.opened]
            self.out["terminal"] = "\n".join(line for one in found if one is not None for line in printed(one, "de")).encode()
            self.out["incident JSON"] = json.dumps(found, default=str).encode()


@pytest.fixture
def quiet_hooks() -> Iterator[None]:
    """`logs.configure` changes the process; this puts it back."""
    root, before = logging.getLogger(), (sys.excepthook, threading.excepthook, logging.getLogger().handlers[:], logging.getLogger().level)
    yield
    sys.excepthook, threading.excepthook, root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("memory", ["none", "first-seen"])
def test_no_marker_is_in_topics_database_page_metrics_terminal_or_logs(
    database: TestDatabase, tmp_path: Path, capfd: pytest.CaptureFixture[str], quiet_hooks: None, memory: Any
) -> None:
    logs.configure("json", "debug")
    new_dead_letters(tmp_path / "letters.key")
    watched = Watched(database)
    watched.run(Settings(person_memory=memory, dead_letter_public_key=str(tmp_path / "letters.key.pub")))
    said = capfd.readouterr()
    watched.out["logs"] = (said.out + said.err).encode()
    assert len(watched.opened) >= 2, "no incident opened, so nothing was proved about incidents"
    assert b"u-" in watched.out["page"], "no token is on the page, so nothing was proved about it"
    assert {what: hits(content, NEEDLES) for what, content in watched.out.items()} == {what: list[Hit]() for what in watched.out}


class Careless(Privacy):
    """Lets everything pass."""

    def pseudonymise(self, decoded: Decoded) -> dict[str, pl.DataFrame]:
        return {decoded.origins[0].shard: decoded.events}

    def dead_letters(self, records: Records, decoded: Decoded) -> list[bytes]:
        return [records.value(reject.row) for reject in decoded.rejects]


def test_the_same_search_finds_the_markers_where_nothing_hides_them(database: TestDatabase) -> None:
    watched = Watched(database)
    watched.run(Settings(), Careless)
    found = {what for what, content in watched.out.items() if hits(content, NEEDLES)}
    assert found == {"tuermer.events", "tuermer.dead-letters", "database", "changes", "page", "incident JSON"} | (found & {"terminal"})


def test_an_error_in_the_middle_of_routing_says_nothing_of_the_line(capsys: pytest.CaptureFixture[str], quiet_hooks: None) -> None:
    """Whatever a future mistake of ours raises while it holds a plain name, the crash text does not repeat it."""
    logs.configure("json")

    class Broken(Privacy):
        def pseudonymise(self, decoded: Any) -> Any:
            raise ValueError(f"cannot do {decoded.events['user.name'].to_list()}")

    config = Config(topics=[Topic(name="auth", tenant="stadt")])
    router = Router(Decoder.of(config), Broken.of(config, MemoryKeyring()))
    with pytest.raises(ValueError, match="moerkelbach") as raised:
        route_step(of_lines(attack()[:1], Place("auth", 0), timestamp=NOON), router)
    sys.excepthook(raised.type, raised.value, raised.tb)
    said = capsys.readouterr().err
    assert "builtins.ValueError" in said
    assert hits(said.encode(), NEEDLES) == []
