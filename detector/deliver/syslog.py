"""To a syslog server: RFC 5424 over TLS (RFC 5425, each message with its length before it), as JSON or as one line of CEF.

Syslog has no receipts. So each batch has a connection of its own, and counts as taken when the server has read to its end and
closed it, as RFC 5425 asks it to; or, if it keeps the connection open, when its machine has acknowledged every byte.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from detector import __version__
from detector.deliver.alert import Letter
from detector.deliver.courier import Down
from detector.store.database import moment
from detector.visible import one_line

TIMEOUT = 10.0  # s
LOCAL0 = 16
LEVELS = {"critical": 2, "high": 3, "medium": 4, "low": 5}  # of RFC 5424: critical, error, warning, notice
CEF_LEVELS = {"critical": 10, "high": 8, "medium": 5, "low": 3}
SIOCOUTQ = 0x5411  # bytes that are sent and not acknowledged


def message(one: Letter, host: str, content: Literal["json", "cef"]) -> bytes:
    """One message without its length. Nothing in it can begin another: JSON and CEF both escape line ends and control characters."""
    head = f"<{LOCAL0 * 8 + LEVELS[one.severity]}>1 {_time(one.created)} {host} tuermer - {one.kind}"
    origin = f'[origin software="tuermer" swVersion="{__version__}"]'
    body = cef(one) if content == "cef" else msgspec.json.encode(one.document).decode()
    return f"{head} {origin} \ufeff{body}".encode()


def cef(one: Letter) -> str:
    """ArcSight's Common Event Format, version 0."""
    incident = one.document.get("tuermer", {}).get("incident", {})
    title = one.message.split("\n", 1)[0]
    head = "|".join(_in_head(part) for part in ("Türmer", "Türmer", __version__, str(incident.get("family", one.kind)), title))
    labels = one.document["labels"]
    pairs = {
        "externalId": one.key, "rt": str(one.created // 1000), "msg": one.message, "cs1Label": "tenant", "cs1": labels["tenant"],
        "cs2Label": "notice", "cs2": one.id, "cs3Label": "gotIn", "cs3": labels.get("got_in", "unknown"),
        **({"src": one.document["source"]["ip"]} if "ip" in one.document.get("source", {}) else {}),
    }  # fmt: skip
    return f"CEF:0|{head}|{CEF_LEVELS[one.severity]}|" + " ".join(f"{key}={_in_pair(str(value))}" for key, value in pairs.items())


def _in_head(text: str) -> str:
    return one_line(text).replace("\\", "\\\\").replace("|", "\\|")


def _in_pair(text: str) -> str:
    return "\\n".join(one_line(line).replace("\\", "\\\\").replace("=", "\\=") for line in text.split("\n"))


def _time(us: int) -> str:
    return moment(us).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Syslog:
    """`tls` None: plain TCP. `name`: of this machine."""

    address: tuple[str, int]
    tls: ssl.SSLContext | None
    name: str
    content: Literal["json", "cef"] = "json"
    connect: Callable[..., socket.socket] = socket.create_connection

    @property
    def batch(self) -> int:
        return 100

    def send(self, letters: Sequence[Letter]) -> None:
        """Raises Down."""
        framed = b"".join(b"%d %s" % (len(body), body) for body in (message(one, self.name, self.content) for one in letters))
        try:
            with contextlib.closing(self._open()) as link:
                link.sendall(framed)
                _finish(link)
        except OSError as error:
            raise Down(type(error).__name__ if str(error) == "" else f"{type(error).__name__}: {error}") from error

    def _open(self) -> socket.socket:
        plain = self.connect(self.address, timeout=TIMEOUT)
        if self.tls is None:
            return plain
        try:
            return self.tls.wrap_socket(plain, server_hostname=self.address[0])
        except OSError:
            plain.close()
            raise


def _finish(link: socket.socket) -> None:
    """Says that nothing more comes and waits for the other side to say the same. Raises OSError unless it has everything."""
    try:
        if isinstance(link, ssl.SSLSocket):
            link.unwrap().close()
            return
        link.shutdown(socket.SHUT_WR)
        while link.recv(4096) != b"":
            pass
    except TimeoutError:
        if _unacknowledged(link) > 0:
            raise
    except ssl.SSLEOFError:  # it closed without TLS's goodbye, as many do; had it not read everything, the line would have been reset
        pass


def _unacknowledged(link: socket.socket) -> int:
    return int(struct.unpack("i", fcntl.ioctl(link.fileno(), SIOCOUTQ, b"\0" * 4))[0])
