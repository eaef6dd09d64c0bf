"""Changes to try in a world: other values of cells, rows that come, rows that go.

Of rows that a person reads, of others, of tables behind no entity. Whether a change is hidden from the person is not
known here (``interference`` finds that out).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from forecourt.cli.fuzzing.questions import Pool
from forecourt.cli.fuzzing.readable import Reading
from forecourt.cli.fuzzing.worlds import World
from forecourt.odata import record_id
from forecourt.store.catalog import Table
from forecourt.store.cells import Cells, Change, Row

#: Changes that are tried in a round.
CHANGES = 24
OWN = "a column of a row that is read"


@dataclass(frozen=True)
class Changes:
    """Draws changes of a world's rows. ``pool``: rows of its tables."""

    _world: World
    _pool: Pool
    _draw: random.Random

    async def candidates(self, known: Mapping[str, Reading]) -> list[tuple[str, Cells, Change]]:
        """Changes to try: of rows that the person reads, of others, of tables behind no entity."""
        found: list[tuple[str, Cells, Change]] = []
        for _ in range(CHANGES * 4):
            if len(found) >= CHANGES:
                break
            cells = self._draw.choice(list(self._world.cells.values()))
            own = await self._own_row(known) if self._draw.random() < 0.4 else None
            if own is not None:
                cells, table, row = own
                change = self._update(table, row)
                label = OWN
            else:
                table = self._draw.choice(cells.tables)
                rows = self._pool.get(table.name, ())
                if not rows:
                    continue
                change = self._any_change(table, self._draw.choice(rows))
                label = {"update": "a column of another row", "insert": "a new row", "delete": "a row that goes"}[
                    change.kind if change is not None else "update"
                ]
            if change is not None:
                found.append((label, cells, change))
        return found

    async def _own_row(self, known: Mapping[str, Reading]) -> tuple[Cells, Table, Row] | None:
        """A row that the person reads, as it is in its table."""
        reaches = [reach for found in known.values() for reach in found if reach.rows]
        if not reaches:
            return None
        reach = self._draw.choice(reaches)
        entity, row = reach.entity, self._draw.choice(reach.rows)
        values: dict[str, object] = {}
        for name in entity.key:
            own = entity.fields[name]
            if own.source != entity.root.alias or name not in row:
                return None
            number = own.record_of
            values[own.column] = row[name] if number is None else record_id.decode(number, row[name])
        for world_cells, catalog in zip(self._world.cells.values(), self._world.catalogs.values(), strict=True):
            table = catalog.tables.get(entity.root.table)
            if table is not None and table.primary:
                found = await world_cells.find(table.name, values)
                return None if found is None else (world_cells, table, found)
        return None

    def _any_change(self, table: Table, row: Row) -> Change | None:
        kind = self._draw.choice(("update", "update", "update", "insert", "delete"))
        if kind == "delete":
            return Change("delete", table.name, row, None)
        return self._update(table, row) if kind == "update" else self._insert(table, row)

    def _update(self, table: Table, row: Row) -> Change | None:
        names = [name for name, column in table.columns.items() if not column.generated and name not in table.primary]
        if not names:
            return None
        name = self._draw.choice(names)
        value = self._other(table, name, row.get(name))
        return None if value == row.get(name) else Change("update", table.name, row, {**row, name: value}, name)

    def _insert(self, table: Table, row: Row) -> Change | None:
        """A row like another one, under a key of its own."""
        fresh = dict(row)
        for name in {*table.primary, *(name for key in table.unique for name in key)}:
            if (changed := self._fresh(table, name, row.get(name))) is not None:
                fresh[name] = changed
        return Change("insert", table.name, None, fresh) if fresh != row else None

    def _fresh(self, table: Table, name: str, value: object) -> object:
        column = table.columns[name]
        number = self._draw.randrange(10**6, 10**9)
        if column.type == "uuid":
            return f"{number:08x}-0000-0000-0000-{number:012x}"
        if column.type in ("int4", "int8", "numeric"):
            return number
        if column.type in ("text", "varchar") and (column.length is None or column.length > 11):
            return f"Z{number}"
        return None

    def _other(self, table: Table, name: str, value: object) -> object:
        """Another value for a cell: one that some row has, or one that none has."""
        column = table.columns[name]
        rows = self._pool.get(table.name, ())
        if rows and self._draw.random() < 0.5:
            return self._draw.choice(rows).get(name)
        match column.type:
            case "int2" | "int4" | "int8" | "numeric" | "float4" | "float8":
                return self._draw.choice((0, 1, -1, 7, self._draw.randrange(10**4)))
            case "bool":
                return not value
            case "date" | "timestamp" | "timestamptz":
                return f"20{self._draw.randrange(10, 30)}-0{self._draw.randint(1, 9)}-1{self._draw.randrange(10)}"
            case "text" | "varchar" | "bpchar":
                return f"Q{self._draw.randrange(100)}"[: column.length or 3]
            case "uuid":
                return f"{self._draw.randrange(10**8):08x}-0000-0000-0000-000000000000"
            case _:
                return value
