"""A first solution for an existing database: :func:`draft` makes its files from the database's catalogue.

Pure: the catalogue in, texts out; who calls it reads the one and writes the others. The draft passes ``check`` and can
be served as it is; nobody from outside sees anything until the maker adds roles and policies. It holds data entities
(:mod:`~forecourt.operations.draft_entities`), a reader role, an administrator, virtual tables with a view each, and a
README that says what comes next. Leaves out a site, policies, enums, and everything that depends on rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forecourt.operations.draft_entities import EntityDraft, draft_entities
from forecourt.operations.draft_files import (
    entity_file,
    roles_file,
    security_roles_file,
    solution_file,
    table_file,
    virtual_name,
)
from forecourt.operations.draft_guide import guide
from forecourt.operations.draft_words import LONGEST_ENTITY, ascii_name, label, words
from forecourt.store.catalog import Catalog


@dataclass(frozen=True)
class Draft:
    """``files``: path in the solution's folder -> text. ``left_out``: ``table: reason.``, for every table left out.

    ``entities`` and ``virtual_tables`` count what was drafted, ``views`` the views that were passed over.
    """

    files: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    entities: int = 0
    virtual_tables: int = 0
    views: int = 0


def variable(name: str) -> str:
    """The environment variable that holds the address of the solution's database.

    >>> variable("adventure-works"), variable("7eleven")
    ('ADVENTURE_WORKS_URL', '_7ELEVEN_URL')
    """
    text = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in name).upper()
    return f"{'_' if text[:1].isdigit() else ''}{text}_URL"


def draft(catalog: Catalog, name: str) -> Draft:
    """The files of a solution called ``name`` over the tables of ``catalog``, in a fixed order."""
    entities, left_out, views = draft_entities(catalog)
    virtual = [entity for entity in entities if entity.record_id is not None]
    parts = words(name)
    title, prefix = label(parts, name), ascii_name(parts, LONGEST_ENTITY, "Solution")
    companies = any(entity.company is not None for entity in entities)
    files = {
        "README.md": guide(name, title, prefix, variable(name), entities, virtual, left_out),
        "solution.yaml": solution_file(name, title, variable(name), companies),
        "operations/roles.yaml": roles_file(entities, prefix, title),
        "dataverse/roles.yaml": security_roles_file(),
    }
    numbers = _numbers(entities)
    for entity in entities:
        files[f"operations/entities/{entity.name}.yaml"] = entity_file(entity, numbers.get(entity.name))
    for entity in virtual:
        files[f"dataverse/tables/{virtual_name(entity)}.yaml"] = table_file(entity)
    return Draft(files, left_out, len(entities), len(virtual), views)


def _numbers(entities: Sequence[EntityDraft]) -> dict[str, int]:
    """Entity numbers for those whose computed one (kernel.model.Entity.entity_id) another entity has already."""
    given: dict[str, int] = {}
    computed = {entity.name: zlib.crc32(entity.name.encode()) & 0x7FFFFFFF for entity in entities}
    taken: set[int] = set()
    for name, number in computed.items():
        if number in taken:
            number = next(n for n in range(1, 1 << 31) if n not in taken and n not in computed.values())
            given[name] = number
        taken.add(number)
    return given
