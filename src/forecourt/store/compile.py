"""Secured plans to statements: once per plan shape, the caller's cache keeps the result.

SQLAlchemy Core writes the text; it never sees a connection. A read is one statement, whatever layers its predicates
come from, and one more for each level of an expand. Nothing of a request is in the text: values are bind parameters,
names come from the solution and are always quoted.

Null sorts lowest; ``NULLS FIRST`` and ``NULLS LAST`` are written for nullable keys only, since an index in plain order
cannot serve them (reference: performance, 2).

A witness becomes a condition that names no row of the query. PostgreSQL evaluates such a condition once and before
anything is read, so that it neither costs per row nor keeps an index from giving the order. A read by key, whose plan
PostgreSQL keeps, carries its witnesses itself. A list is planned for the values of each run, and planning the witnesses
with it would cost more than the page: they are a statement of their own there, the guard, which runs beside the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql import quoted_name

from forecourt.kernel.plan import SecuredExpand, SecuredPlan, Witness
from forecourt.kernel.predicate import TRUE, Column, Operand, Param, Predicate
from forecourt.kernel.relation import (
    ROW_VERSION,
    Aggregate,
    DatePart,
    Digest,
    Given,
    Holds,
    Looked,
    Output,
    Plain,
    Rank,
    Select,
    TableName,
)
from forecourt.store.catalog import Catalog
from forecourt.store.computations import Computations
from forecourt.store.expressions import Expressions
from forecourt.store.scopes import Scope
from forecourt.store.statements import COUNT, Carried, ChildStatement, Lane, ReadStatement
from forecourt.store.storage import Expression, Family, cast, shown
from forecourt.store.witness import fingerprint_of

_DIALECT = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

Query = sa.Select[Any]


#: Planes of the logical model; a database holds one of them or both.
PLANES = frozenset({"operations", "dataverse"})


def compile_read(plan: SecuredPlan, catalog: Catalog, planes: frozenset[str] = PLANES) -> ReadStatement:
    """The statement of a read, with the statements of its expands and of its total.

    ``planes``: those that the database holds; witnesses of others are left to :func:`compile_guard` of theirs.
    """
    statement = Statement(catalog)
    witnesses = tuple(witness for witness in plan.witnesses if witness.plane in planes)
    query, _ = statement.query(plan.select, witnesses if plan.single else ())
    outputs = [output.name for output in plan.select.outputs]
    if plan.count is not None:
        total, _ = statement.query(replace(plan.count, count=True))
        query = query.add_columns(total.scalar_subquery().label(quoted_name(COUNT, True)))
    read = statement.finish(query, [COUNT] if plan.select.count else outputs, "key" if plan.single else "list")
    children = tuple(_child(expand, outputs, catalog) for expand in plan.expands)
    return replace(
        read,
        totals=plan.select.count,
        counted=plan.count is not None,
        outputs=read.outputs if plan.count is None else (*read.outputs, COUNT),
        count=None if plan.count is None else compile_select(replace(plan.count, count=True), catalog),
        children=children,
        guard=compile_guard(witnesses, catalog) if witnesses and (children or not plan.single) else None,
    )


def compile_select(select: Select, catalog: Catalog, lane: Lane = "list") -> ReadStatement:
    """The statement of one select, for work that has no plan around it."""
    statement = Statement(catalog)
    query, _ = statement.query(select)
    outputs = [COUNT] if select.count else [output.name for output in select.outputs]
    return replace(statement.finish(query, outputs, lane), totals=select.count)


def compile_witness(select: Select, catalog: Catalog) -> ReadStatement:
    """The rows of a witness, every output as text: from them :func:`~forecourt.store.witness.fingerprint` is made."""
    statement = Statement(catalog)
    return statement.finish(statement.as_text(select), [output.name for output in select.outputs], "key")


def _child(expand: SecuredExpand, parent: Sequence[str], catalog: Catalog) -> ChildStatement:
    statement = Statement(catalog)
    names = [output.name for output in expand.select.outputs]
    keys = [f"@key{place}" for place in range(len(expand.keys))]
    added = tuple(
        Output(key, operand, None) for key, operand in zip(keys, expand.keys, strict=True) if key not in names
    )
    select = replace(expand.select, outputs=(*expand.select.outputs, *added))
    names = [output.name for output in select.outputs]
    query = statement.children(select, expand.keys, expand.limit)
    read = statement.finish(query, names, "list")
    nested = tuple(_child(item, names, catalog) for item in expand.expands)
    return ChildStatement(
        expand.name,
        expand.many,
        expand.entity,
        replace(read, children=nested),
        parent=tuple(parent.index(name) for name in expand.parent),
        keys=tuple(names.index(key) for key in keys),
    )


def compile_guard(witnesses: Sequence[Witness], catalog: Catalog) -> ReadStatement:
    """A statement that gives one row as long as the witnesses hold."""
    statement = Statement(catalog)
    query: Query = sa.select(sa.literal_column("1")).where(*statement.gates(witnesses))
    return statement.finish(query, ["@guard"], "key")


class Statement:
    """The making of one statement: its tables, its bind parameters."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.expressions = Expressions(catalog, self._exists)

    def finish(self, statement: Any, outputs: Sequence[str], lane: Lane) -> ReadStatement:
        compiled: Any = statement.compile(dialect=_DIALECT)
        binds = self.expressions.binds.ordered(compiled.positiontup or ())
        return ReadStatement(str(compiled), binds, tuple(outputs), lane)

    def condition(self, predicate: Predicate, scope: Scope) -> ReadStatement:
        """A predicate alone, to stand in a statement that is made elsewhere."""
        return self.finish(self.expressions.predicate(predicate, scope), (), "list")

    # ------------------------------------------------------------------------------------------------- selects

    def query(self, select: Select, witnesses: Sequence[Witness] = ()) -> tuple[Query, Scope]:
        scope, source = self.sources(select, None)
        gates = self.gates(witnesses)
        if select.count:
            query: Query = sa.select(sa.func.count().label("count"))
        else:
            query = sa.select(*self._columns(select.outputs, scope)).where(*gates)
        query = query.select_from(source)
        if select.where != TRUE:
            query = query.where(self.expressions.predicate(select.where, scope))
        if select.count:
            return query, scope
        return self._paged(query.order_by(*self._order(select, scope)), select.limit, select.offset, scope), scope

    def rows(self, select: Select) -> tuple[Query, Mapping[str, Family | None]]:
        """A select that is the source of another: its outputs as they are stored, with their families."""
        scope, source = self.sources(select, None)
        computed = Computations(self.expressions)
        columns: list[Expression] = []
        keys: list[Expression] = []
        families: dict[str, Family | None] = {}
        for place, output in enumerate(select.outputs, 1):
            assert not isinstance(output.operand, Looked | Holds | Digest)
            column, families[output.name] = computed.column(output.operand, scope)
            columns.append(column.label(quoted_name(output.name, True)))
            if not isinstance(output.operand, Aggregate):
                keys.append(sa.literal_column(str(place)))
        query: Query = sa.select(*columns).select_from(source)
        if select.where != TRUE:
            query = query.where(self.expressions.predicate(select.where, scope))
        if select.grouped:
            query = query.group_by(*keys)
        return (query.distinct() if select.distinct else query), families

    def as_text(self, select: Select) -> Query:
        """The outputs of a select as text, in no order."""
        scope, source = self.sources(select, None)
        columns = [
            cast(column, Family.TEXT).label(f"w{place}")
            for place, column in enumerate(self.output(output, scope) for output in select.outputs)
        ]
        return sa.select(*columns).select_from(source).where(self.expressions.predicate(select.where, scope))

    def gates(self, witnesses: Sequence[Witness]) -> list[Expression]:
        """Conditions, each evaluated once, that the witnesses still hold."""
        return [
            fingerprint_of(self.as_text(witness.select))
            == self.expressions.operand(Param(witness.param), Scope({}, frozenset()), Family.TEXT)
            for witness in witnesses
        ]

    def children(self, select: Select, keys: Sequence[Operand], limit: Operand | None) -> Query:
        """Rows of all parents at once; with ``limit``, so many for each parent."""
        scope, source = self.sources(select, None)
        rendered = [self.expressions.operand(key, scope) for key in keys]
        listed = [
            self.expressions.carried(Carried(place), self.expressions.family(key, scope))
            for place, key in enumerate(keys)
        ]
        where = self.expressions.predicate(select.where, scope)
        order = self._order(select, scope)
        columns = self._columns(select.outputs, scope)
        if limit is None and len(keys) == 1:
            plain: Query = sa.select(*columns).select_from(source)
            return plain.where(rendered[0] == sa.any_(listed[0]), where).order_by(*order)
        names = [f"k{place}" for place in range(len(keys))]
        parents = sa.func.unnest(*listed).table_valued(*names).render_derived(name=quoted_name("@parents", True))
        same = [key == parents.c[name] for key, name in zip(rendered, names, strict=True)]
        if limit is None:
            joined: Query = sa.select(*columns).select_from(parents, source).where(*same, where)
            return joined.order_by(*order)
        rank = sa.func.row_number().over(order_by=order or None).label("@rank")
        each = sa.select(*columns, rank).select_from(source).where(*same, where).order_by(*order).correlate(parents)
        lateral = self._paged(each, limit, None, scope).lateral(quoted_name("@child", True))
        shown_columns = [column for column in lateral.c if column.name != "@rank"]
        outer: Query = sa.select(*shown_columns).select_from(parents.join(lateral, sa.true()))
        return outer.order_by(lateral.c["@rank"])

    def sources(self, select: Select, outer: Scope | None) -> tuple[Scope, sa.FromClause]:
        tables: dict[str, tuple[TableName, sa.FromClause]] = {}
        families: dict[str, Mapping[str, Family | None]] = {}
        for source in select.sources:
            name = quoted_name(source.alias, True)
            if source.rows is None:
                tables[source.alias] = (source.table, self.table(source.table).alias(name))
            else:
                inner, families[source.alias] = self.rows(source.rows)
                tables[source.alias] = (source.table, inner.subquery(name))
        given = None if select.given is None else (select.given, self._given(select.given))
        scope = Scope(tables, select.nullable, outer, families, given)
        joined: sa.FromClause = tables[select.sources[0].alias][1]
        if given is not None:
            joined = given[1].join(joined, sa.true())
        for source in select.sources[1:]:
            on = self.expressions.predicate(source.on, scope)
            joined = joined.join(tables[source.alias][1], on, isouter=source.join == "left")
        return scope, joined

    def _given(self, given: Given) -> sa.FromClause:
        """The bound rows as a source: parallel lists, unnested together."""
        lists = [self.expressions.carried(Param(f"{given.alias}.{name}"), Family.TEXT) for name in given.columns]
        rows = sa.func.unnest(*lists).table_valued(*(quoted_name(name, True) for name in given.columns))
        return rows.render_derived(name=quoted_name(given.alias, True))

    def table(self, name: TableName) -> sa.TableClause:
        """Raises KeyError for a table that the database lacks."""
        columns: list[sa.ColumnClause[Any]] = [
            sa.column(quoted_name(column, True)) for column in self.catalog.tables[name].columns
        ]
        return sa.table(
            quoted_name(name.name, True), *columns, sa.column("xmin"), schema=quoted_name(name.schema, True)
        )

    def _exists(self, select: Select, outer: Scope) -> sa.Exists:
        scope, source = self.sources(select, outer)
        where = self.expressions.predicate(select.where, scope)
        rows: Query = sa.select(sa.literal_column("1")).select_from(source).where(where)
        return rows.correlate(*outer.sources()).exists()

    def _looked(self, select: Select, outer: Scope) -> Expression:
        scope, source = self.sources(select, outer)
        where = self.expressions.predicate(select.where, scope)
        row: Query = sa.select(self.output(select.outputs[0], scope)).select_from(source).where(where)
        return row.correlate(*outer.sources()).scalar_subquery()

    # --------------------------------------------------------------------------------------------------- parts

    def _columns(self, outputs: Sequence[Output], scope: Scope) -> list[Expression]:
        return [self.output(output, scope).label(quoted_name(output.name, True)) for output in outputs]

    def output(self, output: Output, scope: Scope) -> Expression:
        """A column of the answer."""
        operand = output.operand
        if isinstance(operand, Looked):
            return self._looked(operand.select, scope)
        if isinstance(operand, Plain | DatePart | Aggregate | Rank):
            return Computations(self.expressions).column(operand, scope)[0]
        if isinstance(operand, Digest):
            return self._digest(operand, scope)
        if isinstance(operand, Holds):
            return sa.func.coalesce(self.expressions.predicate(operand.where, scope), sa.false())
        if not isinstance(operand, Column) or scope.bound(operand.alias) is not None:
            return self.expressions.operand(operand, scope)
        if operand.day:
            return self.expressions.operand(operand, scope)
        column = self.expressions.column(operand, scope)
        if operand.name == ROW_VERSION:
            return column
        family = self.expressions.family(operand, scope)
        assert family is not None
        return shown(column, family, output.kind)

    def _digest(self, digest: Digest, scope: Scope) -> Expression:
        """PostgreSQL's hash of a row, which needs no text of it; types that it cannot hash are taken as text."""
        columns = []
        for column in digest.columns:
            rendered = self.expressions.column(column, scope)
            plain = self.expressions.family(column, scope) is not Family.OTHER
            columns.append(rendered if plain else cast(rendered, Family.TEXT))
        return sa.func.hash_record_extended(sa.func.row(*columns), sa.literal_column("0"))

    def _order(self, select: Select, scope: Scope) -> list[Expression]:
        order: list[Any] = []
        for sort in select.order:
            key: Any = self.expressions.operand(sort.operand, scope)
            if sort.descending:
                order.append(key.desc().nulls_last() if sort.nullable else key.desc())
            else:
                order.append(key.asc().nulls_first() if sort.nullable else key.asc())
        return order

    def _paged(self, query: Query, limit: Operand | None, offset: Operand | None, scope: Scope) -> Query:
        if limit is not None:
            query = query.limit(self.expressions.operand(limit, scope, Family.INTEGER))
        if offset is not None:
            query = query.offset(self.expressions.operand(offset, scope, Family.INTEGER))
        return query
