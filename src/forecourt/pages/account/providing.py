"""Sign-in through providers: ``/Account/Login/ExternalLogin`` sends a person there, ``/signin-<provider>`` takes them
back, ``/Account/Manage/ChangeLogin`` connects and disconnects identities of an account.

What was agreed at the start (provider, way back, state, nonce, verifier, what was typed) stays on the server and is
used once; the browser holds a number that names it. So an answer that nobody here began, or that comes a second time,
is refused whatever it says. Connecting takes the current password, so that an open browser is no way into an account.

A person leaves by a page of this site that names the provider, for no form may be sent to another site.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from starlette.responses import Response

from forecourt.identity import pending as pending_cookies
from forecourt.identity.providers.client import Departure
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Denied, Observer
from forecourt.kernel.principal import Door
from forecourt.pages.account.arriving import Arriving, replayed
from forecourt.pages.account.forms import SHOWN, AccountForms, address_of
from forecourt.pages.account.managing import PATH, about_current
from forecourt.pages.formatting import moment_text
from forecourt.pages.ports import Accounts, Entry, ExternalDoors, Pending, Provider
from forecourt.pages.visit import Visit
from forecourt.web.requests import local_url
from forecourt.web.translation import N_

if TYPE_CHECKING:
    from forecourt.identity.sessions import Session

START = "/Account/Login/ExternalLogin"
CHANGE = f"{PATH}/ChangeLogin"

#: Refusals that are shown on the sign-in page.
TOLD = SHOWN | {"FC2006", "FC2008", "FC2009"}

#: Typed text beyond this is not carried to a provider and back.
_MOST_TYPED = 100_000

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Providing:
    """The pages. Without providers they do not exist."""

    def __init__(
        self, accounts: Accounts, entry: Entry, arriving: Arriving, forms: AccountForms, observer: Observer
    ) -> None:
        self._accounts = accounts
        self._entry = entry
        self._arriving = arriving
        self._forms = forms
        self._observer = observer

    async def start(self, visit: Visit) -> Response:
        """Sends a person to the provider that they chose."""
        doors, _ = self._doors()
        if visit.request.method != "POST":
            return self._forms.go(visit, "/SignIn")
        posted = await self._forms.posted(visit)
        typed, wanted = replayed(posted), local_url(posted.get("returnUrl"))
        try:
            self._forms.require(visit, posted)
            provider = doors.providers.get(posted.get("provider", "").lower())
            if provider is None:
                raise Refusal("FC4042", "There is no such sign-in provider.")
            detail = {"wanted": wanted, "invitation": posted.get("invitation", ""), "typed": _kept(typed)}
            return await self._leave(visit, provider, detail)
        except Refusal as refusal:
            return await self._told(visit, refusal, wanted, typed)

    async def callback(self, visit: Visit) -> Response:
        """Takes a person back, and in."""
        doors, waiting = self._doors()
        cookie = visit.request.cookies.get(pending_cookies.COOKIES["provider"])
        half = await waiting.take("provider", cookie)
        visit.cookies.append(pending_cookies.clear_cookie("provider", secure=visit.options.secure))
        here = visit.path.lower()
        provider = next((item for item in doors.providers.values() if item.provider.callback.lower() == here), None)
        detail: Mapping[str, str] = half.detail if half is not None else {}
        typed: dict[str, str] = msgspec.json.decode(detail.get("typed", "{}"), type=dict[str, str])
        wanted = detail.get("wanted", "/")
        try:
            if half is None or provider is None or detail["provider"] != provider.provider.name:
                raise Refusal("FC2008", "That took too long, or was begun elsewhere.", hint="Begin again.")
            departure = Departure("", detail["state"], detail["nonce"], detail["verifier"])
            vouched = await provider.arrive(visit.query, departure)
            if detail["connect"] == "1":
                session = visit.session
                if session is None or half.credential is None or session.credential.id != half.credential.id:
                    raise Refusal("FC2008", "You are not signed in any more.", hint="Sign in and begin again.")
                await doors.identities.connect(session.credential, provider.provider, vouched)
                await doors.admitted(int(detail["charge"]))
                return self._forms.go(visit, f"{CHANGE}?notice=provider-connected")
            invitation = await self._invited(visit, detail["invitation"])
            credential = await doors.identities.arrive(provider.provider, vouched, invitation)
            await doors.admitted(int(detail["charge"]))
        except Refusal as refusal:
            self._observer(Denied(Door.PORTAL, "anonymous", refusal.code, f"{visit.path} {refusal.detail}".strip()))
            return await self._told(visit, refusal, wanted, typed, detail.get("connect") == "1")
        name = provider.provider.name
        return await self._arriving.arrive(visit, credential, wanted, replay=typed, provider=name)

    async def change(self, visit: Visit) -> Response:
        """The identities that the account is connected with."""
        doors, _ = self._doors()
        session = visit.session
        if session is None:
            return self._forms.go(visit, f"/SignIn?returnUrl={CHANGE}")
        if visit.request.method != "POST":
            return await self._show(visit, session)
        posted = await self._forms.posted(visit)
        try:
            self._forms.require(visit, posted)
            if posted.get("step") == "disconnect":
                identity = posted.get("identity", "")
                if _UUID.fullmatch(identity):
                    await doors.identities.disconnect(session.credential, UUID(identity))
                return self._forms.go(visit, f"{CHANGE}?notice=provider-disconnected")
            provider = doors.providers.get(posted.get("provider", "").lower())
            if provider is None:
                raise Refusal("FC4042", "There is no such sign-in provider.")
            if session.credential.has_password:
                await self._proved(session, posted.get("current", ""), address_of(visit))
            return await self._leave(visit, provider, {"connect": "1"}, session)
        except Refusal as refusal:
            if refusal.code not in TOLD:
                raise
            return await self._show(visit, session, refusal)

    async def farewell(self, visit: Visit, name: str) -> Response | None:
        """The page that leads to the provider's own sign-out, for a session that it began; None where there is none."""
        found = self._entry.external
        provider = found.providers.get(name.lower()) if found is not None and name else None
        url = await provider.farewell() if provider is not None else ""
        if provider is None or not url:
            return None
        caption = provider.provider.caption
        return await self._forms.show(
            visit, "account/leaving.html", N_("You are signed out"), url=url, caption=caption, out=True
        )

    # ----------------------------------------------------------------------------------------------------------------

    def _doors(self) -> tuple[ExternalDoors, Pending]:
        if self._entry.external is None or self._entry.pending is None:
            raise Refusal("FC4042", "There are no sign-in providers here.")
        return self._entry.external, self._entry.pending

    async def _leave(
        self, visit: Visit, provider: Provider, detail: Mapping[str, str], session: Session | None = None
    ) -> Response:
        doors, waiting = self._doors()
        charge = await doors.charge(address_of(visit))
        departure = await provider.depart()
        given = {
            "connect": "",
            "invitation": "",
            "wanted": "/",
            "typed": "{}",
            **detail,
            "provider": provider.provider.name,
            "state": departure.state,
            "nonce": departure.nonce,
            "verifier": departure.verifier,
            "charge": str(charge),
        }
        value = await waiting.start("provider", given, session.credential if session is not None else None)
        visit.cookies.append(pending_cookies.set_cookie("provider", value, secure=visit.options.secure))
        caption = provider.provider.caption
        return await self._forms.show(
            visit, "account/leaving.html", N_("Sign-in at a provider"), url=departure.url, caption=caption, out=False
        )

    async def _invited(self, visit: Visit, code: str) -> UUID | None:
        if not code:
            return None
        if self._entry.invitations is None:
            raise Refusal("FC2006", "There are no invitations here.")
        return (await self._entry.invitations.peek(code, address_of(visit))).id

    async def _proved(self, session: Session, password: str, address: str) -> None:
        try:
            await self._accounts.sign_in(session.credential.username, password, address)
        except Refusal as refusal:
            raise about_current(refusal) from None

    async def _told(
        self, visit: Visit, refusal: Refusal, wanted: str, typed: Mapping[str, str], connecting: bool = False
    ) -> Response:
        if refusal.code not in TOLD:
            raise refusal
        if connecting and visit.session is not None:
            return await self._show(visit, visit.session, refusal)
        return await self._forms.show(
            visit,
            "sign_in.html",
            N_("Sign in"),
            refusal,
            return_url=wanted,
            username="",
            expired=False,
            replay=dict(typed),
            entry=self._entry,
        )

    async def _show(self, visit: Visit, session: Session, refusal: Refusal | None = None) -> Response:
        doors, _ = self._doors()
        credential = session.credential
        captions = {client.provider.name: client.provider.caption for client in doors.providers.values()}
        connected: list[dict[str, Any]] = [
            {
                "id": str(item.id),
                "caption": captions.get(item.provider, item.provider),
                "label": item.label,
                "used": moment_text(item.last_sign_in, visit.locales) if item.last_sign_in else "",
                "provider": item.provider,
            }
            for item in await doors.identities.list(credential)
        ]
        taken = {item["provider"] for item in connected}
        free = [(name, caption) for name, caption in captions.items() if name not in taken]
        return await self._forms.show(
            visit,
            "account/change_login.html",
            N_("Sign-in providers"),
            refusal,
            connected=connected,
            free=free,
            with_password=credential.has_password,
        )


def _kept(typed: Mapping[str, str]) -> str:
    """What was typed into a form before its session ended, unless it is too much to keep."""
    text = msgspec.json.encode(typed).decode()
    return text if len(text) <= _MOST_TYPED else "{}"
