"""The two sides that are compared: the gates that serve requests, and how their tables belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from forecourt.kernel.model import Entity
from forecourt.security.gate import Gate
from forecourt.security.rules import Rules


@dataclass(frozen=True)
class Planes:
    """The gate of the data entities, and the gate of the virtual and native tables."""

    operations: Gate
    dataverse: Gate

    @property
    def rules(self) -> Rules:
        return self.dataverse.enforcer.rules

    @property
    def shared(self) -> bool:
        """Whether one database holds both sides."""
        return all(
            self.dataverse.plane_of(table).database is self.dataverse.plane_of(self._any_virtual or table).database
            for table in self.native
        )

    @cached_property
    def _any_virtual(self) -> Entity | None:
        return next(iter(self._virtual.values()), None)

    @cached_property
    def _virtual(self) -> Mapping[str, Entity]:
        return {
            table.virtual_of: table for table in self.dataverse.model.entities.values() if table.virtual_of is not None
        }

    @cached_property
    def native(self) -> tuple[Entity, ...]:
        """Dataverse's own tables."""
        return tuple(table for table in self.dataverse.model.entities.values() if table.virtual_of is None)

    def virtual(self, entity: Entity) -> Entity | None:
        """The virtual table of a data entity."""
        return self._virtual.get(entity.name)
