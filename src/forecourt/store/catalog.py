"""The physical tables of a database, read from its own catalogue in one query.

Decides what a definition may name and how a bound value has to look beside a column: the base type of a column (a
domain stands for the type under it), whether it may hold null, its greatest length, the table's keys.

Leaves out: the texts of defaults, everything that only a writer of DDL needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind

if TYPE_CHECKING:
    from forecourt.store.database import Database


@dataclass(frozen=True, slots=True)
class TableColumn:
    """``type``: PostgreSQL's name of the base type (``int4``, ``varchar``, ``timestamptz``). ``length``: characters.

    ``generated``: what the database fills by itself: numbers of an identity or a sequence, or a computed column, which
    nothing may set. ``default``: a row may leave it out. ``digits``: of a numeric, in all; ``scale``: those behind the
    point, of a numeric or of a moment's seconds; None where the type does not say. ``random``: the default is a random
    UUID. ``folds``: its collation holds different texts for equal.
    """

    name: str
    type: str
    nullable: bool = True
    length: int | None = None
    generated: Literal["", "identity", "computed"] = ""
    default: bool = False
    digits: int | None = None
    scale: int | None = None
    random: bool = False
    folds: bool = False

    @property
    def kind(self) -> Kind:
        return kind_of(self.type)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """``columns`` of this table refer to ``target_columns`` of ``target``, in this order. ``valid``: so do all rows,
    also those that were there before."""

    columns: tuple[str, ...]
    target: TableName
    target_columns: tuple[str, ...]
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. ``primary`` is () without a primary key; ``unique`` lists the other unique keys. ``answers``:
    what is written here may set off writes elsewhere: it has triggers or rules that are not ours. ``beneath``: the
    tables and views that a view reads itself. ``kept``: the database itself keeps all its rows to its keys and to NOT
    NULL, which it does not of views, of tables elsewhere and of those that others inherit from."""

    name: TableName
    columns: Mapping[str, TableColumn]
    primary: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    foreign: tuple[ForeignKey, ...] = ()
    view: bool = False
    answers: bool = False
    beneath: tuple[TableName, ...] = ()
    kept: bool = True

    def names_one(self, columns: set[str]) -> bool:
        """Whether values of these columns belong to one row at most."""
        return any(key and columns.issuperset(key) for key in (self.primary, *self.unique))


@dataclass(frozen=True, slots=True)
class Catalog:
    """The tables of one database. ``version``: the server's, as a number (180004 is 18.4)."""

    tables: Mapping[TableName, Table] = field(default_factory=dict)
    version: int = 180000

    def column(self, table: TableName, name: str) -> TableColumn | None:
        found = self.tables.get(table)
        return None if found is None else found.columns.get(name)

    def views(self) -> dict[TableName, frozenset[TableName]]:
        """Everything that each view reads, at any depth."""
        return {name: frozenset(self._beneath(table)) for name, table in self.tables.items() if table.view}

    def _beneath(self, table: Table) -> set[TableName]:
        found: set[TableName] = set()
        pending = list(table.beneath)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(self.tables[name].beneath if name in self.tables else ())
        return found


_KINDS = {
    "int2": Kind.INT32,
    "int4": Kind.INT32,
    "int8": Kind.INT64,
    "numeric": Kind.DECIMAL,
    "float4": Kind.DOUBLE,
    "float8": Kind.DOUBLE,
    "bool": Kind.BOOLEAN,
    "date": Kind.DATE,
    "timestamp": Kind.DATETIME,
    "timestamptz": Kind.DATETIME,
    "uuid": Kind.GUID,
}


def kind_of(type_name: str) -> Kind:
    """The kind of a column of this base type; what has no kind of its own crosses as text.

    >>> kind_of("timestamptz").value, kind_of("varchar").value, kind_of("inet").value
    ('datetime', 'string', 'string')
    """
    return _KINDS.get(type_name, Kind.STRING)


