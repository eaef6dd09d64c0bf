"""What the database has in schema ``dataverse``, read from its own catalogue: tables with all that hangs on them.

Shapes are those of ``schema`` where they can be; what is only there to be taken back keeps its definition as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from forecourt.dataverse.schema import ColumnSpec, ForeignSpec, IndexSpec
from forecourt.dataverse.schema_types import SCHEMA
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database


@dataclass(frozen=True, slots=True)
class ActualForeign:
    """A foreign key. ``spec.name`` is the database's; ``valid``: all rows are known to satisfy it."""

    spec: ForeignSpec
    valid: bool
    definition: str


@dataclass(frozen=True, slots=True)
class ActualIndex:
    """``primary``: of the primary key. ``valid`` False: left behind by a build that failed."""

    spec: IndexSpec
    primary: bool
    valid: bool
    definition: str


@dataclass(frozen=True, slots=True)
class ActualCheck:
    name: str
    valid: bool
    definition: str


@dataclass(frozen=True)
class ActualTable:
    """``rows``: an estimate, 0 where the table has never been looked at. ``triggers``: name -> definition."""

    name: str
    columns: Mapping[str, ColumnSpec]
    rows: int = 0
    foreign: tuple[ActualForeign, ...] = ()
    indexes: tuple[ActualIndex, ...] = ()
    checks: tuple[ActualCheck, ...] = ()
    triggers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Actual:
    """``functions``: name -> (body, whole definition)."""

    tables: Mapping[str, ActualTable] = field(default_factory=dict)
    functions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    sequences: frozenset[str] = frozenset()


_TABLES: Final = """
select t.relname, greatest(t.reltuples, 0)::bigint,
    (select json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            case when a.attgenerated = '' then coalesce(pg_get_expr(d.adbin, d.adrelid), '') else '' end,
            case when a.attgenerated <> '' then coalesce(pg_get_expr(d.adbin, d.adrelid), '') else '' end)
            order by a.attnum)
     from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped)::text,
    (select json_agg(json_build_array(c.conname, a.attname, f.relname, b.attname, case c.confdeltype
            when 'n' then 'set null' when 'c' then 'cascade' when 'a' then 'no action' else 'other' end,
            c.convalidated, pg_get_constraintdef(c.oid)) order by c.conname)
     from pg_constraint c join pg_class f on f.oid = c.confrelid
          join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
          join pg_attribute b on b.attrelid = c.confrelid and b.attnum = c.confkey[1]
     where c.conrelid = t.oid and c.contype = 'f' and f.relnamespace = t.relnamespace
       and cardinality(c.conkey) = 1)::text,
    (select json_agg(json_build_array(i.relname,
            (select json_agg(a.attname order by k.place)
             from unnest(x.indkey::int2[]) with ordinality as k(number, place)
                  join pg_attribute a on a.attrelid = t.oid and a.attnum = k.number),
            x.indisunique, m.amname, x.indisprimary,
            x.indisvalid and x.indpred is null and x.indexprs is null, pg_get_indexdef(i.oid)) order by i.relname)
     from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam
     where x.indrelid = t.oid)::text,
    (select json_agg(json_build_array(c.conname, c.convalidated, pg_get_constraintdef(c.oid)) order by c.conname)
     from pg_constraint c where c.conrelid = t.oid and c.contype = 'c')::text,
    (select json_agg(json_build_array(g.tgname, pg_get_triggerdef(g.oid)) order by g.tgname)
     from pg_trigger g where g.tgrelid = t.oid and not g.tgisinternal)::text
from pg_class t join pg_namespace n on n.oid = t.relnamespace
where n.nspname = $1 and t.relkind in ('r', 'p') and not t.relispartition
order by t.relname
"""
_FUNCTIONS: Final = """
select p.proname, p.prosrc, pg_get_functiondef(p.oid)
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1 and p.prokind = 'f'
"""
_SEQUENCES: Final = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relkind = 'S'
"""


async def read_actual(database: Database) -> Actual:
    """The schema as it is."""
    reason = "read the Dataverse tables' definitions"
    tables = [_table(row) for row in await database.system(SystemPlan(reason, _TABLES, (SCHEMA,)))]
    functions = await database.system(SystemPlan(reason, _FUNCTIONS, (SCHEMA,)))
    sequences = await database.system(SystemPlan(reason, _SEQUENCES, (SCHEMA,)))
    return Actual(
        {table.name: table for table in tables},
        {name: (body, definition) for name, body, definition in functions},
        frozenset(row[0] for row in sequences),
    )


def _table(row: Any) -> ActualTable:
    name, rows, columns, foreign, indexes, checks, triggers = row
    return ActualTable(
        name,
        {item[0]: ColumnSpec(*item) for item in _decode(columns)},
        rows,
        tuple(ActualForeign(ForeignSpec(*item[:5]), item[5], item[6]) for item in _decode(foreign)),
        tuple(
            ActualIndex(IndexSpec(item[0], tuple(item[1] or ()), item[2], item[3]), item[4], item[5], item[6])
            for item in _decode(indexes)
        ),
        tuple(ActualCheck(*item) for item in _decode(checks)),
        {item[0]: item[1] for item in _decode(triggers)},
    )


def _decode(text: str | None) -> Any:
    return () if text is None else msgspec.json.decode(text)
