"""Injected attacks on the real streams, one kind at a time, as shared/streams.md lists them.

a  a guessed password: 5-30 failures, then in · b  a settled person logs in from a never-seen address, half of them in the same
region, no failures · c  spraying, one attempt per source, 100-500 sources within 1-24 h · d  a login at 03:00 from another region ·
e  Cowrie sessions with three attempts and more, as a second host's log.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import zstandard
from numpy.typing import NDArray

from detector.records import Records
from tests.quality.streams_lines import DATASETS, DAY, EPISODES, HOUR, SECOND, Stream, records_of
from tests.quality.streams_people import MINUTE, Logins, Person, Sshd, address_in, elsewhere

COUNT = 40
KINDS = "abcde"
_TRIED = ("root", "admin", "test", "user", "oracle", "postgres", "ubuntu", "guest", "info", "support")
_REGIONS = ("europe", "north-america", "asia", "latin-america")
_COWRIE = DATASETS / "cowrie_2018_05" / "cowrie.jsonl.zst"
_SECOND_HOST = "second"


@dataclass(slots=True)
class Episode:
    """One injected attack: its lines with their times (µs), and what the goals ask about it."""

    start: int
    lines: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    size: float = 0.0  # a: failures, b and d: earlier logins of the account, c: hours, e: attempts
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # offsets in the topic, once placed

    def say(self, at: int, line: bytes) -> None:
        self.lines.append(line)
        self.times.append(at)


@dataclass(frozen=True, slots=True)
class Scene:
    """What an episode is put into."""

    stream: Stream
    staff: list[Person]
    logins: Logins
    sshd: Sshd
    rng: np.random.Generator

    def moment(self, span: int = 0) -> int:
        return int(self.rng.integers(self.stream.begins, max(self.stream.begins + 1, self.stream.last - span)))

    def before(self, person: int, at: int) -> int:
        return int((self.logins.time[self.logins.of(person)] < at).sum())


def records(episodes: list[Episode]) -> Records:
    """All episodes' lines in time order as one topic; notes in each which rows are its own."""
    times = np.array([at for episode in episodes for at in episode.times], np.int64)
    lines = [line for episode in episodes for line in episode.lines]
    whose = np.repeat(np.arange(len(episodes)), [len(episode.lines) for episode in episodes])
    order = np.argsort(times, kind="stable")
    for number, episode in enumerate(episodes):
        episode.rows = np.flatnonzero(whose[order] == number)
    return records_of(EPISODES, [lines[i] for i in order.tolist()], times[order])


def guessed(scene: Scene) -> Episode:
    rng, person = scene.rng, int(scene.rng.integers(len(scene.staff)))
    failures, gap = int(rng.integers(5, 31)), int(rng.integers(2, 21))
    at, address = scene.moment((failures + 2) * gap * SECOND), address_in(rng, str(rng.choice(_REGIONS)))
    episode = Episode(at, size=failures)
    for k in range(failures):
        episode.say(at + k * gap * SECOND, scene.sshd.failed(at + k * gap * SECOND, scene.staff[person].name, address))
    at += failures * gap * SECOND
    episode.say(at, scene.sshd.accepted(at, scene.staff[person].name, address, 0))
    return episode


def moved(scene: Scene) -> Episode:
    settled = [i for i, person in enumerate(scene.staff) if person.kind == "settled"]
    person = int(scene.rng.choice(settled))
    same = scene.rng.random() < 0.5
    home = scene.staff[person].region
    day, hour = scene.moment(DAY), float(scene.rng.uniform(8.0, 18.0))
    return _one_login(scene, person, _at_hour(scene, day, hour), home if same else elsewhere(scene.rng, home))


def night(scene: Scene) -> Episode:
    person = int(scene.rng.integers(len(scene.staff)))
    hour = 3.0 + float(scene.rng.uniform(-0.4, 0.4))
    return _one_login(scene, person, _at_hour(scene, scene.moment(DAY), hour), elsewhere(scene.rng, scene.staff[person].region))


def _one_login(scene: Scene, number: int, at: int, region: str) -> Episode:
    person = scene.staff[number]
    episode = Episode(at, size=scene.before(number, at))
    episode.say(at, scene.sshd.accepted(at, person.name, address_in(scene.rng, region), person.method))
    return episode


