"""What rows are sorted by: columns of the entity, and of the rows that its single-valued relations lead to.

Such a row comes beside its own under its own rules (``linking``): one that the asker may not read sorts like one that
does not exist, as null. Source: pages-and-dataverse B1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forecourt.kernel.model import Entity
from forecourt.kernel.plan import OrderBy
from forecourt.kernel.predicate import TRUE, After, Column, Operand, Predicate
from forecourt.kernel.relation import Output, Sort, Source
from forecourt.odata.links import Links
from forecourt.security.linking import Linking


@dataclass(frozen=True, slots=True)
class Key:
    """One sort key. ``output``: the output that has its value."""

    output: str
    column: Column
    descending: bool
    nullable: bool


@dataclass(frozen=True)
class Sorting:
    """The order of a read. ``sources``: those that it needs beside the entity's tables."""

    keys: tuple[Key, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def sorts(self) -> tuple[Sort, ...]:
        return tuple(Sort(key.column, key.descending, key.nullable) for key in self.keys)

    def outputs(self, names: Sequence[str]) -> tuple[Output, ...]:
        """Outputs for keys that are not among the fields that are shown."""
        return tuple(Output(key.output, key.column, None) for key in self.keys if key.output not in names)

    def after(self, values: tuple[Operand | None, ...] | None) -> Predicate:
        """The rows behind a position; all of them without one."""
        if values is None:
            return TRUE
        return After(tuple((key.column, key.descending, key.nullable) for key in self.keys), values)


def sorting(linking: Linking, entity: Entity, order: Sequence[OrderBy], names: Sequence[str]) -> Sorting:
    """The order as columns. ``names``: the fields that are shown. Raises Refusal FC1004, FC3001, FC3004."""
    links = Links(linking.lowering.model, entity, "$orderby")
    aliases = [links.along(step.path[:-1]) for step in order]
    tree = links.tree()
    for link in tree:
        linking.open_link(link, entity)
    for alias, step in zip(aliases, order, strict=True):
        linking.need(alias, step.path[-1])
    sources = tuple(linking.source(link, entity, "") for link in tree)
    keys = []
    for alias, step in zip(aliases, order, strict=True):
        name = step.path[-1]
        output = name if not alias and name in names else f"@sort.{'/'.join(step.path)}"
        nullable = bool(alias) or entity.fields[name].nullable
        keys.append(Key(output, linking.column(alias, name), step.descending, nullable))
    return Sorting(tuple(keys), sources)
