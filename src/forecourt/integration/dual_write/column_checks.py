"""Rules about a map's columns: directions, types, transforms, what is mandatory, filters (operations-and-integration
1.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from forecourt.integration.dual_write import filters
from forecourt.integration.dual_write.definitions import Value
from forecourt.integration.dual_write.faults import Faults, Rule, end, fault, place, traveller
from forecourt.integration.dual_write.maps import value_pairs
from forecourt.integration.dual_write.subject import Pair, Subject
from forecourt.integration.dual_write.values import domain, goes_into, known, stored, written
from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField, Enum
from forecourt.kernel.sync import Side


def targets_can_be_written(subject: Subject) -> Faults:
    entity, table = subject.entity, subject.table
    assert entity is not None and table is not None
    for pair in subject.pairs:
        column, field = pair.column.field, pair.field
        if column is not None and pair.flows(Side.OPERATIONS) and not (column.editable or column.creatable):
            text = f"{column.column} of {table.name} is kept by the system and can't be written."
            yield fault(
                subject, "DIPV1011", text, *place(pair), hint="Leave it out, or write 'direction: to_operations'."
            )
        if field is not None and pair.flows(Side.DATAVERSE):
            closed = entity.read_only or not (field.editable or field.creatable or field.name in entity.key)
            if closed:
                what = f"{entity.name} is read-only" if entity.read_only else f"{field.name} can't be written"
                hint = "Write 'direction: to_dataverse', here or for the whole map."
                yield fault(subject, "DIPV1011", f"{what}.", *pair.path, hint=hint)


def no_source_twice(subject: Subject) -> Faults:
    """What goes both ways has one counterpart."""
    for side, name in ((Side.OPERATIONS, "field"), (Side.DATAVERSE, "column")):
        for shared in _repeated(subject, side):
            if any(pair.direction == "both" for pair in shared):
                text = f"{end(shared[0], side)} is mapped {len(shared)} times and goes both ways."
                hint = f"A {name} that goes both ways has one counterpart: give the others one direction."
                yield fault(subject, "DIPV1023", text, *shared[-1].path, hint=hint)


def no_target_twice(subject: Subject) -> Faults:
    for source in Side:
        found: dict[str, Pair] = {}
        for pair in subject.pairs:
            if not pair.flows(source):
                continue
            name = end(pair, source.other)
            if name in found:
                same = not pair.is_constant and end(pair, source) == end(found[name], source)
                code = "DIPV1029" if same else "DIPV1026"
                what = f"{end(pair, source)} and {name} are paired twice." if same else f"{name} gets a value twice."
                yield fault(subject, code, what, *pair.path, hint="Leave one of them out.", kind="FC6003")
            found.setdefault(name, pair)


def types_fit(subject: Subject) -> Faults:
    for pair in subject.columns:
        own, theirs = pair.field, traveller(pair)
        if own is None or theirs is None or pair.record.values or not known(own):
            continue
        try:
            if value_pairs(subject, pair):
                continue
        except ValueError as error:
            hint = "Write 'values: {<operations>: <Dataverse>, …}'."
            yield fault(subject, "DIPV1030", f"{pair.name} and {pair.column.text}: {error}", *pair.path, hint=hint)
            continue
        for side, source, target in ((Side.OPERATIONS, own, theirs), (Side.DATAVERSE, theirs, own)):
            if pair.flows(side) and not goes_into(source.kind, target.kind):
                text = (
                    f"{pair.name} is {own.kind.value}, {pair.column.text} is {theirs.kind.value}: "
                    f"values would not fit {side.other.value}."
                )
                hint = "Map columns of one type, go one way, or write 'values:'."
                yield fault(subject, "DIPV1030", text, *pair.path, hint=hint)
                break


def values_fit(subject: Subject) -> Faults:
    """Value maps and defaults hold values of their columns."""
    for pair in subject.pairs:
        own, theirs = pair.field, traveller(pair)
        ends = ((own, subject.model.enums), (theirs, subject.tables.enums))
        for left, right in pair.record.values.items():
            for value, (field, enums) in zip((left, right), ends, strict=True):
                yield from _fits(subject, pair, value, field, enums, "values", left)
        yield from _fits(
            subject, pair, pair.record.dataverse_default, theirs, subject.tables.enums, "dataverse_default"
        )
        yield from _fits(subject, pair, pair.record.operations_default, own, subject.model.enums, "operations_default")
        if pair.is_constant:
            field, enums = (theirs, subject.tables.enums) if pair.column.text else (own, subject.model.enums)
            yield from _fits(subject, pair, pair.constant, field, enums)
            if pair.constant is None:
                yield fault(subject, "DIPV1031", "a constant needs a value.", *pair.path, hint="Leave it out for null.")


def value_maps_are_total(subject: Subject) -> Faults:
    """Every value that a side may hold has a counterpart in the directions that the column goes."""
    for pair in subject.columns:
        own, theirs = pair.field, traveller(pair)
        if own is None or theirs is None or (not pair.record.values and theirs.kind is own.kind is not own.kind.ENUM):
            continue
        try:
            pairs = value_pairs(subject, pair)
        except ValueError:
            continue
        if not pairs:
            continue
        for side, field, enums, position in (
            (Side.OPERATIONS, own, subject.model.enums, 0),
            (Side.DATAVERSE, theirs, subject.tables.enums, 1),
        ):
            held = domain(field, enums)
            if not pair.flows(side) or held is None:
                continue
            missing = [
                written(value, field, enums) for value in held if value not in {item[position] for item in pairs}
            ]
            if missing:
                text = f"the value map of {pair.name} lacks {', '.join(missing[:8])} of {side.value}."
                back = " or go one way" if pair.direction == "both" else ""
                hint = f"Give each a counterpart{back}."
                yield fault(
                    subject, "DIPV1030", text, *pair.path, *(("values",) if pair.record.values else ()), hint=hint
                )


def value_maps_turn_round(subject: Subject) -> Faults:
    """The way back is a function too."""
    for pair in subject.columns:
        if not pair.flows(Side.DATAVERSE) or not pair.record.values:
            continue
        try:
            pairs = value_pairs(subject, pair)
        except ValueError:
            continue
        theirs = traveller(pair)
        for value, count in Counter(right for _, right in pairs).items():
            if count > 1 and theirs is not None:
                text = f"{written(value, theirs, subject.tables.enums)} stands for {count} values of {pair.name}."
                hint = "Map each to its own value, or write 'direction: to_dataverse'."
                yield fault(subject, "DIPV1030", text, *pair.path, "values", hint=hint)


def mandatory_columns_are_mapped(subject: Subject) -> Faults:
    entity, table = subject.entity, subject.table
    assert entity is not None and table is not None
    company = subject.company.field.name if subject.company is not None and subject.company.field is not None else ""
    if Side.OPERATIONS in subject.sides:
        given = {p.column.field.name for p in subject.pairs if p.column.field is not None and p.flows(Side.OPERATIONS)}
        for field in table.fields.values():
            if (
                field.required
                and field.creatable
                and not field.filled
                and field.name not in given | {company, *table.key}
            ):
                text = f"{field.column} of {table.name} is required and not mapped."
                hint = f"Map a field to it, or write 'constants: {{dataverse: {{{field.column}: <value>}}}}'."
                yield fault(subject, "DIPV1010", text, "columns", hint=hint)
    if Side.DATAVERSE in subject.sides and not entity.read_only:
        sent = {pair.name for pair in subject.pairs if pair.flows(Side.DATAVERSE)}
        for field in entity.fields.values():
            needed = (field.required or field.name in entity.key) and field.creatable and not field.filled
            if needed and field.name not in sent | {entity.company}:
                text = f"{field.name} of {entity.name} is required and not mapped."
                hint = f"Map it, or write 'constants: {{operations: {{{field.name}: <value>}}}}'."
                yield fault(subject, "DIPV1010", text, "columns", hint=hint)


def mandatory_columns_get_a_value(subject: Subject) -> Faults:
    entity = subject.entity
    assert entity is not None
    for pair in subject.columns:
        own, theirs = pair.field, pair.column.field
        if own is None or theirs is None or subject.is_key(pair):
            continue
        sure = own.required or own.name in entity.key or not own.nullable or not own.storage
        if pair.flows(Side.OPERATIONS) and theirs.required and not sure and pair.record.dataverse_default is None:
            text = f"{theirs.column} is required, and {own.name} may be null."
            hint = "Write 'dataverse_default:' with the value that stands for none."
            yield fault(subject, "DIPV1031", text, *pair.path, hint=hint)
        sure = theirs.required or not theirs.nullable or own.filled
        if pair.flows(Side.DATAVERSE) and own.required and not sure and pair.record.operations_default is None:
            text = f"{own.name} is required, and {theirs.column} may be null."
            hint = "Write 'operations_default:' with the value that stands for none."
            yield fault(subject, "DIPV1031", text, *pair.path, hint=hint)


def filters_are_conditions(subject: Subject) -> Faults:
    entity, table = subject.entity, subject.table
    assert entity is not None and table is not None
    texts = subject.record.filter
    for side, text, owner, model in (
        (Side.OPERATIONS, texts.operations, entity, subject.model),
        (Side.DATAVERSE, texts.dataverse, table, subject.tables),
    ):
        try:
            filters.parse(text, owner, model, side)
        except Refusal as error:
            what = f"the filter on {side.value} can't be read: {error.message}"
            yield fault(subject, "DIPV1012", what, "filter", side.value, hint=error.hint)
        else:
            if text.strip() and side not in subject.sides and not subject.sides:
                yield fault(subject, "DIPV1012", f"no row starts on {side.value}.", "filter", side.value)


def directions_make_sense(subject: Subject) -> Faults:
    record = subject.record
    if not subject.sides:
        yield fault(subject, "", "the map has no columns.", "columns", hint="Map at least the integration key.")
    for pair in subject.columns:
        for name, value, source in (
            ("dataverse_default", pair.record.dataverse_default, Side.OPERATIONS),
            ("operations_default", pair.record.operations_default, Side.DATAVERSE),
        ):
            if value is not None and not pair.flows(source):
                text = f"{name} has no effect: the column goes {pair.direction}."
                yield fault(subject, "", text, *pair.path, name, hint="Leave it out.", kind="FC6003")
    for side in Side:
        stated = record.constants.operations if side is Side.OPERATIONS else record.constants.dataverse
        if stated and subject.sides and side.other not in subject.sides:
            text = f"constants of {side.value} have no effect: no row goes there."
            yield fault(subject, "", text, "constants", side.value, hint="Leave them out.", kind="FC6003")
    if len(subject.sides) == 1 and "initial" in subject.document.data:
        (source,) = subject.sides
        if record.initial.master != source.value and "master" in subject.document.data["initial"]:
            text = f"rows come from {source.value} alone, so that is the master."
            yield fault(subject, "", text, "initial", "master", hint=f"Write 'master: {source.value}'.", kind="FC6003")


def _repeated(subject: Subject, side: Side) -> Iterator[list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in subject.columns:
        found.setdefault(end(pair, side), []).append(pair)
    return (shared for shared in found.values() if len(shared) > 1)


def _fits(
    subject: Subject,
    pair: Pair,
    value: Value,
    field: EntityField | None,
    enums: Mapping[str, Enum],
    *path: str | int,
) -> Faults:
    if field is None:
        return
    try:
        stored(value, field, enums)
    except ValueError as error:
        text = f"'{value}' is no value of {field.column if field.choice else field.name}: {error}"
        yield fault(subject, "DIPV1030", text, *pair.path, *path)


RULES: tuple[Rule, ...] = (
    directions_make_sense,
    targets_can_be_written,
    no_source_twice,
    no_target_twice,
    types_fit,
    values_fit,
    value_maps_are_total,
    value_maps_turn_round,
    mandatory_columns_are_mapped,
    mandatory_columns_get_a_value,
    filters_are_conditions,
)
