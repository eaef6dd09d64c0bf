"""The text of a drafted solution's files, for :mod:`forecourt.operations.draft`.

YAML as a maker would write it: a comment on top, one line a field, quotes only where YAML needs them. Names of a
database may hold anything; a comment takes them as one printable line, a value is quoted and escaped.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence

from forecourt.operations.draft_entities import COMPANY, EntityDraft, printable
from forecourt.store.catalog import TableColumn

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*(?: [A-Za-z0-9_.-]+)*")
_WORDS_OF_YAML = frozenset({"y", "n", "yes", "no", "true", "false", "on", "off", "null", "none"})
_ESCAPES = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\", '"': r"\""}

#: Ids of drafted views: made of the table's name, so that a draft of the same database has the same ones.
_VIEWS = uuid.UUID("6f0b6f0e-3f0c-5c53-9a8e-8f5b7b1d7d11")

#: Types that no list shows.
_LARGE = frozenset({"bytea", "json", "jsonb", "xml", "tsvector"})
_IN_A_VIEW = 8
_NAMING = ("name", "title", "description")


def scalar(text: str) -> str:
    """A text as a YAML scalar, in flow style too.

    >>> print(scalar("Order line"), scalar("no"), scalar("it's"), scalar("a: b"), scalar("x" + chr(10)))
    Order line 'no' 'it''s' 'a: b' "x\\n"
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(sign) for sign in text) + '"'


def _escaped(sign: str) -> str:
    if sign in _ESCAPES:
        return _ESCAPES[sign]
    return sign if sign.isprintable() else f"\\U{ord(sign):08X}"


def flow(entries: Mapping[str, str | bool]) -> str:
    """A mapping on one line."""
    shown = {key: str(value).lower() if isinstance(value, bool) else scalar(value) for key, value in entries.items()}
    return "{" + ", ".join(f"{scalar(key)}: {value}" for key, value in shown.items()) + "}"


def listed(items: Iterable[str]) -> str:
    """A list on one line."""
    return "[" + ", ".join(map(scalar, items)) + "]"


def entity_file(entity: EntityDraft, number: int | None) -> str:
    """``operations/entities/<name>.yaml``. ``number``: an entity number of its own, where the computed one is taken."""
    table, alias = entity.table, entity.public_name
    root: dict[str, str | bool] = {"table": str(table.name), "alias": alias}
    if entity.record_id is not None:
        root["record_id"] = entity.record_id
    lines = [
        f"# {entity.label_plural}: table {printable(str(table.name))}.",
        f"name: {entity.name}",
        *([f"id: {number}"] if number is not None else []),
        f"public_name: {entity.public_name}",
        f"collection: {entity.collection}",
        f"label: {scalar(entity.label)}",
        f"label_plural: {scalar(entity.label_plural)}",
        f"root: {flow(root)}",
        *([f"company: {entity.company}"] if entity.company is not None else []),
        f"key: {listed(entity.key)}",
        "fields:",
    ]
    for column, name in entity.fields.items():
        reference = f"{alias}.{column}" if "." in column else column
        lines.append(f"  {name}: {flow({'column': reference, 'label': entity.labels[name]})}")
    if entity.relations:
        lines.append("relations:")
    for relation in entity.relations:
        lines += [f"  {relation.name}:", f"    entity: {relation.entity}", f"    on: {flow(dict(relation.on))}"]
        lines += ["    many: true"] if relation.many else []
    return _text(lines)


def table_file(entity: EntityDraft) -> str:
    """``dataverse/tables/<table>.yaml``: the virtual table of an entity with a record id, and its view."""
    table = virtual_name(entity)
    shown = _shown(entity)
    name = next((c for word in _NAMING for c in shown if entity.fields[c.name].lower().endswith(word)), None)
    lines = [
        f"# {entity.label_plural}, live from table {printable(str(entity.table.name))}.",
        f"table: {table}",
        f"virtual: {entity.name}",
        f"label: {scalar(entity.label)}",
        f"label_plural: {scalar(entity.label_plural)}",
        *([f"primary_name: {_column(entity, name)}"] if name is not None else []),
        "",
        "views:",
        f"  - id: {uuid.uuid5(_VIEWS, table)}",
        f"    name: {scalar(f'All {entity.label_plural[:1].lower()}{entity.label_plural[1:]}')}",
        "    columns:",
        *(f"      - {_column(entity, column)}" for column in shown),
        f"    order: [{{column: mserp_{entity.key[-1].lower()}}}]",
    ]
    return _text(lines)


