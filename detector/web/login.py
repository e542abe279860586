"""Logging in with one's token, and out again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from detector.web.access import form_of, guarded, local, refused, same_origin
from detector.web.site import Site


def login_pages(site: Site) -> list[Route]:
    async def ask(request: Request) -> Response:
        return site.render("login.html", request, there=local(request.query_params.get("next", "/")), wrong=False)

    async def enter(request: Request) -> Response:
        form = await form_of(request)
        if form is None or not same_origin(request):
            return refused(request, "forged")
        there = local(form.get("next", "/"))
        cookie = site.access.login(form.get("token", ""))
        if cookie is None:
            return site.render("login.html", request, 403, there=there, wrong=True)
        answer = RedirectResponse(there, 303, headers=site.headers)
        _set(answer, cookie, int(site.access.hours * 3600))
        return answer

    async def leave(request: Request) -> Response:
        site.access.logout(request)
        answer = RedirectResponse(f"/login?lang={site.language_of(request)}", 303, headers=site.headers)
        _set(answer, "", 0)
        return answer

    def _set(answer: Response, value: str, seconds: int) -> None:
        answer.set_cookie(site.access.cookie, value, seconds, path="/", secure=site.access.secure, httponly=True, samesite="lax")

    return [
        Route("/login", ask),
        Route("/login", enter, methods=["POST"]),
        Route("/logout", guarded(leave), methods=["POST"]),
    ]
