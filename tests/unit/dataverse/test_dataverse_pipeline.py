"""Plug-ins, cascades, and what the system sets: around writes of native tables."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from forecourt.dataverse.plugins import Plugins, load_plugins
from forecourt.dataverse.stamps import SYSTEM_USER
from forecourt.kernel.change import Write
from forecourt.kernel.errors import DefinitionErrors, Refusal
from forecourt.kernel.principal import INTEGRATION, Principal
from forecourt.security.rules import Depth, Privilege
from forecourt.store.folder import Faults
from support.small_dataverse import MODEL, SmallDataverse, role, row_of, small_dataverse, upto

SELLER = role("Seller", deal=upto(Depth.USER), dealline=upto(Depth.USER), region=upto(Depth.ORGANIZATION))

PLUGINS = """
    from decimal import Decimal

    from forecourt.dataverse.plugins import PluginError, plugin

    LOG = []


    @plugin("Create", "deal", "pre-validation")
    @plugin("Update", "deal", "pre-validation")
    def early(context):
        LOG.append((context.stage, context.message, context.pre_image))
        if context.target.get("amount") == Decimal(-1):
            raise PluginError("An amount is not negative.")


    @plugin("Create", "deal", "pre-operation", rank=2)
    async def second(context):
        LOG.append((context.stage, "second", context.target["name"]))
        context.target["name"] += " (second)"


    @plugin("Create", "deal", "pre-operation")
    def first(context):
        context.shared["seen"] = context.target["name"]
        context.target["name"] += " (first)"
        context.target["amount"] = Decimal(7)


    @plugin("Create", "deal", "post-operation")
    async def with_a_line(context):
        LOG.append((context.stage, context.shared["seen"], context.post_image["name"], context.depth))
        if context.post_image["name"].startswith("lined"):
            await context.rows.create(
                "dealline", {"name": "first line", "_dealid_value": context.post_image["dealid"]}
            )
        if context.post_image["name"].startswith("endless"):
            await context.rows.create("deal", {"name": "endless"})


    @plugin("Update", "deal", "pre-operation", filtering=["regionid", "amount"])
    def filtered(context):
        LOG.append(("filtered", context.pre_image["amount"], dict(context.target)))


    @plugin("Delete", "deal", "post-operation")
    def gone(context):
        LOG.append(("gone", context.pre_image["name"], dict(context.target), context.post_image))
        if context.pre_image["name"].startswith("kept"):
            raise PluginError("This one stays.")


    @plugin("Update", "visit", "post-operation")
    def let_go(context):
        LOG.append(("let go", context.pre_image["dealid"], context.post_image["dealid"]))
