"""The predicate algebra: folding, negation, and the operands that it speaks of."""

from __future__ import annotations

import pytest

from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    And,
    Any,
    Arith,
    Column,
    Compare,
    Const,
    Exists,
    Field,
    In,
    IsNull,
    Match,
    Not,
    Or,
    Param,
    Predicate,
    all_of,
    any_of,
    map_operands,
    negate,
    operands,
)
from forecourt.kernel.relation import Select, Source, TableName, aliases_of

A, B, C = (IsNull(Field((name,))) for name in "abc")


def test_conjunction_and_disjunction_fold_what_is_trivial() -> None:
    assert all_of() == TRUE
    assert any_of() == FALSE
    assert all_of(A) == A
    assert any_of(A) == A
    assert all_of(A, FALSE, B) == FALSE
    assert any_of(A, TRUE, B) == TRUE
    assert all_of(TRUE, A, TRUE) == A
    assert any_of(FALSE, A, FALSE) == A
    assert all_of(A, And((B, C))) == And((A, B, C))
    assert any_of(Or((A, B)), C) == Or((A, B, C))
    assert all_of(Or((A, B))) == Or((A, B))


def test_negation_folds_constants_and_itself() -> None:
    assert negate(TRUE) == FALSE
    assert negate(FALSE) == TRUE
    assert negate(A) == Not(A)
    assert negate(negate(A)) == A


@pytest.mark.parametrize(
    "item",
    [
        Compare("eq", Field(("a",)), Param("p")),
        Compare("gt", Arith("add", Field(("a",)), Const(1)), Const(2)),
        In(Field(("a",)), (Const(1), Param("p"))),
        Match("contains", Field(("a",)), Const("x")),
        And((A, Or((Not(A), Any(("r",), A))))),
    ],
)
def test_every_operand_is_seen_and_can_be_changed(item: Predicate) -> None:
    assert Field(("a",)) in set(operands(item))
    changed = map_operands(item, lambda each: Column("t", "c") if each == Field(("a",)) else each)
    assert Field(("a",)) not in set(operands(changed))
    assert Column("t", "c") in set(operands(changed))


def test_aliases_are_found_inside_of_exists_too() -> None:
    inner = Select((Source("i", TableName("s", "t"), "root", TRUE),), Compare("eq", Column("i", "x"), Column("o", "y")))
    assert aliases_of(And((Exists(inner), Not(IsNull(Column("q", "z")))))) == {"i", "o", "q"}
