"""Policies, constructs, denials and duty rules from their files, and what check says of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from forecourt.kernel.predicate import (
    TRUE,
    And,
    Column,
    Compare,
    Const,
    Exists,
    In,
    Match,
    Param,
    Predicate,
)
from forecourt.kernel.relation import TableName
from forecourt.kernel.solution import SolutionHeader
from forecourt.operations.contexts import context_strings
from forecourt.operations.duties import user_conflicts
from forecourt.operations.policies.expressions import parse_expression
from forecourt.operations.policies.findings import user_findings
from forecourt.operations.solution import OperationsSolution, load_operations
from forecourt.security.constructs import NOW, TODAY
from forecourt.security.rules import Operation, Policy
from forecourt.security.xds.listing import listed
from forecourt.store.catalog import Catalog, Table, TableColumn
from forecourt.store.folder import Faults

ENTITY = """
name: OrderEntity
public_name: Order
collection: Orders
root: {table: t.orders}
joins: [{table: t.names, alias: names, on: {id: vendor}, outer: true}]
key: [Id]
fields: {Id: id, Amount: amount, Name: names.name}
"""
ROLES = """
privileges:
  See: {entities: {OrderEntity: {grant: [read], fields: {deny_read: [Amount]}}}}
  Pay: {entities: {OrderEntity: {grant: [read, update], deny: [delete]}}}
duties: {Buying: {privileges: [See]}, Paying: {privileges: [Pay]}}
roles:
  Buyer: {duties: [Buying], context: Own}
  Payer: {duties: [Paying]}
  Chief: {context: Own, roles: [Buyer, Payer]}
"""
POLICY = """
name: Own
context: {type: RoleProperty, value: Own}
primary_table: t.vendor
alias: Vendor
query: {ranges: [{column: who, equals: $user.id}]}
constrained_tables:
  - {table: t.orders, relation: {vendor: id}}
