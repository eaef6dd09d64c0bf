"""What the compiler promises about the text that it writes. What the text means, the property tests say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from forecourt.kernel.plan import SecuredExpand, SecuredPlan, Witness
from forecourt.kernel.predicate import (
    After,
    Any,
    Arith,
    Column,
    Compare,
    Const,
    Exists,
    InParam,
    Match,
    Not,
    Operand,
    Or,
    Param,
    Predicate,
    Slot,
)
from forecourt.kernel.relation import ROW_VERSION, Output, Select, Sort, Source, TableName
from forecourt.kernel.types import Kind
from forecourt.store.catalog import Catalog, Table, TableColumn
from forecourt.store.compile import compile_read, compile_select
from forecourt.store.statements import Carried

ORDERS, LINES, USERS = (TableName("erp", name) for name in ("Orders", "lines", "users"))


def table(name: TableName, **types: str) -> Table:
    return Table(name, {column: TableColumn(column, type_, nullable=False) for column, type_ in types.items()})


CATALOG = Catalog(
    {
        ORDERS: table(
            ORDERS,
            id="int4",
            vendor="varchar",
            Total="numeric",
            weight="float8",
            made="timestamp",
            sent="timestamptz",
            code="bpchar",
            mood="mood",
        ),
        LINES: table(LINES, order_id="int4", company="varchar", number="int2"),
        USERS: table(USERS, id="varchar", vendor="varchar"),
    }
)


def column(name: str) -> Column:
    return Column("o", name)


def sql(where: Predicate, *nullable: str, order: tuple[Sort, ...] = (), catalog: Catalog = CATALOG) -> str:
    select = Select(
        (Source("o", ORDERS),),
        where,
        (Output("Id", column("id"), Kind.INT32),),
        order,
        nullable=frozenset(("o", name) for name in nullable),
    )
    text = compile_select(select, catalog).sql
    return re.sub(r"\s+", " ", text.partition("\nWHERE ")[2] or text)


def eq(left: Operand, right: Operand) -> Compare:
    return Compare("eq", left, right)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("id", Kind.INT32, '"o"."id" = CAST($1 AS BIGINT)'),
        ("id", Kind.INT64, '"o"."id" = CAST($1 AS BIGINT)'),
        ("id", Kind.DECIMAL, '"o"."id" = CAST($1 AS NUMERIC)'),
        ("Total", Kind.INT64, '"o"."Total" = CAST($1 AS BIGINT)'),
        ("Total", Kind.DOUBLE, '"o"."Total" = CAST(CAST($1 AS DOUBLE PRECISION) AS NUMERIC)'),
        ("weight", Kind.DECIMAL, '"o"."weight" = CAST($1 AS NUMERIC)'),
        ("vendor", Kind.STRING, '"o"."vendor" = CAST($1 AS TEXT)'),
        ("code", Kind.STRING, '"o"."code" = CAST(CAST($1 AS TEXT) AS bpchar)'),
        ("made", Kind.DATETIME, '"o"."made" = timezone(\'UTC\', CAST($1 AS TIMESTAMP WITH TIME ZONE))'),
        ("sent", Kind.DATETIME, '"o"."sent" = CAST($1 AS TIMESTAMP WITH TIME ZONE)'),
        ("sent", Kind.DATE, '"o"."sent" = CAST($1 AS DATE)'),
        ("mood", Kind.ENUM, '"o"."mood" = $1'),
        ("id", Kind.ENUM, '"o"."id" = CAST($1 AS BIGINT)'),
        ("vendor", Kind.ENUM, '"o"."vendor" = CAST($1 AS TEXT)'),
    ],
)
def test_the_bound_value_is_brought_to_the_column_never_the_column_to_the_value(
    name: str, kind: Kind, expected: str
) -> None:
    assert sql(eq(column(name), Slot(0, kind))) == expected
    assert sql(eq(Slot(0, kind), column(name))) == " = ".join(reversed(expected.split(" = ")))


def test_a_parameter_takes_the_type_of_what_it_is_compared_with() -> None:
    assert sql(eq(column("id"), Param("x"))) == '"o"."id" = CAST($1 AS BIGINT)'
    assert sql(eq(column("vendor"), Param("x"))) == '"o"."vendor" = CAST($1 AS TEXT)'
    assert sql(InParam(column("vendor"), "x")) == '"o"."vendor" = ANY (CAST($1 AS TEXT[]))'


def test_the_same_value_is_bound_once_for_each_type() -> None:
    where = Or((eq(column("vendor"), Param("v")), eq(column("vendor"), Param("v")), eq(column("id"), Param("v"))))
    select = Select((Source("o", ORDERS),), where, (Output("Id", column("id"), Kind.INT32),))
    assert compile_select(select, CATALOG).binds == (Param("v"), Param("v"))


def test_constants_that_only_python_takes_for_equal_are_bound_apart() -> None:
    select = Select(
        (Source("o", ORDERS),),
        Or((eq(column("id"), Const(1)), eq(Const(True), Const(True)), eq(column("weight"), Const(1.0)))),
        (Output("Id", column("id"), Kind.INT32),),
    )
    binds = compile_select(select, CATALOG).binds
    assert [type(bind.value) for bind in binds if isinstance(bind, Const)] == [int, bool, float]


@pytest.mark.parametrize("op", ["eq", "lt", "le", "gt", "ge"])
def test_a_negated_comparison_is_its_complement_where_nothing_may_be_null(op: str) -> None:
    where = Not(Compare(op, column("id"), Slot(0, Kind.INT32)))  # type: ignore[arg-type]
    complement = {"eq": "!=", "lt": ">=", "le": ">", "gt": "<=", "ge": "<"}[op]
    assert sql(where) == f'"o"."id" {complement} CAST($1 AS BIGINT)'
    assert sql(where, "id").endswith(" IS NOT true")


def test_unequal_counts_null_only_where_there_may_be_one() -> None:
    where = Compare("ne", column("id"), Slot(0, Kind.INT32))
    assert sql(where) == '"o"."id" != CAST($1 AS BIGINT)'
    assert sql(where, "id") == '"o"."id" IS DISTINCT FROM CAST($1 AS BIGINT)'
    assert sql(Not(where), "id") == '"o"."id" = CAST($1 AS BIGINT)'


def test_a_column_that_its_table_lets_be_null_is_taken_for_that() -> None:
    """Policies compare columns that no entity shows, and that no select declares."""
    loose = replace(CATALOG.tables[ORDERS].columns["id"], nullable=True)
    columns = {**CATALOG.tables[ORDERS].columns, "id": loose}
    catalog = Catalog({**CATALOG.tables, ORDERS: replace(CATALOG.tables[ORDERS], columns=columns)})
    where = Compare("eq", column("id"), Slot(0, Kind.INT32))
    assert sql(Not(where), catalog=catalog) == '("o"."id" = CAST($1 AS BIGINT)) IS NOT true'
    assert sql(where, catalog=catalog) == '"o"."id" = CAST($1 AS BIGINT)'


def test_null_order_is_written_for_nullable_keys_only() -> None:
    order = (Sort(column("id"), nullable=False), Sort(column("Total")), Sort(column("made"), descending=True))
    assert sql(Compare("eq", column("id"), Const(1)), order=order).endswith(
        'ORDER BY "o"."id" ASC, "o"."Total" ASC NULLS FIRST, "o"."made" DESC NULLS LAST'
    )


def test_a_page_continues_with_one_row_comparison_where_the_order_is_plain() -> None:
    values = (Slot(0, Kind.STRING), Slot(1, Kind.INT32))
    up = After(((column("vendor"), False, False), (column("id"), False, False)), values)
    assert sql(up) == '("o"."vendor", "o"."id") > (CAST($1 AS TEXT), CAST($2 AS BIGINT))'
    down = After(((column("vendor"), True, False), (column("id"), True, False)), values)
    assert sql(down) == '("o"."vendor", "o"."id") < (CAST($1 AS TEXT), CAST($2 AS BIGINT))'


def test_a_page_of_mixed_order_starts_at_a_bound_that_an_index_can_use() -> None:
    mixed = After(
        ((column("vendor"), False, False), (column("id"), True, False)), (Slot(0, Kind.STRING), Slot(1, Kind.INT32))
    )
    assert sql(mixed).startswith('"o"."vendor" >= CAST($1 AS TEXT) AND (')


def test_names_are_quoted_whatever_they_hold() -> None:
    odd = TableName('sc"hema', "ta ble")
    catalog = Catalog({odd: table(odd, **{'"; drop': "int4"})})
    alias = 'a"; --'
    select = Select((Source(alias, odd),), outputs=(Output('n"ame', Column(alias, '"; drop'), Kind.INT32),))
    assert re.sub(r"\s+", " ", compile_select(select, catalog).sql) == (
        'SELECT "a""; --"."""; drop" AS "n""ame" FROM "sc""hema"."ta ble" AS "a""; --"'
    )


