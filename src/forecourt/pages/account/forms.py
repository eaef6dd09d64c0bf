"""What the account pages share: a posted form that comes from this site, the same page again with what is wrong.

Passwords are never shown back. Leaves out what a form is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response

from forecourt.identity import csrf
from forecourt.identity import sessions as session_cookies
from forecourt.identity.accounts import Credential
from forecourt.kernel.errors import Refusal
from forecourt.pages.ports import Sessions
from forecourt.pages.render import Renderer, finish
from forecourt.pages.visit import Visit
from forecourt.web.requests import read_form
from forecourt.web.translation import N_

if TYPE_CHECKING:
    from forecourt.identity.sessions import Session

#: Refusals that a form is shown again for; others are a page of their own.
SHOWN = frozenset({"FC1003", "FC2001", "FC2004", "FC2005", "FC2007", "FC4091"})

#: What is said of a page whose token is too old.
STALE = N_("The page was open for a long time. Please send it again.")


class AccountForms:
    """Shows templates of this package's pages, and starts sessions."""

    def __init__(self, sessions: Sessions, renderer: Renderer) -> None:
        self._sessions = sessions
        self._renderer = renderer

    async def show(
        self, visit: Visit, template: str, title: str, refusal: Refusal | None = None, status: int = 200, **context: Any
    ) -> Response:
        """A page, with what is wrong where something is. No cache keeps it. ``title``: a message."""
        said = visit.locales.said
        error = "" if refusal is None else visit.locales.gettext(STALE) if refusal.code == "FC2005" else said(refusal)
        response = await self._renderer.page(
            visit,
            template,
            title=visit.locales.gettext(title),
            status=refusal.status if refusal else status,
            error=error,
            wrong=refusal.source if refusal else "",
            headers={"cache-control": "no-store", **dict(refusal.headers if refusal else ())},
            **context,
        )
        return response

    def profile(self, visit: Visit) -> str:
        """Path of the site's profile page, '' for none."""
        return self._renderer.profile(visit)

    async def posted(self, visit: Visit) -> Mapping[str, str]:
        """The fields of the form. Raises Refusal as ``read_form``."""
        return await read_form(visit.request)

    def require(self, visit: Visit, posted: Mapping[str, str]) -> None:
        """Raises Refusal FC2005 unless the form comes from a page of ours."""
        visit.require_token(posted.get(csrf.FIELD))

    async def signed_in(self, visit: Visit, credential: Credential, target: str, *, proved: bool = False) -> Response:
        """Sends the browser on with a session of its own; the one that it had ends. ``proved``: the second factor."""
        await self.begin_session(visit, credential, proved=proved)
        return self.go(visit, target)

    async def begin_session(
        self,
        visit: Visit,
        credential: Credential,
        *,
        persistent: bool = False,
        proved: bool = False,
        provider: str = "",
    ) -> Session:
        """A session of its own for the browser; the one that it had ends. Raises Refusal as ``Sessions.start``."""
        session = await self._sessions.start(
            credential,
            previous=visit.request.cookies.get(session_cookies.COOKIE),
            persistent=persistent,
            user_agent=visit.request.headers.get("user-agent", ""),
            proved=proved,
            provider=provider,
        )
        visit.cookies[:] = [session_cookies.set_cookie(session, secure=visit.options.secure)]
        return session

    def go(self, visit: Visit, target: str) -> Response:
        """Sends the browser on."""
        return finish(visit, RedirectResponse(target, 303))


def address_of(visit: Visit) -> str:
    """Where a request comes from."""
    client = visit.request.client
    return client.host if client else ""
