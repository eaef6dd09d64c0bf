"""Paths of single-valued relations as links of a plan, each once however often it is gone along."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model
from forecourt.kernel.plan import Link
from forecourt.odata.filter import MAX_LINKS
from forecourt.odata.shapes import is_unique


@dataclass
class Links:
    """The links from one entity. They keep every row: where there is none along a relation, its columns are null.
    ``source``: the option, for messages."""

    model: Model
    entity: Entity
    source: str
    found: dict[tuple[str, ...], Link] = field(default_factory=dict)

    def along(self, path: tuple[str, ...]) -> str:
        """The alias of what a path of relations leads to; '' for the entity itself.

        Raises Refusal FC1004 for a relation that may lead to several rows.
        """
        entity = self.entity
        for place, name in enumerate(path, 1):
            relation = entity.relations[name]
            target = self.model.entities[relation.target]
            key = path[:place]
            if key not in self.found:
                if len(self.found) == MAX_LINKS:
                    raise Refusal("FC1004", f"At most {MAX_LINKS} relations are crossed.", source=self.source)
                if relation.many or not is_unique(target, frozenset(theirs for _, theirs in relation.on)):
                    message = f"'{name}' may lead to several rows."
                    raise Refusal("FC1004", message, hint="Name a column of the entity itself.", source=self.source)
                self.found[key] = Link("/".join(key), target.name, relation.on, required=False, relation=name)
            entity = target
        return "/".join(path)

    def tree(self, above: tuple[str, ...] = ()) -> tuple[Link, ...]:
        """The links, each with those beneath it."""
        return tuple(
            replace(link, links=self.tree(path))
            for path, link in self.found.items()
            if len(path) == len(above) + 1 and path[: len(above)] == above
        )
