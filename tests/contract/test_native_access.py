"""Plain SQL under a mapped database role gives the rows of ``/data?cross-company=true``, of every entity."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from forecourt.store.embedded import EmbeddedServer
from forecourt.store.native.pieces import Names
from support import adventureworks as aw
from support import command
from support import contoso as sample
from support.catalogue import CATALOG
from support.native import address_of, ensure_mapped, forget, native_access, native_connection, role_of
from support.server import Installation, installed, url

VENDORS = 'forecourt_data."VendorsV2"'

#: People of the sample company, of each kind: outside, inside, in one legal entity, administrators, nobody.
SAMPLE_PEOPLE = """
select distinct on (roles) id from (
    select u.id, array_agg(r.role order by r.role) as roles from erp.userinfo u
    left join erp.securityuserrole r on r.user_ = u.id group by u.id) p
order by roles, id
"""


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with sample.contoso_site(postgres) as opened:
        yield opened
        await drop(opened)


@pytest.fixture(scope="module")
async def attached(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    if not aw.DUMP.is_file():
        pytest.skip(aw.MISSING)
    async with aw.adventureworks_site(postgres) as opened:
        yield opened
        await drop(opened)


@pytest.fixture(params=["site", "attached"])
def either(request: pytest.FixtureRequest) -> Installation:
    """The sample company, then AdventureWorks."""
    found: Installation = request.getfixturevalue(request.param)
    return found


async def drop(site: Installation) -> None:
    logins = (await (await native_access(site)).plan()).logins
    await forget(site, *(user for _, user in logins))


async def at_data(site: Installation, user: str, entity: Any) -> list[tuple[str, ...]] | str:
    """The keys of all rows of an entity that ``/data`` gives to a user, sorted, or the code of the refusal."""
    person = await site.operations_user(user)
    target = url(f"/data/{entity.collection}", _select=",".join(entity.key), cross_company=True)
    answer = await person.get(target)
    if answer.status != 200:
        return answer.refusal
    rows = await person.everything(target)
    return sorted(tuple(_text(row[name]) for name in entity.key) for row in rows)


def _text(value: object) -> str:
    """A value of a key as ``/data`` writes it."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


async def by_sql(connection: asyncpg.Connection, entity: Any) -> list[tuple[str, ...]] | str:
    """The same by plain SQL."""
    columns = ", ".join(f'"{name}"' for name in entity.key)
    try:
        rows = await connection.fetch(f'select {columns} from forecourt_data."{entity.collection}"')
    except asyncpg.InsufficientPrivilegeError:
        return "FC3001"
    return sorted(tuple(map(_text, row)) for row in rows)


async def fields_at_data(site: Installation, user: str, entity: Any) -> set[str]:
    """The fields that a row has at ``/data``."""
    person = await site.operations_user(user)
    row = (await person.get(url(f"/data/{entity.collection}", _top=1, cross_company=True))).rows[0]
    return {name for name in row if "@" not in name}


async def fields_by_sql(connection: asyncpg.Connection, entity: Any) -> set[str]:
    """The columns that may be named by plain SQL."""
    view = f'forecourt_data."{entity.collection}"'
    ask = "select has_column_privilege($1::text::regclass, $2, 'select')"
    return {name for name in entity.fields if await connection.fetchval(ask, view, name)}


async def differing(site: Installation, users: list[str]) -> tuple[list[str], int]:
    """Where the two doors differ, and how many rows were the same."""
    found, same = [], 0
    for user in users:
        async with native_connection(site, user) as connection:
            for entity in site.forecourt.definitions.operations.model.entities.values():
                theirs, ours = await at_data(site, user, entity), await by_sql(connection, entity)
                if theirs != ours and not (theirs == "FC3001" and ours == []):
                    found.append(f"{user} {entity.collection}: {len(theirs)} at /data, {len(ours)} by SQL")
                same += len(ours) if isinstance(ours, list) else 0
                if isinstance(theirs, list) and theirs:
                    shown, open_to = await fields_at_data(site, user, entity), await fields_by_sql(connection, entity)
                    found += [f"{user} {entity.collection}.{name}" for name in shown ^ open_to]
    return found, same


