"""Copies against their sources: dual-write runs as an administrator, so that a copy is restricted by nothing but the
portal's and Dataverse's own rules.

A copied row may be read, or written, through the portal by somebody to whom the source hides the row it is a copy of.
The integration key leads from one to the other. The same is asked of columns: a copy may show what the source hides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from forecourt.kernel.model import Entity
from forecourt.kernel.predicate import FALSE, TRUE, Column, Compare, Exists, Predicate, all_of, negate
from forecourt.kernel.principal import Door
from forecourt.kernel.relation import Output, Select, Source, aliases_of
from forecourt.security.admission import admitted
from forecourt.security.audit.algebra import Flat, canonical
from forecourt.security.audit.columns import SET, opened, taken
from forecourt.security.audit.doors import Check, counted
from forecourt.security.audit.findings import Finding
from forecourt.security.audit.identities import Class, Identity
from forecourt.security.audit.planes import Planes
from forecourt.security.audit.questions import Apart, Question, Shape, question
from forecourt.security.audit.surroundings import Copy, Surroundings
from forecourt.security.columns import permitted
from forecourt.security.lowering import RIGHTS, Lowering
from forecourt.security.ownership import field_of
from forecourt.security.permissions import nodes
from forecourt.security.rules import Operation, PortalRules, Rules, Scope
from forecourt.security.scope import Scope as AskerScope
from forecourt.store.cohort.attributes import COHORT, NUMBER, PERSON, ROW, ROWS

#: Prefixes of the aliases of a source's tables, and of the tables that lookups lead to.
_SOURCE, _LOOKUP = "s_", "k_"


class Copies:
    """The comparisons of copies with their sources for classes of identities."""

    def __init__(self, planes: Planes, around: Surroundings) -> None:
        self._planes = planes
        self._around = around
        self._copies = around.copies

    def checks(self, found: Class) -> Iterator[Check]:
        """A question for each copy that the class reaches through the portal, to read and to change."""
        first = found.first
        if first.portal is None:
            return
        for copy in self._copies:
            for operation in Operation:
                yield from self._check(first, copy, operation)

    def _check(self, first: Identity, copy: Copy, operation: Operation) -> Iterator[Check]:
        scope = first.scope(Door.PORTAL)
        assert scope is not None
        enforcer = replace(self._planes.dataverse.enforcer, rules=_without_self(self._planes.rules))
        reached = admitted(enforcer, scope, copy.table, "", operation)
        if reached == FALSE:
            return
        lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
        lowering.in_rule()
        belongs = lowering.predicate(copy.filter, copy.table, "")
        direct = first.scope(Door.OPERATIONS)
        shown: Predicate = FALSE
        if direct is not None:
            shown = admitted(self._planes.operations.enforcer, direct, copy.entity, _SOURCE, Operation.READ)
        told = _Wider(copy, operation, _names(self._planes, first, copy.table, operation))
        gate, plain = self._planes.dataverse, Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
        reached = all_of(reached, belongs)
        if not copy.exact:
            yield Check(gate, Question(copy.table, "each"), told, _UNCLEAR)
        elif self._together(copy):
            wide = all_of(reached, self._counterpart(copy, lowering, TRUE, scope))
            narrow = FALSE if direct is None or shown == FALSE else self._counterpart(copy, lowering, shown, direct)
            yield Check(gate, question(plain, copy.table, wide, narrow), told)
        else:
            apart = self._apart(copy, plain, reached, shown, direct or scope)
            yield Check(gate, Question(copy.table, "apart"), told, apart=apart)

    def _apart(self, copy: Copy, table: Lowering, reached: Predicate, shown: Predicate, scope: AskerScope) -> Apart:
        """The question where the copy is in one database and its source in another: the key carries from one to the
        other, each part in the type of the source's column."""
        pairs = Shape(table, copy.table).pairs(reached)
        sources, where, outputs = list(pairs.sources), [pairs.where], list(pairs.outputs)
        nullable = pairs.nullable
        for place, part in enumerate(copy.key):
            own: Column = table.column(copy.table, "", part.column)
            if part.reference is not None:
                entity, prefix = part.reference.entity, f"{_LOOKUP}{place}_"
                sources.append(Source(prefix + entity.root.alias, entity.root.table, "inner"))
                where.append(Compare("eq", table.column(entity, prefix, part.reference.id_field), own))
                own = table.column(entity, prefix, part.reference.natural)
                nullable |= table.nullable(entity, prefix)
            outputs.append(Output(f"k{place}", own, None))
        found = replace(pairs, sources=tuple(sources), where=all_of(*where), outputs=tuple(outputs), nullable=nullable)
        gate = self._planes.operations
        enforcer = gate.enforcer
        source = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)

        def there(condition: Predicate) -> Predicate:
            links = (
                Compare("eq", source.column(copy.entity, _SOURCE, part.field), Column(ROW, f"k{place}"))
                for place, part in enumerate(copy.key)
            )
            wanted = all_of(*links, condition)
            tables = source.sources(copy.entity, _SOURCE, Operation.READ, aliases_of(wanted))
            return Exists(Select(tables, wanted, nullable=source.nullable(copy.entity, _SOURCE)))

        missing = all_of(there(TRUE), negate(there(shown)) if shown != FALSE else TRUE)
        select = Select(
            (
                Source(PERSON, COHORT),
                Source(ROW, ROWS, "inner", Compare("eq", Column(ROW, NUMBER), Column(PERSON, NUMBER))),
            ),
            canonical(missing),
            (Output("@number", Column(PERSON, NUMBER), None), Output("key", Column(ROW, "key"), None)),
        )
        catalog = gate.plane_of(copy.entity).catalog
        columns = [copy.entity.fields[part.field] for part in copy.key]
        tables = {s.alias: s.table for s in copy.entity.sources}
        types = tuple(
            found_column.type if (found_column := catalog.column(tables[f.source], f.column)) is not None else "text"
            for f in columns
        )
        first = self._planes.dataverse.plane_of(copy.table)
        return Apart(first, gate, copy.entity, Flat().nested(found), Flat().nested(select), types)

    def _together(self, copy: Copy) -> bool:
        """Whether one statement reaches both sides."""
        return (
            self._planes.dataverse.plane_of(copy.table).database
            is self._planes.operations.plane_of(copy.entity).database
        )

    def _counterpart(self, copy: Copy, table: Lowering, where: Predicate, scope: AskerScope) -> Predicate:
        """EXISTS of the row that a row is a copy of, under a condition over the source's columns."""
        enforcer = self._planes.operations.enforcer
        source = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
        links: list[Predicate] = []
        lookups: list[Source] = []
        nullable: frozenset[tuple[str, str]] = frozenset()
        for place, part in enumerate(copy.key):
            own = table.column(copy.table, "", part.column)
            theirs = source.column(copy.entity, _SOURCE, part.field)
            if part.reference is None:
                links.append(Compare("eq", theirs, own))
                continue
            entity = part.reference.entity
            prefix = f"{_LOOKUP}{place}_"
            lookups.append(Source(prefix + entity.root.alias, entity.root.table, "inner"))
            links.append(Compare("eq", table.column(entity, prefix, part.reference.id_field), own))
            links.append(Compare("eq", theirs, table.column(entity, prefix, part.reference.natural)))
            nullable |= table.nullable(entity, prefix)
        condition = all_of(*links, where)
        used = aliases_of(condition) - {lookup.alias for lookup in lookups}
        return Exists(
            Select(
                (*source.sources(copy.entity, _SOURCE, Operation.READ, used), *lookups),
                condition,
                nullable=nullable | source.nullable(copy.entity, _SOURCE) | table.nullable(copy.table, ""),
            )
        )

    # -- columns -------------------------------------------------------------------------------------------------

    def columns(self, found: Class) -> Iterator[Finding]:
        """Columns of copies that the portal shows, or takes, and whose source keeps them from the same people. What is
        written to a copy goes on to its source, as an administrator's change."""
        first = found.first
        direct = first.scope(Door.OPERATIONS)
        if first.portal is None or direct is None:
            return
        for copy in self._copies:
            for operation in (Operation.READ, Operation.CREATE, Operation.UPDATE):
                yield from self._columns(found, copy, operation)

    def _columns(self, found: Class, copy: Copy, operation: Operation) -> Iterator[Finding]:
        first, reading = found.first, operation is Operation.READ
        if not reading and not copy.back:
            return
        listed = self._listed(first, copy.table, operation)
        source = opened(self._planes.operations, first, Door.OPERATIONS, copy.entity, operation)
        if listed is None or source is None:
            return  # the rows are what is wider
        for column, name in copy.columns:
            field = copy.table.fields.get(column) or field_of(copy.table, column)
            wider = field is not None and field.name in listed and name not in source
            if wider and (reading or (field is not None and taken(copy.table, field, operation))):
                done = "is open to /_api" if reading else f"can be {SET[operation]} in the portal"
                kept = "is hidden" if reading else "is not to be set by the same people"
                yield Finding(
                    "FC7009",
                    f"column {column} of {copy.table.collection} {done}, and {name} of {copy.entity.collection}, "
                    f"which it is a copy of, {kept}",
                    f"take {column} out of Webapi/{copy.table.name}/fields{'' if reading else ' and forms'}, or open "
                    f"{name} at the source",
                    copy.table.name,
                    first.label,
                    where=str(copy.where),
                    subject=column if reading else f"{operation.value} {column}",
                    others=len(found.members) - 1,
                )

    def _listed(self, first: Identity, table: Entity, operation: Operation) -> frozenset[str] | None:
        """The columns that the portal opens: those of ``/_api``, and to be set those of forms, too."""
        rules = self._planes.rules.portal
        if first.portal is None or not nodes(rules, table.name, RIGHTS[operation], first.portal.web_roles):
            return None
        forms = frozenset() if operation is Operation.READ else self._around.taken.get(table.name, frozenset())
        found = rules.columns.get(table.name, frozenset()) | forms
        left = permitted(rules, table, operation, first.portal.web_roles)
        return found if left is None else found & left


