"""A filter of FetchXML means what the same ``$filter`` means; what is not FetchXML is refused with a reason."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

import pytest
from odata_model import entity

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, EntityField, Enum, EnumMember, Model, Relation
from forecourt.kernel.predicate import (
    TRUE,
    And,
    AnyRow,
    Compare,
    Const,
    Field,
    In,
    IsNull,
    Match,
    Not,
    Or,
    Param,
    Predicate,
)
from forecourt.kernel.types import Kind
from forecourt.odata.fetchxml.clock import moment_named
from forecourt.odata.fetchxml.filters import rule_filter

ID = UUID("11111111-1111-1111-1111-111111111111")


def lookup(name: str, target: str) -> EntityField:
    return EntityField(f"_{name}_value", "root", name, Kind.GUID, targets=(target,))


def fields(*found: EntityField) -> dict[str, EntityField]:
    return {item.name: item for item in found}


ACCOUNT = entity(
    "account",
    "account",
    "accounts",
    fields(
        EntityField("accountid", "root", "accountid", Kind.GUID, nullable=False),
        EntityField("name", "root", "name", Kind.STRING),
        EntityField("revenue", "root", "revenue", Kind.DECIMAL),
        EntityField("employees", "root", "employees", Kind.INT32),
        EntityField("state", "root", "state", Kind.ENUM, enum="state", choice=True),
        EntityField("closed", "root", "closed", Kind.BOOLEAN),
        EntityField("founded", "root", "founded", Kind.DATE),
        EntityField("createdon", "root", "createdon", Kind.DATETIME),
        lookup("primarycontactid", "contact"),
    ),
    ("accountid",),
    relations={
        "primarycontactid": Relation("primarycontactid", "contact", False, (("_primarycontactid_value", "contactid"),))
    },
)
CONTACT = entity(
    "contact",
    "contact",
    "contacts",
    fields(
        EntityField("contactid", "root", "contactid", Kind.GUID, nullable=False),
        EntityField("fullname", "root", "fullname", Kind.STRING),
        lookup("parentcustomerid", "account"),
    ),
    ("contactid",),
)
MODEL = Model(
    {"account": ACCOUNT, "contact": CONTACT},
    {"state": Enum("state", (EnumMember("0", 0, "Active", 0), EnumMember("1", 1, "Inactive", 1)))},
)


def parse(inner: str, of: Entity = ACCOUNT) -> Predicate:
    return rule_filter(f'<fetch><entity name="{of.name}">{inner}</entity></fetch>', of, MODEL)


def one(attributes: str) -> Predicate:
    return parse(f"<filter><condition {attributes}/></filter>")


NAME, REVENUE, DAY, MOMENT = (Field((name,)) for name in ("name", "revenue", "founded", "createdon"))


@pytest.mark.parametrize(
    ("attributes", "meant"),
    [
        ('attribute="name" operator="eq" value="A"', Compare("eq", NAME, Const("A"))),
        ('attribute="name" operator="neq" value=""', Compare("ne", NAME, Const(""))),
        ('attribute="revenue" operator="ge" value="1.5"', Compare("ge", REVENUE, Const(Decimal("1.5")))),
        ('attribute="name" operator="null"', IsNull(NAME)),
        ('attribute="name" operator="not-null"', Not(IsNull(NAME))),
        ('attribute="name" operator="like" value="%a_"', Match("like", NAME, Const("%a_"))),
        ('attribute="name" operator="not-like" value="a%"', Not(Match("like", NAME, Const("a%")))),
        ('attribute="name" operator="begins-with" value="a"', Match("startswith", NAME, Const("a"))),
        ('attribute="name" operator="not-end-with" value="a"', Not(Match("endswith", NAME, Const("a")))),
        ('attribute="state" operator="eq" value="1"', Compare("eq", Field(("state",)), Const(1))),
        ('attribute="closed" operator="eq" value="1"', Compare("eq", Field(("closed",)), Const(True))),
        (
            f'attribute="primarycontactid" operator="eq" value="{{{ID}}}"',
            Compare("eq", Field(("_primarycontactid_value",)), Const(ID)),
        ),
        (
            'attribute="founded" operator="on" value="2026-03-01"',
            And((Compare("ge", DAY, Const(dt.date(2026, 3, 1))), Compare("lt", DAY, Const(dt.date(2026, 3, 2))))),
        ),
        (
            'attribute="createdon" operator="on-or-before" value="2026-03-01"',
            Compare("lt", MOMENT, Const(dt.datetime(2026, 3, 2, tzinfo=dt.UTC))),
        ),
        (
            'attribute="createdon" operator="on-or-after" value="2026-03-01T10:00:00Z"',
            Compare("ge", MOMENT, Const(dt.datetime(2026, 3, 1, tzinfo=dt.UTC))),
        ),
        (
            'attribute="primarycontactid" operator="eq-userid"',
            Compare("eq", Field(("_primarycontactid_value",)), Param("contact.contactid")),
        ),
        ('attribute="revenue" operator="lt" valueof="employees"', Compare("lt", REVENUE, Field(("employees",)))),
    ],
)
def test_a_condition_is_the_predicate_that_it_says(attributes: str, meant: Predicate) -> None:
    assert one(attributes) == meant


def test_values_of_in_and_between_are_elements() -> None:
    values = "<value>1</value><value> 2 </value>"
    assert parse(f'<filter><condition attribute="employees" operator="in">{values}</condition></filter>') == In(
        Field(("employees",)), (Const(1), Const(2))
    )
    found = parse(f'<filter><condition attribute="employees" operator="not-between">{values}</condition></filter>')
    field = Field(("employees",))
    assert found == Not(And((Compare("ge", field, Const(1)), Compare("le", field, Const(2)))))


def test_filters_join_and_nest() -> None:
    found = parse(
        '<filter type="or"><condition attribute="name" operator="null"/>'
        '<filter><condition attribute="revenue" operator="gt" value="1"/>'
        '<condition attribute="revenue" operator="lt" value="9"/></filter></filter>'
        '<filter><condition attribute="closed" operator="eq" value="false"/></filter>'
    )
    inner = And((Compare("gt", REVENUE, Const(Decimal(1))), Compare("lt", REVENUE, Const(Decimal(9)))))
    assert found == And((Or((IsNull(NAME), inner)), Compare("eq", Field(("closed",)), Const(False))))


def test_an_empty_filter_and_what_is_beside_it_restrict_nothing() -> None:
    assert parse('<attribute name="name"/><filter/><order attribute="name"/>') == TRUE


ON = (("accountid", "_parentcustomerid_value"),)
ANN = Compare("eq", Field(("fullname",)), Const("Ann"))


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("any", AnyRow("contact", ON, ANN)),
        ("not any", Not(AnyRow("contact", ON, ANN))),
        ("not all", AnyRow("contact", ON, ANN)),
        ("all", And((AnyRow("contact", ON, TRUE), Not(AnyRow("contact", ON, ANN))))),
    ],
)
def test_linked_rows_are_asked_for_their_existence(kind: str, meant: Predicate) -> None:
    assert meant == parse(
        f'<filter><link-entity name="contact" from="parentcustomerid" to="accountid" link-type="{kind}"><filter>'
        '<condition attribute="fullname" operator="eq" value="Ann"/></filter></link-entity></filter>'
    )


NOW = dt.datetime(2026, 3, 31, 15, 45, tzinfo=dt.UTC)  # a Tuesday


@pytest.mark.parametrize(
    ("operator", "value", "start", "end"),
    [
        ("today", "", "2026-03-31T00:00", "2026-04-01T00:00"),
        ("yesterday", "", "2026-03-30T00:00", "2026-03-31T00:00"),
        ("tomorrow", "", "2026-04-01T00:00", "2026-04-02T00:00"),
        ("this-week", "", "2026-03-29T00:00", "2026-04-05T00:00"),
        ("last-week", "", "2026-03-22T00:00", "2026-03-29T00:00"),
        ("this-month", "", "2026-03-01T00:00", "2026-04-01T00:00"),
        ("next-month", "", "2026-04-01T00:00", "2026-05-01T00:00"),
        ("last-year", "", "2025-01-01T00:00", "2026-01-01T00:00"),
        ("last-seven-days", "", "2026-03-24T00:00", "2026-03-31T15:45"),
        ("last-x-hours", "2", "2026-03-31T13:45", "2026-03-31T15:45"),
        ("last-x-days", "2", "2026-03-29T00:00", "2026-03-31T15:45"),
        ("last-x-months", "1", "2026-02-28T00:00", "2026-03-31T15:45"),
        ("next-x-days", "1", "2026-03-31T15:45", "2026-04-02T00:00"),
        ("next-x-years", "1", "2026-03-31T15:45", "2027-04-01T00:00"),
        ("olderthan-x-minutes", "45", None, "2026-03-31T15:00"),
        ("olderthan-x-years", "99999", None, "0001-01-01T00:00"),
    ],
)
def test_spans_of_time_are_between_moments_of_a_clock(operator: str, value: str, start: str | None, end: str) -> None:
    found = one(f'attribute="createdon" operator="{operator}"' + (f' value="{value}"' if value else ""))
    edges = []
    for part in found.items if isinstance(found, And) else (found,):
        assert isinstance(part, Compare) and isinstance(part.right, Param)
        moment = moment_named(part.right.name, NOW)
        assert isinstance(moment, dt.datetime)
        edges.append(moment.isoformat()[:16])
    assert edges == [edge for edge in (start, end) if edge is not None]


def test_a_day_is_compared_with_days() -> None:
    found = one('attribute="founded" operator="today"')
    assert isinstance(found, And)
    days = [moment_named(part.right.name, NOW) for part in found.items]  # type: ignore[union-attr]
    assert days == [dt.date(2026, 3, 31), dt.date(2026, 4, 1)]


BOMB = '<!DOCTYPE f [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><fetch><entity name="account">&b;</entity></fetch>'
OUTSIDE = '<!DOCTYPE f SYSTEM "file:///etc/passwd"><fetch><entity name="account"/></fetch>'
DEEP = '<fetch><entity name="account">' + "<filter>" * 60 + "</filter>" * 60 + "</entity></fetch>"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (BOMB, "FC1001", "not allowed"),
        (OUTSIDE, "FC1001", "not allowed"),
        (DEEP, "FC1001", "nested deeper"),
        ("<fetch>" + " " * 70_000 + "</fetch>", "FC1005", "longer"),
        ("<fetch>" + "<entity/>" * 3000 + "</fetch>", "FC1001", "elements"),
        ("", "FC1001", "not well-formed"),
        ("<fetch", "FC1001", "not well-formed"),
        ("<fetch>\ud800</fetch>", "FC1001", "not valid text"),
        ("<entity/>", "FC1001", "begins with <fetch>"),
        ("<fetch/>", "FC1001", "one <entity>"),
        ('<fetch><entity name="contact"/></fetch>', "FC1002", "asks for"),
        ('<fetch><entity name="account"><join/></entity></fetch>', "FC1001", "<join> is not known"),
        ('<fetch><entity name="account"><x:filter xmlns:x="y"/></entity></fetch>', "FC1001", "is not known"),
        ('<fetch><entity name="account"><value>1</value></entity></fetch>', "FC1001", "no place"),
        ('<fetch><entity name="account" nolock="1"/></fetch>', "FC1004", "'nolock' of <entity>"),
        ('<fetch><entity name="account">text</entity></fetch>', "FC1001", "Text has no place"),
    ],
)
def test_what_is_not_fetchxml_is_refused(text: str, code: str, said: str) -> None:
    with pytest.raises(Refusal) as caught:
        rule_filter(text, ACCOUNT, MODEL)
    assert caught.value.code == code and said in caught.value.text


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ('attribute="nam" operator="eq" value="A"', "FC1002"),
        ('attribute="_primarycontactid_value" operator="null"', "FC1002"),
        ('attribute="name" operator="equals" value="A"', "FC1004"),
        ('attribute="name" operator="under" value="A"', "FC1004"),
        ('attribute="name"', "FC1004"),
        ('operator="eq" value="A"', "FC1001"),
        ('attribute="name" operator="eq"', "FC1001"),
        ('attribute="name" operator="null" value="1"', "FC1001"),
        ('attribute="name" operator="between" value="1"', "FC1001"),
        ('attribute="revenue" operator="like" value="1%"', "FC1003"),
        ('attribute="name" operator="like" value="[ab]%"', "FC1004"),
        ('attribute="name" operator="today"', "FC1003"),
        ('attribute="name" operator="eq-userid"', "FC1003"),
        ('attribute="revenue" operator="eq" value="much"', "FC1003"),
        ('attribute="state" operator="eq" value="7"', "FC1003"),
        ('attribute="state" operator="gt" value="0"', "FC1004"),
        ('attribute="closed" operator="eq" value="2"', "FC1003"),
        ('attribute="createdon" operator="last-x-days" value="-1"', "FC1003"),
        ('attribute="createdon" operator="on" value="9999-12-31T23:00:00Z"', "FC1003"),
        ('attribute="primarycontactid" operator="eq" value="x"', "FC1003"),
        ('attribute="primarycontactid" operator="eq-businessid"', "FC1004"),
        ('attribute="name" operator="eq" valueof="revenue"', "FC1003"),
        ('attribute="name" operator="eq" value="a" valueof="name"', "FC1001"),
        ('entityname="c" attribute="name" operator="eq" value="a"', "FC1002"),
    ],
)
def test_what_a_condition_cannot_mean_is_refused(attributes: str, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        one(attributes)
    assert caught.value.code == code
