"""A crowd for ``forecourt bench audit``: people behind vendors and customers of the sample company who have none yet.

Each is a contact with an account, a web role and a mapping to an operations user, who is a contact person of one vendor
or customer, as the sample's own people are. Everything is made by the database, from the rows of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from forecourt.store.database import Database

#: Of each sort of people: the table of their accounts, the prefix of their ids, role, web role, kind of account.
SORTS: Final = (
    ("vendtable", "bv", "VendVendorExternal", "Vendors", 11),
    ("custtable", "bc", "CustCustomerExternal", "Customer representatives", 3),
)

_PEOPLE: Final = """
create temporary table crowd on commit drop as
select row_number() over (order by t.recid) as n, t.recid, t.dataareaid, t.accountnum, t.party,
    '{prefix}-' || t.recid as user_, {first}::bigint + row_number() over (order by t.recid) as person,
    md5('{prefix}/contact/' || t.recid)::uuid as contact, md5('{prefix}/account/' || t.recid)::uuid as account
from erp.{table} t
where not exists (
    select from erp.contactperson c where c.contactforparty = t.party and c.dataareaid = t.dataareaid)
order by t.recid limit {count};
"""

_ERP: Final = """
insert into erp.userinfo (id, name, email, enable, company, language, externaluser)
select user_, user_, user_ || '@crowd.example', 1, dataareaid, 'en-us', 1 from crowd;
insert into erp.securityuserrole (user_, role)
select user_, role from crowd,
    unnest(array['{role}', 'SystemExternalUser', 'CDSVirtualEntityAuthenticatedPortalUser']) as role;
insert into erp.securityuserroleorganization (user_, role, dataareaid)
select user_, role, dataareaid from crowd,
    unnest(array['{role}', 'SystemExternalUser', 'CDSVirtualEntityAuthenticatedPortalUser']) as role;
insert into erp.dirpersonuser (recid, user_, personparty) select person, user_, person from crowd;
insert into erp.contactperson (recid, dataareaid, contactpersonid, party, contactforparty, inactive)
select person, dataareaid, 'CP-' || user_, person, party, 0 from crowd;
"""

_DATAVERSE: Final = """
insert into dataverse.account (accountid, name, accountnumber, msdyn_company, msdyn_companycode, customertypecode)
select c.account, c.user_, c.accountnum, k.msdyn_company, c.dataareaid, {kind} from crowd c
join (select distinct msdyn_company, msdyn_companycode from dataverse.account) k on k.msdyn_companycode = c.dataareaid;
insert into dataverse.contact (contactid, firstname, lastname, fullname, emailaddress1, parentcustomerid)
select contact, user_, 'Crowd', user_, user_ || '@crowd.example', account from crowd;
insert into dataverse.adx_webrole_contact (contactid, adx_webroleid)
select contact, (select adx_webroleid from dataverse.adx_webrole_contact r
    join dataverse.msdyn_externalportalusermapping m on m.msdyn_contactid = r.contactid
    where m.msdyn_userid = '{somebody}') from crowd;
insert into dataverse.msdyn_externalportalusermapping (msdyn_contactid, msdyn_userid) select contact, user_ from crowd;
"""

#: One of the sample's own people of each sort.
_SOMEBODY = {"bv": "v-us-101", "bc": "c-us-00001"}


async def populate(database: Database, people: int) -> int:
    """As many people as are asked for, half of them of each sort as far as there are accounts. Returns how many."""
    made = 0
    for table, prefix, role, _, kind in SORTS:
        wanted = people // 2 if prefix == "bv" else people - made
        values = {
            "table": table,
            "prefix": prefix,
            "role": role,
            "kind": kind,
            "count": wanted,
            "first": 6_000_000_000 + made,
            "somebody": _SOMEBODY[prefix],
        }
        async with database.transaction("make a crowd") as tx:
            for script in _scripts(values):
                await tx.execute(script)
            made += int(await tx.value("select count(*) from crowd"))
    await database.script("statistics for the planner", "analyze")
    return made


def _scripts(values: dict[str, object]) -> Iterator[str]:
    for script in (_PEOPLE, _ERP, _DATAVERSE):
        yield script.format(**values)
