"""Definition files: YAML text to typed records, every fault with its line and what to write instead.

A file's shape is a msgspec Struct with unknown fields forbidden; the same Struct yields the file's JSON Schema. The
YAML is composed to nodes first, so that each value keeps its line: ``Document.where(path)`` gives it back for checks
that come later ("entity X has no field Y"). Anchors and aliases are refused (a few lines of them can expand without
bound), as are duplicate keys and YAML beyond 64 levels.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import msgspec
import yaml

from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.label import Label, Words, label_of
from forecourt.kernel.model import Where

T = TypeVar("T")
Path = tuple[str | int, ...]

MAX_DEPTH = 64

#: The parser in C, where the package has it: ten times as fast.
_FAST: Any = getattr(yaml, "CSafeLoader", None)
_FAST_TEXTS: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True)
class Document:
    """A composed file: plain data, and the line of every path in it."""

    file: str
    data: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def where(self, *path: str | int) -> Where:
        """The place of ``path``, or of its nearest known ancestor."""
        probe = tuple(path)
        while probe and probe not in self.lines:
            probe = probe[:-1]
        return Where(self.file, self.lines.get(probe, 1))

    def error(self, message: str, *path: str | int, hint: str = "", code: str = "FC6001") -> DefinitionError:
        return DefinitionError(self.file, self.where(*path).line, message, hint, code)


def suggest(name: str, known: Iterable[str]) -> str:
    """``Did you mean 'x'?`` with the nearest known names, or the list of them when it is short.

    >>> suggest("colour", ["color", "size"])
    "Did you mean 'color'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if not close:
        folded = [candidate for candidate in names if candidate.casefold() == name.casefold()]
        close = folded
    if close:
        return "Did you mean " + " or ".join(f"'{item}'" for item in close) + "?"
    if names and len(names) <= 12:
        return "Known are: " + ", ".join(names) + "."
    return ""


