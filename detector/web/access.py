"""Who may do what on the page: one token per named person, a signed session cookie, and a mark in every form against forged ones.

A session lasts hours and ends with the process, whose key it is signed with. Where nobody is configured the page is for reading.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from detector.config import Config

HOUR = 3600.0
LARGEST_FORM = 64 * 1024  # bytes
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. `tenants` empty: all of them; `name` empty: somebody who may read without a login."""

    name: str
    groups: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()

    @property
    def narrowed(self) -> frozenset[str] | None:
        """The tenants whose rows this person sees; None: all."""
        return None if len(self.tenants) == 0 else self.tenants

    def may(self, group: str) -> bool:
        return group in self.groups


ANYBODY = Person("")


class _Session(msgspec.Struct, frozen=True, array_like=True):
    id: str
    name: str
    begun: float  # s since the epoch


@dataclass(slots=True)
class Access:
    """The people of the configuration by the SHA-256 of their token, and the sessions that are signed here. Safe to share."""

    people: dict[str, Person] = field(default_factory=dict)
    hours: float = 8
    secure: bool = False  # the page is served with TLS
    public: bool = False  # reading needs no login although there are people: the demo
    clock: Callable[[], float] = time.time
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    ended: dict[str, float] = field(default_factory=dict)  # sessions that were logged out, and when they would have ended

    @classmethod
    def of(cls, config: Config) -> Access:
        people = {p.token_sha256: Person(p.name, frozenset(p.groups), frozenset(p.tenants)) for p in config.people}
        return cls(people, config.page.session_hours, config.page.cert_file != "")

    @property
    def reading_only(self) -> bool:
        return len(self.people) == 0

    @property
    def cookie(self) -> str:
        return "__Host-tuermer" if self.secure else "tuermer"

    def login(self, token: str) -> str | None:
        """The value of a cookie for whoever's token it is."""
        digest, found = digest_of(token), None
        for known, person in self.people.items():  # all of them, so that the time says nothing
            if hmac.compare_digest(known, digest):
                found = person
        return None if found is None else self._signed(_Session(secrets.token_urlsafe(16), found.name, self.clock()))

    def logout(self, request: Request) -> None:
        session = self._session(request)
        if session is not None:
            now = self.clock()
            self.ended = {id_: end for id_, end in self.ended.items() if end > now} | {session.id: session.begun + self.hours * HOUR}

    def person(self, request: Request) -> Person | None:
        """Who asks; None: nobody whom we know. A person taken out of the configuration has no session any more."""
        session = self._session(request)
        if session is None:
            return ANYBODY if self.public or self.reading_only else None
        return next((person for person in self.people.values() if person.name == session.name), None)

    def mark(self, request: Request) -> str:
        """What a form must bring back: bound to the session, so that no other site can know it."""
        session = self._session(request)
        return "" if session is None else hmac.new(self.key, b"form " + session.id.encode(), hashlib.sha256).hexdigest()

    def is_ours(self, request: Request, mark: str) -> bool:
        """Whether a form came from our own page."""
        expected = self.mark(request)
        return expected != "" and hmac.compare_digest(expected.encode(), mark.encode()) and same_origin(request)

    def _signed(self, session: _Session) -> str:
        body = base64.urlsafe_b64encode(msgspec.json.encode(session)).decode()
        return f"{body}.{self._signature(body)}"

    def _signature(self, body: str) -> str:
        return hmac.new(self.key, b"session " + body.encode(), hashlib.sha256).hexdigest()

    def _session(self, request: Request) -> _Session | None:
        body, _, signature = request.cookies.get(self.cookie, "").partition(".")
        if not hmac.compare_digest(self._signature(body).encode(), signature.encode()):
            return None
        session = msgspec.json.decode(base64.urlsafe_b64decode(body), type=_Session)  # ours: the signature says so
        return session if session.id not in self.ended and self.clock() < session.begun + self.hours * HOUR else None


def digest_of(token: str) -> str:
    return hashlib.sha256(token.strip().encode()).hexdigest()


def new_token() -> str:
    """256 random bits, so that its plain digest may stand in a file."""
    return "tuermer-" + secrets.token_urlsafe(32)


def same_origin(request: Request) -> bool:
    """Browsers say where a form came from; what says nothing is no browser of today, and is let to the other checks."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    return origin is None or origin in (f"https://{host}", f"http://{host}")  # a proxy may speak TLS for us


async def form_of(request: Request) -> dict[str, str] | None:
    """The fields of a form; None if it is no plain form, or larger than any of ours."""
    if request.headers.get("content-type", "").split(";")[0] != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            return None
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError:  # not UTF-8, or too many fields
        return None


def guarded(handler: Handler, group: str = "") -> Handler:
    """The handler for people whom we know (and, if given, of that group). It finds `request.state.person` and, in a POST,
    `request.state.form`: the fields of a form that came from our own page."""

    async def answer(request: Request) -> Response:
        access: Access = request.app.state.site.access
        person = access.person(request)
        if person is None or (person is ANYBODY and group != "" and not access.reading_only):
            return _to_login(request)
        if group != "" and not person.may(group):
            return refused(request, "forbidden")
        request.state.person = person
        if request.method == "POST":
            form = await form_of(request)
            if form is None or not access.is_ours(request, form.get("csrf", "")) or not 16 <= len(form.get("once", "")) <= 64:
                return refused(request, "forged")
            request.state.form = form
        return await handler(request)

    return answer


def _to_login(request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        return refused(request, "forbidden")
    there = request.url.path + (f"?{request.url.query}" if request.url.query != "" else "")
    return RedirectResponse(f"/login?next={quote(there, safe='')}", 303)


def refused(request: Request, message: str) -> Response:
    answer: Response = request.app.state.site.render("message.html", request, 403, message=message)
    return answer


def local(path: str) -> str:
    """Where to go after a login: on this page, or its beginning. Browsers read \\ as /, and // as another host."""
    return path if path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable() else "/"
