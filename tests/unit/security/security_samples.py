"""Rules and people in small, for unit tests of what decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from forecourt.kernel.model import DataSource, Entity, EntityField, Model, Relation
from forecourt.kernel.predicate import Column, Compare, Param
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.relation import Source, TableName
from forecourt.kernel.types import Kind
from forecourt.security.rules import (
    Constraint,
    Grant,
    Operation,
    OperationsRules,
    PersonRelationship,
    Policy,
    PortalRules,
    Right,
    Role,
    Scope,
    TablePermission,
)

VENDOR, ORDERS, LINES, LINK = (TableName("t", name) for name in ("vendor", "orders", "lines", "link"))
KEYS: Mapping[TableName, tuple[str, ...]] = {VENDOR: ("id",), ORDERS: ("id",), LINES: ("id",)}


def key_of(table: object) -> tuple[str, ...]:
    return KEYS.get(table, ())  # type: ignore[call-overload]


def column(name: str, kind: Kind = Kind.STRING) -> EntityField:
    return EntityField(name, "o", name.lower(), kind)


ORDER = Entity(
    "Order",
    "Order",
    "Orders",
    (DataSource("o", ORDERS),),
    {name: column(name) for name in ("Id", "Company", "Vendor", "Amount")},
    ("Id",),
    {"Lines": Relation("Lines", "Line", True, (("Id", "Order"),))},
    company="Company",
)
LINE = Entity(
    "Line",
    "Line",
    "Lines",
    (DataSource("o", LINES),),
    {name: column(name) for name in ("Id", "Order")},
    ("Id",),
    {"OfOrder": Relation("OfOrder", "Order", False, (("Order", "Id"),))},
)
CONTACT = Entity(
    "contact", "contact", "contacts", (DataSource("o", TableName("d", "contact")),), {"contactid": column("contactid")},
    ("contactid",),
)  # fmt: skip
MODEL = Model({item.name: item for item in (ORDER, LINE, CONTACT)})


def user(*roles: str, **more: Any) -> OperationsUser:
    return OperationsUser("ann", "Ann", "ann@a.example", "usmf", frozenset(roles), **more)


def policy(name: str = "Own", **more: Any) -> Policy:
    """Vendors by a link to the user; orders under them, lines under those."""
    lines = Constraint(LINES, "l", (("orders", "id"),))
    given: dict[str, Any] = {
        "primary": VENDOR,
        "sources": (
            Source("v", VENDOR),
            Source("k", LINK, "inner", Compare("eq", Column("v", "party"), Column("k", "party"))),
        ),
        "filter": Compare("eq", Column("k", "who"), Param("user.id")),
        "constrain_primary": True,
        "constraints": (Constraint(ORDERS, "o", (("vendor", "id"), ("area", "area")), nested=(lines,)),),
        "operations": frozenset(Operation),
        "context": ("RoleProperty", "PolicyForVendors"),
        **more,
    }
    return Policy(name, **given)


def grant(entity: str, *operations: str, **more: Any) -> Grant:
    return Grant(entity, frozenset(map(Operation, operations)), "privilege", **more)


def role(name: str, *grants: Grant, context: str | None = None) -> Role:
    return Role(name, name, context, grants)


def rules(*policies: Policy, roles: tuple[Role, ...] = (), **more: Any) -> OperationsRules:
    known = roles or (role("Vendor", grant("Order", "read"), context="PolicyForVendors"),)
    return OperationsRules({item.name: item for item in known}, policies, **more)


def permission(
    number: int,
    table: str,
    scope: Scope,
    *rights: Right,
    roles: tuple[str, ...] = ("Vendors",),
    relationship: str | None = None,
    parent: int | None = None,
) -> TablePermission:
    return TablePermission(
        UUID(int=number),
        f"permission {number}",
        table,
        scope,
        frozenset(rights or (Right.READ,)),
        frozenset(roles),
        relationship,
        None if parent is None else UUID(int=parent),
    )


def portal(*permissions: TablePermission) -> PortalRules:
    own = PersonRelationship("own", "Order", "account", (("Vendor", "accountnumber"), ("Company", "company")))
    me = PersonRelationship("me", "Order", "contact", (("Vendor", "contactid"),))
    return PortalRules(permissions, {("Order", "own"): own, ("Order", "me"): me})