"""

TYPES = {"id": "int4", "who": "text", "day": "date", "at": "timestamptz", "price": "numeric", "number": "int4"}


def catalog() -> Catalog:
    names = [TableName("t", name) for name in ("vendor", "orders", "names", "lines", "seen")]
    columns = {
        "vendor": TYPES,
        "orders": {"id": "int4", "vendor": "int4", "amount": "int4", "who": "text"},
        "names": {"id": "int4", "name": "text"},
        "lines": {"id": "int4", "orders": "int4", "who": "text", "number": "int4"},
        "seen": {"id": "int4", "vendor": "int4"},
    }
    tables = {
        name: Table(name, {column: TableColumn(column, kind) for column, kind in columns[name.name].items()}, ("id",))
        for name in names
    }
    seen = names[-1]
    tables[seen] = Table(seen, tables[seen].columns, view=True, beneath=(names[1],))
    return Catalog(tables)


def load(
    folder: Path,
    policy: str = POLICY,
    roles: str = ROLES,
    construct: str = "",
    code: str = "",
    entity: str = ENTITY,
    database: bool = True,
) -> tuple[OperationsSolution, list[str]]:
    """The solution, and the messages of faults and findings."""
    texts = {
        "entities/order.yaml": entity,
        "roles.yaml": roles,
        "policies/own.yaml": policy,
        "constructs/mine.yaml": construct,
        "logic.py": code,
    }
    for name, text in texts.items():
        if text:
            path = folder / "operations" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    faults = Faults()
    header = SolutionHeader(name="x", title="X", tenant="x")
    found = load_operations(folder, header, catalog() if database else None, faults)
    return found, [str(error) for error in (*faults.errors, *found.findings)]


def policy_of(folder: Path, text: str, **more: Any) -> Policy:
    found, said = load(folder, text, **more)
    assert not said, said
    return found.rules.policies[0]


# ------------------------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{column: number, lt: 5}", Compare("lt", Column("Vendor", "number"), Const(5))),
        ("{column: number, ge: 1}", Compare("ge", Column("Vendor", "number"), Const(1))),
        ("{column: price, gt: 1.5}", Compare("gt", Column("Vendor", "price"), Const(Decimal("1.5")))),
        ("{column: price, le: '2.50'}", Compare("le", Column("Vendor", "price"), Const(Decimal("2.50")))),
        ("{column: day, lt: '2026-02-03'}", Compare("lt", Column("Vendor", "day"), Const(dt.date(2026, 2, 3)))),
        ("{column: day, le: $today}", Compare("le", Column("Vendor", "day"), TODAY)),
        ("{column: at, gt: $now}", Compare("gt", Column("Vendor", "at"), NOW)),
        (
            "{column: at, ge: '2026-02-03T04:05:06'}",
            Compare("ge", Column("Vendor", "at"), Const(dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC))),
        ),
        (
            "{column: number, between: [1, 9]}",
            And(
                (
                    Compare("ge", Column("Vendor", "number"), Const(1)),
                    Compare("le", Column("Vendor", "number"), Const(9)),
                )
            ),
        ),
        ("{column: who, like: 'a*'}", Match("wildcard", Column("Vendor", "who"), Const("a*"))),
        ("{column: who, starts_with: $user.email}", Match("startswith", Column("Vendor", "who"), Param("user.email"))),
        ("{column: who, one_of: [a, $user.company]}", In(Column("Vendor", "who"), (Const("a"), Param("user.company")))),
        (
            "{column: who, not_equals: $user.email}",
            And(
                (
                    Compare("ne", Column("Vendor", "who"), Param("user.email")),
                    Match("startswith", Param("user.email"), Const("")),
                )
            ),
        ),
    ],
)
def test_a_range_compares_in_the_type_of_its_column(tmp_path: Path, given: str, expected: Predicate) -> None:
    text = POLICY.replace("{column: who, equals: $user.id}", given)
    assert policy_of(tmp_path, text).filter == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{column: day, lt: tomorrow}", "'tomorrow' is no date"),
        ("{column: day, lt: $now}", "'$now' does not fit the column"),
        ("{column: number, like: 'a*'}", "like is for texts"),
        ("{column: who, like: $user.email}", "a value of the user cannot be a pattern"),
        ("{column: who, equals: $user.salary}", "'$user.salary' is not a value of the user"),
        ("{column: number, between: [1]}", "between needs two values"),
        ("{column: who}", "a range needs a condition"),
        ("{column: whom, equals: a}", "has no column 'whom'"),
    ],
)
def test_a_range_that_means_nothing_is_a_fault(tmp_path: Path, given: str, said: str) -> None:
    _, found = load(tmp_path, POLICY.replace("{column: who, equals: $user.id}", given))
    assert any(said in line for line in found), found


# ------------------------------------------------------------------------------------------------- expressions


@pytest.mark.parametrize(
    "text",
    ["A.x = B.y and A.n > 3", "(A.x == B.y) && (A.n > 3)", "((A.x = B.y and (A.n > 3)))"],
)
def test_an_expression_is_read_however_it_is_written(text: str) -> None:
    assert parse_expression(text) == (
        Compare("eq", Column("A", "x"), Column("B", "y")),
        Compare("gt", Column("A", "n"), Const(3)),
    )
    assert parse_expression("A.x <> 'it''s'") == (Compare("ne", Column("A", "x"), Const("it's")),)


@pytest.mark.parametrize(
    "text", ["", "A.x", "A.x =", "A.x = B.y or A.n = 1", "x = B.y", "A.x = B.y)", "(" * 30, "A.x = now()", "A" * 2_000]
)
def test_an_expression_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_expression(text)


def test_an_expression_of_plain_pairs_is_a_relation_and_the_rest_a_condition(tmp_path: Path) -> None:
    expression = "t_orders.vendor = Vendor.id and t_orders.amount < Vendor.number"
    text = POLICY.replace("relation: {vendor: id}", f"alias: t_orders, expression: '{expression}'")
    (node,) = policy_of(tmp_path, text).constraints
    assert node.relation == (("vendor", "id"),)
    assert node.condition == Compare("lt", Column("t_orders", "amount"), Column("Vendor", "number"))


def test_an_expression_may_speak_of_every_table_above(tmp_path: Path) -> None:
    text = (
        POLICY
        + "    tables:\n      - {table: t.lines, expression: lines.orders = orders.id and lines.who = Vendor.who}\n"
    )
    text = text.replace(
        "  - {table: t.orders, relation: {vendor: id}}", "  - table: t.orders\n    relation: {vendor: id}"
    )
    (orders,) = policy_of(tmp_path, text).constraints
    (node,) = orders.nested
    assert node.relation == (("orders", "id"),)
    assert node.condition == Compare("eq", Column("lines", "who"), Column("Vendor", "who"))


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("orders.amount = 1", "does not tie 'orders' to a table above it"),
        ("orders.vendor = Vendors.id", "'Vendors' is not a table of this query"),
        ("orders.vendor = Vendor.ids", "has no column 'ids'"),
        ("orders.vendor", "cannot be read: a comparison is missing at the end"),
    ],
)
def test_an_expression_that_ties_nothing_is_a_fault(tmp_path: Path, expression: str, said: str) -> None:
    _, found = load(tmp_path, POLICY.replace("relation: {vendor: id}", f"expression: '{expression}'"))
    assert any(said in line for line in found), found


# ------------------------------------------------------------------------------------------------- constructs

MINE = """
name: MyVendors
table: t.vendor
keys: {vendor: id}
query: {ranges: [{column: who, equals: $user.id}]}
"""


def test_a_policy_joins_a_construct_by_all_of_its_keys(tmp_path: Path) -> None:
    query = "{joins: [{construct: MyVendors, on: {vendor: id}}]}"
    text = POLICY.replace("{ranges: [{column: who, equals: $user.id}]}", query)
    policy = policy_of(tmp_path, text, construct=MINE)
    (join,) = policy.constructs
    assert policy.filter == join.condition
    assert isinstance(join.condition, Exists)
    _, found = load(tmp_path, text.replace("{vendor: id}", "{id: id}"), construct=MINE)
    assert any("construct MyVendors is joined by all of its keys" in line for line in found)
    _, found = load(tmp_path, text.replace("MyVendors", "MyVendor"), construct=MINE)
    assert any("construct 'MyVendor' is not known" in line for line in found)


def test_a_set_that_looks_at_the_clock_cannot_be_kept(tmp_path: Path) -> None:
    timed = MINE.replace("equals: $user.id}", "equals: $user.id}, {column: day, ge: $today}")
    _, found = load(tmp_path, construct=timed)
    assert any("its set cannot be kept" in line for line in found)
    _, found = load(tmp_path, construct=timed + "refresh: PerInvocation\n")
    assert not found


# ------------------------------------------------------------------------------------------------- what check says


def test_a_context_string_counts_as_set_where_a_file_writes_it(tmp_path: Path) -> None:
    text = POLICY.replace("type: RoleProperty, value: Own", "type: ContextString, value: Audit")
    code = "from forecourt.operations.hooks import context\n\ndef f():\n    with context('Audit'):\n        pass\n"
    _, found = load(tmp_path, text)
    assert any("waits for context string 'Audit', which no file of the solution" in line for line in found)
    solution, found = load(tmp_path, text, code=code)
    assert not found
    assert solution.rules.strings == {"Audit"} == context_strings(tmp_path)


def test_who_holds_a_parent_role_alone_escapes_the_policy_of_its_sub_role_and_check_says_so(tmp_path: Path) -> None:
    found, said = load(tmp_path)
    assert not said
    _, said = load(tmp_path / "b", roles=ROLES.replace("Chief: {context: Own, ", "Chief: {"))
    assert any("bound to role Buyer, which role Chief contains" in line for line in said)
    _, said = load(tmp_path / "c", POLICY.replace("type: RoleProperty, value: Own", "type: RoleName, role: Buyer"))
    assert any("bound to role Buyer, which role Chief contains" in line for line in said)
    assert found.rules.roles["Chief"].duties == {"Buying", "Paying"}


def test_a_view_over_a_constrained_table_is_named(tmp_path: Path) -> None:
    entity = ENTITY.replace("t.names, alias: names, on: {id: vendor}", "t.seen, alias: names, on: {id: id}")
    _, found = load(tmp_path, entity=entity.replace("names.name", "names.vendor"))
    assert any("beneath t.seen and not the view itself" in line for line in found)


def test_what_stays_closed_to_people_outside_is_named_with_them(tmp_path: Path) -> None:
    users = (
        "users:\n  - {id: ann, roles: [Buyer, SystemExternalUser]}\n  - {id: ben, roles: [Payer, SystemExternalUser]}\n"
    )
    roles = ROLES.replace("  Chief: {context: Own, roles: [Buyer, Payer]}\n", "  Other: {}\n") + users
    _, found = load(tmp_path, roles=roles)
    assert len(found) == 1
    assert "ben from outside may read Orders, and no active policy constrains t.orders" in found[0]
    other = POLICY.replace("name: Own", "name: Names").replace("t.vendor\n", "t.names\n").split("query:")[0]
    other = other.replace("type: RoleProperty, value: Own", "type: RoleName, role: Other")
    (tmp_path / "operations" / "policies" / "names.yaml").write_text(other)
    _, found = load(tmp_path, roles=roles)
    assert any("ann from outside see nothing of t.names in Orders" in line for line in found)


def test_who_bypasses_is_named(tmp_path: Path) -> None:
    solution, _ = load(tmp_path)
    held = [("ann", frozenset({"XDSDataAccessPolicyBypassRole"})), ("ben", frozenset({"Buyer"}))]
    entities = solution.model.entities
    (said,) = user_findings(solution.rules, entities, held, entities["OrderEntity"].where)
    assert "no policy constrains ann: they hold XDSDataAccessPolicyBypassRole" in str(said)


# ------------------------------------------------------------------------------------------------- denials, duties


def test_a_privilege_grants_and_denies(tmp_path: Path) -> None:
    solution, _ = load(tmp_path)
    (see,) = solution.rules.roles["Buyer"].grants
    (pay,) = solution.rules.roles["Payer"].grants
    assert see.denied_read == {"Amount"}
    assert pay.denied == {Operation.DELETE}


@pytest.mark.parametrize(
    ("permission", "said"),
    [
        ("{grant: [read], fields: {deny_read: [Id]}}", "Id is part of the key"),
        ("{grant: [read], fields: {deny_update: [Amounts]}}", "field 'Amounts' is not known"),
        ("{grant: [read], deny_actions: [pay]}", "action 'pay' is not known"),
        ("{}", "a permission grants or denies something"),
    ],
)
def test_a_denial_that_names_nothing_is_a_fault(tmp_path: Path, permission: str, said: str) -> None:
    roles = ROLES.replace("{grant: [read], fields: {deny_read: [Amount]}}", permission)
    _, found = load(tmp_path, roles=roles)
    assert any(said in line for line in found), found


def test_a_role_that_says_what_a_user_is_cannot_be_a_sub_role(tmp_path: Path) -> None:
    _, found = load(tmp_path, roles=ROLES.replace("[Buyer, Payer]", "[Buyer, SystemExternalUser]"))
    assert any("SystemExternalUser cannot be a sub-role" in line for line in found)


RULE = """
segregation_of_duties:
  - {name: Buy and pay, first: Buying, second: Paying, severity: High, risk: Money may leave., overrides: []}
