"""The identities of an opened solution: everybody from outside, and as whom database roles read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from uuid import UUID

from forecourt.app import Forecourt
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Contact, Principal
from forecourt.security.audit import Identity
from forecourt.security.rules import BASIC_USER
from forecourt.security.standing import Standing

#: What every user is in Dataverse, by operations user id; None where the solution alone says it.
Standings = Mapping[str, Standing] | None

#: Contacts that are resolved at once.
AT_ONCE = 4

ANONYMOUS = "anonymous visitors"
REGISTERED = "anybody who registers"


async def identities(forecourt: Forecourt, progress: Callable[[int], None] = lambda done: None) -> list[Identity]:
    """Mapped contacts, external users without a contact, visitors, and somebody who has just registered.

    Each is resolved as a request of theirs would resolve it, with the security roles that files and rows give.
    """
    found: list[Identity] = []
    standings = await forecourt.people.standings()
    pairs = await forecourt.contacts.mapped()
    turn = asyncio.Semaphore(AT_ONCE)

    async def mapped(contact: UUID, user: str) -> Identity:
        async with turn:
            identity = await _mapped(forecourt, contact, user, standings)
            progress(1)
            return identity

    for start in range(0, len(pairs), 1000):
        found += await asyncio.gather(*(mapped(*pair) for pair in pairs[start : start + 1000]))
    known = {user for _, user in pairs}
    for user in await forecourt.users.external():
        if user.id not in known:
            direct = Principal(operations_user=user)
            found.append(_standing(forecourt, Identity(user.id, direct, sort="external"), standings))
    found.append(await _visitor(forecourt, standings))
    site = forecourt.definitions.site
    if site is not None:
        newcomer = Contact(UUID(int=0), REGISTERED, "")
        portal = Principal(contact=newcomer, web_roles=site.web_roles.authenticated)
        found.append(Identity(REGISTERED, None, portal, sort="registered"))
    return found


async def readers(forecourt: Forecourt, logins: Iterable[tuple[str, str]], known: Iterable[Identity]) -> list[Identity]:
    """Users of our own as whom database roles read. ``logins``: pairs (role, user); who is known is left out."""
    there = {identity.user.id for identity in known if identity.user is not None}
    found = []
    for role, user_id in logins:
        user = await forecourt.users.get(user_id, fresh=True)
        if user is not None and user_id not in there:
            found.append(Identity(f"{user_id} (database role {role})", Principal(operations_user=user), sort="sql"))
    return found


async def _mapped(forecourt: Forecourt, contact: UUID, user_id: str, standings: Standings) -> Identity:
    try:
        portal = await forecourt.principals.for_contact(contact)
    except Refusal as refusal:
        return Identity(f"{user_id} (contact {contact})", fault=refusal)
    user = portal.operations_user
    direct = Principal(operations_user=user) if user is not None else None
    return _standing(forecourt, Identity(f"{portal.label} ({user_id})", direct, portal), standings)


async def _visitor(forecourt: Forecourt, standings: Standings) -> Identity:
    try:
        visitor = await forecourt.principals.anonymous()
    except Refusal as refusal:
        return Identity(ANONYMOUS, fault=refusal, sort="anonymous")
    user = visitor.operations_user
    direct = Principal(operations_user=user) if user is not None else None
    return _standing(forecourt, Identity(ANONYMOUS, direct, visitor, sort="anonymous"), standings)


def _standing(forecourt: Forecourt, identity: Identity, standings: Standings) -> Identity:
    """The identity with what its user is in Dataverse: by rows, or, for who has no row yet, by the files alone."""
    user = identity.user
    if user is None or identity.direct is None or not user.enabled:
        return identity
    standing = (standings or {}).get(user.id)
    if standing is None:
        roles = forecourt.definitions.rules.dataverse.users.get(user.id, frozenset()) | {BASIC_USER}
        standing = Standing(roles=roles)
    direct = replace(identity.direct, security_roles=standing.roles, dataverse_user=standing.user)
    return replace(identity, direct=direct, standing=standing.values)
