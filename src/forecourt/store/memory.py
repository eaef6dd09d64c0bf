"""The meaning of a select, in Python over rows: the oracle that the SQL is tested against.

Simple and obviously right rather than fast: nested loops, two truth values, no index. Null sorts lowest and a
comparison with it is false, except ``ne`` with a value; text is compared by code point, matched by its case folding;
a division by zero is null. Numbers meet as the database makes them meet: beside a ``double`` column as floats, in
arithmetic as exact decimals, and a bound ``double`` beside another column as the decimal of its 15 digits.

Leaves out: witnesses, locks, and how far a database carries the quotient of two decimals.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

from forecourt.kernel.predicate import (
    After,
    And,
    Arith,
    Bool,
    ChangedSince,
    Column,
    Compare,
    Const,
    Exists,
    In,
    InParam,
    IsNull,
    Match,
    Not,
    Operand,
    Or,
    Param,
    Predicate,
    Slot,
)
from forecourt.kernel.relation import (
    Aggregate,
    Computed,
    DatePart,
    Digest,
    Holds,
    Looked,
    Plain,
    Rank,
    Select,
    Source,
    TableName,
)
from forecourt.kernel.types import INTEGERS

Row = Mapping[str, object]
Tables = Mapping[TableName, Sequence[Row]]

_EXACT = Context(prec=400)
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def evaluate(
    select: Select, tables: Tables, slots: Sequence[object] = (), params: Mapping[str, object] | None = None
) -> list[tuple[object, ...]]:
    """The rows of the select, in its order; of a count, one row with one number."""
    return _Evaluation(tables, slots, params or {}).rows(select)


@dataclass(frozen=True)
class _Evaluation:
    """``sight`` holds the current row of each enclosing source; None where an outer join found none."""

    tables: Tables
    slots: Sequence[object]
    params: Mapping[str, object]
    sight: Mapping[str, Row | None] | None = None

    def rows(self, select: Select) -> list[tuple[object, ...]]:
        found = self.matching(select)
        if select.count:
            return [(len(found),)]
        if select.grouped:
            return self.groups(select, found)
        for sort in reversed(select.order):  # stable: the last key first
            found.sort(key=lambda each: _low(each.value(sort.operand)), reverse=sort.descending)
        start = 0 if select.offset is None else self.number(select.offset)
        stop = None if select.limit is None else start + self.number(select.limit)
        rows = [tuple(each.value(output.operand) for output in select.outputs) for each in found]
        return list(dict.fromkeys(rows))[start:stop] if select.distinct else rows[start:stop]

    def groups(self, select: Select, found: Sequence[_Evaluation]) -> list[tuple[object, ...]]:
        """One row for each group, in no order."""
        keys = [output.operand for output in select.outputs if not isinstance(output.operand, Aggregate)]
        members: dict[tuple[object, ...], list[_Evaluation]] = {} if keys else {(): []}
        for each in found:
            members.setdefault(tuple(each.value(key) for key in keys), []).append(each)
        result = []
        for key, rows in members.items():
            values = iter(key)
            result.append(
                tuple(
                    aggregate(item, rows) if isinstance(item := output.operand, Aggregate) else next(values)
                    for output in select.outputs
                )
            )
        return result

    def matching(self, select: Select) -> list[_Evaluation]:
        combinations = [self]
        if select.given is not None:
            alias, names = select.given.alias, select.given.columns
            lists: list[Any] = [self.params[f"{alias}.{name}"] for name in names]
            combinations = [self.seeing(alias, dict(zip(names, row, strict=True))) for row in zip(*lists, strict=True)]
        for source in select.sources:
            joined = []
            for left in combinations:
                candidates = [left.seeing(source.alias, row) for row in self.of(source)]
                fitting = [each for each in candidates if each.holds(source.on)]
                if not fitting and source.join == "left":
                    fitting = [left.seeing(source.alias, None)]
                joined.extend(fitting)
            combinations = joined
        return [each for each in combinations if each.holds(select.where)]

    def of(self, source: Source) -> Sequence[Row]:
        """The rows of a source."""
        if source.rows is None:
            return self.tables[source.table]
        names = [output.name for output in source.rows.outputs]
        rows = _Evaluation(self.tables, self.slots, self.params).rows(source.rows)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def seeing(self, alias: str, row: Row | None) -> _Evaluation:
        return replace(self, sight={**(self.sight or {}), alias: row})

    # ------------------------------------------------------------------------------------------------ operands

    def value(self, operand: Operand | Looked | Computed | Holds | Digest) -> Any:
        match operand:
            case Plain(inner, empty):
                value = self.value(inner)
                return None if value is None or self.holds(Compare("eq", inner, empty)) else value
            case DatePart(unit, inner):
                value = self.value(inner)
                return None if value is None else _part(unit, value)
            case Rank(columns, query):
                asked = str(self.value(query))
                return float(sum(_has_words(str(self.value(one) or ""), asked) for one in columns))
            case Digest(columns):
                return hash(tuple(str(self.value(column)) for column in columns))
            case Looked(select):
                found = self.matching(select)
                return found[0].value(select.outputs[0].operand) if found else None
            case Holds(where):
                return self.holds(where)
            case Column(alias, name, day):
                row = (self.sight or {})[alias]
                value = None if row is None else row[name]
                if day and isinstance(value, dt.datetime):
                    return (value if value.tzinfo is None else value.astimezone(dt.UTC)).date()
                if isinstance(value, dt.datetime) and value.tzinfo is None:
                    return value.replace(tzinfo=dt.UTC)
                return value
            case Slot(index, _):
                return self.slots[index]
            case Param(name):
                return self.params[name]
            case Const(value):
                return value
            case Arith():
                return self.arithmetic(operand)
            case _:
                raise TypeError(f"{operand!r} has not been secured.")

    def number(self, operand: Operand) -> int:
        value = self.value(operand)
        assert isinstance(value, int)
        return value

    def arithmetic(self, item: Arith) -> Decimal | None:
        left, right = _decimal(self.value(item.left)), _decimal(self.value(item.right))
        if left is None or right is None:
            return None
        match item.op:
            case "add":
                return _EXACT.add(left, right)
            case "sub":
                return _EXACT.subtract(left, right)
            case "mul":
                return _EXACT.multiply(left, right)
            case "mod":
                return _EXACT.remainder(left, right) if right else None
            case "div" if not right:
                return None
            case "div":
                quotient = _EXACT.divide(left, right)
                return quotient.to_integral_value(ROUND_DOWN) if self.whole(item) else quotient

    def whole(self, operand: Operand) -> bool:
        match operand:
            case Arith(_, left, right):
                return self.whole(left) and self.whole(right)
            case Slot(_, kind):
                return kind in INTEGERS
            case Column() | Const():
                return isinstance(self.value(operand), int)
            case _:
                return False

    def pair(self, left: Operand, right: Operand) -> tuple[Any, Any] | None:
        """The two values, made comparable; None if one is null."""
        first, second = self.value(left), self.value(right)
        if first is None or second is None:
            return None
        if isinstance(left, Arith) or isinstance(right, Arith):
            return _decimal(first), _decimal(second)
        if isinstance(first, float) is not isinstance(second, float):
            as_float = isinstance(left if isinstance(first, float) else right, Column)
            return (float(first), float(second)) if as_float else (_decimal(first), _decimal(second))
        if isinstance(first, dt.datetime) is not isinstance(second, dt.datetime):
            return _moment(first), _moment(second)
        return first, second

    # ---------------------------------------------------------------------------------------------- predicates

    def holds(self, item: Predicate) -> bool:
        match item:
            case Bool(value):
                return value
            case And(items):
                return all(self.holds(child) for child in items)
            case Or(items):
                return any(self.holds(child) for child in items)
            case Not(child):
                return not self.holds(child)
            case Compare(op, left, right):
                pair = self.pair(left, right)
                if pair is None:
                    return op == "ne" and (self.value(left) is None) != (self.value(right) is None)
                return _ORDER[op](*pair)
            case In(operand, values):
                return any(self.holds(Compare("eq", operand, value)) for value in values)
            case InParam(operand, param):
                listed: Any = self.params[param]
                return any(
                    self.holds(Compare("eq", operand, Const(value))) for value in listed or () if value is not None
                )
            case Match():
                return self.matches(item)
            case IsNull(operand):
                return self.value(operand) is None
            case Exists(select):
                return bool(self.matching(select))
            case After():
                return self.after(item)
            case ChangedSince(operand, snapshot):
                version = self.value(operand)
                return version is not None and not _visible(int(version), self.value(snapshot))
            case _:
                raise TypeError(f"{item!r} has not been secured.")

    def matches(self, item: Match) -> bool:
        text, pattern = self.value(item.left), self.value(item.right)
        if text is None or pattern is None:
            return False
        if item.op == "words":
            return _has_words(str(text), str(pattern))
        text, pattern = str(text).casefold(), str(pattern).casefold()
        match item.op:
            case "includes":
                return f",{pattern}," in f",{text},"
            case "contains":
                return pattern in text
            case "startswith":
                return bool(text.startswith(pattern))
            case "endswith":
                return bool(text.endswith(pattern))
            case "wildcard":
                parts = (re.escape(part) for part in pattern.split("*"))
                return re.fullmatch(".*".join(parts), text, re.DOTALL) is not None
            case "like":
                marks = {"%": ".*", "_": "."}
                expression = "".join(marks.get(char) or re.escape(char) for char in pattern)
                return re.fullmatch(expression, text, re.DOTALL) is not None

    def after(self, item: After) -> bool:
        for (operand, descending, _), bound in zip(item.by, item.values, strict=True):
            pair = None if bound is None else self.pair(operand, bound)
            mine, theirs = pair or (self.value(operand), None if bound is None else self.value(bound))
            here, there = _low(mine), _low(theirs)
            if here != there:
                return here < there if descending else here > there
        return False


def aggregate(item: Aggregate, rows: Sequence[_Evaluation]) -> object:
    """The value of a group."""
    if item.operand is None:
        return len(rows)
    values = [value for row in rows if (value := row.value(item.operand)) is not None]
    match item.function:
        case "count" | "countcolumn":
            return len(values)
        case "countdistinct":
            return len(set(values))
        case "min":
            return min(values, default=None)
        case "max":
            return max(values, default=None)
    if not values:
        return None
    total = sum((_decimal(value) or Decimal(0) for value in values), Decimal(0))
    return total if item.function == "sum" else _EXACT.divide(total, Decimal(len(values)))


def _part(unit: str, value: dt.date) -> int:
    """A part of a date or moment; weeks begin on Sunday, the first one is that of January 1st."""
    match unit:
        case "quarter":
            return (value.month + 2) // 3
        case "week":
            first = (dt.date(value.year, 1, 1).weekday() + 1) % 7
            return (value.timetuple().tm_yday - 1 + first) // 7 + 1
        case _:
            return int(getattr(value, unit))


def _visible(transaction: int, snapshot: str) -> bool:
    """Whether a transaction had ended when the snapshot was taken."""
    oldest, end, running = snapshot.split(":")
    if int(oldest) <= transaction < int(end):
        return str(transaction) not in running.split(",")
    return transaction < int(oldest)


def _low(value: Any) -> tuple[bool, Any]:
    """A sort key in which null is lowest."""
    return (value is not None, 0 if value is None else value)


def _decimal(value: Any) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    return Decimal(f"{value:.15g}") if isinstance(value, float) else Decimal(value)


def _moment(value: Any) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)


def _has_words(text: str, query: str) -> bool:
    """Whether a text has the words of a query ``'one':* & 'two'``; other operators are not evaluated here."""
    words = re.findall(r"\w+", text.casefold())
    for part in query.split("&"):
        wanted, _, prefix = part.strip().rpartition("'")
        plain = wanted.strip("'").casefold()
        if not any(word.startswith(plain) if prefix == ":*" else word == plain for word in words):
            return False
    return bool(query.strip())
