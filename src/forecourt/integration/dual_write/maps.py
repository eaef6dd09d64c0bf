"""Table maps, resolved: a data entity and a Dataverse table with the legs between them.

Legs are made of a checked :class:`~forecourt.integration.dual_write.subject.Subject`:

    lookups            Dataverse stores row ids, so the natural key travels; operations fields hold natural keys already
    value maps         pairs of stored values; what a value map makes null becomes the default of the way back
    no value           an operations column that can't be null holds '' or 1900-01-01 instead, which is read as null;
                       a number there gets 0, which is not
    company            added by itself: the data entity's company field and the table's lookup to ``cdm_company``
    owner              rows of the table belong to the team of their company

Source: operations-and-integration 1.3-1.5, 2.7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from forecourt.integration.dual_write import filters
from forecourt.integration.dual_write.definitions import MapFile
from forecourt.integration.dual_write.subject import Pair, Subject
from forecourt.integration.dual_write.values import EMPTY_KINDS, Pairs, automatic, none_of, stored
from forecourt.kernel.model import NOWHERE, Entity, Where
from forecourt.kernel.sync import Leg, LegColumn, Mode, Side
from forecourt.kernel.types import Kind, Scalar

OWNER = "_ownerid_value"


@dataclass(frozen=True)
class TableMap:
    """A table map. ``legs``: by the side that they start on; a map of one direction has one."""

    record: MapFile
    entity: Entity
    table: Entity
    legs: Mapping[Side, Leg]
    where: Where = field(default=NOWHERE)

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def version(self) -> str:
        return self.record.version

    @property
    def mode(self) -> Mode:
        return self.record.mode

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Maps that the file says have to come before, beside those that lookups lead to."""
        return self.record.depends_on

    @property
    def both(self) -> bool:
        return len(self.legs) == 2

    @property
    def master(self) -> Side:
        """Whose values stand at initial sync: the source, where rows go one way only."""
        wanted = Side(self.record.initial.master)
        return wanted if wanted in self.legs else next(iter(self.legs))

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The integration key as field names of the table."""
        leg = self.legs.get(Side.OPERATIONS)
        if leg is not None:
            return tuple(column.target for column in leg.key)
        return tuple(column.source for column in self.legs[Side.DATAVERSE].key)

    @property
    def parents(self) -> frozenset[str]:
        """Tables that the lookups of this map lead to, the table itself among them where it does."""
        return frozenset(
            reference.entity.name
            for leg in self.legs.values()
            for column in leg.columns
            for reference in (column.source_reference, column.target_reference)
            if reference is not None
        )


def resolve(subject: Subject) -> TableMap:
    """The map of a subject in which the checks have found no fault."""
    assert subject.entity is not None and subject.table is not None
    legs = {side: _leg(subject, side) for side in subject.sides}
    where = subject.document.where("name")
    return TableMap(subject.record, subject.entity, subject.table, legs, where)


def _leg(subject: Subject, source: Side) -> Leg:
    entity, table = subject.entity, subject.table
    assert entity is not None and table is not None
    outward = source is Side.OPERATIONS
    found = [_company(subject, source)] if subject.company is not None else []
    found += [column for pair in subject.pairs if pair.flows(source) for column in _column(subject, pair, source)]
    place = {name: position for position, name in enumerate(subject.key)}

    def order(column: LegColumn) -> int:
        return place.get(column.target if outward else column.source, len(place)) if column.key else len(place)

    texts = {Side.OPERATIONS: subject.record.filter.operations, Side.DATAVERSE: subject.record.filter.dataverse}
    models = {Side.OPERATIONS: (entity, subject.model), Side.DATAVERSE: (table, subject.tables)}
    return Leg(
        map=subject.record.name,
        source_side=source,
        source=entity if outward else table,
        target=table if outward else entity,
        columns=tuple(sorted(found, key=order)),
        filter=filters.parse(texts[source], *models[source], source),
        owner_field=OWNER if outward and OWNER in table.fields else "",
        target_filter=filters.parse(texts[source.other], *models[source.other], source.other),
    )


def _company(subject: Subject, source: Side) -> LegColumn:
    entity, company = subject.entity, subject.company
    assert entity is not None and entity.company is not None
    assert company is not None and company.field is not None and company.reference is not None
    own, theirs = entity.fields[entity.company], company.field
    outward = source is Side.OPERATIONS
    return LegColumn(
        source=own.name if outward else theirs.name,
        target=theirs.name if outward else own.name,
        kind=Kind.STRING,
        key=theirs.name in subject.key,
        company=True,
        source_reference=None if outward else company.reference,
        target_reference=company.reference if outward else None,
        where=subject.document.where("company"),
    )


def _column(subject: Subject, pair: Pair, source: Side) -> Iterator[LegColumn]:
    outward = source is Side.OPERATIONS
    column = pair.column
    own, theirs, reference = pair.field, column.field, column.reference
    traveller = reference.entity.fields[reference.natural] if reference is not None else theirs
    where = subject.document.where(*pair.path)
    if pair.is_constant:
        target = traveller if outward else own
        assert target is not None
        enums = subject.tables.enums if outward else subject.model.enums
        name = theirs.name if outward and theirs is not None else pair.name
        default = stored(pair.constant, target, enums)
        link = reference if outward else None
        yield LegColumn("", name, target.kind, target_reference=link, default=default, where=where)
        return
    assert own is not None and theirs is not None and traveller is not None
    pairs = value_pairs(subject, pair)
    target = traveller if outward else own
    enums = subject.tables.enums if outward else subject.model.enums
    empty = None if own.nullable or subject.is_key(pair) else none_of(own, subject.model.enums)
    readable = own.kind in EMPTY_KINDS and all(mine != empty for mine, _ in pairs)
    default = stored(pair.default(source.other), target, enums)
    if not outward and default is None:
        default = next((mine for mine, others in pairs if others is None), None if readable else empty)
    yield LegColumn(
        source=own.name if outward else theirs.name,
        target=theirs.name if outward else own.name,
        kind=target.kind,
        key=subject.is_key(pair),
        source_reference=None if outward else reference,
        target_reference=reference if outward else None,
        values=_directed(pairs, outward),
        default=default,
        null_in=empty if outward and readable else None,
        null_out=empty if not outward and readable else None,
        where=where,
    )


def _directed(pairs: Pairs, outward: bool) -> tuple[tuple[Scalar, Scalar | None], ...]:
    """The pairs in a leg's direction. A null is no source: the default of the leg stands for it."""
    turned = pairs if outward else tuple((right, left) for left, right in pairs)
    return tuple((source, target) for source, target in turned if source is not None)


def value_pairs(subject: Subject, pair: Pair) -> Pairs:
    """Pairs of stored values (operations, Dataverse) of a column's value map. Raises ValueError."""
    own, theirs, reference = pair.field, pair.column.field, pair.column.reference
    if own is None or theirs is None:
        return ()
    if reference is not None:
        theirs = reference.entity.fields[reference.natural]
    if not pair.record.values:
        return automatic(own, theirs, subject.model.enums, subject.tables.enums)
    return tuple(
        (stored(left, own, subject.model.enums), stored(right, theirs, subject.tables.enums))
        for left, right in pair.record.values.items()
    )