_UNCLEAR = ("the integration key goes through a value map",)


def _without_self(rules: Rules) -> Rules:
    """The rules without what lets people see their own contact: that row is about them, whoever keeps it."""
    portal: PortalRules = rules.portal
    kept = tuple(permission for permission in portal.permissions if permission.scope is not Scope.SELF)
    return replace(rules, portal=replace(portal, permissions=kept))


def _names(planes: Planes, first: Identity, table: Entity, operation: Operation) -> str:
    right = RIGHTS[operation]
    roles = first.portal.web_roles if first.portal is not None else frozenset()
    return ", ".join(f"'{p.name}' ({p.where})" for p in nodes(planes.rules.portal, table.name, right, roles))


@dataclass(frozen=True)
class _Wider:
    """A copy is within reach whose source is not."""

    copy: Copy
    operation: Operation
    named: str

    def __call__(self, identity: Identity, rows: int, example: str) -> Finding:
        return Finding(
            "FC7010",
            f"{counted(rows, self.copy.table, self.operation)} in the portal that are copies of rows "
            f"of {self.copy.entity.collection} which the source hides",
            f"table permissions {self.named} admit more than the source of map {self.copy.name}",
            self.copy.table.name,
            identity.label,
            rows,
            example,
            self.named.rpartition("(")[2].rstrip(")"),
            subject=f"{self.copy.name} {self.operation.value}",
        )