users:
  - {id: one, roles: [Buyer, Payer]}
  - {id: two, roles: [Buyer]}
"""


def test_who_holds_two_duties_that_a_rule_keeps_apart_is_named(tmp_path: Path) -> None:
    solution, found = load(tmp_path, roles=ROLES + RULE)
    said = [line for line in found if "keeps apart" in line]
    assert len(said) == 2
    assert "role Chief contains both Buying and Paying" in said[0]
    assert "(severity High). Money may leave." in said[0]
    assert "one holds both Buying and Paying" in said[1]
    held = [("x", frozenset({"Chief"})), ("y", frozenset({"Buyer", "Payer"})), ("z", frozenset({"Payer"}))]
    (conflict,) = user_conflicts(solution.rules, held)
    assert "x, y hold both" in str(conflict)


def test_an_override_with_its_reason_accepts_a_conflict(tmp_path: Path) -> None:
    accepted = RULE.replace("[]", "[{role: Chief, reason: Sees both.}, {user: one, reason: Alone.}]")
    _, found = load(tmp_path, roles=ROLES + accepted)
    assert not [line for line in found if "keeps apart" in line]
    for wrong, said in (
        ("[{role: Chiefs, reason: x}]", "role 'Chiefs' is not known"),
        ("[{role: Chief, reason: ' '}]", "an override needs a reason"),
        ("[{reason: x}]", "an override is of a role or of a user"),
    ):
        _, found = load(tmp_path, roles=ROLES + RULE.replace("[]", wrong))
        assert any(said in line for line in found), found


# ------------------------------------------------------------------------------------------------- the list


def test_policies_are_listed_with_their_conditions_in_words(tmp_path: Path) -> None:
    solution, _ = load(tmp_path, POLICY + "operation: Select\nobsolete: true\ntags: [vendors]\nhelp_text: Own ones.\n")
    (item,) = listed(solution.rules)
    assert (item.operation, item.context, item.state) == ("Select", "RoleProperty Own", "enabled, obsolete")
    assert (item.roles, item.tags, item.help_text) == (("Buyer", "Chief"), ("vendors",), "Own ones.")
    assert dict(item.tables) == {
        "t.vendor": "vendor.who = $user.id",
        "t.orders": "EXISTS (SELECT 'x' FROM t.vendor AS Vendor_1 WHERE Vendor_1.id = orders.vendor "
        "AND Vendor_1.who = $user.id)",
    }
    assert solution.rules.policies[0].filter != TRUE
