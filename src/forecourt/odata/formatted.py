"""Annotations beside a row's values: formatted values, and where lookups lead (pages-and-dataverse B1.6).

::

    choice, yes/no     its label; choices: their labels, as in A; B
    number, money      1,234.50, with the currency's symbol and precision
    date, moment       3/1/2026, 3/1/2026 10:30 AM, in UTC
    lookup             the name of its row; its table; the property that leads to the row

The names of rows come with the read, as outputs ``@name.<field>.<table>``, so that they are decided like all else: the
name of a row that the asker may not read is left out. Which table a lookup of several names is ``@target.<field>``; a
currency is ``@symbol.<field>`` and ``@precision.<field>``. Formats are those of English (United States); other
languages are left out, and time zones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, cast

import msgspec

from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.types import EMPTY_DATE, Kind
from forecourt.odata.dialect import Dialect
from forecourt.odata.prefer import ASSOCIATED_PROPERTY, FORMATTED_VALUE, LOOKUP_TABLE
from forecourt.odata.slots import enum_of

#: A column of a page: one value for each row.
Column = Iterable[object]
#: From all columns of a page to one that is written.
Made = Callable[[list[Column]], Column]

NAME, TARGET, SYMBOL, PRECISION = "@name.", "@target.", "@symbol.", "@precision."


def annotated(
    field: EntityField, entity: Entity, model: Model, dialect: Dialect, outputs: Sequence[str], wanted: frozenset[str]
) -> Iterator[tuple[str, Made]]:
    """What precedes a field's value: pairs (property, its column)."""
    if dialect.name == "operations":
        return
    if FORMATTED_VALUE in wanted:
        made = _formatted(field, model, outputs)
        if made is not None:
            yield f"{field.name}@{FORMATTED_VALUE}", made
    ways = ways_of(field, entity)
    if not ways:
        return
    at = outputs.index(field.name)
    target = outputs.index(TARGET + field.name) if TARGET + field.name in outputs else None
    if ASSOCIATED_PROPERTY in wanted:
        yield f"{field.name}@{ASSOCIATED_PROPERTY}", partial(_leads, at, target, ways)
    if LOOKUP_TABLE in wanted:
        yield f"{field.name}@{LOOKUP_TABLE}", partial(_leads, at, target, {table: table for table in ways})


def ways_of(field: EntityField, entity: Entity) -> dict[str, str]:
    """Table -> the property that leads from a lookup to its row there; empty for what is no lookup."""
    if not field.targets:
        return {}
    return {
        table: relation.name
        for relation in entity.relations.values()
        if relation.column == field.column and not relation.many
        for table in (relation.target, *relation.others)
    }


def _leads(at: int, target: int | None, names: dict[str, str], columns: list[Column]) -> Column:
    """For each row what stands for the table that its lookup leads to; nothing where it is empty."""
    ids = cast("Sequence[object]", columns[at])
    if target is None:
        only = next(iter(names.values()))
        return [msgspec.UNSET if value is None else only for value in ids]
    tables = cast("Sequence[Any]", columns[target])
    return [
        msgspec.UNSET if value is None else names.get(table, msgspec.UNSET)
        for value, table in zip(ids, tables, strict=True)
    ]


def _formatted(field: EntityField, model: Model, outputs: Sequence[str]) -> Made | None:
    at = outputs.index(field.name)
    if field.targets:
        named = [outputs.index(f"{NAME}{field.name}.{table}") for table in field.targets
                 if f"{NAME}{field.name}.{table}" in outputs]  # fmt: skip
        return partial(_first, named) if named else None
    if field.kind is Kind.DECIMAL and SYMBOL + field.name in outputs:
        return partial(_amounts, at, outputs.index(SYMBOL + field.name), outputs.index(PRECISION + field.name))
    match field.kind:
        case Kind.ENUM if field.choice:
            labels = {member.value: str(member.label or member.symbol) for member in enum_of(field, model).members}
            return partial(_each, at, lambda value: labels.get(value, msgspec.UNSET))
        case Kind.STRING if field.several:
            enum = enum_of(field, model)
            return partial(_each, at, lambda value: "; ".join(str(text) for _, text in enum.chosen(value)))
        case Kind.BOOLEAN:
            return partial(_each, at, lambda value: "Yes" if value else "No")
        case Kind.INT32 | Kind.INT64 if field.record_of is None:
            return partial(_each, at, "{:,}".format)
        case Kind.DECIMAL | Kind.DOUBLE:
            return partial(_each, at, _number)
        case Kind.DATE:
            return partial(_each, at, partial(_moment, field.empty_date, False))
        case Kind.DATETIME:
            return partial(_each, at, partial(_moment, field.empty_date, True))
    return None


def _each(at: int, form: Callable[[Any], object], columns: list[Column]) -> Column:
    return [msgspec.UNSET if value is None else form(value) for value in columns[at]]


def _first(places: list[int], columns: list[Column]) -> Column:
    """The name of the row that a lookup leads to, in whichever table it is."""
    found = zip(*(columns[place] for place in places), strict=True)
    return [next((name for name in names if name is not None), msgspec.UNSET) for names in found]


def _amounts(at: int, symbol: int, precision: int, columns: list[Column]) -> Column:
    rows = zip(columns[at], columns[symbol], columns[precision], strict=True)
    return [msgspec.UNSET if value is None else _amount(value, sign, digits) for value, sign, digits in rows]


def _amount(value: Any, symbol: Any, digits: Any) -> str:
    """An amount in its currency.

    >>> _amount(Decimal("-1234.5"), "$", 2), _amount(Decimal(7), None, None)
    ('-$1,234.50', '7.00')
    """
    text = f"{abs(value):,.{2 if digits is None else int(digits)}f}"
    return f"{'-' if value < 0 else ''}{symbol or ''}{text}"


def _number(value: Any) -> object:
    if isinstance(value, Decimal) and not value.is_finite():
        return msgspec.UNSET
    return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"


def _moment(empty_date: bool, hours: bool, value: Any) -> object:
    day = value.date() if isinstance(value, dt.datetime) else value
    if empty_date and day == EMPTY_DATE:
        return msgspec.UNSET
    shown = f"{day.month}/{day.day}/{day.year}"
    if not hours or not isinstance(value, dt.datetime):
        return shown
    moment = value if value.tzinfo is None else value.astimezone(dt.UTC)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M} {moment:%p}"
