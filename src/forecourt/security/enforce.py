"""Enforcement: the only place where a plan and an identity become something that the store will run.

Parse -> plan -> **secure** -> compile -> run -> render. Nothing else makes a :class:`SecuredPlan` or a
:class:`SecuredWrite` (a test searches the code for it). The decision is pure: it looks at rules, model, plan and
scope, and gives a shape; values are bound when it runs.

Decided here, in this order, each step only narrowing: the person may use the entity at all (web roles, security
roles, privileges); the fields that the request names are open to the person; the legal entities; the policies; the
table permissions. What is not granted is denied.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model, Relation
from forecourt.kernel.plan import (
    Expand,
    OrderBy,
    ReadPlan,
    SecuredExpand,
    SecuredPlan,
    SecuredWrite,
    WriteOperation,
    WritePlan,
)
from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    Column,
    Compare,
    Const,
    Param,
    Predicate,
    Slot,
    all_of,
)
from forecourt.kernel.relation import Holds, Looked, Output, Select, Sort, Source, aliases_of
from forecourt.odata.paging import effective_order
from forecourt.security import appending, ownership
from forecourt.security.grants import Granted
from forecourt.security.linking import Linking
from forecourt.security.lowering import RIGHTS, Lowering, hidden
from forecourt.security.naming import beside
from forecourt.security.rules import Operation, Right, Rules
from forecourt.security.scope import Scope
from forecourt.security.shaping import Shaping
from forecourt.security.sorting import Sorting, sorting
from forecourt.security.versions import version_of
from forecourt.security.writing import OPERATIONS, Writing, no_columns
from forecourt.security.xds import KeyOf

#: Bound at run time: the rows to fetch (one more than a page) and to skip.
LIMIT = Param("page.limit")
OFFSET = Param("page.offset")

#: Results that an enforcer remembers at most, before it begins anew.
REMEMBERED = 50_000

Decided = TypeVar("Decided", bound=Hashable)


@dataclass(frozen=True)
class Enforcer:
    """Rules and model of one plane. ``key_of`` gives the primary key of a table."""

    rules: Rules
    model: Model
    key_of: KeyOf
    generated_of: KeyOf = no_columns

    @cached_property
    def writing(self) -> Writing:
        """How writes meet tables."""
        return Writing(self.key_of, self.generated_of)

    @cached_property
    def _known(self) -> dict[Hashable, Hashable]:
        return {}

    def remembered(self, what: Hashable, scope: Scope, entity: Entity, decide: Callable[[], Decided]) -> Decided:
        """What ``decide`` gives for an entity of this model, worked out once for all people of one shape. ``what``
        names the question. For audit and its like, which ask the same of every pair of doors."""
        key = (what, scope.shape, entity.name)
        if key not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = decide()
        return cast(Decided, self._known[key])

    def read(self, plan: ReadPlan, scope: Scope) -> SecuredPlan:
        """Decides a read. Raises Refusal FC3001-FC3004; rows out of reach are simply not among the rows."""
        entity = self.model.entities[plan.entity]
        lowering = Lowering(self.rules, self.model, scope, self.key_of)
        if plan.shape is not None:
            return self._shaped(plan, entity, lowering, scope)
        linking = self._linking(lowering, scope)
        grant = linking.open("", entity)
        names = self._selected(lowering, entity, grant, plan.select)
        lowering.check_names(entity, (name for name, _ in plan.key))
        lowering.check_fields(plan.filter or TRUE, entity, grant)
        self._check_names(lowering, entity, grant, [step.path[0] for step in plan.order if len(step.path) == 1])
        single = bool(plan.key)
        order = Sorting() if single else sorting(linking, entity, effective_order(plan, entity), names)
        expands = tuple(self._expand(lowering, entity, names, item, scope, plan.versions) for item in plan.expand)
        links = [own for item in plan.expand for own in _own(entity.relations[item.relation])]
        outputs = (
            *self._outputs(lowering, entity, names, links, plan),
            *order.outputs(names),
            *(Output(f"@may.{right}", self._may(lowering, entity, scope, right), None) for right in plan.rights),
        )
        where = all_of(
            self._company(entity, scope, plan),
            lowering.rows(entity, "", Operation.READ, grant),
            *(Compare("eq", lowering.column(entity, "", name), slot) for name, slot in plan.key),
            lowering.predicate(plan.filter, entity, "") if plan.filter is not None else TRUE,
        )
        nullable = lowering.nullable(entity, "")
        sources = lowering.sources(entity, "", Operation.READ, aliases_of(where))
        counting = Select(sources=sources, where=where, count=True, nullable=nullable)
        if plan.want == "count":
            return SecuredPlan(entity.name, counting, witnesses=scope.witnesses)
        used = aliases_of(where) | _shown(outputs)
        for source in order.sources:
            used |= aliases_of(source.on)
        select = Select(
            sources=(*lowering.sources(entity, "", Operation.READ, used), *order.sources),
            where=all_of(where, order.after(plan.after)),
            outputs=outputs,
            order=order.sorts,
            limit=None if single else LIMIT,
            offset=OFFSET if plan.skip is not None and not single else None,
            nullable=nullable,
        )
        return SecuredPlan(
            entity=entity.name,
            select=select,
            count=counting if plan.want == "rows+count" else None,
            expands=expands,
            witnesses=scope.witnesses,
            single=single,
            keyset=tuple(key.output for key in order.keys),
            page_size=plan.page_size,
        )

    def _shaped(self, plan: ReadPlan, entity: Entity, lowering: Lowering, scope: Scope) -> SecuredPlan:
        """Decides a read whose rows are linked, grouped or distinct."""
        shaping = Shaping(plan, self._linking(lowering, scope), version_of(lowering, entity))
        grant = shaping.open()
        where = all_of(self._company(entity, scope, plan), lowering.rows(entity, "", Operation.READ, grant))
        select, counting = shaping.selects(where, LIMIT, OFFSET if plan.skip is not None else None)
        return SecuredPlan(
            entity=entity.name,
            select=select,
            count=counting if plan.want == "rows+count" else None,
            witnesses=scope.witnesses,
            keyset=tuple(step.path[0] for step in plan.order),
            page_size=plan.page_size,
        )

    def write(self, plan: WritePlan, scope: Scope) -> SecuredWrite:
        """Decides a write: the row must be within reach as it is and as it will be. Raises Refusal FC3001-FC3004."""
        entity = self.model.entities[plan.entity]
        operation = OPERATIONS[plan.operation]
        lowering = Lowering(self.rules, self.model, scope, self.key_of)
        self._permitted(entity, scope, RIGHTS[operation])
        grant = lowering.require(entity, operation)
        ties = ownership.ties(lowering, entity, plan)
        appended = appending.ties(lowering, entity, plan)
        reach = [self._company(entity, scope, plan), lowering.rows(entity, "", operation, grant)]
        kept = reach if not ties.leaves else [reach[0], lowering.rows(entity, "", operation, grant, owned=False)]
        if operation is not Operation.CREATE:
            reading = lowering.require(entity, Operation.READ)
            lowering.check_names(entity, (name for name, _ in plan.key))
            reach = [*reach, lowering.rows(entity, "", Operation.READ, reading, permissions=False)]
            kept = [
                *kept,
                lowering.rows(entity, "", Operation.READ, reading, permissions=False, owned=not ties.leaves),
            ]
        before, after = all_of(*reach, ties.before, appended.before), all_of(*kept, ties.after, appended.after)
        assignments = self.writing.assignments(lowering, entity, plan, grant)
        tables = self.writing.tables(entity, plan.operation, assignments)
        return SecuredWrite(
            entity=entity.name,
            operation=plan.operation,
            tables=tables,
            find=None if operation is Operation.CREATE else self._row(lowering, entity, operation, before, plan.key),
            check=None if operation is Operation.DELETE else self._row(lowering, entity, operation, after),
            witnesses=scope.witnesses,
            version=plan.version,
        )

    def _row(
        self,
        lowering: Lowering,
        entity: Entity,
        operation: Operation,
        reach: Predicate,
        key: tuple[tuple[str, Slot], ...] | None = None,
    ) -> Select:
        """One row of an entity under rules: by ``key``, or by the root's identity as it has been written."""
        identities = self.writing.identities(entity)
        root = entity.root.alias
        if key is None:
            found = [
                Compare("eq", Column(root, name), Param(f"@id.{place}")) for place, name in enumerate(identities[root])
            ]
        else:
            found = [Compare("eq", lowering.column(entity, "", name), slot) for name, slot in key]
        outputs = (
            Output("@version", version_of(lowering, entity), None),
            *(
                Output(f"@id.{alias}.{place}", Column(alias, name), None)
                for alias, names in identities.items()
                for place, name in enumerate(names)
            ),
            *(Output(name, lowering.column(entity, "", name), field.kind) for name, field in entity.fields.items()),
        )
        where = all_of(*found, reach)
        sources = lowering.sources(entity, "", operation, aliases_of(where) | _shown(outputs))
        return Select(sources, where, outputs, nullable=lowering.nullable(entity, ""))

    def readable(self, entity: Entity, scope: Scope, operation: Operation = Operation.READ) -> frozenset[str]:
        """The fields that the person may read, or set by another ``operation``; none where they may not do that."""
        lowering = Lowering(self.rules, self.model, scope, self.key_of)
        try:
            self._permitted(entity, scope, RIGHTS[operation])
            grant = lowering.require(entity, operation)
        except Refusal:
            return frozenset()
        if operation is Operation.READ:
            return lowering.readable(entity, grant)
        return self.writing.settable(lowering, entity, grant, operation)

    def _linking(self, lowering: Lowering, scope: Scope) -> Linking:
        return Linking(lowering, lambda entity: self._permitted(entity, scope, Right.READ))

    # -- steps ---------------------------------------------------------------------------------------------------

    def _may(self, lowering: Lowering, entity: Entity, scope: Scope, right: WriteOperation) -> Holds:
        """Whether a row is one that the asker may change or delete, as :meth:`write` decides it before the write."""
        operation = OPERATIONS[right]
        try:
            self._permitted(entity, scope, RIGHTS[operation])
            grant = lowering.require(entity, operation)
            reading = lowering.require(entity, Operation.READ)
        except Refusal:
            return Holds(FALSE)
        reach = lowering.rows(entity, "", operation, grant)
        return Holds(all_of(reach, lowering.rows(entity, "", Operation.READ, reading, permissions=False)))

    def _permitted(self, entity: Entity, scope: Scope, right: Right) -> None:
        appending.require(self.rules.portal, scope, entity, right)

    def _selected(
        self, lowering: Lowering, entity: Entity, grant: Granted, select: tuple[str, ...] | None
    ) -> tuple[str, ...]:
        readable = lowering.readable(entity, grant)
        if select is None:
            return tuple(name for name in entity.fields if name in readable)
        self._check_names(lowering, entity, grant, list(select))
        return select

    def _check_names(self, lowering: Lowering, entity: Entity, grant: Granted, names: list[str]) -> None:
        readable = lowering.readable(entity, grant)
        for name in names:
            if name not in readable:
                raise hidden(entity, name)

    def _check_order(self, lowering: Lowering, entity: Entity, grant: Granted, order: tuple[OrderBy, ...]) -> None:
        for step in order:
            if len(step.path) > 1:
                raise Refusal(
                    "FC1004",
                    f"Expanded rows cannot be sorted by {'/'.join(step.path)}, a column of another entity.",
                    hint="Sort by a column of the expanded entity itself.",
                    source="$orderby",
                )
        self._check_names(lowering, entity, grant, [step.path[0] for step in order])

    def _outputs(
        self,
        lowering: Lowering,
        entity: Entity,
        names: tuple[str, ...],
        links: list[str],
        plan: ReadPlan,
    ) -> tuple[Output, ...]:
        outputs = [Output(name, lowering.column(entity, "", name), entity.fields[name].kind) for name in names]
        if plan.versions:
            outputs.insert(0, Output("@version", version_of(lowering, entity), None))
        for name in dict.fromkeys(links):
            if name not in names:
                outputs.append(Output(f"@link.{name}", lowering.column(entity, "", name), None))
        outputs.extend(beside(lowering, entity, names, plan.beside))
        return tuple(outputs)

    @staticmethod
    def _sorts(lowering: Lowering, entity: Entity, order: tuple[OrderBy, ...]) -> tuple[Sort, ...]:
        return tuple(
            Sort(lowering.column(entity, "", step.path[0]), step.descending, entity.fields[step.path[0]].nullable)
            for step in order
        )

    @staticmethod
    def _company(entity: Entity, scope: Scope, plan: ReadPlan | WritePlan) -> Predicate:
        """The default legal entity, where the direct door is asked without ``cross-company`` (reference 5.4)."""
        user = scope.principal.operations_user
        if entity.company is None or plan.cross_company or not scope.operations_door or user is None:
            return TRUE
        found = entity.fields[entity.company]
        return Compare("eq", found.at(), Const(user.company))

    def _expand(
        self, lowering: Lowering, entity: Entity, above: tuple[str, ...], item: Expand, scope: Scope, versions: bool
    ) -> SecuredExpand:
        relation = entity.relations[item.relation]
        target = self.model.entities[relation.target]
        self._permitted(target, scope, Right.READ)
        grant = lowering.require(target, Operation.READ)
        lowering.check_link(entity, target, relation.on)
        names = self._selected(lowering, target, grant, item.select)
        lowering.check_fields(item.filter or TRUE, target, grant)
        self._check_order(lowering, target, grant, item.order)
        inner = ReadPlan(target.name, order=item.order, beside=item.beside, versions=versions)
        order = effective_order(inner, target)
        links = [own for child in item.expand for own in _own(target.relations[child.relation])]
        outputs = list(self._outputs(lowering, target, names, links, inner))
        pairs = _pairs(lowering, target, relation)
        keys = tuple(lowering.column(target, "", theirs) for _, theirs in relation.on)
        if relation.through is not None:
            keys = tuple(Column(pairs[0].alias, column) for _, column in relation.through.own)
        outputs.extend(Output(f"@key{i}", key, None) for i, key in enumerate(keys))
        where = all_of(
            lowering.rows(target, "", Operation.READ, grant),
            lowering.predicate(item.filter, target, "") if item.filter is not None else TRUE,
        )
        sorts = self._sorts(lowering, target, order)
        used = aliases_of(where) | _shown(outputs) | {s.operand.alias for s in sorts if isinstance(s.operand, Column)}
        select = Select(
            sources=(*lowering.sources(target, "", Operation.READ, used), *pairs),
            where=where,
            outputs=tuple(outputs),
            order=sorts,
            nullable=lowering.nullable(target, ""),
        )
        return SecuredExpand(
            name=item.relation,
            many=relation.many,
            entity=target.name,
            select=select,
            parent=tuple(own if own in above else f"@link.{own}" for own in _own(relation)),
            keys=keys,
            limit=item.top,
            expands=tuple(self._expand(lowering, target, names, child, scope, versions) for child in item.expand),
        )


def _own(relation: Relation) -> tuple[str, ...]:
    """The fields of the row above by which a relation finds its rows."""
    pairs = relation.on if relation.through is None else relation.through.own
    return tuple(own for own, _ in pairs)


def _pairs(lowering: Lowering, target: Entity, relation: Relation) -> tuple[Source, ...]:
    """The table of pairs through which a many-to-many relation finds its rows. Who reads both ends reads the pair."""
    through = relation.through
    if through is None:
        return ()
    alias = lowering.fresh("pair")
    on = all_of(*(Compare("eq", lowering.column(target, "", name), Column(alias, own)) for name, own in through.theirs))
    return (Source(alias, through.table, "inner", on),)


def _shown(outputs: Iterable[Output]) -> set[str]:
    """The aliases that outputs mention; of what is looked up by a lookup, that of the lookup."""
    found = {output.operand.alias for output in outputs if isinstance(output.operand, Column)}
    for output in outputs:
        if isinstance(output.operand, Looked):
            found |= aliases_of(output.operand.select.where)
        if isinstance(output.operand, Holds):
            found |= aliases_of(output.operand.where)
    return found
