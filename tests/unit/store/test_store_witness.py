"""A witness's fingerprint: the same from Python and from SQL, and different for different rows."""

from __future__ import annotations

import pytest

from forecourt.kernel.plan import SecuredPlan, Witness
from forecourt.kernel.predicate import Column, Const, Param
from forecourt.kernel.predicate import Compare as C
from forecourt.kernel.relation import Output, Select, Source, TableName
from forecourt.kernel.types import Kind
from forecourt.store.catalog import read_catalog
from forecourt.store.compile import compile_read, compile_witness
from forecourt.store.database import Database
from forecourt.store.witness import fingerprint

LINKS = TableName("public", "links")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([], [("",)]),
        ([("",)], [(None,)]),
        ([("a", "b")], [("a",), ("b",)]),
        ([("a", None)], [(None, "a")]),
        ([("a",)], [("a",), ("b",)]),
    ],
)
def test_different_rows_have_different_fingerprints(
    one: list[tuple[str | None, ...]], other: list[tuple[str | None, ...]]
) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_order_and_repetition_do_not_count() -> None:
    assert fingerprint([("b", "1"), ("a", None), ("b", "1")]) == fingerprint([("a", None), ("b", "1")])


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("V1", 1)],
        [(None, None)],
        [("", 1), (None, 1), ("ß", 2), ("Z", 3), ("a", 4), ("é", None), ("é", None), ("\U0001f600", 5), ("￿", 6)],
    ],
)
async def test_sql_and_python_agree_on_the_fingerprint_and_a_change_of_rows_shows(
    database: Database, rows: list[tuple[str | None, int | None]]
) -> None:
    await database.script(
        "make a table", "create table links (name varchar, number int, day date default '2026-11-23')"
    )
    async with database.transaction("fill it") as transaction:
        await transaction.executemany("insert into links values ($1, $2)", rows)
    catalog = await read_catalog(database)
    outputs = tuple(Output(name, Column("w", name), None) for name in ("name", "number", "day"))
    select = Select((Source("w", LINKS),), outputs=outputs)
    found = await database.read(compile_witness(select, catalog), (), {})
    params = {"seen": fingerprint(found.rows)}

    one = Select((Source("w", TableName("pg_catalog", "pg_class")),), C("eq", Const(1), Const(1)))
    catalog = await read_catalog(database, ["public", "pg_catalog"])
    outputs = (Output("Name", Column("w", "relname"), Kind.STRING),)
    rows_of = Select(one.sources, C("eq", Column("w", "relname"), Param("relation")), outputs)
    watched = (Witness(select, "seen"),)
    by_key = compile_read(SecuredPlan("E", rows_of, witnesses=watched, single=True), catalog)
    listed = compile_read(SecuredPlan("E", rows_of, count=rows_of, witnesses=watched), catalog)
    params["relation"] = "links"
    assert len((await database.read(by_key, (), params)).rows) == 1
    assert (await database.read(listed, (), params)).total == 1

    await database.script("change the rows", "insert into links values ('new', 0)")
    for statement in (by_key, listed):
        assert await database.read(statement, (), params) == ([], None, ())
