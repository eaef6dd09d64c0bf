"""Writes the generated parts of the reference pages anew; with --check, says which are stale instead.

A generated part stands between two comments::

    <!-- generated: settings -->
    ...
    <!-- end generated -->

The name chooses the generator: ``settings``, ``errors 1``, ``commands``, ``fields policy``,
``liquid tags``. What is outside of the
comments is written by hand and left alone.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import msgspec

from forecourt.cli import forecourt
from forecourt.cli.schema import FIELDS, KINDS, FileKind, plain
from forecourt.kernel.errors import CODES
from forecourt.kernel.label import Label
from forecourt.pages.liquid import catalogue as liquid
from forecourt.settings import Settings

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

BLOCK = re.compile(r"(<!-- generated: (?P<name>[^>]+?) -->\n).*?(<!-- end generated -->)", re.DOTALL)

#: Columns of a command's help.
WIDTH = 100


def table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A Markdown table. What Markdown would take for markup is escaped, except within backticks."""

    def cell(text: str) -> str:
        parts = text.replace("|", "\\|").split("`")
        parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
        return "`".join(parts)

    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lines += ["| " + " | ".join(cell(text) for text in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------------- settings


def settings() -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for item in fields(Settings):
            default = f"`{item.default}`".lower() if item.default != "" else ""
            kind = {"str": "text", "int": "whole number", "float": "number", "bool": "yes or no"}[str(item.type)]
            yield f"`FORECOURT_{item.name.upper()}`", kind, default, item.metadata["help"]

    return table(("variable", "type", "default", "meaning"), rows())


# --------------------------------------------------------------------------------------------------------- errors


def errors(group: str) -> str:
    """The codes whose number begins with ``group``."""

    def rows() -> Iterator[tuple[str, ...]]:
        for code, (status, meaning) in sorted(CODES.items()):
            if code.startswith(f"FC{group}"):
                yield (f"`{code}`", *((str(status),) if status else ()), meaning)

    has_status = any(status for code, (status, _) in CODES.items() if code.startswith(f"FC{group}"))
    return table(("code", *(("HTTP",) if has_status else ()), "meaning"), rows())


# ------------------------------------------------------------------------------------------------------- commands


def walk(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, click.Context]]:
    """Every command from ``command`` down, groups before what they hold, with the context that formats its help."""
    wide = {**command.context_settings, "max_content_width": WIDTH, "terminal_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **wide)
    yield context.command_path, context
    if isinstance(command, click.Group):
        for child in sorted(command.commands):
            yield from walk(command.commands[child], child, context)


def commands() -> str:
    parts = []
    for path, context in walk(forecourt, "forecourt"):
        text = "\n".join(line.rstrip() for line in context.command.get_help(context).splitlines())
        parts.append(f"## {path}\n\n```text\n{text}\n```\n")
    return "\n" + "\n".join(parts) + "\n"


# ----------------------------------------------------------------------------------------------------------- files


def type_name(info: Any) -> str:
    """A msgspec type in words; a shape is a link to its table."""
    kinds = msgspec.inspect
    match info:
        case kinds.UnionType():
            rest = [inner for inner in info.types if not isinstance(inner, kinds.NoneType)]
            return " or ".join(type_name(inner) for inner in rest)
        case kinds.StructType():
            return f"[{info.cls.__name__}](#{info.cls.__name__.lower()})"
        case kinds.DictType():
            return f"mapping of {type_name(info.value_type)}"
        case kinds.VarTupleType() | kinds.ListType():
            return f"list of {type_name(info.item_type)}"
        case kinds.LiteralType():
            return ", ".join(f"`{value}`" for value in info.values)
        case kinds.CustomType() if info.cls is Label:
            return "label"
        case kinds.StrType():
            return "text"
        case kinds.BoolType():
            return "yes or no"
        case kinds.IntType():
            return "whole number"
        case kinds.FloatType():
            return "number"
        case _:
            raise TypeError(f"no name for {info}")


def default_of(field: Any) -> str:
    """The default of a field as a maker would write it; '' where leaving it out means nothing in particular."""
    if field.required:
        return "required"
    value = field.default
    if value is msgspec.NODEFAULT or value is None or value in ("", (), {}):
        return ""
    if isinstance(value, msgspec.Struct):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def shapes_below(shape: type, seen: dict[type, None]) -> dict[type, None]:
    """A shape and all that its fields hold, in reading order."""
    if shape in seen:
        return seen
    seen[shape] = None
    pending: list[Any] = [field.type for field in msgspec.inspect.type_info(shape).fields]  # type: ignore[attr-defined]
    while pending:
        info = pending.pop(0)
        kinds = msgspec.inspect
        match info:
            case kinds.UnionType():
                pending[:0] = list(info.types)
            case kinds.DictType():
                pending.insert(0, info.value_type)
            case kinds.VarTupleType() | kinds.ListType():
                pending.insert(0, info.item_type)
            case kinds.StructType():
                shapes_below(info.cls, seen)
    return seen


def file_fields(kind: FileKind) -> str:
    """The tables of a kind of file: its own shape and those beneath it, except what an earlier kind has shown."""
    earlier: dict[type, None] = {}
    for other in KINDS:
        if other is kind:
            break
        shapes_below(other.shape, earlier)
    parts = []
    for shape in shapes_below(kind.shape, {}):
        if shape in earlier:
            continue
        info = msgspec.inspect.type_info(shape)
        rows = (
            (f"`{field.encode_name}`", type_name(field.type), default_of(field), FIELDS[shape][field.encode_name])  # type: ignore[index]
            for field in info.fields  # type: ignore[attr-defined]
        )
        text = f"\n{plain(shape.__doc__)}\n" if shape.__doc__ else ""
        parts.append(f"### {shape.__name__}\n{text}\n" + table(("field", "type", "default", "meaning"), rows))
    return "\n" + "\n".join(parts) + "\n"


# -------------------------------------------------------------------------------------------------------- writing


def generate(name: str) -> str:
    """The text of a generated part. Raises KeyError for a name that nothing generates."""
    word, _, argument = name.partition(" ")
    if word == "settings":
        return settings()
    if word == "errors":
        return errors(argument)
    if word == "commands":
        return commands()
    if word == "fields":
        return file_fields({kind.name: kind for kind in KINDS}[argument])
    if word == "liquid":
        return "\n" + table(liquid.HEADINGS[argument], liquid.rows(argument)) + "\n"
    raise KeyError(name)


def renewed(text: str) -> str:
    """A page with its generated parts made anew."""
    return BLOCK.sub(lambda found: found.group(1) + generate(found.group("name")) + found.group(3), text)


def main(arguments: list[str]) -> int:
    """0 when nothing was stale or everything was written, 1 when --check found something stale."""
    if arguments not in ([], ["--check"]):
        print("usage: docs.py [--check]", file=sys.stderr)
        return 64
    stale = False
    for path in sorted(REFERENCE.glob("*.md")):
        old = path.read_text("utf-8")
        new = renewed(old)
        if old == new:
            continue
        stale = True
        if arguments:
            sys.stderr.writelines(
                difflib.unified_diff(
                    old.splitlines(keepends=True), new.splitlines(keepends=True), path.name, "generated now", n=1
                )
            )
        else:
            path.write_text(new, "utf-8")
            print(f"docs/reference/{path.name} was written anew.")
    if stale and arguments:
        print("The reference is stale. Run: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
