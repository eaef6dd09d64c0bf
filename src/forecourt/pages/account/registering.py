"""Registration: ``/Account/Login/Register`` asks for an address, ``/Account/Login/ConfirmEmail`` for the rest."""

from __future__ import annotations

from starlette.responses import Response

from forecourt.identity.links import Link
from forecourt.identity.registration import Applicant
from forecourt.kernel.errors import Refusal
from forecourt.pages.account.forms import SHOWN, AccountForms, address_of
from forecourt.pages.ports import Registration
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_

#: Title and text of the page that says that a mail is on its way.
SENT = N_("Look into your mail")
MAILED = N_("The mail says how to go on. It may take a few minutes, and it may be among the unwanted mail.")

FIELDS = ("firstname", "lastname")


class Registering:
    """The two pages. ``registration`` None: closed, and the pages do not exist; ``everybody``: who has no invitation
    may register too."""

    def __init__(self, registration: Registration | None, everybody: bool, forms: AccountForms) -> None:
        self._everybody = everybody
        self._registration = registration
        self._forms = forms

    async def register(self, visit: Visit) -> Response:
        """Asks for an address; whatever it is, the answer is the same."""
        registration = _open(self._registration if self._everybody else None)
        if visit.request.method != "POST":
            return await self._forms.show(visit, "account/register.html", N_("Register"), email="")
        posted = await self._forms.posted(visit)
        email = posted.get("email", "")
        try:
            self._forms.require(visit, posted)
            await registration.ask(email, address_of(visit), visit.languages[0])
        except Refusal as refusal:
            if refusal.code not in SHOWN:
                raise
            return await self._forms.show(visit, "account/register.html", N_("Register"), refusal, email=email)
        text = visit.locales.gettext(MAILED)
        return await self._forms.show(visit, "account/sent.html", SENT, email=email.strip(), text=text)

    async def confirm(self, visit: Visit) -> Response:
        """The page behind the link: names and a password, then signed in."""
        registration = _open(self._registration)
        title, template = N_("Finish your registration"), "account/confirm.html"
        if visit.request.method != "POST":
            code = visit.query.get("code", "")
            link = await self._linked(registration, code)
            return await self._forms.show(
                visit, template, title, code=code, email=link.email, filled=dict.fromkeys(FIELDS, "")
            )
        posted = await self._forms.posted(visit)
        code = posted.get("code", "")
        link = await self._linked(registration, code)
        try:
            self._forms.require(visit, posted)
            person = Applicant(posted.get("firstname", ""), posted.get("lastname", ""))
            credential = await registration.complete(code, person, posted.get("password", ""))
        except Refusal as refusal:
            if refusal.code not in SHOWN:
                raise
            filled = {name: posted.get(name, "") for name in FIELDS}
            return await self._forms.show(visit, template, title, refusal, code=code, email=link.email, filled=filled)
        return await self._forms.signed_in(visit, credential, "/?notice=registered")

    async def _linked(self, registration: Registration, code: str) -> Link:
        """What a link is about; one that was sent while registration was open counts as long as it is."""
        link = await registration.peek(code)
        if link.invitation_id is None and not self._everybody:
            raise Refusal("FC4042", "Registration is not open here.")
        return link


def _open(registration: Registration | None) -> Registration:
    if registration is None:
        raise Refusal("FC4042", "Registration is not open here.")
    return registration
