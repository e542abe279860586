"""The daemon's page: incidents with their reasons and evidence, what people decide about them, health and metrics.

No script, nothing from other hosts. Without people in the configuration it is for reading, on this machine only (`check_listen`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from detector.deskcheck import is_loopback
from detector.store.database import Away
from detector.web import desk, story
from detector.web.access import Access, digest_of, guarded
from detector.web.desk import Book
from detector.web.login import login_pages
from detector.web.moments import number, when
from detector.web.site import HERE, Section, Site

__all__ = ["Access", "Incidents", "Probes", "Section", "Site", "application", "check_listen", "number", "when"]

Json = Mapping[str, Any]
LOCAL = ("127.0.0.1", "localhost", "[::1]")


class Incidents(Protocol):
    """What the page reads. Each raises Away while the database does not answer; the next request asks again."""

    def narrowed(self, tenants: frozenset[str] | None) -> Incidents:
        """The same for the rows of these tenants; None: all."""
        ...

    def list_incidents(self, limit: int, tenant: str | None = None, status: str | None = None) -> Sequence[Json]: ...

    def ailments(self) -> Sequence[Json]: ...

    def incident(self, incident_id: str) -> Json | None: ...

    def chain(self, incident_id: str) -> Sequence[Json]: ...


@dataclass(frozen=True, slots=True)
class Probes:
    """Health as functions: each returns None when well, otherwise one sentence; metrics in Prometheus' text format."""

    healthy: Callable[[], str | None]
    ready: Callable[[], str | None]
    metrics: Callable[[], bytes]


def check_listen(listen: str, *, guarded_by_tls: bool = False) -> tuple[str, int]:
    """Host and port of `page.listen`; ValueError unless it is a loopback address, or TLS and logins stand before it."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit() or not (guarded_by_tls or is_loopback(host)):
        raise ValueError(f'page.listen = "{listen}": without TLS and logins the page listens on loopback only; write 127.0.0.1:8765')
    return host, int(port)


def application(
    incidents: Incidents,
    probes: Probes,
    language: str = "de",
    hosts: Sequence[str] = LOCAL,
    *,
    access: Access | None = None,
    book: Book | None = None,
    sections: Sequence[Callable[[Site], Section]] = (),
) -> Starlette:
    """The page as an ASGI application; `hosts` are the names it answers to (a defence against DNS rebinding).

    `book`: where people's decisions are kept; without one there is nothing to decide. `sections`: pages of other rooms.
    """
    site = Site(Access() if access is None else access, language)
    if book is not None:
        site.desk = True
        site.sections.append(desk.pages(site, book))
    site.sections += [section(site) for section in sections]
    routes: list[BaseRoute] = [*_reading(site, incidents, book), *login_pages(site), *_probes(site, probes)]
    routes += [route for section in site.sections for route in section.routes]
    routes.append(Mount("/static", StaticFiles(directory=HERE / "static")))
    made = Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={404: _said(site, 404, "no_page"), 405: _said(site, 405, "no_page"), 500: _said(site, 500, "failed")},
    )
    made.state.site = site
    return made


def _said(site: Site, status: int, message: str) -> Callable[[Request, Exception], Response]:
    """An answer in the look of the others; what went wrong stands in the log."""

    def answer(request: Request, error: Exception) -> Response:
        del error
        return site.render("message.html", request, status, message=message)

    return answer


def _reading(site: Site, incidents: Incidents, book: Book | None) -> list[Route]:
    def judges(request: Request) -> bool:
        return book is not None and request.state.person.may(desk.GROUP)

    async def index(request: Request) -> Response:
        mine = incidents.narrowed(request.state.person.narrowed)
        tenant, status = request.query_params.get("tenant"), request.query_params.get("status")
        try:
            rows = await run_in_threadpool(mine.list_incidents, 200, tenant, status)
            unwell = await run_in_threadpool(mine.ailments)
        except Away:
            return site.render("message.html", request, 503, message="unavailable")
        live = request.query_params.get("live") == "1"
        return site.render("list.html", request, incidents=rows, unwell=unwell, live=live, shown=status, judging=judges(request))

    async def one(request: Request) -> Response:
        person = request.state.person
        mine = incidents.narrowed(person.narrowed)
        try:
            found = await run_in_threadpool(mine.incident, request.path_params["id"])
            chain = [] if found is None else await run_in_threadpool(mine.chain, found["id"])
            beside = desk.NOTHING if found is None or book is None else await run_in_threadpool(book.beside, found["id"], person.narrowed)
        except Away:
            return site.render("message.html", request, 503, message="unavailable")
        if found is None:
            return site.render("message.html", request, 404, message="missing")
        return site.render(
            "incident.html", request, i=found, chain=chain, evidence=story.by_field(found["evidence"]), beside=beside,
            judging=judges(request), done=request.query_params.get("done", ""),
        )  # fmt: skip

    return [Route("/", guarded(index)), Route("/incident/{id:str}", guarded(one))]


def _probes(site: Site, probes: Probes) -> list[Route]:
    def probe(check: Callable[[], str | None]) -> Callable[[Request], Response]:
        def answer(_: Request) -> Response:
            wrong = check()
            return PlainTextResponse("ok\n" if wrong is None else f"{wrong}\n", 200 if wrong is None else 503, headers=site.headers)

        return answer

    def metrics(request: Request) -> Response:
        """For everybody on this machine; for others with anybody's token as `Authorization: Bearer …`."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if site.access.secure and digest_of(token) not in site.access.people:
            return PlainTextResponse("a token is needed: Authorization: Bearer …\n", 401, headers=site.headers)
        return Response(probes.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return [
        Route("/healthz", probe(probes.healthy)),
        Route("/readyz", probe(probes.ready)),
        Route("/metrics", metrics),
    ]
