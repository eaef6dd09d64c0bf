"""The portal as one ASGI application: its routes, its error pages, its headers.

A request becomes a :class:`~forecourt.pages.visit.Visit`; what a handler refuses is shown as a page that says what to
do next; what it does not foresee is a page with a correlation id, and the exception goes to the observer.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from markupsafe import escape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forecourt.dataverse.rows import Rows
from forecourt.dataverse.tables import Tables
from forecourt.identity import csrf
from forecourt.identity.pending import VERIFY
from forecourt.kernel.errors import CODES, Refusal, Unavailable
from forecourt.kernel.observe import Denied, Fault, Observer, RequestDone, nobody
from forecourt.kernel.principal import Door
from forecourt.pages import language_links, languages, page_files
from forecourt.pages.account.arriving import Arriving
from forecourt.pages.account.forms import AccountForms
from forecourt.pages.account.inviting import Inviting
from forecourt.pages.account.managing import Managing
from forecourt.pages.account.providing import CHANGE, START, Providing
from forecourt.pages.account.recovering import Recovering
from forecourt.pages.account.registering import Registering
from forecourt.pages.account.two_factor import TWO_FACTOR, TwoFactor
from forecourt.pages.acting import Acting
from forecourt.pages.deleting import Deleting
from forecourt.pages.details import Forms
from forecourt.pages.error_pages import ErrorPages
from forecourt.pages.filling import Filling
from forecourt.pages.form_pages import FormPages
from forecourt.pages.lists import Lists
from forecourt.pages.multistep import MultistepPages
from forecourt.pages.navigation import robots, sitemap
from forecourt.pages.notes.attaching import MAX_FILES, Attaching
from forecourt.pages.notes.downloading import Downloading
from forecourt.pages.notes.reading import Notes
from forecourt.pages.notes.writing import NotePages
from forecourt.pages.options import PortalOptions
from forecourt.pages.picking import Picking
from forecourt.pages.ports import (
    Accounts,
    DataverseRequests,
    Entry,
    Fetching,
    FormSessions,
    Principals,
    Sessions,
    TextRanking,
)
from forecourt.pages.redirects import Redirects
from forecourt.pages.remembering import IDENTITY, SPOKEN, UNTIL, Remembered
from forecourt.pages.render import Renderer, finish, origin_of
from forecourt.pages.searching import Searching
from forecourt.pages.sign_in import SignIn
from forecourt.pages.site import Site
from forecourt.pages.site_pages import SitePages
from forecourt.pages.subgrids import Associating, SubgridPages, Subgrids
from forecourt.pages.view_filters import view_filters
from forecourt.pages.visit import THEME, Visit, begin
from forecourt.pages.web_api import PortalApi
from forecourt.pages.web_api.errors import from_refusal
from forecourt.web import theme
from forecourt.web.assets import Assets
from forecourt.web.headers import SECURITY_HEADERS
from forecourt.web.requests import local_url, new_correlation, own_origins, read_form, read_posted
from forecourt.web.uploads import Bounds

#: What a query may hold as it is.
_PRINTED = "".join(map(chr, range(0x21, 0x7F)))

#: Addresses of the picture beside a page's title.
ICONS = ("/favicon.svg", "/favicon.ico")

Handler = Callable[[Visit], Awaitable[Response]]


class Portal:
    """The portal. ``await portal(scope, receive, send)`` answers a request; nothing needs to be started."""

    def __init__(
        self,
        *,
        site: Site,
        tables: Tables,
        rows: Rows,
        sessions: Sessions,
        accounts: Accounts,
        principals: Principals,
        requests: DataverseRequests,
        fetches: Fetching,
        form_sessions: FormSessions,
        texts: TextRanking,
        moments: Callable[[], Awaitable[object]],
        entry: Entry | None = None,
        options: PortalOptions | None = None,
        observer: Observer = nobody,
    ) -> None:
        self._options = options or PortalOptions()
        self._codes_in_links = language_links.in_use(site)
        self._site = site
        self._sessions = sessions
        self._principals = principals
        self._observer = observer
        sheets = tuple(file.file.read_text("utf-8", "replace") for file in site.style_sheets)
        self._assets = Assets({"theme.css": theme.stylesheet(theme.from_settings(site.settings, sheets))})
        filters = view_filters(tables)
        lists, forms = Lists(tables, rows, filters), Forms(tables, rows, filters)
        searching = Searching(site, tables, rows, filters, texts)
        renderer = Renderer(site, self._assets, self._options, lists, fetches, searching)
        deletes = Deleting(site, forms, rows, renderer, observer)
        attaching = Attaching(site, tables, rows, self._options.upload_limit)
        filling = Filling(forms, rows, attaching, observer)
        self._downloading, notes = Downloading(site, rows), Notes(site, tables, rows)
        acting, picking = Acting(site, lists, rows, renderer, observer), Picking(forms, rows, renderer)
        subgrids = Subgrids(site, forms, rows, acting)
        self._writing = FormPages(
            site, forms, rows, renderer, deletes, filling, notes, subgrids.offering, subgrids.said
        )
        associating = Associating(subgrids, forms, rows, picking, renderer, observer)
        beneath = SubgridPages(subgrids, forms, rows, acting, self._writing, picking, associating, renderer)
        noting = NotePages(site, forms, rows, notes, attaching, renderer, observer)
        self._steps = MultistepPages(
            site, forms, rows, renderer, filling, form_sessions, subgrids, beneath, notes, noting
        )
        pages = SitePages(
            *(site, lists, forms, self._writing, deletes, self._steps, rows, renderer, searching, notes),
            *(acting, subgrids, beneath, picking, noting, observer),
        )
        self._pages = pages
        self._redirects = Redirects(site)
        self._errors = ErrorPages(site, renderer)
        entry = entry or Entry()
        account_forms = AccountForms(sessions, renderer)
        self._arriving = Arriving(principals, self._replay, account_forms, entry)
        self._providing = Providing(accounts, entry, self._arriving, account_forms, observer)
        clients = entry.external.providers.values() if entry.external is not None else ()
        self._callbacks = [client.provider.callback for client in clients]
        self._sign_in = SignIn(accounts, sessions, self._arriving, self._providing, renderer, entry)
        self._registering = Registering(entry.registration, entry.open, account_forms)
        self._inviting = Inviting(entry, account_forms)
        self._managing = Managing(accounts, sessions, entry, account_forms)
        self._two_factor = TwoFactor(accounts, entry.factors, entry.two_factor, account_forms)
        self._recovering = Recovering(entry.recovery, account_forms)
        self._api = PortalApi(requests, site)
        self._remembered = Remembered(moments)
        self._app: ASGIApp = Starlette(routes=self._routes())

    def _routes(self) -> list[Route]:
        both, every = ["GET", "POST"], ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
        routes = [
            Route("/assets/{digest}/{name}", self._asset),
            *(Route(path, self._favicon) for path in ICONS if self._site.file_at(path) is None),
            Route("/_layout/tokenhtml", self._handle(self._token)),
            Route("/_entity/annotation/{note}", self._handle(self._downloading.answer), methods=["GET"]),
            Route(page_files.ADDRESS, self._handle(page_files.PageFiles(self._site).answer), methods=["GET"]),
            Route("/_layout/theme", self._handle(self._theme), methods=["POST"]),
            Route("/_api/{path:path}", self._handle(self._api.answer), methods=every),
        ]
        for path, maker in {"/sitemap.xml": self._sitemap, "/robots.txt": self._robots}.items():
            if self._site.file_at(path) is None:
                routes.append(Route(path, self._handle(maker)))
        for path, handler in self._built_in().items():
            for spelling in (path, path.lower()):
                routes.append(Route(spelling, self._handle(handler), methods=both))
        routes.append(Route("/{path:path}", self._page, methods=every))
        return routes

    def _built_in(self) -> Mapping[str, Handler]:
        """Pages that every site has (A3.2)."""
        return {
            "/SignIn": self._show_sign_in,
            "/Account/Login/LogOff": self._sign_in.sign_out,
            "/Account/Login/Register": self._registering.register,
            "/Register": self._inviting.redeem,
            "/Account/Login/ConfirmEmail": self._registering.confirm,
            "/Account/Login/ForgotPassword": self._recovering.forgot,
            "/Account/Login/ResetPassword": self._recovering.reset,
            "/Account/Manage": self._managing.manage,
            "/Account/Manage/ChangePassword": self._managing.password,
            TWO_FACTOR: self._two_factor.page,
            VERIFY: self._arriving.verify,
            START: self._providing.start,
            CHANGE: self._providing.change,
            **dict.fromkeys(self._callbacks, self._providing.callback),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code, path = languages.split(self._site, scope["path"])
        scope = {**scope, "query_string": _escaped(scope["query_string"])}
        if code:
            scope |= {"path": path, "raw_path": quote(path).encode(), "forecourt.language": code}
        correlation = scope.setdefault("forecourt.correlation", new_correlation())
        started = time.perf_counter()
        status = 0

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [self._led(item, scope) for item in message["headers"]]
                given = {name for name, _ in headers}
                headers.extend(item for item in SECURITY_HEADERS if item[0] not in given)
                headers.append((b"x-correlation-id", str(correlation).encode()))
                if self._options.secure:
                    headers.append((b"strict-transport-security", b"max-age=31536000"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        except Exception as error:
            self._observer(Fault(correlation, error))
            if status:
                raise
            await _bare_fault(correlation)(scope, receive, with_headers)
        door = Door.PORTAL_API if scope["path"].startswith("/_api/") else Door.PORTAL
        identity = scope.get(IDENTITY, "anonymous")
        seconds = time.perf_counter() - started
        self._observer(RequestDone(door, scope["method"], status, seconds, identity, correlation))

    def _led(self, header: tuple[bytes, bytes], scope: Scope) -> tuple[bytes, bytes]:
        """A header of an answer; a redirect to a page carries the language's code, where the site says so."""
        name, value = header
        spoken = scope.get(SPOKEN, "")
        if name.lower() != b"location" or not spoken or not self._codes_in_links:
            return header
        return name, language_links.coded(value.decode("latin-1"), spoken, self._site.codes).encode("latin-1")

    def _handle(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of a handler: refusals and faults become pages."""

        async def endpoint(request: Request) -> Response:
            if moved := self._without_code(request):
                return moved
            try:
                visit = await begin(request, self._site, self._sessions, self._principals, self._options)
            except Unavailable as error:
                correlation = str(request.scope.get("forecourt.correlation", ""))
                self._observer(Fault(correlation, error))
                return _away(request, correlation)
            until = visit.session.expires_at if visit.session is not None else dt.datetime.max.replace(tzinfo=dt.UTC)
            known = {IDENTITY: visit.principal.label, SPOKEN: visit.languages[0]}
            request.scope.update({**known, UNTIL: until if visit.trouble is None else None})
            try:
                return await handler(visit)
            except Refusal as refusal:
                if refusal.status == 403:
                    self._observer(Denied(Door.PORTAL, visit.principal.label, refusal.code, visit.path))
                return await self._errors.refused(visit, refusal)
            except Unavailable as error:
                self._observer(Fault(visit.correlation, error))
                return await self._errors.refused(visit, Refusal("FC5031", CODES["FC5031"][1]))
            except Exception as error:
                self._observer(Fault(visit.correlation, error))
                return await self._errors.fault(visit)

        return endpoint

    def _without_code(self, request: Request) -> Response | None:
        """The way to an address without its language code, which is kept in a cookie; None where the code may stay."""
        code = request.scope.get("forecourt.language", "")
        if not code or request.method not in {"GET", "HEAD"}:
            return None
        path: str = request.scope["path"]
        if self._site.setting(languages.IN_URL).lower() == "true" or path.startswith("/_"):
            return None
        query = request.url.query
        target = quote(path) if path.isprintable() else "/"
        headers = {"cache-control": "no-store", "set-cookie": languages.cookie(code, secure=self._options.secure)}
        return RedirectResponse(f"{target}?{query}" if query else target, 302, headers)

    async def _page(self, request: Request) -> Response:
        """A request for a path of the site."""
        make = self._handle(self._site_page)
        if request.method == "POST" or "download" in request.query_params:
            return await make(request)
        return await self._remembered.answer(request, make)

    async def _site_page(self, visit: Visit) -> Response:
        if visit.request.method not in {"GET", "HEAD", "POST"}:
            raise Refusal("FC1008", "The method is not allowed here.", headers=(("Allow", "GET, HEAD, POST"),))
        if visit.request.method != "POST" and (found := self._redirects.answer(visit.path, visit.request.url.query)):
            return found
        if visit.request.method == "POST" and not visit.signed_in and not self._open_to_visitors(visit):
            bounds = Bounds(dropped=MAX_FILES * self._options.upload_limit)
            return await self._sign_in.again(visit, (await read_posted(visit.request, bounds)).fields)
        return await self._pages.answer(visit)

    def _open_to_visitors(self, visit: Visit) -> bool:
        """Whether a visitor may send the form of the page: one who never signed in, where their roles may do it."""
        if visit.expired:
            return False
        try:
            page = self._pages.page_for(visit, visit.path)
            if (beneath := self._pages.beneath(visit, page)) is not None:
                return beneath
            return self._writing.takes(visit, page) or self._steps.takes(visit, page)
        except Refusal:
            return False

    async def _replay(self, visit: Visit, path: str, query: Mapping[str, str], posted: Mapping[str, str]) -> Response:
        return await self._pages.replay(visit, path, query, posted)

    async def _show_sign_in(self, visit: Visit) -> Response:
        return await (self._sign_in.post(visit) if visit.request.method == "POST" else self._sign_in.get(visit))

    async def _token(self, visit: Visit) -> Response:
        """The fragment that scripts read the anti-forgery token from (A2.1)."""
        response = HTMLResponse(f'<input name="{csrf.FIELD}" type="hidden" value="{escape(visit.token())}" />')
        response.headers["cache-control"] = "no-store"
        return finish(visit, response)

    async def _theme(self, visit: Visit) -> Response:
        """Keeps the palette that a person chose, and leads back."""
        posted = await read_form(visit.request)
        headers = visit.request.headers
        own = visit.options.origins or own_origins(visit.request)
        if not csrf.is_same_site(headers.get("sec-fetch-site"), headers.get("origin"), own):
            raise Refusal("FC2005", "The request comes from another site.")
        chosen = posted.get("theme", "")
        kept = f"{chosen}; Max-Age=31536000" if chosen in {"light", "dark"} else "; Max-Age=0"
        secure = "; Secure" if visit.options.secure else ""
        visit.cookies.append(f"{THEME}={kept}; Path=/; HttpOnly; SameSite=Lax{secure}")
        return finish(visit, RedirectResponse(local_url(posted.get("returnUrl")), 303))

    async def _sitemap(self, visit: Visit) -> Response:
        return finish(visit, Response(sitemap(self._site, origin_of(visit)), media_type="application/xml"))

    async def _robots(self, visit: Visit) -> Response:
        return finish(visit, Response(robots(origin_of(visit)), media_type="text/plain"))

    async def _asset(self, request: Request) -> Response:
        try:
            return self._assets.answer(request, request.path_params["digest"], request.path_params["name"])
        except Refusal:
            return Response("Not found", 404, media_type="text/plain")

    async def _favicon(self, request: Request) -> Response:
        return self._assets.plain(request, "favicon.svg")


def _bare_fault(correlation: str) -> HTMLResponse:
    """The answer where not even an error page could be made."""
    return _bare("Error", f"Something went wrong. Reference: {correlation}", 500)


def _escaped(query: bytes) -> bytes:
    """A query whose bytes are ASCII, as they should be: others are percent-encoded, for they may be no text at all."""
    return query if query.isascii() else quote(query, safe=_PRINTED).encode("ascii")


def _away(request: Request, correlation: str) -> Response:
    """The answer while the database that keeps the sessions cannot be reached: nobody is known, no page can be made."""
    refusal = Refusal("FC5031", CODES["FC5031"][1])
    headers = {"Retry-After": "5", "Cache-Control": "no-store"}
    if request.scope["path"].startswith("/_api/"):
        failure = from_refusal(refusal, write=False)
        return Response(failure.body(show_inner=False), failure.status, headers, "application/json")
    text = f"{refusal.message} Try again in a moment. Reference: {correlation}"
    return _bare("Not available", text, refusal.status, headers)


def _bare(title: str, text: str, status: int, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    return HTMLResponse(f'<!doctype html><html lang="en"><title>{title}</title><p>{text}</p>', status, headers)
