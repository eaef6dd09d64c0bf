"""One statement about many people says what each request of each of them would: for any rules over any rows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_security_gate import CODES, ENTITIES, PEOPLE, VIRTUAL, Bench, Book, Drawn, drawn, rows
from test_security_gate import bench as bench

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Model
from forecourt.kernel.plan import ReadPlan
from forecourt.kernel.principal import Contact, Door, OperationsUser, Principal
from forecourt.security.audit import Auditor, Differ, Identity, Planes
from forecourt.security.gate import Gate, Plane
from forecourt.security.rules import BYPASS, SYSTEM_ADMINISTRATOR, Rules
from forecourt.security.scopes import Scopes


def people(case: Drawn) -> list[Identity]:
    """People of one shape: every user id with every account number."""
    found = []
    for number, (user_id, code) in enumerate((user_id, code) for user_id in PEOPLE for code in CODES):
        roles = case.user.roles - {SYSTEM_ADMINISTRATOR, BYPASS}
        user = dataclasses.replace(case.user, id=user_id, roles=roles)
        account = (("accountnumber", code), ("company", "a"))
        contact = Contact(UUID(int=number + 1), "x", f"p{number}", UUID(int=8), (("code", code),), account)
        found.append(
            Identity(f"p{number}", Principal(operations_user=user), Principal(contact, frozenset({"Vendors"}), user))
        )
    return found


def gates(bench: Bench, rules: Rules, user: OperationsUser) -> dict[Door, Gate]:
    scopes = Scopes(rules, Book(user), bench.database, bench.catalog)
    plane = Plane(bench.database, bench.catalog)
    return {
        Door.OPERATIONS: Gate(rules, Model(ENTITIES), scopes, plane),
        Door.PORTAL: Gate(rules, Model(VIRTUAL), scopes, plane, plane),
    }


async def seen(bench: Bench, rules: Rules, identity: Identity, door: Door, name: str) -> set[object]:
    """The ids that a request gets."""
    user = identity.user
    assert user is not None
    gate = gates(bench, rules, user)[door]
    principal = identity.direct if door is Door.OPERATIONS else identity.portal
    assert principal is not None
    entity = next(e for e in gate.model.entities.values() if name in (e.name, e.virtual_of))
    plan = ReadPlan(entity.name, select=("Id",), cross_company=True, page_size=1000)
    try:
        _, result = await gate.read(await gate.scope(principal, door), plan, lambda: plan, lambda *_: None, ())
    except Refusal:
        return set()
    return {row["Id"] for row in result.rows}


async def differing(
    bench: Bench, one: tuple[Rules, Door], other: tuple[Rules, Door], identities: list[Identity]
) -> Mapping[tuple[str, str], int]:
    """By identity and entity, how many rows the first shows and the second does not, request by request."""
    found = {}
    for identity in identities:
        for name in ENTITIES:
            more = await seen(bench, *one[:1], identity, one[1], name) - await seen(
                bench, *other[:1], identity, other[1], name
            )
            if more:
                found[identity.label, name] = len(more)
    return found


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=drawn())
async def test_rows_of_one_door_alone_are_counted_for_each_person(bench: Bench, case: Drawn) -> None:
    await bench.load(rows(case.seed))
    identities = people(case)
    user = identities[0].user
    assert user is not None
    served = gates(bench, case.rules, user)
    report = await Auditor(served[Door.OPERATIONS], served[Door.PORTAL]).run(identities)
    direct, portal = (case.rules, Door.OPERATIONS), (case.rules, Door.PORTAL)
    counted = {(f.identity, f.entity): f.rows for f in report.findings if f.code == "FC7001" and f.subject == "/data"}
    assert counted == await differing(bench, direct, portal, identities)
    assert "FC7000" not in Counter(finding.code for finding in report.findings)
    assert "FC7002" not in Counter(finding.code for finding in report.findings)
    for finding in report.findings:
        if finding.code == "FC7001" and finding.subject == "/data":
            identity = next(item for item in identities if item.label == finding.identity)
            number = int(finding.example.partition("=")[2])
            assert number in await seen(bench, case.rules, identity, Door.OPERATIONS, finding.entity)
            assert number not in await seen(bench, case.rules, identity, Door.PORTAL, finding.entity)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=drawn(), other=drawn(), door=st.sampled_from([Door.OPERATIONS, Door.PORTAL]))
async def test_gains_and_losses_between_solutions_are_counted_for_each_person(
    bench: Bench, case: Drawn, other: Drawn, door: Door
) -> None:
    await bench.load(rows(case.seed))
    identities = people(case)
    user = identities[0].user
    assert user is not None
    planes = []
    for rules in (case.rules, other.rules):
        served = gates(bench, rules, user)
        planes.append(Planes(served[Door.OPERATIONS], served[Door.PORTAL]))
    report = await Differ(*planes).run(identities, identities)
    name = "/data" if door is Door.OPERATIONS else "the portal"
    for way, one, two in (("gains", other.rules, case.rules), ("loses", case.rules, other.rules)):
        counted = {(f.identity, f.entity): f.rows for f in report.findings if f.subject == f"{way} read at {name}"}
        expected = await differing(bench, (one, door), (two, door), identities)
        if door is Door.PORTAL:
            expected = {
                (label, next(e.name for e in VIRTUAL.values() if e.virtual_of == entity)): count
                for (label, entity), count in expected.items()
            }
        assert counted == expected
