"""Linked entities: the rows of each as a select of its own, a source beside the tables of the entity above.

Its grant, legal entities, policies, table permissions and the link's own filter are that select's conditions, so that a
row which the asker may not read is not linked, and an outer link finds none. A field that a link joins by has to be
open to the asker, unless the link follows a relation of the model, which no column permission closes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from forecourt.kernel.model import Entity
from forecourt.kernel.plan import Link
from forecourt.kernel.predicate import TRUE, Column, Compare, all_of
from forecourt.kernel.relation import Aggregate, DatePart, Output, Plain, Rank, Select, Source, aliases_of
from forecourt.security.grants import Granted
from forecourt.security.lowering import Lowering
from forecourt.security.rules import Operation


@dataclass
class Linking:
    """The links of one plan. ``permitted`` raises Refusal for an entity that the door does not open at all. The asked
    entity has the alias ''."""

    lowering: Lowering
    permitted: Callable[[Entity], None]
    entities: dict[str, Entity] = field(default_factory=dict)
    grants: dict[str, Granted] = field(default_factory=dict)
    #: Fields of linked entities that are needed outside of their selects, by alias.
    needed: dict[str, dict[str, None]] = field(default_factory=dict)

    def open(self, alias: str, entity: Entity) -> Granted:
        """Decides that an entity may be read at all. Raises Refusal."""
        self.permitted(entity)
        self.entities[alias] = entity
        self.grants[alias] = self.lowering.require(entity, Operation.READ)
        return self.grants[alias]

    def open_link(self, link: Link, above: Entity) -> None:
        """The same of a link and all beneath it, and of the fields that it names."""
        target = self.lowering.model.entities[link.entity]
        self.open(link.alias, target)
        if not link.relation:
            self.lowering.check_names(above, [own for own, _ in link.on])
            self.lowering.check_names(target, [theirs for _, theirs in link.on])
        self.lowering.check_fields(link.filter or TRUE, target, self.grants[link.alias])
        self.needed[link.alias] = {}
        for child in link.links:
            self.open_link(child, target)

    def need(self, alias: str, name: str) -> None:
        """Says that a field is named outside of its entity's select. Raises Refusal where it is not open."""
        self.lowering.check_names(self.entities[alias], [name])
        if alias:
            self.needed[alias][name] = None

    def source(self, link: Link, above: Entity, prefix: str) -> Source:
        """The linked rows as a source beside the tables of the entity above."""
        lowering = self.lowering
        target = self.entities[link.alias]
        inner, alias = lowering.fresh(""), lowering.fresh("link")
        links = [self.source(child, target, inner) for child in link.links]
        where = all_of(
            lowering.rows(target, inner, Operation.READ, self.grants[link.alias]),
            lowering.predicate(link.filter, target, inner) if link.filter is not None else TRUE,
        )
        names = dict.fromkeys([*self.needed[link.alias], *(theirs for _, theirs in link.on)])
        outputs = [Output(f"{link.alias}.{name}", physical(lowering, target, inner, name), None) for name in names]
        outputs += [Output(name, Column(source.alias, name), None) for source in links for name in _names(source)]
        used = aliases_of(where) | {found for output in outputs for found in aliases(output)}
        for source in links:
            used |= aliases_of(source.on)
        rows = Select(
            sources=(*lowering.sources(target, inner, Operation.READ, used), *links),
            where=where,
            outputs=tuple(outputs),
            nullable=lowering.nullable(target, inner) | self.nullable(link.links),
        )
        for name, found in self._beneath(link):
            lowering.linked[name] = (alias, found)
        on = all_of(
            *(
                Compare("eq", lowering.column(above, prefix, own), Column(alias, f"{link.alias}.{theirs}"))
                for own, theirs in link.on
            )
        )
        return Source(alias, target.root.table, "inner" if link.required else "left", on, rows)

    def _beneath(self, link: Link) -> list[tuple[str, Entity]]:
        found = [(link.alias, self.entities[link.alias])]
        for child in link.links:
            found += self._beneath(child)
        return found

    def nullable(self, links: tuple[Link, ...]) -> frozenset[tuple[str, str]]:
        """The columns of linked sources, any of which may be null."""
        aliases = [name for link in links for name, _ in self._beneath(link)]
        return frozenset(
            (self.lowering.linked[name][0], f"{name}.{needed}")
            for name in aliases
            if name in self.lowering.linked
            for needed in self.needed[name]
        )

    def column(self, alias: str, name: str) -> Column:
        """The column with a field, once its source has been made."""
        if alias:
            return Column(self.lowering.linked[alias][0], f"{alias}.{name}")
        return physical(self.lowering, self.entities[""], "", name)


def physical(lowering: Lowering, entity: Entity, prefix: str, name: str) -> Column:
    """A field's column; of a name that begins with ``@``, that column of the root table."""
    if name.startswith("@"):
        return Column(prefix + entity.root.alias, name[1:])
    return lowering.column(entity, prefix, name)


def _names(source: Source) -> list[str]:
    assert source.rows is not None
    return [output.name for output in source.rows.outputs]


def aliases(output: Output) -> set[str]:
    """The aliases of the tables that an output reads."""
    operand: object = output.operand
    while isinstance(operand, Aggregate | DatePart | Plain):
        operand = operand.operand
    if isinstance(operand, Column):
        return {operand.alias}
    if isinstance(operand, Rank):
        return {column.alias for column in operand.columns}
    select = getattr(operand, "select", None)
    return aliases_of(select.where) if isinstance(select, Select) else set()
