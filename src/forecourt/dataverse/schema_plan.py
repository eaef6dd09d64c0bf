"""From definitions and a database to the statements between them: what each does, what it locks, what takes it back.

Three kinds of step. ``add`` makes what is missing or makes room, and loses nothing: done at every start. ``change``
rewrites or replaces something: done when asked for (``forecourt tables apply``). ``drop`` takes away what no definition
names any more, only with ``--drop``; a table or column with rows is never dropped but set aside, renamed to
``<name>__dropped_<number of the application>``, so that even this can be taken back.

A column is retyped only where no value can be lost or refused. Everything else that differs is a notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from forecourt.dataverse.schema import (
    LINK_TABLES,
    OURS,
    ColumnSpec,
    ForeignSpec,
    IndexSpec,
    Layout,
    TableSpec,
    short,
)
from forecourt.dataverse.schema_catalog import Actual, ActualForeign, ActualTable
from forecourt.dataverse.schema_types import BASE_CURRENCY, SCHEMA, literal, lossless, quoted, stored_alike

Kind = Literal["add", "change", "drop"]

#: Marks what has been set aside.
ASIDE: Final = "__dropped_"

BRIEF: Final = "locks the table for an instant"
SCAN: Final = "reads the table; rows can be written meanwhile"
REWRITE: Final = "writes the whole table anew and locks it until that is done"


@dataclass(frozen=True, slots=True)
class Step:
    """``undo``: the statement that takes it back, '' where nothing has to be. ``fresh``: touches only what the same
    plan makes, so that nobody waits. ``alone``: cannot run inside of a transaction. ``may_fail``: rows of today may
    stand against it; then it is left out, with a notice."""

    what: str
    sql: str
    undo: str = ""
    kind: Kind = "add"
    lock: str = ""
    fresh: bool = False
    alone: bool = False
    may_fail: bool = False


@dataclass
class Plan:
    """``notices``: what differs and is left as it is."""

    steps: list[Step] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def of(self, *kinds: Kind) -> list[Step]:
        """The steps of these kinds, those that touch only what is new first."""
        wanted = [step for step in self.steps if step.kind in kinds]
        return [step for step in wanted if step.fresh] + [step for step in wanted if not step.fresh]


def plan(wanted: Layout, actual: Actual, number: int, currency: str = "USD") -> Plan:
    """What leads from the database to the definitions. ``number``: of the application; ``currency``: code of the base
    currency, for a database that has none."""
    found = Plan()
    for function in wanted.functions.values():
        known = actual.functions.get(function.name)
        if known is None or known[0] != function.body:
            undo = f"drop function {function.signature}" if known is None else known[1]
            found.steps.append(Step(f"function {function.name}", function.sql, undo, fresh=True))
    for sequence in wanted.sequences.values():
        if sequence.name not in actual.sequences:
            sql = f"create sequence {SCHEMA}.{quoted(sequence.name)} start with {sequence.start}"
            found.steps.append(Step(f"numbers {sequence.name}, from {sequence.start}", sql, fresh=True))
    new = [table for table in wanted.tables.values() if table.name not in actual.tables]
    for table in new:
        found.steps.append(_create(table, number))
    if any(table.name == "transactioncurrency" for table in new):
        found.steps.append(_base_currency(currency))
    for table in new:
        found.steps += [_foreign(table, key, fresh=True) for key in table.foreign]
        found.steps += [_index(table, index, fresh=True) for index in table.indexes]
        found.steps += [_trigger(table, item.name, item.clause, fresh=True) for item in table.triggers]
    for table in wanted.tables.values():
        known_table = actual.tables.get(table.name)
        if known_table is not None:
            _compare(found, table, known_table, number)
    for known_table in actual.tables.values():
        if known_table.name not in wanted.tables and known_table.name not in LINK_TABLES:
            _superfluous(found, known_table, actual, number)
    return found


# ------------------------------------------------------------------------------------------------------ new tables


def _create(table: TableSpec, number: int) -> Step:
    lines = [f"    {_column(column)}" for column in table.columns.values()]
    lines.append(f"    primary key ({quoted(table.key)})")
    lines += [f"    constraint {quoted(check.name)} check ({check.condition})" for check in table.checks]
    sql = f"create table {table.sql_name} (\n" + ",\n".join(lines) + ")"
    undo = f"alter table {table.sql_name} rename to {quoted(_aside(table.name, number))}"
    return Step(f"table {table.name}, {len(table.columns)} columns", sql, undo, fresh=True)


def _column(column: ColumnSpec) -> str:
    text = f"{quoted(column.name)} {column.type}"
    if column.generated:
        return f"{text} generated always as ({column.generated}) stored"
    text += f" default {column.default}" if column.default else ""
    return text + (" not null" if column.not_null else "")


def _base_currency(code: str) -> Step:
    sql = f"""insert into {SCHEMA}.transactioncurrency
    (transactioncurrencyid, isocurrencycode, currencyname, currencysymbol, currencyprecision, exchangerate)
