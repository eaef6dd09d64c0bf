"""What has to be answered: questions worked out in Python from the rows and columns that an identity may read.

Nothing of what is hidden is looked at here, so an answer that agrees says nothing of it. Two-valued logic as OData
defines it (Part 2, 5.1.1.1): a comparison with null is false, except ``ne`` between null and a value. A step along a
relation finds rows that may be read, and needs both ends of the relation to be open.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from forecourt.cli.fuzzing.client import Answered
from forecourt.cli.fuzzing.doors import TOTAL, Door, parsed
from forecourt.cli.fuzzing.questions import MATCHES, Condition, Joined, Key, Question
from forecourt.cli.fuzzing.readable import Reach, Reading, Row
from forecourt.kernel.model import Entity, Relation
from forecourt.odata import record_id

#: Statuses of a refusal that is a matter of security; a table that ``/_api`` does not open is a 404.
REFUSED = frozenset({403, 404})


class Refused(Exception):
    """The question names what is not open to the asker."""


class Unknown(Exception):
    """The question reaches into more rows than are compared."""


@dataclass(frozen=True)
class Oracle:
    """Answers for one identity at one door. Text is sorted by code points, as the embedded database does."""

    door: Door
    reading: Reading

    def difference(self, question: Question, answers: Sequence[Answered]) -> str:
        """What is wrong with the answers, '' for nothing. Raises Unknown."""
        entity = self.door.entity(question.entity)
        assert entity is not None
        first = answers[0]
        if any(answer.status >= 500 for answer in answers):
            return f"a fault: status {max(answer.status for answer in answers)}"
        try:
            rows = self._rows(entity, question)
        except Refused:
            refused = first.status in REFUSED or self.door.unopened(first)
            return "" if refused else f"status {first.status} instead of a refusal"
        if question.form == "item":
            return self._item(entity, question, rows, first)
        wrong = next((answer.status for answer in answers if answer.status != 200), None)
        if wrong is not None:
            return f"status {wrong} instead of {len(rows)} rows"
        if question.form == "count" and not self.door.counted(question):
            return self._groups(entity, replace(question, select=()), rows, parsed(first))
        if question.form == "groups":
            return self._groups(entity, question, rows, parsed(first))
        if question.form == "count":
            return (
                "" if first.body.strip() == str(len(rows)).encode() else f"{first.body[:20]!r} instead of {len(rows)}"
            )
        return self._list(entity, question, rows, answers)

    # -- rows ----------------------------------------------------------------------------------------------------

    def _rows(self, entity: Entity, question: Question) -> list[Row]:
        reach = self._open(entity)
        if not set(self.door.named(entity, question)) <= set(reach.fields):
            raise Refused
        for name, _ in question.order:
            self._column(reach, name)
        if question.expand:
            self._related(reach, question.expand)
        if question.where is not None:
            self._check(reach, question.where)
        if not reach.whole:
            raise Unknown
        rows = [row for row in reach.rows if question.where is None or self._holds(reach, question.where, row)]
        if question.form == "item":
            key = self._identity(entity, question.key)
            if not set(key) <= set(reach.fields):
                raise Refused
            return reach.having(tuple(key), tuple(key.values()))

        def compare(one: Row, other: Row) -> int:
            return self._compare(entity, question, one, other)

        return sorted(rows, key=cmp_to_key(compare))

    def _identity(self, entity: Entity, key: Key | None) -> Mapping[str, object]:
        assert key is not None
        if self.door.of_data or key.id is None:
            return key.values or {}
        field = entity.fields[entity.key[0]]
        if isinstance(key.id, int) and field.record_of is not None:
            return {field.name: record_id.encode(field.record_of, key.id)}
        return {field.name: key.id}

    def _open(self, entity: Entity) -> Reach:
        reach = self.reading.reaches[entity.name]
        if reach.refusal is not None or not self.door.opens(reach):
            raise Refused
        return reach

    def _column(self, reach: Reach, name: str) -> str:
        field = self.door.field(reach.entity, name)
        if field is None or field.name not in reach.fields:
            raise Refused
        return field.name

    def _related(self, reach: Reach, name: str) -> tuple[Relation, Reach]:
        """A relation and what is behind it."""
        relation = reach.entity.relations[self.door.relation(reach.entity, name) or ""]
        target = self._open(self.door.model.entities[relation.target])
        if any(own not in reach.fields or theirs not in target.fields for own, theirs in relation.on):
            raise Refused
        if relation.through is not None or not target.whole:
            raise Unknown
        return relation, target

    @staticmethod
    def _behind(relation: Relation, target: Reach, row: Row) -> list[Row]:
        names = tuple(theirs for _, theirs in relation.on)
        return target.having(names, tuple(row[own] for own, _ in relation.on))

    # -- conditions ----------------------------------------------------------------------------------------------

    def _check(self, reach: Reach, item: Condition) -> None:
        if isinstance(item, Joined):
            for child in item.items:
                self._check(reach, child)
        elif item.relation:
            _, target = self._related(reach, item.relation)
            self._column(target, item.field)
        else:
            self._column(reach, item.field)

    def _holds(self, reach: Reach, item: Condition, row: Row) -> bool:
        if isinstance(item, Joined):
            if item.op == "not":
                return not self._holds(reach, item.items[0], row)
            test = all if item.op == "and" else any
            return test(self._holds(reach, child, row) for child in item.items)
        if not item.relation:
            return _true(item.op, row[self._column(reach, item.field)], item.value)
        relation, target = self._related(reach, item.relation)
        name = self._column(target, item.field)
        values = [other[name] for other in self._behind(relation, target, row)]
        if not item.many and (item.op == "ne" or item.value is None):
            # Without a row there the value is null, and of two nulls neither is unequal.
            return all(_true(item.op, value, item.value) for value in values or [None])
        return any(_true(item.op, value, item.value) for value in values)

    # -- order ---------------------------------------------------------------------------------------------------

    def _compare(self, entity: Entity, question: Question, one: Row, other: Row) -> int:
        down = False
        for name, down in self._order(entity, question):
            found = _order(entity, name, one[name], other[name])
            if found:
                return -found if down else found
        return 0

    def _order(self, entity: Entity, question: Question) -> list[tuple[str, bool]]:
        steps = [(self.door.field(entity, name), down) for name, down in question.order]
        found = [(field.name, down) for field, down in steps if field is not None]
        last = found[-1][1] if found else False
        named = {name for name, _ in found}
        if set(entity.key) <= named:
            return found
        return [*found, *((name, last) for name in entity.key if name not in named)]

    # -- answers -------------------------------------------------------------------------------------------------

    def _item(self, entity: Entity, question: Question, rows: list[Row], answer: Answered) -> str:
        if not rows:
            return "" if answer.status == 404 else f"status {answer.status} instead of 404"
        if answer.status != 200:
            return f"status {answer.status} instead of a row"
        return self._row(entity, question, rows[0], parsed(answer))

    def _list(self, entity: Entity, question: Question, rows: list[Row], answers: Sequence[Answered]) -> str:
        pages = [parsed(answer) for answer in answers]
        if question.total and pages[0].get("@odata.count") != len(rows):
            return f"@odata.count {pages[0].get('@odata.count')} instead of {len(rows)}"
        if question.top is not None:
            rows = rows[: question.top]
        found = [row for page in pages for row in page.get("value", ())]
        if self.door.more(answers[-1]) and len(found) < len(rows):
            rows = rows[: len(found)]  # the rest was not followed
        if len(found) != len(rows):
            return f"{len(found)} rows instead of {len(rows)}"
        if question.page is not None and any(len(page["value"]) != question.page for page in pages[:-1]):
            return "a page that is not full"
        for place, (row, shown) in enumerate(zip(rows, found, strict=True)):
            wrong = self._row(entity, question, row, shown)
            if wrong:
                return f"row {place}: {wrong}"
        return ""

    def _groups(self, entity: Entity, question: Question, rows: list[Row], answer: Mapping[str, Any]) -> str:
        names = [field.name for name in question.select if (field := self.door.field(entity, name)) is not None]
        expected = Counter(self._values(entity, names, row) for row in rows)
        found = {tuple(_plain(each.get(name)) for name in names): each.get(TOTAL) for each in answer.get("value", ())}
        if not names and not rows:
            expected[()] = 0  # of no rows there is a number, too
        return "" if found == dict(expected) else f"groups {_some(found, expected)} instead of {_some(expected, found)}"

    def _values(self, entity: Entity, names: Sequence[str], row: Row) -> tuple[object, ...]:
        return tuple(_plain(self.door.written(entity.fields[name], row[name])) for name in names)

    def _row(self, entity: Entity, question: Question, row: Row, shown: Mapping[str, Any]) -> str:
        reach = self.reading.reaches[entity.name]
        names = [self._column(reach, name) for name in question.select] or list(reach.fields)
        for name in names:
            value = self.door.written(entity.fields[name], row[name])
            if name not in shown and not (self.door.sparse and value is None):
                return f"{name} is missing"
            if not _same(value, shown.get(name)):
                return f"{name} is {shown.get(name)!r} instead of {value!r}"
        extra = {name for name in shown if "@" not in name} - set(names) - set(entity.key)
        if question.expand:
            relation, target = self._related(reach, question.expand)
            extra.discard(relation.name)
            behind = self._behind(relation, target, row)
            below = shown.get(relation.name)
            listed = below if isinstance(below, list) else [] if below is None else [below]
            expected = {self._key(target.entity, item) for item in (behind if relation.many else behind[:1])}
            if {tuple(str(item.get(name)) for name in target.entity.key) for item in listed} != expected:
                return f"{relation.name} has {len(listed)} rows instead of {len(expected)}, or others"
        return f"columns that were not asked for: {', '.join(sorted(extra))}" if extra else ""

    def _key(self, entity: Entity, row: Row) -> tuple[str, ...]:
        return tuple(str(self.door.written(entity.fields[name], row[name])) for name in entity.key)


def _plain(value: Any) -> object:
    return value.normalize() if isinstance(value, Decimal) else value


def _some(groups: Mapping[tuple[object, ...], Any], others: Mapping[tuple[object, ...], Any]) -> str:
    """The groups that the other side lacks, a few of them."""
    return repr([item for item in groups.items() if others.get(item[0]) != item[1]][:3])


def _true(op: str, value: Any, wanted: Any) -> bool:
    if op in MATCHES:
        if value is None:
            return False
        text, pattern = str(value).casefold(), str(wanted).casefold()
        if op == "contains":
            return pattern in text
        return text.startswith(pattern) if op == "startswith" else text.endswith(pattern)
    if op == "eq":
        return bool(value == wanted)
    if op == "ne":
        return bool(value != wanted)
    if value is None or wanted is None:
        return False
    return bool({"lt": value < wanted, "le": value <= wanted, "gt": value > wanted, "ge": value >= wanted}[op])


def _order(entity: Entity, name: str, one: Any, other: Any) -> int:
    """Null sorts lowest; ids made of numbers sort as the numbers."""
    if one is None or other is None:
        return (one is not None) - (other is not None)
    number = entity.fields[name].record_of
    if number is not None:
        one, other = record_id.decode(number, one), record_id.decode(number, other)
    return int(one > other) - int(one < other)


def _same(value: Any, shown: Any) -> bool:
    if isinstance(value, dt.datetime):
        return isinstance(shown, str) and dt.datetime.fromisoformat(shown) == value
    if isinstance(value, bool) or isinstance(shown, bool):
        return value is shown
    if isinstance(value, int | float | Decimal) and isinstance(shown, int | float | Decimal):
        return bool(value == shown) or abs(float(value) - float(shown)) < 1e-9 * max(1.0, abs(float(value)))
    return bool(value == shown)
