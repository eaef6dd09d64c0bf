"""Enforcement: the only place where a plan and an identity become something that the store will run.

Parse -> plan -> **secure** -> compile -> run -> render. Nothing else makes a :class:`SecuredPlan` or a
:class:`SecuredWrite` (a test searches the code for it). The decision is pure: it looks at rules, model, plan and
scope, and gives a shape; values are bound when it runs.

Decided here, in this order, each step only narrowing: the person may use the entity at all (web roles, security
roles, privileges); the fields that the request names are open to the person; the legal entities; the policies; the
table permissions. What is not granted is denied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity, Model
from forecourt.kernel.plan import (
    Expand,
    OrderBy,
    ReadPlan,
    SecuredExpand,
    SecuredPlan,
    SecuredWrite,
    WritePlan,
)
from forecourt.kernel.predicate import (
    FALSE,
    TRUE,
    After,
    Column,
    Compare,
    Const,
    Operand,
    Param,
    Predicate,
    all_of,
)
from forecourt.kernel.relation import ROW_VERSION, Output, Select, Sort, aliases_of
from forecourt.odata.paging import effective_order
from forecourt.security.grants import Granted
from forecourt.security.lowering import Lowering, hidden
from forecourt.security.permissions import nodes
from forecourt.security.rules import Operation, Right, Rules
from forecourt.security.scope import Scope
from forecourt.security.xds import KeyOf

#: Bound at run time: the rows to fetch (one more than a page) and to skip.
LIMIT = Param("page.limit")
OFFSET = Param("page.offset")


@dataclass(frozen=True)
class Enforcer:
    """Rules and model of one plane. ``key_of`` gives the primary key of a table."""

    rules: Rules
    model: Model
    key_of: KeyOf

    def read(self, plan: ReadPlan, scope: Scope) -> SecuredPlan:
        """Decides a read. Raises Refusal FC3001-FC3004; rows out of reach are simply not among the rows."""
        entity = self.model.entities[plan.entity]
        lowering = Lowering(self.rules, self.model, scope, self.key_of)
        self._permitted(entity, scope, Right.READ)
        grant = lowering.require(entity, Operation.READ)
        names = self._selected(lowering, entity, grant, plan.select)
        lowering.check_fields(plan.filter or TRUE, entity, grant)
        self._check_order(lowering, entity, grant, plan.order)
        order = effective_order(plan, entity)
        expands = tuple(self._expand(lowering, entity, names, item, scope) for item in plan.expand)
        links = [own for item in plan.expand for own, _ in entity.relations[item.relation].on]
        outputs = self._outputs(lowering, entity, names, order, links, plan)
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
        single = bool(plan.key)
        after = self._after(lowering, entity, order, plan)
        select = Select(
            sources=lowering.sources(entity, "", Operation.READ, aliases_of(where) | _shown(outputs)),
            where=all_of(where, after),
            outputs=outputs,
            order=() if single else self._sorts(lowering, entity, order),
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
            keyset=() if single else tuple(self._position(step, names) for step in order),
            page_size=plan.page_size,
        )

    def update(self, plan: WritePlan, scope: Scope) -> SecuredWrite:
        """Decides an update: the row must be within reach to read and to change, before and after."""
        entity = self.model.entities[plan.entity]
        lowering = Lowering(self.rules, self.model, scope, self.key_of)
        self._permitted(entity, scope, Right.WRITE)
        reading = lowering.require(entity, Operation.READ)
        writing = lowering.require(entity, Operation.UPDATE)
        assignments = tuple((self._writable(lowering, entity, name, writing), value) for name, value in plan.changes)
        reach = all_of(
            self._company(entity, scope, plan),
            lowering.rows(entity, "", Operation.READ, reading, permissions=False),
            lowering.rows(entity, "", Operation.UPDATE, writing),
        )
        identity = self.key_of(entity.root.table) or tuple(entity.fields[name].column for name in entity.key)
        root = entity.root.alias
        keys = all_of(*(Compare("eq", lowering.column(entity, "", name), slot) for name, slot in plan.key))
        sources = lowering.sources(entity, "", Operation.UPDATE, aliases_of(all_of(reach, keys)))
        nullable = lowering.nullable(entity, "")
        ids = tuple(Output(f"@id{i}", Column(root, name), None) for i, name in enumerate(identity))
        version = Output("@version", Column(root, ROW_VERSION), None)
        return SecuredWrite(
            entity=entity.name,
            read=Select(sources, all_of(reach, keys), (version, *ids), nullable=nullable),
            table=entity.root.table,
            identity=identity,
            assignments=assignments,
            check=Select(sources, all_of(reach, keys), ids, nullable=nullable),
            witnesses=scope.witnesses,
            version=plan.version,
        )

    # -- steps ---------------------------------------------------------------------------------------------------

    def _permitted(self, entity: Entity, scope: Scope, right: Right) -> None:
        if scope.portal_door and not nodes(self.rules.portal, entity.name, right, scope.principal.web_roles):
            raise Refusal(
                "FC3001",
                f"You have no permission to {right.value} {entity.label or entity.name}.",
                source=entity.name,
            )

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
                    f"Rows cannot be sorted by {'/'.join(step.path)}, a column of another entity.",
                    hint="Sort by a column of the entity itself.",
                    source="$orderby",
                )
        self._check_names(lowering, entity, grant, [step.path[0] for step in order])

    def _outputs(
        self,
        lowering: Lowering,
        entity: Entity,
        names: tuple[str, ...],
        order: tuple[OrderBy, ...],
        links: list[str],
        plan: ReadPlan,
    ) -> tuple[Output, ...]:
        outputs = [
            Output("@version", Column(entity.root.alias, ROW_VERSION), None),
            *(Output(name, lowering.column(entity, "", name), entity.fields[name].kind) for name in names),
        ]
        for name in dict.fromkeys(links):
            if name not in names:
                outputs.append(Output(f"@link.{name}", lowering.column(entity, "", name), None))
        if not plan.key:
            for step in order:
                if step.path[0] not in names:
                    column = lowering.column(entity, "", step.path[0])
                    outputs.append(Output(f"@sort.{step.path[0]}", column, None))
        return tuple(outputs)

    @staticmethod
    def _position(step: OrderBy, names: tuple[str, ...]) -> str:
        return step.path[0] if step.path[0] in names else f"@sort.{step.path[0]}"

    @staticmethod
    def _sorts(lowering: Lowering, entity: Entity, order: tuple[OrderBy, ...]) -> tuple[Sort, ...]:
        return tuple(
            Sort(lowering.column(entity, "", step.path[0]), step.descending, entity.fields[step.path[0]].nullable)
            for step in order
        )

    @staticmethod
    def _after(lowering: Lowering, entity: Entity, order: tuple[OrderBy, ...], plan: ReadPlan) -> Predicate:
        if plan.after is None:
            return TRUE
        by = tuple(
            (lowering.column(entity, "", step.path[0]), step.descending, entity.fields[step.path[0]].nullable)
            for step in order
        )
        values: tuple[Operand | None, ...] = plan.after
        return After(by, values)

    @staticmethod
    def _company(entity: Entity, scope: Scope, plan: ReadPlan | WritePlan) -> Predicate:
        """The default legal entity, where the direct door is asked without ``cross-company`` (reference 5.4)."""
        user = scope.principal.operations_user
        if entity.company is None or plan.cross_company or not scope.operations_door or user is None:
            return TRUE
        found = entity.fields[entity.company]
        return Compare("eq", Column(found.source, found.column), Const(user.company))

    def _writable(self, lowering: Lowering, entity: Entity, name: str, grant: Granted) -> str:
        found = entity.fields[name]
        if entity.read_only or not found.editable or name in entity.key or found.source != entity.root.alias:
            raise Refusal("FC1003", f"Column {name} of {entity.collection} cannot be changed.", source=name)
        opened = lowering.scope.columns(self.rules, entity.name)
        base = found.base or name
        if (grant.fields is not None and base not in grant.fields) or (opened is not None and name not in opened):
            raise Refusal("FC3004", f"Column {name} of {entity.collection} may not be changed by you.", source=name)
        return found.column

    def _expand(
        self, lowering: Lowering, entity: Entity, above: tuple[str, ...], item: Expand, scope: Scope
    ) -> SecuredExpand:
        relation = entity.relations[item.relation]
        target = self.model.entities[relation.target]
        self._permitted(target, scope, Right.READ)
        grant = lowering.require(target, Operation.READ)
        names = self._selected(lowering, target, grant, item.select)
        lowering.check_fields(item.filter or TRUE, target, grant)
        self._check_order(lowering, target, grant, item.order)
        inner = ReadPlan(target.name, order=item.order)
        order = effective_order(inner, target)
        links = [own for child in item.expand for own, _ in target.relations[child.relation].on]
        outputs = list(self._outputs(lowering, target, names, (), links, inner))
        keys = tuple(lowering.column(target, "", theirs) for _, theirs in relation.on)
        outputs.extend(Output(f"@key{i}", key, None) for i, key in enumerate(keys))
        where = all_of(
            lowering.rows(target, "", Operation.READ, grant),
            lowering.predicate(item.filter, target, "") if item.filter is not None else TRUE,
        )
        sorts = self._sorts(lowering, target, order)
        used = aliases_of(where) | _shown(outputs) | {s.operand.alias for s in sorts if isinstance(s.operand, Column)}
        select = Select(
            sources=lowering.sources(target, "", Operation.READ, used),
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
            parent=tuple(own if own in above else f"@link.{own}" for own, _ in relation.on),
            keys=keys,
            limit=item.top,
            expands=tuple(self._expand(lowering, target, names, child, scope) for child in item.expand),
        )


def _shown(outputs: Iterable[Output]) -> set[str]:
    return {output.operand.alias for output in outputs if isinstance(output.operand, Column)}


def admitted(enforcer: Enforcer, scope: Scope, entity: Entity, prefix: str = "") -> Predicate:
    """The rows of an entity that the scope may read, as a predicate over its tables; FALSE where it may read none.

    For audit and explain, which compare doors row by row: the same lowering that requests go through.
    """
    lowering = Lowering(enforcer.rules, enforcer.model, scope, enforcer.key_of)
    try:
        enforcer._permitted(entity, scope, Right.READ)
        grant = lowering.require(entity, Operation.READ)
    except Refusal:
        return FALSE
    return lowering.rows(entity, prefix, Operation.READ, grant)
