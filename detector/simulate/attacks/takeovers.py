"""Somebody else uses a right password: at night, in office hours, from far, from a provider as colleagues have it.

An episode is a login at one of the doors to the outside and what the stranger then looks at. Strength is how much he does:
loud goes on to several hosts, usual looks into the department's files, quiet logs in and nothing else.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from detector.simulate import cloud, devices, hosts, outside, places, whereabouts
from detector.simulate.attacks.plot import Attack, Pages, Scene, text
from detector.simulate.clock import MINUTE, SECOND, moment
from detector.simulate.town import Town
from detector.simulate.wire import Columns, Int64

VPN, CLOUD, PORTAL = range(3)
FAR, RARE, COMMON = "far", "near-rare", "near-common"


class Episode(NamedTuple):
    """One stranger in one account: logins at a door, then hosts inside, by number, one after the other."""

    site: int
    person: int
    door: int
    src: int
    logins: Int64  # µs
    inner: int  # the address that the VPN hands out
    visited: Int64
    visits: Int64  # µs
    remote: bool  # by remote desktop, else by file share and shell


def enter(episode: Episode, town: Town, pages: Pages) -> None:
    """The lines of one window: the door, then the hosts."""
    times = episode.logins[pages.within(episode.logins)]
    n, people, k = len(times), town.people, episode.person
    site, src = np.full(n, episode.site), np.full(n, episode.src)
    if n > 0 and episode.door == VPN:
        columns: Columns = {"user": people.account[np.full(n, k)], "src": src, "machine": "LAPTOP-9KD2", "inner": episode.inner}
        hosts.vpn_up(pages.firewall, pages.rng, times, site, columns, truth=pages.truth)
    elif n > 0 and episode.door == CLOUD:
        who: Columns = {"mailbox": int(people.mailbox[k]), "subject": int(people.subject[k]), "realm": cloud.realm(pages.auth.press, site)}
        cloud.sign_in(pages.auth, pages.rng, times, {**who, "src": src}, truth=pages.truth)
    elif n > 0:
        portal: Columns = {"user": int(people.account[k]), "subject": int(people.subject[k]), "src": src}
        cloud.portal(pages.auth, pages.rng, times, portal, truth=pages.truth)
    rows = pages.within(episode.visits)
    account = (int(people.account[k]), int(people.sid[k]), int(people.uid[k]))
    visit(town, pages, episode.visits[rows], episode.visited[rows], episode.inner, account, remote=episode.remote)


def visit(town: Town, pages: Pages, times: Int64, visited: Int64, src: int, account: tuple[int, int, int], *, remote: bool) -> None:
    """Logins at hosts from one inside address, and their connections. account: codes of name and sid, and the uid."""
    estate, rng, (name, sid, uid) = town.estate, pages.rng, account
    if len(times) == 0:
        return
    windows = estate.windows[visited]
    there = visited[windows]
    columns: Columns = {
        "user": name, "sid": sid, "domain": estate.domain[there], "src": src, "host": estate.name[there],
        "sport": rng.integers(49_152, 65_536, len(there)),
    }  # fmt: skip
    kind, package = (10, "Negotiate") if remote else (3, "NTLM")
    hosts.session(pages.auth, rng, times[windows], columns, kind=kind, package=package, truth=pages.truth)
    for site in range(town.sites):
        rows = ~windows & (estate.site[visited] == site)
        shell: Columns = {"host": estate.name[visited[rows]], "src": src, "user": name, "uid": uid}
        hosts.ssh_logins(pages.auth, rng, site, times[rows], shell, method="password", seconds=300, truth=pages.truth)
    port = np.where(windows, 3389 if remote else 445, 22)
    service = np.where(windows, devices.RDP if remote else devices.SMB, devices.SSH)
    flow = devices.flows(
        rng, times, src=src, dst=estate.address[visited], dport=port, service=service, duration=rng.integers(4, 200, len(times)),
        sent=np.exp(rng.normal(10.0, 1.2, len(times))).astype(np.int64), received=np.exp(rng.normal(11.5, 1.6, len(times))).astype(np.int64),
    )  # fmt: skip
    devices.write(pages.firewall, flow, estate.site[visited], truth=pages.truth)


def foreign_hosts(scene: Scene, person: int, n: int) -> Int64:
    """n servers of the person's tenant that are no usual ones of her department."""
    estate, people = scene.town.estate, scene.people
    tenant = (estate.site == places.LEITSTELLE) == (people.site[person] == places.LEITSTELLE)
    usual = {*estate.own[people.role[person]].tolist(), *(estate.number(name) for name in (*places.HOME_FILES, *places.HOME_DC))}
    others = np.array([k for k in np.flatnonzero(tenant & (estate.site < scene.town.sites)).tolist() if k not in usual])
    first = scene.rng.random(len(others)) + 1.5 * ~estate.windows[others]  # few people's accounts open a Linux host
    return others[np.argsort(first)][:n]


