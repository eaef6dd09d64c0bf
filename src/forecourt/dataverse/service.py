"""Rows of Dataverse tables through the gate: what :class:`~forecourt.dataverse.rows.Rows` promises the portal.

Values leave as Dataverse shows them and come back the same way; the database's own form stays inside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

from forecourt.dataverse.associations import Associations, key_value
from forecourt.dataverse.rows import Beneath, Found, GroupQuery, Groups, Page, Query, Row, SearchQuery
from forecourt.dataverse.shaped_rows import ShapedRows
from forecourt.dataverse.tables import Table, Tables
from forecourt.dataverse.values import shown, stored
from forecourt.kernel.change import Write
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.model import EntityField
from forecourt.kernel.plan import OrderBy, ReadPlan, SecuredPlan
from forecourt.kernel.predicate import TRUE, Compare, Field, Predicate, Slot, all_of, negate
from forecourt.kernel.predicate import Any as AnyOf
from forecourt.kernel.principal import Door, Principal
from forecourt.kernel.types import Kind
from forecourt.odata import record_id
from forecourt.odata.dialect import DATAVERSE
from forecourt.odata.paging import Position, read_token, token_of, with_key
from forecourt.odata.query import plan
from forecourt.odata.request import analyse
from forecourt.odata.slots import position_slot, slot_kind
from forecourt.security.columns import permitted
from forecourt.security.gate import Gate, Window
from forecourt.security.permissions import nodes
from forecourt.security.rules import Operation, Right, Rules
from forecourt.security.scope import Scope
from forecourt.store.statements import ReadStatement
from forecourt.store.submissions import Submissions
from forecourt.store.work import Work


@dataclass(frozen=True)
class _Kept:
    """Places of the outputs: row id, version, the asked columns, the keyset."""

    row_id: int
    version: int | None
    columns: tuple[tuple[str, int], ...]
    keyset: tuple[int, ...]
    rights: tuple[tuple[str, int], ...] = ()


class TableRows:
    """Answers the portal's questions for rows."""

    def __init__(self, tables: Tables, gate: Gate, rules: Rules, submissions: Submissions) -> None:
        self.tables = tables
        self._submissions = submissions
        self._gate = gate
        self._rules = rules
        self._associations = Associations(tables, gate)
        self._shaped = ShapedRows(gate, lambda field, value: shown(field, value, tables.model))

    async def page(self, principal: Principal, query: Query, door: Door = Door.PORTAL) -> Page:
        """One page of rows that the person may read."""
        table = self._table(query.table)
        order = with_key(query.order, table.entity)
        mark = _mark(query)
        after, slots, taken = self._position(query, table, order, mark)
        related, slots = self._related(query.related, table, slots)
        beneath, slots = self._related(query.apart, table, slots)
        apart = negate(beneath) if query.apart is not None else TRUE
        keyed: Predicate = TRUE
        if query.key is not None:
            place = Slot(len(slots), slot_kind(table.entity.fields[table.primary_id]))
            keyed = Compare("eq", Field((table.primary_id,)), place)
            slots = (*slots, key_value(table, query.key))

        want: Literal["rows", "rows+count", "count"] = "rows+count" if query.total else "rows"
        if query.total and query.size == 0:
            want = "count"

        def make() -> ReadPlan:
            return ReadPlan(
                entity=table.name,
                select=tuple(dict.fromkeys((table.primary_id, *query.columns))),
                filter=_none_if_true(all_of(query.filter, related, apart, keyed)),
                order=query.order,
                skip=Slot(0, Kind.INT32) if query.skip and after is None else None,
                want=want,
                cross_company=True,
                after=after,
                page_size=query.size,
                rights=query.rights,
                versions=query.versions,
            )

        def finish(secured: SecuredPlan, statement: ReadStatement) -> _Kept | None:
            if secured.select.count:
                return None
            names = [output.name for output in secured.select.outputs]
            return _Kept(
                names.index(table.primary_id),
                names.index("@version") if query.versions else None,
                tuple((name, names.index(name)) for name in query.columns),
                tuple(names.index(name) for name in secured.keyset),
                tuple((right, names.index(f"@may.{right}")) for right in query.rights),
            )

        skip = query.skip if after is None else 0
        nulls = None if after is None else tuple(slot is None for slot in after)
        shape: Hashable = (
            "page",
            door,
            table.name,
            query.columns,
            query.filter,
            query.order,
            query.related and query.related[:2],
            query.apart and query.apart[:2],
            query.total,
            query.size,
            query.versions,
            bool(skip),
            nulls,
            query.key is not None,
            query.rights,
        )
        scope = await self._gate.scope(principal, door)
        prepared, result = await self._gate.read(scope, shape, make, finish, slots, Window(None, skip))
        kept = prepared.extra
        if kept is None:
            return Page((), result.total, None)
        rows, cursor = result.rows, None
        if len(rows) > query.size:
            rows = rows[: query.size]
            cursor = token_of(mark, [rows[-1][at] for at in kept.keyset], taken + len(rows))
        shown = tuple(self._row(table, kept, row) for row in rows)
        return Page(shown, result.total if query.total else None, cursor)

    async def search(self, principal: Principal, query: SearchQuery, door: Door = Door.PORTAL) -> Found:
        """Rows that the person may read and that fit a search, the best first."""
        return await self._shaped.search(principal, self._table(query.table), query, door)

    async def groups(self, principal: Principal, query: GroupQuery, door: Door = Door.PORTAL) -> Groups:
        """Rows that the person may read, in groups, ordered by these."""
        return await self._shaped.groups(principal, self._table(query.table), query, door)

    async def row(
        self, principal: Principal, table: str, row_id: UUID, columns: tuple[str, ...], door: Door = Door.PORTAL
    ) -> Row:
        """One row. Refusal FC4041 where it does not exist for this person."""
        found = self._table(table)
        key = Slot(0, slot_kind(found.entity.fields[found.primary_id]))

        def make() -> ReadPlan:
            select = tuple(dict.fromkeys((found.primary_id, *columns)))
            return ReadPlan(found.name, key=((found.primary_id, key),), select=select, cross_company=True)

        def finish(secured: SecuredPlan, statement: ReadStatement) -> _Kept:
            names = [output.name for output in secured.select.outputs]
            return _Kept(
                names.index(found.primary_id),
                names.index("@version"),
                tuple((name, names.index(name)) for name in columns),
                (),
            )

        scope = await self._gate.scope(principal, door)
        shape: Hashable = ("row", door, found.name, columns)
        slots = (key_value(found, row_id),)
        prepared, result = await self._gate.read(scope, shape, make, finish, slots)
        if not result.rows:
            raise not_found(found.label)
        return self._row(found, prepared.extra, result.rows[0])

    async def update(
        self,
        principal: Principal,
        table: str,
        row_id: UUID,
        changes: Mapping[str, object],
        version: str | None = None,
        mark: bytes = b"",
        door: Door = Door.PORTAL,
        beneath: Sequence[Beneath] = (),
    ) -> None:
        """Changes columns of one row, and makes others beneath it; values are Dataverse's. A second call with the same
        ``mark`` changes nothing."""
        found = self._table(table)
        values = self._values(found, changes)
        key = ((found.primary_id, key_value(found, row_id)),)
        scope = await self._gate.scope(principal, door)
        write = Write(found.name, "update", key, values, version)

        async def change(work: Work) -> None:
            if mark and await self._submissions.claim(work, mark) is not None:
                return
            if values or not beneath:
                await self._check_lookups(work, scope, found, values)
                await self._gate.write(work, scope, write)
            await self._make_beneath(work, scope, row_id, beneath)
            if mark:
                await self._submissions.keep(work, mark, row_id)

        await self._gate.coordinator.run(change, f"write {found.name}")

    async def create(
        self,
        principal: Principal,
        table: str,
        values: Mapping[str, object],
        mark: bytes = b"",
        door: Door = Door.PORTAL,
        beneath: Sequence[Beneath] = (),
        related: tuple[str, str, UUID] | None = None,
    ) -> UUID:
        """Makes a row, and others beneath it, in a collection of another; values are Dataverse's. A second call with
        the same ``mark`` gives the id of the first one's."""
        found = self._table(table)
        given = self._values(found, values)
        scope = await self._gate.scope(principal, door)

        async def make(work: Work) -> UUID:
            made = await self._submissions.claim(work, mark) if mark else None
            if made is not None:
                return made
            await self._check_lookups(work, scope, found, given)
            written = await self._gate.write(work, scope, Write(found.name, "create", (), given))
            made = self._identity(found, (written.after or {})[found.primary_id])
            await self._make_beneath(work, scope, made, beneath)
            if related is not None:
                name, above, above_id = related
                new = written.after or {}
                await self._associations.add(work, scope, self._table(above), above_id, name, found, new)
            if mark:
                await self._submissions.keep(work, mark, made)
            return made

        return await self._gate.coordinator.run(make, f"create {found.name}")

    async def delete(
        self, principal: Principal, table: str, row_id: UUID, version: str | None = None, door: Door = Door.PORTAL
    ) -> None:
        """Deletes one row."""
        found = self._table(table)
        key = ((found.primary_id, key_value(found, row_id)),)
        scope = await self._gate.scope(principal, door)
        await self._gate.change(scope, Write(found.name, "delete", key, (), version))

    async def associate(
        self,
        principal: Principal,
        table: str,
        row_id: UUID,
        relation: str,
        others: Sequence[UUID],
        door: Door = Door.PORTAL,
    ) -> None:
        """Adds rows to a collection of a row, by their lookup or as pairs: all or none."""
        scope = await self._gate.scope(principal, door)
        await self._associations.change(scope, self._table(table), row_id, relation, others, add=True)

    async def disassociate(
        self, principal: Principal, table: str, row_id: UUID, relation: str, other: UUID, door: Door = Door.PORTAL
    ) -> None:
        """Takes a row out of a collection of another."""
        scope = await self._gate.scope(principal, door)
        await self._associations.change(scope, self._table(table), row_id, relation, (other,), add=False)

    def may(self, principal: Principal, table: str, right: str, without: str = "") -> bool:
        """Whether a table permission of the person's web roles grants the right at all, beside those of the
        relationship ``without``."""
        found = self.tables.by_name.get(table)
        if found is None or (found.virtual and principal.operations_user is None):
            return False
        held = nodes(self._rules.portal, table, Right(right), principal.web_roles)
        return any(not without or (node.relationship or "").lower() != without.lower() for node in held)

    async def columns(self, principal: Principal, table: str, right: str) -> frozenset[str]:
        """The columns of a table that grants and column permissions open to the person at the portal's pages. Where
        there are none, the person's rights are looked up anew: one may have been given just now."""
        entity = self._table(table).entity
        operation = {"write": Operation.UPDATE, "create": Operation.CREATE}.get(right, Operation.READ)
        scope = await self._gate.scope(principal, Door.PORTAL)
        found = self._gate.enforcer.readable(entity, scope, operation)
        if not found and principal.operations_user is not None:
            scope = await self._gate.scope(principal, Door.PORTAL, fresh=True)
            found = self._gate.enforcer.readable(entity, scope, operation)
        return found

    def hidden(self, principal: Principal, table: str) -> frozenset[str]:
        """Logical names of the columns that column permissions hide from the person, whatever rows they may read."""
        found = self.tables.by_name.get(table)
        if found is None:
            return frozenset()
        left = permitted(self._rules.portal, found.entity, Operation.READ, principal.web_roles)
        return (
            frozenset()
            if left is None
            else frozenset(field.column for field in found.entity.fields.values() if field.name not in left)
        )

    def view_filter(self, table: Table, text: str) -> tuple[Predicate, tuple[object, ...]]:
        """A view's filter (OData over the table's columns) as a predicate and the values of its slots."""
        return _view_filter(self.tables, table.entity.collection, text) if text else (TRUE, ())

    # -- parts ---------------------------------------------------------------------------------------------------

    def _table(self, name: str) -> Table:
        found = self.tables.by_name.get(name)
        if found is None:
            raise Refusal("FC4042", f"Table '{name}' does not exist.", source=name)
        return found

    def _position(
        self, query: Query, table: Table, order: tuple[OrderBy, ...], mark: bytes
    ) -> tuple[tuple[Slot | None, ...] | None, tuple[object, ...], int]:
        """Where the page begins: slots after the query's own, with their values."""
        if query.cursor is None:
            return None, query.slots, 0
        position: Position = read_token(query.cursor, mark)
        kinds = position.shape.split(" ")
        refused = Refusal("FC1007", "The paging token was not issued for this list.", source="cursor")
        if len(kinds) != len(order):
            raise refused
        slots: list[Slot | None] = []
        values = list(query.slots)
        literals = iter(position.literals)
        for step, kind in zip(order, kinds, strict=True):
            if kind == "null":
                slots.append(None)
                continue
            literal = next(literals)
            spec = position_slot(table.entity.fields[step.path[0]], literal.kind)
            if spec is None:
                raise refused
            slots.append(Slot(len(values), spec.kind))
            values.append(spec.convert(literal.text))
        return tuple(slots), tuple(values), position.taken

    def _related(
        self, to: tuple[str, str, UUID] | None, table: Table, slots: tuple[object, ...]
    ) -> tuple[Predicate, tuple[object, ...]]:
        """The condition that a row belongs to another, by the relation back to it: beneath it, or above it."""
        if to is None:
            return TRUE, slots
        relation_name, parent_name, row_id = to
        parent = self._table(parent_name)
        relation = parent.entity.relations.get(relation_name)
        if relation is None or relation.target != table.name:
            raise Refusal("FC1002", f"{parent.name} has no relation '{relation_name}' to {table.name}.")
        slot = Slot(len(slots), slot_kind(parent.entity.fields[parent.primary_id]))
        values = (*slots, key_value(parent, row_id))
        if relation.through is not None:
            pairs = relation.through.table, relation.through.theirs
            for back in table.entity.relations.values():
                if back.through is not None and (back.through.table, back.through.own) == pairs:
                    return AnyOf((back.name,), Compare("eq", Field((parent.primary_id,)), slot)), values
        mirrored = {(theirs, own) for own, theirs in relation.on}
        for back in table.entity.relations.values():
            if back.target == parent.name and set(back.on) == mirrored and back.many is not relation.many:
                if back.many:
                    return AnyOf((back.name,), Compare("eq", Field((parent.primary_id,)), slot)), values
                return Compare("eq", Field((back.name, parent.primary_id)), slot), values
        raise Refusal("FC1004", f"{table.name} has no relation back to {parent.name}.")

    def _values(self, table: Table, given: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
        """Dataverse values of columns as the database stores them. Raises Refusal FC1002, FC1003."""
        values: list[tuple[str, object]] = []
        for name, value in given.items():
            field = table.entity.fields.get(name)
            if field is None:
                raise Refusal("FC1002", f"{table.name} has no column '{name}'.", source=name)
            values.append((name, stored(field, value, self.tables.model)))
        return tuple(values)

    async def _make_beneath(self, work: Work, scope: Scope, above: UUID, beneath: Sequence[Beneath]) -> None:
        """Makes rows whose lookup names ``above``, a row that the person has just written or can read."""
        for item in beneath:
            found = self._table(item.table)
            lookup = found.column(item.lookup)
            if lookup is None:
                raise Refusal("FC1002", f"{found.name} has no column '{item.lookup}'.", source=item.lookup)
            given = self._values(found, {**item.values, lookup.name: str(above)})
            others = tuple((name, value) for name, value in given if name != lookup.name)
            await self._check_lookups(work, scope, found, others)
            await self._gate.write(work, scope, Write(found.name, "create", (), given))

    async def _check_lookups(
        self, work: Work, scope: Scope, table: Table, values: tuple[tuple[str, object], ...]
    ) -> None:
        """Nobody binds a row that they cannot see. Raises Refusal FC1003 at the lookup."""
        for name, value in values:
            field = table.entity.fields[name]
            if field.targets and value is not None and not await self._sees(work, scope, field, value):
                raise Refusal("FC1003", f"{field.label or name} is no row that you can choose.", source=name)

    async def _sees(self, work: Work, scope: Scope, field: EntityField, value: object) -> bool:
        for name in field.targets:
            target = self.tables.by_name.get(name)
            if target is None:
                continue
            slot = Slot(0, slot_kind(target.entity.fields[target.primary_id]))
            plan = ReadPlan(name, key=((target.primary_id, slot),), select=(target.primary_id,), cross_company=True)
            try:
                if await self._gate.read_in(work, scope, plan, (value,)):
                    return True
            except Refusal as refusal:
                if refusal.status != 403:
                    raise
        return False

    @staticmethod
    def _identity(table: Table, raw: Any) -> UUID:
        """The id of a row from its stored key."""
        key = table.entity.fields[table.primary_id]
        return UUID(str(raw if key.record_of is None else record_id.encode(key.record_of, raw)))

    def _row(self, table: Table, kept: _Kept, row: Any) -> Row:
        fields = table.entity.fields
        values = {name: shown(fields[name], row[at], self.tables.model) for name, at in kept.columns}
        rights = frozenset(right for right, at in kept.rights if row[at])
        version = "" if kept.version is None else str(row[kept.version])
        return Row(self._identity(table, row[kept.row_id]), values, version, rights)


def _none_if_true(item: Predicate) -> Predicate | None:
    return None if item == TRUE else item


def _mark(query: Query) -> bytes:
    """Tells lists apart, so that a cursor of one is refused by another."""
    text = repr((query.table, query.filter, query.slots, query.order, query.related, query.apart))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _view_filter(tables: Tables, collection: str, text: str) -> tuple[Predicate, tuple[object, ...]]:
    request = analyse("/" + collection, "$filter=" + quote(text), DATAVERSE)
    parsed = plan(request, tables.model, DATAVERSE)
    return parsed.plan.filter or TRUE, parsed.bind(request.literals)
