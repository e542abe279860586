"""Logins without people: backups, monitoring, scan-to-folder, partners' uploads, cron; and the noise at open doors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.simulate import hosts, places
from detector.simulate.background import ticks
from detector.simulate.clock import HOUR, MINUTE, SECOND, midnight
from detector.simulate.logins import Desk
from detector.simulate.wire import Columns, Int64

LINUX = tuple(server for server in places.SERVERS if not server.windows)
WINDOWS = tuple(server for server in places.SERVERS if server.windows)
PARTNERS = 6
_SERVICE_SID = "S-1-5-21-3623811015-3361044348-30300820-"
_GUESSES_TEXT = (
    "admin test oracle ubuntu user postgres guest ftpuser git deploy pi hadoop jenkins www-data mysql support backup nagios minecraft "
    "student ubnt administrator tomcat info service operator dev steam web ftp"
)
GUESSES = _GUESSES_TEXT.split()


def scheduled(desk: Desk) -> None:
    """svc-backup at night, svc-monitor every ten minutes, cron, partners who deliver files every hour or so."""
    _backup(desk)
    which, times = ticks(desk.auth.start, desk.auth.end, 10 * MINUTE, np.arange(len(WINDOWS)) * 71 * SECOND)
    hosts.session(desk.auth, desk.rng, times, _service(desk, "svc-monitor", WINDOWS, which, places.MONITOR))
    for form in ("bsd", "ietf"):
        _cron(desk, form)
    _partners(desk)


def _cron(desk: Desk, form: str) -> None:
    machines = [server for server in LINUX if hosts.flavour(server.site) == form]
    which, times = ticks(desk.auth.start, desk.auth.end, 20 * MINUTE, np.arange(len(machines)) % 3 * 7 * MINUTE + SECOND)
    names = desk.auth.press.texts(server.name for server in machines)
    cron: Columns = {"host": names[which], "pid": 40_000 + times // SECOND % 900_000}
    for later, line in ((0, "opened"), (2, "closed")):
        desk.auth.add(f"CRON.{form}.{line}", times + later * SECOND, cron)


def _partners(desk: Desk) -> None:
    partner, times = ticks(desk.auth.start, desk.auth.end, HOUR, np.arange(PARTNERS) * 9 * MINUTE)
    users = desk.auth.press.texts(f"lieferant{k + 1}" for k in range(PARTNERS))
    for method, rows in (("publickey", partner < 4), ("password", partner >= 4)):
        who = partner[rows]
        columns: Columns = {
            "host": "sftp-leitstelle", "src": places.ip("192.0.2.16") + who * 3, "uid": 2000 + who, "key": desk.people.key[who],
            "user": users[who],
        }  # fmt: skip
        at = times[rows] + desk.rng.integers(0, MINUTE, len(who))
        hosts.ssh_logins(desk.auth, desk.rng, places.LEITSTELLE, at, columns, method=method, seconds=20)


def _service(
    desk: Desk, account: str, servers: Sequence[places.Server], which: Int64, source: tuple[str, ...]
) -> dict[str, Int64]:  # fmt: skip
    """The columns of a service account's logins at servers[which]."""
    press = desk.auth.press
    site = np.array([server.site for server in servers])[which]
    host = np.array([hosts.qualified(press, s.name) if s.windows else press.text(s.name) for s in servers])[which]
    fixed = {"user": np.full(len(which), press.text(account)), "sid": np.full(len(which), press.text(_SERVICE_SID + "1150"))}
    place = {"domain": press.texts(hosts.DOMAINS)[site], "src": places.addresses(source)[site], "host": host}
    return {**fixed, **place, "sport": desk.ports(len(which))}


def _backup(desk: Desk) -> None:
    plan = np.random.default_rng([desk.seed, desk.date.toordinal(), 2])  # the same hours as the flows in background.backups
    begins = midnight(desk.date) + HOUR + (np.sort(plan.random(len(places.SERVERS))) * 3 * HOUR).astype(np.int64)
    for server, begin in zip(places.SERVERS, begins.tolist(), strict=True):
        if not desk.auth.start <= begin < desk.auth.end:
            continue
        times = np.array([begin])
        columns = _service(desk, "svc-backup", (server,), np.zeros(1, np.int64), places.BACKUP)
        if server.windows:
            hosts.session(desk.auth, desk.rng, times, columns, special=True)
        else:
            hosts.ssh_logins(desk.auth, desk.rng, server.site, times, {**columns, "uid": 998, "key": desk.people.key[:1]})


def scan_to_folder(desk: Desk) -> None:
    """Printers still speak NTLM: a credential check at the domain controller, a logon at the file server."""
    who, times = desk.rate(0.25)
    press, site = desk.auth.press, desk.people.site[who]
    printer = places.PRINTERS[site] + who * 31 % (2 + len(desk.people) // 60)
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
    regulars = places.SCANNERS + np.random.default_rng([desk.seed, desk.date.toordinal(), 4]).integers(0, 60_000, 14)
    users = press.texts(["root", *GUESSES])
    for site, (host, _) in hosts.PUBLIC_SSH.items():
        n = rng.poisson(14 * volume if site == places.BAUHOF else 7 * volume)
        src = np.where(rng.random(n) < 0.7, regulars[rng.integers(0, 14, n)], places.SCANNERS + rng.integers(0, 60_000, n))
        root = rng.random(n) < 0.45
        user = np.where(root, users[0], users[1 + (rng.random(n) ** 2 * len(GUESSES)).astype(np.int64)])
        hosts.ssh_failures(desk.auth, rng, site, rng.integers(desk.auth.start, desk.auth.end - 15 * SECOND, n), root,
            {"host": host, "src": src, "user": user}, persistent=rng.random(n) < 0.15, truth=-1)  # fmt: skip
    n = rng.poisson(0.7 * volume)
    columns: Columns = {"user": users[rng.integers(1, len(users), n)], "src": places.SCANNERS + rng.integers(0, 60_000, n)}
    times, where = rng.integers(desk.auth.start, desk.auth.end, n), rng.choice(np.array([0, 2]), n)
    hosts.vpn_failures(desk.firewall, rng, times, where, columns, known=False, truth=-1)
