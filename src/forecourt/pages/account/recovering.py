"""A forgotten password: ``/Account/Login/ForgotPassword`` asks for an address, ``ResetPassword`` for a new password."""

from __future__ import annotations

from starlette.responses import Response

from forecourt.kernel.errors import Refusal
from forecourt.pages.account.forms import SHOWN, AccountForms, address_of
from forecourt.pages.ports import Recovery
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_


class Recovering:
    """The two pages. ``recovery`` None: closed, and the pages do not exist."""

    def __init__(self, recovery: Recovery | None, forms: AccountForms) -> None:
        self._recovery = recovery
        self._forms = forms

    async def forgot(self, visit: Visit) -> Response:
        """Asks for an address; whatever it is, the answer is the same."""
        recovery = _open(self._recovery)
        title, template = N_("Forgotten password"), "account/forgot.html"
        if visit.request.method != "POST":
            return await self._forms.show(visit, template, title, email="")
        posted = await self._forms.posted(visit)
        email = posted.get("email", "")
        try:
            self._forms.require(visit, posted)
            await recovery.ask(email, address_of(visit), visit.languages[0])
        except Refusal as refusal:
            if refusal.code not in SHOWN:
                raise
            return await self._forms.show(visit, template, title, refusal, email=email)
        text = visit.locales.gettext(
            "If an account has this address, the mail has a link to a new password. It may take a few minutes."
        )
        return await self._forms.show(
            visit, "account/sent.html", N_("Look into your mail"), email=email.strip(), text=text
        )

    async def reset(self, visit: Visit) -> Response:
        """The page behind the link: a new password, then the sign-in page, which asks for all of it."""
        recovery = _open(self._recovery)
        title, template = N_("Choose a new password"), "account/reset.html"
        if visit.request.method != "POST":
            code = visit.query.get("code", "")
            link = await recovery.peek(code)
            return await self._forms.show(visit, template, title, code=code, username=link.username)
        posted = await self._forms.posted(visit)
        code = posted.get("code", "")
        link = await recovery.peek(code)
        try:
            self._forms.require(visit, posted)
            await recovery.complete(code, posted.get("password", ""), visit.languages[0])
        except Refusal as refusal:
            if refusal.code not in SHOWN:
                raise
            return await self._forms.show(visit, template, title, refusal, code=code, username=link.username)
        return self._forms.go(visit, "/SignIn?notice=password-set")


def _open(recovery: Recovery | None) -> Recovery:
    if recovery is None:
        raise Refusal("FC4042", "Passwords are not set again here.")
    return recovery
