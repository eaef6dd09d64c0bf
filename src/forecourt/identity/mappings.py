"""Mappings: as which operations user a contact acts (operations-and-integration 3.1).

The statement alone; who may be mapped is decided by whoever maps.
"""

from __future__ import annotations

from typing import Final

#: Maps contact $1 to operations user $2. An inactive mapping of the contact is taken over; an active one stays, and no
#: row comes back.
MAP_CONTACT: Final = """
insert into dataverse.msdyn_externalportalusermapping
    (msdyn_externalportalusermappingid, msdyn_contactid, msdyn_userid)
values (gen_random_uuid(), $1, $2)
on conflict (msdyn_contactid) do update
set msdyn_userid = excluded.msdyn_userid, statecode = 0, statuscode = 1, modifiedon = now()
where msdyn_externalportalusermapping.statecode = 1
returning msdyn_userid
"""