_QUERY = """
with recursive base(oid, typmod, origin) as (
    select oid, -1, oid from pg_type where typtype <> 'd'
    union all
    select d.oid, case when d.typtypmod >= 0 then d.typtypmod else base.typmod end, base.origin
    from base join pg_type d on d.typbasetype = base.oid and d.typtype = 'd'
),
named as (
    select c.oid, n.nspname, c.relname, c.relkind, c.relhassubclass
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
      and case when $1::text[] is null
          then n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
          else n.nspname = any($1::text[]) end
)
select t.nspname, t.relname, t.relkind in ('v', 'm'),
    (select json_agg(json_build_array(a.attname, o.typname,
            not (d.typnotnull or a.attnotnull and not exists (
                select from pg_constraint u where u.conrelid = t.oid and u.contype = 'n' and not u.convalidated
                    and u.conkey = array[a.attnum])),
            case when o.typname in ('varchar', 'bpchar')
                 then nullif(greatest(case when a.atttypmod >= 0 then a.atttypmod else b.typmod end, 3) - 4, -1)
            end,
            case when a.attgenerated <> '' then 'computed'
                 when a.attidentity <> '' or pg_get_expr(e.adbin, e.adrelid) like 'nextval(%' then 'identity'
                 else '' end,
            a.atthasdef or a.attidentity <> '',
            case when o.typname = 'numeric' and m.typmod >= 4 then (m.typmod - 4) >> 16 & 65535 end,
            case when m.typmod < 0 then null
                 when o.typname = 'numeric' then ((m.typmod - 4) & 2047 # 1024) - 1024
                 when o.typname in ('timestamp', 'timestamptz') then m.typmod end,
            coalesce(pg_get_expr(e.adbin, e.adrelid) = 'gen_random_uuid()', false),
            coalesce((select not l.collisdeterministic from pg_collation l where l.oid = a.attcollation), false))
        order by a.attnum)
     from pg_attribute a join pg_type d on d.oid = a.atttypid
          join base b on b.oid = a.atttypid join pg_type o on o.oid = b.origin
          cross join lateral (values (case when a.atttypmod >= 0 then a.atttypmod else b.typmod end)) as m(typmod)
          left join pg_attrdef e on e.adrelid = a.attrelid and e.adnum = a.attnum
     where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped)::text,
    (select json_agg(json_build_array(i.indisprimary,
            (select json_agg(a.attname order by k.place)
             from unnest(i.indkey::int2[]) with ordinality as k(number, place)
                  join pg_attribute a on a.attrelid = t.oid and a.attnum = k.number
             where k.place <= i.indnkeyatts)) order by i.indexrelid)
     from pg_index i
     where i.indrelid = t.oid and i.indisunique and i.indisvalid and i.indimmediate
       and i.indpred is null and i.indexprs is null)::text,
    (select json_agg(json_build_array(
            (select json_agg(a.attname order by k.place)
             from unnest(f.conkey) with ordinality as k(number, place)
                  join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number),
            fn.nspname, fc.relname,
            (select json_agg(a.attname order by k.place)
             from unnest(f.confkey) with ordinality as k(number, place)
                  join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.number),
            f.convalidated) order by f.conname)
     from pg_constraint f join pg_class fc on fc.oid = f.confrelid join pg_namespace fn on fn.oid = fc.relnamespace
     where f.conrelid = t.oid and f.contype = 'f')::text,
    exists (select from pg_trigger g join pg_proc p on p.oid = g.tgfoid join pg_namespace pn on pn.oid = p.pronamespace
            where g.tgrelid = t.oid and not g.tgisinternal and pn.nspname not in ('forecourt', 'dataverse'))
        or exists (select from pg_rewrite r where r.ev_class = t.oid and r.ev_type <> '1'),
    (select json_agg(distinct jsonb_build_array(bn.nspname, b.relname))
     from pg_rewrite r
          join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
               and d.refclassid = 'pg_class'::regclass
          join pg_class b on b.oid = d.refobjid join pg_namespace bn on bn.oid = b.relnamespace
     where t.relkind in ('v', 'm') and r.ev_class = t.oid and b.oid <> t.oid
       and b.relkind in ('r', 'p', 'v', 'm', 'f'))::text,
    t.relkind = 'p' or t.relkind = 'r' and not t.relhassubclass,
    current_setting('server_version_num')::int
from named t
order by t.nspname, t.relname
"""


async def read_catalog(database: Database, schemas: Sequence[str] | None = None) -> Catalog:
    """Every table of the database, or of these schemas. System schemas are left out unless named."""
    wanted = None if schemas is None else list(schemas)
    rows = await database.system(SystemPlan("read the catalogue", _QUERY, (wanted,)))
    tables = [
        _table(TableName(schema, name), view, answers, kept, *map(_decode, (columns, unique, foreign, beneath)))
        for schema, name, view, columns, unique, foreign, answers, beneath, kept, _ in rows
    ]
    return Catalog({table.name: table for table in tables}, rows[0][9] if rows else Catalog().version)


def _decode(text: str | None) -> Any:
    return () if text is None else msgspec.json.decode(text)


def _table(
    name: TableName, view: bool, answers: bool, kept: bool, columns: Any, unique: Any, foreign: Any, beneath: Any
) -> Table:
    return Table(
        name,
        {column[0]: TableColumn(*column) for column in columns},
        primary=next((tuple(key) for primary, key in unique if primary), ()),
        unique=tuple(tuple(key) for primary, key in unique if not primary),
        foreign=tuple(
            ForeignKey(tuple(own), TableName(schema, table), tuple(target), valid)
            for own, schema, table, target, valid in foreign
        ),
        view=view,
        answers=answers,
        beneath=tuple(TableName(schema, table) for schema, table in beneath),
        kept=kept,
    )
