"""A candidate as rows that the database takes: what a counterexample has to stand up to.

The solver's rows have the columns that the question names. Keys get values of their own, and a row that a foreign key
needs is made. The other columns are those of a row that the table has, which fits its checks and is not shown, or
values that keep NOT NULL. Then both doors are asked, each by the SQL that it runs: the wide one has
to show a row that the narrow one does not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from uuid import UUID

from forecourt.kernel.predicate import Exists
from forecourt.kernel.relation import Select, TableName
from forecourt.security.prove.decide import Candidate
from forecourt.security.prove.joins import Unfit, tables_of
from forecourt.store.catalog import Catalog, ForeignKey, Table, TableColumn
from forecourt.store.database import Database
from forecourt.store.scratch import Rejected, scratch
from forecourt.store.storage import Family, family_of_type

#: Rows that foreign keys may add.
MOST = 60

Tables = dict[TableName, list[dict[str, object]]]


@dataclass(frozen=True)
class Counterexample:
    """Rows in which the wide door shows what the narrow one does not. ``row``: the key of a row that it shows."""

    row: str
    rows: Mapping[TableName, tuple[Mapping[str, object], ...]]
    values: Mapping[str, object]


class Absent(dict[str, object]):
    """Values by name; what is not there is null."""

    def __missing__(self, name: str) -> object:
        return None


async def reproduce(
    database: Database, catalog: Catalog, wide: Select, narrow: Select, candidate: Candidate, labels: tuple[str, ...]
) -> Counterexample:
    """The candidate as rows of scratch tables, through both doors. Raises Unfit where it does not stand up.

    ``wide``, ``narrow``: selects with the same outputs, named by ``labels``.
    """
    rows = completed(candidate.rows, catalog)
    tables = mentioned(wide) | mentioned(narrow) | set(rows)
    for table in tables:
        if catalog.tables[table].view:
            raise Unfit(f"the counterexample rests on rows of the view {table}, which nobody can write")
    values = Absent(candidate.values)
    try:
        async with scratch(database, catalog, "try a counterexample out") as trial:
            samples = {table: await trial.sample(table) for table in rows}
            await trial.copy(sorted(tables, key=str))
            await trial.fill(filled(rows, catalog, samples))
            shown = await trial.read(wide, values)
            hidden = await trial.read(narrow, values)
    except Rejected as error:
        raise Unfit(f"the database does not take the counterexample: {error}") from error
    leaked = [row for row in shown if row not in hidden]
    if not leaked:
        doubts = "; ".join(candidate.doubts)
        raise Unfit("the counterexample does not reproduce" + (f": {doubts}" if doubts else ""))
    row = ",".join(f"{label}={value}" for label, value in zip(labels, leaked[0], strict=True))
    return Counterexample(row, {table: tuple(each) for table, each in rows.items()}, dict(candidate.values))


def mentioned(select: Select) -> set[TableName]:
    """Every table that a select looks into."""
    return tables_of(Exists(select))


def completed(rows: Mapping[TableName, Sequence[Mapping[str, object]]], catalog: Catalog) -> Tables:
    """The rows with their keys, and with the rows that they refer to. Raises Unfit."""
    numbers = count(1)
    found: Tables = {}
    pending: list[tuple[TableName, dict[str, object]]] = []

    def add(table: TableName, given: Mapping[str, object]) -> None:
        if len(pending) >= MOST:
            raise Unfit("the counterexample needs too many rows that others refer to")
        row = _keyed(catalog.tables[table], given, next(numbers))
        found.setdefault(table, []).append(row)
        pending.append((table, row))

    for table, each in rows.items():
        for given in each:
            add(table, given)
    for table, row in pending:
        for key in catalog.tables[table].foreign:
            target = _referred(row, key)
            if target is not None and not any(_has(other, target) for other in found.get(key.target, ())):
                add(key.target, target)
    return found


def _keyed(table: Table, given: Mapping[str, object], number: int) -> dict[str, object]:
    """A row with values in the columns of its keys and references, null where that may be."""
    keyed = {name for key in (table.primary, *table.unique) for name in key}
    referring = {name for key in table.foreign for name in key.columns}
    row = {name: value for name, value in given.items() if table.columns[name].generated != "computed"}
    for name in sorted(keyed | referring):
        column = table.columns[name]
        if name in row or column.generated == "computed":
            continue
        if column.nullable:
            row[name] = None
        elif name in referring or not (column.random or column.generated):
            row[name] = filler(column, number)
    return row


def filled(rows: Tables, catalog: Catalog, samples: Mapping[TableName, Mapping[str, object]]) -> Tables:
    """The rows with values in all columns that need one: those of a row that the table has, which fit its checks."""
    numbers = count(1000)
    found: Tables = {}
    for table, each in rows.items():
        columns = catalog.tables[table].columns
        for row in each:
            whole = dict(row)
            for name, column in columns.items():
                if name in whole or column.generated or column.random:
                    continue
                if name in samples.get(table, {}):
                    whole[name] = samples[table][name]
                elif not (column.nullable or column.default):
                    whole[name] = filler(column, next(numbers))
            found.setdefault(table, []).append(whole)
    return found


def filler(column: TableColumn, number: int) -> object:
    """Some value that no other row has. Raises Unfit."""
    match family_of_type(column.type):
        case Family.TEXT | Family.PADDED:
            text = f"x{number}"
            return text if column.length is None or column.length >= len(text) else _short(number, column.length)
        case Family.INTEGER:
            return 10000 + number
        case Family.DECIMAL:
            whole = (column.digits or 8) - (column.scale or 0)
            return Decimal(number % 10 ** min(whole, 8))
        case Family.FLOAT:
            return float(number)
        case Family.BOOLEAN:
            return number % 2 == 0
        case Family.UUID:
            return UUID(int=(1 << 96) + number)
        case Family.DATE:
            return dt.date(2000, 1, 1) + dt.timedelta(days=number)
        case Family.LOCAL:
            return dt.datetime(2000, 1, 1) + dt.timedelta(days=number)
        case Family.INSTANT:
            return dt.datetime(2000, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=number)
        case _:
            raise Unfit(f"no value is known for column {column.name} of type {column.type}")


def _short(number: int, length: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    text = ""
    for _ in range(length):
        text, number = letters[number % 26] + text, number // 26
    return text


def _referred(row: Mapping[str, object], key: ForeignKey) -> dict[str, object] | None:
    """The values of the row that a row refers to, None where it refers to none."""
    values = [row.get(name) for name in key.columns]
    return None if None in values else dict(zip(key.target_columns, values, strict=True))


def _has(row: Mapping[str, object], values: Mapping[str, object]) -> bool:
    return all(row.get(name) == value for name, value in values.items())
