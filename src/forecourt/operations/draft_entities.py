"""Data entities out of the tables of a database, for :mod:`forecourt.operations.draft`.

One entity for each table with a primary key that an OData URL can name::

    names      PascalCase, singular and plural, unique without regard to case (virtual tables are lower case); of
               tables with one name, those outside of schema public carry their schema's
    fields     every column, in order; a column dataareaid is the company, first in the key where it belongs to it
    key        the primary key
    record id  the primary key where it is one integer column, else a unique integer column that is never null
    relations  of every foreign key: to the target where it names the target's whole key, back to the rows that refer;
               to one row where the foreign key is the referring table's whole key

A relation to one row carries the name of its column without ``id`` (``BillToAddress``), or the target's where the
column is part of the key or says nothing more; the way back carries the collection's, with ``By...`` where several
lead there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from forecourt.kernel.relation import TableName
from forecourt.kernel.types import INTEGERS, Kind
from forecourt.operations.draft_words import (
    LONGEST_ENTITY,
    LONGEST_FIELD,
    REFERENCE_WORDS,
    Names,
    ascii_name,
    label,
    plural,
    singular,
    vocabulary,
    words,
)
from forecourt.store.catalog import Catalog, ForeignKey, Table

COMPANY = "dataAreaId"

#: Types of columns that a row cannot be asked for by: their values do not cross as the text of a literal.
_NOT_IN_KEYS = frozenset({"bytea", "bit", "varbit", "interval", "time", "timetz", "oid", "xid8", "money"})


@dataclass
class RelationDraft:
    """``on``: pairs (own field, field of the target)."""

    name: str
    entity: str
    on: tuple[tuple[str, str], ...]
    many: bool


@dataclass
class EntityDraft:
    """An entity to be written. ``fields``: column -> field, in the table's order; ``labels``: field -> label."""

    table: Table
    name: str
    public_name: str
    collection: str
    label: str
    label_plural: str
    fields: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    company: str | None = None
    record_id: str | None = None
    relations: list[RelationDraft] = field(default_factory=list)


@dataclass(frozen=True)
class Link:
    """A foreign key between two drafted entities; ``alone``: no other leads from the one to the other."""

    source: EntityDraft
    target: EntityDraft
    foreign: ForeignKey
    alone: bool

    @property
    def to_one(self) -> bool:
        """It names the target's whole key, each part by a column of its own."""
        whole = set(self.target.table.primary) <= set(self.foreign.target_columns)
        return whole and len(set(self.foreign.columns)) == len(self.foreign.columns)

    @property
    def one_back(self) -> bool:
        """At most one row of the source leads here: its whole key does."""
        return set(self.source.table.primary) <= set(self.foreign.columns)

    @property
    def on(self) -> tuple[tuple[str, str], ...]:
        pairs = zip(self.foreign.columns, self.foreign.target_columns, strict=True)
        return tuple((self.source.fields[own], self.target.fields[theirs]) for own, theirs in pairs)


def draft_entities(catalog: Catalog) -> tuple[tuple[EntityDraft, ...], tuple[str, ...], int]:
    """The entities by name, what was left out and why, and the number of views."""
    tables = [catalog.tables[name] for name in sorted(catalog.tables, key=str)]
    learned = vocabulary(table.name.name for table in tables)
    left_out = []
    usable = []
    for table in tables:
        reason = None if table.view else _unusable(table)
        if reason is not None:
            left_out.append(f"{printable(str(table.name))}: {reason}")
        elif not table.view:
            usable.append(table)
    entities = _named(usable, learned)
    for entity in entities:
        _fill(entity, learned)
    _relate(entities, learned)
    ordered = tuple(sorted(entities, key=lambda entity: entity.name))
    return ordered, tuple(left_out), sum(table.view for table in tables)


