"""Which policies are active, and what each puts on a table."""

from __future__ import annotations

from typing import Any

import pytest
from security_samples import KEYS, LINES, LINK, ORDER, ORDERS, VENDOR, key_of, policy, role, rules, user

from forecourt.kernel.predicate import FALSE, TRUE, And, Column, Compare, Exists, Not, Or, Param, Predicate
from forecourt.kernel.relation import Source, TableName
from forecourt.security.rules import Constraint, Operation, OperationsRules
from forecourt.security.xds import (
    BOUND_LIMIT,
    Filter,
    active,
    bindable,
    broken,
    constrained,
    padded,
    umbrella,
    umbrella_columns,
    values,
)

VENDOR_USER = user("Vendor")


def on(found: OperationsRules, table: TableName, sizes: dict[str, int | None], **more: Any) -> Predicate:
    counter = iter(range(100))
    who = more.get("user", VENDOR_USER)
    filters = Filter(found, who, sizes, key_of, lambda name: f"n{next(counter)}_{name}")
    return filters.on(table, "x", more.get("operation", Operation.READ))


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, 0), (1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 16), (16, 16), (17, None), (1000, None)],
)
def test_a_set_is_padded_to_a_power_of_two_or_left_unbound(size: int, expected: int | None) -> None:
    assert padded(size) == expected


def test_the_last_row_fills_a_set_up_and_an_empty_set_has_no_values() -> None:
    columns = ("id", "area")
    found = dict(values(policy(), columns, [(1, "a"), (2, "b"), (3, "c")]))
    assert [found[f"xds.Own.{row}.id"] for row in range(4)] == [1, 2, 3, 3]
    assert [found[f"xds.Own.{row}.area"] for row in range(4)] == ["a", "b", "c", "c"]
    assert dict(values(policy(), columns, [])) == {}
    assert len(dict(values(policy(), columns, [(n, "a") for n in range(BOUND_LIMIT)]))) == 2 * BOUND_LIMIT


def test_the_umbrella_gives_the_columns_that_constrained_tables_relate_to() -> None:
    assert umbrella_columns(policy(), key_of) == ("id", "area")
    assert umbrella_columns(policy(constrain_primary=False), key_of) == ("id", "area")
    assert umbrella_columns(policy(constrain_primary=False, constraints=()), key_of) == ()
    select = umbrella(policy(), key_of)
    assert [source.table for source in select.sources] == [VENDOR, LINK]
    assert [output.name for output in select.outputs] == ["id", "area"]


def test_what_cannot_be_bound_stays_a_subquery() -> None:
    assert bindable(policy(), key_of)
    assert not bindable(policy(not_exists=True), key_of)
    assert not bindable(policy(primary=LINK, sources=(Source("k", LINK),)), key_of), "its key is not known"
    assert not bindable(policy(constrain_primary=False, constraints=()), key_of), "it constrains nothing"


@pytest.mark.parametrize(
    ("context", "roles", "holds", "denies"),
    [
        (("RoleProperty", "PolicyForVendors"), ("Vendor",), True, False),
        (("RoleProperty", "PolicyForVendors"), ("Other",), False, False),
        (("RoleProperty", "PolicyForVendors"), ("NoSuchRole",), False, False),
        (("RoleProperty", "PolicyForVendor"), ("Vendor",), False, True),
        (("RoleProperty", ""), ("Other",), False, True),
        (("RoleName", "Vendor"), ("Vendor",), True, False),
        (("RoleName", "Vendor"), ("Other",), False, False),
        (("RoleName", "vendor"), ("Vendor",), False, True),
        (("ContextString", "PolicyForVendors"), ("Vendor",), False, True),
    ],
)
def test_a_context_holds_for_who_carries_it_and_a_misspelt_one_denies_all(
    context: tuple[str, str], roles: tuple[str, ...], holds: bool, denies: bool
) -> None:
    known = (role("Vendor", context="PolicyForVendors"), role("Other"))
    found = rules(policy(context=context), roles=known)
    who = user(*roles)
    assert bool(active(found, who, Operation.READ)) is holds
    assert broken(found, found.policies[0]) is denies
    for table in (VENDOR, ORDERS, LINES):
        condition = on(found, table, {"Own": 1}, user=who)
        assert (condition == FALSE) is denies
        assert (condition == TRUE) is (not holds and not denies)


@pytest.mark.parametrize("operation", list(Operation))
def test_a_policy_constrains_the_operations_that_it_names(operation: Operation) -> None:
    reading = rules(policy(operations=frozenset({Operation.READ})))
    condition = on(reading, ORDERS, {"Own": 1}, operation=operation)
    assert (condition == TRUE) is (operation is not Operation.READ)
    assert constrained(reading, VENDOR_USER, ORDER, operation) is (operation is Operation.READ)


def test_a_policy_that_is_switched_off_constrains_nothing() -> None:
    off = rules(policy(enabled=False))
    assert on(off, ORDERS, {}) == TRUE
    assert not constrained(off, VENDOR_USER, ORDER, Operation.READ)


