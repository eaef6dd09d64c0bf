"""What is said of a site's permissions before anybody asks, and column permissions as such."""

from __future__ import annotations

from dataclasses import replace

from security_samples import MODEL, permission, portal

from forecourt.kernel.model import Model, Relation, Where
from forecourt.kernel.predicate import FALSE, Compare, Const, Field
from forecourt.kernel.principal import Door, Principal
from forecourt.security.columns import open_columns, permitted
from forecourt.security.custom_access import meant, with_conditions
from forecourt.security.permission_checks import faults, findings
from forecourt.security.permissions import admits
from forecourt.security.rules import ColumnProfile, ColumnRight, Operation, PortalRules, Right, Scope
from forecourt.security.scope import Scope as Asker

VISITORS, EVERYBODY = frozenset({"Visitors"}), frozenset({"Everybody"})
C, R, U = ColumnRight.CREATE, ColumnRight.READ, ColumnRight.UPDATE


def said(rules: PortalRules) -> list[str]:
    return [item.message for item in findings(rules, MODEL, VISITORS, EVERYBODY)]


def test_a_permission_without_effect_is_found() -> None:
    cases = [
        (permission(1, "Order", Scope.GLOBAL, roles=()), "no active web role"),
        (replace(permission(1, "Order", Scope.GLOBAL), rights=frozenset()), "gives no privilege"),
        (permission(1, "Order", Scope.CONTACT, relationship="me", roles=("Visitors",)), "for visitors, who have no"),
        (permission(1, "Line", Scope.PARENT, relationship="OfOrder", parent=9), "hangs on a permission that is not"),
    ]
    for found, text in cases:
        (message,) = said(portal(found))
        assert text in message, message


def test_a_permission_without_privileges_that_others_hang_on_has_an_effect() -> None:
    anchor = replace(permission(1, "Order", Scope.ACCOUNT, relationship="own"), rights=frozenset())
    child = permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=1)
    assert said(portal(anchor, replace(child, web_roles=anchor.web_roles))) == []


def test_roles_of_a_child_that_its_root_lacks_are_found() -> None:
    rules = portal(
        permission(1, "Order", Scope.ACCOUNT, relationship="own"),
        permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=1, roles=("Vendors", "Others")),
    )
    (message,) = said(rules)
    assert "lacks: Others" in message
    assert said(portal(*(replace(item, web_roles=frozenset({"Vendors"})) for item in rules.permissions))) == []


def test_every_row_for_everybody_is_found_on_tables_of_dataverse_alone() -> None:
    (message,) = said(portal(permission(1, "Order", Scope.GLOBAL, roles=("Visitors",))))
    assert "lets every visitor read every row of Order" in message
    (message,) = said(portal(permission(1, "Order", Scope.GLOBAL, Right.WRITE, roles=("Everybody",))))
    assert "lets everybody who signs in change every row" in message
    assert said(portal(permission(1, "Order", Scope.GLOBAL, Right.CREATE, roles=("Visitors",)))) == []
    meant = {"Order": ("read",)}
    for rights, count in (((Right.READ,), 0), ((Right.READ, Right.DELETE), 1)):
        rules = portal(permission(1, "Order", Scope.GLOBAL, *rights, roles=("Visitors",)))
        assert len(list(findings(rules, MODEL, VISITORS, EVERYBODY, meant))) == count
    virtual = Model({name: replace(item, virtual_of=name) for name, item in MODEL.entities.items()})
    rules = portal(permission(1, "Order", Scope.GLOBAL, roles=("Visitors",)))
    assert list(findings(rules, virtual, VISITORS, EVERYBODY)) == []


def test_findings_and_faults_say_where() -> None:
    place = Where("site/table-permissions/x.yml", 3)
    wrong = replace(permission(1, "Oder", Scope.GLOBAL), where=place)
    (fault,) = faults(portal(wrong), MODEL)
    assert str(fault).startswith("site/table-permissions/x.yml:3: ") and "Order" in fault.hint
    (finding,) = findings(portal(replace(wrong, web_roles=frozenset())), MODEL, VISITORS, EVERYBODY)
    assert str(finding).startswith("site/table-permissions/x.yml:3: ") and finding.code == "FC6007"


def test_a_relationship_that_does_not_exist_and_a_circle_are_faults() -> None:
    for rules, text in (
        (portal(permission(1, "Order", Scope.ACCOUNT, relationship="nothing")), "names the relationship 'nothing'"),
        (portal(permission(1, "Order", Scope.ACCOUNT, relationship="me")), "names the relationship 'me'"),
        (
            portal(
                permission(1, "Order", Scope.GLOBAL),
                permission(2, "Line", Scope.PARENT, relationship="NoSuch", parent=1),
            ),
            "names the relationship 'NoSuch' to Order",
        ),
        (portal(permission(2, "Line", Scope.PARENT, relationship="OfOrder", parent=2)), "is its own ancestor"),
    ):
        (fault,) = faults(rules, MODEL)
        assert text in fault.message


