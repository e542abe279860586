"""Logins without people: backups, monitoring, scan-to-folder, partners' uploads, cron; and the noise at open doors."""

from __future__ import annotations

import numpy as np

from detector.simulate import holidays, hosts, outside, places
from detector.simulate.background import backup_times, patch_times, ticks, wave
from detector.simulate.clock import HOUR, MINUTE, SECOND, midnight
from detector.simulate.logins import Desk
from detector.simulate.wire import Columns, Int64

PARTNERS = 6
_SERVICE_SID = "S-1-5-21-3623811015-3361044348-30300820-"
_GUESSES_TEXT = (
    "admin test oracle ubuntu user postgres guest ftpuser git deploy pi hadoop jenkins www-data mysql support backup nagios minecraft "
    "student ubnt administrator tomcat info service operator dev steam web ftp"
)
GUESSES = _GUESSES_TEXT.split()


def scheduled(desk: Desk) -> None:
    """svc-backup at night, svc-monitor, the departments' service accounts, cron, partners who deliver files every hour or so."""
    _backup(desk)
    estate = desk.town.estate
    for old, period in ((True, 10 * MINUTE), (False, 60 * MINUTE)):
        watched = np.flatnonzero(estate.windows & (estate.grown != old))
        which, times = ticks(desk.auth.start, desk.auth.end, period, np.arange(len(watched)) * 71 * SECOND)
        columns = _service(desk, "svc-monitor", watched[which], _from(estate.site[watched[which]], places.MONITOR))
        hosts.session(desk.auth, desk.rng, times, columns)
    _applications(desk)
    for form in ("bsd", "ietf"):
        _cron(desk, form)
    if desk.town.sites > places.LEITSTELLE:
        _partners(desk)
    _vulnerability_scan(desk)
    _patches(desk)
    _rollout(desk)


def _from(site: Int64, source: tuple[str, ...]) -> Int64:
    found: Int64 = places.addresses(source)[site]
    return found


def _applications(desk: Desk) -> None:
    """Each department's application fetches its files from the site's file server, every hour with an account of its own."""
    estate, press = desk.town.estate, desk.auth.press
    owners = np.flatnonzero(estate.windows & estate.grown)
    which, times = ticks(desk.auth.start, desk.auth.end, HOUR, np.arange(len(owners)) * 37 * SECOND)
    server = owners[which]
    account = press.texts(f"svc-{estate.servers[k].name.split('-')[0]}" for k in owners.tolist())[which]
    files = estate.name[np.array([estate.number(name) for name in places.HOME_FILES])][estate.site[server]]
    columns = {**_service(desk, "", server, estate.address[server]), "user": account, "host": files}
    hosts.session(desk.auth, desk.rng, times, columns)


def _vulnerability_scan(desk: Desk) -> None:
    """The scanner's account looks into every server that it scans, see `background.vulnerability_scan`."""
    begin = midnight(desk.date) + 19 * HOUR
    if desk.date.weekday() != 2 or desk.auth.end <= begin:
        return
    estate = desk.town.estate
    targets = np.random.default_rng([desk.town.seed, desk.date.toordinal(), 9]).permutation(
        np.flatnonzero(estate.site != places.LEITSTELLE)
    )
    at = begin + np.arange(len(targets)) * 13 * SECOND
    rows = (at >= desk.auth.start) & (at < desk.auth.end) & estate.windows[targets]
    source = np.full(int(rows.sum()), places.BY_NAME["scan-rathaus"].address)
    hosts.session(desk.auth, desk.rng, at[rows], _service(desk, "svc-schwachstellen", targets[rows], source), package="NTLM")


