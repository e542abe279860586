"""Looking for what answers: a port scan from inside, and one so slow that it takes a day."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.simulate import devices, places
from detector.simulate.attacks.plot import Attack, Pages, Scene, text
from detector.simulate.clock import HOUR, SECOND
from detector.simulate.wire import Int64

_SWEPT = np.array([445, 3389, 22, 80, 443, 135, 1433, 5985, 8080, 3306, 5900, 21, 139, 389, 88, 53, 25, 8443, 9200, 2049])
_OPEN = np.array([443, 445, 88, 389, 53, 3389])


class _Probes(NamedTuple):
    """One source's probes: when, where, and whether something answered."""

    site: int
    src: int
    times: Int64
    dst: Int64
    dport: Int64
    opened: NDArray[np.bool_]


def port_scan(scene: Scene) -> Attack:
    """T1046: a client sweeps the server network for a few ports, or a few servers for many.

    loud: as nmap -T4 does it, a hundred probes a second; quiet: forty hosts, one probe every few seconds.
    """
    site = scene.site(places.RATHAUS, places.LEITSTELLE, places.BAUHOF)
    rng, base = scene.rng, int(places.of(site)[0]) & ~0xFF
    hosts, few = int(scene.by_strength(254, 254, 40)), int(scene.by_strength(20, 3, 3))
    if scene.variant % 2 == 0:
        ports, swept = rng.permutation(_SWEPT)[:few], base + 1 + rng.permutation(254)[:hosts]
        dst, dport = np.repeat(np.sort(swept), few), np.tile(ports, hosts)
    else:
        many = int(scene.by_strength(1024, 500, 100))
        targets = rng.permutation(places.of(site))[: min(2, len(places.of(site)))]
        dst, dport = np.repeat(targets, many), np.tile(rng.permutation(np.arange(1, 1025))[:many], len(targets))
    pause = float(rng.uniform(*((0.005, 0.02), (0.1, 0.33), (2.0, 5.0))[scene.level]))
    return _scan(scene, site, scene.hour(8, 18) + scene.gaps(len(dst), pause), dst, dport)


def slow_scan(scene: Scene) -> Attack:
    """T1046: the same over most of a day, hosts and ports in random order, from one probe in ten seconds to one in four minutes."""
    site = scene.site(places.LEITSTELLE, places.RATHAUS)
    rng, pause = scene.rng, scene.by_strength(10, 60, 240)
    span = 22 * HOUR if scene.rehearsal is None else 3 * HOUR
    n = int(span / (pause * SECOND))
    base = int(places.of(site)[0]) & ~0xFF
    dst = base + rng.integers(1, 255, n)
    return _scan(scene, site, scene.hour(0.5, 2) + scene.gaps(n, pause), dst, rng.choice(_SWEPT, n))


def _scan(scene: Scene, site: int, times: Int64, dst: Int64, dport: Int64) -> Attack:
    person = scene.victim(site)
    src = scene.inside(person)
    opened = np.isin(dst, places.of(site)) & np.isin(dport, _OPEN)
    entities = {
        "source.ip": text(src), "destination.ip": text(int(dst[0])), "host.name": scene.town.press.value(int(scene.people.machine[person])),
    }  # fmt: skip
    return scene.attack("T1046", site, times, entities, partial(_probe, _Probes(site, src, times, dst, dport, opened)))


def _probe(probes: _Probes, pages: Pages) -> None:
    rows = pages.within(probes.times)
    opened = probes.opened[rows]
    flow = devices.flows(
        pages.rng, probes.times[rows], src=probes.src, dst=probes.dst[rows], dport=probes.dport[rows], sent=np.where(opened, 104, 60),
        received=np.where(opened, 60, 0), denied=~opened,
    )  # fmt: skip
    pages.flows(probes.site, flow)