def compose(text: str, file: str) -> Document:
    """Parses YAML text. Raises DefinitionError with the line of the fault."""
    try:
        plain = text.removeprefix("\ufeff")
        nodes = _fast(plain)
        node = nodes[0] if nodes and len(nodes) == 1 else yaml.compose(plain, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _broken(error, file) from None
    return _document(node, file)


def compose_all(text: str, file: str) -> tuple[Document, ...]:
    """Parses YAML text of several documents. Raises DefinitionError with the line of the fault."""
    try:
        plain = text.removeprefix("\ufeff")
        nodes = _fast(plain) or list(yaml.compose_all(plain, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _broken(error, file) from None
    return tuple(_document(node, file) for node in nodes)


def texts(text: str) -> list[Any]:
    """The documents of a text that ``compose`` or ``compose_all`` has accepted, every scalar as it is written."""
    plain = text.removeprefix("\ufeff")
    try:
        return list(yaml.load_all(plain, Loader=_FAST_TEXTS))
    except (yaml.YAMLError, ValueError):
        return list(yaml.load_all(plain, Loader=yaml.BaseLoader))


def _fast(text: str) -> list[yaml.Node]:
    """The documents by the parser in C; none where it cannot be used, and the other one has to say why. It composes by
    recursion on the stack of C, so that depth is looked at first, event by event."""
    if _FAST is None:
        return []
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_FAST):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                return []
        return list(yaml.compose_all(text, Loader=_FAST))
    except (yaml.YAMLError, ValueError):
        return []


def _broken(error: Exception, file: str) -> DefinitionError:
    if not isinstance(error, yaml.MarkedYAMLError):
        return DefinitionError(file, 1, f"not valid YAML: {type(error).__name__}.")
    mark = error.problem_mark or error.context_mark
    problem = (error.problem or "not valid YAML").rstrip(".")
    return DefinitionError(
        file, (mark.line + 1) if mark else 1, f"not valid YAML: {problem}.", "Check indentation and quotes."
    )


def _document(node: yaml.Node | None, file: str) -> Document:
    lines: dict[Path, int] = {}
    if node is None:
        return Document(file, None, lines)
    return Document(file, _Build(file, lines).of(node, (), 0), lines)


class _Build:
    """Makes plain data of nodes, and notes the line of each path."""

    def __init__(self, file: str, lines: dict[Path, int]) -> None:
        self._file, self._lines = file, lines
        self._seen: set[int] = set()
        self._scalars = yaml.constructor.SafeConstructor()

    def of(self, node: yaml.Node, path: Path, depth: int) -> Any:
        line = node.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise DefinitionError(self._file, line, f"nested deeper than {MAX_DEPTH} levels.")
        if id(node) in self._seen:
            raise DefinitionError(self._file, line, "YAML aliases (*name) are not allowed.", "Write the value out.")
        self._seen.add(id(node))
        self._lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    raise DefinitionError(self._file, key_node.start_mark.line + 1, "a key must be plain text.")
                key = str(key_node.value)
                if key in result:
                    raise DefinitionError(self._file, key_node.start_mark.line + 1, f"'{key}' is given twice.")
                self._lines[(*path, key)] = key_node.start_mark.line + 1
                result[key] = self.of(value_node, (*path, key), depth + 1)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [self.of(child, (*path, i), depth + 1) for i, child in enumerate(node.value)]
        try:
            return self._scalars.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            raise DefinitionError(
                self._file, line, f"not a valid value: {node.value!r} ({type(error).__name__})."
            ) from None


_PATH = re.compile(r" - at `(?P<key>key in )?`?(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.([A-Za-z_][\w]*)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")


def convert(document: Document, shape: type[T], words: Words | None = None) -> T:
    """The document as a record of ``shape``, its labels with the translations of ``words``.

    Raises DefinitionError at the faulty line.
    """
    try:
        return msgspec.convert(document.data, shape, strict=True, dec_hook=partial(_own, words or {}))
    except msgspec.ValidationError as error:
        raise _located(document, shape, str(error)) from None


def _own(words: Words, kind: type, value: object) -> object:
    """A value of a type that is ours."""
    if kind is Label:
        return label_of(value, words)
    raise NotImplementedError(kind)


def _located(document: Document, shape: type, text: str) -> DefinitionError:
    found = _PATH.search(text)
    message = text[: found.start()] if found else text
    path = _resolve(document.data, shape, found.group("path") if found else "$")
    unknown = _UNKNOWN.match(message)
    hint = ""
    if unknown:
        name = unknown.group(1)
        message = f"'{name}' is not known here."
        hint = suggest(name, _fields_at(shape, path))
        path = (*path, name)
    else:
        message = message.replace("`", "'") + "."
    return document.error(message, *path, hint=hint)


def _resolve(data: Any, shape: type, text: str) -> Path:
    """A msgspec path as a path of keys. ``[...]`` (some key of a mapping) takes the first entry that fails."""
    path: list[str | int] = []
    for step in _STEP.finditer(text):
        if step.group(1) is not None:
            path.append(step.group(1))
        elif step.group(2) is not None:
            path.append(int(step.group(2)))
        else:
            target = _type_at(shape, tuple(path))
            node = _value_at(data, tuple(path))
            if isinstance(node, dict):
                for key, value in node.items():
                    if target is None or not _fits(value, target):
                        path.append(key)
                        break
    return tuple(path)


def _value_at(data: Any, path: Path) -> Any:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _fits(value: Any, target: Any) -> bool:
    try:
        msgspec.convert(value, target, strict=True, dec_hook=partial(_own, {}))
    except msgspec.ValidationError:
        return False
    return True


def _type_at(shape: Any, path: Path) -> Any:
    """The element type of the container at ``path`` inside ``shape``, or None where it cannot be told."""
    info = _info_at(msgspec.inspect.type_info(shape), path)
    while isinstance(info, msgspec.inspect.UnionType):
        inner = [t for t in info.types if not isinstance(t, msgspec.inspect.NoneType)]
        if len(inner) != 1:
            return None
        info = inner[0]
    if isinstance(info, msgspec.inspect.DictType):
        value = info.value_type
        return getattr(value, "cls", None)
    return None


def _info_at(info: Any, path: Path) -> Any:
    for step in path:
        candidates = list(info.types) if isinstance(info, msgspec.inspect.UnionType) else [info]
        info = None
        for candidate in candidates:
            if isinstance(candidate, msgspec.inspect.StructType) and isinstance(step, str):
                info = next((f.type for f in candidate.fields if f.encode_name == step), None)
            elif isinstance(candidate, msgspec.inspect.DictType):
                info = candidate.value_type
            elif isinstance(candidate, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
                info = candidate.item_type
            if info is not None:
                break
        if info is None:
            return None
    return info


def _fields_at(shape: type, path: Path) -> list[str]:
    info = _info_at(msgspec.inspect.type_info(shape), path)
    candidates = list(info.types) if isinstance(info, msgspec.inspect.UnionType) else [info]
    return [f.encode_name for c in candidates if isinstance(c, msgspec.inspect.StructType) for f in c.fields]
