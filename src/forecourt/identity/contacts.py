"""Contacts and their mappings, listed for administrators' tools: audit, explain, user management."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

_MAPPED: Final = """
select m.msdyn_contactid, m.msdyn_userid from dataverse.msdyn_externalportalusermapping m
join dataverse.contact c on c.contactid = m.msdyn_contactid and c.statecode = 0
where m.statecode = 0 order by m.msdyn_userid, m.msdyn_contactid
"""

_WEB_ROLES: Final = """
select adx_webroleid from dataverse.adx_webrole_contact union select adx_webroleid from dataverse.adx_webrole_account
"""

_FIND: Final = """
select contactid from dataverse.contact
where statecode = 0 and (lower(emailaddress1) = lower($1) or contactid::text = lower($1)) limit 2
"""


class Contacts:
    """Looks contacts up in the Dataverse database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mapped(self) -> list[tuple[UUID, str]]:
        """Active contacts with the operations user each is mapped to."""
        rows = await self._database.system(SystemPlan("list portal mappings", _MAPPED))
        return [(UUID(str(contact)), str(user)) for contact, user in rows]

    async def web_roles(self) -> frozenset[UUID]:
        """The web roles that some contact or account has."""
        rows = await self._database.system(SystemPlan("list web roles in use", _WEB_ROLES))
        return frozenset(UUID(str(row[0])) for row in rows)

    async def find(self, text: str) -> list[UUID]:
        """The active contacts with this e-mail or id; two where it is ambiguous."""
        rows = await self._database.system(SystemPlan("find a contact", _FIND, (text,)))
        return [UUID(str(row[0])) for row in rows]
