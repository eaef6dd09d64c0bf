"""Values of map files in stored form, value maps that follow from the models, and which kinds go into which.

A choice may be written as its number or label, an enum as its symbol. Without a value map of its own, an enum and a
choice are matched by symbol and label, an enum of No and Yes and a yes/no column by meaning, an enum and a text by
symbol. Source: operations-and-integration 1.3 (transforms), 2.7.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from uuid import UUID

from forecourt.integration.dual_write.definitions import Value
from forecourt.kernel.document import suggest
from forecourt.kernel.model import EntityField, Enum
from forecourt.kernel.types import EMPTY_DATE, Kind, Scalar

Pairs = tuple[tuple[Scalar | None, Scalar | None], ...]

_TRUTH = {"yes": True, "true": True, "no": False, "false": False}

#: What a value of a kind may become without losing anything.
_WIDER: Mapping[Kind, frozenset[Kind]] = {
    Kind.INT32: frozenset({Kind.INT64, Kind.DECIMAL, Kind.DOUBLE}),
    Kind.INT64: frozenset({Kind.DECIMAL}),
    Kind.DATE: frozenset({Kind.DATETIME}),
}


def known(field: EntityField) -> bool:
    """Whether the field's kind is certain: without a database, a field without a type counts as text."""
    return field.kind is not Kind.STRING or bool(field.storage) or field.length is not None


def goes_into(source: Kind, target: Kind) -> bool:
    """Whether values of a kind fit another one without a loss."""
    return source is target or target in _WIDER.get(source, ())


def stored(value: Value, field: EntityField, enums: Mapping[str, Enum]) -> Scalar | None:
    """A value of a file in the stored form of a field. Raises ValueError with what is expected."""
    if value is None or not known(field):
        return value
    match field.kind:
        case Kind.ENUM:
            return member(value, field, enums)
        case Kind.STRING if isinstance(value, str):
            return value
        case Kind.BOOLEAN:
            if isinstance(value, bool):
                return value
            if isinstance(value, str) and value.casefold() in _TRUTH:
                return _TRUTH[value.casefold()]
            raise ValueError("true or false is expected.")
        case Kind.INT32 | Kind.INT64 if not isinstance(value, bool | float):
            return _number(value, int, "a whole number is expected.")
        case Kind.DECIMAL if not isinstance(value, bool):
            return _number(value, Decimal, "a number is expected.")
        case Kind.DOUBLE if not isinstance(value, bool):
            return _number(value, float, "a number is expected.")
        case Kind.DATE if isinstance(value, str):
            return _parsed(value, dt.date.fromisoformat, "a date such as '2026-10-01' is expected.")
        case Kind.DATETIME if isinstance(value, str):
            return _parsed(value, _moment, "a moment such as '2026-10-01T12:00:00Z' is expected.")
        case Kind.GUID if isinstance(value, str):
            return _parsed(value, UUID, "a GUID is expected.")
    raise ValueError(f"a value of type {field.kind.value} is expected.")


def _number(value: int | float | str, make: type, expected: str) -> Scalar:
    try:
        number: Scalar = make(str(value))
    except (ValueError, InvalidOperation):
        raise ValueError(expected) from None
    return number


def _parsed(value: str, make: object, expected: str) -> Scalar:
    try:
        found: Scalar = make(value)  # type: ignore[operator]
    except ValueError:
        raise ValueError(expected) from None
    return found


def _moment(value: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(value)
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)


def member(value: Value, field: EntityField, enums: Mapping[str, Enum]) -> Scalar:
    """The stored value of an enum's member: by symbol, or for a choice by number or label."""
    enum = enum_of(field, enums)
    if field.choice:
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
        if isinstance(value, str):
            number = int(value) if value.isascii() and value.isdigit() else None
        for item in enum.members:
            if item.choice == number or (isinstance(value, str) and item.label.casefold() == value.casefold()):
                return item.value
        names = [f"{item.choice} ({item.label})" for item in enum.members[:12]]
        raise ValueError(f"'{value}' is no option of {field.column}. Known are: {', '.join(names)}.")
    if isinstance(value, str) and value in enum.by_symbol:
        return enum.by_symbol[value].value
    raise ValueError(f"'{value}' is no symbol of {enum.name}. {suggest(str(value), enum.by_symbol)}".rstrip())


