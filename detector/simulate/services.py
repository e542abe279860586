"""Logins without people: backups, monitoring, scan-to-folder, partners' uploads, cron; and the noise at open doors."""

from __future__ import annotations

import numpy as np

from detector.simulate import hosts, places
from detector.simulate.background import ticks
from detector.simulate.clock import HOUR, MINUTE, SECOND, midnight
from detector.simulate.logins import Desk
from detector.simulate.wire import Int64

LINUX = tuple(server for server in places.SERVERS if not server.windows)
WINDOWS = tuple(server for server in places.SERVERS if server.windows)
PARTNERS = 6
GUESSES = (
    "admin test oracle ubuntu user postgres guest ftpuser git deploy pi hadoop jenkins www-data mysql support backup nagios minecraft "
    "student ubnt administrator tomcat info service operator dev steam web ftp"
).split()


def scheduled(desk: Desk) -> None:
    """svc-backup at night, svc-monitor every ten minutes, cron, partners who deliver files every hour or so."""
    _backup(desk)
    for server in WINDOWS:
        _, times = ticks(desk.auth.start, desk.auth.end, 10 * MINUTE, np.array([server.address % 97 * SECOND]))
        hosts.session(desk.auth, desk.rng, times, **_service(desk, "svc-monitor", server, places.MONITOR, len(times)))
    for server in LINUX:
        _, times = ticks(desk.auth.start, desk.auth.end, 20 * MINUTE, np.array([(server.address % 3 * 7 * 60 + 1) * SECOND]))
        for later, line in ((0, "opened"), (2, "closed")):
            desk.auth.add(f"CRON.{hosts.flavour(server.site)}.{line}", times + later * SECOND, host=server.name,
                pid=desk.rng.integers(1_200, 4_194_304, len(times)))  # fmt: skip
    partner, times = ticks(desk.auth.start, desk.auth.end, HOUR, np.arange(PARTNERS) * 9 * MINUTE)
    for method, rows in (("publickey", partner < 4), ("password", partner >= 4)):
        who = partner[rows]
        hosts.ssh_logins(desk.auth, desk.rng, places.LEITSTELLE, times[rows] + desk.rng.integers(0, MINUTE, len(who)), method=method,
            seconds=20, host="sftp-leitstelle", src=places.ip("192.0.2.16") + who * 3, uid=2000 + who, key=desk.people.key[who],
            user=desk.auth.press.texts(f"lieferant{k + 1}" for k in range(PARTNERS))[who])  # fmt: skip


def _service(desk: Desk, account: str, server: places.Server, source: tuple[str, ...], n: int) -> dict[str, Int64]:
    press = desk.auth.press
    fixed = {
        "user": press.text(account), "sid": press.text("S-1-5-21-3623811015-3361044348-30300820-1150"),
        "domain": press.text(hosts.DOMAINS[server.site]), "src": int(places.addresses(source)[server.site]),
        "host": hosts.qualified(press, server.name) if server.windows else press.text(server.name),
    }  # fmt: skip
    return {name: np.full(n, value) for name, value in fixed.items()} | {"sport": desk.ports(n)}


def _backup(desk: Desk) -> None:
    plan = np.random.default_rng([desk.seed, desk.date.toordinal(), 2])  # the same hours as the flows in background.backups
    begins = midnight(desk.date) + HOUR + (np.sort(plan.random(len(places.SERVERS))) * 3 * HOUR).astype(np.int64)
    for server, begin in zip(places.SERVERS, begins.tolist(), strict=True):
        if not desk.auth.start <= begin < desk.auth.end:
            continue
        times = np.array([begin])
        columns = _service(desk, "svc-backup", server, places.BACKUP, 1)
        if server.windows:
            hosts.session(desk.auth, desk.rng, times, special=True, **columns)
        else:
            hosts.ssh_logins(desk.auth, desk.rng, server.site, times, host=columns["host"], src=columns["src"], user=columns["user"],
                uid=998, key=desk.people.key[:1])  # fmt: skip


def scan_to_folder(desk: Desk) -> None:
    """Printers still speak NTLM: a credential check at the domain controller, a logon at the file server."""
    who, times = desk.rate(0.25)
    press, site = desk.auth.press, desk.people.site[who]
    printer = places.PRINTERS[site] + who * 31 % (2 + len(desk.people) // 60)
    controllers = np.array([hosts.qualified(press, name) for name in places.HOME_DC])[site]
    files = np.array([hosts.qualified(press, name) for name in places.HOME_FILES])[site]
    hosts.windows(desk.auth, "4776", times, outcome="success", keyword="Audit Success", status=0, user="svc-scan",
        workstation=press.texts(f"MFP-{k}" for k in range(16))[who % 16], host=controllers)  # fmt: skip
    hosts.session(desk.auth, desk.rng, times + 200_000, package="NTLM", user="svc-scan", src=printer, sport=desk.ports(len(who)),
        sid="S-1-5-21-3623811015-3361044348-30300820-1151", domain=press.texts(hosts.DOMAINS)[site], host=files)  # fmt: skip


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
            persistent=rng.random(n) < 0.15, truth=-1, host=host, src=src, user=user)  # fmt: skip
    n = rng.poisson(0.7 * volume)
    hosts.vpn_failures(desk.firewall, rng, rng.integers(desk.auth.start, desk.auth.end, n), rng.choice(np.array([0, 2]), n),
        known=False, truth=-1, user=users[rng.integers(1, len(users), n)], src=places.SCANNERS + rng.integers(0, 60_000, n))  # fmt: skip