def _patches(desk: Desk) -> None:
    """In the patch night servers start again and report to their domain; two administrators go from one to the next."""
    if not holidays.is_patch_night(desk.date):
        return
    estate, people = desk.town.estate, desk.people
    at = patch_times(desk.town, desk.date)
    rows = np.flatnonzero((at >= desk.auth.start) & (at < desk.auth.end) & estate.windows)
    controllers = estate.name[np.array([estate.number(name) for name in places.HOME_DC])]
    machine = {**_service(desk, "", rows, estate.address[rows]), "user": estate.account[rows], "host": controllers[estate.site[rows]]}
    hosts.windows(desk.auth, "4768", at[rows] + 150 * SECOND, machine)
    hosts.session(desk.auth, desk.rng, at[rows] + 151 * SECOND, machine)
    admins = [np.flatnonzero(people.admin & (people.site == site)) for site in range(3)]
    who = np.array(
        [admins[site][(desk.date.month + k) % 2] for k, site in zip(rows.tolist(), estate.site[rows].tolist(), strict=True)], np.int64
    )
    source = places.POOLS[people.site[who]] + desk.day.inner[who]
    looked = {**_service(desk, "", rows, source), "user": people.operator[who], "sid": people.sid[who]}
    hosts.session(desk.auth, desk.rng, at[rows] - 60 * SECOND, looked, kind=10, package="Negotiate", special=True)


def _rollout(desk: Desk) -> None:
    """Twice a day a program sets up every Linux host, one a few seconds after the other, with a key."""
    estate = desk.town.estate
    machines = np.flatnonzero(~estate.windows)
    dice = np.random.default_rng([desk.town.seed, desk.date.toordinal(), 11])
    for hour in (6.5, float(dice.uniform(10, 15))):
        at = midnight(desk.date) + int(hour * HOUR) + np.arange(len(machines)) * 4 * SECOND
        for site in range(desk.town.sites):
            rows = machines[(at >= desk.auth.start) & (at < desk.auth.end) & (estate.site[machines] == site)]
            source = _from(estate.site[rows], places.MONITOR)
            keyed: Columns = {**_service(desk, "svc-ansible", rows, source), "uid": 997, "key": np.full(len(rows), desk.people.key[1])}
            hosts.ssh_logins(desk.auth, desk.rng, site, at[np.searchsorted(machines, rows)], keyed, seconds=12)


