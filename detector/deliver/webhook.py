"""To a webhook: POST of the ECS document, signed with a secret that both know, so that nobody else can speak for us.

X-Tuermer-Timestamp   seconds since 1970, when it was sent; a receiver refuses what is older than some minutes
X-Tuermer-Signature   hex of HMAC-SHA256 over timestamp, a colon and the body, as bytes (as Grafana signs its own)
X-Tuermer-Id          of the notice: who has seen it already answers 200 and forgets it
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from detector import __version__
from detector.deliver.alert import Letter
from detector.deliver.courier import Down, Refused

TIMEOUT = 10.0  # s
REFUSALS = (400, 409, 413, 415, 422)  # about this message; everything else is about the receiver


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    return hmac.new(secret, f"{timestamp}:".encode() + body, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Webhook:
    """`tls` None: plain HTTP. `clock` in s since the epoch. Redirects are not followed: alerts go where the configuration says."""

    url: str
    secret: bytes
    tls: ssl.SSLContext | None
    clock: Callable[[], float]

    @property
    def batch(self) -> int:
        return 1

    def send(self, letters: Sequence[Letter]) -> None:
        """Raises Down or Refused."""
        for one in letters:
            status = self._post(one)
            if status in REFUSALS:
                raise Refused(f"answered {status}")
            if not 200 <= status < 300:
                raise Down(f"answered {status}")

    def _post(self, one: Letter) -> int:
        parts, body, now = urlsplit(self.url), msgspec.json.encode(one.document), int(self.clock())
        host = parts.hostname or ""
        connection = (
            http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT)
            if self.tls is None
            else http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT, context=self.tls)
        )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query != "" else "")
        try:
            connection.request("POST", path, body, self._headers(one, now, body))
            answer = connection.getresponse()
            answer.read(65_536)
            return answer.status
        except (OSError, http.client.HTTPException) as error:
            raise Down(type(error).__name__ if str(error) == "" else f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _headers(self, one: Letter, now: int, body: bytes) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "User-Agent": f"tuermer/{__version__}",
            "X-Tuermer-Id": one.id.encode("ascii", "backslashreplace").decode(),
            "X-Tuermer-Timestamp": str(now),
            "X-Tuermer-Signature": signature(self.secret, now, body),
        }
