"""What the portal needs of others, as protocols: sessions, accounts, principals, Web API requests.

Rows come through :class:`forecourt.dataverse.rows.Rows`. The classes of ``identity`` fit the first three as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from forecourt.dataverse.tables import Table
from forecourt.kernel.predicate import Predicate
from forecourt.kernel.principal import Door, Principal

if TYPE_CHECKING:
    from forecourt.identity.accounts import Credential
    from forecourt.identity.sessions import Session
    from forecourt.security.fetches import FetchedPage

#: Headers of an answer, in order; a name may occur more than once.
Headers = tuple[tuple[str, str], ...]

#: The filter of a view (OData text over the table's columns) as a predicate and the values of its slots.
ViewFilter = Callable[[Table, str], tuple[Predicate, tuple[object, ...]]]


class Sessions(Protocol):
    """Signed-in browsers. ``identity.sessions.Sessions``."""

    async def start(
        self, credential: Credential, *, previous: str | None = None, persistent: bool = False, user_agent: str = ""
    ) -> Session:
        """A new session for an account whose password has just been proved; the browser's old one ends."""
        ...

    async def load(self, cookie: str | None) -> Session | None:
        """The session that the cookie names, None when there is none or no longer."""
        ...

    async def sign_out(self, cookie: str | None) -> None:
        """Ends the session."""
        ...


class Accounts(Protocol):
    """Local accounts. ``identity.accounts.Accounts``."""

    async def sign_in(self, username: str, password: str, address: str) -> Credential:
        """The account behind a name and a password. Raises Refusal FC2001, or FC2004 (too many failures)."""
        ...


class Principals(Protocol):
    """Who is asking, with all roles resolved. ``identity.principals.Principals``."""

    async def for_credential(self, credential: Credential) -> Principal:
        """The person behind a session. Raises Refusal FC2001, FC3002 or FC3003 when it may not act."""
        ...

    async def anonymous(self) -> Principal:
        """A visitor who is not signed in."""
        ...


class Fetching(Protocol):
    """Rows by FetchXML, at the portal's door. ``security.fetches.Fetches``."""

    async def page(self, principal: Principal, text: str) -> FetchedPage:
        """The rows of a fetch that the person may read. Raises Refusal FC1001-FC1005, FC1007, FC3001."""
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
