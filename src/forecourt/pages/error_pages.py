"""Pages for what cannot be shown: no permission, not found, trouble. Each says what to do next, none says too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import Response

from forecourt.kernel.errors import Refusal
from forecourt.pages.render import Link, Renderer
from forecourt.pages.site import Page, Site
from forecourt.pages.visit import Visit

#: Codes that are about what the person may do.
_DENIED = frozenset({"FC3001", "FC3002", "FC3003", "FC3004", "FC3005"})


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error page says. ``icon``: the picture; ``reference``: what to name when asking for help."""

    heading: str
    text: str
    icon: str
    actions: tuple[Link, ...]
    reference: str = ""


class ErrorPages:
    """Makes them."""

    def __init__(self, site: Site, renderer: Renderer) -> None:
        self._site = site
        self._renderer = renderer

    async def refused(self, visit: Visit, refusal: Refusal) -> Response:
        """The page for a refusal, with its status."""
        if refusal.code in _DENIED:
            return await self._denied(visit, refusal)
        if refusal.status == 404:
            return await self._not_found(visit, refusal)
        if refusal.status in {500, 503}:
            return await self.fault(visit, refusal.status, dict(refusal.headers))
        problem = Problem(
            visit.locales.gettext("That did not work"),
            visit.locales.said(refusal),
            "warn",
            (self._start(visit),),
            visit.correlation,
        )
        return await self._page(visit, problem, refusal.status, None, refusal.headers)

    async def fault(self, visit: Visit, status: int = 500, headers: Mapping[str, str] | None = None) -> Response:
        """The page for the unexpected: a correlation id, never what happened."""
        _ = visit.locales.gettext
        text = (
            _("We cannot be reached at the moment. Please try again in a minute.")
            if status == 503
            else _("Something went wrong on our side. Try again; if it happens again, tell us the reference below.")
        )
        own = self._site.snippet("Portal Generic Error", visit.languages) if status == 500 else ""
        text = Markup(own).striptags() or text  # noqa: S704 - becomes plain text
        again = Link(_("Try again"), visit.return_url if visit.request.method == "GET" else "/")
        problem = Problem(_("We could not show this page"), text, "bad", (again, self._start(visit)), visit.correlation)
        return await self._page(visit, problem, status, None, tuple((headers or {}).items()))

    @staticmethod
    def _start(visit: Visit) -> Link:
        return Link(visit.locales.gettext("Back to the start"), "/")

    async def _denied(self, visit: Visit, refusal: Refusal) -> Response:
        _ = visit.locales.gettext
        page = self._site.marked("Access Denied") if visit.signed_in else None
        if not visit.signed_in:
            sign_in = Link(_("Sign in"), "/SignIn?" + urlencode({"returnUrl": visit.return_url}))
            problem = Problem(
                _("Please sign in"),
                _("This page is for people who have signed in."),
                "lock",
                (sign_in, self._start(visit)),
            )
        elif refusal.code in {"FC3002", "FC3003"}:
            problem = Problem(
                _("Your account is not ready yet"),
                _(
                    "You are signed in, but your account is not set up for this. Ask %(help)s.",
                    help=self._renderer.help(visit),
                ),
                "lock",
                (self._start(visit),),
                visit.correlation,
            )
            page = None
        else:
            problem = Problem(
                _("You have no access to this"),
                _(
                    "Your account does not include this. If you need it for your work, ask %(help)s.",
                    help=self._renderer.help(visit),
                ),
                "lock",
                (self._start(visit),),
            )
        return await self._page(visit, problem, 403, page, refusal.headers)

    async def _not_found(self, visit: Visit, refusal: Refusal) -> Response:
        _ = visit.locales.gettext
        page = self._site.marked("Page Not Found")
        text = _("It may have been moved or removed, or the address has a typing error.")
        if refusal.code == "FC4041":
            text, page = _("It may have been removed, or it is not one of yours."), None
        actions = [self._start(visit)]
        if not visit.signed_in:
            actions.append(Link(_("Sign in"), "/SignIn?" + urlencode({"returnUrl": visit.return_url})))
        problem = Problem(_("We cannot find that"), text, "search", tuple(actions))
        return await self._page(visit, problem, 404, page, ())

    async def _page(
        self,
        visit: Visit,
        problem: Problem,
        status: int,
        page: Page | None,
        headers: tuple[tuple[str, str], ...],
    ) -> Response:
        if page is not None and (template := self._renderer.template_of(page)) is not None:
            return await self._renderer.by_template(visit, page, *template, status=status, headers=dict(headers))
        text = await self._renderer.text(visit, page) if page is not None else None
        if page is not None:
            problem = replace(problem, heading=self._site.content(page, visit.languages).title)
        if text is not None and 'href="/"' in text.markup:
            problem = replace(problem, actions=tuple(link for link in problem.actions if link.url != "/"))
        return await self._renderer.page(
            visit,
            "problem.html",
            title=problem.heading,
            status=status,
            headers=dict(headers),
            problem=problem,
            text=text,
        )
