"""Guessed passwords: one account until it opens, one password for everyone, and lists of stolen pairs from many networks."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.simulate import cloud, hosts, outside, places
from detector.simulate.attacks.plot import Attack, Pages, Scene, text
from detector.simulate.clock import HOUR
from detector.simulate.people import FIRST, LAST
from detector.simulate.town import Town
from detector.simulate.wire import Columns, Int64

SSH, SMB, VPN, CLOUD, PORTAL = "ssh", "smb", "vpn", "entra", "keycloak"


class Guesses(NamedTuple):
    """Attempts at one door: when, from where, whose account (number of a person, -1 = `strangers` in turn), which succeed."""

    door: str
    site: int
    times: Int64
    src: Int64
    who: Int64
    right: NDArray[np.bool_]
    operators: bool = False  # the second accounts of administrators
    strangers: Int64 = np.zeros(1, np.int64)  # codes of names that nobody has


def _accounts(guesses: Guesses, town: Town, column: str, rows: NDArray[np.bool_]) -> Int64:
    who = guesses.who[rows]
    known: Int64 = getattr(town.people, column)[who]
    return np.where(who >= 0, known, guesses.strangers[np.arange(len(who)) % len(guesses.strangers)])


def attempt(guesses: Guesses, town: Town, pages: Pages) -> None:
    """The lines of all attempts of this window at their door."""
    for rows, right in ((~guesses.right, False), (guesses.right, True)):
        mine = pages.within(guesses.times) & rows
        if mine.any():
            _DOORS[guesses.door](guesses, town, pages, mine, right)


def _ssh(guesses: Guesses, town: Town, pages: Pages, rows: NDArray[np.bool_], right: bool) -> None:
    host = hosts.PUBLIC_SSH.get(guesses.site, ("web-rathaus", 0))[0]
    user = _accounts(guesses, town, "operator" if guesses.operators else "account", rows)
    columns: Columns = {"host": host, "src": guesses.src[rows], "user": user}
    if right:
        uid = town.people.uid[guesses.who[rows]]
        hosts.ssh_logins(
            pages.auth, pages.rng, guesses.site, guesses.times[rows], {**columns, "uid": uid}, method="password", truth=pages.truth
        )
        return
    hosts.ssh_failures(pages.auth, pages.rng, guesses.site, guesses.times[rows], guesses.who[rows] >= 0, columns, truth=pages.truth)


def _smb(guesses: Guesses, town: Town, pages: Pages, rows: NDArray[np.bool_], right: bool) -> None:
    who, site = guesses.who[rows], guesses.site
    columns: Columns = {
        "user": _accounts(guesses, town, "operator" if guesses.operators else "account", rows), "sid": town.people.sid[who],
        "domain": hosts.DOMAINS[site], "src": guesses.src[rows], "sport": pages.rng.integers(49_152, 65_536, len(who)),
        "host": hosts.qualified(pages.auth.press, places.HOME_FILES[site]),
    }  # fmt: skip
    if right:
        hosts.session(pages.auth, pages.rng, guesses.times[rows], columns, package="NTLM", special=True, truth=pages.truth)
        return
    refusal = {**columns, "type": 3, "status": hosts.WRONG_PASSWORD, "workstation": "-"}
    hosts.windows(pages.auth, "4625", guesses.times[rows], refusal, truth=pages.truth)


def _kerberos(guesses: Guesses, town: Town, pages: Pages, rows: NDArray[np.bool_], right: bool) -> None:
    who = guesses.who[rows]
    columns: Columns = {
        "user": town.people.account[who], "sid": town.people.sid[who], "domain": hosts.DOMAINS[guesses.site], "src": guesses.src[rows],
        "host": hosts.qualified(pages.auth.press, places.HOME_DC[guesses.site]), "sport": pages.rng.integers(49_152, 65_536, len(who)),
    }  # fmt: skip
    event = ("4768", {}) if right else ("4771", {"status": hosts.KERBEROS_WRONG})
    hosts.windows(pages.auth, event[0], guesses.times[rows], {**columns, **event[1]}, truth=pages.truth)


def _vpn(guesses: Guesses, town: Town, pages: Pages, rows: NDArray[np.bool_], right: bool) -> None:
    site = np.full(int(rows.sum()), guesses.site)
    columns: Columns = {
        "user": _accounts(guesses, town, "account", rows), "src": guesses.src[rows], "machine": "DESKTOP-7Q2M",
        "inner": places.POOLS[site] + 2_040 - guesses.who[rows] % 7,
    }  # fmt: skip
    if right:
        hosts.vpn_up(pages.firewall, pages.rng, guesses.times[rows], site, columns, truth=pages.truth)
        return
    hosts.vpn_failures(pages.firewall, pages.rng, guesses.times[rows], site, columns, known=True, truth=pages.truth)


def _cloud(guesses: Guesses, town: Town, pages: Pages, rows: NDArray[np.bool_], right: bool) -> None:
    n = int(rows.sum())
    realm = cloud.realm(pages.auth.press, np.full(n, guesses.site))
    subject = np.where(guesses.who[rows] >= 0, town.people.subject[guesses.who[rows]], 0)
    columns = {"mailbox": _accounts(guesses, town, "mailbox", rows), "subject": subject, "realm": realm, "src": guesses.src[rows]}
    cloud.sign_in(pages.auth, pages.rng, guesses.times[rows], columns, code=0 if right else cloud.WRONG, truth=pages.truth)


def _portal(guesses: Guesses, town: Town, pages: Pages, rows: NDArray[np.bool_], right: bool) -> None:
    subject = np.where(guesses.who[rows] >= 0, town.people.subject[guesses.who[rows]], pages.auth.press.text("null"))
    columns = {"user": _accounts(guesses, town, "account", rows), "subject": subject, "src": guesses.src[rows]}
    why = "" if right else "invalid_user_credentials"
    cloud.portal(pages.auth, pages.rng, guesses.times[rows], columns, why=why, truth=pages.truth)


_DOORS = {SSH: _ssh, SMB: _smb, VPN: _vpn, CLOUD: _cloud, PORTAL: _portal, "kerberos": _kerberos}
_WHERE = {VPN: ("fw-rathaus", "asa-rathaus", "pa-leitstelle"), SSH: ("web-rathaus", "ssh-bauhof", "sftp-leitstelle")}


def _host(door: str, site: int) -> dict[str, str]:
    """The entity host.name where the door has one."""
    if door in (SMB, "kerberos"):
        names = places.HOME_FILES if door == SMB else places.HOME_DC
        return {"host.name": f"{names[site]}.{places.SITES[site].tenant}.example"}
    return {"host.name": _WHERE[door][site]} if door in _WHERE else {"host.name": "sso-rathaus"} if door == PORTAL else {}


def brute_force(scene: Scene) -> Attack:
    """T1110.001: one account, one source, until the password is found: by ssh, at a file server inside, at the VPN.

    loud: as hydra does it, a thousand in minutes; quiet: a dozen or two, minutes apart.
    """
    door, site = ((SSH, scene.site(places.BAUHOF)), (SMB, scene.site(places.LEITSTELLE)), (VPN, places.RATHAUS))[scene.variant % 3]
    rng, people = scene.rng, scene.people
    person = int(rng.choice(np.flatnonzero((people.site == site) & (people.admin == (door != VPN)))))
    inside = door == SMB
    src = scene.inside(scene.victim(site)) if inside else places.ip("198.51.100.128") + int(rng.integers(1, 100))
    n = int(rng.integers(*((400, 1500), (40, 160), (12, 30))[scene.level]))
    pause = float(rng.uniform(*((0.6, 2.0), (3, 9), (60, 240))[scene.level]))
    times = scene.hour(0, 22) + scene.gaps(n + 1, pause)
    right = np.arange(n + 1) == n
    guesses = Guesses(door, site, times, np.full(n + 1, src), np.full(n + 1, person), right, operators=door != VPN)
    account = people.operator[person] if door != VPN else people.account[person]
    entities = {"source.ip": text(src), "user.name": scene.town.press.value(int(account)), **_host(door, site)}
    return scene.attack("T1110.001", site, times, entities, partial(attempt, guesses, scene.town))


def spraying(scene: Scene) -> Attack:
    """T1110.003: one password against everyone: at the VPN from one source or from many, inside at the domain controller, in the cloud.

    loud: everyone within minutes; quiet: a few dozen accounts, minutes apart, from several addresses.
    """
    door = (VPN, VPN, "kerberos", CLOUD)[scene.variant % 4]
    site = scene.site(places.LEITSTELLE) if scene.variant % 4 == 1 else places.RATHAUS
    rng, people = scene.rng, scene.people
    staff = rng.permutation(np.flatnonzero((people.site == places.LEITSTELLE) == (site == places.LEITSTELLE)))
    inside, many = door == "kerberos", scene.variant % 4 == 1
    n = min(len(staff), int(scene.by_strength(600, 300, 45)))
    if many:
        n, staff = int(scene.by_strength(900, 200, 60)), np.resize(staff, 900)
        src = outside.SCANNERS + 32_000 + rng.permutation(700)[np.arange(n) % 700]
    elif inside:
        src = np.full(n, scene.inside(scene.victim(site)))
    else:
        own = int(scene.by_strength(1, 1, 6))
        src = (places.ip("198.51.100.0") + rng.permutation(120)[:own])[np.arange(n) % own]
    pause = float(rng.uniform(*((0.1, 0.6), (0.5, 2) if inside else (4, 15), (60, 300))[scene.level]))
    times = scene.hour(7, 19 if scene.level < 2 else 12) + scene.gaps(n, pause)
    guesses = Guesses(door, site, times, src, staff[:n], np.zeros(n, np.bool_))
    name = {} if many else {"source.ip": text(int(src[0]))}
    return scene.attack("T1110.003", site, times, {**name, **_host(door, site)}, partial(attempt, guesses, scene.town))


def stuffing(scene: Scene) -> Attack:
    """T1110.004: stolen pairs from other people's leaks, one attempt per address, out of homes all over the world; a few are right.

    loud: 1,500 in an hour; quiet: 80 over half a day. Every second name is nobody's here.
    """
    door = (CLOUD, PORTAL, VPN)[scene.variant % 3]
    rng, site = scene.rng, places.RATHAUS
    n = int(scene.by_strength(1500, 400, 80))
    span = scene.by_strength(1, 3, 10) if scene.rehearsal is None else 1.0
    times = scene.hour(5, 12) + np.sort(rng.integers(0, int(span * HOUR), n))
    staff = np.flatnonzero(scene.town.of_stadt())
    who = np.where(rng.random(n) < 0.5, rng.choice(staff, n), -1)
    right = (rng.random(n) < 0.004) & (who >= 0)
    abroad = outside.address("abroad", rng.integers(0, len(outside.ABROAD), n), rng.integers(0, 100_000, n))
    domestic = outside.address("home", outside.chosen(rng.random(n)), rng.integers(0, 100_000, n))
    src = np.where(rng.random(n) < 0.35, domestic, abroad)
    names = [f"{FIRST[a]}.{LAST[b]}7" for a, b in zip(rng.integers(0, len(FIRST), 200), rng.integers(0, len(LAST), 200), strict=True)]
    strangers = scene.town.press.texts(name + "@stadt.example" if door == CLOUD else name for name in names)
    guesses = Guesses(door, site, times, src, who, right, strangers=strangers)
    found = {"user.name": scene.town.press.value(int(scene.people.account[who[right][0]]))} if right.any() else {}
    return scene.attack(
        "T1110.004", site, times, {**_host(door, site), **found} or {"event.dataset": "entra"}, partial(attempt, guesses, scene.town)
    )
