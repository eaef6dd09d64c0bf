"""Differences of predicates as queries that a database can answer for many people at once.

``wide and not narrow`` is simplified before anything runs: what both sides demand is demanded once, so that a virtual
table, which is its data entity under more conditions, needs no query to be within it. What is left becomes a union of
conjunctive queries: a disjunction at the top gives branches, and a nested ``exists`` gives joins, for a database joins
tables in whatever order is best but evaluates a nested ``exists`` that looks outward row by row.

Whether people and rows are joined by equations at all decides how they are counted (:func:`joined`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product

from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    And,
    Column,
    Compare,
    Exists,
    InParam,
    Not,
    Operand,
    Or,
    Param,
    Predicate,
    all_of,
    any_of,
    map_operands,
    negate,
    operands,
)
from forecourt.kernel.relation import Select, Source, aliases_of

#: Branches of one query at most; a wider disjunction stays a condition.
BRANCHES = 32


def conjuncts(item: Predicate) -> tuple[Predicate, ...]:
    """The conditions that all have to hold."""
    if item == TRUE:
        return ()
    return item.items if isinstance(item, And) else (item,)


def rebuilt(
    item: Predicate, exists: Callable[[Exists], Predicate], leaf: Callable[[Predicate], Predicate]
) -> Predicate:
    """The same predicate with every ``exists`` and every leaf passed through a function."""
    match item:
        case And(items):
            return all_of(*(rebuilt(child, exists, leaf) for child in items))
        case Or(items):
            return any_of(*(rebuilt(child, exists, leaf) for child in items))
        case Not(child):
            return negate(rebuilt(child, exists, leaf))
        case Exists():
            return exists(item)
        case _:
            return leaf(item)


def renamed(item: Predicate, names: Mapping[str, str]) -> Predicate:
    """The predicate with the aliases of its columns changed, within every ``exists`` too."""

    def operand(value: Operand) -> Operand:
        return replace(value, alias=names.get(value.alias, value.alias)) if isinstance(value, Column) else value

    def exists(inner: Exists) -> Predicate:
        return Exists(renamed_select(inner.select, names))

    return rebuilt(item, exists, lambda leaf: map_operands(leaf, operand))


def renamed_select(select: Select, names: Mapping[str, str]) -> Select:
    return replace(
        select,
        sources=tuple(
            Source(names.get(s.alias, s.alias), s.table, s.join, renamed(s.on, names)) for s in select.sources
        ),
        where=renamed(select.where, names),
        nullable=frozenset((names.get(alias, alias), name) for alias, name in select.nullable),
    )


def canonical(item: Predicate) -> Predicate:
    """Each condition with the aliases of its own tables numbered from one: equal conditions become the same."""
    return all_of(*(_numbered(part) for part in conjuncts(item)))


def _numbered(item: Predicate) -> Predicate:
    names = {source.alias: f"e{place}" for place, source in enumerate(_inner(item), 1)}
    return renamed(item, names)


def _inner(item: Predicate) -> Iterator[Source]:
    """The sources of every ``exists``, in order, an alias once."""
    seen: dict[str, Source] = {}

    def exists(found: Exists) -> Predicate:
        for source in found.select.sources:
            seen.setdefault(source.alias, source)
            rebuilt(source.on, exists, lambda leaf: leaf)
        rebuilt(found.select.where, exists, lambda leaf: leaf)
        return found

    rebuilt(item, exists, lambda leaf: leaf)
    return iter(seen.values())


def remainder(wide: Predicate, narrow: Predicate) -> tuple[Predicate, Predicate]:
    """``wide`` and what ``narrow`` demands beside it: ``wide and not rest`` is the difference. A ``rest`` of TRUE means
    that there is none, whatever the rows."""
    here = canonical(wide)
    held = set(conjuncts(here))
    rest = tuple(part for part in conjuncts(canonical(narrow)) if part not in held)
    return here, all_of(*(_without(part, held) for part in rest))


def _without(part: Predicate, held: set[Predicate]) -> Predicate:
    """A disjunction one of whose members is demanded anyway holds."""
    if isinstance(part, Or) and any(set(conjuncts(child)) <= held for child in part.items):
        return TRUE
    return part


def mentions(item: Predicate) -> set[str]:
    """The aliases that a predicate speaks of from outside its own tables, and ``""`` where it speaks of the person."""
    inner = {source.alias for source in _inner(item)}
    found = aliases_of(item) - inner
    return found | ({""} if next(params(item), None) is not None else set())


def params(item: Predicate) -> Iterator[str]:
    """Names of the person's values that a predicate compares with, within every ``exists`` too."""
    found: list[str] = []

    def leaf(part: Predicate) -> Predicate:
        if isinstance(part, InParam):
            found.append(part.param)
        found.extend(operand.name for operand in operands(part) if isinstance(operand, Param))
        return part

    def exists(inner: Exists) -> Predicate:
        for source in inner.select.sources:
            rebuilt(source.on, exists, leaf)
        rebuilt(inner.select.where, exists, leaf)
        return inner

    rebuilt(item, exists, leaf)
    return iter(found)


