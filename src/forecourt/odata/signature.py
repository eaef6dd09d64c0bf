"""Signatures of actions: what they take and what they give, as values; their JSON in and out.

::

    {"Note": "x", "Quantity": 5}        parameters, by name; one that is not known is refused
    {"@odata.context": …, "value": 5}   the result; no content where an action gives nothing

A parameter is a scalar of a kind, a list of those, or any JSON object. Leaves out parameters that are rows.
Sources: operations-and-integration 5.5; pages-and-dataverse B3; OData 4.0 Part 1, section 11.5.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forecourt.kernel.document import suggest
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField, Model
from forecourt.kernel.types import Kind
from forecourt.odata.body import read_value
from forecourt.odata.dialect import Dialect
from forecourt.odata.lexer import printable

EDM: Mapping[Kind, str] = {
    Kind.STRING: "Edm.String",
    Kind.GUID: "Edm.Guid",
    Kind.INT32: "Edm.Int32",
    Kind.INT64: "Edm.Int64",
    Kind.DECIMAL: "Edm.Decimal",
    Kind.DOUBLE: "Edm.Double",
    Kind.BOOLEAN: "Edm.Boolean",
    Kind.DATE: "Edm.Date",
    Kind.DATETIME: "Edm.DateTimeOffset",
}

#: Values of one list, and levels of an object.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class ValueType:
    """``kind`` None: any JSON object. ``many``: a list of them. ``nullable``: null is a value."""

    kind: Kind | None
    many: bool = False
    nullable: bool = False

    def edm(self, dialect: Dialect) -> str:
        """The type's name in a dialect."""
        if self.kind is None:
            name = "Edm.Untyped"
        elif self.kind is Kind.DATE and dialect.date_as_datetime:
            name = EDM[Kind.DATETIME]
        else:
            name = EDM[self.kind]
        return f"Collection({name})" if self.many else name


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: ValueType
    required: bool = True


@dataclass(frozen=True, slots=True)
class Signature:
    """An action. ``entity``: whose set it belongs to; ``bound``: it is called on a row, else on the set. ``returns``
    None: nothing."""

    name: str
    entity: str
    bound: bool
    parameters: tuple[Parameter, ...] = ()
    returns: ValueType | None = None


def read_parameters(signature: Signature, data: Mapping[str, Any], model: Model, dialect: Dialect) -> dict[str, object]:
    """The JSON object of a call as arguments, without those that are left to the action's own defaults.

    Raises Refusal FC1002 for an unknown name, FC1003 for a value that is missing or does not fit.
    """
    known = {parameter.name: parameter for parameter in signature.parameters}
    found: dict[str, object] = {}
    for name, value in data.items():
        if "@" in name:
            continue
        parameter = known.get(name)
        if parameter is None:
            shown = printable(name[:100])
            hint = suggest(shown, known) if known else "It takes none."
            raise Refusal("FC1002", f"{signature.name} has no parameter '{shown}'.", hint=hint, source="body")
        found[name] = _read(parameter, value, model, dialect)
    for parameter in signature.parameters:
        if parameter.required and parameter.name not in found:
            hint = f'Write {{"{parameter.name}": …}}.'
            raise Refusal(
                "FC1003", f"{signature.name} needs parameter '{parameter.name}'.", hint=hint, source=parameter.name
            )
    return found


def _read(parameter: Parameter, value: Any, model: Model, dialect: Dialect) -> object:
    name, kind = parameter.name, parameter.type.kind
    if value is None:
        if not parameter.type.nullable:
            raise Refusal("FC1003", f"'{name}' cannot be null.", source=name)
        return None
    if kind is None and not parameter.type.many:
        if not isinstance(value, dict):
            raise Refusal("FC1003", f"'{name}' is an object.", source=name)
        return value
    if not parameter.type.many:
        return read_value(value, _field(name, kind), model, dialect)
    if not isinstance(value, list) or len(value) > MOST:
        raise Refusal("FC1003", f"'{name}' is a list of at most {MOST} values.", source=name)
    if kind is None:
        if any(not isinstance(item, dict) for item in value):
            raise Refusal("FC1003", f"'{name}' is a list of objects.", source=name)
        return value
    field = _field(name, kind)
    return [read_value(item, field, model, dialect) for item in value]


def _field(name: str, kind: Kind | None) -> EntityField:
    assert kind is not None
    return EntityField(name, "", name, kind, nullable=False)


def json_value(value: object, dialect: Dialect) -> object:
    """A result as JSON has it: moments in UTC, dates as the dialect writes them; lists and objects throughout."""
    match value:
        case dt.datetime():
            moment = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
            return f"{moment.isoformat(timespec='seconds')}Z"
        case dt.date():
            return f"{value.isoformat()}T12:00:00Z" if dialect.date_as_datetime else value.isoformat()
        case Mapping():
            return {str(name): json_value(item, dialect) for name, item in value.items()}
        case str() | bytes():
            return value
        case Sequence() | set() | frozenset():
            return [json_value(item, dialect) for item in value]
    return value
