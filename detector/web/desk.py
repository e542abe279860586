"""What people do on the page: verdicts, notes, ticket and owner, maintenance windows, the handover of a shift. Never by GET."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, cast, get_args
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from detector.judge import windows
from detector.judge.windows import Window, WindowError
from detector.store.book import Beside
from detector.store.database import EPOCH
from detector.store.handover import Handover
from detector.store.notes import Kind, Written
from detector.store.verdicts import WORDS, Outcome, Said, Scope
from detector.web.access import refused
from detector.web.site import Section, Site

GROUP = "analyst"
NOTHING = Beside()
HOURS = (8, 12, 24, 72)  # a handover looks back so long
HOUR = 3_600_000_000  # µs
Json = Mapping[str, Any]
Tenants = frozenset[str] | None


class Book(Protocol):
    """Where it is kept (detector/store/book.py). Each raises Away while the database does not answer. Tenants: None = all."""

    def beside(self, incident: str, tenants: Tenants) -> Beside: ...

    def verdict(self, said: Said, tenants: Tenants) -> Outcome: ...

    def note(self, written: Written, tenants: Tenants) -> bool: ...

    def tenants(self, tenants: Tenants) -> Sequence[tuple[str, str]]: ...

    def windows(self, tenants: Tenants) -> Sequence[Json]: ...

    def add_window(self, window: Window, author: str, source: str, tenants: Tenants) -> None: ...

    def withdraw_window(self, id_: int, author: str, tenants: Tenants) -> bool: ...

    def handover(self, since: int, tenants: Tenants) -> Handover: ...


def pages(site: Site, book: Book) -> Section:
    """The routes; each POST is for analysts, its form from our own page."""

    async def verdict(request: Request) -> Response:
        form, id_ = request.state.form, request.path_params["id"]
        word, scope = form.get("word", ""), form.get("scope", "one")
        if word not in WORDS or scope not in get_args(Scope):
            return refused(request, "forged")
        said = Said(_source(form), id_, word, request.state.person.name, _now(), cast("Scope", scope))
        outcome = await run_in_threadpool(book.verdict, said, request.state.person.narrowed)
        if outcome.refused == "unknown":
            return site.render("message.html", request, 404, message="missing")
        return site.after(request, f"/incident/{id_}?done=verdict")

    async def alike(request: Request) -> Response:
        beside = await run_in_threadpool(book.beside, request.path_params["id"], request.state.person.narrowed)
        if beside.open_now == 0:
            return site.render("message.html", request, 404, message="missing")
        return site.render("alike.html", request, id=request.path_params["id"], beside=beside)

    async def note(request: Request) -> Response:
        form, id_ = request.state.form, request.path_params["id"]
        kind = form.get("kind", "")
        if kind not in get_args(Kind):
            return refused(request, "forged")
        written = Written(_source(form), id_, cast("Kind", kind), form.get("text", ""), request.state.person.name)
        await run_in_threadpool(book.note, written, request.state.person.narrowed)
        return site.after(request, f"/incident/{id_}?done=note")

    async def handover(request: Request) -> Response:
        asked = request.query_params.get("hours", "")
        hours = int(asked) if asked in map(str, HOURS) else HOURS[0]
        found = await run_in_threadpool(book.handover, _now() - hours * HOUR, request.state.person.narrowed)
        return site.render("handover.html", request, h=found, hours=hours, choices=HOURS, made=datetime.now(ZoneInfo("UTC")).isoformat())

    shift = Route("/handover", site.guarded(handover))
    judging = [
        Route("/incident/{id:str}/verdict", site.guarded(verdict, GROUP), methods=["POST"]),
        Route("/incident/{id:str}/alike", site.guarded(alike, GROUP)),
        Route("/incident/{id:str}/note", site.guarded(note, GROUP), methods=["POST"]),
    ]
    return Section([shift, *judging, *_window_pages(site, book)])


def _window_pages(site: Site, book: Book) -> list[Route]:
    async def show(request: Request, status: int = 200, trouble: str = "") -> Response:
        tenants = request.state.person.narrowed
        known, mine = await run_in_threadpool(book.windows, tenants), await run_in_threadpool(book.tenants, tenants)
        entered = getattr(request.state, "form", {})
        return site.render(
            "windows.html", request, status, windows=known, tenants=mine, everywhere=tenants is None, trouble=trouble, entered=entered,
            judging=request.state.person.may(GROUP),
        )  # fmt: skip

    async def look(request: Request) -> Response:
        return await show(request)

    async def add(request: Request) -> Response:
        form, person = request.state.form, request.state.person
        zones = dict(await run_in_threadpool(book.tenants, person.narrowed))
        try:
            window = _window(form, zones)
            await run_in_threadpool(book.add_window, window, person.name, _source(form), person.narrowed)
        except WindowError as error:
            return await show(request, 400, str(error))
        return site.after(request, "/windows")

    async def withdraw(request: Request) -> Response:
        person = request.state.person
        if not await run_in_threadpool(book.withdraw_window, request.path_params["id"], person.name, person.narrowed):
            return site.render("message.html", request, 404, message="no_window")
        return site.after(request, "/windows")

    return [
        Route("/windows", site.guarded(look)),
        Route("/windows", site.guarded(add, GROUP), methods=["POST"]),
        Route("/windows/{id:int}/withdraw", site.guarded(withdraw, GROUP), methods=["POST"]),
    ]


def _window(form: Mapping[str, str], zones: Mapping[str, str]) -> Window:
    """What a person entered, by the wall of the tenant's zone. Raises WindowError."""
    tenant = form.get("tenant", "")
    zone = ZoneInfo(zones.get(tenant, next(iter(zones.values()), "Europe/Berlin")))
    begins, ends = (_moment(form.get(name, ""), zone) for name in ("begins", "ends"))
    entity = form.get("entity", "").strip()
    return Window(
        tenant, form.get("site", "").strip(), windows.pattern(entity if entity != "" else "*"), form.get("name", ""), begins, ends
    )


def _moment(text: str, zone: ZoneInfo) -> int:
    if windows.MOMENT.fullmatch(text) is None:
        raise WindowError("begin and end are written as 2026-11-21T22:00")
    try:
        return (datetime.fromisoformat(text).replace(tzinfo=zone) - EPOCH) // timedelta(microseconds=1)
    except ValueError as error:
        raise WindowError(f"there is no such day or hour: {text}") from error


def _source(form: Mapping[str, str]) -> str:
    """The number of the form, so that sending it twice counts once."""
    return f"page/{form['once']}"


def _now() -> int:
    return time.time_ns() // 1000
