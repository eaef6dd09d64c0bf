"""Column types of native tables: what PostgreSQL stores, which kind a value is, what its default looks like.

Types and defaults are written exactly as PostgreSQL writes them back, so that a definition and the database's own
catalogue compare as text. A default is a constant of the file or the system's.

What the database checks: types, lengths, ``min`` and ``max``, keys, the rows that lookups name. What is checked of a
request before: lengths, ``min`` and ``max``, that a choice is one of its options. ``required`` is Dataverse's
ApplicationRequired: forms ask for a value, the Web API does not.

Leaves out: files and images, calculated and rollup columns.
Sources: pages-and-dataverse B1.1, B1.7.
"""

from __future__ import annotations

import re
from typing import Final

from forecourt.dataverse.definitions import ColumnDefinition
from forecourt.kernel.types import Kind
from forecourt.security.standing import id_of

SCHEMA: Final = "dataverse"

#: Rows that defaults name: the system's user, the root business unit, the base currency.
SYSTEM_USER: Final = id_of("systemuser", "SYSTEM")
ROOT_UNIT: Final = id_of("businessunit", "root")
BASE_CURRENCY: Final = id_of("transactioncurrency", "base")

#: Characters of a text without a length, as Dataverse has it.
TEXT_LENGTH: Final = 100
#: Digits before the point of a decimal.
WHOLE_DIGITS: Final = 18

_FIXED: Final[dict[str, tuple[str, Kind, str]]] = {
    "memo": ("text", Kind.STRING, "text"),
    "whole": ("integer", Kind.INT32, "int4"),
    "big": ("bigint", Kind.INT64, "int8"),
    "double": ("double precision", Kind.DOUBLE, "float8"),
    "money": ("numeric(19,4)", Kind.DECIMAL, "numeric"),
    "date": ("date", Kind.DATE, "date"),
    "choice": ("integer", Kind.ENUM, "int4"),
    "choices": ("text", Kind.STRING, "text"),
    "yesno": ("boolean", Kind.BOOLEAN, "bool"),
    "lookup": ("uuid", Kind.GUID, "uuid"),
    "customer": ("uuid", Kind.GUID, "uuid"),
    "owner": ("uuid", Kind.GUID, "uuid"),
    "uniqueid": ("uuid", Kind.GUID, "uuid"),
}
_MOMENTS: Final[dict[str, tuple[str, Kind, str]]] = {
    "user_local": ("timestamp with time zone", Kind.DATETIME, "timestamptz"),
    "time_zone_independent": ("timestamp without time zone", Kind.DATETIME, "timestamp"),
    "date_only": ("date", Kind.DATE, "date"),
}

#: What a column type's default may be in a file.
DEFAULTS: Final[dict[str, type | tuple[type, ...]]] = {
    "text": str,
    "memo": str,
    "whole": int,
    "big": int,
    "choice": int,
    "decimal": (int, float),
    "double": (int, float),
    "money": (int, float),
    "yesno": bool,
}
NUMBERS: Final = frozenset({"whole", "big", "decimal", "double", "money"})


def stored(column: ColumnDefinition) -> tuple[str, Kind, str]:
    """PostgreSQL's type of a column, the kind of its values, and the type's short name."""
    match column.type:
        case "text" | "autonumber":
            return f"character varying({length(column)})", Kind.STRING, "varchar"
        case "decimal":
            scale = 2 if column.precision is None else column.precision
            return f"numeric({WHOLE_DIGITS + scale},{scale})", Kind.DECIMAL, "numeric"
        case "datetime":
            return _MOMENTS[column.behavior]
        case "choice" if not column.options:
            return "integer", Kind.INT32, "int4"
        case _:
            return _FIXED[column.type]


def length(column: ColumnDefinition) -> int | None:
    """The greatest length of a text, None where there is none."""
    if column.type in ("text", "autonumber"):
        return column.length or TEXT_LENGTH
    return column.length if column.type == "memo" else None


def constant(column: ColumnDefinition) -> str:
    """A file's default as SQL, '' without one."""
    value = column.default
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"{literal(value)}::{'text' if column.type == 'memo' else 'character varying'}"
    if value >= 0:
        return str(value)
    return f"'{value}'::{'bigint' if column.type == 'big' else 'integer' if isinstance(value, int) else 'numeric'}"


def limits(name: str, column: ColumnDefinition) -> str:
    """The condition that ``min``, ``max`` and the length of a memo put on a column, '' without any."""
    found = []
    if column.type in NUMBERS:
        found += [f"{quoted(name)} >= {column.min}"] if column.min is not None else []
        found += [f"{quoted(name)} <= {column.max}"] if column.max is not None else []
    if column.type == "memo" and column.length is not None:
        found.append(f"char_length({quoted(name)}) <= {column.length}")
    return " and ".join(found)


_PART = re.compile(r"\{(?P<kind>SEQNUM|RANDSTRING|DATETIMEUTC):(?P<rest>[^{}]*)\}")
_CLOCK = re.compile(r"(?:yyyy|MM|dd|HH|mm|ss|[-_./: ])+")


def format_fault(text: str) -> str:
    """What is wrong with an autonumber's format, '' if nothing is.

    >>> format_fault("SO-{SEQNUM:5}"), format_fault("SO-{NUM}")
    ('', "'{NUM}' is not a part of a format")
    """
    seen = 0
    for found in re.finditer(r"\{[^{}]*\}|[{}]", text):
        part = _PART.fullmatch(found.group())
        if part is None:
            return f"'{found.group()}' is not a part of a format"
        kind, rest = part.group("kind", "rest")
        seen += kind == "SEQNUM"
        if kind == "DATETIMEUTC":
            if not _CLOCK.fullmatch(rest):
                return f"'{rest}' is not a form of date: write yyyy, MM, dd, HH, mm, ss"
            continue
        most = 18 if kind == "SEQNUM" else 6
        if not rest.isascii() or not rest.isdigit() or not 1 <= int(rest) <= most:
            return f"'{found.group()}' needs a length, 1 to {most}"
    return "" if seen == 1 else "a format has one {SEQNUM:n}"


_SIZED = re.compile(r"(character varying|numeric)\((\d+)(?:,(\d+))?\)")
_WIDER: Final = frozenset(
    {
        ("integer", "bigint"),
        ("integer", "double precision"),
        ("date", "timestamp without time zone"),
    }
)


def lossless(old: str, new: str) -> bool:
    """Whether every value of a type is one of the other, unchanged.

    >>> lossless("character varying(50)", "text"), lossless("numeric(20,2)", "numeric(20,4)")
    (True, False)
    """
    if old == new or (old, new) in _WIDER:
        return True
    had, has = _SIZED.fullmatch(old), _SIZED.fullmatch(new)
    if had is not None and had[1] == "character varying":
        return new == "text" or (has is not None and has[1] == had[1] and int(has[2]) >= int(had[2]))
    if has is not None and has[1] == "numeric":
        digits, scale = int(has[2]), int(has[3] or 0)
        if had is not None:
            old_digits, old_scale = int(had[2]), int(had[3] or 0)
            return scale >= old_scale and digits - scale >= old_digits - old_scale
        return {"integer": 10, "bigint": 19}.get(old, 1000) <= digits - scale
    return new == "numeric" and (old in ("integer", "bigint") or had is not None)


def stored_alike(old: str, new: str) -> bool:
    """Whether a change of type leaves the rows as they are stored."""
    had, has = _SIZED.fullmatch(old), _SIZED.fullmatch(new)
    if had is not None and had[1] == "character varying":
        return True
    return had is not None and has is not None and had[3] == has[3]


def quoted(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