def test_administrators_are_not_constrained_not_even_by_a_misspelt_policy() -> None:
    admin = user("Vendor", "-SYSADMIN-")
    assert on(rules(policy(context=("RoleName", "x"))), ORDERS, {}, user=admin) == TRUE
    assert active(rules(policy()), admin, Operation.READ) == ()


def test_a_bound_primary_table_is_compared_by_its_key() -> None:
    assert on(rules(policy()), VENDOR, {"Own": 1}) == Compare("eq", Column("x", "id"), Param("xds.Own.0.id"))
    two = on(rules(policy()), VENDOR, {"Own": 2})
    assert isinstance(two, Or)
    assert len(two.items) == 2


def test_a_bound_set_without_a_row_admits_nothing() -> None:
    for table in (VENDOR, ORDERS):
        assert on(rules(policy()), table, {"Own": 0}) == FALSE


def test_a_bound_table_under_the_primary_is_compared_by_all_columns_of_its_relation() -> None:
    assert on(rules(policy()), ORDERS, {"Own": 1}) == And(
        (
            Compare("eq", Column("x", "vendor"), Param("xds.Own.0.id")),
            Compare("eq", Column("x", "area"), Param("xds.Own.0.area")),
        )
    )


def test_a_nested_table_is_reached_through_the_one_above() -> None:
    condition = on(rules(policy()), LINES, {"Own": 1})
    assert isinstance(condition, Exists)
    (source,) = condition.select.sources
    assert source.table == ORDERS
    assert isinstance(condition.select.where, And)
    assert condition.select.where.items[0] == Compare("eq", Column(source.alias, "id"), Column("x", "orders"))


def test_a_table_that_is_only_passed_through_is_not_constrained_itself() -> None:
    lines = Constraint(LINES, "l", (("orders", "id"),))
    through = Constraint(ORDERS, "o", (("vendor", "id"),), False, (lines,))
    found = rules(policy(constraints=(through,)))
    assert on(found, ORDERS, {"Own": 1}) == TRUE
    assert isinstance(on(found, LINES, {"Own": 1}), Exists)
    assert not constrained(found, VENDOR_USER, ORDER, Operation.READ)


def test_unbound_the_condition_is_a_subquery_over_the_policys_own_tables() -> None:
    primary = on(rules(policy()), VENDOR, {"Own": None})
    assert isinstance(primary, Exists)
    assert [source.table for source in primary.select.sources] == [LINK]
    nested = on(rules(policy()), ORDERS, {"Own": None})
    assert isinstance(nested, Exists)
    assert [source.table for source in nested.select.sources] == [VENDOR, LINK]
    aliases = {source.alias for source in nested.select.sources}
    assert "x" not in aliases
    assert not aliases & {"v", "k"}, "its aliases never meet those of the statement"


def test_a_size_that_is_not_known_leaves_the_subquery() -> None:
    assert on(rules(policy()), ORDERS, {}) == on(rules(policy()), ORDERS, {"Own": None})


def test_not_exists_turns_the_condition_round_and_is_never_bound() -> None:
    for table in (VENDOR, ORDERS, LINES):
        condition = on(rules(policy(not_exists=True)), table, {"Own": 1})
        assert isinstance(condition, Not)
        assert isinstance(condition.item, Exists)


def test_a_primary_that_is_not_constrained_stays_open_while_what_is_under_it_does_not() -> None:
    found = rules(policy(constrain_primary=False))
    assert on(found, VENDOR, {"Own": 1}) == TRUE
    assert on(found, ORDERS, {"Own": 1}) != TRUE


def test_policies_combine_by_and_also_across_roles() -> None:
    known = (role("Vendor", context="PolicyForVendors"), role("Two", context="Second"))
    found = rules(policy("A"), policy("B", context=("RoleProperty", "Second")), roles=known)
    both = on(found, VENDOR, {"A": 1, "B": 1}, user=user("Vendor", "Two"))
    assert isinstance(both, And)
    assert set(both.items) == {
        Compare("eq", Column("x", "id"), Param("xds.A.0.id")),
        Compare("eq", Column("x", "id"), Param("xds.B.0.id")),
    }
    assert on(found, VENDOR, {"A": 1, "B": 1}) == Compare("eq", Column("x", "id"), Param("xds.A.0.id"))


def test_several_nodes_for_one_table_combine_by_and() -> None:
    nodes = (Constraint(ORDERS, "o", (("vendor", "id"),)), Constraint(ORDERS, "p", (("buyer", "id"),)))
    condition = on(rules(policy(constraints=nodes)), ORDERS, {"Own": 1})
    assert condition == And(
        (
            Compare("eq", Column("x", "vendor"), Param("xds.Own.0.id")),
            Compare("eq", Column("x", "buyer"), Param("xds.Own.0.id")),
        )
    )


def test_a_table_that_no_policy_names_is_left_alone() -> None:
    assert on(rules(policy()), TableName("t", "elsewhere"), {"Own": 1}) == TRUE
    assert set(KEYS) == {VENDOR, ORDERS, LINES}