def test_a_parent_is_found_by_the_schema_name_of_the_relationship_as_well() -> None:
    order = MODEL.entities["Order"]
    back = Relation("order_lines", "Line", True, (("Id", "Order"),))
    model = Model({**MODEL.entities, "Order": replace(order, relations={**order.relations, "order_lines": back})})
    rules = portal(
        permission(1, "Order", Scope.ACCOUNT, relationship="own"),
        permission(2, "Line", Scope.PARENT, relationship="order_lines", parent=1),
    )
    by_column = portal(rules.permissions[0], replace(rules.permissions[1], relationship="OfOrder"))
    roles = frozenset({"Vendors"})
    assert list(faults(rules, model)) == []
    assert admits(rules, model, "Line", Right.READ, roles) == admits(by_column, model, "Line", Right.READ, roles)
    assert admits(rules, model, "Line", Right.READ, roles) != FALSE


def test_who_may_do_what_is_not_changed_from_the_portal() -> None:
    table = "msdyn_externalportalusermapping"
    model = Model({**MODEL.entities, table: replace(MODEL.entities["contact"], name=table)})
    for right in Right:
        found = list(faults(portal(permission(1, table, Scope.GLOBAL, right)), model))
        assert [item.code for item in found] == ([] if right is Right.READ else ["FC6001"])


def fetch(*conditions: str) -> str:
    return f'<fetch><entity name="Order"><filter>{"".join(conditions)}</filter></entity></fetch>'


def test_the_filter_of_a_fetch_is_what_custom_access_reaches() -> None:
    text = fetch('<condition attribute="Vendor" operator="eq" value="V1"/>')
    (found,), wrong = with_conditions((replace(permission(1, "Order", Scope.CUSTOM), fetch=text),), MODEL)
    assert not wrong
    assert found.condition == Compare("eq", Field(("Vendor",)), Const("V1"))


def test_custom_access_without_a_condition_or_that_cannot_be_read_is_refused() -> None:
    for text in (
        fetch(),
        '<fetch><entity name="Order"/></fetch>',
        fetch('<condition attribute="Id" operator="eq" value="1"/>').replace("Order", "Line"),
        fetch('<condition attribute="Nothing" operator="eq" value="1"/>'),
        "<fetch><entity",
        '<!DOCTYPE x [<!ENTITY e "x">]><fetch/>',
    ):
        (found,), wrong = with_conditions((replace(permission(1, "Order", Scope.CUSTOM), fetch=text),), MODEL)
        assert len(wrong) == 1, text
        assert found.condition == FALSE
        assert admits(portal(found), MODEL, "Order", Right.READ, frozenset({"Vendors"})) == FALSE


def test_rows_that_are_meant_to_be_public_are_those_of_a_filter_over_a_public_table() -> None:
    text, where = fetch('<condition attribute="Vendor" operator="eq" value="V1"/>'), Where("solution.yaml", 1)
    assert meant({"Order": text}, {"Order": ["read"]}, MODEL, where) == (
        {"Order": Compare("eq", Field(("Vendor",)), Const("V1"))},
        (),
    )
    for name, wrong in (("Order", fetch()), ("Order", "<fetch"), ("Line", text), ("Nothing", text)):
        rows, faults = meant({name: wrong}, {"Order": ["read"]}, MODEL, where)
        assert rows == {}
        assert [fault.file for fault in faults] == ["solution.yaml"]


def test_a_listed_column_counts_by_its_own_line_and_the_others_by_the_profile() -> None:
    order = MODEL.entities["Order"]
    profile = ColumnProfile("p", "Order", frozenset({"Vendors"}), frozenset({R}), {"Amount": frozenset({C, U})})
    rules = PortalRules(profiles=(profile,))
    roles = frozenset({"Vendors"})
    assert permitted(rules, order, Operation.READ, roles) == {"Id", "Company", "Vendor"}
    assert permitted(rules, order, Operation.UPDATE, roles) == {"Amount"}
    assert permitted(rules, order, Operation.READ, frozenset({"Others"})) is None
    assert permitted(rules, MODEL.entities["Line"], Operation.READ, roles) is None


def test_several_profiles_add_up_and_none_takes_what_another_gives() -> None:
    order, roles = MODEL.entities["Order"], frozenset({"Vendors", "Others"})
    one = ColumnProfile("one", "Order", frozenset({"Vendors"}), frozenset(), {"Amount": frozenset({R})})
    two = ColumnProfile("two", "Order", frozenset({"Others"}), frozenset(), {"Vendor": frozenset({R, U})})
    rules = PortalRules(profiles=(one, two))
    assert permitted(rules, order, Operation.READ, roles) == {"Amount", "Vendor"}
    assert permitted(rules, order, Operation.UPDATE, roles) == {"Vendor"}
    assert permitted(rules, order, Operation.CREATE, roles) == frozenset()


def test_the_web_api_opens_what_both_its_list_and_column_permissions_have() -> None:
    order = MODEL.entities["Order"]
    profile = ColumnProfile("p", "Order", frozenset({"Vendors"}), frozenset(), {"Amount": frozenset({R})})
    rules = PortalRules(columns={"Order": frozenset({"Amount", "Vendor"})}, profiles=(profile,))
    asker = Principal(web_roles=frozenset({"Vendors"}))
    opened = {door: open_columns(rules, Asker(asker, door), order, Operation.READ) for door in Door}
    assert opened[Door.PORTAL_API] == opened[Door.PORTAL] == {"Amount"}
    assert opened[Door.DATAVERSE] is opened[Door.OPERATIONS] is None
    other = Asker(Principal(web_roles=frozenset({"Others"})), Door.PORTAL_API)
    assert open_columns(rules, other, order, Operation.READ) == {"Amount", "Vendor"}
    assert open_columns(PortalRules(), other, order, Operation.READ) == frozenset()
