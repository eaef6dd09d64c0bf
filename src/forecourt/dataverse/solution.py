"""The Dataverse part of a solution: table files, the built-in ones first, security roles and plug-ins, loaded and
checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from forecourt.dataverse.definitions import TableFile
from forecourt.dataverse.design import Design, design, targets_of
from forecourt.dataverse.design_checks import check_native
from forecourt.dataverse.entities import native_tables, person_relationships, statuses
from forecourt.dataverse.plugins import Plugins, load_plugins
from forecourt.dataverse.roles import load_roles
from forecourt.dataverse.stamps import Status
from forecourt.dataverse.tables import Table, Tables
from forecourt.kernel.document import Document, suggest
from forecourt.kernel.label import Words
from forecourt.kernel.model import Enum
from forecourt.security.rules import DataverseRules, PersonRelationship
from forecourt.store.folder import Faults, Loaded, read_files, read_words

STANDARD = Path(__file__).parent / "standard"


@dataclass(frozen=True)
class DataverseSolution:
    """``files``: all table files, built-in ones first; ``native``: tables of schema ``dataverse``; ``statuses``: which
    status reason belongs to which state, by table; ``design``: the native tables with all their columns."""

    files: tuple[Loaded[TableFile], ...]
    native: Mapping[str, Table]
    enums: Mapping[str, Enum] = field(default_factory=dict)
    rules: DataverseRules = field(default_factory=DataverseRules)
    plugins: Plugins = field(default_factory=Plugins)
    statuses: Mapping[str, Status] = field(default_factory=dict)
    design: Design = field(default_factory=lambda: Design({}))


def read_tables(root: Path, faults: Faults) -> tuple[Loaded[TableFile], ...]:
    """All table files, built-in ones first. Faults of native tables are noted; what is not sound is left out."""
    found: list[Loaded[TableFile]] = []
    known: set[str] = set()
    for item in read_files(STANDARD, "*.yaml", TableFile, faults, system_words(root)):
        known.add(item.record.table)
        found.append(item)
    before = len(faults.errors)
    extending = []
    for item in read_files(root, "dataverse/tables/*.yaml", TableFile, faults):
        if item.record.extends:
            extending.append(item)
        elif _sound(item, known, faults):
            known.add(item.record.table)
            found.append(item)
    built_in = built_in_tables()
    found += [item for item in extending if _extends(item, built_in, faults)]
    if len(faults.errors) == before:
        check_native(found, faults)
    return tuple(found)


def system_words(root: Path) -> Words:
    """Translations of what is built in, by language: the product's own, and before them those of the solution."""
    own, theirs = read_words(STANDARD, Faults()), read_words(root, Faults())
    return {code: {**own.get(code, {}), **theirs.get(code, {})} for code in own.keys() | theirs.keys()}


def built_in_tables() -> frozenset[str]:
    """The native tables that every solution has."""
    return frozenset(path.stem for path in STANDARD.glob("*.yaml"))


def load_dataverse(root: Path, entities: frozenset[str], faults: Faults) -> DataverseSolution:
    """Reads ``dataverse/``. ``entities``: names of the data entities that virtual tables may stand on."""
    read = read_tables(root, faults)
    files = _coherent(read, faults)
    kept = {item.document.file for item in files}
    faults.lost |= {item.record.table: item.document.file for item in read if item.document.file not in kept}
    for item in files:
        virtual = item.record.virtual
        if virtual is not None and virtual not in entities:
            hint = suggest(virtual, entities)
            faults.add(
                item.document.error(f"data entity '{virtual}' is not known.", "virtual", hint=hint, code="FC6002")
            )
            faults.lost[item.record.table] = item.document.file
    files = tuple(item for item in files if item.record.virtual is None or item.record.virtual in entities)
    found = design((item.record for item in files), built_in_tables(), system_words(root))
    native, enums = native_tables(found)
    entities_of = {name: table.entity for name, table in native.items()}
    names = frozenset(item.record.table for item in files) | frozenset(native)
    rules = load_roles(root, names, entities_of, faults)
    plugins = load_plugins(root, entities_of, faults)
    return DataverseSolution(files, native, enums, rules, plugins, statuses(found), found)


def _coherent(files: tuple[Loaded[TableFile], ...], faults: Faults) -> tuple[Loaded[TableFile], ...]:
    """The files without faults that lead to no table of a file with faults."""
    faulty = {error.file for error in faults.errors}
    kept = [item for item in files if item.document.file not in faulty]
    while True:
        tables = {item.record.table for item in kept}
        sound = [
            item
            for item in kept
            if item.record.virtual is not None
            or tables.issuperset(
                (
                    *(target for column in item.record.columns.values() for target in targets_of(column)),
                    *(pair.target for pair in item.record.many_to_many),
                )
            )
        ]
        if len(sound) == len(kept):
            return tuple(kept)
        kept = sound


def _sound(item: Loaded[TableFile], known: set[str], faults: Faults) -> bool:
    file, document = item.record, item.document
    if file.table in known:
        hint = "Write 'extends: true' to add to a table that is built in." if file.table in built_in_tables() else ""
        message = f"table {file.table} is defined twice or built in."
        faults.add(document.error(message, "table", hint=hint, code="FC6003"))
        return False
    if (file.virtual is None) == (not file.columns):
        faults.add(document.error("a table has either 'virtual' or 'columns'.", "table"))
        return False
    return True


