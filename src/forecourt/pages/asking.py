"""Pages that ask before something is done to a row, and do it; what is refused is said where it was asked.

It is done in the version that the question was about, with a token. Leaves out who may do what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Denied, Observer, nobody
from forecourt.kernel.principal import Door
from forecourt.pages.editing import VERSION
from forecourt.pages.render import Renderer, finish
from forecourt.pages.site import Page
from forecourt.pages.visit import Visit


@dataclass(frozen=True, slots=True)
class Question:
    """``kind``: what the row is; ``text``: what is asked; ``version``: of the row; ``action``: address of the question;
    ``back``: where who keeps it goes; ``submit``: what doing it is called."""

    page: Page
    title: str
    kind: str
    text: str
    version: str
    action: str
    back: str
    submit: str


@dataclass(frozen=True)
class Asking:
    """Asks, and does what was agreed to."""

    renderer: Renderer
    observer: Observer = nobody

    async def ask(self, visit: Visit, question: Question, problem: str = "", status: int = 200) -> Response:
        """The page that asks."""
        return await self.renderer.page(
            visit,
            "delete.html",
            title=question.title,
            page=question.page,
            status=status,
            kind=question.kind,
            question=question.text,
            problem=problem,
            version=question.version,
            action=question.action,
            cancel_url=question.back,
            submit=question.submit,
            notice=None,
        )

    async def settle(
        self,
        visit: Visit,
        question: Question,
        posted: Mapping[str, str],
        do: Callable[[str], Awaitable[object]],
        after: str,
    ) -> Response:
        """Does it to the version that was asked about, and leads to ``after``; asks again where that is refused."""
        _ = visit.locales.gettext
        try:
            visit.require_token(posted.get(csrf.FIELD))
        except Refusal as refusal:
            text = _("For your safety nothing was done: the page was opened too long ago.")
            return await self.ask(visit, question, text, refusal.status)
        version = posted.get(VERSION)
        if not version:
            return await self.ask(visit, question)
        try:
            await do(version)
        except Refusal as refusal:
            changed = _("Somebody else has changed it meanwhile. Look at it again before you go on.")
            return await self.ask(visit, question, told(visit, self.observer, refusal, changed), refusal.status)
        return finish(visit, RedirectResponse(after, 303))


def told(visit: Visit, observer: Observer, refusal: Refusal, changed: str) -> str:
    """What the page says, once a denial has been noted. ``changed``: the words for a row that has changed meanwhile.

    Raises the refusal where there is no row to ask about any more, and where the fault is the server's.
    """
    if refusal.code == "FC4041" or refusal.status >= 500:
        raise refusal
    if refusal.status == 403:
        observer(Denied(Door.PORTAL, visit.principal.label, refusal.code, visit.path))
    return changed if refusal.code == "FC4121" else visit.locales.said(refusal)
