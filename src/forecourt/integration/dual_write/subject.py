"""A map's file against the two models: every name that it mentions looked up, nothing judged yet.

A :class:`Subject` is what the checks (``checks``) look at and legs (``maps``) are made of. A name that is not found is
None here; saying so is for the checks. Source: operations-and-integration 1.3-1.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from forecourt.integration.dual_write.definitions import ColumnMap, Direction, MapFile, Value
from forecourt.kernel.document import Document
from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.sync import Reference, Side

COMPANY_TABLE = "cdm_company"
COMPANY_CODE = "cdm_companycode"


@dataclass(frozen=True)
class Column:
    """A Dataverse column as a map writes it. ``lookup``: the text before the dot; ``natural``: the one after it.

    ``field``: the table's field (``_x_value`` of a lookup). ``targets``: tables that a lookup may lead to; ``target``:
    the one that is meant. ``reference``: of a lookup that is written with a natural key that exists.
    """

    text: str
    field: EntityField | None = None
    targets: tuple[str, ...] = ()
    target: Entity | None = None
    reference: Reference | None = None

    @property
    def lookup(self) -> str:
        return self.text.partition(".")[0]

    @property
    def natural(self) -> str:
        return self.text.partition(".")[2]


@dataclass(frozen=True)
class Pair:
    """A field of the data entity and a column of the table. ``name``: of the field as written, '' for a constant.

    ``constant``: the value of a pair that has no source. ``path``: where the pair stands in the file.
    """

    name: str
    field: EntityField | None
    column: Column
    direction: Direction
    record: ColumnMap
    path: tuple[str | int, ...]
    constant: Value = None
    is_constant: bool = False

    def flows(self, source: Side) -> bool:
        """Whether values go from this side to the other."""
        return self.direction == "both" or (self.direction == "to_dataverse") == (source is Side.OPERATIONS)

    def default(self, target: Side) -> Value:
        """What the target gets where the source has no value."""
        if self.is_constant:
            return self.constant
        return self.record.dataverse_default if target is Side.DATAVERSE else self.record.operations_default


@dataclass(frozen=True)
class Subject:
    """A map's file, with the entity and table that it names. ``model``, ``tables``: all of the two planes."""

    document: Document
    record: MapFile
    model: Model
    tables: Model

    @cached_property
    def entity(self) -> Entity | None:
        return self.model.entities.get(self.record.entity)

    @cached_property
    def table(self) -> Entity | None:
        return self.tables.entities.get(self.record.table)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The mapped columns, in the file's order, then the constants. The company is not among them."""
        return (*self._mapped(), *self._constants())

    @cached_property
    def columns(self) -> tuple[Pair, ...]:
        """The pairs that have a source on both sides."""
        return tuple(pair for pair in self.pairs if not pair.is_constant)

    def _mapped(self) -> Iterator[Pair]:
        for name, entry in self.record.columns.items():
            found = self.entity.fields.get(name) if self.entity is not None else None
            entries = entry if isinstance(entry, tuple) else (entry,)
            for place, item in enumerate(entries):
                record = ColumnMap(dataverse=item) if isinstance(item, str) else item
                path = ("columns", name, place) if isinstance(entry, tuple) else ("columns", name)
                direction = record.direction or self.record.direction
                yield Pair(name, found, column(record.dataverse, self.table, self.tables), direction, record, path)

    def _constants(self) -> Iterator[Pair]:
        for text, value in self.record.constants.dataverse.items():
            found = column(text, self.table, self.tables)
            path = ("constants", "dataverse", text)
            yield Pair("", None, found, "to_dataverse", ColumnMap(dataverse=text), path, value, True)
        for name, value in self.record.constants.operations.items():
            field = self.entity.fields.get(name) if self.entity is not None else None
            path = ("constants", "operations", name)
            yield Pair(name, field, Column(""), "to_operations", ColumnMap(dataverse=""), path, value, True)

    # -- company -------------------------------------------------------------------------------------------------

    @property
    def striped(self) -> bool:
        """Whether the rows belong to legal entities."""
        return self.entity is not None and self.entity.company is not None

    @cached_property
    def companies(self) -> tuple[EntityField, ...]:
        """The table's lookups to ``cdm_company``; the one that the file names, where it names one."""
        if self.table is None:
            return ()
        found = company_lookups(self.table)
        if self.record.company is None:
            return found
        return tuple(item for item in found if self.record.company in (item.column, item.name))

    @cached_property
    def company(self) -> Column | None:
        """The company column of a map whose rows belong to legal entities, where there is exactly one."""
        if not self.striped or len(self.companies) != 1 or self.table is None:
            return None
        return column(f"{self.companies[0].column}.{COMPANY_CODE}", self.table, self.tables)

    # -- integration key -----------------------------------------------------------------------------------------

    @cached_property
    def unique_keys(self) -> tuple[tuple[str, ...], ...]:
        """The table's unique keys by field name: alternate keys first, the row id last."""
        if self.table is None:
            return ()
        keys = [tuple(field_name(self.table, name) for name in key) for key in self.table.alternate_keys.values()]
        return (*keys, self.table.key)

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The integration key as field names of the table, the company last where the rows belong to one.

        The file's, else the first alternate key of which every column is mapped, else the first one. () for none.
        """
        if self.table is None:
            return ()
        if self.record.key:
            wanted = tuple(field_name(self.table, name.partition(".")[0]) for name in self.record.key)
        else:
            wanted = self._natural_key()
        company = self.company.field.name if self.company is not None and self.company.field is not None else ""
        own = tuple(name for name in wanted if name != company)
        return (*own, company) if company and own else own

    def _natural_key(self) -> tuple[str, ...]:
        mapped = {pair.column.field.name for pair in self.columns if pair.column.field is not None}
        mapped |= {item.name for item in self.companies}
        alternate = self.unique_keys[:-1]
        return next((key for key in alternate if set(key) <= mapped), alternate[0] if alternate else ())

    def is_key(self, pair: Pair) -> bool:
        return not pair.is_constant and pair.column.field is not None and pair.column.field.name in self.key

    @cached_property
    def sides(self) -> tuple[Side, ...]:
        """The sides from which rows go to the other one."""
        return tuple(side for side in Side if any(pair.flows(side) for pair in self.columns))


def company_lookups(table: Entity) -> tuple[EntityField, ...]:
    """The lookups of a table that lead to ``cdm_company``."""
    return tuple(item for item in table.fields.values() if item.targets == (COMPANY_TABLE,))


def field_name(table: Entity, name: str) -> str:
    """The field that stands for a column: itself, or ``_x_value`` of a lookup."""
    shown = f"_{name}_value"
    return name if name in table.fields or shown not in table.fields else shown


def column(text: str, table: Entity | None, tables: Model) -> Column:
    """A Dataverse column as written, looked up."""
    name, dot, natural = text.partition(".")
    if table is None:
        return Column(text)
    found = table.fields.get(field_name(table, name))
    wanted = found.targets if found is not None else ()
    if found is None:
        way = table.relations.get(name)
        if way is None or way.many or not way.column:
            return Column(text)
        found, wanted = table.fields.get(field_name(table, way.column)), (way.target,)
    target = tables.entities.get(wanted[0]) if len(wanted) == 1 else None
    reference = None
    if dot and target is not None and natural in target.fields:
        reference = Reference(target, target.key[0], natural, _company_of(target, natural))
    return Column(text, found, wanted, target, reference)


def _company_of(target: Entity, natural: str) -> str | None:
    """The company lookup that tells apart rows with the same natural key; None where the key alone is unique."""
    keys = [{field_name(target, name) for name in key} for key in target.alternate_keys.values()]
    if {natural} in keys or target.key == (natural,):
        return None
    lookups = company_lookups(target)
    return next((item.name for item in lookups if {natural, item.name} in keys), None)


def natural_keys(target: Entity) -> Mapping[str, str | None]:
    """Columns by which a row of the table can be named, and the company lookup that each needs beside it."""
    companies = {item.name for item in company_lookups(target)}
    found: dict[str, str | None] = {target.key[0]: None}
    for key in target.alternate_keys.values():
        names = {field_name(target, name) for name in key}
        rest = names - companies
        if len(rest) == 1 and len(names) <= 2:
            name = next(iter(rest))
            beside = next(iter(names & companies), None)
            if name not in found or beside is None:
                found[name] = beside
    return found
