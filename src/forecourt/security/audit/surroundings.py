"""What audit has to know beside the rules: what pages show, which tables are copies, what is meant to be public."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecourt.kernel.model import NOWHERE, Entity, Where
from forecourt.kernel.predicate import TRUE, Predicate
from forecourt.kernel.sync import Reference
from forecourt.security.audit.plain_sql import Enforced
from forecourt.security.rules import Right


@dataclass(frozen=True, slots=True)
class CopyKey:
    """A part of an integration key: ``field`` of the entity, ``column`` of the table. ``reference``: the column holds
    the id of a row, and its natural key is what equals the field."""

    field: str
    column: str
    reference: Reference | None = None


@dataclass(frozen=True)
class Copy:
    """A native table whose rows a table map keeps in step with a data entity's.

    ``columns``: pairs (column of the table, field of the entity). ``filter``: over fields of the table, the rows that
    belong to the map. ``exact``: the key compares plainly; a key that goes through a value map does not. ``back``: what
    is written to the table goes on to the entity.
    """

    name: str
    entity: Entity
    table: Entity
    key: tuple[CopyKey, ...]
    columns: tuple[tuple[str, str], ...]
    filter: Predicate = TRUE
    exact: bool = True
    where: Where = NOWHERE
    back: bool = False


@dataclass(frozen=True, slots=True)
class Unused:
    """A rule of a file that nothing refers to."""

    what: str
    name: str
    where: Where


@dataclass(frozen=True)
class Surroundings:
    """``shown``: columns of views and forms, by table; ``taken``: those that a form of the site lets be filled in;
    ``asked``: of tables that ``/_api`` opens, the columns that something of the solution shows or names, None where
    there is no site; ``used``: tables that a page, list, form, template or the Web API of the portal names, None where
    there is no site; ``held``: web roles that somebody may hold, None where that is not known; ``public``: rights on
    rows of a table that visitors and newcomers are meant to have, and ``public_rows`` which rows, where
    that is said, as a condition over fields of the table; ``sql``: None where no rules were given to the
    database."""

    copies: tuple[Copy, ...] = ()
    shown: Mapping[str, frozenset[str]] = field(default_factory=dict)
    taken: Mapping[str, frozenset[str]] = field(default_factory=dict)
    asked: Mapping[str, frozenset[str]] | None = None
    used: frozenset[str] | None = None
    held: frozenset[str] | None = None
    public: Mapping[str, frozenset[Right]] = field(default_factory=dict)
    public_rows: Mapping[str, Predicate] = field(default_factory=dict)
    unused: tuple[Unused, ...] = ()
    sql: Enforced | None = None


#: Rules with nothing around them.
ALONE = Surroundings()
