"""From one host to the next: by remote desktop, file share or shell, and by asking for everyone's tickets."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from detector.simulate import hosts, places
from detector.simulate.attacks.plot import Attack, Pages, Scene, text
from detector.simulate.attacks.takeovers import foreign_hosts, visit
from detector.simulate.clock import HOUR, MINUTE
from detector.simulate.town import Town
from detector.simulate.wire import Columns, Int64

_REFUSED = 0.15  # of the hosts do not let the account in at first


class Tour(NamedTuple):
    """One inside address goes from host to host with one account."""

    site: int
    src: int
    account: tuple[int, int, int]  # codes of name and sid, uid
    visited: Int64
    times: Int64
    remote: bool
    refused: Int64  # µs, refused attempts
    refusing: Int64  # the hosts that refuse


def wander(tour: Tour, town: Town, pages: Pages) -> None:
    rows, wrong = pages.within(tour.times), pages.within(tour.refused)
    visit(town, pages, tour.times[rows], tour.visited[rows], tour.src, tour.account, remote=tour.remote)
    estate, there = town.estate, tour.refusing[wrong]
    windows = estate.windows[there]
    columns: Columns = {
        "user": tour.account[0], "domain": hosts.DOMAINS[tour.site], "src": tour.src, "host": estate.name[there[windows]], "type": 3,
        "sport": pages.rng.integers(49_152, 65_536, int(windows.sum())), "status": hosts.WRONG_PASSWORD, "workstation": "-",
    }  # fmt: skip
    hosts.windows(pages.auth, "4625", tour.refused[wrong][windows], columns, truth=pages.truth)


def lateral_movement(scene: Scene) -> Attack:
    """T1021: an infected computer tries the servers. loud: dozens in twenty minutes with an administrator's account;
    usual: eight to fifteen in an hour; quiet: three to five in an afternoon, with its user's own account.
    """
    rng, people = scene.rng, scene.people
    site = scene.site(places.RATHAUS, places.LEITSTELLE)
    victim = scene.victim(site)
    thief = scene.victim(site, admin=True) if scene.level == 0 or (scene.level == 1 and scene.variant % 2 == 0) else victim
    n = int(rng.integers(*((25, 60), (8, 16), (3, 6))[scene.level]))
    visited = foreign_hosts(scene, victim, n)
    span = int(scene.by_strength(20 * MINUTE, HOUR, 4 * HOUR))
    if scene.rehearsal is not None:
        span = min(span, HOUR)
    times = scene.hour(8, 18 if scene.level < 2 else 13) + np.sort(rng.integers(0, span, len(visited)))
    failed = rng.random(len(visited)) < _REFUSED
    name = people.operator[thief] if thief != victim else people.account[thief]
    src = int(scene.inside(victim))
    tour = Tour(site, src, (int(name), int(people.sid[thief]), int(people.uid[thief])), visited, times, scene.variant % 3 == 0,
        times[failed] - 20_000_000, visited[failed])  # fmt: skip
    entities = {
        "source.ip": text(src), "user.name": scene.town.press.value(int(name)),
        "host.name": scene.town.press.value(int(people.machine[victim])),
    }  # fmt: skip
    whole = np.sort(np.concatenate([times, tour.refused]))
    return scene.attack("T1021", site, whole, entities, partial(wander, tour, scene.town))


class Asking(NamedTuple):
    """One account asks its domain controller for tickets."""

    site: int
    columns: Columns
    services: Int64
    times: Int64


def ask(asking: Asking, pages: Pages) -> None:
    rows = pages.within(asking.times)
    sport = pages.rng.integers(49_152, 65_536, int(rows.sum()))
    full: Columns = {**asking.columns, "service": asking.services[rows], "sport": sport}
    hosts.windows(pages.auth, "4769", asking.times[rows], full, truth=pages.truth)


def kerberos_tickets(scene: Scene) -> Attack:
    """T1558.003: a ticket for every service with an account, to guess its password at home.

    loud: as Rubeus does it, all at once and with RC4; usual: forty within minutes; quiet: a dozen over two hours, with AES.
    """
    rng, people, town = scene.rng, scene.people, scene.town
    site = scene.site(places.RATHAUS, places.LEITSTELLE)
    victim = scene.victim(site)
    tenant = np.flatnonzero((town.estate.site == places.LEITSTELLE) == (site == places.LEITSTELLE))
    named = town.press.texts(f"svc-{town.estate.servers[k].name.split('-')[0]}" for k in tenant.tolist())
    names = np.unique(np.concatenate([named, town.estate.account[tenant]]))
    n = min(len(names), int(rng.integers(*((120, 250), (30, 60), (10, 16))[scene.level])))
    times = scene.hour(8, 17) + scene.gaps(n, scene.by_strength(0.15, 5, 500))
    columns: Columns = {
        "principal": int(people.principal[victim]), "domain": hosts.DOMAINS[site], "src": scene.inside(victim),
        "host": hosts.qualified(town.press, places.HOME_DC[site]), "cipher": hosts.AES if scene.level == 2 else hosts.RC4,
    }  # fmt: skip
    entities = {
        "user.name": town.press.value(int(people.account[victim])), "source.ip": text(scene.inside(victim)),
        "host.name": f"{places.HOME_DC[site]}.{places.SITES[site].tenant}.example",
    }  # fmt: skip
    asking = Asking(site, columns, rng.permutation(names)[:n], times)
    return scene.attack("T1558.003", site, times, entities, partial(ask, asking))