async def catalogue(site: Installation) -> set[tuple[Any, ...]]:
    """What the database is made of, its roles among it."""
    roles = await site.sql(
        "select 'role', rolname, coalesce((select string_agg(m.member::text, ',' order by m.member)"
        " from pg_auth_members m where m.roleid = r.oid), '') from pg_roles r"
        " where rolname like '%' || right(current_database(), 12)"
    )
    return {tuple(row) for row in (*await site.sql(CATALOG), *roles)}


async def test_everybody_of_the_sample_company_gets_the_same_rows_by_sql_as_at_data(site: Installation) -> None:
    users = [str(row[0]) for row in await site.sql(SAMPLE_PEOPLE)]
    assert len(users) > 5
    found, same = await differing(site, users)
    assert found == []
    assert same > 1000


async def test_everybody_of_adventureworks_gets_the_same_rows_by_sql_as_at_data(attached: Installation) -> None:
    users = list(attached.forecourt.definitions.operations.users)
    found, same = await differing(attached, users)
    assert found == []
    assert same > 1000


async def test_planning_changes_nothing_and_dropping_leaves_the_catalogue_as_it_was(either: Installation) -> None:
    opened = either
    access = await native_access(opened)
    await drop(opened)
    before = await catalogue(opened)
    planned = await access.plan()
    assert await catalogue(opened) == before and not planned.applied
    user = "v-us-101" if opened.header_name == "contoso" else "aw-vendor-1650"
    done = await access.apply()
    assert [step.what for step in done.steps] == [step.what for step in planned.steps]
    assert await catalogue(opened) != before
    assert (await access.plan()).steps == ()
    assert (await access.apply()).steps == ()
    await ensure_mapped(opened, user)
    again = await native_access(opened)
    assert (await again.plan()).steps == ()
    await again.drop()
    assert await catalogue(opened) == before
    await forget(opened, user)


async def test_what_somebody_changes_by_hand_is_shown_and_put_right(site: Installation) -> None:
    role = await ensure_mapped(site, "v-us-101")
    access = await native_access(site)
    names = Names.of(await site.value("select current_database()"))
    by_hand = {
        "policy erp.purchtable.forecourt_VendProfileAccount": (
            'alter policy "forecourt_VendProfileAccount" on erp.purchtable using (true)'
        ),
        "policy erp.purchline.forecourt_users": "drop policy forecourt_users on erp.purchline",
        "row security erp.vendtable": "alter table erp.vendtable disable row level security",
        f"grant forecourt_data.VendorsV2 to {role}": f'grant select ("CreditRating") on {VENDORS} to {role}',
        "view forecourt_data.VendorsV2": f"alter view {VENDORS} set (security_barrier = false)",
        "function forecourt_native.holds": "grant execute on function forecourt_native.holds(text[]) to public",
        f"role {names.users}": f'alter role "{names.users}" bypassrls',
        f"member {role}": f'grant "{names.users}" to {role} with admin true',
        "columns erp.vendtable": f'revoke select (creditrating) on erp.vendtable from "{names.views}"',
    }
    for key, statement in by_hand.items():
        await site.sql(statement)
        steps = (await access.plan()).steps
        restored = {f"{step.kind} {step.name}" for step in steps if step.verb == "restore"}
        assert restored == {key}, (key, steps)
        await access.apply()
        assert (await access.plan()).steps == ()
    await site.sql("create policy mine on erp.purchtable using (true)")
    assert "policy erp.purchtable.mine is not ours." in (await access.plan()).notices
    await site.sql("drop policy mine on erp.purchtable")


