"""What could be: rules, a person and rows with some steps of change applied, and what the steps cost.

Costs say how far a step reaches: something of this person or row costs little, a rule that counts for many costs more,
switching a protection off costs most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from forecourt.kernel.principal import OperationsUser, Principal
from forecourt.security.explain.answers import Change
from forecourt.security.explain.facts import Fact
from forecourt.security.rules import Rules


@dataclass(frozen=True)
class State:
    """Rules, person and rows as they might be. ``extra``: values that follow from a role given."""

    rules: Rules
    principal: Principal
    facts: tuple[Fact, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    cost: float = 0.0

    @property
    def texts(self) -> frozenset[str]:
        """What the steps are, in any order."""
        return frozenset(change.text for change in self.changes)

    def step(self, change: Change, cost: float, **parts: object) -> State:
        changed = replace(self, changes=(*self.changes, change), cost=self.cost + cost)
        return replace(changed, **parts)  # type: ignore[arg-type]

    def as_user(self, change: Change, cost: float, user: OperationsUser) -> State:
        return self.step(change, cost, principal=replace(self.principal, operations_user=user))
