"""Shaped reads: linked entities, groups and distinct rows as one select, with everybody's rules in it.

Links are sources beside the entity's own tables (``linking``). Groups and distinct rows are a source as well; order,
pages and totals stand around them. A field may be named (shown, compared, sorted and grouped by, summed up) only where
it is open to the asker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import Entity
from forecourt.kernel.plan import ReadPlan, Shape, ShapeColumn
from forecourt.kernel.predicate import (
    TRUE,
    After,
    Column,
    Const,
    Linked,
    Operand,
    Predicate,
    all_of,
    operands,
)
from forecourt.kernel.relation import (
    Aggregate,
    Computed,
    DatePart,
    Digest,
    Output,
    Plain,
    Rank,
    Select,
    Sort,
    Source,
    aliases_of,
)
from forecourt.kernel.types import MOMENTS, NUMBERS, Kind
from forecourt.odata.shapes import result_entity
from forecourt.security.grants import Granted
from forecourt.security.leaves import empty_of
from forecourt.security.linking import Linking, aliases
from forecourt.security.lowering import Lowering
from forecourt.security.naming import beside_field, currency_of
from forecourt.security.rules import Operation

#: Alias of the source that holds groups or distinct rows.
ROWS = "@rows"

#: The column that says how well a row fits a search.
RANK = "@rank"

_DATES = frozenset({Kind.DATE, Kind.DATETIME})


@dataclass(frozen=True)
class Shaping:
    """Shapes one plan. ``version``: the column with the version of the entity's rows."""

    plan: ReadPlan
    linking: Linking
    version: Column | Digest

    @property
    def lowering(self) -> Lowering:
        return self.linking.lowering

    def open(self) -> Granted:
        """Decides what may be named at all: the grant on the entity itself. Raises Refusal."""
        shape, entity = _shape_of(self.plan), self.lowering.model.entities[self.plan.entity]
        self.linking.open("", entity)
        for link in shape.links:
            self.linking.open_link(link, entity)
        self._check(shape, entity)
        return self.linking.grants[""]

    def selects(self, restriction: Predicate, limit: Operand | None, offset: Operand | None) -> tuple[Select, Select]:
        """The select of the answer, and of its total, once it is open. ``restriction``: conditions on the entity's own
        tables. Raises Refusal."""
        lowering, plan = self.lowering, self.plan
        shape, entity = _shape_of(plan), self.linking.entities[""]
        links = [self.linking.source(link, entity, "") for link in shape.links]
        where = restriction
        if plan.filter is not None:
            where = all_of(where, lowering.predicate(plan.filter, entity, ""))
        grouped = shape.grouped or shape.distinct or shape.rank is not None
        outputs = [self._output(column, raw=grouped) for column in shape.columns]
        if shape.rank is not None:
            fields, asked = shape.rank
            ranked = tuple(self.linking.column("", name) for name in fields)
            outputs.append(Output(RANK, Rank(ranked, asked), None))
        nullable = lowering.nullable(entity, "") | self.linking.nullable(shape.links)
        if not grouped:
            if plan.versions:
                outputs.insert(0, Output("@version", self.version, None))
            outputs.extend(self._annotations(shape, lambda column: self.linking.column(column.alias, column.field)))
        used = aliases_of(where) | {alias for output in outputs for alias in aliases(output)}
        for source in links:
            used |= aliases_of(source.on)
        sources = (*lowering.sources(entity, "", Operation.READ, used), *links)
        if not grouped:
            counting = Select(sources=sources, where=where, count=True, nullable=nullable)
            by = {output.name: output.operand for output in outputs}
            select = Select(sources, where, tuple(outputs), limit=limit, offset=offset, nullable=nullable)
            return self._ordered(select, by), counting
        rows = Select(sources, where, tuple(outputs), nullable=nullable, grouped=shape.grouped, distinct=shape.distinct)
        around = (Source(ROWS, entity.root.table, rows=rows),)
        kinds = result_entity(plan, lowering.model).fields
        shown = [Output(name, Column(ROWS, name), found.kind) for name, found in kinds.items()]
        shown.extend(self._annotations(shape, lambda column: Column(ROWS, column.name)))
        if shape.rank is not None:
            shown.append(Output(RANK, Column(ROWS, RANK), None))
        empty = frozenset((ROWS, name) for name, found in kinds.items() if found.nullable)
        select = Select(around, TRUE, tuple(shown), limit=limit, offset=offset, nullable=empty)
        counting = Select(sources=around, count=True)
        return self._ordered(select, {output.name: output.operand for output in shown}), counting

    # -- what may be named ---------------------------------------------------------------------------------------

    def _check(self, shape: Shape, entity: Entity) -> None:
        where = self.plan.filter or TRUE
        self.lowering.check_fields(where, entity, self.linking.grants[""])
        named = [(column.alias, column.field) for column in shape.columns if column.field]
        named += [(operand.alias, operand.name) for operand in operands(where) if isinstance(operand, Linked)]
        if shape.rank is not None:
            named += [("", name) for name in shape.rank[0]]
        for alias, name in named:
            self.linking.need(alias, name)
        for column in shape.columns:
            self._fits(column)
            for extra in self._extras(column) if column.alias and not (shape.grouped or shape.distinct) else ():
                self.linking.needed[column.alias][extra] = None

    def _fits(self, column: ShapeColumn) -> None:
        """Refuses (FC1003) what cannot be computed of a column."""
        if not column.field:
            return
        found = self.linking.entities[column.alias].fields[column.field]
        wanted = ""
        if column.part is not None and found.kind not in MOMENTS:
            wanted = "dates"
        elif column.function in ("sum", "avg") and (found.kind not in NUMBERS or found.record_of is not None):
            wanted = "numbers"
        elif column.function in ("min", "max") and (found.kind not in NUMBERS | _DATES or found.record_of is not None):
            wanted = "numbers and dates"
        if wanted:
            what = column.function or column.part
            message = f"{what} is of {wanted}; '{column.field}' is of type {found.kind}."
            raise Refusal("FC1003", message, source=column.field)

    # -- columns -------------------------------------------------------------------------------------------------

    def _output(self, column: ShapeColumn, raw: bool) -> Output:
        """A column of the answer; ``raw``: of a source, as the database has it."""
        if not column.field:
            return Output(column.name, Aggregate("count"), None)
        found = self.linking.entities[column.alias].fields[column.field]
        plain = self.linking.column(column.alias, column.field)
        if not raw:
            return Output(column.name, plain, found.kind)
        operand: Column | Plain = Plain(plain, Const(empty_of(found))) if found.empty_date else plain
        computed: Column | Computed = operand
        if column.function is not None:
            computed = Aggregate(column.function, None if column.function == "count" else operand)
        elif column.part is not None:
            computed = DatePart(column.part, operand)
        return Output(column.name, computed, None)

    def _extras(self, column: ShapeColumn) -> list[str]:
        """What annotations of a column need of its row: which table its lookup leads to, the currency of an amount."""
        entity = self.linking.entities[column.alias]
        found = entity.fields.get(column.field)
        if found is None or not self.plan.beside:
            return []
        extras = [f"@{found.target_column}"] if found.target_column else []
        currency = currency_of(entity, found)
        return [*extras, currency] if currency is not None else extras

    def _annotations(self, shape: Shape, column_of: Callable[[ShapeColumn], Column]) -> list[Output]:
        found: list[Output] = []
        whole = not (shape.grouped or shape.distinct or shape.rank)
        for column in shape.columns:
            if column.name.startswith("@") or column.function is not None or column.part is not None:
                continue
            entity = self.linking.entities[column.alias]

            def held(name: str, column: ShapeColumn = column) -> Column | None:
                if name == column.field:
                    return column_of(column)
                return self.linking.column(column.alias, name) if whole else None

            found += beside_field(self.lowering, entity, column.field, column.name, held, self.plan.beside)
        return found

    def _ordered(self, select: Select, by: Mapping[str, object]) -> Select:
        """The select in the order of the plan, from its position on."""
        keys: list[tuple[Operand, bool, bool]] = []
        for step in self.plan.order:
            operand = by[step.path[0]]
            assert isinstance(operand, Column)
            keys.append((operand, step.descending, (operand.alias, operand.name) in select.nullable))
        after = TRUE if self.plan.after is None else After(tuple(keys), self.plan.after)
        return replace(select, where=all_of(select.where, after), order=tuple(Sort(*key) for key in keys))


def _shape_of(plan: ReadPlan) -> Shape:
    assert plan.shape is not None
    return plan.shape
