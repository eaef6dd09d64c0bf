"""What can be wrong with a table map, as an ordered tuple of rules: the codes of dual-write.

A rule is a pure function from a :class:`~forecourt.integration.dual_write.subject.Subject` to its faults; each message
begins with the code (``DIPV1003``), says what is wrong, and what to write instead. Rules about one map are ``RULES``;
what several maps say together is in ``loader``. Source: operations-and-integration 1.3-1.5, 1.14.

Leaves out what a file cannot be wrong about: connections (1000), business units of teams (1008), a stale cache.
"""

from __future__ import annotations

import re

from forecourt.integration.dual_write import column_checks, key_checks, setting_checks
from forecourt.integration.dual_write.faults import Faults, Rule, fault, place
from forecourt.integration.dual_write.subject import Subject, natural_keys
from forecourt.kernel.document import suggest
from forecourt.kernel.errors import DefinitionError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){1,3}")


def check(subject: Subject) -> tuple[DefinitionError, ...]:
    """The faults of one map. Rules after the first faulty group would only repeat it."""
    for group in (HEAD, NAMES, RULES):
        found = tuple(fault for rule in group for fault in rule(subject))
        if found:
            return found
    return ()


def name_and_version(subject: Subject) -> Faults:
    record = subject.record
    if not _NAME.fullmatch(record.name):
        yield fault(
            subject, "", f"'{record.name}' is not a name of a map.", "name", hint="Write letters, digits, - _ and dot."
        )
    if not _VERSION.fullmatch(record.version):
        hint = "Write two to four numbers with dots, in quotes: '1.0.0.0'."
        yield fault(subject, "", f"'{record.version}' is not a version.", "version", hint=hint)


def entity_known(subject: Subject) -> Faults:
    if subject.entity is None:
        text = f"data entity '{subject.record.entity}' is not known."
        by_name = {**subject.model.by_collection, **subject.model.by_public_name}.get(subject.record.entity)
        hint = (
            f"Write its physical name: {by_name.name}."
            if by_name is not None
            else suggest(subject.record.entity, subject.model.entities)
        )
        yield fault(subject, "DIPV1018", text, "entity", hint=hint)


def table_known(subject: Subject) -> Faults:
    if subject.table is None:
        text = f"Dataverse table '{subject.record.table}' is not known."
        hint = suggest(subject.record.table, subject.tables.entities)
        yield fault(subject, "DIPV1020", text, "table", hint=hint)


def table_stores_rows(subject: Subject) -> Faults:
    if subject.table is not None and (subject.table.virtual_of is not None or not subject.table.version):
        text = f"{subject.table.name} is a virtual table: it has no versionnumber and keeps no rows of its own."
        yield fault(subject, "DIPV1019", text, "table", hint="Map a native table, one with 'columns:'.")


HEAD: tuple[Rule, ...] = (name_and_version, entity_known, table_known, table_stores_rows)


def fields_known(subject: Subject) -> Faults:
    assert subject.entity is not None
    for pair in subject.pairs:
        if pair.name and pair.field is None:
            code = "DIPV1025" if pair.direction == "to_operations" else "DIPV1021"
            text = f"{subject.entity.name} has no field '{pair.name}'."
            yield fault(subject, code, text, *pair.path, hint=suggest(pair.name, subject.entity.fields))


def columns_known(subject: Subject) -> Faults:
    assert subject.table is not None
    for pair in subject.pairs:
        if pair.column.text and pair.column.field is None:
            code = "DIPV1022" if pair.direction == "to_operations" else "DIPV1024"
            columns = [field.column for field in subject.table.fields.values()]
            text = f"{subject.table.name} has no column '{pair.column.lookup}'."
            yield fault(subject, code, text, *place(pair), hint=suggest(pair.column.lookup, columns))


def lookups_by_natural_key(subject: Subject) -> Faults:
    """A lookup is written with the natural key of its row, and nothing else is."""
    for pair in subject.pairs:
        column = pair.column
        if column.field is None:
            continue
        code = "DIPV1027" if subject.is_key(pair) else "DIPV1028"
        if not column.targets:
            if column.natural:
                text = f"{column.lookup} is no lookup, so '.{column.natural}' leads nowhere."
                yield fault(subject, "DIPV1024", text, *place(pair), hint=f"Write {column.lookup}.")
        elif column.target is None:
            assert subject.table is not None
            ways = [r.name for r in subject.table.relations.values() if not r.many and r.column == column.field.column]
            text = f"{column.lookup} leads to several tables: {', '.join(column.targets)}."
            example = f"{ways[0] if ways else column.lookup}.{column.natural or '<natural key>'}"
            yield fault(subject, code, text, *place(pair), hint=f"Name the way to one of them: {example}.")
        elif column.reference is None:
            known_keys = [name for name in natural_keys(column.target) if name != column.target.key[0]]
            shown = (
                ", ".join(f"{column.lookup}.{name}" for name in known_keys) or "an alternate key of it, which it lacks"
            )
            what = (
                f"'{column.natural}' is no column of {column.target.name}"
                if column.natural
                else "its row is named by a natural key"
            )
            yield fault(
                subject,
                code,
                f"{column.lookup} is a lookup to {column.target.name}; {what}.",
                *place(pair),
                hint=f"Write {shown}.",
            )


def natural_key_is_unique(subject: Subject) -> Faults:
    for pair in subject.pairs:
        reference, target = pair.column.reference, pair.column.target
        if reference is None or target is None:
            continue
        code = "DIPV1027" if subject.is_key(pair) else "DIPV1028"
        keys = natural_keys(target)
        if reference.natural not in keys:
            text = f"{pair.column.natural} does not name one row of {target.name}: it is no alternate key of it."
            hint = f"Add it to 'keys:' of {target.name}, or use {', '.join(list(keys)[1:]) or 'another column'}."
            yield fault(subject, code, text, *place(pair), hint=hint)
        elif reference.company is not None and not subject.striped:
            text = f"{target.name} has a {pair.column.natural} in each company, and this map's rows have no company."
            yield fault(subject, code, text, *place(pair), hint="Look up a table that is shared by all companies.")


NAMES: tuple[Rule, ...] = (fields_known, columns_known, lookups_by_natural_key, natural_key_is_unique)

RULES: tuple[Rule, ...] = (*key_checks.RULES, *column_checks.RULES, *setting_checks.RULES)
