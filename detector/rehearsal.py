"""Rehearsed attacks: a few real log lines with documentation addresses and a reserved account, for `tuermer drill` and the canary.

They pass through everything that a real attack passes through. Who sees one knows it by the device and the account `tuermer-drill`
and by addresses of RFC 5737, which no real line holds; an incident's title says so, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from detector.decode.ecs import DRILL

SECOND = 1_000_000  # µs
FAILURES, PORTS = 30, 60


class Line(NamedTuple):
    time: int  # µs
    value: bytes


class Rehearsal(NamedTuple):
    """An attack in the words of one format."""

    format: str
    technique: str
    lines: Callable[[int, int], Iterator[Line]]  # (when it ends, µs; a number that tells runs apart)


def _syslog(at: int, program: str, text: str) -> bytes:
    return f"<38>1 {datetime.fromtimestamp(at / 1e6, UTC).isoformat()} {DRILL} {program} - - {text}".encode()


def _brute_force(end: int, run: int) -> Iterator[Line]:
    """30 refused passwords within a minute, then the right one."""
    source = f"192.0.2.{1 + run % 254}"
    for i in range(FAILURES):
        at = end - (FAILURES - i) * 2 * SECOND
        yield Line(at, _syslog(at, f"sshd {9000 + run % 1000}{i:02d}", f"Failed password for {DRILL} from {source} port {40_000 + i} ssh2"))
    accepted = f"Accepted password for {DRILL} from {source} port {41_000 + run % 1000} ssh2"
    yield Line(end, _syslog(end, f"sshd {9000 + run % 1000}99", accepted))


def _port_scan(end: int, run: int) -> Iterator[Line]:
    """60 ports of one machine refused within a minute, from an inside documentation address."""
    for i in range(PORTS):
        at = end - (PORTS - i) * SECOND
        when = datetime.fromtimestamp(at / 1e6, UTC)
        yield Line(
            at,
            f'date={when:%Y-%m-%d} time={when:%H:%M:%S} tz="+0000" devname="{DRILL}" devid="DRILL" logid="0000000013" type="traffic" '
            f'subtype="forward" level="warning" eventtime={at * 1000} srcip=192.0.2.{1 + run % 254} srcport={40_000 + i} '
            f"dstip=198.51.100.{1 + run % 254} dstport={20 + 7 * i} proto=6 action=\"deny\" policyid=0".encode(),
        )  # fmt: skip


ATTACKS = {
    "brute-force": Rehearsal("sshd", "T1110.001", _brute_force),
    "port-scan": Rehearsal("fortigate", "T1046", _port_scan),
}
