"""The rows beneath a set of rows."""

from __future__ import annotations

from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.relation import TableName


def children(table: TableName, key: str, lookup: str, parents: list[object]) -> SystemPlan:
    """Keys of the rows whose ``lookup`` is one of ``parents``, locked, in an order that everybody takes."""
    sql = f"select {quoted(key)} from {named(table)} where {quoted(lookup)} = any($1) order by {quoted(key)} for update"
    return SystemPlan("find the rows beneath deleted ones", sql, (parents,))


def assignable(
    table: TableName, key: str, lookup: str, parents: list[object], owner: object, state: int | None, was: object
) -> SystemPlan:
    """Keys of the rows whose ``lookup`` is one of ``parents`` and whose owner is another than ``owner``, locked, in the
    same order. ``state``, ``was``: only those in that state, of that owner; None: all."""
    sql = f"select {quoted(key)} from {named(table)} where {quoted(lookup)} = any($1) and ownerid is distinct from $2"
    args: list[object] = [parents, owner]
    for column, value in (("statecode", state), ("ownerid", was)):
        if value is not None:
            args.append(value)
            sql += f" and {column} = ${len(args)}"
    return SystemPlan("find the rows that are assigned along", f"{sql} order by {quoted(key)} for update", tuple(args))


def holder(table: TableName, key: str, lookup: str, parents: list[object], going: list[object]) -> SystemPlan:
    """One row whose ``lookup`` is one of ``parents`` and whose key is none of ``going``, if there is any."""
    sql = f"select 1 from {named(table)} where {quoted(lookup)} = any($1) and {quoted(key)} <> all($2) limit 1"
    return SystemPlan("find a row that holds a deleted one", sql, (parents, going))


def named(table: TableName) -> str:
    """A table's name as quoted SQL."""
    return f"{quoted(table.schema)}.{quoted(table.name)}"


def quoted(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
