"""What the portal needs of others, as protocols: sessions, accounts, principals, Web API requests.

Rows come through :class:`forecourt.dataverse.rows.Rows`. The classes of ``identity`` fit the first three as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from forecourt.dataverse.tables import Table
from forecourt.kernel.predicate import Predicate
from forecourt.kernel.principal import Door, Principal

if TYPE_CHECKING:
    from forecourt.identity.accounts import Credential
    from forecourt.identity.invitations import Invitation
    from forecourt.identity.links import Link
    from forecourt.identity.pending import Half, Purpose
    from forecourt.identity.providers.client import Departure, Vouched
    from forecourt.identity.providers.definitions import Provider as ProviderDefinition
    from forecourt.identity.providers.identities import ExternalIdentity
    from forecourt.identity.registration import Applicant
    from forecourt.identity.second_factor import Enrolment
    from forecourt.identity.sessions import Device, Session
    from forecourt.security.fetches import FetchedPage

#: Headers of an answer, in order; a name may occur more than once.
Headers = tuple[tuple[str, str], ...]

#: The filter of a view (OData text over the table's columns) as a predicate and the values of its slots.
ViewFilter = Callable[[Table, str], tuple[Predicate, tuple[object, ...]]]


class Sessions(Protocol):
    """Signed-in browsers. ``identity.sessions.Sessions``."""

    async def start(
        self,
        credential: Credential,
        *,
        previous: str | None = None,
        persistent: bool = False,
        user_agent: str = "",
        proved: bool = False,
        provider: str = "",
    ) -> Session:
        """A new session for a person who has just been proved; the browser's old one ends. Raises Refusal FC2007 for
        an account with a second factor, unless that is ``proved``, too."""
        ...

    async def load(self, cookie: str | None) -> Session | None:
        """The session that the cookie names, None when there is none or no longer."""
        ...

    async def whose(self, cookie: str | None) -> UUID | None:
        """The account of a session that may have expired; None where it is not known any more."""
        ...

    async def sign_out(self, cookie: str | None) -> None:
        """Ends the session."""
        ...

    async def list(self, session: Session) -> tuple[Device, ...]:
        """All sessions of the account, this one first."""
        ...

    async def end(self, credential_id: UUID, handle: str) -> None:
        """Ends one session of an account."""
        ...

    async def end_others(self, session: Session) -> None:
        """Ends all sessions of the account but this one."""
        ...

    async def sign_out_everywhere(self, credential_id: UUID) -> None:
        """Ends all sessions of an account."""
        ...


class Accounts(Protocol):
    """Local accounts. ``identity.accounts.Accounts``."""

    async def sign_in(self, username: str, password: str, address: str) -> Credential:
        """The account behind a name and a password. Raises Refusal FC2001, or FC2004 (too many failures)."""
        ...

    async def change_password(self, username: str, current: str, new: str, address: str) -> Credential:
        """A person's own change, which ends all sessions. Raises Refusal as sign_in, FC1003 for the new password."""
        ...


class Registration(Protocol):
    """Open registration by e-mail. ``identity.registration.Registration``."""

    async def ask(self, email: str, address: str, language: str, invitation: UUID | None = None) -> None:
        """Writes to the address; the answer is the same whoever that is. Raises Refusal FC1003, FC2004."""
        ...

    async def peek(self, code: str) -> Link:
        """The registration that a link leads to. Raises Refusal FC2006."""
        ...

    async def complete(self, code: str, applicant: Applicant, password: str) -> Credential:
        """Makes the contact and its account. Raises Refusal FC2006, FC1003."""
        ...


class Invitations(Protocol):
    """Invitations. ``identity.invitations.Invitations``."""

    async def peek(self, code: str, address: str) -> Invitation:
        """The invitation that a code names. Raises Refusal FC2006, FC2004."""
        ...

    async def accept(self, invitation: Invitation, password: str) -> Credential:
        """An account for the contact who is invited. Raises Refusal FC2006, FC1003."""
        ...

    async def join(self, invitation: Invitation, credential: Credential) -> None:
        """Redeems it for somebody who is signed in. Raises Refusal FC2006."""
        ...


