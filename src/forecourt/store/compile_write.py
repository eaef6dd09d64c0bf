"""Secured writes to statements: the row found and locked, its tables changed in order, the row found again.

Values that one statement gives to a later one are bound by name: ``@id.<alias>.<n>`` the identity of a table's row,
``<alias>.<column>`` a column that a later table refers to. Every statement that changes a table also sets
``forecourt.origin`` for the capture of its rows (``store/sync/capture``), in the same round trip: ``RETURNING`` runs
before the triggers of the statement do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from forecourt.kernel.plan import SecuredWrite, TableChange
from forecourt.kernel.predicate import Column, Param
from forecourt.kernel.relation import Select
from forecourt.store.catalog import Catalog
from forecourt.store.compile import PLANES, Statement, compile_select
from forecourt.store.scopes import Scope
from forecourt.store.statements import ReadStatement, TableStatement, WriteStatement
from forecourt.store.storage import Expression, Family, bound, shown

#: Who writes: bound to each statement.
ORIGIN = Param("forecourt.origin")


def compile_write(write: SecuredWrite, catalog: Catalog, planes: frozenset[str] = PLANES) -> WriteStatement:
    """The statements of one row's write. ``planes``: those that the database holds; witnesses of others are left out,
    for a write's scope has just been resolved."""
    root = _root(write)
    wanted = {needed for change in write.tables for _, needed in change.carried}
    return WriteStatement(
        entity=write.entity,
        operation=write.operation,
        find=_find(write, catalog, planes),
        tables=tuple(
            _table(change, catalog, change.alias == root, sorted(c for alias, c in wanted if alias == change.alias))
            for change in write.tables
        ),
        check=None if write.check is None else compile_select(write.check, catalog, lane="key"),
        identity=tuple(output.name for output in _select(write).outputs if output.name.startswith(f"@id.{root}.")),
        version=write.version,
    )


def _select(write: SecuredWrite) -> Select:
    select = write.check or write.find
    assert select is not None
    return select


def _root(write: SecuredWrite) -> str:
    return _select(write).sources[0].alias


def _find(write: SecuredWrite, catalog: Catalog, planes: frozenset[str]) -> ReadStatement | None:
    if write.find is None:
        return None
    statement = Statement(catalog)
    witnesses = tuple(witness for witness in write.witnesses if witness.plane in planes)
    query, scope = statement.query(write.find, witnesses)
    _, root = scope.tables[write.find.sources[0].alias]
    outputs = [output.name for output in write.find.outputs]
    return statement.finish(query.with_for_update(of=root), outputs, "key")


def _table(change: TableChange, catalog: Catalog, root: bool, given: Iterable[str]) -> TableStatement:
    statement = Statement(catalog)
    target = statement.table(change.table)
    scope = Scope({"": (change.table, target)}, frozenset())

    def family(name: str) -> Family | None:
        return statement.expressions.family(Column("", name), scope)

    def carried(name: str, parameter: str) -> Expression:
        beside = family(name)
        return bound(statement.expressions.binds.parameter(Param(parameter), beside), None, beside)

    values: dict[Any, Expression] = {}
    for name, operand in change.assignments:
        value = sa.null() if operand is None else statement.expressions.operand(operand, scope, family(name))
        values[target.c[name]] = value
    for name, (alias, column) in change.carried:
        values[target.c[name]] = carried(name, f"{alias}.{column}")
    outputs: list[tuple[str, str]] = []
    command: Any
    if change.operation == "create":
        outputs = [(f"@id.{change.alias}.{place}", name) for place, name in enumerate(change.identity)]
        outputs += [(f"{change.alias}.{name}", name) for name in given]
        command = sa.insert(target).values(values)
    else:
        command = sa.delete(target) if change.operation == "delete" else sa.update(target).values(values)
        for place, name in enumerate(change.identity):
            command = command.where(target.c[name] == carried(name, f"@id.{change.alias}.{place}"))
    returned = [_shown(target.c[column], family(column)).label(quoted_name(name, True)) for name, column in outputs]
    origin = statement.expressions.operand(ORIGIN, scope, Family.TEXT)
    mark = sa.func.set_config(sa.literal_column("'forecourt.origin'"), origin, sa.literal_column("true"))
    read = statement.finish(command.returning(*returned, mark), [name for name, _ in outputs], "key")
    return TableStatement(
        alias=change.alias,
        table=change.table,
        operation=change.operation,
        answers=change.operation == "delete" or catalog.tables[change.table].answers,
        sql=read.sql,
        binds=read.binds,
        identity=tuple(f"@id.{change.alias}.{place}" for place in range(len(change.identity))),
        outputs=read.outputs,
        root=root,
    )


def _shown(column: Expression, family: Family | None) -> Expression:
    assert family is not None
    return shown(column, family, None)