async def test_a_changed_policy_changes_its_own_pieces_alone(site: Installation, tmp_path: Path) -> None:
    await (await native_access(site)).apply()
    root = tmp_path / "changed"
    shutil.copytree(sample.ROOT, root)
    file = root / "operations" / "policies" / "HcmWorkerSelf.yaml"
    file.write_text(file.read_text("utf-8").replace("operation: AllOperations", "operation: Select"), "utf-8")
    async with installed(root, site.url) as changed:
        steps = (await (await native_access(changed)).plan()).steps
        touched = {tuple(step.name.removeprefix("erp.").split(".forecourt_")) for step in steps}
        assert {table for table, _ in touched} == {"hcmworker", "hcmemployment", "hcmworkeraddress", "dirpartytable"}
        assert {name.partition("_")[0] for _, name in touched} == {"HcmWorkerSelf", "outside"}
        assert {step.kind for step in steps} == {"policy"}
        await (await native_access(changed)).apply()
        assert (await (await native_access(changed)).plan()).steps == ()
        before = (await (await native_access(site)).apply()).steps
        assert len(before) == len(steps)


async def test_the_programs_of_the_erp_go_on_as_before(site: Installation) -> None:
    """The owner, and another role with rights on the tables, see and change every row."""
    await (await native_access(site)).apply()
    await forget(site)
    program = role_of(site, "program")
    await site.sql(f"create role {program} login")
    try:
        await site.sql(f"grant usage on schema erp to {program}")
        await site.sql(f"grant all on erp.purchtable to {program}")
        done = await (await native_access(site)).apply()
        assert f"Role {program} cannot load erp.purchtable with COPY while it has row security." in done.notices
        connection = await asyncpg.connect(address_of(site, program))
        try:
            total = await site.value("select count(*) from erp.purchtable")
            assert await connection.fetchval("select count(*) from erp.purchtable") == total
            assert await connection.execute("update erp.purchtable set vendorref = vendorref") == f"UPDATE {total}"
        finally:
            await connection.close()
    finally:
        await site.sql(f"drop owned by {program}")
        await site.sql(f"drop role {program}")


async def test_the_command_plans_applies_maps_and_drops(
    site: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await drop(site)
    monkeypatch.setenv("CONTOSO", site.url)
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "contoso"
    shutil.copytree(sample.ROOT, root)
    header = root / "solution.yaml"
    text = header.read_text("utf-8").replace("embedded", "'${CONTOSO}'")
    header.write_text(text[: text.index("sample:")], "utf-8")
    role = role_of(site, "by the command")

    async def run(*arguments: str) -> tuple[int, str]:
        said = await command.run("native", arguments[0], root, *arguments[1:])
        return said.code, said.out + said.err

    code, output = await run("plan", "--sql")
    assert code == 1 and 'create policy "forecourt_VendProfileAccount" on "erp"."purchtable"' in output
    code, output = await run("map", "v-us-101", role)
    assert code == 1 and "native apply" in output
    code, output = await run("apply", "--yes")
    assert code == 0 and output.rstrip().endswith("steps done.")
    assert await run("plan") == (0, "The database enforces the rules as they are.\n")
    code, output = await run("map", "v-us-101", role)
    assert code == 1 and f"There is no role {role}" in output
    await site.sql(f"create role {role} login")
    try:
        assert await run("map", "v-us-101", role) == (0, f"{role} reads as v-us-101.\n")
        assert f"{role} reads as v-us-101." in (await run("plan"))[1]
        assert await run("unmap", role) == (0, f"{role} is mapped to nobody.\n")
        assert (await run("unmap", role))[0] == 1
        assert (await run("plan", "--as", "NOT_SET"))[0] == 64
        assert (await run("plan", "--as", "CONTOSO"))[0] == 0
        assert (await run("drop", "--yes"))[0] == 0
        assert (await run("plan"))[0] == 1
        kept = await site.dataverse(
            "select subject || ' ' || outcome from forecourt.security_log where kind = 'membership' "
            "and (subject = 'native access' or subject = 'database role ' || $1) order by id",
            role,
        )
        assert [row[0] for row in kept] == [
            "native access applied",
            f"database role {role} reads as v-us-101",
            f"database role {role} is mapped to nobody",
            "native access dropped",
        ], "what was refused is not a change"
    finally:
        await site.sql(f"drop role {role}")