def _address(scene: Scene, where: str, person: int) -> int:
    """An address of the wanted kind of network, never of the victim's own provider."""
    rng = scene.rng
    customer = rng.integers(100_000, 200_000, 1)
    if where == FAR:
        kind, count = ("abroad", len(outside.ABROAD)) if rng.random() < 0.7 else ("hosting", len(outside.HOSTING))
        return int(outside.address(kind, rng.integers(2 if kind == "hosting" else 0, count, 1), customer)[0])
    own = whereabouts.provider(scene.people, scene.town.seed, moment(scene.midnight + 12 * 60 * MINUTE).date())[person]
    while True:
        first, last = (0, outside.COMMON) if where == COMMON else (outside.COMMON, len(outside.HOMES))
        provider = int(rng.integers(first, last)) if where == RARE else int(outside.chosen(rng.random(1))[0])
        if first <= provider < last and provider != own:
            return int(outside.address("home", np.array([provider]), customer)[0])


def _victim(scene: Scene) -> int:
    """Anyone who works from outside now and then; active that day or not."""
    people = scene.people
    return int(scene.rng.choice(np.flatnonzero(~people.admin & (people.homeoffice > 0.05) & ~people.shifts)))


def _episode(scene: Scene, where: str, hours: tuple[float, float], looks: int, foreign: int) -> Attack:
    """A takeover from a kind of network, within hours on the wall, that looks at so many usual and foreign hosts within the hour."""
    rng, people = scene.rng, scene.people
    person = _victim(scene)
    site = int(people.site[person])
    inside = looks + foreign > 0
    door = (
        VPN
        if inside
        else int(rng.choice(3 if site != places.LEITSTELLE else 2, p=(0.5, 0.35, 0.15) if site != places.LEITSTELLE else (0.5, 0.5)))
    )
    begin = scene.hour(*hours)
    again = int(scene.by_strength(3, 2, 1))
    logins = begin + scene.gaps(again, 900)
    own = scene.town.estate.own[people.role[person]]
    usual = np.concatenate([np.array([scene.town.estate.number(places.HOME_FILES[site])]), own])[:looks]
    visited = np.concatenate([usual, foreign_hosts(scene, person, foreign)]).astype(np.int64)
    visits = begin + 2 * MINUTE + np.sort(rng.integers(0, 55 * MINUTE, len(visited)))
    inner = int(places.POOLS[site]) + 2_020 + int(rng.integers(0, 20))
    episode = Episode(site, person, door, _address(scene, where, person), logins, inner, visited, visits, bool(rng.random() < 0.5))
    entities = {"user.name": scene.town.press.value(int(people.account[person])), "source.ip": text(episode.src)}
    times = np.sort(np.concatenate([logins, visits + 60 * SECOND]))
    technique = "T1021" if foreign > 0 and looks == 0 else "T1078"
    return scene.attack(technique, site, times, entities, partial(enter, episode, scene.town))


_OFFICE, _NIGHT = (8.0, 17.5), (1.5, 4.5)


def _level(scene: Scene, loud: int, usual: int, quiet: int) -> int:
    return int(scene.by_strength(loud, usual, quiet))


def far(scene: Scene) -> Attack:
    """T1078: in office hours from another country, or a hoster there."""
    return _episode(scene, FAR, _OFFICE, _level(scene, 3, 1, 0), _level(scene, 3, 0, 0))


def near_rare(scene: Scene) -> Attack:
    """T1078: in office hours from a domestic provider that few colleagues have."""
    return _episode(scene, RARE, _OFFICE, _level(scene, 3, 1, 0), _level(scene, 3, 0, 0))


def near_common(scene: Scene) -> Attack:
    """T1078: in office hours from a domestic provider that many colleagues have."""
    return _episode(scene, COMMON, _OFFICE, _level(scene, 3, 1, 0), _level(scene, 3, 0, 0))


def night_far(scene: Scene) -> Attack:
    """T1078: at three in the morning from another country."""
    return _episode(scene, FAR, _NIGHT, _level(scene, 3, 1, 0), _level(scene, 3, 0, 0))


def night_near(scene: Scene) -> Attack:
    """T1078: at three in the morning from a provider that many colleagues have."""
    return _episode(scene, COMMON, _NIGHT, _level(scene, 3, 1, 0), _level(scene, 3, 0, 0))


def lateral(scene: Scene) -> Attack:
    """T1078, then T1021: in office hours from a rare provider, then three to ten new hosts within the hour."""
    return _episode(scene, RARE, _OFFICE, 0, int(scene.rng.integers(*((8, 11), (5, 9), (3, 5))[scene.level])))


def night(scene: Scene) -> Attack:
    """T1078 by night. loud: from abroad, then hosts; usual: a rare provider at home; quiet: a common one, the login alone."""
    where = (FAR, RARE, COMMON)[scene.level]
    return _episode(scene, where, _NIGHT, _level(scene, 3, 2, 0), _level(scene, 3, 0, 0))


def office_hours(scene: Scene) -> Attack:
    """T1078 in office hours from a usual kind of network. loud: then foreign hosts; usual: files; quiet: the login alone."""
    where = RARE if scene.level < 2 else COMMON
    return _episode(scene, where, _OFFICE, _level(scene, 2, 2, 0), _level(scene, 4, 0, 0))
