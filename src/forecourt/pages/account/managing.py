"""A person's own account, ``/Account/Manage``: how they sign in, the devices that are signed in, and the password.

A change asks for the session's anti-forgery token, a new password for the current one as well: who finds an open
browser cannot take the account over.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from forecourt.identity import sessions as session_cookies
from forecourt.kernel.errors import Refusal
from forecourt.pages.account.devices import device_of
from forecourt.pages.account.forms import SHOWN, AccountForms, address_of
from forecourt.pages.formatting import moment_text
from forecourt.pages.ports import Accounts, Entry, Sessions
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_

PATH = "/Account/Manage"


@dataclass(frozen=True, slots=True)
class Shown:
    """A device as it is listed. ``since``, ``used``: moments as text."""

    handle: str
    current: bool
    label: str
    since: str
    used: str


class Managing:
    """The account's page, and what its forms do. The recovery of ``entry`` writes about a changed password."""

    def __init__(self, accounts: Accounts, sessions: Sessions, entry: Entry, forms: AccountForms) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._recovery = entry.recovery
        self._two_factor = entry.two_factor
        self._providers = entry.external is not None
        self._forms = forms

    async def manage(self, visit: Visit) -> Response:
        """Devices, with a way to sign each of them out."""
        session = visit.session
        if session is None:
            return self._forms.go(visit, f"/SignIn?returnUrl={PATH}")
        if visit.request.method != "POST":
            return await self._show(visit)
        posted = await self._forms.posted(visit)
        try:
            self._forms.require(visit, posted)
        except Refusal as refusal:
            return await self._show(visit, refusal)
        if posted.get("everywhere") == "1":
            await self._sessions.sign_out_everywhere(session.credential.id)
            visit.cookies[:] = [session_cookies.clear_cookie(secure=visit.options.secure)]
            return self._forms.go(visit, "/SignIn?notice=signed-out-everywhere")
        if posted.get("others") == "1":
            await self._sessions.end_others(session)
            return self._forms.go(visit, f"{PATH}?notice=others-signed-out")
        await self._sessions.end(session.credential.id, posted.get("device", ""))
        return self._forms.go(visit, f"{PATH}?notice=device-signed-out")

    async def password(self, visit: Visit) -> Response:
        """A new password; every other device is signed out."""
        session = visit.session
        if session is None:
            return self._forms.go(visit, f"/SignIn?returnUrl={PATH}/ChangePassword")
        title, template = N_("Change your password"), "account/password.html"
        username = session.credential.username
        if visit.request.method != "POST":
            return await self._forms.show(visit, template, title, username=username)
        posted = await self._forms.posted(visit)
        try:
            self._forms.require(visit, posted)
            current, new = posted.get("current", ""), posted.get("password", "")
            given = (username, current, new, address_of(visit))
            if self._recovery is not None:
                credential = await self._recovery.change(*given, visit.languages[0])
            else:
                credential = await self._accounts.change_password(*given)
        except Refusal as refusal:
            if refusal.code not in SHOWN:
                raise
            return await self._forms.show(visit, template, title, about_current(refusal), username=username)
        return await self._forms.signed_in(visit, credential, f"{PATH}?notice=password-changed", proved=True)

    async def _show(self, visit: Visit, refusal: Refusal | None = None) -> Response:
        assert visit.session is not None
        devices = [
            Shown(
                item.handle,
                item.current,
                device_of(item.user_agent, visit.locales),
                moment_text(item.created_at, visit.locales),
                moment_text(item.last_seen, visit.locales),
            )
            for item in await self._sessions.list(visit.session)
        ]
        credential = visit.session.credential
        return await self._forms.show(
            visit,
            "account/manage.html",
            N_("Your account"),
            refusal,
            devices=devices,
            username=credential.username,
            profile=self._forms.profile(visit),
            with_password=credential.has_password,
            two_factor=self._two_factor or credential.second_factor,
            two_factor_on=credential.second_factor,
            providers=self._providers,
        )


def about_current(refusal: Refusal) -> Refusal:
    """What is said of the current password: here it is known whose it is."""
    if refusal.code != "FC2001":
        return refusal
    hint = N_("After several failures your account is locked for a while.")
    return Refusal("FC2001", N_("Your current password is not right."), hint=hint, source="current")
