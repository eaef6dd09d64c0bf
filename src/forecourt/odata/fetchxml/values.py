"""The two ways in which values of conditions are known: with the request that runs, or once and for all in a rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from forecourt.kernel import predicate as p
from forecourt.kernel.model import EntityField, Model
from forecourt.kernel.types import Kind
from forecourt.odata.fetchxml.clock import Edge
from forecourt.odata.fetchxml.markup import wrong
from forecourt.odata.fetchxml.operators import Person
from forecourt.odata.slots import from_text, misfit, parse_moment, slot_kind, to_count

#: What ``eq-userid`` means in a rule of the portal.
RULE_PERSONS: dict[Person, str] = {"user": "contact.contactid"}


@dataclass(frozen=True, slots=True)
class Asker:
    """What a request knows beside its text. ``now``: aware, in UTC."""

    now: dt.datetime
    user: UUID | None = None
    business: UUID | None = None


#: From the texts of a request and its asker to the value that is bound.
Bound = Callable[[Sequence[str], Asker], object]


@dataclass
class Bindings:
    """Values of a request: slots, filled each time that it runs."""

    model: Model
    bounds: list[Bound] = field(default_factory=list)

    def slot(self, kind: Kind, bound: Bound) -> p.Slot:
        """A new slot."""
        self.bounds.append(bound)
        return p.Slot(len(self.bounds) - 1, kind)

    def value(self, field: EntityField, place: int) -> p.Operand:
        convert = reader(field, self.model)
        return self.slot(slot_kind(field), lambda texts, asker: convert(texts[place]))

    def pattern(self, field: EntityField, place: int) -> p.Operand:
        convert = pattern(field, self.model)
        return self.slot(Kind.STRING, lambda texts, asker: convert(texts[place]))

    def day(self, field: EntityField, place: int, plus: int) -> p.Operand:
        return self.slot(field.kind, lambda texts, asker: day(field, texts[place], plus))

    def moment(self, field: EntityField, edge: Edge, place: int | None) -> p.Operand:
        dated = field.kind is Kind.DATE

        def bound(texts: Sequence[str], asker: Asker) -> object:
            found = edge.at(asker.now, 0 if place is None else number(field, texts[place]))
            return found.date() if dated else found

        return self.slot(field.kind, bound)

    def person(self, field: EntityField, what: Person) -> p.Operand:
        return self.slot(Kind.GUID, lambda texts, asker: asker.user if what == "user" else asker.business)


@dataclass(frozen=True)
class Constants:
    """Values of a rule: what its author wrote, moments and persons as parameters. ``persons``: their names."""

    model: Model
    texts: Sequence[str]
    persons: dict[Person, str] = field(default_factory=lambda: dict(RULE_PERSONS))

    def value(self, field: EntityField, place: int) -> p.Operand:
        return _const(reader(field, self.model)(self.texts[place]))

    def pattern(self, field: EntityField, place: int) -> p.Operand:
        return _const(pattern(field, self.model)(self.texts[place]))

    def day(self, field: EntityField, place: int, plus: int) -> p.Operand:
        return _const(day(field, self.texts[place], plus))

    def moment(self, field: EntityField, edge: Edge, place: int | None) -> p.Operand:
        count = 0 if place is None else number(field, self.texts[place])
        return p.Param(edge.name(count, field.kind is Kind.DATE))

    def person(self, field: EntityField, what: Person) -> p.Operand:
        name = self.persons.get(what)
        if name is None:
            raise wrong("Business units have no meaning here.", code="FC1004")
        return p.Param(name)


def _const(value: object) -> p.Const:
    assert isinstance(value, str | int | float | bool | UUID | dt.date | Decimal)
    return p.Const(value)


def reader(field: EntityField, model: Model) -> Callable[[str], object]:
    """From text to the field's value; of yes and no also 1 and 0."""
    convert = from_text(field, model)
    if field.kind is Kind.BOOLEAN:
        return lambda text: convert({"1": "true", "0": "false"}.get(text, text.lower()))
    return convert


def pattern(field: EntityField, model: Model) -> Callable[[str], object]:
    """A pattern of ``like``."""
    convert = from_text(field, model)

    def read(text: str) -> object:
        if "[" in text:
            raise wrong("Classes of characters, [..], are not supported in like.", "Use % and _.", "FC1004")
        return convert(text)

    return read


def day(field: EntityField, text: str, plus: int) -> dt.date:
    """The start of a day in the form of the field, ``plus`` days later."""
    found = parse_moment(text, field.name)
    try:
        start = found.replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=plus)
    except OverflowError:
        raise misfit(field.name, "a day within the calendar") from None
    return start.date() if field.kind is Kind.DATE else start


def number(field: EntityField, text: str) -> int:
    """How many days, hours, …"""
    found = to_count(field.name)(text)
    assert isinstance(found, int)
    return min(found, 100_000)
