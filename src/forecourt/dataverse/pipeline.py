"""Business logic around writes of native tables: plug-ins, cascades, and the rules of the system's own tables.

Order (reference B6): pre-validation plug-ins; the row is locked; pre-operation plug-ins, then the system's rules and
the cascades of a delete; the row is written, its owner passed on; post-operation plug-ins. What the system sets in
every row is ``stamps``'. Writes that plug-ins cause are at most :data:`~forecourt.kernel.change.DEEPEST` deep; the
depth of a cascade is the data's, and no limit is set to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import get_args

from forecourt.dataverse.assigning import Assigning
from forecourt.dataverse.cascades import Cascades
from forecourt.dataverse.plugins import Plugins, Stage
from forecourt.dataverse.unit_rules import RULES, Rule
from forecourt.kernel.change import Draft, Origin
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import WriteOperation


@dataclass(frozen=True)
class Pipeline:
    """Implements :class:`~forecourt.kernel.change.Logic` for native tables."""

    plugins: Plugins
    cascades: Cascades
    rules: Mapping[tuple[str, WriteOperation], Rule] = field(default_factory=lambda: RULES)

    @cached_property
    def assigning(self) -> Assigning:
        """What another owner means for the rows beneath."""
        return Assigning(self.cascades.model, self.cascades.database)

    def concerns(self, entity: Entity, operation: WriteOperation, origin: Origin = "work") -> bool:
        """Whether a plug-in, a cascade or a rule takes part: other rows may be written as a set."""
        if entity.virtual_of is not None:
            return False
        if self.plugins.any(entity.name, operation, origin) or (entity.name, operation) in self.rules:
            return True
        if operation == "update":
            return self.assigning.concern(entity)
        return operation == "delete" and self.cascades.concern(entity)

    async def validate(self, draft: Draft) -> None:
        await self._run(draft, "pre-validation")

    async def prepare(self, draft: Draft) -> None:
        await self._run(draft, "pre-operation")
        rule = self.rules.get((draft.entity.name, draft.operation))
        if rule is not None and rule.before is not None:
            await rule.before(draft)
        if draft.operation == "delete":
            await self.cascades.apply(draft)

    async def finish(self, draft: Draft) -> None:
        rule = self.rules.get((draft.entity.name, draft.operation))
        if rule is not None and rule.after is not None:
            await rule.after(draft)
        if draft.operation == "update":
            await self.assigning.apply(draft)
        await self._run(draft, "post-operation")

    async def _run(self, draft: Draft, stage: Stage) -> None:
        assert stage in get_args(Stage)
        for step in self.plugins.of(draft.entity.name, draft.operation, stage):
            await step.run(draft)
