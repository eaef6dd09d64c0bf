"""Values as terms of the solver, and back: one number line per family of types.

Whole numbers and text, days, moments, GUIDs and truth values are integers; decimals and doubles are reals. A text is a
number that stands for it: equal texts, equal numbers; their order is the collation's and is not interpreted. A padded
text stands for what is left without the blanks at its end, as the database compares it with another. The solver's
domains are wider than the columns' (a ``char(1)`` may have any text), so that what it refutes wrongly is found out when
the rows are written, and what it proves holds.

Comparisons that the database makes by converting one side inexactly, or by a type that has no family, have no terms:
they are *opaque*, and may be true or false of the same operands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import z3

from forecourt.kernel.types import Scalar
from forecourt.security.prove.joins import Unfit
from forecourt.store.storage import MOMENTS, NUMBERS, Family, family_of_value

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_DAY = dt.timedelta(days=1)

#: Bounds of the integer types: facts. Those of the others are what a witness should look like.
WIDTHS: Mapping[str, tuple[int, int]] = {
    f"int{size}": (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) for size in (2, 4, 8)
}

#: A number of the solver's (``z3.ArithRef``), which ships no types.
Term = Any


@dataclass(frozen=True)
class Value:
    """An operand: ``null`` says whether it is; ``term`` is None where its values are not interpreted. ``key`` names it
    among opaque comparisons."""

    null: z3.BoolRef
    term: Term | None
    family: Family | None
    key: tuple[object, ...]


@dataclass
class Texts:
    """The numbers that stand for texts. Constants have the first ones."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def text(self, number: int, spare: dict[int, str]) -> str:
        """The text of a number; one that no constant has gets a short new one."""
        found = next((text for text, each in self.numbers.items() if each == number), spare.get(number))
        if found is None:
            taken = {*self.numbers, *spare.values()}
            found = next(name for place in range(len(taken) + 1) if (name := f"w{place}") not in taken)
            spare[number] = found
        return found


def line(family: Family | None) -> Family | None:
    """The number line of a family: values of one line are compared by their terms."""
    if family in MOMENTS:
        return Family.INSTANT
    return None if family is Family.OTHER else family


def variable(name: str, family: Family | None) -> Term | None:
    """A fresh constant on the line of a family."""
    if line(family) is None:
        return None
    return z3.Real(name) if family in (Family.DECIMAL, Family.FLOAT) else z3.Int(name)


def day_of(moment: Value) -> Value:
    """The day in UTC of a moment: the midnight that it follows."""
    day = _DAY // _MICROSECOND
    term = None if moment.term is None else moment.term - moment.term % day
    return Value(moment.null, term, Family.DATE, ("day", *moment.key))


def comparable(left: Value, right: Value) -> tuple[Term, Term] | None:
    """Both terms on one line, or None."""
    if left.term is None or right.term is None:
        return None
    lines = {line(left.family), line(right.family)}
    if len(lines) == 1:
        return left.term, right.term
    if lines == {Family.INTEGER, Family.DECIMAL}:
        return _real(left.term), _real(right.term)
    return None


def _real(term: Term) -> Term:
    return z3.ToReal(term) if z3.is_int(term) else term


def constant(value: Scalar, beside: Family | None, texts: Texts) -> tuple[Term, Family] | None:
    """A value of the author's as the database takes it beside a column; None where that is not exact."""
    own = family_of_value(value)
    family = own if beside is None else beside
    try:
        number = _number(value, own, family, texts)
    except (ValueError, ArithmeticError):
        return None
    if number is None:
        return None
    if isinstance(number, int) and family not in (Family.DECIMAL, Family.FLOAT):
        return z3.IntVal(number), family
    exact = Fraction(number)
    real = z3.RealVal(f"{exact.numerator}/{exact.denominator}")
    return real, Family.DECIMAL if family is Family.INTEGER else family


def _number(value: Any, own: Family, family: Family, texts: Texts) -> int | Decimal | Fraction | None:
    match family:
        case Family.TEXT if own in (Family.TEXT, Family.INTEGER, Family.UUID):
            return texts.number(str(value))
        case Family.PADDED if own is Family.TEXT:
            return texts.number(str(value).rstrip(" "))
        case Family.INTEGER if own in (Family.INTEGER, Family.DECIMAL):
            return int(value) if own is Family.INTEGER else Decimal(value)
        case Family.INTEGER if own is Family.TEXT:
            return int(str(value))
        case Family.DECIMAL if own in (Family.INTEGER, Family.DECIMAL):
            return Decimal(value)
        case Family.FLOAT if own in NUMBERS:
            return Fraction(float(value))
        case Family.BOOLEAN if own is Family.BOOLEAN:
            return int(bool(value))
        case Family.UUID:
            return value.int if isinstance(value, UUID) else UUID(str(value)).int if own is Family.TEXT else None
        case Family.DATE | Family.LOCAL | Family.INSTANT if isinstance(value, dt.date):
            return micros(value)
        case _:
            return None


def micros(value: dt.date) -> int:
    """Microseconds from 1970 to a moment; a day begins at midnight in UTC, as does a moment without time zone."""
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if value.tzinfo is None:
        value = value.replace(tzinfo=dt.UTC)
    return (value - _EPOCH) // _MICROSECOND


def likely(term: Term, family: Family | None) -> list[z3.BoolRef]:
    """What a value of a witness should be like, so that it can be written."""
    match family:
        case Family.DATE | Family.LOCAL | Family.INSTANT:
            first, last = micros(dt.date(1900, 1, 1)), micros(dt.date(2154, 12, 31))
            found = [term >= first, term <= last]
            return [*found, term % (_DAY // _MICROSECOND) == 0] if family is Family.DATE else found
        case Family.UUID:
            return [term >= 1, term < 1 << 128]
        case Family.DECIMAL | Family.FLOAT:
            return [term >= -100000, term <= 100000]
        case _:
            return []


def scalar(number: Any, family: Family, texts: Texts, spare: dict[int, str]) -> object:
    """A number of a model as a value to bind. Raises Unfit where no value of the type is like it."""
    try:
        if family in (Family.DECIMAL, Family.FLOAT):
            exact = Fraction(number.as_fraction())
            return float(exact) if family is Family.FLOAT else Decimal(exact.numerator) / Decimal(exact.denominator)
        found = int(number.as_long())
        match family:
            case Family.TEXT | Family.PADDED:
                return texts.text(found, spare)
            case Family.BOOLEAN:
                return bool(found)
            case Family.UUID:
                return UUID(int=found)
            case Family.DATE:
                return (_EPOCH + dt.timedelta(microseconds=found)).date()
            case Family.LOCAL:
                return (_EPOCH + dt.timedelta(microseconds=found)).replace(tzinfo=None)
            case Family.INSTANT:
                return _EPOCH + dt.timedelta(microseconds=found)
            case _:
                return found
    except (ValueError, OverflowError, AttributeError, z3.Z3Exception) as error:
        raise Unfit(f"the counterexample has a value that {family.name.lower()} cannot hold") from error
