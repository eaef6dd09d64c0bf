"""A person's second factor, ``/Account/Manage/ChangeTwoFactor``: set up, new recovery codes, turn off.

Setting up asks for a first code of the app; what weakens the account asks for a code, turning it off for the password
as well. Recovery codes stand in one answer, which no cache keeps, and are never shown again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import segno
from markupsafe import Markup
from starlette.responses import Response

from forecourt.kernel.errors import Refusal
from forecourt.pages.account.forms import SHOWN, AccountForms, address_of
from forecourt.pages.account.managing import PATH, about_current
from forecourt.pages.ports import Accounts, SecondFactors
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_

if TYPE_CHECKING:
    from forecourt.identity.accounts import Credential

TWO_FACTOR = f"{PATH}/ChangeTwoFactor"
TEMPLATE, TITLE = "account/two_factor.html", N_("Second factor")


class TwoFactor:
    """The page. ``open``: who has no second factor may set one up; who has one can always turn it off."""

    def __init__(self, accounts: Accounts, factors: SecondFactors | None, open: bool, forms: AccountForms) -> None:
        self._accounts = accounts
        self._factors = factors
        self._open = open
        self._forms = forms

    async def page(self, visit: Visit) -> Response:
        """Shows where the person stands, and does one step."""
        session = visit.session
        if session is None:
            return self._forms.go(visit, f"/SignIn?returnUrl={TWO_FACTOR}")
        credential, factors = session.credential, self._factors
        if factors is None or not (self._open or credential.second_factor):
            raise Refusal("FC4042", "There are no second factors here.")
        if visit.request.method != "POST":
            return await self._show(visit, factors, credential)
        posted = await self._forms.posted(visit)
        step = posted.get("step", "")
        try:
            self._forms.require(visit, posted)
            if not credential.second_factor and step in ("begin", "confirm"):
                return await self._set_up(visit, factors, credential, step, posted.get("code", ""))
            if credential.second_factor and step == "codes":
                await factors.prove(credential, posted.get("code", ""), address_of(visit))
                return await self._codes(visit, await factors.renew_codes(credential))
            if credential.second_factor and step == "off":
                if credential.has_password:
                    await self._password(credential, posted.get("current", ""), address_of(visit))
                await factors.prove(credential, posted.get("code", ""), address_of(visit))
                await factors.turn_off(credential)
                return self._forms.go(visit, f"{PATH}?notice=two-factor-off")
        except Refusal as refusal:
            if refusal.code not in SHOWN:
                raise
            return await self._show(visit, factors, credential, refusal, step)
        return await self._show(visit, factors, credential)

    async def _set_up(
        self, visit: Visit, factors: SecondFactors, credential: Credential, step: str, code: str
    ) -> Response:
        if step == "begin":
            return await self._show(visit, factors, credential, None, "confirm")
        changed, codes = await factors.confirm(credential, code)
        session = await self._forms.begin_session(visit, changed, proved=True)
        visit.session = session
        return await self._codes(visit, codes, first=True)

    async def _codes(self, visit: Visit, codes: tuple[str, ...], first: bool = False) -> Response:
        return await self._forms.show(
            visit, "account/recovery_codes.html", N_("Recovery codes"), codes=codes, first=first
        )

    async def _password(self, credential: Credential, password: str, address: str) -> None:
        try:
            await self._accounts.sign_in(credential.username, password, address)
        except Refusal as refusal:
            raise about_current(refusal) from None

    async def _show(
        self,
        visit: Visit,
        factors: SecondFactors,
        credential: Credential,
        refusal: Refusal | None = None,
        step: str = "",
    ) -> Response:
        given: dict[str, Any] = {"step": step, "on": credential.second_factor, "left": 0, "secret": "", "code": ""}
        given["with_password"] = credential.has_password
        if credential.second_factor:
            given["left"] = await factors.codes_left(credential)
        elif step == "confirm":
            enrolment = await factors.enrol(credential)
            secret = enrolment.secret
            given["secret"] = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
            given["code"] = drawn(enrolment.address)
        return await self._forms.show(visit, TEMPLATE, TITLE, refusal, **given)


def drawn(text: str) -> Markup:
    """A text as a QR code, black on white whatever the page's colours are: SVG of fixed attributes, without styles."""
    code = segno.make(text, error="m", micro=False)
    return Markup(code.svg_inline(scale=4, border=4, dark="#000", light="#fff", omitsize=True))  # noqa: S704 -- digits alone
