"""The stand-in's HTTP side: routes, logins, a log of all requests, and faults on demand."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any, Literal, cast
from urllib.parse import parse_qs, unquote, urlsplit

from tests.grafana.world import Login, Organisation, Refused, World, coded, denied, plain

Handler = Callable[["Request"], tuple[int, object]]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []
Fault = Literal["hang", "close", "html", "garbage"] | int


@dataclass
class Request:
    """One call. `parts`: what the route's groups caught, unquoted."""

    world: World
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any
    login: Login
    parts: tuple[str, ...] = ()

    @property
    def organisation(self) -> Organisation:
        return self.world.organisations[self.login.organisation]

    @property
    def provenance(self) -> str:
        """Any value of the header means none."""
        return "" if "x-disable-provenance" in self.headers else "api"

    def first(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]

    def need(self, role: str, action: str) -> None:
        """403 for lower roles."""
        order = ("None", "Viewer", "Editor", "Admin")
        if not self.login.server_admin and order.index(self.login.role) < order.index(role):
            raise denied(action)


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """`*` catches one segment."""
    compiled = re.compile("/api" + re.escape(pattern).replace(r"\*", "([^/]+)") + "/?")

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, compiled, handler))
        return handler

    return register


@dataclass
class Fake:
    """A running stand-in. `faults`: what the n-th write (from 1) meets; `on_every`: what every request meets."""

    world: World
    check: Callable[[str, str, Any], str | None] | None = None  # method, path, body -> what violates the description
    log: list[tuple[str, str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)
    on_every: Fault | None = None
    url: str = ""
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Method and path of every request that is no GET."""
        return [(method, path) for method, path, _ in self.log if method != "GET"]

    def forget(self) -> None:
        """Empty the log."""
        self.log.clear()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> tuple[int, object]:
        """What Grafana would answer."""
        parts = urlsplit(target)
        self.log.append((method, parts.path, body))
        if self.check is not None and (wrong := self.check(method, parts.path, body)) is not None:
            self.violations.append(wrong)
        try:
            login = _login(self.world, headers, parts.path)
            request = Request(self.world, method, parts.path, parse_qs(parts.query, keep_blank_values=True), headers, body, login)
            return _dispatch(request)
        except Refused as refused:
            return refused.status, refused.body

    def fault(self, method: str) -> Fault | None:
        """What the request that comes now meets."""
        if self.on_every is not None:
            return self.on_every
        return None if method == "GET" else self.faults.pop(len(self.writes) + 1, None)


def _dispatch(request: Request) -> tuple[int, object]:
    for method, pattern, handler in ROUTES:
        match = pattern.fullmatch(request.path)
        if match is not None and method == request.method:
            if "/v1/provisioning/" in request.path and not request.organisation.alertmanager and "alert-rules" not in request.path:
                raise plain(500, "No alertmanager configuration present in this organization")
            request.parts = tuple(unquote(part) for part in match.groups())
            return handler(request)
    raise plain(404, "Not found")


def _login(world: World, headers: Mapping[str, str], path: str) -> Login:
    kind, _, value = headers.get("authorization", "").partition(" ")
    wanted = headers.get("x-grafana-org-id")
    if path in ("/api/health", "/api/frontend/settings") and kind == "":
        return Login(0, "", "None", 1)
    if kind == "Bearer":
        if value not in world.tokens:
            raise coded(401, "api-key.invalid", "Invalid API key")
        login = world.tokens[value][0]
        if wanted is not None and int(wanted) != login.organisation:
            raise coded(401, "api-key.organization-mismatch", "API key does not belong to the requested organization")
        return login
    if kind == "Basic":
        name, _, password = base64.b64decode(value).decode().partition(":")
        if world.passwords.get(name, ("", None))[0] != password:
            raise coded(401, "password-auth.failed", "Invalid username or password")
        login = world.passwords[name][1]
        return login if wanted is None else Login(login.number, login.name, login.role, int(wanted), login.server_admin)
    raise coded(401, "auth.unauthorized", "Unauthorized")


class _Server(ThreadingHTTPServer):
    fake: Fake
    daemon_threads = True


class _Calls(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _serve(self) -> None:
        fake = cast(_Server, self.server).fake
        length = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(length)
        fault = fake.fault(self.command)
        if fault == "close":
            self.close_connection = True
            return
        if fault == "hang":
            fake.release.wait(20)
            self.close_connection = True
            return
        if fault == "html":
            self._send(200, b"<!DOCTYPE html><title>Login</title>", "text/html; charset=utf-8")
            return
        if fault == "garbage":
            self._send(200, b"{not json", "application/json")
            return
        if isinstance(fault, int):
            fake.log.append((self.command, urlsplit(self.path).path, None))
            self._send(fault, json.dumps({"message": "as asked for by the test"}).encode(), "application/json")
            return
        status, body = self._answer(fake, raw)
        if isinstance(body, str):
            self._send(status, body.encode(), "text/plain")
        else:
            self._send(status, b"" if body is None else json.dumps(body).encode(), "application/json")

    def _answer(self, fake: Fake, raw: bytes) -> tuple[int, object]:
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            return 400, {"message": "bad request data"}
        return fake.answer(self.command, self.path, {key.lower(): value for key, value in self.headers.items()}, body)

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 - names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@contextmanager
def serving(world: World, check: Callable[[str, str, Any], str | None] | None = None) -> Iterator[Fake]:
    """A stand-in on a free port of this machine."""
    for room in ("accounts", "alerting", "content"):
        import_module(f"tests.grafana.{room}")  # fills ROUTES
    server = _Server(("127.0.0.1", 0), _Calls)
    fake = Fake(world, check, url=f"http://127.0.0.1:{server.server_address[1]}/")
    server.fake = fake
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.release.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
