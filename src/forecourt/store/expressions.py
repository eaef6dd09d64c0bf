"""Predicates and operands to SQL expressions.

The algebra is two-valued, SQL's logic has three values. Negation is pushed down to the leaves; a condition without
negation admits the same rows in both logics, since SQL keeps only what is true. A negated leaf becomes its complement
(``<>``, ``>=``) where no operand may be null and ``(leaf) IS NOT TRUE`` elsewhere, so that whatever can use an index
still does.

Nothing that a row holds can make an expression fail, for a failure would tell of rows that the asker may not see:
arithmetic is done in ``numeric``, with literals too small for the thousands of digits where that ends, and a division
by zero gives null.

Every value is a bind parameter, also the author's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

from forecourt.kernel.predicate import (
    After,
    And,
    Arith,
    Bool,
    ChangedSince,
    Column,
    Compare,
    CompareOp,
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
    any_of,
)
from forecourt.kernel.relation import ROW_VERSION, Select
from forecourt.store import days
from forecourt.store.catalog import Catalog
from forecourt.store.scopes import Binds, Scope
from forecourt.store.statements import Bind
from forecourt.store.storage import (
    Expression,
    Family,
    bound,
    bound_list,
    bounded,
    cast,
    family_of_kind,
    family_of_type,
    family_of_value,
)

_COMPARE: Mapping[str, Callable[[Expression, Expression], Expression]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
}
#: The same comparison with its sides exchanged.
_TURNED: Mapping[CompareOp, CompareOp] = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}
_COMPLEMENT = {"eq": "ne", "ne": "eq", "lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}

#: First server version with ``casefold`` and the collation pg_unicode_fast.
_CASEFOLD = 180000


class _Snapshot(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "pg_snapshot"


class _Transaction(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class Expressions:
    """Renders for one statement. ``exists`` renders the correlated select of an Exists."""

    def __init__(self, catalog: Catalog, exists: Callable[[Select, Scope], sa.Exists]) -> None:
        self.catalog = catalog
        self.binds = Binds()
        self._exists = exists

    # ------------------------------------------------------------------------------------------------ operands

    def column(self, column: Column, scope: Scope) -> Expression:
        """The bare column; of ROW_VERSION, ``xmin``, and for a view, whose rows have none, a hash of the row."""
        if (given := scope.bound(column.alias)) is not None:
            return given.c[column.name]
        table, source = scope.of(column.alias).tables[column.alias]
        if column.name == ROW_VERSION and table in self.catalog.tables and self.catalog.tables[table].view:
            row: Expression = sa.literal_column('"' + column.alias.replace('"', '""') + '"')
            return sa.func.hashtextextended(cast(row, Family.TEXT), sa.literal_column("0"))
        return source.c["xmin" if column.name == ROW_VERSION else column.name]

    def family(self, operand: Operand, scope: Scope) -> Family | None:
        match operand:
            case Column(alias, _) if scope.bound(alias) is not None:
                return None
            case Column(_, _, True):
                return Family.DATE
            case Column(alias, name):
                if name == ROW_VERSION:
                    return Family.INTEGER
                own = scope.of(alias)
                if alias in own.families:
                    return own.families[alias][name]
                table, _ = own.tables[alias]
                found = self.catalog.column(table, name)
                if found is None:
                    raise KeyError(f"{table}.{name}")
                return family_of_type(found.type)
            case Slot(_, kind):
                return family_of_kind(kind)
            case Const(value):
                return family_of_value(value)
            case Arith():
                return Family.DECIMAL
            case _:
                return None

    def operand(self, operand: Operand, scope: Scope, beside: Family | None = None) -> Expression:
        """The operand for use next to ``beside``."""
        match operand:
            case Column(alias, _) if scope.bound(alias) is not None:
                return bound(self.column(operand, scope), None, None if beside is Family.OTHER else beside)
            case Column(_, _, True):
                return days.day_of(*self._moment(operand, scope))
            case Column(_, name):
                column = self.column(operand, scope)
                return cast(cast(column, Family.TEXT), Family.INTEGER) if name == ROW_VERSION else column
            case Slot() | Param() | Const():
                own = self.family(operand, scope)
                typed = own if own is not None else beside
                # A parameter that nothing types may stand in one place only.
                family = object() if beside is Family.OTHER else typed
                return bound(self.binds.parameter(operand, family), own, beside)
            case Arith():
                return self._arithmetic(operand, scope)
            case _:
                raise TypeError(f"{operand!r} has not been secured.")

    def _moment(self, operand: Column, scope: Scope) -> tuple[Expression, Family]:
        """The column behind a day, and its family."""
        family = self.family(replace(operand, day=False), scope)
        assert family is not None
        return self.column(operand, scope), family

    def carried(self, bind: Bind, beside: Family | None) -> Expression:
        """A list of values of an earlier statement."""
        return bound_list(self.binds.parameter(bind, ("list", beside)), beside)

    def _number(self, operand: Operand, scope: Scope) -> Expression:
        if isinstance(operand, Arith):
            return self._arithmetic(operand, scope)
        family = self.family(operand, scope)
        rendered = self.operand(operand, scope, Family.DECIMAL)
        if isinstance(operand, Slot) and family is not Family.INTEGER:
            return bounded(rendered)
        return rendered if family in (Family.DECIMAL, None) else cast(rendered, Family.DECIMAL)

    def _arithmetic(self, item: Arith, scope: Scope) -> Expression:
        left, right = self._number(item.left, scope), self._number(item.right, scope)
        match item.op:
            case "add":
                return left + right
            case "sub":
                return left - right
            case "mul":
                return left * right
            case "mod":
                return sa.func.mod(left, sa.func.nullif(right, sa.literal_column("0")))
            case "div":
                divisor = sa.func.nullif(right, sa.literal_column("0"))
                # Integers divide to an integer, towards zero (OData Part 2, 5.1.1.2.4).
                whole = self._whole(item.left, scope) and self._whole(item.right, scope)
                return sa.func.div(left, divisor) if whole else left.op("/", precedence=8)(divisor)

    def _whole(self, operand: Operand, scope: Scope) -> bool:
        if isinstance(operand, Arith):
            return self._whole(operand.left, scope) and self._whole(operand.right, scope)
        return self.family(operand, scope) is Family.INTEGER

    def may_be_null(self, operand: Operand, scope: Scope) -> bool:
        match operand:
            case Column(alias, name, _):
                if scope.bound(alias) is not None:
                    return True
                seen = scope.of(alias)
                found = self.catalog.column(seen.tables[alias][0], name)
                return (alias, name) in seen.nullable or (found is not None and found.nullable)
            case Arith(op, left, right):
                return op in ("div", "mod") or self.may_be_null(left, scope) or self.may_be_null(right, scope)
            case Param():
                return True
            case _:
                return False

    def _sides(self, left: Operand, right: Operand, scope: Scope) -> tuple[Expression, Expression]:
        if isinstance(left, Arith) or isinstance(right, Arith):
            return self._number(left, scope), self._number(right, scope)
        return (
            self.operand(left, scope, self.family(right, scope)),
            self.operand(right, scope, self.family(left, scope)),
        )

    # ---------------------------------------------------------------------------------------------- predicates

    def predicate(self, item: Predicate, scope: Scope, negated: bool = False) -> Expression:
        """A condition that is true of exactly the rows that the predicate (or its negation) admits."""
        match item:
            case Bool(value):
                return sa.true() if value is not negated else sa.false()
            case Not(child):
                return self.predicate(child, scope, not negated)
            case And(items):
                parts = [self.predicate(child, scope, negated) for child in items]
                return sa.or_(sa.false(), *parts) if negated else sa.and_(sa.true(), *parts)
            case Or(items):
                parts = [self.predicate(child, scope, negated) for child in items]
                return sa.and_(sa.true(), *parts) if negated else sa.or_(sa.false(), *parts)
            case Exists(select):
                found = self._exists(select, scope)
                return sa.not_(found) if negated else found
            case Compare(op, Column(_, _, True) as day, (Slot() | Const() | Param()) as other):
                return self._of_day(op, day, other, scope, negated)
            case Compare(op, (Slot() | Const() | Param()) as other, Column(_, _, True) as day):
                return self._of_day(_TURNED.get(op, op), day, other, scope, negated)
            case Compare():
                return self._compare(item, scope, negated)
            case In(Column(_, _, True) as day, values) if all(isinstance(value, Slot | Const) for value in values):
                return self.predicate(any_of(*(Compare("eq", day, value) for value in values)), scope, negated)
            case IsNull(operand):
                tested = self.operand(operand, scope)
                return tested.is_not(sa.null()) if negated else tested.is_(sa.null())
            case In(operand, values):
                return self._in(operand, values, scope, negated)
            case InParam(operand, param):
                family = self.family(operand, scope)
                listed = sa.any_(self.carried(Param(param), family))
                return _turn(self.operand(operand, scope) == listed, negated, nullable=True)
            case Match(_, left, right):
                nullable = self.may_be_null(left, scope) or self.may_be_null(right, scope)
                return _turn(self._match(item, scope), negated, nullable)
            case After(by, _):
                nullable = any(nullable for _, _, nullable in by)
                return _turn(self._after(item, scope), negated, nullable)
            case ChangedSince(operand, _):
                return _turn(self._changed(item, scope), negated, self.may_be_null(operand, scope))
            case _:
                raise TypeError(f"{item!r} has not been secured.")

    def _compare(self, item: Compare, scope: Scope, negated: bool) -> Expression:
        left, right = self._sides(item.left, item.right, scope)
        nulls = self.may_be_null(item.left, scope) + self.may_be_null(item.right, scope)
        if item.op == "ne" and nulls:
            # Of two nulls neither is unequal nor equal; with one at most, "not unequal" is plain equality.
            if not negated:
                return left.is_distinct_from(right)
            return left == right if nulls == 1 else left.is_not_distinct_from(right)
        if not negated:
            return _COMPARE[item.op](left, right)
        if not nulls:
            return _COMPARE[_COMPLEMENT[item.op]](left, right)
        return _turn(_COMPARE[item.op](left, right), negated, nullable=True)

    def _of_day(self, op: CompareOp, day: Column, other: Operand, scope: Scope, negated: bool) -> Expression:
        """A comparison of a moment's day with a value that is none of a row."""
        if op == "ne" and isinstance(other, Param):  # which may be null
            return self._compare(Compare(op, day, other), scope, negated)
        if op == "ne":
            op, negated = "eq", not negated
        nullable = self.may_be_null(day, scope) or isinstance(other, Param)
        moment, family = self._moment(day, scope)
        value = self.operand(other, scope, Family.DATE)
        return _turn(days.within(op, moment, family, value), negated, nullable)

    def _in(self, operand: Operand, values: Sequence[Operand], scope: Scope, negated: bool) -> Expression:
        if not values:
            return sa.true() if negated else sa.false()
        if isinstance(operand, Arith) or any(isinstance(value, Arith) for value in values):
            left, listed = self._number(operand, scope), [self._number(value, scope) for value in values]
        else:
            family = self.family(operand, scope)
            if family is None:
                family = next(filter(None, (self.family(value, scope) for value in values)), None)
            left = self.operand(operand, scope, family)
            listed = [self.operand(value, scope, family) for value in values]
        nullable = any(self.may_be_null(value, scope) for value in (operand, *values))
        return _turn(left.in_(listed), negated, nullable)

    def words(self, operand: Operand, scope: Scope) -> Expression:
        """The words of a text, as an index of the operator's may hold them."""
        text = self.operand(operand, scope, Family.TEXT)
        if self.family(operand, scope) not in (Family.TEXT, None):
            text = cast(text, Family.TEXT)
        return sa.func.to_tsvector(_SIMPLE, text)

    def asked(self, operand: Operand, scope: Scope) -> Expression:
        """A text search query."""
        return sa.func.to_tsquery(_SIMPLE, self.operand(operand, scope, Family.TEXT))

    def _match(self, item: Match, scope: Scope) -> Expression:
        if item.op == "words":
            return self.words(item.left, scope).op("@@", is_comparison=True)(self.asked(item.right, scope))
        text, pattern = self._folded(item.left, scope), self._folded(item.right, scope)
        comma = _quoted(",")
        match item.op:
            case "includes":
                found = sa.func.strpos(comma.concat(text).concat(comma), comma.concat(pattern).concat(comma))
                return found > sa.literal_column("0")
            case "contains":
                return sa.func.strpos(text, pattern) > sa.literal_column("0")
            case "startswith":
                return sa.func.starts_with(text, pattern)
            case "endswith":
                return sa.func.right(text, sa.func.length(pattern)) == pattern
            case "wildcard":
                for plain, escaped in (("\\", r"\\"), ("%", r"\%"), ("_", r"\_"), ("*", "%")):
                    pattern = sa.func.replace(pattern, _quoted(plain), _quoted(escaped))
                return text.like(pattern)
            case "like":
                return text.like(sa.func.replace(pattern, _quoted("\\"), _quoted(r"\\")))

    def _folded(self, operand: Operand, scope: Scope) -> Expression:
        text = self.operand(operand, scope, Family.TEXT)
        if self.family(operand, scope) not in (Family.TEXT, None):
            text = cast(text, Family.TEXT)
        if self.catalog.version < _CASEFOLD:
            return sa.func.lower(text)
        return sa.func.casefold(sa.collate(text, "pg_unicode_fast"))

    def _after(self, item: After, scope: Scope) -> Expression:
        """One row comparison where the order is plain, else the first differing key decides."""
        keys = [self._key(operand, scope) for operand, _, _ in item.by]
        values = [
            None if value is None else self.operand(value, scope, self.family(operand, scope))
            for (operand, _, _), value in zip(item.by, item.values, strict=True)
        ]
        directions = {descending for _, descending, _ in item.by}
        plain = [value for value in values if value is not None]
        if len(plain) == len(values) and len(directions) == 1 and not any(nullable for _, _, nullable in item.by):
            left = keys[0] if len(keys) == 1 else sa.tuple_(*keys)
            right = plain[0] if len(plain) == 1 else sa.tuple_(*plain)
            return left < right if directions == {True} else left > right
        cases: list[Expression] = []
        for place, (key, value, (_, descending, nullable)) in enumerate(zip(keys, values, item.by, strict=True)):
            same = [
                earlier.is_(sa.null()) if equal is None else earlier == equal
                for earlier, equal in zip(keys[:place], values[:place], strict=True)
            ]
            cases.append(sa.and_(sa.true(), *same, _beyond(key, value, descending, nullable)))
        _, descending, nullable = item.by[0]
        if len(keys) == 1 or nullable or values[0] is None:
            return sa.or_(sa.false(), *cases)
        # Implied by the cases, but a bound that an index on the first key can start from.
        start = _COMPARE["le" if descending else "ge"](keys[0], values[0])
        return sa.and_(start, sa.or_(sa.false(), *cases))

    def _changed(self, item: ChangedSince, scope: Scope) -> Expression:
        """No index serves this; ``xmin`` of the snapshot is a bound that an index on the version can start from."""
        version = self.operand(item.operand, scope)
        snapshot = sa.cast(self.operand(item.snapshot, scope, Family.TEXT), _Snapshot())
        oldest = cast(cast(sa.func.pg_snapshot_xmin(snapshot), Family.TEXT), Family.INTEGER)
        seen = sa.func.pg_visible_in_snapshot(sa.cast(cast(version, Family.TEXT), _Transaction()), snapshot)
        return sa.and_(version >= oldest, sa.not_(seen))

    def _key(self, operand: Operand, scope: Scope) -> Expression:
        return self._number(operand, scope) if isinstance(operand, Arith) else self.operand(operand, scope)


def _beyond(key: Expression, value: Expression | None, descending: bool, nullable: bool) -> Expression:
    """The key sorts strictly after the value; null sorts lowest."""
    if value is None:
        return sa.false() if descending else key.is_not(sa.null())
    if not descending:
        return key > value
    return sa.or_(key < value, key.is_(sa.null())) if nullable else key < value


def _turn(condition: Expression, negated: bool, nullable: bool) -> Expression:
    if not negated:
        return condition
    return condition.is_not(sa.true()) if nullable else sa.not_(condition)


def _quoted(text: str) -> Expression:
    """A fixed text of our own, as a literal."""
    return sa.literal_column(f"'{text}'")


#: The configuration of text search: words as they are written, in small letters, none left out.
_SIMPLE: Expression = sa.literal_column("'simple'::regconfig")
