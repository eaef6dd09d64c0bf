"""The identities of an opened solution: everybody from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from forecourt.app import Forecourt
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Contact, Principal
from forecourt.security.audit import Identity
from forecourt.security.rules import BASIC_USER

#: Contacts that are resolved at once.
AT_ONCE = 4

ANONYMOUS = "anonymous visitors"
REGISTERED = "anybody who registers"


async def identities(forecourt: Forecourt, progress: Callable[[int], None] = lambda done: None) -> list[Identity]:
    """Mapped contacts, external users without a contact, visitors, and somebody who has just registered.

    Each is resolved as a request of theirs would resolve it.
    """
    found: list[Identity] = []
    pairs = await forecourt.contacts.mapped()
    turn = asyncio.Semaphore(AT_ONCE)

    async def mapped(contact: UUID, user: str) -> Identity:
        async with turn:
            identity = await _mapped(forecourt, contact, user)
            progress(1)
            return identity

    for start in range(0, len(pairs), 1000):
        found += await asyncio.gather(*(mapped(*pair) for pair in pairs[start : start + 1000]))
    known = {user for _, user in pairs}
    for user in await forecourt.users.external():
        if user.id not in known:
            direct = Principal(operations_user=user)
            found.append(_standing(forecourt, Identity(user.id, direct, sort="external")))
    found.append(await _visitor(forecourt))
    site = forecourt.definitions.site
    if site is not None:
        newcomer = Contact(UUID(int=0), REGISTERED, "")
        portal = Principal(contact=newcomer, web_roles=site.web_roles.authenticated)
        found.append(Identity(REGISTERED, None, portal, sort="registered"))
    return found


async def _mapped(forecourt: Forecourt, contact: UUID, user_id: str) -> Identity:
    try:
        portal = await forecourt.principals.for_contact(contact)
    except Refusal as refusal:
        return Identity(f"{user_id} (contact {contact})", fault=refusal)
    user = portal.operations_user
    direct = Principal(operations_user=user) if user is not None else None
    return _standing(forecourt, Identity(f"{portal.label} ({user_id})", direct, portal))


async def _visitor(forecourt: Forecourt) -> Identity:
    try:
        visitor = await forecourt.principals.anonymous()
    except Refusal as refusal:
        return Identity(ANONYMOUS, fault=refusal, sort="anonymous")
    user = visitor.operations_user
    direct = Principal(operations_user=user) if user is not None else None
    return _standing(forecourt, Identity(ANONYMOUS, direct, visitor, sort="anonymous"))


def _standing(forecourt: Forecourt, identity: Identity) -> Identity:
    """The identity with the security roles that the solution gives to its user."""
    user = identity.user
    if user is None or identity.direct is None or not user.enabled:
        return identity
    roles = forecourt.definitions.rules.dataverse.users.get(user.id, frozenset()) | {BASIC_USER}
    return replace(identity, direct=replace(identity.direct, security_roles=roles))