def enum_of(field: EntityField, enums: Mapping[str, Enum]) -> Enum:
    """The enum of a field; an empty one where the model lacks it."""
    return enums.get(field.enum or "") or Enum(field.enum or field.name, ())


def written(value: Scalar | None, field: EntityField, enums: Mapping[str, Enum]) -> str:
    """A stored value as a person knows it, for messages."""
    if field.kind is Kind.ENUM and not isinstance(value, type(None)):
        found = next((item for item in enum_of(field, enums).members if item.value == value), None)
        if found is not None:
            return f"{found.choice} ({found.label})" if field.choice else found.symbol
    return "null" if value is None else str(value)


def domain(field: EntityField, enums: Mapping[str, Enum]) -> tuple[Scalar, ...] | None:
    """Every stored value that a field may hold; None where that is no short list."""
    if field.kind is Kind.ENUM:
        return tuple(item.value for item in enum_of(field, enums).members)
    return (False, True) if field.kind is Kind.BOOLEAN else None


def automatic(own: EntityField, theirs: EntityField, enums: Mapping[str, Enum], choices: Mapping[str, Enum]) -> Pairs:
    """Pairs (operations, Dataverse) that follow from the two models; () where values travel as they are.

    Raises ValueError where a value map is needed: which values have no counterpart.
    """
    if Kind.ENUM not in (own.kind, theirs.kind):
        return ()
    left, right = _meanings(own, enums), _meanings(theirs, choices)
    if left is None and right is not None and own.kind is Kind.STRING and theirs.kind is Kind.ENUM:
        raise ValueError("a text and a choice need a value map.")
    if own.kind is Kind.ENUM and theirs.kind is Kind.STRING:
        return tuple((item.value, item.symbol) for item in enum_of(own, enums).members)
    if left is None or right is None:
        raise ValueError(f"values of type {own.kind.value} and {theirs.kind.value} need a value map.")
    pairs = []
    for value, names in left:
        found = next((other for other, meant in right if names & meant), None)
        if found is None:
            raise ValueError(f"'{written(value, own, enums)}' has no counterpart in {theirs.column}.")
        pairs.append((value, found))
    return tuple(pairs)


def _meanings(field: EntityField, enums: Mapping[str, Enum]) -> list[tuple[Scalar, frozenset[str]]] | None:
    """Each value of a field with the names that it goes by."""
    if field.kind is Kind.BOOLEAN:
        return [(False, frozenset({"no", "false"})), (True, frozenset({"yes", "true"}))]
    if field.kind is not Kind.ENUM:
        return None
    return [
        (item.value, frozenset({_folded(item.symbol), _folded(item.label)})) for item in enum_of(field, enums).members
    ]


def _folded(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def none_of(field: EntityField, enums: Mapping[str, Enum]) -> Scalar | None:
    """What an operations column that can't be null holds for "no value" (reference 2.7): '' and 1900-01-01 alone mean
    that and nothing else; 0 and No are what a number or enum has where nobody has given one. None where it can't tell.
    """
    match field.kind:
        case Kind.STRING:
            return ""
        case Kind.DATE:
            return EMPTY_DATE
        case Kind.DATETIME:
            return dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
        case Kind.INT32 | Kind.INT64:
            return 0
        case Kind.DECIMAL:
            return Decimal(0)
        case Kind.DOUBLE:
            return 0.0
        case Kind.BOOLEAN:
            return False
        case Kind.GUID:
            return UUID(int=0)
        case Kind.ENUM:
            return next((item.value for item in enum_of(field, enums).members if item.value == 0), None)


#: Kinds whose :func:`none_of` is never a value of its own, so that it can be read as null.
EMPTY_KINDS = frozenset({Kind.STRING, Kind.DATE, Kind.DATETIME, Kind.GUID})
