"""Three attacks of which every part is usual by itself; only the company is odd."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from detector.simulate import devices, hosts, outside, places
from detector.simulate.attacks.outflow import Talk, connect
from detector.simulate.attacks.plot import Attack, Pages, Scene, text
from detector.simulate.attacks.takeovers import VPN, Episode, enter, foreign_hosts
from detector.simulate.clock import MINUTE
from detector.simulate.town import Town
from detector.simulate.wire import Columns, Int64

_SERVICES = ((8443, devices.APP), (993, devices.OTHER), (80, devices.HTTP))


def odd_hour_hosts(scene: Scene) -> Attack:
    """T1078: the own provider at home, at an hour at which others work, on hosts that another department uses every day.

    loud: six of them; usual: four; quiet: three.
    """
    rng, people, estate = scene.rng, scene.people, scene.town.estate
    person = int(rng.choice(np.flatnonzero(~people.admin & (people.homeoffice > 0.1) & ~people.shifts)))
    site = int(people.site[person])
    usual = estate.own[people.role[person]]
    pool = np.unique(estate.own[people.role[people.site == site]])
    n = int(scene.by_strength(6, 4, 3))
    strange = rng.permutation(np.setdiff1d(pool, usual))
    visited = strange[:n] if len(strange) >= n else foreign_hosts(scene, person, n)  # a small city's departments share theirs
    begin = scene.hour(20.0, 22.0)
    visits = begin + 3 * MINUTE + np.sort(rng.integers(0, 50 * MINUTE, len(visited)))
    inner = int(places.POOLS[site] + scene.day.inner[person])
    logins = np.array([begin])
    episode = Episode(site, person, VPN, int(scene.day.flat[person]), logins, inner, visited, visits, remote=False)
    entities = {"user.name": scene.town.press.value(int(people.account[person])), "source.ip": text(episode.src)}
    return scene.attack("T1078", site, np.concatenate([logins, visits]), entities, partial(enter, episode, scene.town))


def odd_service(scene: Scene) -> Attack:
    """T1048: a printer, or the depot crew's computer, sends what any client sends in an hour, to a port that others use.

    loud: twenty connections of some megabytes; usual: ten; quiet: four of half a megabyte.
    """
    rng = scene.rng
    site = scene.site(places.RATHAUS, places.BAUHOF, places.LEITSTELLE)
    src = int(places.PRINTERS[site]) + int(rng.integers(0, scene.town.printers))
    n = int(scene.by_strength(20, 10, 4))
    times = scene.hour(8, 17) + scene.gaps(n, scene.by_strength(150, 300, 700))
    sent = np.exp(rng.normal(np.log(scene.by_strength(4e6, 1.5e6, 0.5e6)), 0.6, n)).astype(np.int64)
    port, service = _SERVICES[int(rng.integers(0, len(_SERVICES)))]
    dst = outside.WORLD + 20 + int(rng.integers(40, 400))
    talk = Talk(site, src, dst, port, service, times, sent, sent // 40 + 800, np.maximum(2, sent // 800_000))
    entities = {"source.ip": text(src), "destination.ip": text(dst), "destination.port": str(port)}
    return scene.attack("T1048", site, times, entities, partial(connect, talk))


class Path(NamedTuple):
    """An administrator's account goes from one host to the next: each login comes from the address before it."""

    columns: Columns
    src: Int64
    visited: Int64
    times: Int64


def walk(path: Path, town: Town, pages: Pages) -> None:
    rows, estate = pages.within(path.times), town.estate
    visited, src, times = path.visited[rows], path.src[rows], path.times[rows]
    told: Columns = {
        **path.columns, "host": estate.name[visited], "src": src, "domain": estate.domain[visited],
        "sport": pages.rng.integers(49_152, 65_536, len(visited)),
    }  # fmt: skip
    hosts.session(pages.auth, pages.rng, times, told, kind=10, package="Negotiate", special=True, truth=pages.truth)
    flow = devices.flows(
        pages.rng, times, src=src, dst=estate.address[visited], dport=3389, service=devices.RDP, sent=90_000, received=600_000,
        duration=pages.rng.integers(60, 900, len(times)),
    )  # fmt: skip
    devices.write(pages.firewall, flow, estate.site[visited], truth=pages.truth)


def odd_path(scene: Scene) -> Attack:
    """T1021.001: an administrator's way, backwards: first a server, from there the jump host, from there the next server.

    Usual is desk, jump host, server; some go straight from the desk to a server. loud: three rounds; usual: two; quiet: one.
    """
    rng, people, estate = scene.rng, scene.people, scene.town.estate
    site = scene.site(places.RATHAUS, places.LEITSTELLE)
    admin = scene.victim(site, admin=True)
    jump = estate.number("sprung-rathaus" if site == places.RATHAUS else "sprung-leitstelle")
    rounds = int(scene.by_strength(3, 2, 1))
    servers = np.resize(rng.permutation(np.setdiff1d(estate.at(site, windows=True), [jump])), rounds + 1)
    visited, sources = [int(servers[0])], [scene.inside(admin)]
    for k in range(rounds):
        visited += [jump, int(servers[k + 1])]
        sources += [int(estate.address[servers[k]]), int(estate.address[jump])]
    times = scene.hour(8, 16) + scene.gaps(len(visited), 240)
    columns: Columns = {"user": int(people.operator[admin]), "sid": int(people.sid[admin])}
    entities = {
        "user.name": scene.town.press.value(int(people.operator[admin])), "source.ip": text(sources[1]),
        "host.name": scene.town.press.value(int(estate.name[jump])),
    }  # fmt: skip
    path = Path(columns, np.array(sources), np.array(visited), times)
    return scene.attack("T1021.001", site, times, entities, partial(walk, path, scene.town))
