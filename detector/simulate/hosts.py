"""How Linux hosts, domain controllers and VPN gateways write down a login."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from detector.simulate import places
from detector.simulate.clock import SECOND
from detector.simulate.wire import Columns, Int64, Press, Sheet

AES, RC4 = 0x12, 0x17
WRONG_PASSWORD, NO_SUCH_USER, KERBEROS_WRONG, KERBEROS_UNKNOWN = 0xC000006A, 0xC0000064, 0x18, 0x6
DOMAINS = tuple(site.tenant.upper() for site in places.SITES)
PUBLIC_SSH = {  # the hosts that the internet may ask
    places.BAUHOF: ("ssh-bauhof", places.SITES[places.BAUHOF].public + 20),
    places.LEITSTELLE: ("sftp-leitstelle", places.SITES[places.LEITSTELLE].public + 20),
}


def qualified(press: Press, name: str) -> int:
    """The code of a Windows host's full name."""
    return press.text(f"{name}.{places.SITES[places.BY_NAME[name].site].tenant}.example")


def windows(sheet: Sheet, code: str, times: Int64, columns: Columns, *, truth: int = 0) -> None:
    """Security events of one id; record numbers rise with time. Tickets are AES-256 unless `cipher` says otherwise."""
    sheet.add(f"windows.{code}", times, {"cipher": AES, **columns, "record": times // 50_000}, truth=truth, delay=2_300_000)


def session(
    sheet: Sheet, rng: np.random.Generator, times: Int64, columns: Columns, *, kind: int = 3, package: str = "Kerberos",
    truth: int = 0, special: bool = False,
) -> None:  # fmt: skip
    """A logon at a Windows host and its logoff, if it comes before the window's end."""
    if len(times) == 0:
        return
    logon = rng.integers(0x10_0000, 0xFFFF_FFFF, len(times))
    full = {"workstation": "-", **columns, "logon": logon, "type": kind, "package": package}
    windows(sheet, "4624", times, full, truth=truth)
    if special:
        windows(sheet, "4672", times, full, truth=truth)
    off = times + (rng.exponential(40 if kind == 3 else 1500, len(times)) * SECOND).astype(np.int64) + SECOND
    rows = off < sheet.end
    windows(sheet, "4634", off[rows], pick(full, rows), truth=truth)


def pick(columns: Columns, rows: NDArray[np.bool_] | Int64) -> Columns:
    """The given rows of every column; a value for all stays one."""
    return {name: value[rows] if isinstance(value, np.ndarray) else value for name, value in columns.items()}


def flavour(site: int) -> str:
    return "ietf" if site == places.LEITSTELLE else "bsd"


def ssh_failures(
    sheet: Sheet, rng: np.random.Generator, site: int, times: Int64, known: NDArray[np.bool_], columns: Columns, *,
    persistent: NDArray[np.bool_] | None = None, truth: int = 0,
) -> None:  # fmt: skip
    """One refused connection each, as sshd and PAM report it: the same attempt in several lines.

    columns: host, src, user. `persistent` ones try three times before they leave; only known users have those.
    """
    n = len(times)
    if n == 0:
        return
    full = {**columns, "sport": rng.integers(32_768, 61_000, n), "pid": rng.integers(1_200, 4_194_304, n)}
    pause = rng.integers(1_600_000, 2_900_000, n)
    again = np.zeros(n, np.bool_) if persistent is None else persistent & known
    last = pause + np.where(again, 7 * SECOND + 400_000, 300_000)
    lines = (
        ("invalid", ~known, 0), ("pam_unknown", ~known, 20_000), ("pam_fail_unknown", ~known, 20_500), ("pam_fail", known, 20_000),
        ("failed_unknown", ~known, pause), ("failed", known, pause), ("repeated", again, pause + 7 * SECOND), ("bye", ~again, last),
        ("gone_unknown", ~known, last + 900), ("gone", known & ~again, last + 900), ("closed", again, last),
        ("pam_more", again, last + 1_100),
    )  # fmt: skip
    for message, rows, later in lines:
        sheet.add(f"sshd.{flavour(site)}.{message}", (times + later)[rows], pick(full, rows), truth=truth)


def ssh_logins(
    sheet: Sheet, rng: np.random.Generator, site: int, times: Int64, columns: Columns, *, method: str = "publickey",
    seconds: float = 120, truth: int = 0,
) -> None:  # fmt: skip
    """Accepted logins and the end of each session, if it comes before the window's end. columns: host, src, user, uid, key."""
    n = len(times)
    if n == 0:
        return
    full = {**columns, "sport": rng.integers(32_768, 61_000, n), "pid": rng.integers(1_200, 4_194_304, n)}
    sheet.add(f"sshd.{flavour(site)}.{method}", times, full, truth=truth)
    sheet.add(f"sshd.{flavour(site)}.opened", times + 3_000, full, truth=truth)
    end = times + (rng.exponential(seconds, n) * SECOND).astype(np.int64) + SECOND
    rows = end < sheet.end
    sheet.add(f"sshd.{flavour(site)}.left", end[rows], pick(full, rows), truth=truth)
    sheet.add(f"sshd.{flavour(site)}.ended", end[rows] + 700, pick(full, rows), truth=truth)


_VPN_TEXTS: Mapping[str, Columns] = {  # template -> what never changes in it
    "vpn_fail": {"what": "SSL VPN login fail", "action": "ssl-login-fail", "pri": 185, "level": "alert"},
    "vpn_up": {"what": "SSL VPN tunnel up", "action": "tunnel-up", "pri": 190, "level": "information"},
    "vpn_down": {"what": "SSL VPN tunnel down", "action": "tunnel-down", "pri": 190, "level": "information"},
}


def vpn_failures(
    sheet: Sheet, rng: np.random.Generator, times: Int64, site: Int64, columns: Columns, *, known: bool, truth: int = 0
) -> None:
    """Refused dial-ins: the town hall's at the FortiGate, the depot's at the ASA, those of the municipal utility at GlobalProtect.

    columns of all three vpn functions: user, src; inner and machine as well where the dial-in succeeded.
    """
    hall, depot, utility = _gateways(site)
    reason = "sslvpn_login_permission_denied" if known else "sslvpn_login_unknown_user"
    _fortigate(sheet, "vpn_fail", times[hall], {**pick(columns, hall), "reason": reason}, truth)
    sheet.add("asa.vpn_fail", times[depot], pick(columns, depot), truth=truth, delay=300_000)
    why = "Authentication failed: Invalid username or password"
    refused = {**pick(columns, utility), "status": "failure", "duration": 0, "inner": 0, "machine": "", "why": why}
    _globalprotect(sheet, rng, "portal-auth", "login", times[utility], refused, truth)


def _gateways(site: Int64) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    return site == places.RATHAUS, site == places.BAUHOF, site == places.LEITSTELLE


def vpn_up(sheet: Sheet, rng: np.random.Generator, times: Int64, site: Int64, columns: Columns, *, truth: int = 0) -> None:
    """Successful dial-ins; GlobalProtect reports portal, gateway and tunnel, the ASA password, session and address."""
    hall, depot, utility = _gateways(site)
    tunnel = times[hall] // SECOND % 1_000_000_000
    _fortigate(sheet, "vpn_up", times[hall], {**pick(columns, hall), "tunnel": tunnel}, truth)
    for later, line in ((0, "vpn_aaa"), (1, "vpn_up"), (2, "vpn_address")):
        sheet.add(f"asa.{line}", times[depot] + later * SECOND, pick(columns, depot), truth=truth, delay=300_000)
    told = {**pick(columns, utility), "status": "success", "duration": 0, "why": ""}
    for later, event in ((0, "portal-auth"), (1, "gateway-auth")):
        _globalprotect(sheet, rng, event, "login", times[utility] + later * SECOND, {**told, "inner": 0}, truth)
    _globalprotect(sheet, rng, "gateway-connected", "connected", times[utility] + 3 * SECOND, told, truth)


def vpn_down(sheet: Sheet, rng: np.random.Generator, times: Int64, site: Int64, since: Int64, columns: Columns) -> None:
    hall, depot, utility = _gateways(site)
    seconds = np.maximum(0, times - since) // SECOND
    octets = seconds * rng.integers(2_000, 30_000, len(times))
    full = {**columns, "duration": seconds, "sent": octets, "received": octets // 7, "tunnel": since // SECOND % 1_000_000_000}
    _fortigate(sheet, "vpn_down", times[hall], pick(full, hall), 0)
    sheet.add("asa.vpn_down", times[depot], pick(full, depot), delay=300_000)
    told = {**pick(full, utility), "status": "success", "why": "client logout"}
    _globalprotect(sheet, rng, "gateway-logout", "logout", times[utility], told, 0)


def _fortigate(sheet: Sheet, template: str, times: Int64, columns: Columns, truth: int) -> None:
    sheet.add(f"fortigate.{template}", times, {**columns, **_VPN_TEXTS[template]}, truth=truth, delay=400_000)


def _globalprotect(
    sheet: Sheet, rng: np.random.Generator, event: str, stage: str, times: Int64, columns: Columns, truth: int
) -> None:  # fmt: skip
    session = rng.integers(1_000_000, 2_000_000_000, len(times))
    sheet.add("panos.globalprotect", times, {**columns, "event": event, "stage": stage, "session": session}, truth=truth, delay=1_100_000)
