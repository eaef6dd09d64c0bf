"""Checks of native tables' files against each other: names, targets, keys, defaults, states; each fault with its line.

What passes here can be made: :func:`~forecourt.dataverse.design.design` and ``schema`` rely on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from forecourt.dataverse.definitions import ColumnDefinition, TableFile
from forecourt.dataverse.design import (
    BASE,
    CURRENCY,
    LOOKUPS,
    RATE,
    VERSION,
    merged,
    targets_of,
)
from forecourt.dataverse.schema_types import DEFAULTS, NUMBERS, format_fault, length, stored
from forecourt.kernel.document import Document, suggest
from forecourt.store.folder import Faults, Loaded

#: Columns that the system adds, or may add.
RESERVED = frozenset(
    {
        "createdby",
        "createdon",
        "modifiedby",
        "modifiedon",
        "ownerid",
        "owningbusinessunit",
        "owningteam",
        "owninguser",
        "statecode",
        "statuscode",
        VERSION,
    }
)

#: Column types that an alternate key may have (reference B2.4), and ids of other systems.
KEY_TYPES = frozenset(
    {"text", "autonumber", "whole", "big", "decimal", "date", "datetime", "lookup", "choice", "uniqueid"}
)
#: Bytes of an index entry of a key, and its columns.
KEY_BYTES, KEY_COLUMNS, KEYS = 2000, 16, 10

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SCHEMA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST = 50


def check_native(files: Iterable[Loaded[TableFile]], faults: Faults) -> None:
    """Checks the files of native tables. ``files``: those whose names are known to be sound."""
    native = [item for item in files if item.record.virtual is None]
    tables = {file.table: file for file in merged(item.record for item in native)}
    relationships: dict[str, str] = {}
    for item in native:
        _Checker(item.document, item.record, tables, relationships, faults).check()


class _Checker:
    """One file. ``relationships``: schema name -> where it was given first, over all files."""

    def __init__(
        self,
        document: Document,
        file: TableFile,
        tables: Mapping[str, TableFile],
        relationships: dict[str, str],
        faults: Faults,
    ) -> None:
        self._document, self._file, self._tables, self._faults = document, file, tables, faults
        self._relationships = relationships
        self._whole = tables[file.table]
        self._key = self._whole.primary_id or f"{file.table}id"

    def check(self) -> None:
        file = self._file
        if not _NAME.fullmatch(file.table) or len(file.table) > _LONGEST:
            self._fault("a table's name is in lower case: letters, digits, '_', 50 at most.", "table")
        known = {self._key, *self._whole.columns}
        if file.primary_name is not None and file.primary_name not in known:
            self._fault(f"{file.table} has no column '{file.primary_name}'.", "primary_name", known=known)
        if self._key in file.columns and file.columns[self._key].type != "uniqueid":
            self._fault("the row id is a uniqueid.", "columns", self._key, "type")
        for name, column in file.columns.items():
            self._column(name, column)
        if len(self._whole.keys) > KEYS:
            self._fault(f"a table has at most {KEYS} alternate keys.", "keys")
        for name, columns in file.keys.items():
            self._alternate_key(name, columns, known)
        self._states()
        for place, pair in enumerate(file.many_to_many):
            self._pair(place)
            if pair.target not in self._tables:
                self._fault(
                    f"table '{pair.target}' is not a native table.", "many_to_many", place, "target", known=self._tables
                )

    def _column(self, name: str, column: ColumnDefinition) -> None:
        path = ("columns", name)
        money = any(item.type == "money" for item in self._whole.columns.values())
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            self._fault("a column's name is in lower case: letters, digits, '_', 50 at most.", *path)
        if name in RESERVED or (money and (name in (CURRENCY, RATE) or self._is_base(name))):
            self._fault(f"every such table has '{name}' of itself.", *path, hint="Leave it out.", code="FC6003")
        if name.endswith("_type") and name.removesuffix("_type") in self._polymorphic():
            self._fault(f"'{name}' is kept beside the lookup.", *path, hint="Choose another name.", code="FC6003")
        if column.schema_name and column.schema_name.lower() != name:
            self._fault("a schema name is the column's name in other cases.", *path, "schema_name")
        if column.type in LOOKUPS:
            self._lookup(name, column)
        elif column.target is not None or column.targets or column.relationship:
            self._fault(f"a column of type {column.type} leads to no table.", *path)
        if column.type == "owner":
            self._fault(
                "rows have one owner, the column ownerid.",
                *path,
                "type",
                hint="Write 'ownership: user' for the table, or a lookup with 'targets: [systemuser, team]'.",
            )
        if column.type == "autonumber":
            fault = format_fault(column.format)
            if fault:
                self._fault(f"{fault}.", *path, "format", hint="Write, for example, SO-{SEQNUM:5}.")
        elif column.format:
            self._fault("only an autonumber has a format.", *path, "format")
        if column.options and column.type not in ("choice", "choices"):
            self._fault("only a choice has options.", *path, "options")
        if column.type in ("choice", "choices"):
            values = [option.value for option in column.options]
            if not values or len(set(values)) < len(values):
                self._fault("a choice has options, each with a value of its own.", *path)
        self._numbers(name, column)
        self._default(name, column)

    def _is_base(self, name: str) -> bool:
        above = self._whole.columns.get(name.removesuffix(BASE))
        return name.endswith(BASE) and above is not None and above.type == "money"

    def _polymorphic(self) -> set[str]:
        return {name for name, column in self._whole.columns.items() if len(targets_of(column)) > 1}

    def _lookup(self, name: str, column: ColumnDefinition) -> None:
        path = ("columns", name)
        targets = targets_of(column)
        if column.type == "lookup" and (column.target is None) == (not column.targets):
            self._fault("a lookup has either 'target' or 'targets'.", *path)
        for target in targets:
            if target not in self._tables:
                hint = "A lookup leads to a native table." if target.startswith("mserp_") else ""
                self._fault(
                    f"table '{target}' is not a native table.", *path, hint=hint, code="FC6002", known=self._tables
                )
        if column.on_assign != "none" and self._whole.ownership != "user":
            hint = "Leave it out, or give the table 'ownership: user'."
            self._fault("rows of this table have no owner to be assigned along.", *path, "on_assign", hint=hint)
        if isinstance(column.relationship, dict):
            for target in column.relationship:
                if target not in targets:
                    self._fault(f"the lookup does not lead to '{target}'.", *path, "relationship", target)
        names = column.relationship.values() if isinstance(column.relationship, dict) else (column.relationship,)
        for given in names:
            self._relationship(given, *path, "relationship")

    def _relationship(self, name: str, *path: str | int) -> None:
        if not name:
            return
        if not _SCHEMA_NAME.fullmatch(name) or len(name) > 100:
            self._fault("a schema name has letters, digits and '_', 100 at most.", *path)
        place = str(self._document.where(*path))
        first = self._relationships.setdefault(name, place)
        if first != place:
            self._fault(f"the relationship '{name}' is defined twice, first at {first}.", *path, code="FC6003")

    def _numbers(self, name: str, column: ColumnDefinition) -> None:
        path = ("columns", name)
        if column.length is not None and (
            column.type not in ("text", "memo", "autonumber") or not 0 < column.length <= 1_048_576
        ):
            self._fault("a text has a length, 1 at least.", *path, "length")
        if column.precision is not None and (
            column.type not in ("decimal", "money") or not 0 <= column.precision <= 12
        ):
            self._fault("a decimal has 0 to 12 digits after the point.", *path, "precision")
        if (column.min is not None or column.max is not None) and column.type not in NUMBERS:
            self._fault("only numbers have 'min' and 'max'.", *path)
        if column.min is not None and column.max is not None and column.min > column.max:
            self._fault("'min' is greater than 'max'.", *path, "min", code="FC6003")
        if column.behavior != "user_local" and column.type != "datetime":
            self._fault("only a datetime has a behavior.", *path, "behavior")

    def _default(self, name: str, column: ColumnDefinition) -> None:
        value = column.default
        if value is None:
            return
        path = ("columns", name, "default")
        wanted = DEFAULTS.get(column.type)
        if wanted is None:
            self._fault(f"a column of type {column.type} has no default.", *path)
        elif not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            self._fault(f"the default does not fit a column of type {column.type}.", *path)
        elif column.type == "choice" and value not in {option.value for option in column.options}:
            self._fault("the default is none of the options.", *path)
        elif isinstance(value, str) and len(value) > (length(column) or len(value)):
            self._fault("the default is longer than the column.", *path)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            low, high = column.min, column.max
            if (low is not None and value < low) or (high is not None and value > high):
                self._fault("the default is out of 'min' and 'max'.", *path, code="FC6003")

    def _alternate_key(self, name: str, columns: tuple[str, ...], known: Iterable[str]) -> None:
        path = ("keys", name)
        if not _NAME.fullmatch(name.lower()) or len(name) > 63:
            self._fault("a key's name has letters, digits and '_', 63 at most.", *path)
        if not columns or len(columns) > KEY_COLUMNS or len(set(columns)) < len(columns):
            self._fault(f"a key has 1 to {KEY_COLUMNS} columns, each once.", *path)
        size = 0
        for place, column in enumerate(columns):
            found = self._whole.columns.get(column)
            if found is None:
                self._fault(f"{self._file.table} has no column '{column}'.", *path, place, code="FC6002", known=known)
                continue
            if found.type not in KEY_TYPES or len(targets_of(found)) > 1:
                self._fault(f"'{column}' cannot be part of a key: it is a {found.type}.", *path, place)
            size += 4 * (length(found) or 4) if stored(found)[2] == "varchar" else 16
        if size > 4 * KEY_BYTES:
            self._fault("the key's texts are too long together.", *path, hint="Give its columns shorter lengths.")

    def _states(self) -> None:
        states = self._file.states or ()
        numbers = [state.value for state in states]
        reasons = [reason.value for state in states for reason in state.reasons]
        if len(set(numbers)) < len(numbers) or len(set(reasons)) < len(reasons):
            self._fault("each state and each status reason has a value of its own.", "states", code="FC6003")
        for place, state in enumerate(states):
            if not state.reasons:
                self._fault("a state has at least one status reason.", "states", place, "reasons")

    def _pair(self, place: int) -> None:
        pair = self._file.many_to_many[place]
        path = ("many_to_many", place)
        self._relationship(pair.name, *path, "name")
        table = pair.table or pair.name.lower()
        if not _NAME.fullmatch(table) or len(table) > _LONGEST:
            self._fault("the table of the pairs has a name in lower case.", *path, "table" if pair.table else "name")
        if table in self._tables:
            self._fault(f"there is a table '{table}' already.", *path, hint="Name another one with 'table'.")
        if pair.target == self._file.table:
            self._fault(
                "pairs of rows of one table are not supported.",
                *path,
                "target",
                hint="Make a table with two lookups.",
            )

    def _fault(
        self, message: str, *path: str | int, hint: str = "", code: str = "FC6001", known: Iterable[str] = ()
    ) -> None:
        if known:
            name = path[-1] if path else ""
            code, hint = "FC6002", hint or suggest(str(self._at(path) or name), known)
        self._faults.add(self._document.error(message, *path, hint=hint, code=code))

    def _at(self, path: tuple[str | int, ...]) -> object:
        """What the file holds at a path, where that is text."""
        found: object = self._document.data
        for step in path:
            try:
                found = found[step]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                return None
        return found if isinstance(found, str) else None