def alternatives(wide: Predicate, rest: Predicate) -> list[Predicate]:
    """``wide and not rest`` as conditions of which one holds, none of them a disjunction as far as that pays.

    Of several demands of ``rest``, each that looks into other tables is a branch of its own: a missing row is then
    found by a join of sets. Those that compare only are one branch together.
    """
    choices: list[tuple[Predicate, ...]] = [part.items if isinstance(part, Or) else (part,) for part in conjuncts(wide)]
    demands = conjuncts(rest)
    deep = [part for part in demands if next(_inner(part), None) is not None]
    plain = [part for part in demands if part not in deep]
    missing = [negate(part) for part in deep]
    if plain:
        missing.append(any_of(*(negate(part) for part in plain)))
    if demands:
        choices.append(tuple(missing))
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > BRANCHES:
        return [all_of(wide, negate(rest))]
    return [found for chosen in product(*choices) if (found := all_of(*chosen)) != FALSE]


class Flat:
    """Makes joins of nested ``exists``. Aliases are counted, so that no two tables of a query share one."""

    def __init__(self) -> None:
        self._count = 0

    def select(self, select: Select) -> Select:
        """The same rows, some of them perhaps more than once: every ``exists`` that has to hold is joined."""
        sources, conditions, nullable = list(select.sources), [], set(select.nullable)
        pending = list(conjuncts(select.where))
        while pending:
            part = pending.pop(0)
            if isinstance(part, Exists):
                inner = self._fresh(part.select)
                sources += [replace(s, join="inner") if s.join == "root" else s for s in inner.sources]
                nullable |= inner.nullable
                pending = [*conjuncts(inner.where), *pending]
            else:
                conditions.append(self._nested(part))
        return replace(select, sources=tuple(sources), where=all_of(*conditions), nullable=frozenset(nullable))

    def nested(self, select: Select) -> Select:
        """The select as it is, with joins within each ``exists``."""
        return replace(select, where=self._nested(select.where))

    def _nested(self, item: Predicate) -> Predicate:
        return rebuilt(item, lambda inner: Exists(self.select(self._fresh(inner.select))), lambda leaf: leaf)

    def _fresh(self, select: Select) -> Select:
        names = {}
        for source in select.sources:
            self._count += 1
            names[source.alias] = f"f{self._count}"
        return renamed_select(select, names)


def _end(value: Operand, person: str) -> str:
    """The table that a side of an equation belongs to: a value of the person to the person's."""
    if isinstance(value, Param):
        return person
    return value.alias if isinstance(value, Column) else ""


def joined(select: Select, person: str, row: str) -> bool:
    """Whether equations lead from the person's table to the row's, so that pairs of them are found by joining."""
    above: dict[str, str] = {}

    def root(alias: str) -> str:
        while above.get(alias, alias) != alias:
            alias = above[alias]
        return alias

    for part in (*conjuncts(select.where), *(p for s in select.sources for p in conjuncts(s.on))):
        if isinstance(part, Compare) and part.op == "eq":
            ends = [end for value in (part.left, part.right) if (end := _end(value, person))]
            if len(ends) == 2:
                above[root(ends[0])] = root(ends[1])
    return root(person) == root(row)
