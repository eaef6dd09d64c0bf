"""Everybody at once: all contacts with their web roles and mappings, all operations users, visitors.

For administrators' tools that ask about all identities (explain's reverse, audit). It takes a few statements, however
many people there are, and gives each the principal that a request of theirs would have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from forecourt.identity.contacts import Contacts
from forecourt.identity.principals import Principals, WebRoleBook, ambiguous, contact_of, unusable
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.principal import OperationsUser, Principal
from forecourt.security.explain import Asked
from forecourt.security.rules import PORTAL_USER
from forecourt.security.standing import Standing
from forecourt.store.database import Database

#: $1 the column of the mapping that holds the operations user's id. The same rows as for one contact (``principals``).
_CONTACTS: Final = """
with roles as (
    select contactid, array_agg(adx_webroleid) as ids from dataverse.adx_webrole_contact group by contactid
), account_roles as (
    select accountid, array_agg(adx_webroleid) as ids from dataverse.adx_webrole_account group by accountid
), mappings as (
    select m.msdyn_contactid, array_agg(to_jsonb(m) ->> $1) as users
    from dataverse.msdyn_externalportalusermapping m
    where (to_jsonb(m) ->> 'statecode') is distinct from '1'
    group by m.msdyn_contactid
)
select to_jsonb(c)::text as contact, to_jsonb(a)::text as account, roles.ids as roles,
    case when a.statecode = 0 then account_roles.ids end as account_roles, mappings.users as mappings
from dataverse.contact c
left join dataverse.account a on a.accountid = c.parentcustomerid
left join roles on roles.contactid = c.contactid
left join account_roles on account_roles.accountid = a.accountid
left join mappings on mappings.msdyn_contactid = c.contactid
where c.statecode = 0
"""


#: $1 a pattern, $2 how many.
_SEARCH: Final = """
select coalesce(fullname, '') as label, coalesce(emailaddress1, '') as email, contactid from dataverse.contact
where statecode = 0 and (emailaddress1 ilike $1 or fullname ilike $1) order by emailaddress1, contactid limit $2
"""


@dataclass(frozen=True)
class Person:
    """Somebody to choose. ``name``: what :meth:`People.find` takes; ``kind``: ``contact`` or ``user``."""

    name: str
    label: str
    kind: str


class Directory(Protocol):
    """All operations users."""

    async def everybody(self) -> list[OperationsUser]: ...

    async def get(self, user_id: str, fresh: bool = False) -> OperationsUser | None: ...


class Positions(Protocol):
    """What every user is in Dataverse."""

    async def everybody(self) -> Mapping[str, Standing]: ...


class People:
    """Lists identities. ``standings`` None: without Dataverse's tables of users."""

    def __init__(
        self,
        database: Database,
        users: Directory,
        web_roles: WebRoleBook,
        principals: Principals,
        standings: Positions | None = None,
        mapping_column: str = "msdyn_userid",
    ) -> None:
        self._database = database
        self._users = users
        self._web_roles = web_roles
        self._principals = principals
        self._standings = standings
        self._mapping_column = mapping_column

    async def users(self) -> list[OperationsUser]:
        """All operations users, by id."""
        return await self._users.everybody()

    async def standings(self) -> Mapping[str, Standing] | None:
        """What users are in Dataverse, by operations user id; None where the solution alone says it."""
        return await self._standings.everybody() if self._standings is not None else None

    async def contacts(self) -> list[Asked]:
        """All active contacts; one whose mapping is refused has no operations user and says why."""
        rows = await self._database.system(SystemPlan("list contacts", _CONTACTS, (self._mapping_column,)))
        users = {user.id: user for user in await self._users.everybody()}
        found = []
        for row in rows:
            contact = contact_of(row["contact"], row["account"])
            ids = [*(row["roles"] or ()), *(row["account_roles"] or ())]
            names = (self._web_roles.name_of(role) for role in ids)
            roles = frozenset(name for name in names if name is not None) | self._web_roles.authenticated
            user, fault = _mapped(row["mappings"] or [], users)
            principal = Principal() if fault is not None else Principal(contact, roles, user)
            found.append(Asked(contact.email or contact.name or str(contact.id), principal, fault))
        return found

    async def find(self, text: str) -> Asked:
        """One identity: a contact's e-mail or id, an operations user's id, or ``anonymous``.

        Raises Refusal FC4041 for nobody, FC1003 for an e-mail of several contacts.
        """
        if text == "anonymous":
            return await self.visitor()
        contacts = await Contacts(self._database).find(text)
        if len(contacts) > 1:
            raise Refusal("FC1003", f"Several contacts have the e-mail {text}.", hint="Give the contact's id.")
        if contacts:
            try:
                return Asked(text, await self._principals.for_contact(contacts[0]))
            except Refusal as refusal:
                return Asked(text, Principal(), refusal)
        user = await self._users.get(text, fresh=True)
        if user is None:
            raise Refusal("FC4041", f"'{text}' is neither a contact nor an operations user.")
        return Asked(user.id, Principal(operations_user=user))

    async def search(self, text: str, limit: int = 10) -> list[Person]:
        """People whose name, e-mail or id holds the text, contacts first."""
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        rows = await self._database.system(SystemPlan("search contacts", _SEARCH, (f"%{escaped}%", limit)))
        found = [Person(row["email"] or str(row["contactid"]), row["label"], "contact") for row in rows]
        wanted = text.casefold()
        users = [
            Person(user.id, user.name, "user")
            for user in await self._users.everybody()
            if any(wanted in part.casefold() for part in (user.id, user.name, user.email))
        ]
        return [*found, *users][: 2 * limit]

    async def visitor(self) -> Asked:
        """Somebody who has not signed in."""
        try:
            return Asked("anonymous", await self._principals.anonymous())
        except Refusal as refusal:
            return Asked("anonymous", Principal(), refusal)


def _mapped(
    mappings: list[str | None], users: Mapping[str, OperationsUser]
) -> tuple[OperationsUser | None, Refusal | None]:
    if len(mappings) > 1:
        return None, ambiguous()
    user = users.get(mappings[0] or "") if mappings else None
    if user is None or not user.enabled:
        return None, None
    refusal = unusable(user, PORTAL_USER)
    return (None, refusal) if refusal is not None else (user, None)
