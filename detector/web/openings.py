"""Who asked for names, and what became of it; and the names themselves, to the one who asked and knows the code. Nowhere else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from detector.opening.names import Name
from detector.opening.requests import UnsealError
from detector.store.openings import Opening
from detector.web.site import Section, Site

GROUP = "approver"
LINK = ("/openings", {"de": "Namen", "en": "Names"})
LONGEST = 300  # characters of a name that are shown
TROUBLES = {"alone": "alone_only", "code": "wrong"}  # UnsealError's kind -> word
Tenants = frozenset[str] | None


class Openings(Protocol):
    """opening/book.py. Each raises Away while the database does not answer."""

    def newest(self, tenants: Tenants) -> Sequence[Opening]: ...

    def one(self, id_: str, tenants: Tenants) -> Opening | None: ...

    def view(self, one: Opening, login: str, code: str, now: int) -> Sequence[Name]: ...


def pages(site: Site, book: Openings) -> Section:
    """The routes; all for people of the group who may take part in opening names."""

    async def listed(request: Request) -> Response:
        found = await run_in_threadpool(book.newest, request.state.person.narrowed)
        return site.render("openings_list.html", request, openings=found, o=_words(site, request))

    async def one(request: Request) -> Response:
        found = await run_in_threadpool(book.one, request.path_params["id"], request.state.person.narrowed)
        if found is None:
            return site.render("message.html", request, 404, message="missing")
        names: Sequence[Name] = ()
        trouble = ""
        if request.method == "POST":
            try:
                names = await run_in_threadpool(book.view, found, request.state.person.name, request.state.form.get("code", ""), _now())
            except UnsealError as error:
                trouble = error.kind
        return site.render(
            "openings_one.html", request, 403 if trouble != "" else 200, one=found, names=[_short(name) for name in names],
            trouble=TROUBLES.get(trouble, trouble), mine=found.requester == request.state.person.name, o=_words(site, request),
        )  # fmt: skip

    routes = [
        Route("/openings", site.guarded(listed, GROUP)),
        Route("/openings/{id:str}", site.guarded(one, GROUP), methods=["GET", "POST"]),
    ]
    return Section(routes, LINK, GROUP)


def _short(name: Name) -> tuple[str, str, str | None]:
    """(token, token in Grafana, name); somebody may have logged in with ten kilobytes."""
    if name.value is None or len(name.value) <= LONGEST:
        return name.token, name.grafana, name.value
    return name.token, name.grafana, f"{name.value[:LONGEST]}… ({len(name.value):,})"


def _now() -> int:
    return time.time_ns() // 1000


def _words(site: Site, request: Request) -> dict[str, str]:
    return WORDS[site.language_of(request)]


WORDS = {
    "de": {
        "heading": "Geöffnete Namen",
        "intro": "Die Namen einer Auffälligkeit sieht nur, wer sie mit Begründung angefragt hat, und erst wenn eine Person einer anderen "
        "Gruppe mit eigenem Schlüssel zugestimmt hat. Nach 24 Stunden sind sie gelöscht. Jeder Schritt steht im Protokoll.",
        "none": "Noch niemand hat Namen angefragt.",
        "when": "angefragt",
        "tenant": "Mandant",
        "incident": "Auffälligkeit",
        "case": "Vorgang",
        "reason": "Begründung",
        "who": "angefragt von",
        "state": "Stand",
        "answered": "beantwortet von",
        "until": "gilt bis",
        "asked": "wartet auf Zustimmung",
        "approved": "zugestimmt",
        "refused": "abgelehnt",
        "expired": "abgelaufen, gelöscht",
        "alone": "Notfall, ohne zweite Person",
        "code": "Einsichtscode aus „tuermer open show“",
        "show": "Namen anzeigen",
        "token": "Kennung auf dieser Seite",
        "grafana": "Kennung in Grafana",
        "name": "Name",
        "closed": "bleibt verschlossen: die Verknüpfung wurde gelöscht oder verändert",
        "alone_only": "Diese Namen sieht nur, wer sie angefragt hat.",
        "nothing": "Hier gibt es nichts anzuzeigen: noch nicht freigegeben oder schon gelöscht.",
        "wrong": "Der Einsichtscode stimmt nicht.",
        "approve": "Zustimmen, mit dem Schlüssel einer anderen Gruppe",
        "unlock": "Einsichtscode holen, mit dem eigenen Schlüssel",
        "careful": "Nur für diesen Vorgang. Nicht weitergeben, nicht in Meldungen oder Tickets übernehmen.",
    },
    "en": {
        "heading": "Opened names",
        "intro": "The names of an incident are seen only by who asked for them with a reason, after a person of another group agreed with "
        "a key of their own; after 24 hours they are deleted. Every step is in the audit log.",
        "none": "Nobody has asked for names yet.",
        "when": "asked",
        "tenant": "tenant",
        "incident": "incident",
        "case": "case",
        "reason": "reason",
        "who": "asked by",
        "state": "state",
        "answered": "answered by",
        "until": "valid until",
        "asked": "waits for consent",
        "approved": "agreed",
        "refused": "refused",
        "expired": "expired, deleted",
        "alone": "break-glass, without a second person",
        "code": "view code from `tuermer open show`",
        "show": "Show the names",
        "token": "token on this page",
        "grafana": "token in Grafana",
        "name": "name",
        "closed": "stays closed: the link was deleted or changed",
        "alone_only": "These names are for the one who asked, alone.",
        "nothing": "There is nothing to show: not released yet, or already deleted.",
        "wrong": "The view code is wrong.",
        "approve": "Agree, with a key of another group",
        "unlock": "Get the view code, with your own key",
        "careful": "For this case only. Do not pass on, do not copy into messages or tickets.",
    },
}