def _cron(desk: Desk, form: str) -> None:
    estate = desk.town.estate
    hours = ((np.flatnonzero(~estate.windows & ~estate.grown), 20), (np.flatnonzero(~estate.windows & estate.grown), 60))
    for machines, minutes in hours:
        here = machines[np.array([hosts.flavour(int(site)) == form for site in estate.site[machines]], np.bool_)]
        which, times = ticks(desk.auth.start, desk.auth.end, minutes * MINUTE, np.arange(len(here)) % 3 * 7 * MINUTE + SECOND)
        cron: Columns = {"host": estate.name[here[which]], "pid": 40_000 + times // SECOND % 900_000}
        for later, line in ((0, "opened"), (2, "closed")):
            desk.auth.add(f"CRON.{form}.{line}", times + later * SECOND, cron)


def _partners(desk: Desk) -> None:
    partner, times = ticks(desk.auth.start, desk.auth.end, HOUR, np.arange(PARTNERS) * 9 * MINUTE)
    users = desk.auth.press.texts(f"lieferant{k + 1}" for k in range(PARTNERS))
    for method, rows in (("publickey", partner < 4), ("password", partner >= 4)):
        who = partner[rows]
        columns: Columns = {
            "host": "sftp-leitstelle", "src": places.ip("203.0.113.200") + who * 3, "uid": 2000 + who, "key": desk.people.key[who],
            "user": users[who],
        }  # fmt: skip
        at = times[rows] + desk.rng.integers(0, MINUTE, len(who))
        hosts.ssh_logins(desk.auth, desk.rng, places.LEITSTELLE, at, columns, method=method, seconds=20)


def _service(desk: Desk, account: str, server: Int64, source: Int64) -> dict[str, Int64]:
    """The columns of a service account's logins at the servers with these numbers, each from its source address."""
    press, estate = desk.auth.press, desk.town.estate
    n = len(server)
    fixed = {"user": np.full(n, press.text(account)), "sid": np.full(n, press.text(_SERVICE_SID + "1150"))}
    return {**fixed, "domain": estate.domain[server], "src": source, "host": estate.name[server], "sport": desk.ports(n)}


def _backup(desk: Desk) -> None:
    """At the hours of the flows in `background.backups`."""
    estate = desk.town.estate
    begins, _ = backup_times(desk.town, desk.date)
    for windows in (True, False):
        rows = np.flatnonzero((begins >= desk.auth.start) & (begins < desk.auth.end) & (estate.windows == windows))
        columns = _service(desk, "svc-backup", rows, _from(estate.site[rows], places.BACKUP))
        if windows:
            hosts.session(desk.auth, desk.rng, begins[rows], columns, special=True)
            continue
        for site in range(desk.town.sites):
            mine = estate.site[rows] == site
            keyed = {**hosts.pick(columns, mine), "uid": 998, "key": np.full(int(mine.sum()), desk.people.key[0])}
            hosts.ssh_logins(desk.auth, desk.rng, site, begins[rows][mine], keyed)


def scan_to_folder(desk: Desk) -> None:
    """Printers still speak NTLM: a credential check at the domain controller, a logon at the file server."""
    who, times = desk.rate(0.25)
    press, site = desk.auth.press, desk.people.site[who]
    printer = desk.town.printer(who)
    controllers = np.array([hosts.qualified(press, name) for name in places.HOME_DC])[site]
    files = np.array([hosts.qualified(press, name) for name in places.HOME_FILES])[site]
    machine = press.texts(f"MFP-{k}" for k in range(16))[who % 16]
    check: Columns = {
        "outcome": "success",
        "keyword": "Audit Success",
        "status": 0,
        "user": "svc-scan",
        "workstation": machine,
        "host": controllers,
    }
    hosts.windows(desk.auth, "4776", times, check)
    account: Columns = {"user": "svc-scan", "sid": _SERVICE_SID + "1151", "domain": press.texts(hosts.DOMAINS)[site]}
    logon: Columns = {**account, "src": printer, "sport": desk.ports(len(who)), "host": files}
    hosts.session(desk.auth, desk.rng, times + 200_000, logon, package="NTLM")


def knocking(desk: Desk, volume: float) -> None:
    """The internet at the open doors: passwords guessed at two ssh hosts, a few at the VPN portals."""
    rng, press = desk.rng, desk.auth.press
    regulars = outside.SCANNERS + np.random.default_rng([desk.town.seed, desk.date.toordinal(), 4]).integers(0, 32_000, 14)
    users = press.texts(["root", *GUESSES])
    for site, (host, _) in hosts.PUBLIC_SSH.items():
        if site >= desk.town.sites:
            continue
        n = rng.poisson((14 if site == places.BAUHOF else 7) * volume * wave(desk.town.seed, desk.auth.start, 8 + site))
        stubborn = regulars[np.minimum((14 * rng.random(n) ** 3).astype(np.int64), 13)]  # the first of them hundreds of times a day
        src = np.where(rng.random(n) < 0.7, stubborn, outside.SCANNERS + rng.integers(0, 32_000, n))
        root = rng.random(n) < 0.45
        user = np.where(root, users[0], users[1 + (rng.random(n) ** 2 * len(GUESSES)).astype(np.int64)])
        hosts.ssh_failures(desk.auth, rng, site, rng.integers(desk.auth.start, desk.auth.end - 15 * SECOND, n), root,
            {"host": host, "src": src, "user": user}, persistent=rng.random(n) < 0.15, truth=-1)  # fmt: skip
    n = rng.poisson(0.7 * volume * wave(desk.town.seed, desk.auth.start, 12))
    columns: Columns = {"user": users[rng.integers(1, len(users), n)], "src": outside.SCANNERS + rng.integers(0, 32_000, n)}
    times, where = rng.integers(desk.auth.start, desk.auth.end, n), rng.integers(0, desk.town.sites, n)
    hosts.vpn_failures(desk.firewall, rng, times, where, columns, known=False, truth=-1)
