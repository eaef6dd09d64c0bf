"""Differences of predicates: simplified, branched and flattened, with the same rows as before."""

from __future__ import annotations

from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    And,
    Column,
    Compare,
    Const,
    Exists,
    Param,
    Predicate,
    all_of,
    any_of,
)
from forecourt.kernel.relation import Select, Source, TableName
from forecourt.security.audit.algebra import Flat, alternatives, canonical, conjuncts, joined, mentions, remainder

ORDERS, VENDORS, USERS = TableName("erp", "orders"), TableName("erp", "vendors"), TableName("erp", "users")


def equal(left: str, right: str | None = None, value: object = None) -> Compare:
    def side(text: str) -> Column:
        alias, _, name = text.partition(".")
        return Column(alias, name)

    return Compare("eq", side(left), side(right) if right else Param("user.id") if value is None else Const(str(value)))


def own(vendor: str, user: str) -> Predicate:
    """A row's vendor is one of the user's, by a query within a query."""
    inner = Exists(Select((Source(user, USERS),), all_of(equal(f"{user}.vendor", f"{vendor}.id"), equal(f"{user}.id"))))
    return Exists(Select((Source(vendor, VENDORS),), all_of(equal(f"{vendor}.id", "o.vendor"), inner)))


def test_the_names_of_inner_tables_do_not_matter() -> None:
    assert canonical(own("n1", "n2")) == canonical(own("n7", "n3"))
    assert own("n1", "n2") != own("n7", "n3")


def test_what_adds_conditions_is_contained_without_a_question() -> None:
    wide, narrow = own("n1", "n2"), all_of(own("n4", "n5"), equal("o.company", value="usmf"))
    assert remainder(narrow, wide)[1] == TRUE
    assert remainder(wide, narrow)[1] == equal("o.company", value="usmf")


def test_a_disjunction_of_which_one_member_is_demanded_demands_nothing() -> None:
    company = equal("o.company", value="usmf")
    assert remainder(all_of(company, own("a", "b")), any_of(company, own("c", "d")))[1] == TRUE


def test_nested_queries_become_joins_under_names_of_their_own() -> None:
    flat = Flat().select(Select((Source("o", ORDERS),), all_of(own("n1", "n2"), own("n1", "n2"))))
    assert [source.table for source in flat.sources] == [ORDERS, VENDORS, USERS]
    both = Flat().select(Select((Source("o", ORDERS),), And((own("n1", "n2"), own("n3", "n4")))))
    aliases = [source.alias for source in both.sources]
    assert len(aliases) == len(set(aliases)) == 5
    assert not any(isinstance(part, Exists) for part in conjuncts(both.where))


def test_what_is_negated_stays_a_query_with_joins_inside() -> None:
    (negated,) = alternatives(TRUE, canonical(own("n1", "n2")))
    flat = Flat().select(Select((Source("o", ORDERS),), negated))
    assert len(flat.sources) == 1
    (part,) = conjuncts(flat.where)
    inner = part.item  # type: ignore[union-attr]
    assert [source.table for source in inner.select.sources] == [VENDORS, USERS]


def test_disjunctions_become_branches_and_demands_that_look_elsewhere_too() -> None:
    wide = any_of(equal("o.a"), equal("o.b"))
    rest = all_of(canonical(own("n1", "n2")), equal("o.c", value=1), equal("o.d", value=2))
    found = alternatives(wide, rest)
    assert len(found) == 4
    assert FALSE not in found


def test_people_and_rows_are_joined_where_equations_lead_from_one_to_the_other() -> None:
    def of(where: Predicate) -> Select:
        return Flat().select(Select((Source("@person", USERS), Source("o", ORDERS, "inner")), where))

    assert joined(of(canonical(own("n1", "n2"))), "@person", "o")
    assert joined(of(equal("o.owner")), "@person", "o")
    assert not joined(of(equal("o.company", value="usmf")), "@person", "o")
    assert not joined(of(Compare("ne", Column("o", "owner"), Param("user.id"))), "@person", "o")


def test_a_predicate_speaks_of_the_person_where_a_query_within_it_does() -> None:
    assert mentions(own("n1", "n2")) == {"o", ""}
    assert mentions(equal("o.company", value="usmf")) == {"o"}
