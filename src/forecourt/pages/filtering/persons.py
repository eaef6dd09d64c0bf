"""Lists of the asking person's own rows, or of their account's: ``adx_filterportaluser``, ``adx_filteraccount``.

With both the person chooses, by ``?filter=user`` or ``?filter=account``; their own rows come first. Who is not signed
in, or has no account, has no rows of their own; neither has anybody by a column that they may not read. It narrows what
permissions leave, and stands for none of them. Source: pages-and-dataverse A4.3.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from forecourt.dataverse.tables import Table
from forecourt.kernel.predicate import FALSE, TRUE, Compare, Field, Predicate, Slot
from forecourt.kernel.principal import Principal
from forecourt.kernel.types import Kind

PARAMETER = "filter"
PERSON, ACCOUNT = "user", "account"


def ways(person_column: str, account_column: str) -> tuple[str, ...]:
    """By whom a list may be limited: of ``user`` and ``account`` those that it names a column for."""
    named = ((PERSON, person_column), (ACCOUNT, account_column))
    return tuple(way for way, column in named if column)


def own_rows(
    table: Table, principal: Principal, way: str, column: str, readable: Collection[str]
) -> tuple[Predicate, tuple[object, ...]]:
    """The rows of the person (``way`` user) or of their account by a column; all without a way."""
    if not way:
        return TRUE, ()
    found = table.column(column)
    contact = principal.contact
    own: UUID | None = None
    if contact is not None:
        own = contact.id if way == PERSON else contact.account
    if found is None or found.name not in readable or own is None:
        return FALSE, ()
    return Compare("eq", Field((found.name,)), Slot(0, Kind.GUID)), (own,)
