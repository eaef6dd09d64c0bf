"""The explainer: a question about an identity and a row, answered for every door.

Verdicts come from the predicates that requests run under. For one row all of a door's rules are put to the database
in one statement; without a key the rows that each admits are counted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from forecourt.kernel.errors import Refusal
from forecourt.kernel.predicate import FALSE, TRUE, Predicate
from forecourt.kernel.principal import Door, OperationsUser, Principal
from forecourt.security.explain.answers import Answer, Change, Explanation, LayerVerdict, Verdict
from forecourt.security.explain.change import Changes
from forecourt.security.explain.conditions import findings
from forecourt.security.explain.decision import final
from forecourt.security.explain.layers import Layer, Rule, layers
from forecourt.security.explain.looking import Sight, sight
from forecourt.security.explain.subject import DOORS, Question, Subject, Subjects
from forecourt.security.gate import Gate


@dataclass(frozen=True)
class Asked:
    """Whom it is about. ``fault``: why the person acts as nobody."""

    label: str
    principal: Principal
    fault: Refusal | None = None


async def nobody_mapped(subject: Subject, question: Question) -> list[OperationsUser]:
    """Where nobody says whom a contact could be mapped to."""
    return []


#: The plain question.
READ = Question()

Mappable = Callable[[Subject, Question], Awaitable[list[OperationsUser]]]


class Explainer:
    """Explains over the gates that serve requests. ``mappable``: operations users that portals may act as, those that
    reach the row first."""

    def __init__(self, operations: Gate, dataverse: Gate, mappable: Mappable = nobody_mapped) -> None:
        self._operations = operations
        self._dataverse = dataverse
        self._mappable = mappable
        self.subjects = Subjects(operations, dataverse)

    def subject(self, table: str, key: str | None) -> Subject:
        """What a name and a key stand for. Raises Refusal FC1001, FC1002, FC1003."""
        return self.subjects.find(table, key)

    def gate(self, door: Door) -> Gate:
        """The gate behind a door."""
        return self._operations if door in (Door.OPERATIONS, Door.PACKAGES) else self._dataverse

    async def explain(
        self, asked: Asked, subject: Subject, question: Question = READ, changes: bool = True
    ) -> tuple[Answer, ...]:
        """The answer of every door that the identity may come to, or of the one that is asked about.

        ``changes`` False: without the search for what would turn a no. Raises Refusal FC1002 for an unknown column.
        """
        doors = [question.door] if question.door is not None else _doors(asked.principal, subject)
        return tuple([await self._answer(asked, subject, question, door, changes) for door in doors])

    async def explanation(
        self, asked: Asked, subject: Subject, question: Question, table: str, key: str | None
    ) -> Explanation:
        """The same with the question, as it is printed."""
        answers = await self.explain(asked, subject, question)
        looked = sight(subject, {})
        found = await looked.some(TRUE) if subject.keyed else None
        rows = None if subject.keyed else await looked.count(TRUE)
        return Explanation(asked.label, table, key, question.operation, question.column, found, answers, rows)

    async def examples(self, subject: Subject, limit: int = 8) -> list[tuple[str, str]]:
        """Some rows of a table to choose from: pairs (key, what it reads as)."""
        entity = subject.row
        names = [*entity.key, *([entity.primary_name] if entity.primary_name in entity.fields else [])]
        columns = [entity.fields[name].at() for name in names]
        found = []
        for row in await sight(subject, {}).columns(list(dict.fromkeys(columns)), limit):
            values = dict(zip(dict.fromkeys(columns), row, strict=True))
            key = ",".join(str(values[column]) for column in columns[: len(entity.key)])
            label = str(values[columns[-1]]) if len(columns) > len(entity.key) else key.replace(",", ", ")
            found.append((key, label))
        return found

    async def _answer(self, asked: Asked, subject: Subject, question: Question, door: Door, changes: bool) -> Answer:
        entity, gate = subject.at(door), self.gate(door)
        if entity is None:
            name = subject.row.name
            text = f"{name} has no virtual table" if subject.entity is not None else f"{name} is a table of Dataverse"
            return Answer(door, DOORS[door], False, (_plain("table", name, text),), 0 if not subject.keyed else None)
        named = question.column
        asking = replace(question, column=subject.column(named, entity) if named else None, door=door)
        scope = await gate.scope(asked.principal, door, fresh=True)
        unbound = replace(scope, sizes=())
        looked = sight(subject, scope.values)
        chain = layers(gate.enforcer, unbound, entity, asking)
        decision = final(gate.enforcer, scope, entity, asking)
        known = await self._truths(looked, [decision, *_conditions(chain)])
        verdicts = [await self._layer(looked, layer, known) for layer in chain]
        if asked.fault is not None:
            verdicts.insert(0, _plain("identity", asked.fault.code, asked.fault.text))
        there = not subject.keyed or await looked.some(TRUE)
        admits = there and bool(known.get(decision)) and asked.fault is None
        steps: tuple[tuple[Change, ...], ...] = ()
        if changes and there and not admits and asked.fault is None:
            search = Changes(gate.enforcer, unbound, entity, asking, looked, lambda: self._mappable(subject, asking))
            steps = await search.found()
        rows = None if subject.keyed else int(known.get(decision) or 0)
        return Answer(door, DOORS[door], admits, tuple(verdicts), rows, steps)

    @staticmethod
    async def _truths(looked: Sight, conditions: list[Predicate]) -> dict[Predicate, int | None]:
        """Of each condition whether the row meets it (None: no row), or how many rows do."""
        distinct = list(dict.fromkeys(conditions))
        if looked.subject.keyed:
            truths = await looked.truths(distinct)
            if truths is None:
                return {item: 0 if item == FALSE else 1 if item == TRUE else None for item in distinct}
            return dict(zip(distinct, map(int, truths), strict=True))
        return {item: 0 if item == FALSE else await looked.count(item) for item in distinct}

    async def _layer(self, looked: Sight, layer: Layer, known: dict[Predicate, int | None]) -> LayerVerdict:
        admits = bool(known.get(layer.condition))
        verdicts = tuple([await self._rule(looked, layer, rule, known, admits) for rule in layer.rules])
        return LayerVerdict(layer.name, admits, layer.any, verdicts)

    @staticmethod
    async def _rule(
        looked: Sight, layer: Layer, rule: Rule, known: dict[Predicate, int | None], admitted: bool
    ) -> Verdict:
        if rule.condition is None:
            return Verdict(layer.name, rule.name, None, rule.detail, rule.where)
        found = known[rule.condition]
        verdict = Verdict(layer.name, rule.name, bool(found), rule.detail, rule.where)
        if not looked.subject.keyed:
            counted = rule.condition not in (TRUE, FALSE)
            return replace(verdict, rows=int(found or 0) if counted else None)
        if found is None:
            return replace(verdict, admits=None)
        if found or (admitted and layer.any) or rule.condition == FALSE:
            return verdict
        return replace(verdict, failed=(await findings(looked, rule.condition)).failed)


def _conditions(chain: tuple[Layer, ...]) -> list[Predicate]:
    found = [layer.condition for layer in chain]
    return found + [rule.condition for layer in chain for rule in layer.rules if rule.condition is not None]


def _plain(layer: str, rule: str, detail: str) -> LayerVerdict:
    return LayerVerdict(layer, False, False, (Verdict(layer, rule, False, detail),))


def _doors(principal: Principal, subject: Subject) -> list[Door]:
    """The doors that an identity may come to. Packages carry data entities alone."""
    direct = [Door.DATAVERSE, Door.OPERATIONS, Door.PACKAGES]
    if subject.entity is None:
        direct = [Door.DATAVERSE]
    if principal.contact is None and principal.operations_user is not None and not principal.web_roles:
        return direct
    if principal.contact is None:
        return [Door.PORTAL, Door.PORTAL_API]
    return [Door.PORTAL, Door.PORTAL_API, *direct]
