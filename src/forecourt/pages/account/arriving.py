"""After the first proof: a code where the account has a second factor, then a session, and on to where the person was.

Whatever has proved who somebody is (a password, a sign-in provider) goes through :class:`Arriving`, so that none can
forget the second factor. ``/Account/Login/VerifyCode`` asks for the code; who waits there is kept on the server.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from starlette.responses import Response

from forecourt.identity import pending as pending_cookies
from forecourt.identity import second_factor as trust_cookies
from forecourt.identity.pending import VERIFY
from forecourt.kernel.errors import Refusal
from forecourt.pages.account.forms import SHOWN, AccountForms, address_of
from forecourt.pages.ports import Entry, Pending, Principals, SecondFactors
from forecourt.pages.visit import Visit
from forecourt.web.translation import N_

if TYPE_CHECKING:
    from forecourt.identity.accounts import Credential

#: Prefix of the fields that carry what was typed into a form before its session ended.
REPLAY = "replay."

#: Shows the form at a path and query with what was typed.
Replay = Callable[[Visit, str, Mapping[str, str], Mapping[str, str]], Awaitable[Response]]


class Arriving:
    """Lets people in who have been proved."""

    def __init__(self, principals: Principals, replay: Replay, forms: AccountForms, entry: Entry) -> None:
        self._principals = principals
        self._replay = replay
        self._forms = forms
        self._entry = entry

    async def arrive(
        self,
        visit: Visit,
        credential: Credential,
        wanted: str,
        *,
        persistent: bool = False,
        replay: Mapping[str, str] | None = None,
        provider: str = "",
    ) -> Response:
        """On to ``wanted``, a path of this site, or first to the question for a code. ``replay``: what was typed."""
        typed = replay or {}
        if not credential.second_factor:
            return await self._enter(visit, credential, wanted, persistent, typed, provider)
        factors, waiting = self._second()
        if await factors.trusts(credential, visit.request.cookies.get(trust_cookies.COOKIE)):
            return await self._enter(visit, credential, wanted, persistent, typed, provider)
        detail = {"wanted": wanted, "persistent": "1" if persistent else "", "provider": provider}
        value = await waiting.start("code", detail, credential)
        visit.cookies.append(pending_cookies.set_cookie("code", value, secure=visit.options.secure))
        return await self._ask(visit, typed) if typed else self._forms.go(visit, VERIFY)

    async def verify(self, visit: Visit) -> Response:
        """Asks for the code, and lets in who gives it."""
        factors, waiting = self._second()
        cookie = visit.request.cookies.get(pending_cookies.COOKIES["code"])
        half = await waiting.peek("code", cookie)
        if half is None or half.credential is None:
            return self._forms.go(visit, "/SignIn?notice=too-late")
        if visit.request.method != "POST":
            return await self._ask(visit, {})
        posted = await self._forms.posted(visit)
        typed, credential = replayed(posted), half.credential
        try:
            self._forms.require(visit, posted)
            await factors.prove(credential, posted.get("code", ""), address_of(visit))
        except Refusal as refusal:
            if refusal.code not in SHOWN:
                raise
            return await self._ask(visit, typed, refusal)
        if await waiting.take("code", cookie) is None:
            return self._forms.go(visit, "/SignIn?notice=too-late")
        trusted = []
        if self._entry.trust and posted.get("trust") == "1":
            value = await factors.trust(credential)
            trusted.append(trust_cookies.set_cookie(value, secure=visit.options.secure))
        trusted.append(pending_cookies.clear_cookie("code", secure=visit.options.secure))
        detail = half.detail
        return await self._enter(
            visit, credential, detail["wanted"], detail["persistent"] == "1", typed, detail["provider"], trusted
        )

    async def _ask(self, visit: Visit, typed: Mapping[str, str], refusal: Refusal | None = None) -> Response:
        return await self._forms.show(
            visit, "account/code.html", N_("Enter your code"), refusal, replay=dict(typed), trust=self._entry.trust
        )

    async def _enter(
        self,
        visit: Visit,
        credential: Credential,
        wanted: str,
        persistent: bool,
        typed: Mapping[str, str],
        provider: str,
        cookies: list[str] | None = None,
    ) -> Response:
        session = await self._forms.begin_session(
            visit, credential, persistent=persistent, proved=True, provider=provider
        )
        visit.cookies.extend(cookies or ())
        typed = typed or await self._kept(visit, credential, wanted)
        if not typed:
            return self._forms.go(visit, wanted)
        try:
            principal = await self._principals.for_credential(credential)
        except Refusal:
            return self._forms.go(visit, "/")
        signed_in = replace(visit, session=session, principal=principal, expired=False, trouble=None)
        parts = urlsplit(wanted)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return await self._replay(signed_in, parts.path, query, typed)

    async def keep(self, visit: Visit, wanted: str, typed: Mapping[str, str], owner: UUID) -> bool:
        """Keeps what was typed into the form at ``wanted`` until its person signs in again; False where nothing can be
        kept. ``owner``: the account whose session has ended."""
        waiting = self._entry.pending
        if waiting is None:
            return False
        detail = {"wanted": wanted, "owner": str(owner), "typed": json.dumps(dict(typed))}
        value = await waiting.start("form", detail)
        visit.cookies.append(pending_cookies.set_cookie("form", value, secure=visit.options.secure))
        return True

    async def _kept(self, visit: Visit, credential: Credential, wanted: str) -> Mapping[str, str]:
        """What this person typed into the form at ``wanted``. Somebody else's is dropped unseen."""
        waiting, cookie = self._entry.pending, visit.request.cookies.get(pending_cookies.COOKIES["form"])
        if waiting is None or cookie is None:
            return {}
        visit.cookies.append(pending_cookies.clear_cookie("form", secure=visit.options.secure))
        half = await waiting.take("form", cookie)
        if half is None or half.detail["wanted"] != wanted or half.detail["owner"] != str(credential.id):
            return {}
        typed: dict[str, str] = json.loads(half.detail["typed"])
        return typed

    def _second(self) -> tuple[SecondFactors, Pending]:
        if self._entry.factors is None or self._entry.pending is None:
            raise Refusal("FC2007", "The account needs a code, and nobody asks for one here.")
        return self._entry.factors, self._entry.pending


def replayed(posted: Mapping[str, str]) -> dict[str, str]:
    """What was typed into a form before its session ended, as the fields of the sign-in carry it."""
    return {name.removeprefix(REPLAY): text for name, text in posted.items() if name.startswith(REPLAY)}
