"""Looking at rows for explain: truths and values of one row in one statement, through the gate of its tables.

The rows of an entity are looked at without any rule: policies on outer joins are left out, so that what a rule would
hide can be named.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import TRUE, Column, Compare, Const, Predicate, all_of
from forecourt.kernel.relation import Given, Holds, Output, Select, Source
from forecourt.odata.fetchxml.clock import moment_named
from forecourt.security.constructs import is_moment
from forecourt.security.explain.facts import columns_in
from forecourt.security.explain.subject import Subject


@dataclass(frozen=True)
class Sight:
    """Rows that are looked at: sources, and what must hold of them. ``values``: of the parameters."""

    subject: Subject
    sources: tuple[Source, ...]
    where: Predicate
    values: Values

    def narrowed(self, sources: Sequence[Source], where: Predicate) -> Sight:
        """Further sources, joined by a condition."""
        joined = tuple(replace(source, join="inner", on=TRUE) for source in sources)
        links = all_of(where, *(source.on for source in sources))
        return replace(self, sources=(*self.sources, *joined), where=all_of(self.where, links))

    def valued(self, values: Mapping[str, object]) -> Sight:
        return replace(self, values=Values({**self.values, **values}))

    @property
    def tables(self) -> Mapping[str, str]:
        """The tables' names by alias."""
        return {source.alias: source.table.name for source in self.sources}

    async def truths(self, conditions: Sequence[Predicate]) -> list[bool] | None:
        """Whether each holds of the (first) row; None where there is no row."""
        outputs = tuple(Output(f"t{n}", Holds(item), None) for n, item in enumerate(conditions))
        found = await self.rows(outputs, conditions, 1)
        return [bool(value) for value in found[0]] if found else None

    async def some(self, condition: Predicate) -> bool:
        """Whether some row meets a condition."""
        return (await replace(self, where=all_of(self.where, condition)).truths([TRUE])) is not None

    async def columns(self, columns: Sequence[Column], limit: int = 1) -> list[tuple[object, ...]]:
        """The values of columns, of up to ``limit`` rows."""
        if not columns:
            return [()] if await self.some(TRUE) else []
        outputs = tuple(Output(f"c{n}", column, None) for n, column in enumerate(columns))
        return await self.rows(outputs, [], limit)

    async def rows(
        self, outputs: tuple[Output, ...], named: Sequence[Predicate], limit: int, given: Given | None = None
    ) -> list[tuple[object, ...]]:
        select = Select(
            self.sources,
            self.where,
            outputs,
            limit=Const(limit) if limit else None,
            nullable=self.nullable(all_of(self.where, *named)),
            given=given,
        )
        result = await self.subject.gate.look(self.subject.row, select, self.values)
        return [tuple(row[output.name] for output in outputs) for row in result.rows]

    async def count(self, condition: Predicate) -> int:
        where = all_of(self.where, condition)
        select = Select(self.sources, where, count=True, nullable=self.nullable(where))
        return (await self.subject.gate.look(self.subject.row, select, self.values)).total or 0

    @staticmethod
    def nullable(where: Predicate) -> frozenset[tuple[str, str]]:
        """Exactness before speed: every column may be null."""
        return frozenset((column.alias, column.name) for column in columns_in(where))


def sight(subject: Subject, values: Mapping[str, object]) -> Sight:
    """The subject's row, or all its rows."""
    return Sight(subject, bare_sources(subject.row), subject.key, Values(values))


def bare_sources(entity: Entity) -> tuple[Source, ...]:
    """The entity's tables, joined as it says."""
    return tuple(
        Source(
            source.alias,
            source.table,
            source.join,
            all_of(
                *(Compare("eq", Column(above, theirs), Column(source.alias, own)) for (above, theirs), own in source.on)
            ),
        )
        for source in entity.sources
    )


class Values(dict[str, object]):
    """Values of parameters; what nobody has is null, or no value at all of a list. Also the moment."""

    def __missing__(self, name: str) -> object:
        return moment_named(name, dt.datetime.now(dt.UTC)) if is_moment(name) else None
