"""Data entities from their files, resolved against the database's catalog.

A field's type may be left to the database; where no catalog is at hand (``check`` without data) such a field counts
as text. Every name that a file mentions is looked up, and a miss says what is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from forecourt.kernel.document import Document, suggest
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import DataSource, Entity, EntityField, Enum, EnumMember, Relation
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind
from forecourt.operations.definitions import EntityFile, EnumDefinition, EnumsFile, FieldDefinition, Join
from forecourt.store.catalog import Catalog
from forecourt.store.folder import Faults, Loaded

NAMESPACE = "Microsoft.Dynamics.DataEntities"


def table_name(text: str, document: Document, *path: str | int) -> TableName:
    """``schema.table``. Raises DefinitionError."""
    schema, dot, name = text.partition(".")
    if not dot or not schema or not name:
        raise document.error(f"'{text}' is not a table.", *path, hint="Write schema.table, for example public.orders.")
    return TableName(schema, name)


def enums(
    files: Iterable[Loaded[EnumsFile]], entities: Iterable[Loaded[EntityFile]], faults: Faults
) -> dict[str, Enum]:
    """All enums of the solution by name; the same name twice is a fault."""
    found: dict[str, Enum] = {}
    groups: list[tuple[Document, Mapping[str, EnumDefinition]]] = [(f.document, f.record.enums) for f in files]
    groups += [(f.document, f.record.enums) for f in entities]
    for document, definitions in groups:
        for name, definition in definitions.items():
            if name in found:
                faults.add(document.error(f"enum {name} is defined twice.", "enums", name, code="FC6003"))
                continue
            found[name] = _enum(name, definition)
            if len(found[name].by_symbol) < len(found[name].members) or len(found[name].by_value) < len(
                found[name].members
            ):
                faults.add(document.error(f"enum {name} repeats a symbol or value.", "enums", name, code="FC6003"))
    return found


def _enum(name: str, definition: EnumDefinition) -> Enum:
    if isinstance(definition, dict):
        return Enum(name, tuple(EnumMember(symbol, value, symbol) for symbol, value in definition.items()))
    return Enum(name, tuple(EnumMember(m.symbol, m.value, m.label or m.symbol) for m in definition))


class EntityBuilder:
    """Builds one entity; faults are collected, a faulty entity is left out."""

    def __init__(self, loaded: Loaded[EntityFile], all_enums: Mapping[str, Enum], catalog: Catalog | None) -> None:
        self.document = loaded.document
        self.file = loaded.record
        self.enums = all_enums
        self.catalog = catalog

    def build(self) -> Entity:
        """The entity. Raises DefinitionError at the first fault."""
        file = self.file
        sources = self._sources()
        fields = {name: self._field(name, value, sources) for name, value in file.fields.items()}
        for position, name in enumerate(file.key):
            if name not in fields:
                raise self._unknown_field(name, fields, "key", position)
        if not file.key:
            raise self.document.error("an entity needs a key.", "key", hint="List the fields that identify a row.")
        if file.company is not None and file.company not in fields:
            raise self._unknown_field(file.company, fields, "company")
        for name in fields:
            if not name.isidentifier():
                raise self.document.error(f"'{name}' is not a valid field name.", "fields", name)
        return Entity(
            name=file.name,
            public_name=file.public_name,
            collection=file.collection,
            sources=tuple(sources.values()),
            fields=fields,
            key=file.key,
            relations={},
            company=file.company,
            record_id=self._record_id(sources),
            label=file.label or file.public_name,
            label_plural=file.label_plural or file.collection,
            read_only=file.read_only,
            declared_id=file.id,
            where=self.document.where("name"),
        )

    def relations(self, fields: Mapping[str, EntityField], entities: Mapping[str, Entity]) -> dict[str, Relation]:
        """The entity's relations, once all entities are known. Raises DefinitionError."""
        result = {}
        for name, definition in self.file.relations.items():
            path = ("relations", name)
            target = entities.get(definition.entity)
            if target is None:
                raise self.document.error(
                    f"entity '{definition.entity}' is not known.",
                    *path,
                    "entity",
                    hint=suggest(definition.entity, entities),
                    code="FC6002",
                )
            if name in fields:
                raise self.document.error(f"'{name}' is a field already.", *path, code="FC6003")
            for own, theirs in definition.on.items():
                if own not in fields:
                    raise self._unknown_field(own, fields, *path, "on", own)
                if theirs not in target.fields:
                    raise self._unknown_field(theirs, target.fields, *path, "on", own)
            if not definition.many and not set(target.key) <= set(definition.on.values()):
                missing = ", ".join(sorted(set(target.key) - set(definition.on.values())))
                raise self.document.error(
                    f"a relation to one {definition.entity} must name its whole key; {missing} is missing.",
                    *path,
                    "on",
                    hint="Add the key field, or write 'many: true'.",
                )
            result[name] = Relation(name, definition.entity, definition.many, tuple(definition.on.items()))
        return result

    # -- steps ---------------------------------------------------------------------------------------------------

    def _sources(self) -> dict[str, DataSource]:
        root = self.file.root
        table = table_name(root.table, self.document, "root", "table")
        alias = root.alias or table.name
        self._check_table(table, "root", "table")
        sources = {alias: DataSource(alias, table)}
        for position, join in enumerate(self.file.joins):
            path = ("joins", position)
            table = table_name(join.table, self.document, *path, "table")
            self._check_table(table, *path, "table")
            name = join.alias or table.name
            if name in sources:
                raise self.document.error(f"alias '{name}' is used twice.", *path, hint="Give the join an alias.")
            pairs = []
            for own, above in join.on.items():
                self._check_column(table, own, *path, "on", own)
                pairs.append((self._reference(above, sources, *path, "on", own), own))
            if not pairs:
                raise self.document.error("a join needs at least one pair of columns.", *path, "on")
            if join.writable:
                self._check_own(table, join, *path)
            sources[name] = DataSource(name, table, "left" if join.outer else "inner", tuple(pairs), join.writable)
        return sources

    def _check_own(self, table: TableName, join: Join, *path: str | int) -> None:
        """A join that is written to leads to at most one row."""
        found = self.catalog.tables.get(table) if self.catalog is not None else None
        if found is not None and not any(set(key) <= set(join.on) for key in (found.primary, *found.unique) if key):
            raise self.document.error(
                f"a writable join must name a unique key of {table}.",
                *path,
                "on",
                hint="Join by its primary key, or leave 'writable' out.",
            )

    def _reference(self, text: str, sources: Mapping[str, DataSource], *path: str | int) -> tuple[str, str]:
        """``Alias.column`` or a column of the root."""
        alias, dot, column = text.partition(".")
        if not dot:
            alias, column = next(iter(sources)), text
        if alias not in sources:
            raise self.document.error(
                f"'{alias}' is not a data source of this entity.", *path, hint=suggest(alias, sources), code="FC6002"
            )
        self._check_column(sources[alias].table, column, *path)
        return alias, column

    def _record_id(self, sources: Mapping[str, DataSource]) -> tuple[str, str] | None:
        name = self.file.root.record_id
        if name is None:
            return None
        alias, source = next(iter(sources.items()))
        self._check_column(source.table, name, "root", "record_id")
        return alias, name

    def _field(self, name: str, value: str | FieldDefinition, sources: Mapping[str, DataSource]) -> EntityField:
        definition = FieldDefinition(column=value) if isinstance(value, str) else value
        path = ("fields", name)
        alias, column = self._reference(definition.column, sources, *path)
        table = sources[alias].table
        physical = self.catalog.column(table, column) if self.catalog is not None else None
        kind = self._kind(definition, table, column, physical is not None, *path)
        if definition.currency is not None and definition.currency not in self.file.fields:
            raise self._unknown_field(definition.currency, self.file.fields, *path, "currency")
        outer = sources[alias].join == "left"
        written = alias == next(iter(sources)) or sources[alias].writable
        filled = physical is not None and physical.generated != ""
        creatable = definition.editable if definition.creatable is None else definition.creatable
        return EntityField(
            name=name,
            source=alias,
            column=column,
            kind=kind,
            nullable=outer or physical is None or physical.nullable,
            enum=definition.enum,
            editable=definition.editable and written and not filled,
            label=definition.label or name,
            length=definition.length if definition.length is not None else (physical.length if physical else None),
            memo=definition.memo,
            currency=definition.currency,
            storage=physical.type if physical is not None else "",
            creatable=(creatable or name in self.file.key) and written and not filled,
            required=definition.required,
            filled=definition.default is not None or definition.number_sequence is not None,
        )

    def _kind(self, definition: FieldDefinition, table: TableName, column: str, known: bool, *path: str | int) -> Kind:
        if definition.enum is not None:
            if definition.type not in (None, "enum"):
                raise self.document.error(f"an enum field has type enum, not {definition.type}.", *path)
            if definition.enum not in self.enums:
                raise self.document.error(
                    f"enum '{definition.enum}' is not defined.",
                    *path,
                    "enum",
                    hint=suggest(definition.enum, self.enums),
                    code="FC6002",
                )
            return Kind.ENUM
        if definition.type == "enum":
            raise self.document.error("a field of type enum needs 'enum: <name>'.", *path)
        if definition.type is not None:
            declared = Kind(definition.type)
            self._check_kind(declared, table, column, *path)
            return declared
        if self.catalog is None or not known:
            return Kind.STRING
        physical = self.catalog.column(table, column)
        return physical.kind if physical is not None else Kind.STRING

    def _check_kind(self, declared: Kind, table: TableName, column: str, *path: str | int) -> None:
        physical = self.catalog.column(table, column) if self.catalog is not None else None
        if physical is None:
            return
        actual = physical.kind
        integers = {Kind.INT32, Kind.INT64}
        numbers = {Kind.DECIMAL, Kind.DOUBLE, *integers}
        fits = (
            actual == declared
            or (declared, actual) == (Kind.DATE, Kind.DATETIME)
            or (
                actual in numbers
                and declared in numbers
                and (declared in (Kind.DECIMAL, Kind.DOUBLE, Kind.INT64) or actual in integers)
            )
        )
        if not fits:
            raise self.document.error(
                f"type {declared.value} does not fit column {table}.{column}, which is {physical.type}.",
                *path,
                "type",
                hint=f"Write 'type: {actual.value}'.",
                code="FC6004",
            )

    def _check_table(self, table: TableName, *path: str | int) -> None:
        if self.catalog is not None and self.catalog.tables.get(table) is None:
            raise self.document.error(
                f"table {table} does not exist in the database.",
                *path,
                hint=suggest(str(table), (str(name) for name in self.catalog.tables)),
                code="FC6004",
            )

    def _check_column(self, table: TableName, column: str, *path: str | int) -> None:
        if self.catalog is not None and self.catalog.column(table, column) is None:
            found = self.catalog.tables.get(table)
            raise self.document.error(
                f"table {table} has no column '{column}'.",
                *path,
                hint=suggest(column, found.columns) if found else "",
                code="FC6004",
            )

    def _unknown_field(self, name: str, known: Iterable[str], *path: str | int) -> DefinitionError:
        return self.document.error(f"field '{name}' is not known.", *path, hint=suggest(name, known), code="FC6002")


