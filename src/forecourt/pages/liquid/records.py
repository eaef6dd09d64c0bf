"""Rows as a text has them: columns, references to other rows, and the rows that belong to a row.

A column is its logical name (``primarycontactid``) or its property (``_primarycontactid_value``). What is not at hand
is read when it is named, as the person, and is nothing where the person may not read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from forecourt.dataverse.rows import Row
from forecourt.dataverse.tables import Table
from forecourt.kernel.model import Relation
from forecourt.pages.liquid.values import Lookup, plain, shown

if TYPE_CHECKING:
    from forecourt.pages.liquid.data import Data

#: Rights of a row's ``permissions``, by name.
RIGHTS = {
    "can_read": "read",
    "can_write": "write",
    "can_create": "create",
    "can_delete": "delete",
    "can_append": "append",
    "can_append_to": "append_to",
}


class Reference(Lookup):
    """A lookup: ``id``, ``logical_name``, ``name``. What the query did not bring of it is read when it is named; of
    several tables it is the one that has the row, for this person."""

    def __init__(self, data: Data, targets: tuple[str, ...], row_id: str, name: str = "") -> None:
        super().__init__({"id": row_id, "logical_name": targets[0] if len(targets) == 1 else "", "name": name}, name)
        self._data, self._targets, self._id, self._found = data, targets, row_id, bool(name)

    async def __getitem_async__(self, name: str) -> object:
        if not self._found and plain(name) in ("name", "logicalname"):
            self._found = True
            for target in self._targets:
                called = await self._data.name_of(target, self._id)
                if called is not None:
                    super().__init__({"id": self._id, "logical_name": target, "name": called}, called)
                    break
        return self[name]


class Record(Mapping[str, object]):
    """A row. ``values``: what has been read of it, by name."""

    def __init__(self, data: Data, table: Table | None, row_id: UUID | None, values: Mapping[str, object]) -> None:
        self._data = data
        self._table = table
        self._id = row_id
        self._values = Lookup(values)

    def __getitem__(self, name: str) -> object:
        if name in self._values:
            return self._values[name]
        match plain(name):
            case "id" if self._id is not None:
                return str(self._id)
            case "logicalname" if self._table is not None:
                return self._table.name
            case "url" | "notes":
                return None
            case "permissions" if self._table is not None:
                may = self._data.may
                table = self._table.name
                return Lookup({**{name: may(table, right) for name, right in RIGHTS.items()}, "rules_exist": True})
        if self._table is not None and _column(self._table, name):
            return None
        raise KeyError(name)

    async def __getitem_async__(self, name: str) -> object:
        try:
            return self[name]
        except KeyError:
            relation = self._relation(name)
            if relation is None or self._table is None or self._id is None:
                raise
        return await self._data.related(self._table, self._id, relation, self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __str__(self) -> str:
        name = self._values.get(self._table.primary_name) if self._table is not None else None
        return "" if name is None else str(name)

    def _relation(self, name: str) -> tuple[str, Relation] | None:
        if self._table is None:
            return None
        relations = self._table.entity.relations.items()
        return next(((key, item) for key, item in relations if key.lower() == str(name).lower()), None)


def _column(table: Table, name: str) -> bool:
    lowered = str(name).lower()
    return any(lowered in (field.name.lower(), field.column.lower()) for field in table.entity.fields.values())


def record(data: Data, table: Table, row: Row) -> Record:
    """A row of a table, as :class:`~forecourt.dataverse.rows.Rows` gives it."""
    values: dict[str, object] = {}
    for name, value in row.values.items():
        field = table.entity.fields.get(name)
        if field is not None and field.targets and value is not None:
            values[logical(name)] = Reference(data, field.targets, str(value))
        elif field is not None:
            values[logical(name)] = shown(field, value, data.tables.enums, data.label)
    return Record(data, table, row.id, values)


def logical(name: str) -> str:
    """The logical name of a property: of ``_primarycontactid_value`` ``primarycontactid``."""
    return name[1:-6] if name.startswith("_") and name.endswith("_value") else name


def fetched(data: Data, table: Table | None, columns: Mapping[str, Any], row: Mapping[str, object]) -> Record:
    """A row of a fetch, with the annotations that came with it."""
    values: dict[str, object] = {}
    for name, field in columns.items():
        if name.startswith("@"):
            continue
        value = row.get(name)
        label = str(row.get(f"{name}@OData.Community.Display.V1.FormattedValue") or "")
        if field.targets and value is not None:
            target = row.get(f"{name}@Microsoft.Dynamics.CRM.lookuplogicalname")
            values[logical(name)] = Reference(data, (str(target),) if target else field.targets, str(value), label)
        else:
            values[logical(name)] = shown(field, value, data.tables.enums, data.label, label)
    found = row.get(table.primary_id) if table is not None else None
    return Record(data, table, UUID(str(found)) if found is not None else None, values)
