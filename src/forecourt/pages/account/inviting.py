"""Redeeming an invitation, ``/Register``: a code, then a password, an address, or the account that is signed in."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from forecourt.kernel.errors import Refusal
from forecourt.pages.account.forms import SHOWN, AccountForms, address_of
from forecourt.pages.account.registering import MAILED, SENT
from forecourt.pages.ports import Entry
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_

TEMPLATE, TITLE = "account/invitation.html", N_("Redeem an invitation")

#: Where somebody goes on who has come in.
ENTERED = "/?notice=registered"


class Inviting:
    """Without invitations the page does not exist; without registration by mail they are for contacts on file, and for
    those for whom a provider vouches."""

    def __init__(self, entry: Entry, forms: AccountForms) -> None:
        self._entry = entry
        self._invitations = entry.invitations
        self._registration = entry.registration
        self._forms = forms

    async def redeem(self, visit: Visit) -> Response:
        """Asks for the code, then for what is missing."""
        if self._invitations is None:
            raise Refusal("FC4042", "There are no invitations here.")
        posted = await self._forms.posted(visit) if visit.request.method == "POST" else {}
        code = posted.get("invitation") or visit.query.get("invitation", "")
        if not code:
            return await self._show(visit, "", "code")
        step = "code"
        try:
            invitation = await self._invitations.peek(code, address_of(visit))
            if visit.session is not None:
                step = "join"
            elif invitation.contact_id is None:
                step = "email" if self._registration is not None else "closed"
            elif invitation.has_account or not (invitation.email or self._entry.external):
                step = "sign-in"
            else:
                step = "password" if self._entry.local and invitation.email else "provider"
            if visit.request.method != "POST" or posted.get("step") != step:
                return await self._show(visit, code, step, name=invitation.name)
            self._forms.require(visit, posted)
            if step == "join" and visit.session is not None:
                await self._invitations.join(invitation, visit.session.credential)
                return self._forms.go(visit, "/?notice=invited")
            if step == "password":
                credential = await self._invitations.accept(invitation, posted.get("password", ""))
                return await self._forms.signed_in(visit, credential, ENTERED)
            if step == "email" and self._registration is not None:
                email = posted.get("email", "")
                await self._registration.ask(email, address_of(visit), visit.languages[0], invitation.id)
                text = visit.locales.gettext(MAILED)
                return await self._forms.show(visit, "account/sent.html", SENT, email=email.strip(), text=text)
            return await self._show(visit, code, step, name=invitation.name)
        except Refusal as refusal:
            if refusal.code not in SHOWN | {"FC2006"}:
                raise
            return await self._show(visit, code, step, refusal)

    async def _show(
        self, visit: Visit, code: str, step: str, refusal: Refusal | None = None, name: str = ""
    ) -> Response:
        given: dict[str, Any] = {
            "invitation": code,
            "step": step,
            "name": name,
            "entry": self._entry,
            "entered": ENTERED,
        }
        return await self._forms.show(visit, TEMPLATE, TITLE, refusal, **given)