def build_entities(
    loaded: list[Loaded[EntityFile]], all_enums: Mapping[str, Enum], catalog: Catalog | None, faults: Faults
) -> dict[str, Entity]:
    """All entities with their relations; names that collide are faults."""
    builders: dict[str, EntityBuilder] = {}
    entities: dict[str, Entity] = {}
    collections: dict[str, str] = {}
    for item in loaded:
        builder = EntityBuilder(item, all_enums, catalog)
        try:
            entity = builder.build()
        except DefinitionError as error:
            faults.add(error)
            faults.lost[item.record.name] = item.document.file
            continue
        if entity.name in entities or entity.collection in collections:
            taken = entity.name if entity.name in entities else entity.collection
            faults.add(item.document.error(f"'{taken}' is defined twice.", "name", code="FC6003"))
            continue
        clash = next((e for e in entities.values() if e.entity_id == entity.entity_id), None)
        if clash is not None:
            faults.add(
                item.document.error(
                    f"has the same entity number as {clash.name}.",
                    "name",
                    hint="Give one of them its own 'id:'.",
                    code="FC6003",
                )
            )
        builders[entity.name], entities[entity.name] = builder, entity
        collections[entity.collection] = entity.name
    for name, builder in builders.items():
        try:
            relations = builder.relations(entities[name].fields, entities)
            entities[name] = dataclasses.replace(entities[name], relations=relations)
        except DefinitionError as error:
            faults.add(error)
    return entities
