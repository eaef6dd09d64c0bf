"""Rules about a map's company and integration key (operations-and-integration 1.4, 1.5)."""

from __future__ import annotations

from collections import Counter

from forecourt.integration.dual_write.faults import Faults, Rule, fault, traveller
from forecourt.integration.dual_write.maps import value_pairs
from forecourt.integration.dual_write.subject import COMPANY_TABLE, Subject, company_lookups
from forecourt.integration.dual_write.values import written
from forecourt.kernel.document import suggest
from forecourt.kernel.sync import Side


def company_on_both_sides(subject: Subject) -> Faults:
    entity, table = subject.entity, subject.table
    assert entity is not None and table is not None
    if subject.striped and not subject.companies:
        lookups = company_lookups(table)
        if subject.record.company is not None and lookups:
            text = f"{table.name} has no lookup '{subject.record.company}' to {COMPANY_TABLE}."
            yield fault(
                subject, "DIPV1002", text, "company", hint=suggest(subject.record.company, (f.column for f in lookups))
            )
        else:
            text = f"{entity.name} belongs to legal entities, {table.name} to no company."
            hint = f"Add a lookup to {COMPANY_TABLE} to the table: msdyn_company."
            yield fault(subject, "DIPV1002", text, "table", hint=hint)
    elif subject.striped and len(subject.companies) > 1:
        names = ", ".join(field.column for field in subject.companies)
        text = f"{table.name} has several lookups to {COMPANY_TABLE}."
        yield fault(subject, "DIPV1002", text, "table", hint=f"Say which one with 'company:': {names}.")
    elif not subject.striped:
        owning = next((field for field in company_lookups(table) if field.name in subject.key), None)
        if subject.record.company is not None:
            text = f"{entity.name} is shared by all legal entities, so rows have no company."
            yield fault(subject, "DIPV1002", text, "company", hint="Leave 'company:' out.")
        elif owning is not None and table.name != COMPANY_TABLE:
            text = f"{entity.name} has no company, rows of {table.name} are told apart by {owning.column}."
            yield fault(
                subject,
                "DIPV1002",
                text,
                "entity",
                hint="Map an entity with 'company:', or give the table a key without it.",
            )


def company_is_not_mapped(subject: Subject) -> Faults:
    """The company goes with every row; a text column may show its code, one way."""
    assert subject.entity is not None
    if subject.company is None:
        return
    for pair in subject.pairs:
        is_lookup = pair.column.field is not None and pair.column.field in subject.companies
        is_field = pair.name == subject.entity.company and pair.direction != "to_dataverse"
        if is_lookup or is_field:
            text = "the company of a row is mapped by itself."
            yield fault(subject, "DIPV1002", text, *pair.path, hint="Leave this column out.", kind="FC6003")


def legal_entities_exist(subject: Subject) -> Faults:
    if subject.striped and not subject.model.legal_entities:
        text = "the solution has no legal entities, so no row would travel."
        yield fault(subject, "DIPV1016", text, "entity", hint="List them in solution.yaml: legal_entities.")


def integration_key_exists(subject: Subject) -> Faults:
    table = subject.table
    assert table is not None
    path = ("key",) if subject.record.key else ("table",)
    keys = [key for key in subject.unique_keys if subject.record.key or key != table.key]
    if not subject.key:
        text = f"{table.name} has no alternate key, and the map names no integration key."
        yield fault(subject, "DIPV1003", text, *path, hint=f"Add 'keys:' to the table {table.name}.")
        return
    unknown = [name for name in subject.key if name not in table.fields]
    if unknown:
        text = f"{table.name} has no column '{unknown[0]}'."
        yield fault(
            subject, "DIPV1003", text, *path, hint=suggest(unknown[0], (f.column for f in table.fields.values()))
        )
    elif not any(set(key) <= set(subject.key) for key in keys):
        columns = ", ".join(table.fields[name].column for name in subject.key)
        text = f"no alternate key of {table.name} has the columns {columns}: they name no single row."
        yield fault(subject, "DIPV1003", text, *path, hint=f"Add 'keys: {{<name>: [{columns}]}}' to the table.")


def key_is_mapped(subject: Subject) -> Faults:
    assert subject.table is not None
    mapped = {pair.column.field.name for pair in subject.columns if pair.column.field is not None}
    company = subject.company.field.name if subject.company is not None and subject.company.field is not None else ""
    for name in subject.key:
        found = subject.table.fields.get(name)
        if found is not None and name not in mapped and name != company:
            code = "DIPV1027" if found.targets else "DIPV1014"
            text = f"{found.column} is part of the integration key and not mapped."
            example = f"<Field>: {found.column}" + (".<natural key>" if found.targets else "")
            yield fault(subject, code, text, "columns", hint=f"Add '{example}'.")


def entity_key_is_mapped(subject: Subject) -> Faults:
    """Where rows go to operations, the integration key names the row there as well."""
    entity = subject.entity
    assert entity is not None
    if Side.DATAVERSE not in subject.sides:
        return
    in_key = {pair.name for pair in subject.columns if subject.is_key(pair)}
    own = [name for name in entity.key if name != entity.company]
    for name in own:
        if name not in in_key:
            mapped = next((pair for pair in subject.columns if pair.name == name), None)
            path = mapped.path if mapped is not None else ("columns",)
            text = f"{name} is a key field of {entity.name} and not in the integration key."
            hint = "Map it to a column of an alternate key of the table, or make the map 'direction: to_dataverse'."
            yield fault(subject, "DIPV1015", text, *path, hint=hint)


def key_columns_come_once(subject: Subject) -> Faults:
    repeated = [name for name, count in Counter(subject.record.key).items() if count > 1]
    if repeated:
        text = f"{repeated[0]} is in the integration key twice."
        yield fault(subject, "DIPV1003", text, "key", subject.record.key.index(repeated[0]), hint="Leave one out.")


def key_values_stay_apart(subject: Subject) -> Faults:
    """Two values of a key column that have one counterpart would make two rows one."""
    for pair in subject.columns:
        theirs = traveller(pair)
        if not subject.is_key(pair) or not pair.record.values or theirs is None or pair.flows(Side.DATAVERSE):
            continue  # where values go back, the value map has to turn round anyway
        try:
            pairs = value_pairs(subject, pair)
        except ValueError:
            continue
        for value, count in Counter(right for _, right in pairs).items():
            if count > 1:
                shown = written(value, theirs, subject.tables.enums)
                text = f"{pair.name} is part of the integration key, and {shown} stands for {count} of its values."
                hint = "Map each to its own value: their rows would be one."
                yield fault(subject, "DIPV1030", text, *pair.path, "values", hint=hint)


def key_goes_both_ways(subject: Subject) -> Faults:
    if len(subject.sides) < 2:
        return
    for pair in subject.columns:
        if subject.is_key(pair) and pair.direction != "both":
            text = (
                f"{pair.name} is part of the integration key and goes {pair.direction} only, while rows go both ways."
            )
            hint = "Write 'direction: both' here, or give the whole map one direction."
            yield fault(subject, "DIPV1004", text, *pair.path, hint=hint)


RULES: tuple[Rule, ...] = (
    company_on_both_sides,
    company_is_not_mapped,
    legal_entities_exist,
    integration_key_exists,
    key_is_mapped,
    entity_key_is_mapped,
    key_columns_come_once,
    key_values_stay_apart,
    key_goes_both_ways,
)
