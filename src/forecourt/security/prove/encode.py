"""Predicates as formulas of the solver, over a finite universe of rows.

The formula is a consequence of "the wide predicate holds, the narrow one does not": if it has no model, no database has
such a row. A related row that is said to exist becomes a row of the universe (a Skolem constant), which is there under
a guard. That none exists is instantiated over every row of the universe. A row that exists for each of others makes new
rows up to ``DEEPEST``; beyond, the condition is dropped. Instantiating and dropping both give consequences only, so
that a proof holds; what a model lacks is found out when its rows are written.

What the catalog says of all rows joins in as *facts*, each under its name, so that a proof can say which it used:
primary and unique keys, NOT NULL, foreign keys that have been validated. A comparison that is not interpreted (see
``terms``) is a truth value of its own for the same operands: it cancels against itself and against nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import z3

from forecourt.kernel.predicate import (
    And,
    Arith,
    Bool,
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
)
from forecourt.kernel.relation import ROW_VERSION, Select, TableName
from forecourt.security.prove.facts import Fact, Row, keys
from forecourt.security.prove.joins import Unfit, inner
from forecourt.security.prove.terms import WIDTHS, Texts, Value, comparable, constant, day_of, likely, line, variable
from forecourt.store.catalog import Catalog, ForeignKey
from forecourt.store.storage import Family, family_of_type, family_of_value

#: How far rows that exist because others do are followed.
DEEPEST = 4
#: Rows of a universe, and instances of conditions over it: past these, conditions are dropped.
MOST_ROWS, MOST_INSTANCES = 60, 6000

YES, NO = z3.BoolVal(True), z3.BoolVal(False)


Sight = Mapping[str, Row]


@dataclass
class _Universal:
    """Under ``mark``, no rows satisfy the select. ``done``: combinations that it has been said of."""

    mark: z3.BoolRef
    select: Select
    sight: Sight
    depth: int
    done: set[tuple[int, ...]] = field(default_factory=set)


class Universe:
    """The rows, values and conditions of one question."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.rows: dict[TableName, list[Row]] = {}
        self.params: dict[str, dict[Family, Value]] = {}
        self.lists: dict[tuple[str, Family], z3.FuncDeclRef] = {}
        self.texts = Texts()
        self.facts: list[Fact] = []
        self.conditions: list[z3.BoolRef] = []
        self.opaque: dict[tuple[object, ...], z3.BoolRef] = {}
        self.reasons: set[str] = set()
        self._columns: dict[tuple[int, str], Value] = {}
        self._universals: list[_Universal] = []
        self._placed: dict[object, z3.BoolRef] = {}
        self.nulls: dict[str, z3.BoolRef] = {}
        self._instances = 0

    # -- what is said ---------------------------------------------------------------------------------------------

    def say(self, item: Predicate) -> z3.BoolRef:
        """A closed predicate as a formula. Raises Unfit. What it says of all rows follows from :meth:`saturate`."""
        return self._formula(item, {}, True, 0)

    def saturate(self) -> None:
        """Says every universal condition of every row, and adds what the catalog knows of the rows."""
        while self._instantiate() or self._follow():
            pass
        for table, rows in self.rows.items():
            named = {name for row in rows for name in self.used(row)}
            self.facts += keys(self.catalog.tables.get(table), rows, named, self.value)

    def value(self, row: Row, name: str) -> Value:
        """A column of a row."""
        found = self._columns.get((row.number, name))
        if found is None:
            found = self._columns[row.number, name] = self._column(row, name)
        return found

    def used(self, row: Row) -> dict[str, Value]:
        """The columns of a row that some condition names."""
        return {name: value for (number, name), value in self._columns.items() if number == row.number}

    # -- rows ------------------------------------------------------------------------------------------------------

    def _row(self, table: TableName, depth: int) -> Row:
        number = sum(map(len, self.rows.values()))
        row = Row(number, table, z3.Bool(f"there {number}"), depth)
        self.rows.setdefault(table, []).append(row)
        return row

    def _column(self, row: Row, name: str) -> Value:
        key = ("column", row.number, name)
        label = f"{row.table}.{name}"
        if name == ROW_VERSION:
            raise Unfit("a condition rests on the version of a row")
        found = self.catalog.column(row.table, name)
        if found is None:
            raise Unfit(f"{label} is not a column of the database")
        null, family = z3.Bool(f"{row.number} {label} null"), family_of_type(found.type)
        if found.folds:
            family = Family.OTHER
        term = variable(f"{row.number} {label}", family)
        if not found.nullable and self.catalog.tables[row.table].kept:
            self.facts.append(Fact(f"{label} is never null", z3.Implies(row.there, z3.Not(null))))
        if term is not None and found.type in WIDTHS:
            low, high = WIDTHS[found.type]
            self.conditions += [term >= low, term <= high]
        if term is not None and family is Family.BOOLEAN:
            self.conditions += [term >= 0, term <= 1]
        return Value(null, term, family, key)

    # -- operands --------------------------------------------------------------------------------------------------

    def _family(self, operand: Operand, sight: Sight) -> Family | None:
        match operand:
            case Column(alias, name, day):
                return Family.DATE if day else self.value(self._seen(alias, sight), name).family
            case Const(value) if value is not None:
                return family_of_value(value)
            case Arith():
                return Family.OTHER
            case _:
                return None

    def _seen(self, alias: str, sight: Sight) -> Row:
        if alias not in sight:
            raise Unfit(f"a condition names '{alias}', which is not among its tables")
        return sight[alias]

    def _operand(self, operand: Operand, sight: Sight, beside: Family | None = None) -> Value:
        match operand:
            case Column(alias, name, day):
                found = self.value(self._seen(alias, sight), name)
                return day_of(found) if day else found
            case Const(value):
                if value is None:
                    return Value(YES, None, None, ("null",))
                term, family = constant(value, beside, self.texts) or (None, None)
                return Value(NO, term, family, ("constant", type(value).__name__, str(value), beside))
            case Param(name):
                return self._param(name, Family.TEXT if beside is None else beside)
            case Arith(op, left, right):
                parts = self._operand(left, sight, Family.DECIMAL), self._operand(right, sight, Family.DECIMAL)
                own = (op, parts[0].key, parts[1].key)
                return Value(self._truth(("null", *own)), None, None, own)
            case _:
                raise Unfit("a condition holds a value of a request")

    def _param(self, name: str, family: Family) -> Value:
        null = self._null(Param(name), {})
        found = self.params.setdefault(name, {})
        if family not in found:
            term = variable(f"{name} as {family.name}", family)
            if term is not None and family is Family.BOOLEAN:
                self.conditions += [term >= 0, term <= 1]
            found[family] = Value(null, term, family, ("param", name, family))
        return found[family]

    def _null(self, operand: Operand, sight: Sight) -> z3.BoolRef:
        if isinstance(operand, Param):
            return self.nulls.setdefault(operand.name, z3.Bool(f"{operand.name} null"))
        return self._operand(operand, sight).null

    def _truth(self, key: tuple[object, ...]) -> z3.BoolRef:
        return self.opaque.setdefault(key, z3.Bool(f"opaque {len(self.opaque)}"))

    # -- predicates ------------------------------------------------------------------------------------------------

    def _formula(self, item: Predicate, sight: Sight, positive: bool, depth: int) -> z3.BoolRef:
        match item:
            case Bool(value):
                return z3.BoolVal(value is positive)
            case Not(child):
                return self._formula(child, sight, not positive, depth)
            case And(items) | Or(items):
                parts = [self._formula(child, sight, positive, depth) for child in items]
                return z3.And(parts) if isinstance(item, And) is positive else z3.Or(parts)
            case Exists(select):
                plain = inner(select)
                if plain != Exists(select) and not isinstance(plain, Exists):
                    return self._formula(plain, sight, positive, depth)
                assert isinstance(plain, Exists)
                place = self._some if positive else self._none
                return place(plain.select, sight, depth)
            case _:
                leaf = self._leaf(item, sight)
                return leaf if positive else z3.Not(leaf)

    def _some(self, select: Select, sight: Sight, depth: int) -> z3.BoolRef:
        """There is a row of each table: new rows of the universe."""
        key = ("some", select, _visible(sight))
        if key in self._placed:
            return self._placed[key]
        if depth >= DEEPEST or sum(map(len, self.rows.values())) >= MOST_ROWS:
            self.reasons.add("rows exist for others further than is followed")
            return YES
        seen, parts = dict(sight), []
        for source in select.sources:
            row = seen[source.alias] = self._row(source.table, depth + 1)
            parts.append(row.there)
        for source in select.sources:
            parts.append(self._formula(source.on, seen, True, depth + 1))
        parts.append(self._formula(select.where, seen, True, depth + 1))
        self._placed[key] = z3.And(parts)
        return self._placed[key]

    def _none(self, select: Select, sight: Sight, depth: int) -> z3.BoolRef:
        """There are no such rows: a mark, under which each combination of rows fails."""
        key = ("none", select, _visible(sight))
        if key not in self._placed:
            mark = self._placed[key] = z3.Bool(f"none {len(self._universals)}")
            self._universals.append(_Universal(mark, select, dict(sight), depth))
        return self._placed[key]

    def _instantiate(self) -> bool:
        changed = False
        for item in list(self._universals):
            known = [self.rows.get(source.table, []) for source in item.select.sources]
            for rows in itertools.product(*map(list, known)):
                numbers = tuple(row.number for row in rows)
                if numbers in item.done:
                    continue
                if self._instances >= MOST_INSTANCES:
                    self.reasons.add("the condition is over more rows than are tried")
                    return False
                item.done.add(numbers)
                self._instances += 1
                changed = True
                self.conditions.append(self._instance(item, rows))
        return changed

    def _instance(self, item: _Universal, rows: tuple[Row, ...]) -> z3.BoolRef:
        seen = {**item.sight, **{source.alias: row for source, row in zip(item.select.sources, rows, strict=True)}}
        depth = max(item.depth, *(row.depth for row in rows))
        parts = [self._formula(source.on, seen, False, depth) for source in item.select.sources]
        parts.append(self._formula(item.select.where, seen, False, depth))
        return z3.Implies(z3.And(item.mark, *(row.there for row in rows)), z3.Or(parts))

    # -- leaves ----------------------------------------------------------------------------------------------------

    def _leaf(self, item: Predicate, sight: Sight) -> z3.BoolRef:
        match item:
            case Compare(op, left, right):
                return self._compare(op, left, right, sight)
            case In(operand, values):
                family = self._family(operand, sight)
                if family is None:
                    family = next(filter(None, (self._family(value, sight) for value in values)), None)
                found = [self._compare("eq", operand, value, sight, family) for value in values]
                return z3.Or(found) if found else NO
            case InParam(operand, param):
                return self._listed(self._operand(operand, sight), param)
            case IsNull(operand):
                return self._null(operand, sight)
            case Match(op, left, right):
                text, pattern = (self._operand(each, sight, Family.TEXT) for each in (left, right))
                self.reasons.add(f"'{op}' of texts is not interpreted")
                return z3.And(z3.Not(text.null), z3.Not(pattern.null), self._truth((op, text.key, pattern.key)))
            case _:
                raise Unfit(f"{type(item).__name__} is not interpreted")

    def _compare(
        self, op: str, first: Operand, second: Operand, sight: Sight, family: Family | None = None
    ) -> z3.BoolRef:
        for one, other in ((first, second), (second, first)):
            if isinstance(one, Const) and one.value is None:
                null = self._null(other, sight)
                return z3.Not(null) if op == "ne" else NO
        left = self._operand(first, sight, family or self._family(second, sight))
        right = self._operand(second, sight, family or self._family(first, sight))
        both = z3.And(z3.Not(left.null), z3.Not(right.null))
        terms = comparable(left, right)
        if op in ("eq", "ne"):
            same = terms[0] == terms[1] if terms is not None else self._same(left, right)
            if op == "eq":
                return z3.And(both, same)
            return z3.Or(z3.Xor(left.null, right.null), z3.And(both, z3.Not(same)))
        if terms is None or line(left.family) in (Family.TEXT, Family.PADDED):
            self.reasons.add(f"'{op}' of these values is not interpreted")
            return z3.And(both, self._truth((op, left.key, right.key)))
        a, b = terms
        return z3.And(both, {"lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[op])

    def _same(self, left: Value, right: Value) -> z3.BoolRef:
        """Equality that is not interpreted: symmetric, and nothing else."""
        self.reasons.add("equality of values of these types is not interpreted")
        first, second = sorted((left.key, right.key), key=repr)
        return self._truth(("eq", first, second))

    def _listed(self, value: Value, param: str) -> z3.BoolRef:
        if value.term is None or value.family is None:
            self.reasons.add("membership in a list of these values is not interpreted")
            return z3.And(z3.Not(value.null), self._truth(("in", value.key, param)))
        key = (param, value.family)
        if key not in self.lists:
            self.lists[key] = z3.Function(f"{param} of {value.family.name}", value.term.sort(), z3.BoolSort())
        return z3.And(z3.Not(value.null), self.lists[key](value.term))

    # -- facts -----------------------------------------------------------------------------------------------------

    def _follow(self) -> bool:
        """Rows that foreign keys promise, where a condition looks for one."""
        wanted = {source.table for item in self._universals for source in item.select.sources}
        changed = False
        for table, rows in list(self.rows.items()):
            found = self.catalog.tables.get(table)
            for key in found.foreign if found is not None and found.kept else ():
                if key.valid and key.target in wanted:
                    for row in list(rows):
                        changed = self._referred(row, key) or changed
        return changed

    def _referred(self, row: Row, key: ForeignKey) -> bool:
        """The row that a row refers to, as a fact. False where it has been said, or is too far to follow."""
        mark = ("foreign", row.number, key)
        if mark in self._placed or row.depth >= DEEPEST or sum(map(len, self.rows.values())) >= MOST_ROWS:
            return False
        self._placed[mark] = YES
        own = [self.value(row, name) for name in key.columns]
        other = self._row(key.target, row.depth + 1)
        theirs = [self.value(other, name) for name in key.target_columns]
        pairs = [comparable(a, b) for a, b in zip(own, theirs, strict=True)]
        held = z3.And(row.there, *(z3.Not(each.null) for each in own))
        tied = [a == b for a, b in filter(None, pairs)] + [z3.Not(each.null) for each in theirs]
        name = f"{row.table} ({', '.join(key.columns)}) refers to {key.target} ({', '.join(key.target_columns)})"
        self.facts.append(Fact(name, z3.Implies(held, z3.And(other.there, *tied))))
        return True

    def wishes(self) -> list[z3.BoolRef]:
        """What the values of a witness should be like."""
        values = [*self._columns.values(), *(value for each in self.params.values() for value in each.values())]
        return [wish for value in values if value.term is not None for wish in likely(value.term, value.family)]


def _visible(sight: Sight) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((alias, row.number) for alias, row in sight.items()))
