"""Talking to the outside: a beacon, data that leaves at once, and data that leaves a little at a time."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from detector.simulate import devices, outside, places
from detector.simulate.attacks.plot import Attack, Pages, Scene, text
from detector.simulate.clock import MINUTE, SECOND
from detector.simulate.wire import Int64

STORE = outside.WORLD + 20 + 37  # a cloud store that colleagues use as well


class Talk(NamedTuple):
    """Connections of one computer to one place outside."""

    site: int
    src: int
    dst: int
    dport: int
    service: int
    times: Int64
    sent: Int64
    received: Int64
    duration: Int64


def connect(talk: Talk, pages: Pages) -> None:
    rows = pages.within(talk.times)
    flow = devices.flows(
        pages.rng, talk.times[rows], src=talk.src, dst=talk.dst, dport=talk.dport, service=talk.service, sent=talk.sent[rows],
        received=talk.received[rows], duration=talk.duration[rows],
    )  # fmt: skip
    pages.flows(talk.site, flow)


def _planned(scene: Scene, technique: str, talk: Talk) -> Attack:
    entities = {"source.ip": text(talk.src), "destination.ip": text(talk.dst), "destination.port": str(talk.dport)}
    return scene.attack(technique, talk.site, talk.times, entities, partial(connect, talk))


def _rented(scene: Scene) -> int:
    """An attacker's server: rented for the purpose, or at a hoster at home."""
    if scene.level == 2:
        return int(outside.address("hosting", scene.rng.integers(0, 2, 1), scene.rng.integers(0, 10_000, 1))[0])
    return places.ip("198.51.100.240") + int(scene.rng.integers(0, 14))


def beaconing(scene: Scene) -> Attack:
    """T1071.001: a computer asks the same unknown server again and again, small and regular.

    loud: every minute with 3 % jitter; usual: every few minutes with 15 %; quiet: every quarter of an hour or more with 35 %.
    """
    site = scene.site(places.RATHAUS, places.LEITSTELLE, places.BAUHOF)
    rng, person = scene.rng, scene.victim(site)
    period = float(rng.uniform(*((45, 75), (100, 320), (900, 1500))[scene.level])) if scene.rehearsal is None else 60.0
    jitter = scene.by_strength(0.03, 0.15, 0.35) if scene.rehearsal is None else 0.03
    start = scene.hour(8.2, 9.5) if scene.rehearsal is None else scene.rehearsal[0] + 20 * MINUTE
    n = int(rng.uniform(7, 9) * (2 if scene.level == 2 else 1) * 3600 / period)
    times = start + (np.cumsum(period * rng.uniform(1 - jitter, 1 + jitter, n)) * SECOND).astype(np.int64)
    octets = rng.integers(380, 520) + rng.integers(-6, 7, (2, n))
    task = rng.random(n) < 0.01 * scene.level  # now and then the answer is an order
    received = np.where(task, octets[1] + rng.integers(2_000, 60_000, n), octets[1])
    return _planned(scene, "T1071.001", Talk(site, scene.inside(person), _rented(scene), 443, devices.HTTPS, times, octets[0],
        received, np.ones(n, np.int64)))  # fmt: skip


def exfiltration(scene: Scene) -> Attack:
    """T1048: gigabytes to a rented server within an hour or two, in as many connections as the tool opens.

    loud: 20-60 GB; usual: 3-10 GB; quiet: about one, in office hours.
    """
    site = scene.site(places.RATHAUS, places.LEITSTELLE)
    rng = scene.rng
    src = int(places.addresses(places.HOME_FILES)[site]) if scene.variant % 2 == 1 else scene.inside(scene.victim(site))
    total = float(rng.uniform(*((20e9, 60e9), (3e9, 10e9), (0.8e9, 1.5e9))[scene.level]))
    n = int(rng.integers(*((20, 60), (8, 30), (6, 14))[scene.level]))
    sent = (total * rng.dirichlet(np.full(n, 3.0))).astype(np.int64)
    seconds = np.maximum(5, sent // rng.integers(8_000_000, 40_000_000))
    low, high = (0, 23) if scene.level < 2 else (9, 15)
    times = scene.hour(low, high) + np.cumsum((seconds + rng.integers(5, int(scene.by_strength(120, 300, 900)), n)) * SECOND)
    port, service = ((443, devices.HTTPS), (22, devices.SSH), (21, devices.FTP))[scene.variant % 3]
    return _planned(scene, "T1048", Talk(site, src, _rented(scene), port, service, times, sent, sent // 60 + 900, seconds))


def slow_exfiltration(scene: Scene) -> Attack:
    """T1567.002: a cloud store that colleagues use takes a file every half hour, for a day.

    loud: 100-200 MB each time, day and night; usual: 20-60 MB; quiet: 4-10 MB in office hours.
    """
    site = scene.site(places.LEITSTELLE, places.RATHAUS)
    rng = scene.rng
    hours = scene.by_strength(22, 20, 8) if scene.rehearsal is None else 3
    pause = float(rng.uniform(*((8, 12), (20, 40), (25, 50))[scene.level]))
    n = int(hours * 60 / pause)
    start = scene.hour(0.5, 2) if scene.level < 2 else scene.hour(8.5, 9.5)
    times = start + np.cumsum(rng.uniform(0.6, 1.4, n) * pause * MINUTE).astype(np.int64)
    sent = rng.uniform(*((100e6, 200e6), (20e6, 60e6), (4e6, 10e6))[scene.level], n).astype(np.int64)
    return _planned(scene, "T1567.002", Talk(site, scene.inside(scene.victim(site)), STORE, 443, devices.HTTPS, times, sent,
        rng.integers(3_000, 20_000, n), np.maximum(3, sent // 2_000_000)))  # fmt: skip
