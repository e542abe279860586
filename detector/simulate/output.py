"""Simulated lines to where they are wanted: files, a Kafka producer, or one quick mixed stream for benches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from detector.records import Place, Records
from detector.simulate import clock, devices, hosts, outside, places
from detector.simulate.attacks import Attack
from detector.simulate.city import TOPICS, City, SimulatedWindow
from detector.simulate.clock import SECOND
from detector.simulate.services import GUESSES
from detector.simulate.wire import Columns, Press, Sheet
from detector.simulate.wireformats import TEMPLATES


class Labels:
    """Which line of which topic belongs to which attack; lines are counted from 0 in the order of writing."""

    def __init__(self) -> None:
        self._attacks: dict[int, Attack] = {}
        self._lines: dict[int, dict[str, list[int]]] = {}
        self.counts = dict.fromkeys(TOPICS, 0)

    def take(self, window: SimulatedWindow) -> None:
        self._attacks |= window.attacks
        for topic, truth in window.truth.items():
            for row in np.flatnonzero(truth > 0).tolist():
                self._lines.setdefault(int(truth[row]), {}).setdefault(topic, []).append(self.counts[topic] + row)
            self.counts[topic] += len(truth)

    def json_lines(self) -> Iterator[str]:
        """One JSON object per attack that left lines: id, kind, technique, tenant, site, start, end, entities, lines."""
        for number, lines in sorted(self._lines.items()):
            yield json.dumps(self._attacks[number].label() | {"lines": lines}, ensure_ascii=False)


def write(city: City, days: int, out: Path, progress: Callable[[int, int], None] | None = None) -> dict[str, int]:
    """`firewall.log`, `auth.log`, `labels.jsonl`, `city.toml` and its two tables in the folder `out`; returns lines per topic.

    Existing files are replaced. `progress(done, of)` is told the windows. Raises OSError when the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    labels = Labels()
    last = days * city.windows_per_day
    with ExitStack() as stack:
        files = {topic: stack.enter_context((out / f"{topic}.log").open("wb")) for topic in TOPICS}
        for index in range(last):
            window = city.window(index, newline=True)
            for topic, records in window.records.items():
                files[topic].write(records.values.data)
            labels.take(window)
            if progress is not None:
                progress(index + 1, last)
    (out / "labels.jsonl").write_text("".join(line + "\n" for line in labels.json_lines()), encoding="utf-8")
    for name, text in (("city.toml", city.config_toml(files=".")), ("roles.csv", city.roles_csv()), ("networks.csv", city.networks_csv())):
        (out / name).write_text(text, encoding="utf-8")
    return labels.counts


def produce(city: City, first: int, last: int, send: Callable[[str, bytes, int], None]) -> Labels:
    """Hands every line of the windows first ≤ i < last to `send(topic, value, timestamp in ms)`, topics merged by time."""
    labels = Labels()
    for window in city.windows(first, last):
        merged, _ = window.merged()
        for row in range(len(merged)):
            send(merged.places[merged.place[row]].topic, merged.value(row), int(merged.timestamps[row]) // 1000)
        labels.take(window)
    return labels


PACE = 6_000  # µs between two of the benches' lines: what two sites of 5,000 people write on a working day


def bulk(lines: int = 2_000_000, seed: int = 0, chunk: int = 100_000, start: int = 1_772_438_400 * SECOND) -> Iterator[Records]:
    """The benches' mixture: 60 % FortiGate, 20 % PAN-OS, 20 % sshd, ten minutes of time per 100,000 lines, in topic `mixed`.

    lines must be a multiple of chunk, chunk of 50; raises ValueError otherwise.
    """
    if lines % chunk != 0 or chunk % 50 != 0:
        raise ValueError("bulk lines come in whole chunks, and chunks in multiples of 50")
    press = Press(TEMPLATES)
    users = press.texts(f"{name}.{k}" for name in GUESSES for k in range(100))
    for number in range(lines // chunk):
        rng = np.random.default_rng([seed, number])
        begin = start + number * chunk * PACE
        sheet = Sheet(press, clock.zone(begin), begin, begin + chunk * PACE)
        _mixture(sheet, rng, chunk, users)
        page = sheet.print()
        yield Records(
            page.values, page.bounds, np.zeros(chunk, np.bool_), np.zeros(chunk, np.int32),
            np.arange(number * chunk, (number + 1) * chunk, dtype=np.int64), page.timestamps, (Place("mixed", 0),),
        )  # fmt: skip


def _mixture(sheet: Sheet, rng: np.random.Generator, chunk: int, users: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    """5,000 clients a site that mostly talk to a dozen places each, 5 % noise from outside, and an ssh host that 400 bots try.

    A refused ssh connection leaves six lines for an unknown user and four for a known one.
    """
    for writer, site, share in ((devices.fortigate, 0, 0.6), (devices.panos, 2, 0.2)):
        n = round(chunk * share)
        inward = rng.random(n) < 0.05
        client, place = rng.integers(0, 5_000, n), rng.integers(0, 12, n)
        usual = (client * 7_919 + place * place * 104_729) % 8_000  # the same dozen for a client in every chunk
        visited = np.where(rng.random(n) < 0.95, usual, rng.integers(0, 8_000, n))
        port = np.array([443, 443, 443, 443, 80, 53])[visited % 6]
        knocked = rng.choice(np.array([22, 23, 80, 443, 445, 3389]), n)
        src = np.where(inward, outside.SCANNERS + rng.integers(0, 32_000, n), places.CLIENTS[site] + 10 + client)
        dst = np.where(inward, places.SITES[site].public + rng.integers(1, 31, n), outside.WORLD + visited)
        writer(sheet, devices.flows(
            rng, rng.integers(sheet.start, sheet.end, n), src=src, dst=dst, dport=np.where(inward, knocked, port),
            service=rng.integers(0, 16, n), sent=rng.integers(60, 3_000, n), received=rng.integers(0, 900_000, n),
            duration=rng.integers(0, 300, n), user=np.where(rng.random(n) < 0.4, users[rng.integers(0, len(users), n)], 0), denied=inward,
        ))  # fmt: skip
    n = round(chunk * 0.2) // 5
    known = np.arange(n) % 2 == 0
    columns: Columns = {"host": "ssh-bauhof", "src": outside.SCANNERS + rng.integers(0, 400, n), "user": rng.choice(users, n)}
    hosts.ssh_failures(sheet, rng, places.BAUHOF, rng.integers(sheet.start, sheet.end, n), known, columns)
