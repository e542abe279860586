"""The daemon's page: a list of incidents, one incident with its reasons and evidence, health and metrics.

No script, no cookie, nothing from other hosts; it reads and never writes. There is no login, so it listens on
loopback only (`check_listen`); a reverse proxy with the organisation's login belongs in front of it elsewhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from detector.judge.families import SEVERITY_RULE
from detector.store.database import Away
from detector.web import story
from detector.web.words import WORDS

HERE = Path(__file__).parent
BERLIN = ZoneInfo("Europe/Berlin")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
MARKS = {"low": "○", "medium": "◐", "high": "●", "critical": "▲"}  # a shape beside the word: never by colour alone

Json = Mapping[str, Any]


class Incidents(Protocol):
    """What the page reads. Each raises Away while the database does not answer; the next request asks again."""

    def list_incidents(self, limit: int) -> Sequence[Json]: ...

    def incident(self, incident_id: str) -> Json | None: ...

    def chain(self, incident_id: str) -> Sequence[Json]: ...


@dataclass(frozen=True, slots=True)
class Probes:
    """Health as functions: each returns None when well, otherwise one sentence; metrics in Prometheus' text format."""

    healthy: Callable[[], str | None]
    ready: Callable[[], str | None]
    metrics: Callable[[], bytes]


def check_listen(listen: str) -> tuple[str, int]:
    """Host and port of `page.listen`; ValueError unless it is a loopback address."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit() or not (host == "localhost" or _loopback(host)):
        raise ValueError(
            f'page.listen = "{listen}": the page has no login and listens on loopback only; write 127.0.0.1:8765 and put a proxy before it'
        )
    return host, int(port)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


SHAPES = {"de": "%d.%m.%Y %H:%M:%S", "en": "%d %b %Y %H:%M:%S"}


def when(moment: str | datetime | None, language: str = "de") -> str:
    """A time as people here read it, in local time."""
    if moment is None:
        return ""
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return parsed.astimezone(BERLIN).strftime(SHAPES[language])


def number(value: float | None, language: str = "de") -> str:
    """Three significant digits, or whole with separators; German writes 1.234 and 0,5."""
    if value is None:
        return ""
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text.translate(str.maketrans(",.", ".,")) if language == "de" else text


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"when": when, "number": number}
    environment.globals |= {"story": story, "rule": SEVERITY_RULE}
    return environment


def _language(request: Request, default: str) -> str:
    asked = request.query_params.get("lang", default)
    return asked if asked in WORDS else default


def application(
    incidents: Incidents, probes: Probes, language: str = "de", hosts: Sequence[str] = ("127.0.0.1", "localhost", "[::1]")
) -> Starlette:
    """The page as an ASGI application; `hosts` are the names it answers to (a defence against DNS rebinding)."""
    templates = _templates()

    def render(name: str, request: Request, status: int = 200, **values: object) -> Response:
        lang = _language(request, language)
        text = templates.get_template(name).render(
            w=WORDS[lang], lang=lang, other="en" if lang == "de" else "de", path=request.url.path, marks=MARKS, **values
        )
        return HTMLResponse(text, status, headers=HEADERS)

    async def index(request: Request) -> Response:
        try:
            rows = await run_in_threadpool(incidents.list_incidents, 200)
        except Away:
            return render("message.html", request, 503, message="unavailable")
        return render("list.html", request, incidents=rows, live=request.query_params.get("live") == "1")

    async def one(request: Request) -> Response:
        try:
            found = await run_in_threadpool(incidents.incident, request.path_params["id"])
            chain = [] if found is None else await run_in_threadpool(incidents.chain, found["id"])
        except Away:
            return render("message.html", request, 503, message="unavailable")
        if found is None:
            return render("message.html", request, 404, message="missing")
        return render("incident.html", request, i=found, chain=chain, evidence=story.by_field(found["evidence"]))

    def probe(check: Callable[[], str | None]) -> Callable[[Request], Response]:
        def answer(_: Request) -> Response:
            wrong = check()
            return PlainTextResponse("ok\n" if wrong is None else f"{wrong}\n", 200 if wrong is None else 503, headers=HEADERS)

        return answer

    def metrics(_: Request) -> Response:
        return Response(probes.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/incident/{id:str}", one),
            Route("/healthz", probe(probes.healthy)),
            Route("/readyz", probe(probes.ready)),
            Route("/metrics", metrics),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
    )
