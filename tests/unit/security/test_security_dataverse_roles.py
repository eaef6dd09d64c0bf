"""Security roles with depth: who reaches which rows, and when a change of that counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from forecourt.kernel.change import Write
from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Door
from forecourt.security.rules import Depth, Privilege
from forecourt.security.standing import descendants, id_of
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.witness import fingerprint
from support.postgres import fresh_database
from support.small_dataverse import EVERYTHING, SmallDataverse, role, row_of, small_dataverse, upto

READER = [
    role(f"Reader {depth.name.lower()}", deal=upto(depth, Privilege.READ)) for depth in Depth if depth is not Depth.NONE
]
ROLES = (
    *READER,
    role("Seller", deal=upto(Depth.USER), region=upto(Depth.ORGANIZATION, Privilege.READ)),
    role("Manager", deal=upto(Depth.BUSINESS_UNIT)),
    role("Director", deal=upto(Depth.PARENT_CHILD), dealline=EVERYTHING),
    role("Linker", region=upto(Depth.ORGANIZATION, Privilege.APPEND_TO)),
    role("Parent linker", deal=upto(Depth.USER, Privilege.APPEND_TO)),
    role("Creator", deal={**upto(Depth.USER, Privilege.CREATE, Privilege.READ), Privilege.WRITE: Depth.ORGANIZATION}),
    role("Line keeper", dealline=upto(Depth.USER)),
    role("Regional", region=upto(Depth.USER)),
)


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[SmallDataverse]:
    async with small_dataverse(database_url, *ROLES) as opened:
        yield opened


async def rows(small: SmallDataverse) -> None:
    """One deal for each of: ann, the team, north, north-east, south."""
    nobody = uuid4()
    await small.deal("of north", nobody, "north")
    await small.deal("of north-east", nobody, "north-east")
    await small.deal("of south", nobody, "south")


async def refused(code: str, what: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await what  # type: ignore[misc]
    assert caught.value.code == code, caught.value
    return caught.value


@pytest.mark.parametrize(
    ("depth", "seen"),
    [
        ("user", ["mine", "my team's"]),
        ("business_unit", ["mine", "my team's", "of north"]),
        ("parent_child", ["mine", "my team's", "of north", "of north-east"]),
        ("organization", ["mine", "my team's", "of north", "of north-east", "of south"]),
    ],
)
async def test_each_depth_reaches_its_rows_and_no_others(small: SmallDataverse, depth: str, seen: list[str]) -> None:
    ann = await small.user("ann", "north", f"Reader {depth}")
    team = await small.team("Bids", "south", ann)
    await rows(small)
    await small.deal("mine", row_of(ann), "south")
    await small.deal("my team's", team, "south")
    assert await small.names(ann) == seen


async def test_depths_add_up_over_the_roles_of_a_user_and_of_its_teams(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Reader user")
    await rows(small)
    await small.deal("mine", row_of(ann), "root")
    assert await small.names(ann) == ["mine"]
    await small.team("Southern readers", "south", ann, roles=("Reader business_unit",))
    assert await small.names(ann) == ["mine", "of south"], "a team's role counts in the team's unit"
    await small.give(row_of(ann), "Reader parent_child")
    assert await small.names(ann) == ["mine", "of north", "of north-east", "of south"]


async def test_the_default_team_of_a_unit_has_all_its_users(small: SmallDataverse) -> None:
    ann = await small.user("ann", "root")
    await rows(small)
    await small.plain.execute(
        "insert into dataverse.teamroles select teamid, $1 from dataverse.team where isdefault",
        id_of("role", "Reader parent_child"),
    )
    assert await small.names(ann) == ["of north", "of north-east", "of south"]


async def test_nothing_is_readable_without_a_privilege(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Linker")
    await refused("FC3001", small.names(ann))


async def test_a_role_taken_away_or_a_team_left_counts_at_the_next_request(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Reader user", "Reader business_unit")
    await small.team("Southern readers", "south", ann, roles=("Reader business_unit",))
    await rows(small)
    assert await small.names(ann) == ["of north", "of south"]
    await small.plain.execute("delete from dataverse.teammembership")
    assert await small.names(ann) == ["of north"]
    await small.plain.execute(
        "delete from dataverse.systemuserroles where roleid = $1", id_of("role", "Reader business_unit")
    )
    assert await small.names(ann) == []
    await small.plain.execute("delete from dataverse.systemuserroles")
    await refused("FC3001", small.names(ann))
    await small.give(row_of(ann), "Reader organization")
    assert await small.names(ann) == ["of north", "of north-east", "of south"]


async def test_moving_a_user_or_a_unit_counts_at_the_next_request(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Reader parent_child")
    await rows(small)
    assert await small.names(ann) == ["of north", "of north-east"]
    await small.plain.execute(
        "update dataverse.businessunit set parentbusinessunitid = $1 where name = 'north-east'", small.units["south"]
    )
    assert await small.names(ann) == ["of north"]
    await small.plain.execute("update dataverse.systemuser set businessunitid = $1", small.units["south"])
    assert await small.names(ann) == ["of north-east", "of south"]


async def test_a_disabled_user_has_no_rights(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Reader organization")
    await rows(small)
    assert len(await small.names(ann)) == 3
    await small.plain.execute("update dataverse.systemuser set isdisabled = true where domainname = 'ann'")
    await refused("FC3001", small.names(ann))
    await small.plain.execute("update dataverse.systemuser set isdisabled = false where domainname = 'ann'")
    assert len(await small.names(ann)) == 3


async def test_a_user_gets_its_row_when_it_comes_for_the_first_time(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Reader organization")
    await small.plain.execute("delete from dataverse.systemuser where domainname = 'ann'")
    assert await small.names(ann) == []
    found = await small.plain.fetchrow("select * from dataverse.systemuser where domainname = 'ann'")
    assert (found["systemuserid"], found["businessunitid"]) == (row_of(ann), small.units["root"])


async def test_a_table_without_owner_knows_all_or_nothing(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Regional")
    await small.plain.execute("insert into dataverse.region (name) values ('Alps')")
    assert await small.names(ann, "region") == ["Alps"]


async def test_a_row_belongs_to_who_makes_it(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Seller")
    made = await small.create(ann, "deal", name="new")
    row = await small.plain.fetchrow("select * from dataverse.deal where dealid = $1", made)
    assert row["ownerid"] == row["owninguser"] == row["createdby"] == row["modifiedby"] == row_of(ann)
    assert row["owningbusinessunit"] == small.units["north"]
    assert row["owningteam"] is None
    assert await small.names(ann) == ["new"]


async def test_nobody_makes_a_row_for_somebody_else_without_the_right_to_assign(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Creator")
    ben = await small.user("ben", "north")
    await refused("FC3005", small.create(ann, "deal", name="x", _ownerid_value=row_of(ben)))
    assert await small.plain.fetchval("select count(*) from dataverse.deal") == 0
    team = await small.team("Bids", "south", ann)
    made = await small.create(ann, "deal", name="the team's", _ownerid_value=team)
    row = await small.plain.fetchrow("select * from dataverse.deal where dealid = $1", made)
    assert (row["owningteam"], row["owninguser"]) == (team, None)
    assert row["owningbusinessunit"] == small.units["south"]


async def test_a_row_may_be_given_away_with_the_right_to_assign(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Seller")
    ben = await small.user("ben", "south", "Seller")
    mine, theirs = await small.deal("mine", row_of(ann), "north"), await small.deal("theirs", row_of(ben), "south")
    await refused("FC4041", small.update(ann, "deal", theirs, _ownerid_value=row_of(ann)))
    await small.update(ann, "deal", mine, _ownerid_value=row_of(ben))
    assert (await small.names(ann), await small.names(ben)) == ([], ["mine", "theirs"])
    unit = await small.plain.fetchval("select owningbusinessunit from dataverse.deal where dealid = $1", mine)
    assert unit == small.units["south"]


async def test_an_owner_is_an_active_user_or_a_team(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Seller")
    mine = await small.deal("mine", row_of(ann), "north")
    await refused("FC1003", small.update(ann, "deal", mine, _ownerid_value=uuid4()))


async def test_without_the_right_to_assign_the_owner_stays(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Creator")
    mine = await small.deal("mine", row_of(ann), "north")
    await refused("FC3001", small.update(ann, "deal", mine, _ownerid_value=row_of(ann)))


async def test_write_and_delete_reach_as_far_as_their_own_depth(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Manager", "Reader organization")
    await rows(small)
    ids = {r["name"]: r["dealid"] for r in await small.plain.fetch("select name, dealid from dataverse.deal")}
    await small.update(ann, "deal", ids["of north"], name="changed")
    await refused("FC3006", small.update(ann, "deal", ids["of south"], name="changed"))
    await refused("FC3006", small.delete(ann, "deal", ids["of north-east"]))
    upsert = Write("deal", "upsert", (("dealid", ids["of south"]),), (("name", "changed"),))
    await refused("FC3006", small.write(ann, upsert))
    await small.delete(ann, "deal", ids["of north"])
    await refused("FC4041", small.delete(ann, "deal", ids["of north"]))
    assert await small.names(ann) == ["of north-east", "of south"]


async def test_a_lookup_needs_append_and_append_to(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Line keeper")
    mine, theirs = await small.deal("mine", row_of(ann), "north"), await small.deal("theirs", uuid4(), "south")
    await refused("FC3001", small.create(ann, "dealline", name="l", _dealid_value=mine))
    await small.give(row_of(ann), "Parent linker")
    await refused("FC3005", small.create(ann, "dealline", name="l", _dealid_value=theirs))
    line = await small.create(ann, "dealline", name="l", _dealid_value=mine)
    await refused("FC3005", small.update(ann, "dealline", line, _dealid_value=theirs))
    await small.update(ann, "dealline", line, _dealid_value=None)


async def test_clearing_or_leaving_a_lookup_needs_neither(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Creator")
    made = await small.create(ann, "deal", name="plain", _regionid_value=None)
    await small.update(ann, "deal", made, name="renamed", _regionid_value=None)


async def test_a_system_administrator_passes_every_check(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "System Administrator")
    await rows(small)
    assert len(await small.names(ann)) == 3
    region = await small.create(ann, "region", name="Alps")
    made = await small.create(ann, "deal", name="x", _regionid_value=region)
    await small.delete(ann, "deal", made)


async def test_who_may_write_users_and_units_is_not_a_matter_of_roles(small: SmallDataverse) -> None:
    small.gate.enforcer.rules.dataverse.roles["Seller"].tables.update(systemuser=EVERYTHING, businessunit=EVERYTHING)  # type: ignore[attr-defined]
    ann = await small.user("ann", "north", "Seller")
    await refused("FC3001", small.update(ann, "systemuser", row_of(ann), _businessunitid_value=small.units["root"]))
    await refused("FC3001", small.update(ann, "systemuser", row_of(ann), domainname="admin"))
    await refused("FC3001", small.create(ann, "businessunit", name="mine"))
    await small.update(ann, "systemuser", row_of(ann), fullname="Ann")


async def test_a_plan_is_shared_by_people_of_the_same_roles(small: SmallDataverse) -> None:
    ann, ben = await small.user("ann", "north", "Reader user"), await small.user("ben", "south", "Reader user")
    await small.deal("ann's", row_of(ann), "north")
    await small.deal("ben's", row_of(ben), "south")
    assert (await small.names(ann), await small.names(ben)) == (["ann's"], ["ben's"])
    assert len(small.gate._plans) == 1


async def test_a_write_rests_on_the_rights_of_its_moment(small: SmallDataverse) -> None:
    ann = await small.user("ann", "north", "Seller")
    mine = await small.deal("mine", row_of(ann), "north")
    await small.update(ann, "deal", mine, name="once")
    await small.plain.execute("delete from dataverse.systemuserroles")
    scope = await small.gate.scope(ann, Door.DATAVERSE)
    await refused("FC3001", small.gate.change(scope, Write("deal", "update", (("dealid", mine),), (("name", "2"),))))


async def test_rights_that_rest_on_another_database_count_at_the_next_request(postgres: EmbeddedServer) -> None:
    async with fresh_database(postgres) as url, fresh_database(postgres) as other:
        erp = await Database.open(url, lane_size=2)
        await erp.script("users", "create table erpuser (id text, enabled boolean)")
        await erp.script("users", "insert into erpuser values ('ann', true)")
        async with small_dataverse(other, *ROLES, operations=erp) as small:
            ann = await small.user("ann", "north", "Reader business_unit")
            known = replace(ann.operations_user, fingerprint=fingerprint([("true",)]))  # type: ignore[type-var]
            small.book.known["ann"], ann = known, replace(ann, operations_user=known)
            await rows(small)
            assert await small.names(ann) == ["of north"]
            await erp.script("users", "update erpuser set enabled = false")
            small.book.known["ann"] = replace(known, enabled=False, fingerprint=fingerprint([("false",)]))
            await refused("FC3001", small.names(ann))
        await erp.close()


def test_a_circle_of_units_ends() -> None:
    a, b = uuid4(), uuid4()
    assert descendants([(str(a), str(b)), (str(b), str(a))]) == {a: {a, b}, b: {a, b}}
