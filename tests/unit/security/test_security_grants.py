"""What roles grant: operations, legal entities, fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from security_samples import grant, role, rules, user

from forecourt.kernel.principal import Contact, Door, Principal
from forecourt.security.grants import granted, may_call, union, usable_behind
from forecourt.security.rules import Grant, Mode, Operation
from forecourt.security.scope import Scope

READER = role("Reader", grant("Order", "read", read_fields=frozenset({"Id", "Amount"})))
WRITER = role("Writer", grant("Order", "read", "update", update_fields=frozenset({"Amount"})))
FREE = role("Free", grant("Order", "read"))
RULES = rules(roles=(READER, WRITER, FREE))


def test_nothing_is_granted_to_who_has_no_role_for_it() -> None:
    for who in (user(), user("NoSuchRole"), user("Reader", enabled=False), user("-SYSADMIN-", enabled=False)):
        found = granted(RULES, who, "Order", Operation.READ)
        assert not found.allowed
        assert found.companies == frozenset()
        assert found.fields == frozenset()
    assert not granted(RULES, user("Reader"), "Line", Operation.READ).allowed
    assert not granted(RULES, user("Reader"), "Order", Operation.UPDATE).allowed
    assert not granted(RULES, user("Reader"), "order", Operation.READ).allowed


def test_administrators_are_granted_everything() -> None:
    for operation in Operation:
        found = granted(RULES, user("-SYSADMIN-"), "Anything", operation)
        assert found.allowed
        assert found.companies is None
        assert found.fields is None


def test_fields_are_the_union_over_the_roles() -> None:
    assert granted(RULES, user("Reader"), "Order", Operation.READ).fields == {"Id", "Amount"}
    assert granted(RULES, user("Reader", "Free"), "Order", Operation.READ).fields is None
    assert granted(RULES, user("Writer"), "Order", Operation.UPDATE).fields == {"Amount"}
    assert granted(RULES, user("Writer", "Reader"), "Order", Operation.READ).fields is None


def test_legal_entities_are_the_union_over_the_roles_that_grant() -> None:
    limited = (("Reader", frozenset({"usmf"})), ("Writer", frozenset({"demf"})), ("Other", frozenset({"frrt"})))
    both = user("Reader", "Writer", "Other", companies=limited)
    assert granted(RULES, both, "Order", Operation.READ).companies == {"usmf", "demf"}
    assert granted(RULES, both, "Order", Operation.UPDATE).companies == {"demf"}
    free = user("Reader", "Free", companies=limited)
    assert granted(RULES, free, "Order", Operation.READ).companies is None, "a role without a limit counts everywhere"
    nowhere = user("Reader", companies=(("Reader", frozenset()),))
    assert granted(RULES, nowhere, "Order", Operation.READ).companies == frozenset()


def test_what_decided_is_told() -> None:
    found = granted(RULES, user("Writer", "Reader"), "Order", Operation.READ)
    assert [name for name, _ in found.grants] == ["Reader", "Writer"]


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], frozenset()),
        ([frozenset({"a"}), frozenset({"b"})], frozenset({"a", "b"})),
        ([frozenset({"a"}), None], None),
        ([None], None),
    ],
)
def test_none_stands_for_everything_in_a_union(
    sets: list[frozenset[str] | None], expected: frozenset[str] | None
) -> None:
    assert union(sets) == expected


def test_who_came_through_the_portal_acts_as_a_user_with_its_role_and_never_as_an_administrator() -> None:
    person = Principal(Contact(UUID(int=1), "x", "x"), frozenset({"Vendors"}))
    visitor = Principal(web_roles=frozenset({"Anonymous Users"}))
    portal, anonymous = "CDSVirtualEntityAuthenticatedPortalUser", "CDSVirtualEntityAnonymousPortalUser"
    assert usable_behind(person, user("Vendor", portal))
    assert usable_behind(visitor, user(anonymous))
    assert usable_behind(Principal(), user("-SYSADMIN-")), "who acts as himself is what he is"
    for roles in ((), ("Vendor",), (anonymous,), (portal, "-SYSADMIN-"), (portal, "-sysadmin-")):
        assert not usable_behind(person, user(*roles)), roles
    assert not usable_behind(person, user(portal, "SysSecSecurityAdministrator"))
    assert not usable_behind(visitor, user(portal))


def test_a_privilege_opens_the_ways_to_an_entity_that_its_modes_name() -> None:
    by_data = replace(grant("Order", "read"), modes=frozenset({Mode.DATA_SERVICES}))
    by_package = replace(grant("Order", "read", "update"), modes=frozenset({Mode.DATA_MANAGEMENT}))
    ways = rules(roles=(role("Reader", by_data), role("Mover", by_package), role("Both", grant("Order", "read"))))

    def found(name: str, operation: Operation = Operation.READ) -> list[bool]:
        return [granted(ways, user(name), "Order", operation, mode).allowed for mode in (*Mode, None)]

    assert found("Reader") == [True, False, True]
    assert found("Mover") == [False, True, True]
    assert found("Mover", Operation.UPDATE) == [False, True, True]
    assert found("Both") == [True, True, True]
    assert Scope(Principal(), Door.PACKAGES).mode is Mode.DATA_MANAGEMENT
    assert {Scope(Principal(), door).mode for door in Door if door is not Door.PACKAGES} == {Mode.DATA_SERVICES}


def denying(*operations: str, **more: Any) -> Grant:
    return replace(grant("Order"), denied=frozenset(map(Operation, operations)), **more)


@pytest.mark.parametrize("denied", list(Operation))
def test_a_denial_in_any_role_wins_over_every_grant_and_deny_read_implies_the_rest(denied: Operation) -> None:
    full = role("Full", grant("Order", "read", "create", "update", "delete"))
    found = rules(roles=(full, role("No", denying(denied.value))))
    for operation in Operation:
        closed = operation is denied or denied is Operation.READ
        for who in (user("Full", "No"), user("No", "Full")):
            assert granted(found, who, "Order", operation).allowed is not closed
        assert granted(found, user("Full"), "Order", operation).allowed
    refused = granted(found, user("Full", "No"), "Order", denied)
    assert [name for name, _ in refused.denials] == ["No"]


def test_a_denial_counts_only_in_the_legal_entities_of_its_role() -> None:
    found = rules(roles=(role("Full", grant("Order", "read")), role("No", denying("read"))))
    who = user("Full", "No", companies=(("No", frozenset({"usmf"})),))
    everywhere = granted(found, who, "Order", Operation.READ)
    assert (everywhere.allowed, everywhere.companies, everywhere.closed) == (True, None, {"usmf"})
    assert everywhere.counts_in("demf")
    assert not everywhere.counts_in("USMF")
    both = user("Full", "No", companies=(("Full", frozenset({"usmf", "demf"})), ("No", frozenset({"usmf"}))))
    assert granted(found, both, "Order", Operation.READ).companies == {"demf"}
    only = user("Full", "No", companies=(("Full", frozenset({"usmf"})), ("No", frozenset({"usmf"}))))
    assert not granted(found, only, "Order", Operation.READ).allowed
    assert not granted(found, who, "Order", Operation.READ, shared=True).allowed, "shared data is in every one"


def test_a_denied_field_is_open_to_nobody_and_one_that_may_not_be_read_may_not_be_updated() -> None:
    full = role("Full", grant("Order", "read", "update"))
    secret = denying(denied_read=frozenset({"Amount"}), denied_update=frozenset({"Vendor"}))
    found = rules(roles=(full, role("No", secret)))
    who = user("Full", "No")
    read, update = (granted(found, who, "Order", item) for item in (Operation.READ, Operation.UPDATE))
    assert [read.opens(name) for name in ("Amount", "Vendor", "Id")] == [False, True, True]
    assert [update.opens(name) for name in ("Amount", "Vendor", "Id")] == [False, False, True]


def test_a_field_that_is_open_in_some_legal_entities_only_is_not_open() -> None:
    """One statement shows the rows of all of them."""
    found = rules(roles=(READER, FREE))
    who = user("Reader", "Free", companies=(("Reader", frozenset({"usmf"})), ("Free", frozenset({"demf"}))))
    read = granted(found, who, "Order", Operation.READ)
    assert (read.companies, read.fields) == ({"usmf", "demf"}, {"Id", "Amount"})
    inside = user("Reader", "Free", companies=(("Reader", frozenset({"usmf"})),))
    assert granted(found, inside, "Order", Operation.READ).fields is None, "Free counts wherever Reader does"


def test_a_denied_action_cannot_be_called_whatever_else_may_be_done() -> None:
    full = role("Full", replace(grant("Order", "read"), actions=frozenset({"Confirm", "Close"})))
    found = rules(roles=(full, role("No", denying(denied_actions=frozenset({"Confirm"})))))
    who = user("Full", "No")
    assert not may_call(found, who, "Order", "Confirm").allowed
    assert may_call(found, who, "Order", "Close").allowed
    unread = rules(roles=(full, role("No", denying("read"))))
    assert may_call(unread, who, "Order", "Confirm").allowed


def test_nobody_behind_the_portal_bypasses_the_policies() -> None:
    person = Principal(Contact(UUID(int=1), "x", "x"), frozenset({"Vendors"}))
    portal = "CDSVirtualEntityAuthenticatedPortalUser"
    assert not usable_behind(person, user(portal, "XDSDataAccessPolicyBypassRole"))
    assert not usable_behind(person, user(portal, "xdsdataaccesspolicybypassrole"))
