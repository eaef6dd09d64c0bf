"""Filters of numbers: exact, whole numbers stay whole (pages-and-dataverse A4.2). What is no number counts as 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, DivisionByZero, InvalidOperation, localcontext
from typing import Any

from liquid.exceptions import FilterArgumentError

Number = int | Decimal

#: Digits of a result: more than any column has.
DIGITS = 40


def number(value: object) -> Number:
    """A value as a number."""
    if isinstance(value, bool) or value is None:
        return 0
    if isinstance(value, int | Decimal):
        return value
    try:
        found = Decimal(str(value).strip()[:100])
    except InvalidOperation:
        return 0
    if not found.is_finite() or abs(found.adjusted()) > DIGITS:
        return 0
    return int(found) if found == found.to_integral_value() and isinstance(value, str) and "." not in value else found


def _calculated(left: object, right: object, calculate: Callable[[Any, Any], Any]) -> Number:
    one, other = number(left), number(right)
    with localcontext() as context:
        context.prec = DIGITS
        try:
            found = calculate(one, other)
        except (ZeroDivisionError, DivisionByZero, InvalidOperation, OverflowError):
            raise FilterArgumentError("the numbers cannot be calculated with", token=None) from None
    return found if isinstance(found, int) else Decimal(found)


def plus(left: object, right: object) -> Number:
    return _calculated(left, right, lambda a, b: a + b)


def minus(left: object, right: object) -> Number:
    return _calculated(left, right, lambda a, b: a - b)


def times(left: object, right: object) -> Number:
    return _calculated(left, right, lambda a, b: a * b)


def divided_by(left: object, right: object) -> Number:
    """The quotient; of whole numbers without its fraction, rounded down."""
    return _calculated(left, right, lambda a, b: a // b if isinstance(a, int) and isinstance(b, int) else a / b)


def modulo(left: object, right: object) -> Number:
    return _calculated(left, right, lambda a, b: a % b)


def absolute(value: object) -> Number:
    found = number(value)
    return -found if found < 0 else found


def at_least(value: object, least: object) -> Number:
    return _calculated(value, least, max)


def at_most(value: object, most: object) -> Number:
    return _calculated(value, most, min)


def ceil(value: object) -> int:
    return math.ceil(number(value))


def floor(value: object) -> int:
    return math.floor(number(value))


def round_(value: object, digits: object = 0) -> Number:
    """Rounded, halves away from zero."""
    places = min(max(int(number(digits)), 0), 20)
    found = Decimal(number(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return found if places else int(found)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": absolute,
    "at_least": at_least,
    "at_most": at_most,
    "ceil": ceil,
    "divided_by": divided_by,
    "floor": floor,
    "minus": minus,
    "modulo": modulo,
    "plus": plus,
    "round": round_,
    "times": times,
}
