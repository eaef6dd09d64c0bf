"""``forecourt schema``: JSON Schemas of the definition files, made from the records that read them.

A schema and the loader cannot disagree: both come from the same msgspec Struct. Descriptions of shapes are the
Structs' docstrings; those of fields are in ``words``, one sentence each, and the reference pages are made from them
too. Left out: the files under ``site/``, whose keys are the portal's data model and not ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from forecourt.cli.words import FIELDS as FIELDS
from forecourt.dataverse import definitions as dv
from forecourt.integration.dual_write import definitions as dw
from forecourt.kernel import solution as head
from forecourt.kernel.label import Label
from forecourt.operations import definitions as ops
from forecourt.operations.packages import definitions as packages

#: The dialect that msgspec writes.
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class FileKind:
    """A kind of definition file. ``pattern``: where its files are, below the solution's folder."""

    name: str
    pattern: str
    shape: type[head.Record]


KINDS: Final[tuple[FileKind, ...]] = (
    FileKind("solution", "solution.yaml", head.SolutionHeader),
    FileKind("labels", "labels/*.yaml", head.LabelsFile),
    FileKind("entity", "operations/entities/*.yaml", ops.EntityFile),
    FileKind("enums", "operations/enums.yaml", ops.EnumsFile),
    FileKind("number-sequences", "operations/number_sequences.yaml", ops.NumberSequencesFile),
    FileKind("roles", "operations/roles.yaml", ops.RolesFile),
    FileKind("projects", "operations/projects.yaml", packages.ProjectsFile),
    FileKind("policy", "operations/policies/*.yaml", ops.PolicyFile),
    FileKind("construct", "operations/constructs/*.yaml", ops.ConstructFile),
    FileKind("table", "dataverse/tables/*.yaml", dv.TableFile),
    FileKind("dataverse-roles", "dataverse/roles.yaml", dv.DataverseRoles),
    FileKind("map", "maps/*.yaml", dw.MapFile),
)


def plain(docstring: str | None) -> str:
    """A docstring as one paragraph without reStructuredText's marks.

    >>> plain("A grant. ``[]``: all,\\n    see :class:`Role`.")
    'A grant. `[]`: all, see `Role`.'
    """
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", docstring or "")
    return " ".join(text.replace("``", "`").split())


def schema_of(kind: FileKind) -> dict[str, Any]:
    """The JSON Schema of a kind of file. Every property has a description."""
    documents, definitions = msgspec.json.schema_components(
        [kind.shape], ref_template="#/$defs/{name}", schema_hook=_label
    )
    shapes = {shape.__name__: shape for shape in FIELDS}
    for name, definition in definitions.items():
        shape = shapes.get(name)
        if shape is None:
            continue
        definition.pop("description", None)
        if shape.__doc__:
            definition["description"] = plain(shape.__doc__)
        for field, text in FIELDS[shape].items():
            definition["properties"][field]["description"] = text
    return {
        "$schema": DIALECT,
        "$id": f"urn:forecourt:schema:{kind.name}",
        "title": kind.pattern,
        **documents[0],
        "$defs": definitions,
    }


def _label(kind: type) -> dict[str, Any]:
    """The schema of a label: a text, or texts by language."""
    if kind is not Label:
        raise NotImplementedError(kind)
    texts = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}
    return {"anyOf": [{"type": "string"}, texts]}


def render(kind: FileKind) -> str:
    """The schema as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(schema_of(kind)), indent=2).decode() + "\n"


@click.command()
@click.argument("kind", required=False, type=click.Choice([kind.name for kind in KINDS]))
@click.option(
    "--write",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write all schemas to DIR, as <kind>.schema.json.",
)
def schema(kind: str | None, folder: Path | None) -> None:
    """Prints the JSON Schema of a kind of definition file. Without KIND, lists the kinds.

    Editors complete and check YAML by it: put `# yaml-language-server: $schema=...` on the first line of a file.

    \b
    Examples:
      forecourt schema
      forecourt schema policy
      forecourt schema --write schemas
    """
    if kind is not None and folder is not None:
        raise click.UsageError("--write writes all kinds: leave KIND out.")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for item in KINDS:
            path = folder / f"{item.name}.schema.json"
            path.write_text(render(item), "utf-8")
            click.echo(path)
        return
    if kind is not None:
        click.echo(render(next(item for item in KINDS if item.name == kind)), nl=False)
        return
    width = max(len(item.name) for item in KINDS)
    for item in KINDS:
        click.echo(f"{item.name:{width}}  {item.pattern}")