def _at_hour(scene: Scene, moment: int, hour: float) -> int:
    """The next time after the moment when the local clock shows the hour."""
    at = datetime.fromtimestamp(moment / SECOND, UTC).astimezone(scene.sshd.zone)
    at = at.replace(hour=int(hour), minute=int(hour % 1 * 60))
    shown = round(at.timestamp() * SECOND)
    return shown if shown >= moment else round((at + timedelta(days=1)).timestamp() * SECOND)


def spray(scene: Scene) -> Episode:
    rng = scene.rng
    longest = min(24.0, (scene.stream.last - scene.stream.begins) / HOUR / 2)
    hours = float(np.exp(rng.uniform(0.0, np.log(longest))))
    sources = int(rng.integers(100, 501))
    start = scene.moment(round(hours * HOUR))
    episode = Episode(start, size=hours)
    names = [person.name for person in scene.staff] + list(_TRIED)
    for at in np.sort(rng.integers(start, start + round(hours * HOUR), sources)).tolist():
        name = str(rng.choice(names))
        address = address_in(rng, str(rng.choice(_REGIONS)))
        episode.say(at, scene.sshd.failed(at, name, address, known=name not in _TRIED or name == "root"))
    episode.start = episode.times[0]
    return episode


@cache
def _sessions() -> tuple[tuple[tuple[float, str, str], ...], ...]:
    """Bursts of the honeypot's failed attempts without an hour's pause, 3 and more, nobody let in: (time in s, user, password line)."""
    text = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(_COWRIE.read_bytes())).read().decode()
    by_source: dict[str, list[tuple[float, str, str]]] = {}
    for line in text.splitlines():
        if '"cowrie.login.' in line:
            row = json.loads(line)
            at = datetime.fromisoformat(row["timestamp"]).timestamp()
            by_source.setdefault(row["src_ip"], []).append((at, row["eventid"], line))
    found = []
    for rows in by_source.values():
        rows.sort()
        pauses = [i for i in range(1, len(rows)) if rows[i][0] - rows[i - 1][0] > 3600]
        for a, b in zip([0, *pauses], [*pauses, len(rows)], strict=True):
            if b - a >= 3 and all(event == "cowrie.login.failed" for _, event, _ in rows[a:b]):
                found.append(tuple(rows[a:b]))
    return tuple(sorted(found))


def honeypot(scene: Scene, low: int, high: int) -> Episode:
    """A burst of `low` to `high` attempts, moved in time and to an address of its own, otherwise as it was."""
    chosen = [burst for burst in _sessions() if low <= len(burst) <= high and burst[-1][0] - burst[0][0] < 0.7 * scene.stream.days * 86_400]
    burst = chosen[int(scene.rng.integers(len(chosen)))]
    start = scene.moment(round((burst[-1][0] - burst[0][0]) * SECOND) + MINUTE)
    address = ".".join(str(address_in(scene.rng, "asia") >> shift & 255) for shift in (24, 16, 8, 0))
    episode = Episode(start, size=len(burst))
    for at, _, line in burst:
        moved_to = start + round((at - burst[0][0]) * SECOND)
        stamp = datetime.fromtimestamp(moved_to / SECOND, UTC)
        row = json.loads(line) | {"src_ip": address, "sensor": _SECOND_HOST, "timestamp": f"{stamp:%Y-%m-%dT%H:%M:%S.%f}Z"}
        row["session"] = f"{row['session']}-{start:x}"
        episode.say(moved_to, json.dumps(row).encode())
    return episode


def honeypots(scene: Scene, count: int) -> list[Episode]:
    """A quarter with 3-4 attempts, three eighths with 5-19, three eighths with 20 and more."""
    sizes = [(3, 4)] * (count // 4) + [(5, 19)] * (3 * count // 8)
    sizes += [(20, 10_000)] * (count - len(sizes))
    return [honeypot(scene, low, high) for low, high in sizes]


MAKERS: dict[str, Callable[[Scene], Episode]] = {"a": guessed, "b": moved, "c": spray, "d": night}


def episodes(kind: str, scene: Scene, count: int = COUNT) -> list[Episode]:
    return honeypots(scene, count) if kind == "e" else [MAKERS[kind](scene) for _ in range(count)]
