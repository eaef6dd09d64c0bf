"""A scope: everything about the asker that decides a plan, as a shape and as values.

The *shape* is what rules look at: door, roles, legal entities, sizes of the bound umbrellas. Two people of one shape
get the same statement; their *values* (user id, account, the umbrella's keys) are bound when it runs. Plans are
cached by request shape and scope shape.

A scope rests on rows: the user's own and its umbrellas. Each gives a witness, so that a read under a scope that is no
longer true gives no row, and the scope is resolved anew. Inside of a unit of work, which sees rows that nobody else
does yet, policies are read in place.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from forecourt.kernel.plan import Witness
from forecourt.kernel.principal import Door, Principal
from forecourt.security.rules import Mode


@dataclass(frozen=True)
class Scope:
    """``sizes``: (policy or construct, size class of its bound set or None), for those that may count. ``witnesses``:
    of everything that it rests on; ``sets``: those among them that bound sets come from."""

    principal: Principal
    door: Door
    sizes: tuple[tuple[str, int | None], ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    witnesses: tuple[Witness, ...] = ()
    sets: tuple[Witness, ...] = ()

    @cached_property
    def in_place(self) -> Scope:
        """The same scope without bound sets: each statement reads the policies' tables as they then are."""
        return replace(
            self, sizes=(), witnesses=tuple(item for item in self.witnesses if item not in self.sets), sets=()
        )

    @property
    def operations_door(self) -> bool:
        return self.door in (Door.OPERATIONS, Door.PACKAGES)

    @property
    def mode(self) -> Mode:
        """The way to data entities that privileges have to open."""
        return Mode.DATA_MANAGEMENT if self.door is Door.PACKAGES else Mode.DATA_SERVICES

    @property
    def portal_door(self) -> bool:
        return self.door in (Door.PORTAL, Door.PORTAL_API)

    @cached_property
    def shape(self) -> Hashable:
        user = self.principal.operations_user
        decided = None
        if user is not None:
            decided = (
                user.roles,
                user.companies,
                user.external,
                user.enabled,
                user.company,
                bool(user.fingerprint),
                user.contexts,
            )
        return (self.door, decided, self.principal.web_roles, self.principal.security_roles, self.sizes)
