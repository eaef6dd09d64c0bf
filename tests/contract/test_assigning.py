"""Another owner: which rows beneath get it too, through which rights, and what is left alone."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forecourt.kernel.errors import DefinitionErrors
from forecourt.security.standing import id_of
from forecourt.store.embedded import EmbeddedServer
from support.server import Answer, Installation, Person, send
from support.small_erp import ROOT, small_erp

A = "/api/data/v9.2"
CLERK = id_of("systemuser", "user/clerk")
ADMIN = id_of("systemuser", "user/admin")


@pytest.fixture(scope="module")
async def opened(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with small_erp(postgres) as site:
        yield site


@pytest.fixture
async def site(opened: Installation) -> Installation:
    await opened.dataverse("truncate dataverse.cts_thing, dataverse.cts_part cascade")
    for user in ("admin", "clerk"):
        assert (await (await opened.operations_user(user)).get(f"{A}/WhoAmI")).status == 200
    return opened


@pytest.fixture
async def admin(site: Installation) -> Person:
    return await site.operations_user("admin")


async def make(person: Person, collection: str, **values: object) -> str:
    answer = await send(person, "POST", f"{A}/{collection}", values)
    assert answer.status == 204, answer.text
    return answer.headers["odata-entityid"][-37:-1]


async def assign(person: Person, target: str, user: uuid.UUID = CLERK) -> Answer:
    return await send(person, "PATCH", f"{A}/{target}", {"ownerid@odata.bind": f"/systemusers({user})"})


async def of(site: Installation, user: uuid.UUID, table: str = "cts_thing") -> list[str]:
    """Names of the rows that a user owns, with the user as their owning user."""
    rows = await site.dataverse(
        f"select cts_name from dataverse.{table} where ownerid = $1 and owninguser = $1 order by 1", user
    )
    return [row[0] for row in rows]


async def test_rows_of_the_old_owner_go_along_and_others_stay(site: Installation, admin: Person) -> None:
    clerk = await site.operations_user("clerk")
    top = await make(admin, "cts_things", cts_name="top")
    below = {"cts_parent@odata.bind": f"/cts_things({top})"}
    middle = await make(admin, "cts_things", cts_name="middle", **below)
    await make(admin, "cts_things", cts_name="leaf", **{"cts_parent@odata.bind": f"/cts_things({middle})"})
    other = await make(clerk, "cts_things", cts_name="other")
    assert (await send(admin, "PATCH", f"{A}/cts_things({other})", below)).status == 204
    assert (await assign(admin, f"cts_things({other})", id_of("systemuser", "SYSTEM"))).status == 204
    assert (await assign(admin, f"cts_things({top})")).status == 204
    assert await of(site, CLERK) == ["leaf", "middle", "top"]
    assert await of(site, id_of("systemuser", "SYSTEM")) == ["other"]


async def test_active_rows_alone_go_along_where_the_relation_says_so(site: Installation, admin: Person) -> None:
    top = await make(admin, "cts_things", cts_name="top")
    bind = {"cts_thing@odata.bind": f"/cts_things({top})"}
    await make(admin, "cts_parts", cts_name="on", **bind)
    await make(admin, "cts_parts", cts_name="off", statecode=1, statuscode=2, **bind)
    await make(admin, "cts_parts", cts_name="elsewhere")
    assert (await assign(admin, f"cts_things({top})")).status == 204
    assert await of(site, CLERK, "cts_part") == ["on"]
    assert await of(site, ADMIN, "cts_part") == ["elsewhere", "off"]


async def test_a_tree_deeper_than_business_logic_may_go_and_a_circle_are_assigned(
    site: Installation, admin: Person
) -> None:
    keys: list[str] = []
    for number in range(30):
        bind = {"cts_parent@odata.bind": f"/cts_things({keys[-1]})"} if keys else {}
        keys.append(await make(admin, "cts_things", cts_name=f"t{number:02}", **bind))
    circle = await send(
        admin, "PATCH", f"{A}/cts_things({keys[0]})", {"cts_parent@odata.bind": f"/cts_things({keys[-1]})"}
    )
    assert circle.status == 204
    assert (await assign(admin, f"cts_things({keys[4]})")).status == 204
    assert len(await of(site, CLERK)) == 30


async def test_who_may_assign_the_row_need_not_reach_what_goes_along(site: Installation, admin: Person) -> None:
    """The giver may write parts of its own only; who drew the relation has decided that parts follow their thing."""
    giver = await site.operations_user("reader")
    top = await make(giver, "cts_things", cts_name="top")
    await make(admin, "cts_parts", cts_name="part", **{"cts_thing@odata.bind": f"/cts_things({top})"})
    answer = await assign(giver, f"cts_things({top})", ADMIN)
    assert answer.status == 204, answer.text
    assert await of(site, ADMIN) == ["top"]
    assert (await giver.get(f"{A}/cts_things({top})")).status == 404, "it is out of the giver's reach now"


async def test_what_is_refused_beneath_undoes_the_whole(site: Installation, admin: Person, tmp_path: Path) -> None:
    top = await make(admin, "cts_things", cts_name="top")
    await make(admin, "cts_parts", cts_name="part", **{"cts_thing@odata.bind": f"/cts_things({top})"})
    ghost = await assign(admin, f"cts_things({top})", uuid.uuid4())
    assert ghost.status in (400, 404)
    assert await of(site, ADMIN) == ["top"] and await of(site, ADMIN, "cts_part") == ["part"]


async def test_another_change_of_a_row_passes_no_owner_on(site: Installation, admin: Person) -> None:
    clerk = await site.operations_user("clerk")
    top = await make(admin, "cts_things", cts_name="top")
    part = await make(clerk, "cts_parts", cts_name="part")
    await send(admin, "PATCH", f"{A}/cts_parts({part})", {"cts_thing@odata.bind": f"/cts_things({top})"})
    assert (await send(admin, "PATCH", f"{A}/cts_things({top})", {"cts_whole": 1})).status == 204
    assert (await assign(admin, f"cts_things({top})", ADMIN)).status == 204, "the same owner again"
    assert await of(site, CLERK, "cts_part") == ["part"]


async def test_the_definitions_say_what_goes_along(admin: Person) -> None:
    for name, expected in (("cts_thing_things", "UserOwned"), ("cts_thing_parts", "Active")):
        answer = await admin.get(
            f"{A}/RelationshipDefinitions(SchemaName='{name}')/Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata"
        )
        assert answer.json["CascadeConfiguration"]["Assign"] == expected


async def test_rows_without_an_owner_cannot_be_assigned_along(postgres: EmbeddedServer, tmp_path: Path) -> None:
    root = shutil.copytree(ROOT, tmp_path / "solution")
    part = root / "dataverse" / "tables" / "cts_part.yaml"
    part.write_text(part.read_text("utf-8").replace("set: cts_parts", "set: cts_parts\nownership: organization"))
    with pytest.raises(DefinitionErrors, match="no owner to be assigned along"):
        async with small_erp(postgres, root):
            raise AssertionError
