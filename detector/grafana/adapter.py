"""The one module that talks to Grafana, through grafana-client. Every failure becomes one sentence that says what to do.

grafana-client's own client sends and decodes; its methods per resource are left out, because several of them do not quote
names, drop tags, or write something else than they say (checked on 12.3.0). `api.Grafana` has the calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from detector.sentence import Sentence

Json = dict[str, Any]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Trouble(Sentence):
    """A call that failed. `status`: Grafana's HTTP status; 0 = no answer at all; 200 = an answer that is no JSON."""

    def __init__(self, sentence: str, status: int, said: str = "", *, unsure: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.said = said  # Grafana's own words
        self.unsure = unsure  # a write whose answer was lost: it may have taken effect


@dataclass(frozen=True, slots=True)
class Who:
    """Whose login a connection uses: `name` stands in sentences ("the content token of stadt"), `remedy` says how to mend it."""

    name: str
    remedy: str


class Connection:
    """One login at one Grafana. `secret`: a token, or (user, password) with the organisation's id in `organisation`."""

    def __init__(
        self,
        url: str,
        secret: str | tuple[str, str],
        who: Who,
        *,
        organisation: int | None = None,
        ca_file: str = "",
        timeout: float = 15.0,
    ) -> None:
        from grafana_client.client import GrafanaClient

        parts = urlsplit(url)
        self.url, self.who = url, who
        self._timeout = timeout
        self._client: Any = GrafanaClient(
            secret,
            host=f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname,
            port=parts.port,
            url_path_prefix=parts.path.lstrip("/").rstrip("/") + ("/" if parts.path.strip("/") != "" else ""),
            protocol=parts.scheme,
            verify=ca_file if ca_file != "" else True,
            timeout=timeout,
            user_agent="tuermer",
            organization_id=organisation,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._client.s.close()

    def call(
        self,
        method: Method,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The decoded answer; "" or None where Grafana sends none. Raises Trouble."""
        with self._sentences(method, path):
            answer = getattr(self._client, method)(path, json=body, params=params, headers=headers, accept_empty_json=True)
        if isinstance(answer, str) and answer.strip() != "":
            raise Trouble(
                f"{self.url} answered {method} {path} with a page instead of JSON: a login page or a proxy stands before Grafana,"
                " or grafana.url lacks its sub-path",
                200,
                unsure=method != "GET",
            )
        return answer

    @contextlib.contextmanager
    def _sentences(self, method: str, path: str) -> Iterator[None]:
        from grafana_client.client import GrafanaException, GrafanaTimeoutError

        try:
            yield
        except GrafanaTimeoutError as error:
            raise self._silent(method, path, f"did not answer within {self._timeout:g} s") from error
        except GrafanaException as error:
            said = words(error.response)
            raise Trouble(self._refused(method, path, error.status_code, said), error.status_code, said) from error
        except ValueError as error:  # not JSON although it says so; an OSError too
            raise Trouble(
                f"{self.url} answered {method} {path} with something that is not JSON; is this Grafana, and is a proxy in between?",
                200,
                unsure=method != "GET",
            ) from error
        except OSError as error:  # niquests' connection errors, which grafana-client lets through
            raise self._silent(method, path, reason(error)) from error

    def _silent(self, method: str, path: str, why: str) -> Trouble:
        unsure = method != "GET"
        text = f"Grafana at {self.url} {why} ({method} {path}); see that it runs and that grafana.url is right"
        return Trouble(text + ("; whether it was written is not known, so push again" if unsure else ""), 0, why, unsure=unsure)

    def _refused(self, method: str, path: str, status: int, said: str) -> str:
        place = f"{method} {path}"
        match status:
            case 401:
                return (
                    f"Grafana does not accept {self.who.name} (401: {said}): expired, revoked or another organisation's; {self.who.remedy}"
                )
            case 403:
                return f"{self.who.name} may not do {place} (403: {said}); {self.who.remedy}"
            case 404:
                return f"Grafana knows nothing at {place} (404: {said}); is grafana.url right, and is it Grafana 12 or newer?"
            case 405:
                return f"something between Türmer and Grafana does not let {place} through (405); check the proxy before Grafana"
            case 406:
                return f"{place}: this dashboard was saved in a newer format (406); delete it in Grafana, then push again"
            case 409 | 412:
                return f"{place}: somebody else changed or uses it ({status}: {said}); see `tuermer grafana diff`, then push again"
            case 429:
                return "Grafana gets too many requests (429); wait a minute, then push again"
            case _ if "provenance" in said:
                return f"{place}: Grafana keeps its lock ({status}: {said}); set grafana.lock_in_ui as it was, or delete the object first"
            case _ if status >= 500:
                return f"Grafana failed at {place} ({status}: {said}); look into its log, then push again"
        return f"Grafana refuses {place} ({status}: {said}); correct what it names, then push again"

    def maybe(self, path: str, missing: Sequence[int] = (404,)) -> Json | None:
        try:
            return dict(self.call("GET", path))
        except Trouble as trouble:
            if trouble.status in missing:
                return None
            raise


def words(response: object) -> str:
    """What Grafana says was wrong; its errors come in five shapes."""
    if isinstance(response, dict):
        extra = response.get("extra")
        details = response.get("details")
        said = str(response.get("message") or response.get("error") or "no reason given")
        if isinstance(details, dict) and details.get("verboseMessage"):
            said = str(details["verboseMessage"])
        return said + (f": {'; '.join(str(value) for value in extra.values())}" if isinstance(extra, dict) and extra else "")
    text = " ".join(str(response or "").split())
    return "no reason given" if text == "" or text.startswith("<") else text[:200]


def reason(error: OSError) -> str:
    """Why there was no connection, in a few words."""
    chain: BaseException | None = error
    text = f"{error}"
    while chain is not None:
        if isinstance(chain, ConnectionRefusedError):
            return "refuses the connection"
        chain = chain.__cause__ or chain.__context__
    if "certificate" in text.lower():
        return "shows a certificate that is not trusted; set grafana.ca_file"
    if "refused" in text.lower():
        return "refuses the connection"
    if "resolve" in text.lower() or "getaddrinfo" in text.lower():
        return "has a name that is not known here"
    return "cannot be reached"