class Recovery(Protocol):
    """Forgotten passwords. ``identity.recovery.Recovery``."""

    async def ask(self, email: str, address: str, language: str) -> None:
        """Sends a link where an account has this address. Raises Refusal FC1003, FC2004."""
        ...

    async def peek(self, code: str) -> Link:
        """The account that a link leads to. Raises Refusal FC2006."""
        ...

    async def complete(self, code: str, password: str, language: str) -> Credential:
        """Sets the password. Raises Refusal FC2006, FC1003."""
        ...

    async def change(self, username: str, current: str, new: str, address: str, language: str) -> Credential:
        """A new password after a proof of the current one, with a letter about it. Raises Refusal FC1003, FC2001."""
        ...


class SecondFactors(Protocol):
    """Codes beside a password. ``identity.second_factor.SecondFactors``."""

    async def enrol(self, credential: Credential) -> Enrolment:
        """A secret, as yet without effect. Raises Refusal FC4091."""
        ...

    async def confirm(self, credential: Credential, code: str) -> tuple[Credential, tuple[str, ...]]:
        """Puts it into effect; gives the account, whose other sessions have ended, and recovery codes.

        Raises Refusal FC2007, FC4091."""
        ...

    async def codes_left(self, credential: Credential) -> int:
        """Recovery codes that are not used."""
        ...

    async def renew_codes(self, credential: Credential) -> tuple[str, ...]:
        """New recovery codes in place of the earlier ones."""
        ...

    async def turn_off(self, credential: Credential) -> Credential:
        """Takes the second factor away."""
        ...

    async def prove(self, credential: Credential, code: str, address: str) -> None:
        """Uses a code up. Raises Refusal FC2007, FC2004."""
        ...

    async def trust(self, credential: Credential) -> str:
        """The cookie of a browser that is not asked again."""
        ...

    async def trusts(self, credential: Credential, value: str | None) -> bool:
        """Whether a browser with this cookie is not asked."""
        ...


class Pending(Protocol):
    """Sign-ins that wait for their second half. ``identity.pending.Pending``."""

    async def start(self, purpose: Purpose, detail: Mapping[str, str], credential: Credential | None = None) -> str:
        """Keeps a half; gives the cookie's value."""
        ...

    async def peek(self, purpose: Purpose, value: str | None) -> Half | None:
        """The half that a cookie names, which stays."""
        ...

    async def take(self, purpose: Purpose, value: str | None) -> Half | None:
        """The half that a cookie names, which is gone then."""
        ...


class Provider(Protocol):
    """A sign-in provider that is spoken to. ``identity.providers.client.ProviderClient``."""

    @property
    def provider(self) -> ProviderDefinition: ...

    async def depart(self) -> Departure:
        """Begins a sign-in. Raises Refusal FC2008."""
        ...

    async def arrive(self, answer: Mapping[str, str], departure: Departure) -> Vouched:
        """Whom it vouches for, from the query it answers with. Raises Refusal FC2008."""
        ...

    async def farewell(self) -> str:
        """Where a person signs out there, too; '' for nowhere."""
        ...


class Identities(Protocol):
    """Whom providers vouch for. ``identity.providers.identities.ExternalIdentities``."""

    async def arrive(
        self, provider: ProviderDefinition, vouched: Vouched, invitation: UUID | None = None
    ) -> Credential:
        """The account of somebody, made where the rules let it be. Raises Refusal FC2009, FC2006."""
        ...

    async def connect(self, credential: Credential, provider: ProviderDefinition, vouched: Vouched) -> None:
        """Connects an account. Raises Refusal FC4091."""
        ...

    async def list(self, credential: Credential) -> tuple[ExternalIdentity, ...]:
        """The identities of an account."""
        ...

    async def disconnect(self, credential: Credential, identity: UUID) -> None:
        """Takes one away. Raises Refusal FC4091."""
        ...


