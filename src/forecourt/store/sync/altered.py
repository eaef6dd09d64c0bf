"""What captured changes may have altered: root keys of a leg's source, and its rows as they are now, in one statement.

Each table of the source that has been noted is a part of the statement: the root's own keys, or those of the rows that
a joined table's notes hang on. A root key comes once, by its last change. Statements are made once for each set of
noted tables. Leaves out running them (``ends``), and rows whose notes are images (``ends.images``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from forecourt.kernel.model import DataSource, Entity
from forecourt.kernel.sync import Captured
from forecourt.store.sync.capture import qualified, quoted
from forecourt.store.sync.wire import Wire

Noted = tuple[int, Mapping[str, object]]


class Altered:
    """The statements of one leg."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._root_keys = ", ".join(f"k{at}" for at in range(len(wire.root)))
        self._sets: dict[tuple[str, ...], str] = {}
        self._rows: dict[tuple[str, ...], str] = {}

    def noted(self, changes: Sequence[Captured]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Aliases of the tables that were noted, and the notes of each as an argument; () where there are none."""
        aliases, arguments = [], []
        for source in self._wire.leg.source.sources:
            rows = [
                (at, row) for at, change in enumerate(changes) if change.table == source.table for row in change.rows
            ]
            if rows:
                aliases.append(source.alias)
                arguments.append(self._argument(source, rows))
        return tuple(aliases), tuple(arguments)

    def keys(self, aliases: tuple[str, ...]) -> str:
        """Root keys, by last change."""
        return f"select {self._root_keys} from {self._altered(aliases)} order by at"

    def rows(self, aliases: tuple[str, ...]) -> str:
        """Root keys with their wire rows as they are now, by last change; of those that exist and pass the filter."""
        known = self._rows.get(aliases)
        if known is None:
            wire = self._wire
            alias = quoted(wire.leg.source.root.alias)
            same = " and ".join(f"{alias}.{quoted(name)} = altered.k{at}" for at, (name, _) in enumerate(wire.root))
            known = self._rows[aliases] = (
                f"select {wire.roots()}, {', '.join(wire.sent)}, {wire.unmapped} {wire.reading()} "
                f"join {self._altered(aliases)} on {same} where {wire.filter} order by altered.at"
            )
        return known

    def whole(self, changes: Sequence[Captured], sent: int) -> bool:
        """Whether all noted rows are among those ``sent``, and none was noted with two keys."""
        root = self._wire.leg.source.root.table
        rows = [row for change in changes if change.table == root for row in change.rows]
        if any(change.images or change.table != root for change in changes):
            return not rows
        noted = {tuple(row.items()) for row in rows}
        return sent == len(noted) == len({tuple([row[name] for name, _ in self._wire.root]) for row in rows})

    # -- parts ----------------------------------------------------------------------------------------------------

    def _altered(self, aliases: tuple[str, ...]) -> str:
        known = self._sets.get(aliases)
        if known is None:
            sources = {source.alias: source for source in self._wire.leg.source.sources}
            parts = [self._part(sources[alias], number) for number, alias in enumerate(aliases, 1)]
            known = self._sets[aliases] = (
                f"(select {self._root_keys}, max(at) as at from ({' union all '.join(parts)}) as noted "
                f"group by {self._root_keys}) as altered"
            )
        return known

    def _columns(self, source: DataSource) -> list[str]:
        """Columns of a table's notes by which its roots are found."""
        first = source is self._wire.leg.source.root
        return [name for name, _ in self._wire.root] if first else [own for _, own in source.on]

    def _part(self, source: DataSource, number: int) -> str:
        """Root keys of a table's notes with the numbers of their changes. ``number``: of the argument."""
        wire, entity = self._wire, self._wire.leg.source
        types = {name: column.type for name, column in wire.source.tables[source.table].columns.items()}
        columns = self._columns(source)
        given = ", ".join(f"{quoted(name)} {types[name]}" for name in dict.fromkeys(columns))
        noted = f'jsonb_to_recordset(${number}::text::jsonb) as noted("@at" int, {given})'
        if source is entity.root:
            keys, origin = [f"noted.{quoted(name)}" for name in columns], noted
        else:
            keys = [f"{quoted(entity.root.alias)}.{quoted(name)}" for name, _ in wire.root]
            on = " and ".join(
                f"{quoted(above)}.{quoted(theirs)} = noted.{quoted(own)}" for (above, theirs), own in source.on
            )
            origin = f"{noted}, {_up_to(entity, source)} where {on}"
        named = ", ".join(f"{key} as k{at}" for at, key in enumerate(keys))
        return f'select {named}, noted."@at" as at from {origin}'

    def _argument(self, source: DataSource, rows: Sequence[Noted]) -> str:
        columns = self._columns(source)
        return msgspec.json.encode([{"@at": at, **{name: row[name] for name in columns}} for at, row in rows]).decode()


def _up_to(entity: Entity, source: DataSource) -> str:
    """The joins from the root to what a joined table hangs on, without that table."""
    parts = [f"{qualified(entity.root.table)} as {quoted(entity.root.alias)}"]
    for item in entity.sources[1:]:
        if item is source:
            break
        on = " and ".join(
            f"{quoted(above)}.{quoted(theirs)} = {quoted(item.alias)}.{quoted(own)}" for (above, theirs), own in item.on
        )
        kind = "left join" if item.join == "left" else "join"
        parts.append(f"{kind} {qualified(item.table)} as {quoted(item.alias)} on {on}")
    return " ".join(parts)
