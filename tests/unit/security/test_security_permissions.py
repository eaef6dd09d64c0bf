"""The forest of table permissions: who gets a right, and on which rows."""

from __future__ import annotations

from security_samples import MODEL, permission, portal

from forecourt.kernel.predicate import FALSE, TRUE, And, Any, Compare, Field, Or, Param
from forecourt.security.permissions import admits, node_predicate, nodes, root_of
from forecourt.security.rules import Right, Scope

VENDORS = frozenset({"Vendors"})
OWN = And(
    (
        Compare("eq", Field(("Vendor",)), Param("account.accountnumber")),
        Compare("eq", Field(("Company",)), Param("account.company")),
    )
)


def test_without_a_permission_there_is_no_row() -> None:
    assert nodes(portal(), "Order", Right.READ, VENDORS) == ()
    assert admits(portal(), MODEL, "Order", Right.READ, VENDORS) == FALSE


def test_a_right_counts_for_the_web_roles_of_its_permission_alone() -> None:
    found = portal(permission(1, "Order", Scope.GLOBAL))
    assert admits(found, MODEL, "Order", Right.READ, VENDORS) == TRUE
    for roles in (frozenset({"Customers"}), frozenset[str](), frozenset({"vendors"})):
        assert admits(found, MODEL, "Order", Right.READ, roles) == FALSE
    for right in Right:
        assert bool(nodes(found, "Order", right, VENDORS)) is (right is Right.READ)
    assert admits(found, MODEL, "Line", Right.READ, VENDORS) == FALSE


def test_a_permission_without_a_web_role_is_for_nobody() -> None:
    found = portal(permission(1, "Order", Scope.GLOBAL, roles=()))
    assert admits(found, MODEL, "Order", Right.READ, VENDORS) == FALSE


def test_account_and_contact_compare_all_columns_of_the_relationship() -> None:
    by_account = portal(permission(1, "Order", Scope.ACCOUNT, relationship="own"))
    assert admits(by_account, MODEL, "Order", Right.READ, VENDORS) == OWN
    by_contact = portal(permission(1, "Order", Scope.CONTACT, relationship="me"))
    assert admits(by_contact, MODEL, "Order", Right.READ, VENDORS) == Compare(
        "eq", Field(("Vendor",)), Param("contact.contactid")
    )


def test_a_relationship_that_leads_elsewhere_or_nowhere_admits_nothing() -> None:
    for scope, relationship in (
        (Scope.ACCOUNT, "me"),
        (Scope.CONTACT, "own"),
        (Scope.ACCOUNT, "nothing"),
        (Scope.ACCOUNT, None),
        (Scope.CONTACT, ""),
    ):
        found = portal(permission(1, "Order", scope, relationship=relationship))
        assert admits(found, MODEL, "Order", Right.READ, VENDORS) == FALSE, (scope, relationship)


def test_self_is_the_contacts_own_row_and_nothing_of_any_other_table() -> None:
    found = portal(permission(1, "contact", Scope.SELF), permission(2, "Order", Scope.SELF))
    assert admits(found, MODEL, "contact", Right.READ, VENDORS) == Compare(
        "eq", Field(("contactid",)), Param("contact.contactid")
    )
    assert admits(found, MODEL, "Order", Right.READ, VENDORS) == FALSE


def test_rights_are_the_or_over_all_permissions() -> None:
    found = portal(
        permission(1, "Order", Scope.ACCOUNT, relationship="own"),
        permission(2, "Order", Scope.CONTACT, relationship="me"),
        permission(3, "Order", Scope.GLOBAL, roles=("Others",)),
    )
    both = admits(found, MODEL, "Order", Right.READ, VENDORS)
    assert isinstance(both, Or)
    assert len(both.items) == 2
    assert admits(found, MODEL, "Order", Right.READ, frozenset({"Vendors", "Others"})) == TRUE


def test_a_child_admits_the_rows_under_the_rows_of_its_parent() -> None:
    found = portal(
        permission(1, "Order", Scope.ACCOUNT, relationship="own"),
        permission(2, "Line", Scope.PARENT, roles=(), relationship="OfOrder", parent=1),
    )
    assert admits(found, MODEL, "Line", Right.READ, VENDORS) == Any(("OfOrder",), OWN)
    assert admits(found, MODEL, "Line", Right.READ, frozenset({"Others"})) == FALSE


def test_a_child_has_its_roots_web_roles_and_not_its_own() -> None:
    found = portal(
        permission(1, "Order", Scope.GLOBAL, roles=("Others",)),
        permission(2, "Line", Scope.PARENT, roles=("Vendors",), relationship="OfOrder", parent=1),
    )
    assert admits(found, MODEL, "Line", Right.READ, VENDORS) == FALSE
    assert admits(found, MODEL, "Line", Right.READ, frozenset({"Others"})) == Any(("OfOrder",), TRUE)


def test_a_child_has_its_own_rights_whatever_its_parent_has() -> None:
    found = portal(
        permission(1, "Order", Scope.GLOBAL, Right.CREATE),
        permission(2, "Line", Scope.PARENT, Right.READ, relationship="OfOrder", parent=1),
    )
    assert admits(found, MODEL, "Order", Right.READ, VENDORS) == FALSE
    assert admits(found, MODEL, "Line", Right.READ, VENDORS) == Any(("OfOrder",), TRUE)


def test_a_grandchild_goes_the_whole_way_up() -> None:
    found = portal(
        permission(1, "Order", Scope.ACCOUNT, relationship="own"),
        permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=1),
        permission(3, "Order", Scope.PARENT, relationship="Lines", parent=2),
    )
    assert node_predicate(found, MODEL, found.permissions[2]) == Any(("Lines",), Any(("OfOrder",), OWN))


def test_a_broken_chain_a_circle_and_a_wrong_relation_admit_nothing() -> None:
    for broken in (
        portal(permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=9)),
        portal(permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=None)),
        portal(permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=2)),
        portal(
            permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=3),
            permission(3, "Order", Scope.PARENT, relationship="Lines", parent=2),
        ),
        portal(
            permission(1, "Order", Scope.GLOBAL),
            permission(2, "Line", Scope.PARENT, relationship="NoSuch", parent=1),
        ),
        portal(
            permission(1, "contact", Scope.GLOBAL),
            permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=1),
        ),
        portal(
            permission(1, "Order", Scope.ACCOUNT, relationship="nothing"),
            permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=1),
        ),
    ):
        assert admits(broken, MODEL, "Line", Right.READ, VENDORS) == FALSE


def test_the_root_of_a_chain_is_found_and_a_circle_has_none() -> None:
    found = portal(
        permission(1, "Order", Scope.GLOBAL), permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=1)
    )
    by_id = {item.id: item for item in found.permissions}
    assert root_of(found.permissions[1], by_id) == found.permissions[0]
    assert root_of(permission(5, "Line", Scope.PARENT, parent=5), {}) is None


def test_a_table_that_the_model_lacks_admits_nothing() -> None:
    found = portal(permission(1, "Elsewhere", Scope.GLOBAL))
    assert admits(found, MODEL, "Elsewhere", Right.READ, VENDORS) == FALSE
