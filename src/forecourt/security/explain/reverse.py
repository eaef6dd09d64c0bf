"""The reverse: who can see a row, at which door, by which rule.

People of one shape (the same roles, legal entities, web roles) share their predicates and differ in values only. So a
shape is asked about with one statement: the row crossed with the values of all its people, the predicate with columns
of these in the place of parameters. Ten thousand contacts take as many statements as there are shapes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    And,
    Column,
    Exists,
    InParam,
    Match,
    Not,
    Operand,
    Or,
    Param,
    Predicate,
    all_of,
    any_of,
    negate,
)
from forecourt.kernel.principal import Contact, Door, OperationsUser, Principal
from forecourt.kernel.relation import Given, Holds, Output
from forecourt.security.explain.answers import Seen, Sighting
from forecourt.security.explain.decision import final
from forecourt.security.explain.explainer import Asked
from forecourt.security.explain.facts import deep, params_in
from forecourt.security.explain.layers import layers
from forecourt.security.explain.looking import Values, sight
from forecourt.security.explain.subject import Question, Subject
from forecourt.security.gate import Gate
from forecourt.security.grants import usable_behind
from forecourt.security.rules import BASIC_USER
from forecourt.security.scope import Scope
from forecourt.security.scopes import person_values, user_values
from forecourt.security.standing import Standing

WHO = "@who"
NUMBER = "@n"

#: Whom a user is looked for to stand behind.
ANYBODY = Principal(contact=Contact(UUID(int=0), "", ""))

#: People whose values travel in one statement.
AT_ONCE = 20_000


class Everybody(Protocol):
    """All identities, as requests of theirs would have them."""

    async def contacts(self) -> list[Asked]: ...

    async def users(self) -> list[OperationsUser]: ...

    async def visitor(self) -> Asked: ...

    async def standings(self) -> Mapping[str, Standing] | None: ...


@dataclass(frozen=True)
class _Person:
    """One identity at one door, with its values."""

    label: str
    kind: str
    scope: Scope


class Reverse:
    """Asks about everybody at once, over the gates that serve requests."""

    def __init__(self, operations: Gate, dataverse: Gate, people: Everybody) -> None:
        self._operations = operations
        self._dataverse = dataverse
        self._people = people

    async def who(self, subject: Subject, question: Question, table: str, key: str) -> Sighting:
        """Everybody who reaches the row at some door (or the one that is asked about), sorted by door and name."""
        found = await sight(subject, {}).some(TRUE)
        people = await self._everybody(subject, question.door)
        asked = len({(person.kind, person.label) for _, person in people})
        groups: dict[tuple[Door, Hashable], list[_Person]] = defaultdict(list)
        for door, person in people:
            groups[door, person.scope.shape].append(person)
        seen: list[Seen] = []
        for (door, _), group in groups.items() if found else ():
            for start in range(0, len(group), AT_ONCE):
                seen += await self._group(subject, question, door, group[start : start + AT_ONCE])
        order = [door.value for door in Door]
        seen.sort(key=lambda item: (order.index(item.door), item.kind, item.identity))
        return Sighting(table, key, question.operation, found, asked, tuple(seen))

    async def mappable(self, subject: Subject, question: Question) -> list[OperationsUser]:
        """Users that a portal may act as for a contact; those who reach the row at the source come first."""
        users = [u for u in await self._people.users() if u.enabled and u.external and usable_behind(ANYBODY, u)]
        if subject.entity is None or not subject.keyed:
            return users
        people = [_Person(u.id, "user", _scope(Principal(operations_user=u), Door.OPERATIONS, None)) for u in users]
        groups: dict[Hashable, list[_Person]] = defaultdict(list)
        for person in people:
            groups[person.scope.shape].append(person)
        reaching: set[str] = set()
        for group in groups.values():
            asking = replace(question, door=Door.OPERATIONS, column=None)
            reaching |= {item.identity for item in await self._group(subject, asking, Door.OPERATIONS, group)}
        return sorted(users, key=lambda user: (user.id not in reaching, user.id))

    # -- people --------------------------------------------------------------------------------------------------

    async def _everybody(self, subject: Subject, wanted: Door | None) -> list[tuple[Door, _Person]]:
        """Every identity at every door that it may come to."""
        doors = [door for door in Door if (wanted is None or door is wanted) and subject.at(door) is not None]
        found: list[tuple[Door, _Person]] = []
        portal = [door for door in doors if door in (Door.PORTAL, Door.PORTAL_API)]
        if portal:
            contacts = [(asked, "contact") for asked in await self._people.contacts()]
            for asked, kind in [*contacts, (await self._people.visitor(), "visitor")]:
                if asked.fault is None:
                    person = [_Person(asked.label, kind, _scope(asked.principal, door, None)) for door in portal]
                    found += zip(portal, person, strict=True)
        direct = [door for door in doors if door not in portal]
        if direct:
            standings = await self._people.standings() if Door.DATAVERSE in direct else None
            for user in await self._people.users():
                for door in direct:
                    standing = self._standing(user, standings) if door is Door.DATAVERSE else None
                    scope = _scope(Principal(operations_user=user), door, standing)
                    found.append((door, _Person(user.id, "user", scope)))
        return found

    def _standing(self, user: OperationsUser, standings: Mapping[str, Standing] | None) -> Standing:
        """What a user is in Dataverse; one who has not come yet has what the solution gives, and owns nothing."""
        if not user.enabled:
            return Standing()
        if standings is not None and user.id in standings:
            return standings[user.id]
        rules = self._dataverse.enforcer.rules.dataverse
        return Standing(roles=rules.users.get(user.id, frozenset()) | {BASIC_USER})

    # -- asking --------------------------------------------------------------------------------------------------

    async def _group(self, subject: Subject, question: Question, door: Door, people: Sequence[_Person]) -> list[Seen]:
        """Those of people of one shape who reach the row, with the rules that admit it."""
        entity = subject.at(door)
        assert entity is not None
        gate = self._operations if door in (Door.OPERATIONS, Door.PACKAGES) else self._dataverse
        scope = people[0].scope
        column = subject.column(question.column, entity) if question.column else None
        asking = replace(question, column=column, door=door)
        decision = final(gate.enforcer, scope, entity, asking)
        if decision == FALSE:
            return []
        rules = [
            (f"{rule.name} ({rule.where})" if rule.where else f"{rule.name} {rule.detail}".strip(), rule.condition)
            for layer in layers(gate.enforcer, scope, entity, asking)
            for rule in layer.rules
            if rule.condition is not None and (rule.where or layer.any)
        ]
        names = sorted({name for item in (decision, *(c for _, c in rules)) for name in params_in(item)})
        conditions = [lifted(condition) for _, condition in rules]
        values = {f"{WHO}.{name}": [_text(person.scope.values[name]) for person in people] for name in names}
        values[f"{WHO}.{NUMBER}"] = [str(place) for place in range(len(people))]
        looked = sight(subject, values)
        looked = replace(looked, where=all_of(looked.where, lifted(decision)))
        outputs = (
            Output(NUMBER, Column(WHO, NUMBER), None),
            *(Output(f"t{place}", Holds(condition), None) for place, condition in enumerate(conditions)),
        )
        rows = await looked.rows(outputs, conditions, 0, Given(WHO, (NUMBER, *names)))
        return [
            Seen(
                door.value,
                people[int(str(number))].label,
                people[int(str(number))].kind,
                tuple(name for (name, _), truth in zip(rules, truths, strict=True) if truth),
            )
            for number, *truths in rows
        ]


def _scope(principal: Principal, door: Door, standing: Standing | None) -> Scope:
    """A scope with every policy as a subquery on the user: nothing has to be read for it."""
    user = principal.operations_user
    if user is not None and not usable_behind(principal, user):
        user = replace(user, enabled=False)  # as a request would have it
        principal = replace(principal, operations_user=user)
    if standing is not None:
        principal = replace(principal, security_roles=standing.roles, dataverse_user=standing.user)
    values = {
        **person_values(principal),
        **(user_values(user) if user is not None else {}),
        **(standing.values if standing is not None else {}),
    }
    return Scope(principal, door, values=Values(values))


def lifted(item: Predicate) -> Predicate:
    """The predicate with columns of the given people in the place of parameters."""

    def change(operand: Operand) -> Operand:
        return Column(WHO, operand.name) if isinstance(operand, Param) else operand

    return _lists(deep(item, change))


def _lists(item: Predicate) -> Predicate:
    """Lists of ids travel as one text, in which an id is looked for: ids are of one length."""
    match item:
        case InParam(operand, param):
            return Match("contains", Column(WHO, param), operand)
        case And(items):
            return all_of(*(_lists(child) for child in items))
        case Or(items):
            return any_of(*(_lists(child) for child in items))
        case Not(child):
            return negate(_lists(child))
        case Exists(select):
            sources = tuple(replace(source, on=_lists(source.on)) for source in select.sources)
            return Exists(replace(select, sources=sources, where=_lists(select.where)))
        case _:
            return item


def _text(value: object) -> str | None:
    """A value as the text that travels."""
    match value:
        case None:
            return None
        case list() | tuple():
            return " ".join(str(member) for member in value)
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