def printable(text: str) -> str:
    """The text on one line, fit for a terminal and for a comment."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)


def _unusable(table: Table) -> str | None:
    if not table.primary:
        return "the table has no primary key."
    if "." in table.name.schema:
        return "the schema's name holds a dot, and a solution names a table schema.table."
    for column in table.primary:
        kind = table.columns[column].type
        if kind in _NOT_IN_KEYS or kind.startswith("_") or kind.endswith("range"):
            return f"the primary key's column {printable(column)} is of type {kind}, by which no row can be asked for."
    return None


# ------------------------------------------------------------------------------------------------------------- names


def _named(tables: list[Table], learned: Collection[str]) -> list[EntityDraft]:
    simple = Counter(_public(_table_words(table.name.name, learned)).lower() for table in tables)
    names = {space: Names() for space in ("entity", "public", "collection")}
    found = []
    # Tables of schema public first: theirs are the names without a number.
    for table in sorted(tables, key=lambda item: (item.name.schema != "public", str(item.name))):
        parts = _table_words(table.name.name, learned)
        if simple[_public(parts).lower()] > 1 and table.name.schema != "public":
            parts = (*words(table.name.schema, learned), *parts)
        many = (*parts[:-1], plural(parts[-1])) if parts else ()
        public, collection = _public(parts), ascii_name(many, LONGEST_ENTITY, "Table")
        number = 1
        while not _free(names, chosen := _numbered(public, collection, number)):
            number += 1
        for space, name in zip(names.values(), chosen, strict=True):
            space.claim(name)
        named = _printed(table.name)
        found.append(EntityDraft(table, *chosen, label(parts, named), label(many, named)))
    return found


def _table_words(name: str, learned: Collection[str]) -> tuple[str, ...]:
    parts = words(name, learned)
    return (*parts[:-1], singular(parts[-1])) if parts else ()


def _public(parts: Iterable[str]) -> str:
    return ascii_name(parts, LONGEST_ENTITY, "Table")


def _numbered(public: str, collection: str, number: int) -> tuple[str, str, str]:
    """Physical name, public name and collection, with the number where it is not 1."""
    if number > 1:
        room = LONGEST_ENTITY - len(str(number))
        public, collection = f"{public[:room]}{number}", f"{collection[:room]}{number}"
    return f"{public}Entity", public, collection


def _free(names: Mapping[str, Names], chosen: tuple[str, str, str]) -> bool:
    return all(space.free(name) for space, name in zip(names.values(), chosen, strict=True))


def _printed(table: TableName) -> str:
    return printable(table.name).strip() or "Table"


# ------------------------------------------------------------------------------------------------- fields and keys


def _fill(entity: EntityDraft, learned: Collection[str]) -> None:
    table = entity.table
    names = Names([f"{entity.name}id"])  # the row id of the virtual table
    company = next(
        (c.name for c in table.columns.values() if c.name.lower() == "dataareaid" and c.kind is Kind.STRING), None
    )
    if company is not None:
        entity.company = names.claim(COMPANY)
    for column in table.columns:
        parts = words(column, learned)
        if column == company:
            entity.fields[column] = COMPANY
        else:
            entity.fields[column] = names.claim(ascii_name(parts, LONGEST_FIELD, "Field"))
        named = printable(column).strip() or "Field"
        shown = "Company" if column == company else label(parts, named)
        alike = shown in entity.labels.values()
        entity.labels[entity.fields[column]] = f"{shown} ({named})" if alike else shown
    primary = sorted(table.primary, key=lambda column: column != company)
    entity.key = tuple(entity.fields[column] for column in primary)
    entity.record_id = _record_id(table)


def _record_id(table: Table) -> str | None:
    single = [key[0] for key in (table.primary, *table.unique) if len(key) == 1]
    fit = [name for name in single if table.columns[name].kind in INTEGERS and not table.columns[name].nullable]
    return fit[0] if fit else None


# --------------------------------------------------------------------------------------------------------- relations


def _relate(entities: list[EntityDraft], learned: Collection[str]) -> None:
    """Relations to one row are named first, so that the ways back give way to them."""
    links = _links(entities)
    names = {entity.name: Names(entity.fields.values()) for entity in entities}
    roles = {}
    for link in links:
        role = _role(link, learned)
        roles[id(link)] = role
        if link.to_one:
            name = names[link.source.name].claim(role, f"{role[: LONGEST_FIELD - 6]}Record")
            roles[id(link)] = name
            link.source.relations.append(RelationDraft(name, link.target.name, link.on, many=False))
    for link in links:
        back = link.source.public_name if link.one_back else link.source.collection
        if not link.alone or link.source is link.target:
            back = f"{back}By{roles[id(link)]}"[:LONGEST_FIELD]
        kind = "Record" if link.one_back else "Records"
        name = names[link.target.name].claim(back, f"{back[: LONGEST_FIELD - len(kind)]}{kind}")
        on = tuple((theirs, own) for own, theirs in link.on)
        link.target.relations.append(RelationDraft(name, link.source.name, on, many=not link.one_back))


def _links(entities: list[EntityDraft]) -> list[Link]:
    """The foreign keys between drafted entities, each once, in the order of tables."""
    by_table = {entity.table.name: entity for entity in entities}
    links = []
    for entity in sorted(entities, key=lambda item: item.name):
        foreign = [key for key in dict.fromkeys(entity.table.foreign) if key.target in by_table]
        counts = Counter(key.target for key in foreign)
        links += [Link(entity, by_table[key.target], key, counts[key.target] == 1) for key in foreign]
    return links


def _role(link: Link, learned: Collection[str]) -> str:
    """What the target is to the source: named by the column that tells, else by the target."""
    target = link.target.public_name
    shared: Counter[str] = Counter()
    for key in link.source.table.foreign:
        if key.target == link.foreign.target:
            shared.update(set(key.columns))
    telling = [
        column
        for column in link.foreign.columns
        if link.source.fields[column] != link.source.company and (link.alone or shared[column] == 1)
    ]
    part_of_key = set(telling) <= set(link.source.table.primary)
    myself = link.source is link.target
    if not telling or (link.alone and not myself and (part_of_key or len(telling) > 1)):
        return target
    parts = words(telling[-1], learned)
    referring = len(parts) > 1 and parts[-1] in REFERENCE_WORDS
    if link.alone and not myself and not referring:
        return target
    while len(parts) > 1 and parts[-1] in REFERENCE_WORDS:
        parts = parts[:-1]
    return ascii_name(parts, LONGEST_FIELD, "Field")
