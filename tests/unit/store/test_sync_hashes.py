"""Hashes of segments: the same at both ends where rows are equal, another where any cell differs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from forecourt.kernel.model import DataSource
from forecourt.kernel.predicate import Compare, Const, Field
from forecourt.kernel.relation import TableName
from forecourt.kernel.sync import Leg, LegColumn, Side
from forecourt.kernel.types import Kind
from forecourt.store.embedded import EmbeddedServer
from support.ends import Pair, pair
from support.sync import entity

TABLE = """
create schema {schema};
create table {schema}.line (id bigint primary key, line numeric({scale}), a text, b text);
"""


def _entity(schema: str) -> object:
    return entity(
        schema,
        (DataSource("t", TableName(schema, "line")),),
        ("id",),
        id=("t", "id", Kind.INT64),
        line=("t", "line", Kind.DECIMAL),
        a=("t", "a", Kind.STRING),
        b=("t", "b", Kind.STRING),
    )


LEG = Leg(
    "lines",
    Side.OPERATIONS,
    _entity("erp"),  # type: ignore[arg-type]
    _entity("dv"),  # type: ignore[arg-type]
    (
        LegColumn("line", "line", Kind.DECIMAL, key=True),
        LegColumn("id", "id", Kind.INT64),
        LegColumn("a", "a", Kind.STRING),
        LegColumn("b", "b", Kind.STRING),
    ),
)


@pytest.fixture
async def both(postgres: EmbeddedServer) -> AsyncIterator[Pair]:
    scripts = [TABLE.format(schema=schema, scale=scale) for schema, scale in (("erp", "32, 16"), ("dv", "20, 4"))]
    async with pair(postgres, scripts[:1], scripts[1:]) as made:
        yield made


async def _fill(both: Pair, ours: str, theirs: str) -> None:
    await both.operations.script("rows", f"delete from erp.line; insert into erp.line values {ours}")
    await both.dataverse.script("rows", f"delete from dv.line; insert into dv.line values {theirs}")


async def test_a_key_with_another_scale_is_in_the_same_segment(both: Pair) -> None:
    rows = "(1, 1, 'x', ''), (2, 2.5, null, 'y'), (3, 1000000, '', null)"
    await _fill(both, rows, rows)
    source = await both.segments(LEG, "source", 1000)
    assert source == await both.segments(LEG, "target", 1000)
    assert sum(segment.rows for segment in source) == 3


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("(1, 1, null, 'x')", "(1, 1, '', 'x')"),
        ("(1, 1, 'ab', 'c')", "(1, 1, 'a', 'bc')"),
        ("(1, 1, E'a\\x1f', 'b')", "(1, 1, 'a', E'\\x1fb')"),
        ("(1, 1, 'a,b', null)", "(1, 1, 'a', 'b')"),
        ("(1, 1, null, 'x')", "(1, 1, 'x', null)"),
        ("(1, 1, 'x', 'x')", "(1, 1, 'x', 'x ')"),
        ("(1, 1, 'x', 'y'), (2, 2, 'y', 'x')", "(1, 1, 'y', 'x'), (2, 2, 'x', 'y')"),
    ],
)
async def test_rows_that_differ_at_all_have_another_hash(both: Pair, ours: str, theirs: str) -> None:
    await _fill(both, ours, theirs)
    assert await both.segments(LEG, "source", 1) != await both.segments(LEG, "target", 1)
    await _fill(both, theirs, theirs)
    assert await both.segments(LEG, "source", 1) == await both.segments(LEG, "target", 1)


async def test_the_order_of_rows_does_not_matter(both: Pair) -> None:
    await _fill(both, "(1, 1, 'x', 'y'), (2, 2, 'z', 'w')", "(2, 2, 'z', 'w'), (1, 1, 'x', 'y')")
    assert await both.segments(LEG, "source", 1) == await both.segments(LEG, "target", 1)


async def test_filters_of_both_sides_count(both: Pair) -> None:
    leg = replace(
        LEG,
        filter=Compare("ne", Field(("a",)), Const("hidden")),
        target_filter=Compare("ne", Field(("b",)), Const("other")),
    )
    await _fill(
        both, "(1, 1, 'x', 'y'), (2, 2, 'hidden', 'y'), (3, 3, null, 'y')", "(1, 1, 'x', 'y'), (3, 3, null, 'y')"
    )
    assert await both.agree(leg)
    await both.dataverse.script("other", "insert into dv.line values (9, 9, null, 'other')")
    assert await both.agree(leg)


async def test_the_rows_of_a_segment_are_those_that_it_counts(both: Pair) -> None:
    rows = ", ".join(f"({n}, {n}, 'x', 'y')" for n in range(1, 101))
    await _fill(both, rows, rows)
    for segment in await both.segments(LEG, "source", 7):
        assert 0 <= segment.number < 7
        found = await both.between(
            LEG,
            lambda source, _, number=segment.number: both.ends.segment(source, LEG, "source", 7, number),  # type: ignore[misc]
        )
        assert len(found) == segment.rows
