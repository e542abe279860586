"""How Linux hosts, domain controllers and VPN gateways write down a login."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.simulate import places
from detector.simulate.clock import SECOND
from detector.simulate.wire import Column, Int64, Press, Sheet

WRONG_PASSWORD, NO_SUCH_USER, KERBEROS_WRONG = 0xC000006A, 0xC0000064, 0x18
DOMAINS = tuple(site.tenant.upper() for site in places.SITES)
PUBLIC_SSH = {  # the hosts that the internet may ask
    places.BAUHOF: ("ssh-bauhof", places.SITES[places.BAUHOF].public + 20),
    places.LEITSTELLE: ("sftp-leitstelle", places.SITES[places.LEITSTELLE].public + 20),
}


def qualified(press: Press, name: str) -> int:
    """The code of a Windows host's full name."""
    return press.text(f"{name}.{places.SITES[places.BY_NAME[name].site].tenant}.example")


def windows(sheet: Sheet, code: str, times: Int64, *, truth: int = 0, **columns: Column) -> None:
    """Security events of one id; record numbers rise with time."""
    sheet.add(f"windows.{code}", times, truth=truth, delay=2_300_000, record=times // 50_000, **columns)


def session(
    sheet: Sheet, rng: np.random.Generator, times: Int64, *, kind: int = 3, package: str = "Kerberos",
    truth: int = 0, special: bool = False, **columns: Column,
) -> None:  # fmt: skip
    """A logon at a Windows host and its logoff, if it comes before the window's end."""
    logon = rng.integers(0x10_0000, 0xFFFF_FFFF, len(times))
    workstation = columns.pop("workstation", "-")
    windows(sheet, "4624", times, truth=truth, logon=logon, type=kind, package=package, workstation=workstation, **columns)
    if special:
        windows(sheet, "4672", times, truth=truth, logon=logon, **columns)
    off = times + (rng.exponential(40 if kind == 3 else 1500, len(times)) * SECOND).astype(np.int64) + SECOND
    rows = off < sheet.end
    some = {name: value[rows] if isinstance(value, np.ndarray) else value for name, value in columns.items()}
    windows(sheet, "4634", off[rows], truth=truth, logon=logon[rows], type=kind, **some)


def flavour(site: int) -> str:
    return "ietf" if site == places.LEITSTELLE else "bsd"


def ssh_failures(
    sheet: Sheet, rng: np.random.Generator, site: int, times: Int64, known: NDArray[np.bool_], *,
    persistent: NDArray[np.bool_] | None = None, truth: int = 0, **columns: Column,
) -> None:  # fmt: skip
    """One refused connection each, as sshd and PAM report it: the same attempt in several lines.

    columns: host, src, user. `persistent` ones try three times before they leave; only known users have those.
    """
    n = len(times)
    full = {name: np.broadcast_to(np.asarray(_code(sheet, value)), (n,)) for name, value in columns.items()}
    full |= {"sport": rng.integers(32_768, 61_000, n), "pid": rng.integers(1_200, 4_194_304, n)}
    pause = rng.integers(1_600_000, 2_900_000, n)

    def say(message: str, rows: NDArray[np.bool_], later: Int64) -> None:
        some = {name: values[rows] for name, values in full.items()}
        sheet.add(f"sshd.{flavour(site)}.{message}", (times + later)[rows], truth=truth, **some)

    again = np.zeros(n, np.bool_) if persistent is None else persistent & known
    say("invalid", ~known, np.zeros(n, np.int64))
    say("pam_unknown", ~known, np.full(n, 20_000))
    say("pam_fail_unknown", ~known, np.full(n, 20_500))
    say("pam_fail", known, np.full(n, 20_000))
    say("failed_unknown", ~known, pause)
    say("failed", known, pause)
    say("repeated", again, pause + 7 * SECOND)
    last = pause + np.where(again, 7 * SECOND + 400_000, 300_000)
    say("bye", ~again, last)
    say("gone_unknown", ~known, last + 900)
    say("gone", known & ~again, last + 900)
    say("closed", again, last)
    say("pam_more", again, last + 1_100)


def ssh_logins(
    sheet: Sheet, rng: np.random.Generator, site: int, times: Int64, *, method: str = "publickey", seconds: float = 120,
    truth: int = 0, **columns: Column,
) -> None:  # fmt: skip
    """Accepted logins and the end of each session, if it comes before the window's end. columns: host, src, user, uid, key."""
    n = len(times)
    full = {name: np.broadcast_to(np.asarray(_code(sheet, value)), (n,)) for name, value in columns.items()}
    full |= {"sport": rng.integers(32_768, 61_000, n), "pid": rng.integers(1_200, 4_194_304, n)}
    sheet.add(f"sshd.{flavour(site)}.{method}", times, truth=truth, **full)
    sheet.add(f"sshd.{flavour(site)}.opened", times + 3_000, truth=truth, **full)
    end = times + (rng.exponential(seconds, n) * SECOND).astype(np.int64) + SECOND
    rows = end < sheet.end
    some = {name: values[rows] for name, values in full.items()}
    sheet.add(f"sshd.{flavour(site)}.left", end[rows], truth=truth, **some)
    sheet.add(f"sshd.{flavour(site)}.ended", end[rows] + 700, truth=truth, **some)


def _code(sheet: Sheet, value: Column) -> Int64 | int:
    return sheet.press.text(value) if isinstance(value, str) else value


def vpn_failures(
    sheet: Sheet, rng: np.random.Generator, times: Int64, site: Int64, *, known: bool, truth: int = 0, user: Int64, src: Int64
) -> None:
    """Refused dial-ins: those of the city's staff at the FortiGate, those of the municipal utility at GlobalProtect."""
    there = site == places.LEITSTELLE
    reason = "sslvpn_login_permission_denied" if known else "sslvpn_login_unknown_user"
    _fortigate_vpn(sheet, "vpn_fail", times[~there], truth, "SSL VPN login fail", "ssl-login-fail", pri=185, level="alert",
        reason=reason, user=user[~there], src=src[~there])  # fmt: skip
    _globalprotect(sheet, rng, "portal-auth", "login", times[there], truth, status="failure", duration=0, inner=0,
        why="Authentication failed: Invalid username or password", user=user[there], src=src[there], machine="")  # fmt: skip


def vpn_up(
    sheet: Sheet, rng: np.random.Generator, times: Int64, site: Int64, *, truth: int = 0, user: Int64, src: Int64,
    inner: Int64, machine: Int64,
) -> None:  # fmt: skip
    """Successful dial-ins; GlobalProtect reports portal, gateway and tunnel."""
    there = site == places.LEITSTELLE
    _fortigate_vpn(sheet, "vpn_up", times[~there], truth, "SSL VPN tunnel up", "tunnel-up", pri=190, level="information",
        tunnel=times[~there] // SECOND % 1_000_000_000, user=user[~there], src=src[~there], inner=inner[~there])  # fmt: skip
    for later, event, stage in ((0, "portal-auth", "login"), (1, "gateway-auth", "login"), (3, "gateway-connected", "connected")):
        given = inner[there] if event == "gateway-connected" else 0
        _globalprotect(sheet, rng, event, stage, times[there] + later * SECOND, truth, status="success", duration=0, inner=given,
            why="", user=user[there], src=src[there], machine=machine[there])  # fmt: skip


def vpn_down(
    sheet: Sheet, rng: np.random.Generator, times: Int64, site: Int64, since: Int64, *, user: Int64, src: Int64, inner: Int64,
    machine: Int64,
) -> None:  # fmt: skip
    there = site == places.LEITSTELLE
    seconds = np.maximum(0, times - since) // SECOND
    octets = seconds * rng.integers(2_000, 30_000, len(times))
    _fortigate_vpn(sheet, "vpn_down", times[~there], 0, "SSL VPN tunnel down", "tunnel-down", pri=190, level="information",
        tunnel=since[~there] // SECOND % 1_000_000_000, user=user[~there], src=src[~there], inner=inner[~there],
        duration=seconds[~there], sent=octets[~there], received=octets[~there] // 7)  # fmt: skip
    _globalprotect(sheet, rng, "gateway-logout", "logout", times[there], 0, status="success", duration=seconds[there],
        inner=inner[there], why="client logout", user=user[there], src=src[there], machine=machine[there])  # fmt: skip


def _fortigate_vpn(sheet: Sheet, template: str, times: Int64, truth: int, what: str, action: str, **columns: Column) -> None:
    sheet.add(f"fortigate.{template}", times, truth=truth, delay=400_000, what=what, action=action, **columns)


def _globalprotect(sheet: Sheet, rng: np.random.Generator, event: str, stage: str, times: Int64, truth: int, **columns: Column) -> None:
    sheet.add("panos.globalprotect", times, truth=truth, delay=1_100_000, event=event, stage=stage,
        session=rng.integers(1_000_000, 2_000_000_000, len(times)), **columns)  # fmt: skip
