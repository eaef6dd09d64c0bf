"""What the prover proves, refutes and leaves open, question by question."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from forecourt.kernel.predicate import (
    After,
    Arith,
    Column,
    Compare,
    Const,
    Exists,
    In,
    InParam,
    IsNull,
    Match,
    Not,
    Param,
    Predicate,
    all_of,
    any_of,
    negate,
)
from forecourt.kernel.relation import Select, Source, TableName
from forecourt.store.catalog import Catalog, ForeignKey, Table, TableColumn

pytest.importorskip("z3", reason="z3-solver, of requirements/dev.txt, is not installed")

from forecourt.security.prove.decide import Assumption, Candidate, Open, Proof, decide

ORDERS, VENDORS = TableName("t", "orders"), TableName("t", "vendors")


def catalog(**changes: Any) -> Catalog:
    """Orders of vendors. ``changes``: of the table of orders."""
    orders = {
        "id": TableColumn("id", "int4", nullable=False),
        "account": TableColumn("account", "text"),
        "company": TableColumn("company", "text"),
        "area": TableColumn("area", "text", nullable=False),
        "folded": TableColumn("folded", "text", folds=True),
        "code": TableColumn("code", "bpchar", length=3),
        "status": TableColumn("status", "int4"),
        "price": TableColumn("price", "numeric"),
        "day": TableColumn("day", "date"),
        "moment": TableColumn("moment", "timestamptz"),
        "closed": TableColumn("closed", "bool"),
        "notes": TableColumn("notes", "json"),
        "vendor": TableColumn("vendor", "int4"),
    }
    vendors = {
        "id": TableColumn("id", "int4", nullable=False),
        "account": TableColumn("account", "text"),
        "owner": TableColumn("owner", "text"),
        "blocked": TableColumn("blocked", "int4"),
    }
    key = ForeignKey(("vendor",), VENDORS, ("id",))
    given: dict[str, Any] = {"primary": ("id",), "foreign": (key,), **changes}
    return Catalog({ORDERS: Table(ORDERS, orders, **given), VENDORS: Table(VENDORS, vendors, primary=("id",))})


def order(name: str) -> Column:
    return Column("o", name)


def is_(name: str, value: object) -> Predicate:
    return Compare("eq", order(name), value if isinstance(value, Param) else Const(value))  # type: ignore[arg-type]


def ask(wide: Predicate, narrow: Predicate, *assumptions: Assumption, **changes: Any) -> Proof | Candidate | Open:
    """Whether what ``wide`` admits of orders is what ``narrow`` admits."""
    leak = Exists(Select((Source("o", ORDERS),), all_of(wide, negate(narrow))))
    return decide(leak, assumptions, catalog(**changes))


def vendor(alias: str, *conditions: Predicate) -> Predicate:
    """The order's vendor is there and satisfies the conditions."""
    link = Compare("eq", Column(alias, "id"), order("vendor"))
    return Exists(Select((Source(alias, VENDORS),), all_of(link, *conditions)))


def owned(alias: str) -> Predicate:
    return Compare("eq", Column(alias, "owner"), Param("user.id"))


MINE = is_("account", Param("account.accountnumber"))
COMPANY = is_("company", Param("account.company"))
OPEN = In(order("status"), (Const(1), Const(2)))


def test_a_condition_more_is_contained() -> None:
    assert ask(all_of(MINE, COMPANY, OPEN), all_of(MINE, COMPANY)) == Proof((), ())


def test_a_missing_legal_entity_is_refuted() -> None:
    found = ask(all_of(MINE, OPEN), all_of(MINE, COMPANY))
    assert isinstance(found, Candidate)
    (row,) = found.rows[ORDERS]
    assert row["account"] == found.values["account.accountnumber"] is not None
    assert row["company"] is None or row["company"] != found.values.get("account.company")