"""


def load(folder: Path, text: str, name: str = "plugins.py") -> Plugins:
    (folder / "dataverse").mkdir(exist_ok=True)
    (folder / "dataverse" / name).write_text(textwrap.dedent(text))
    faults = Faults()
    plugins = load_plugins(folder, MODEL.entities, faults)
    faults.raise_any()
    return plugins


@pytest.fixture
async def small(database_url: str, tmp_path: Path) -> AsyncIterator[SmallDataverse]:
    async with small_dataverse(database_url, SELLER, plugins=load(tmp_path, PLUGINS)) as opened:
        log(opened).clear()
        yield opened


@pytest.fixture
async def ann(small: SmallDataverse) -> Principal:
    return await small.user("ann", "north", "Seller")


def log(small: SmallDataverse) -> list[tuple[object, ...]]:
    """What the plug-ins wrote down."""
    steps = small.gate.writer.logic.plugins.of("deal", "create", "pre-validation")  # type: ignore[attr-defined]
    found: list[tuple[object, ...]] = steps[0].function.__globals__["LOG"]
    return found


async def refused(code: str, what: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await what  # type: ignore[misc]
    assert caught.value.code == code, caught.value
    return caught.value


async def count(small: SmallDataverse, table: str) -> int:
    found: int = await small.plain.fetchval(f"select count(*) from dataverse.{table}")
    return found


async def test_stages_run_in_order_and_see_what_they_promise(small: SmallDataverse, ann: Principal) -> None:
    made = await small.create(ann, "deal", name="d")
    row = await small.plain.fetchrow("select name, amount from dataverse.deal where dealid = $1", made)
    assert (row["name"], row["amount"]) == ("d (first) (second)", 7)
    assert log(small) == [
        ("pre-validation", "Create", None),
        ("pre-operation", "second", "d (first)"),
        ("post-operation", "d", "d (first) (second)", 1),
    ]


async def test_a_plug_in_turns_a_write_down_with_its_own_words(small: SmallDataverse, ann: Principal) -> None:
    refusal = await refused("FC4005", small.create(ann, "deal", name="d", amount=-1))
    assert (refusal.status, refusal.message) == (400, "An amount is not negative.")
    assert await count(small, "deal") == 0


async def test_filtering_attributes_spare_a_plug_in_other_updates(small: SmallDataverse, ann: Principal) -> None:
    made = await small.create(ann, "deal", name="d")
    log(small).clear()
    await small.update(ann, "deal", made, name="e")
    assert [entry[0] for entry in log(small)] == ["pre-validation"]
    await small.update(ann, "deal", made, amount=9)
    assert log(small)[-1] == ("filtered", 7, {"amount": 9})


async def test_what_a_plug_in_raises_after_the_write_undoes_it(small: SmallDataverse, ann: Principal) -> None:
    made = await small.create(ann, "deal", name="kept")
    await refused("FC4005", small.delete(ann, "deal", made))
    assert await count(small, "deal") == 1


async def test_a_plug_in_writes_further_rows_in_the_same_unit_of_work(small: SmallDataverse, ann: Principal) -> None:
    made = await small.create(ann, "deal", name="lined")
    row = await small.plain.fetchrow("select * from dataverse.dealline")
    assert (row["dealid"], row["ownerid"], row["createdby"]) == (made, SYSTEM_USER, SYSTEM_USER)


async def test_plug_ins_that_call_themselves_end(small: SmallDataverse, ann: Principal) -> None:
    await refused("FC4003", small.create(ann, "deal", name="endless"))
    assert await count(small, "deal") == 0


async def test_a_name_that_is_not_a_columns_is_an_error_of_the_plug_in(database_url: str, tmp_path: Path) -> None:
    text = """
        from forecourt.dataverse.plugins import plugin

        @plugin("Create", "deal", "pre-operation")
        def misspelt(context):
            context.target["nmae"] = "x"
    """
    async with small_dataverse(database_url, SELLER, plugins=load(tmp_path, text)) as small:
        ann = await small.user("ann", "north", "Seller")
        with pytest.raises(KeyError, match="Did you mean 'name'"):
            await small.create(ann, "deal", name="d")
        assert await count(small, "deal") == 0


async def test_a_plug_in_may_leave_out_what_the_integration_writes(database_url: str, tmp_path: Path) -> None:
    text = """
        from forecourt.dataverse.plugins import plugin

        @plugin("Create", "deal", "pre-operation", integration=False)
        def filled_in(context):
            context.target["name"] = "filled in"
    """
    async with small_dataverse(database_url, SELLER, plugins=load(tmp_path, text)) as small:
        logic, deal = small.gate.writer.logic, MODEL.entities["deal"]
        assert (logic.concerns(deal, "create"), logic.concerns(deal, "create", "sync")) == (True, False)
        for origin in ("work", "sync"):
            values = (("dealid", uuid4()), ("name", origin))
            await small.write(INTEGRATION, Write("deal", "create", values=values, origin=origin))
        names = [row["name"] for row in await small.plain.fetch("select name from dataverse.deal order by 1")]
        assert names == ["filled in", "sync"]


async def test_a_written_row_is_not_changed_by_what_a_late_plug_in_sets(database_url: str, tmp_path: Path) -> None:
    text = """
        from forecourt.dataverse.plugins import plugin

        @plugin("Create", "deal", "post-operation")
        def late(context):
            context.target["name"] = "x"
    """
    async with small_dataverse(database_url, SELLER, plugins=load(tmp_path, text)) as small:
        ann = await small.user("ann", "north", "Seller")
        with pytest.raises(TypeError, match=r"context\.rows"):
            await small.create(ann, "deal", name="d")
        assert await count(small, "deal") == 0


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            '@plugin("Create", "dael", "pre-operation")\ndef f(context): ...',
            3,
            "names 'dael', which is no native table",
        ),
        (
            '@plugin("Update", "deal", "pre-operation", filtering=["regoin"])\ndef f(context): ...',
            3,
            "names column 'regoin', which deal does not have",
        ),
        ('@plugin("Creat", "deal", "pre-operation")\ndef f(context): ...', 3, "'Creat' is not a message"),
        ('@plugin("Create", "deal", "before")\ndef f(context): ...', 3, "'before' is not a stage"),
        ('@plugin("Create", "deal", "pre-operation", filtering=["name"])\ndef f(c): ...', 3, "for Update alone"),
        ("def f(:", 3, "not valid Python"),
        ("import nothing_of_this_name", 3, "ModuleNotFoundError"),
        ("\nraise SystemExit", 1, "leaves the program"),
    ],
)
def test_a_fault_in_a_plug_in_is_told_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(DefinitionErrors) as caught:
        load(tmp_path, "from forecourt.dataverse.plugins import plugin\n\n" + text)
    (error,) = caught.value.errors
    assert (error.line, error.file) == (line, str(tmp_path / "dataverse" / "plugins.py"))
    assert message in error.message


def test_files_of_one_solution_do_not_meet(tmp_path: Path) -> None:
    text = """
        from forecourt.dataverse.plugins import plugin

        WHO = "{}"

        @plugin("Create", "deal", "pre-operation")
        def name(context):
            return WHO
    """
    load(tmp_path, text.format("one"), "plugins.py")
    steps = load(tmp_path, text.format("two"), "plugins_more.py").of("deal", "create", "pre-operation")
    assert [step.function(None) for step in steps] == ["one", "two"]  # type: ignore[arg-type]
    assert not (tmp_path / "dataverse" / "__pycache__").exists()


# -- deletes -----------------------------------------------------------------------------------------------------


async def tree(small: SmallDataverse, ann: Principal, name: str = "top") -> tuple[UUID, UUID]:
    """A deal with a line, and a deal beneath with one."""
    top = await small.create(ann, "deal", name=name)
    below = await small.create(ann, "deal", name="below", _parentdealid_value=top)
    for deal in (top, below):
        await small.create(ann, "dealline", name="line", _dealid_value=deal)
    log(small).clear()
    return top, below


async def test_a_delete_takes_the_rows_beneath_from_the_lowest_up(small: SmallDataverse, ann: Principal) -> None:
    top, _ = await tree(small, ann)
    other = await small.create(ann, "deal", name="other")
    log(small).clear()
    await small.delete(ann, "deal", top)
    assert [row["dealid"] for row in await small.plain.fetch("select dealid from dataverse.deal")] == [other]
    assert await count(small, "dealline") == 0
    assert [str(entry[1])[:5] for entry in log(small) if entry[0] == "gone"] == ["below", "top ("]


async def test_a_chain_of_rows_deeper_than_any_plug_in_may_go_is_deleted(small: SmallDataverse) -> None:
    top, *below = [uuid4() for _ in range(30)]
    for deal, above in zip((top, *below), (None, top, *below), strict=False):
        await small.plain.execute(
            "insert into dataverse.deal (name, dealid, parentdealid) values ('d', $1, $2)", deal, above
        )
    await small.delete(INTEGRATION, "deal", top)
    assert await count(small, "deal") == 0


async def test_rows_that_hold_each_other_are_deleted_once(small: SmallDataverse) -> None:
    one, two = uuid4(), uuid4()
    await small.plain.execute(
        "insert into dataverse.deal (dealid, name, parentdealid) values ($1, 'one', $2), ($2, 'two', $1)", one, two
    )
    await small.delete(INTEGRATION, "deal", one)
    assert await count(small, "deal") == 0


async def test_a_row_that_must_not_lose_its_parent_refuses_the_delete_of_the_whole_tree(
    small: SmallDataverse, ann: Principal
) -> None:
    top, below = await tree(small, ann)
    line = await small.plain.fetchval("select lineid from dataverse.dealline where dealid = $1", below)
    await small.plain.execute("insert into dataverse.note (name, lineid) values ('n', $1)", line)
    refusal = await refused("FC4051", small.delete(ann, "deal", top))
    assert (refusal.status, refusal.source) == (405, "note")
    assert (await count(small, "deal"), await count(small, "dealline")) == (2, 2)
    assert log(small) == [], "nothing is changed, and no plug-in runs"


async def test_rows_are_let_go_through_their_plug_ins_or_by_the_database(small: SmallDataverse, ann: Principal) -> None:
    top, below = await tree(small, ann)
    await small.plain.execute("insert into dataverse.visit (name, dealid) values ('v', $1)", below)
    await small.plain.execute("insert into dataverse.call (name, dealid) values ('c', $1)", below)
    await small.delete(ann, "deal", top)
    assert await small.plain.fetchval("select dealid from dataverse.visit") is None
    assert await small.plain.fetchval("select dealid from dataverse.call") is None
    assert ("let go", below, None) in log(small)


async def test_rows_that_nothing_watches_may_be_written_as_a_set(small: SmallDataverse) -> None:
    concerns = small.gate.writer.logic.concerns
    entities = MODEL.entities
    assert concerns(entities["deal"], "create")
    assert concerns(entities["visit"], "update")
    assert concerns(entities["dealline"], "delete"), "notes beneath it refuse the delete"
    assert concerns(entities["businessunit"], "create")
    assert not concerns(entities["dealline"], "create")
    assert not concerns(entities["visit"], "delete")
    assert not concerns(entities["region"], "update")


# -- what the system sets ----------------------------------------------------------------------------------------


async def test_state_and_reason_bring_each_other(small: SmallDataverse, ann: Principal) -> None:
    made = await small.create(ann, "deal", name="d")

    async def status() -> tuple[int, int]:
        row = await small.plain.fetchrow("select statecode, statuscode from dataverse.deal where dealid = $1", made)
        return row["statecode"], row["statuscode"]

    assert await status() == (0, 1)
    await small.update(ann, "deal", made, statecode=1)
    assert await status() == (1, 2)
    await small.update(ann, "deal", made, statuscode=3)
    assert await status() == (1, 3)
    await small.update(ann, "deal", made, statecode=1)
    assert await status() == (1, 3), "a state that stays keeps its reason"
    await small.update(ann, "deal", made, statuscode=1)
    assert await status() == (0, 1)
    await refused("FC1003", small.update(ann, "deal", made, statecode=0, statuscode=2))
    await refused("FC1003", small.update(ann, "deal", made, statecode=5))
    await refused("FC1003", small.update(ann, "deal", made, statuscode=None))


async def test_who_changed_a_row_is_written_down(small: SmallDataverse, ann: Principal) -> None:
    made = await small.create(ann, "deal", name="d")
    ben = await small.user("ben", "north", "System Administrator")
    await small.update(ben, "deal", made, name="e")
    row = await small.plain.fetchrow("select createdby, modifiedby, ownerid from dataverse.deal")
    assert tuple(row) == (row_of(ann), row_of(ben), row_of(ann))
    await refused("FC1003", small.update(ben, "deal", made, _modifiedby_value=row_of(ann)))


async def test_a_business_unit_comes_and_goes_with_its_default_team(small: SmallDataverse) -> None:
    admin = await small.user("admin", "root", "System Administrator")
    unit = await small.create(admin, "businessunit", name="West")
    team = await small.plain.fetchrow("select * from dataverse.team where businessunitid = $1", unit)
    assert (team["name"], team["isdefault"]) == ("West", True)
    above = await small.plain.fetchval("select parentbusinessunitid from dataverse.businessunit where name = 'West'")
    assert above == small.units["root"]
    await refused("FC4051", small.delete(admin, "team", team["teamid"]))
    await small.delete(admin, "businessunit", unit)
    assert await small.plain.fetchval("select count(*) from dataverse.team where businessunitid = $1", unit) == 0


async def test_business_units_stay_one_tree(small: SmallDataverse) -> None:
    admin = await small.user("admin", "root", "System Administrator")
    units, parent = small.units, "_parentbusinessunitid_value"
    await refused("FC1003", small.update(admin, "businessunit", units["north"], **{parent: units["north-east"]}))
    await refused("FC1003", small.update(admin, "businessunit", units["north"], **{parent: units["north"]}))
    await refused("FC1003", small.update(admin, "businessunit", units["north"], **{parent: None}))
    await refused("FC1003", small.update(admin, "businessunit", units["root"], **{parent: units["north"]}))
    await refused("FC4051", small.delete(admin, "businessunit", units["root"]))
    await small.update(admin, "businessunit", units["north-east"], **{parent: units["south"]})


async def test_the_systems_own_users_stay_as_they_are(small: SmallDataverse) -> None:
    admin = await small.user("admin", "root", "System Administrator")
    await refused("FC1003", small.update(admin, "systemuser", SYSTEM_USER, isdisabled=True))
    await refused("FC1003", small.delete(admin, "systemuser", SYSTEM_USER))


def test_privileges_have_the_names_of_the_reference() -> None:
    assert {item.value for item in Privilege} == {
        "create",
        "read",
        "write",
        "delete",
        "append",
        "append_to",
        "assign",
    }