#: What a file that extends a table leaves to it.
_FIXED = ("virtual", "set", "primary_id", "primary_name", "states", "schema_name")


def _extends(item: Loaded[TableFile], built_in: frozenset[str], faults: Faults) -> bool:
    file, document = item.record, item.document
    if file.table not in built_in:
        hint = suggest(file.table, built_in)
        message = f"table '{file.table}' is not built in."
        faults.add(document.error(message, "table", hint=hint, code="FC6002"))
        return False
    base = next(i.record for i in read_files(STANDARD, f"{file.table}.yaml", TableFile, faults))
    sound = True
    for name in _FIXED:
        if getattr(file, name) is not None and getattr(file, name) != "":
            faults.add(document.error(f"'{name}' of {file.table} is built in.", name, hint="Leave it out."))
            sound = False
    for kind in ("columns", "keys"):
        for name in getattr(file, kind):
            if name in getattr(base, kind):
                faults.add(document.error(f"{file.table} has '{name}' already.", kind, name, code="FC6003"))
                sound = False
    return sound


def check_tables(tables: Tables, files: tuple[Loaded[TableFile], ...], faults: Faults) -> None:
    """Checks what views, forms and relationships name against the finished tables."""
    for item in files:
        file, document = item.record, item.document
        table = tables.by_name.get(file.table)
        if table is None:
            if file.virtual is not None:
                faults.add(
                    document.error(
                        f"data entity {file.virtual} has no record id, so it can't be a virtual table.",
                        "virtual",
                        hint="Give its root a 'record_id:': a column with a unique integer per row.",
                        code="FC6004",
                    )
                )
            continue
        for position, relationship in enumerate(file.relationships):
            for own in relationship.match:
                _known(document, own, table, faults, "relationships", position, "match", own)
        for position, view in enumerate(file.views):
            for place, column in enumerate(view.columns):
                name = column if isinstance(column, str) else column.column
                _shown(document, name, table, faults, "views", position, "columns", place)
            for place, order in enumerate(view.order):
                _known(document, order.column, table, faults, "views", position, "order", place)
        for position, form in enumerate(file.forms):
            for place, section in enumerate(form.sections):
                for at, cell in enumerate(section.columns):
                    name = cell if isinstance(cell, str) else cell.column
                    _shown(document, name, table, faults, "forms", position, "sections", place, "columns", at)
            for place, grid in enumerate(form.subgrids):
                path = ("forms", position, "subgrids", place)
                relation = table.entity.relations.get(grid.relation)
                if relation is None or not relation.many:
                    known = [name for name, found in table.entity.relations.items() if found.many]
                    faults.add(
                        document.error(
                            f"'{grid.relation}' is not a collection relation of {table.name}.",
                            *path,
                            "relation",
                            hint=suggest(grid.relation, known),
                            code="FC6002",
                        )
                    )
                elif tables.by_name[relation.target].view(grid.view) is None:
                    known = [view.name for view in tables.by_name[relation.target].views]
                    faults.add(
                        document.error(
                            f"view '{grid.view}' of {relation.target} is not known.",
                            *path,
                            "view",
                            hint=suggest(grid.view, known),
                            code="FC6002",
                        )
                    )


def _shown(document: Document, name: str, table: Table, faults: Faults, *path: str | int) -> None:
    """A column that is shown; a lookup goes by its logical name too."""
    if table.column(name) is None:
        _known(document, name, table, faults, *path)


def _known(document: Document, name: str, table: Table, faults: Faults, *path: str | int) -> None:
    if name not in table.entity.fields:
        hint = suggest(name, table.entity.fields)
        faults.add(document.error(f"{table.name} has no column '{name}'.", *path, hint=hint, code="FC6002"))


def relationships(
    files: tuple[Loaded[TableFile], ...], tables: Tables, faults: Faults
) -> dict[tuple[str, str], PersonRelationship]:
    """Relationships to contact and account, by (table, name): what table permissions stand on.

    Those that lookups make, and those that a file defines by values. A lookup of the person's row goes by both of its
    names (``_x_value``, ``x``).
    """
    found = dict(person_relationships(design(item.record for item in files)))
    for item in files:
        for position, definition in enumerate(item.record.relationships):
            if definition.target not in ("contact", "account"):
                faults.add(
                    item.document.error(
                        f"a relationship leads to contact or account, not to {definition.target}.",
                        "relationships",
                        position,
                        "target",
                        hint="Relations between data entities belong to the entity's file.",
                    )
                )
                continue
            person = tables.by_name[definition.target]
            for own, theirs in definition.match.items():
                _shown(item.document, theirs, person, faults, "relationships", position, "match", own)
            match = tuple((own, _column(person, theirs)) for own, theirs in definition.match.items())
            key = (item.record.table, definition.name)
            found[key] = PersonRelationship(definition.name, item.record.table, definition.target, match)
    return found


def _column(person: Table, name: str) -> str:
    """The column behind a name of a person's column: values of a person go by it."""
    found = person.column(name)
    return name if found is None else found.column
