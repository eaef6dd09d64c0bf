"""The studio as one ASGI application under ``/studio/``: its routes, its sign-in, its headers.

Everything but the sign-in and the assets is for administrators; to others each address says the same, so that it tells
nothing of what is there. Forms that ask are sent by GET and change nothing. Answers are never stored, and no other site
may frame them or learn their addresses, which hold keys of rows.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import escape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forecourt.identity import csrf
from forecourt.identity import pending as pending_cookies
from forecourt.identity import sessions as session_cookies
from forecourt.identity.accounts import Credential
from forecourt.identity.pending import VERIFY
from forecourt.kernel.errors import CODES, Refusal, Unavailable
from forecourt.kernel.observe import Denied, Fault, Observer, RequestDone, nobody
from forecourt.security.explain import Explainer, Reverse
from forecourt.studio.explaining import ExplainPage
from forecourt.studio.ports import Accounts, Mail, Pending, People, Sessions, Users
from forecourt.studio.visit import Visit, administrator, begin
from forecourt.web import theme
from forecourt.web.assets import Assets
from forecourt.web.headers import SECURITY_HEADERS
from forecourt.web.requests import local_url, new_correlation, read_form
from forecourt.web.templates import environment
from forecourt.web.translation import LANGUAGES

HOME = "/studio/"
SIGN_IN = "/studio/sign-in"
DOOR = "studio"

_STRICTER = {
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cache-control": b"no-store",
}
_FRAMES = b"frame-ancestors 'self'"
_ASSETS = "/studio/assets"

Handler = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True)
class StudioOptions:
    """``title``: the solution's name; ``accent``: the theme's colour, '' for the default; ``secure``: by https."""

    title: str
    accent: str = ""
    secure: bool = False


class Studio:
    """The studio. ``await studio(scope, receive, send)`` answers a request; nothing needs to be started."""

    def __init__(
        self,
        *,
        explainer: Explainer,
        reverse: Reverse,
        people: People,
        users: Users,
        sessions: Sessions,
        accounts: Accounts,
        options: StudioOptions,
        pending: Pending | None = None,
        mail: Mail | None = None,
        observer: Observer = nobody,
    ) -> None:
        self._mail = mail
        self._pending = pending
        self._users = users
        self._sessions = sessions
        self._accounts = accounts
        self._options = options
        self._observer = observer
        self._explain = ExplainPage(explainer, reverse, people)
        folder = Path(__file__).parent
        self._assets = Assets(
            {"theme.css": theme.stylesheet(theme.from_settings({"Theme/Accent": options.accent}))},
            folder / "files",
            _ASSETS,
        )
        shared = {"asset": self._assets.url, "studio_title": options.title}
        self._templates = environment(folder / "templates", LANGUAGES[0], shared)
        self._app: ASGIApp = Starlette(routes=self._routes())

    def _routes(self) -> list[Route]:
        both = ["GET", "POST"]
        return [
            Route(_ASSETS + "/{digest}/{name}", self._asset),
            Route(SIGN_IN, self._handle(self._signing_in, open_to_all=True), methods=both),
            Route("/studio/sign-out", self._handle(self._signing_out, open_to_all=True), methods=["POST"]),
            Route("/studio", lambda request: RedirectResponse(HOME, 308)),
            Route(HOME, self._handle(self._start)),
            Route("/studio/explain", self._handle(self._explaining)),
            Route("/studio/{path:path}", self._handle(self._missing)),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation = scope.setdefault("forecourt.correlation", new_correlation())
        started, status = time.perf_counter(), 500

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = dict(SECURITY_HEADERS) | _STRICTER
                if scope["path"].startswith(_ASSETS + "/"):
                    del headers[b"cache-control"]
                policy = headers[b"content-security-policy"]
                headers[b"content-security-policy"] = policy.replace(_FRAMES, b"frame-ancestors 'none'")
                headers[b"x-correlation-id"] = str(correlation).encode()
                if self._options.secure:
                    headers[b"strict-transport-security"] = b"max-age=31536000"
                own = [pair for pair in message["headers"] if pair[0] not in headers]
                message = {**message, "headers": [*own, *headers.items()]}
            await send(message)

        await self._app(scope, receive, with_headers)
        identity = scope.get("forecourt.identity", "anonymous")
        seconds = time.perf_counter() - started
        self._observer(RequestDone(DOOR, scope["method"], status, seconds, identity, correlation))

    def _handle(self, handler: Handler, open_to_all: bool = False) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of a handler: who is no administrator is sent to the sign-in, refusals become pages."""

        async def endpoint(request: Request) -> Response:
            correlation = str(request.scope.get("forecourt.correlation", ""))
            try:
                visit = await begin(request, self._sessions, self._users, self._options.secure)
                if visit.user is not None:
                    request.scope["forecourt.identity"] = visit.user.id
                if visit.user is None and not open_to_all:
                    return self._turned_away(visit)
                return await handler(visit)
            except Refusal as refusal:
                return self._plain(correlation, refusal.text, refusal.status)
            except Unavailable as error:
                self._observer(Fault(correlation, error))
                return self._plain(correlation, CODES["FC5031"][1], 503)
            except Exception as error:
                self._observer(Fault(correlation, error))
                return self._plain(correlation, "Something went wrong.", 500)

        return endpoint

    # -- pages ---------------------------------------------------------------------------------------------------

    async def _start(self, visit: Visit) -> Response:
        waiting, aside = await self._mail.count() if self._mail is not None else (0, 0)
        return self._page(visit, "start.html", title="Start", waiting=waiting, aside=aside)

    async def _explaining(self, visit: Visit) -> Response:
        query = {name: value.strip() for name, value in visit.request.query_params.items()}
        context = await self._explain.context(query)
        return self._page(visit, "explain.html", title="Explain", status=context.pop("status"), **context)

    async def _missing(self, visit: Visit) -> Response:
        return self._page(visit, "missing.html", title="Not found", status=404)

    async def _asset(self, request: Request) -> Response:
        try:
            return self._assets.answer(request, request.path_params["digest"], request.path_params["name"])
        except Refusal:
            return Response("Not found", 404, media_type="text/plain")

    # -- sign-in -------------------------------------------------------------------------------------------------

    def _turned_away(self, visit: Visit) -> Response:
        """To the sign-in; somebody who is signed in as another is told so, with the status of a refusal."""
        if visit.session is None:
            return self._sign_in(visit, return_url=visit.return_url, status=401)
        name = visit.session.credential.username
        self._observer(Denied(DOOR, name, "FC3001", visit.request.url.path))
        text = f"{name} is not an account of an administrator. Sign in with one."
        return self._sign_in(visit, return_url=visit.return_url, status=403, error=text)

    def _sign_in(
        self, visit: Visit, *, return_url: str, status: int = 200, error: str = "", username: str = ""
    ) -> Response:
        return self._page(
            visit, "sign_in.html", title="Sign in", status=status, return_url=return_url, error=error, username=username
        )

    async def _signing_in(self, visit: Visit) -> Response:
        wanted = visit.request.query_params.get("returnUrl")
        if visit.request.method != "POST":
            return self._sign_in(visit, return_url=_within(wanted))
        posted = await read_form(visit.request)
        back, name = _within(posted.get("returnUrl")), posted.get("username", "")
        try:
            visit.require_token(posted.get(csrf.FIELD))
            address = visit.request.client.host if visit.request.client else ""
            credential = await self._accounts.sign_in(name, posted.get("password", ""), address)
        except Refusal as refusal:
            if refusal.code not in {"FC2001", "FC2004", "FC2005"}:
                raise
            response = self._sign_in(visit, return_url=back, status=refusal.status, error=refusal.text, username=name)
            response.headers.update(dict(refusal.headers))
            return response
        if await administrator(credential, self._users) is None:
            self._observer(Denied(DOOR, credential.username, "FC3001", "sign-in"))
            text = "This account is not an administrator's."
            return self._sign_in(visit, return_url=back, status=403, error=text, username=name)
        if credential.second_factor:
            return await self._second(visit, credential, back, name)
        session = await self._sessions.start(
            credential,
            previous=visit.request.cookies.get(session_cookies.COOKIE),
            user_agent=visit.request.headers.get("user-agent", ""),
        )
        visit.cookies[:] = [session_cookies.set_cookie(session, secure=visit.secure)]
        return _finished(visit, RedirectResponse(back, 303))

    async def _second(self, visit: Visit, credential: Credential, back: str, name: str) -> Response:
        """On to the page of the portal that asks for the code, and from there back."""
        if self._pending is None:
            text = "This account has a second factor, and without a site there is no page that asks for its code."
            return self._sign_in(visit, return_url=back, status=401, error=text, username=name)
        detail = {"wanted": back, "persistent": "", "provider": ""}
        value = await self._pending.start("code", detail, credential)
        visit.cookies.append(pending_cookies.set_cookie("code", value, secure=visit.secure))
        return _finished(visit, RedirectResponse(VERIFY, 303))

    async def _signing_out(self, visit: Visit) -> Response:
        posted = await read_form(visit.request)
        visit.require_token(posted.get(csrf.FIELD))
        await self._sessions.sign_out(visit.request.cookies.get(session_cookies.COOKIE))
        visit.cookies[:] = [session_cookies.clear_cookie(secure=visit.secure)]
        return _finished(visit, RedirectResponse(SIGN_IN, 303))

    # -- answers -------------------------------------------------------------------------------------------------

    def _page(self, visit: Visit, template: str, *, title: str, status: int = 200, **context: Any) -> Response:
        text = self._templates.get_template(template).render(
            title=title, user=visit.user, path=visit.request.url.path, token=visit.token, **context
        )
        return _finished(visit, HTMLResponse(text, status))

    @staticmethod
    def _plain(correlation: str, text: str, status: int) -> Response:
        said = f"{escape(text)} Reference: {escape(correlation)}"
        return HTMLResponse(f'<!doctype html><html lang="en"><title>Studio</title><p>{said}</p>', status)


def _within(wanted: str | None) -> str:
    """Where to go after sign-in: a page of the studio."""
    url = local_url(wanted, HOME)
    inside = url.startswith(HOME) and not url.startswith(SIGN_IN) and "/.." not in url
    return url if inside else HOME


def _finished(visit: Visit, response: Response) -> Response:
    for cookie in visit.cookies:
        response.headers.append("set-cookie", cookie)
    return response