def test_a_row_of_no_legal_entity_is_the_witness_that_people_miss() -> None:
    shared = any_of(COMPANY, IsNull(order("company")))
    found = ask(all_of(MINE, shared), all_of(MINE, COMPANY))
    assert isinstance(found, Candidate)
    assert found.rows[ORDERS][0]["company"] is None


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (Not(Compare("lt", order("status"), Const(5))), Compare("ge", order("status"), Const(5))),
        (Compare("ne", order("company"), Const("a")), negate(IsNull(order("company")))),
        (negate(In(order("company"), (Const("a"),))), Compare("ne", order("company"), Param("nobody"))),
    ],
)
def test_a_negation_admits_null(wide: Predicate, narrow: Predicate) -> None:
    found = ask(wide, narrow)
    assert isinstance(found, Candidate)
    (row,) = found.rows[ORDERS]
    assert None in row.values()


def test_what_is_never_null_is_a_fact_that_the_proof_names() -> None:
    found = ask(Not(is_("area", "a")), all_of(Compare("ne", order("area"), Const("a")), negate(IsNull(order("area")))))
    assert found == Proof(("t.orders.area is never null",), ())


@pytest.mark.parametrize("changes", [{"kept": False}, {"view": True, "kept": False}])
def test_tables_that_the_database_does_not_keep_give_no_facts(changes: dict[str, Any]) -> None:
    found = ask(Not(is_("area", "a")), negate(IsNull(order("area"))), **changes)
    assert isinstance(found, Candidate)


@pytest.mark.parametrize(
    ("wide", "narrow", "proved"),
    [
        (Compare("gt", order("status"), Const(Decimal("2.5"))), Compare("ge", order("status"), Const(3)), True),
        (Compare("gt", order("price"), Const(Decimal("2.5"))), Compare("ge", order("price"), Const(3)), False),
        (is_("day", dt.date(2026, 1, 2)), Compare("gt", order("day"), Const(dt.date(2026, 1, 1))), True),
        (is_("moment", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)), is_("moment", dt.date(2026, 1, 1)), True),
        (is_("closed", True), Compare("ne", order("closed"), Const(False)), True),
        (In(order("status"), ()), is_("status", 9), True),
        (is_("status", 3), InParam(order("status"), "user.list"), False),
        (all_of(is_("status", 3), InParam(order("status"), "l")), InParam(order("status"), "l"), True),
        (is_("code", "a  "), is_("code", "a"), True),
        (is_("account", "a "), is_("account", "a"), False),
        (Compare("eq", order("account"), order("company")), Compare("eq", order("company"), order("account")), True),
        (Compare("le", order("status"), Const(40000000000)), negate(IsNull(order("status"))), True),
        (negate(IsNull(order("status"))), Compare("le", order("status"), Const(40000000000)), True),
    ],
)
def test_values_are_compared_as_the_database_does(wide: Predicate, narrow: Predicate, proved: bool) -> None:
    assert isinstance(ask(wide, narrow), Proof if proved else Candidate)


LATER = Compare("gt", order("account"), Const("m"))
LIKE = Match("contains", order("account"), Const("x"))
SUM = Compare("gt", Arith("add", order("status"), order("vendor")), Const(3))
JSON = is_("notes", "{}")


@pytest.mark.parametrize("item", [LATER, LIKE, SUM, JSON, is_("folded", "a")])
def test_what_is_not_interpreted_cancels_against_itself_alone(item: Predicate) -> None:
    assert isinstance(ask(all_of(item, MINE), item), Proof)
    assert isinstance(ask(item, negate(item)), Candidate | Open)
    assert not isinstance(ask(MINE, item), Proof)


def test_a_collation_that_passes_over_case_is_not_taken_for_equality() -> None:
    """Under such a collation ``a`` equals ``A``: the row would leak."""
    assert isinstance(ask(is_("account", "a"), Compare("ne", order("account"), Const("A"))), Proof)
    assert not isinstance(ask(is_("folded", "a"), Compare("ne", order("folded"), Const("A"))), Proof)


def test_texts_that_are_alike_only_without_case_are_different() -> None:
    found = ask(Match("startswith", order("account"), Const("v1")), is_("account", "V1"))
    assert isinstance(found, Candidate) and found.doubts


