"""The tables of a target that a leg writes: the root, joined tables that the entity may write, and those they hang on.

Decides which of them come first (the row above refers to them by a number that the database gives) and which numbers
are drawn before anything is inserted, as ``security/writing`` does for single rows. Leaves out the statements
(``merge``).
"""

from __future__ import annotations

from dataclasses import dataclass

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import DataSource
from forecourt.store.catalog import Table
from forecourt.store.sync.capture import quoted
from forecourt.store.sync.wire import Wire


@dataclass(frozen=True)
class Part:
    """A table of the target. ``written``: the leg writes it. ``first``: the row above refers to it by a number that
    the database gives. ``identity``: columns of its key; ``drawn``: those that the database numbers."""

    at: int
    source: DataSource
    table: Table
    written: bool
    first: bool
    identity: tuple[str, ...]
    drawn: tuple[str, ...]

    @property
    def alias(self) -> str:
        return f"t{self.at}"

    @property
    def ids(self) -> list[str]:
        """Names of its identity in ``found``."""
        return [f"id{self.at}_{place}" for place in range(len(self.identity))]

    def same(self, row: str) -> str:
        """The condition that ``t`` is the row's."""
        return " and ".join(
            f"t.{quoted(column)} = {row}.{name}" for column, name in zip(self.identity, self.ids, strict=True)
        )


def parts_of(wire: Wire) -> list[Part]:
    """The root first. Raises Refusal FC6004 where no set can be written to the target."""
    leg = wire.leg
    fields = [leg.target.fields[column.target] for column in leg.columns]
    used = {field.source for field in fields}
    given = {(field.source, field.column) for field in fields}
    wanted: set[str] = set()
    for source in reversed(leg.target.sources):
        whole = source.writable and source.join == "inner"
        if source.alias in used or source.alias in wanted or whole or source is leg.target.root:
            wanted.add(source.alias)
            wanted.update(above for (above, _), _ in source.on)
    parts: list[Part] = []
    for source in leg.target.sources:
        if source.alias not in wanted:
            continue
        if source.alias in used and not (source.writable or source is leg.target.root):
            raise Refusal("FC6004", f"{leg.map}: {source.table} is not written through {leg.target.name}.")
        table = wire.target.tables[source.table]
        generated = {name for name, column in table.columns.items() if column.generated == "identity"}
        first = any(own in generated for _, own in source.on)
        written = source.alias in used or (source.writable and source.join == "inner")
        if first and any(above in given for above, _ in source.on):
            # The leg itself says which row is meant: nothing is inserted there.
            if source.alias in used:
                raise Refusal("FC6004", f"{leg.map}: {source.table} is another row's, which the leg refers to.")
            written = False
        identity = table.primary or tuple(own for _, own in source.on)
        if not identity:
            raise Refusal("FC6004", f"{source.table} has no primary key.")
        links = {theirs for s in leg.target.sources for (above, theirs), _ in s.on if above == source.alias}
        drawn = tuple(name for name in identity if name in generated and (first or name in links))
        parts.append(Part(len(parts), source, table, written, first, identity, drawn))
    return parts
