"""What a database has to know to decide by itself: rules for rows, openings of entities, and who the users are.

The shapes between ``security`` (which makes them from the same policies and grants that decide requests) and the store
(which writes them as row security, views and grants). They name roles, tables and predicates; nothing here decides.

Predicates speak of the columns of a rule's own table under the table's own name as alias, and of ``user.*`` Params.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from forecourt.kernel.model import NOWHERE, Entity, Where
from forecourt.kernel.predicate import FALSE, Predicate
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.relation import Select, TableName


@dataclass(frozen=True, slots=True)
class RowRule:
    """What one policy asks of a table's rows in some operations, of whoever holds one of ``roles``; None: of everybody.
    ``unless``: nothing of whoever holds one of these. ``operations``: ``read``, ``create``, ``update``, ``delete``."""

    policy: str
    table: TableName
    operations: tuple[str, ...]
    roles: frozenset[str] | None
    condition: Predicate
    where: Where = NOWHERE
    unless: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Opening:
    """Who may do one thing with an entity. ``granting``, ``denying``: roles that do, each in the legal entities where
    it counts; a denial wins. ``constrained``: roles of which somebody outside needs one, so that a policy holds of the
    root table; None where the solution asks for none."""

    granting: frozenset[str]
    denying: frozenset[str]
    constrained: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Roles that show a field, and roles that hide it. It is shown where, in every legal entity that is open, one shows
    it and none hides it."""

    showing: frozenset[str]
    hiding: frozenset[str]


@dataclass(frozen=True)
class EntityRule:
    """An entity as the database may show it. ``fields``: rules of those that not every reader sees."""

    entity: Entity
    read: Opening
    fields: Mapping[str, FieldRule] = field(default_factory=dict)


@dataclass(frozen=True)
class Directory:
    """Where users are found. ``select``: rows (role, legal entity) of the user ``user.id`` in the ERP's own tables; its
    other outputs have the names that ``OperationsUser`` has; None without such tables. ``declared`` users win.
    ``off``: values of ``enabled`` that mean no."""

    select: Select | None
    declared: tuple[OperationsUser, ...] = ()
    off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """A database role with which somebody signs in, and the columns of entities that its user may name:
    pairs (entity, fields)."""

    role: str
    user: str
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Unexpressed:
    """A rule that the database cannot decide by itself: its table stays closed there."""

    what: str
    why: str
    where: Where = NOWHERE


@dataclass(frozen=True)
class Protection:
    """Everything that a database has to enforce. ``administrator``: the role that passes every check; ``external``: the
    one that marks somebody outside; ``bypass``: the one whose holders no rule for rows constrains, unless they are
    outside, or ''."""

    rows: tuple[RowRule, ...]
    entities: tuple[EntityRule, ...]
    directory: Directory
    administrator: str
    external: str
    bypass: str = ""
    unexpressed: tuple[Unexpressed, ...] = ()

    @property
    def ruled(self) -> Sequence[TableName]:
        """Tables whose rows are constrained, in the order of their first rule."""
        return tuple(dict.fromkeys(rule.table for rule in self.rows))


#: The condition of a rule that cannot be expressed.
CLOSED = FALSE
