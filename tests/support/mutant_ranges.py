"""The sample company and AdventureWorks, with rows that make weakened rules visible.

Of the sample company a few people of each kind stay, so that a mutant takes seconds. Added are: contact persons that
are inactive, a party that is a vendor of two legal entities, a user who is a contact person in a legal entity in which
its role does not count, users whose roles count everywhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from forecourt.kernel.relation import TableName
from forecourt.store.embedded import EmbeddedServer
from support import adventureworks, contoso
from support.mutants import Mutant, Range, accounts, mappings, rules
from support.server import Installation

#: Whom the sample company keeps.
KEPT = (
    "v-us-101",
    "v-us-102",
    "v-de-101",
    "v-fr-101",
    "v-common-1-usmf",
    "v-common-1-demf",
    "c-us-00001",
    "c-us-00002",
    "c-de-00001",
    "c-common-1-usmf",
    "c-common-1-demf",
    "w-000001",
    "w-000002",
)

#: Users whose roles count in every legal entity.
EVERYWHERE = ("v-us-101", "v-common-1-usmf", "c-us-00001", "c-common-1-usmf")

#: Ids of the rows that are added begin here.
_FIRST = 5_900_000_000

_ADDED = f"""
delete from erp.securityuserroleorganization where user_ in ({", ".join(repr(user) for user in EVERYWHERE)});
-- contact persons of somebody else's party who are no longer active
insert into erp.contactperson (recid, dataareaid, contactpersonid, party, contactforparty, inactive)
select {_FIRST} + row_number() over (), o.dataareaid, 'CP-OLD-' || row_number() over (), u.personparty, o.party, 1
from erp.dirpersonuser u
join erp.contactperson c on c.party = u.personparty
cross join lateral (
    select v.dataareaid, v.party from erp.vendtable v
    where u.user_ like 'v-%' and v.dataareaid = c.dataareaid and v.party <> c.contactforparty
    order by exists (select from erp.purchtable p where p.orderaccount = v.accountnum and p.dataareaid = v.dataareaid)
        desc, v.recid limit 1) o
where u.user_ in ('v-us-101', 'v-de-101')
union all
select {_FIRST} + 50 + row_number() over (), o.dataareaid, 'CP-OLD-C' || row_number() over (), u.personparty, o.party, 1
from erp.dirpersonuser u
join erp.contactperson c on c.party = u.personparty
cross join lateral (
    select v.dataareaid, v.party from erp.custtable v
    where u.user_ like 'c-%' and v.dataareaid = c.dataareaid and v.party <> c.contactforparty
    order by exists (select from erp.salestable p where p.custaccount = v.accountnum and p.dataareaid = v.dataareaid)
        desc, v.recid limit 1) o
where u.user_ in ('c-us-00001', 'c-de-00001');
-- the party of the first vendor and of the first customer trade with another legal entity as well
update erp.vendtable set party = (
    select c.contactforparty from erp.dirpersonuser u join erp.contactperson c on c.party = u.personparty
    where u.user_ = 'v-us-101' and c.inactive = 0 limit 1)
where recid = (
    select v.recid from erp.vendtable v where v.dataareaid = 'demf' and v.accountnum like 'DE-%'
    and exists (select from erp.purchtable p where p.orderaccount = v.accountnum and p.dataareaid = v.dataareaid)
    order by v.recid desc limit 1);
update erp.custtable set party = (
    select c.contactforparty from erp.dirpersonuser u join erp.contactperson c on c.party = u.personparty
    where u.user_ = 'c-us-00001' and c.inactive = 0 limit 1)
where recid = (
    select v.recid from erp.custtable v where v.dataareaid = 'demf' and v.accountnum like 'DE-%'
    and exists (select from erp.salestable p where p.custaccount = v.accountnum and p.dataareaid = v.dataareaid)
    order by v.recid desc limit 1);
-- contact persons in a legal entity in which the user's role does not count
insert into erp.contactperson (recid, dataareaid, contactpersonid, party, contactforparty, inactive)
select {_FIRST} + 100, 'usmf', 'CP-FAR-1', u.personparty, v.party, 0
from erp.dirpersonuser u, lateral (
    select party from erp.vendtable v where dataareaid = 'usmf'
    and exists (select from erp.purchtable p where p.orderaccount = v.accountnum and p.dataareaid = v.dataareaid)
    order by recid offset 3 limit 1) v
where u.user_ = 'v-fr-101'
union all
select {_FIRST} + 101, 'usmf', 'CP-FAR-2', u.personparty, v.party, 0
from erp.dirpersonuser u, lateral (
    select party from erp.custtable v where dataareaid = 'usmf'
    and exists (select from erp.salestable p where p.custaccount = v.accountnum and p.dataareaid = v.dataareaid)
    order by recid offset 3 limit 1) v
where u.user_ = 'c-de-00001';
analyze erp.contactperson; analyze erp.vendtable; analyze erp.custtable
"""


_PEOPLE = """
select m.msdyn_contactid::text, m.msdyn_userid, c.parentcustomerid::text
from dataverse.msdyn_externalportalusermapping m join dataverse.contact c on c.contactid = m.msdyn_contactid
order by m.msdyn_userid
"""


async def extend(site: Installation) -> None:
    """Keeps a few people of the sample company and adds what makes mutants visible."""
    await site.dataverse(
        "delete from dataverse.msdyn_externalportalusermapping where not (msdyn_userid = any($1))", list(KEPT)
    )
    await site.sql(
        "delete from erp.securityuserrole where role = 'SystemExternalUser' and not (user_ = any($1)) "
        "and user_ <> 'portal.anonymous'",
        list(KEPT),
    )
    await site.forecourt.databases.operations.script("rows that make mutants visible", _ADDED)


@asynccontextmanager
async def contoso_range(server: EmbeddedServer, folder: Path) -> AsyncIterator[tuple[Range, list[Mutant]]]:
    """The sample company with its copies, and all its mutants."""
    async with contoso.copied_site(server) as site:
        await extend(site)
        found = await Range.open(contoso.ROOT, site.forecourt.databases, folder)
        people = await site.dataverse(_PEOPLE)
        mutants = [*rules(contoso.ROOT), *mappings([(row[0], row[1]) for row in people], "admin")]
        mutants += accounts([(row[0], row[1], row[2]) for row in people if row[2]])
        mutants += [_everywhere(user) for user in KEPT if user not in EVERYWHERE]
        yield found, mutants


@asynccontextmanager
async def adventureworks_range(server: EmbeddedServer, folder: Path) -> AsyncIterator[tuple[Range, list[Mutant]]]:
    """AdventureWorks, attached, and all its mutants."""
    async with adventureworks.adventureworks_site(server) as site:
        found = await Range.open(adventureworks.ROOT, site.forecourt.databases, folder)
        people = await site.dataverse(_PEOPLE)
        mutants = [*rules(adventureworks.ROOT), *mappings([(row[0], row[1]) for row in people], "admin")]
        mutants += accounts([(row[0], row[1], row[2]) for row in people if row[2]])
        yield found, mutants


def _everywhere(user: str) -> Mutant:
    """The user's roles count in every legal entity."""
    return Mutant(
        "legal entities widened",
        user,
        do=(
            (
                "operations",
                f"create table erp.kept as select * from erp.securityuserroleorganization where user_ = '{user}'; "
                f"delete from erp.securityuserroleorganization where user_ = '{user}'",
            ),
        ),
        undo=(
            ("operations", "insert into erp.securityuserroleorganization select * from erp.kept; drop table erp.kept"),
        ),
        tables=frozenset({TableName("erp", "securityuserroleorganization")}),
    )