def test_a_condition_that_is_unknown_leaves_the_question_open() -> None:
    found = ask(After(((order("id"), False, False),), (Const(1),)), MINE)
    assert isinstance(found, Open) and "After" in found.reason


# -- related rows -----------------------------------------------------------------------------------------------------


def test_the_same_related_row_under_other_names_is_contained() -> None:
    assert isinstance(ask(all_of(vendor("a", owned("a")), OPEN), vendor("b", owned("b"))), Proof)


def test_a_condition_more_on_the_related_row_is_refuted_with_its_row() -> None:
    blocked = Compare("eq", Column("b", "blocked"), Const(0))
    found = ask(vendor("a", owned("a")), vendor("b", owned("b"), blocked))
    assert isinstance(found, Candidate)
    assert set(found.rows) == {ORDERS, VENDORS}


def test_two_conditions_on_a_row_found_by_its_key_are_on_one_row() -> None:
    blocked = Compare("eq", Column("a", "blocked"), Const(0))
    both = all_of(vendor("a", owned("a")), vendor("a", blocked))
    found = ask(both, vendor("b", owned("b"), Compare("eq", Column("b", "blocked"), Const(0))))
    assert found == Proof(("t.vendors has one row for each id",), ())


def test_two_conditions_on_rows_found_by_no_key_may_be_on_two() -> None:
    def of(alias: str, *conditions: Predicate) -> Predicate:
        link = Compare("eq", Column(alias, "account"), order("account"))
        return Exists(Select((Source(alias, VENDORS),), all_of(link, *conditions)))

    free = Compare("eq", Column("b", "blocked"), Const(0))
    found = ask(all_of(of("a", owned("a")), of("b", free)), of("b", owned("b"), free))
    assert isinstance(found, Candidate)
    assert len(found.rows[VENDORS]) == 2


def test_a_foreign_key_promises_the_row() -> None:
    found = ask(negate(IsNull(order("vendor"))), vendor("a"))
    assert found == Proof(("t.orders (vendor) refers to t.vendors (id)",), ())


def test_a_foreign_key_that_was_never_validated_promises_nothing() -> None:
    key = ForeignKey(("vendor",), VENDORS, ("id",), valid=False)
    assert isinstance(ask(negate(IsNull(order("vendor"))), vendor("a"), foreign=(key,)), Candidate)


@pytest.mark.parametrize("changes", [{}, {"foreign": ()}])
def test_an_outer_join_keeps_rows_without_the_other_table(changes: dict[str, Any]) -> None:
    on = Compare("eq", Column("v", "id"), Column("p", "vendor"))
    same = Compare("eq", Column("p", "id"), order("id"))
    joined = Select((Source("p", ORDERS), Source("v", VENDORS, "left", on)), all_of(same, IsNull(Column("v", "id"))))
    lonely = Exists(joined)
    assert isinstance(ask(IsNull(order("vendor")), lonely, **changes), Proof)
    back = ask(lonely, IsNull(order("vendor")), **changes)
    assert isinstance(back, Candidate if changes else Proof)


# -- assumptions ------------------------------------------------------------------------------------------------------


def test_what_ties_a_person_to_a_user_is_assumed_by_name_or_not_at_all() -> None:
    link = Compare("eq", Column("k", "account"), Param("account.accountnumber"))
    there = Exists(Select((Source("k", VENDORS),), all_of(link, owned("k"))))
    tied = Assumption("the account's vendor is the user's own", there)

    def policy(alias: str) -> Predicate:
        same = Compare("eq", Column(alias, "account"), order("account"))
        return Exists(Select((Source(alias, VENDORS),), all_of(same, owned(alias))))

    assert isinstance(ask(MINE, policy("p")), Candidate)
    assert ask(MINE, policy("p"), tied) == Proof((), (tied,))
    assert ask(all_of(MINE, policy("q")), policy("p"), tied) == Proof((), ())


def test_a_person_without_a_contact_has_no_values() -> None:
    leak = Exists(Select((Source("o", ORDERS),), MINE))
    assert isinstance(decide(leak, (), catalog()), Candidate)
    assert isinstance(decide(leak, (), catalog(), absent=("account.", "contact.")), Proof)