def virtual_name(entity: EntityDraft) -> str:
    """The name of the entity's virtual table (operations-and-integration 2.4)."""
    return f"mserp_{entity.name.lower()}"


def _column(entity: EntityDraft, column: TableColumn) -> str:
    return f"mserp_{entity.fields[column.name].lower()}"


def _shown(entity: EntityDraft) -> list[TableColumn]:
    """The columns of the view: the key first, then what fits a list."""
    columns = entity.table.columns
    fit = [c for c in columns.values() if c.type not in _LARGE and not c.type.startswith("_")]
    keys = [c for c in fit if entity.fields[c.name] in entity.key]
    return (keys + [c for c in fit if c not in keys])[: max(_IN_A_VIEW, len(keys))]


def solution_file(name: str, title: str, variable: str, companies: bool) -> str:
    """``solution.yaml``."""
    lines = [
        "# Drafted from an existing PostgreSQL database, which is attached as it is: no table of it is altered.",
        "# Its address stands in the environment alone, never in a file of the solution.",
        f"name: {scalar(name)}",
        f"title: {scalar(title)}",
        f"tenant: {scalar(name)}",
        "",
        "# Someone outside reads nothing of an entity that no active policy constrains.",
        "external_users: policy-required",
        "",
        "# Contacts and sign-ins in the PostgreSQL that is started with the solution; the rows where they are.",
        f"connections: {{dataverse: embedded, operations: '${{{variable}}}'}}",
    ]
    if companies:
        lines += [
            "",
            f"# The companies that {COMPANY} names:",
            "# legal_entities:",
            "#   - {id: usmf, name: Contoso Manufacturing USA, currency: USD}",
        ]
    lines += [
        "",
        "# A program that signs in by itself (client credentials). Its secret is made at the first start.",
        "# applications:",
        "#   - {client_id: integration, user: admin}",
    ]
    return _text(lines)


def roles_file(entities: Sequence[EntityDraft], prefix: str, title: str) -> str:
    """``operations/roles.yaml``: one role that reads everything, one administrator."""
    lines = [
        "# Who may do what: roles hold duties, duties hold privileges, a privilege grants one task on data entities.",
        f"# {prefix}Reader is for people inside. A role for people outside reads what its task needs, and policies in",
        "# operations/policies/ say which rows; README.md has an example.",
        "",
        "privileges:",
        f"  {prefix}View:",
        f"    label: {scalar(f'View everything of {title}')}",
        "    entities:",
        *(f"      {entity.name}: {{grant: [read]}}" for entity in entities),
        "",
        "duties:",
        f"  {prefix}Inquire:",
        f"    label: {scalar(f'Inquire into everything of {title}')}",
        f"    privileges: [{prefix}View]",
        "",
        "roles:",
        f"  {prefix}Reader:",
        f"    label: {scalar(f'Reader of {title} (internal)')}",
        f"    duties: [{prefix}Inquire]",
        "  '-SYSADMIN-':",
        "    label: System administrator",
        "",
        "# Policies do not restrain administrators: never map a contact to one.",
        "users:",
        "  - {id: admin, name: Administrator, roles: ['-SYSADMIN-']}",
    ]
    return _text(lines)


def security_roles_file() -> str:
    """``dataverse/roles.yaml``."""
    return _text(
        [
            "# Security roles of Dataverse, by operations user. Who keeps contacts and mappings needs one.",
            "users:",
            "  admin: [System Administrator]",
        ]
    )


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
