"""What stands around an expression: the sources that it may name, and the parameters of its statement.

Leaves out how predicates and operands are written (``expressions``) and where selects come from (``compile``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from forecourt.kernel.predicate import Const
from forecourt.kernel.relation import Given, TableName
from forecourt.store.statements import Bind
from forecourt.store.storage import Expression, Family


class Binds:
    """The bind parameters of one statement: the same value under the same type is bound once."""

    def __init__(self) -> None:
        self._names: dict[object, str] = {}
        self._binds: dict[str, Bind] = {}

    def parameter(self, bind: Bind, family: object) -> Expression:
        key = (type(bind), type(bind.value) if isinstance(bind, Const) else None, bind, family)
        name = self._names.setdefault(key, f"b{len(self._names)}")
        self._binds[name] = bind
        return sa.bindparam(name, required=False)

    def ordered(self, names: Sequence[str]) -> tuple[Bind, ...]:
        return tuple(self._binds[name] for name in names)


@dataclass(frozen=True)
class Scope:
    """The sources that a predicate may name: those of its select, then those of the enclosing ones. ``families``: of
    the columns of sources that are selects."""

    tables: Mapping[str, tuple[TableName, sa.FromClause]]
    nullable: frozenset[tuple[str, str]]
    outer: Scope | None = None
    families: Mapping[str, Mapping[str, Family | None]] = field(default_factory=dict)
    given: tuple[Given, sa.FromClause] | None = None

    def bound(self, alias: str) -> sa.FromClause | None:
        """The bound rows of this alias, where there are such."""
        if self.given is not None and self.given[0].alias == alias:
            return self.given[1]
        return None if alias in self.tables or self.outer is None else self.outer.bound(alias)

    def of(self, alias: str) -> Scope:
        """The innermost scope that has the source. Raises KeyError."""
        if alias in self.tables:
            return self
        if self.outer is None:
            raise KeyError(alias)
        return self.outer.of(alias)

    def sources(self) -> list[sa.FromClause]:
        """All sources, of the enclosing selects too."""
        own = [source for _, source in self.tables.values()]
        if self.given is not None:
            own.append(self.given[1])
        return own if self.outer is None else own + self.outer.sources()