def test_no_value_ever_stands_in_the_text() -> None:
    where = Or(
        (
            eq(column("vendor"), Const("secret'")),
            Match("contains", column("vendor"), Const("secret")),
            Compare("gt", Arith("add", column("id"), Const(424242)), Const(424242)),
        )
    )
    text = sql(where)
    assert "secret" not in text and "424242" not in text


def test_servers_without_casefold_match_by_lower_case() -> None:
    where = Match("startswith", column("vendor"), Slot(0, Kind.STRING))
    assert "casefold" in sql(where)
    assert sql(where, catalog=Catalog(CATALOG.tables, 170000)) == (
        'starts_with(lower("o"."vendor"), lower(CAST($1 AS TEXT)))'
    )


def test_a_correlated_select_names_the_enclosing_row_and_does_not_read_its_table_again() -> None:
    inner = Select((Source("l", LINES),), eq(Column("l", "order_id"), column("id")))
    assert sql(Exists(inner)) == ('EXISTS (SELECT 1 FROM "erp"."lines" AS "l" WHERE "l"."order_id" = "o"."id")')
    assert sql(Not(Exists(inner))).startswith("NOT (EXISTS (")


def test_what_was_not_secured_is_not_compiled() -> None:
    with pytest.raises(TypeError, match="secured"):
        sql(Any(("lines",), eq(column("id"), Const(1))))