values ('{BASE_CURRENCY}', {literal(code)}, {literal(code)}, {literal(code)}, 2, 1)"""
    return Step(f"base currency {code}", sql, fresh=True)


def _foreign(table: TableSpec, key: ForeignSpec, fresh: bool = False) -> Step:
    sql = f"alter table {table.sql_name} add constraint {quoted(key.name)} foreign key ({quoted(key.column)})"
    sql += f" references {SCHEMA}.{quoted(key.target)} ({quoted(key.target_column)})"
    sql += f" on delete {key.action} deferrable" + ("" if fresh else " not valid")
    undo = _no_constraint(table.name, key.name)
    what = f"foreign key {table.name}.{key.column} to {key.target}"
    return Step(what, sql, undo, lock="" if fresh else f"{BRIEF}, and {key.target}", fresh=fresh)


def _index(table: TableSpec, index: IndexSpec, fresh: bool = False) -> Step:
    columns = ", ".join(quoted(name) for name in index.columns)
    unique, online = "unique " if index.unique else "", "" if fresh else "concurrently "
    sql = f"create {unique}index {online}{quoted(index.name)} on {table.sql_name} using {index.method} ({columns})"
    what = f"{'alternate key' if index.unique else 'index'} {index.name} on {table.name} ({', '.join(index.columns)})"
    return Step(
        what,
        sql,
        f"drop index {SCHEMA}.{quoted(index.name)}",
        lock="" if fresh else SCAN,
        fresh=fresh,
        alone=not fresh,
        may_fail=index.unique and not fresh,
    )


def _trigger(table: TableSpec, name: str, clause: str, fresh: bool = False) -> Step:
    sql = f"create trigger {quoted(name)} {clause}"
    undo = f"drop trigger {quoted(name)} on {table.sql_name}"
    return Step(f"trigger {name} on {table.name}", sql, undo, lock="" if fresh else BRIEF, fresh=fresh)


def _aside(name: str, number: int) -> str:
    return short(f"{name}{ASIDE}{number}")


def _no_constraint(table: str, name: str) -> str:
    return f"alter table {SCHEMA}.{quoted(table)} drop constraint {quoted(name)}"


# ------------------------------------------------------------------------------------------------- existing tables


def _compare(found: Plan, table: TableSpec, known: ActualTable, number: int) -> None:
    for column in table.columns.values():
        there = known.columns.get(column.name)
        if there is None:
            found.steps.append(_add_column(table, column, number))
        else:
            _compare_column(found, table, column, there, known.triggers)
    _compare_foreign(found, table, known)
    _compare_indexes(found, table, known)
    _compare_checks(found, table, known)
    names = {trigger.name for trigger in table.triggers}
    for name, definition in known.triggers.items():
        if name.startswith(OURS) and name not in names:
            sql = f"drop trigger {quoted(name)} on {table.sql_name}"
            found.steps.append(Step(f"no trigger {name} on {table.name}", sql, definition, lock=BRIEF))
    for trigger in table.triggers:
        if trigger.name not in known.triggers:
            found.steps.append(_trigger(table, trigger.name, trigger.clause))
    for name in known.columns:
        if name not in table.columns and ASIDE not in name:
            found.notices.append(f"{table.name}.{name} is in no definition; 'tables apply --drop' sets it aside.")
            found.steps += _set_column_aside(table, name, known, number)


def _add_column(table: TableSpec, column: ColumnSpec, number: int) -> Step:
    rewrite = bool(column.generated) or "numbered(" in column.default or "gen_random" in column.default
    aside = quoted(_aside(column.name, number))
    undo = [f"alter table {table.sql_name} rename column {quoted(column.name)} to {aside}"]
    if column.default:
        undo.append(f"alter table {table.sql_name} alter column {aside} drop default")
    if column.not_null:
        undo.append(f"alter table {table.sql_name} alter column {aside} drop not null")
    sql = f"alter table {table.sql_name} add column {_column(column)}"
    what = f"column {table.name}.{column.name}, {column.type}"
    if column.fill:
        sql += f"; update {table.sql_name} set {quoted(column.name)} = {column.fill}"
    return Step(what, sql, "; ".join(undo), lock=REWRITE if rewrite or column.fill else BRIEF)


def _compare_column(
    found: Plan, table: TableSpec, column: ColumnSpec, there: ColumnSpec, triggers: Mapping[str, str]
) -> None:
    name = f"{table.name}.{column.name}"
    alter = f"alter table {table.sql_name} alter column {quoted(column.name)}"
    if _plain(there.generated) != _plain(column.generated):
        found.notices.append(f"{name} is computed in another way than its definition says; it is left as it is.")
        return
    if there.type != column.type:
        if lossless(there.type, column.type):
            free = stored_alike(there.type, column.type)
            found.steps.append(
                Step(
                    f"{name} from {there.type} to {column.type}",
                    _without(triggers, table, column.name, f"{alter} type {column.type}"),
                    _without(triggers, table, column.name, f"{alter} type {there.type}"),
                    kind="add" if free else "change",
                    lock=BRIEF if free else REWRITE,
                )
            )
        elif lossless(column.type, there.type):
            found.notices.append(f"{name} is {there.type}, wider than {column.type}; it is left as it is.")
        else:
            found.notices.append(
                f"{name} is {there.type} and cannot become {column.type} without losing values: "
                "add a column under another name."
            )
            return
    if _plain(there.default) != _plain(column.default):
        sql = f"{alter} set default {column.default}" if column.default else f"{alter} drop default"
        undo = f"{alter} set default {there.default}" if there.default else f"{alter} drop default"
        found.steps.append(Step(f"default of {name}: {column.default or 'none'}", sql, undo, lock=BRIEF))
    if column.not_null and not there.not_null:
        if column.default:
            fill = f"update {table.sql_name} set {quoted(column.name)} = {column.default}"
            fill += f" where {quoted(column.name)} is null"
            found.steps.append(Step(f"fill {name}", fill, lock="writes the rows that have no value"))
        sql = f"{alter} set not null"
        found.steps.append(Step(f"{name} is never null", sql, f"{alter} drop not null", lock=SCAN, may_fail=True))
    elif there.not_null and not column.not_null:
        found.steps.append(Step(f"{name} may be null", f"{alter} drop not null", f"{alter} set not null", lock=BRIEF))


def _without(triggers: Mapping[str, str], table: TableSpec, column: str, sql: str) -> str:
    """A statement run while the triggers that look at a column are away: PostgreSQL would refuse it."""
    looking = {name: text for name, text in triggers.items() if re.search(rf"\b{re.escape(column)}\b", text)}
    away = [f"drop trigger {quoted(name)} on {table.sql_name}" for name in looking]
    return "; ".join((*away, sql, *looking.values()))


def _compare_foreign(found: Plan, table: TableSpec, known: ActualTable) -> None:
    left = {item.spec.name: item for item in known.foreign}
    for key in table.foreign:
        same = next((item for item in left.values() if _same(item, key)), None)
        if same is None:
            stale = left.pop(key.name, None)
            if stale is not None:
                found.steps.append(_drop_foreign(table.name, stale, "add"))
            found.steps += [_foreign(table, key), _validate(table, key.name, f"{table.name}.{key.column}")]
            continue
        left.pop(same.spec.name)
        if not same.valid:
            found.steps.append(_validate(table, same.spec.name, f"{table.name}.{key.column}"))
    for item in left.values():
        if item.spec.column in table.columns:
            found.steps.append(_drop_foreign(table.name, item, "add"))


def _same(item: ActualForeign, key: ForeignSpec) -> bool:
    spec = item.spec
    return (spec.column, spec.target, spec.target_column, spec.action) == (
        key.column,
        key.target,
        key.target_column,
        key.action,
    )


def _validate(table: TableSpec, constraint: str, what: str) -> Step:
    sql = f"alter table {table.sql_name} validate constraint {quoted(constraint)}"
    return Step(f"check the rows of {what}", sql, lock=SCAN, may_fail=True)


def _drop_foreign(table: str, item: ActualForeign, kind: Kind) -> Step:
    undo = f"alter table {SCHEMA}.{quoted(table)} add constraint {quoted(item.spec.name)} {item.definition}"
    what = f"no foreign key {table}.{item.spec.column} to {item.spec.target}"
    return Step(what, _no_constraint(table, item.spec.name), undo, kind, BRIEF)


def _compare_indexes(found: Plan, table: TableSpec, known: ActualTable) -> None:
    there = {item.spec.name: item for item in known.indexes}
    names = {index.name for index in table.indexes}
    for index in table.indexes:
        item = there.get(index.name)
        if item is not None and item.valid and item.spec == index:
            continue
        step = _index(table, index)
        if item is not None:
            drop = f"drop index {SCHEMA}.{quoted(index.name)}"
            kind: Kind = "change" if item.valid else "add"
            undo = item.definition if item.valid else ""
            found.steps.append(Step(f"no index {index.name} as it was", drop, undo, kind, BRIEF))
            step = Step(step.what, step.sql, step.undo, kind, step.lock, alone=True, may_fail=step.may_fail)
        found.steps.append(step)
    for item in there.values():
        if item.spec.unique and not item.primary and item.spec.name not in names and ASIDE not in item.definition:
            where = f"{table.name} ({', '.join(item.spec.columns)})"
            found.notices.append(f"the alternate key {item.spec.name} of {where} is in no definition.")
            drop = f"drop index {SCHEMA}.{quoted(item.spec.name)}"
            found.steps.append(Step(f"no alternate key {item.spec.name}", drop, item.definition, "drop", BRIEF))


def _compare_checks(found: Plan, table: TableSpec, known: ActualTable) -> None:
    there = {check.name: check for check in known.checks}
    names = {check.name for check in table.checks}
    for check in table.checks:
        item = there.get(check.name)
        if item is None:
            sql = (
                f"alter table {table.sql_name} add constraint {quoted(check.name)} check ({check.condition}) not valid"
            )
            undo = _no_constraint(table.name, check.name)
            found.steps.append(Step(f"{table.name}: {check.condition}", sql, undo, lock=BRIEF))
        if item is None or not item.valid:
            found.steps.append(_validate(table, check.name, f"{table.name}: {check.condition}"))
    for item in there.values():
        if item.name.startswith(OURS) and item.name not in names:
            undo = f"alter table {table.sql_name} add constraint {quoted(item.name)} {item.definition}"
            sql = _no_constraint(table.name, item.name)
            found.steps.append(Step(f"{table.name}: no limit {item.definition}", sql, undo, lock=BRIEF))


# ------------------------------------------------------------------------------------------------------- set aside


def _set_column_aside(table: TableSpec, name: str, known: ActualTable, number: int) -> Iterator[Step]:
    alter = f"alter table {table.sql_name}"
    there, aside = known.columns[name], _aside(name, number)
    for item in known.foreign:
        if item.spec.column == name:
            yield _drop_foreign(table.name, item, "drop")
    sql = [f"{alter} rename column {quoted(name)} to {quoted(aside)}"]
    undo = [f"{alter} rename column {quoted(aside)} to {quoted(name)}"]
    if there.not_null:
        sql.append(f"{alter} alter column {quoted(aside)} drop not null")
        undo.append(f"{alter} alter column {quoted(name)} set not null")
    if there.default:
        sql.append(f"{alter} alter column {quoted(aside)} drop default")
        undo.append(f"{alter} alter column {quoted(name)} set default {there.default}")
    yield Step(f"{table.name}.{name} set aside as {aside}", "; ".join(sql), "; ".join(undo), "drop", BRIEF)


def _superfluous(found: Plan, table: ActualTable, actual: Actual, number: int) -> None:
    """A table that no definition names: set aside without what ties it to others."""
    if ASIDE in table.name:
        return
    found.notices.append(f"table {table.name} is in no definition; 'tables apply --drop' sets it aside.")
    for other in actual.tables.values():
        for item in other.foreign:
            step = _drop_foreign(other.name, item, "drop")
            if table.name in (other.name, item.spec.target) and step not in found.steps:
                found.steps.append(step)
    name = f"{SCHEMA}.{quoted(table.name)}"
    for trigger, definition in table.triggers.items():
        sql = f"drop trigger {quoted(trigger)} on {name}"
        found.steps.append(Step(f"no trigger {trigger} on {table.name}", sql, definition, "drop", BRIEF))
    for index in table.indexes:
        if not index.primary:
            sql = f"drop index {SCHEMA}.{quoted(index.spec.name)}"
            found.steps.append(Step(f"no index {index.spec.name}", sql, index.definition, "drop", BRIEF))
    aside = _aside(table.name, number)
    sql = f"alter table {name} rename to {quoted(aside)}"
    undo = f"alter table {SCHEMA}.{quoted(aside)} rename to {quoted(table.name)}"
    found.steps.append(Step(f"table {table.name} set aside as {aside}", sql, undo, "drop", BRIEF))


def _plain(expression: str) -> str:
    return expression.replace('"', "")
