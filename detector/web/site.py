"""What every page of the site is made with: templates, words, headers, who asks; and how other rooms add pages of their own."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from detector.judge.families import SEVERITY_RULE
from detector.store.database import Away
from detector.visible import visible
from detector.web import story
from detector.web.access import ANYBODY, Access, Handler, Person, guarded
from detector.web.moments import brief, number, when
from detector.web.words import WORDS

HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}
MARKS = {"low": "○", "medium": "◐", "high": "●", "critical": "▲"}  # a shape beside the word: never by colour alone


@dataclass(frozen=True, slots=True)
class Section:
    """Pages that another room adds. `link`: where they begin and what that is called (de, en); shown to `group`, "" to everybody."""

    routes: Sequence[Route]
    link: tuple[str, Mapping[str, str]] | None = None
    group: str = ""


@dataclass(slots=True)
class Site:
    """One site of pages in one look."""

    access: Access = field(default_factory=Access)
    language: str = "de"
    sections: list[Section] = field(default_factory=list)
    desk: bool = False  # people may decide here
    templates: jinja2.Environment = field(default_factory=lambda: _templates())

    def language_of(self, request: Request) -> str:
        asked = request.query_params.get("lang", self.language)
        return asked if asked in WORDS else self.language

    def render(self, name: str, request: Request, status: int = 200, **values: object) -> Response:
        """A page. Templates know who asks (`person`), what a form must hold (`csrf`), the words `w` in the language `lang`."""
        lang = self.language_of(request)
        person = self.access.person(request)
        links = [] if person is None else self._links(person, lang)
        text = self.templates.get_template(name).render(
            w=WORDS[lang], lang=lang, other="en" if lang == "de" else "de", path=request.url.path, marks=MARKS,
            person=person if person is not None else ANYBODY, links=links, reading_only=self.access.reading_only, desk=self.desk,
            csrf=Fields(self.access.mark(request)), **values,
        )  # fmt: skip
        return HTMLResponse(text, status, headers=self.headers)

    def guarded(self, handler: Handler, group: str = "") -> Handler:
        """`handler` for those who may: logged in, of the group, by POST only from our own forms; one page while the database is away."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Away:
                return self.render("message.html", request, 503, message="unavailable")

        return guarded(answer, group)

    @property
    def headers(self) -> dict[str, str]:
        return HEADERS | OVER_TLS if self.access.secure else HEADERS

    def after(self, request: Request, path: str) -> Response:
        """Where a form leads when it is done: never shown again by reloading."""
        mark = "&" if "?" in path else "?"
        return RedirectResponse(f"{path}{mark}lang={self.language_of(request)}", 303, headers=self.headers)

    def _links(self, person: Person, lang: str) -> list[tuple[str, str]]:
        return [
            (section.link[0], section.link[1][lang])
            for section in self.sections
            if section.link is not None and (section.group == "" or person.may(section.group))
        ]


@dataclass(frozen=True, slots=True)
class Fields:
    """For the inside of a form: the mark of our own page, and a number that is new each time, so that a form counts once."""

    mark: str

    def __html__(self) -> str:
        once = secrets.token_urlsafe(16)
        return f'<input type="hidden" name="csrf" value="{escape(self.mark)}"><input type="hidden" name="once" value="{once}">'


def shell(like: str) -> str:
    """A pattern of SQL's LIKE as people write it, see judge/windows.py `pattern`."""
    return re.sub(r"\\([\\%_])|([%_])", lambda found: found[1] or {"%": "*", "_": "?"}[found[2]], like)


_TOKEN = re.compile(r"\b(?:u|h|ip)-[0-9a-f]{16}\b")


def unbroken(text: str) -> Markup:
    """Escaped text in which a token is never split at its hyphen."""
    return Markup(_TOKEN.sub(r'<span class="token">\g<0></span>', str(escape(text))))  # noqa: S704 - escaped just now


def _shown(value: Any) -> Any:
    """Every text that is put into a page."""
    return type(value)(visible(value)) if isinstance(value, str) else value


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    filters: dict[str, Callable[..., Any]] = {"unbroken": unbroken, "when": when, "number": number, "brief": brief, "shell": shell}
    environment.filters |= filters
    environment.globals |= {"story": story, "rule": SEVERITY_RULE}
    return environment