@dataclass(frozen=True)
class ExternalDoors:
    """The providers by their names in lower case, and the identities they vouch for. ``throttle`` counts who begins and
    does not come back."""

    providers: Mapping[str, Provider]
    identities: Identities
    throttle: Counting

    async def charge(self, address: str) -> int:
        """Counts one that begins. Raises Refusal FC2004."""
        return await self.throttle.charge(address)

    async def admitted(self, charge: int) -> None:
        """It came to its end."""
        await self.throttle.refund(charge)


class Counting(Protocol):
    """Attempts by address. ``identity.throttle.Throttle``."""

    async def charge(self, address: str) -> int: ...

    async def refund(self, charge: int) -> None: ...


@dataclass(frozen=True)
class Entry:
    """The ways in beside a password that is known; None for one that is closed. ``open``: anybody may register;
    ``two_factor``: people may protect their account by codes, and ``trust`` their browser; ``factors`` and ``pending``
    None: an account with a second factor does not get in at all."""

    local: bool = True
    remember: bool = True
    open: bool = False
    registration: Registration | None = None
    recovery: Recovery | None = None
    invitations: Invitations | None = None
    two_factor: bool = False
    trust: bool = True
    factors: SecondFactors | None = None
    pending: Pending | None = None
    external: ExternalDoors | None = None


class Principals(Protocol):
    """Who is asking, with all roles resolved. ``identity.principals.Principals``."""

    async def for_credential(self, credential: Credential) -> Principal:
        """The person behind a session. Raises Refusal FC2001, FC3002 or FC3003 when it may not act."""
        ...

    async def anonymous(self) -> Principal:
        """A visitor who is not signed in."""
        ...


class FormSessions(Protocol):
    """Where people are in forms of several steps. ``store.form_sessions.FormSessions``."""

    async def load(self, session_id: UUID, form: UUID) -> tuple[bytes, str, int] | None:
        """Owner, state and version of a session of ``form``; None where there is none."""
        ...

    async def latest(self, owner: bytes, form: UUID, subject: str, finished: bool) -> UUID | None:
        """The session of ``owner`` that was used last, among those that are finished or not."""
        ...

    async def begin(self, session_id: UUID, owner: bytes, form: UUID, subject: str, single: bool, state: str) -> bool:
        """Keeps a new session; False where there is one of this id, or another of a form that is sent once."""
        ...

    async def save(self, session_id: UUID, owner: bytes, state: str, finished: bool, version: int) -> bool:
        """Keeps a session that was loaded with ``version``; False where it has changed meanwhile, or is no more."""
        ...

    async def drop(self, session_id: UUID, owner: bytes) -> None:
        """Ends a session of ``owner``."""
        ...


class Fetching(Protocol):
    """Rows by FetchXML, at the portal's door. ``security.fetches.Fetches``."""

    async def page(self, principal: Principal, text: str) -> FetchedPage:
        """The rows of a fetch that the person may read. Raises Refusal FC1001-FC1005, FC1007, FC3001."""
        ...


class TextRanking(Protocol):
    """Texts of pages by how well they fit a search. ``store.page_texts.PageTexts``."""

    async def ranked(
        self, titles: Sequence[str], bodies: Sequence[str], words: Sequence[str]
    ) -> tuple[tuple[int, float], ...]:
        """Places of the texts that fit all words, with their rank, the best first."""
        ...


class DataverseRequests(Protocol):
    """Requests of the Dataverse protocol, answered as (status, headers, body) with Dataverse's error shape.

    ``raw_path`` begins behind the service root (``accounts(…)``); ``raw_query`` is undecoded. Under
    ``Door.PORTAL_API`` table permissions and the ``Webapi/`` settings decide.
    """

    async def get(
        self, principal: Principal, raw_path: bytes, raw_query: bytes, headers: Mapping[str, str], door: Door
    ) -> tuple[int, Headers, bytes]:
        """A read of a set or of a row."""
        ...

    async def change(
        self,
        principal: Principal,
        method: str,
        raw_path: bytes,
        raw_query: bytes,
        headers: Mapping[str, str],
        body: bytes,
    ) -> tuple[int, Headers, bytes]:
        """POST, PATCH, PUT or DELETE: a row created, changed, bound to another, deleted."""
        ...
