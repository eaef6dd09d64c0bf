"""Sign-in and sign-out.

A form that was sent after its session had ended is answered with the sign-in form; what was typed waits on the server
for the person whose session it was, or goes along in hidden fields (``replay.<name>``) where that is not known any
more. After sign-in the same form appears again, filled in, to be saved by the person.
Such fields are only ever shown back on a form of this site, never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from forecourt.identity import csrf
from forecourt.identity import sessions as session_cookies
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Principal
from forecourt.pages.account.arriving import Arriving, replayed
from forecourt.pages.account.forms import address_of
from forecourt.pages.account.providing import Providing
from forecourt.pages.ports import Accounts, Entry, Sessions
from forecourt.pages.render import Renderer, finish
from forecourt.pages.visit import Visit
from forecourt.web.requests import local_url, own_origins, read_form

RETURN = "returnUrl"

_SIGN_IN_PATHS = ("/signin", "/account/login")


class SignIn:
    """``/SignIn`` and ``/Account/Login/LogOff``."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        arriving: Arriving,
        providing: Providing,
        renderer: Renderer,
        entry: Entry,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._arriving = arriving
        self._providing = providing
        self._renderer = renderer
        self._entry = entry

    async def show(
        self,
        visit: Visit,
        status: int = 200,
        *,
        return_url: str | None = None,
        username: str = "",
        error: str = "",
        expired: bool = False,
        replay: Mapping[str, str] | None = None,
        kept: bool = False,
    ) -> Response:
        """The sign-in form. ``kept``: what was typed waits on the server; ``replay``: it goes along in the page."""
        wanted = return_url or visit.query.get(RETURN) or visit.query.get("ReturnUrl") or visit.query.get("returnurl")
        return await self._renderer.page(
            visit,
            "sign_in.html",
            title=visit.locales.gettext("Sign in"),
            status=status,
            return_url=_destination(wanted),
            username=username,
            error=error,
            expired=expired,
            replay=dict(replay or {}),
            kept=kept or bool(replay),
            entry=self._entry,
        )

    async def get(self, visit: Visit) -> Response:
        """The form, or straight on for who is signed in."""
        if visit.signed_in and visit.trouble is None:
            wanted = visit.query.get(RETURN) or visit.query.get("ReturnUrl")
            return finish(visit, RedirectResponse(_destination(wanted), 303))
        return await self.show(visit)

    async def again(self, visit: Visit, posted: Mapping[str, str]) -> Response:
        """The form for a person whose session ended before a form was sent: what was typed goes along."""
        headers = visit.request.headers
        own = visit.options.origins or own_origins(visit.request)
        kept: dict[str, str] = {}
        if csrf.is_same_site(headers.get("sec-fetch-site"), headers.get("origin"), own):
            kept = {name: text for name, text in posted.items() if name != csrf.FIELD}
        # Only what a person had open is kept: nobody fills the database who has never signed in.
        owner = await self._sessions.whose(visit.request.cookies.get(session_cookies.COOKIE)) if kept else None
        if owner is not None and await self._arriving.keep(visit, visit.return_url, kept, owner):
            return await self.show(visit, 401, return_url=visit.return_url, expired=True, kept=True)
        return await self.show(visit, 401, return_url=visit.return_url, expired=True, replay=kept)

    async def post(self, visit: Visit) -> Response:
        """Proves the password and starts a session; the old one of this browser ends."""
        if not self._entry.local:
            raise Refusal("FC4042", "Nobody signs in with a password here.")
        posted = await read_form(visit.request)
        replay = replayed(posted)
        username, wanted = posted.get("username", ""), _destination(posted.get(RETURN))
        try:
            visit.require_token(posted.get(csrf.FIELD))
        except Refusal as refusal:
            text = visit.locales.gettext("The page was open for a long time. Please sign in again.")
            return await self.show(
                visit, refusal.status, return_url=wanted, username=username, error=text, replay=replay
            )
        try:
            credential = await self._accounts.sign_in(username, posted.get("password", ""), address_of(visit))
        except Refusal as refusal:
            if refusal.code not in {"FC2001", "FC2004"}:
                raise
            response = await self.show(
                visit,
                refusal.status,
                return_url=wanted,
                username=username,
                error=visit.locales.said(refusal),
                replay=replay,
            )
            for name, value in refusal.headers:
                response.headers[name] = value
            return response
        persistent = self._entry.remember and posted.get("remember") == "1"
        return await self._arriving.arrive(visit, credential, wanted, persistent=persistent, replay=replay)

    async def sign_out(self, visit: Visit) -> Response:
        """GET asks, POST ends the session."""
        title = visit.locales.gettext("Sign out")
        if visit.request.method != "POST":
            return await self._renderer.page(visit, "sign_out.html", title=title)
        posted = await read_form(visit.request)
        if visit.signed_in:
            try:
                visit.require_token(posted.get(csrf.FIELD))
            except Refusal as refusal:
                return await self._renderer.page(visit, "sign_out.html", title=title, status=refusal.status)
        await self._sessions.sign_out(visit.request.cookies.get(session_cookies.COOKIE))
        provider = visit.session.provider if visit.session is not None else ""
        left = replace(visit, session=None, principal=Principal(), cookies=[])
        left.cookies[:] = visit.cookies[:] = [session_cookies.clear_cookie(secure=visit.options.secure)]
        if (farewell := await self._providing.farewell(left, provider)) is not None:
            return farewell
        wanted = local_url(posted.get(RETURN) or visit.query.get(RETURN), "/?notice=signed-out")
        return finish(visit, RedirectResponse(wanted, 303))


def _destination(wanted: str | None) -> str:
    """Where to go after sign-in: a path of this site that is not sign-in itself."""
    url = local_url(wanted)
    return "/" if urlsplit(url).path.lower().startswith(_SIGN_IN_PATHS) else url