def test_an_unknown_table_or_column_is_an_error_of_the_caller() -> None:
    with pytest.raises(KeyError):
        sql(eq(column("nothing"), Const(1)))
    with pytest.raises(KeyError):
        compile_select(Select((Source("o", TableName("erp", "nothing")),)), CATALOG)


def plan(**options: object) -> SecuredPlan:
    select = Select(
        (Source("o", ORDERS),),
        outputs=(
            Output("Id", column("id"), Kind.INT32),
            Output("Vendor", column("vendor"), Kind.STRING),
            Output("@version", column(ROW_VERSION), None),
        ),
    )
    return SecuredPlan("Order", select, **options)  # type: ignore[arg-type]


def lines(**options: object) -> SecuredExpand:
    select = Select(
        (Source("l", LINES),),
        outputs=(Output("Number", Column("l", "number"), Kind.INT32),),
        order=(Sort(Column("l", "number"), nullable=False),),
    )
    return SecuredExpand("Lines", True, "Line", select, **options)  # type: ignore[arg-type]


def test_a_single_row_goes_by_key_and_a_set_as_a_list() -> None:
    assert compile_read(plan(single=True), CATALOG).lane == "key"
    assert compile_read(plan(), CATALOG).lane == "list"


def test_a_total_comes_in_the_same_statement_and_alone() -> None:
    statement = compile_read(plan(count=Select((Source("o", ORDERS),))), CATALOG)
    assert statement.counted and statement.outputs == ("Id", "Vendor", "@version", "@count")
    assert statement.count is not None and statement.count.totals and statement.count.sql.startswith("SELECT count(*)")


def test_children_of_one_key_are_found_by_a_list_of_it() -> None:
    expand = lines(parent=("Id",), keys=(Column("l", "order_id"),))
    (child,) = compile_read(plan(expands=(expand,)), CATALOG).children
    assert 'WHERE "l"."order_id" = ANY (CAST($1 AS BIGINT[]))' in child.read.sql
    assert child.read.outputs == ("Number", "@key0")
    assert (child.parent, child.keys, child.read.binds) == ((0,), (1,), (Carried(0),))


def test_children_of_several_keys_are_joined_to_the_list_of_them() -> None:
    expand = lines(parent=("Id", "Vendor"), keys=(Column("l", "order_id"), Column("l", "company")))
    (child,) = compile_read(plan(expands=(expand,)), CATALOG).children
    assert 'unnest(CAST($1 AS BIGINT[]), CAST($2 AS TEXT[])) AS "@parents"(k0, k1)' in child.read.sql
    assert child.keys == (1, 2)


def test_a_limit_counts_for_each_parent() -> None:
    expand = lines(parent=("Id",), keys=(Column("l", "order_id"),), limit=Slot(0, Kind.INT32))
    (child,) = compile_read(plan(expands=(expand,)), CATALOG).children
    assert "JOIN LATERAL (SELECT" in child.read.sql and "LIMIT CAST($2 AS BIGINT)" in child.read.sql
    assert child.read.outputs == ("Number", "@key0")


def test_a_read_by_key_carries_its_witnesses_and_a_list_has_a_guard_beside_it() -> None:
    users = Select(
        (Source("u", USERS),),
        eq(Column("u", "id"), Param("user.id")),
        (Output("vendor", Column("u", "vendor"), None),),
    )
    watched = (Witness(users, "umbrella"),)
    by_key = compile_read(plan(single=True, witnesses=watched), CATALOG)
    assert Param("umbrella") in by_key.binds and by_key.guard is None
    expand = lines(parent=("Id",), keys=(Column("l", "order_id"),))
    listed = compile_read(plan(expands=(expand,), count=Select((Source("o", ORDERS),)), witnesses=watched), CATALOG)
    assert listed.count is not None and listed.guard is not None
    assert Param("umbrella") in listed.guard.binds and listed.guard.lane == "key"
    for each in (listed, listed.count, listed.children[0].read):
        assert Param("umbrella") not in each.binds, each.sql
