"""Faults of a table map, and the parts of pairs that the rules share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forecourt.integration.dual_write.subject import Pair, Subject
from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import EntityField
from forecourt.kernel.sync import Side

Faults = Iterator[DefinitionError]
Rule = Callable[[Subject], Faults]

#: Codes that say that a name is not known.
_UNKNOWN = frozenset({"DIPV1018", "DIPV1020", "DIPV1021", "DIPV1022", "DIPV1024", "DIPV1025"})


def fault(subject: Subject, code: str, text: str, *path: str | int, hint: str = "", kind: str = "") -> DefinitionError:
    """A fault at a path of the map's file. ``code``: of dual-write, '' where it has none for it."""
    kind = kind or ("FC6002" if code in _UNKNOWN else "FC6001")
    return subject.document.error(f"{code} {text}" if code else text, *path, hint=hint, code=kind)


def place(pair: Pair) -> tuple[str | int, ...]:
    """Where the Dataverse column of a pair is written."""
    return (*pair.path, "dataverse") if not pair.is_constant else pair.path


def traveller(pair: Pair) -> EntityField | None:
    """The Dataverse field whose values travel: of a lookup, the natural key."""
    reference = pair.column.reference
    return reference.entity.fields[reference.natural] if reference is not None else pair.column.field


def end(pair: Pair, side: Side) -> str:
    if side is Side.OPERATIONS:
        return pair.name
    return pair.column.field.column if pair.column.field is not None else pair.column.text
